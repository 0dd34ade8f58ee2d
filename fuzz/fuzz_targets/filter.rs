//! Any text as a `$filter`, and the filter on an entity and on what is none:
//! `cargo +nightly fuzz run filter fuzz/corpus/filter fuzz/seeds/filter`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pintle::http::odata::{ALERT, MACHINE, filter};

const ENTITY: &str = r#"{"id":"m1","lastSeen":"2026-01-15T08:00:00Z","rbacGroupId":1,"machineTags":["a\"b"],"evidence":[{"sha1":"ab"}]}"#;

fuzz_target!(|text: &str| {
    for fields in [&MACHINE, &ALERT] {
        if let Ok(filter) = filter(text, fields) {
            filter.matches(ENTITY);
            filter.matches(text);
        }
    }
});
