//! `pintle generate`, and `pintle ingest` of what it wrote.

use std::path::Path;

use crate::command::{run, run_on};

/// Generates a small fleet into a file.
fn generate(out: &Path, more: &[&str]) -> String {
    let small = ["generate", "--machines", "3", "--days", "2", "--sightings-per-machine-day", "50"];
    let end = ["--end", "2026-01-16T23:30:00Z", "--out", out.to_str().unwrap()];
    let ran = run(&[&small[..], &end, more].concat());
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    ran.err
}

#[test]
fn what_is_generated_is_the_same_again_and_can_be_ingested_packed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for name in ["a.json", "b.json", "c.json.gz", "d.json.zst"] {
        let said = generate(&file(name), &[]);
        assert!(said.contains("pairs of file and machine"), "{said}");
    }
    generate(&file("other.json"), &["--seed", "2"]);
    let bytes = |name: &str| std::fs::read(file(name)).unwrap();
    assert_eq!(bytes("a.json"), bytes("b.json"));
    assert_ne!(bytes("a.json"), bytes("other.json"));
    assert!(bytes("c.json.gz").len() * 2 < bytes("a.json").len());
    assert!(bytes("d.json.zst").len() * 2 < bytes("a.json").len());

    let totals = |name: &str| {
        let data = tempfile::tempdir().unwrap();
        let ran = run_on(data.path(), &["ingest", "--json", file(name).to_str().unwrap()]);
        let said = ran.json();
        ["records", "machines", "files", "pairs", "alerts"].map(|member| said[member].clone())
    };
    let plain = totals("a.json");
    assert!(plain[0].as_u64().unwrap() > 5_000, "{plain:?}");
    assert_eq!(plain, totals("c.json.gz"));
    assert_eq!(plain, totals("d.json.zst"));
}

#[test]
fn it_stops_after_as_many_records_as_asked_for_and_says_what_it_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("some.json");
    generate(&file, &["--records", "100", "--format", "sysmon-json"]);
    let lines = std::fs::read_to_string(&file).unwrap().lines().filter(|line| line.ends_with('}')).count();
    assert_eq!(lines, 100);
    let ran = run(&["generate", "--format", "evtx", "--out", "Security.evtx"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot be written"), "{}", ran.err);
}
