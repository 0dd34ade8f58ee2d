//! Whatever the bytes are wrapped in, the records in them come out, each at its offset; damage
//! costs what is damaged.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use std::io::{self, Read, Write};

use pintle_ingest::{DeliverError, Error, FORMATS, MAX_BYTES, Summary, read};
use pintle_model::Record;
use pintle_model::tables::device_events;

/// What came of an input: the event ids in order, and offset and reason of what was kept aside.
struct Outcome {
    ids: Vec<i64>,
    rejects: Vec<(u64, String)>,
    summary: Summary,
}

fn outcome(input: impl Read) -> Result<Outcome, Error> {
    let (mut ids, mut rejects) = (Vec::new(), Vec::new());
    let deliver = &mut |batch: Vec<Record>, aside: Vec<pintle_store::Reject>| {
        for record in batch {
            let Record::Row(row) = record else { panic!("no row") };
            let fields = row.text(device_events::ADDITIONAL_FIELDS).unwrap();
            let fields: serde_json::Value = serde_json::from_str(fields).unwrap();
            ids.push(fields["EventID"].as_i64().unwrap());
        }
        rejects.extend(aside.into_iter().map(|reject| (reject.offset, reject.reason)));
        Ok(())
    };
    let summary = read(input, "input", None, MAX_BYTES, deliver, &mut |_| {})?;
    Ok(Outcome { ids, rejects, summary })
}

fn read_all(input: impl AsRef<[u8]>) -> Outcome {
    outcome(input.as_ref()).unwrap()
}

fn event(id: i64) -> String {
    format!(
        r#"{{"Hostname":"ws-1","Channel":"System","EventID":{id},"@timestamp":"2026-01-15T09:30:00Z","Text":"a }} ] \" \\"}}"#
    )
}

/// An event over many lines, as a pretty printer gives it.
fn pretty(id: i64) -> String {
    let event: serde_json::Value = serde_json::from_str(&event(id)).unwrap();
    serde_json::to_string_pretty(&event).unwrap()
}

/// Gives its bytes a few at a time, as a network does.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(self.1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn records_come_out_of_every_wrapping_whatever_the_pieces_they_arrive_in() {
    let [a, b, c] = [event(1), event(2), event(3)];
    let [pa, pb, pc] = [pretty(1), pretty(2), pretty(3)];
    let wrappings = [
        ("lines", format!("{a}\n{b}\n{c}\n")),
        ("lines with CR LF, blank ones between", format!("{a}\r\n\r\n  {b}\r\n{c}\r\n\r\n")),
        ("no line end at the end", format!("{a}\n{b}\n{c}")),
        ("an array on one line", format!("[{a},{b},{c}]")),
        ("an array, an element a line", format!("[\n{a},\n{b},\n{c}\n]\n")),
        ("an array, pretty", format!("[\n{pa},\n{pb},\n{pc}\n]\n")),
        ("one after another, pretty", format!("{pa}\n{pb}\n{pc}\n")),
        ("one after another on one line", format!("{a}{b} {c}")),
        ("lines of arrays", format!("[{a}]\n[{b},{c}]\n")),
        ("streaming export", format!("{{\"records\":[{a},{b},{c}]}}")),
        ("streaming export, one a line", format!("{{\"records\":[{a}]}}\r\n{{\"records\":[{b},{c}]}}\r\n")),
        ("streaming export, run together", format!("{{\"records\":[{a}]}}{{\"records\":[{b},{c}]}}")),
        ("events, pretty", format!("{{\n \"events\": [\n{pa},\n{pb},\n{pc}\n ]\n}}\n")),
        (
            "API list with a link behind",
            format!(
                "{{\"@odata.context\":\"x\",\"@odata.count\":3,\"value\":[{a},{b},{c}],\"@odata.nextLink\":\"y]}}\"}}"
            ),
        ),
        (
            "hunting answer",
            format!("{{\"Stats\":{{\"a\":[1]}},\"Schema\":[{{\"Name\":\"x\"}}],\"Results\":[{a},{b},{c}]}}"),
        ),
        ("Graph hunting answer", format!("{{\"@odata.context\":\"x\",\"results\":[{a},{b},{c}]}}")),
    ];
    for (name, text) in wrappings {
        for size in [1, 7, usize::MAX] {
            let outcome = outcome(Trickle(text.as_bytes(), size)).unwrap();
            assert_eq!(outcome.ids, [1, 2, 3], "{name}, {size} bytes at a time");
            assert_eq!(outcome.rejects, [], "{name}, {size} bytes at a time");
            assert_eq!(outcome.summary.bytes, text.len() as u64, "{name}");
        }
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_record_and_utf16_is_read() {
    let text = format!("{}\r\n{}\r\n", event(1), event(2));
    let utf16 = |mark: u16, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(mark).chain(text.encode_utf16()).flat_map(bytes).collect()
    };
    for input in [
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        utf16(0xfeff, u16::to_le_bytes),
        utf16(0xfeff, u16::to_be_bytes),
    ] {
        let outcome = read_all(&input);
        assert_eq!((outcome.ids, outcome.rejects), (vec![1, 2], vec![]));
    }
}

