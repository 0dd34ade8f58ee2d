//! Whether every line is there that was written, as it was written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use serde::Serialize;

use super::head::{self, Head};
use super::line::{self, Hash, Link, MAX_BYTES, Parts};
use super::{Error, FOLDER, log};

/// More problems are counted, not listed.
const LISTED: usize = 1_000;

/// What came of looking through an audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Lines.
    pub lines: u64,
    /// Files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// The number of the first line that is there.
    pub first: Option<u64>,
    /// The number of the last.
    pub last: Option<u64>,
    /// The hash of the last. Written down elsewhere, it shows later that nothing before was changed.
    pub head: Option<Hash>,
    /// Oldest files that are not there: somebody may have archived them.
    pub archived: u64,
    /// Lines after the one that `HEAD` names. A running server has some, and so has one that was
    /// killed.
    pub unsynced: u64,
    /// Bytes of a line that was being written when everything stopped.
    pub torn: u64,
    /// Where the line is whose hash was asked for.
    pub found: Option<Found>,
    /// What is wrong; empty: all is sound.
    pub problems: Vec<Problem>,
    /// Problems beyond those that are listed.
    pub more_problems: u64,
}

/// A line that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its file.
    pub file: String,
    /// Its number in the log.
    pub seq: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line in it, from 1; 0: the file as a whole.
    pub line: u64,
    /// The line's number in the log, where it says one.
    pub seq: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

/// Reads the audit log in a data folder or a backup whole, also while it is being written. Looks for the
/// line of a hash that was written down elsewhere, if there is one.
pub fn verify(folder: &Path, wanted: Option<Hash>) -> Result<Verified, Error> {
    let folder = folder.join(FOLDER);
    // HEAD first: what it names is in the files by then.
    let head = head::read(&folder);
    let numbers = match folder.exists() {
        true => log::numbers(&folder)?,
        false => Vec::new(),
    };
    let mut walk = Walk::new(head.as_ref().ok().copied().flatten(), wanted);
    for number in &numbers {
        walk.file(&folder, *number, Some(number) == numbers.last())?;
    }
    let broken = match &head {
        Ok(_) => walk.end(),
        Err(error) => Some(format!("it does not read: {error}")),
    };
    let head = head.ok().flatten();
    if let Some(reason) = broken {
        walk.problem(head::NAME.to_owned(), 0, head.map(|head| head.seq), reason);
    }
    let (last, hash) = walk.last.unzip();
    let unsynced = last.unwrap_or(0).saturating_sub(head.map_or(0, |head| head.seq));
    Ok(Verified {
        lines: walk.lines,
        files: numbers.len() as u64,
        bytes: numbers
            .iter()
            .filter_map(|number| folder.join(log::name(*number)).metadata().ok())
            .map(|about| about.len())
            .sum(),
        first: walk.first,
        last,
        head: hash,
        archived: numbers.first().map_or(0, |first| first.saturating_sub(1)),
        unsynced,
        torn: walk.torn,
        found: walk.found,
        problems: walk.problems,
        more_problems: walk.more_problems,
    })
}

/// Goes along the chain, from a file on.
pub(super) struct Walk {
    head: Option<Head>,
    wanted: Option<Hash>,
    found: Option<Found>,
    lines: u64,
    first: Option<u64>,
    last: Option<(u64, Hash)>,
    /// The hash of the line whose number HEAD has.
    at_head: Option<Hash>,
    torn: u64,
    next: Next,
    number: Option<u64>,
    problems: Vec<Problem>,
    more_problems: u64,
}

/// What the next line must say.
struct Next {
    /// `None`: anything, since what was before is not here.
    seq: Option<u64>,
    /// One of these; empty: anything.
    prev: Vec<Hash>,
}

impl Walk {
    pub(super) fn new(head: Option<Head>, wanted: Option<Hash>) -> Walk {
        Walk {
            head,
            wanted,
            found: None,
            lines: 0,
            first: None,
            last: None,
            at_head: None,
            torn: 0,
            next: Next { seq: None, prev: Vec::new() },
            number: None,
            problems: Vec::new(),
            more_problems: 0,
        }
    }

    /// The number and the hash of the last line that reads.
    pub(super) fn last(&self) -> Option<(u64, Hash)> {
        self.last
    }

    /// Bytes at the end of the last file that are no whole line.
    pub(super) fn torn(&self) -> u64 {
        self.torn
    }

    /// Reads a file. What is after its last line end is a problem unless it is the last file.
    pub(super) fn file(&mut self, folder: &Path, number: u64, is_last: bool) -> Result<(), Error> {
        let (name, path) = (log::name(number), folder.join(log::name(number)));
        match self.number.replace(number) {
            None if number == 1 => self.next = Next { seq: Some(1), prev: vec![Hash::NONE] },
            Some(before) if before + 1 != number => {
                let reason = format!("{} files before it are missing", number - before - 1);
                self.problem(name.clone(), 0, None, reason);
            }
            _ => {}
        }
        let mut reader = BufReader::new(File::open(&path).map_err(Error::io("opening", &path))?);
        let (mut line, mut at) = (Vec::new(), 0);
        loop {
            at += 1;
            match read_line(&mut reader, &mut line).map_err(Error::io("reading", &path))? {
                Ended::Whole => self.line(&name, at, &line),
                Ended::TooLong => self.unreadable(&name, at, "it is longer than a line can be"),
                Ended::Torn(bytes) if is_last => {
                    self.torn = bytes;
                    return Ok(());
                }
                Ended::Torn(_) => self.unreadable(&name, at, "it has no end"),
                Ended::File if at == 1 && !is_last => {
                    self.problem(name, 0, None, "it has no lines".to_owned());
                    return Ok(());
                }
                Ended::File => return Ok(()),
            }
        }
    }

