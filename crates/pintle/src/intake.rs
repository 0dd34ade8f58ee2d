//! Telemetry on its way in, whoever brings it: an input is read batch by batch, each batch is
//! appended while the next is read, and what came of it is counted.

use std::io::Read;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use pintle_ingest::{Format, Summary};
use pintle_model::TenantId;
use pintle_store::{Batch, Receipt, Store};

/// What waits between reading and appending, besides the batch that is in the making and the one that
/// is being appended: a batch, and how far reading has come with it.
const WAITING: usize = 2;

use crate::instance::Instance;

/// A format's name that there is no format of.
#[derive(Debug, thiserror::Error)]
#[error("Format '{0}' is not known: use one of {names}, or none", names = names())]
pub(crate) struct UnknownFormat(String);

/// The names of the formats, for people.
pub(crate) fn names() -> String {
    pintle_ingest::FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ")
}

/// The format of that name, compared without case.
pub(crate) fn format(name: &str) -> Result<&'static Format, UnknownFormat> {
    Format::named(name).ok_or_else(|| UnknownFormat(name.to_owned()))
}

/// An input to take in.
pub(crate) struct Input<'a> {
    pub(crate) tenant: TenantId,
    /// Its name, in what is kept aside.
    pub(crate) source: &'a str,
    /// Whether it comes as it happens ([`Batch::live`]).
    pub(crate) is_live: bool,
    /// Told from the content if there is none.
    pub(crate) format: Option<&'static Format>,
    /// How many bytes it may have, packed or unpacked.
    pub(crate) limit: u64,
}

/// What came of an input. All of it is durable and stays, also if reading stopped early: the same
/// input again changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// What was read.
    pub(crate) summary: Summary,
    /// Batches accepted.
    pub(crate) batches: u64,
    /// Of these, how many were here already.
    pub(crate) repeated_batches: u64,
    /// What the batches changed, together.
    pub(crate) receipt: Receipt,
    /// Why reading stopped before the end, if it did.
    pub(crate) stopped: Option<pintle_ingest::Error>,
}

/// What reading hands on, in order.
enum Handed {
    Batch(Batch),
    /// How far reading has come with the batches before.
    Reached(Summary),
}

/// Takes an input in. Calls `progress` with what is durable after every batch.
pub(crate) fn take(
    instance: &Instance,
    input: Input<'_>,
    mut bytes: impl Read + Send,
    progress: &mut dyn FnMut(&Summary),
) -> Taken {
    let Input { tenant, source, is_live, format, limit } = input;
    // It is let go of here, where a body that has more to come can still be drained.
    let bytes = &mut bytes;
    let mut taken = Taken::default();
    let ended = thread::scope(|scope| {
        let (hand, handed) = mpsc::sync_channel(WAITING);
        let reading = scope.spawn(move || {
            let stopped = |_| "appending has stopped".into();
            let mut deliver = |records, rejects| {
                let empty = if is_live { Batch::live } else { Batch::recorded };
                let batch = Batch { records, rejects, ..empty(tenant, source.to_owned()) };
                hand.send(Handed::Batch(batch)).map_err(stopped)
            };
            let mut reached = |summary: &Summary| {
                // Who reads on although appending has stopped is told so at the next batch.
                let _ = hand.send(Handed::Reached(summary.clone()));
            };
            pintle_ingest::read(bytes, source, format, limit, &mut deliver, &mut reached)
        });
        let refused = append(&instance.store, handed, &mut taken, progress);
        let ended = reading.join().unwrap_or_else(|panic| resume_unwind(panic));
        // That a batch was not taken also ended reading, for a reason that says less.
        match refused {
            Some(error) => Err(pintle_ingest::Error::Deliver(error.into())),
            None => ended,
        }
    });
    match ended {
        Ok(summary) => taken.summary = summary,
        Err(error) => taken.stopped = Some(error),
    }
    if let Some(format) = taken.summary.format {
        let Summary { records, bytes, .. } = taken.summary;
        instance.metrics.ingested(format, records, bytes, taken.summary.rejects());
    }
    taken
}

