//! The document as a page: plain HTML without a script, made of the document alone.

use serde_json::{Map, Value};

use crate::http::html::escaped;

pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--edge:#8886;--faint:#8882}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}\
h1{font-size:1.6rem;margin:.5rem 0}\
h2{border-bottom:1px solid var(--edge);margin-top:3rem}\
h3{font-size:1.05rem;margin:0}\
h4{margin:1rem 0 .3rem}\
article{border:1px solid var(--edge);border-radius:.4rem;padding:.8rem 1rem;margin:1rem 0}\
article:target{border-color:currentColor}\
code{font:.9em ui-monospace,monospace;background:var(--faint);padding:.05em .25em;border-radius:.2em}\
nav ul{list-style:none;padding:0;columns:18rem;font-size:.9rem}\
nav li{break-inside:avoid}\
a{color:inherit}\
.method{font-weight:700}\
.small{font-size:.9rem;opacity:.85}\
dl{margin:.3rem 0}\
dt{margin-top:.4rem}\
dd{margin:0 0 0 1rem}";

/// The page.
pub(super) fn page(document: &Value) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Pintle: reference</title>\
         <style>{STYLE}</style></head><body><header><h1>Pintle {}</h1><p>{}</p><p>{}</p>\
         <p class=\"small\">For programs: <a href=\"openapi.json\">openapi.json</a></p></header>",
        text(document, "/info/version"),
        text(document, "/info/summary"),
        prose(raw(document, "/info/description")),
    );
    let operations = operations(document);
    page.push_str("<nav aria-label=\"Operations\"><ul>");
    for Operation { method, path, value } in &operations {
        page.push_str(&format!(
            "<li><a href=\"#{}\">{} {}</a></li>",
            text(value, "/operationId"),
            escaped(&method.to_uppercase()),
            escaped(path)
        ));
    }
    page.push_str("</ul></nav><main>");
    for tag in array(document, "/tags") {
        let name = raw(tag, "/name");
        let mut its = operations.iter().filter(|one| raw(one.value, "/tags/0") == name).peekable();
        if its.peek().is_some() {
            page.push_str(&format!("<section><h2>{}</h2>", text(tag, "/description")));
            its.for_each(|one| write_operation(one, &mut page));
            page.push_str("</section>");
        }
    }
    page.push_str("<section><h2>What comes and goes</h2>");
    for (name, schema) in object(document, "/components/schemas") {
        page.push_str(&format!("<article id=\"schema-{0}\"><h3>{0}</h3>", escaped(name)));
        page.push_str(&format!("<p>{}</p>", prose(raw(schema, "/description"))));
        write_members(schema, &mut page);
        page.push_str("</article>");
    }
    page.push_str("</section></main></body></html>\n");
    page
}

struct Operation<'d> {
    method: &'d str,
    path: &'d str,
    value: &'d Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, methods) in object(document, "/paths") {
        for (method, value) in object(methods, "") {
            operations.push(Operation { method, path, value });
        }
    }
    operations
}

fn write_operation(operation: &Operation<'_>, page: &mut String) {
    let Operation { method, path, value } = operation;
    let id = text(value, "/operationId");
    page.push_str(&format!(
        "<article id=\"{id}\"><h3><a href=\"#{id}\"><span class=\"method\">{}</span> {}</a></h3>\
         <p><strong>{}.</strong> {}</p>",
        escaped(&method.to_uppercase()),
        escaped(path),
        text(value, "/summary"),
        prose(raw(value, "/description")),
    ));
    write_needs(value, page);
    let parameters: Vec<&Value> = array(value, "/parameters").collect();
    if !parameters.is_empty() {
        page.push_str("<h4>Parameters</h4><dl>");
        for parameter in parameters {
            let is_required = parameter.pointer("/required") == Some(&Value::Bool(true));
            page.push_str(&format!(
                "<dt><code>{}</code> {}{}</dt><dd>{}</dd>",
                text(parameter, "/name"),
                parameter.pointer("/schema").map(described).unwrap_or_default(),
                if is_required { ", needed" } else { "" },
                prose(raw(parameter, "/description")),
            ));
        }
        page.push_str("</dl>");
    }
    let bodies: Vec<_> = object(value, "/requestBody/content").collect();
    if !bodies.is_empty() {
        page.push_str("<h4>Body</h4><dl>");
        bodies.into_iter().for_each(|content| write_content(content, page));
        page.push_str("</dl>");
    }
    page.push_str("<h4>Answers</h4><dl>");
    for (status, answer) in object(value, "/responses") {
        page.push_str(&format!(
            "<dt><code>{}</code> {}</dt>",
            escaped(status),
            prose(raw(answer, "/description"))
        ));
        // Errors are all alike.
        if status.starts_with('2') {
            object(answer, "/content").for_each(|content| write_content(content, page));
        }
    }
    page.push_str("</dl></article>");
}

