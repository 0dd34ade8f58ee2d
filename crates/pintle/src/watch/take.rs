//! Taking what is new of a watched folder's files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pintle_ingest::{Content, Error, Growth, MAX_BYTES, PartOf, is_packed, unpacked};
use pintle_model::TenantId;
use rustix::fs::OFlags;

use super::known::{Known, Now};
use super::mark::{LONGEST, Mark, Passing, first_line_end, last_line_end, read_at};
use super::{After, Folder, Id, Stamp};
use crate::intake::{self, Input};

/// How much of a file is taken before the next one's turn.
const CHUNK: u64 = 64 << 20;
/// The longest line that is taken without an end of line behind it.
const LONGEST_LINE: u64 = 16 << 20;
/// How long nothing is taken after something could not be kept.
const REST: Duration = Duration::from_secs(10);
/// Copies of a packed file that are looked for: each is unpacked up to where it was taken.
const MOST_LOOKED_INTO: usize = 4;

/// Why a file was not taken.
pub(super) enum Failed {
    /// For what it is: the others are taken all the same.
    File(String),
    /// What was read could not be kept.
    Keeping(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::File(format!("it cannot be read: {error}"))
    }
}

impl Folder {
    /// Takes what is new of every file, the oldest first. `true`: there is more.
    pub(super) fn take(&mut self, tenant: TenantId, now: Duration) -> bool {
        let mut order: Vec<(Stamp, Id)> = self.files.values().map(|known| (known.stamp, known.id)).collect();
        order.sort_unstable();
        let mut has_more = false;
        for (_, id) in order {
            let Some(mut known) = self.files.remove(&id) else { continue };
            let took = if known.must_wait(now) { Ok(false) } else { self.take_file(tenant, &mut known, now) };
            let rests = matches!(took, Err(Failed::Keeping(_)));
            match took {
                Ok(more) => has_more |= more,
                Err(Failed::Keeping(reason)) => self.rest = Some((now + REST, reason)),
                Err(Failed::File(reason)) => self.failed(&mut known, reason, now),
            }
            self.files.insert(id, known);
            if rests {
                return false;
            }
        }
        has_more
    }

    fn failed(&mut self, known: &mut Known, reason: String, now: Duration) {
        if known.now.path.is_none() {
            // It cannot be tried again.
            known.now.file = None;
        }
        let (watch, file) = (&self.name, known.name.clone());
        if known.failed(reason.clone(), now) {
            tracing::warn!(watch, file, reason, "a file of a watched folder is not taken; it is tried again");
        }
    }

    fn take_file(&mut self, tenant: TenantId, known: &mut Known, now: Duration) -> Result<bool, Failed> {
        let is_gone = known.now.path.is_none();
        if known.is_done() && !known.now.is_doubted && !is_gone {
            self.finish(known, now)?;
            return Ok(false);
        }
        let Some(file) = opened(known)? else { return Ok(false) };
        let size = file.metadata()?.len();
        if std::mem::take(&mut known.now.is_doubted) && !known.is_in(&file, size)? {
            self.begin_anew(known);
        }
        if known.growth == Growth::Unclear && !self.tell_growth(known, &file, size, now)? {
            known.now.file = (!is_gone).then_some(file);
            return Ok(false);
        }
        if known.has_lines() {
            let more = self.take_lines(tenant, known, &file, size, now);
            // Held open, unless it is gone and there is nothing left of it.
            known.now.file = (!is_gone || matches!(more, Ok(true) | Err(Failed::Keeping(_)))).then_some(file);
            return more;
        }
        if self.is_settled(known, now) && !known.is_taken {
            self.take_whole(tenant, known, file)?;
            self.finish(known, now)?;
        }
        Ok(false)
    }

    fn is_settled(&self, known: &Known, now: Duration) -> bool {
        known.now.path.is_none() || now.saturating_sub(known.now.changed) >= self.settings.settle
    }

    /// Whether nothing more of it is waited for: it is gone, or is to be put away.
    fn is_over(&self, known: &Known, now: Duration) -> bool {
        let is_old = now.saturating_sub(known.now.changed) >= self.settings.finished_after;
        known.now.path.is_none() || (is_old && self.settings.after != After::Keep)
    }

    /// The file has other content than what was taken of it.
    fn begin_anew(&mut self, known: &mut Known) {
        let Known { name, id, stamp, .. } = known;
        let mut anew = Known::new(name.clone(), *id, *stamp, known.now.changed);
        anew.now = Now { is_doubted: false, ..std::mem::take(&mut known.now) };
        let before = std::mem::replace(known, anew);
        self.remember(before);
    }

