//! Whatever is asked by whoever, under whatever device groups and whatever makes machines one, the answer is
//! that of a few loops over everything that was ever sent.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails says so"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use pintle_model::{FileHash, HashKind, Hashes, MachineId, Time};
use pintle_store::{
    DeviceGroup, DeviceGroups, DeviceRule, JoinsAsked, MachineRule, MachineRules, Operator, Page, Row,
    SameMachines, SameNames, Scope, Store,
};
use serde_json::Value;
use support::joined::{self, Known, One};
use support::{
    MD5_A, MD5_B, REST, SHA1_A, SHA1_B, SHA256_A, SHA256_B, TENANT, alert, append, device, entities,
    evidence_row, file_seen, groups, hash, list, open, rest, row, whole,
};

const SHA1S: [&str; 3] = [SHA1_A, SHA1_B, ""];
const SHA256S: [&str; 3] = [SHA256_A, SHA256_B, ""];
const MD5S: [&str; 3] = [MD5_A, MD5_B, ""];
const NAMES: [&str; 8] = [
    "",
    "srv-1",
    "SRV-2.corp.example.org",
    "desk.corp.example.org",
    "Desk",
    "x.Lab",
    "DESK.corp.example.org",
    "srv-2",
];
const TAGS: [&str; 3] = ["vip", "Kiosk", "lab east"];
const PLATFORMS: [&str; 3] = ["", "Windows11", "Linux"];
const SOURCES: [&str; 3] = ["", "Servers", "Clients"];

/// A small linear generator: the same seed, the same world.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }
}

/// What was said last of something, and when; it is empty if nothing was.
type Said<T> = (i64, T);

#[derive(Clone, Default)]
struct Machine {
    name: Said<String>,
    tags: Said<Vec<String>>,
    os: Said<String>,
    source: Said<String>,
}

/// The machines there are; some go by their names, and two are of namespaces.
fn id(nth: usize) -> String {
    match nth {
        3 => MachineId::of_namespace("site-2", "m1").to_string(),
        4 => MachineId::of_namespace("site", "m1").to_string(),
        5 => MachineId::derived("host", "Desk").to_string(),
        6 => MachineId::derived("host", "desk.corp.example.org").to_string(),
        7 => MachineId::derived("host", "srv-2").to_string(),
        _ => format!("m{nth}"),
    }
}

/// All that was ever sent, as it was sent.
#[derive(Clone, Default)]
struct World {
    machines: BTreeMap<String, Machine>,
    /// What decides in which group they are, where that is not all that is said of them.
    deciding: BTreeMap<String, Machine>,
    sightings: Vec<(Option<String>, Hashes, Time)>,
    /// The machine, and the SHA-1 that is evidence.
    alerts: BTreeMap<String, (Option<String>, String)>,
    sent: i64,
}

