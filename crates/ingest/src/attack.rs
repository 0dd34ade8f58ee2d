//! MITRE ATT&CK as vendors write it: techniques by their ids, tactics by id or name.

use std::collections::BTreeSet;

use crate::alert::category_of_tactic;

/// The most techniques of one alert.
const MOST: usize = 100;

/// The tactics for enterprises, by their ids.
const TACTICS: &[(&str, &str)] = &[
    ("TA0001", "InitialAccess"),
    ("TA0002", "Execution"),
    ("TA0003", "Persistence"),
    ("TA0004", "PrivilegeEscalation"),
    ("TA0005", "DefenseEvasion"),
    ("TA0006", "CredentialAccess"),
    ("TA0007", "Discovery"),
    ("TA0008", "LateralMovement"),
    ("TA0009", "Collection"),
    ("TA0010", "Exfiltration"),
    ("TA0011", "CommandAndControl"),
    ("TA0040", "Impact"),
    ("TA0042", "ResourceDevelopment"),
    ("TA0043", "Reconnaissance"),
];

/// Defender's category for a tactic, by its id or its name; `None` for what names no tactic.
pub fn category(tactic: &str) -> Option<String> {
    let (tactic, named) = (tactic.trim(), category_of_tactic(tactic));
    let is_meant =
        |(id, name): &&(&str, &str)| id.eq_ignore_ascii_case(tactic) || name.eq_ignore_ascii_case(&named);
    TACTICS.iter().find(is_meant).map(|(_, name)| (*name).to_owned())
}

/// The ids of the techniques that some texts name, each once.
pub fn techniques(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let ids = texts.into_iter().filter_map(|text| technique(text.as_ref()));
    ids.take(MOST).collect::<BTreeSet<String>>().into_iter().collect()
}

/// The technique that a text begins with: `T1059.001`, `t1059`, `MITRE_T1059_001_POWERSHELL`.
fn technique(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("MITRE_").unwrap_or(text);
    let (number, rest) = digits(text.strip_prefix(['T', 't'])?, 4)?;
    let sub = rest.strip_prefix(['.', '_', '/']).and_then(|rest| digits(rest, 3));
    match sub {
        Some((sub, rest)) => is_end(rest).then(|| format!("T{number}.{sub}")),
        None => is_end(rest).then(|| format!("T{number}")),
    }
}

/// The digits that a text begins with, and what follows.
fn digits(text: &str, count: usize) -> Option<(&str, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some((digits, rest))
}

fn is_end(rest: &str) -> bool {
    !rest.starts_with(|first: char| first.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_technique_is_one_however_it_is_written() {
        for (text, id) in [
            ("T1059", Some("T1059")),
            ("t1059.001", Some("T1059.001")),
            ("MITRE_T1059_001_POWERSHELL", Some("T1059.001")),
            ("MITRE_T1059_CMD_LINE_OR_SCRIPT_INTER", Some("T1059")),
            ("T1059/001", Some("T1059.001")),
            ("T10591", None),
            ("T105", None),
            ("CST0001", None),
            ("Tö059", None),
            ("", None),
        ] {
            assert_eq!(technique(text).as_deref(), id, "{text}");
        }
        assert_eq!(techniques(["T1204", "MALWARE_APP", "t1059", "T1204"]), ["T1059", "T1204"]);
    }

    #[test]
    fn a_tactic_goes_by_id_or_name() {
        for tactic in ["TA0011", "Command and Control", "command-and-control"] {
            assert_eq!(category(tactic).as_deref(), Some("CommandAndControl"), "{tactic}");
        }
        assert_eq!(category("Machine Learning"), None);
    }
}
