//! Real recordings through the whole server, against an independently computed truth
//! (`expected.json` beside them): for every hash exactly the machines that have it, for every alert
//! exactly its files; the same bytes after everything came twice, in another order, and after a
//! rebuild.

use std::collections::{BTreeMap, HashMap};

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;
use serde_json::{Value, json};

use crate::recordings::{Names, Recordings, known_as, machines_by_sha1, names};
use crate::world::World;

/// A server with a token for everything that is asked here.
struct Asked {
    world: World,
    token: String,
}

impl Asked {
    fn new() -> Asked {
        let mut config = Config::default();
        config.quota.enabled = false;
        Asked::of(World::new(config))
    }

    fn of(world: World) -> Asked {
        let permissions = ["Machine.Read.All", "File.Read.All", "Alert.Read.All", "Event.Write"];
        let token = world.token(&permissions.map(str::to_owned));
        Asked { world, token }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let request = Request::get(path).header("Authorization", format!("Bearer {}", self.token));
        let answer = self.world.send(request.body(Body::empty()).unwrap()).await;
        (answer.status.as_u16(), answer.body)
    }

    async fn take_in(&self, recordings: &Recordings, file: &str) -> Value {
        let body = std::fs::read(recordings.path(file)).unwrap();
        let name = file.replace('/', "%2F");
        let request = Request::post(format!("/api/ingest?live=false&source={name}"))
            .header("Authorization", format!("Bearer {}", self.token));
        let answer = self.world.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, 200, "{file}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// A file's machines, each by the name or id that the truth knows; `None` for a 404.
    async fn machines(&self, hash: &str, known: &Names) -> Option<Names> {
        let (status, body) = self.get(&format!("/api/files/{hash}/machines")).await;
        if status == 404 {
            return None;
        }
        assert_eq!(status, 200, "{hash}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        Some(
            answer["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|machine| known_as(machine, "computerDnsName", known))
                .collect(),
        )
    }
}

const UNKNOWN: &str = "0123456789abcdef0123456789abcdef01234567";

#[tokio::test]
async fn each_recording_alone_gives_exactly_the_machines_of_each_file() {
    let Some(recordings) = Recordings::find() else { return };
    for file in recordings.files() {
        let truth = recordings.of(file);
        let asked = Asked::new();
        let report = asked.take_in(&recordings, file).await;
        assert_eq!(report["records"], truth["records"], "{file}");
        assert_eq!(report["withFileHash"], truth["records_with_file_hash"], "{file}");
        let known = names(&truth["machines_seen_at_all"]);
        let combined = &recordings.expected["combined"];
        for (sha1, machines) in machines_by_sha1(truth) {
            let answer = asked.machines(&sha1, &known).await.unwrap();
            // Of one file the truth has machines by what each record says; those of records that have
            // only a SHA-256 count as well where this file links the two: all of them, or none.
            let mut wanted = machines;
            for sha256 in names(&combined[&sha1]["sha256"]) {
                let linked = names(&truth["without_sha1"][format!("sha256:{sha256}")]);
                if !linked.is_empty() && linked.is_subset(&answer) {
                    wanted.extend(linked);
                }
            }
            assert_eq!(answer, wanted, "{file}: {sha1}");
        }
        for (file_id, machines) in truth["without_sha1"].as_object().unwrap() {
            let (kind, hash) = file_id.split_once(':').unwrap();
            let answer = asked.machines(hash, &known).await.unwrap();
            // Who asks by a SHA-256 is also told of records that have it beside a SHA-1.
            let mut wanted = names(machines);
            for (sha1, linked) in machines_by_sha1(truth) {
                if names(&combined[&sha1][kind]).contains(hash) && linked.is_subset(&answer) {
                    wanted.extend(linked);
                }
            }
            assert_eq!(answer, wanted, "{file}: {file_id}");
        }
        assert_eq!(asked.machines(UNKNOWN, &known).await, None, "{file}");
    }
}

/// The SHA-1 that a SHA-256 has in all recordings together; what has none as it is.
fn sha1_of(combined: &Value, identity: &str) -> String {
    let Some(sha256) = identity.strip_prefix("sha256:") else { return identity.to_owned() };
    let has =
        |(sha1, entry): &(&String, &Value)| !sha1.contains(':') && names(&entry["sha256"]).contains(sha256);
    let found = combined.as_object().unwrap().iter().find(has);
    found.map_or_else(|| identity.to_owned(), |(sha1, _)| sha1.clone())
}

/// A file as the truth names it: by its SHA-1, else by its strongest hash with that one's kind.
fn identity(file: &Value) -> String {
    let hash = |kind: &str| file[kind].as_str().map(str::to_owned);
    hash("sha1")
        .or_else(|| hash("sha256").map(|hash| format!("sha256:{hash}")))
        .or_else(|| hash("md5").map(|hash| format!("md5:{hash}")))
        .unwrap()
}

#[tokio::test]
async fn each_alert_gives_exactly_its_files_names_and_machine() {
    let Some(recordings) = Recordings::find() else { return };
    let mut alerts = 0;
    for file in recordings.files() {
        let truth = recordings.of(file);
        let known = names(&truth["machines_seen_at_all"]);
        let asked = Asked::new();
        asked.take_in(&recordings, file).await;
        for (id, alert) in truth["alerts"].as_object().unwrap() {
            alerts += 1;
            let (status, body) = asked.get(&format!("/api/alerts/{id}/files")).await;
            assert_eq!(status, 200, "{id}: {body}");
            let answer: Value = serde_json::from_str(&body).unwrap();
            let files: Names = answer["value"].as_array().unwrap().iter().map(identity).collect();
            // A file that another record of the recording gives its SHA-1 goes by that.
            let told = names(&alert["files"]);
            let by_sha1 = |identity: &String| sha1_of(&recordings.expected["combined"], identity);
            let resolved: Names = told.iter().map(by_sha1).collect();
            assert!(files == told || files == resolved, "{file}: {id}: {files:?}: {told:?}");
            let (status, body) = asked.get(&format!("/api/alerts/{id}")).await;
            assert_eq!(status, 200, "{id}");
            let named: Value = serde_json::from_str(&body).unwrap();
            let pieces = named["evidence"].as_array().unwrap();
            let called = |piece: &Value, member: &str| piece[member].as_str().map(str::to_owned);
            // The truth has the names of files with a hash, as paths where the source has paths.
            let wanted = names(&alert["names"]);
            let by = ["fileName", "filePath"].into_iter().find(|member| {
                let all: Names = pieces.iter().filter_map(|piece| called(piece, member)).collect();
                let hashed =
                    pieces.iter().filter(|piece| piece["sha1"].is_string() || piece["sha256"].is_string());
                let hashed: Names = hashed.filter_map(|piece| called(piece, member)).collect();
                hashed.is_subset(&wanted) && wanted.is_subset(&all)
            });
            assert!(by.is_some(), "{file}: {id}: {pieces:?}: {wanted:?}");
            let machine = known_as(
                &json!({ "id": named["machineId"].as_str().unwrap_or_default(), "name": named["computerDnsName"] }),
                "name",
                &known,
            );
            let machines = names(&alert["machines"]);
            assert!(
                machines.contains(&machine) || machines.is_empty(),
                "{file}: {id}: {machine}: {machines:?}"
            );
        }
    }
    assert!(alerts >= 130, "{alerts}");
}

#[tokio::test]
async fn all_recordings_together_give_exactly_the_combined_truth_in_any_order_twice_and_rebuilt() {
    let Some(recordings) = Recordings::find() else { return };
    let mut known = Names::new();
    let mut alerts = Names::new();
    for file in recordings.files() {
        known.extend(names(&recordings.of(file)["machines_seen_at_all"]));
        alerts.extend(recordings.of(file)["alerts"].as_object().unwrap().keys().cloned());
    }
    let questions = questions(&recordings.expected["combined"]);

    let asked = Asked::new();
    for file in recordings.files() {
        asked.take_in(&recordings, file).await;
    }
    for (hash, machines) in &questions {
        assert_eq!(asked.machines(hash, &known).await.as_ref(), Some(machines), "{hash}");
    }
    assert!(questions.len() > 5000, "{}", questions.len());
    let answers = every_answer(&asked, &questions, &alerts).await;

    let again = Asked::new();
    for file in recordings.files().into_iter().rev() {
        again.take_in(&recordings, file).await;
    }
    for file in recordings.files() {
        let report = again.take_in(&recordings, file).await;
        assert_eq!(report["batches"], report["repeatedBatches"], "{file}");
    }
    assert_same(&answers, &every_answer(&again, &questions, &alerts).await, "twice and in another order");

    let Asked { mut world, token } = again;
    world.rebuild();
    let rebuilt = Asked { world, token };
    assert_same(&answers, &every_answer(&rebuilt, &questions, &alerts).await, "after a rebuild");
}

/// Every identity, and every SHA-256 and MD5 that stands under one entry whose list has no other,
/// with the machines that are the answer.
fn questions(combined: &Value) -> BTreeMap<String, Names> {
    let combined = combined.as_object().unwrap();
    let mut owners: HashMap<&str, usize> = HashMap::new();
    let hashes = |entry: &'_ Value| ["sha256", "md5"].map(|kind| entry[kind].as_array().unwrap().clone());
    for entry in combined.values() {
        for kind in ["sha256", "md5"] {
            for hash in entry[kind].as_array().unwrap() {
                *owners.entry(hash.as_str().unwrap()).or_default() += 1;
            }
        }
    }
    let mut questions = BTreeMap::new();
    for (identity, entry) in combined {
        let machines = names(&entry["machines_any_role"]);
        let hash = identity.rsplit(':').next().unwrap();
        questions.insert(hash.to_owned(), machines.clone());
        for list in hashes(entry) {
            if let [only] = list.as_slice()
                && owners[only.as_str().unwrap()] == 1
            {
                questions.insert(only.as_str().unwrap().to_owned(), machines.clone());
            }
        }
    }
    questions
}

async fn every_answer(
    asked: &Asked,
    questions: &BTreeMap<String, Names>,
    alerts: &Names,
) -> BTreeMap<String, String> {
    let mut paths = vec!["/api/machines".to_owned(), "/api/alerts".to_owned()];
    for hash in questions.keys() {
        paths.push(format!("/api/files/{hash}"));
        paths.push(format!("/api/files/{hash}/machines"));
    }
    for alert in alerts {
        paths.push(format!("/api/alerts/{alert}"));
        paths.push(format!("/api/alerts/{alert}/files"));
    }
    let tenant = asked.world.instance().control.tenant("default").unwrap().id.to_string();
    let mut answers = BTreeMap::new();
    for path in paths {
        let (status, body) = asked.get(&path).await;
        assert_eq!(status, 200, "{path}: {body}");
        // Alerts whose source named no tenant bear this server's, which is another for each.
        answers.insert(path, body.replace(&tenant, "<tenant>"));
    }
    answers
}

fn assert_same(expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>, when: &str) {
    assert_eq!(expected.len(), found.len());
    for (path, body) in expected {
        assert!(Some(body) == found.get(path), "{when}: {path}:\n{body}\n{:?}", found.get(path));
    }
}
