//! What is asked of a list, and how its rows are settled: which ones pass, in which order, from where
//! on. Only numbers are kept of them, and of those that are not asked for nothing is written.

#[cfg(test)]
mod tests;
mod value;

use std::cmp::Ordering;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};

use pintle_model::{MemberId, Time, shapes};
use serde::{Deserialize, Serialize};

use crate::{Error, Filter, Page};
pub(crate) use value::Value;

/// Rows looked at before others are let in, and before it is seen whether anybody still waits.
const AT_ONCE: usize = 1_024;
/// Bytes of what rows are ordered by that one list may keep while it is settled.
const MOST_BYTES: usize = if cfg!(test) { 4 << 20 } else { 256 << 20 };
/// At first fewer are looked at: the first ones may be enough, and to look may mean to read.
const FEW: usize = 32;

/// What is asked of a list.
#[derive(Clone, Copy)]
pub struct Listing<'a> {
    /// Which entities; `None`: all.
    pub filter: Option<&'a Filter>,
    /// In which order: by the first, where that is equal by the next, and in the end by id, ascending.
    pub order: &'a [OrderBy],
    /// Rows up to this one and it are left out.
    pub after: Option<&'a Place>,
    /// Which of the rows that are left.
    pub page: Page,
    /// Whether to count all that the filter takes, wherever the page lies.
    pub count: bool,
    /// Ends the work with [`Error::Stopped`] once it is set: nobody waits for it any more.
    pub stop: Option<&'a AtomicBool>,
}

impl Listing<'_> {
    /// Everything, by id.
    pub const ALL: Listing<'static> = Listing::of(Page::ALL);

    /// A page of everything, by id.
    pub const fn of(page: Page) -> Listing<'static> {
        Listing { filter: None, order: &[], after: None, page, count: false, stop: None }
    }

    /// Whether nothing but a page is asked for.
    pub(crate) fn is_plain(&self) -> bool {
        self.filter.is_none() && self.order.is_empty() && self.after.is_none() && !self.count
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Atomic::Relaxed))
    }
}

/// By what a list is ordered. `null` is less than everything; texts compare without regard to case, by
/// their first [`OrderBy::TEXT`] bytes; names of a set that has an order (`Low`, `Medium`, `High`) by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// A member that is no list and no object; those are all alike.
    pub member: MemberId,
    /// The greatest first.
    pub descending: bool,
}

impl OrderBy {
    /// So many bytes of a text count.
    pub const TEXT: usize = 256;
}

/// Where in a list a row stands: what the list is ordered by, of this row, and its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    values: Vec<Value>,
    id: String,
    /// When the first page of the list was asked for, of a list of alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) listed: Option<Time>,
}

impl Place {
    /// When the row last changed, if the list shows those first that changed first.
    pub(crate) fn change(&self, order: &[OrderBy]) -> Option<Time> {
        const CHANGES: [MemberId; 2] = [shapes::alert::SEQUENCE, shapes::alert::LAST_UPDATE_TIME];
        let first = order.first()?;
        match self.values.first()? {
            Value::Number(ticks) if CHANGES.contains(&first.member) && !first.descending => {
                Some(Time::from_ticks(*ticks))
            }
            _ => None,
        }
    }
}

/// What is known of a list as a whole once it is settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// How many rows the filter takes, if that was asked.
    pub count: Option<usize>,
    /// The place of the page's last row, if more rows follow.
    pub next: Option<Place>,
}

/// Rows that are settled: their numbers in order.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) numbers: Vec<u32>,
    pub(crate) about: About,
}

/// A row that passed.
pub(crate) struct Ranked {
    /// What the list is ordered by.
    pub(crate) values: Vec<Value>,
    /// Its place among the candidates, which are ascending by id.
    pub(crate) place: usize,
}

impl Ranked {
    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        size_of::<Ranked>() + self.values.iter().map(Value::bytes).sum::<usize>()
    }
}

/// The rows of a list, by number.
pub(crate) trait Rows {
    /// Looks at some candidates, of which the first has this place. Appends those that there are, that
    /// the caller may see and that the filter takes, in their order, each with what the order asks of it.
    fn look(
        &self,
        candidates: &[u32],
        first: usize,
        listing: &Listing<'_>,
        found: &mut Vec<Ranked>,
    ) -> Result<(), Error>;

    /// The id of a row; `None`: it is gone.
    fn id(&self, number: u32) -> Option<String>;
}

/// Settles a list. The candidates are ascending by id.
pub(crate) fn settle<R: Rows>(rows: &R, candidates: &[u32], listing: &Listing<'_>) -> Result<Settled, Error> {
    if listing.page.top == 0 && !listing.count {
        return Ok(Settled::default());
    }
    if listing.order.is_empty() {
        by_id(rows, candidates, listing)
    } else {
        by_values(rows, candidates, listing)
    }
}

