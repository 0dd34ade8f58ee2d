//! A folder that a running server fetches from, over a stop and a kill, and the command that fetches once.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::command::{on, row, run_on, signal, spawn};

fn sha1(n: u32) -> String {
    format!("{n:040x}")
}

struct Site {
    top: tempfile::TempDir,
    data: PathBuf,
    settings: PathBuf,
}

impl Site {
    fn new(interval: &str) -> Site {
        let top = tempfile::tempdir().unwrap();
        let (data, settings) = (top.path().join("data"), top.path().join("pintle.toml"));
        std::fs::create_dir(top.path().join("export")).unwrap();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nhealth_listen = \"127.0.0.1:0\"\npublic_url = \"http://localhost\"\n\
             [pull.export]\nurl = \"file://{}\"\ninterval = \"{interval}\"\n",
            top.path().join("export").display()
        );
        std::fs::write(&settings, text).unwrap();
        Site { top, data, settings }
    }

    fn append(&self, n: u32) {
        let path = self.top.path().join("export/PT1H.json");
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(row(n, "ws-01", n, &sha1(n)).as_bytes()).unwrap();
    }

    fn settings(&self) -> &str {
        self.settings.to_str().unwrap()
    }

    fn serve(&self) -> Child {
        let mut command = on(&self.data, &["serve", "--config", self.settings()]);
        spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }
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
fn a_server_fetches_what_comes_and_goes_on_after_a_stop_and_a_kill() {
    let site = Site::new("500ms");
    site.append(1);
    let mut server = site.serve();
    wait_for(&site.data, 1);
    site.append(2);
    wait_for(&site.data, 2);
    signal(&server, Signal::TERM);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    site.append(3);
    let mut server = site.serve();
    wait_for(&site.data, 3);
    site.append(4);
    wait_for(&site.data, 4);
    signal(&server, Signal::KILL);
    server.wait().unwrap();
    // It leaves its socket behind, which says nothing of the next server.
    std::fs::remove_file(site.data.join("pintle.sock")).unwrap();
    site.append(5);
    let mut server = site.serve();
    wait_for(&site.data, 5);
    signal(&server, Signal::TERM);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    let batches = run_on(&site.data, &["batches", "--json"]).json();
    let batches = batches.as_array().unwrap();
    assert!(batches.iter().all(|batch| batch["source"] == "export"), "{batches:?}");
    let records: u64 = batches.iter().map(|batch| batch["records"].as_u64().unwrap()).sum();
    // What the kill kept from being noted may be there twice.
    assert!((5..=6).contains(&records), "{batches:?}");
}

#[test]
fn the_command_fetches_once_with_a_server_and_without() {
    let site = Site::new("1h");
    site.append(1);
    let pull = |name: &str| run_on(&site.data, &["pull", name, "--json", "--config", site.settings()]);
    let came = pull("export");
    assert_eq!(came.code, 0, "{}", came.err);
    let came = came.json();
    assert_eq!(
        (&came["records"], &came["taken"], &came["failed"]),
        (&1.into(), &1.into(), &0.into()),
        "{came}"
    );
    assert_eq!(pull("export").json()["taken"], 0);
    let unknown = pull("other");
    assert_eq!((unknown.code, unknown.err.trim()), (1, "error: there is no [pull.other] in the settings"));
    site.append(2);
    let mut server = site.serve();
    wait_for(&site.data, 2);
    site.append(3);
    assert_eq!(pull("export").json()["records"], 1);
    assert_eq!(run_on(&site.data, &["search", &sha1(3)]).code, 0);
    std::fs::write(site.top.path().join("export/notes.txt"), "neither JSON\nnor anything else\n").unwrap();
    let partly = run_on(&site.data, &["pull", "export", "--config", site.settings()]);
    assert_eq!(partly.code, 5, "{}", partly.err);
    assert!(partly.out.contains("not taken: notes.txt: it is of no known format"), "{}", partly.out);
    signal(&server, Signal::TERM);
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
