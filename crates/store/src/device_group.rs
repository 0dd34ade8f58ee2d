//! A tenant's device groups: which machines each one takes, by its rule and its rank. A machine is in
//! the highest-ranked group whose rule takes it, else in the default group. Rules are looked at
//! whenever something is heard of a machine, so they are brought to lower case once, and a machine
//! too; what follows from a machine's group is left to [`crate::Scope`] and the directory.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use pintle_model::{MemberId, TenantId, shapes};
use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::entity::tags::changes_tags;

/// The groups of all tenants that have any.
pub(crate) type GroupsByTenant = HashMap<TenantId, Arc<DeviceGroups>>;

/// The device groups of one tenant as they count; or none, and then every machine shows the group
/// that telemetry names.
#[derive(Clone, Debug, Default)]
pub struct DeviceGroups {
    /// The highest rank first.
    ranked: Vec<(u32, Folded)>,
    /// `None`: the tenant has no device groups.
    default: Option<u32>,
    labels: HashMap<u32, Arc<GroupLabel>>,
}

/// What a machine shows of its group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GroupLabel {
    pub(crate) id: u32,
    pub(crate) name: String,
}

/// A device group with a rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceGroup {
    /// The number that machines show (`rbacGroupId`) and a [`crate::Scope`] is made of: 1 to
    /// [`crate::Scope::MAX_GROUP_ID`], each once in a tenant.
    pub id: u32,
    /// The name that machines and alerts show (`rbacGroupName`).
    pub name: String,
    /// Which machines it takes, unless a group of a higher rank does.
    pub rule: DeviceRule,
}

/// The group that takes the machines that no other takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultGroup {
    /// Its number, as a [`DeviceGroup`] has one.
    pub id: u32,
    /// Its name.
    pub name: String,
}

/// Which machines a device group takes: rows for one property are alternatives, and every property
/// that has rows must be met. A rule without rows takes none. Compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceRule {
    /// The computer's name: the whole of it, or what stands before its first dot.
    pub name: Vec<Row>,
    /// What stands after the first dot of the computer's name.
    pub domain: Vec<Row>,
    /// Any one of the machine's tags.
    pub tag: Vec<Row>,
    /// The platform, one of these: `Windows11`, `WindowsServer2019`, `Linux`, `macOS` and so on.
    pub os: Vec<String>,
    /// The group that telemetry names, so that a tenant keeps the groups that it has elsewhere.
    pub source_group: Vec<Row>,
}

/// One row of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// How the property is compared.
    pub operator: Operator,
    /// With what.
    pub value: String,
}

/// How a property is compared with the value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// It begins so.
    StartsWith,
    /// It ends so.
    EndsWith,
    /// It is that.
    Equals,
    /// It has that in it.
    Contains,
}

/// Why a rule cannot be taken: correct it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// There are more alternatives than a property may have.
    #[error("a rule may have at most {limit} rows for {property}, this one has {found}")]
    TooMany {
        /// The property.
        property: &'static str,
        /// How many rows it has.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A value is empty, too long, or has control characters.
    #[error(
        "row {row} for {property} needs a value of 1 to {} characters without control characters",
        DeviceRule::MAX_VALUE_CHARACTERS
    )]
    Value {
        /// The property.
        property: &'static str,
        /// Which of its rows, from 1.
        row: usize,
    },
}

impl DeviceGroups {
    /// The groups of a tenant: those with a rank, the highest first, and the one that takes the rest.
    pub fn new(ranked: Vec<DeviceGroup>, default: DefaultGroup) -> DeviceGroups {
        let mut groups = DeviceGroups { default: Some(default.id), ..DeviceGroups::default() };
        for DeviceGroup { id, name, rule } in ranked {
            groups.labels.entry(id).or_insert_with(|| Arc::new(GroupLabel { id, name }));
            groups.ranked.push((id, rule.folded()));
        }
        let DefaultGroup { id, name } = default;
        groups.labels.entry(id).or_insert_with(|| Arc::new(GroupLabel { id, name }));
        groups
    }

    /// No device groups at all.
    pub fn none() -> DeviceGroups {
        DeviceGroups::default()
    }

    /// What a machine is in where there are no device groups.
    pub(crate) const NO_GROUP: u32 = 0;

    /// Whether there are none.
    pub(crate) fn is_none(&self) -> bool {
        self.default.is_none()
    }

    /// The group that takes a machine.
    pub(crate) fn group_of(&self, machine: &Entity) -> u32 {
        let Some(default) = self.default else { return DeviceGroups::NO_GROUP };
        let traits = Traits::of(machine);
        let taking = self.ranked.iter().find(|(_, rule)| rule.takes(&traits));
        taking.map_or(default, |(id, _)| *id)
    }

    /// What the machines of a group show of it; `None`: what telemetry says.
    pub(crate) fn label(&self, group: u32) -> Option<&Arc<GroupLabel>> {
        self.labels.get(&group)
    }
}

impl DeviceRule {
    /// The most rows for the name, the domain, the tag and the source's group, each.
    pub const MAX_ROWS: usize = 10;
    /// The most platforms.
    pub const MAX_PLATFORMS: usize = 50;
    /// The longest value of a row.
    pub const MAX_VALUE_CHARACTERS: usize = 200;

