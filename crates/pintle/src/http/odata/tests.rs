mod property;

use super::*;

/// As the API would show a machine.
const MACHINE_JSON: &str = r#"{"id":"m1","computerDnsName":"WS-17.corp.example","lastSeen":"2019-11-22T00:00:00.1234567Z","osPlatform":"Windows10","version":"a+b's","healthStatus":"Active","rbacGroupId":140,"riskScore":"High","machineTags":["VIP","two words"],"ipAddresses":[{"ipAddress":"10.0.0.1","type":"Ethernet"}]}"#;

fn is_met(text: &str) -> bool {
    read(text, &MACHINE).unwrap_or_else(|problem| panic!("{text}: {problem}")).matches(MACHINE_JSON)
}

#[test]
fn forms_that_documentation_and_clients_have() {
    for (text, expected) in [
        ("riskScore+eq+'High'", true),
        ("healthStatus+ne+'Active'", false),
        ("lastSeen gt 2018-08-01Z", true),
        ("lastSeen gt 2018-08-01", true),
        ("LastSeen+ge+2019-11-22T00:00:00Z", true),
        ("lastSeen eq 2019-11-22T00:00:00.1234567Z", true),
        ("lastSeen eq 2019-11-22T01:30:00.1234567+01:30", true),
        ("lastSeen eq 2019-11-22T01:30:00.1234567 01:30", true),
        ("lastSeen eq 2019-11-21T19:00:00.1234567-05:00", true),
        ("lastSeen lt 2019-11-22T00:00:00.123457Z", true),
        ("lastSeen le 2019-11-22T00:00Z", false),
        ("lastSeen ge 2019-11-22+02:00", true),
        ("lastSeen gt 2019-11-22T00:00:00z+and+riskScore+eq+'high'", true),
        ("(lastSeen gt 2019-01-01Z and lastSeen lt 2020-01-01Z)", true),
        ("rbacGroupId eq 140", true),
        ("rbacGroupId eq '140'", true),
        ("rbacGroupId in (1, '140')", true),
        ("rbacGroupId gt -1", true),
        ("startswith(computerDnsName,'ws-')", true),
        ("contains(ComputerDNSName, 'CORP') eq true", true),
        ("contains(ComputerDNSName, 'CORP') ne true", false),
        ("endswith ( computerdnsname , '.example' )", true),
        ("version eq 'a+b''s'", true),
        ("machineTags/any(tag: tag eq 'vip')", true),
        ("machineTags/any(t:startswith(t,'two') and not contains(t,'vip'))", true),
        ("machineTags/all(tag: tag ne 'other')", true),
        ("machineTags/any()", true),
        ("ipAddresses/any(a: a/ipAddress eq '10.0.0.1' and (a/type eq 'Ethernet' or a/type eq null))", true),
        ("aadDeviceId eq null", true),
        ("aadDeviceId ne 'x' and not (aadDeviceId lt 'x')", true),
        ("deviceValue in ('Low', null)", true),
        ("not riskScore eq 'High' or osPlatform eq 'Windows10'", true),
        ("not (riskScore eq 'High' or osPlatform eq 'Windows10')", false),
        ("not not id eq 'm1'", true),
        ("id eq 'x' or id eq 'm1' and id eq 'y'", false),
        ("id eq 'm1' or id eq 'x' and id eq 'y'", true),
        ("(id eq 'm1' or id eq 'x') and id eq 'y'", false),
        (" id EQ 'M1'\t", true),
    ] {
        assert_eq!(is_met(text), expected, "{text}");
    }
}

