//! What is to be taken out of the archive, as if it had never come.

use pintle_model::{
    Alert, ColumnId, Evidence, Facts, MachineId, Record, Row, TenantId, Time, shapes, tables,
};
use serde::{Deserialize, Serialize};

use crate::archive::{ArchivedBatch, BatchId};
use crate::edit::{Edit, Edited};
use crate::observe::{machine_of, time_of};
use crate::{Batch, Reject};

/// Records of one tenant to be taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub what: Purged,
}

/// Which records a purge takes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purged {
    /// One batch, by its id.
    Batch(#[serde(with = "digits")] BatchId),
    /// All telemetry that came from a source of this name. What people changed or raised here is none.
    Source(String),
    /// All that is about a machine, by its id, and what was kept aside and names it. Changes by people of
    /// alerts that were on it stay in the archive, and show nowhere.
    Machine(MachineId),
    /// All that names a user: by name, `DOMAIN\name`, SID, object id or principal name, without
    /// regard to case; and what was kept aside and names them. Paths that merely contain the name
    /// are not taken for it.
    User(String),
    /// What happened before: rows by their time, alerts by their last update, machines by when they were
    /// last seen, what has no plausible time by when it arrived.
    Before(Time),
    /// Everything.
    Tenant,
}

/// A batch's id as people know it.
mod digits {
    use pintle_model::Sha256;
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::archive::BatchId;

    pub(super) fn serialize<S: Serializer>(id: &BatchId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Sha256(*id))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BatchId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<Sha256>().map(|id| id.0).map_err(de::Error::custom)
    }
}

/// What purges leave of a batch.
pub(crate) struct Left {
    /// Nothing, or the batch without what was taken out.
    pub(crate) batch: Option<ArchivedBatch>,
    /// How many records were taken out.
    pub(crate) records: u64,
    /// How many that were kept aside were.
    pub(crate) rejects: u64,
}

impl Left {
    /// Whether the batch is as it was.
    pub(crate) fn is_all(&self) -> bool {
        self.batch.is_some() && self.records == 0 && self.rejects == 0
    }
}

/// What purges leave of a batch.
pub(crate) fn left(mut batch: ArchivedBatch, purges: &[Purge]) -> Left {
    let purges: Vec<&Purged> =
        purges.iter().filter(|purge| purge.tenant == batch.tenant).map(|purge| &purge.what).collect();
    let count = |batch: &ArchivedBatch| batch.records.len() + batch.edits.len();
    let (records, rejects) = (count(&batch), batch.rejects.len());
    if purges.iter().any(|purge| purge.takes_batch(&batch)) {
        batch.records.clear();
        batch.edits.clear();
        batch.rejects.clear();
    } else if !purges.is_empty() {
        let received = batch.received;
        batch.records.retain(|record| !purges.iter().any(|purge| purge.takes(record, received)));
        batch.edits.retain(|edit| !purges.iter().any(|purge| purge.takes_edit(edit, received)));
        batch.rejects.retain(|reject| !purges.iter().any(|purge| purge.takes_reject(reject, received)));
    }
    let is_empty = count(&batch) + batch.rejects.len() == 0;
    Left {
        records: (records - count(&batch)) as u64,
        rejects: (rejects - batch.rejects.len()) as u64,
        batch: (!is_empty || records + rejects == 0).then_some(batch),
    }
}

/// Whether a batch is what people changed or raised here. What they raise has a comment with it, so either has
/// changes and telemetry has none; older versions called its source by a name that telemetry may have.
fn is_by_people(batch: &ArchivedBatch) -> bool {
    batch.source == Batch::PEOPLE || !batch.edits.is_empty()
}

impl Purged {
    fn takes_batch(&self, batch: &ArchivedBatch) -> bool {
        match self {
            Purged::Tenant => true,
            Purged::Batch(id) => batch.id == *id,
            Purged::Source(source) => batch.source == *source && !is_by_people(batch),
            Purged::Machine(_) | Purged::User(_) | Purged::Before(_) => false,
        }
    }

    fn takes(&self, record: &Record, received: Time) -> bool {
        match self {
            Purged::Machine(id) => machine_of(record).as_ref() == Some(id),
            Purged::User(user) => match record {
                Record::Row(row) => row_names(row, user),
                Record::Alert(alert) => alert_names(alert, user),
                // It has no member that names a user.
                Record::Machine(_) => false,
            },
            Purged::Before(time) => {
                time_of(record).filter(|at| at.is_plausible(received)).unwrap_or(received) < *time
            }
            Purged::Tenant | Purged::Batch(_) | Purged::Source(_) => false,
        }
    }

    fn takes_edit(&self, edit: &Edit, received: Time) -> bool {
        match self {
            Purged::Machine(id) => matches!(&edit.of, Edited::Machine(of) if of == id),
            Purged::User(user) => {
                let owner = edit.members.iter().find(|(member, _)| *member == shapes::alert::ASSIGNED_TO.0);
                let owner = owner.filter(|_| matches!(edit.of, Edited::Alert(_)));
                let owner = owner.and_then(|(_, json)| serde_json::from_str::<String>(json).ok());
                is_user(user, &edit.by, None) || owner.is_some_and(|owner| is_user(user, &owner, None))
            }
            Purged::Before(time) => received < *time,
            Purged::Tenant | Purged::Batch(_) | Purged::Source(_) => false,
        }
    }

    fn takes_reject(&self, reject: &Reject, received: Time) -> bool {
        match self {
            Purged::Machine(id) => contains(&reject.bytes, id.as_str()),
            Purged::User(user) => contains(&reject.bytes, bare(user)),
            Purged::Before(time) => received < *time,
            Purged::Tenant | Purged::Batch(_) | Purged::Source(_) => false,
        }
    }
}

