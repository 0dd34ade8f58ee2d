//! Device groups, and who sees which.

use std::collections::BTreeSet;

use pintle_store::DeviceRule;

use super::super::device_group::{DeviceGroup, RemediationLevel, TenantDeviceGroups};
use super::*;

/// Device groups of a tenant: each rule is looked at for every machine.
const MAX_DEVICE_GROUPS: usize = 1_000;

/// What a device group is made or changed to; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct DeviceGroupChange {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// How far threats are remediated.
    pub remediation: Option<RemediationLevel>,
    /// Which machines it takes.
    pub rule: Option<DeviceRule>,
    /// Its rank from now on, from 1; those below it move down. A new one comes last without.
    pub rank: Option<usize>,
    /// User groups that are to see it, by name or id.
    pub give: Vec<String>,
    /// User groups that it is taken from.
    pub take: Vec<String>,
    /// Everybody is to see it: it is taken from every user group. Without, the last one keeps it.
    pub everybody: bool,
}

impl Control {
    /// The device groups of a tenant.
    pub fn device_groups(&self, tenant: TenantId) -> Arc<TenantDeviceGroups> {
        self.state().device_groups.get(&tenant).cloned().unwrap_or_default()
    }

    /// The ids of the device groups that members of some user groups see; `None`: all there are.
    pub fn visible_groups(&self, tenant: TenantId, user_groups: &BTreeSet<Uuid>) -> Option<BTreeSet<u32>> {
        self.moment().visible_groups(tenant, user_groups)
    }

    /// Notes that machines are sorted by these device groups from now on.
    pub(crate) fn note_sorted(&self, tenant: TenantId, by: Arc<TenantDeviceGroups>) {
        self.sorted_by.write().unwrap_or_else(PoisonError::into_inner).insert(tenant, by);
    }

    /// The device group of that name or id, with its rank; the default group has none.
    pub fn device_group(
        &self,
        tenant: TenantId,
        name_or_id: &str,
    ) -> Result<(Option<usize>, DeviceGroup), Error> {
        let groups = self.device_groups(tenant);
        Ok(match place(&groups, name_or_id)? {
            Some(place) => (Some(place + 1), groups.ranked.get(place).unwrap_or(&groups.default).clone()),
            None => (None, groups.default.clone()),
        })
    }

    /// Makes a device group. It needs a name and a rule.
    pub fn create_device_group(
        &self,
        tenant: TenantId,
        new: DeviceGroupChange,
    ) -> Result<DeviceGroup, Error> {
        self.change(|state| {
            if !state.tenants.iter().any(|known| known.id == tenant) {
                return Err(Error::UnknownTenant(tenant.to_string()));
            }
            let mut groups = of(state, tenant);
            if groups.ranked.len() >= MAX_DEVICE_GROUPS {
                return Err(Error::TooMany(MAX_DEVICE_GROUPS, "device groups"));
            }
            let name = new.name.clone().unwrap_or_default();
            let mut group =
                DeviceGroup { id: groups.next_id, user_groups: BTreeSet::new(), ..groups.default.clone() };
            group.description = String::new();
            let rank = new.rank;
            let change = DeviceGroupChange {
                name: Some(name),
                rule: Some(new.rule.clone().unwrap_or_default()),
                ..new
            };
            let group = changed(state, &groups, tenant, group, change)?;
            groups.next_id += 1;
            let place =
                rank.map_or(groups.ranked.len(), |rank| rank.saturating_sub(1)).min(groups.ranked.len());
            groups.ranked.insert(place, group.clone());
            state.device_groups.insert(tenant, Arc::new(groups));
            Ok(group)
        })
    }

