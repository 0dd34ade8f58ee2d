//! What the commands print and how they exit.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::command::{Ran, on, pintle, row, run, run_on, run_with_input, signal, spawn};

const KNOWN: &str = "0f2c4a6e8b1d3f5a7c9e0b2d4f6a8c1e3d5b7f90";
const UNKNOWN: &str = "ffffffffffffffffffffffffffffffffffffffff";

/// A data folder beside a folder of inputs.
struct Place {
    _top: tempfile::TempDir,
    data: std::path::PathBuf,
    inputs: std::path::PathBuf,
}

fn place() -> Place {
    let top = tempfile::tempdir().unwrap();
    let (data, inputs) = (top.path().join("data"), top.path().join("inputs"));
    std::fs::create_dir(&inputs).unwrap();
    Place { _top: top, data, inputs }
}

impl Place {
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.inputs.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn ingest_tells_all_from_some_from_nothing_by_its_exit_code() {
    let place = place();
    let good = place.write("good.json", &(row(1, "ws-01", 1, KNOWN) + &row(2, "ws-02", 2, KNOWN)));
    let partly = place.write("partly.json", &(row(1, "ws-01", 3, KNOWN) + "{\"cut off\n"));
    let garbage = place.write("garbage.txt", "neither JSON\nnor anything else\n");

    let all = run_on(&place.data, &["ingest", &good, "--json"]);
    assert_eq!(all.code, 0, "{}", all.err);
    let report = all.json();
    assert_eq!(
        (&report["records"], &report["with_file_hash"], &report["kept_aside"], &report["formats"]),
        (&json!(2), &json!(2), &json!({}), &json!({ "mde-hunting": 1 }))
    );
    assert_eq!(report["machines"], json!({ "total": 2, "new": 2 }));
    assert_eq!(report["files"]["total"], 2);

    let again = run_on(&place.data, &["ingest", &good, "--json"]).json();
    assert_eq!((&again["repeated_batches"], &again["files"]["new"]), (&json!(1), &json!(0)));

    let some = run_on(&place.data, &["ingest", &partly]);
    assert_eq!(some.code, 5, "{}", some.err);
    assert!(some.out.contains("kept aside"), "{}", some.out);
    let rejects = run_on(&place.data, &["rejects", "--json"]).json();
    assert_eq!(rejects[0]["source"], partly);

    let folder = place.inputs.to_str().unwrap();
    assert_eq!(run_on(&place.data, &["ingest", folder]).code, 5);
    let nothing = run_on(&place.data, &["ingest", &garbage, "/nowhere/at/all"]);
    assert_eq!(nothing.code, 1, "{}", nothing.out);
    assert!(nothing.out.contains("/nowhere/at/all: "), "{}", nothing.out);
    assert!(nothing.out.contains("--format names one: ") && nothing.out.contains("mde-hunting"));
    assert_eq!(run_on(&place.data, &["ingest"]).code, 2);
    assert_eq!(run_on(&place.data, &["ingest", &good, "--format", "runes"]).code, 2);
    let nobody = run_on(&place.data, &["ingest", &good, "--tenant", "nobody"]);
    assert_eq!((nobody.code, nobody.err.trim()), (1, "error: no tenant `nobody`: there is default"));
}

#[test]
fn an_archive_is_ingested_member_by_member_from_a_file_and_from_standard_input() {
    let place = place();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [("logs/a.json", row(1, "ws-01", 1, KNOWN)), ("b.txt", "no telemetry".to_owned())] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    let path = place.inputs.join("collection.zip");
    std::fs::write(&path, &zip).unwrap();
    let path = path.to_str().unwrap();
    let taken = run_on(&place.data, &["ingest", path, "--json"]);
    assert_eq!(taken.code, 5, "{}", taken.err);
    let report = taken.json();
    assert_eq!((&report["records"], &report["with_file_hash"]), (&json!(2), &json!(1)));
    let rejects = run_on(&place.data, &["rejects", "--json"]).json();
    assert_eq!(rejects[0]["source"], format!("{path}:b.txt"));
    let again = run_with_input(&place.data, &["ingest", "-", "--json"], &zip);
    assert_eq!(again.json()["files"]["new"], 0);
    let shown = run(&["decode", path]);
    assert!(shown.err.contains("b.txt, at 0: of no known format"), "{}", shown.err);
    assert!(shown.out.contains(KNOWN), "{}", shown.out);
}

#[test]
fn sources_tells_what_came_from_where_and_what_of_it_is_not_used() {
    let place = place();
    let bare = row(2, "ws-02", 2, "").replace(&format!("{:0>64}", ""), "");
    let text = row(1, "ws-01", 1, KNOWN) + &bare + "rubbish\n";
    let path = place.write("a.json", &text);
    assert_eq!(run_on(&place.data, &["ingest", &path]).code, 5);
    // Each command has the folder for itself, so what is told was kept.
    let told = run_on(&place.data, &["sources", "--json"]).json();
    assert_eq!((&told["watched"], told["value"].as_array().unwrap().len()), (&json!([]), 1));
    let source = &told["value"][0];
    for (member, value) in [
        ("source", json!(path)),
        ("format", json!("mde-hunting")),
        ("live", json!(false)),
        ("state", json!("unknown")),
        ("lastEvent", json!("2026-01-15T09:02:12.5071301Z")),
        ("records", json!(3)),
        ("rejectedByReason", json!({ "not JSON": 1 })),
        ("fileEvents", json!(2)),
        ("withoutHashByReason", json!({ "no hash given": 1 })),
    ] {
        assert_eq!(source[member], value, "{member}");
    }
    let shown = run_on(&place.data, &["sources"]);
    for part in [&path, "mde-hunting", "1 kept aside: not JSON", "1 of 2 events about files: no hash given"] {
        assert!(shown.out.contains(part), "{part} in {}", shown.out);
    }
    let purged = run_on(&place.data, &["purge", "--source", &path, "--yes"]);
    assert_eq!(purged.code, 0, "{}", purged.err);
    assert_eq!(
        run_on(&place.data, &["sources", "--json"]).json(),
        json!({ "value": [], "watched": [], "kafka": [] })
    );
    let nothing = run_on(&place.data, &["sources"]);
    assert_eq!((nothing.code, nothing.err.trim()), (0, "no telemetry has come"));
}

#[test]
fn standard_input_is_ingested_and_searched_in_any_mix_of_hashes() {
    let place = place();
    let rows = row(1, "ws-01", 7, KNOWN) + &row(1, "ws-01", 5, KNOWN);
    let taken = run_with_input(&place.data, &["ingest", "-", "--format", "mde-hunting", "--json"], &rows);
    assert_eq!((taken.code, &taken.json()["records"]), (0, &json!(2)), "{}", taken.err);

    let found = run_on(&place.data, &["search", "--json", KNOWN]);
    assert_eq!(found.code, 0);
    assert_eq!(
        found.json(),
        json!({
            "kind": "sha1", "hash": KNOWN, "found": true, "ask_instead": [],
            "machines": [{
                "id": format!("{:040x}", 1), "name": "ws-01",
                "as_target": { "first_seen": "2026-01-15T09:05:12.5071301Z", "last_seen": "2026-01-15T09:07:12.5071301Z" },
                "any_role": { "first_seen": "2026-01-15T09:05:12.5071301Z", "last_seen": "2026-01-15T09:07:12.5071301Z" },
            }],
        })
    );
    let process =
        run_on(&place.data, &["search", "--json", "00000000000000000000000000000000000000ee"]).json();
    assert_eq!(process["machines"][0]["as_target"], json!(null));
    assert_eq!(process["machines"][0]["any_role"]["first_seen"], "2026-01-15T09:05:12.5071301Z");

    let mixed = format!("{}\n\n {UNKNOWN} {:0>64}\n", KNOWN.to_uppercase(), KNOWN);
    let lines = run_with_input(&place.data, &["search", "--json"], &mixed);
    let found: Vec<serde_json::Value> =
        lines.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> =
        found.iter().map(|line| (line["kind"].as_str().unwrap(), line["found"].as_bool().unwrap())).collect();
    assert_eq!(found, [("sha1", true), ("sha1", false), ("sha256", true)]);

    assert_eq!(run_on(&place.data, &["search", UNKNOWN]).code, 1);
    let list = format!("{KNOWN}\n12345\n{UNKNOWN}\n");
    let malformed = run_with_input(&place.data, &["search", "-"], &list);
    assert_eq!(malformed.code, 2);
    assert!(malformed.err.contains("standard input, line 2: `12345`: "), "{}", malformed.err);
    assert!(malformed.out.contains(KNOWN) && malformed.out.contains(UNKNOWN), "{}", malformed.out);
    let argument = run_on(&place.data, &["search", KNOWN, "12345"]);
    assert_eq!((argument.code, argument.out.as_str()), (2, ""));
    let nowhere = run_on(&place.data.join("missing"), &["search", KNOWN]);
    assert_eq!(nowhere.code, 3);
    assert!(!place.data.join("missing").exists());
}

#[test]
fn an_ingest_of_nothing_fails_and_says_so() {
    let place = place();
    let empty = place.inputs.to_str().unwrap();
    let ran = run_on(&place.data, &["ingest", empty]);
    assert_eq!((ran.code, ran.err.trim()), (1, format!("error: no files in {empty}").as_str()));
    assert!(!place.data.exists());
    let ran = run_with_input(&place.data, &["ingest", "-"], "");
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("standard input: nothing to read"), "{}", ran.out);
}

