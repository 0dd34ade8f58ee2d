//! What may be filtered, as Defender's pages list it: the members of the lists' entities, and what
//! the elements of their collections have.

use pintle_model::shapes::{alert, evidence, ip_address, machine};
use pintle_model::{MemberId, Shape};

/// What of a kind of entity may be filtered.
#[derive(Debug)]
pub struct Fields {
    /// The name of its type, as errors give it.
    pub(super) entity: &'static str,
    /// Its members.
    pub(super) shape: &'static Shape,
    /// Those of them that may be filtered.
    fields: &'static [(MemberId, Field)],
}

/// How a member may be filtered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    /// By its value.
    Plain,
    /// By its value, which is one of a few names that have no order.
    Enum,
    /// A collection of texts, by its elements.
    Texts,
    /// A collection of objects, by their members.
    Objects(&'static Fields),
}

/// Why a name cannot be filtered by.
pub(super) enum NoField {
    /// There is no such member.
    Unknown,
    /// The member of this name is not to be filtered by.
    Closed(&'static str),
}

impl Fields {
    /// The member of a name, whatever its case.
    pub(super) fn find(&self, name: &str) -> Result<(MemberId, &'static str, Field), NoField> {
        let known = |id: MemberId| self.shape.members.get(usize::from(id.0));
        let field = self.fields.iter().find_map(|(id, field)| {
            let member = known(*id).filter(|member| member.name.eq_ignore_ascii_case(name))?;
            Some((*id, member.name, *field))
        });
        field.ok_or_else(|| {
            match self.shape.members.iter().find(|member| member.name.eq_ignore_ascii_case(name)) {
                Some(member) => NoField::Closed(member.name),
                None => NoField::Unknown,
            }
        })
    }

    /// The entities' members.
    pub(crate) fn shape(&self) -> &'static Shape {
        self.shape
    }

    /// The names that can be filtered by, as a sentence lists them.
    pub(super) fn names(&self) -> String {
        let name = |(id, _): &(MemberId, Field)| self.shape.members.get(usize::from(id.0)).map(|m| m.name);
        self.fields.iter().filter_map(name).collect::<Vec<_>>().join(", ")
    }
}

/// Machines.
pub static MACHINE: Fields = {
    use machine as m;
    Fields {
        entity: "microsoft.windowsDefenderATP.api.Machine",
        shape: &m::SHAPE,
        fields: &[
            (m::ID, Field::Plain),
            (m::COMPUTER_DNS_NAME, Field::Plain),
            (m::LAST_SEEN, Field::Plain),
            (m::OS_PLATFORM, Field::Plain),
            (m::VERSION, Field::Plain),
            (m::LAST_IP_ADDRESS, Field::Plain),
            (m::HEALTH_STATUS, Field::Enum),
            (m::DEVICE_VALUE, Field::Enum),
            (m::RBAC_GROUP_ID, Field::Plain),
            (m::RISK_SCORE, Field::Enum),
            (m::EXPOSURE_LEVEL, Field::Enum),
            (m::AAD_DEVICE_ID, Field::Plain),
            (m::MACHINE_TAGS, Field::Texts),
            (m::ONBOARDING_STATUS, Field::Enum),
            (m::IP_ADDRESSES, Field::Objects(&IP_ADDRESS)),
        ],
    }
};

/// Alerts.
pub static ALERT: Fields = {
    use alert as a;
    Fields {
        entity: "microsoft.windowsDefenderATP.api.Alert",
        shape: &a::ASKABLE,
        fields: &[
            (a::ID, Field::Plain),
            (a::INCIDENT_ID, Field::Plain),
            (a::INVESTIGATION_ID, Field::Plain),
            (a::ASSIGNED_TO, Field::Plain),
            (a::SEVERITY, Field::Enum),
            (a::STATUS, Field::Enum),
            (a::DETECTION_SOURCE, Field::Plain),
            (a::CATEGORY, Field::Plain),
            (a::ALERT_CREATION_TIME, Field::Plain),
            (a::LAST_EVENT_TIME, Field::Plain),
            (a::LAST_UPDATE_TIME, Field::Plain),
            // No page lists it, and clients that are shipped ask it all the same.
            (a::MACHINE_ID, Field::Plain),
            (a::EVIDENCE, Field::Objects(&EVIDENCE)),
            (a::SEQUENCE, Field::Plain),
        ],
    }
};

/// The addresses of a machine.
static IP_ADDRESS: Fields = {
    use ip_address as i;
    Fields {
        entity: "microsoft.windowsDefenderATP.api.IpAddress",
        shape: &i::SHAPE,
        fields: &[
            (i::IP_ADDRESS, Field::Plain),
            (i::MAC_ADDRESS, Field::Plain),
            (i::TYPE, Field::Enum),
            (i::OPERATIONAL_STATUS, Field::Enum),
        ],
    }
};

/// The evidence of an alert.
static EVIDENCE: Fields = {
    use evidence as e;
    Fields {
        entity: "microsoft.windowsDefenderATP.api.AlertEvidence",
        shape: &e::SHAPE,
        fields: &[
            (e::ENTITY_TYPE, Field::Enum),
            (e::EVIDENCE_CREATION_TIME, Field::Plain),
            (e::SHA1, Field::Plain),
            (e::SHA256, Field::Plain),
            (e::FILE_NAME, Field::Plain),
            (e::FILE_PATH, Field::Plain),
            (e::PROCESS_ID, Field::Plain),
            (e::PROCESS_COMMAND_LINE, Field::Plain),
            (e::PROCESS_CREATION_TIME, Field::Plain),
            (e::PARENT_PROCESS_ID, Field::Plain),
            (e::PARENT_PROCESS_CREATION_TIME, Field::Plain),
            (e::PARENT_PROCESS_FILE_NAME, Field::Plain),
            (e::PARENT_PROCESS_FILE_PATH, Field::Plain),
            (e::IP_ADDRESS, Field::Plain),
            (e::URL, Field::Plain),
            (e::REGISTRY_KEY, Field::Plain),
            (e::REGISTRY_HIVE, Field::Plain),
            (e::REGISTRY_VALUE_TYPE, Field::Plain),
            (e::REGISTRY_VALUE, Field::Plain),
            (e::REGISTRY_VALUE_NAME, Field::Plain),
            (e::ACCOUNT_NAME, Field::Plain),
            (e::DOMAIN_NAME, Field::Plain),
            (e::USER_SID, Field::Plain),
            (e::AAD_USER_ID, Field::Plain),
            (e::USER_PRINCIPAL_NAME, Field::Plain),
            (e::DETECTION_STATUS, Field::Enum),
        ],
    }
};
