//! Documents as Elasticsearch's clients send them: one, or in bulk, where a line says what is to be done and
//! the next is the document. Each is a record by itself, of whatever format, and each is answered.

use std::io::{self, Read};

use super::run::{Part, REJECT_BYTES, Run};
use crate::envelope;
use crate::error::{Error, Stop};
use crate::framing::window::Window;
use crate::framing::{MAX_RECORD, TOO_LONG};
use crate::json::Object;

/// The longest line that says what is to be done. An index has at most 255 bytes, an id 512.
const MAX_ACTION: usize = 16 * 1024;

const ONLY_ADDED: &str = "documents are only added here: what came in is never changed";
const NO_DOCUMENT: &str = "no document follows the action";
const EMPTY: &str = "an empty document";

/// How documents come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Documents {
    /// Lines of actions and documents in turn.
    Bulk,
    /// One, alone.
    One(Action),
}

/// What is to be done with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Add it, in the place of one that has its id.
    Index,
    /// Add it.
    Create,
    /// Change one. Not done.
    Update,
    /// Remove one. Not done.
    Delete,
}

impl Action {
    const ALL: [Action; 4] = [Action::Index, Action::Create, Action::Update, Action::Delete];

    /// The name, as requests and answers have it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Index => "index",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It is a record, or a good one with nothing to keep.
    Taken,
    /// It, or a part of it, cannot be read, and is kept aside; why.
    KeptAside(&'a str),
    /// The action is none that is done here; why.
    NotDone(&'a str),
}

/// A document's answer.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// What was to be done.
    pub action: Action,
    /// Where the sender would have it.
    pub index: Option<&'a str>,
    /// What the sender calls it.
    pub id: Option<&'a str>,
    /// What became of it, once all is delivered.
    pub outcome: Outcome<'a>,
}

/// What takes the answers, in the documents' order.
pub type Answers<'s> = dyn FnMut(Item<'_>) -> Result<(), Error> + 's;

impl Run<'_> {
    /// Reads the documents of an unpacked input.
    pub(super) fn documents(
        &mut self,
        documents: Documents,
        part: &mut Part,
        input: &mut dyn Read,
        answers: &mut Answers<'_>,
    ) -> Result<(), Stop> {
        let ended = match documents {
            Documents::Bulk => self.bulk(part, &mut Lines::of(input), answers),
            Documents::One(action) => self.one(part, action, input, answers),
        };
        if let Err(Stop::Said(Error::Malformed(_))) = ended {
            // What was read before stays.
            self.hand_over()?;
        }
        ended
    }

    fn one(
        &mut self,
        part: &mut Part,
        action: Action,
        input: &mut dyn Read,
        answers: &mut Answers<'_>,
    ) -> Result<(), Stop> {
        let mut document = Vec::new();
        input.take(MAX_RECORD as u64 + 1).read_to_end(&mut document)?;
        let is_long = document.len() > MAX_RECORD;
        let problem = self.document(part, 0, &document, is_long)?;
        // The rest only counts.
        io::copy(input, &mut io::sink())?;
        let outcome = problem.as_deref().map_or(Outcome::Taken, Outcome::KeptAside);
        Ok(answers(Item { action, index: None, id: None, outcome })?)
    }

    fn bulk(
        &mut self,
        part: &mut Part,
        lines: &mut Lines<'_>,
        answers: &mut Answers<'_>,
    ) -> Result<(), Stop> {
        while let Some(line) = lines.next()? {
            let bytes = lines.bytes(line);
            if bytes.trim_ascii().is_empty() {
                lines.pass(line)?;
                continue;
            }
            let asked = Asked::read(line.offset, bytes)?;
            lines.pass(line)?;
            let problem = match asked.action {
                Action::Delete => None,
                Action::Index | Action::Create | Action::Update => match lines.next()? {
                    None => Some(NO_DOCUMENT.to_owned()),
                    Some(line) if asked.action == Action::Update => {
                        lines.pass(line)?;
                        None
                    }
                    Some(line) => {
                        let problem = self.document(part, line.offset, lines.bytes(line), line.is_long)?;
                        lines.pass(line)?;
                        answers(asked.item(problem.as_deref().map_or(Outcome::Taken, Outcome::KeptAside)))?;
                        continue;
                    }
                },
            };
            answers(asked.item(Outcome::NotDone(problem.as_deref().unwrap_or(ONLY_ADDED))))?;
        }
        Ok(())
    }

    /// Takes one, and says why it was kept aside if it was.
    fn document(
        &mut self,
        part: &mut Part,
        offset: u64,
        bytes: &[u8],
        is_long: bool,
    ) -> Result<Option<String>, Error> {
        self.kept_aside = None;
        self.summary.records += 1;
        self.batch_bytes += if is_long { REJECT_BYTES } else { bytes.len() };
        if is_long {
            self.reject(part, offset, TOO_LONG, bytes);
        } else if bytes.trim_ascii().is_empty() {
            self.reject(part, offset, EMPTY, &[]);
        } else {
            match Object::parse(bytes) {
                Err(problem) => self.reject(part, offset, problem.reason(), bytes),
                Ok(document) => {
                    let record = envelope::record(&document, &|record| part.choice.takes(record));
                    self.record(part, offset, record.as_deref().map_or(bytes, str::as_bytes));
                }
            }
        }
        self.end_batch()?;
        Ok(self.kept_aside.take())
    }
}