/// Who may call, and how often.
fn write_needs(operation: &Value, page: &mut String) {
    let named = |pointer: &str| -> Vec<String> {
        let named =
            |one: &Value| format!("<code>{}</code> ({})", text(one, "/value"), text(one, "/displayName"));
        array(operation, pointer).map(named).collect()
    };
    let (permissions, scopes) = (named("/x-application-permissions"), named("/x-delegated-scopes"));
    let mut lines = Vec::new();
    if !permissions.is_empty() {
        lines.push(format!("An application needs {}.", permissions.join(" or ")));
    } else if array(operation, "/security").next().is_some() {
        lines.push("Any token will do.".to_owned());
    } else {
        lines.push("No token is needed.".to_owned());
    }
    if !scopes.is_empty() {
        lines.push(format!(
            "A user needs the scope {} and a role with <em>{}</em>.",
            scopes.join(" or "),
            text(operation, "/x-role-permission/displayName")
        ));
    } else if !permissions.is_empty() {
        lines.push("No user may.".to_owned());
    }
    let number = |pointer: &str| operation.pointer(pointer).and_then(Value::as_u64);
    if let (Some(minute), Some(hour)) = (number("/x-quota/perMinute"), number("/x-quota/perHour")) {
        let is_off = operation.pointer("/x-quota/enabled") == Some(&Value::Bool(false));
        let off = if is_off { " Quotas are off here." } else { "" };
        lines.push(format!("{minute} calls a minute, {hour} an hour.{off}"));
    }
    page.push_str(&format!("<p class=\"small\">{}</p>", lines.join(" ")));
}

fn write_content((media_type, content): (&String, &Value), page: &mut String) {
    let schema = content.pointer("/schema").map(described).unwrap_or_default();
    page.push_str(&format!("<dd><code>{}</code> {schema}</dd>", escaped(media_type)));
}

fn write_members(schema: &Value, page: &mut String) {
    page.push_str("<dl>");
    for (name, member) in object(schema, "/properties") {
        page.push_str(&format!("<dt><code>{}</code> {}</dt>", escaped(name), described(member)));
        let about = prose(raw(member, "/description"));
        if !about.is_empty() {
            page.push_str(&format!("<dd>{about}</dd>"));
        }
    }
    page.push_str("</dl>");
}

/// What a schema takes, in a few words. What has a name is linked, so it never goes deep: no schema of the
/// document has more than a few others in it.
fn described(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name));
    }
    if let Some(rows) = schema.pointer("/properties/value/items") {
        return format!("rows of {}", described(rows));
    }
    if let Some(all) = array(schema, "/allOf").next() {
        return described(all);
    }
    let either: Vec<String> = array(schema, "/anyOf").map(described).collect();
    if !either.is_empty() {
        return either.join(" or ");
    }
    let words: Vec<String> =
        array(schema, "/enum").map(|word| format!("<code>{}</code>", shown(word))).collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    let types: Vec<String> = match schema.pointer("/type") {
        Some(Value::Array(types)) => types.iter().map(shown).collect(),
        Some(one) => vec![shown(one)],
        None => vec!["anything".to_owned()],
    };
    let mut told = types.join(" or ");
    if let Some(items) = schema.pointer("/items") {
        told.push_str(&format!(" of {}", described(items)));
    }
    for (pointer, word) in [
        ("/format", ""),
        ("/pattern", "like "),
        ("/minimum", "from "),
        ("/maximum", "to "),
        ("/minLength", "at least "),
        ("/maxLength", "at most "),
    ] {
        if let Some(value) = schema.pointer(pointer) {
            told.push_str(&format!(", {word}<code>{}</code>", shown(value)));
        }
    }
    told
}

/// The name of the schema that is referred to.
fn reference(schema: &Value) -> Option<&str> {
    schema.pointer("/$ref")?.as_str()?.rsplit('/').next()
}

/// Text with what stands between backticks as code.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for (place, piece) in text.split('`').enumerate() {
        let piece = escaped(piece);
        out.push_str(&if place % 2 == 1 { format!("<code>{piece}</code>") } else { piece });
    }
    out
}

fn shown(value: &Value) -> String {
    escaped(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn text(value: &Value, pointer: &str) -> String {
    escaped(raw(value, pointer))
}

fn raw<'d>(value: &'d Value, pointer: &str) -> &'d str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn array<'d>(value: &'d Value, pointer: &str) -> impl Iterator<Item = &'d Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn object<'d>(value: &'d Value, pointer: &str) -> impl Iterator<Item = (&'d String, &'d Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}
