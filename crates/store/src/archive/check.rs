//! Reads the archive from its first byte to its last and changes nothing.

use std::path::{Path, PathBuf};

use super::{HEADER_BYTES, Position, check_end, durable, path, replay_segment, segments};
use crate::Error;

/// What a walk through the archive came by.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Segments read.
    pub(crate) segments: u64,
    /// Batches that read.
    pub(crate) batches: u64,
    /// The number of the oldest segment.
    pub(crate) first: Option<u32>,
    /// Batches that were being written when everything stopped, never acknowledged: where they begin.
    pub(crate) torn: Option<(PathBuf, u64)>,
}

/// Reads everything before `end`, or all there is, and tells `damaged` of each file in which something
/// does not read. The base has everything before `applied`. Calls `progress` with the bytes of each
/// batch.
pub(crate) fn check(
    folder: &Path,
    applied: Position,
    end: Option<Position>,
    damaged: &mut dyn FnMut(PathBuf, Error),
    progress: &mut dyn FnMut(u64),
) -> Result<Walked, Error> {
    const NEVER: Position = Position { segment: u32::MAX, offset: u64::MAX };
    let there = if folder.exists() { segments(folder)? } else { Vec::new() };
    let mut walked = Walked { first: there.first().copied(), ..Walked::default() };
    let needed = (applied != Position::START).then_some(applied.segment);
    let last = there.last().copied().max(needed);
    let whole = applied.max(durable(folder));
    if let Err(Error::Damaged { file, offset, reason }) = durable::check(folder) {
        damaged(file.clone(), Error::Damaged { file, offset, reason });
    }
    for segment in walked.first.or(needed).into_iter().flat_map(|first| first..=last.unwrap_or(first)) {
        let name = path(folder, segment);
        let flaw = |offset, reason: &str| {
            (name.clone(), Error::Damaged { file: name.clone(), offset, reason: reason.into() })
        };
        let length = match name.metadata() {
            Ok(about) => about.len(),
            // The caps dropped it meanwhile.
            Err(_) if segments(folder).is_ok_and(|now| now.first() > Some(&segment)) => continue,
            Err(_) => {
                let (name, error) = flaw(0, "it is missing");
                damaged(name, error);
                continue;
            }
        };
        if end.is_some_and(|end| segment > end.segment) {
            break;
        }
        // What opening would set aside.
        let torn_after = if end.is_none() && there.last() == Some(&segment) { whole } else { NEVER };
        if length < HEADER_BYTES && torn_after.segment <= segment {
            if length > 0 {
                walked.torn = Some((name, 0));
            }
            continue;
        }
        if segment == whole.segment && length < whole.offset {
            let (name, error) = flaw(length, "it is cut short: there was more of it");
            damaged(name, error);
            continue;
        }
        let is_closed = there.last() != Some(&segment) && end.is_none_or(|end| segment < end.segment);
        let (mut torn, mut is_sound) = (None, true);
        let mut each = |_, _, bytes| {
            walked.batches += 1;
            progress(bytes);
            Ok(())
        };
        let mut broken = |error: Error| {
            if let Error::Damaged { offset, .. } = error
                && offset >= HEADER_BYTES
                && (Position { segment, offset }) >= torn_after
            {
                torn = Some(offset);
                return Err(error);
            }
            is_sound = false;
            damaged(name.clone(), error);
            Ok(())
        };
        let start = Position::start_of(segment);
        let read = replay_segment(folder, start, NEVER, end.unwrap_or(NEVER), &mut each, &mut broken);
        walked.segments += 1;
        let read = read.and_then(|_| if is_sound && is_closed { check_end(&name) } else { Ok(()) });
        match (read, torn) {
            (_, Some(offset)) => walked.torn = Some((name, offset)),
            (Err(error), None) => damaged(name, error),
            (Ok(()), None) => {}
        }
    }
    Ok(walked)
}

/// Whether the archive goes back to the first batch, or there is none.
pub(crate) fn is_from_the_first(folder: &Path) -> bool {
    segments(folder).ok().and_then(|there| there.first().copied()).is_none_or(|first| first == 1)
}
