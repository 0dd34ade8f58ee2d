//! What is known of a file in a watched folder: how much of it was taken, and by what it is recognised.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pintle_ingest::Growth;
use pintle_model::Time;
use serde::{Deserialize, Serialize};

use super::mark::{LONGEST, Mark};
use super::scan::{Id, Stamp};

/// The first wait after something went wrong; each further one is twice as long, …
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A file, as it is kept over a restart.
#[derive(Debug, Serialize, Deserialize)]
pub struct Known {
    /// Its name in the folder, for people.
    pub name: String,
    pub id: Id,
    /// As it stood when it was looked at.
    pub stamp: Stamp,
    pub growth: Growth,
    /// How much of it was taken and is durable: of lines up to there, else nothing or all.
    pub offset: u64,
    /// What it begins with, …
    pub head: Mark,
    /// … and what stands before the offset.
    pub tail: Mark,
    /// Whether all of it was taken as it stands; of what is taken whole only.
    pub is_taken: bool,
    /// The format that its first lines told.
    pub format: Option<String>,
    /// Since when it is not there any more.
    pub gone: Option<Time>,
    #[serde(skip)]
    pub now: Now,
}

/// What is known of a file for as long as the process lives.
#[derive(Debug, Default)]
pub struct Now {
    pub path: Option<PathBuf>,
    /// Held open, so that it can be read to its end when it is renamed or deleted.
    pub file: Option<File>,
    /// When it was seen to change.
    pub changed: Duration,
    /// Whether it is still the file that it was the last time is not looked after.
    pub is_doubted: bool,
    pub trouble: Option<Trouble>,
}

/// Why a file is not taken for now.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub reason: String,
    times: u32,
    /// When it is tried again.
    pub until: Duration,
}

impl Known {
    /// A file of which nothing was looked at.
    pub fn new(name: String, id: Id, stamp: Stamp, now: Duration) -> Known {
        Known {
            name,
            id,
            stamp,
            growth: Growth::Unclear,
            offset: 0,
            head: Mark::default(),
            tail: Mark::default(),
            is_taken: false,
            format: None,
            gone: None,
            now: Now { changed: now, is_doubted: true, ..Now::default() },
        }
    }

    /// Whether it is taken line by line.
    pub fn has_lines(&self) -> bool {
        matches!(self.growth, Growth::Lines | Growth::Table(_))
    }

    /// How much of it is the header of a table.
    pub fn header(&self) -> u64 {
        if let Growth::Table(header) = self.growth { header } else { 0 }
    }

    /// Whether nothing of it is left to take.
    pub fn is_done(&self) -> bool {
        if self.has_lines() { self.offset >= self.stamp.size } else { self.is_taken }
    }

    /// Whether a file has what was taken of this one, at the same place.
    pub fn is_in(&self, file: &File, size: u64) -> io::Result<bool> {
        Ok(size >= self.offset && self.head.is_at(file, 0)? && self.tail.is_before(file, self.offset)?)
    }

    /// By what a file is recognised of which all before `offset` was taken: its beginning, and what stands there.
    pub fn marks(&self, file: &File, offset: u64) -> io::Result<(Mark, Mark)> {
        let is_short = self.head.length < LONGEST;
        let head = if is_short { Mark::at(file, 0, offset)? } else { self.head.clone() };
        Ok((head, Mark::before(file, offset)?))
    }

    /// Notes that all before `offset` was taken, and the [marks](Known::marks) of that.
    pub fn took_to(&mut self, offset: u64, marks: (Mark, Mark)) {
        (self.offset, (self.head, self.tail)) = (offset, marks);
        self.now.trouble = None;
    }

    /// Notes that something is wrong. `true`: it is news.
    pub fn failed(&mut self, reason: String, now: Duration) -> bool {
        let times = self.now.trouble.as_ref().map_or(0, |trouble| trouble.times);
        let wait = FIRST_WAIT.saturating_mul(1 << times.min(16)).min(LONGEST_WAIT);
        let is_news = self.now.trouble.as_ref().is_none_or(|trouble| trouble.reason != reason);
        self.now.trouble = Some(Trouble { reason, times: times + 1, until: now + wait });
        is_news
    }

    /// Whether it must wait after something went wrong.
    pub fn must_wait(&self, now: Duration) -> bool {
        self.now.trouble.as_ref().is_some_and(|trouble| now < trouble.until)
    }
}
