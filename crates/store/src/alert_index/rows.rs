//! The columns of alerts. They are read off the alert as it is rendered, so that they are what the API
//! shows, whatever decides that; but for its machine, which stands here as telemetry names it.

use std::collections::HashMap;
use std::sync::Arc;

use pintle_model::{AlertId, Kind, MachineId, MemberId, TenantId, Time, shapes, shapes::alert as a};

use super::marks::{Marks, Named};
use crate::entity::Entity;
use crate::evidence;
use crate::filter::{self, Column, Columns, Subject, folded};
use crate::render::{self, AlertMachine, Extras};

/// Members that are numbers and times.
const NUMBERS: [MemberId; 8] = [
    a::INCIDENT_ID,
    a::INVESTIGATION_ID,
    a::ALERT_CREATION_TIME,
    a::FIRST_EVENT_TIME,
    a::LAST_EVENT_TIME,
    a::LAST_UPDATE_TIME,
    a::RESOLVED_TIME,
    a::SEQUENCE,
];
/// Nothing but what columns are made of.
const SEQUENCE: Extras = Extras { evidence: false, sequence: true };
const LAST_UPDATE: usize = 5;
/// Members of which many alerts have the same text; each text is kept once.
const TEXTS: [MemberId; 6] =
    [a::SEVERITY, a::STATUS, a::CATEGORY, a::DETECTION_SOURCE, a::ASSIGNED_TO, a::MACHINE_ID];
const MACHINE: usize = 5;
/// A longer one is left to the JSON.
const LONGEST_TEXT: usize = 300;

/// The alerts of one tenant, by number.
pub(crate) struct Rows {
    of: TenantId,
    rows: Vec<Packed>,
    /// Numbers, ascending by id.
    order: Vec<u32>,
    /// Numbers that are not in it yet.
    unordered: Vec<u32>,
    texts: Texts,
    marks: Marks,
    /// Rows written since it was made.
    written: usize,
    /// Marks and texts that it was made with.
    noted_at_first: usize,
}

/// A row as it is kept.
struct Packed {
    id: AlertId,
    numbers: [i64; NUMBERS.len()],
    /// A bit for each number that is not `null`.
    there: u8,
    /// Something of it is in no column, so nothing is to be told from them.
    is_odd: bool,
    /// Numbers of texts.
    texts: [u32; TEXTS.len()],
}

/// JSON texts, each once, by number.
#[derive(Default)]
struct Texts {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        let (text, number): (Arc<str>, u32) =
            (text.into(), u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    fn text(&self, number: u32) -> &str {
        self.texts.get(at(number)).map_or(filter::NULL, |text| text)
    }
}

impl Rows {
    pub(super) fn new(of: TenantId) -> Rows {
        Rows {
            of,
            rows: Vec::new(),
            order: Vec::new(),
            unordered: Vec::new(),
            texts: Texts::default(),
            marks: Marks::default(),
            written: 0,
            noted_at_first: 0,
        }
    }

    /// Whether to read so many alerts again is less than to make all anew. What alerts said once stays
    /// until then, so there is a bound to how often.
    pub(super) fn is_worth(&self, changes: usize) -> bool {
        let few = super::FEW + self.rows.len() / 4;
        let noted = self.marks.len() + self.texts.texts.len();
        let is_bounded = self.written <= 8 * few && noted <= 100 * super::FEW + 2 * self.noted_at_first;
        changes <= few && is_bounded
    }

    /// Ends the making of it.
    pub(super) fn begin(&mut self) {
        self.settle();
        self.written = 0;
        self.noted_at_first = self.marks.len() + self.texts.texts.len();
    }

    /// Puts an alert in its row, or in a new one. It is found once [`Rows::settle`] was called.
    pub(super) fn put(&mut self, id: AlertId, alert: &Entity) {
        let names = evidence::Named::by(alert);
        let number = self.number(&id);
        let row = self.packed(id, alert);
        self.written += 1;
        let folded_id = folded(row.id.as_str()).into_owned();
        match number.and_then(|number| self.rows.get_mut(at(number))) {
            Some(known) => *known = row,
            None => {
                self.unordered.extend(u32::try_from(self.rows.len()));
                self.rows.push(row);
            }
        }
        let number = number.or_else(|| self.unordered.last().copied());
        if let Some(number) = number {
            self.marks.note(number, &folded_id, &names);
        }
    }

