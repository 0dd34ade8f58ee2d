//! The table in `COMPATIBILITY.md` is what the scenarios show: `tests/compatibility.toml` lists what
//! Defender offers, and every feature of it that no scenario shows is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use axum::http::Method;
use percent_encoding::percent_decode_str;
use pintle::http::caller::Purpose;
use pintle::http::routes::routes;
use serde::Deserialize;
use serde_json::Value;

use crate::scenario::{Call, every_scenario};

/// How the table is made anew.
const COMMAND: &str = "PINTLE_UPDATE=1 cargo test -p pintle --test it -- compatibility";
const BEGINS: &str = "<!-- made of tests/scenarios and tests/compatibility.toml, from here -->\n";
const ENDS: &str = "<!-- to here -->\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    row: Vec<Row>,
}

/// An endpoint of Defender's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    request: String,
    /// If it is no endpoint of today's pages.
    state: Option<String>,
    /// Query options.
    #[serde(default)]
    options: Vec<String>,
    /// Members of what is sent.
    #[serde(default)]
    body: Vec<String>,
    /// What else there is, in words that scenarios claim.
    #[serde(default)]
    features: Vec<String>,
    /// Status and code.
    #[serde(default)]
    errors: Vec<String>,
    /// Options and words beyond what Defender has.
    #[serde(default)]
    better: Vec<String>,
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn facts() -> Vec<Row> {
    let text = fs::read_to_string(top().join("tests/compatibility.toml")).unwrap();
    toml::from_str::<Facts>(&text).unwrap().row
}

impl Row {
    /// A row about a route, whether Defender has it or not.
    fn plain(path: &str, method: &Method) -> Row {
        let none = Vec::new;
        let (options, body, features, errors, better) = (none(), none(), none(), none(), none());
        let request = format!("{method} {path}");
        Row { id: request.clone(), request, state: None, options, body, features, errors, better }
    }

    fn method(&self) -> &str {
        self.request.split(' ').next().unwrap()
    }

    fn path(&self) -> &str {
        self.request.split(' ').nth(1).unwrap()
    }

    /// How many segments of a path are this row's own words; none if the path is not its.
    fn fits(&self, path: &str) -> Option<usize> {
        let path = path.trim_end_matches('/').to_lowercase().replacen("/api/v1.0/", "/api/", 1);
        let (own, asked): (Vec<_>, Vec<_>) = (self.path().split('/').collect(), path.split('/').collect());
        if own.len() != asked.len() {
            return None;
        }
        let mut words = 0;
        for (own, asked) in own.iter().zip(asked) {
            // A function is told by its name: its arguments are nobody's to list.
            let name = |text: &str| text.split('(').next().unwrap().to_lowercase();
            let asked = percent_decode_str(asked).decode_utf8_lossy();
            if name(own) == name(&asked) && own.contains('(') == asked.contains('(') {
                words += 1;
            } else if !own.starts_with('{') {
                return None;
            }
        }
        Some(words)
    }

    /// How many segments of a folder of scenarios are this row's own words; none if the folder is not its.
    fn lies_in(&self, folder: &Path) -> Option<usize> {
        let own: Vec<&str> = self.path().trim_start_matches('/').split('/').collect();
        let there: Vec<&str> = folder.iter().filter_map(|name| name.to_str()).collect();
        let name = |text: &str| text.split('(').next().unwrap().to_lowercase();
        let fits = |own: &&str, there: &&str| own.starts_with('{') || name(own) == name(there);
        let all_fit = own.len() == there.len() && own.iter().zip(&there).all(|(own, there)| fits(own, there));
        all_fit.then(|| own.iter().filter(|own| !own.starts_with('{')).count())
    }

    /// All that there is to have.
    fn all(&self) -> Vec<&str> {
        let lists = [&self.options, &self.body, &self.features, &self.errors];
        lists.into_iter().flatten().map(String::as_str).collect()
    }
}

/// The row that a call is about.
fn row_of<'r>(rows: &'r [Row], method: &str, path: &str) -> Option<&'r Row> {
    let of_method = rows.iter().filter(|row| row.method().eq_ignore_ascii_case(method));
    of_method
        .filter_map(|row| Some((row.fits(path)?, row)))
        .max_by_key(|(words, _)| *words)
        .map(|(_, row)| row)
}

/// What a header of a call, or of its answer, shows.
fn shown_by_headers(call: &Call) -> impl Iterator<Item = String> {
    let lines = call.status < 400 && call.headers.values().any(|value| value == "application/x-ndjson");
    let strict = call.answer_headers.get("Preference-Applied").is_some_and(|applied| applied == "strict");
    let words = [(lines, "lines of JSON"), (strict, "Prefer: strict")];
    words.into_iter().filter(|(is_shown, _)| *is_shown).map(|(_, word)| word.to_owned())
}

