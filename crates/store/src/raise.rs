//! An alert that somebody raises about an event that telemetry holds.

use std::sync::atomic::AtomicBool;

use pintle_model::{
    Alert, AlertId, ColumnId, Evidence, Facts, MachineId, MemberId, Record, Row, Time, shapes,
};

use crate::edit::{Edit, Edited};
use crate::entity::Entity;
use crate::store::{Store, hold, read_lock};
use crate::{Batch, Error, Scope};

/// What an alert is to say, and of which event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAlert {
    /// The machine, by its id in any case.
    pub machine: MachineId,
    /// The exact time of the event.
    pub at: Time,
    /// The number that names the event there (`ReportId`).
    pub report: i64,
    /// `Low`, `Medium` or `High`.
    pub severity: String,
    /// The category.
    pub category: String,
    /// The headline.
    pub title: String,
    /// The text.
    pub description: String,
    /// What is to be done: kept as a comment, since the API's alert has no member for it.
    pub recommended_action: String,
}

impl Store {
    /// Raises an alert about an event, with what the event names as its evidence. An open alert of the
    /// same title on the same machine takes the event instead. Durable and visible when this returns.
    /// `None`: there is no such event, or not for this caller. Reads all of the archive that may hold it; once
    /// `stop` is set that ends with [`Error::Stopped`], and nothing is raised.
    pub fn raise_alert(
        &self,
        scope: &Scope,
        by: &str,
        new: &NewAlert,
        stop: &AtomicBool,
    ) -> Result<Option<AlertId>, Error> {
        let found = self.event(scope, &new.machine, new.at, new.report, stop)?;
        let Some((machine, event)) = found else { return Ok(None) };
        let new = &NewAlert { machine, ..new.clone() };
        let mut last = hold(&self.editing);
        let made = self.moment_after(&mut last);
        let open = self.open_alert(scope, new)?;
        let (id, facts) = match open {
            Some((id, known)) => (id, absorbing(&known, new.at, made)),
            None => (fresh_id(made)?, facts(new, &event, made)),
        };
        let evidence = evidence(&event, made);
        let comment = Some(new.recommended_action.as_str()).filter(|action| !action.trim().is_empty());
        let edit = comment.map(|action| Edit {
            of: Edited::Alert(id.clone()),
            made,
            by: by.into(),
            members: Vec::new(),
            comment: Some(format!("Recommended action: {action}").into()),
            tags: Vec::new(),
        });
        let records = vec![Record::Alert(Alert { id: id.clone(), facts, evidence })];
        let batch = Batch { records, ..Batch::live(scope.tenant(), Batch::PEOPLE) };
        self.append_with(batch, edit.into_iter().collect())?;
        Ok(Some(id))
    }

    /// The open alert of this title on this machine, by whatever id of it, the first by id.
    fn open_alert(&self, scope: &Scope, new: &NewAlert) -> Result<Option<(AlertId, Entity)>, Error> {
        use shapes::alert as a;
        let known = self.known();
        let index = known.alert_indexes.current(&known.base, scope.tenant())?;
        let machines = self.ids_of_machine(scope, &new.machine)?.unwrap_or_default();
        let ids: Vec<AlertId> = {
            let index = read_lock(&index);
            index.on_machine(&machines).into_iter().filter_map(|number| index.id(number).cloned()).collect()
        };
        for id in ids {
            let Some(alert) = known.base.alert(scope.tenant(), &id)? else { continue };
            let is_open = alert.shown(a::STATUS) != Some("\"Resolved\"");
            let on = alert.facts.text(a::MACHINE_ID);
            let is_on_it = on.is_some_and(|on| machines.iter().any(|id| id.as_str() == on));
            if is_open && is_on_it && alert.facts.text(a::TITLE).as_deref() == Some(&new.title) {
                return Ok(Some((id, alert)));
            }
        }
        Ok(None)
    }
}