impl World {
    /// Sends a few records of any sort.
    fn send(&mut self, store: &Store, dice: &mut Dice) {
        for _ in 0..1 + dice.below(6) {
            self.sent += 1;
            let at = Time::from_unix_seconds(1_780_000_000 + self.sent * 60);
            let id = id(dice.below(8));
            match dice.below(8) {
                0..3 => {
                    let machine = self.machines.entry(id.clone()).or_default();
                    let (name, os, source) = (dice.one(&NAMES), dice.one(&PLATFORMS), dice.one(&SOURCES));
                    let tags: Vec<&str> = TAGS.into_iter().filter(|_| dice.below(3) == 0).collect();
                    append(store, vec![device(&id, &at.to_string(), name, &tags, os, source)]);
                    // What is not said is as it was.
                    for (known, said) in
                        [(&mut machine.name, name), (&mut machine.os, os), (&mut machine.source, source)]
                    {
                        if !said.is_empty() {
                            *known = (self.sent, said.to_owned());
                        }
                    }
                    if !tags.is_empty() {
                        machine.tags = (self.sent, tags.into_iter().map(str::to_owned).collect());
                    }
                }
                3..7 => {
                    let (sha1, sha256, md5) = (dice.one(&SHA1S), dice.one(&SHA256S), dice.one(&MD5S));
                    self.machines.entry(id.clone()).or_default();
                    append(store, vec![file_seen(&id, &at.to_string(), sha1, sha256, md5)]);
                    let hashes = Hashes::read(Some(sha1), Some(sha256), Some(md5));
                    if !hashes.is_empty() {
                        self.sightings.push((Some(id), hashes, at));
                    }
                }
                _ => {
                    let (alert_id, sha1) = (format!("a{:03}", self.sent), dice.one(&SHA1S[..2]));
                    let hashes = Hashes::read(Some(sha1), None, None);
                    if dice.below(4) == 0 {
                        append(store, vec![evidence_row(&alert_id, "", sha1)]);
                        self.sightings.push((None, hashes, at));
                        self.alerts.insert(alert_id, (None, sha1.to_owned()));
                    } else {
                        self.machines.entry(id.clone()).or_default();
                        append(store, vec![alert(&alert_id, &id, &at.to_string(), sha1)]);
                        self.sightings.push((Some(id.clone()), hashes, at));
                        self.alerts.insert(alert_id, (Some(id), sha1.to_owned()));
                    }
                }
            }
        }
    }
}

impl World {
    /// Which machines are one by these rules.
    fn ones(&self, rules: &[(u32, MachineRule)]) -> Vec<One> {
        let known = |machine: &Machine| Known {
            name: machine.name.1.clone(),
            is_of_defender: !machine.source.1.is_empty(),
        };
        let known = self.machines.iter().map(|(id, machine)| (id.clone(), known(machine)));
        joined::joined(&known.collect(), rules)
    }

    /// The world in which they always were.
    fn as_ones(&self, ones: &[One]) -> World {
        let mut world = self.clone();
        let of = |id: &String| ones.iter().find(|one| one.members.contains(id)).unwrap().id.clone();
        world.machines = ones.iter().map(|one| (one.id.clone(), self.shown(one))).collect();
        world.deciding = ones.iter().map(|one| (one.id.clone(), self.said(one, true))).collect();
        world.sightings.iter_mut().for_each(|(machine, ..)| *machine = machine.as_ref().map(of));
        world.alerts.values_mut().for_each(|(machine, _)| *machine = machine.as_ref().map(of));
        world
    }

    /// The group of a machine.
    fn group(&self, id: &str, ranked: &Ranked) -> u32 {
        group_of(self.deciding.get(id).unwrap_or(&self.machines[id]), ranked)
    }

    /// What those say who may not speak for others shows only where nobody else says anything.
    fn shown(&self, one: &One) -> Machine {
        let (decides, other) = (self.said(one, true), self.said(one, false));
        fn or<T: Clone>(said: &Said<T>, other: Said<T>) -> Said<T> {
            if said.0 > 0 { said.clone() } else { other }
        }
        Machine {
            name: or(&decides.name, other.name),
            tags: or(&decides.tags, other.tags),
            os: or(&decides.os, other.os),
            source: or(&decides.source, other.source),
        }
    }

    /// What is said of a machine by those of its ids that decide, or by the others.
    fn said(&self, one: &One, by_deciding: bool) -> Machine {
        let is_of_namespace = |id: &&String| id.parse::<MachineId>().unwrap().is_of_namespace();
        let is_alone = one.members.iter().all(|id| is_of_namespace(&id));
        let decides = |id: &&String| if is_alone { **id == one.id } else { !is_of_namespace(id) };
        let mut merged = Machine::default();
        let members = one.members.iter().filter(|id| decides(id) == by_deciding);
        for machine in members.map(|id| &self.machines[id]) {
            merged.tags = merged.tags.max(machine.tags.clone());
            merged.os = merged.os.max(machine.os.clone());
            merged.source = merged.source.max(machine.source.clone());
            let rank = |(at, name): &Said<String>| (name.contains('.'), *at);
            if rank(&machine.name) > rank(&merged.name) {
                merged.name = machine.name.clone();
            }
        }
        merged
    }
}

