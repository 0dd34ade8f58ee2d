use std::time::Instant;

use pintle_model::Time;

use super::*;

fn machine(name: Option<&str>, tags: &[&str], os: Option<&str>, source_group: Option<&str>) -> Entity {
    use shapes::machine as m;
    let mut machine = Entity::default();
    machine.facts.note_text(m::COMPUTER_DNS_NAME, Time::MIN, name);
    machine.facts.note(m::MACHINE_TAGS, Time::MIN, serde_json::Value::from(tags).to_string());
    machine.facts.note_text(m::OS_PLATFORM, Time::MIN, os);
    machine.facts.note_text(m::RBAC_GROUP_NAME, Time::MIN, source_group);
    machine
}

fn called(name: &str) -> Entity {
    machine(Some(name), &[], None, None)
}

fn row(operator: Operator, value: &str) -> Row {
    Row { operator, value: value.to_owned() }
}

fn by_name(rows: Vec<Row>) -> DeviceRule {
    DeviceRule { name: rows, ..DeviceRule::default() }
}

fn takes(rule: &DeviceRule, machine: &Entity) -> bool {
    rule.clone().folded().takes(&Traits::of(machine))
}

#[test]
fn each_operator_compares_without_regard_to_case() {
    use Operator::{Contains, EndsWith, Equals, StartsWith};
    for (operator, value, taken) in [
        (StartsWith, "SRV", [true, false, false, false]),
        (EndsWith, "-01", [true, false, true, false]),
        (Equals, "Srv-01", [true, false, false, false]),
        (Contains, "rv-0", [true, false, true, false]),
        (Contains, "ΣΟΦΌΣ", [false, false, false, true]),
        (StartsWith, "σοφόσ", [false, false, false, true]),
    ] {
        let names = ["sRv-01", "srw", "A-SRV-01", "ΣοφόΣ-1"];
        let found = names.map(|name| takes(&by_name(vec![row(operator, value)]), &called(name)));
        assert_eq!(found, taken, "{operator:?} {value}");
    }
}

#[test]
fn a_name_is_the_whole_or_the_host_s_and_a_domain_what_follows_the_first_dot() {
    use Operator::{Contains, EndsWith, Equals, StartsWith};
    let name = |operator, value: &str| by_name(vec![row(operator, value)]);
    let domain =
        |operator, value: &str| DeviceRule { domain: vec![row(operator, value)], ..DeviceRule::default() };
    let full = called("srv-01.Berlin.example.org");
    for (rule, taken) in [
        (name(Equals, "srv-01.berlin.example.org"), true),
        (name(Equals, "SRV-01"), true),
        (name(EndsWith, "-01"), true),
        (name(EndsWith, "example.org"), true),
        (name(Equals, "srv-01.berlin"), false),
        (name(StartsWith, "berlin"), false),
        (domain(Equals, "berlin.example.org"), true),
        (domain(EndsWith, "example.org"), true),
        (domain(StartsWith, "BERLIN."), true),
        (domain(Equals, "example.org"), false),
        (domain(Contains, "srv"), false),
    ] {
        assert_eq!(takes(&rule, &full), taken, "{rule:?}");
    }
    assert!(!takes(&domain(Contains, "s"), &called("srv-01")), "it has no domain");
    assert!(!takes(&name(Contains, "s"), &machine(None, &["s"], Some("s"), Some("s"))));
}

#[test]
fn rows_of_a_property_are_alternatives_and_every_property_with_rows_must_be_met() {
    use Operator::{Equals, StartsWith};
    let rule = DeviceRule {
        name: vec![row(StartsWith, "a"), row(StartsWith, "b")],
        tag: vec![row(Equals, "vip"), row(Equals, "lab")],
        os: vec!["Windows11".into(), "LINUX".into()],
        source_group: vec![row(Equals, "Servers")],
        ..DeviceRule::default()
    };
    for (name, tags, os, group, taken) in [
        ("alpha", &["VIP"][..], "Windows11", "servers", true),
        ("beta", &["other", "Lab"], "Linux", "SERVERS", true),
        ("gamma", &["vip"], "Windows11", "Servers", false),
        ("alpha", &["other"], "Windows11", "Servers", false),
        ("alpha", &[], "Windows11", "Servers", false),
        ("alpha", &["vip"], "Windows10", "Servers", false),
        ("alpha", &["vip"], "Windows11", "Clients", false),
    ] {
        let machine = machine(Some(name), tags, Some(os), Some(group));
        assert_eq!(takes(&rule, &machine), taken, "{name} {tags:?} {os} {group}");
    }
    assert!(!takes(&rule, &Entity::default()));
    assert!(!takes(&DeviceRule::default(), &called("alpha")), "a rule without rows takes none");
}

