//! Archives are read member by member as they were delivered: each is a source of its own, what is wrong with
//! one costs only it, and no archive takes more than an input may.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use std::io::{Cursor, Read, Seek as _, Write};

use pintle_ingest::{Choice, Content, Error, Reading, Summary, read};
use pintle_model::Record;
use pintle_model::tables::device_events;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The ids of the events in order; source, offset and reason of what was kept aside.
struct Outcome {
    ids: Vec<i64>,
    rejects: Vec<(String, u64, String)>,
    summary: Summary,
}

fn outcome_within(content: Content<'_>, max_bytes: u64) -> Result<Outcome, Error> {
    let (mut ids, mut rejects) = (Vec::new(), Vec::new());
    let deliver = &mut |batch: Vec<Record>, aside: Vec<pintle_store::Reject>| {
        for record in batch {
            let Record::Row(row) = record else { panic!("no row") };
            let fields = row.text(device_events::ADDITIONAL_FIELDS).unwrap();
            ids.push(serde_json::from_str::<serde_json::Value>(fields).unwrap()["EventID"].as_i64().unwrap());
        }
        rejects.extend(aside.into_iter().map(|reject| (reject.source, reject.offset, reject.reason)));
        Ok(())
    };
    let reading = Reading { max_bytes, ..Reading::of("a", Choice::default()) };
    let summary = read(content, reading, deliver, &mut |_| {})?;
    Ok(Outcome { ids, rejects, summary })
}

fn outcome(bytes: &[u8]) -> Result<Outcome, Error> {
    outcome_within(Content::stream(bytes), pintle_ingest::MAX_BYTES)
}

fn event(id: i64) -> String {
    format!(r#"{{"Hostname":"ws-1","Channel":"System","EventID":{id},"@timestamp":"2026-01-15T09:30:00Z"}}"#)
}

fn winlogbeat(id: i64) -> String {
    format!(
        r#"{{"@timestamp":"2026-01-15T09:30:00Z","winlog":{{"computer_name":"ws-1","channel":"System","provider_name":"p","event_id":{id}}},"event":{{"code":{id}}},"host":{{"name":"ws-1"}},"agent":{{"type":"winlogbeat","version":"7.0.0"}}}}"#
    )
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        // Names that the library would not write are written as they are.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zip_by(method: CompressionMethod, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_by(CompressionMethod::Deflated, members)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// Each member in a format and packing of its own, and things that are no telemetry.
fn delivery() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("logs/", Vec::new()),
        ("logs/b.json", format!("{}\n{}\n", event(1), event(2)).into_bytes()),
        ("logs/c.json.gz", gzip(event(3).as_bytes())),
        ("../d.json.zst", zstd(winlogbeat(4).as_bytes())),
        ("logs/.hidden.json", event(90).into_bytes()),
        ("__MACOSX/logs/._b.json", event(91).into_bytes()),
        ("README.txt", b"what this is\nand what it is not\n".to_vec()),
        ("bad.json", format!("{}\nrubbish\n{}\n", event(5), event(6)).into_bytes()),
        ("empty", Vec::new()),
    ]
}

