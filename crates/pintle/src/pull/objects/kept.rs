//! What was taken of a store, as it is kept in the data folder over a restart. A backup leaves it out: what is
//! restored may be older, and taking something again changes nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Objects of a place that are remembered one by one.
const MOST_OBJECTS: usize = 100_000;
/// The first wait after an object could not be taken; each further one is twice as long, …
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What was taken of each place.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// By the place, as [`key`](super::round) writes it.
    pub places: BTreeMap<String, Taken>,
}

/// What was taken of a place.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Taken {
    /// Whatever changed last before this, in milliseconds since 1970 by the store's clock, and is not among
    /// `objects` is taken.
    pub done_before: i64,
    /// How far a look at everything has come; all up to there is taken, or among `objects`.
    pub reached: Option<String>,
    /// Of that look: when it began, by the clock here, …
    #[serde(default)]
    pub begun: i64,
    /// … the newest change that it has met, …
    pub newest: i64,
    /// … and the newest of an object that it forgot for want of room.
    pub forgot: i64,
    /// What changed lately or could not be taken, by name.
    pub objects: BTreeMap<String, Object>,
}

/// Which part of a place is looked at.
pub enum Begin {
    /// All of it.
    All,
    /// What stands behind this name of it, where a look at all of it was left.
    Rest(Path),
    /// What stands behind this name, since nothing before it changed lately.
    Late(Path),
}

impl Begin {
    /// The name that it begins behind.
    pub fn from(&self) -> Option<&Path> {
        match self {
            Begin::All => None,
            Begin::Rest(from) | Begin::Late(from) => Some(from),
        }
    }

    /// Whether all has been looked at when it ends.
    pub fn is_of_all(&self) -> bool {
        !matches!(self, Begin::Late(_))
    }
}

impl Taken {
    /// Begins to look at a place, whose lists are in the order of the names or not. `now` is in milliseconds
    /// since 1970.
    pub fn begin(&mut self, is_all: bool, is_ordered: bool, now: i64) -> Begin {
        // Where that is no name, as it was not written here, all is looked at: more than is needed.
        let from = |name: &String| Path::parse(name).ok();
        if is_ordered && let Some(from) = self.reached.as_ref().and_then(from) {
            return Begin::Rest(from);
        }
        if is_ordered && !is_all {
            // What a folder's name is before also begins with it.
            let first = self.objects.keys().next().and_then(|name| name.rsplit_once('/'));
            if let Some(from) = first.and_then(|(folder, _)| Path::parse(folder).ok()) {
                return Begin::Late(from);
            }
        }
        (self.reached, self.begun, self.newest, self.forgot) = (None, now, 0, 0);
        self.objects.values_mut().for_each(|object| object.is_met = false);
        Begin::All
    }

    /// Takes note of an object that there is; `None`: there is nothing to take of it.
    pub fn noted(&mut self, name: &str, meta: &ObjectMeta) -> Option<Object> {
        let changed = meta.last_modified.timestamp_millis();
        self.newest = self.newest.max(changed);
        let Some(object) = self.objects.get_mut(name) else {
            let tag = meta.e_tag.clone();
            let object = Object { changed, size: meta.size, tag, is_met: true, ..Object::default() };
            return (changed >= self.done_before).then_some(object);
        };
        object.is_met = true;
        if (object.changed, object.size) != (changed, meta.size) || object.tag != meta.e_tag {
            (object.changed, object.size, object.tag) = (changed, meta.size, meta.e_tag.clone());
            object.is_done = false;
            object.trouble = None;
        }
        (!object.is_done && !object.must_wait()).then(|| object.clone())
    }

    /// Notes what was taken of an object, and forgets others if there are too many.
    pub fn note(&mut self, name: String, object: Object) {
        self.objects.insert(name, object);
        if self.objects.len() <= MOST_OBJECTS {
            return;
        }
        // Half of them at once, so that looking for them costs little.
        let mut done: Vec<i64> =
            self.objects.values().filter(|object| object.is_done).map(|object| object.changed).collect();
        done.sort_unstable();
        let Some(until) = done.get(done.len() / 2).copied() else { return };
        self.forgot = self.forgot.max(until.saturating_add(1));
        self.objects.retain(|_, object| !object.is_done || object.changed > until);
    }

