//! Plays the scenarios. `tests/scenarios/README.md` says how one is written.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pintle::config::{Config, Profile};
use pintle::http::routes::routes;
use serde::Deserialize;
use serde_json::Value;

use crate::openapi::Document;
use crate::world::{AUDIENCE, Answer, HOST, World};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    about: String,
    /// What it shows of its endpoint that its calls do not tell; `tests/compatibility.toml` has the words.
    #[serde(default)]
    pub shows: Vec<String>,
    #[serde(default)]
    given: Vec<String>,
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    retention_days: Option<u64>,
    pub call: Vec<Call>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// `get /api/machines?$top=1`.
    pub request: String,
    #[serde(default)]
    caller: Caller,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default = "once")]
    repeat: usize,
    /// Seconds that pass before the call.
    #[serde(default)]
    after: f64,
    /// The server is stopped and started before the call.
    #[serde(default)]
    restart: bool,
    /// Names for values of the answer, by JSON pointer; `{name}` stands for them in later calls.
    #[serde(default)]
    keep: BTreeMap<String, String>,
    pub status: u16,
    /// `"*"`: any value; `""`: the header is not there.
    #[serde(default)]
    pub answer_headers: BTreeMap<String, String>,
    #[serde(default)]
    pub json: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Clone, Default, Deserialize, PartialEq, Eq, Hash)]
#[serde(untagged)]
pub enum Caller {
    #[default]
    Nobody,
    /// An application with these permissions; the same list is the same application.
    Application(Vec<String>),
    /// An application whose token is for another audience.
    Audience { permissions: Vec<String>, audience: String },
    /// A user whose roles hold these permissions, signed in to an application with these scopes.
    User { user: String, scopes: Vec<String>, role: Vec<String> },
    /// A shipper with the key of an inlet, which is made for it, by the scheme `ApiKey` or `Basic`.
    Inlet {
        inlet: String,
        #[serde(default)]
        scheme: Option<String>,
        #[serde(default)]
        format: Option<String>,
        #[serde(default)]
        namespace: Option<String>,
    },
    /// The Authorization header itself.
    Header(String),
}

fn once() -> usize {
    1
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}

fn scenarios(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            scenarios(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "toml") {
            found.push(entry);
        }
    }
}

/// Every scenario by its path below the folder of all; whether each one reads is the test's matter.
pub fn every_scenario() -> Vec<(String, Scenario)> {
    let mut found = Vec::new();
    scenarios(&folder(), &mut found);
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(folder()).unwrap().display().to_string();
        Some((name, toml::from_str(&fs::read_to_string(path).unwrap()).ok()?))
    };
    found.iter().filter_map(read).collect()
}