fn members(delivery: &[(&'static str, Vec<u8>)]) -> Vec<(&'static str, Vec<u8>)> {
    delivery.iter().filter(|(name, _)| !name.ends_with('/')).cloned().collect()
}

#[test]
fn members_are_read_each_by_its_own_format_and_packing_and_named_in_what_is_kept_aside() {
    let delivery = delivery();
    let borrowed: Vec<(&str, &[u8])> = delivery.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let files = members(&delivery);
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let rejected = |name: &str, offset, reason: &str| (format!("a:{name}"), offset, reason.to_owned());
    for (kind, archive) in [
        ("tar", tar(&borrowed)),
        ("tar.gz", gzip(&tar(&borrowed))),
        ("tar.zst", zstd(&tar(&borrowed))),
        ("zip", zip(&files)),
        ("a zip that is stored", zip_by(CompressionMethod::Stored, &files)),
        ("zip.gz", gzip(&zip(&files))),
    ] {
        for is_file in [false, true] {
            let content = if is_file { Content::File(file(&archive)) } else { Content::stream(&archive[..]) };
            let outcome = outcome_within(content, pintle_ingest::MAX_BYTES).unwrap();
            assert_eq!(outcome.ids, [1, 2, 3, 4, 5, 6], "{kind}");
            let first = event(5).len() as u64 + 1;
            assert_eq!(
                outcome.rejects,
                [rejected("README.txt", 0, "of no known format"), rejected("bad.json", first, "not JSON")],
                "{kind}"
            );
            let summary = outcome.summary;
            assert_eq!((summary.records, summary.rejects()), (8, 2), "{kind}");
            assert_eq!(summary.format.as_deref(), Some("mixed"), "{kind}");
            assert_eq!(summary.packed_bytes, archive.len() as u64, "{kind}");
        }
    }
}

#[test]
fn an_archive_in_an_archive_is_opened_and_one_in_that_is_not() {
    let inner = zip(&[("x.json", event(1).as_bytes())]);
    let in_tar = tar(&[("in.zip", &inner), ("y.json", event(2).as_bytes())]);
    for (archive, ids) in [
        (in_tar.clone(), vec![1, 2]),
        (zip(&[("in.tar.gz", &gzip(&tar(&[("x.json", event(1).as_bytes())])))]), vec![1]),
        (zip(&[("in.zip", &inner)]), vec![1]),
    ] {
        let outcome = outcome(&archive).unwrap();
        assert_eq!((outcome.ids, outcome.rejects), (ids, vec![]));
    }
    let outcome = outcome(&tar(&[("deep.tar", &in_tar)])).unwrap();
    assert_eq!(outcome.ids, [2]);
    let reason = "an archive in an archive in an archive: unpack it and send what is in it";
    assert_eq!(outcome.rejects, [("a:deep.tar:in.zip".to_owned(), 0, reason.to_owned())]);
}

#[test]
fn a_member_that_is_damaged_costs_itself() {
    let text = (100..400).map(|id| event(id) + "\n").collect::<String>();
    let mut members = zip_by(
        CompressionMethod::Stored,
        &[("a.json", text.as_bytes()), ("b.json", event(1).as_bytes()), ("c.gz", &gzip(event(2).as_bytes()))],
    );
    // In the text of the first, so that its checksum is wrong; and in what the third is packed in.
    let place = members.windows(3).position(|bytes| bytes == b"399").unwrap();
    members[place] = b'2';
    let third = members.windows(2).position(|bytes| bytes == [0x1f, 0x8b]).unwrap();
    members[third + 12] ^= 0xff;
    let outcome = outcome(&members).unwrap();
    assert!(outcome.ids.contains(&100) && outcome.ids.contains(&1), "{:?}", outcome.ids);
    let names: Vec<&str> = outcome.rejects.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["a:a.json", "a:c.gz"]);
    assert_eq!(outcome.rejects[0].2, "damaged compressed data: reading stopped here");
}

#[test]
fn what_comes_before_the_damage_of_an_archive_is_kept() {
    let first = (1..200).map(|id| event(id) + "\n").collect::<String>();
    let second = (200..400).map(|id| event(id) + "\n").collect::<String>();
    let members: [(&str, &[u8]); 2] = [("b.json", first.as_bytes()), ("c.json", second.as_bytes())];
    let whole = tar(&members);
    for cut in [whole.len() - 3_000, 512 + 1024, 600] {
        let outcome = outcome(&whole[..cut]).unwrap();
        let (source, _, reason) = outcome.rejects.last().unwrap();
        assert_eq!(
            (source.as_str(), reason.as_str()),
            ("a", "damaged archive: what comes after this is not read")
        );
        assert!(cut < 1_000 || outcome.ids[0] == 1);
    }
    let mut broken = whole.clone();
    let header = whole.len() - 1024 - second.len().next_multiple_of(512) - 512;
    broken[header] ^= 1;
    assert_eq!(outcome(&broken).unwrap().ids.len(), 199);
    let packed = gzip(&whole);
    let outcome_of_packed = outcome(&packed[..packed.len() / 2]).unwrap();
    assert!(outcome_of_packed.rejects.iter().any(|(source, ..)| source == "a"));
    // Without its end, nothing says what of a zip counts.
    let cut = zip(&members);
    let lost = outcome(&cut[..cut.len() - 30]).unwrap();
    assert_eq!(
        lost.rejects,
        [("a".to_owned(), 0, "damaged archive: its directory cannot be read".to_owned())]
    );
}

#[test]
fn what_cannot_be_read_of_a_zip_is_said_by_name() {
    let mut archive = zip(&[("secret.json", event(1).as_bytes()), ("b.json", event(2).as_bytes())]);
    let directory = archive.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    archive[directory + 8] |= 1;
    let of = outcome(&archive).unwrap();
    assert_eq!(of.ids, [2]);
    assert_eq!(of.rejects[0].2, "encrypted: unpack it, and send what is in it");
    archive[directory + 8] &= !1;
    // 12: bzip2, in the directory and before the member.
    (archive[directory + 10], archive[8]) = (12, 12);
    let of = outcome(&archive).unwrap();
    assert_eq!(of.ids, [2]);
    assert_eq!(of.rejects[0].2, "packed in a way that is not read: only deflate and store are");
}

#[test]
fn long_names_count_and_what_claims_to_be_one_is_not_held() {
    let name = format!("{}/b.txt", "x".repeat(200));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    builder.append_data(&mut header, &name, &b"{}\n\n"[..]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    builder.append_pax_extensions([("path", format!("{name}2").as_bytes())]).unwrap();
    header.set_path("short").unwrap();
    header.set_size(3);
    header.set_cksum();
    builder.append(&header, &b"[1]"[..]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path("event").unwrap();
    header.set_size(event(1).len() as u64);
    header.set_cksum();
    builder.append(&header, event(1).as_bytes()).unwrap();
    let of = outcome(&builder.into_inner().unwrap()).unwrap();
    let names: Vec<&str> = of.rejects.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, [format!("a:{name}"), format!("a:{name}2")]);

    // A long name of 64 MiB, of which no more is held than a name can have.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(64 << 20);
    header.set_cksum();
    let rest = tar(&[("b.json", event(1).as_bytes())]);
    let bytes = header.as_bytes().chain(std::io::repeat(b'x').take(64 << 20)).chain(&rest[..]);
    let of = outcome_within(Content::stream(bytes), pintle_ingest::MAX_BYTES).unwrap();
    assert_eq!(of.ids, [1]);
}

#[test]
fn sparse_files_and_those_beyond_8_gib_are_said_and_links_are_passed_over() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "link.json", "/etc/passwd").unwrap();
    let mut sparse = tar::Header::new_gnu();
    sparse.set_entry_type(tar::EntryType::GNUSparse);
    sparse.set_size(0);
    sparse.as_gnu_mut().unwrap().set_real_size(1 << 60);
    sparse.set_path("sparse").unwrap();
    sparse.set_cksum();
    builder.append(&sparse, &b""[..]).unwrap();
    builder.append_pax_extensions([("size", &b"9000000000"[..])]).unwrap();
    let mut large = tar::Header::new_ustar();
    large.set_path("large").unwrap();
    large.set_size(0);
    large.set_cksum();
    builder.append(&large, &b""[..]).unwrap();
    let of = outcome(&builder.into_inner().unwrap()).unwrap();
    let told: Vec<&str> = of.rejects.iter().map(|(.., reason)| reason.as_str()).collect();
    assert_eq!(
        told,
        [
            "a sparse file: such are not read",
            "larger than 8 GiB: what comes after it in the archive is not read"
        ]
    );
}

