//! The archive: every accepted batch, in order, in append-only segments. It is the truth; the
//! base can always be made again from it.
//!
//! A segment begins with a header that names the format's version; after it stands one frame a
//! batch: lengths, a checksum over all of it, the LZ4-compressed batch. One that is closed ends with
//! a mark, so that it cannot lose its end unnoticed. Nothing is ever changed in place. A torn end of
//! the last segment belongs to batches that were never acknowledged; it is moved aside when the
//! archive is opened.

mod check;
mod durable;
pub(crate) mod frame;
mod link;
mod place;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pintle_model::Time;

use crate::ArchiveCaps;
use crate::folders::{make_private, sync_folder};
use crate::purge::Left;
use crate::{Batch, Error};

pub(crate) use check::{check, is_from_the_first};
use durable::Durable;
pub(crate) use durable::durable;
pub(crate) use frame::{ArchivedBatch, BatchId, Encoded, Frame};
pub(crate) use link::link;
pub(crate) use place::{Place, read_at};

/// A segment is closed once it is larger.
const SEGMENT_BYTES: u64 = 128 << 20;
const MAGIC: &[u8; 8] = b"PINTLEAR";
/// The archive's format. A change adds a reader for the old one.
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = 12;

/// A place in the archive: everything before it has been read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

impl Position {
    /// Before the first batch ever written.
    pub(crate) const START: Position = Position { segment: 1, offset: HEADER_BYTES };

    /// Before the first batch of a segment.
    pub(crate) const fn start_of(segment: u32) -> Position {
        Position { segment, offset: HEADER_BYTES }
    }
}

/// Which part of the archive is read.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// To its end, which is only there when nobody appends. What does not read in the last segment
    /// from this position on is torn, and set aside; what does not before it is damage.
    End {
        /// Before it everything was whole once.
        whole: Position,
    },
    /// To a position that is certain to be there.
    Position(Position),
}

/// The archive, opened for appending.
pub(crate) struct Archive {
    folder: PathBuf,
    file: File,
    end: Position,
    caps: ArchiveCaps,
    /// Whether the last segment ends where it should.
    is_sound: bool,
    durable: Durable,
}

impl Archive {
    /// Opens the archive in a folder, making its first segment if there is none.
    pub(crate) fn open(folder: &Path, caps: ArchiveCaps) -> Result<Archive, Error> {
        let last = segments(folder)?.pop();
        let (file, end) = match last {
            Some(segment) => {
                let (file, length) = open_at_end(folder, segment)?;
                (file, Position { segment, offset: length })
            }
            None => (create(folder, 1)?, Position::START),
        };
        let durable = Durable::open(folder)?;
        Ok(Archive { folder: folder.to_owned(), file, end, caps, is_sound: true, durable })
    }

    /// Where the next batch goes.
    pub(crate) fn end(&self) -> Position {
        self.end
    }

    /// Whether more can be appended: nothing stands behind the last whole frame.
    pub(crate) fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// Appends a batch's frame. It is not durable before the next sync. If it cannot be written (the
    /// disk is full, say), what was written of it is cut off again.
    pub(crate) fn append(&mut self, frame: &Frame) -> Result<(), Error> {
        if self.end.offset > SEGMENT_BYTES {
            self.roll()?;
        }
        self.write(frame)
    }

    fn write(&mut self, frame: &Frame) -> Result<(), Error> {
        if let Err(error) = frame.write(&mut self.file) {
            self.is_sound = self.file.set_len(self.end.offset).is_ok();
            let name = path(&self.folder, self.end.segment);
            return Err(Error::io(format!("writing {}", name.display()))(error));
        }
        self.end.offset += frame.len();
        Ok(())
    }

    /// Closes the last segment, so that all before it stay as they are. Returns the number of the new one.
    pub(crate) fn roll(&mut self) -> Result<u32, Error> {
        self.write(&Frame::end_mark())?;
        self.syncer()?.sync()?;
        self.begin_segment()
    }

    fn begin_segment(&mut self) -> Result<u32, Error> {
        let next = self.end.segment + 1;
        self.file = create(&self.folder, next)?;
        self.end = Position::start_of(next);
        Ok(next)
    }

