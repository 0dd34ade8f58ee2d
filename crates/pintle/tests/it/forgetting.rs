//! The commands that list what came in, take it out again, and say how forgetting by age stands.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pintle::config::Config;
use pintle::socket;
use serde_json::{Value, json};

use crate::command::{Ran, on, row, run_on, run_with_input, spawn};
use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A file's SHA-1, by a number.
fn file(nth: u32) -> String {
    format!("{nth:040x}")
}

fn machine(nth: u32) -> String {
    format!("{nth:040x}")
}

/// A row like `row`'s of a user.
fn by(user: &str, machine: u32, name: &str, sha1: &str) -> String {
    let mut row: Value = serde_json::from_str(&row(machine, name, 1, sha1)).unwrap();
    row["InitiatingProcessAccountName"] = user.into();
    format!("{row}\n")
}

/// Files 11 and 12 on machines 1 and 2 from `first.json`, file 13 on both from `second.json`.
fn fill(data: &Path, inputs: &Path) -> [String; 2] {
    let first = by("alex", 1, "ws-01", &file(11)) + &by("kim", 2, "ws-02", &file(12)) + "{not json\n";
    let second = by("kim", 1, "ws-01", &file(13)) + &by("kim", 2, "ws-02", &file(13));
    [("first.json", first, 5), ("second.json", second, 0)].map(|(name, text, code)| {
        let path = inputs.join(name);
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap().to_owned();
        assert_eq!(run_on(data, &["ingest", &path]).code, code);
        path
    })
}

/// The numbers of the machines on which a file is found; `None` if it is not known.
fn found(data: &Path, nth: u32) -> Option<Vec<u64>> {
    let ran = run_on(data, &["search", "--json", &file(nth)]);
    assert!(ran.code < 2, "{}", ran.err);
    let machines = ran.json()["machines"].as_array().unwrap().clone();
    let number = |machine: &Value| u64::from_str_radix(machine["id"].as_str().unwrap(), 16).unwrap();
    (ran.code == 0).then(|| machines.iter().map(number).collect())
}

fn batches(data: &Path) -> Vec<Value> {
    run_on(data, &["batches", "--json"]).json().as_array().unwrap().clone()
}

#[test]
fn batches_say_what_came_in_when_and_from_where() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let [first, second] = fill(&data, top.path());
    let all = batches(&data);
    let told = |batch: &Value| {
        (batch["source"].clone(), batch["records"].as_u64().unwrap(), batch["kept_aside"].as_u64().unwrap())
    };
    let told: Vec<_> = all.iter().map(told).collect();
    assert_eq!(told, [(json!(first), 2, 1), (json!(second), 2, 0)]);
    assert!(all.iter().all(|batch| batch["id"].as_str().unwrap().len() == 64));

    let table = run_on(&data, &["batches"]).out;
    let line = table.lines().nth(1).unwrap();
    assert!(
        line.contains(all[0]["id"].as_str().unwrap().get(..12).unwrap()) && line.ends_with(&first),
        "{table}"
    );
    let listed = |arguments: &[&str]| {
        let ran = run_on(&data, &[&["batches", "--json"], arguments].concat());
        ran.json().as_array().unwrap().iter().map(|batch| batch["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--source", "second"]), [all[1]["id"].clone()]);
    assert_eq!(listed(&["--since", all[1]["time"].as_str().unwrap()]), [all[1]["id"].clone()]);
    assert_eq!(listed(&["--top", "1"]), [all[0]["id"].clone()]);
    assert_eq!(listed(&["--skip", "1"]), [all[1]["id"].clone()]);
    assert!(listed(&["--since", "2100-01-01"]).is_empty());
    let wrong = run_on(&data, &["batches", "--since", "yesterday"]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("`yesterday` is no time"), "{}", wrong.err);
    assert_eq!(run_on(&data, &["batches", "--tenant", "nobody"]).code, 1);
}

#[test]
fn each_kind_of_purge_takes_out_what_it_names_and_nothing_else() {
    let (one, both) = (Some(vec![1]), Some(vec![1, 2]));
    // The option, its value (or which batch), what is left of the files 11, 12 and 13.
    type Left = [Option<Vec<u64>>; 3];
    let cases: [(&str, &str, Left); 7] = [
        ("--batch", "0", [None, None, both.clone()]),
        ("--source", "second.json", [one.clone(), Some(vec![2]), None]),
        ("--machine", "WS-02", [one.clone(), None, one.clone()]),
        ("--machine", &machine(1), [None, Some(vec![2]), Some(vec![2])]),
        ("--user", "Kim", [one.clone(), None, None]),
        ("--before", "2026-01-15T09:01:13Z", [None, None, None]),
        ("--before", "2026-01-15", [one, Some(vec![2]), both]),
    ];
    for (option, value, left) in cases {
        let top = tempfile::tempdir().unwrap();
        let data = top.path().join("data");
        let [_, second] = fill(&data, top.path());
        let id = batches(&data)[0]["id"].as_str().unwrap().to_owned();
        let value = match option {
            "--batch" => id.get(..8).unwrap(),
            "--source" => &second,
            _ => value,
        };
        let ran = run_on(&data, &["purge", option, value, "--yes"]);
        let is_any = value != "2026-01-15";
        assert_eq!(ran.code, i32::from(!is_any), "{option} {value}: {}{}", ran.err, ran.out);
        assert!(ran.err.contains("to be taken out of tenant default: "), "{}", ran.err);
        assert_eq!([11, 12, 13].map(|nth| found(&data, nth)), left, "{option} {value}");
        let noted = std::fs::read_to_string(data.join("purges.jsonl")).unwrap();
        assert_eq!(noted.lines().count(), 1, "{noted}");
        // What went can come again.
        let again = run_on(&data, &["ingest", top.path().join("second.json").to_str().unwrap(), "--json"]);
        assert_eq!((again.code, found(&data, 13)), (0, Some(vec![1, 2])), "{option} {value}");
    }
}