fn by_id<R: Rows>(rows: &R, candidates: &[u32], listing: &Listing<'_>) -> Result<Settled, Error> {
    let start = listing.after.map_or(0, |after| first_behind(rows, candidates, &after.id));
    let mut page = Paged::new(listing);
    let from = if listing.count { 0 } else { start };
    let (mut at, mut size, mut found) = (from, FEW, Vec::new());
    while let Some(rest) = candidates.get(at..).filter(|rest| !rest.is_empty()) {
        if listing.is_stopped() {
            return Err(Error::Stopped);
        }
        let some = rest.get(..size).unwrap_or(rest);
        rows.look(some, at, listing, &mut found)?;
        page.total += found.len();
        for ranked in found.drain(..).filter(|ranked| ranked.place >= start) {
            page.push(ranked);
        }
        if page.is_over() && !listing.count {
            break;
        }
        at += some.len();
        size = (size * 2).min(AT_ONCE);
    }
    Ok(page.settled(rows, candidates))
}

/// The place of the first candidate whose id comes after this one. One that is gone counts as the next
/// that is there.
fn first_behind<R: Rows>(rows: &R, candidates: &[u32], id: &str) -> usize {
    let (mut low, mut high) = (0, candidates.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let rest = candidates.get(middle..).unwrap_or_default();
        let next = rest.iter().find_map(|number| rows.id(*number));
        if next.is_some_and(|next| next.as_str() <= id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The rows of a page, as they come.
struct Paged<'l> {
    listing: &'l Listing<'l>,
    rows: Vec<Ranked>,
    /// Rows behind the place after which the page lies.
    passed: usize,
    total: usize,
}

impl<'l> Paged<'l> {
    fn new(listing: &'l Listing<'l>) -> Paged<'l> {
        Paged { listing, rows: Vec::new(), passed: 0, total: 0 }
    }

    /// The number of rows at the end of the page.
    fn end(&self) -> usize {
        self.listing.page.skip.saturating_add(self.listing.page.top)
    }

    fn is_over(&self) -> bool {
        self.passed > self.end()
    }

    fn push(&mut self, row: Ranked) {
        if (self.listing.page.skip..self.end()).contains(&self.passed) {
            self.rows.push(row);
        }
        self.passed += 1;
    }

    fn settled<R: Rows>(self, rows: &R, candidates: &[u32]) -> Settled {
        let number = |row: &Ranked| candidates.get(row.place).copied();
        let numbers = self.rows.iter().filter_map(number).collect();
        let count = self.listing.count.then_some(self.total);
        let last = self.rows.last().filter(|_| self.is_over());
        let next = last.and_then(|last| {
            Some(Place { values: last.values.clone(), id: rows.id(number(last)?)?, listed: None })
        });
        Settled { numbers, about: About { count, next } }
    }
}

fn by_values<R: Rows>(rows: &R, candidates: &[u32], listing: &Listing<'_>) -> Result<Settled, Error> {
    let mut page = Paged::new(listing);
    let compare = |one: &[Value], other: &[Value]| ordered(listing.order, one, other);
    let is_before = |row: &Ranked, after: &Place| match compare(&row.values, &after.values) {
        Ordering::Equal => {
            let id = candidates.get(row.place).and_then(|number| rows.id(*number));
            id.is_none_or(|id| id <= after.id)
        }
        order => order.is_lt(),
    };
    let in_order =
        |one: &Ranked, other: &Ranked| compare(&one.values, &other.values).then(one.place.cmp(&other.place));
    // One more than there are to be, so that it shows whether more follow.
    let most = page.end().saturating_add(1);
    let (mut kept, mut found, mut passed, mut bytes): (Vec<Ranked>, _, _, _) = (Vec::new(), Vec::new(), 0, 0);
    for (some, first) in candidates.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
        if listing.is_stopped() {
            return Err(Error::Stopped);
        }
        rows.look(some, first, listing, &mut found)?;
        page.total += found.len();
        let behind = found.drain(..).filter(|row| listing.after.is_none_or(|after| !is_before(row, after)));
        let before = kept.len();
        kept.extend(behind);
        passed += kept.len() - before;
        bytes += kept.iter().skip(before).map(Ranked::bytes).sum::<usize>();
        // Those that come too late in the order are let go now and then.
        if kept.len() >= most.saturating_mul(2).saturating_add(AT_ONCE) {
            kept.select_nth_unstable_by(most, in_order);
            kept.truncate(most);
            bytes = kept.iter().map(Ranked::bytes).sum();
        }
        if bytes > MOST_BYTES {
            return Err(Error::TooMuchToOrder);
        }
    }
    kept.sort_unstable_by(in_order);
    kept.truncate(most);
    kept.into_iter().for_each(|row| page.push(row));
    page.passed = passed;
    Ok(page.settled(rows, candidates))
}

/// The order of two rows by what a list is ordered by.
fn ordered(order: &[OrderBy], one: &[Value], other: &[Value]) -> Ordering {
    for ((by, one), other) in order.iter().zip(one).zip(other) {
        match if by.descending { other.cmp(one) } else { one.cmp(other) } {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    Ordering::Equal
}
