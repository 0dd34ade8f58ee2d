//! The OpenAPI document is true: whatever the scenarios are answered is what it says, and what stands in
//! it belongs together. The page for people has all of it.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use pintle::auth::permission::Permission;
use pintle::config::Config;
use pintle::http::reference::openapi::openapi;
use pintle::http::routes::{Credential, routes};
use serde_json::{Value, json};

use crate::world::{Answer, HOST, World};

/// What the server says of itself.
pub struct Document {
    document: Value,
    /// Whether members may be left out where `$select` can say so.
    may_select: bool,
}

impl Document {
    /// As it is with the default settings.
    pub fn new() -> Document {
        let document = Value::Object(openapi(&routes(), &Config::default()));
        Document { document, may_select: false }
    }

    /// What a route's path has; functions stand with their arguments there.
    fn path(&self, route: &str) -> &Value {
        let paths = self.document["paths"].as_object().unwrap();
        let is_its = |path: &str| {
            path == route || route.strip_suffix(')').is_some_and(|function| path.starts_with(function))
        };
        paths.iter().find(|(path, _)| is_its(path)).map_or(&Value::Null, |(_, path)| path)
    }

    /// The same of answers to requests that select members.
    pub fn selecting(&self) -> Document {
        Document { document: self.document.clone(), may_select: true }
    }

    /// Whether an answer is one that the document has for its route: status, media type and body.
    pub fn check(&self, method: &str, answer: &Answer) -> Result<(), String> {
        // What is not routed, and a method that a path has not, are no operations.
        let Some(route) = &answer.route else { return Ok(()) };
        let Some(operation) = self.path(route).get(method.to_lowercase()) else {
            return if answer.status == 405 {
                Ok(())
            } else {
                Err(format!("no {method} {route} in the document"))
            };
        };
        // What the client has already has no body, on any route.
        if answer.status == 304 {
            return Ok(());
        }
        let Some(response) = operation["responses"].get(answer.status.as_str()) else {
            return Err(format!("the document has no {} for {method} {route}", answer.status));
        };
        let Some(content) = response.get("content").and_then(Value::as_object) else {
            return if answer.body.is_empty() {
                Ok(())
            } else {
                Err("the document has no body for it".into())
            };
        };
        let media_type = answer.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
        let media_type = media_type.split(';').next().unwrap_or_default();
        let content =
            content.get(media_type).ok_or_else(|| format!("the document has no {media_type} for it"))?;
        if media_type != "application/json" {
            return Ok(());
        }
        let body = serde_json::from_str(&answer.body).map_err(|error| format!("no JSON: {error}"))?;
        self.fits(&content["schema"], &body, "$")
    }

    /// Whether a value is what a schema says. Knows the keywords that bear on the shape of an answer;
    /// bounds of what is asked are the server's to check.
    fn fits(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (keyword, said) in schema.as_object().unwrap() {
            match keyword.as_str() {
                "$ref" => {
                    let pointer = said.as_str().unwrap().strip_prefix('#').unwrap();
                    self.fits(self.document.pointer(pointer).ok_or("a reference to nothing")?, value, at)?;
                }
                "x-there-unless-selected" if !self.may_select => {
                    let lacks = |name: &&Value| value.get(name.as_str().unwrap()).is_none();
                    if let Some(name) = said.as_array().unwrap().iter().find(lacks) {
                        return Err(format!("{at} lacks {name}"));
                    }
                }
                "allOf" => {
                    said.as_array().unwrap().iter().try_for_each(|one| self.fits(one, value, at))?;
                }
                "anyOf" => {
                    let tried = said.as_array().unwrap().iter().map(|one| self.fits(one, value, at));
                    let wrong: Vec<String> = tried.filter_map(Result::err).collect();
                    if wrong.len() == said.as_array().unwrap().len() {
                        return Err(wrong.join(", and "));
                    }
                }
                "type" => {
                    let is = |name: &Value| match name.as_str().unwrap() {
                        "string" => value.is_string(),
                        "integer" => value.is_i64() || value.is_u64(),
                        "boolean" => value.is_boolean(),
                        "array" => value.is_array(),
                        "object" => value.is_object(),
                        "null" => value.is_null(),
                        other => panic!("the type {other}"),
                    };
                    if !said.as_array().map_or_else(|| is(said), |types| types.iter().any(is)) {
                        return Err(format!("{at} is {value}, no {said}"));
                    }
                }
                "enum" => {
                    if !said.as_array().unwrap().contains(value) {
                        return Err(format!("{at} is {value}, none of {said}"));
                    }
                }
                "required" => {
                    let missing = said.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                    if let Some(name) = missing.into_iter().find(|name| value.get(name).is_none()) {
                        return Err(format!("{at} has no {name}"));
                    }
                }
                "properties" => {
                    for (name, schema) in said.as_object().unwrap() {
                        if let Some(member) = value.get(name) {
                            self.fits(schema, member, &format!("{at}.{name}"))?;
                        }
                    }
                }
                "additionalProperties" => {
                    for (name, member) in value.as_object().into_iter().flatten() {
                        let is_declared = schema["properties"].get(name).is_some();
                        match said {
                            Value::Bool(false) if !is_declared => return Err(format!("{at} has {name}")),
                            Value::Object(_) if !is_declared => {
                                self.fits(said, member, &format!("{at}.{name}"))?
                            }
                            _ => {}
                        }
                    }
                }
                "items" => {
                    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.fits(said, item, &format!("{at}[{place}]"))?;
                    }
                }
                "x-there-unless-selected"
                | "description"
                | "format"
                | "pattern"
                | "minimum"
                | "maximum"
                | "minLength"
                | "maxLength"
                | "minItems"
                | "maxItems" => {}
                other => panic!("this test does not know {other}"),
            }
        }
        Ok(())
    }
}