#[test]
fn a_purge_says_what_it_means_and_begins_only_when_told_to() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let [first, _] = fill(&data, top.path());
    let id = batches(&data)[0]["id"].as_str().unwrap().to_owned();
    let untouched = || {
        assert_eq!(
            [11, 12, 13].map(|nth| found(&data, nth)),
            [Some(vec![1]), Some(vec![2]), Some(vec![1, 2])]
        );
        assert!(!data.join("purges.jsonl").exists());
    };
    let refused = |arguments: &[&str], code, says: &str| {
        let ran = run_on(&data, &[&["purge"], arguments].concat());
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{arguments:?}: {}", ran.err);
        untouched();
    };
    refused(&["--source", &first], 2, "add --yes");
    refused(&["--source", &first], 2, "2 records in 1 batches, and 1 kept aside");
    refused(&["--batch", &id], 2, &format!("batch {id} of "));
    refused(&["--machine", "ws-01"], 2, &format!("the machine {} (ws-01)", machine(1)));
    refused(&[], 2, "say what is to go");
    refused(&["--yes"], 2, "say what is to go");
    refused(&["--source", &first, "--user", "kim", "--yes"], 2, "cannot be used with");

    refused(&["--batch", id.get(..7).unwrap(), "--yes"], 1, "the first 8 of its digits");
    refused(&["--batch", "0000000000", "--yes"], 1, "no batch begins with 0000000000");
    refused(&["--source", "first", "--yes"], 1, "nothing came from a source `first`");
    refused(&["--source", "(people)", "--yes"], 1, "`(people)` is no source of telemetry");
    refused(&["--machine", "ws-03", "--yes"], 1, "no machine `ws-03`");
    refused(&["--machine", "", "--yes"], 1, "no machine ``");
    refused(&["--user", "", "--yes"], 1, "a user has a name");
    refused(&["--before", "2100-01-01", "--yes"], 1, "is yet to come");
    refused(&["--before", "soon", "--yes"], 1, "`soon` is no time");
    refused(&["--user", "kim", "--tenant", "nobody", "--yes"], 1, "no tenant `nobody`");

    // All of a tenant takes its name twice, whatever else a script says.
    refused(&["--tenant", "default"], 2, "4 records in 2 batches");
    refused(&["--tenant", "default"], 2, "add --confirm default");
    refused(&["--tenant", "default", "--yes"], 2, "--yes does not do");
    refused(&["--tenant", "default", "--confirm", "other"], 2, "must be the tenant's name");
    refused(&["--tenant", "", "--confirm", "default"], 1, "no tenant ``");
    refused(&["--source", &first, "--confirm", "default"], 2, "cannot be used with");
    let gone = run_on(&data, &["purge", "--tenant", "default", "--confirm", "default", "--json"]);
    assert_eq!(gone.code, 0, "{}", gone.err);
    let told = gone.json();
    assert_eq!(
        [&told["records"], &told["kept_aside"], &told["batches"], &told["records_left"]],
        [4, 1, 2, 0]
    );
    assert_eq!(([11, 12, 13].map(|nth| found(&data, nth)), batches(&data).len()), ([None, None, None], 0));
    // A known machine's id is taken though it is gone, since what has expired is only in the archive.
    let nothing = run_on(&data, &["purge", "--machine", &machine(1), "--yes"]);
    assert_eq!((nothing.code, nothing.out.trim()), (1, "there was nothing to take out"), "{}", nothing.err);
}

#[test]
fn a_machine_is_not_purged_by_a_name_that_several_have() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let rows = row(1, "ws", 1, &file(1)) + &row(2, "WS", 1, &file(2));
    assert_eq!(run_with_input(&data, &["ingest", "-"], &rows).code, 0);
    let refused = run_on(&data, &["purge", "--machine", "ws", "--yes"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains(&format!("{}, {}", machine(1), machine(2))), "{}", refused.err);
    assert_eq!([1, 2].map(|nth| found(&data, nth)), [Some(vec![1]), Some(vec![2])]);
}

