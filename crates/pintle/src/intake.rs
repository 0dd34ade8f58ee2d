//! Telemetry on its way in, whoever brings it: an input is read batch by batch, each batch is
//! appended while the next is read, and what came of it is counted.

use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use pintle_ingest::{
    Answers, Choice, Content, Decoders, DeliverError, Documents, Error, Item, Namespace, PartOf, Reading,
    Summary,
};
use pintle_model::{Record, TenantId};
use pintle_store::{Batch, Receipt, Reject, Store};

/// What waits between reading and appending, besides the batch that is in the making and the one that
/// is being appended: a batch, and how far reading has come with it.
const WAITING: usize = 2;

/// What is counted as the format of records of which none has a known one.
const UNKNOWN: &str = "unknown";

use crate::instance::Instance;
use crate::sources::{Came, Times};

/// The folder in the data folder where an archive is held while it is read.
const HELD: &str = "held";

/// Makes the folder where archives are held while they are read, empty: its files have no names, but where a
/// file system cannot make such a file, one may be left over from a crash.
pub(crate) fn place_to_hold(folder: &Path) -> io::Result<PathBuf> {
    let held = folder.join(HELD);
    match std::fs::remove_dir_all(&held) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => DirBuilder::new().mode(0o700).create(&held)?,
    }
    Ok(held)
}

/// A format's name that there is no format of.
#[derive(Debug, thiserror::Error)]
#[error("Format '{0}' is not known: use one of {1}, or none")]
pub(crate) struct UnknownFormat(String, String);

impl UnknownFormat {
    /// Such a name among those there are.
    pub(crate) fn among(name: &str, names: &str) -> UnknownFormat {
        UnknownFormat(name.to_owned(), names.to_owned())
    }
}

/// What decodes an input: the format of that name, compared without case, or whichever its records tell.
pub(crate) fn choice(decoders: &Decoders, format: Option<&str>) -> Result<Choice, UnknownFormat> {
    let Some(name) = format else { return Ok(Choice::Told(decoders.clone())) };
    let only = decoders.named(name).map(Choice::Only);
    only.ok_or_else(|| UnknownFormat::among(name, &decoders.names()))
}

/// An input to take in.
pub(crate) struct Input<'a> {
    pub(crate) tenant: TenantId,
    /// Where it comes from: the source of its batches.
    pub(crate) source: &'a str,
    /// Its name, in what is kept aside.
    pub(crate) name: &'a str,
    /// Whether it comes as it happens ([`Batch::live`]).
    pub(crate) is_live: bool,
    /// What decodes it.
    pub(crate) choice: Choice,
    /// Whose machines and alerts alone it may speak of.
    pub(crate) namespace: Option<&'a Namespace>,
    /// How many bytes it may have, packed or unpacked.
    pub(crate) limit: u64,
    /// If it is a part of a file that is taken part by part.
    pub(crate) part: Option<PartOf>,
}

/// Whose telemetry it is that is appended.
struct Whose<'a> {
    tenant: TenantId,
    source: &'a str,
    is_live: bool,
    namespace: Option<&'a Namespace>,
}

impl<'a> Input<'a> {
    /// What appending it asks for, and what reading it does.
    fn parted(self, instance: &'a Instance) -> (Whose<'a>, Reading<'a>) {
        let Input { tenant, source, name, is_live, choice, namespace, limit, part } = self;
        let reading = Reading {
            source: name,
            choice,
            max_bytes: limit,
            hold_in: Some(&instance.held),
            workers: Some(&instance.workers),
            part,
        };
        (Whose { tenant, source, is_live, namespace }, reading)
    }
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
    pub(crate) stopped: Option<Error>,
}

/// What reading hands on, in order.
enum Handed {
    Batch(Batch),
    /// How far reading has come with the batches before.
    Reached(Summary),
}

/// What takes batches as they are read.
type Deliver<'d> = dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError> + 'd;

/// Takes an input in. Calls `progress` with what is durable after every batch. Content that is lent is let
/// go of by who lends it: a body that has more to come is drained where it is dropped.
pub(crate) fn take(
    instance: &Instance,
    input: Input<'_>,
    content: Content<'_>,
    progress: &mut dyn FnMut(&Summary),
) -> Taken {
    let (whose, reading) = input.parted(instance);
    take_by(instance, whose, progress, |deliver, reached| {
        pintle_ingest::read(content, reading, deliver, reached)
    })
}

