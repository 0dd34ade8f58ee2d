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

use pintle_ingest::{Choice, Content, Decoders, DeliverError, Error, MAX_BYTES, Reading, Summary, read};
use pintle_model::tables::device_events;
use pintle_model::{Cell, Record};

/// What came of an input: the event ids in order, and offset and reason of what was kept aside.
struct Outcome {
    ids: Vec<i64>,
    rejects: Vec<(u64, String)>,
    summary: Summary,
}

fn outcome(input: impl Read + Send) -> Result<Outcome, Error> {
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
    let summary =
        read(Content::stream(input), Reading::of("input", Choice::default()), deliver, &mut |_| {})?;
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
    let up_to = |max_bytes| Reading { max_bytes, ..Reading::of("input", Choice::default()) };
    let zeros = vec![0; 4 * MAX];
    for (name, input) in [
        ("plain", (event(1) + "\n").repeat(2 * MAX / event(1).len()).into_bytes()),
        ("white space", gzip(&vec![b'\n'; 4 * MAX])),
        ("an event log", gzip(&[b"ElfFile\0", &zeros[..]].concat())),
        ("zstd", zstd(&vec![b' '; 4 * MAX])),
        ("what zstd passes over", [&b"\x5a\x2a\x4d\x18\0\0\x40\0"[..], &zeros].concat()),
    ] {
        let deliver = &mut |_, _| Ok(());
        match read(Content::stream(&input[..]), up_to(MAX as u64), deliver, &mut |_| {}) {
            Err(Error::Limit(limit)) => assert!(limit.contains("more than 1048576 bytes"), "{limit}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    // So many and no more is not too many.
    let exact = event(1);
    let deliver = &mut |_, _| Ok(());
    read(Content::stream(exact.as_bytes()), up_to(exact.len() as u64), deliver, &mut |_| {}).unwrap();
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
        read(
            Content::stream(Trickle(text.as_bytes(), size)),
            Reading::of("input", Choice::default()),
            deliver,
            &mut |_| {},
        )
        .unwrap();
        sizes
    };
    assert_eq!(batches(usize::MAX), [20_000, 20_000, 5_000]);
    assert_eq!(batches(977), [20_000, 20_000, 5_000]);
}

#[test]
fn an_input_of_no_known_format_is_refused_with_the_names_of_the_formats() {
    for text in ["some words\nand more\n", "{\"a\":1}\n", "[1,2]", &"{\"a\":1}\n".repeat(1000)] {
        match outcome(text.as_bytes()) {
            Err(error @ Error::Unrecognised(..)) => {
                for decoder in Decoders::default().iter() {
                    assert!(error.to_string().contains(decoder.name()), "{error}");
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
    let error = read(
        Content::stream(event(1).as_bytes()),
        Reading::of("input", Choice::default()),
        refuse,
        &mut |_| {},
    )
    .unwrap_err();
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
        assert_eq!(outcome.summary.format.as_deref(), Some("evtx"));
        assert!(outcome.summary.rejects() >= 1);
    }
}

#[test]
fn rows_of_a_table_are_records_by_its_header() {
    let table = |delimiter: &str, end: &str| {
        let rows = [
            ["Computer", "EventID", "EventData"],
            ["ws-1", "7", "\"{\"\"Text\"\":\"\"a b\"\"}\""],
            ["\"ws\r\n-1\"", "8", ""],
            ["ws-1", "9", ""],
        ];
        rows.map(|row| row.join(delimiter)).join(end) + end
    };
    for text in [
        table(",", "\n"),
        table(";", "\r\n"),
        table("\t", "\n"),
        "\u{feff}".to_owned() + &table(",", "\n"),
        "\n\n".to_owned() + table(",", "\n\n").trim_end(),
    ] {
        for size in [1, 7, usize::MAX] {
            let outcome = outcome(Trickle(text.as_bytes(), size)).unwrap();
            assert_eq!(outcome.ids, [7, 8, 9], "{text:?} by {size}");
            assert!(outcome.rejects.is_empty(), "{text:?}: {:?}", outcome.rejects);
        }
    }
}

#[test]
fn a_bad_row_of_a_table_is_kept_aside_and_the_rest_goes_on() {
    let mut text = b"Computer,EventID,EventData\nws-1,1,\nws-1,2,,more\nws-1,3\nws-".to_vec();
    text.extend_from_slice(b"\xff,4,\nws-1,5,\n");
    text.extend(b"ws-1,6,".iter().chain(&[b'x'; 17 << 20]).chain(b"\nws-1,7,\n"));
    let outcome = read_all(&text);
    // A row with fewer fields than the header lacks the last.
    assert_eq!(outcome.ids, [1, 3, 5, 7]);
    let reasons: Vec<&str> = outcome.rejects.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons, ["more fields than the header has names", "not UTF-8", "longer than 16 MiB"]);
    assert_eq!(outcome.rejects[0].0, 35);
    let many = "a,".repeat(5000) + "b\n" + &"1,".repeat(5000);
    assert!(matches!(self::outcome(many.as_bytes()), Err(Error::Unrecognised(..))));
}

#[test]
fn names_before_lines_of_json_are_no_header() {
    let outcome = read_all(format!("time, place\n{}\n{}\n", event(1), event(2)));
    assert_eq!(outcome.ids, [1, 2]);
    assert_eq!(outcome.rejects.len(), 1);
}

#[test]
fn a_hit_of_a_search_engine_is_the_document_in_it() {
    let hit = |id| format!(r#"{{"_index":"a","_id":"{id}","_source":{}}}"#, event(id));
    assert_eq!(read_all(format!("{}\n{}\n", hit(1), event(2))).ids, [1, 2]);
    // An event may have a member of that name.
    let own = event(3).replacen('{', "{\"_source\":{},", 1);
    assert_eq!(read_all(own).ids, [3]);
}

#[test]
fn the_decoder_is_told_once_or_for_every_record() {
    let other = r#"{"TimeGenerated":"2026-01-15T09:30:00Z","Computer":"ws-1","EventID":2,"EventData":"{}"}"#;
    let text = format!("{}\n{other}\n{}\n", event(1), event(3));
    let of = |choice| {
        let mut count = 0;
        let deliver = &mut |batch: Vec<Record>, _| {
            count += batch.len();
            Ok(())
        };
        let summary =
            read(Content::stream(text.as_bytes()), Reading::of("input", choice), deliver, &mut |_| {})
                .unwrap();
        (summary.format.unwrap().into_owned(), count)
    };
    assert_eq!(of(Choice::default()).0, "sysmon-json");
    assert_eq!(of(Choice::Each(Decoders::default())), ("mixed".to_owned(), 3));
    let only = Decoders::default().named("Sysmon-JSON").unwrap();
    assert_eq!(of(Choice::Only(only)).0, "sysmon-json");
}

/// What a table's rows become.
fn rows(table: impl Read + Send) -> (Vec<String>, Summary) {
    let mut rows = Vec::new();
    let deliver = &mut |batch: Vec<Record>, _| {
        for record in batch {
            let Record::Row(row) = record else { panic!("no row") };
            let cells = row.cells().filter_map(|(_, cell)| match cell {
                Cell::Text(text) => Some(text.to_owned()),
                Cell::Time(time) => Some(time.to_string()),
                _ => None,
            });
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
        Ok(())
    };
    let reading = Reading::of("table", Choice::default());
    let summary = read(Content::stream(table), reading, deliver, &mut |_| {}).unwrap();
    (rows, summary)
}

#[test]
fn a_table_is_read_whatever_its_header_adds_to_the_names() {
    let row = "2026-01-15T09:00:00Z,d1,DpapiAccessed,\"a,\nb\"";
    let read = "2026-01-15T09:00:00Z|d1|DpapiAccessed|a,\nb";
    for (name, table) in [
        ("plain", format!("Timestamp,DeviceId,ActionType,FileName\n{row}\n")),
        ("with zones", format!("Timestamp [UTC],DeviceId,ActionType,FileName\r\n{row}\r\n")),
        ("local time, quoted", format!("\"Timestamp [Local Time]\",\"DeviceId\",ActionType,FileName\n{row}")),
        ("numbered rows", format!(",Timestamp,DeviceId,ActionType,FileName\n0,{row}\n")),
        ("semicolons", format!("Timestamp;DeviceId;ActionType;FileName\n{}\n", row.replace(',', ";"))),
    ] {
        let wanted = if name == "semicolons" { read.replace(',', ";") } else { read.to_owned() };
        for size in [1, 7, usize::MAX] {
            let (rows, summary) = rows(Trickle(table.as_bytes(), size));
            assert_eq!(rows, [wanted.as_str()], "{name}, {size} bytes at a time");
            assert_eq!((summary.records, summary.rejects()), (1, 0), "{name}");
        }
    }
}

#[test]
fn rows_may_be_wide_and_long() {
    let more: String = (0..300).map(|column| format!(",Column{column}")).collect();
    let (empty, long) = (",".repeat(300), "x".repeat(100_000));
    let table =
        format!("Timestamp,DeviceId,ActionType{more},FileName\n2026-01-15T09:00:00Z,d1,X{empty},{long}\n");
    let wanted = format!("2026-01-15T09:00:00Z|d1|X|{long}");
    assert_eq!(rows(Trickle(table.as_bytes(), 1000)).0, [wanted.as_str()]);
}

#[test]
fn a_header_that_names_too_little_or_something_twice_is_none() {
    for header in
        [",Timestamp,,DeviceId", ",,Timestamp,DeviceId", ",", "Timestamp,Timestamp [UTC],DeviceId", "1,2"]
    {
        let table = format!("{header}\n1,2026-01-15T09:00:00Z,d1,x\n");
        let reading = Reading::of("table", Choice::default());
        let content = Content::stream(table.as_bytes());
        let result = read(content, reading, &mut |_, _| Ok(()), &mut |_| {});
        assert!(matches!(result, Err(Error::Unrecognised(..))), "{header}");
    }
}

#[test]
fn parquet_is_read_packed_or_not_and_no_row_is_made_beyond_what_an_input_may_have() {
    let file = include_bytes!("../src/formats/samples/ocsf-parquet/input.parquet");
    let of = |input: &[u8], max_bytes| {
        let mut count = 0;
        let deliver = &mut |records: Vec<Record>, _| {
            count += records.len();
            Ok(())
        };
        let reading = Reading { max_bytes, ..Reading::of("input", Choice::default()) };
        read(Content::stream(input), reading, deliver, &mut |_| {}).map(|summary| (count, summary))
    };
    let (count, summary) = of(file, MAX_BYTES).unwrap();
    assert_eq!(summary.format.as_deref(), Some("ocsf"));
    assert_eq!((summary.records, summary.rejects()), (6, 0));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(file).unwrap();
    assert_eq!(of(&packed.finish().unwrap(), MAX_BYTES).unwrap().0, count);

    // 12 KiB of file make 30 KiB of rows.
    let file = include_bytes!("../src/framing/parquet/samples/distances-v2-zstd.parquet");
    match of(file, 20_000) {
        Err(Error::Limit(limit)) => assert!(limit.contains("more than 20000 bytes"), "{limit}"),
        other => panic!("{other:?}"),
    }
    match of(file, MAX_BYTES) {
        Err(Error::Unrecognised(..)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_part_of_a_file_is_read_as_what_the_file_is_and_told_by_the_files_offsets() {
    use pintle_ingest::{Growth, PartOf};
    let rejects = |bytes: &[u8], part: PartOf| {
        let (mut records, mut rejects) = (0, Vec::new());
        let deliver = &mut |batch: Vec<Record>, aside: Vec<pintle_store::Reject>| {
            records += batch.len();
            rejects.extend(aside.into_iter().map(|reject| reject.offset));
            Ok(())
        };
        let reading = Reading { part: Some(part), ..Reading::of("input", Choice::default()) };
        read(Content::stream(bytes), reading, deliver, &mut |_| {}).unwrap();
        (records, rejects)
    };
    // By itself the part would be a document that does not end.
    let text = format!("{}\n{{\"cut off\n{}\n", event(1), event(2));
    let from = event(1).len() + 1;
    let lines = PartOf { growth: Growth::Lines, from: from as u64, is_whole: false };
    assert_eq!(rejects(&text.as_bytes()[from..], lines), (1, vec![from as u64]));
    let whole = PartOf { is_whole: true, ..lines };
    for bytes in [text.as_bytes(), &gzip(text.as_bytes())] {
        assert_eq!(rejects(bytes, whole), (1, vec![from as u64]));
    }
    // The mark of UTF-16 at the beginning of a line is only rubbish.
    let torn = [b"\xff\xferubbish\n", event(2).as_bytes(), b"\n"].concat();
    assert_eq!(rejects(&torn, lines), (1, vec![from as u64]));
    let header = "Hostname,Channel,EventID,@timestamp\n";
    let row = "ws-1,System,7,2026-01-15T09:30:00Z\n";
    let table = format!("{header}{row}{row}1,2,3,4,5\n");
    let from = header.len() + row.len();
    let (growth, bad) = (Growth::Table(header.len() as u64), vec![(from + row.len()) as u64]);
    let part = PartOf { growth, from: from as u64, is_whole: false };
    let rest = [header, &table[from..]].concat();
    assert_eq!(rejects(rest.as_bytes(), part), (1, bad.clone()));
    assert_eq!(rejects(&gzip(table.as_bytes()), PartOf { is_whole: true, ..part }), (1, bad));
}
