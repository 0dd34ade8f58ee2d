//! Rules that make machines one, by the command line.

use std::path::Path;

use pintle_model::MachineId;
use serde_json::{Value, json};

use crate::command::{Ran, row, run_on, run_with_input};

const NAME: &str = "ws-01.example.org";

fn file(nth: u32) -> String {
    format!("{nth:040x}")
}

/// The machine of this number as an agent of Defender's knows it, and as its name is.
fn ids() -> [String; 2] {
    [format!("{:040x}", 7), MachineId::derived("host", NAME).to_string()]
}

/// A file seen on each of the two, and another machine of the name, by an id of Defender's too if it is there.
fn fill(data: &Path, has_twin: bool) {
    let [defender, by_name] = ids();
    let mut lines = row(7, NAME, 1, &file(1));
    let report = |id: &str, nth: u32| {
        let mut row: Value = serde_json::from_str(&row(7, NAME, 2, &file(nth))).unwrap();
        row["DeviceId"] = id.into();
        row
    };
    let mut of_defender = report(&defender, 1);
    of_defender["MachineGroup"] = "Servers".into();
    lines += &format!("\n{of_defender}\n{}\n", report(&by_name, 2));
    if has_twin {
        let mut twin = report(&format!("{:040x}", 8), 3);
        twin["MachineGroup"] = "Servers".into();
        lines += &format!("{twin}\n");
    }
    let ran = run_with_input(data, &["ingest", "-"], &lines);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

fn rule(data: &Path, arguments: &[&str]) -> Ran {
    run_on(data, &[&["machine-rule"], arguments].concat())
}

fn done(data: &Path, arguments: &[&str]) -> Ran {
    let ran = rule(data, arguments);
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
    ran
}

/// The ids of the machines of a file.
fn found(data: &Path, nth: u32) -> Vec<String> {
    let ran = run_on(data, &["search", "--json", &file(nth)]);
    let machines = ran.json()["machines"].as_array().unwrap().clone();
    machines.iter().map(|machine| machine["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn machines_are_one_by_a_rule_that_is_tried_made_changed_and_deleted() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    fill(&data, false);
    let [defender, by_name] = ids();
    let tried = done(&data, &["preview", "--by-name"]).out;
    assert!(tried.starts_with("1 machine of several ids\n"), "{tried}");
    assert!(tried.contains(&defender) && tried.contains("by its name"), "{tried}");
    assert_eq!([found(&data, 1), found(&data, 2)], [[defender.clone()], [by_name.clone()]]);

    let made = done(&data, &["create", "names", "--by-name", "--suffix", "Example.org", "--json"]).json();
    let rule_of = json!({"names": {"suffix": "example.org", "short": false}});
    assert_eq!((&made["id"], &made["rule"], &made["machines"]), (&1.into(), &rule_of, &1.into()));
    assert_eq!([found(&data, 1), found(&data, 2)], [[defender.clone()], [defender.clone()]]);
    let joined = done(&data, &["joined", "--machine", &by_name]).out;
    assert!(joined.contains(&format!("{defender} by names")), "{joined}");
    let listed = done(&data, &["list"]).out;
    assert!(listed.contains("machines of one full name in `example.org`"), "{listed}");
    assert_eq!(run_on(&data, &["machines"]).out.matches(NAME).count(), 1);

    let both = [defender.as_str(), by_name.as_str()].join(",");
    done(&data, &["change", "names", "--machine", &both, "--canonical", &by_name]);
    assert_eq!(found(&data, 1), std::slice::from_ref(&by_name));
    let overlapping = rule(&data, &["create", "more", "--machine", &format!("{by_name},other")]);
    assert!(
        overlapping.code == 1 && overlapping.err.contains("`names` names the machine"),
        "{}",
        overlapping.err
    );
    assert_eq!(rule(&data, &["create", "nothing"]).code, 2);

    let gone = done(&data, &["delete", "NAMES", "--json"]).json();
    assert_eq!(gone["machines"], 0);
    assert_eq!([found(&data, 1), found(&data, 2)], [[defender], [by_name]]);
    assert_eq!(done(&data, &["joined"]).out.trim(), "0 machines of several ids");
}

#[test]
fn what_is_not_certain_is_told_and_not_joined() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    fill(&data, true);
    let tried = done(&data, &["preview", "--by-name"]).out;
    assert!(
        tried.contains("0 machines of several ids")
            && tried.contains("several of them are known by Defender's id"),
        "{tried}"
    );
    let made = done(&data, &["create", "names", "--by-name", "--json"]).json();
    assert_eq!(made["machines"], 0);
    let twins = format!("{:040x},{:040x}", 7, 8);
    let tried = done(&data, &["preview", "--machine", &twins, "--json"]).json();
    assert_eq!((&tried["matching"], &tried["refused"]), (&1.into(), &0.into()));
    assert_eq!(
        tried["machines"][0]["rules"],
        json!(["names", "(this rule)"]),
        "with them the name is certain"
    );
    assert_eq!(tried["machines"][0]["members"].as_array().unwrap().len(), 3);
}

#[test]
fn a_purge_takes_out_one_id_of_a_machine_and_says_which_stay() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    fill(&data, false);
    let [defender, by_name] = ids();
    done(&data, &["create", "names", "--by-name"]);
    let purge = |named: &str| run_on(&data, &["purge", "--machine", named, "--yes"]);
    let refused = purge(NAME);
    assert!(refused.code == 1 && refused.err.contains("known by several ids"), "{}", refused.err);
    let told = run_on(&data, &["purge", "--machine", &defender]);
    assert!((told.out + &told.err).contains(&format!("{by_name} stay")));
    let gone = purge(&defender.to_uppercase());
    assert_eq!(gone.code, 0, "{}", gone.err);
    assert_eq!(run_on(&data, &["search", &file(1)]).code, 1, "nobody has heard of it");
    assert_eq!(found(&data, 2), [by_name]);
}
