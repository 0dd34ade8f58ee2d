//! What makes machines one.

use pintle_store::MachineRule as Rule;

use super::super::machine_rule::{MachineRule, TenantMachineRules};
use super::*;

/// Rules that go by names: each is looked at for every name.
const MAX_BY_NAME: usize = 100;

/// What a rule is made or changed to; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct MachineRuleChange {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it says.
    pub rule: Option<Rule>,
}

impl Control {
    /// The rules of a tenant.
    pub fn machine_rules(&self, tenant: TenantId) -> Arc<TenantMachineRules> {
        self.state().machine_rules.get(&tenant).cloned().unwrap_or_default()
    }

    /// The rule of that name or id.
    pub fn machine_rule(&self, tenant: TenantId, name_or_id: &str) -> Result<MachineRule, Error> {
        self.machine_rules(tenant).find(name_or_id).cloned().ok_or_else(|| unknown(name_or_id))
    }

    /// Makes a rule. It needs a name, and something to say.
    pub fn create_machine_rule(
        &self,
        tenant: TenantId,
        new: MachineRuleChange,
    ) -> Result<MachineRule, Error> {
        self.change(|state| {
            if !state.tenants.iter().any(|known| known.id == tenant) {
                return Err(Error::UnknownTenant(tenant.to_string()));
            }
            let mut all = of(state, tenant);
            if all.rules.len() >= MAX_OF_A_KIND {
                return Err(Error::TooMany(MAX_OF_A_KIND, "machine rules"));
            }
            let MachineRuleChange { name, description, rule } = new;
            let Some(rule) = rule else {
                return Err(Error::Unfit("a machine rule says which machines are one".to_owned()));
            };
            let rule = MachineRule { id: all.next_id, name: String::new(), description: String::new(), rule };
            let change = MachineRuleChange {
                name: Some(name.unwrap_or_default()),
                description,
                rule: Some(rule.rule.clone()),
            };
            let rule = changed(&all, rule, change)?;
            all.next_id += 1;
            all.rules.push(rule.clone());
            state.machine_rules.insert(tenant, Arc::new(all));
            Ok(rule)
        })
    }

    /// Changes a rule.
    pub fn change_machine_rule(
        &self,
        tenant: TenantId,
        rule: &str,
        change: MachineRuleChange,
    ) -> Result<MachineRule, Error> {
        self.change(|state| {
            let mut all = of(state, tenant);
            let known = all.find(rule).cloned().ok_or_else(|| unknown(rule))?;
            let changed = changed(&all, known, change)?;
            let place = all.rules.iter_mut().find(|other| other.id == changed.id);
            place.into_iter().for_each(|place| *place = changed.clone());
            state.machine_rules.insert(tenant, Arc::new(all));
            Ok(changed)
        })
    }

    /// The number that a rule which says this would have, in the place of another or as a new one, and what it
    /// says as it would be kept; if it could be made. Changes nothing.
    pub fn try_machine_rule(
        &self,
        tenant: TenantId,
        instead_of: Option<&str>,
        says: Rule,
    ) -> Result<(u32, Rule), Error> {
        let all = self.machine_rules(tenant);
        let known = instead_of.map(|known| all.find(known).cloned().ok_or_else(|| unknown(known)));
        let new = || MachineRule {
            id: all.next_id,
            name: String::new(),
            description: String::new(),
            rule: says.clone(),
        };
        if known.is_none() && all.rules.len() >= MAX_OF_A_KIND {
            return Err(Error::TooMany(MAX_OF_A_KIND, "machine rules"));
        }
        let rule = known.transpose()?.unwrap_or_else(new);
        let change = MachineRuleChange { rule: Some(says), ..MachineRuleChange::default() };
        changed(&all, rule, change).map(|rule| (rule.id, rule.rule))
    }

    /// Removes a rule; the machines that are one by it alone are what they were.
    pub fn delete_machine_rule(&self, tenant: TenantId, rule: &str) -> Result<MachineRule, Error> {
        self.change(|state| {
            let mut all = of(state, tenant);
            let gone = all.find(rule).cloned().ok_or_else(|| unknown(rule))?;
            all.rules.retain(|other| other.id != gone.id);
            state.machine_rules.insert(tenant, Arc::new(all));
            Ok(gone)
        })
    }
}

fn of(state: &State, tenant: TenantId) -> TenantMachineRules {
    state.machine_rules.get(&tenant).map(|rules| TenantMachineRules::clone(rules)).unwrap_or_default()
}

fn unknown(name_or_id: &str) -> Error {
    Error::Unknown("machine rule", name_or_id.to_owned(), "machine-rule")
}

