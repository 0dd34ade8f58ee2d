//! The same rows in many ways of writing Parquet, by another writer than ours (`samples/make.py`), and what
//! becomes of files that are damaged or hostile.

use serde_json::Value;

use super::*;

const ROWS: &str = include_str!("samples/rows.jsonl");
const FILES: &[(&str, &[u8])] = &[
    ("plain", include_bytes!("samples/plain.parquet")),
    ("dictionary-snappy", include_bytes!("samples/dictionary-snappy.parquet")),
    ("gzip", include_bytes!("samples/gzip.parquet")),
    ("zstd", include_bytes!("samples/zstd.parquet")),
    ("lz4-v2", include_bytes!("samples/lz4-v2.parquet")),
    ("distances-v2-zstd", include_bytes!("samples/distances-v2-zstd.parquet")),
    ("old-int96", include_bytes!("samples/old-int96.parquet")),
    ("old-lists", include_bytes!("samples/old-lists.parquet")),
];

/// Rows by their numbers, and why something was none.
type Pieces = (Vec<(u64, Value)>, Vec<String>);

/// What is in a file.
fn pieces(file: &[u8]) -> Result<Pieces, Stop> {
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    let mut file = file;
    split(&mut file, &mut |piece| {
        match piece {
            Piece::Record { offset, bytes } => rows.push((offset, serde_json::from_slice(bytes).unwrap())),
            Piece::Bad { reason, .. } => bad.push(reason.to_owned()),
            Piece::Empty => panic!("an empty list"),
        }
        Ok(())
    })?;
    Ok((rows, bad))
}

#[test]
fn rows_are_the_same_however_a_file_was_written() {
    let wanted: Vec<Value> = ROWS.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    for (name, file) in FILES {
        let (rows, bad) = pieces(file).unwrap();
        assert!(bad.is_empty(), "{name}: {bad:?}");
        assert_eq!(rows.len(), wanted.len(), "{name}");
        for (place, (offset, row)) in rows.iter().enumerate() {
            assert_eq!(*offset, place as u64, "{name}");
            assert_eq!(row, &wanted[place], "{name}, row {place}");
        }
    }
}

#[test]
fn whatever_is_changed_in_a_file_reading_it_ends() {
    // A generator of numbers by itself, so that a failure can be had again.
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for (name, file) in FILES {
        let footer = u32::from_le_bytes(*file[..file.len() - 4].last_chunk().unwrap()) as usize;
        for round in 0..100 {
            let mut file = file.to_vec();
            for _ in 0..=round % 4 {
                // Every other time where the file says what it is.
                let from = if round % 2 == 0 { 0 } else { file.len() - footer - 8 };
                let place = from + random(file.len() - from);
                file[place] = random(256) as u8;
            }
            match pieces(&file) {
                Ok((rows, _)) => assert!(rows.len() < 1_000_000, "{name}"),
                Err(Stop::Said(Error::Limit(_))) => {}
                Err(stop) => panic!("{name}: {stop:?}"),
            }
        }
        for length in (0..file.len()).step_by(97) {
            let (rows, bad) = pieces(&file[..length]).unwrap();
            assert!(rows.is_empty() && bad == [DAMAGED_FILE], "{name} cut to {length}");
        }
    }
}

#[test]
fn damage_costs_the_group_of_rows_that_it_is_in() {
    let (_, plain) = FILES[0];
    let mut file = plain.to_vec();
    // Into the pages of the first group of rows.
    file[200..1500].fill(0xee);
    let (rows, bad) = pieces(&file).unwrap();
    assert_eq!(bad, [DAMAGED_ROWS]);
    assert!(rows.iter().filter(|(offset, _)| *offset >= 25).count() == 35, "{}", rows.len());
}

/// A file of this footer, and these bytes before it.
fn file(pages: &[u8], footer: &[u8]) -> Vec<u8> {
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    [&MAGIC, pages, footer, &length, &MAGIC].concat()
}

