//! `ARCHITECTURE.md` is a map: what it names is there.

use std::path::Path;

/// Where things of the repository lie, as opposed to `/api/…` or a data folder.
const PLACES: &[&str] = &["crates/", "tests/", "bench/", "faults/", "packaging/"];

/// The paths of the repository that stand between backticks.
fn named(page: &str) -> Vec<&str> {
    // Every second piece is between backticks, and so is a fence's.
    let quoted = page.split('`').skip(1).step_by(2);
    quoted.filter(|text| PLACES.iter().any(|place| text.starts_with(place))).collect()
}

#[test]
fn every_path_on_the_map_exists() {
    let top = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let page = std::fs::read_to_string(top.join("ARCHITECTURE.md")).unwrap();
    let named = named(&page);
    assert!(named.len() >= 20, "only {} paths are found on the page", named.len());
    let missing: Vec<_> = named.into_iter().filter(|path| !top.join(path).exists()).collect();
    assert!(missing.is_empty(), "not there: {missing:?}");
}

#[test]
fn paths_are_told_from_other_words_in_backticks() {
    let page = "`crates/a.rs`, `GET /api/tests/x`\n```\nmodel → `not code`\n```\n`tests/b/` and `u32`";
    assert_eq!(named(page), ["crates/a.rs", "tests/b/"]);
}