/// Takes documents in, as [`take`] does other records. `answers` is told what becomes of each once all of
/// them are durable; where reading stopped, nothing is to be said of those it was told of.
pub(crate) fn take_documents(
    instance: &Instance,
    input: Input<'_>,
    mut bytes: impl Read + Send,
    documents: Documents,
    answers: &mut (dyn FnMut(Item<'_>) -> Result<(), Error> + Send),
) -> Taken {
    let bytes = &mut bytes;
    let (whose, reading) = input.parted(instance);
    take_by(instance, whose, &mut |_| {}, |deliver, reached| {
        let answers = answers as &mut Answers<'_>;
        pintle_ingest::read_documents(documents, bytes, reading, answers, deliver, reached)
    })
}

/// Takes messages in, each as [`take`] does an input; `limit` is what each may have.
#[cfg(feature = "kafka")]
pub(crate) fn take_messages<'m>(
    instance: &Instance,
    input: Input<'_>,
    messages: &mut (dyn Iterator<Item = pintle_ingest::Message<'m>> + Send),
) -> Taken {
    let (whose, reading) = input.parted(instance);
    take_by(instance, whose, &mut |_| {}, |deliver, _| {
        pintle_ingest::read_messages(messages, &reading, deliver)
    })
}

fn take_by(
    instance: &Instance,
    Whose { tenant, source, is_live, namespace }: Whose<'_>,
    progress: &mut dyn FnMut(&Summary),
    read: impl FnOnce(&mut Deliver<'_>, &mut dyn FnMut(&Summary)) -> Result<Summary, Error> + Send,
) -> Taken {
    let mut taken = Taken::default();
    let mut times = Times::default();
    let ended = thread::scope(|scope| {
        let times = &mut times;
        let (hand, handed) = mpsc::sync_channel(WAITING);
        let reading = scope.spawn(move || {
            let stopped = |_| "appending has stopped".into();
            let mut deliver = |mut records: Vec<Record>, rejects| {
                if let Some(namespace) = namespace {
                    records.iter_mut().for_each(|record| namespace.keep(record));
                }
                times.note(&records, instance.now());
                let empty = if is_live { Batch::live } else { Batch::recorded };
                let batch = Batch { records, rejects, ..empty(tenant, source.to_owned()) };
                hand.send(Handed::Batch(batch)).map_err(stopped)
            };
            let mut reached = |summary: &Summary| {
                // Who reads on although appending has stopped is told so at the next batch.
                let _ = hand.send(Handed::Reached(summary.clone()));
            };
            read(&mut deliver, &mut reached)
        });
        let refused = append(&instance.store, handed, &mut taken, progress);
        let ended = reading.join().unwrap_or_else(|panic| resume_unwind(panic));
        // That a batch was not taken also ended reading, for a reason that says less.
        match refused {
            Some(error) => Err(Error::Deliver(error.into())),
            None => ended,
        }
    });
    match ended {
        Ok(summary) => taken.summary = summary,
        Err(error) => taken.stopped = Some(error),
    }
    let summary = &taken.summary;
    if summary.records > 0 {
        let format = summary.format.as_deref().unwrap_or(UNKNOWN);
        instance.metrics.ingested(format, summary, times.latest(), instance.now());
    }
    let failure = taken.stopped.as_ref().map(ToString::to_string);
    let came = Came { tenant, source, is_live, summary, times: &times, failure };
    instance.sources.note(&came, instance.now(), instance.config.ingest.silent_after);
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
    use std::io::Read;

    use super::*;
    use crate::config::Config;
    use crate::testing;

    fn rows(count: usize) -> String {
        (0..count).map(testing::row).collect::<Vec<_>>().join("\n")
    }

    fn take_within(instance: &Instance, limit: u64, bytes: impl Read + Send) -> Taken {
        let tenant = instance.control.tenant("default").unwrap().id;
        take(
            instance,
            Input {
                tenant,
                source: "rows",
                name: "rows",
                is_live: false,
                choice: Choice::default(),
                namespace: None,
                limit,
                part: None,
            },
            Content::stream(bytes),
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
        let packed = testing::gzip(&rows);
        assert!((packed.len() as u64) < length - 1);
        for bytes in [rows.as_bytes(), &packed] {
            let stopped = take_within(&instance, length - 1, bytes).stopped;
            let Some(Error::Limit(limit)) = stopped else { panic!("{stopped:?}") };
            assert!(limit.contains(&format!("more than {} bytes", length - 1)), "{limit}");
            assert!(take_within(&instance, length, bytes).stopped.is_none());
        }
    }

    #[test]
    fn what_was_durable_before_an_input_broke_off_is_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let clock = pintle_store::Options::default().clock;
        let instance = Instance::open(folder.path(), Config::default(), clock).unwrap();
        let taken = take_within(&instance, pintle_ingest::MAX_BYTES, rows(20_001).as_bytes().chain(Broken));
        assert!(matches!(taken.stopped, Some(Error::Read(..))), "{:?}", taken.stopped);
        assert_eq!((taken.summary.records, taken.receipt.new_machines), (20_000, 20_000));
        assert!(instance.metrics.encode().contains("20000"), "{}", instance.metrics.encode());
    }

    #[test]
    fn a_format_is_named_in_any_case_and_an_unknown_one_answered_with_those_there_are() {
        let decoders = Decoders::default();
        let Ok(Choice::Only(known)) = choice(&decoders, Some("MDE-Hunting")) else { panic!("not known") };
        assert_eq!(known.name(), "mde-hunting");
        let unknown = choice(&decoders, Some("runes")).err().unwrap().to_string();
        assert!(unknown.starts_with("Format 'runes' is not known: use one of "), "{unknown}");
        assert!(unknown.contains("mde-hunting"), "{unknown}");
    }
}
