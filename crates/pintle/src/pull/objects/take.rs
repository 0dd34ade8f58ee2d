//! How an object is taken: line by line from where it was, or whole.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use memchr::{memchr, memrchr};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _};
use pintle_ingest::{Content, Error, Growth, MAX_BYTES, PartOf};
use pintle_model::TenantId;
use serde::de::IgnoredAny;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::kept::{Mark, Object};
use crate::instance::Instance;
use crate::intake::{self, Input};

/// How much of an object with lines is taken at once; a record is shorter.
const CHUNK: u64 = 20 << 20;
/// How much of one that is taken whole is asked for at once.
const PIECE: u64 = 8 << 20;
/// Characters of what a store says in an error.
const MOST_SAID: usize = 500;
/// What object_store says of a status that is 404.
const NOT_FOUND: &str = "non-2xx status code: 404";
/// How long what stands behind the last end of line must not have changed to be taken for a line.
const SETTLED: Duration = Duration::from_secs(600);

/// Why an object was not taken.
#[derive(Debug)]
pub enum Failed {
    /// It is not there any more.
    Gone,
    /// For what it is: the others are taken all the same.
    Object(String),
    /// The store does not give it.
    Store(String),
    /// What was read could not be kept.
    Keeping(String),
    /// It was told to stop.
    Stopped,
}

impl From<object_store::Error> for Failed {
    fn from(error: object_store::Error) -> Failed {
        match error {
            object_store::Error::NotFound { .. } => Failed::Gone,
            object_store::Error::Precondition { .. } => {
                Failed::Object("it changed while it was read".to_owned())
            }
            error @ (object_store::Error::PermissionDenied { .. }
            | object_store::Error::NotSupported { .. }) => Failed::Object(said(&error)),
            error => Failed::Store(said(&error)),
        }
    }
}

impl Failed {
    /// Of a list. That the whole bucket or container is not there, object_store tells only in words.
    pub fn listing(error: object_store::Error) -> Failed {
        match error {
            error @ object_store::Error::Generic { .. } if error.to_string().contains(NOT_FOUND) => {
                Failed::Gone
            }
            error => error.into(),
        }
    }
}

/// What a store said, which may be a page: its beginning, on one line.
fn said(error: &object_store::Error) -> String {
    let text = error.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MOST_SAID).collect()
}

/// What takes objects of a place.
pub struct Taking<'a> {
    pub instance: &'a Instance,
    pub store: &'a Arc<dyn ObjectStore>,
    pub runtime: &'a Handle,
    pub stop: &'a CancellationToken,
    /// Of what is taken: the source.
    pub source: &'a str,
    pub tenant: TenantId,
    /// The format, if the settings name one.
    pub format: Option<&'a str>,
    pub is_live: bool,
    /// Is told of so many bytes of the store that were taken, and records in them.
    pub took: &'a mut dyn FnMut(u64, u64),
}

