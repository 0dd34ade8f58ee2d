use crate::{MachineRule, SameMachines, SameNames};

use super::*;

/// A machine as the test makes it: its id, its name, its kind.
type Made = (&'static str, &'static str, MachineKind);

use MachineKind::{Agent, Defender, Name as ByName};

fn traits((id, name, kind): Made) -> Traits {
    let mut machine = crate::entity::Entity::default();
    let member = pintle_model::shapes::machine::COMPUTER_DNS_NAME;
    machine.facts.note_text(member, pintle_model::Time::MIN, Some(name));
    Traits { kind, ..Traits::of(&id.parse().unwrap(), &machine) }
}

fn names(suffix: Option<&str>, short: bool) -> MachineRule {
    MachineRule::Names(SameNames { suffix: suffix.map(str::to_owned), short })
}

fn machines(ids: &[&str], canonical: Option<&str>) -> MachineRule {
    let ids = ids.iter().map(|id| id.parse().unwrap()).collect();
    MachineRule::Machines(SameMachines { ids, canonical: canonical.map(|id| id.parse().unwrap()) })
}

fn rules(rules: &[MachineRule]) -> Arc<MachineRules> {
    Arc::new(MachineRules::new((1..).zip(rules.iter().cloned()).collect()))
}

fn matching(of: &Arc<MachineRules>, machines: &[Made]) -> Matching {
    let mut matching = Matching::new(Arc::clone(of));
    for (ordinal, machine) in (0..).zip(machines) {
        matching.learn(ordinal, Some(traits(*machine)));
    }
    matching
}

/// Who is one: the ids, that of the machine first, and the rules.
fn joined(of: &Arc<MachineRules>, made: &[Made]) -> Vec<(Vec<&'static str>, Vec<u32>)> {
    let id = |ordinal: &u32| made[usize::try_from(*ordinal).unwrap()].0;
    let mut joined: Vec<_> = matching(of, made)
        .joined()
        .into_iter()
        .map(|group| {
            let others = group.members.iter().filter(|member| **member != group.canonical);
            let mut others: Vec<&str> = others.map(id).collect();
            others.sort_unstable();
            ([vec![id(&group.canonical)], others].concat(), group.rules)
        })
        .collect();
    joined.sort();
    joined
}

fn refused(of: &Arc<MachineRules>, made: &[Made]) -> Vec<(String, usize, JoinRefused)> {
    let refusals = matching(of, made).refusals();
    refusals.into_iter().map(|one| (one.name.to_string(), one.machines.len(), one.why)).collect()
}

#[test]
fn one_of_each_kind_with_a_full_name_is_one_machine_which_goes_by_defender_s_id() {
    let all = rules(&[names(None, false)]);
    let made = [
        ("a", "WS5.corp.example", Agent),
        ("n", "ws5.corp.example", ByName),
        ("z", "ws5.Corp.example.", Defender),
    ];
    assert_eq!(joined(&all, &made), [(vec!["z", "a", "n"], vec![1])]);
    assert_eq!(joined(&all, &made[..2]), [(vec!["a", "n"], vec![1])]);
    assert_eq!(joined(&all, &made[..1]), []);
    let short = [("a", "ws5", Agent), ("n", "ws5", ByName), ("d", "ws5.corp.example", Defender)];
    assert_eq!(joined(&all, &short), []);
    assert_eq!(refused(&all, &short), []);
    for suffix in ["corp.example", "example"] {
        assert_eq!(joined(&rules(&[names(Some(suffix), false)]), &made[..2]).len(), 1);
    }
    assert_eq!(joined(&rules(&[names(Some("orp.example"), false)]), &made), []);
}

#[test]
fn what_is_not_certain_is_not_joined_and_it_is_told_why() {
    use JoinRefused::{NamesNoMachine, SameKind, Several, SeveralDomains, TooMany};
    let all = rules(&[names(None, true)]);
    let refused = |made: &[Made]| {
        assert_eq!(joined(&all, made), [], "{made:?}");
        refused(&all, made)
    };
    let full = "ws5.corp.example";
    let one = |name: &str, count, why| vec![(name.to_owned(), count, why)];
    assert_eq!(refused(&[("a", full, Defender), ("b", full, Defender)]), one(full, 2, SameKind(Defender)));
    assert_eq!(
        refused(&[("a", full, Agent), ("b", full, Agent), ("c", full, Defender)]),
        one(full, 3, Several(Agent))
    );
    let domains = [("a", "ws5", Agent), ("b", "ws5.a.example", ByName), ("c", "ws5.b.example", Defender)];
    assert_eq!(refused(&domains), one("ws5", 3, SeveralDomains));
    assert_eq!(
        refused(&[("a", "localhost.localdomain", Agent), ("b", "LOCALHOST.localdomain", Defender)]),
        one("localhost.localdomain", 2, NamesNoMachine)
    );
    assert_eq!(refused(&[("a", "192.0.2.1", Agent), ("b", "192.0.2.1", Defender)]).len(), 1);
    let ids: Vec<&'static str> = (0..70).map(|n| &*format!("m{n:02}").leak()).collect();
    let many: Vec<Made> = ids.iter().map(|id| (*id, full, Agent)).collect();
    assert_eq!(refused(&many), one(full, MOST, TooMany));
}