/// Rules that make machines one; now and then none.
fn random_machine_rules(dice: &mut Dice) -> Vec<(u32, MachineRule)> {
    let mut rules = Vec::new();
    let mut free: Vec<usize> = (0..9).collect();
    for number in 1..=u32::try_from(dice.below(4)).unwrap() {
        let rule = if dice.below(2) == 0 && free.len() > 3 {
            let several = 2 + dice.below(2);
            let ids: Vec<MachineId> =
                (0..several).map(|_| id(free.swap_remove(dice.below(free.len()))).parse().unwrap()).collect();
            let canonical = (dice.below(2) == 0).then(|| ids[dice.below(several)].clone());
            MachineRule::Machines(SameMachines { ids, canonical })
        } else {
            let suffix = ["", "corp.example.org", "lab"][dice.below(3)];
            let suffix = (!suffix.is_empty()).then(|| suffix.to_owned());
            MachineRule::Names(SameNames { suffix, short: dice.below(2) == 0 })
        };
        rules.push((number, rule.checked().unwrap()));
    }
    rules
}

fn random_rule(dice: &mut Dice) -> DeviceRule {
    let operators = [Operator::StartsWith, Operator::EndsWith, Operator::Equals, Operator::Contains];
    let mut rows = |values: &[&str]| -> Vec<Row> {
        let several = [0, 0, 1, 2][dice.below(4)];
        (0..several).map(|_| row(operators[dice.below(4)], dice.one(values))).collect()
    };
    let (name, domain) =
        (rows(&["srv", "DESK", "1", "example.ORG"]), rows(&["corp.example.org", "lab", "o"]));
    let (tag, source_group) = (rows(&["VIP", "k", "east"]), rows(&["servers", "client", "s"]));
    let os = match dice.below(4) {
        0 => vec!["linux".into()],
        1 => vec!["WINDOWS11".into(), "macOS".into()],
        _ => Vec::new(),
    };
    DeviceRule { name, domain, tag, os, source_group }
}

/// The groups as the test keeps them: those with a rank, or no groups at all.
type Ranked = Option<Vec<(u32, DeviceRule)>>;

fn group_of(machine: &Machine, ranked: &Ranked) -> u32 {
    let Some(ranked) = ranked else { return 0 };
    let meets = |value: &str, row: &Row| {
        let (value, asked) = (value.to_lowercase(), row.value.to_lowercase());
        !value.is_empty()
            && match row.operator {
                Operator::StartsWith => value.find(&asked) == Some(0),
                Operator::EndsWith => value.rfind(&asked).is_some_and(|at| at + asked.len() == value.len()),
                Operator::Equals => value == asked,
                Operator::Contains => value.find(&asked).is_some(),
            }
    };
    for (id, rule) in ranked {
        let name = machine.name.1.as_str();
        let (host, domain) = match name.find('.') {
            Some(dot) => (&name[..dot], &name[dot + 1..]),
            None => (name, ""),
        };
        let (mut asked, mut met) = (0, 0);
        for (rows, values) in [
            (&rule.name, vec![name, host]),
            (&rule.domain, vec![domain]),
            (&rule.tag, machine.tags.1.iter().map(String::as_str).collect()),
            (&rule.source_group, vec![machine.source.1.as_str()]),
        ] {
            asked += usize::from(!rows.is_empty());
            met += usize::from(rows.iter().any(|row| values.iter().any(|value| meets(value, row))));
        }
        asked += usize::from(!rule.os.is_empty());
        met += usize::from(rule.os.iter().any(|os| os.to_lowercase() == machine.os.1.to_lowercase()));
        if asked > 0 && asked == met {
            return *id;
        }
    }
    REST
}

/// Who asks.
#[derive(Debug)]
struct Caller {
    /// `None`: all.
    groups: Option<Vec<u32>>,
    narrowed: bool,
}

