//! Files with credentials.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Such a file.
const MAX_BYTES: u64 = 64 << 10;

/// The lines `NAME=VALUE` of a file; empty ones and those that begin with `#` say nothing.
pub fn read(file: &Path) -> Result<Vec<(String, String)>, String> {
    let said = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut text = String::new();
    let read = File::open(file).map_err(said)?.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(said)?;
    if read as u64 > MAX_BYTES {
        return Err(format!("{}: longer than {MAX_BYTES} bytes", file.display()));
    }
    let mut found = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("{}: line {} is not NAME=VALUE", file.display(), place + 1));
        };
        found.push((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()));
    }
    if found.is_empty() {
        return Err(format!("{}: there are no credentials in it", file.display()));
    }
    Ok(found)
}

/// The value of a line `NAME=` of a file.
pub fn of(file: &Path, lines: &[(String, String)], name: &str) -> Result<String, String> {
    let value = lines.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    value.ok_or_else(|| format!("{}: there is no line {name}=", file.display()))
}
