//! Any bytes as what is read from a data folder: batches of the archive, blocks, indexes, filters, keys and
//! values of the base, runs, a manifest, the contents of a backup. The last byte says what, the first how many of
//! the others are a key.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pintle_store::fuzzing;

/// A run is read as a file, of which there is one for each process.
static RUN: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("{}.run", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    let [length, bytes @ .., what] = bytes else { return };
    let (key, rest) = bytes.split_at(bytes.len().min(usize::from(*length)));
    match what % 16 {
        0 | 1 => fuzzing::batch(bytes),
        2 | 3 => fuzzing::block(rest, key),
        4 => fuzzing::index(rest, key),
        5 => fuzzing::key(bytes),
        6 => fuzzing::manifest(bytes),
        7 => fuzzing::contents(bytes),
        8 => fuzzing::run(&RUN, rest, key),
        // The upper bits say of which table, the key is one value and the rest another.
        _ => {
            let one = [rest.to_vec()];
            let two = [rest.to_vec(), key.to_vec()];
            fuzzing::values(what >> 4, if key.is_empty() { &one } else { &two });
        }
    }
});
