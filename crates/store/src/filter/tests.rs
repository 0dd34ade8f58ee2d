use pintle_model::shapes::{alert as a, evidence as e, ip_address as i, machine as m};

use super::*;

fn time(text: &str) -> Literal {
    Literal::Time(Time::parse(text).unwrap())
}

fn text(text: &str) -> Literal {
    Literal::Text(text.to_owned())
}

fn compare(member: MemberId, comparison: Comparison, literal: Literal) -> Condition {
    Condition::compare(Operand::member(&m::SHAPE, member).unwrap(), comparison, literal).unwrap()
}

fn is_met(condition: Condition) -> bool {
    const MACHINE: &str = r#"{"id":"m1","mergedIntoMachineId":null,"isExcluded":false,"computerDnsName":"WS-17.Büro","lastSeen":"2026-01-15T08:00:00.5Z","version":"a\"b","osBuild":9,"rbacGroupId":-3,"machineTags":["VIP","a,]\"b"],"ipAddresses":[{"macAddress":null,"ipAddress":"10.0.0.1"},{"ipAddress":"::1"}]}"#;
    Filter::new(&m::SHAPE, condition).matches(MACHINE)
}

#[test]
fn every_shape_fits_and_members_are_read_in_any_order() {
    for shape in [&m::SHAPE, &a::SHAPE, &e::SHAPE, &i::SHAPE] {
        let names = shape.members.iter().rev().enumerate();
        let members: Vec<String> =
            names.map(|(n, member)| format!(r#""{}":[{n},"}},\"["]"#, member.name)).collect();
        let object = format!("{{{}}}", members.join(","));
        let subject = Subject::object(shape, &object);
        for (place, n) in (0..).zip((0..shape.members.len()).rev()) {
            assert_eq!(subject.member(MemberId(place)), format!(r#"[{n},"}},\"["]"#));
        }
    }
}

#[test]
fn values_compare_as_what_they_are() {
    use Comparison::*;
    for (member, comparison, literal, expected) in [
        (m::ID, Eq, text("M1"), true),
        (m::COMPUTER_DNS_NAME, Eq, text("ws-17.BÜRO"), true),
        (m::COMPUTER_DNS_NAME, Lt, text("ws-17.bürp"), true),
        (m::COMPUTER_DNS_NAME, Gt, text("WS-17"), true),
        (m::VERSION, Eq, text("A\"b"), true),
        (m::OS_BUILD, Lt, Literal::Int(10), true),
        (m::RBAC_GROUP_ID, Le, Literal::Int(-3), true),
        (m::IS_EXCLUDED, Eq, Literal::Bool(false), true),
        (m::LAST_SEEN, Gt, time("2026-01-15T09:00:00+01:00"), true),
        (m::LAST_SEEN, Ge, time("2026-01-15T08:00:00.5000001Z"), false),
        (m::LAST_SEEN, Ne, Literal::Null, true),
        (m::AGENT_VERSION, Eq, Literal::Null, true),
        (m::AGENT_VERSION, Ne, text("x"), true),
        (m::AGENT_VERSION, Eq, text("null"), false),
        (m::AGENT_VERSION, Lt, text("x"), false),
        (m::AGENT_VERSION, Le, Literal::Null, false),
        (m::FIRST_SEEN, Le, time("2026-01-15T08:00:00Z"), false),
    ] {
        let condition = compare(member, comparison, literal);
        assert_eq!(is_met(condition.clone()), expected, "{condition:?}");
        assert_eq!(is_met(Condition::negated(condition).unwrap()), !expected);
    }
}

#[test]
fn texts_lists_and_collections() {
    let name = Operand::member(&m::SHAPE, m::COMPUTER_DNS_NAME).unwrap();
    let text_of = |test, wanted| is_met(Condition::text(name, test, wanted).unwrap());
    assert!(text_of(TextTest::StartsWith, "ws-"));
    assert!(text_of(TextTest::EndsWith, ".BÜRO"));
    assert!(text_of(TextTest::Contains, "17.b"));
    assert!(!text_of(TextTest::Contains, "18"));
    assert!(is_met(Condition::one_of(name, vec![text("x"), text("ws-17.büro")]).unwrap()));
    assert!(!is_met(Condition::one_of(name, vec![Literal::Null]).unwrap()));

    let tag = |wanted| Condition::compare(Operand::ELEMENT, Comparison::Eq, text(wanted)).unwrap();
    let tags = |how, wanted| is_met(Condition::elements(m::MACHINE_TAGS, how, None, tag(wanted)).unwrap());
    assert!(tags(Quantifier::Any, "vip"));
    assert!(tags(Quantifier::Any, "a,]\"B"));
    assert!(!tags(Quantifier::All, "vip"));
    assert!(is_met(Condition::not_empty(m::MACHINE_TAGS).unwrap()));

    let address = Operand::member(&i::SHAPE, i::IP_ADDRESS).unwrap();
    let is = Condition::compare(address, Comparison::Eq, text("::1")).unwrap();
    let any = |of| is_met(Condition::elements(of, Quantifier::Any, Some(&i::SHAPE), is.clone()).unwrap());
    assert!(any(m::IP_ADDRESSES));
    assert!(!any(m::VM_METADATA));
}

#[test]
fn what_does_not_fit_or_is_beyond_the_bounds_is_refused() {
    let operand = |member| Operand::member(&m::SHAPE, member).unwrap();
    let refused = |member, comparison, literal| {
        Condition::compare(operand(member), comparison, literal).map(drop).unwrap_err()
    };
    assert_eq!(refused(m::ID, Comparison::Eq, Literal::Int(1)), BadCondition::Kind(Kind::Text));
    assert_eq!(refused(m::OS_BUILD, Comparison::Eq, text("1")), BadCondition::Kind(Kind::Int));
    assert_eq!(refused(m::LAST_SEEN, Comparison::Eq, text("x")), BadCondition::Kind(Kind::Time));
    assert_eq!(refused(m::MACHINE_TAGS, Comparison::Eq, Literal::Null), BadCondition::Kind(Kind::List));
    assert_eq!(refused(m::IS_EXCLUDED, Comparison::Lt, Literal::Bool(true)), BadCondition::Kind(Kind::Bool));
    let long = "x".repeat(Condition::MAX_TEXT + 1);
    assert_eq!(refused(m::ID, Comparison::Eq, Literal::Text(long)), BadCondition::TextTooLong);

    let one = || compare(m::ID, Comparison::Eq, Literal::Null);
    let deep = (0..Condition::MAX_DEPTH).try_fold(one(), |inner, _| Condition::negated(inner));
    assert_eq!(deep.map(drop), Err(BadCondition::TooDeep));
    assert!((1..Condition::MAX_DEPTH).try_fold(one(), |inner, _| Condition::negated(inner)).is_ok());
    let many = |n: usize| Condition::some((0..n).map(|_| one()).collect()).map(drop);
    assert_eq!(many(Condition::MAX_SIZE - 1), Ok(()));
    assert_eq!(many(Condition::MAX_SIZE), Err(BadCondition::TooLarge));
    let tagged = || Condition::elements(m::MACHINE_TAGS, Quantifier::All, None, one()).unwrap();
    let questions = |n: usize| Condition::every((0..n).map(|_| tagged()).collect()).map(drop);
    assert_eq!(questions(41), Ok(()));
    assert_eq!(questions(42), Err(BadCondition::TooLarge));
}