fn changed(
    others: &TenantMachineRules,
    mut rule: MachineRule,
    change: MachineRuleChange,
) -> Result<MachineRule, Error> {
    let MachineRuleChange { name, description, rule: says } = change;
    let others = || others.rules.iter().filter(|other| other.id != rule.id);
    if let Some(name) = name {
        let name = checked_name(&name)?;
        // It could not be told from an id.
        if name.parse::<u32>().is_ok() {
            return Err(Error::Unfit("a machine rule's name is no number".to_owned()));
        }
        if others().any(|other| folded(&other.name) == folded(&name)) {
            return Err(Error::Exists(format!("machine rule `{name}`")));
        }
        rule.name = name;
    }
    if let Some(description) = description {
        rule.description = checked_description(&description)?;
    }
    if let Some(says) = says {
        let says = says.checked().map_err(|error| Error::Unfit(error.to_string()))?;
        let by_name = |rule: &Rule| matches!(rule, Rule::Names(_));
        if by_name(&says) && others().filter(|other| by_name(&other.rule)).count() >= MAX_BY_NAME {
            return Err(Error::TooMany(MAX_BY_NAME, "machine rules that go by names"));
        }
        if let Some((id, other)) = named_twice(&says, others()) {
            return Err(Error::Unfit(format!(
                "the machine rule `{}` names the machine {id} already: a machine is in one rule",
                other.name
            )));
        }
        rule.rule = says;
    }
    Ok(rule)
}

/// A machine that a rule names, and another one too.
fn named_twice<'r>(
    rule: &'r Rule,
    mut others: impl Iterator<Item = &'r MachineRule>,
) -> Option<(&'r pintle_model::MachineId, &'r MachineRule)> {
    let Rule::Machines(machines) = rule else { return None };
    others.find_map(|other| {
        let Rule::Machines(named) = &other.rule else { return None };
        let id = machines.ids.iter().find(|id| named.ids.contains(id))?;
        Some((id, other))
    })
}

#[cfg(test)]
mod tests {
    use pintle_store::{SameMachines, SameNames};

    use super::*;

    fn names() -> Option<Rule> {
        Some(Rule::Names(SameNames::default()))
    }

    fn same(ids: &[&str]) -> Option<Rule> {
        let ids = ids.iter().map(|id| id.parse().unwrap()).collect();
        Some(Rule::Machines(SameMachines { ids, canonical: None }))
    }

    fn change(name: Option<&str>, rule: Option<Rule>) -> MachineRuleChange {
        MachineRuleChange { name: name.map(str::to_owned), description: None, rule }
    }

    #[test]
    fn a_rule_has_a_name_and_a_number_of_its_own_and_a_machine_is_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        let create = |name, rule| control.create_machine_rule(tenant, change(Some(name), rule));
        assert_eq!(create("names", names()).unwrap().id, 1);
        assert_eq!(create("ws5", same(&["a", "b"])).unwrap().id, 2);
        assert!(matches!(create("NAMES", names()), Err(Error::Exists(_))));
        assert!(matches!(create("7", names()), Err(Error::Unfit(_))));
        assert!(matches!(create("", names()), Err(Error::Name)));
        for unfit in [None, same(&["a"]), same(&["c", "B", "b"])] {
            assert!(matches!(create("other", unfit), Err(Error::Unfit(_))));
        }
        let change_it = |which, to| control.change_machine_rule(tenant, which, to);
        assert_eq!(change_it("WS5", change(Some("ws6"), same(&["a", "c"]))).unwrap().id, 2);
        assert_eq!(create("b", same(&["b", "d"])).unwrap().id, 3);
        assert!(matches!(change_it("2", change(None, same(&["a", "d"]))), Err(Error::Unfit(_))));
        let tried =
            |instead_of, says: Option<Rule>| control.try_machine_rule(tenant, instead_of, says.unwrap());
        assert!(matches!(tried(Some("2"), same(&["a", "d"])), Err(Error::Unfit(_))));
        assert!(matches!(tried(None, same(&["a", "e"])), Err(Error::Unfit(_))));
        assert!(matches!(tried(Some("ws5"), same(&["a", "e"])), Err(Error::Unknown(..))));
        assert_eq!(tried(Some("WS6"), same(&["a", "e"])).unwrap().0, 2);
        assert_eq!(tried(None, same(&["e", "f"])).unwrap().0, 4);
        assert!(matches!(change_it("ws5", change(None, None)), Err(Error::Unknown(..))));
        assert_eq!(control.delete_machine_rule(tenant, "3").unwrap().name, "b");
        assert!(matches!(control.delete_machine_rule(tenant, "3"), Err(Error::Unknown(..))));
        assert_eq!(create("again", same(&["b", "d"])).unwrap().id, 4, "no number is used again");
        drop(control);
        let control = Control::open(folder.path()).unwrap();
        let kept: Vec<u32> = control.machine_rules(tenant).rules.iter().map(|rule| rule.id).collect();
        assert_eq!(kept, [1, 2, 4]);
        let other = control.create_tenant(None, "other").unwrap().id;
        assert!(control.machine_rules(other).rules.is_empty());
        control.create_machine_rule(other, change(Some("ws6"), same(&["a", "c"]))).unwrap();
    }

    #[test]
    fn there_are_so_many_rules_by_names_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        let create = |n: usize| control.create_machine_rule(tenant, change(Some(&format!("r{n}")), names()));
        (0..MAX_BY_NAME).for_each(|n| drop(create(n).unwrap()));
        assert!(matches!(create(MAX_BY_NAME), Err(Error::TooMany(MAX_BY_NAME, _))));
        let tried = |instead_of| control.try_machine_rule(tenant, instead_of, names().unwrap());
        assert!(matches!(tried(None), Err(Error::TooMany(MAX_BY_NAME, _))));
        assert_eq!(tried(Some("r0")).unwrap().0, 1);
        control.change_machine_rule(tenant, "r0", change(None, names())).unwrap();
    }
}
