//! `pintle check`, `backup`, `verify` and `restore`, with a server on the folder and without.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::command::{Ran, on, row, run, run_on, run_with_input, spawn};

const KNOWN: &str = "00000000000000000000000000000000000000aa";

fn filled(data: &Path) {
    let ran =
        run_with_input(data, &["ingest", "-"], &(row(1, "ws-01", 1, KNOWN) + &row(2, "ws-02", 2, KNOWN)));
    assert_eq!(ran.code, 0, "{}", ran.err);
}

fn found(data: &Path) -> String {
    run_on(data, &["search", "--json", KNOWN]).out
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_backup_is_made_verified_and_restored_while_the_folder_is_in_use() {
    let top = tempfile::tempdir().unwrap();
    let (data, backup, restored) = (top.path().join("data"), top.path().join("b"), top.path().join("r"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    filled(&data);
    let made = run_on(&data, &["client", "create", "mine", "-p", "File.Read.All", "--json"]).json();

    // An ingest that waits for its input owns the folder as a server does.
    let mut owner = spawn(on(&data, &["ingest", "-"]).stdin(Stdio::piped()));
    let patience = Instant::now() + Duration::from_secs(60);
    while !data.join("pintle.sock").exists() {
        assert!(Instant::now() < patience, "nobody listens");
        std::thread::sleep(Duration::from_millis(20));
    }
    let checked = run_on(&data, &["check"]);
    assert!(checked.code == 0 && checked.out.starts_with("sound: "), "{} {}", checked.out, checked.err);
    // A relative path is that of the command, not of the owner.
    let mut relative = on(&data, &["backup", "b", "--json"]);
    let ran = Ran::of(relative.current_dir(top.path()).output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.json()["files"].as_u64().unwrap() >= 6 && ran.json()["bytes"].as_u64().unwrap() > 0);
    let again = run_on(&data, &["backup", &text(&backup)]);
    assert!(again.code == 1 && again.err.contains("not empty"), "{}", again.err);
    let inside = run_on(&data, &["backup", &text(&data.join("inside"))]);
    assert!(inside.code == 1 && inside.err.contains("in the data folder"), "{}", inside.err);
    owner.kill().unwrap();
    owner.wait().unwrap();

    let verified = run(&["verify", &text(&backup)]);
    assert!(verified.code == 0 && verified.out.starts_with("whole: "), "{} {}", verified.out, verified.err);
    let ran = run(&["restore", &text(&backup), &text(&restored)]);
    assert!(ran.code == 0 && ran.out.contains("everything until 20"), "{} {}", ran.out, ran.err);
    assert_eq!(found(&restored), found(&data));
    let applications = run_on(&restored, &["client", "list"]).out;
    assert!(applications.contains(made["client_id"].as_str().unwrap()), "{applications}");
    for name in ["control.json", "pepper", "issuer-keys.json"] {
        assert_eq!(std::fs::read(restored.join(name)).unwrap(), std::fs::read(data.join(name)).unwrap());
    }

    flip(&backup.join("pepper"));
    let verified = run(&["verify", &text(&backup)]);
    assert!(verified.code == 1 && verified.out.contains("b/pepper at byte 0"), "{}", verified.out);
    let refused = run(&["restore", &text(&backup), &text(&top.path().join("other"))]);
    assert!(refused.code == 1 && refused.err.contains("b/pepper"), "{}", refused.err);
    let refused = run(&["restore", &text(&backup), &text(&restored)]);
    assert!(refused.code == 1 && refused.err.contains("not empty"), "{}", refused.err);
    assert!(run(&["verify", &text(&data)]).err.contains("BACKUP.json"));
}

#[test]
fn every_damaged_file_is_named_with_what_to_do() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    assert_eq!(run_on(&data, &["check"]).code, 1, "there is nothing to check");
    filled(&data);
    let sound = run_on(&data, &["check", "--json"]);
    assert_eq!((sound.code, sound.json()["batches"].as_u64()), (0, Some(1)));

    flip(&data.join("archive/00000001.seg"));
    flip(&data.join("base/MANIFEST"));
    std::fs::write(data.join("control.json"), "{").unwrap();
    let ran = run_on(&data, &["check"]);
    assert_eq!(ran.code, 1);
    let line = |file: &str| ran.out.lines().find(|line| line.contains(file)).unwrap_or_default();
    assert!(line("data/archive/00000001.seg").contains("pintle restore"), "{}", ran.out);
    assert!(line("data/base/MANIFEST").contains("pintle rebuild"), "{}", ran.out);
    assert!(line("data/control.json").contains("restore it"), "{}", ran.out);
    assert!(ran.err.starts_with("3 damaged"), "{}", ran.err);
    assert_eq!(run_on(&data, &["check", "--json"]).json()["damages"].as_array().unwrap().len(), 3);
}