/// An id as the service makes them: `da`, the time in ticks since the year 1, and a number.
fn fresh_id(made: Time) -> Result<AlertId, Error> {
    const TICKS_FROM_1_TO_1970: i64 = 621_355_968_000_000_000;
    let ticks = made.ticks().saturating_add(TICKS_FROM_1_TO_1970);
    format!("da{ticks}_1").parse().map_err(|_| Error::Engine("an alert's id is none".to_owned()))
}

fn facts(new: &NewAlert, event: &Row, made: Time) -> Facts {
    use shapes::alert as a;
    let mut facts = Facts::default();
    for (member, text) in [
        (a::TITLE, Some(new.title.as_str())),
        (a::DESCRIPTION, Some(new.description.as_str())),
        (a::SEVERITY, Some(new.severity.as_str())),
        (a::CATEGORY, Some(new.category.as_str())),
        (a::STATUS, Some("New")),
        (a::DETECTION_SOURCE, Some("CustomDetection")),
        (a::MACHINE_ID, Some(new.machine.as_str())),
        (a::COMPUTER_DNS_NAME, text(event, "DeviceName")),
        (a::RBAC_GROUP_NAME, text(event, "MachineGroup")),
    ] {
        facts.note_text(member, made, text);
    }
    facts.note_time(a::ALERT_CREATION_TIME, made, Some(made));
    facts.note_time(a::LAST_UPDATE_TIME, made, Some(made));
    facts.note_time(a::FIRST_EVENT_TIME, made, Some(new.at));
    facts.note_time(a::LAST_EVENT_TIME, made, Some(new.at));
    let account = ["", "InitiatingProcess"].into_iter().find_map(|whose| {
        Some((text(event, &format!("{whose}AccountName"))?, text(event, &format!("{whose}AccountDomain"))))
    });
    if let Some((name, domain)) = account {
        let user = serde_json::json!({ "userName": name, "domainName": domain });
        facts.note(a::RELATED_USER, made, user.to_string());
    }
    facts
}

/// What an open alert says once it has another event.
fn absorbing(known: &Entity, at: Time, made: Time) -> Facts {
    use shapes::alert as a;
    let mut facts = Facts::default();
    facts.note_time(a::LAST_UPDATE_TIME, made, Some(made));
    let earliest = known.facts.time(a::FIRST_EVENT_TIME).map_or(at, |first| first.min(at));
    let latest = known.facts.time(a::LAST_EVENT_TIME).map_or(at, |last| last.max(at));
    facts.note_time(a::FIRST_EVENT_TIME, made, Some(earliest));
    facts.note_time(a::LAST_EVENT_TIME, made, Some(latest));
    facts
}