#[test]
fn a_bad_line_is_kept_aside_with_its_offset_and_the_rest_goes_on() {
    let [a, b] = [event(1), event(2)];
    let text = format!("{a}\n#separator \\x09\n{b}\n\n{{\"Hostname\":\n{}", &a[..a.len() / 2]);
    let outcome = read_all(&text);
    assert_eq!(outcome.ids, [1, 2]);
    let offset = |part: &str| text.rfind(part).unwrap() as u64;
    assert_eq!(
        outcome.rejects,
        [
            (offset("#sep"), "not JSON".to_owned()),
            (offset("{\"Hostname\":\n"), "not JSON: cut off in the middle".to_owned()),
            (offset("{\"Hostname\":\"ws"), "not JSON: cut off in the middle".to_owned()),
        ]
    );
    assert_eq!(outcome.summary.records, 5);
    assert_eq!(outcome.summary.rejects_by_reason["not JSON: cut off in the middle"], 2);
}

#[test]
fn a_record_that_is_no_utf8_costs_only_itself() {
    let [a, b] = [event(1), event(2)];
    let input = [a.as_bytes(), b"\n{\"Hostname\":\"\xff\"}\n", b.as_bytes()].concat();
    let outcome = read_all(input);
    assert_eq!(outcome.ids, [1, 2]);
    assert_eq!(outcome.rejects, [(a.len() as u64 + 1, "not UTF-8".to_owned())]);
}

#[test]
fn documents_go_on_at_the_next_line_that_begins_a_value() {
    let [pa, pb, pc] = [pretty(1), pretty(2), pretty(3)];
    let cut = &pb[..pb.rfind("\n").unwrap()];
    for text in [
        format!("{pa}\nRecord 2\nrubbish\n{pc}\n"),
        format!("[\n{pa},\n{cut}\n{pc}\n]\n"),
        format!("{{\"events\": [\n{pa},\n{{\"EventID\": \"cut\n{pc}\n]}}\n"),
        format!("{pa}\n{{\"EventID\": 2,\n{pc}\n"),
        format!("{pa}\n}} ]\n{pc}\n"),
    ] {
        let outcome = read_all(&text);
        assert_eq!(outcome.ids, [1, 3], "{text}");
        assert_eq!(outcome.rejects.len(), 1, "{text}: {:?}", outcome.rejects);
    }
    let outcome = read_all(format!("[\n{pa},\n{cut}"));
    assert_eq!((outcome.ids, outcome.rejects.len()), (vec![1], 1));
    let outcome = read_all(format!("[{},1,null,\"x\",{}]", event(1), event(2)));
    assert_eq!((outcome.ids, outcome.rejects.len()), (vec![1, 2], 3));
}

#[test]
fn a_record_beyond_the_limit_is_passed_over_without_being_held() {
    let long = "x".repeat(17 * 1024 * 1024);
    let [a, b] = [event(1), event(2)];
    for text in [
        format!("{a}\n{{\"Text\":\"{long}\"}}\n{b}\n"),
        format!("[{a},{{\"Text\":\"{long}\"}},{b}]"),
        format!("[{a},{{\"Text\":[{}1]}},{b}]", "1,".repeat(long.len() / 2)),
    ] {
        let outcome = read_all(&text);
        assert_eq!(outcome.ids, [1, 2]);
        let place = text.find("{\"Text\":\"x").or(text.find("{\"Text\":[1")).unwrap() as u64;
        assert_eq!(outcome.rejects, [(place, "longer than 16 MiB".to_owned())]);
    }
}

#[test]
fn hostile_depth_is_a_reject() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let outcome = read_all(format!("{}\n{{\"a\":{deep}}}\n{}\n", event(1), event(2)));
    assert_eq!((outcome.ids, outcome.rejects.len()), (vec![1, 2], 1));
    let outcome = read_all(format!("[{},{{\"a\":{deep}}}\n]\n{}\n", event(1), event(2)));
    assert_eq!((outcome.ids, outcome.rejects.len()), (vec![1, 2], 1));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn gzip_members_and_zstd_frames_one_after_another_are_one_input() {
    let [a, b] = [event(1) + "\n", event(2) + "\n"];
    let skippable = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec();
    for packed in [
        [gzip(a.as_bytes()), gzip(b.as_bytes())].concat(),
        [zstd(a.as_bytes()), skippable.clone(), zstd(b.as_bytes())].concat(),
        [skippable, zstd((a + &b).as_bytes())].concat(),
    ] {
        let outcome = outcome(Trickle(&packed, 5)).unwrap();
        assert_eq!((outcome.ids, outcome.rejects), (vec![1, 2], vec![]));
        assert_eq!(outcome.summary.packed_bytes, packed.len() as u64);
    }
}

