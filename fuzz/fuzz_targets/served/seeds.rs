//! What fuzzing requests begins with: each route as it is called well, and the words of the API.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use pintle::http::routes::{Credential, routes};

use super::{Asked, Served};

/// What stands for a key of a path, by what comes before it.
const KEYS: &[(&str, &str)] = &[
    ("alerts", "da639000000000000001_-17"),
    ("machines", "1111111111111111111111111111111111111111"),
    ("files", "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"),
    ("domains", "cdn.bad.example"),
    ("ips", "203.0.113.9"),
    ("users", "alex"),
    ("clients", "00000000-0000-0000-0000-000000000003"),
    ("inlets", "shipper"),
    ("user-groups", "analysts"),
    ("roles", "reader"),
];

/// Queries that lists take.
const QUERIES: &[&str] = &[
    "$top=1&$skip=1",
    "$filter=lastSeen+gt+2026-01-15T08:00:00Z+and+contains(computerDnsName,'ws')&$orderby=lastSeen+desc&$top=2",
    "$filter=severity+eq+'Medium'+or+evidence/any(e:e/sha1+eq+'a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1')",
    "$select=id,severity&$expand=evidence&$count=true",
    "tag=a&useStartsWithFilter=true&lookBackHours=24",
    "source=a&format=mde-streaming&live=false",
];

/// Headers that are read.
const HEADERS: &[&str] = &[
    "Accept: application/x-ndjson;q=0.9, application/json;q=0.5",
    "Accept-Encoding: gzip;q=1, zstd",
    "X-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: a.example",
    "Content-Type: application/json; charset=utf-8",
    "Idempotency-Key: a",
    "Prefer: odata.maxpagesize=1",
    "Content-Encoding: gzip",
    "Authorization: Basic YTpi",
    "Authorization: Bearer e30.e30.AAAA",
];

