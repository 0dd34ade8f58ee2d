//! Who is asking: the only place where device-group visibility is decided.

use std::sync::Arc;

use pintle_model::TenantId;

/// A tenant and the device groups a caller may see there. Every read takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    tenant: TenantId,
    /// A bit for each group's id; `None`: all groups. Shared, because a scope is copied for every
    /// request.
    groups: Option<Arc<[u64]>>,
    narrows_statistics: bool,
}

impl Scope {
    /// The greatest id of a device group that a scope can name.
    pub const MAX_GROUP_ID: u32 = 1_000_000;

    /// The whole tenant: application tokens, administrators, the owner of the data folder.
    pub fn whole(tenant: TenantId) -> Scope {
        Scope { tenant, groups: None, narrows_statistics: false }
    }

    /// Only the machines in device groups of these ids, and the alerts on them. 0 stands for the
    /// machines of a tenant that has no device groups. An alert without a device is not among them,
    /// and an id beyond [`Scope::MAX_GROUP_ID`] names nothing.
    pub fn device_groups(tenant: TenantId, ids: impl IntoIterator<Item = u32>) -> Scope {
        let mut bits = Vec::new();
        for (word, bit) in ids.into_iter().filter(|id| *id <= Scope::MAX_GROUP_ID).map(place) {
            if bits.len() <= word {
                bits.resize(word + 1, 0u64);
            }
            if let Some(word) = bits.get_mut(word) {
                *word |= bit;
            }
        }
        Scope { groups: Some(bits.into()), ..Scope::whole(tenant) }
    }

    /// Whether answers about files follow from the visible machines alone, as if nobody had heard of
    /// the others: statistics do not count them, and hashes that were seen on no visible machine are
    /// unknown, link nothing and are named nowhere. Says nothing for a scope that sees all.
    pub fn narrowing_statistics(self, narrows_statistics: bool) -> Scope {
        Scope { narrows_statistics, ..self }
    }

    /// See [`Scope::narrowing_statistics`].
    pub fn narrows_statistics(&self) -> bool {
        self.narrows_statistics
    }

    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Whether all groups are visible.
    pub fn sees_all(&self) -> bool {
        self.groups.is_none()
    }

    /// Whether the machines of the device group of this id are visible.
    pub fn sees(&self, group: u32) -> bool {
        let Some(bits) = &self.groups else { return true };
        let (word, bit) = place(group);
        bits.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether the machines that are not visible count for nothing in answers about files.
    pub(crate) fn hides_files(&self) -> bool {
        self.narrows_statistics && !self.sees_all()
    }
}

/// Where a group's bit is: the word, and the bit in it.
fn place(group: u32) -> (usize, u64) {
    (usize::try_from(group / 64).unwrap_or(usize::MAX), 1 << (group % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_sees_the_groups_it_names_and_no_hostile_id_costs_memory_or_sees_anything() {
        let tenant = TenantId::from_bytes([1; 16]);
        let ids = [0, 1, 63, 64, 65, 1_000, Scope::MAX_GROUP_ID];
        for several in [&ids[..], &ids[..1], &ids[3..5], &[]] {
            let scope = Scope::device_groups(tenant, several.iter().copied());
            assert!(!scope.sees_all());
            for id in ids.iter().flat_map(|id| [*id, id + 1, id ^ 64]).chain([u32::MAX]) {
                assert_eq!(scope.sees(id), several.contains(&id), "{id} of {several:?}");
            }
        }
        let hostile = Scope::device_groups(tenant, [7, Scope::MAX_GROUP_ID + 1, u32::MAX]);
        assert!(hostile.sees(7) && !hostile.sees(Scope::MAX_GROUP_ID + 1) && !hostile.sees(u32::MAX));
        assert_eq!(hostile, Scope::device_groups(tenant, [7]));
        assert!([0, 1, u32::MAX].into_iter().all(|id| Scope::whole(tenant).sees(id)));
    }

    #[test]
    fn only_a_scope_that_does_not_see_all_can_hide_files() {
        let tenant = TenantId::from_bytes([1; 16]);
        let some = Scope::device_groups(tenant, [1]);
        assert!(!some.hides_files() && some.clone().narrowing_statistics(true).hides_files());
        let whole = Scope::whole(tenant).narrowing_statistics(true);
        assert!(whole.narrows_statistics() && !whole.hides_files());
    }
}