    /// The look has come to its end: what it did not meet is gone, and what has not changed for so many
    /// milliseconds before the newest change is not remembered by itself any more.
    pub fn end(&mut self, begun: &Begin, forget_after: i64) {
        if !begun.is_of_all() {
            return;
        }
        if matches!(begun, Begin::All) {
            self.objects.retain(|_, object| object.is_met);
        }
        // What it has passed may have changed since it began, however long ago that was.
        let newest = self.newest.min(self.begun);
        let before = newest.saturating_sub(forget_after).max(self.forgot.min(self.begun));
        self.done_before = self.done_before.max(before);
        let done_before = self.done_before;
        self.objects.retain(|_, object| !object.is_done || object.changed >= done_before);
        self.reached = None;
    }
}

/// An object of which something is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its state as it was looked at: when it changed last, in milliseconds, …
    pub changed: i64,
    /// … its length, …
    pub size: u64,
    /// … and what the store calls that state.
    pub tag: Option<String>,
    /// Whether it has lines and is taken line by line; `None`: it cannot be told yet.
    pub has_lines: Option<bool>,
    /// How much of it was taken and is durable.
    pub offset: u64,
    /// What stands before the offset.
    pub tail: Mark,
    /// The format that its first lines told.
    pub format: Option<String>,
    /// Whether all of it was taken as it stands that can be.
    pub is_done: bool,
    /// Whether this look met it.
    #[serde(skip)]
    pub is_met: bool,
    /// Why it is not taken for now.
    #[serde(skip)]
    pub trouble: Option<Trouble>,
}

/// What a part of an object is recognised by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Bytes.
    pub length: u64,
    digest: String,
}

impl Mark {
    /// Bytes looked at, at most.
    pub const LONGEST: usize = 256;

    /// Of what ends with these bytes.
    pub fn of_end(bytes: &[u8]) -> Mark {
        let from = bytes.len().saturating_sub(Mark::LONGEST);
        Mark::of(bytes.get(from..).unwrap_or_default())
    }

    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Mark {
        if bytes.is_empty() {
            return Mark::default();
        }
        let digest = Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Mark { length: bytes.len() as u64, digest }
    }
}

/// Why an object is not taken for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    reason: String,
    times: u32,
    until: Instant,
}