impl Taking<'_> {
    /// Takes what is new of an object, of which `object` says how it stands now and what was taken of it.
    pub fn take(&mut self, name: &Path, object: &mut Object) -> Result<(), Failed> {
        if object.offset > object.size {
            object.begin_anew();
        }
        if object.has_lines == Some(false) {
            return self.take_whole(name, object);
        }
        // One that is as long as what was taken of it may be another.
        let mut is_known = object.offset == 0;
        while object.offset < object.size || !is_known {
            let before = object.offset;
            let before_it = object.offset.saturating_sub(object.tail.length);
            let to = object.size.min(object.offset.saturating_add(CHUNK));
            let chunk = self.range(name, before_it, to)?;
            let (tail, chunk) = split_at(&chunk, object.tail.length);
            if Mark::of(&tail) != object.tail {
                object.begin_anew();
                is_known = true;
                continue;
            }
            is_known = true;
            if object.has_lines.is_none() {
                object.has_lines = has_lines(&chunk, to == object.size && self.is_settled(object));
                match object.has_lines {
                    Some(true) => {}
                    Some(false) => return self.take_whole(name, object),
                    None if to == object.size => return Ok(()),
                    // A first line that is longer than any record is a document.
                    None => {
                        object.has_lines = Some(false);
                        return self.take_whole(name, object);
                    }
                }
            }
            self.take_lines(name, object, &chunk, to)?;
            if object.offset == before {
                break;
            }
        }
        object.is_done = object.offset == object.size || self.is_settled(object);
        Ok(())
    }

    /// Whether it has not changed for so long that what is not whole is not waited for.
    fn is_settled(&self, object: &Object) -> bool {
        let now = self.instance.now().unix_seconds();
        now.saturating_sub(object.changed / 1_000) >= i64::try_from(SETTLED.as_secs()).unwrap_or(i64::MAX)
    }

    /// Takes the lines of a chunk that are whole; `to` is where it ends in the object.
    fn take_lines(&mut self, name: &Path, object: &mut Object, chunk: &Bytes, to: u64) -> Result<(), Failed> {
        let is_last = to == object.size;
        let lines = match memrchr(b'\n', chunk) {
            Some(end) => end + 1,
            None if !is_last => return self.take_long(name, object, to),
            None => 0,
        };
        let rest = chunk.get(lines..).unwrap_or_default();
        let is_value = || serde_json::from_slice::<IgnoredAny>(rest).is_ok();
        let lines = if is_last && self.is_settled(object) && is_value() { chunk.len() } else { lines };
        if lines == 0 {
            return Ok(());
        }
        let lines = chunk.slice(..lines);
        let part = Some(PartOf { growth: Growth::Lines, from: object.offset, is_whole: false });
        let content = Content::stream(lines.clone().reader());
        let length = lines.len() as u64;
        let format = self.read(name, object.format.as_deref(), content, part, length)?;
        object.format = format;
        object.offset = object.offset.saturating_add(lines.len() as u64);
        object.tail = Mark::of_end(&lines);
        Ok(())
    }

    /// Takes a line that is longer than what is taken at once, and any record: a list of them, or nothing that
    /// can be read. `searched` is up to where it has no end.
    fn take_long(&mut self, name: &Path, object: &mut Object, searched: u64) -> Result<(), Failed> {
        let (from, mut at) = (object.offset, searched);
        let end = loop {
            let to = object.size.min(at.saturating_add(PIECE));
            let piece = self.range(name, at, to)?;
            if let Some(place) = memchr(b'\n', &piece) {
                break at + place as u64 + 1;
            }
            if to == object.size {
                if self.is_settled(object) && self.is_value(name, object, from)? {
                    break to;
                }
                // It is not whole yet.
                return Ok(());
            }
            at = to;
        };
        let mark = self.range(name, end - Mark::LONGEST as u64, end)?;
        let mut failed = None;
        let mut pieces = self.pieces(name, object, from, end, &mut failed);
        let part = Some(PartOf { growth: Growth::Lines, from, is_whole: false });
        let format = object.format.as_deref();
        let read = self.read(name, format, Content::stream(&mut pieces), part, end - from);
        if let Some(failed) = failed {
            return Err(failed);
        }
        object.format = read?;
        (object.offset, object.tail) = (end, Mark::of(&mark));
        Ok(())
    }

    /// Whether what stands from there to the end is a value of JSON.
    fn is_value(&self, name: &Path, object: &Object, from: u64) -> Result<bool, Failed> {
        let mut failed = None;
        let pieces = BufReader::new(self.pieces(name, object, from, object.size, &mut failed));
        let is_value = serde_json::from_reader::<_, IgnoredAny>(pieces).is_ok();
        failed.map_or(Ok(is_value), Err)
    }

    /// Takes an object that only makes sense as a whole.
    fn take_whole(&mut self, name: &Path, object: &mut Object) -> Result<(), Failed> {
        let mut failed = None;
        let mut pieces = self.pieces(name, object, 0, object.size, &mut failed);
        let read = self.read(name, None, Content::stream(&mut pieces), None, object.size);
        // That it could not be read says less than why.
        if let Some(failed) = failed {
            return Err(failed);
        }
        read?;
        object.offset = object.size;
        object.is_done = true;
        Ok(())
    }

    /// A part of an object, which says there why it does not come.
    fn pieces<'f>(
        &self,
        name: &Path,
        object: &Object,
        from: u64,
        to: u64,
        failed: &'f mut Option<Failed>,
    ) -> Pieces<'f> {
        Pieces {
            store: Arc::clone(self.store),
            name: name.clone(),
            tag: object.tag.clone(),
            at: from,
            end: to,
            piece: Bytes::new(),
            runtime: self.runtime.clone(),
            stop: self.stop.clone(),
            failed,
        }
    }

    /// Reads content of so many bytes, which is durable once this is `Ok`; gives its format.
    fn read(
        &mut self,
        name: &Path,
        format: Option<&str>,
        content: Content<'_>,
        part: Option<PartOf>,
        length: u64,
    ) -> Result<Option<String>, Failed> {
        let choice = intake::choice(&self.instance.decoders, self.format.or(format));
        let choice = choice.map_err(|unknown| Failed::Object(unknown.to_string()))?;
        let (tenant, source, is_live) = (self.tenant, self.source, self.is_live);
        let name = format!("{source}:{name}");
        let input =
            Input { tenant, source, name: &name, is_live, choice, namespace: None, limit: MAX_BYTES, part };
        let taken = intake::take(self.instance, input, content, &mut |_| {});
        match taken.stopped {
            None => {}
            Some(Error::Deliver(error)) => return Err(Failed::Keeping(error.to_string())),
            Some(error @ Error::Hold(..)) => return Err(Failed::Keeping(error.to_string())),
            Some(Error::Unrecognised(..)) => {
                return Err(Failed::Object("it is of no known format".to_owned()));
            }
            Some(error) => return Err(Failed::Object(error.to_string())),
        }
        (self.took)(length, taken.summary.records);
        let told = taken.summary.format.filter(|name| self.instance.decoders.named(name).is_some());
        Ok(told.map(Into::into))
    }

    fn range(&self, name: &Path, from: u64, to: u64) -> Result<Bytes, Failed> {
        let bytes = self.runtime.block_on(async {
            tokio::select! {
                bytes = self.store.get_range(name, from..to) => Ok(bytes?),
                () = self.stop.cancelled() => Err(Failed::Stopped),
            }
        })?;
        if bytes.len() as u64 == to - from {
            Ok(bytes)
        } else {
            Err(Failed::Object("it changed while it was read".to_owned()))
        }
    }
}