/// A number as Thrift writes one.
fn number(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    loop {
        let byte = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// The head of a list of structs.
fn list(count: usize) -> Vec<u8> {
    let mut head = vec![0xfc];
    // Not signed, so half of what a signed number would be.
    let mut rest = count;
    while rest >= 0x80 {
        head.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    head.push(rest as u8);
    head
}

/// A node of a schema: kind and repetition if it has them, its name, how many are in it.
fn node(kind: Option<i64>, repetition: i64, children: i64) -> Vec<u8> {
    let mut node = Vec::new();
    match kind {
        Some(kind) => node.extend([vec![0x15], number(kind), vec![0x25], number(repetition)].concat()),
        None => node.extend([vec![0x35], number(repetition)].concat()),
    }
    node.extend([0x18, 1, b'a']);
    if children > 0 {
        node.extend([vec![0x15], number(children)].concat());
    }
    node.push(0);
    node
}

/// A footer with this schema and, as the only group, `rows` rows of one column of `length` bytes.
fn footer(schema: &[Vec<u8>], rows: i64, length: usize) -> Vec<u8> {
    let column = [
        vec![0x3c],       // 3: what the column is
        vec![0x45, 0x00], // 4: its codec, none
        vec![0x36],       // 7: its bytes
        number(length as i64),
        vec![0x26], // 9: where they begin
        number(4),
        vec![0, 0],
    ]
    .concat();
    let group = [vec![0x19], list(1), column, vec![0x26], number(rows), vec![0]].concat();
    [vec![0x29], list(schema.len()), schema.concat(), vec![0x29], list(1), group, vec![0]].concat()
}

/// A page of values, of which so many are said to be there, after what it holds unpacked.
fn page(count: i64, encoding: i64, bytes: &[u8]) -> Vec<u8> {
    let size = number(bytes.len() as i64);
    let header = [vec![0x15, 0, 0x15], size.clone(), vec![0x15], size, vec![0x2c, 0x15], number(count)];
    let rest = [vec![0x15], number(encoding), vec![0x15], number(3), vec![0x15], number(3), vec![0, 0]];
    [header.concat(), rest.concat(), bytes.to_vec()].concat()
}

#[test]
fn a_schema_deeper_or_wider_than_any_honest_one_is_refused_before_it_is_followed() {
    let deep: Vec<_> = (0..10_000).map(|_| node(None, 1, 1)).collect();
    let wide = [vec![node(None, 0, 5_000)], vec![node(Some(6), 1, 0); 5_000]].concat();
    for schema in [deep, wide] {
        let stop = pieces(&file(&[], &footer(&schema, 1, 0))).unwrap_err();
        assert!(matches!(&stop, Stop::Said(Error::Limit(limit)) if limit.contains("columns")), "{stop:?}");
    }
    // A node that has two billion in it, says the file.
    let lying = [node(None, 0, i32::MAX.into()), node(Some(6), 1, 0)];
    assert_eq!(pieces(&file(&[], &footer(&lying, 1, 0))).unwrap().1, [DAMAGED_FILE]);
}

#[test]
fn a_footer_with_groups_of_nothing_is_refused() {
    // Groups of rows that take a byte each, more than there may be.
    let groups = [list(100_000), vec![0; 100_000]].concat();
    let schema = [list(2), node(None, 0, 1), node(Some(1), 0, 0)].concat();
    let many = [vec![0x29], schema, vec![0x29], groups, vec![0]].concat();
    let stop = pieces(&file(&[], &many)).unwrap_err();
    assert!(matches!(&stop, Stop::Said(Error::Limit(limit)) if limit.contains("groups")), "{stop:?}");
    // A billion rows without a column.
    let none = [vec![0x29], list(1), node(None, 0, 0), vec![0x29], list(1)].concat();
    let none = [none, vec![0x36], number(1_000_000_000), vec![0, 0]].concat();
    assert_eq!(pieces(&file(&[], &none)).unwrap().1, [DAMAGED_FILE]);
}

#[test]
fn a_footer_is_read_as_this_test_writes_it() {
    let schema = [node(None, 0, 1), node(Some(1), 0, 0)];
    let pages = page(2, 0, &[7, 0, 0, 0, 8, 0, 0, 0]);
    let (rows, bad) = pieces(&file(&pages, &footer(&schema, 2, pages.len()))).unwrap();
    assert_eq!(bad, [""; 0]);
    assert_eq!(rows.iter().map(|(_, row)| row["a"].as_i64().unwrap()).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn a_few_bytes_that_say_the_same_a_billion_times_are_refused() {
    // Levels: a run of 2^31 - 1 times 1; a list of as many elements in one row, or as many rows.
    let most = i64::from(i32::MAX);
    let run = |value: u8| {
        let mut run = vec![0xfe, 0xff, 0xff, 0xff, 0x0f, value];
        run.splice(0..0, (run.len() as u32).to_le_bytes());
        run
    };
    for (repetition, levels) in [(2, [run(1), run(1)].concat()), (1, run(0))] {
        let schema = [node(None, 0, 1), node(Some(0), repetition, 0)];
        let pages = page(most, 3, &[levels, vec![0; 4], vec![0xfe, 0xff, 0xff, 0xff, 0x0f, 1]].concat());
        let stop = pieces(&file(&pages, &footer(&schema, most, pages.len()))).unwrap_err();
        assert!(
            matches!(&stop, Stop::Said(Error::Limit(limit)) if limit.contains("1,000 times")),
            "{stop:?}"
        );
    }
}

#[test]
fn a_row_longer_than_a_record_may_be_is_kept_aside_and_the_next_one_read() {
    // Lists of texts: the second row has one of 17 MiB, and another that is short.
    let schema = [node(None, 0, 1), node(Some(6), 2, 0)];
    let text =
        |length: usize| [&u32::try_from(length).unwrap().to_le_bytes()[..], &vec![b'x'; length]].concat();
    let levels = |bits: u8| [&2_u32.to_le_bytes()[..], &[3, bits]].concat();
    let bytes = [levels(0b0100), levels(0b1111), text(1), text(17 << 20), text(2), text(3)].concat();
    let pages = page(4, 0, &bytes);
    let (rows, bad) = pieces(&file(&pages, &footer(&schema, 3, pages.len()))).unwrap();
    assert_eq!(bad, [TOO_LONG]);
    let rows: Vec<_> = rows.iter().map(|(offset, row)| (*offset, row.to_string())).collect();
    assert_eq!(rows, [(0, r#"{"a":["x"]}"#.to_owned()), (2, r#"{"a":["xxx"]}"#.to_owned())]);
}

#[test]
fn what_is_not_read_is_said_with_what_to_do() {
    let schema = [node(None, 0, 1), node(Some(1), 0, 0)];
    let pages = page(1, 4, &[0; 4]);
    let stop = pieces(&file(&pages, &footer(&schema, 1, pages.len()))).unwrap_err();
    assert!(matches!(&stop, Stop::Said(Error::Limit(limit)) if limit.contains("encoding")), "{stop:?}");
}