impl Caller {
    fn scope(&self) -> Scope {
        let scope = self.groups.as_ref().map_or_else(whole, |ids| groups(ids));
        scope.narrowing_statistics(self.narrowed)
    }
}

/// What a caller should be told of a file.
#[derive(Debug, Default)]
struct FileAnswer {
    machines: Vec<String>,
    ask_instead: BTreeSet<FileHash>,
    prevalence: usize,
    first: Option<Time>,
    last: Option<Time>,
    hashes: [Option<FileHash>; 3],
}

fn file_answer(world: &World, ranked: &Ranked, caller: &Caller, asked: FileHash) -> Option<FileAnswer> {
    let visible = |id: &str| caller.groups.as_ref().is_none_or(|ids| ids.contains(&world.group(id, ranked)));
    let narrowed = caller.narrowed && caller.groups.is_some();
    let told: Vec<_> = world
        .sightings
        .iter()
        .filter(|(machine, ..)| !narrowed || machine.as_deref().is_some_and(visible))
        .collect();
    let kind = asked.kind();
    let carries = |set: &Hashes, hash: FileHash| set.get(hash.kind()) == Some(hash);
    told.iter().find(|(_, set, _)| carries(set, asked))?;
    let mut answer = FileAnswer::default();
    let (mut machines, mut sets) = (BTreeSet::new(), BTreeSet::new());
    for (machine, set, at) in &told {
        let counts = if set.get(kind).is_some() {
            carries(set, asked)
        } else {
            let by_strength = [HashKind::Sha256, HashKind::Sha1, HashKind::Md5];
            let best = by_strength.into_iter().find_map(|kind| set.get(kind)).unwrap();
            let beside: BTreeSet<FileHash> = told
                .iter()
                .filter(|(_, set, _)| carries(set, best))
                .filter_map(|(_, set, _)| set.get(kind))
                .collect();
            if beside.contains(&asked) && beside.len() > 1 {
                answer.ask_instead.insert(best);
            }
            beside == BTreeSet::from([asked])
        };
        if counts {
            sets.insert(*set);
            if let Some(machine) = machine {
                machines.insert(machine.clone());
                answer.first = Some(answer.first.map_or(*at, |first| first.min(*at)));
                answer.last = Some(answer.last.map_or(*at, |last| last.max(*at)));
            }
        }
    }
    for (slot, kind) in answer.hashes.iter_mut().zip([HashKind::Sha1, HashKind::Sha256, HashKind::Md5]) {
        let there: BTreeSet<FileHash> = sets.iter().filter_map(|set| set.get(kind)).collect();
        *slot = there.first().copied().filter(|_| there.len() == 1);
    }
    answer.prevalence = machines.len();
    answer.machines = machines.into_iter().filter(|id| visible(id)).collect();
    Some(answer)
}

/// What a `file` object says that the test knows.
fn told_of_file(file: &Value) -> [Value; 6] {
    ["sha1", "sha256", "md5", "globalPrevalence", "globalFirstObserved", "globalLastObserved"]
        .map(|member| file[member].clone())
}

fn expected_of_file(answer: &FileAnswer) -> [Value; 6] {
    let text = |hash: Option<FileHash>| hash.map_or(Value::Null, |hash| digits(hash).into());
    let time = |time: Option<Time>| time.map_or(Value::Null, |time| time.to_string().into());
    let [sha1, sha256, md5] = answer.hashes.map(text);
    [sha1, sha256, md5, answer.prevalence.into(), time(answer.first), time(answer.last)]
}

fn digits(hash: FileHash) -> String {
    match hash {
        FileHash::Sha1(hash) => hash.to_string(),
        FileHash::Sha256(hash) => hash.to_string(),
        FileHash::Md5(hash) => hash.to_string(),
    }
}