#[tokio::test]
async fn every_scenario_plays_as_written() {
    let mut found = Vec::new();
    scenarios(&folder(), &mut found);
    assert!(found.len() > 20, "the scenarios are gone");
    let mut failures = String::new();
    let document = Document::new();
    for path in found {
        let name = path.strip_prefix(folder()).unwrap().display().to_string();
        let scenario: Scenario = match toml::from_str(&fs::read_to_string(&path).unwrap()) {
            Ok(scenario) => scenario,
            Err(error) => {
                writeln!(failures, "{name}: {error}").unwrap();
                continue;
            }
        };
        if let Err(failure) = play(&scenario, &document).await {
            writeln!(failures, "{name} ({}): {failure}\n", scenario.about).unwrap();
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn every_route_has_scenarios_in_a_folder_shaped_like_its_url() {
    for route in routes() {
        let shape = route.path.trim_start_matches('/').replace(['{', '}', '(', ')'], "");
        let folder = folder().join(shape);
        let count = fs::read_dir(&folder)
            .map(|entries| entries.flatten().filter(|entry| entry.path().is_file()).count());
        assert!(count.is_ok_and(|count| count > 0), "no scenario in {}", folder.display());
    }
}

async fn play(scenario: &Scenario, document: &Document) -> Result<(), String> {
    let mut config = Config::default();
    config.api.profile = match scenario.profile.as_deref() {
        None | Some("2021") => Profile::V2021,
        Some("today") => Profile::Today,
        Some(other) => return Err(format!("no profile {other}")),
    };
    if let Some(days) = scenario.retention_days {
        let window = Some(Duration::from_secs(days * 24 * 3_600));
        config.retention.alerts = window;
        config.retention.machines = window;
    }
    let mut world = World::new(config);
    for given in &scenario.given {
        world.ingest_given(given).await;
    }
    let mut tokens = HashMap::new();
    let mut kept = BTreeMap::new();
    for (number, call) in scenario.call.iter().enumerate() {
        if call.restart {
            world.restart();
        }
        world.forward(Duration::from_secs_f64(call.after));
        for _ in 0..call.repeat {
            let request = request(call, &world, &mut tokens, &kept)?;
            let answer = world.send(request).await;
            let selecting =
                call.request.to_ascii_lowercase().contains("select=").then(|| document.selecting());
            let document = selecting.as_ref().unwrap_or(document);
            let as_written = check(call, &answer).and_then(|()| document.check(&method(call), &answer));
            as_written.map_err(|problem| {
                format!(
                    "call {}, {}: {problem}\n  {} {:?}\n  {}",
                    number + 1,
                    call.request,
                    answer.status,
                    answer.headers,
                    answer.body
                )
            })?;
            for (name, pointer) in &call.keep {
                let json: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
                let value = json.pointer(pointer).and_then(Value::as_str);
                kept.insert(name.clone(), value.ok_or_else(|| format!("no {pointer} in {json}"))?.to_owned());
            }
        }
    }
    Ok(())
}

/// The method of a call, in upper case.
fn method(call: &Call) -> String {
    call.request.split(' ').next().unwrap_or_default().to_uppercase()
}

/// With what was kept in the place of its names.
fn filled(text: &str, kept: &BTreeMap<String, String>) -> String {
    kept.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

fn request(
    call: &Call,
    world: &World,
    tokens: &mut HashMap<Caller, String>,
    kept: &BTreeMap<String, String>,
) -> Result<Request<Body>, String> {
    let line = filled(&call.request, kept);
    let (method, path) = line.split_once(' ').ok_or("a request is a method and a path")?;
    let mut request =
        Request::builder().method(method.to_uppercase().as_str()).uri(path).header("Host", HOST);
    let token = match &call.caller {
        Caller::Nobody => None,
        Caller::Header(header) => Some(header.clone()),
        Caller::Application(permissions) => {
            let token =
                tokens.entry(call.caller.clone()).or_insert_with(|| world.token_for(permissions, AUDIENCE));
            Some(format!("Bearer {token}"))
        }
        Caller::Audience { permissions, audience } => {
            let token =
                tokens.entry(call.caller.clone()).or_insert_with(|| world.token_for(permissions, audience));
            Some(format!("Bearer {token}"))
        }
        Caller::User { user, scopes, role } => {
            let token =
                tokens.entry(call.caller.clone()).or_insert_with(|| world.user_token(user, scopes, role));
            Some(format!("Bearer {token}"))
        }
        Caller::Inlet { inlet, scheme, format, namespace } => {
            let made = || {
                let (id, key) = world.inlet(inlet, format.as_deref(), namespace.as_deref());
                STANDARD.encode(format!("{id}:{key}"))
            };
            let encoded = tokens.entry(call.caller.clone()).or_insert_with(made);
            Some(format!("{} {encoded}", scheme.as_deref().unwrap_or("ApiKey")))
        }
    };
    if let Some(token) = token {
        request = request.header("Authorization", token);
    }
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    request
        .body(Body::from(filled(call.body.as_deref().unwrap_or_default(), kept)))
        .map_err(|error| error.to_string())
}

fn check(call: &Call, answer: &Answer) -> Result<(), String> {
    if answer.status.as_u16() != call.status {
        return Err(format!("expected {}", call.status));
    }
    for (name, expected) in &call.answer_headers {
        let found = answer.headers.get(name).map(|value| value.to_str().unwrap());
        let matches = match expected.as_str() {
            "" => found.is_none(),
            "*" => found.is_some(),
            expected => found == Some(expected),
        };
        if !matches {
            return Err(format!("expected the header {name}: {expected:?}"));
        }
    }
    if let Some(text) = &call.text
        && answer.body != *text
    {
        return Err(format!("expected the body {text:?}"));
    }
    if let Some(json) = &call.json {
        let expected: Value =
            serde_json::from_str(json).map_err(|error| format!("the expected JSON: {error}"))?;
        let found: Value = serde_json::from_str(&answer.body).map_err(|error| format!("no JSON: {error}"))?;
        compare(&expected, &found, "$")?;
    }
    Ok(())
}

/// Members must come in the same order. `"<guid>"` stands for any GUID, `"<text>"` for any text,
/// and a text with `<…>` in it for one that has whatever there; `"…": 0` as the last member of an
/// object for any members that follow.
fn compare(expected: &Value, found: &Value, at: &str) -> Result<(), String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let mut members = found.iter();
            for (name, value) in expected {
                if name == "…" {
                    return Ok(());
                }
                let (found_name, found_value) = members.next().ok_or(format!("{at}.{name} is missing"))?;
                if found_name != name {
                    return Err(format!("{at} has {found_name} where {name} was expected"));
                }
                compare(value, found_value, &format!("{at}.{name}"))?;
            }
            members.next().map_or(Ok(()), |(name, _)| Err(format!("{at}.{name} was not expected")))
        }
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                return Err(format!("{at} has {} items, not {}", found.len(), expected.len()));
            }
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.try_for_each(|(place, (expected, found))| {
                compare(expected, found, &format!("{at}[{place}]"))
            })
        }
        (Value::String(expected), Value::String(found)) if fits(expected, found) => Ok(()),
        (expected, found) if expected == found => Ok(()),
        _ => Err(format!("{at} is {found}, not {expected}")),
    }
}

fn fits(expected: &str, found: &str) -> bool {
    let Some((before, rest)) = expected.split_once('<') else { return expected == found };
    let Some((what, after)) = rest.split_once('>') else { return expected == found };
    let Some(rest) = found.strip_prefix(before) else { return false };
    if what == "guid" {
        let (guid, rest) = rest.split_at_checked(36).unwrap_or((rest, ""));
        return uuid::Uuid::try_parse(guid).is_ok() && fits(after, rest);
    }
    (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| fits(after, rest))
}
