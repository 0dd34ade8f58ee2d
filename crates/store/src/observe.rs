//! What a batch of records says of machines, files, alerts and what else they name. Pure: the same
//! records give the same observations, whatever is known already.

mod alerts;
mod columns;
mod devices;
mod observables;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use pintle_model::{
    Alert, AlertId, Evidence, Fact, Facts, Hashes, Machine, MachineId, Record, Row, Sha256, Time, shapes,
};
use sha2::Digest;

use crate::archive::ArchivedBatch;
use crate::base::frames;
use crate::entity::{Entity, most};
use crate::pair::Pair;
use columns::{FileColumns, TableColumns};
use observables::Noter;
pub(crate) use observables::Observables;

/// Text longer than this is cut: names, paths and the like.
const MAX_TEXT_BYTES: usize = 1024;
/// A member of an alert is bounded to this; descriptions run to some thousand bytes.
const MAX_ALERT_MEMBER_BYTES: usize = 32 * 1024;
/// The same for members of evidence: command lines are the longest.
const MAX_EVIDENCE_MEMBER_BYTES: usize = 4 * 1024;
/// A piece of evidence that is larger has all its members cut short.
const MAX_EVIDENCE_BYTES: usize = 16 * 1024;

/// What one batch says. Machines and files are numbered by their place here, and pairs go by
/// these numbers, so that a repeated sighting costs no copy of either.
#[derive(Default)]
pub(crate) struct Observed {
    pub(crate) machines: Vec<(MachineId, Entity)>,
    pub(crate) files: Vec<(Hashes, Entity)>,
    /// By (file, machine).
    pub(crate) pairs: HashMap<(u32, u32), Pair>,
    pub(crate) alerts: BTreeMap<AlertId, Entity>,
    /// The hours since 1970 of events that a number names.
    pub(crate) named_hours: BTreeSet<i64>,
    /// Domains, IP addresses, users.
    pub(crate) observables: Observables,
    /// Events more than a day ahead or before 1990.
    pub(crate) implausible_times: u64,
}

impl Observed {
    /// Observes a batch.
    pub(crate) fn of(batch: &ArchivedBatch) -> Observed {
        let mut observer = Observer {
            observed: Observed::default(),
            received: batch.received,
            last_hour: None,
            machine_numbers: HashMap::default(),
            file_numbers: HashMap::default(),
            described: Vec::new(),
            observables: Noter::default(),
        };
        for record in &batch.records {
            match record {
                Record::Row(row) => observer.row(row),
                Record::Alert(alert) => observer.alert(alert),
                Record::Machine(machine) => observer.report(machine),
            }
        }
        Observed { observables: observer.observables.finish(), ..observer.observed }
    }
}

/// What goes through a batch. Its maps are keyed by what anybody can send, so their hashes are
/// seeded.
struct Observer<'b> {
    observed: Observed,
    received: Time,
    /// Of the event before that a number names.
    last_hour: Option<i64>,
    machine_numbers: HashMap<MachineId, u32, RandomState>,
    file_numbers: HashMap<Hashes, u32, RandomState>,
    /// By file, the rows that described it last: as the program, as the target. The next one most
    /// often says the same.
    described: Vec<[Option<&'b Row>; 2]>,
    observables: Noter<'b>,
}

impl<'b> Observer<'b> {
    fn row(&mut self, row: &'b Row) {
        let Some(columns) = TableColumns::of(row.table_id()) else { return };
        let told_at = columns.timestamp.and_then(|column| row.time(column));
        let at = self.plausible(told_at);
        let machine = columns.machine_id(row).and_then(|id| self.machine(id));
        if let Some((_, entity)) = machine.and_then(|machine| self.observed.machines.get_mut(place(machine)))
        {
            entity.note_event(at);
            let told = at.unwrap_or(Time::MIN);
            entity.facts.note_text(
                shapes::machine::COMPUTER_DNS_NAME,
                told,
                columns.device_name.and_then(|c| row.text(c)).map(cut),
            );
            entity.facts.note_text(
                shapes::machine::RBAC_GROUP_NAME,
                told,
                columns.machine_group.and_then(|c| row.text(c)).map(cut),
            );
            devices::note(entity, row, told);
        }
        if columns.report.is_some_and(|column| row.long(column).is_some())
            && let Some(at) = told_at
        {
            let hour = frames::hour(at);
            // Most often that of the row before.
            if self.last_hour.replace(hour) != Some(hour) {
                self.observed.named_hours.insert(hour);
            }
        }
        if let Some(target) = &columns.target {
            self.file_columns(row, target, machine, true, at);
        }
        if let Some(initiating) = &columns.initiating {
            self.file_columns(row, initiating, machine, false, at);
        }
        alerts::note(&mut self.observed.alerts, row, at);
        self.observables.row(row, machine, at);
    }