/// Asks everything and compares. Returns how many answers were compared. The world is that in which the
/// machines were always as they are one now.
fn compare(store: &Store, world: &World, ones: &[One], ranked: &Ranked, caller: &Caller) -> usize {
    let scope = caller.scope();
    let group = |id: &str| world.group(id, ranked);
    let visible = |id: &str| caller.groups.as_ref().is_none_or(|ids| ids.contains(&group(id)));
    let shown = |id: &str| match (ranked, group(id)) {
        (None, _) => None,
        (Some(_), REST) => Some("UnassignedGroup".to_owned()),
        (Some(_), id) => Some(format!("group {id}")),
    };
    let mut asked = 0;

    let machines = entities(|out| store.machines(&scope, Page::ALL, out));
    let told: Vec<_> = machines
        .iter()
        .map(|machine| {
            (machine["id"].clone(), machine["rbacGroupId"].clone(), machine["rbacGroupName"].clone())
        })
        .collect();
    let expected: Vec<_> = world
        .machines
        .iter()
        .filter(|(id, _)| visible(id))
        .map(|(id, machine)| {
            let source = (!machine.source.1.is_empty()).then(|| machine.source.1.clone());
            let (number, name) = match ranked {
                None if source.is_some() => (Value::Null, source),
                None => (0.into(), None),
                Some(_) => (group(id).into(), shown(id)),
            };
            (Value::from(id.as_str()), number, name.map_or(Value::Null, Value::from))
        })
        .collect();
    assert_eq!(told, expected, "{caller:?}");
    for one in ones {
        let machine = &world.machines[&one.id];
        let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        let expected = visible(&one.id).then(|| {
            let tags: BTreeSet<&str> = machine.tags.1.iter().map(String::as_str).collect();
            [one.id.as_str().into(), text(&machine.name.1), text(&machine.os.1), Value::from_iter(tags)]
        });
        for id in &one.members {
            let told = store.machine(&scope, id).unwrap().map(|members| {
                let told: Value = serde_json::from_str(&format!("{{{members}}}")).unwrap();
                ["id", "computerDnsName", "osPlatform", "machineTags"].map(|member| told[member].clone())
            });
            assert_eq!(told, expected, "{id} for {caller:?}");
            asked += 1;
        }
    }

    let alerts = entities(|out| store.alerts(&scope, Page::ALL, out));
    let told: Vec<_> =
        alerts.iter().map(|alert| ["id", "machineId", "rbacGroupName"].map(|m| alert[m].clone())).collect();
    let is_there = |machine: &Option<String>| match machine {
        Some(machine) => visible(machine),
        None => caller.groups.is_none(),
    };
    let expected: Vec<_> = world
        .alerts
        .iter()
        .filter(|(_, (machine, _))| is_there(machine))
        .map(|(id, (machine, _))| {
            let name = machine.as_deref().and_then(shown).map_or(Value::Null, Value::from);
            [Value::from(id.as_str()), machine.clone().map_or(Value::Null, Value::from), name]
        })
        .collect();
    assert_eq!(told, expected, "{caller:?}");
    for (id, (machine, sha1)) in &world.alerts {
        let id = id.parse().unwrap();
        let text = store.alert(&scope, &id).unwrap();
        assert_eq!(text.is_some(), is_there(machine), "{id} for {caller:?}");
        if let Some(text) = text {
            let told: Value = serde_json::from_str(&format!("{{{text}}}")).unwrap();
            assert_eq!(told["machineId"].as_str(), machine.as_deref());
        }
        let mut files = Vec::new();
        let written = store.alert_files(&scope, &id, Page::ALL, &mut files).unwrap();
        assert_eq!(written.is_some(), is_there(machine));
        if written.is_some() {
            let file: Value = serde_json::from_slice(&files).unwrap();
            let known = file_answer(world, ranked, caller, hash(sha1)).unwrap_or_default();
            let known = FileAnswer { hashes: [Some(hash(sha1)), known.hashes[1], known.hashes[2]], ..known };
            assert_eq!(told_of_file(&file), expected_of_file(&known), "{id} for {caller:?}");
        }
        asked += 2;
    }

    for text in [SHA1_A, SHA1_B, SHA256_A, SHA256_B, MD5_A, MD5_B] {
        let expected = file_answer(world, ranked, caller, hash(text));
        let mut found = None;
        let ids = list(|out| {
            found = store.file_machines(&scope, &hash(text), Page::ALL, out)?;
            Ok(found.as_ref().map_or(0, |found| found.written))
        });
        let told = found.map(|found| (ids, BTreeSet::from_iter(found.ask_instead)));
        let machines = expected.as_ref().map(|answer| (answer.machines.clone(), answer.ask_instead.clone()));
        assert_eq!(told, machines, "{text} for {caller:?}");
        let sightings = store.file_sightings(&scope, &hash(text)).unwrap();
        let told = sightings.map(|(seen, found)| {
            let ids: Vec<String> = seen.iter().map(|seen| seen.machine.to_string()).collect();
            (ids, BTreeSet::from_iter(found.ask_instead))
        });
        assert_eq!(told, machines, "{text} for {caller:?}");
        let told = store
            .file(&scope, &hash(text))
            .unwrap()
            .map(|members| told_of_file(&serde_json::from_str(&format!("{{{members}}}")).unwrap()));
        assert_eq!(told, expected.as_ref().map(expected_of_file), "{text} for {caller:?}");
        asked += 3;
    }
    asked + 2
}

