//! The tenants of the server.

use super::{Answer, Call, answer, bad, wire};
use crate::auth::control::Tenant;

pub(super) fn list(call: &Call<'_>) -> Answer {
    answer(call.instance.control.tenants().into_iter().map(shown).collect::<Vec<_>>())
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let new: wire::NewTenant = call.body()?;
    let id = new.id.map(|id| id.parse().map_err(|_| bad(format!("`{id}` is no GUID")))).transpose()?;
    answer(shown(call.instance.control.create_tenant(id, &new.name)?))
}

fn shown(tenant: Tenant) -> wire::Tenant {
    wire::Tenant { id: tenant.id.to_string(), name: tenant.name }
}