    /// Ends some calls of [`Rows::put`].
    pub(super) fn settle(&mut self) {
        self.marks.settle();
        let mut new = std::mem::take(&mut self.unordered);
        if new.is_empty() {
            return;
        }
        new.sort_unstable_by(|one, other| self.id(*one).cmp(&self.id(*other)));
        new.dedup();
        let mut order = Vec::with_capacity(self.order.len() + new.len());
        let mut rest = self.order.as_slice();
        for number in new {
            let before = rest.partition_point(|other| self.id(*other) < self.id(number));
            let (smaller, greater) = rest.split_at_checked(before).unwrap_or((rest, &[]));
            order.extend_from_slice(smaller);
            order.push(number);
            rest = greater;
        }
        order.extend_from_slice(rest);
        self.order = order;
    }

    fn packed(&mut self, id: AlertId, alert: &Entity) -> Packed {
        let json = render::render_alert(self.of, id.as_str(), alert, &AlertMachine::default(), SEQUENCE);
        let json = format!("{{{json}}}");
        let shown = Subject::object(&a::ASKABLE, &json);
        let mut row = Packed { id, numbers: [0; NUMBERS.len()], there: 0, is_odd: false, texts: [0; 6] };
        for ((bit, slot), member) in row.numbers.iter_mut().enumerate().zip(NUMBERS) {
            let value = shown.member(member);
            match number(member, value) {
                Some(number) => {
                    *slot = number;
                    row.there |= 1 << bit;
                }
                None => row.is_odd |= value != filter::NULL,
            }
        }
        for (slot, member) in row.texts.iter_mut().zip(TEXTS) {
            let value = shown.member(member);
            let is_odd = value.len() > LONGEST_TEXT;
            row.is_odd |= is_odd;
            *slot = self.texts.number(if is_odd { filter::NULL } else { value });
        }
        row
    }

    /// All numbers, ascending by id.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }

    /// The id of an alert.
    pub(crate) fn id(&self, number: u32) -> Option<&AlertId> {
        self.rows.get(at(number)).map(|row| &row.id)
    }

    /// The number of an alert.
    fn number(&self, id: &AlertId) -> Option<u32> {
        let place = self.order.partition_point(|number| self.id(*number) < Some(id));
        self.order.get(place).copied().filter(|number| self.id(*number) == Some(id))
    }

    /// The columns of an alert.
    pub(crate) fn row(&self, number: u32) -> Option<Row<'_>> {
        Some(Row { packed: self.rows.get(at(number))?, texts: &self.texts })
    }

    /// Those that may name something, ascending by id. To be looked at: some may not.
    pub(crate) fn naming<'n>(&self, named: impl Iterator<Item = Named<'n>>) -> Vec<u32> {
        let mut found: Vec<u32> = named.flat_map(|named| self.marks.find(named)).collect();
        found.sort_unstable_by(|one, other| self.id(*one).cmp(&self.id(*other)));
        found.dedup();
        found
    }

    /// Those that may be on a machine, which has these ids, ascending by id.
    pub(crate) fn on_machine(&self, ids: &[MachineId]) -> Vec<u32> {
        let json = |id: &MachineId| serde_json::Value::from(id.as_str()).to_string();
        let machines: Vec<u32> =
            ids.iter().filter_map(|id| self.texts.numbers.get(json(id).as_str()).copied()).collect();
        let is_on = |number: &u32| {
            let row = self.rows.get(at(*number));
            row.is_some_and(|row| {
                row.is_odd || row.texts.get(MACHINE).is_some_and(|on| machines.contains(on))
            })
        };
        self.order.iter().copied().filter(is_on).collect()
    }
}

