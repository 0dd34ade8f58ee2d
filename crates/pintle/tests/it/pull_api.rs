//! A Pintle that fetches from another one's API, as from Defender's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{run, run_on};
use crate::server::Server;

/// What may be asked of both.
const QUESTIONS: &[&str] = &["/api/machines", "/api/alerts?$expand=evidence"];

/// An application that was registered.
struct Client {
    tenant: String,
    id: String,
    secret: String,
}

/// Registers one in a data folder.
fn client(data: &Path) -> Client {
    let permissions = "Alert.Read.All,Machine.Read.All";
    let made = run_on(data, &["client", "create", "mirror", "--permission", permissions, "--json"]);
    let made = made.json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    Client { tenant: text("tenant_id"), id: text("client_id"), secret: text("secret") }
}

/// What a server answers to the questions, each list by id.
fn answers(server: &Server, client: &Client) -> Vec<BTreeMap<String, Value>> {
    let head = format!(
        "POST /{}/oauth2/v2.0/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded",
        client.tenant
    );
    let scope = "https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default";
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={scope}",
        client.id, client.secret
    );
    let (status, body) = server.ask(&head, form.as_bytes());
    assert_eq!(status, 200, "{body}");
    let token: Value = serde_json::from_str(&body).unwrap();
    let authorization = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let list = |path: &&str| {
        let (status, body) = server.get(path, &authorization);
        assert_eq!(status, 200, "{body}");
        let list: Value = serde_json::from_str(&body).unwrap();
        let by_id = |row: &Value| (row["id"].as_str().unwrap().to_owned(), row.clone());
        list["value"].as_array().unwrap().iter().map(by_id).collect()
    };
    QUESTIONS.iter().map(list).collect()
}

/// A Pintle with telemetry, and another one that is told of its API.
struct Site {
    top: tempfile::TempDir,
    upstream: Server,
    /// What may read the first one.
    reader: Client,
    settings: PathBuf,
}

impl Site {
    fn new() -> Site {
        let top = tempfile::tempdir().unwrap();
        let data = top.path().join("upstream");
        for format in ["mde-streaming", "mde-alerts"] {
            let file = top.path().join(format!("{format}.json"));
            let of_all = ["--machines", "12", "--days", "5", "--sightings-per-machine-day", "60"];
            let of_this =
                ["--end", "2026-11-20T00:00:00Z", "--format", format, "--out", file.to_str().unwrap()];
            let made = run(&[&["generate"], &of_all[..], &of_this].concat());
            assert_eq!(made.code, 0, "{}", made.err);
            let taken = run_on(&data, &["ingest", file.to_str().unwrap()]);
            assert!(matches!(taken.code, 0 | 5), "{}", taken.err);
        }
        let reader = client(&data);
        let credentials = top.path().join("credentials");
        std::fs::write(&credentials, format!("CLIENT_ID={}\nCLIENT_SECRET={}\n", reader.id, reader.secret))
            .unwrap();
        let upstream = Server::start(&data, &[("PINTLE_QUOTA_ENABLED", "false")]);
        let (address, tenant) = (&upstream.address, &reader.tenant);
        let text = format!(
            "[pull.upstream]\napi = \"http://{address}\"\ntoken_url = \"http://{address}/{tenant}/oauth2/v2.0/token\"\n\
             credentials_file = \"{}\"\ninterval = \"500ms\"\nmachines_interval = \"1s\"\nlook_back = \"3650d\"\n\
             calls_per_minute = 1000\ncalls_per_hour = 10000\n",
            credentials.display()
        );
        let settings = top.path().join("pintle.toml");
        std::fs::write(&settings, text).unwrap();
        Site { top, upstream, reader, settings }
    }

    fn data(&self) -> PathBuf {
        self.top.path().join("mirror")
    }

    fn pull(&self) -> Value {
        let pulled = run_on(
            &self.data(),
            &["pull", "upstream", "--json", "--config", self.settings.to_str().unwrap()],
        );
        assert_eq!(pulled.code, 0, "{}", pulled.err);
        pulled.json()
    }
}

#[test]
fn a_mirror_says_what_its_upstream_says_and_goes_on_saying_it() {
    let site = Site::new();
    let told = answers(&site.upstream, &site.reader);
    assert!(
        told[0].len() == 12 && !told[1].is_empty(),
        "{} machines, {} alerts",
        told[0].len(),
        told[1].len()
    );
    let came = site.pull();
    let all = told.iter().map(BTreeMap::len).sum::<usize>();
    assert_eq!((&came["listed"], &came["records"]), (&all.into(), &all.into()), "{came}");
    assert_eq!(site.pull()["taken"], 0);
    let reader = client(&site.data());
    let mirror = Server::start(
        &site.data(),
        &[("PINTLE_CONFIG", site.settings.to_str().unwrap()), ("PINTLE_QUOTA_ENABLED", "false")],
    );
    let mirrored = answers(&mirror, &reader);
    for (one, other) in told.iter().zip(&mirrored) {
        for (id, row) in one {
            let other = other.get(id).unwrap_or(&Value::Null);
            for (name, value) in row.as_object().unwrap() {
                assert_eq!(&other[name], value, "{name} of {id}");
            }
        }
    }
    assert_eq!(told, mirrored);
    // What the files of alerts were seen on can be asked here too.
    let evidence = told[1].values().flat_map(|alert| alert["evidence"].as_array().unwrap());
    let sha1 = evidence.filter_map(|piece| piece["sha1"].as_str()).next().unwrap();
    assert_eq!(run_on(&site.data(), &["search", sha1]).code, 0);
    // What changes there comes without being asked for.
    let upstream = site.top.path().join("upstream");
    let file = site.top.path().join("later.json");
    let alert = told[1].values().next().unwrap();
    let mut later = alert.clone();
    later["status"] = "Resolved".into();
    later["lastUpdateTime"] = "2026-11-21T00:00:00Z".into();
    let mut machine = told[0].values().next().unwrap().clone();
    machine["riskScore"] = "High".into();
    machine["@timestamp"] = "2026-11-21T00:00:00Z".into();
    for (format, record) in [("mde-alerts", later), ("mde-machines", machine)] {
        std::fs::write(&file, record.to_string()).unwrap();
        let taken = run_on(&upstream, &["ingest", "--format", format, file.to_str().unwrap()]);
        assert_eq!(taken.code, 0, "{}", taken.err);
    }
    let mut changed = answers(&site.upstream, &site.reader);
    assert!(told[0] != changed[0] && told[1] != changed[1]);
    // When an alert was changed is here when that came here, so that who polls for it misses nothing.
    let id = alert["id"].as_str().unwrap();
    let there = changed[1][id]["lastUpdateTime"].as_str().unwrap().to_owned();
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let mirrored = answers(&mirror, &reader);
        let updated = mirrored[1][id]["lastUpdateTime"].clone();
        let is_here = updated.as_str().unwrap() > there.as_str();
        changed[1].get_mut(id).unwrap()["lastUpdateTime"] = updated;
        if is_here && mirrored == changed {
            break;
        }
        assert!(Instant::now() < patience, "{changed:?}\n{mirrored:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