impl Object {
    /// Whether it is left alone for now.
    pub fn must_wait(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| Instant::now() < trouble.until)
    }

    /// It could not be taken. `true`: that is news.
    pub fn failed(&mut self, reason: &str) -> bool {
        let times = self.trouble.as_ref().map_or(0, |trouble| trouble.times);
        let is_news = self.trouble.as_ref().is_none_or(|trouble| trouble.reason != reason);
        let wait = FIRST_WAIT.saturating_mul(1 << times.min(16)).min(LONGEST_WAIT);
        let until = Instant::now() + wait;
        self.trouble = Some(Trouble { reason: reason.to_owned(), times: times.saturating_add(1), until });
        is_news
    }

    /// It has other content than what was taken of it.
    pub fn begin_anew(&mut self) {
        let Object { changed, size, tag, is_met, .. } = std::mem::take(self);
        *self = Object { changed, size, tag, is_met, ..Object::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600 * 1_000;

    fn meta(name: &str, day: i64, size: u64) -> ObjectMeta {
        ObjectMeta {
            location: Path::parse(name).unwrap(),
            last_modified: std::time::SystemTime::UNIX_EPOCH
                .checked_add(Duration::from_millis((day * DAY).unsigned_abs()))
                .unwrap()
                .into(),
            size,
            e_tag: Some(format!("{day}-{size}")),
            version: None,
        }
    }

    /// A look on day 30 at objects, all of which can be taken; the names of those that there was something to
    /// take of.
    fn look(taken: &mut Taken, objects: &[(&str, i64, u64)]) -> Vec<String> {
        let begun = taken.begin(true, true, 30 * DAY);
        let mut wanted = Vec::new();
        for (name, day, size) in objects {
            if begun.from().is_some_and(|from| *name <= from.as_ref()) {
                continue;
            }
            if let Some(mut object) = taken.noted(name, &meta(name, *day, *size)) {
                (object.offset, object.is_done) = (*size, true);
                taken.note((*name).to_owned(), object);
                wanted.push((*name).to_owned());
            }
            taken.reached = Some((*name).to_owned());
        }
        taken.end(&begun, 7 * DAY);
        wanted
    }

    #[test]
    fn what_has_long_not_changed_is_forgotten_and_not_taken_again_until_it_does() {
        let mut taken = Taken::default();
        assert_eq!(look(&mut taken, &[("a", 1, 5), ("b", 12, 5), ("c", 20, 5)]), ["a", "b", "c"]);
        assert_eq!(taken.objects.keys().collect::<Vec<_>>(), ["c"]);
        assert!(look(&mut taken, &[("a", 1, 5), ("b", 12, 5), ("c", 20, 5)]).is_empty());
        assert_eq!(look(&mut taken, &[("a", 21, 6), ("b", 12, 5), ("c", 20, 5)]), ["a"]);
        // Gone.
        assert!(look(&mut taken, &[("b", 12, 5), ("c", 20, 5)]).is_empty());
        assert_eq!(taken.objects.keys().collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn a_look_that_was_broken_off_goes_on_where_it_was() {
        let mut taken = Taken::default();
        taken.begin(true, true, 2 * DAY);
        for name in ["a", "b"] {
            let object = taken.noted(name, &meta(name, 1, 5)).unwrap();
            taken.note(name.to_owned(), Object { is_done: true, ..object });
            taken.reached = Some(name.to_owned());
        }
        let text = serde_json::to_vec(&taken).unwrap();
        let mut taken: Taken = serde_json::from_slice(&text).unwrap();
        assert_eq!(look(&mut taken, &[("a", 1, 5), ("b", 1, 5), ("c", 20, 5)]), ["c"]);
        assert_eq!((taken.done_before, taken.reached.as_deref()), (0, None));
        assert!(look(&mut taken, &[("a", 1, 5), ("b", 1, 5), ("c", 20, 5)]).is_empty());
        assert_eq!(taken.done_before, 13 * DAY);
    }

    #[test]
    fn what_came_while_a_look_was_broken_off_for_long_is_taken() {
        let mut taken = Taken::default();
        taken.begin(true, true, 2 * DAY);
        let object = taken.noted("m", &meta("m", 1, 5)).unwrap();
        taken.note("m".to_owned(), Object { is_done: true, ..object });
        taken.reached = Some("m".to_owned());
        // By then there is something before the place where it was broken off, and that is old.
        let objects = [("a", 10, 5), ("m", 11, 6), ("z", 29, 5)];
        assert_eq!(look(&mut taken, &objects), ["z"]);
        assert_eq!(look(&mut taken, &objects), ["a", "m"]);
        assert!(look(&mut taken, &objects).is_empty());
        assert_eq!(taken.objects.keys().collect::<Vec<_>>(), ["z"]);
    }

    #[test]
    fn one_that_cannot_be_taken_is_not_forgotten() {
        let mut taken = Taken::default();
        let begun = taken.begin(true, true, 30 * DAY);
        let mut object = taken.noted("a", &meta("a", 1, 5)).unwrap();
        assert!(object.failed("damaged") && object.must_wait());
        assert!(!object.failed("damaged") && object.failed("more damaged"));
        taken.note("a".to_owned(), object);
        taken.noted("b", &meta("b", 20, 5));
        taken.end(&begun, 7 * DAY);
        assert!(taken.objects.contains_key("a"));
        assert!(taken.noted("a", &meta("a", 1, 5)).is_none());
        assert!(taken.noted("a", &meta("a", 1, 6)).is_some());
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let mut taken = Taken::default();
        let begun = taken.begin(true, true, 30 * DAY);
        for n in 0..=MOST_OBJECTS {
            let name = format!("{n:06}");
            let day = i64::try_from(n).unwrap() + 1;
            let object = Object { changed: day, is_done: true, is_met: true, ..Object::default() };
            taken.newest = day;
            taken.note(name, object);
        }
        assert!(taken.objects.len() <= MOST_OBJECTS / 2 + 1, "{}", taken.objects.len());
        taken.end(&begun, 7 * DAY);
        // What was forgotten is not taken for new.
        let object = meta("000007", 0, 5);
        assert!(taken.noted("000007", &object).is_none());
    }

    #[test]
    fn where_there_is_much_a_look_begins_behind_what_changed_lately() {
        let mut taken = Taken::default();
        look(&mut taken, &[("h=01/a", 1, 5), ("h=08/a", 20, 5), ("h=09/a", 21, 5)]);
        let begun = taken.begin(false, true, 30 * DAY);
        assert_eq!(begun.from().map(AsRef::as_ref), Some("h=08"));
        assert!(!begun.is_of_all());
        assert!(taken.begin(false, false, 30 * DAY).from().is_none());
        assert_eq!(Mark::of_end(&[7; 1_000]), Mark::of(&[7; 256]));
        assert_eq!(Mark::of(b""), Mark::default());
    }
}
