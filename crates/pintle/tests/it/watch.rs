//! A watched folder of a running server, over a stop and a kill.

use std::io::Write as _;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::command::{on, row, run_on, signal, spawn};

fn sha1(n: u32) -> String {
    format!("{n:040x}")
}

fn serve(data: &Path, settings: &Path) -> Child {
    let mut command = on(data, &["serve", "--config", settings.to_str().unwrap()]);
    spawn(command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()))
}

/// Waits until a file is known. A command that finds no server would own the folder itself, so the server is
/// waited for first.
fn wait_for(data: &Path, n: u32) {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(120), "file {n} is not taken");
        if data.join("pintle.sock").exists() && run_on(data, &["search", &sha1(n)]).code == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_server_takes_what_comes_into_a_folder_and_goes_on_after_a_stop_and_a_kill() {
    let top = tempfile::tempdir().unwrap();
    let (data, logs) = (top.path().join("data"), top.path().join("logs"));
    std::fs::create_dir(&logs).unwrap();
    let settings = top.path().join("pintle.toml");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nhealth_listen = \"127.0.0.1:0\"\npublic_url = \"http://localhost\"\n\
         [watch.logs]\npath = {logs:?}\npoll = \"1s\"\n"
    );
    std::fs::write(&settings, text).unwrap();
    let append = |n: u32| {
        let mut file =
            std::fs::OpenOptions::new().append(true).create(true).open(logs.join("a.json")).unwrap();
        file.write_all(row(n, "ws-01", n, &sha1(n)).as_bytes()).unwrap();
    };
    append(1);
    let mut server = serve(&data, &settings);
    wait_for(&data, 1);
    append(2);
    wait_for(&data, 2);
    signal(&server, Signal::TERM);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    append(3);
    let mut server = serve(&data, &settings);
    wait_for(&data, 3);
    append(4);
    wait_for(&data, 4);
    signal(&server, Signal::KILL);
    server.wait().unwrap();
    // It leaves its socket behind, which says nothing of the next server.
    std::fs::remove_file(data.join("pintle.sock")).unwrap();
    append(5);
    let mut server = serve(&data, &settings);
    wait_for(&data, 5);
    let told = run_on(&data, &["sources", "--json"]).json();
    let (source, watched) = (&told["value"][0], &told["watched"][0]);
    assert_eq!((&source["source"], &source["live"]), (&"logs".into(), &true.into()), "{told}");
    assert_eq!(
        (&watched["source"], &watched["troubles"]),
        (&"logs".into(), &serde_json::json!([])),
        "{told}"
    );
    let size = std::fs::metadata(logs.join("a.json")).unwrap().len();
    assert_eq!(
        watched["files"],
        serde_json::json!([{ "name": "a.json", "offset": size, "size": size, "taken": true, "trouble": null }])
    );
    signal(&server, Signal::TERM);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    let batches = run_on(&data, &["batches", "--json"]).json();
    let batches = batches.as_array().unwrap();
    assert!(batches.iter().all(|batch| batch["source"] == "logs"), "{batches:?}");
    let records: u64 = batches.iter().map(|batch| batch["records"].as_u64().unwrap()).sum();
    // What the kill kept from being noted may be there twice.
    assert!((5..=6).contains(&records), "{batches:?}");
}