/// Bodies, each with a part of the path of those that take it.
const BODIES: &[(&str, &str)] = &[
    ("files/lookup", r#"{"hashes":["a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1","x"],"machines":true}"#),
    ("batchUpdate", r#"{"alertIds":["da639000000000000001_-17"],"status":"Resolved","comment":"c"}"#),
    (
        "CreateAlertByReference",
        r#"{"machineId":"1111111111111111111111111111111111111111","severity":"Low","title":"t","description":"d","recommendedAction":"r","eventTime":"2026-01-15T08:00:00Z","reportId":"1","category":"Malware"}"#,
    ),
    (
        "AddOrRemoveTag",
        r#"{"Value":"t","Action":"Add","MachineIds":["1111111111111111111111111111111111111111"]}"#,
    ),
    ("/tags", r#"{"Value":"t","Action":"Add"}"#),
    ("setDeviceValue", r#"{"DeviceValue":"High"}"#),
    (
        "/api/alerts/",
        r#"{"status":"InProgress","assignedTo":"a","classification":"TruePositive","determination":"Malware","comment":"c"}"#,
    ),
    ("/api/machines/", r#"{"machineTags":["a"],"deviceValue":"Low"}"#),
    (
        "_bulk",
        "{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"message\":\"a\"}\n{\"delete\":{\"_id\":\"1\"}}\n",
    ),
    ("/elastic/", r#"{"@timestamp":"2026-01-15T08:00:00Z","message":"a"}"#),
    (
        "/api/ingest",
        r#"{"Timestamp":"2026-01-15T09:00:00Z","DeviceId":"1111111111111111111111111111111111111111","ActionType":"FileCreated","FileName":"a.exe","SHA1":"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1","ReportId":7}"#,
    ),
    (
        "token",
        "grant_type=client_credentials&client_id=00000000-0000-0000-0000-000000000001&client_secret=x&resource=https://api.securitycenter.microsoft.com",
    ),
    (
        "token",
        "grant_type=client_credentials&client_id=00000000-0000-0000-0000-000000000001&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=e30.e30.AAAA&scope=https://api.securitycenter.microsoft.com/.default",
    ),
    (
        "token",
        "grant_type=password&client_id=00000000-0000-0000-0000-000000000003&username=alex&password=x&scope=openid",
    ),
    ("token", "grant_type=refresh_token&client_id=00000000-0000-0000-0000-000000000003&refresh_token=x"),
    (
        "token",
        "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=00000000-0000-0000-0000-000000000003&device_code=x",
    ),
    ("devicecode", "client_id=00000000-0000-0000-0000-000000000003&scope=openid&resource=a"),
    ("deviceauth", "user_code=ABCDEFGH&username=alex&password=x"),
    (
        "authorize",
        "client_id=00000000-0000-0000-0000-000000000003&response_type=code&redirect_uri=http://localhost&state=s&code_challenge=x&code_challenge_method=S256&username=alex&password=x",
    ),
    ("admin/tenants", r#"{"name":"other"}"#),
    (
        "admin/clients",
        r#"{"name":"c","permissions":["Machine.Read.All"],"delegated":["Machine.Read"],"redirect_uris":["http://localhost"],"public":true}"#,
    ),
    ("secrets", r#"{"expires":"2027-01-01T00:00:00Z"}"#),
    ("certificates", r#"{"certificate":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}"#),
    (
        "admin/inlets",
        r#"{"name":"i","format":"mde-streaming","namespace":"n","expires":"2027-01-01T00:00:00Z"}"#,
    ),
    ("password", r#"{"password":"a long password"}"#),
    (
        "admin/users",
        r#"{"name":"sam","display_name":"Sam","user_groups":["analysts"],"password":"a long password"}"#,
    ),
    ("admin/user-groups", r#"{"name":"g","description":"d"}"#),
    (
        "device-groups",
        r#"{"name":"d","description":"d","rank":1,"rules":[{"property":"name","operator":"starts_with","value":"ws"}],"user_groups":["analysts"],"device_groups":["d"]}"#,
    ),
    ("machine-rules", r#"{"name":"m","rule":{"name":"m"},"names":[["a","b"]],"same":"name"}"#),
    ("admin/joined-machines", r#"{"machine":"1111111111111111111111111111111111111111","top":1,"skip":0}"#),
    ("admin/preview", r#"{"groups":[],"top":1}"#),
    (
        "admin/explain",
        r#"{"user":"alex","application":"00000000-0000-0000-0000-000000000003","machine":"1"}"#,
    ),
    ("admin/roles", r#"{"name":"r","permissions":["view-data"],"give":["analysts"],"take":[]}"#),
];

/// The most words.
const WORDS: usize = 1_500;

/// Writes `folder/router/…` and `folder/router.dict`, and prints what each seed is answered with.
pub fn write(folder: &Path) -> io::Result<()> {
    let mut seeds = BTreeSet::new();
    for route in routes() {
        let path = called(route.path);
        let who: &[&str] = match route.credential {
            Credential::Bearer(_) if path.contains("/admin/tenants") || path.contains("/admin/keys") => {
                &["s"]
            }
            Credential::Bearer(_) => &["a", "u"],
            Credential::Sender(_) => &["k"],
            Credential::Anonymous | Credential::Form => &["n"],
        };
        let method = route.method.as_str();
        for who in who {
            seeds.insert(format!("{who}{method} {path}"));
            if method == "GET" {
                seeds.extend(QUERIES.iter().map(|query| format!("{who}{method} {path}?{query}")));
                continue;
            }
            for (_, body) in BODIES.iter().filter(|(part, _)| path.contains(part)) {
                seeds.insert(format!("{who}{method} {path}\n\n{body}"));
            }
        }
    }
    seeds.extend(HEADERS.iter().map(|header| format!("aGET /api/machines\n{header}")));
    seeds.extend(HEADERS.iter().map(|header| format!("nPOST /api/ingest?source=a\n{header}\n\n{{}}")));
    let of_target = folder.join("router");
    fs::create_dir_all(&of_target)?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(of_target.join(format!("seed-{number:03}")), seed)?;
        let status =
            Asked::read(seed.as_bytes()).map(|asked| Served::with(|served| served.ask(asked)).status);
        println!("{} {seed:?}", status.map_or(0, |status| status.as_u16()));
    }
    fs::write(folder.join("router.dict"), dictionary())
}

/// A path with something in the place of each of its keys.
fn called(template: &str) -> String {
    let mut before = "";
    let mut path = String::new();
    for segment in template.split('/').skip(1) {
        let known = KEYS.iter().find(|(kind, _)| *kind == before).map(|(_, key)| *key);
        path.push('/');
        path.push_str(match segment {
            "{tenant}" => "common",
            "find()" => "find(timestamp=2026-01-15T08:00:00Z,key='203.0.113.7')",
            "findbyip()" => "findbyip(ip='203.0.113.7',timestamp=2026-01-15T08:00:00Z)",
            key if key.starts_with('{') => known.unwrap_or("a"),
            name => name,
        });
        before = segment;
    }
    path
}

/// The short texts in what the server says of itself.
fn dictionary() -> String {
    let asked = Asked::read(b"nGET /openapi.json").expect("a request");
    let document = Served::with(|served| served.ask(asked)).text();
    let is_plain = |word: &&str| {
        (3..=32).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"$_-.".contains(&byte))
    };
    let words: BTreeSet<&str> = document.split(['"', '\\', ' ', '/']).filter(is_plain).collect();
    words.into_iter().take(WORDS).map(|word| format!("\"{word}\"\n")).collect()
}