/// What a line asks for.
struct Asked {
    action: Action,
    index: Option<String>,
    id: Option<String>,
}

impl Asked {
    fn read(offset: u64, line: &[u8]) -> Result<Asked, Error> {
        Asked::parse(line).ok_or_else(|| {
            let expected =
                r#"an action such as {"create":{}} with at most 255 bytes of _index and 512 of _id"#;
            Error::Malformed(format!("the line at byte {offset} must be {expected}"))
        })
    }

    fn parse(line: &[u8]) -> Option<Asked> {
        if line.len() > MAX_ACTION {
            return None;
        }
        let object = Object::parse(line).ok()?;
        let [(name, value)] = object.members.as_slice() else { return None };
        let action = Action::ALL.into_iter().find(|action| action.name() == name)?;
        let value = value.object()?;
        let text = |name, most| {
            let text = value.get(name).and_then(|value| value.text());
            let fits = text.as_ref().is_none_or(|text| text.len() <= most);
            fits.then(|| text.map(|text| text.into_owned()))
        };
        Some(Asked { action, index: text("_index", 255)?, id: text("_id", 512)? })
    }

    fn item<'a>(&'a self, outcome: Outcome<'a>) -> Item<'a> {
        Item { action: self.action, index: self.index.as_deref(), id: self.id.as_deref(), outcome }
    }
}

/// Lines of an input, of which those beyond a record's length are not held.
struct Lines<'r> {
    window: Window<'r>,
}

/// A line of which the first bytes are held.
#[derive(Clone, Copy)]
struct Line {
    offset: u64,
    held: usize,
    is_long: bool,
}

impl<'r> Lines<'r> {
    fn of(input: &'r mut dyn Read) -> Lines<'r> {
        Lines { window: Window::new(input) }
    }

    /// The next one; `None` at the end of the input. The last needs no line break.
    fn next(&mut self) -> io::Result<Option<Line>> {
        let offset = self.window.offset();
        let mut searched = 0;
        loop {
            let held = self.window.held();
            if let Some(end) = memchr::memchr(b'\n', held.get(searched..).unwrap_or_default()) {
                let held = searched + end;
                return Ok(Some(Line { offset, held, is_long: held > MAX_RECORD }));
            }
            searched = held.len();
            if searched > MAX_RECORD {
                return Ok(Some(Line { offset, held: searched, is_long: true }));
            }
            if !self.window.more()? {
                let is_end = searched == 0;
                return Ok((!is_end).then_some(Line { offset, held: searched, is_long: false }));
            }
        }
    }

    /// Its bytes, without the line break.
    fn bytes(&self, line: Line) -> &[u8] {
        let held = self.window.held().get(..line.held).unwrap_or_default();
        held.strip_suffix(b"\r").unwrap_or(held)
    }

    /// Goes on behind it.
    fn pass(&mut self, line: Line) -> io::Result<()> {
        self.window.discard(line.held);
        loop {
            let held = self.window.held();
            if let Some(end) = memchr::memchr(b'\n', held) {
                self.window.discard(end + 1);
                return Ok(());
            }
            self.window.discard(held.len());
            if !self.window.more()? {
                return Ok(());
            }
        }
    }
}