    /// Tells how a file is to be read, and where it goes on if it is a copy of another. `false`: it cannot be
    /// told yet.
    fn tell_growth(
        &mut self,
        known: &mut Known,
        file: &File,
        size: u64,
        now: Duration,
    ) -> Result<bool, Failed> {
        let head = read_at(file, 0, Growth::ENOUGH as u64)?;
        known.growth = Growth::of(&head);
        if known.growth == Growth::Unclear {
            // A first line that is not whole may be one of many, however long nothing comes.
            if self.is_settled(known, now) && is_value(file, 0, size)? {
                known.growth = Growth::Lines;
            } else if size > 0 && self.is_over(known, now) {
                known.growth = Growth::Whole;
            } else {
                return Ok(false);
            }
        }
        self.is_changed = true;
        if !known.has_lines() {
            return Ok(true);
        }
        let begins = |other: &&Known| other.has_lines() && begins_with(&head, &other.head);
        let mut copied: Option<&Known> = None;
        for other in self.files.values().chain(&self.gone).filter(begins) {
            let is_further = copied.is_none_or(|copied| other.offset > copied.offset);
            if other.growth == known.growth && is_further && other.is_in(file, size)? {
                copied = Some(other);
            }
        }
        // What the marks are of was read before: the file may be truncated by now.
        known.format = copied.and_then(|copied| copied.format.clone());
        match copied {
            Some(copied) => known.took_to(copied.offset, (copied.head.clone(), copied.tail.clone())),
            None => known.took_to(known.header(), marks_of(&head, known.header())),
        }
        Ok(true)
    }

    /// Takes the lines that are whole.
    pub(super) fn take_lines(
        &mut self,
        tenant: TenantId,
        known: &mut Known,
        file: &File,
        size: u64,
        now: Duration,
    ) -> Result<bool, Failed> {
        let from = known.offset;
        let to = size.min(from.saturating_add(CHUNK));
        let is_table = matches!(known.growth, Growth::Table(_));
        let mut end = last_line_end(file, from, to, is_table)?.unwrap_or(from);
        if to < size && end == from {
            // One line, longer than any record: a list of them, or nothing that can be read.
            end = if is_table { to } else { first_line_end(file, to, size)?.unwrap_or(from) };
        }
        let is_over = self.is_over(known, now);
        if (to == size || end == from)
            && end < size
            && (is_over || (!is_table && self.is_settled(known, now) && is_value(file, end, size)?))
        {
            end = size;
        }
        if end > from {
            let top = Cursor::new(read_at(file, 0, known.header())?);
            let mut lines = file;
            lines.seek(SeekFrom::Start(from))?;
            let mut lines = Passing::new(lines.take(end - from));
            let content = Content::stream(top.chain(&mut lines));
            let part = PartOf { growth: known.growth, from, is_whole: false };
            self.read(tenant, known, content, Some(part))?;
            self.is_changed = true;
            // The marks come first: what is still there after that was there then.
            let marks = known.marks(file, end)?;
            if !known.is_in(file, file.metadata()?.len())? || !lines.is_between(file, from, end)? {
                // It was truncated meanwhile, and may have grown beyond this place again.
                self.begin_anew(known);
                return Ok(true);
            }
            known.took_to(end, marks);
        }
        Ok(end < size && end > from)
    }

    /// Takes a file that only makes sense as a whole.
    fn take_whole(&mut self, tenant: TenantId, known: &mut Known, mut file: File) -> Result<(), Failed> {
        let head = read_at(&file, 0, LONGEST)?;
        let copied = if is_packed(&head) { self.packed_copy(&file)? } else { None };
        let part = copied.map(|(growth, from, format)| {
            known.format = format;
            PartOf { growth, from, is_whole: true }
        });
        file.rewind()?;
        let content = Content::File(file.try_clone()?);
        let read = self.read(tenant, known, content, part);
        known.format = None;
        read?;
        self.is_changed = true;
        let stamp = Stamp::of(&file.metadata()?);
        if stamp == known.stamp {
            known.took_to(stamp.size, known.marks(&file, stamp.size)?);
            known.is_taken = true;
        } else {
            // It changed while it was read: it is taken again once it has not.
            known.stamp = stamp;
        }
        Ok(())
    }

    /// Of which file that was taken line by line a packed one is a copy, and how far that was taken.
    fn packed_copy(&self, file: &File) -> io::Result<Option<(Growth, u64, Option<String>)>> {
        let from_start = || -> io::Result<File> {
            let mut file = file.try_clone()?;
            file.rewind()?;
            Ok(file)
        };
        let mut head = Vec::new();
        let read = unpacked(from_start()?, |bytes| bytes.take(LONGEST).read_to_end(&mut head));
        if read.is_err() {
            // Damage is told when it is taken.
            return Ok(None);
        }
        let begins =
            |other: &&Known| other.has_lines() && other.offset > 0 && begins_with(&head, &other.head);
        let mut others: Vec<&Known> = self.files.values().chain(&self.gone).filter(begins).collect();
        others.sort_by_key(|other| std::cmp::Reverse(other.offset));
        for other in others.into_iter().take(MOST_LOOKED_INTO) {
            let mut tail = Vec::new();
            let before = other.offset.saturating_sub(other.tail.length);
            let looked = unpacked(from_start()?, |mut bytes| {
                io::copy(&mut (&mut bytes).take(before), &mut io::sink())?;
                bytes.take(other.tail.length).read_to_end(&mut tail)
            });
            if looked.is_ok() && Mark::of(&tail) == other.tail {
                return Ok(Some((other.growth, other.offset, other.format.clone())));
            }
        }
        Ok(None)
    }

