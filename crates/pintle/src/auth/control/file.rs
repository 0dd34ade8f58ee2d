//! What is kept, and the file it is kept in.

use std::path::Path;

use super::inlets::{self, Names};
use super::*;
use crate::auth::device_group::TenantDeviceGroups;
use crate::auth::machine_rule::TenantMachineRules;

/// The file's format; a newer one is refused.
const FORMAT: u32 = 1;

/// Everything that is kept.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) tenants: Vec<Tenant>,
    #[serde(with = "as_list")]
    pub(super) applications: All<Application>,
    #[serde(default, with = "as_list")]
    pub(super) inlets: All<Inlet>,
    #[serde(default, with = "as_list")]
    pub(super) users: All<User>,
    #[serde(default, with = "as_list")]
    pub(super) user_groups: All<UserGroup>,
    #[serde(default, with = "as_list")]
    pub(super) roles: All<Role>,
    #[serde(default)]
    pub(super) device_groups: BTreeMap<TenantId, Arc<TenantDeviceGroups>>,
    #[serde(default)]
    pub(super) machine_rules: BTreeMap<TenantId, Arc<TenantMachineRules>>,
    /// Made of `inlets`: who sends a name has proved nothing yet, so it is not searched for.
    #[serde(skip)]
    pub(super) inlet_names: Names,
}

impl State {
    /// Makes anew what follows from the rest.
    pub(super) fn index(&mut self) {
        self.inlet_names = inlets::names(&self.inlets);
    }

    /// Gives every tenant that has none its administrator role.
    pub(super) fn complete(&mut self) {
        for tenant in &self.tenants {
            if !self.roles.values().any(|role| role.tenant == tenant.id && role.is_administrator) {
                let role = Role::administrator(tenant.id);
                self.roles.insert(role.id, Arc::new(role));
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct File<S> {
    format: u32,
    #[serde(flatten)]
    state: S,
}

pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<State, crate::auth::Error> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |error: serde_json::Error| crate::auth::Error::damaged(path, error);
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > FORMAT {
        let reason = format!(
            "it is of format {format}, this pintle knows up to {FORMAT}: a newer pintle wrote it, so start that one"
        );
        return Err(crate::auth::Error::damaged(path, reason));
    }
    let file: File<State> = serde_json::from_slice(bytes).map_err(damaged)?;
    Ok(file.state)
}

pub(super) fn write(path: &Path, state: &State) -> Result<(), crate::auth::Error> {
    private_file::replace(path, &bytes(path, state)?).map_err(crate::auth::Error::io("write", path))
}

pub(super) fn bytes(path: &Path, state: &State) -> Result<Vec<u8>, crate::auth::Error> {
    serde_json::to_vec_pretty(&File { format: FORMAT, state })
        .map_err(|error| crate::auth::Error::damaged(path, error))
}

/// Things of a kind stand in the file as a list, for whoever reads it.
mod as_list {
    use super::*;

    pub fn serialize<T: Serialize, S: serde::Serializer>(
        all: &All<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.values().map(|one| &**one))
    }

    pub fn deserialize<'de, T: Named + Deserialize<'de>, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<All<T>, D::Error> {
        let list = Vec::<T>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|one| (one.id(), Arc::new(one))).collect())
    }
}
