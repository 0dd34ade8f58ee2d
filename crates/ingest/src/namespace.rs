//! Machines and alerts of one source, kept apart from all others': whoever may only send for a namespace
//! cannot name a machine or an alert outside it, whatever they write.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use pintle_model::shapes::{alert, machine};
use pintle_model::{
    Alert, AlertId, Cell, ColumnId, Facts, Machine, MachineId, MemberId, Record, Row, tables,
};
use serde::{Deserialize, Serialize};

/// A name that stands before the ids of machines and alerts. Different ones never give the same id, and
/// none gives an id that a source without one has, as far as sources choose theirs by their own rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Namespace(String);

/// Text that cannot be a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a machine namespace is 1 to 32 small letters, digits and dashes, begins with a letter, and does not \
     look like the beginning of one of Defender's alert ids (`da637…`)"
)]
pub struct NoNamespace;

impl Namespace {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The machine that an id means here. What is no id stays none.
    pub fn machine(&self, id: &str) -> Option<MachineId> {
        MachineId::can_be(id).then(|| MachineId::of_namespace(&self.0, id))
    }

    /// The alert that an id means here: the same with the namespace and `_` before it, or with a hash of
    /// it behind them where that would be too long. What is no id stays none.
    pub fn alert(&self, id: &str) -> Option<AlertId> {
        let hashed = || Some(format!("{}_{}", self.0, self.machine(id)?));
        if !AlertId::can_be(id) {
            return None;
        }
        format!("{}_{id}", self.0).parse().ok().or_else(|| hashed()?.parse().ok())
    }

    /// Puts a record into the namespace. Names of machines stay as they are.
    pub fn keep(&self, record: &mut Record) {
        match record {
            Record::Row(row) => self.keep_row(row),
            Record::Alert(alert) => self.keep_alert(alert),
            Record::Machine(machine) => self.keep_machine(machine),
        }
    }

    fn keep_row(&self, row: &mut Row) {
        let Some(columns) = ID_COLUMNS.get(usize::from(row.table_id().0)) else { return };
        for column in &columns.machines {
            let id = row.text(*column).and_then(|id| self.machine(id));
            row.set_text(*column, id.as_ref().map(MachineId::as_str));
        }
        let id = columns.alert.and_then(|column| Some((column, self.alert(row.text(column)?)?)));
        if let Some((column, id)) = id {
            row.set(column, Cell::Text(id.as_str()));
        }
    }

    fn keep_alert(&self, alert: &mut Alert) {
        if let Some(id) = self.alert(alert.id.as_str()) {
            alert.id = id;
        }
        let id = alert.id.clone();
        keep_member(&mut alert.facts, alert::ID, |_| Some(id));
        keep_member(&mut alert.facts, alert::MACHINE_ID, |id| self.machine(id));
    }

    fn keep_machine(&self, machine: &mut Machine) {
        machine.id = MachineId::of_namespace(&self.0, machine.id.as_str());
        keep_member(&mut machine.facts, machine::MERGED_INTO_MACHINE_ID, |id| self.machine(id));
    }
}

/// Exchanges an id among what is known of a thing, if it is there and is one.
fn keep_member<T: fmt::Display>(facts: &mut Facts, member: MemberId, id: impl FnOnce(&str) -> Option<T>) {
    if let Some(id) = facts.text(member).and_then(|text| id(&text)) {
        facts.exchange(member, &id.to_string());
    }
}

impl FromStr for Namespace {
    type Err = NoNamespace;

    fn from_str(text: &str) -> Result<Namespace, NoNamespace> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = text.len() <= 32
            && text.bytes().all(is_plain)
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        // Their ids are two letters, digits, `_` and more digits: one could be written as the rest of such.
        let is_defenders = text.len() > 2
            && text.bytes().take(2).all(|byte| byte.is_ascii_lowercase())
            && text.bytes().skip(2).all(|byte| byte.is_ascii_digit());
        if good && !is_defenders { Ok(Namespace(text.to_owned())) } else { Err(NoNamespace) }
    }
}

impl TryFrom<String> for Namespace {
    type Error = NoNamespace;

    fn try_from(text: String) -> Result<Namespace, NoNamespace> {
        text.parse()
    }
}

