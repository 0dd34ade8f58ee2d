//! A column of a group of rows: its values one after another, with what they belong to.

use super::metadata::Chunk;
use super::page::{DataPage, Page, Pages};
use super::schema::{Leaf, Stored};
use super::values::{Dictionary, Value, Values, held};
use super::{Budget, Fault};

/// A place for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// At which level it stands once more; 0: it begins a row.
    pub repetition: u16,
    /// Up to which level the path to it is there.
    pub level: u16,
}

/// A column.
pub struct Column<'f> {
    /// What its values are.
    pub leaf: Leaf,
    pages: Pages<'f>,
    dictionary: Option<Dictionary<'f>>,
    page: Option<Open<'f>>,
    /// The place that comes next, once it was looked at.
    next: Option<Place>,
}

/// A page that is being read.
struct Open<'f> {
    page: DataPage<'f>,
    values: Values,
    left: u64,
}

impl<'f> Column<'f> {
    /// The column in a chunk of `file`.
    pub fn of(file: &'f [u8], chunk: &Chunk, leaf: Leaf) -> Result<Column<'f>, Fault> {
        Ok(Column { leaf, pages: Pages::of(file, chunk)?, dictionary: None, page: None, next: None })
    }

    /// The place that comes next; `None` at the end.
    pub fn peek(&mut self, budget: &Budget) -> Result<Option<Place>, Fault> {
        if self.next.is_none() && self.has_page(budget)? {
            let Some(open) = &mut self.page else { return Ok(None) };
            open.left -= 1;
            let DataPage { data, repetition, definition, .. } = &mut open.page;
            let repetition = match repetition {
                Some(runs) => level(runs.next(data)?, self.leaf.repetition)?,
                None => 0,
            };
            let level = match definition {
                Some(runs) => level(runs.next(data)?, self.leaf.level)?,
                None => self.leaf.level,
            };
            self.next = Some(Place { repetition, level });
        }
        Ok(self.next)
    }

    /// Passes the place that comes next; its value, if it has one.
    pub fn take(&mut self, budget: &Budget) -> Result<Option<Value<'_>>, Fault> {
        let place = self.peek(budget)?.ok_or(Fault::Damage)?;
        self.next = None;
        if place.level < self.leaf.level {
            return Ok(None);
        }
        let Some(open) = &mut self.page else { return Err(Fault::Damage) };
        let value = open.values.next(&open.page.data, self.dictionary.as_ref(), self.leaf.stored)?;
        if let Value::Bytes(bytes) = value {
            budget.work(bytes.len() as u64)?;
        }
        Ok(Some(value))
    }

    /// Whether a page is at hand in which a place is left; one is read if need be.
    fn has_page(&mut self, budget: &Budget) -> Result<bool, Fault> {
        while self.page.as_ref().is_none_or(|open| open.left == 0) {
            if let Some(open) = self.page.take() {
                budget.release(held(&open.page.data));
            }
            match self.pages.next(&self.leaf, budget)? {
                None => return Ok(false),
                Some(Page::Dictionary(..)) if self.dictionary.is_some() => return Err(Fault::Damage),
                Some(Page::Dictionary(data, count)) if self.leaf.stored != Stored::Bit => {
                    let dictionary = Dictionary::of(data, count, self.leaf.stored)?;
                    budget.hold(dictionary.held())?;
                    self.dictionary = Some(dictionary);
                }
                Some(Page::Dictionary(..)) => return Err(Fault::Damage),
                Some(Page::Data(page)) => {
                    budget.hold(held(&page.data))?;
                    let DataPage { data, values, encoding, count, .. } = &page;
                    let values = Values::of(data, *values, *encoding, self.leaf.stored, *count)?;
                    self.page = Some(Open { left: page.count, values, page });
                }
            }
        }
        Ok(true)
    }
}

fn level(number: u64, most: u16) -> Result<u16, Fault> {
    u16::try_from(number).ok().filter(|level| *level <= most).ok_or(Fault::Damage)
}
