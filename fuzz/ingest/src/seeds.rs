//! What fuzzing begins with: the samples beside the formats, and the words in them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use pintle_ingest::{Decoders, Layout};
use pintle_store::fuzzing::{self, Seeds};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{event_log, worked};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/ingest/src/formats/samples");
const PARQUET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/ingest/src/framing/parquet/samples");
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/store/tests/fixture/v1");
const MAPPINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/ingest/src/mappings");

/// How much of a sample framing begins with: what is longer costs time, and is of the same kind.
const ENOUGH: usize = 1024;

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
    let inputs: BTreeSet<Vec<u8>> = all.iter().map(|input| begin(input).to_vec()).collect();
    write_target(folder, "framing", &inputs.iter().flat_map(|input| framings(input)).collect(), &words)?;
    write_target(folder, "documents", &inputs.iter().flat_map(|input| documents(input)).collect(), &words)?;
    write_target(folder, "parquet", &parquet()?, &BTreeSet::new())?;
    write_target(folder, "event-log", &event_log::seeds(), &BTreeSet::new())?;
    write_target(folder, "store", &store()?, &BTreeSet::new())?;
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
    Ok(worked(Layout::Text, input)?
        .into_iter()
        .filter(|frame| frame.is_record())
        .map(|frame| frame.bytes)
        .collect())
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

/// The first of an input, to the end of a line if there is one.
fn begin(input: &[u8]) -> &[u8] {
    let short = &input[..input.len().min(ENOUGH)];
    match short.iter().rposition(|byte| *byte == b'\n') {
        Some(end) if short.len() < input.len() => &short[..=end],
        _ => short,
    }
}

/// An input as it may come, in each of the ways in which [`framing`](../framing.rs) reads it.
fn framings(input: &[u8]) -> Vec<Vec<u8>> {
    let utf16: Vec<u8> = String::from_utf8_lossy(&[b"\xef\xbb\xbf", input].concat())
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let inner = tar(&[("b.json", input), (".hidden", input)]);
    let mut inputs = vec![
        input.to_vec(),
        utf16,
        packed(input),
        gzip(input),
        gzip(&inner),
        tar(&[("a.json", input), ("sub/b.tar", &inner), ("c.gz", &gzip(input))]),
        zip(&[("a.json", input), ("sub/b.tar", &inner), ("c.zst", &packed(input))]),
    ];
    for (number, input) in (0u8..).zip(&mut inputs) {
        input.push(number << 5 | 8 | number);
    }
    inputs
}

/// An input as documents of Elasticsearch's, and as messages of a queue.
fn documents(input: &[u8]) -> Vec<Vec<u8>> {
    let lines = || input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(3);
    let enveloped = |line: &[u8]| {
        serde_json::json!({"@timestamp": "2026-01-15T09:30:00Z", "message": String::from_utf8_lossy(line)})
            .to_string()
    };
    let bulk = lines().flat_map(|line| {
        let action = format!("{{\"index\":{{\"_index\":\"a\",\"_id\":\"{}\"}}}}\n", line.len());
        [
            action.as_bytes(),
            line,
            b"\n{\"create\":{}}\n",
            enveloped(line).as_bytes(),
            b"\n{\"delete\":{\"_id\":\"1\"}}\n",
        ]
        .concat()
    });
    let bulk: Vec<u8> = bulk.collect();
    let one = lines().next().unwrap_or_default().to_vec();
    let messages: Vec<Vec<u8>> =
        lines().map(<[u8]>::to_vec).chain([gzip(&one), enveloped(&one).into_bytes()]).collect();
    [(bulk.clone(), 0x50), (gzip(&bulk), 0), (one, 2), (messages.join(AND), 3)]
        .map(|(mut seed, how)| {
            seed.push(how);
            seed
        })
        .to_vec()
}

fn gzip(input: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(input).and_then(|()| out.finish()).expect("memory can be written")
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        out.append_data(&mut header, name, *bytes).expect("memory can be written");
    }
    out.into_inner().expect("memory can be written")
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        out.start_file(*name, SimpleFileOptions::default()).expect("memory can be written");
        out.write_all(bytes).expect("memory can be written");
    }
    out.finish().expect("memory can be written").into_inner()
}

/// What the files of a data folder are made of, as `store` is told it.
fn store() -> io::Result<BTreeSet<Vec<u8>>> {
    let folder = Path::new(FIXTURE);
    let file = |name: &str| folder.join(name);
    let (segments, runs) = (
        [file("archive/00000001.seg"), file("archive/00000002.seg")],
        [file("base/00000001.run"), file("base/00000002.run")],
    );
    let found = Seeds::of(&segments.each_ref().map(PathBuf::as_path), &runs.each_ref().map(PathBuf::as_path));
    let mut seeds = BTreeSet::new();
    let mut add = |key: &[u8], rest: &[u8], what: u8| {
        if let Ok(length) = u8::try_from(key.len()) {
            seeds.insert([&[length], key, rest, &[what]].concat());
        }
    };
    for batch in &found.batches {
        add(b"", batch, 0);
    }
    let key = found.entries.get(found.entries.len() / 2).map_or(&b""[..], |(key, _)| key);
    found.blocks.iter().for_each(|block| add(key, block, 2));
    found.indexes.iter().for_each(|index| add(key, index, 4));
    for (key, value) in &found.entries {
        add(b"", key, 5);
        if let Some(table) = fuzzing::table_of(key) {
            add(b"", value, table << 4 | 9);
            add(value, value, table << 4 | 9);
        }
    }
    let manifest = fs::read(file("base/MANIFEST"))?;
    add(b"", &manifest[20..], 6);
    let contents = r#"{"format":1,"pintle":"0.1.0","made":"2026-01-15T08:00:00Z","files":[{"name":"archive/00000001.seg","bytes":1873,"sha256":"00"}]}"#;
    add(b"", contents.as_bytes(), 7);
    for run in &runs {
        add(key, &fs::read(run)?, 8);
    }
    Ok(seeds)
}

/// A Parquet file without what says that it is one: its pages, then what stands at its end, and the length of
/// that.
fn parquet_parts(file: &[u8]) -> Option<Vec<u8>> {
    let file = file.strip_prefix(b"PAR1")?.strip_suffix(b"PAR1")?;
    let (rest, length) = file.split_last_chunk::<4>()?;
    let length = u16::try_from(u32::from_le_bytes(*length)).ok()?;
    Some([rest, &length.to_le_bytes()].concat())
}

/// Files of the tests.
fn parquet() -> io::Result<BTreeSet<Vec<u8>>> {
    let mut seeds = BTreeSet::new();
    for file in fs::read_dir(PARQUET)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "parquet") {
            seeds.extend(parquet_parts(&fs::read(file)?));
        }
    }
    Ok(seeds)
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