#[test]
fn a_packed_input_with_a_damaged_end_gives_what_came_before() {
    let text = (1..2000).map(|id| event(id) + "\n").collect::<String>();
    for mut packed in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        packed.truncate(packed.len() / 2);
        let outcome = read_all(packed);
        let damaged = outcome.summary.rejects_by_reason.get("damaged compressed data: reading stopped here");
        assert_eq!(damaged, Some(&1));
    }
}

#[test]
fn a_bomb_is_refused_by_the_name_of_the_limit() {
    let line = format!("{}\n{}", event(1), "\n".repeat(80 << 20));
    let bomb = gzip(line.as_bytes());
    assert!(bomb.len() < 1 << 20);
    match outcome(&bomb[..]) {
        Err(Error::Limit(limit)) => assert!(limit.contains("more than"), "{limit}"),
        other => panic!("{:?}", other.map(|outcome| outcome.summary)),
    }
}

#[test]
fn no_more_bytes_are_read_than_allowed_whatever_they_are() {
    const MAX: usize = 1 << 20;
    let zeros = vec![0; 4 * MAX];
    for (name, input) in [
        ("plain", (event(1) + "\n").repeat(2 * MAX / event(1).len()).into_bytes()),
        ("white space", gzip(&vec![b'\n'; 4 * MAX])),
        ("an event log", gzip(&[b"ElfFile\0", &zeros[..]].concat())),
        ("zstd", zstd(&vec![b' '; 4 * MAX])),
        ("what zstd passes over", [&b"\x5a\x2a\x4d\x18\0\0\x40\0"[..], &zeros].concat()),
    ] {
        let deliver = &mut |_, _| Ok(());
        match read(&input[..], "input", None, MAX as u64, deliver, &mut |_| {}) {
            Err(Error::Limit(limit)) => assert!(limit.contains("more than 1048576 bytes"), "{limit}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    // So many and no more is not too many.
    let exact = event(1);
    let deliver = &mut |_, _| Ok(());
    read(exact.as_bytes(), "input", None, exact.len() as u64, deliver, &mut |_| {}).unwrap();
}

#[test]
fn batches_end_at_the_same_records_whatever_the_pieces_they_arrive_in() {
    let text = (0..45_000).map(|id| event(id) + "\n").collect::<String>();
    let batches = |size: usize| {
        let mut sizes = Vec::new();
        let deliver = &mut |batch: Vec<Record>, _| {
            sizes.push(batch.len());
            Ok::<(), DeliverError>(())
        };
        read(Trickle(text.as_bytes(), size), "input", None, MAX_BYTES, deliver, &mut |_| {}).unwrap();
        sizes
    };
    assert_eq!(batches(usize::MAX), [20_000, 20_000, 5_000]);
    assert_eq!(batches(977), [20_000, 20_000, 5_000]);
}

#[test]
fn an_input_of_no_known_format_is_refused_with_the_names_of_the_formats() {
    for text in ["some words\nand more\n", "{\"a\":1}\n", "[1,2]", &"{\"a\":1}\n".repeat(1000)] {
        match outcome(text.as_bytes()) {
            Err(error @ Error::Unrecognised(_)) => {
                for format in FORMATS {
                    assert!(error.to_string().contains(format.name), "{error}");
                }
            }
            other => panic!("{text:.20}: {:?}", other.map(|outcome| outcome.summary)),
        }
    }
    assert_eq!(read_all("").summary, Summary::default());
    assert_eq!(read_all("\n \r\n").summary.records, 0);
}

#[test]
fn an_empty_list_is_counted_and_no_reject() {
    for text in ["{\"value\":[]}", "[]", "{\"@odata.context\":\"x\",\"value\":[ ]}\n"] {
        let summary = read_all(text).summary;
        assert_eq!((summary.records, summary.rejects()), (1, 0), "{text}");
        assert_eq!(summary.ignored["an empty list of records"], 1, "{text}");
    }
}

#[test]
fn what_delivers_and_what_reads_may_fail_and_that_is_an_error() {
    let refuse = &mut |_, _| Err(DeliverError::from("full"));
    let error = read(event(1).as_bytes(), "input", None, MAX_BYTES, refuse, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Deliver(_)), "{error}");

    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let text = event(1) + "\n";
    let error = outcome(text.as_bytes().chain(Broken)).map(|outcome| outcome.summary).unwrap_err();
    assert!(matches!(error, Error::Read(..)), "{error}");
}

#[test]
fn rejects_are_kept_up_to_a_number_and_counted_beyond_it() {
    let text = event(1) + "\n" + &"rubbish\n".repeat(12_000) + &event(2);
    let outcome = read_all(&text);
    assert_eq!(outcome.ids, [1, 2]);
    assert_eq!(outcome.rejects.len(), 10_000);
    assert_eq!(outcome.summary.rejects(), 12_000);
}

#[test]
fn an_event_log_that_is_none_is_a_reject() {
    for log in [&b"ElfFile\0"[..], &[&b"ElfFile\0"[..], &[0xff; 70_000]].concat()] {
        let outcome = read_all(log);
        assert_eq!(outcome.summary.format, Some("evtx"));
        assert!(outcome.summary.rejects() >= 1);
    }
}