/// The value of a member that is a number or a time; `None`: it has none, or one that is neither.
fn number(member: MemberId, json: &str) -> Option<i64> {
    match shapes::alert::ASKABLE.members.get(usize::from(member.0))?.kind {
        Kind::Time => Some(Time::parse(&filter::text(json)?)?.ticks()),
        _ => json.parse().ok(),
    }
}

/// The columns of one alert.
pub(crate) struct Row<'r> {
    packed: &'r Packed,
    texts: &'r Texts,
}

impl Row<'_> {
    /// Whether something of the alert is in no column.
    pub(crate) fn is_odd(&self) -> bool {
        self.packed.is_odd
    }

    /// The number of the text that names its machine, the same for all alerts on it.
    pub(crate) fn machine_number(&self) -> Option<u32> {
        self.packed.texts.get(MACHINE).copied()
    }

    /// When it was last updated; `None`: nobody said.
    pub(crate) fn last_update(&self) -> Option<Time> {
        self.number(LAST_UPDATE).map(Time::from_ticks)
    }

    fn number(&self, place: usize) -> Option<i64> {
        let is_there = self.packed.there & 1u8.checked_shl(u32::try_from(place).ok()?)? != 0;
        self.packed.numbers.get(place).copied().filter(|_| is_there)
    }

    /// The id of its machine as JSON.
    pub(crate) fn machine(&self) -> &str {
        self.packed.texts.get(MACHINE).map_or(filter::NULL, |text| self.texts.text(*text))
    }
}

impl Columns for Row<'_> {
    fn column(&self, member: MemberId) -> Column<'_> {
        if member == a::ID {
            return Column::Text(self.packed.id.as_str());
        }
        if self.packed.is_odd {
            return Column::Unknown;
        }
        if let Some(place) = NUMBERS.iter().position(|other| *other == member) {
            let is_time = a::ASKABLE.members.get(usize::from(member.0)).is_some_and(|m| m.kind == Kind::Time);
            return match self.number(place) {
                None => Column::Null,
                Some(number) if is_time => Column::Time(Time::from_ticks(number)),
                Some(number) => Column::Int(number),
            };
        }
        let text = TEXTS.iter().zip(self.packed.texts).find(|(other, _)| **other == member);
        text.map_or(Column::Unknown, |(_, number)| Column::Json(self.texts.text(number)))
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert_index::FEW;

    #[test]
    fn an_alert_takes_about_a_hundred_bytes() {
        assert!(size_of::<Packed>() <= 112, "{}", size_of::<Packed>());
    }

    fn alert(status: &str) -> Entity {
        let mut alert = Entity::default();
        alert.facts.note_text(a::STATUS, Time::MIN, Some(status));
        alert
    }

    #[test]
    fn alerts_keep_their_numbers_and_are_found_in_the_order_of_their_ids() {
        let mut rows = Rows::new(TenantId::from_bytes([1; 16]));
        for some in [&["c", "a"][..], &["b", "d", "a"], &["B"]] {
            for id in some {
                rows.put(id.parse().unwrap(), &alert("New"));
            }
            rows.settle();
        }
        let ids: Vec<&str> = rows.order().iter().map(|number| rows.id(*number).unwrap().as_str()).collect();
        assert_eq!(ids, ["B", "a", "b", "c", "d"]);
        assert_eq!(rows.id(0).unwrap().as_str(), "c");
        let named: Vec<&str> = rows
            .naming([Named::Id("b"), Named::Id("b"), Named::Id("x")].into_iter())
            .into_iter()
            .map(|number| rows.id(number).unwrap().as_str())
            .collect();
        assert_eq!(named, ["B", "b"]);
    }

    #[test]
    fn what_alerts_said_once_does_not_grow_without_end() {
        let mut rows = Rows::new(TenantId::from_bytes([1; 16]));
        rows.put("a".parse().unwrap(), &alert("New"));
        rows.begin();
        assert!(rows.is_worth(1) && !rows.is_worth(2 * FEW));
        for nth in 0..10 * FEW {
            rows.put("a".parse().unwrap(), &alert(&nth.to_string()));
            if !rows.is_worth(1) {
                return;
            }
        }
        panic!("it would be kept for ever");
    }
}
