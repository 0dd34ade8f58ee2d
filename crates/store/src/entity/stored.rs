//! An entity as the base stores it.
//!
//! ```text
//! span     0: none; 1: first, then last as distance from it
//! facts    their number, then of each the member's number and the fact
//! parts    their number, then of each the name and the fact
//! fact     0 without a time of its own, else its time + 1; then the JSON text, empty for null
//! ```
//!
//! Numbers are LEB128, times are ticks with the sign in the lowest bit, texts have their length before
//! them. What most facts have costs a byte: there are millions.

use pintle_model::{Fact, Facts, MemberId, Time};

use super::Entity;
use crate::Span;
use crate::base::bytes::{put, take, take_slice};

const NULL: &str = "null";

pub(super) fn write(entity: &Entity, out: &mut Vec<u8>) {
    match entity.span {
        None => out.push(0),
        Some(span) => {
            out.push(1);
            put(out, folded(span.first));
            put(out, span.last.ticks().abs_diff(span.first.ticks()));
        }
    }
    put(out, entity.facts.iter().len() as u64);
    for (member, fact) in entity.facts.iter() {
        out.push(member.0);
        write_fact(fact, out);
    }
    put(out, entity.parts.len() as u64);
    for (name, fact) in &entity.parts {
        write_text(name, out);
        write_fact(fact, out);
    }
}

fn write_fact(fact: &Fact, out: &mut Vec<u8>) {
    if fact.at == Time::MIN {
        out.push(0);
    } else {
        put(out, folded(fact.at).saturating_add(1));
    }
    write_text(if &*fact.json == NULL { "" } else { &fact.json }, out);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// `None`: this was not written here.
pub(super) fn read(mut bytes: &[u8]) -> Option<Entity> {
    let span = match take(&mut bytes)? {
        0 => None,
        _ => {
            let first = unfolded(take(&mut bytes)?);
            let last = Time::from_ticks(first.ticks().checked_add_unsigned(take(&mut bytes)?)?);
            Some(Span { first, last })
        }
    };
    let mut entity = Entity { span, ..Entity::default() };
    let mut facts = Facts::default();
    for _ in 0..take(&mut bytes)? {
        let (member, rest) = bytes.split_first()?;
        bytes = rest;
        let fact = read_fact(&mut bytes)?;
        facts.note(MemberId(*member), fact.at, fact.json);
    }
    entity.facts = facts;
    for _ in 0..take(&mut bytes)? {
        let name = read_text(&mut bytes)?;
        entity.parts.insert(name.into(), read_fact(&mut bytes)?);
    }
    bytes.is_empty().then_some(entity)
}

fn read_fact(bytes: &mut &[u8]) -> Option<Fact> {
    let at = take(bytes)?.checked_sub(1).map_or(Time::MIN, unfolded);
    let json = Some(read_text(bytes)?).filter(|json| !json.is_empty()).unwrap_or(NULL);
    Some(Fact { at, json: json.into() })
}

fn read_text<'b>(bytes: &mut &'b [u8]) -> Option<&'b str> {
    std::str::from_utf8(take_slice(bytes)?).ok()
}

fn folded(time: Time) -> u64 {
    let ticks = time.ticks();
    (ticks << 1 ^ ticks >> 63).cast_unsigned()
}

fn unfolded(number: u64) -> Time {
    Time::from_ticks((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_reads_back_as_it_was_written() {
        let at = Time::from_unix_seconds;
        let mut entity = Entity::default();
        for step in 0..6 {
            let mut bytes = Vec::new();
            write(&entity, &mut bytes);
            assert_eq!(read(&bytes), Some(entity.clone()), "step {step}");
            for cut in 0..bytes.len() {
                assert_ne!(read(&bytes[..cut]), Some(entity.clone()), "step {step}, cut at {cut}");
            }
            match step {
                0 => entity.note_event(Some(at(-5))),
                1 => entity.note_event(Some(at(1_700_000_000))),
                2 => _ = entity.facts.note(MemberId(3), Time::MIN, "null"),
                3 => _ = entity.facts.note(MemberId(200), Time::from_ticks(-1), r#""text""#),
                _ => {
                    let fact = Fact { at: Time::from_ticks(i64::MAX / 2), json: format!("{step}").into() };
                    entity.note_part(format!("part {step}").into(), fact, 9);
                }
            }
        }
    }

    #[test]
    fn what_most_facts_have_costs_a_byte() {
        let mut entity = Entity::default();
        entity.note_part("n:a".into(), Fact { at: Time::MIN, json: NULL.into() }, 9);
        let mut bytes = Vec::new();
        write(&entity, &mut bytes);
        assert_eq!(bytes, b"\0\0\x01\x03n:a\0\0");
    }
}
