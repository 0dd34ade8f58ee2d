//! Sections `[watch.NAME]`: folders whose files are taken in as they come and grow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use pintle_store::Batch;
use toml::de::DeTable;

use super::section::{self, Name, Section};
use super::value::{Value, quoted};

/// What the sections' names begin with.
pub const SECTION: &str = "watch";

/// The most folders that are watched.
const MOST: usize = 64;

/// What the sample file says of these sections.
pub(super) const HELP: &str = "A folder whose files `pintle serve` takes in as they come and grow has a section \
    [watch.NAME]; NAME is the source's. Lines are taken as they become whole, also of a file that is renamed, \
    truncated or packed by logrotate; anything else (archives, packed files, event logs, JSON documents) once it \
    has not changed for the time of settle. A restart goes on where it was. path is the folder, gone into up to \
    16 deep unless recursive is false; links in it are not followed. pattern is what names of files must match, \
    with * and ?. Changes are told by the system; where it tells none, as for folders of other machines, they \
    are found every poll. after says what becomes of a file that is finished: keep, delete, or move (to the \
    folder move_to). One with lines is finished once it has not grown for finished_after, so what writes it must \
    be done by then. Not set; for example:";

/// An example of such a section.
pub(super) const EXAMPLE: &str = r#"#[watch.exports]
#path = "/var/spool/exports"
#tenant = "default"
#format = "mde-streaming"
#pattern = "*.json*"
#recursive = true
#poll = "5s"
#settle = "10s"
#after = "move"
#move_to = "/var/spool/exports-done"
#finished_after = "1h"
"#;

/// A folder whose files are taken in.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The folder.
    pub path: PathBuf,
    /// The tenant whose telemetry it is, by name or GUID.
    pub tenant: String,
    /// The format of all of it, or a mapping's name; `None`: told from each file's content.
    pub format: Option<String>,
    /// What names of files must match.
    pub pattern: Pattern,
    /// Whether folders in it are gone into.
    pub recursive: bool,
    /// How often it is looked at in any case.
    pub poll: Duration,
    /// How long a file that is taken whole must not have changed.
    pub settle: Duration,
    /// What becomes of a file that is finished.
    pub after: After,
    /// How long a file with lines has not grown when it is finished.
    pub finished_after: Duration,
}

/// What becomes of a file that is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// It stays.
    Keep,
    /// It goes.
    Delete,
    /// It goes to this folder.
    Move(PathBuf),
}

/// What names must match.
#[derive(Clone, Debug)]
pub struct Pattern(GlobMatcher);

impl Pattern {
    /// Whether a name does.
    pub fn matches(&self, name: &std::path::Path) -> bool {
        self.0.is_match(name)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.glob() == other.0.glob()
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        let is_name = !text.is_empty() && text.len() <= 256 && !text.contains('/');
        let glob = is_name.then(|| Glob::new(text).ok()).flatten();
        let glob =
            glob.ok_or_else(|| format!("expected a pattern of names such as \"*.json\", found {text:?}"))?;
        Ok(Pattern(glob.compile_matcher()))
    }
}

impl Value for Pattern {
    fn from_text(text: &str) -> Result<Pattern, String> {
        text.parse()
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self.0.glob().glob()))
    }
}

/// The word of `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Keep,
    Delete,
    Move,
}

impl Value for Word {
    fn from_text(text: &str) -> Result<Word, String> {
        match text {
            "keep" => Ok(Word::Keep),
            "delete" => Ok(Word::Delete),
            "move" => Ok(Word::Move),
            _ => Err(format!("expected \"keep\", \"delete\" or \"move\", found {text:?}")),
        }
    }

    fn to_toml(&self) -> Option<String> {
        None
    }
}