    /// Changes a device group. Of the default group only who sees it and how far it is remediated can be.
    pub fn change_device_group(
        &self,
        tenant: TenantId,
        group: &str,
        change: DeviceGroupChange,
    ) -> Result<DeviceGroup, Error> {
        self.change(|state| {
            let mut groups = of(state, tenant);
            let rank = change.rank;
            let group = match place(&groups, group)? {
                None => {
                    if change.name.is_some()
                        || change.rule.is_some()
                        || rank.is_some()
                        || change.description.is_some()
                    {
                        let reason = "the default group has no rule and no rank, and keeps its name";
                        return Err(Error::Unfit(reason.to_owned()));
                    }
                    let group = changed(state, &groups, tenant, groups.default.clone(), change)?;
                    groups.default = group.clone();
                    group
                }
                Some(place) => {
                    let group = groups.ranked.remove(place);
                    let group = changed(state, &groups, tenant, group, change)?;
                    let place = rank.map_or(place, |rank| rank.saturating_sub(1)).min(groups.ranked.len());
                    groups.ranked.insert(place, group.clone());
                    group
                }
            };
            state.device_groups.insert(tenant, Arc::new(groups));
            Ok(group)
        })
    }

    /// Removes a device group; its machines go to others, or to the default group.
    pub fn delete_device_group(&self, tenant: TenantId, group: &str) -> Result<DeviceGroup, Error> {
        self.change(|state| {
            let mut groups = of(state, tenant);
            let Some(place) = place(&groups, group)? else {
                return Err(Error::Unfit("the default group stays".to_owned()));
            };
            let gone = groups.ranked.remove(place);
            state.device_groups.insert(tenant, Arc::new(groups));
            for application in state.applications.values_mut() {
                let limited = application.device_groups.as_ref();
                if application.tenant == tenant && limited.is_some_and(|limited| limited.contains(&gone.id)) {
                    // One that is left with none sees nothing, rather than all.
                    if let Some(limited) = &mut Arc::make_mut(application).device_groups {
                        limited.remove(&gone.id);
                    }
                }
            }
            Ok(gone)
        })
    }
}

fn of(state: &State, tenant: TenantId) -> TenantDeviceGroups {
    state.device_groups.get(&tenant).map(|groups| TenantDeviceGroups::clone(groups)).unwrap_or_default()
}

/// The place of the one of that name or id among those with a rank; `None`: it is the default group.
fn place(groups: &TenantDeviceGroups, name_or_id: &str) -> Result<Option<usize>, Error> {
    let (id, name) = (name_or_id.parse::<u32>().ok(), name_or_id.trim().to_lowercase());
    let is = |group: &DeviceGroup| Some(group.id) == id || group.name.to_lowercase() == name;
    match groups.ranked.iter().position(is) {
        None if is(&groups.default) => Ok(None),
        None => Err(Error::Unknown("device group", name_or_id.to_owned(), "device-group")),
        found => Ok(found),
    }
}

fn changed(
    state: &State,
    others: &TenantDeviceGroups,
    tenant: TenantId,
    mut group: DeviceGroup,
    change: DeviceGroupChange,
) -> Result<DeviceGroup, Error> {
    let DeviceGroupChange { name, description, remediation, rule, rank: _, give, take, everybody } = change;
    if let Some(name) = name {
        group.name = checked_name(&name)?;
        // It could not be told from an id.
        if group.name.parse::<u32>().is_ok() {
            return Err(Error::Unfit("a device group's name is no number".to_owned()));
        }
        let name = group.name.to_lowercase();
        if others.all().any(|other| other.id != group.id && other.name.to_lowercase() == name) {
            return Err(Error::Exists(format!("device group `{}`", group.name)));
        }
    }
    if let Some(description) = description {
        group.description = checked_description(&description)?;
    }
    if let Some(rule) = rule {
        rule.check().map_err(|error| Error::Unfit(error.to_string()))?;
        group.rule = rule;
    }
    group.remediation = remediation.unwrap_or(group.remediation);
    for name in &give {
        group.user_groups.insert(find(&state.user_groups, tenant, name)?.id);
    }
    for name in &take {
        group.user_groups.remove(&find(&state.user_groups, tenant, name)?.id);
    }
    if everybody {
        group.user_groups.clear();
    } else if !take.is_empty() && group.user_groups.is_empty() {
        return Err(Error::Unfit(format!(
            "everybody would see the device group `{}` then: give it to another user group first, or say that \
             everybody is to see it",
            group.name
        )));
    }
    Ok(group)
}
