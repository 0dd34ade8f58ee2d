//! Device groups by number, so that whether a caller sees a machine is a look at one place of a
//! short list, not a search for its group's name. What a caller sees of a group stays decided by
//! [`Scope`].

use std::collections::HashMap;

use crate::Scope;

/// The groups of a tenant's machines. A number is free again once no machine has it, so that
/// telemetry that invents groups takes no more than it has machines.
pub(super) struct Groups {
    /// By number; the first stands for no group at all and is never free.
    all: Vec<Group>,
    numbers: HashMap<Box<str>, u32>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Group {
    name: Option<Box<str>>,
    machines: usize,
}

impl Default for Groups {
    fn default() -> Groups {
        Groups { all: vec![Group::default()], numbers: HashMap::new(), free: Vec::new() }
    }
}

impl Groups {
    /// A machine's group: no group's number is 0.
    pub(super) const NONE: u32 = 0;

    /// Counts a machine to a group and gives the group's number.
    pub(super) fn join(&mut self, name: Option<&str>) -> u32 {
        let Some(name) = name else { return Groups::NONE };
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => self.number(name),
        };
        if let Some(group) = self.group_mut(number) {
            group.machines += 1;
        }
        number
    }

    fn number(&mut self, name: &str) -> u32 {
        let group = Group { name: Some(name.into()), machines: 0 };
        let number = self.free.pop().unwrap_or_else(|| {
            self.all.push(Group::default());
            u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.group_mut(number) {
            *place = group;
        }
        self.numbers.insert(name.into(), number);
        number
    }

    /// Counts a machine out of its group.
    pub(super) fn leave(&mut self, number: u32) {
        let Some(group) = self.group_mut(number).filter(|_| number != Groups::NONE) else { return };
        group.machines = group.machines.saturating_sub(1);
        if group.machines > 0 {
            return;
        }
        if let Some(name) = group.name.take() {
            self.numbers.remove(&name);
            self.free.push(number);
        }
    }

    /// Whether a caller sees the machines of a group.
    pub(super) fn are_visible(&self, scope: &Scope, number: u32) -> bool {
        let group = usize::try_from(number).ok().and_then(|place| self.all.get(place));
        group.is_some_and(|group| scope.sees(group.name.as_deref()))
    }

    /// Which groups a caller sees, to be asked of many machines.
    pub(super) fn sight(&self, scope: &Scope) -> Sight {
        let see = |group: &Group| scope.sees(group.name.as_deref());
        Sight((!scope.sees_all()).then(|| self.all.iter().map(see).collect()))
    }

    fn group_mut(&mut self, number: u32) -> Option<&mut Group> {
        self.all.get_mut(usize::try_from(number).ok()?)
    }
}

/// Which groups a caller sees, by number; `None`: all.
pub(super) struct Sight(Option<Vec<bool>>);

impl Sight {
    pub(super) fn sees(&self, number: u32) -> bool {
        match &self.0 {
            None => true,
            Some(seen) => usize::try_from(number).ok().and_then(|place| seen.get(place)) == Some(&true),
        }
    }
}

#[cfg(test)]
mod tests {
    use pintle_model::TenantId;

    use super::*;

    #[test]
    fn a_number_is_used_again_and_never_shows_another_groups_machines() {
        let mut groups = Groups::default();
        let (one, other) = (groups.join(Some("one")), groups.join(Some("other")));
        assert_eq!(groups.join(Some("one")), one);
        let scope = Scope::groups(TenantId::from_bytes([1; 16]), ["one".to_owned()]);
        let sight = groups.sight(&scope);
        assert!(sight.sees(one) && !sight.sees(other) && !sight.sees(Groups::NONE) && !sight.sees(9));

        groups.leave(one);
        assert!(groups.are_visible(&scope, one), "one machine is left");
        groups.leave(one);
        assert_eq!(groups.join(Some("third")), one, "the number is free");
        assert!(!groups.are_visible(&scope, one));
        for n in 0..100 {
            let number = groups.join(Some(&n.to_string()));
            groups.leave(number);
        }
        assert!(groups.all.len() <= 4, "{}", groups.all.len());
    }
}