    /// Why HEAD does not fit what was read, if it does not.
    pub(super) fn end(&self) -> Option<String> {
        let last = self.last.map_or(0, |(seq, _)| seq);
        match (self.head, self.at_head) {
            (None, _) if last == 0 => None,
            (None, _) => Some(format!("it is missing, so nobody knows whether lines are after {last}")),
            (Some(head), _) if last < head.seq => {
                Some(format!("{} missing at the end", span(last + 1, head.seq)))
            }
            // It is made before the first line.
            (Some(head), _) if head.seq == 0 => None,
            (Some(head), Some(hash)) if head.hash == hash => None,
            (Some(head), Some(_)) => Some(format!("it has another hash for line {} than the line", head.seq)),
            (Some(head), None) => Some(format!("line {}, which it names, is missing", head.seq)),
        }
    }

    fn line(&mut self, name: &str, at: u64, line: &[u8]) {
        self.lines += 1;
        let Some(Parts { computed, stated, link }) = Parts::of(line) else {
            return self.unreadable(name, at, "it does not end as a line of the log does");
        };
        let Some(Link { seq, prev, action, detail }) = link else {
            return self.unreadable(name, at, "it does not read");
        };
        let file = detail.get("file").and_then(serde_json::Value::as_u64);
        let begins = action == line::FILE && file.is_some_and(|file| log::name(file) == name);
        let wrong = match self.next.seq {
            _ if computed != stated => "it was altered: its hash is another".to_owned(),
            Some(next) if seq > next => format!("{} missing before it", span(next, seq - 1)),
            Some(next) if seq < next => "it is out of order, or there twice".to_owned(),
            _ if !self.next.prev.is_empty() && !self.next.prev.contains(&prev) => {
                "it does not follow on the line before: one of the two was replaced".to_owned()
            }
            _ if at == 1 && !begins => "the file's first line is missing".to_owned(),
            _ => String::new(),
        };
        if !wrong.is_empty() {
            self.problem(name.to_owned(), at, Some(seq), wrong);
        }
        if action == line::BROKEN {
            let found = detail.get("error").and_then(serde_json::Value::as_str).unwrap_or_default();
            let reason = format!("a server that started found the end before it wrong: {found}");
            self.problem(name.to_owned(), at, Some(seq), reason);
        }
        self.first.get_or_insert(seq);
        self.next = Next { seq: Some(seq.saturating_add(1)), prev: vec![stated, computed] };
        if self.last.is_none_or(|(last, _)| last <= seq) {
            self.last = Some((seq, stated));
        }
        if self.head.is_some_and(|head| head.seq == seq) {
            self.at_head = Some(stated);
        }
        if computed == stated && self.wanted == Some(stated) {
            self.found = Some(Found { file: name.to_owned(), seq });
        }
    }

    /// A line of which nobody knows what it said.
    fn unreadable(&mut self, name: &str, at: u64, reason: &str) {
        self.problem(name.to_owned(), at, None, reason.to_owned());
        self.next = Next { seq: self.next.seq.map(|seq| seq.saturating_add(1)), prev: Vec::new() };
    }

    fn problem(&mut self, file: String, line: u64, seq: Option<u64>, reason: String) {
        if self.problems.len() < LISTED {
            self.problems.push(Problem { file, line, seq, reason });
        } else {
            self.more_problems += 1;
        }
    }
}

fn span(first: u64, last: u64) -> String {
    match first == last {
        true => format!("line {first} is"),
        false => format!("lines {first} to {last} are"),
    }
}

/// How reading a line ended.
pub(super) enum Ended {
    /// With a line end, which is not handed over.
    Whole,
    /// The same, but it is no line of the log; nothing is handed over.
    TooLong,
    /// With the file, after so many bytes.
    Torn(u64),
    /// There is no more.
    File,
}

/// Reads a line, and never more than a line may have into memory.
pub(super) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Ended> {
    line.clear();
    let read = reader.by_ref().take(MAX_BYTES as u64).read_until(b'\n', line)?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        return Ok(Ended::Whole);
    }
    line.clear();
    if read == 0 {
        return Ok(Ended::File);
    }
    let mut bytes = read as u64;
    loop {
        let buffer = reader.fill_buf()?;
        let (passed, is_whole) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (at + 1, true),
            None if buffer.is_empty() => return Ok(Ended::Torn(bytes)),
            None => (buffer.len(), false),
        };
        reader.consume(passed);
        bytes += passed as u64;
        if is_whole {
            return Ok(Ended::TooLong);
        }
    }
}