#[test]
fn an_archive_takes_no_more_than_an_input_may_however_it_is_packed() {
    const MAX: u64 = 1 << 20;
    let zeros = vec![b'\n'; 3 << 20];
    let half = vec![b'\n'; 600 << 10];
    for (name, archive) in [
        ("zip", zip(&[("a", &zeros)])),
        ("several members", zip(&[("a", &half), ("b", &half)])),
        ("tar", tar(&[("a", &half), ("b", &half)])),
        ("tar.gz", gzip(&tar(&[("a", &half), ("b", &half)]))),
        ("packed in it", zip(&[("a", &gzip(&half)), ("b", &gzip(&half))])),
        ("passed over", gzip(&tar(&[(".a", &zeros), (".b", &zeros)]))),
        ("nested", zip(&[("a", &zip_by(CompressionMethod::Stored, &[("b", &zeros)]))])),
    ] {
        match outcome_within(Content::stream(&archive[..]), MAX) {
            Err(Error::Limit(limit)) => assert!(limit.contains("more than 1048576 bytes"), "{name}: {limit}"),
            other => panic!("{name}: {:?}", other.map(|outcome| outcome.summary)),
        }
    }
    // Packed twice: each packing by itself keeps the ratio, both together do not.
    let twice = gzip(&vec![b'\n'; 90 << 20]);
    let bomb = zip(&[("b.gz", &twice), ("c.gz", &twice)]);
    for content in [Content::stream(&bomb[..]), Content::File(file(&bomb))] {
        match outcome_within(content, pintle_ingest::MAX_BYTES) {
            Err(Error::Limit(limit)) => assert!(limit.contains("times its size"), "{limit}"),
            other => panic!("{:?}", other.map(|outcome| outcome.summary)),
        }
    }
}