/// A user's name without a domain before it.
fn bare(user: &str) -> &str {
    user.rsplit_once('\\').map_or(user, |(_, name)| name)
}

/// Whether name and domain are this user's; without a domain any will do.
fn is_user(user: &str, name: &str, domain: Option<&str>) -> bool {
    match user.rsplit_once('\\') {
        Some((of, bare)) => {
            name.eq_ignore_ascii_case(bare) && domain.is_some_and(|domain| domain.eq_ignore_ascii_case(of))
        }
        None => name.eq_ignore_ascii_case(user),
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    !text.is_empty() && bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

/// Whether any account column of the row names the user. All tables follow one naming: what an
/// account is called stands in `…AccountName`, `…AccountSid` and the like, its domain in
/// `…AccountDomain`.
fn row_names(row: &Row, user: &str) -> bool {
    let Some(table) = row.table() else { return false };
    if row.table_id() == tables::device_info::TABLE.id {
        let users = row.text(tables::device_info::LOGGED_ON_USERS);
        return users.is_some_and(|users| json_names(users, user));
    }
    (0..).zip(table.columns).any(|(place, column)| {
        let Some((whose, _)) = column.name.rsplit_once("Account") else { return false };
        let Some(name) = row.text(ColumnId(place)) else { return false };
        let domain = table.column(&format!("{whose}AccountDomain")).and_then(|(domain, _)| row.text(domain));
        is_user(user, name, domain)
    })
}

fn alert_names(alert: &Alert, user: &str) -> bool {
    use shapes::{alert as a, evidence as e};
    let evidence = |Evidence(facts): &Evidence| {
        let text = |member| facts.text(member);
        let domain = text(e::DOMAIN_NAME);
        [e::ACCOUNT_NAME, e::USER_SID, e::AAD_USER_ID, e::USER_PRINCIPAL_NAME]
            .into_iter()
            .filter_map(text)
            .any(|name| is_user(user, &name, domain.as_deref()))
    };
    let stated = |facts: &Facts, member| facts.json(member).is_some_and(|json| json_names(json, user));
    alert.evidence.iter().any(evidence)
        || stated(&alert.facts, a::LOGGED_ON_USERS)
        || stated(&alert.facts, a::RELATED_USER)
}

/// Whether an object with a user's name, SID or the like stands somewhere in this JSON.
fn json_names(json: &str, user: &str) -> bool {
    fn names(value: &serde_json::Value, user: &str) -> bool {
        match value {
            serde_json::Value::Array(all) => all.iter().any(|one| names(one, user)),
            serde_json::Value::Object(members) => {
                let text = |key: &str| {
                    let found = members.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
                    found.and_then(|(_, value)| value.as_str())
                };
                let domain = text("domainName");
                ["userName", "accountName", "sid", "userSid", "userPrincipalName", "aadUserId"]
                    .into_iter()
                    .filter_map(text)
                    .any(|name| is_user(user, name, domain))
            }
            _ => false,
        }
    }
    serde_json::from_str(json).is_ok_and(|value| names(&value, user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_name_with_or_without_the_domain() {
        assert!(is_user("alex", "Alex", Some("CORP")) && is_user("alex", "ALEX", None));
        assert!(is_user("corp\\alex", "Alex", Some("CORP")));
        assert!(!is_user("corp\\alex", "alex", Some("other")) && !is_user("corp\\alex", "alex", None));
        assert!(!is_user("alex", "alexandra", None));
    }

    #[test]
    fn what_people_did_goes_with_no_source_whatever_it_was_called_when_it_was_archived() {
        let tenant = TenantId::from_bytes([1; 16]);
        let edit = Edit {
            of: Edited::Machine("m1".parse().unwrap()),
            made: Time::from_ticks(7),
            by: "alex".into(),
            members: Vec::new(),
            comment: None,
            tags: Vec::new(),
        };
        let of = |source: &str, edits: &[Edit]| {
            ArchivedBatch::new(Batch::live(tenant, source), edits.to_vec(), Time::from_ticks(7)).unwrap().0
        };
        for (batch, goes) in [
            (of("api", &[]), true),
            (of("api", std::slice::from_ref(&edit)), false),
            (of(Batch::PEOPLE, std::slice::from_ref(&edit)), false),
            (of(Batch::PEOPLE, &[]), false),
        ] {
            assert_eq!(Purged::Source(batch.source.clone()).takes_batch(&batch), goes, "{}", batch.source);
            assert!(Purged::Batch(batch.id).takes_batch(&batch) && Purged::Tenant.takes_batch(&batch));
        }
    }

    #[test]
    fn a_purge_reads_back_as_it_was_noted() {
        let what = [
            Purged::Batch([0xab; 32]),
            Purged::Machine("m1".parse().unwrap()),
            Purged::Before(Time::from_ticks(7)),
            Purged::Tenant,
        ];
        for what in what {
            let purge = Purge { tenant: TenantId::from_bytes([1; 16]), what };
            let text = serde_json::to_string(&purge).unwrap();
            assert_eq!(serde_json::from_str::<Purge>(&text).unwrap(), purge);
            assert!(!matches!(purge.what, Purged::Batch(_)) || text.contains(&"ab".repeat(32)), "{text}");
        }
    }

    #[test]
    fn a_user_is_found_within_json() {
        let users = r#"[{"UserName":"alex","DomainName":"CORP","Sid":"S-1-5-21-7"}]"#;
        assert!(["alex", "CORP\\ALEX", "s-1-5-21-7"].iter().all(|user| json_names(users, user)));
        assert!(["al", "OTHER\\alex", "CORP", ""].iter().all(|user| !json_names(users, user)));
        assert!(!json_names("not JSON: alex", "alex"));
    }
}
