//! Event logs, sound and not: what is whole comes out, what is not is kept aside, nothing hangs.

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

use std::sync::mpsc;
use std::time::Duration;

use event_log::log::{CHUNK, Chunk, HEADER, log};
use event_log::shapes::{self, Shape};
use pintle_ingest::{Choice, Content, Reading, Summary, read};
use pintle_model::Record;
use pintle_model::tables::device_events;

/// What came of a log: the events' kinds and the reasons for what was kept aside.
struct Outcome {
    events: Vec<i64>,
    rejects: Vec<String>,
    summary: Summary,
}

fn outcome(log: &[u8]) -> Outcome {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let deliver = &mut |batch: Vec<Record>, aside: Vec<pintle_store::Reject>| {
        for record in batch {
            let Record::Row(row) = record else { panic!("no row") };
            let fields = row.text(device_events::ADDITIONAL_FIELDS).unwrap();
            let fields: serde_json::Value = serde_json::from_str(fields).unwrap();
            events.push(fields["EventID"].as_i64().unwrap());
        }
        rejects.extend(aside.into_iter().map(|reject| reject.reason));
        Ok(())
    };
    let summary =
        read(Content::stream(log), Reading::of("log", Choice::default()), deliver, &mut |_| {}).unwrap();
    // The oldest chunk comes first, and which one that is a header may lie about.
    events.sort_unstable();
    Outcome { events, rejects, summary }
}

/// The same, if it comes in time; and the test fails otherwise, instead of hanging.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, done) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    done.recv_timeout(Duration::from_secs(120)).unwrap_or_else(|_| panic!("{what}: no end, or a panic"))
}

fn check(shapes: Vec<Shape>) {
    for Shape { name, log, events, rejects } in shapes {
        let outcome = in_time(&name, move || outcome(&log));
        assert_eq!(outcome.events, events, "{name}: {:?}", outcome.rejects);
        assert_eq!(outcome.rejects, rejects, "{name}");
    }
}

#[test]
fn a_sound_log_gives_its_events() {
    let outcome = outcome(&shapes::sound());
    assert_eq!(outcome.events, (1..=90).collect::<Vec<_>>());
    assert_eq!((outcome.rejects.len(), outcome.summary.format.as_deref()), (0, Some("evtx")));
}

#[test]
fn a_log_of_any_shape_costs_what_is_damaged_in_it() {
    check(shapes::all());
}

#[test]
fn a_log_that_was_cut_off_gives_what_was_whole_and_says_so() {
    check(shapes::cut_off());
}

#[test]
fn a_log_that_chance_changed_costs_no_more_than_its_records() {
    for (place, log) in shapes::mutated(400).into_iter().enumerate() {
        let outcome = in_time(&format!("mutation {place}"), move || outcome(&log));
        assert!(outcome.events.len() + outcome.rejects.len() <= 40, "{place}: {:?}", outcome.rejects);
        let gave_up = outcome.rejects.iter().any(|reason| reason.contains("a part of it"));
        assert!(!gave_up, "{place}: the parser panicked");
    }
}

#[test]
fn a_log_longer_than_what_is_held_of_it_gives_all_of_its_events() {
    let mut chunks: Vec<_> = (0..150).map(|place| Chunk::of(place * 2 + 1, 2).done()).collect();
    chunks[77] = vec![0xff; CHUNK];
    let whole = log(&chunks);
    let all = |but: std::ops::RangeInclusive<i64>| (1..=300).filter(|n| !but.contains(n)).collect::<Vec<_>>();
    let of_whole = outcome(&whole);
    assert_eq!(of_whole.events, all(155..=156));
    assert_eq!(of_whole.rejects, ["damaged record or chunk of an event log"]);
    let cut = outcome(&whole[..HEADER + 140 * CHUNK + 600]);
    assert_eq!(cut.events.last(), Some(&280));
    assert_eq!(cut.rejects.len(), 2);
}