    /// The file that some columns of a row describe, and its sighting.
    fn file_columns(
        &mut self,
        row: &'b Row,
        columns: &FileColumns,
        machine: Option<u32>,
        target: bool,
        at: Option<Time>,
    ) {
        let hashes = columns.hashes(row);
        if hashes.is_empty() {
            return;
        }
        let file = self.file(hashes);
        let roles = self.described.get_mut(place(file));
        let before = roles.and_then(|roles| roles.get_mut(usize::from(target)));
        let before = before.and_then(|before| before.replace(row));
        if !before.is_some_and(|before| columns.say_the_same(row, before))
            && let Some((_, entity)) = self.observed.files.get_mut(place(file))
        {
            columns.note(entity, row);
        }
        self.sighting(file, machine, Pair::seen(target, at));
    }

    fn alert(&mut self, alert: &Alert) {
        let received = self.received;
        let facts = &alert.facts;
        let event = facts
            .time(shapes::alert::LAST_EVENT_TIME)
            .or_else(|| facts.time(shapes::alert::LAST_UPDATE_TIME));
        let at = self.plausible(event);
        let told = at.unwrap_or(Time::MIN);

        let machine = facts.text(shapes::alert::MACHINE_ID).and_then(|id| self.machine(&id));
        if let Some((_, entity)) = machine.and_then(|machine| self.observed.machines.get_mut(place(machine)))
        {
            entity.note_event(at);
            let name = facts.text(shapes::alert::COMPUTER_DNS_NAME);
            entity.facts.note_text(shapes::machine::COMPUTER_DNS_NAME, told, name.as_deref().map(cut));
            let group = facts.text(shapes::alert::RBAC_GROUP_NAME);
            entity.facts.note_text(shapes::machine::RBAC_GROUP_NAME, told, group.as_deref().map(cut));
        }

        self.observables.alert(alert, machine, at);
        let mut seen = Entity { facts: facts.clone(), ..Entity::default() };
        seen.facts.distrust(|time| time.is_plausible(received));
        seen.facts.bound(MAX_ALERT_MEMBER_BYTES);
        seen.note_event(at);
        let updated = facts.time(shapes::alert::LAST_UPDATE_TIME).filter(|time| time.is_plausible(received));
        for evidence in &alert.evidence {
            let hashes = evidence.hashes();
            if !hashes.is_empty() {
                let file = self.file(hashes);
                if let Some((_, entity)) = self.observed.files.get_mut(place(file)) {
                    let text = |member| evidence.0.text(member);
                    let (name, path) = (text(shapes::evidence::FILE_NAME), text(shapes::evidence::FILE_PATH));
                    columns::note_names(entity, name.as_deref(), path.as_deref());
                }
                // A piece that has a time of its own was seen then, whatever else the alert is about.
                let own = evidence.created().and_then(|created| self.plausible(Some(created)));
                self.sighting(file, machine, Pair::seen(true, own.or(at)));
            }
            note_evidence(&mut seen, evidence, updated.unwrap_or(told));
        }
        self.observed.alerts.entry(alert.id.clone()).or_default().merge(seen, most::EVIDENCE);
    }

    /// What an API says of a machine.
    fn report(&mut self, report: &Machine) {
        let [first, last] = [shapes::machine::FIRST_SEEN, shapes::machine::LAST_SEEN]
            .map(|member| self.plausible(report.facts.time(member)));
        let addresses = devices::addresses(&report.facts);
        let (received, machine) = (self.received, self.machine(report.id.as_str()));
        if let Some((_, entity)) = machine.and_then(|machine| self.observed.machines.get_mut(place(machine)))
        {
            entity.note_event(first);
            entity.note_event(last);
            devices::note_report(entity, &report.facts, &addresses, |time| time.is_plausible(received));
        }
        let own = report.facts.text(shapes::machine::LAST_IP_ADDRESS);
        let own = own.iter().map(String::as_str).chain(devices::texts(&addresses));
        self.observables.own_addresses(own, machine, last);
    }