/// What a call shows: `answers`, options, members of its body; or the error that it gets.
fn shown(call: &Call, query: &str) -> BTreeSet<String> {
    if call.status >= 400 {
        let json: Option<Value> = call.json.as_deref().and_then(|json| serde_json::from_str(json).ok());
        let code = json.as_ref().and_then(|json| json.pointer("/error/code")?.as_str());
        let error = code.map(|code| format!("{} {code}", call.status));
        return error.into_iter().chain(shown_by_headers(call)).collect();
    }
    let names = query.split('&').filter_map(|pair| pair.split('=').next());
    let names = names.map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned());
    let body: Option<Value> = call.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
    let members =
        body.as_ref().and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone());
    names.chain(members).chain(shown_by_headers(call)).chain(["answers".to_owned()]).collect()
}

/// What the scenarios show of each row.
fn had(rows: &[Row]) -> BTreeMap<&str, BTreeSet<String>> {
    let mut had: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, scenario) in every_scenario() {
        for call in &scenario.call {
            let (method, url) = call.request.split_once(' ').unwrap();
            let (path, query) = url.split_once('?').unwrap_or((url, ""));
            let Some(row) = row_of(rows, method, path) else { continue };
            had.entry(&row.id).or_default().extend(shown(call, query));
        }
        // What it claims is about the endpoint in whose folder it lies.
        let folder = Path::new(&name).parent().unwrap();
        for claim in &scenario.shows {
            let has = |row: &&Row| row.features.iter().chain(&row.better).any(|feature| feature == claim);
            let of_folder = rows.iter().filter(has).filter_map(|row| Some((row.lies_in(folder)?, row)));
            let row = of_folder.max_by_key(|(words, _)| *words).map(|(_, row)| row);
            let row =
                row.unwrap_or_else(|| panic!("{name} shows `{claim}`, which the facts do not have there"));
            had.entry(&row.id).or_default().insert(claim.clone());
        }
    }
    had
}

/// Names as code, words as words.
fn written(feature: &str) -> String {
    let is_name = feature.starts_with(|c: char| c == '$' || c.is_ascii_digit())
        || feature.chars().all(char::is_alphabetic);
    if is_name { format!("`{feature}`") } else { feature.to_owned() }
}

fn table(rows: &[Row]) -> String {
    let had = had(rows);
    let mut table = "| endpoint | same | better | missing |\n| --- | --- | --- | --- |\n".to_owned();
    for row in rows {
        let request = match &row.state {
            Some(state) => format!("`{}` ({state})", row.request),
            None => format!("`{}`", row.request),
        };
        let nothing = BTreeSet::new();
        let had = had.get(row.id.as_str()).unwrap_or(&nothing);
        if !had.contains("answers") {
            table.push_str(&format!("| {request} | | | all of it |\n"));
            continue;
        }
        let is_had = |feature: &str| had.iter().any(|it| it.eq_ignore_ascii_case(feature));
        let pick = |features: Vec<&str>, wanted: bool| -> String {
            let picked = features.into_iter().filter(|feature| is_had(feature) == wanted);
            picked.map(written).collect::<Vec<_>>().join(", ")
        };
        let same = pick(row.all(), true);
        let same = if same.is_empty() { "the answer".to_owned() } else { format!("the answer, {same}") };
        let better = pick(row.better.iter().map(String::as_str).collect(), true);
        let cells = [request, same, better, pick(row.all(), false)];
        let cells = cells.map(|cell| if cell.is_empty() { cell } else { format!(" {cell}") });
        table.push_str(&format!("|{} |\n", cells.join(" |")));
    }
    table
}