#[test]
fn a_purge_without_all_of_the_archive_says_why_not() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    assert_eq!(run_with_input(&data, &["ingest", "-"], &row(1, "ws-01", 1, &file(1))).code, 0);
    // A second segment, as one is begun when the first is full.
    let header = std::fs::read(data.join("archive/00000001.seg")).unwrap()[..12].to_vec();
    std::fs::write(data.join("archive/00000002.seg"), header).unwrap();
    assert_eq!(run_with_input(&data, &["ingest", "-"], &row(2, "ws-02", 1, &file(2))).code, 0);
    std::fs::remove_file(data.join("archive/00000001.seg")).unwrap();
    let refused = run_on(&data, &["purge", "--machine", "ws-02", "--yes"]);
    assert_eq!(refused.code, 1);
    for part in ["nothing was purged", "all of the archive", "archive.max_age and archive.max_bytes"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    assert_eq!(found(&data, 2), Some(vec![2]));
}

#[test]
fn a_purge_goes_through_whoever_owns_the_folder() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    fill(&data, top.path());
    let mut owner = spawn(on(&data, &["ingest", "-"]).stdin(Stdio::piped()));
    let patience = Instant::now() + Duration::from_secs(60);
    while !data.join("pintle.sock").exists() {
        assert!(Instant::now() < patience, "nobody listens");
        std::thread::sleep(Duration::from_millis(20));
    }
    let purged = run_on(&data, &["purge", "--user", "kim", "--yes"]);
    assert_eq!(purged.code, 0, "{}", purged.err);
    assert_eq!([11, 12, 13].map(|nth| found(&data, nth)), [Some(vec![1]), None, None]);
    let mut stdin = owner.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, row(3, "ws-03", 1, &file(14)).as_bytes()).unwrap();
    drop(stdin);
    assert_eq!(Ran::of(owner.wait_with_output().unwrap()).code, 0);
    assert_eq!([12, 14].map(|nth| found(&data, nth)), [None, Some(vec![3])]);
}

/// Runs a command on the folder of a server in this process.
async fn ask(world: &World, arguments: &[&str]) -> Ran {
    let folder = world.instance().store.folder().to_owned();
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        run_on(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    });
    ran.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumped_forgets_nothing_until_somebody_has_looked_at_it() {
    let mut config = Config::default();
    config.retention.sightings = Some(DAY * 30);
    let world = World::new(config);
    let listening = socket::listen(std::sync::Arc::clone(world.instance())).unwrap();

    let stands = ask(&world, &["retention", "--json"]).await.json();
    assert_eq!(
        stands["windows"][0],
        json!({ "tenant": "default", "alerts": null, "machines": null, "sightings": "30d" })
    );
    assert_eq!((&stands["next_run"], &stands["paused"]), (&json!("2026-01-21T00:00:00Z"), &json!(null)));
    let ran = ask(&world, &["retention", "run", "--json"]).await;
    assert_eq!((ran.code, ran.json()["alerts"].clone()), (0, json!(0)), "{}", ran.err);

    world.forward(DAY * 2);
    let paused = ask(&world, &["retention", "--json"]).await.json();
    let pause = json!({
        "since": "2026-01-22T00:00:00Z", "expected": paused["paused"]["expected"], "found": "2026-01-22T00:00:00Z"
    });
    assert_eq!((&paused["paused"], &paused["next_run"]), (&pause, &json!(null)));
    assert_eq!(paused["last_run"]["at"], "2026-01-20T00:00:00Z");
    let refused = ask(&world, &["retention", "run"]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("pintle retention resume"), "{}", refused.err);
    assert!(ask(&world, &["retention"]).await.out.contains("pintle retention resume"));
    let metrics = world.instance().metrics.encode();
    assert!(metrics.contains("pintle_retention_paused 1\n"), "{metrics}");

    let resumed = ask(&world, &["retention", "resume", "--json"]).await.json();
    assert_eq!((&resumed["paused"], &resumed["next_run"]), (&json!(null), &json!("2026-01-21T00:00:00Z")));
    assert_eq!(ask(&world, &["retention", "run"]).await.code, 0);
    let metrics = world.instance().metrics.encode();
    assert!(metrics.contains("pintle_retention_paused 0\n"), "{metrics}");
    assert!(metrics.contains("pintle_retention_last_run_timestamp_seconds 1769040000\n"), "{metrics}");
    let kept = std::fs::metadata(world.instance().store.folder().join("retention.json")).unwrap();
    assert_eq!(kept.mode() & 0o777, 0o600);
    listening.close().await;
}

#[test]
fn with_nothing_to_forget_nothing_is_run() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    fill(&data, top.path());
    let stands = run_on(&data, &["retention"]);
    assert_eq!(stands.code, 0, "{}", stands.err);
    assert!(stands.out.contains("never: nothing is configured to be forgotten"), "{}", stands.out);
    let refused = run_on(&data, &["retention", "run"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("nothing is configured to be forgotten"), "{}", refused.err);
}