    /// A time that may move first and last seen; one that may not is counted.
    fn plausible(&mut self, at: Option<Time>) -> Option<Time> {
        let plausible = at.filter(|at| at.is_plausible(self.received));
        self.observed.implausible_times += u64::from(at.is_some() && plausible.is_none());
        plausible
    }

    fn sighting(&mut self, file: u32, machine: Option<u32>, pair: Pair) {
        if let Some(machine) = machine {
            self.observed.pairs.entry((file, machine)).or_default().merge(&pair);
        }
    }

    /// The number of the machine of that id, if it can be one.
    fn machine(&mut self, id: &str) -> Option<u32> {
        if let Some(number) = self.machine_numbers.get(id) {
            return Some(*number);
        }
        let id: MachineId = id.parse().ok()?;
        let number = u32::try_from(self.observed.machines.len()).unwrap_or(u32::MAX);
        self.machine_numbers.insert(id.clone(), number);
        self.observed.machines.push((id, Entity::default()));
        Some(number)
    }

    fn file(&mut self, hashes: Hashes) -> u32 {
        *self.file_numbers.entry(hashes).or_insert_with(|| {
            self.observed.files.push((hashes, Entity::default()));
            self.described.push([None; 2]);
            u32::try_from(self.observed.files.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

/// The machine that a record is about.
pub(crate) fn machine_of(record: &Record) -> Option<MachineId> {
    match record {
        Record::Row(row) => TableColumns::of(row.table_id())?.machine_id(row)?.parse().ok(),
        Record::Alert(alert) => alert.facts.text(shapes::alert::MACHINE_ID)?.parse().ok(),
        Record::Machine(machine) => Some(machine.id.clone()),
    }
}

/// The number that names an event, with its machine and its time.
pub(crate) fn report_of(record: &Record) -> Option<i64> {
    match record {
        Record::Row(row) => row.long(TableColumns::of(row.table_id())?.report?),
        Record::Alert(_) | Record::Machine(_) => None,
    }
}

/// When it happened what a record tells, when an alert was updated last, or a machine last seen.
pub(crate) fn time_of(record: &Record) -> Option<Time> {
    match record {
        Record::Row(row) => row.time(TableColumns::of(row.table_id())?.timestamp?),
        Record::Alert(alert) => {
            let time = |member| alert.facts.time(member);
            time(shapes::alert::LAST_UPDATE_TIME).or_else(|| time(shapes::alert::LAST_EVENT_TIME))
        }
        Record::Machine(machine) => {
            machine.facts.time(shapes::machine::LAST_SEEN).or_else(|| machine.read_at())
        }
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Keeps a piece of evidence once, however often it is told: what tells two apart is everything
/// but the time of attaching and the detection status. What was told last of it stays.
fn note_evidence(alert: &mut Entity, evidence: &Evidence, told: Time) {
    use shapes::evidence as e;
    let mut facts = evidence.0.clone();
    facts.bound(MAX_EVIDENCE_MEMBER_BYTES);
    let write = |facts: &Facts| {
        let mut json = String::from("{");
        facts.write_members(&e::SHAPE, &mut json, |_| None);
        json + "}"
    };
    let mut json = write(&facts);
    if json.len() > MAX_EVIDENCE_BYTES {
        facts.bound(MAX_EVIDENCE_BYTES / e::SHAPE.members.len());
        json = write(&facts);
    }
    let mut identity = String::new();
    facts.write_members(&e::SHAPE, &mut identity, |member| {
        matches!(member, e::EVIDENCE_CREATION_TIME | e::DETECTION_STATUS).then(|| "null".into())
    });
    let name = Sha256(sha2::Sha256::digest(identity).into()).to_string();
    alert.note_part(name.into(), Fact { at: told, json: json.into() }, most::EVIDENCE);
}

/// Cuts a text at a character boundary.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or(text)
}
