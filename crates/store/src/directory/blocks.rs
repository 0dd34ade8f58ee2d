//! The machines' JSON joined block by block in the order of their ids. Each machine's own text lies
//! wherever it was put, and ten thousand walks to memory cost more than sending what they bring; a
//! block that is listed whole is sent as it is, without a copy, to any number of clients at once.
//! A block is joined when somebody asks, and given up when one of its machines changes.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pintle_model::Time;

use super::Machine;

/// Machines in a block: some 60 KB, which stay in the processor's cache until the kernel has them.
pub(super) const MACHINES: usize = 64;

/// All blocks, by number.
pub(super) struct Blocks(Vec<Mutex<Option<Block>>>);

/// Some machines' JSON, each as `,{…}`.
#[derive(Clone)]
pub(super) struct Block {
    text: Bytes,
    /// Where each one ends.
    ends: Arc<[usize]>,
    /// The clock makes silent machines inactive: later than this and up to that the text is right.
    valid: (Time, Time),
}

impl Blocks {
    /// Blocks of so many machines, none joined.
    pub(super) fn of(machines: usize) -> Blocks {
        Blocks((0..machines.div_ceil(MACHINES)).map(|_| Mutex::default()).collect())
    }

    /// A block of these machines, joined now if it is not.
    pub(super) fn joined<'m>(
        &self,
        number: usize,
        now: Time,
        machines: impl Iterator<Item = &'m Machine>,
    ) -> Option<Block> {
        let mut block = self.0.get(number)?.lock().unwrap_or_else(PoisonError::into_inner);
        let known = block.take().filter(|block| block.valid.0 < now && now <= block.valid.1);
        Some(block.insert(known.unwrap_or_else(|| Block::join(now, machines))).clone())
    }

    /// Gives a block up.
    pub(super) fn give_up(&mut self, number: usize) {
        if let Some(block) = self.0.get_mut(number) {
            *block.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Block {
    fn join<'m>(now: Time, machines: impl Iterator<Item = &'m Machine>) -> Block {
        let mut text = Vec::with_capacity(MACHINES * 1024);
        let mut ends = Vec::with_capacity(MACHINES);
        let (mut from, mut until) = (Time::MIN, Time::from_ticks(i64::MAX));
        for machine in machines {
            machine.write(now, &mut text);
            ends.push(text.len());
            match machine.rendered.active_until() {
                Some(end) if end >= now => until = until.min(end),
                Some(end) => from = from.max(end),
                None => {}
            }
        }
        text.shrink_to_fit();
        Block { text: text.into(), ends: ends.into(), valid: (from, until) }
    }

    /// All of it.
    pub(super) fn text(&self) -> &Bytes {
        &self.text
    }

    /// One machine, by its place in the block.
    pub(super) fn machine(&self, place: usize) -> &[u8] {
        let end = |place: usize| self.ends.get(place).copied();
        let start = place.checked_sub(1).map_or(Some(0), end);
        let range = start.zip(end(place)).map(|(start, end)| Range { start, end });
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }
}
