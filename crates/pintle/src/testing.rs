//! Telemetry for tests.

use std::io::Write as _;

/// A row of an advanced hunting query, without an end of line: a machine and a file of that number.
pub(crate) fn row(n: usize) -> String {
    format!(
        r#"{{"Timestamp":"2026-01-15T09:00:00Z","DeviceId":"{:040x}","ActionType":"FileCreated","FileName":"a.exe","SHA1":"{:040x}","ReportId":{n}}}"#,
        n + 1,
        n + 1
    )
}

/// Packed by gzip.
pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