#[test]
fn the_highest_rank_takes_a_machine_and_the_default_group_the_rest() {
    use Operator::StartsWith;
    let group = |id: u32, start: &str| DeviceGroup {
        id,
        name: format!("group {id}"),
        rule: by_name(vec![row(StartsWith, start)]),
    };
    let default = DefaultGroup { id: 3, name: "UnassignedGroup".into() };
    let groups = DeviceGroups::new(vec![group(7, "ab"), group(5, "a"), group(6, "abc")], default);
    let found = ["ABC", "ax", "b"].map(|name| groups.group_of(&called(name)));
    assert_eq!(found, [7, 5, 3]);
    assert_eq!(groups.group_of(&Entity::default()), 3);
    let name = |id| groups.label(id).map(|label| label.name.as_str());
    assert_eq!([7, 3, 9].map(name), [Some("group 7"), Some("UnassignedGroup"), None]);

    let none = DeviceGroups::none();
    assert!(none.is_none() && !groups.is_none());
    assert_eq!((none.group_of(&called("abc")), none.label(0)), (0, None));
}

#[test]
fn a_rule_beyond_its_bounds_says_which_of_its_rows_is_wrong() {
    let rows = |several: usize, value: &str| vec![row(Operator::Equals, value); several];
    assert_eq!(DeviceRule::default().check(), Ok(()));
    type Put = fn(&mut DeviceRule, Vec<Row>);
    let properties: [(&str, Put); 4] = [
        ("name", |rule, rows| rule.name = rows),
        ("domain", |rule, rows| rule.domain = rows),
        ("tag", |rule, rows| rule.tag = rows),
        ("source_group", |rule, rows| rule.source_group = rows),
    ];
    for (property, put) in properties {
        let check = |rows: Vec<Row>| {
            let mut rule = DeviceRule::default();
            put(&mut rule, rows);
            rule.check()
        };
        assert_eq!(check(rows(10, "x")), Ok(()));
        let too_many = BadRule::TooMany { property, found: 11, limit: 10 };
        assert_eq!(check(rows(11, "x")), Err(too_many));
        assert_eq!(check(rows(1, &"é".repeat(200))), Ok(()));
        for bad in ["", "a\nb", "\u{7f}", &"é".repeat(201)] {
            let second = [rows(1, "x"), rows(1, bad)].concat();
            assert_eq!(check(second), Err(BadRule::Value { property, row: 2 }), "{bad:?}");
        }
    }
    let platforms = |several| DeviceRule { os: vec!["Linux".into(); several], ..DeviceRule::default() };
    assert_eq!(platforms(50).check(), Ok(()));
    let error = platforms(51).check().unwrap_err();
    assert_eq!(error.to_string(), "a rule may have at most 50 rows for os, this one has 51");
    let error = by_name(rows(1, "")).check().unwrap_err();
    let expected = "row 1 for name needs a value of 1 to 200 characters without control characters";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_rule_is_read_as_it_is_written_and_a_misspelt_property_is_no_wider_rule() {
    let text = r#"{"name":[{"operator":"starts_with","value":"srv"}],"os":["Linux"]}"#;
    let rule: DeviceRule = serde_json::from_str(text).unwrap();
    assert_eq!(rule.name, [row(Operator::StartsWith, "srv")]);
    assert_eq!((rule.os.as_slice(), rule.tag.len()), (&["Linux".to_owned()][..], 0));
    let again: DeviceRule = serde_json::from_str(&serde_json::to_string(&rule).unwrap()).unwrap();
    assert_eq!(again, rule);
    for wrong in [r#"{"os":["Linux"],"tags":[]}"#, r#"{"name":[{"operator":"matches","value":"a"}]}"#] {
        assert!(serde_json::from_str::<DeviceRule>(wrong).is_err(), "{wrong}");
    }
}

#[test]
#[ignore = "a measurement: cargo test --release -p pintle-store -- --ignored --nocapture a_thousand_groups"]
fn what_a_thousand_groups_cost_a_machine() {
    let group = |id: u32| DeviceGroup {
        id,
        name: format!("group {id}"),
        rule: DeviceRule {
            name: (0..5).map(|n| row(Operator::StartsWith, &format!("host-{id}-{n}"))).collect(),
            tag: vec![row(Operator::Contains, &format!("tag {id}"))],
            ..DeviceRule::default()
        },
    };
    let default = DefaultGroup { id: 5_000, name: "rest".into() };
    let groups = DeviceGroups::new((1..=1_000).map(group).collect(), default);
    let machine = machine(Some("Host-Nr-7.example.org"), &["one", "Two", "three"], Some("Linux"), Some("G"));
    let (began, times) = (Instant::now(), 10_000);
    for _ in 0..times {
        assert_eq!(groups.group_of(&machine), 5_000);
    }
    println!("{} ns", began.elapsed().as_nanos() / times);
}
