//! Evidence on another machine than its alert's: the API's evidence names no machine, so it becomes a row
//! of the hunting table `AlertEvidence`, which does.

use pintle_model::shapes::evidence as e;
use pintle_model::tables::alert_evidence as t;
use pintle_model::{AlertId, Cell, ColumnId, Facts, Hashes, MemberId, Record, Row, Time};

use super::{THIRD_PARTY, says_more_than_its_kind};
use crate::additional::AdditionalFields;
use crate::machine::Machine;
use crate::windows::last_part;

/// What members of evidence are as columns. The registry's key and the number of a process are written
/// otherwise.
const COLUMNS: &[(MemberId, ColumnId)] = &[
    (e::ENTITY_TYPE, t::ENTITY_TYPE),
    (e::FILE_NAME, t::FILE_NAME),
    (e::FILE_PATH, t::FOLDER_PATH),
    (e::SHA1, t::SHA1),
    (e::SHA256, t::SHA256),
    (e::IP_ADDRESS, t::REMOTE_IP),
    (e::URL, t::REMOTE_URL),
    (e::ACCOUNT_NAME, t::ACCOUNT_NAME),
    (e::DOMAIN_NAME, t::ACCOUNT_DOMAIN),
    (e::USER_SID, t::ACCOUNT_SID),
    (e::AAD_USER_ID, t::ACCOUNT_OBJECT_ID),
    (e::USER_PRINCIPAL_NAME, t::ACCOUNT_UPN),
    (e::PROCESS_COMMAND_LINE, t::PROCESS_COMMAND_LINE),
    (e::REGISTRY_VALUE_NAME, t::REGISTRY_VALUE_NAME),
    (e::REGISTRY_VALUE, t::REGISTRY_VALUE_DATA),
];

/// The kind of a piece that is the machine itself; the API's evidence has none such.
pub const MACHINE: &str = "Machine";

/// A piece of evidence and the machine that it was on.
pub struct Elsewhere {
    machine: Machine<'static>,
    /// What is said of the piece.
    pub evidence: Facts,
}

impl Elsewhere {
    /// A piece on `machine` of which nothing is said yet.
    pub fn new(machine: &Machine<'_>) -> Elsewhere {
        Elsewhere { machine: machine.owned(), evidence: Facts::default() }
    }

    /// The row, and its time: when the piece was attached, or else `of_alert`. `None` where the piece says
    /// nothing.
    pub fn row(&self, alert: &AlertId, of_alert: Option<Time>) -> Option<(Option<Time>, Row)> {
        let is_machine = self.evidence.text(e::ENTITY_TYPE).is_some_and(|kind| kind == MACHINE);
        if !is_machine && !says_more_than_its_kind(&self.evidence) {
            return None;
        }
        let time = self.evidence.time(e::EVIDENCE_CREATION_TIME).or(of_alert);
        let mut row = Row::new(&t::TABLE);
        row.set_time(t::TIMESTAMP, time);
        row.set_text(t::ALERT_ID, Some(alert.as_str()));
        row.set_text(t::DEVICE_ID, Some(self.machine.id.as_str()));
        row.set_text(t::DEVICE_NAME, self.machine.name.as_deref());
        for (member, column) in COLUMNS {
            row.set_text(*column, self.evidence.text(*member).as_deref());
        }
        if let Some(key) = self.evidence.text(e::REGISTRY_KEY) {
            let hive = self.evidence.text(e::REGISTRY_HIVE).unwrap_or_default();
            row.set_text(t::REGISTRY_KEY, Some(&format!("{hive}\\{key}")));
        }
        if let Some(id) = self.evidence.json(e::PROCESS_ID).filter(|id| *id != "null") {
            let mut fields = AdditionalFields::default();
            fields.note("ProcessId", |out| out.push_str(id));
            row.set(t::ADDITIONAL_FIELDS, Cell::Text(&fields.close()));
        }
        Some((time, row))
    }
}

/// A file of an alert on another machine than the alert's own: a row that ties it to both. `kind` is `File`
/// or `Process`.
pub fn evidence_elsewhere(
    alert: &str,
    title: Option<&str>,
    at: Option<Time>,
    machine: &Machine<'_>,
    kind: &str,
    hashes: &Hashes,
    path: Option<&str>,
) -> Record {
    let mut row = Row::new(&t::TABLE);
    row.set_time(t::TIMESTAMP, at);
    row.set_text(t::ALERT_ID, Some(alert.trim()));
    row.set_text(t::TITLE, title);
    row.set_text(t::DETECTION_SOURCE, Some(THIRD_PARTY));
    row.set_text(t::ENTITY_TYPE, Some(kind));
    row.set_text(t::EVIDENCE_ROLE, Some("Related"));
    row.set_text(t::FILE_NAME, path.map(last_part));
    row.set_text(t::FOLDER_PATH, path);
    row.set_text(t::SHA1, hashes.sha1.map(|hash| hash.to_string()).as_deref());
    row.set_text(t::SHA256, hashes.sha256.map(|hash| hash.to_string()).as_deref());
    row.set_text(t::DEVICE_ID, Some(machine.id.as_str()));
    row.set_text(t::DEVICE_NAME, machine.name.as_deref());
    Record::Row(row)
}