/// Which machines are one, as it is told to who makes the rules.
fn compare_joins(store: &Store, ones: &[One]) {
    let (count, told) = store.joined_machines(TENANT, &JoinsAsked::default(), usize::MAX).unwrap();
    let told: Vec<One> = told
        .into_iter()
        .map(|joined| One {
            id: joined.id.to_string(),
            members: joined.members.iter().map(|member| member.id.to_string()).collect(),
            rules: joined.rules.into_iter().collect(),
        })
        .collect();
    let expected: Vec<&One> = ones.iter().filter(|one| one.members.len() > 1).collect();
    assert_eq!((count, told.iter().collect()), (expected.len(), expected));
}

#[test]
fn every_answer_is_that_of_a_few_loops_over_all_that_was_sent() {
    let (mut cases, mut answers, mut many) = (0, 0, 0);
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let folder = tempfile::tempdir().unwrap();
        let (store, mut world, mut rules) = (open(folder.path()), World::default(), Vec::new());
        for _ in 0..8 {
            world.send(&store, &mut dice);
            let mut ranked: Ranked = None;
            if dice.below(6) > 0 {
                let several = dice.below(4);
                let mut rules: Vec<_> = (1..).zip((0..several).map(|_| random_rule(&mut dice))).collect();
                if dice.below(2) == 0 {
                    rules.reverse();
                }
                ranked = Some(rules);
            }
            let device_groups = ranked.clone().map_or_else(DeviceGroups::none, |ranked| {
                let group = |(id, rule)| DeviceGroup { id, name: format!("group {id}"), rule };
                DeviceGroups::new(ranked.into_iter().map(group).collect(), rest())
            });
            store.set_device_groups(TENANT, device_groups).unwrap();
            world.send(&store, &mut dice);
            if dice.below(3) > 0 {
                rules = random_machine_rules(&mut dice);
                store.set_machine_rules(TENANT, MachineRules::new(rules.clone())).unwrap();
                world.send(&store, &mut dice);
            }
            let ones = world.ones(&rules);
            compare_joins(&store, &ones);
            many += ones.iter().filter(|one| one.members.len() > 1).count();
            let world = world.as_ones(&ones);
            for _ in 0..7 {
                let ids = [0, 1, 2, 3, REST].into_iter().filter(|_| dice.below(2) == 0).collect();
                let groups = (dice.below(6) > 0).then_some(ids);
                let caller = Caller { groups, narrowed: dice.below(2) == 0 };
                answers += compare(&store, &world, &ones, &ranked, &caller);
                cases += 1;
            }
        }
    }
    println!("{cases} cases, {answers} answers, {many} machines of several ids");
    assert!(many > 100, "{many}");
}