    /// Whether the rule keeps to these bounds. For whoever takes a rule from somebody.
    pub fn check(&self) -> Result<(), BadRule> {
        let values = |rows: &[Row]| rows.iter().map(|row| row.value.clone()).collect();
        let properties: [(&str, Vec<String>, usize); 5] = [
            ("name", values(&self.name), DeviceRule::MAX_ROWS),
            ("domain", values(&self.domain), DeviceRule::MAX_ROWS),
            ("tag", values(&self.tag), DeviceRule::MAX_ROWS),
            ("os", self.os.clone(), DeviceRule::MAX_PLATFORMS),
            ("source_group", values(&self.source_group), DeviceRule::MAX_ROWS),
        ];
        for (property, values, limit) in properties {
            if values.len() > limit {
                return Err(BadRule::TooMany { property, found: values.len(), limit });
            }
            if let Some(place) = values.iter().position(|value| !is_fit(value)) {
                return Err(BadRule::Value { property, row: place + 1 });
            }
        }
        Ok(())
    }

    /// The rule, ready to be asked of many machines.
    pub(crate) fn folded(mut self) -> Folded {
        for rows in [&mut self.name, &mut self.domain, &mut self.tag, &mut self.source_group] {
            rows.iter_mut().for_each(|row| row.value = fold(&row.value));
        }
        self.os.iter_mut().for_each(|platform| *platform = fold(platform));
        Folded(self)
    }
}

fn is_fit(value: &str) -> bool {
    let characters = value.chars().take(DeviceRule::MAX_VALUE_CHARACTERS + 1).count();
    (1..=DeviceRule::MAX_VALUE_CHARACTERS).contains(&characters) && !value.chars().any(char::is_control)
}

/// To lower case, one character at a time: a text's beginning must stay the beginning of it, and the
/// case of a word does not (in Greek an s is another one where the word ends).
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A rule in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Folded(DeviceRule);

impl Folded {
    /// Whether the rule takes a machine.
    pub(crate) fn takes(&self, machine: &Traits) -> bool {
        let Folded(rule) = self;
        let name = machine.name.as_deref();
        let (host, domain) = match name.map(|name| name.split_once('.')) {
            Some(Some((host, domain))) => (Some(host), Some(domain)),
            _ => (None, None),
        };
        let tags = machine.tags.iter().map(String::as_str);
        let is_one = |platform: &String| machine.os.as_ref() == Some(platform);
        let met = [
            any(&rule.name, name.into_iter().chain(host)),
            any(&rule.domain, domain.into_iter()),
            any(&rule.tag, tags),
            any(&rule.source_group, machine.source_group.as_deref().into_iter()),
            (!rule.os.is_empty()).then(|| rule.os.iter().any(is_one)),
        ];
        met.iter().any(Option::is_some) && met.into_iter().flatten().all(|is_met| is_met)
    }
}

/// Whether any of these values meets any of the rows; `None`: there are no rows.
fn any<'v>(rows: &[Row], mut values: impl Iterator<Item = &'v str>) -> Option<bool> {
    let meets = |value: &str| rows.iter().any(|row| row.operator.holds(value, &row.value));
    (!rows.is_empty()).then(|| values.any(meets))
}

impl Operator {
    fn holds(self, property: &str, value: &str) -> bool {
        match self {
            Operator::StartsWith => property.starts_with(value),
            Operator::EndsWith => property.ends_with(value),
            Operator::Equals => property == value,
            Operator::Contains => property.contains(value),
        }
    }
}

/// What rules look at of a machine.
const LOOKED_AT: [MemberId; 4] = [
    shapes::machine::COMPUTER_DNS_NAME,
    shapes::machine::MACHINE_TAGS,
    shapes::machine::OS_PLATFORM,
    shapes::machine::RBAC_GROUP_NAME,
];

/// Whether a machine may belong elsewhere once this is heard of it, whatever the rules are. Nearly
/// always it says nothing new of what rules look at, and then none need be asked.
pub(crate) fn may_move(machine: &Entity, heard: &Entity) -> bool {
    let says_new = |member: &MemberId| {
        let heard = heard.facts.json(*member);
        heard.is_some() && heard != machine.facts.json(*member)
    };
    changes_tags(heard) || LOOKED_AT.iter().any(says_new)
}

/// It ([`LOOKED_AT`]), in lower case.
pub(crate) struct Traits {
    name: Option<String>,
    tags: Vec<String>,
    os: Option<String>,
    source_group: Option<String>,
}

impl Traits {
    pub(crate) fn of(machine: &Entity) -> Traits {
        use shapes::machine as m;
        let text = |member| machine.facts.text(member).map(|text| fold(&text));
        Traits {
            name: text(m::COMPUTER_DNS_NAME),
            tags: machine.tags().shown().iter().map(|tag| fold(tag)).collect(),
            os: text(m::OS_PLATFORM),
            source_group: text(m::RBAC_GROUP_NAME),
        }
    }
}
