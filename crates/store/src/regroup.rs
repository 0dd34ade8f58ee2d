//! Device groups are changed and looked at, by whoever keeps them. What a rule takes is said in
//! [`crate::device_group`], how all machines change at once in the directory.

use std::collections::BTreeMap;
use std::sync::Arc;

use pintle_model::{MachineId, TenantId};

use crate::device_group::Traits;
use crate::directory::regroup;
use crate::store::{Store, hold, read_lock};
use crate::{DeviceGroups, DeviceRule, Error};

/// What came of other device groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regrouped {
    /// The tenant's machines.
    pub machines: usize,
    /// Those of them that are in another group now.
    pub moved: usize,
}

/// What a rule alone would take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// How many machines.
    pub matching: usize,
    /// The first of them by id, with their names.
    pub machines: Vec<(MachineId, Option<String>)>,
}

/// Machines looked at before others are let in.
const AT_ONCE: usize = 1_000;

impl Store {
    /// Other device groups count for a tenant from now on; the store keeps them until it is closed.
    /// Reads and writes go on. What is visible changes for all machines at one moment, before this
    /// returns; what machines show of their groups follows until then. If the tenant's machines could
    /// not be read this fails, and the groups count once they can be.
    pub fn set_device_groups(&self, tenant: TenantId, groups: DeviceGroups) -> Result<Regrouped, Error> {
        let groups = Arc::new(groups);
        // Held to the end: of two who set them, the later one must be the last everywhere.
        let mut all = hold(&self.administered);
        all.groups.insert(tenant, Arc::clone(&groups));
        Ok(regroup(&self.known().directory(tenant)?, &groups))
    }

    /// Which machines a rule alone would take, whatever group they are in: how many, and the first
    /// `limit` by id. For whoever makes the rule; it is asked about the whole tenant.
    pub fn preview_device_group(
        &self,
        tenant: TenantId,
        rule: &DeviceRule,
        limit: usize,
    ) -> Result<Preview, Error> {
        let (directory, window) = (self.known().directory(tenant)?, self.machine_window(tenant));
        let (rule, mut preview) = (rule.clone().folded(), Preview::default());
        let mut after: Option<MachineId> = None;
        loop {
            let directory = read_lock(&directory);
            let mut last = None;
            for machine in directory.after(after.as_ref()).take(AT_ONCE) {
                last = Some(&machine.id);
                let deciding = directory.ordinal(&machine.id).and_then(|ordinal| directory.deciding(ordinal));
                let is_taken = deciding.is_some_and(|deciding| rule.takes(&Traits::of(&deciding)));
                if is_taken && machine.is_recent(window) {
                    preview.matching += 1;
                    if preview.machines.len() < limit {
                        preview.machines.push((machine.id.clone(), machine.name.clone()));
                    }
                }
            }
            match last.cloned() {
                Some(last) => after = Some(last),
                None => return Ok(preview),
            }
        }
    }

    /// How many machines each device group has, by its id; those with none are not among them. Without
    /// device groups all are in 0.
    pub fn device_group_sizes(&self, tenant: TenantId) -> Result<BTreeMap<u32, usize>, Error> {
        let (directory, window) = (self.known().directory(tenant)?, self.machine_window(tenant));
        let directory = read_lock(&directory);
        let mut sizes = BTreeMap::new();
        for group in directory.groups_of_recent(window) {
            *sizes.entry(group).or_default() += 1;
        }
        Ok(sizes)
    }
}
