//! Any text as a query, as `$orderby`, as a path, and as a list of hashes. The first byte says as which.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pintle::fuzzing;
use pintle::http::odata::{ALERT, MACHINE, filter, order};
use pintle::http::page::{MAX_TOP, Options};

fuzz_target!(|bytes: &[u8]| {
    let Some((what, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    match what % 5 {
        0 => {
            let Ok(options) = Options::read(&text) else { return };
            assert!(options.top.is_none_or(|top| top <= MAX_TOP));
            for fields in [&MACHINE, &ALERT] {
                _ = options.orderby.as_deref().map(|text| order(text, fields));
                _ = options.filter.as_deref().map(|text| filter(text, fields));
            }
        }
        1 => {
            for fields in [&MACHINE, &ALERT] {
                _ = order(&text, fields);
            }
        }
        2 => fuzzing::path(&text),
        3 => fuzzing::hashes(rest, true),
        _ => fuzzing::hashes(rest, false),
    }
});
