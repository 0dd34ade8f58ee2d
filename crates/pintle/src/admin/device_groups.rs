//! The device groups of a tenant. A change counts for machines before it is answered.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::http::StatusCode;
use pintle_model::TenantId;

use super::{Answer, Call, Refused, answer, bad, wire};
use crate::auth::control::DeviceGroupChange;
use crate::auth::device_group::{DeviceGroup, RemediationLevel};

/// Machines that a preview names at most.
const MAX_PREVIEWED: usize = 1_000;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let tenant = call.tenant()?;
    let groups = call.instance.control.device_groups(tenant);
    let sizes = call.instance.store.device_group_sizes(tenant)?;
    let ranks = (1..).map(Some).take(groups.ranked.len()).chain([None]);
    answer(
        groups
            .all()
            .zip(ranks)
            .map(|(group, rank)| shown(call, group, rank, &sizes, None))
            .collect::<Vec<_>>(),
    )
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let group = call.instance.control.create_device_group(call.tenant()?, asked(call)?)?;
    regrouped(call, &group.id.to_string())
}

pub(super) fn change(call: &Call<'_>) -> Answer {
    let group = call.instance.control.change_device_group(call.tenant()?, call.key(0), asked(call)?)?;
    regrouped(call, &group.id.to_string())
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let tenant = call.tenant()?;
    let gone = call.instance.control.delete_device_group(tenant, call.key(0))?;
    let moved = regroup(call, tenant)?;
    answer(shown(call, &gone, None, &BTreeMap::new(), Some(moved)))
}

pub(super) fn preview(call: &Call<'_>) -> Answer {
    let wire::PreviewAsked { rule, top } = call.body()?;
    rule.check().map_err(|error| bad(error.to_string()))?;
    let found = call.instance.store.preview_device_group(call.tenant()?, &rule, top.min(MAX_PREVIEWED))?;
    let machine = |(id, name): (pintle_model::MachineId, Option<String>)| wire::PreviewedMachine {
        id: id.to_string(),
        name,
    };
    answer(wire::Preview {
        matching: found.matching,
        machines: found.machines.into_iter().map(machine).collect(),
    })
}

fn asked(call: &Call<'_>) -> Result<DeviceGroupChange, Refused> {
    let wire::DeviceGroupChange { name, description, remediation, rule, rank, give, take, everybody } =
        call.body()?;
    let remediation = remediation.as_deref().map(RemediationLevel::from_str).transpose().map_err(bad)?;
    if rank == Some(0) {
        return Err(bad("ranks begin with 1, the highest"));
    }
    Ok(DeviceGroupChange { name, description, remediation, rule, rank, give, take, everybody })
}

/// Lets the groups count as they are kept. Returns how many machines are in another one.
fn regroup(call: &Call<'_>, tenant: TenantId) -> Result<usize, Refused> {
    let regrouped = call.instance.regroup(tenant).map_err(|error| {
        tracing::error!(%error, "device groups were changed, but machines could not be put into them");
        let message =
            "the change is kept, and counts once the machines can be read: the server's log says more";
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    })?;
    Ok(regrouped.moved)
}

/// Lets it count, and shows it as it is then.
fn regrouped(call: &Call<'_>, group: &str) -> Answer {
    let tenant = call.tenant()?;
    let moved = regroup(call, tenant)?;
    let (rank, group) = call.instance.control.device_group(tenant, group)?;
    let sizes = call.instance.store.device_group_sizes(tenant)?;
    answer(shown(call, &group, rank, &sizes, Some(moved)))
}

fn shown(
    call: &Call<'_>,
    group: &DeviceGroup,
    rank: Option<usize>,
    sizes: &BTreeMap<u32, usize>,
    moved: Option<usize>,
) -> wire::DeviceGroup {
    wire::DeviceGroup {
        id: group.id,
        name: group.name.clone(),
        description: group.description.clone(),
        rank,
        remediation: group.remediation.to_string(),
        rule: group.rule.clone(),
        groups: call.instance.control.user_group_names(&group.user_groups),
        machines: sizes.get(&group.id).copied().unwrap_or_default(),
        moved,
    }
}
