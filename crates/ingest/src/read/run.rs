//! Reading one input: through what it is packed in, piece by piece to its records, batch by batch to
//! whoever takes them.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, Write};

use pintle_model::Record;
use pintle_store::Reject;

use super::counts::Counts;
use super::documents::{Answers, Documents};
use super::hashes::Names;
use super::{Content, PartOf, Reading, Summary};
use crate::archive::{self, Kind, Member};
use crate::decoder::{Choice, Decoder};
use crate::error::{DeliverError, Error, Stop};
use crate::format::{Decoded, Format};
use crate::framing::{self, Growth, Layout, Piece};
use crate::json::{self, Object};
use crate::{envelope, unpack, worker};

/// A batch ends after so many records and rejects, …
pub(super) const BATCH_RECORDS: usize = 20_000;
/// … or so many bytes of them.
pub(super) const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// How much of a reject's bytes is kept.
pub(crate) const REJECT_BYTES: usize = 8 * 1024;
/// How many rejects of one input are kept; more are counted only.
const REJECTS: usize = 10_000;
/// Records looked at before an input counts as of no known format.
const RECOGNISE_WITHIN: usize = 100;
/// How many workers may be lost over one input, each of which may have taken minutes. What is not text and
/// comes after them is not read.
const LOSSES: usize = 10;
/// How deep archives are opened: one, and those in it.
const DEEPEST: usize = 2;

pub(super) const UNRECOGNISED: &str = "of no known format";
/// What an input's format is called when its records have several.
pub(super) const MIXED: &str = "mixed";
const EMPTY: &str = "an empty list of records";
const DAMAGED: &str = "damaged compressed data: reading stopped here";
const NOT_TRIED: &str = "not read: too many before it in the archive could not be read to their end";
const TOO_DEEP: &str = "an archive in an archive in an archive: unpack it and send what is in it";

/// One input while it is read.
pub struct Run<'a> {
    reading: Reading<'a>,
    counts: &'a Counts,
    pub(super) summary: Summary,
    records: Vec<Record>,
    rejects: Vec<Reject>,
    pub(super) batch_bytes: usize,
    kept_rejects: usize,
    members: usize,
    /// Workers that were lost.
    losses: usize,
    /// Whether anything in it had a decoder, …
    is_recognised: bool,
    /// … and whether anything had none.
    has_unrecognised: bool,
    /// Whether records may have a shipper's envelope around them.
    has_envelopes: bool,
    /// Why something was kept aside, the last time.
    pub(super) kept_aside: Option<String>,
    deliver: &'a mut dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError>,
    progress: &'a mut dyn FnMut(&Summary),
}

/// What is read as one: the input, or a member of an archive.
pub(super) struct Part {
    source: String,
    /// In how many archives it is.
    depth: usize,
    pub(super) choice: Choice,
    /// Whether each record is by itself, so that some of no known format say nothing of the others.
    is_of_documents: bool,
    /// The one of the record before.
    decoder: Option<Decoder>,
    /// What was kept aside while nothing told a format: it counts once something does.
    doubted: Vec<Reject>,
    /// Where it begins, in unpacked bytes of the input.
    begin: u64,
    /// What its offsets begin at.
    offset: u64,
}