/// Everything in a document that refers to something, and all objects in it.
fn walk<'d>(value: &'d Value, found: &mut Vec<&'d Value>) {
    found.push(value);
    match value {
        Value::Object(members) => members.values().for_each(|member| walk(member, found)),
        Value::Array(elements) => elements.iter().for_each(|element| walk(element, found)),
        _ => {}
    }
}

#[test]
fn every_route_is_in_the_document_with_what_its_row_asks_for() {
    let document = Document::new();
    for route in routes() {
        let operation = &document.path(route.path)[route.method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{} {}", route.method, route.path);
        match route.credential {
            Credential::Bearer(access) | Credential::Sender(access) => {
                let value = |permission: &Permission| json!({ "bearer": [permission.value()] });
                let mut security: Vec<Value> = access.permissions.iter().map(value).collect();
                if security.is_empty() {
                    security.push(json!({ "bearer": [] }));
                }
                if matches!(route.credential, Credential::Sender(_)) {
                    security.extend([json!({ "apiKey": [] }), json!({ "basic": [] })]);
                }
                assert_eq!(operation["security"], Value::from(security), "{}", route.path);
                let role = access.role_permission.map(|role| role.value());
                assert_eq!(operation["x-role-permission"]["value"].as_str(), role, "{}", route.path);
                assert_eq!(operation["x-quota"]["id"].as_str(), access.quota, "{}", route.path);
                // Who sends has no quota, but may have too much under way.
                let sends = matches!(route.credential, Credential::Sender(_))
                    && operation.get("requestBody").is_some();
                let may_be_too_many = access.quota.is_some() || sends;
                assert_eq!(operation["responses"].get("429").is_some(), may_be_too_many);
                assert!(operation["responses"]["401"]["content"]["application/json"].is_object());
            }
            Credential::Anonymous | Credential::Form => assert_eq!(operation["security"], json!([])),
        }
    }
}

#[test]
fn every_schema_that_is_referred_to_is_there_and_the_others_are_not() {
    let Document { document, .. } = Document::new();
    let mut all = Vec::new();
    walk(&document, &mut all);
    let referred: BTreeSet<&str> = all.iter().filter_map(|value| value.get("$ref")?.as_str()).collect();
    let there = document["components"]["schemas"].as_object().unwrap();
    let there: BTreeSet<String> = there.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    assert_eq!(referred, there.iter().map(String::as_str).collect());
}

#[test]
fn the_check_of_answers_finds_what_is_wrong() {
    let document = Document::new();
    let machine = json!({ "$ref": "#/components/schemas/IpAddress" });
    let fits = |value: Value| document.fits(&machine, &value, "$");
    assert_eq!(fits(json!({ "ipAddress": "10.0.0.1", "type": null })), Ok(()));
    assert_eq!(fits(json!({ "ipAddress": null })), Err("$.ipAddress is null, no \"string\"".to_owned()));
    assert!(fits(json!([])).is_err());
    let rows = &document.document["paths"]["/api/machines"]["get"]["responses"]["200"]["content"]["application/json"]
        ["schema"];
    assert!(document.fits(rows, &json!({ "@odata.context": "", "value": [] }), "$").is_ok());
    assert!(document.fits(rows, &json!({ "@odata.context": "", "value": [{}] }), "$").is_err());
    assert!(document.fits(rows, &json!({ "value": [] }), "$").is_err());
    let rule = json!({ "$ref": "#/components/schemas/DeviceRule" });
    assert!(document.fits(&rule, &json!({ "name": [{ "operator": "like", "value": "x" }] }), "$").is_err());
    assert!(document.fits(&rule, &json!({ "names": [] }), "$").is_err());
}

#[tokio::test]
async fn the_answer_is_told_from_another_by_its_tag_and_names_the_url_it_was_asked_under() {
    let world = World::new(Config::default()).for_dev();
    let ask = async |host: &str, known: &str| {
        let request = Request::get("/openapi.json").header("Host", host).header("If-None-Match", known);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let first = ask("localhost:4280", "").await;
    let body: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(body["servers"][0]["url"], "http://localhost:4280");
    assert_eq!(body["paths"], Document::new().document["paths"]);
    let tag = first.headers["etag"].to_str().unwrap();
    assert_eq!(ask("localhost:4280", &format!("\"x\", {tag}")).await.status, 304);
    assert_eq!(ask("127.0.0.1:4280", tag).await.status, 200);
    // A host that could end the text is none.
    let hostile = ask(r#"x"}],"paths":{"#, "").await;
    assert_eq!(
        serde_json::from_str::<Value>(&hostile.body).unwrap()["servers"][0]["url"],
        format!("https://{HOST}")
    );
}

#[tokio::test]
async fn the_page_has_every_operation_and_every_schema_and_all_it_links_to() {
    let world = World::new(Config::default());
    let page = world.send(Request::get("/docs").body(Body::empty()).unwrap()).await.body;
    let Document { document, .. } = Document::new();
    let ids: BTreeSet<&str> = page.split("id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.contains(id), "{path} {id}");
        }
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(ids.contains(format!("schema-{name}").as_str()), "{name}");
    }
    for target in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(target), "a link to {target}");
    }
    assert!(!page.contains("<script") && !page.contains("://"), "the page loads nothing");
}
