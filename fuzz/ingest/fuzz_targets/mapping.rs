//! Any text as a mapping, and what stands behind it as a record.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use pintle_fuzz_ingest::seeds::AND;
use pintle_fuzz_ingest::{decode, most};
use pintle_ingest::{Decoder, Mapping};

fuzz_target!(|bytes: &[u8]| {
    let place = bytes.windows(AND.len()).position(|window| window == AND);
    let (mapping, record) = match place {
        Some(place) => (&bytes[..place], &bytes[place + AND.len()..]),
        None => (bytes, &b"{}"[..]),
    };
    let Ok(text) = str::from_utf8(mapping) else { return };
    match Mapping::read(text) {
        // One member may be meant for every column.
        Ok(mapping) => decode(&Decoder::Mapping(Arc::new(mapping)), record, 8 * most(bytes.len())),
        Err(unusable) => assert!(!unusable.to_string().is_empty()),
    }
});