#[test]
fn conflicts_are_listed_as_one_array() {
    let place = place();
    let mut other: serde_json::Value = serde_json::from_str(&row(1, "ws-01", 1, KNOWN)).unwrap();
    other["SHA1"] = UNKNOWN.into();
    let rows = row(1, "ws-01", 1, KNOWN) + &format!("{other}\n");
    assert_eq!(run_with_input(&place.data, &["ingest", "-"], &rows).code, 0);
    let conflicts = run_on(&place.data, &["search", "--conflicts", "--json"]);
    let partners = json!([{ "kind": "sha1", "hash": KNOWN }, { "kind": "sha1", "hash": UNKNOWN }]);
    assert_eq!(
        conflicts.json(),
        json!([{ "kind": "sha256", "hash": format!("{KNOWN:0>64}"), "partners": partners }])
    );
}

#[test]
fn names_from_telemetry_cannot_steer_the_terminal() {
    let place = place();
    let hostile = "ws\u{1b}]0;owned\u{7}\u{202e}";
    run_with_input(&place.data, &["ingest", "-"], &row(1, hostile, 1, KNOWN));
    for arguments in [&["machines"][..], &["search", KNOWN]] {
        let ran = run_on(&place.data, arguments);
        assert!(ran.out.contains("ws\\u{1b}]0;owned\\u{7}\\u{202e}"), "{arguments:?}: {}", ran.out);
        assert!(!ran.out.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{arguments:?}");
    }
    // For machines it is what it is, as JSON escapes it.
    let json = run_on(&place.data, &["machines", "--json"]);
    assert_eq!(json.json()[0]["computerDnsName"], hostile);
    assert!(!json.out.contains('\u{1b}'));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = place();
    run_with_input(&place.data, &["ingest", "-"], &row(1, "ws-01", 1, KNOWN));
    for arguments in
        [&["machines"][..], &["machines", "--json"], &["search", KNOWN], &["search", "--json", KNOWN]]
    {
        let mut child = spawn(&mut on(&place.data, arguments));
        drop(child.stdout.take());
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn an_interrupted_ingest_says_how_far_it_came_and_keeps_that() {
    let place = place();
    let mut child = spawn(on(&place.data, &["ingest", "-"]).stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().unwrap();
    // One whole batch and a part of the next, and then nothing for ever.
    for nth in 0..25_000u32 {
        stdin.write_all(row(nth % 40, "ws", nth % 60, &format!("{nth:040x}")).as_bytes()).unwrap();
    }
    stdin.flush().unwrap();
    let patience = Instant::now() + Duration::from_secs(120);
    while run_on(&place.data, &["batches", "--json"]).json().as_array().is_none_or(Vec::is_empty) {
        assert!(Instant::now() < patience, "the first batch does not come in");
        std::thread::sleep(Duration::from_millis(100));
    }
    // It is listed before the command is told of it, by a message to a process that waits for one.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(run_on(&place.data, &["search", &format!("{:040x}", 19_999)]).code, 0);
    signal(&child, rustix::process::Signal::INT);
    let ran = Ran::of(child.wait_with_output().unwrap());
    drop(stdin);
    assert_eq!(ran.code, 130, "{}", ran.err);
    assert!(ran.err.contains("interrupted in standard input: 20,000 records are in"), "{}", ran.err);
    assert_eq!(run_on(&place.data, &["search", &format!("{:040x}", 1)]).code, 0);
}

#[test]
fn applications_are_registered_from_the_command_line() {
    let place = place();
    let created =
        run_on(&place.data, &["client", "create", "soar", "-p", "Machine.Read.All,File.Read.All", "--json"]);
    assert_eq!(created.code, 0, "{}", created.err);
    let created = created.json();
    assert_eq!(created["permissions"][1]["display_name"], "Read all file profiles");
    let id = created["client_id"].as_str().unwrap();
    let list = run_on(&place.data, &["client", "list"]);
    assert!(
        list.out.contains("soar, tenant default") && list.out.contains("Read all machine profiles"),
        "{}",
        list.out
    );
    assert!(!list.out.contains(created["secret"].as_str().unwrap()));
    let rotated = run_on(&place.data, &["client", "rotate", id]);
    assert!(rotated.out.contains("shown this once"), "{}", rotated.out);
    assert_eq!(run_on(&place.data, &["client", "delete", id]).code, 0);
    assert_eq!(run_on(&place.data, &["client", "delete", id]).code, 1);
    assert_eq!(run_on(&place.data, &["client", "create", "x", "-p", "Fly.All"]).code, 2);
}

#[test]
fn a_rebuild_gives_the_same_answers_with_and_without_an_owner_of_the_folder() {
    let place = place();
    run_with_input(&place.data, &["ingest", "-"], &(row(1, "ws-01", 1, KNOWN) + &row(2, "ws-02", 2, KNOWN)));
    let before = run_on(&place.data, &["search", "--json", KNOWN]).out;
    let rebuilt = run_on(&place.data, &["rebuild"]);
    assert_eq!(
        (rebuilt.code, rebuilt.out.trim()),
        (0, "2 records in 1 batches were applied again"),
        "{}",
        rebuilt.err
    );
    assert_eq!(run_on(&place.data, &["search", "--json", KNOWN]).out, before);

    let mut owner = spawn(on(&place.data, &["ingest", "-"]).stdin(Stdio::piped()));
    let socket = place.data.join("pintle.sock");
    let patience = Instant::now() + Duration::from_secs(60);
    while !socket.exists() {
        assert!(Instant::now() < patience, "nobody listens");
        std::thread::sleep(Duration::from_millis(20));
    }
    // It goes through the owner, as others do.
    let rebuilt = run_on(&place.data, &["rebuild"]);
    assert_eq!((rebuilt.code, rebuilt.out.trim()), (0, "2 records in 1 batches were applied again"));
    assert_eq!(run_on(&place.data, &["search", "--json", KNOWN]).out, before);
    // It is here already, and an ingest of nothing would be a failure.
    owner.stdin.take().unwrap().write_all(row(1, "ws-01", 1, KNOWN).as_bytes()).unwrap();
    assert_eq!(Ran::of(owner.wait_with_output().unwrap()).code, 0);
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in [
        "dev",
        "serve",
        "ingest",
        "search",
        "alerts",
        "machines",
        "rejects",
        "batches",
        "purge",
        "retention",
        "client",
        "check",
        "backup",
        "verify",
        "restore",
        "rebuild",
    ] {
        let help = run(&[command, "--help"]);
        assert_eq!(help.code, 0);
        assert!(
            command == "serve" || help.out.contains(&format!("\n  pintle {command}")),
            "{command}: {}",
            help.out
        );
    }
    assert_eq!(Ran::of(pintle(&["dev", "--http", "192.0.2.1:80"]).output().unwrap()).code, 2);
}

#[test]
fn a_settings_file_is_checked_however_it_is_named() {
    let place = place();
    let wrong = place.write("pintle.toml", "[nonsense]\n");
    for arguments in [&["config", "check", &wrong][..], &["config", "check", "--config", &wrong]] {
        let ran = run(arguments);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.err.contains("pintle.toml") && ran.err.contains("nonsense"), "{}", ran.err);
    }
}

#[test]
fn tenants_are_made_and_their_data_is_kept_apart() {
    let place = place();
    let id = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
    let made = run_on(&place.data, &["tenant", "create", "customer-a", "--id", id, "--json"]);
    assert_eq!(made.json(), json!({"id": id, "name": "customer-a"}), "{}", made.err);
    for again in [vec!["tenant", "create", "Customer-A"], vec!["tenant", "create", "other", "--id", id]] {
        let again = run_on(&place.data, &again);
        assert!(again.code == 1 && again.err.contains("is there already"), "{}", again.err);
    }
    let list = run_on(&place.data, &["tenant", "list"]);
    assert!(list.out.contains("default") && list.out.contains(id), "{}", list.out);

    let input = place.write("a.json", &row(1, "ws-01", 1, KNOWN));
    assert_eq!(run_on(&place.data, &["ingest", &input, "--tenant", "customer-a"]).code, 0);
    assert_eq!(run_on(&place.data, &["search", KNOWN, "--tenant", id]).code, 0);
    assert_eq!(run_on(&place.data, &["search", KNOWN]).code, 1, "another tenant knows nothing of it");
}

#[test]
fn inlets_are_made_and_their_keys_exchanged() {
    let place = place();
    let ok = |arguments: &[&str]| {
        let ran = run_on(&place.data, &[&["inlet"], arguments, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        ran.json()
    };
    let made = ok(&["add", "beats", "--namespace", "plant-7", "--format", "winlogbeat7"]);
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(secret.len(), 43);
    let again = ok(&["add-key", "beats", "--expires", "2100-01-31"]);
    assert_ne!(again["secret"], made["secret"]);
    let first = again["keys"][0]["id"].as_str().unwrap();
    assert_eq!(ok(&["remove-key", id, first])["keys"].as_array().unwrap().len(), 1);
    assert_eq!(ok(&["disable", "Beats"])["enabled"], false);
    let shown = run_on(&place.data, &["inlet", "show", "beats"]).out;
    for told in ["disabled", "plant-7", "winlogbeat7", "2100-01-31", "never used"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert_eq!(ok(&["enable", "beats"])["enabled"], true);
    let listed = run_on(&place.data, &["inlet", "list"]).out;
    assert!(listed.contains(id) && !listed.contains(secret) && !listed.contains("disabled"), "{listed}");
    let said = run_on(&place.data, &["inlet", "add", "other"]).out;
    assert!(said.contains("The key is shown this once") && said.contains("curl -sS -u "), "{said}");
    ok(&["remove", "beats"]);
    let gone = run_on(&place.data, &["inlet", "show", "beats"]);
    assert!(gone.code == 1 && gone.err.contains("no inlet `beats`"), "{}", gone.err);
    let refused = run_on(&place.data, &["inlet", "add", "x", "--namespace", "Plant_7"]);
    assert!(refused.code == 1 && refused.err.contains("machine namespace"), "{}", refused.err);
}

const MAPPING: &str = r#"
name = "camera-log"
[machine]
kind = "camera"
id = "serial"
name = "host"
[[event]]
when = { kind = "upload" }
table = "DeviceFileEvents"
action = "FileCreated"
time = "at"
[event.columns]
SHA256 = "firmware.digest"
FolderPath = "firmware.path"
[alert]
when = { severity = true }
id = "case"
title = { text = "A camera complains" }
time = "at"
[alert.members]
severity = "severity"
[[alert.evidence]]
kind = "File"
members = { sha256 = "firmware.digest", filePath = "firmware.path" }
"#;

#[test]
fn a_mapping_makes_a_source_of_lines_and_tables_that_no_format_knows() {
    let place = place();
    let mapping = place.write("cameras.toml", MAPPING);
    let digest = "c0".repeat(32);
    let line = |serial, more: &str| {
        format!(
            r#"{{"serial":"{serial}","host":"Cam-{serial}","kind":"upload","at":1768469400,"firmware":{{"digest":"{digest}","path":"/fw/boot.bin"}}{more}}}"#
        ) + "\n"
    };
    let lines = line("17", "") + &line("18", r#","severity":"critical","case":"K-1""#) + "{\"serial\":\n";
    let sample = place.write("cameras.jsonl", &lines);
    let table = format!(
        "serial,host,kind,at,firmware.digest,firmware.path\n19,Cam-19,upload,1768469400,{digest},/fw/boot.bin\n"
    );
    let table = place.write("cameras.csv", &table);

    let shown = run(&["decode", "--mapping", &mapping, &sample]);
    assert_eq!(shown.code, 5, "{}", shown.err);
    let rows: Vec<serde_json::Value> =
        shown.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["DeviceFileEvents"]["FileName"], "boot.bin");
    assert_eq!(rows[0]["DeviceFileEvents"]["Timestamp"], "2026-01-15T09:30:00Z");
    let alert = &rows[2]["Alert"];
    assert_eq!((&alert["severity"], &alert["title"]), (&json!("High"), &json!("A camera complains")));
    assert_eq!(alert["evidence"][0]["sha256"], digest);
    assert!(shown.err.contains("1 × kept aside"), "{}", shown.err);

    let taken = run_on(&place.data, &["ingest", "--json", "--mapping", &mapping, &sample, &table]);
    assert_eq!(taken.code, 5, "{}", taken.err);
    assert_eq!(taken.json()["formats"], json!({ "camera-log": 2 }));
    let found = run_on(&place.data, &["search", "--json", &digest]).json();
    let mut names: Vec<&str> =
        found["machines"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["cam-17", "cam-18", "cam-19"]);

    let bad = place.write("bad.toml", "name = 1");
    let refused = run_on(&place.data, &["ingest", "--mapping", &bad, &sample]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("bad.toml is no mapping"), "{}", refused.err);
    let unknown = run_on(&place.data, &["ingest", "--format", "runes", &sample]);
    assert!(unknown.err.contains("Format 'runes' is not known"), "{}", unknown.err);
}