/// What an event names: its file or process, the process behind it, addresses, a registry value, a user.
/// All tables follow one naming.
fn evidence(event: &Row, made: Time) -> Vec<Evidence> {
    use shapes::evidence as e;
    const FILE: &[(MemberId, &str)] =
        &[(e::SHA1, "SHA1"), (e::SHA256, "SHA256"), (e::FILE_NAME, "FileName"), (e::FILE_PATH, "FolderPath")];
    const PROCESS: &[(MemberId, &str)] = &[(e::PROCESS_COMMAND_LINE, "ProcessCommandLine")];
    const BEHIND: &[(MemberId, &str)] = &[
        (e::SHA1, "InitiatingProcessSHA1"),
        (e::SHA256, "InitiatingProcessSHA256"),
        (e::FILE_NAME, "InitiatingProcessFileName"),
        (e::FILE_PATH, "InitiatingProcessFolderPath"),
        (e::PROCESS_COMMAND_LINE, "InitiatingProcessCommandLine"),
        (e::PARENT_PROCESS_FILE_NAME, "InitiatingProcessParentFileName"),
    ];
    const REGISTRY: &[(MemberId, &str)] = &[
        (e::REGISTRY_VALUE_TYPE, "RegistryValueType"),
        (e::REGISTRY_VALUE, "RegistryValueData"),
        (e::REGISTRY_VALUE_NAME, "RegistryValueName"),
    ];
    const USER: &[(MemberId, &str)] = &[
        (e::ACCOUNT_NAME, "AccountName"),
        (e::DOMAIN_NAME, "AccountDomain"),
        (e::USER_SID, "AccountSid"),
        (e::AAD_USER_ID, "AccountObjectId"),
        (e::USER_PRINCIPAL_NAME, "AccountUpn"),
    ];
    let mut all = Vec::new();
    let is_process = number(event, "ProcessId").is_some();
    let kind = if is_process { "Process" } else { "File" };
    if let Some(mut target) = piece(event, made, kind, &[FILE, if is_process { PROCESS } else { &[] }]) {
        target.note_plain(e::PROCESS_ID, made, number(event, "ProcessId"));
        target.note_time(e::PROCESS_CREATION_TIME, made, time(event, "ProcessCreationTime"));
        if is_process {
            target.note_plain(e::PARENT_PROCESS_ID, made, number(event, "InitiatingProcessId"));
            let created = time(event, "InitiatingProcessCreationTime");
            target.note_time(e::PARENT_PROCESS_CREATION_TIME, made, created);
            let name = text(event, "InitiatingProcessFileName");
            target.note_text(e::PARENT_PROCESS_FILE_NAME, made, name);
        }
        all.push(target);
    }
    if let Some(mut behind) = piece(event, made, "Process", &[BEHIND]) {
        behind.note_plain(e::PROCESS_ID, made, number(event, "InitiatingProcessId"));
        behind.note_time(e::PROCESS_CREATION_TIME, made, time(event, "InitiatingProcessCreationTime"));
        behind.note_plain(e::PARENT_PROCESS_ID, made, number(event, "InitiatingProcessParentId"));
        let created = time(event, "InitiatingProcessParentCreationTime");
        behind.note_time(e::PARENT_PROCESS_CREATION_TIME, made, created);
        all.push(behind);
    }
    all.extend(piece(event, made, "Ip", &[&[(e::IP_ADDRESS, "RemoteIP")]]));
    all.extend(piece(event, made, "Url", &[&[(e::URL, "RemoteUrl")]]));
    if let Some(key) = text(event, "RegistryKey") {
        let (hive, key) = key.split_once('\\').unwrap_or(("", key));
        let mut value =
            piece(event, made, "Registry", &[REGISTRY]).unwrap_or_else(|| of_kind("Registry", made));
        value.note_text(e::REGISTRY_HIVE, made, Some(hive));
        value.note_text(e::REGISTRY_KEY, made, Some(key));
        all.push(value);
    }
    all.extend(piece(event, made, "User", &[USER]));
    all.into_iter().map(Evidence).collect()
}

fn of_kind(kind: &str, made: Time) -> Facts {
    use shapes::evidence as e;
    let mut facts = Facts::default();
    facts.note_text(e::ENTITY_TYPE, made, Some(kind));
    facts.note_time(e::EVIDENCE_CREATION_TIME, made, Some(made));
    facts
}

/// A piece of evidence, if the event has any of these columns.
fn piece(event: &Row, made: Time, kind: &str, columns: &[&[(MemberId, &str)]]) -> Option<Facts> {
    let mut facts = of_kind(kind, made);
    let mut has_any = false;
    for (member, column) in columns.iter().copied().flatten() {
        if let Some(text) = text(event, column) {
            let is_path = *member == shapes::evidence::FILE_PATH;
            facts.note_text(*member, made, Some(if is_path { folder(text) } else { text }));
            has_any = true;
        }
    }
    has_any.then_some(facts)
}

/// The folder of a path: hunting has the whole path where evidence has the folder.
fn folder(path: &str) -> &str {
    path.rsplit_once(['\\', '/']).map_or(path, |(folder, _)| folder)
}

fn column(event: &Row, name: &str) -> Option<ColumnId> {
    event.table()?.column(name).map(|(column, _)| column)
}

fn text<'r>(event: &'r Row, name: &str) -> Option<&'r str> {
    event.text(column(event, name)?).filter(|text| !text.is_empty())
}

fn number(event: &Row, name: &str) -> Option<i64> {
    event.long(column(event, name)?)
}

fn time(event: &Row, name: &str) -> Option<Time> {
    event.time(column(event, name)?)
}
