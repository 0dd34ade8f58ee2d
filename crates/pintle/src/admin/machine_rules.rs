//! The rules of a tenant by which machines are one. A change counts for machines before it is answered.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use pintle_model::TenantId;
use pintle_store::{JoinedMachine, JoinsAsked, MachineMember, NotJoined};

use super::{Answer, Call, Refused, answer, wire};
use crate::auth::control::MachineRuleChange;
use crate::auth::machine_rule::{MachineRule, TenantMachineRules};

/// Machines that an answer names at most.
const MAX_NAMED: usize = 1_000;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let tenant = call.tenant()?;
    let rules = call.instance.control.machine_rules(tenant);
    let sizes = call.instance.store.machine_rule_sizes(tenant)?;
    answer(rules.rules.iter().map(|rule| shown(rule, &sizes)).collect::<Vec<_>>())
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let rule = call.instance.control.create_machine_rule(call.tenant()?, asked(call)?)?;
    rejoined(call, &rule)
}

pub(super) fn change(call: &Call<'_>) -> Answer {
    let rule = call.instance.control.change_machine_rule(call.tenant()?, call.key(0), asked(call)?)?;
    rejoined(call, &rule)
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let gone = call.instance.control.delete_machine_rule(call.tenant()?, call.key(0))?;
    rejoined(call, &gone)
}

pub(super) fn joined(call: &Call<'_>) -> Answer {
    let tenant = call.tenant()?;
    let wire::JoinedAsked { machine, rule, top } = call.body()?;
    let rules = call.instance.control.machine_rules(tenant);
    let rule = rule.map(|rule| call.instance.control.machine_rule(tenant, &rule)).transpose()?;
    let asked = JoinsAsked { machine: machine.as_deref(), rule: rule.map(|rule| rule.id) };
    let (matching, machines) = call.instance.store.joined_machines(tenant, &asked, top.min(MAX_NAMED))?;
    let named = Names { rules: &rules, tried: None };
    answer(wire::Joined {
        matching,
        machines: machines.into_iter().map(|machine| named.joined(machine)).collect(),
    })
}

pub(super) fn preview(call: &Call<'_>) -> Answer {
    let tenant = call.tenant()?;
    let wire::JoinPreviewAsked { rule, instead_of, top } = call.body()?;
    let rules = call.instance.control.machine_rules(tenant);
    let (number, rule) = call.instance.control.try_machine_rule(tenant, instead_of.as_deref(), rule)?;
    let found = call.instance.store.preview_machine_rule(tenant, number, rule, top.min(MAX_NAMED))?;
    let named = Names { rules: &rules, tried: Some(number) };
    let not_joined = |NotJoined { name, machines, why }: NotJoined| wire::NotJoined {
        name,
        machines: machines.into_iter().map(member).collect(),
        why: why.to_string(),
    };
    answer(wire::JoinPreview {
        matching: found.joined,
        machines: found.machines.into_iter().map(|machine| named.joined(machine)).collect(),
        refused: found.refused,
        refusals: found.refusals.into_iter().map(not_joined).collect(),
        unknown: found.unknown.iter().map(ToString::to_string).collect(),
    })
}

fn asked(call: &Call<'_>) -> Result<MachineRuleChange, Refused> {
    let wire::MachineRuleChange { name, description, rule } = call.body()?;
    Ok(MachineRuleChange { name, description, rule })
}

/// Lets it count, and shows it as it is then.
fn rejoined(call: &Call<'_>, rule: &MachineRule) -> Answer {
    let tenant = call.tenant()?;
    rejoin(call, tenant)?;
    answer(shown(rule, &call.instance.store.machine_rule_sizes(tenant)?))
}

/// Lets the rules count as they are kept.
fn rejoin(call: &Call<'_>, tenant: TenantId) -> Result<(), Refused> {
    call.instance.rejoin(tenant).map(drop).map_err(|error| {
        tracing::error!(%error, "machine rules were changed, but machines could not be read");
        let message =
            "the change is kept, and counts once the machines can be read: the server's log says more";
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    })
}

fn shown(rule: &MachineRule, sizes: &BTreeMap<u32, usize>) -> wire::MachineRule {
    wire::MachineRule {
        id: rule.id,
        name: rule.name.clone(),
        description: rule.description.clone(),
        rule: rule.rule.clone(),
        machines: sizes.get(&rule.id).copied().unwrap_or_default(),
    }
}

/// Gives rules their names.
struct Names<'r> {
    rules: &'r TenantMachineRules,
    /// The number of the one that is tried.
    tried: Option<u32>,
}

impl Names<'_> {
    fn joined(&self, machine: JoinedMachine) -> wire::JoinedMachine {
        let name = |number: u32| {
            let known = self.rules.rules.iter().find(|rule| rule.id == number);
            match known {
                _ if self.tried == Some(number) => "(this rule)".to_owned(),
                Some(rule) => rule.name.clone(),
                // It was removed a moment ago.
                None => number.to_string(),
            }
        };
        wire::JoinedMachine {
            id: machine.id.to_string(),
            rules: machine.rules.into_iter().map(name).collect(),
            members: machine.members.into_iter().map(member).collect(),
        }
    }
}

fn member(member: MachineMember) -> wire::MachineMember {
    wire::MachineMember {
        id: member.id.to_string(),
        name: member.name,
        kind: member.kind,
        last_seen: member.last_seen.map(|time| time.to_string()),
    }
}
