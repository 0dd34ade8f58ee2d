//! Everybody's rights at one moment: what is read of one never mixes two states of the file.

use std::collections::BTreeSet;

use super::super::device_group::TenantDeviceGroups;
use super::*;

/// What machines are in where there are no device groups.
const NO_GROUP: u32 = 0;

/// All that is kept, as it was when it was asked for.
pub struct Moment<'c> {
    control: &'c Control,
    state: Arc<State>,
}

impl Control {
    /// What is kept now.
    pub fn moment(&self) -> Moment<'_> {
        Moment { control: self, state: self.state() }
    }
}

impl Moment<'_> {
    /// The application of that client id in a tenant, if it is enabled.
    pub fn application(&self, tenant: TenantId, id: Uuid) -> Option<Arc<Application>> {
        let application = self.state.applications.get(&id);
        application.filter(|application| application.enabled && application.tenant == tenant).cloned()
    }

    /// The ids of the user groups of these names; there may be none.
    pub fn user_groups(&self, tenant: TenantId, names: &[String]) -> BTreeSet<Uuid> {
        let found = names.iter().filter_map(|name| find(&self.state.user_groups, tenant, name).ok());
        found.map(|group| group.id).collect()
    }

    /// The user of that id, if they may use tokens of that epoch.
    pub fn user(&self, tenant: TenantId, id: Uuid, epoch: u64) -> Option<Arc<User>> {
        let user = self.state.users.get(&id).cloned()?;
        (user.tenant == tenant && user.enabled && user.epoch == epoch).then_some(user)
    }

    /// What the members of some user groups may do.
    pub fn held_by(&self, tenant: TenantId, user_groups: &BTreeSet<Uuid>) -> Held {
        let mut held = Held::default();
        let theirs = |role: &&Arc<Role>| role.tenant == tenant && !role.user_groups.is_disjoint(user_groups);
        for role in self.state.roles.values().filter(theirs) {
            held.roles.push(role.name.clone());
            held.permissions.extend(&role.permissions);
            held.is_administrator |= role.is_administrator;
        }
        held
    }

    /// The ids of the device groups that members of some user groups see; `None`: all there are. While
    /// machines are being sorted into changed groups, only those that they saw before and see afterwards,
    /// so that a group that is given to others never shows them what it takes no more.
    pub fn visible_groups(&self, tenant: TenantId, user_groups: &BTreeSet<Uuid>) -> Option<BTreeSet<u32>> {
        let kept = self.state.device_groups.get(&tenant).cloned();
        let sorted_by =
            self.control.sorted_by.read().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned();
        if kept.as_ref().map(Arc::as_ptr) == sorted_by.as_ref().map(Arc::as_ptr) {
            return kept?.visible_to(user_groups);
        }
        let (kept, sorted_by) = (kept.unwrap_or_default(), sorted_by.unwrap_or_default());
        let seen = |groups: &TenantDeviceGroups| {
            let all = || groups.all().map(|group| group.id).chain([NO_GROUP]).collect();
            groups.visible_to(user_groups).unwrap_or_else(all)
        };
        let (before, after): (BTreeSet<u32>, BTreeSet<u32>) = (seen(&sorted_by), seen(&kept));
        // Ids that only one of the two knows are of machines before or after they moved.
        let known = |groups: &TenantDeviceGroups, id: u32| groups.all().any(|group| group.id == id);
        let is_seen = |id: &u32| {
            (before.contains(id) || !known(&sorted_by, *id)) && (after.contains(id) || !known(&kept, *id))
        };
        Some(before.union(&after).copied().filter(is_seen).collect())
    }
}
