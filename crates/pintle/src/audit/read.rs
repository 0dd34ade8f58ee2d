//! The newest lines, for people.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use pintle_model::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::entry::{Actor, Outcome};
use super::line::Hash;
use super::verify::{Ended, read_line};
use super::{Error, FOLDER, log};

/// A line as it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its number in the log.
    pub seq: u64,
    /// When it was written, as RFC 3339 has it.
    pub at: String,
    /// Who did it.
    pub actor: Actor,
    /// In which tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// How many more there were like it that have no line of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u64>,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub detail: Map<String, Value>,
    /// The hash of the line before.
    pub prev: Hash,
    /// Its own.
    pub hash: Hash,
}

/// Which lines are asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// So many at most.
    pub last: usize,
    /// Whose action begins so.
    pub action: String,
    /// Written since then.
    pub since: Option<Time>,
}

impl Asked {
    fn is(&self, line: &Line) -> bool {
        let is_since = |since| Time::parse(&line.at).is_none_or(|at| at >= since);
        line.action.starts_with(&self.action) && self.since.is_none_or(is_since)
    }
}

/// The newest lines of the audit log in a data folder that are as asked for, oldest first. Lines that do
/// not read are left out: to verify the log is another thing.
pub fn newest(folder: &Path, asked: &Asked) -> Result<Vec<Line>, Error> {
    let folder = folder.join(FOLDER);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut newest = VecDeque::new();
    for number in log::numbers(&folder)?.into_iter().rev() {
        let lacking = asked.last - newest.len();
        if lacking == 0 {
            break;
        }
        let older = newest_of(&folder.join(log::name(number)), asked, lacking)?;
        older.into_iter().rev().for_each(|line| newest.push_front(line));
    }
    Ok(newest.into())
}

fn newest_of(path: &Path, asked: &Asked, last: usize) -> Result<VecDeque<Line>, Error> {
    let mut reader = BufReader::new(File::open(path).map_err(Error::io("opening", path))?);
    let (mut newest, mut line) = (VecDeque::new(), Vec::new());
    loop {
        match read_line(&mut reader, &mut line).map_err(Error::io("reading", path))? {
            Ended::Whole => {}
            Ended::TooLong => continue,
            Ended::Torn(_) | Ended::File => return Ok(newest),
        }
        let Some(line) = serde_json::from_slice(&line).ok().filter(|line| asked.is(line)) else { continue };
        if newest.len() == last {
            newest.pop_front();
        }
        newest.push_back(line);
    }
}
