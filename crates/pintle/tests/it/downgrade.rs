//! A data folder of a newer pintle is refused by the name of the file that says so, and left as it is.

use std::path::{Path, PathBuf};

use crate::command::{row, run_on, run_with_input};

const KNOWN: &str = "00000000000000000000000000000000000000aa";

/// Raises the number of a file's format.
type Raise = fn(&[u8]) -> Vec<u8>;

/// Every file of a data folder that has one.
const NUMBERED: [(&str, Raise); 4] = [
    ("control.json", in_json),
    ("issuer-keys.json", in_json),
    ("archive", in_segment),
    ("base/MANIFEST", in_manifest),
];

fn in_json(bytes: &[u8]) -> Vec<u8> {
    let mut file: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    file["format"] = (file["format"].as_u64().unwrap() + 1).into();
    file.to_string().into_bytes()
}

/// After eight bytes of magic.
fn raised(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let number = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) + 1;
    bytes[8..12].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn in_segment(bytes: &[u8]) -> Vec<u8> {
    raised(bytes)
}

/// Its checksum is over the number, the length and what follows.
fn in_manifest(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = raised(bytes);
    let sum = crc32fast::hash(&[&bytes[8..16], &bytes[20..]].concat());
    bytes[16..20].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The file itself, or the last one in the folder of that name.
fn found(data: &Path, name: &str) -> PathBuf {
    let path = data.join(name);
    if path.is_file() {
        return path;
    }
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "seg")).max().unwrap()
}

#[test]
fn a_folder_of_a_newer_pintle_is_refused_by_name_and_left_as_it_is() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let said = run_with_input(&data, &["ingest", "-"], &row(1, "ws-01", 1, KNOWN));
    assert_eq!(said.code, 0, "{}", said.err);
    let asked = ["search", "--json", KNOWN];
    let before = run_on(&data, &asked);
    assert!(before.code == 0 && before.out.contains("ws-01"), "{} {}", before.out, before.err);
    for (name, raise) in NUMBERED {
        let file = found(&data, name);
        let sound = std::fs::read(&file).unwrap();
        let newer = raise(&sound);
        std::fs::write(&file, &newer).unwrap();
        let serve = ["serve", "--public-url", "http://localhost", "--listen", "127.0.0.1:0"];
        // Rebuilding reads the archive alone: of one that is not newer it makes a base that can be read.
        let rebuild: &[&str] = if name == "archive" { &["rebuild"] } else { &["client", "list"] };
        for command in [&serve[..], &["ingest", "-"], &asked, rebuild] {
            let refused = run_on(&data, command);
            let (err, shown) = (&refused.err, file.to_str().unwrap());
            assert!(
                refused.code != 0 && err.contains("newer pintle") && err.contains(shown),
                "{name}, {command:?}: {err}"
            );
        }
        assert_eq!(std::fs::read(&file).unwrap(), newer, "{name} was changed");
        std::fs::write(&file, &sound).unwrap();
        assert_eq!(run_on(&data, &asked).out, before.out, "after {name}");
    }
}