impl From<Namespace> for String {
    fn from(namespace: Namespace) -> String {
        namespace.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a table's rows name machines and alerts.
struct IdColumns {
    machines: Vec<ColumnId>,
    alert: Option<ColumnId>,
}

/// By table.
static ID_COLUMNS: LazyLock<Vec<IdColumns>> = LazyLock::new(|| {
    let columns = |table: &&pintle_model::Table| {
        let column = |name: &str| table.column(name).map(|(column, _)| column);
        let machines = ["DeviceId", "MergedToDeviceId", "HostDeviceId"].into_iter().filter_map(column);
        IdColumns { machines: machines.collect(), alert: column("AlertId") }
    };
    tables::ALL.iter().map(columns).collect()
});

#[cfg(test)]
mod tests {
    use pintle_model::{Evidence, Time};

    use super::*;

    fn namespace(text: &str) -> Namespace {
        text.parse().unwrap()
    }

    #[test]
    fn a_namespace_is_a_short_word_that_is_not_the_beginning_of_somebody_elses_id() {
        for good in ["a", "site-7", "oil-rig", "d4", "da-637", &"x".repeat(32)] {
            assert!(good.parse::<Namespace>().is_ok(), "{good}");
        }
        for bad in
            ["", "7a", "-a", "A", "a_b", "a b", "a/b", "é", "da637551227677560813", "ar7", &"x".repeat(33)]
        {
            assert_eq!(bad.parse::<Namespace>(), Err(NoNamespace), "{bad}");
        }
        assert!(serde_json::from_str::<Namespace>("\"a_b\"").is_err());
    }

    #[test]
    fn ids_of_a_namespace_are_nobody_elses() {
        let (one, other) = (namespace("site"), namespace("site-2"));
        let id = "4444444444444444444444444444444444444444";
        let machine = one.machine(id).unwrap();
        assert_eq!(machine, one.machine(id).unwrap());
        assert_ne!(machine, other.machine(id).unwrap());
        // Neither the id itself, nor one that another source derives of the same text.
        for outside in [id.parse().unwrap(), MachineId::derived("site", id), MachineId::derived("host", id)] {
            assert_ne!(machine, outside);
        }
        // A namespace that is named like a kind means none of its machines.
        assert_ne!(namespace("host").machine("dc-1").unwrap(), MachineId::derived("host", "dc-1"));
        assert_eq!(one.alert("da1_-7").unwrap().as_str(), "site_da1_-7");
        // No namespace has the sign that ends it.
        assert_ne!(one.alert("2_1"), other.alert("1"));
        assert_eq!((one.machine("a/b"), one.machine(""), one.alert("a\nb")), (None, None, None));
        let long = one.alert(&"x".repeat(256)).unwrap();
        assert!(long.as_str().starts_with("site_") && long.as_str().len() == 45, "{long}");
        assert_ne!(long, one.alert(&"y".repeat(256)).unwrap());
        assert_eq!(one.alert(&"x".repeat(251)).unwrap().as_str().len(), 256);
    }

    #[test]
    fn every_id_of_a_row_is_put_into_the_namespace_and_nothing_else() {
        let site = namespace("site");
        for table in tables::ALL {
            let mut row = Row::new(table);
            for (place, column) in table.columns.iter().enumerate() {
                if column.ty == pintle_model::ColumnType::Text {
                    row.set_text(ColumnId(u8::try_from(place).unwrap()), Some("x1"));
                }
            }
            let mut record = Record::Row(row);
            site.keep(&mut record);
            let Record::Row(row) = record else { panic!("a row") };
            for (column, cell) in row.cells() {
                let name = table.name(column).unwrap();
                let expected = match name {
                    "DeviceId" | "MergedToDeviceId" | "HostDeviceId" => {
                        site.machine("x1").unwrap().to_string()
                    }
                    "AlertId" => "site_x1".to_owned(),
                    _ => "x1".to_owned(),
                };
                assert_eq!(cell, Cell::Text(&expected), "{} {name}", table.name);
            }
        }
    }

    #[test]
    fn what_cannot_be_an_id_stays_as_it_is_and_means_nothing() {
        let site = namespace("site");
        let mut row = Row::new(&tables::device_file_events::TABLE);
        row.set_text(tables::device_file_events::DEVICE_ID, Some("a/b"));
        let mut record = Record::Row(row.clone());
        site.keep(&mut record);
        assert_eq!(record, Record::Row(row));
    }

    #[test]
    fn an_alert_is_put_into_the_namespace_with_its_machine_and_keeps_its_times() {
        let site = namespace("site");
        let at = Time::from_unix_seconds(1_700_000_000);
        let mut facts = Facts::default();
        facts.note_text(alert::ID, at, Some("a1"));
        facts.note_text(alert::MACHINE_ID, at, Some("m1"));
        facts.note_text(alert::COMPUTER_DNS_NAME, at, Some("dc-1"));
        let id = "a1".parse().unwrap();
        let mut record = Record::Alert(Alert { id, facts, evidence: vec![Evidence::default()] });
        site.keep(&mut record);
        let Record::Alert(kept) = record else { panic!("an alert") };
        assert_eq!(kept.id.as_str(), "site_a1");
        assert_eq!(kept.facts.text(alert::ID).unwrap(), "site_a1");
        assert_eq!(kept.facts.text(alert::MACHINE_ID).unwrap(), site.machine("m1").unwrap().as_str());
        assert_eq!(kept.facts.text(alert::COMPUTER_DNS_NAME).unwrap(), "dc-1");
        assert_eq!(kept.facts.at(alert::MACHINE_ID), Some(at));
    }

    #[test]
    fn a_machine_is_put_into_the_namespace_with_the_one_that_it_was_merged_into() {
        let site = namespace("site");
        let at = Time::from_unix_seconds(1_700_000_000);
        let keep = |merged: &str| {
            let mut facts = Facts::default();
            facts.note(machine::MERGED_INTO_MACHINE_ID, at, merged);
            facts.note_text(machine::COMPUTER_DNS_NAME, at, Some("dc-1"));
            let mut record = Record::Machine(Machine { id: "m1".parse().unwrap(), facts });
            site.keep(&mut record);
            let Record::Machine(kept) = record else { panic!("a machine") };
            assert_eq!(kept.id, site.machine("m1").unwrap());
            assert_eq!(kept.facts.text(machine::COMPUTER_DNS_NAME).unwrap(), "dc-1");
            assert_eq!(kept.facts.at(machine::MERGED_INTO_MACHINE_ID), Some(at));
            kept.facts.text(machine::MERGED_INTO_MACHINE_ID)
        };
        assert_eq!(keep("\"m2\""), Some(site.machine("m2").unwrap().to_string()));
        assert_eq!(keep("null"), None);
    }

    #[test]
    fn an_alert_that_names_no_machine_still_names_none() {
        let mut record =
            Record::Alert(Alert { id: "a1".parse().unwrap(), facts: Facts::default(), evidence: Vec::new() });
        namespace("site").keep(&mut record);
        let Record::Alert(kept) = record else { panic!("an alert") };
        assert_eq!(kept.facts, Facts::default());
    }
}
