//! What a worker finds in an input is what would have been found without it; and whatever it says, or
//! however it is lost, costs its input.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod event_log {
    pub mod log;
    pub mod shapes;
}

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use event_log::log::{Chunk, log};
use event_log::shapes;
use pintle_ingest::{
    Choice, Content, DeliverError, Error, Layout, Reading, Summary, Worker, Workers, read, work,
};
use pintle_model::Record;
use pintle_store::Reject;

/// What is at a worker's end of the pipe.
type AtTheEnd = fn(Layout, UnixStream);

/// Workers that are threads.
struct Threads(AtTheEnd);

struct Thread(UnixStream);

impl Workers for Threads {
    fn start(&self, layout: Layout) -> io::Result<Box<dyn Worker + '_>> {
        let (ours, its) = UnixStream::pair()?;
        ours.set_read_timeout(Some(Duration::from_secs(60)))?;
        let run = self.0;
        std::thread::spawn(move || run(layout, its));
        Ok(Box::new(Thread(ours)))
    }
}

impl Read for Thread {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Thread {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Worker for Thread {
    fn end(&mut self) -> String {
        "it is gone".to_owned()
    }
}

fn as_it_should(layout: Layout, pipe: UnixStream) {
    // An owner that goes away before the end has its reasons.
    let _ = work(layout, &mut pipe.try_clone().unwrap(), &mut &pipe);
}

/// What came of an input: records, rejects, and the summary.
type Outcome = (Vec<Record>, Vec<Reject>, Summary);

fn collect(
    read: impl FnOnce(
        &mut dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError>,
    ) -> Result<Summary, Error>,
) -> Result<Outcome, Error> {
    let (mut records, mut rejects) = (Vec::new(), Vec::new());
    let summary = read(&mut |batch, aside| {
        records.extend(batch);
        rejects.extend(aside);
        Ok(())
    })?;
    Ok((records, rejects, summary))
}

fn here(input: &[u8]) -> Outcome {
    let reading = Reading::of("input", Choice::default());
    collect(|deliver| read(Content::stream(input), reading, deliver, &mut |_| {})).unwrap()
}

fn there(worker: AtTheEnd, input: impl Read + Send) -> Result<Outcome, Error> {
    with(&Threads(worker), input)
}

fn with(workers: &dyn Workers, input: impl Read + Send) -> Result<Outcome, Error> {
    let reading = Reading { workers: Some(workers), ..Reading::of("input", Choice::default()) };
    collect(|deliver| read(Content::stream(input), reading, deliver, &mut |_| {}))
}

/// Gives its bytes a few at a time, as a network does.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn a_worker_finds_what_is_found_without_it() {
    let long = log(&(0..100).map(|place| Chunk::of(place * 3 + 1, 3).done()).collect::<Vec<_>>());
    let packed = {
        let mut packed = Vec::new();
        flate2::read::GzEncoder::new(&long[..], flate2::Compression::fast())
            .read_to_end(&mut packed)
            .unwrap();
        packed
    };
    let shapes = shapes::all().into_iter().map(|shape| shape.log);
    for input in shapes.chain([long, packed, Vec::new(), b"ElfFile\0".to_vec()]) {
        let wanted = here(&input);
        assert_eq!(there(as_it_should, &input[..]).unwrap(), wanted);
        assert_eq!(there(as_it_should, Trickle(&input, 1000)).unwrap(), wanted);
    }
}

#[test]
fn text_needs_no_worker() {
    let line = r#"{"Hostname":"ws-1","Channel":"System","EventID":1,"@timestamp":"2026-01-15T09:30:00Z"}"#;
    let nobody: AtTheEnd = |_, _| panic!("nobody is needed");
    assert_eq!(there(nobody, line.as_bytes()).unwrap(), here(line.as_bytes()));
}

/// A frame as a worker writes it.
fn frame(kind: u8, offset: u64, length: u32, bytes: &[u8]) -> Vec<u8> {
    [&[kind][..], &offset.to_le_bytes(), &length.to_le_bytes(), bytes].concat()
}

/// Says the frames, after it has read the first block of the input.
fn says(mut pipe: UnixStream, frames: &[Vec<u8>]) {
    pipe.write_all(&frame(1, 0, 0, &[])).unwrap();
    let mut length = [0; 4];
    pipe.read_exact(&mut length).unwrap();
    io::copy(&mut (&pipe).take(u32::from_le_bytes(length).into()), &mut io::sink()).unwrap();
    for frame in frames {
        // Whoever has heard enough closes the pipe.
        let _ = pipe.write_all(frame);
    }
}

const EVENT: &[u8] = br#"{"Event":{"System":{"EventID":1,"Computer":"ws-1"}}}"#;
const LOST: &str = "the event log could not be read further: it is gone";
const NONSENSE: &str = "the event log could not be read further: what its reader said makes no sense";

#[test]
fn a_worker_that_is_lost_leaves_what_it_said() {
    assert_eq!(EVENT.len(), 52);
    let cases: [(AtTheEnd, usize, &str); 9] = [
        (|_, _| {}, 0, LOST),
        (|_, pipe| says(pipe, &[]), 0, LOST),
        (|_, pipe| says(pipe, &[frame(2, 17, 52, EVENT)]), 1, LOST),
        (|_, pipe| says(pipe, &[frame(2, 17, 52, EVENT), frame(2, 18, 99, EVENT)]), 1, LOST),
        (|_, pipe| says(pipe, &[frame(2, 17, 52, EVENT), b"\x02half".to_vec()]), 1, LOST),
        (|_, pipe| says(pipe, &[frame(2, 17, 52, EVENT), frame(9, 0, 0, &[])]), 1, NONSENSE),
        (|_, pipe| says(pipe, &[frame(2, 17, 52, EVENT), frame(2, 18, u32::MAX, &[])]), 1, NONSENSE),
        (|_, pipe| says(pipe, &[frame(4, 17, 7, b"no line")]), 0, NONSENSE),
        (|_, pipe| says(pipe, &[frame(4, 17, 3, b"\xff\xff\n")]), 0, NONSENSE),
    ];
    for (place, (worker, count, reason)) in cases.into_iter().enumerate() {
        let (records, rejects, summary) = there(worker, &shapes::sound()[..]).unwrap();
        assert_eq!((records.len(), rejects.len()), (count, 1), "case {place}");
        assert_eq!(rejects[0].reason, reason, "case {place}");
        assert_eq!(rejects[0].offset, if count > 0 { 17 } else { 0 }, "case {place}");
        assert_eq!((summary.records, summary.rejects()), (count as u64 + 1, 1), "case {place}");
    }
}

#[test]
fn a_worker_may_say_that_an_input_is_beyond_a_limit() {
    let worker: AtTheEnd = |_, pipe| says(pipe, &[frame(5, 0, 11, b"is too long")]);
    match there(worker, &shapes::sound()[..]) {
        Err(Error::Limit(limit)) => assert_eq!(limit, "input is too long"),
        other => panic!("{:?}", other.map(|(_, _, summary)| summary)),
    }
}

#[test]
fn an_input_that_breaks_off_is_the_inputs_fault() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let sound = shapes::sound();
    let error =
        there(as_it_should, sound[..10_000].chain(Broken)).map(|(_, _, summary)| summary).unwrap_err();
    assert!(matches!(error, Error::Read(..)), "{error}");
}