/// Appends batches in their order, until there are no more or one is not taken.
fn append(
    store: &Store,
    handed: Receiver<Handed>,
    taken: &mut Taken,
    progress: &mut dyn FnMut(&Summary),
) -> Option<pintle_store::Error> {
    for handed in handed {
        match handed {
            Handed::Batch(batch) => match store.append(batch) {
                Ok(receipt) => {
                    taken.batches += 1;
                    taken.repeated_batches += u64::from(receipt.repeated);
                    taken.receipt += receipt;
                }
                Err(error) => return Some(error),
            },
            Handed::Reached(summary) => {
                progress(&summary);
                taken.summary = summary;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Rows of an advanced hunting query, a machine and a file each.
    fn rows(count: usize) -> String {
        let row = |n: usize| {
            format!(
                r#"{{"Timestamp":"2026-01-15T09:00:00Z","DeviceId":"{:040x}","ActionType":"FileCreated","FileName":"a.exe","SHA1":"{:040x}","ReportId":{n}}}"#,
                n + 1,
                n + 1
            )
        };
        (0..count).map(row).collect::<Vec<_>>().join("\n")
    }

    fn take_within(instance: &Instance, limit: u64, bytes: impl Read + Send) -> Taken {
        let tenant = instance.control.tenant("default").unwrap().id;
        take(
            instance,
            Input { tenant, source: "rows", is_live: false, format: None, limit },
            bytes,
            &mut |_| {},
        )
    }

    #[test]
    fn batches_are_summed_and_repeated_ones_told() {
        let folder = tempfile::tempdir().unwrap();
        let clock = pintle_store::Options::default().clock;
        let instance = Instance::open(folder.path(), Config::default(), clock).unwrap();
        // A batch ends after 20,000 records.
        let rows = rows(20_001);
        let first = take_within(&instance, pintle_ingest::MAX_BYTES, rows.as_bytes());
        assert_eq!((first.summary.records, first.batches, first.repeated_batches), (20_001, 2, 0));
        assert_eq!((first.receipt.new_machines, first.receipt.new_files), (20_001, 20_001));
        assert!(first.stopped.is_none() && !first.receipt.repeated);
        let again = take_within(&instance, pintle_ingest::MAX_BYTES, rows.as_bytes());
        assert_eq!((again.batches, again.repeated_batches, again.receipt.new_files), (2, 2, 0));
        assert!(again.receipt.repeated);
    }

    #[test]
    fn an_input_may_have_as_many_bytes_as_the_limit_says_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let clock = pintle_store::Options::default().clock;
        let instance = Instance::open(folder.path(), Config::default(), clock).unwrap();
        let rows = rows(100);
        let length = rows.len() as u64;
        let mut packed = Vec::new();
        flate2::read::GzEncoder::new(rows.as_bytes(), flate2::Compression::best())
            .read_to_end(&mut packed)
            .unwrap();
        assert!((packed.len() as u64) < length - 1);
        for bytes in [rows.as_bytes(), &packed] {
            let stopped = take_within(&instance, length - 1, bytes).stopped;
            let Some(pintle_ingest::Error::Limit(limit)) = stopped else { panic!("{stopped:?}") };
            assert!(limit.contains(&format!("more than {} bytes", length - 1)), "{limit}");
            assert!(take_within(&instance, length, bytes).stopped.is_none());
        }
    }

    #[test]
    fn what_was_durable_before_an_input_broke_off_is_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("gone"))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let clock = pintle_store::Options::default().clock;
        let instance = Instance::open(folder.path(), Config::default(), clock).unwrap();
        let taken = take_within(&instance, pintle_ingest::MAX_BYTES, rows(20_001).as_bytes().chain(Broken));
        assert!(matches!(taken.stopped, Some(pintle_ingest::Error::Read(..))), "{:?}", taken.stopped);
        assert_eq!((taken.summary.records, taken.receipt.new_machines), (20_000, 20_000));
        assert!(instance.metrics.encode().contains("20000"), "{}", instance.metrics.encode());
    }

    #[test]
    fn a_format_is_named_in_any_case_and_an_unknown_one_answered_with_those_there_are() {
        assert_eq!(format("MDE-Hunting").unwrap().name, "mde-hunting");
        let unknown = format("runes").err().unwrap().to_string();
        assert!(unknown.starts_with("Format 'runes' is not known: use one of "), "{unknown}");
        assert!(unknown.contains("mde-hunting"), "{unknown}");
    }
}