#[test]
fn members_that_share_their_bytes_are_an_end_of_reading() {
    let text = " ".repeat(400 << 10) + &event(1);
    let one = zip_by(CompressionMethod::Stored, &[("b.json", text.as_bytes())]);
    let directory = one.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    let end = one.windows(4).position(|bytes| bytes == b"PK\x05\x06").unwrap();
    // The directory names the one member so often.
    let often = 20_u16;
    let mut archive = one[..directory].to_vec();
    (0..often).for_each(|_| archive.extend(&one[directory..end]));
    let size = archive.len() - directory;
    archive.extend(&one[end..end + 8]);
    archive.extend(often.to_le_bytes());
    archive.extend(often.to_le_bytes());
    archive.extend((size as u32).to_le_bytes());
    archive.extend((directory as u32).to_le_bytes());
    archive.extend([0, 0]);
    match outcome(&archive) {
        Err(Error::Limit(limit)) => assert!(limit.contains("overlap"), "{limit}"),
        other => panic!("{:?}", other.map(|outcome| outcome.summary)),
    }
}

#[test]
fn an_archive_has_no_more_members_than_it_may() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_path("b").unwrap();
    header.set_size(0);
    header.set_cksum();
    for _ in 0..=100_000 {
        builder.append(&header, &b""[..]).unwrap();
    }
    match outcome(&builder.into_inner().unwrap()) {
        Err(Error::Limit(limit)) => assert!(limit.contains("more than 100000 members"), "{limit}"),
        other => panic!("{:?}", other.map(|outcome| outcome.summary)),
    }
}

#[test]
fn an_archive_without_telemetry_is_of_no_known_format_and_an_empty_one_is_empty() {
    let letters = zip(&[("a.txt", b"dear all"), ("b.txt", b"yours")]);
    assert!(matches!(outcome(&letters), Err(Error::Unrecognised(..))));
    for empty in [zip(&[]), tar(&[(".hidden", b"x")])] {
        assert_eq!(outcome(&empty).unwrap().summary.records, 0);
    }
}

/// Whatever an adversary changes, it is an answer and no panic, and no more is read than allowed.
#[test]
fn changed_archives_are_read_or_refused() {
    let delivery = delivery();
    let files = members(&delivery);
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chance = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for archive in [tar(&files), zip(&files), zip_by(CompressionMethod::Stored, &files)] {
        for _ in 0..150 {
            let mut changed = archive.clone();
            for _ in 0..=chance(6) {
                let place = chance(changed.len());
                changed[place] = [0, 0xff, 1, b'7', changed[place] ^ 0x80][chance(5)];
            }
            if chance(4) == 0 {
                changed.truncate(chance(archive.len()));
            }
            let content = Content::File(file(&changed));
            if let Ok(outcome) = outcome_within(content, 1 << 20) {
                assert!(outcome.summary.bytes <= 1 << 20);
            }
        }
    }
}