#[test]
fn no_worker_to_be_had_is_no_fault_of_the_input() {
    struct None;
    impl Workers for None {
        fn start(&self, _: Layout) -> io::Result<Box<dyn Worker + '_>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    let sound = shapes::sound();
    for input in [sound.clone(), zip(&[("a.evtx", &sound)])] {
        let ended = with(&None, &input[..]);
        assert!(matches!(ended, Err(Error::Worker("event log", _))), "{ended:?}");
    }
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn members_of_an_archive_that_are_no_text_go_through_workers_too() {
    let parquet = include_bytes!("../src/formats/samples/ocsf-parquet/input.parquet");
    let sound = shapes::sound();
    let archive =
        zip(&[("a.evtx", &sound), ("b.parquet", parquet), ("c/d.zip", &zip(&[("e.evtx", &sound)]))]);
    let (records, rejects, summary) = there(as_it_should, &archive[..]).unwrap();
    let alone = [&here(&sound).0[..], &here(parquet).0, &here(&sound).0].concat();
    assert_eq!((records, rejects.len()), (alone, 0));
    assert_eq!(summary.format.as_deref(), Some("mixed"));
    assert_eq!(here(&archive).2, summary);
}

#[test]
fn a_worker_that_is_lost_over_a_member_costs_that_and_ten_of_them_all_that_is_not_text() {
    const ROW: &[u8] = br#"{"Timestamp":"2026-01-15T09:00:00Z","DeviceId":"d1","ActionType":"FileCreated","FileName":"a.exe","ReportId":1}"#;
    let sound = shapes::sound();
    let names: Vec<String> = (0..13).map(|n| format!("{n:02}.evtx")).collect();
    let mut members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &sound[..])).collect();
    members.push(("rows.jsonl", ROW));
    let of_each: AtTheEnd = |_, pipe| says(pipe, &[frame(2, 17, 52, EVENT)]);
    let (records, rejects, summary) = there(of_each, &zip(&members)[..]).unwrap();
    assert_eq!(records.len(), 10 + 1);
    let told: Vec<(&str, &str)> =
        rejects.iter().map(|reject| (reject.source.as_str(), reject.reason.as_str())).collect();
    assert_eq!(told[..2], [("input:00.evtx", LOST), ("input:01.evtx", LOST)]);
    assert_eq!(told[9], ("input:09.evtx", LOST));
    let not_tried = "not read: too many before it in the archive could not be read to their end";
    assert_eq!(
        told[10..],
        [("input:10.evtx", not_tried), ("input:11.evtx", not_tried), ("input:12.evtx", not_tried)]
    );
    assert_eq!(summary.rejects(), 13);
}

#[test]
fn event_logs_in_an_archive_are_held_to_a_ratio_together() {
    // Each makes 60 MiB of records, which is within what one may make.
    let worker: AtTheEnd = |_, pipe| {
        let long = [&b"{\"Event\":\""[..], &vec![b'x'; 15 << 20], b"\"}"].concat();
        let record = frame(2, 1, u32::try_from(long.len()).unwrap(), &long);
        says(pipe, &[record.clone(), record.clone(), record.clone(), record, frame(6, 0, 0, &[])]);
    };
    let sound = shapes::sound();
    assert!(sound.len() < 512 << 10);
    assert!(there(worker, &sound[..]).is_ok());
    match there(worker, &zip(&[("a.evtx", &sound), ("b.evtx", &sound)])[..]) {
        Err(Error::Limit(limit)) => {
            assert_eq!(limit, "input has event logs whose records come to more than 100 times their size");
        }
        other => panic!("{:?}", other.map(|(_, _, summary)| summary)),
    }
}

#[test]
fn layouts_are_known_by_their_names() {
    assert_eq!(Layout::binary(Layout::EventLog.name()), Some(Layout::EventLog));
    assert_eq!(Layout::binary(Layout::Text.name()), None);
}
