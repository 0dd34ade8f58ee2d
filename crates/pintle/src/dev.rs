//! `pintle dev`: a complete local instance in one command, for people who write integrations. This
//! is what it is made of; the command itself puts it together and prints how to use it.

pub mod ca;
pub mod format;
pub mod generator;
pub mod hosts;

use std::ops::ControlFlow;

use pintle_model::TenantId;
use pintle_store::{Batch, Folder, Store};
use uuid::Uuid;

use crate::auth::control::{self, Control, NewApplication, Tenant};
use crate::auth::permission::{Permission, Permissions};
use crate::auth::secret::Secret;
use generator::Generator;

/// The tenant of `pintle dev --fixed`: `d0c0ffee-0000-4000-8000-000000000001`. Stable for ever.
pub const FIXED_TENANT: TenantId =
    TenantId::from_bytes([0xd0, 0xc0, 0xff, 0xee, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1]);

/// The client id of `pintle dev --fixed`: `d0c0ffee-0000-4000-8000-000000000002`. Stable for ever.
pub const FIXED_CLIENT: Uuid =
    Uuid::from_bytes([0xd0, 0xc0, 0xff, 0xee, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 2]);

/// The secret of `pintle dev --fixed`. Known to everybody, so it must never guard real data.
pub const FIXED_SECRET: &str = "pintle-dev-known-to-everybody";

/// The name of the demo application.
const APPLICATION: &str = "pintle dev";

/// The source that the demo's records name.
const SOURCE: &str = "pintle dev";

/// What a client needs to get a token.
#[derive(Debug)]
pub struct Credentials {
    /// The tenant.
    pub tenant: TenantId,
    /// The application.
    pub client: Uuid,
    /// Its secret.
    pub secret: Secret,
}

/// Opens the tenants and applications of a dev folder before anything else does. Under `fixed`
/// the tenant `default` of a new folder is the well-known one.
pub fn prepare(folder: &Folder, fixed: bool) -> Result<(), crate::auth::Error> {
    let default = if fixed { FIXED_TENANT } else { TenantId::random() };
    Control::open_with_default(folder.path(), default).map(drop)
}

/// Registers the demo application in place of an earlier run's, and says how to use it. It may
/// read everything and send telemetry.
pub fn register(
    control: &Control,
    fixed: bool,
    now: pintle_model::Time,
) -> Result<Credentials, control::Error> {
    let tenant = if fixed { fixed_tenant(control)? } else { default_tenant(control)? };
    let earlier = control.applications().into_iter();
    for application in earlier.filter(|application| application.name == APPLICATION) {
        control.delete(application.id)?;
    }
    let new = NewApplication {
        id: fixed.then_some(FIXED_CLIENT),
        secret: fixed.then(|| Secret::from_text(FIXED_SECRET)),
        ..NewApplication::new(tenant.id, APPLICATION, permissions())
    };
    let (application, secret) = control.create_application_with(new, now)?;
    Ok(Credentials { tenant: tenant.id, client: application.id, secret })
}

fn default_tenant(control: &Control) -> Result<Tenant, control::Error> {
    control.tenant("default").ok_or_else(|| control::Error::UnknownTenant("default".to_owned()))
}

/// A folder that was begun without `--fixed` has another default tenant.
fn fixed_tenant(control: &Control) -> Result<Tenant, control::Error> {
    match control.tenant(&FIXED_TENANT.to_string()) {
        Some(tenant) => Ok(tenant),
        None => control.create_tenant(Some(FIXED_TENANT), "fixed"),
    }
}

fn permissions() -> Permissions {
    let reads = |permission: &Permission| permission.value().contains(".Read.");
    Permission::ALL.iter().copied().filter(reads).chain([Permission::EventWrite]).collect()
}

/// Puts the demo's telemetry in. Calls `progress` with the days done, of how many; it may end it.
pub fn populate(
    store: &Store,
    tenant: TenantId,
    mut telemetry: Generator,
    progress: &mut dyn FnMut(i64, i64) -> ControlFlow<()>,
) -> Result<(), pintle_store::Error> {
    while let Some(records) = telemetry.next() {
        store.append(Batch { records, ..Batch::recorded(tenant, SOURCE) })?;
        let (done, all) = telemetry.progress();
        if progress(done, all).is_break() {
            break;
        }
    }
    Ok(())
}