    /// Cuts off everything from a position on: batches that could not be made durable. Afterwards it
    /// is certain what the archive holds, or this fails.
    pub(crate) fn take_back(&mut self, to: Position) -> Result<(), Error> {
        self.is_sound = false;
        for segment in segments(&self.folder)?.into_iter().filter(|segment| *segment > to.segment) {
            let name = path(&self.folder, segment);
            fs::remove_file(&name).map_err(Error::io(format!("removing {}", name.display())))?;
        }
        let name = path(&self.folder, to.segment);
        let (file, _) = open_at_end(&self.folder, to.segment)?;
        let cut = file.set_len(to.offset).and_then(|()| file.sync_all());
        cut.map_err(Error::io(format!("cutting off the end of {}", name.display())))?;
        sync_folder(&self.folder)?;
        (self.file, self.end, self.is_sound) = (file, to, true);
        Ok(())
    }

    /// What makes everything appended so far durable. Apart from the archive, so that others can
    /// append meanwhile: a segment that is closed has been synced.
    pub(crate) fn syncer(&self) -> Result<Syncer, Error> {
        let name = path(&self.folder, self.end.segment);
        let file =
            self.file.try_clone().map_err(Error::io(format!("opening {} once more", name.display())))?;
        Ok(Syncer { file, name, end: self.end })
    }

    /// Notes that everything there is is durable, and makes the note durable too.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        // Where there is only no space for the note, less is certain.
        match self.durable.note(self.end) {
            Err(error) if error.is_of_disk() => Err(error),
            _ => self.durable.sync(),
        }
    }

    /// Notes that everything before this position is durable. Without the note less is certain, and nothing is
    /// lost.
    pub(crate) fn note_durable(&self, end: Position) -> Result<(), Error> {
        self.durable.note(end)
    }

    /// Goes on in a new segment behind this position, since what was before it is not all there. The
    /// last one gets no end mark: that it lacks its end is to be seen.
    pub(crate) fn go_on_behind(&mut self, position: Position) -> Result<(), Error> {
        self.end.segment = self.end.segment.max(position.segment);
        self.begin_segment().map(|_| ())
    }

    /// Drops closed segments beyond the caps, oldest first, but none that the base still needs.
    pub(crate) fn enforce_caps(&self, applied: Position, now: Time) -> Result<(), Error> {
        let closed = segments(&self.folder)?.into_iter().filter(|segment| *segment < applied.segment);
        let mut sizes = Vec::new();
        for segment in closed {
            let file = path(&self.folder, segment);
            let about = file.metadata().map_err(Error::io(format!("reading {}", file.display())))?;
            let written = about.modified().map_or(now, Time::from);
            sizes.push((file, about.len(), written));
        }
        let mut total = self.end.offset + sizes.iter().map(|(_, length, _)| length).sum::<u64>();
        for (file, length, written) in sizes {
            let too_old = self.caps.max_age.is_some_and(|age| written + age < now);
            let too_much = self.caps.max_bytes.is_some_and(|bytes| total > bytes);
            if !too_old && !too_much {
                break;
            }
            fs::remove_file(&file).map_err(Error::io(format!("dropping {}", file.display())))?;
            total -= length;
        }
        Ok(())
    }
}

/// See [`Archive::syncer`].
pub(crate) struct Syncer {
    file: File,
    name: PathBuf,
    /// Everything before is durable once it has synced.
    pub(crate) end: Position,
}

impl Syncer {
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::io(format!("syncing {}", self.name.display())))
    }
}

/// The first segment that does not hold all that the base has applied from it, if there is one: a
/// rebuild would miss that. Every segment from the first to the one last applied must be there, and
/// that one be as long as it was.
pub(crate) fn incomplete(folder: &Path, applied: Position) -> Result<Option<PathBuf>, Error> {
    if applied == Position::START {
        return Ok(None);
    }
    let there = segments(folder)?;
    let missing = (1..=applied.segment).find(|segment| !there.contains(segment));
    let last = path(folder, applied.segment);
    let is_cut_short = || last.metadata().map_or(0, |about| about.len()) < applied.offset;
    Ok(missing.map(|segment| path(folder, segment)).or_else(|| is_cut_short().then_some(last.clone())))
}

