//! The standing inlets of a tenant, and their keys.

use pintle_ingest::NoNamespace;
use pintle_model::Time;

use super::{Answer, Call, Refused, answer, bad, future, guid, wire};
use crate::auth::inlet::{Inlet, InletKey, NewInlet};
use crate::intake;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let all = call.instance.control.inlets(call.tenant);
    answer(all.iter().map(|inlet| shown(call, inlet, None)).collect::<Vec<_>>())
}

pub(super) fn show(call: &Call<'_>) -> Answer {
    let inlet = call.instance.control.inlet(call.tenant()?, call.key(0))?;
    answer(shown(call, &inlet, None))
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let wire::NewInlet { name, format, namespace, expires } = call.body()?;
    let namespace = namespace.map(|text| text.parse()).transpose();
    let new = NewInlet {
        tenant: call.tenant()?,
        name,
        format: format.map(|name| known(call, &name)).transpose()?,
        namespace: namespace.map_err(|error: NoNamespace| bad(error.to_string()))?,
        key_expires: ends(call, expires)?,
    };
    let (inlet, secret) = call.instance.control.create_inlet(new, call.instance.now())?;
    answer(shown(call, &inlet, Some(secret.reveal())))
}

pub(super) fn change(call: &Call<'_>) -> Answer {
    let wire::InletChange { name, enabled } = call.body()?;
    let (control, tenant) = (&call.instance.control, call.tenant()?);
    let inlet = control.change_inlet(tenant, call.key(0), name.as_deref(), enabled)?;
    answer(shown(call, &inlet, None))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let gone = call.instance.control.delete_inlet(call.tenant()?, call.key(0))?;
    answer(shown(call, &gone, None))
}

pub(super) fn add_key(call: &Call<'_>) -> Answer {
    let new: wire::NewSecret = call.body()?;
    let expires = ends(call, new.expires)?;
    let (control, tenant) = (&call.instance.control, call.tenant()?);
    let (inlet, secret) = control.add_inlet_key(tenant, call.key(0), expires, call.instance.now())?;
    answer(shown(call, &inlet, Some(secret.reveal())))
}

pub(super) fn remove_key(call: &Call<'_>) -> Answer {
    let (tenant, key) = (call.tenant()?, guid(call.key(1))?);
    let inlet = call.instance.control.remove_inlet_key(tenant, call.key(0), key)?;
    answer(shown(call, &inlet, None))
}

/// The name of a format or a mapping that there is, as it has it.
fn known(call: &Call<'_>, name: &str) -> Result<String, Refused> {
    let decoders = &call.instance.decoders;
    let found = decoders.named(name).map(|decoder| decoder.name().to_owned());
    found.ok_or_else(|| bad(intake::UnknownFormat::among(name, &decoders.names()).to_string()))
}

fn ends(call: &Call<'_>, expires: Option<String>) -> Result<Option<Time>, Refused> {
    expires.map(|expires| future(call, "key", &expires)).transpose()
}

fn shown(call: &Call<'_>, inlet: &Inlet, secret: Option<&str>) -> wire::Inlet {
    let time = |time: Option<Time>| time.map(|time| time.to_string());
    let key = |key: InletKey| wire::InletKey {
        id: key.id.to_string(),
        created: key.created.to_string(),
        expires: time(key.expires),
        last_used: time(key.last_used),
    };
    wire::Inlet {
        id: inlet.id.to_string(),
        tenant_id: inlet.tenant.to_string(),
        name: inlet.name.clone(),
        enabled: inlet.enabled,
        format: inlet.format.clone(),
        namespace: inlet.namespace.as_ref().map(ToString::to_string),
        created: inlet.created.to_string(),
        keys: call.instance.control.inlet_keys(inlet).into_iter().map(key).collect(),
        secret: secret.map(str::to_owned),
    }
}