#[test]
fn the_table_on_the_page_is_what_the_scenarios_show() {
    let page = top().join("COMPATIBILITY.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGINS).expect("where the table begins");
    let (there, after) = rest.split_once(ENDS).expect("where the table ends");
    let made = format!("\n{}\n", table(&facts()));
    if std::env::var_os("PINTLE_UPDATE").is_some() {
        fs::write(&page, format!("{before}{BEGINS}{made}{ENDS}{after}")).unwrap();
    } else {
        assert!(there == made, "COMPATIBILITY.md is behind the scenarios; make it anew:\n{COMMAND}\n{made}");
    }
}

#[test]
fn what_is_said_to_be_better_is_shown() {
    let rows = facts();
    let had = had(&rows);
    let mut unshown = Vec::new();
    for row in &rows {
        let is_had = |word: &&String| {
            had.get(row.id.as_str()).is_some_and(|had| had.iter().any(|it| it.eq_ignore_ascii_case(word)))
        };
        unshown.extend(row.better.iter().filter(|word| !is_had(word)).map(|word| (&row.id, word)));
    }
    assert!(unshown.is_empty(), "no scenario shows {unshown:?}");
}

#[test]
fn every_read_of_the_data_has_a_scenario_that_shows_what_its_answer_was_made_from() {
    let routes = routes();
    let templates = routes
        .iter()
        .filter(|route| route.credential.access().is_some_and(|access| access.purpose == Purpose::Data));
    let rows: Vec<Row> = templates.map(|route| Row::plain(route.path, &route.method)).collect();
    let mut unshown: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    for (_, scenario) in every_scenario() {
        let tells =
            |call: &&Call| call.answer_headers.get("Pintle-Scope").is_some_and(|scope| !scope.is_empty());
        for call in scenario.call.iter().filter(tells) {
            let (method, url) = call.request.split_once(' ').unwrap();
            let row = row_of(&rows, method, url.split('?').next().unwrap());
            if let Some(row) = row {
                unshown.remove(row.id.as_str());
            }
        }
    }
    assert!(unshown.is_empty(), "no scenario has Pintle-Scope in `answer_headers` for {unshown:?}");
}

#[test]
fn the_facts_are_about_38_endpoints_and_agree_with_the_route_table() {
    let rows = facts();
    assert_eq!(rows.iter().map(|row| &row.id).collect::<BTreeSet<_>>().len(), 38);
    for route in routes() {
        let Some(access) = route.credential.access() else { continue };
        let Some(row) = access.quota.and_then(|id| rows.iter().find(|row| row.id == id)) else { continue };
        assert_eq!(row.method(), route.method.as_str(), "{}", row.id);
        let found = row_of(&rows, route.method.as_str(), route.path).map(|row| &row.id);
        assert_eq!(found, Some(&row.id), "{}", route.path);
    }
}

#[test]
fn a_call_shows_what_stands_in_it() {
    let rows = facts();
    for (request, id) in [
        ("get /API/v1.0/Alerts/?$top=1", "alerts.list"),
        ("patch /api/alerts/x", "alerts.update"),
        ("get /api/machines/findByTag?tag=x", "machines.findbytag"),
        ("get /api/machines/ws-1", "machines.get"),
        ("get /api/machines/findbyip(ip='10.0.0.1',timestamp=2026-01-01T00:00:00Z)", "machines.findbyip"),
        ("get /api/machines/x/alerts/%24count", "machines.alerts.count"),
    ] {
        let (method, url) = request.split_once(' ').unwrap();
        let path = url.split('?').next().unwrap();
        assert_eq!(row_of(&rows, method, path).map(|row| row.id.as_str()), Some(id), "{request}");
    }
    assert!(row_of(&rows, "get", "/api/files/x/machine").is_none());
    let call = |text: &str| toml::from_str::<Call>(text).unwrap();
    let asked = call("request = \"patch /api/alerts/x\"\nbody = '{\"status\": \"New\"}'\nstatus = 200");
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(shown(&asked, "%24top=1&x"), all(&["$top", "answers", "status", "x"]));
    let lines =
        call("request = \"get /api/alerts\"\nheaders = { Accept = \"application/x-ndjson\" }\nstatus = 200");
    assert_eq!(shown(&lines, ""), all(&["", "answers", "lines of JSON"]));
    let strict = call(
        "request = \"get /api/files/x/alerts\"\nstatus = 404\nanswer_headers = { Preference-Applied = \"strict\" }",
    );
    assert_eq!(shown(&strict, ""), all(&["Prefer: strict"]));
    let lies = |folder: &str| {
        let found = rows.iter().filter_map(|row| Some((row.lies_in(Path::new(folder))?, &row.id)));
        found.max_by_key(|(words, _)| *words).map(|(_, id)| id.as_str())
    };
    assert_eq!(lies("api/domains/id/alerts"), Some("domains.alerts"));
    assert_eq!(lies("api/machines/findbyip"), Some("machines.findbyip"));
    assert_eq!(lies("api/files/id/machine"), None);
    let refused = call(
        "request = \"get /api/alerts\"\nstatus = 400\njson = '{\"error\": {\"code\": \"ODataError\", \"…\": 0}}'",
    );
    assert_eq!(shown(&refused, "$top=x"), all(&["400 ODataError"]));
}