#[test]
fn short_names_stand_for_the_one_machine_whose_full_name_begins_so() {
    let all = rules(&[names(None, true)]);
    let made = [("a", "WS5", Agent), ("n", "ws5", ByName), ("d", "ws5.corp.example", Defender)];
    assert_eq!(joined(&all, &made), [(vec!["d", "a", "n"], vec![1])]);
    assert_eq!(joined(&all, &made[..2]), [(vec!["a", "n"], vec![1])], "without any full name too");
    let within = rules(&[names(Some("corp.example"), true)]);
    assert_eq!(joined(&within, &made), [(vec!["d", "a", "n"], vec![1])]);
    assert_eq!(joined(&within, &made[..2]), [], "nobody knows their domain");
    let other = rules(&[names(Some("other.example"), true)]);
    assert_eq!(joined(&other, &made), []);
    // Two of the full name are one in any case.
    let both = rules(&[names(None, false), names(Some("corp.example"), true)]);
    let made = [("a", "ws5.corp.example", Agent), made[1], made[2], ("x", "ws5", ByName)];
    assert_eq!(joined(&both, &made), [(vec!["d", "a"], vec![1])]);
    assert_eq!(joined(&both, &made[..3]), [(vec!["d", "a", "n"], vec![1, 2])]);
    assert_eq!(refused(&both, &made), [("ws5".to_owned(), 4, JoinRefused::Several(ByName))]);
}

#[test]
fn machines_that_a_rule_names_are_one_before_names_are_compared() {
    let full = "ws5.corp.example";
    let made = [("b", full, Agent), ("c", "kiosk", Agent), ("d", full, Defender), ("x", "other", Agent)];
    let named = |canonical| machines(&["c", "b", "unknown"], canonical);
    assert_eq!(joined(&rules(&[named(None)]), &made), [(vec!["b", "c"], vec![1])]);
    assert_eq!(joined(&rules(&[named(Some("c"))]), &made), [(vec!["c", "b"], vec![1])]);
    assert_eq!(joined(&rules(&[named(Some("unknown"))]), &made), [(vec!["b", "c"], vec![1])]);
    let both = |canonical| rules(&[names(None, false), named(canonical)]);
    assert_eq!(joined(&both(None), &made), [(vec!["d", "b", "c"], vec![1, 2])]);
    assert_eq!(joined(&both(Some("c")), &made), [(vec!["c", "b", "d"], vec![1, 2])]);
    // One of the two stands for both.
    let twice = [("a", full, Agent), ("b", full, Agent), ("d", full, Defender)];
    assert_eq!(joined(&rules(&[names(None, false)]), &twice), []);
    let two = rules(&[names(None, false), machines(&["a", "b"], None)]);
    assert_eq!(joined(&two, &twice), [(vec!["d", "a", "b"], vec![1, 2])]);
    // Its machines have two full names, so it has none.
    let differ = [("b", full, Agent), ("c", "kiosk.corp.example", Agent), ("d", full, Defender)];
    assert_eq!(joined(&both(None), &differ), [(vec!["b", "c"], vec![2])]);
    assert_eq!(joined(&rules(&[machines(&["b", "unknown"], None)]), &made), []);
    // Of two rules that name a machine the first one counts.
    let overlapping = rules(&[machines(&["b", "c"], None), machines(&["c", "x"], None)]);
    assert_eq!(joined(&overlapping, &made), [(vec!["b", "c"], vec![1])]);
}

