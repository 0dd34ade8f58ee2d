//! Any bytes as a Parquet file, as a worker parses it: pages, and what stands behind them and says where they are,
//! of which the last two bytes say how long it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pintle_fuzz_ingest::check_worked;
use pintle_ingest::Layout;

/// What a file may come to, whatever it has, and what one row may be more.
const MOST: usize = (64 << 20) + (16 << 20);

fuzz_target!(|bytes: &[u8]| {
    let Some((parts, length)) = bytes.split_last_chunk() else { return };
    let length = u32::from(u16::from_le_bytes(*length));
    let file = [b"PAR1", parts, &length.to_le_bytes(), b"PAR1"].concat();
    check_worked(Layout::Parquet, &file, MOST.max(file.len() * 1_000));
});