/// Makes durable what a process that was killed had written and not synced: what is read back from
/// the system's memory after a restart counts as known, and must not be lost to a power cut then.
pub(crate) fn sync_last(folder: &Path) -> Result<(), Error> {
    if let Some(last) = segments(folder)?.pop() {
        let name = path(folder, last);
        let what = format!("syncing {}", name.display());
        File::open(&name).and_then(|file| file.sync_all()).map_err(Error::io(what))?;
    }
    sync_folder(folder)
}

/// Bytes from `from` on, to the end of the last segment.
pub(crate) fn size_from(folder: &Path, from: Position) -> Result<u64, Error> {
    let mut total = 0;
    for segment in segments(folder)?.into_iter().filter(|segment| *segment >= from.segment) {
        let file = path(folder, segment);
        let length = file.metadata().map_err(Error::io(format!("reading {}", file.display())))?.len();
        let before = if segment == from.segment { from.offset } else { 0 };
        total += length.saturating_sub(before);
    }
    Ok(total)
}

/// Reads the batches from a position on, each with the position after it and its size in bytes.
///
/// What does not read otherwise is told to `damaged`; if that lets it pass, reading goes on with the
/// next frame. A torn end belongs to batches that were being written when everything stopped (a power cut may
/// keep any pages of those): it is moved to a file of its own, whose path is returned, and cut off.
pub(crate) fn replay(
    folder: &Path,
    from: Position,
    until: Until,
    each: &mut dyn FnMut(ArchivedBatch, Position, u64) -> Result<(), Error>,
    damaged: &mut dyn FnMut(Error) -> Result<(), Error>,
) -> Result<Option<PathBuf>, Error> {
    const NEVER: Position = Position { segment: u32::MAX, offset: u64::MAX };
    let segments = segments(folder)?;
    let last = segments.last().copied();
    let mut torn = None;
    for segment in segments.into_iter().filter(|segment| *segment >= from.segment) {
        let start = if segment == from.segment { from.offset } else { HEADER_BYTES };
        let start = Position { segment, offset: start };
        let (torn_after, end) = match until {
            Until::End { whole } if Some(segment) == last => (whole, NEVER),
            Until::End { .. } => (NEVER, NEVER),
            Until::Position(end) => (NEVER, end),
        };
        if start < end {
            let mut is_sound = true;
            let mut unsound = |error| {
                is_sound = false;
                damaged(error)
            };
            torn = replay_segment(folder, start, torn_after, end, each, &mut unsound)?;
            if is_sound && Some(segment) != last && segment != end.segment {
                check_end(&path(folder, segment)).or_else(&mut *damaged)?;
            }
        }
    }
    Ok(torn)
}

fn replay_segment(
    folder: &Path,
    Position { segment, offset: start }: Position,
    torn_after: Position,
    end: Position,
    each: &mut dyn FnMut(ArchivedBatch, Position, u64) -> Result<(), Error>,
    damaged: &mut dyn FnMut(Error) -> Result<(), Error>,
) -> Result<Option<PathBuf>, Error> {
    let name = path(folder, segment);
    let mut file = File::open(&name).map_err(Error::io(format!("opening {}", name.display())))?;
    let mut length = file.metadata().map_err(Error::io(format!("reading {}", name.display())))?.len();
    if segment == end.segment {
        length = length.min(end.offset);
    }
    if length < HEADER_BYTES && torn_after.segment <= segment {
        // Everything stopped while the segment was being made; opening it for appending heals it.
        return Ok(None);
    }
    if let Err(error) = check_header(&mut file, &name) {
        match error {
            // Frames stand for themselves.
            Error::Damaged { .. } => damaged(error)?,
            other => return Err(other),
        }
    }
    let reading = || Error::io(format!("reading {}", name.display()));
    file.seek(SeekFrom::Start(start)).map_err(reading())?;
    let mut reader = std::io::BufReader::with_capacity(1 << 20, file);
    let mut offset = start;
    while offset < length {
        let (reason, may_be_torn) = match frame::read(&mut reader, length - offset) {
            Ok((batch, taken)) => {
                offset += taken;
                if let Some(batch) = batch {
                    each(batch, Position { segment, offset }, taken)?;
                }
                continue;
            }
            Err(frame::Problem::Io(source)) => return Err(reading()(source)),
            Err(frame::Problem::Broken(reason)) => (reason, Position { segment, offset } >= torn_after),
            // Its checksum is right, so it was written whole.
            Err(frame::Problem::Strange(reason)) => (reason, false),
        };
        if may_be_torn {
            return set_torn_end_aside(folder, segment, offset, reason).map(Some);
        }
        damaged(Error::Damaged { file: name.clone(), offset, reason: reason.into() })?;
        let next = next_frame(&name, offset + 1, length).map_err(reading())?;
        let Some(next) = next else { return Ok(None) };
        reader.seek(SeekFrom::Start(next)).map_err(reading())?;
        offset = next;
    }
    Ok(None)
}

