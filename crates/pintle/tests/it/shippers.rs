//! Real shippers as their makers build them, each with real recordings: what they send to `/elastic` gives the
//! same answers as the recordings themselves. Skipped, with a notice, where a shipper is not installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{run_on, run_with_input};
use crate::recordings::{Names, Recordings, known_as, machines_by_sha1, names};
use crate::server::Server;

/// Far beyond what a shipper takes for a recording.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a shipper sends, and what.
struct Delivery<'a> {
    /// For the shipper's settings and what it notes.
    scratch: &'a Path,
    recording: &'a Path,
    /// Host and port.
    address: &'a str,
    inlet: &'a str,
    key: &'a str,
}

/// The program, if it is installed: where the variable says, else in the usual places.
fn program(variable: &str, places: &[&str]) -> Option<PathBuf> {
    let said = std::env::var_os(variable).map(PathBuf::from);
    let found = said.or_else(|| places.iter().map(PathBuf::from).find(|place| place.exists()));
    if found.is_none() {
        assert!(std::env::var_os("REQUIRE_SHIPPERS").is_none(), "{variable} names no program");
        println!("skipped: no {}", places.join(" or "));
    }
    found
}

#[test]
fn what_filebeat_ships_gives_the_truth() {
    let Some(filebeat) = program("FILEBEAT", &["/usr/share/filebeat/bin/filebeat"]) else { return };
    each_recording_shipped_gives_the_truth(|delivery| {
        let Delivery { scratch, recording, address, inlet, key } = delivery;
        let (settings, home) = (scratch.join("filebeat.yml"), scratch.display());
        let text = format!(
            "filebeat.inputs:\n- type: log\n  paths: ['{}']\n  max_bytes: 16777216\n  close_eof: true\n\
             filebeat.shutdown_timeout: 60s\n\
             output.elasticsearch:\n  hosts: ['http://{address}']\n  path: /elastic\n  api_key: '{inlet}:{key}'\n  \
             allow_older_versions: true\n\
             setup.template.enabled: false\nsetup.ilm.enabled: false\n",
            recording.display()
        );
        std::fs::write(&settings, text).unwrap();
        let mut command = Command::new(&filebeat);
        command.arg("-c").arg(&settings).args(["-e", "-once", "--strict.perms=false"]);
        command.args(["--path.data", &format!("{home}/data"), "--path.logs", &format!("{home}/logs")]);
        command
    });
}

#[test]
fn what_rsyslog_ships_gives_the_truth() {
    let Some(rsyslogd) = program("RSYSLOGD", &["/usr/sbin/rsyslogd"]) else { return };
    each_recording_shipped_gives_the_truth(|delivery| {
        let Delivery { scratch, recording, address, inlet, key } = delivery;
        let settings = scratch.join("rsyslog.conf");
        let text = format!(
            "global(workDirectory=\"{}\" maxMessageSize=\"16m\")\n\
             module(load=\"imfile\" mode=\"polling\" pollingInterval=\"1\")\nmodule(load=\"omelasticsearch\")\n\
             template(name=\"asItIs\" type=\"string\" string=\"%msg%\")\n\
             input(type=\"imfile\" file=\"{}\" tag=\"recording\")\n\
             action(type=\"omelasticsearch\" server=\"http://{address}/elastic\" searchIndex=\"any\" searchType=\"\" \
             bulkmode=\"on\" template=\"asItIs\" uid=\"{inlet}\" pwd=\"{key}\" \
             healthCheckTimeout=\"10000\" action.resumeRetryCount=\"-1\")\n",
            scratch.display(),
            recording.display()
        );
        std::fs::write(&settings, text).unwrap();
        let mut command = Command::new(&rsyslogd);
        command.arg("-n").arg("-f").arg(&settings).arg("-i").arg(scratch.join("pid"));
        command
    });
}