#[test]
fn alerts_by_what_their_page_lists() {
    let alert = r#"{"id":"da1","incidentId":7,"investigationId":null,"severity":"High","status":"New","alertCreationTime":"2018-11-22T00:00:00.5Z","evidence":[{"entityType":"File","sha1":"ab","processId":null}]}"#;
    for (text, expected) in [
        ("alertCreationTime gt 2018-11-22T00:00:00Z", true),
        ("lastUpdateTime+ge+2019-11-22T00:00:00Z", false),
        ("status ne 'Resolved'", true),
        ("InvestigationId eq null and incidentId eq 7", true),
        ("evidence/any(e: e/sha1 eq 'AB' and e/entityType eq 'file')", true),
        ("evidence/all(e: e/processId eq 4)", false),
    ] {
        assert_eq!(read(text, &ALERT).unwrap().matches(alert), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, expected) in [
        ("", "$filter at position 0: syntax error: expected a property"),
        ("id", "$filter at position 2: syntax error: expected eq, ne, gt, ge, lt, le or in, found the end."),
        ("id eq", "$filter at position 5: syntax error: expected a value"),
        ("id eq 'x", "$filter at position 6: this text has no quote at its end."),
        (
            "id eq \"x\"",
            "$filter at position 6: '\\\"' is no part of a filter; texts stand in single quotes.",
        ),
        ("id eq x", "$filter at position 6: syntax error: expected a value"),
        (
            "id eq 'ü' 'x'",
            "$filter at position 10: syntax error: expected 'and', 'or' or the end, found the text 'x'.",
        ),
        ("id eq 1", "$filter at position 6: incompatible types: the property takes a text in quotes"),
        ("rbacGroupId eq 'x'", "$filter at position 15: incompatible types: the property takes an integer"),
        ("rbacGroupId eq 1.5", "$filter at position 15: '1.5' is no number and no time"),
        (
            "rbacGroupId eq 9223372036854775808",
            "$filter at position 15: '9223372036854775808' is not a whole",
        ),
        ("rbacGroupId eq -", "$filter at position 15: '-' is not a whole number"),
        (
            "lastSeen gt '2018-08-01'",
            "$filter at position 12: incompatible types: the property takes a time without",
        ),
        ("lastSeen gt 2018-02-30Z", "$filter at position 12: '2018-02-30Z' is no number and no time"),
        (
            "lastSeen gt 2018-08-01T00:00:00",
            "$filter at position 12: '2018-08-01T00:00:00' is no number and no time",
        ),
        ("lastSeen gt 2018-08-01T00:00:00.12345678Z", "$filter at position 12: "),
        ("lastSeen gt 2018-08-01T00:00:00+15:00", "$filter at position 12: "),
        ("lastSeen gt 2018-08-01T00:00:00Z+01:00", "$filter at position 12: "),
        ("lastSeen gt 2018-08-01 08:30", "$filter at position 23: '08:30' is no number and no time"),
        ("(id eq 'x'", "$filter at position 0: this '(' is not closed"),
        ("id eq 'x')", "$filter at position 9: syntax error: expected 'and', 'or' or the end, found ')'."),
        ("(id eq 'x' id", "$filter at position 11: syntax error: expected 'and', 'or' or ')', found 'id'."),
        ("id eq 'x' and", "$filter at position 13: syntax error: expected a property"),
        ("and id eq 'x'", "$filter at position 0: could not find a property named 'and'"),
        ("id eq 'x' or or id eq 'y'", "$filter at position 13: could not find a property named 'or'"),
        ("not", "$filter at position 3: syntax error: expected a property"),
        (
            "'x' eq id",
            "$filter at position 0: syntax error: expected a property, a function, 'not' or '(', found the text",
        ),
        (
            "nope eq 1",
            "$filter at position 0: could not find a property named 'nope' on type 'microsoft.windowsDefenderATP.api.Machine'; those that can are id, computerDnsName, ",
        ),
        (
            "rbacgroupname eq 'x'",
            "$filter at position 0: the property 'rbacGroupName' cannot be used in $filter; those",
        ),
        ("firstSeen gt 2020-01-01Z", "$filter at position 0: the property 'firstSeen' cannot"),
        ("riskScore gt 'Low'", "$filter at position 10: the values of 'riskScore' have no order"),
        ("substringof('x',id)", "$filter at position 0: there is no function 'substringof'"),
        ("contains(id)", "$filter at position 11: syntax error: expected ',' and a text"),
        (
            "contains(id,1)",
            "$filter at position 12: syntax error: expected a text in quotes, found the number 1.",
        ),
        ("contains(lastSeen,'1')", "$filter at position 18: incompatible types"),
        ("contains(machineTags,'1')", "$filter at position 20: syntax error: expected machineTags/any"),
        ("contains(machineTags/any(),'1')", "$filter at position 9: a collection is no text"),
        ("contains(id,'x') eq 1", "$filter at position 20: syntax error: expected true or false"),
        ("machineTags eq 'x'", "$filter at position 12: syntax error: expected machineTags/any(x: …)"),
        (
            "machineTags/some(x: x eq 'x')",
            "$filter at position 12: syntax error: expected machineTags/any(x: …)",
        ),
        ("machineTags/any(x x eq 'x')", "$filter at position 18: syntax error: expected ':'"),
        (
            "machineTags/any(x: y eq 'x')",
            "$filter at position 19: 'y' is not known between these brackets: expected 'x'",
        ),
        ("machineTags/any(x: id eq 'x')", "$filter at position 19: 'id' is not known"),
        ("machineTags/any(x: x/id eq 'x')", "$filter at position 20: syntax error"),
        ("machineTags/all()", "$filter at position 16: syntax error: expected a name for the element"),
        ("ipAddresses/any(x: x eq 'x')", "$filter at position 21: syntax error: expected '/' and a property"),
        (
            "ipAddresses/any(x: x/id eq 'x')",
            "$filter at position 21: could not find a property named 'id' on type",
        ),
        ("id in ()", "$filter at position 7: syntax error: expected a value"),
        ("id in ('a' 'b')", "$filter at position 11: syntax error: expected ',' or ')'"),
        ("id/any(x: x eq 'x')", "$filter at position 2: syntax error: expected eq"),
        ("id eq 'x' ; drop", "$filter at position 10: ';' is no part of a filter"),
    ] {
        let problem = read(text, &MACHINE).map(drop).unwrap_err();
        assert!(problem.starts_with(expected) && problem.ends_with('.'), "{text}: {problem}");
    }
}

#[test]
fn nothing_grows_or_nests_without_end() {
    let nested = |depth: usize| format!("{}id eq 'x'{}", "(".repeat(depth), ")".repeat(depth));
    assert!(read(&nested(64), &MACHINE).is_ok());
    assert!(read(&nested(65), &MACHINE).unwrap_err().contains("nested deeper than 64"));
    assert!(read(&"(".repeat(60_000), &MACHINE).unwrap_err().contains("nested deeper than 64"));
    let negated = |depth: usize| format!("{}id eq 'x'{}", "not (".repeat(depth), ")".repeat(depth));
    assert!(read(&negated(63), &MACHINE).is_ok());
    assert!(read(&negated(64), &MACHINE).unwrap_err().contains("nested deeper than 64"));
    assert!(read(&format!("{}id eq 'x'", "not ".repeat(10_000)), &MACHINE).is_ok());
    let chain = |length: usize| vec!["id eq 'x'"; length].join(" or ");
    assert!(read(&chain(499), &MACHINE).is_ok());
    assert!(read(&chain(500), &MACHINE).unwrap_err().contains("more than 500 comparisons"));
    let list = |length: usize| format!("id in ({})", vec!["'x'"; length].join(","));
    assert!(read(&list(499), &MACHINE).is_ok());
    assert!(read(&list(500), &MACHINE).unwrap_err().contains("more than 500 comparisons"));
    assert!(read(&list(5000), &MACHINE).unwrap_err().contains("more than 500 comparisons"));
    let long = |length: usize| format!("id eq '{}'", "x".repeat(length));
    assert!(read(&long(8192), &MACHINE).is_ok());
    assert!(read(&long(8193), &MACHINE).unwrap_err().contains("longer than 8192 bytes"));
    assert!(read(&long(70_000), &MACHINE).unwrap_err().contains("longer than 65536 bytes"));
    // What was sent is not sent back at length.
    assert!(read(&"x".repeat(60_000), &MACHINE).unwrap_err().len() < 1000);
}
