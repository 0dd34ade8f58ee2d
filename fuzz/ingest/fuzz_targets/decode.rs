//! Any bytes as one record of the format whose name is in `FORMAT`. With `GROWN` set it decodes what the
//! samples of that format can grow to instead; with a folder in `SEEDS`, it writes what the fuzzing of all
//! targets begins with, and prints the formats' names.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pintle_fuzz_ingest::{decode, grown, most, seeds};
use pintle_ingest::{Decoder, Decoders};

static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
    let name = std::env::var("FORMAT").expect("FORMAT names a format");
    Decoders::default().named(&name).expect("a known format")
});

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("SEEDS") {
            let formats = seeds::write(Path::new(&folder)).expect("seeds can be written");
            formats.iter().for_each(|format| println!("{format}"));
            std::process::exit(0);
        }
        if std::env::var_os("GROWN").is_some() {
            let records = seeds::records(DECODER.name()).expect("samples can be read");
            grown::check(&DECODER, &records);
            std::process::exit(0);
        }
    },
    |record: &[u8]| decode(&DECODER, record, most(record.len()))
);