    /// Reads content, which is durable once this is `Ok`.
    fn read(
        &self,
        tenant: TenantId,
        known: &mut Known,
        content: Content<'_>,
        part: Option<PartOf>,
    ) -> Result<(), Failed> {
        let format = self.settings.format.as_deref().or(known.format.as_deref());
        let choice = intake::choice(&self.instance.decoders, format);
        let choice = choice.map_err(|unknown| Failed::File(unknown.to_string()))?;
        let name = format!("{}:{}", self.name, known.name);
        let (source, name) = (self.name.as_str(), name.as_str());
        let input =
            Input { tenant, source, name, is_live: true, choice, namespace: None, limit: MAX_BYTES, part };
        let taken = intake::take(&self.instance, input, content, &mut |_| {});
        match taken.stopped {
            None => {}
            Some(Error::Deliver(error)) => return Err(Failed::Keeping(error.to_string())),
            Some(error @ Error::Hold(..)) => return Err(Failed::Keeping(error.to_string())),
            Some(Error::Unrecognised(..)) => return Err(Failed::File("it is of no known format".to_owned())),
            Some(error) => return Err(Failed::File(error.to_string())),
        }
        let told = taken.summary.format.filter(|name| self.instance.decoders.named(name).is_some());
        known.format = told.map(Into::into);
        Ok(())
    }

    /// Puts a file away of which nothing is left to take, if it is to be.
    fn finish(&mut self, known: &mut Known, now: Duration) -> Result<(), Failed> {
        let Some(path) = known.now.path.clone() else { return Ok(()) };
        let is_finished =
            known.is_done() && known.offset > 0 && (!known.has_lines() || self.is_over(known, now));
        if !is_finished || self.settings.after == After::Keep {
            return Ok(());
        }
        // Held open: what is still being written to it is not lost with its name.
        if known.has_lines() {
            known.now.file = opened(known)?;
        }
        let metadata = fs::symlink_metadata(&path)?;
        if Id::of(&metadata) != known.id || Stamp::of(&metadata) != known.stamp {
            return Ok(());
        }
        let cannot = |error: io::Error| Failed::File(format!("it is taken and cannot be put away: {error}"));
        match &self.settings.after {
            After::Keep => {}
            After::Delete => fs::remove_file(&path).map_err(cannot)?,
            After::Move(folder) => {
                let name = path.strip_prefix(&self.settings.path).unwrap_or(&path);
                put_into(&path, &folder.join(name)).map_err(cannot)?;
            }
        }
        known.now.path = None;
        self.is_changed = true;
        Ok(())
    }
}

/// The file as it is held, or opened; `None`: another one has its name by now.
fn opened(known: &mut Known) -> io::Result<Option<File>> {
    if let Some(file) = known.now.file.take() {
        return Ok(Some(file));
    }
    let Some(path) = &known.now.path else { return Ok(None) };
    // Whatever takes the file's place meanwhile is neither followed nor waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = match OpenOptions::new().read(true).custom_flags(flags as i32).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok((Id::of(&file.metadata()?) == known.id).then_some(file))
}

/// The marks of what begins so and was taken up to there.
fn marks_of(head: &[u8], offset: u64) -> (Mark, Mark) {
    let longest = usize::try_from(LONGEST).unwrap_or(usize::MAX);
    let taken = usize::try_from(offset).ok().and_then(|offset| head.get(..offset)).unwrap_or(head);
    let tail = taken.get(taken.len().saturating_sub(longest)..).unwrap_or_default();
    (Mark::of(taken.get(..longest).unwrap_or(taken)), Mark::of(tail))
}

/// Whether a file that begins with `head` begins with what another was marked by.
fn begins_with(head: &[u8], mark: &Mark) -> bool {
    let length = usize::try_from(mark.length).unwrap_or(usize::MAX);
    length > 0 && head.get(..length).is_some_and(|bytes| Mark::of(bytes) == *mark)
}

/// Whether what stands between two places is a record of JSON: then its line is whole though it has no end.
fn is_value(file: &File, from: u64, to: u64) -> io::Result<bool> {
    if to - from > LONGEST_LINE {
        return Ok(false);
    }
    let bytes = read_at(file, from, to - from)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii_start();
    Ok(matches!(text.first(), Some(b'{' | b'['))
        && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok())
}

/// Moves a file to a name, or the same with a number behind it if there is one of that name.
fn put_into(file: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let numbered = |number: u32| {
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let mut names = std::iter::once(to.to_owned()).chain((1..1000).map(numbered));
    let free = names
        .find(|name| fs::symlink_metadata(name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
    match free {
        Some(name) => fs::rename(file, name),
        None => Err(io::Error::other(format!("{} is there a thousand times", to.display()))),
    }
}