/// Whether a closed segment has its end mark: one that was cut off where a frame ends reads well.
fn check_end(name: &Path) -> Result<(), Error> {
    let reading = || Error::io(format!("reading {}", name.display()));
    let mut file = File::open(name).map_err(reading())?;
    let length = file.metadata().map_err(reading())?.len();
    let mut header = [0; frame::HEADER_BYTES];
    file.seek(SeekFrom::Start(length.saturating_sub(header.len() as u64))).map_err(reading())?;
    // One that is shorter than the mark has none.
    let read = file.read_exact(&mut header).ok().and_then(|()| frame::Header::read(&header));
    if read.is_some_and(|header| header.is_end_mark()) {
        return Ok(());
    }
    let reason = "it is cut short: its end mark is missing".to_owned();
    Err(Error::Damaged { file: name.to_owned(), offset: length, reason })
}

/// Where the next frame begins from `offset` on, by its header.
fn next_frame(name: &Path, offset: u64, length: u64) -> std::io::Result<Option<u64>> {
    let mut bytes = Vec::new();
    let mut file = File::open(name)?;
    file.seek(SeekFrom::Start(offset))?;
    file.take(length.saturating_sub(offset)).read_to_end(&mut bytes)?;
    let is_frame = |window: &[u8], left: usize| {
        let header = window.first_chunk().and_then(frame::Header::read);
        header.is_some_and(|header| header.frame_bytes() <= left as u64)
    };
    let mut windows = bytes.windows(frame::HEADER_BYTES).enumerate();
    let found = windows.find(|(at, window)| is_frame(window, bytes.len() - at));
    Ok(found.map(|(at, _)| offset + at as u64))
}

/// Keeps the bytes of a batch that was being written when the process or the machine stopped. It
/// was never acknowledged, so dropping it from the archive breaks no promise.
fn set_torn_end_aside(folder: &Path, segment: u32, offset: u64, reason: &str) -> Result<PathBuf, Error> {
    let name = path(folder, segment);
    let what = || format!("setting the torn end of {} aside ({reason})", name.display());
    let mut file = OpenOptions::new().read(true).write(true).open(&name).map_err(Error::io(what()))?;
    file.seek(SeekFrom::Start(offset)).map_err(Error::io(what()))?;
    let mut torn = Vec::new();
    file.read_to_end(&mut torn).map_err(Error::io(what()))?;
    let aside = folder.join(format!("{segment:08}-{offset}.torn"));
    private()
        .create(true)
        .truncate(true)
        .open(&aside)
        .and_then(|mut kept| kept.write_all(&torn).and_then(|()| kept.sync_all()))
        .map_err(Error::io(what()))?;
    file.set_len(offset).map_err(Error::io(what()))?;
    file.sync_all().map_err(Error::io(what()))?;
    sync_folder(folder)?;
    Ok(aside)
}

/// The file of a segment.
pub(crate) fn path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:08}.seg"))
}

