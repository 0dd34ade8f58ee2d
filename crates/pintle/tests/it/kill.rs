//! An ingest by command that is killed and run again. What a kill does to acknowledged batches, to a
//! start and to a rebuild, `pintle-faults kill` counts.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::command::{Ran, on, row, run_on, spawn};

/// Parts of its usual time after which an ingest is killed.
const KILLS: [f64; 5] = [0.9, 0.2, 0.5, 0.35, 0.7];

/// Rows of an input that fills several batches, each of a file of its own.
const ROWS: u32 = 50_000;

fn sha1_of_row(nth: u32) -> String {
    format!("f2{nth:038x}")
}

fn large_input(folder: &Path) -> String {
    let rows = (0..ROWS).map(|nth| row(nth % 90, "ws", nth % 60, &sha1_of_row(nth))).collect::<String>();
    let path = folder.join("large.json");
    std::fs::write(&path, rows).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Some of the files, in the order of their rows.
fn some_files() -> Vec<String> {
    (0..ROWS).step_by(500).map(sha1_of_row).collect()
}

/// What is known of these files, as `search` prints it; `None` if the process that was to answer
/// ended meanwhile.
fn look(data: &Path) -> Option<String> {
    let hashes = some_files();
    let mut arguments = vec!["search", "--json"];
    arguments.extend(hashes.iter().map(String::as_str));
    let ran = run_on(data, &arguments);
    (ran.code < 2).then_some(ran.out)
}

/// The same when nobody else has the folder.
fn search(data: &Path) -> String {
    look(data).unwrap()
}

/// How many of the files are known. Rows go in by their order, so these must be the first.
fn known(found: &str) -> usize {
    let lines: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), some_files().len());
    let known: Vec<bool> = lines.iter().map(|line| line["found"].as_bool().unwrap()).collect();
    assert!(known.is_sorted_by(|one, next| one >= next), "there is a gap: {known:?}");
    known.into_iter().filter(|known| *known).count()
}

#[test]
fn an_ingest_that_was_killed_is_completed_by_another() {
    let top = tempfile::tempdir().unwrap();
    let large = large_input(top.path());

    let whole = top.path().join("whole");
    let started = Instant::now();
    let uninterrupted = run_on(&whole, &["ingest", &large, "--json"]);
    let takes = started.elapsed();
    assert_eq!(uninterrupted.code, 0, "{}", uninterrupted.err);
    let (uninterrupted, answers) = (uninterrupted.json(), search(&whole));
    assert_eq!(known(&answers), some_files().len());

    let data = top.path().join("killed");
    let (mut kept, mut most_seen) = (0, 0);
    for part in KILLS {
        let mut child = spawn(&mut on(&data, &["ingest", &large, "--json"]));
        std::thread::sleep(takes.mul_f64(part));
        // What can be read of a running ingest is as good as reported to be done.
        let listening = UnixStream::connect(data.join("pintle.sock")).is_ok();
        let seen = listening.then(|| look(&data)).flatten().map_or(0, |found| known(&found));
        child.kill().unwrap();
        child.wait().unwrap();
        if !data.exists() {
            continue;
        }
        let found = known(&search(&data));
        assert!(
            found >= seen && found >= kept,
            "{found} files; {seen} were seen before the kill, {kept} after the one before"
        );
        (kept, most_seen) = (found, most_seen.max(seen));
    }
    println!("{kept} of {} files were in, {most_seen} were seen before a kill", some_files().len());

    let completed = Ran::of(on(&data, &["ingest", &large, "--json"]).output().unwrap());
    assert_eq!(completed.code, 0, "{}", completed.err);
    let completed = completed.json();
    for total in ["machines", "files", "alerts"] {
        assert_eq!(completed[total]["total"], uninterrupted[total]["total"], "{total}");
    }
    assert_eq!(completed["records"], ROWS);
    assert_eq!(kept > 0, completed["repeated_batches"].as_u64().unwrap() > 0);
    assert_eq!(search(&data), answers);
}