fn each_recording_shipped_gives_the_truth(shipper: impl Fn(&Delivery<'_>) -> Command) {
    let Some(recordings) = Recordings::find() else { return };
    let mut formats = Names::new();
    for file in recordings.files() {
        let path = recordings.path(file);
        let truth = recordings.of(file);
        if !is_of_lines(&path, truth) {
            continue;
        }
        formats.insert(truth["format"].as_str().unwrap().to_owned());
        let top = tempfile::tempdir().unwrap();
        let (data, scratch) = (top.path().join("data"), top.path().join("scratch"));
        std::fs::create_dir(&scratch).unwrap();
        let lines = whole_lines(&path, &scratch);
        let inlet = run_on(&data, &["inlet", "add", "shipper", "--json"]).json();
        let server = Server::start(&data, &[]);
        let mut shipping = shipper(&Delivery {
            scratch: &scratch,
            recording: &lines,
            address: &server.address,
            inlet: inlet["id"].as_str().unwrap(),
            key: inlet["secret"].as_str().unwrap(),
        });
        let log = std::fs::File::create(scratch.join("said")).unwrap();
        shipping.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut shipping = shipping.spawn().unwrap();
        let records = truth["records"].as_u64().unwrap();
        let begun = Instant::now();
        let mut taken = 0;
        while taken < records && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(200));
            taken = taken_by(&data);
        }
        // Filebeat ends by itself once it has sent all.
        _ = shipping.kill();
        shipping.wait().unwrap();
        let said = std::fs::read_to_string(scratch.join("said")).unwrap();
        assert_eq!(taken, records, "{file}: {said}");
        let direct = top.path().join("direct");
        run_on(&direct, &["ingest", lines.to_str().unwrap()]);
        assert_answers(&data, &direct, file, truth);
    }
    assert!(formats.len() > 10, "{formats:?}");
}

/// Whether a shipper that reads lines can send it: text, and a record is a line.
pub fn is_of_lines(path: &Path, truth: &Value) -> bool {
    let is_text =
        ["jsonl", "ndjson", "log"].iter().any(|kind| path.extension().is_some_and(|have| have == *kind));
    let lines =
        || std::fs::read_to_string(path).unwrap().lines().filter(|line| !line.trim().is_empty()).count();
    is_text && truth["records"] == lines()
}

/// The recording with an end behind its last line: whoever reads lines waits for it.
fn whole_lines(recording: &Path, scratch: &Path) -> PathBuf {
    let mut lines = std::fs::read(recording).unwrap();
    if !lines.ends_with(b"\n") {
        lines.push(b'\n');
    }
    let path = scratch.join("recording.jsonl");
    std::fs::write(&path, lines).unwrap();
    path
}

/// Records that came.
pub fn taken_by(data: &Path) -> u64 {
    let sources = run_on(data, &["sources", "--json"]).json();
    sources["value"].as_array().unwrap().iter().map(|source| source["records"].as_u64().unwrap()).sum()
}

/// The answers are those of the recording itself, machines, times and alerts, and have what the truth has.
pub fn assert_answers(data: &Path, direct: &Path, file: &str, truth: &Value) {
    let known = names(&truth["machines_seen_at_all"]);
    let expected = machines_of(truth);
    let hashes: String = expected.keys().map(|hash| format!("{hash}\n")).collect();
    let [found, same] = [data, direct].map(|data| run_with_input(data, &["search", "--json"], &hashes));
    assert_eq!(found.out, same.out, "{file}");
    assert_eq!(found.out.lines().count(), expected.len(), "{file}: {}", found.err);
    for (line, (hash, machines)) in found.out.lines().zip(&expected) {
        let found: Value = serde_json::from_str(line).unwrap();
        assert_eq!(found["hash"], **hash, "{file}");
        let answer: Names = found["machines"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|machine| known_as(machine, "name", &known))
            .collect();
        assert!(machines.is_subset(&answer), "{file}: {hash}: {answer:?}, not {machines:?}");
    }
    let [alerts, same] = [data, direct].map(alerts);
    assert_eq!(alerts, same, "{file}");
    let ids: Names = alerts.iter().map(|alert| alert["id"].as_str().unwrap().to_lowercase()).collect();
    let expected = truth["alerts"].as_object().into_iter().flatten().map(|(id, _)| id.to_lowercase());
    assert!(expected.collect::<Names>().is_subset(&ids), "{file}: {ids:?}");
}

/// All alerts, but for when they came (of those that come live, that is now) and whose they are.
fn alerts(data: &Path) -> Vec<Value> {
    let mut alerts = run_on(data, &["alerts", "--json"]).json().as_array().unwrap().clone();
    for alert in &mut alerts {
        let alert = alert.as_object_mut().unwrap();
        alert.retain(|name, _| name != "lastUpdateTime" && name != "aadTenantId");
    }
    alerts.sort_by_key(|alert| alert["id"].to_string());
    alerts
}

/// Per hash the machines in any role.
fn machines_of(truth: &Value) -> BTreeMap<String, Names> {
    let mut machines = machines_by_sha1(truth);
    for (identity, more) in truth["without_sha1"].as_object().unwrap() {
        let (_, hash) = identity.split_once(':').unwrap();
        machines.entry(hash.to_owned()).or_default().extend(names(more));
    }
    machines
}