fn split_at(bytes: &Bytes, place: u64) -> (Bytes, Bytes) {
    let place = usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
    (bytes.slice(..place), bytes.slice(place..))
}

/// Whether an object that begins so has a record of JSON a line. `None`: what is there does not say it yet.
fn has_lines(head: &[u8], is_all: bool) -> Option<bool> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match (head.first(), memchr(b'\n', head)) {
        (None, _) if !is_all => None,
        (Some(b'{'), Some(end)) => {
            Some(serde_json::from_slice::<IgnoredAny>(head.get(..end).unwrap_or_default()).is_ok())
        }
        (Some(b'{'), None) if !is_all => None,
        _ => Some(false),
    }
}

/// An object, read piece by piece; in the state that `tag` is the name of, or not at all.
struct Pieces<'f> {
    store: Arc<dyn ObjectStore>,
    name: Path,
    tag: Option<String>,
    at: u64,
    end: u64,
    piece: Bytes,
    runtime: Handle,
    stop: CancellationToken,
    failed: &'f mut Option<Failed>,
}

impl Pieces<'_> {
    fn next(&mut self) -> Result<Bytes, Failed> {
        let to = self.end.min(self.at.saturating_add(PIECE));
        let options =
            GetOptions { if_match: self.tag.clone(), ..GetOptions::new().with_range(Some(self.at..to)) };
        let expected = to - self.at;
        let piece = self.runtime.block_on(async {
            tokio::select! {
                bytes = async { self.store.get_opts(&self.name, options).await?.bytes().await } => Ok(bytes?),
                () = self.stop.cancelled() => Err(Failed::Stopped),
            }
        })?;
        if piece.len() as u64 != expected {
            return Err(Failed::Object("it changed while it was read".to_owned()));
        }
        self.at = to;
        Ok(piece)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && self.at < self.end {
            match self.next() {
                Ok(piece) => self.piece = piece,
                Err(failed) => {
                    *self.failed = Some(failed);
                    return Err(io::Error::other("the store does not give it"));
                }
            }
        }
        let length = self.piece.len().min(buffer.len());
        let (taken, rest) = split_at(&self.piece, length as u64);
        if let Some(buffer) = buffer.get_mut(..length) {
            buffer.copy_from_slice(&taken);
        }
        self.piece = rest;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_json_are_told_from_what_makes_sense_only_as_a_whole() {
        for (head, is_all, told) in [
            (&b""[..], false, None),
            (b"", true, Some(false)),
            (b"{\"a\":1", false, None),
            (b"{\"a\":1}", true, Some(false)),
            (b"{\"a\":1}\r\n", false, Some(true)),
            (b"\xef\xbb\xbf{\"a\":1}\n{\"a\"", false, Some(true)),
            (b"{\n\"a\":1}\n", false, Some(false)),
            (b"[\n{\"a\":1}]\n", false, Some(false)),
            (b"\x1f\x8b\x08\0", false, Some(false)),
            (b"PAR1", false, Some(false)),
            (b"time,host\n", false, Some(false)),
        ] {
            assert_eq!(has_lines(head, is_all), told, "{:?}", String::from_utf8_lossy(head));
        }
    }
}