impl<'a> Run<'a> {
    pub fn new(
        counts: &'a Counts,
        reading: Reading<'a>,
        deliver: &'a mut dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError>,
        progress: &'a mut dyn FnMut(&Summary),
    ) -> Run<'a> {
        Run {
            reading,
            counts,
            summary: Summary::default(),
            records: Vec::new(),
            rejects: Vec::new(),
            batch_bytes: 0,
            kept_rejects: 0,
            members: 0,
            losses: 0,
            is_recognised: false,
            has_unrecognised: false,
            has_envelopes: false,
            kept_aside: None,
            deliver,
            progress,
        }
    }

    /// Takes the line of a record that is no more than a shipper's envelope around one.
    pub fn of_shippers(self) -> Run<'a> {
        Run { has_envelopes: true, ..self }
    }

    /// Reads all of it.
    pub fn read(mut self, content: Content<'_>) -> Result<Summary, Error> {
        let mut part = self.part(self.reading.source.to_owned(), 0);
        if let Err(stop) = self.content(content, &mut part) {
            self.is_damage(stop)?;
            self.damaged(&part);
        }
        self.end(part);
        if !self.is_recognised && self.has_unrecognised {
            return Err(self.no_format());
        }
        self.hand_over()?;
        Ok(self.summary)
    }

    /// Reads all documents of it.
    pub fn read_documents(
        mut self,
        documents: Documents,
        input: impl Read,
        answers: &mut Answers<'_>,
    ) -> Result<Summary, Error> {
        let mut part = Part { is_of_documents: true, ..self.part(self.reading.source.to_owned(), 0) };
        self.decode_only(&mut part);
        let counts = self.counts;
        let ended = unpack::open(counts.came(input), counts).map_err(Stop::from).and_then(|unpacked| {
            self.documents(documents, &mut part, &mut counts.unpacked(unpacked), answers)
        });
        if let Err(stop) = ended {
            self.is_damage(stop)?;
            self.hand_over()?;
            return Err(Error::Malformed("its compressed data is damaged".to_owned()));
        }
        self.hand_over()?;
        Ok(self.summary)
    }

    /// That reading stopped is no error where what was packed is damaged.
    fn is_damage(&self, stop: Stop) -> Result<(), Error> {
        let source = self.reading.source;
        match stop {
            Stop::Said(Error::Limit(limit)) => Err(Error::Limit(format!("{source} {limit}"))),
            Stop::Said(error) => Err(error),
            Stop::Input(error) => match self.counts.limit() {
                Some(limit) => Err(Error::Limit(format!("{source} {limit}"))),
                None if self.counts.failed.get() => Err(Error::Read(source.to_owned(), error)),
                None => match unpack::refused(&error) {
                    Some(refused) => Err(Error::Limit(format!("{source} {refused}"))),
                    None => Ok(()),
                },
            },
        }
    }

    fn part(&self, source: String, depth: usize) -> Part {
        Part {
            source,
            depth,
            choice: self.reading.choice.clone(),
            is_of_documents: false,
            decoder: None,
            doubted: Vec::new(),
            begin: self.counts.unpacked.get(),
            offset: 0,
        }
    }

    fn content(&mut self, content: Content<'_>, part: &mut Part) -> Result<(), Stop> {
        let counts = self.counts;
        match content {
            Content::Stream(bytes) => self.unpacked(counts.came(bytes), None, part),
            Content::File(file) => {
                let same = file.try_clone().map_err(|error| self.unreadable(error))?;
                self.unpacked(counts.came(file), Some(same), part)
            }
        }
    }

    fn unreadable(&self, error: io::Error) -> Stop {
        Stop::Said(Error::Read(self.reading.source.to_owned(), error))
    }

    /// What comes out of an input or a member once gzip or zstd is undone. `file` is what it lies in, as it
    /// came.
    fn unpacked(&mut self, mut input: impl Read, file: Option<File>, part: &mut Part) -> Result<(), Stop> {
        let counts = self.counts;
        let outside = unpack::peek::<{ archive::HEAD }>(&mut input)?;
        let is_bare_zip = archive::kind(&outside) == Some(Kind::Zip);
        let mut input = unpack::open(Cursor::new(outside).chain(input), counts)?;
        if let Some(of) = self.reading.part
            && part.depth == 0
        {
            return self.part_of(of, &mut input, part);
        }
        let head = unpack::peek::<{ archive::HEAD }>(&mut input)?;
        if head.is_empty() && part.depth > 0 {
            return Ok(());
        }
        let kind = archive::kind(&head);
        let mut input = Cursor::new(&head).chain(input);
        match kind {
            Some(_) if part.depth >= DEEPEST => {
                self.keep_aside_whole(&part.source, TOO_DEEP);
                Ok(())
            }
            Some(Kind::Tar) => archive::tar_members(&mut counts.archived(input), counts, &mut |member| {
                self.member(part, member)
            }),
            Some(Kind::Zip) => {
                let held = match file {
                    Some(file) if is_bare_zip => self.all_of(file)?,
                    _ => self.hold(&mut counts.archived(input))?,
                };
                archive::zip_members(held, counts, &mut |member| self.member(part, member))
            }
            None => self.pieces(&mut input, framing::layout(&head), part),
        }
    }

    /// A part of a file that grows.
    fn part_of(&mut self, of: PartOf, mut input: &mut dyn Read, part: &mut Part) -> Result<(), Stop> {
        let header = if let Growth::Table(header) = of.growth { header } else { 0 };
        let layout = if header > 0 { Layout::Text } else { Layout::Lines };
        part.offset = of.from.saturating_sub(header);
        if !of.is_whole {
            return self.pieces(input, layout, part);
        }
        let mut top = Vec::new();
        (&mut input).take(header).read_to_end(&mut top)?;
        io::copy(&mut (&mut input).take(part.offset), &mut io::sink())?;
        self.pieces(&mut Cursor::new(top).chain(input), layout, part)
    }

    /// A file from its beginning, all of which counts as come.
    fn all_of(&mut self, mut file: File) -> Result<File, Stop> {
        let length = file.metadata().and_then(|metadata| file.rewind().map(|()| metadata.len()));
        self.counts.came_whole(length.map_err(|error| self.unreadable(error))?)?;
        Ok(file)
    }

    /// Puts what comes as a stream into a file without a name.
    fn hold(&self, input: &mut dyn Read) -> Result<File, Stop> {
        let cannot = |error| Stop::Said(Error::Hold(self.reading.source.to_owned(), error));
        let file = self.reading.hold_in.map_or_else(tempfile::tempfile, tempfile::tempfile_in);
        let mut file = file.map_err(cannot)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match input.read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            };
            file.write_all(buffer.get(..count).unwrap_or_default()).map_err(cannot)?;
        }
        file.rewind().map_err(cannot)?;
        Ok(file)
    }

    /// Takes a member of an archive. What is wrong with it costs only it; archives nest at most [`DEEPEST`]
    /// deep, and so does this.
    fn member(&mut self, archive: &mut Part, member: Member<'_>) -> Result<(), Stop> {
        let (name, bytes) = match member {
            Member::File(name, bytes) => (name, Ok(bytes)),
            Member::Unreadable(name, reason) => (name, Err(reason)),
            Member::End(reason) => {
                self.keep_aside_whole(&archive.source, reason);
                return Ok(());
            }
        };
        self.members += 1;
        if self.members > archive::MAX_MEMBERS {
            return Err(archive::too_many(self.counts));
        }
        let mut part = self.part(format!("{}:{name}", archive.source), archive.depth + 1);
        let ended = match bytes {
            Ok(bytes) => self.unpacked(bytes, None, &mut part),
            Err(reason) => {
                self.keep_aside_whole(&part.source, reason);
                Ok(())
            }
        };
        match ended {
            Err(Stop::Input(error)) if self.counts.is_over() => return Err(Stop::Input(error)),
            Err(Stop::Input(error)) => match unpack::refused(&error) {
                Some(refused) => self.keep_aside_whole(&part.source, &refused.to_string()),
                None => self.damaged(&part),
            },
            Err(Stop::Said(Error::Limit(limit))) => self.keep_aside_whole(&part.source, &limit),
            Err(Stop::Said(Error::Unrecognised(..))) | Ok(()) => {}
            Err(other) => return Err(other),
        }
        self.end(part);
        Ok(())
    }

    /// Reading a part ended before its end.
    fn damaged(&mut self, part: &Part) {
        let offset = self.counts.unpacked.get() - part.begin;
        self.keep_aside(&part.source, offset, DAMAGED, &[]);
    }

    /// Keeps aside what nothing was read of. It counts as one record.
    fn keep_aside_whole(&mut self, source: &str, reason: &str) {
        self.summary.records += 1;
        self.keep_aside(source, 0, reason, &[]);
    }

    /// A part is at its end. Of one that told no format only that is kept.
    fn end(&mut self, mut part: Part) {
        if part.doubted.is_empty() {
            return;
        }
        self.has_unrecognised = true;
        if part.depth > 0 {
            self.summary.records -= part.doubted.len() as u64 - 1;
            let first = std::mem::take(&mut part.doubted).into_iter().next();
            let bytes = first.map_or_else(Vec::new, |first| first.bytes);
            self.keep_aside(&part.source, 0, UNRECOGNISED, &bytes);
        }
    }

    fn pieces(&mut self, input: &mut dyn Read, layout: Layout, part: &mut Part) -> Result<(), Stop> {
        if layout == Layout::EventLog {
            part.choice = Choice::Only(Decoder::Format(Format::of_event_logs()));
        }
        self.decode_only(part);
        let counts = self.counts;
        let mut input = counts.unpacked(input);
        let workers = self.reading.workers.filter(|_| layout.is_binary());
        if workers.is_some() && self.losses >= LOSSES {
            self.keep_aside_whole(&part.source, NOT_TRIED);
            return Ok(());
        }
        let sink = &mut |piece: Piece<'_>| {
            if let Piece::Record { bytes, .. } = &piece {
                counts.made(layout, bytes.len())?;
            }
            Ok(self.take(part, piece)?)
        };
        match workers {
            Some(workers) => {
                let is_lost = !worker::split(workers, layout, &mut input, sink)?;
                self.losses += usize::from(is_lost);
                Ok(())
            }
            None => framing::split(layout, &mut input, sink),
        }
    }

    /// Takes the decoder where there is no choice.
    fn decode_only(&mut self, part: &mut Part) {
        if let Choice::Only(decoder) = &part.choice {
            let decoder = decoder.clone();
            self.set_decoder(part, decoder);
        }
    }

    fn set_decoder(&mut self, part: &mut Part, decoder: Decoder) {
        let name = match &decoder {
            Decoder::Format(format) => Cow::Borrowed(format.name),
            Decoder::Mapping(mapping) => Cow::Owned(mapping.name().to_owned()),
        };
        let before = self.summary.format.get_or_insert_with(|| name.clone());
        if *before != name {
            *before = Cow::Borrowed(MIXED);
        }
        self.is_recognised = true;
        part.decoder = Some(decoder);
        for doubted in std::mem::take(&mut part.doubted) {
            self.keep_aside(&part.source, doubted.offset, &doubted.reason, &doubted.bytes);
        }
    }

    /// What decodes a record, if anything does.
    fn decoder(&mut self, part: &mut Part, bytes: &[u8]) -> Option<Decoder> {
        let told = match &part.choice {
            Choice::Told(decoders) if part.decoder.is_none() => decoders.of(bytes)?,
            Choice::Each(decoders) => decoders.of(bytes)?,
            Choice::Told(_) | Choice::Only(_) => return part.decoder.clone(),
        };
        self.set_decoder(part, told.clone());
        Some(told)
    }

    fn no_format(&self) -> Error {
        let names = match &self.reading.choice {
            Choice::Told(decoders) | Choice::Each(decoders) => decoders.names(),
            Choice::Only(decoder) => decoder.name().to_owned(),
        };
        Error::Unrecognised(self.reading.source.to_owned(), names)
    }

    fn take(&mut self, part: &mut Part, piece: Piece<'_>) -> Result<(), Error> {
        self.summary.records += 1;
        match piece {
            Piece::Record { offset, bytes } => {
                self.batch_bytes += bytes.len();
                self.record(part, part.offset.saturating_add(offset), bytes);
            }
            Piece::Empty => *self.summary.ignored.entry(EMPTY).or_default() += 1,
            Piece::Bad { offset, reason, bytes } => {
                self.batch_bytes += bytes.len();
                self.reject(part, part.offset.saturating_add(offset), reason, bytes);
            }
        }
        if part.doubted.len() >= RECOGNISE_WITHIN {
            self.has_unrecognised = true;
            return Err(self.no_format());
        }
        self.end_batch()
    }

    /// Hands over what there is, if that is enough for a batch.
    pub(super) fn end_batch(&mut self) -> Result<(), Error> {
        if self.records.len() + self.rejects.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES {
            self.hand_over()?;
        }
        Ok(())
    }

    pub(super) fn record(&mut self, part: &mut Part, offset: u64, bytes: &[u8]) {
        let bytes = json::hit(bytes);
        let document = if self.has_envelopes { Object::parse(bytes).ok() } else { None };
        let line = document.and_then(|document| envelope::record(&document, &|line| part.choice.takes(line)));
        let bytes = line.as_deref().map_or(bytes, |line| json::hit(line.as_bytes()));
        let Some(decoder) = self.decoder(part, bytes) else {
            return self.reject(part, offset, UNRECOGNISED, bytes);
        };
        match decoder.decode(bytes) {
            Ok(Decoded::Record(record)) => {
                self.summary.with_file_hash += u64::from(self.note_names(&record));
                self.records.push(record);
            }
            Ok(Decoded::Records(records)) => self.keep(records),
            Ok(Decoded::Partly(records, problem)) => {
                self.keep(records);
                self.reject(part, offset, problem.reason(), bytes);
            }
            Ok(Decoded::Nothing(reason)) => *self.summary.ignored.entry(reason).or_default() += 1,
            Err(problem) => self.reject(part, offset, problem.reason(), bytes),
        }
    }

    /// Keeps all that one record is.
    fn keep(&mut self, records: Vec<Record>) {
        let named = records.iter().filter(|record| self.note_names(record)).count();
        self.summary.with_file_hash += u64::from(named > 0);
        self.records.extend(records);
    }

    /// Counts what a record says of files. `true`: it names one.
    fn note_names(&mut self, record: &Record) -> bool {
        let Names { any, object } = Names::of(record);
        if let Some(object) = object {
            self.summary.file_events += 1;
            if let Err(reason) = object {
                *self.summary.without_hash.entry(reason).or_default() += 1;
            }
        }
        any
    }

    /// Keeps a piece aside, at once or, of a part that told no format yet, when one shows.
    pub(super) fn reject(&mut self, part: &mut Part, offset: u64, reason: &str, bytes: &[u8]) {
        if part.decoder.is_some() || part.is_of_documents {
            self.keep_aside(&part.source, offset, reason, bytes);
        } else {
            part.doubted.push(reject(&part.source, offset, reason, bytes));
        }
    }

    fn keep_aside(&mut self, source: &str, offset: u64, reason: &str, bytes: &[u8]) {
        self.summary.reject(reason);
        self.kept_aside = Some(reason.to_owned());
        if self.kept_rejects < REJECTS {
            self.kept_rejects += 1;
            self.rejects.push(reject(source, offset, reason, bytes));
        }
    }

    pub(super) fn hand_over(&mut self) -> Result<(), Error> {
        self.batch_bytes = 0;
        self.summary.bytes = self.counts.unpacked.get();
        self.summary.packed_bytes = self.counts.packed.get();
        if !self.records.is_empty() || !self.rejects.is_empty() {
            let next = Vec::with_capacity(self.records.len().min(BATCH_RECORDS));
            let records = std::mem::replace(&mut self.records, next);
            (self.deliver)(records, std::mem::take(&mut self.rejects)).map_err(Error::Deliver)?;
        }
        (self.progress)(&self.summary);
        Ok(())
    }
}

fn reject(source: &str, offset: u64, reason: &str, bytes: &[u8]) -> Reject {
    Reject {
        source: source.to_owned(),
        offset,
        reason: reason.to_owned(),
        bytes: bytes.get(..REJECT_BYTES).unwrap_or(bytes).to_vec(),
    }
}
