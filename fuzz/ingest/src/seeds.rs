//! What fuzzing begins with: the samples beside the formats, and the words in them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pintle_ingest::{Decoders, Layout, work};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/ingest/src/formats/samples");
const MAPPINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/ingest/src/mappings");

/// What stands between a mapping and a record.
pub const AND: &[u8] = b"\n---\n";

/// Writes for each target a folder of seeds (`folder/TARGET/…`) and a dictionary (`folder/TARGET.dict`), and
/// gives the formats' names.
pub fn write(folder: &Path) -> io::Result<Vec<String>> {
    let formats: Vec<String> = Decoders::default().iter().map(|decoder| decoder.name().to_owned()).collect();
    let mut all = BTreeSet::new();
    let mut words = BTreeSet::new();
    for sample in samples()? {
        all.insert(fs::read(sample)?);
    }
    for format in &formats {
        let records = records(format)?;
        let of_format = self::words(&records);
        write_target(folder, format, &records, &of_format)?;
        words.extend(of_format);
    }
    write_target(
        folder,
        "framing",
        &all.iter().cloned().chain(all.iter().map(|input| packed(input))).collect(),
        &words,
    )?;
    write_target(folder, "mapping", &mappings(&all)?, &words)?;
    write_target(folder, "worker", &[said()].into(), &BTreeSet::new())?;
    Ok(formats)
}

/// The records in the samples of a format.
pub fn records(format: &str) -> io::Result<BTreeSet<Vec<u8>>> {
    let formats: Vec<String> = Decoders::default().iter().map(|decoder| decoder.name().to_owned()).collect();
    let mut records = BTreeSet::new();
    for sample in samples()?.into_iter().filter(|sample| is_of(sample, format, &formats)) {
        records.extend(split(&fs::read(&sample)?)?);
    }
    assert!(!records.is_empty(), "{format} has no sample");
    Ok(records)
}

fn write_target(
    folder: &Path,
    target: &str,
    seeds: &BTreeSet<Vec<u8>>,
    words: &BTreeSet<String>,
) -> io::Result<()> {
    let of_target = folder.join(target);
    fs::create_dir_all(&of_target)?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(of_target.join(format!("seed-{number:03}")), seed)?;
    }
    let words: String = words.iter().map(|word| format!("\"{}\"\n", word.replace('"', "\\\""))).collect();
    fs::write(folder.join(format!("{target}.dict")), words)
}

/// The inputs of all samples.
fn samples() -> io::Result<Vec<PathBuf>> {
    let mut samples = Vec::new();
    for folder in fs::read_dir(SAMPLES)? {
        for file in fs::read_dir(folder?.path())? {
            let file = file?.path();
            let is_input = file.file_stem().is_some_and(|stem| stem == "input");
            if is_input && file.extension().is_none_or(|extension| extension != "parquet") {
                samples.push(file);
            }
        }
    }
    samples.sort();
    Ok(samples)
}

/// Whether a sample is of that format: its folder's name begins with the format's, and with no longer one's.
fn is_of(sample: &Path, format: &str, formats: &[String]) -> bool {
    let name =
        sample.parent().and_then(Path::file_name).map(|name| name.to_string_lossy()).unwrap_or_default();
    let best =
        formats.iter().filter(|format| name.starts_with(format.as_str())).max_by_key(|format| format.len());
    best.is_some_and(|best| best == format)
}

/// The records of an input, which is what a worker says of it.
fn split(input: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let length = u32::try_from(input.len()).map_err(io::Error::other)?.to_le_bytes();
    let blocks = [&length[..], input, &[0; 4]].concat();
    let mut frames = Vec::new();
    work(Layout::Text, &mut &blocks[..], &mut frames)?;
    let mut rest = &frames[..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let mut head = [0; 13];
        rest.read_exact(&mut head)?;
        let length = u32::from_le_bytes([head[9], head[10], head[11], head[12]]) as usize;
        let (bytes, after) = rest.split_at(length);
        if head[0] == 2 {
            records.push(bytes.to_vec());
        }
        rest = after;
    }
    Ok(records)
}

/// The short texts in quotes: names of members and the like.
fn words(records: &BTreeSet<Vec<u8>>) -> BTreeSet<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _.:@#/-".contains(&byte);
    let mut words = BTreeSet::new();
    for record in records {
        let text = String::from_utf8_lossy(record);
        let quoted = text
            .split(['"', '\\'])
            .filter(|word| (2..=40).contains(&word.len()) && word.bytes().all(is_plain));
        words.extend(quoted.map(str::to_owned));
    }
    words.into_iter().take(800).collect()
}

/// One block of zstd as it is, which needs nothing to make it.
fn packed(input: &[u8]) -> Vec<u8> {
    let input = &input[..input.len().min(60_000)];
    let head = ((input.len() as u32) << 3 | 1).to_le_bytes();
    [b"\x28\xb5\x2f\xfd\x00\x58", &head[..3], input].concat()
}

/// The mappings that come with Pintle, each with records.
fn mappings(inputs: &BTreeSet<Vec<u8>>) -> io::Result<BTreeSet<Vec<u8>>> {
    let mut seeds = BTreeSet::new();
    for mapping in fs::read_dir(MAPPINGS)? {
        let mapping = fs::read(mapping?.path())?;
        for input in inputs {
            for record in split(input)?.into_iter().take(3) {
                seeds.insert([&mapping[..], AND, &record].concat());
            }
        }
    }
    Ok(seeds)
}

/// What a worker may say: that it wants a block, a record, something that is none, the end.
fn said() -> Vec<u8> {
    let frame = |kind: u8, bytes: &[u8]| {
        [&[kind, 7, 0, 0, 0, 0, 0, 0, 0][..], &(bytes.len() as u32).to_le_bytes(), bytes].concat()
    };
    let event = br#"{"Event":{"System":{"EventID":1,"Computer":"ws-1"}}}"#;
    [
        frame(1, &[]),
        frame(2, event),
        frame(3, &[]),
        frame(4, b"damaged\nxx"),
        frame(5, b"is long"),
        frame(6, &[]),
    ]
    .concat()
}