/// The numbers of the segments there, ascending.
fn segments(folder: &Path) -> Result<Vec<u32>, Error> {
    let mut numbers = Vec::new();
    let listing = fs::read_dir(folder).map_err(Error::io(format!("listing {}", folder.display())))?;
    for entry in listing {
        let name = entry.map_err(Error::io(format!("listing {}", folder.display())))?.file_name();
        let number: Option<u32> = name.to_str().and_then(|name| name.strip_suffix(".seg")?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// For files that only their owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn create(folder: &Path, segment: u32) -> Result<File, Error> {
    let name = path(folder, segment);
    let what = || format!("making {}", name.display());
    let mut file = private().append(true).create_new(true).open(&name).map_err(Error::io(what()))?;
    file.write_all(MAGIC).map_err(Error::io(what()))?;
    file.write_all(&VERSION.to_le_bytes()).map_err(Error::io(what()))?;
    file.sync_all().map_err(Error::io(what()))?;
    sync_folder(folder)?;
    Ok(file)
}

fn open_at_end(folder: &Path, segment: u32) -> Result<(File, u64), Error> {
    let name = path(folder, segment);
    let what = || format!("opening {}", name.display());
    let mut file = OpenOptions::new().read(true).append(true).open(&name).map_err(Error::io(what()))?;
    let length = file.metadata().map_err(Error::io(what()))?.len();
    if length < HEADER_BYTES {
        // The process stopped between making the segment and writing its header.
        drop(file);
        fs::remove_file(&name).map_err(Error::io(what()))?;
        return Ok((create(folder, segment)?, HEADER_BYTES));
    }
    // One whose header is damaged can be written to as any other; reading it names the damage.
    match check_header(&mut file, &name) {
        Ok(()) | Err(Error::Damaged { .. }) => Ok((file, length)),
        Err(newer) => Err(newer),
    }
}

fn check_header(file: &mut File, name: &Path) -> Result<(), Error> {
    let mut header = [0; HEADER_BYTES as usize];
    let damaged = |reason: &str| Error::Damaged { file: name.to_owned(), offset: 0, reason: reason.into() };
    file.read_exact(&mut header).map_err(|_| damaged("the header is cut short"))?;
    let (magic, version) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(damaged("this is no archive segment"));
    }
    let found = version.try_into().map_or(0, u32::from_le_bytes);
    if found > VERSION {
        return Err(Error::Newer {
            what: format!("the archive segment {}", name.display()),
            found,
            known: VERSION,
        });
    }
    Ok(())
}

/// Writes the segments before `end`, all closed, to another folder, as `left` leaves them: one that
/// stays as it is as another name of the same file. Calls `progress` with the bytes read so far after
/// every batch.
pub(crate) fn rewrite(
    from: &Path,
    to: &Path,
    end: u32,
    left: &mut dyn FnMut(ArchivedBatch) -> Left,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    make_private(to)?;
    let mut read = 0;
    for segment in segments(from)?.into_iter().filter(|segment| *segment < end) {
        let (name, new) = (path(from, segment), path(to, segment));
        let mut file = create(to, segment)?;
        let mut has_changed = false;
        let start = Position::start_of(segment);
        let stop = Position::start_of(segment + 1);
        replay_segment(
            from,
            start,
            stop,
            stop,
            &mut |batch, _, bytes| {
                let left = left(batch);
                has_changed |= !left.is_all();
                if let Some(left) = left.batch {
                    let ArchivedBatch { tenant, source, records, rejects, edits, is_live, received, .. } =
                        left;
                    let batch = Batch { tenant, source, records, rejects, is_live };
                    let frame = Frame::of(&ArchivedBatch::new(batch, edits, received)?.1);
                    frame.write(&mut file).map_err(Error::io(format!("writing {}", new.display())))?;
                }
                read += bytes;
                progress(read);
                Ok(())
            },
            &mut Err,
        )?;
        check_end(&name)?;
        if has_changed {
            let ended = Frame::end_mark().write(&mut file);
            ended.map_err(Error::io(format!("writing {}", new.display())))?;
            file.sync_all().map_err(Error::io(format!("syncing {}", new.display())))?;
        } else {
            drop(file);
            fs::remove_file(&new).map_err(Error::io(format!("removing {}", new.display())))?;
            fs::hard_link(&name, &new).map_err(Error::io(format!("linking {}", new.display())))?;
        }
    }
    sync_folder(to)
}

/// Puts the segments of one folder in the place of those of another, and takes the folder away.
/// Stopping anywhere and doing it again comes to the same.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<(), Error> {
    for segment in segments(from)? {
        let (new, old) = (path(from, segment), path(to, segment));
        fs::rename(&new, &old).map_err(Error::io(format!("replacing {}", old.display())))?;
    }
    sync_folder(to)?;
    fs::remove_dir_all(from).map_err(Error::io(format!("removing {}", from.display())))
}