/// Reads the table of sections. `problem` is told, with its place in the file, whatever is wrong.
pub(super) fn read(
    sections: &DeTable<'_>,
    problem: &mut dyn FnMut(usize, String),
) -> BTreeMap<String, Watch> {
    let mut watches: BTreeMap<String, Watch> = BTreeMap::new();
    section::each(SECTION, sections, problem, &mut |name, section| {
        if watches.len() >= MOST {
            (section.problem)(section.at, format!("more than {MOST} folders are not watched"));
            return;
        }
        if let Err(message) = Name::from_text(name) {
            (section.problem)(section.at, format!("{}: {message}", section.path));
            return;
        }
        if Batch::is_reserved(name) {
            (section.problem)(section.at, format!("{}: no telemetry comes under this name", section.path));
            return;
        }
        let Some(watch) = section.watch() else { return };
        if let Some((other, _)) = watches.iter().find(|(_, other)| other.path == watch.path) {
            section.wrong("path", format!("{SECTION}.{other} has it already"));
        }
        watches.insert(name.to_owned(), watch);
    });
    watches
}

/// The keys of a section.
const KEYS: &[&str] = &[
    "path",
    "tenant",
    "format",
    "pattern",
    "recursive",
    "poll",
    "settle",
    "after",
    "move_to",
    "finished_after",
];

impl Section<'_, '_> {
    /// The whole section; `None` if a key that it needs is missing or wrong.
    fn watch(&mut self) -> Option<Watch> {
        self.no_others(KEYS);
        let path = self.required::<PathBuf>("path", "the folder to watch");
        let word = self.optional("after").unwrap_or(Word::Keep);
        let move_to = self.optional::<PathBuf>("move_to");
        let second = Duration::from_secs(1);
        let watch = Watch {
            tenant: self.optional("tenant").map_or_else(|| "default".to_owned(), |Name(name)| name),
            format: self.optional("format").map(|Name(name)| name),
            pattern: self.optional("pattern").or_else(|| "*".parse().ok())?,
            recursive: self.optional("recursive").unwrap_or(true),
            poll: self.optional("poll").unwrap_or(second * 5),
            settle: self.optional("settle").unwrap_or(second * 10),
            finished_after: self.optional("finished_after").unwrap_or(second * 3600),
            after: match (word, move_to) {
                (Word::Move, Some(folder)) => After::Move(folder),
                (Word::Move, None) => {
                    self.wrong("after", "move needs the folder move_to".to_owned());
                    After::Keep
                }
                (_, Some(_)) => {
                    self.wrong("move_to", "counts only with after = \"move\"".to_owned());
                    After::Keep
                }
                (Word::Keep, None) => After::Keep,
                (Word::Delete, None) => After::Delete,
            },
            path: path?,
        };
        if !watch.path.is_absolute() {
            self.wrong("path", format!("{} is not absolute", watch.path.display()));
        }
        if let After::Move(folder) = &watch.after
            && (!folder.is_absolute() || folder.starts_with(&watch.path))
        {
            let message = format!("{} is not absolute, or in the folder that is watched", folder.display());
            self.wrong("move_to", message);
        }
        for (key, time) in [("poll", watch.poll), ("settle", watch.settle)] {
            if time < Duration::from_millis(100) {
                self.wrong(key, "expected at least 100ms".to_owned());
            }
        }
        Some(watch)
    }
}

impl Watch {
    /// The section as TOML, a line a key.
    pub(super) fn show(&self, name: &str) -> String {
        let path = format!("{SECTION}.{}", quoted(name));
        let (after, move_to) = match &self.after {
            After::Keep => ("keep", None),
            After::Delete => ("delete", None),
            After::Move(folder) => ("move", folder.to_toml()),
        };
        let mut text = String::new();
        for (key, value) in [
            ("path", self.path.to_toml()),
            ("tenant", Some(quoted(&self.tenant))),
            ("format", self.format.as_deref().map(quoted)),
            ("pattern", self.pattern.to_toml()),
            ("recursive", self.recursive.to_toml()),
            ("poll", self.poll.to_toml()),
            ("settle", self.settle.to_toml()),
            ("after", Some(quoted(after))),
            ("move_to", move_to),
            ("finished_after", self.finished_after.to_toml()),
        ] {
            match value {
                Some(value) => _ = writeln!(text, "{path}.{key} = {value}"),
                None => _ = writeln!(text, "#{path}.{key} is not set"),
            }
        }
        text
    }
}