/// Whatever is heard in whatever order, what is noted bit by bit is what follows from all that is known.
#[test]
fn what_is_noted_bit_by_bit_ends_like_what_is_known_at_once() {
    let mut state = 7u64;
    let mut below = |end: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        usize::try_from(state >> 33).unwrap() % end
    };
    const NAMES: [&str; 7] =
        ["", "ws5", "ws5.a.example", "ws5.b.example", "ws6", "ws6.a.example", "localhost"];
    const IDS: [&str; 9] = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"];
    let some_rules = [
        rules(&[names(None, false)]),
        rules(&[names(None, true)]),
        rules(&[machines(&["m1", "m2"], None)]),
        rules(&[machines(&["m1", "m2", "m3"], Some("m3")), names(Some("a.example"), true)]),
        rules(&[names(Some("b.example"), false), machines(&["m4", "m5"], None), names(None, true)]),
    ];
    for round in 0..400 {
        let rules = &some_rules[round % some_rules.len()];
        let mut noted = Matching::new(Arc::clone(rules));
        let mut known: BTreeMap<u32, Made> = BTreeMap::new();
        let mut of: BTreeMap<u32, Group> = BTreeMap::new();
        for _ in 0..40 {
            let place = below(IDS.len());
            let ordinal = u32::try_from(place).unwrap();
            let made = (below(6) > 0)
                .then(|| (IDS[place], NAMES[below(NAMES.len())], [Defender, Agent, ByName][below(3)]));
            match made {
                Some(made) => _ = known.insert(ordinal, made),
                None => _ = known.remove(&ordinal),
            }
            let groups = noted.note(ordinal, made.map(traits));
            if made.is_none() {
                of.remove(&ordinal);
            }
            let touched: Vec<u32> = groups.iter().flat_map(|group| group.members.clone()).collect();
            assert_eq!(touched.len(), touched.iter().collect::<BTreeSet<_>>().len(), "each in one group");
            for group in groups {
                group.members.iter().for_each(|member| _ = of.insert(*member, group.clone()));
            }
            for (member, group) in &of {
                for other in &group.members {
                    assert_eq!(of.get(other), Some(group), "{member} and {other} disagree");
                }
            }
            let mut at_once = Matching::new(Arc::clone(rules));
            for (ordinal, made) in known.iter().rev() {
                at_once.learn(*ordinal, Some(traits(*made)));
            }
            let in_order = |mut groups: Vec<Group>| {
                groups.sort_by_key(|group| group.canonical);
                groups.dedup();
                groups
            };
            let with_others = of.values().filter(|group| group.members.len() > 1).cloned().collect();
            assert_eq!(in_order(with_others), in_order(at_once.joined()), "{known:?}");
            assert_eq!(in_order(noted.joined()), in_order(at_once.joined()));
            assert_eq!(noted.refusals(), at_once.refusals());
        }
    }
}

/// Whoever may only speak in a namespace takes part in what a rule names, and else changes nothing.
#[test]
fn machines_of_a_namespace_are_one_with_others_only_where_a_rule_names_them() {
    // `m1` and `m2` in the namespace `site`; the first is smaller than any of the others.
    let (in_site, in_site_2) =
        ("98321b91801805d98e44ddb4210ba846cbc6174c", "88f9d49b061e53fa148a36e96a81596a6cfa2abf");
    for (given, id) in [(in_site, "m1"), (in_site_2, "m2")] {
        assert_eq!(MachineId::of_namespace("site", id).as_str(), given);
    }
    let own = [("f", "ws5.corp.example", Agent), ("n", "ws5.corp.example", ByName)];
    let by_name = rules(&[names(None, true)]);
    let claims = |id, name| (id, name, Agent);
    let with = |more: &[Made]| [&own[..], more].concat();
    for name in ["ws5.corp.example", "ws5", "ws5.other.example"] {
        let all = with(&[claims(in_site, name), claims(in_site_2, name)]);
        assert_eq!(joined(&by_name, &all), [(vec!["f", "n"], vec![1])], "{name}");
        assert_eq!(refused(&by_name, &all), [], "{name}");
        assert_eq!(joined(&by_name, &all[1..]), [], "{name}");
    }
    // Named, it belongs to what the others are, whatever name it takes and however small its id is.
    let named = rules(&[names(None, true), machines(&["f", in_site], None)]);
    for name in ["ws5.corp.example", "ws5", "ws6.corp.example", ""] {
        let all = with(&[claims(in_site, name), claims(in_site_2, name), ("w", "ws6.corp.example", ByName)]);
        assert_eq!(joined(&named, &all), [(vec!["f", in_site, "n"], vec![1, 2])], "{name}");
        assert_eq!(refused(&named, &all), [], "{name}");
    }
    let only = rules(&[machines(&[in_site, in_site_2], None)]);
    let mut smaller_first = [in_site, in_site_2];
    smaller_first.sort_unstable();
    let all = with(&[claims(in_site, "x"), claims(in_site_2, "y")]);
    assert_eq!(joined(&only, &all), [(smaller_first.to_vec(), vec![1])]);
}
