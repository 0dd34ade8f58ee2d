//! What an answer tells, as texts that can be compared with what the oracle says.

use serde_json::Value;

use super::question::Question;

/// What comes back: a status, and with 200 the ids of what is listed, with its counts and names.
pub(super) type Told = (u16, Vec<String>);

/// What pieces of evidence name, in order.
fn named(evidence: &Value) -> String {
    let name = |piece: &Value| {
        let members = ["sha1", "accountName", "ipAddress", "url"];
        members.into_iter().find_map(|member| piece[member].as_str()).unwrap_or("-").to_owned()
    };
    let mut names: Vec<String> = evidence.as_array().unwrap().iter().map(name).collect();
    names.sort();
    names.join(",")
}

impl Question {
    /// What an answer tells, in the form of [`Question::expected`].
    pub(super) fn told(self, status: u16, body: &str) -> Told {
        if status != 200 {
            return (status, Vec::new());
        }
        if let Question::LookUp(machines) = self {
            let line = |line: &str| {
                let hit: Value = serde_json::from_str(line).unwrap();
                assert_eq!(hit.get("machineIds").is_some(), machines, "{line}");
                let ids = hit["machineIds"].as_array().into_iter().flatten();
                let ids: Vec<&str> = ids.map(|id| id.as_str().unwrap()).collect();
                format!("{} {} {}", hit["hash"].as_str().unwrap(), hit["machines"], ids.join(","))
            };
            return (status, body.lines().map(line).collect());
        }
        if let Question::MachineAlertsCount(_) | Question::MachineAlertsNaming(..) = self {
            return (status, vec![body.to_owned()]);
        }
        let body: Value = serde_json::from_str(body).unwrap();
        let text = |entity: &Value, member: &str| entity[member].as_str().unwrap_or("-").to_owned();
        let shown = |entity: &Value| match self {
            Question::File(_) | Question::AlertFiles(_) => {
                format!("{} {}", text(entity, "sha1"), entity["globalPrevalence"])
            }
            Question::FileStats(_) => {
                // The number has to be the text's.
                assert_eq!(text(entity, "orgPrevalence"), entity["organizationPrevalence"].to_string());
                format!("{} {}", text(entity, "sha1"), entity["organizationPrevalence"])
            }
            Question::DomainStats(_) | Question::IpStats(_) => {
                assert_eq!(text(entity, "orgPrevalence"), entity["organizationPrevalence"].to_string());
                let named = if matches!(self, Question::IpStats(_)) { "ipAddress" } else { "host" };
                format!("{} {}", text(entity, named), entity["organizationPrevalence"])
            }
            Question::AlertDomains(_) => text(entity, "host"),
            Question::AlertIps(_) => text(entity, "id"),
            Question::User(_) | Question::AlertUser(_) | Question::LogonUsers(_) => format!(
                "{} {} {} {}",
                text(entity, "id"),
                entity["logOnMachinesCount"],
                text(entity, "mostPrevalentMachineId"),
                text(entity, "leastPrevalentMachineId")
            ),
            _ if entity.get("evidence").is_some() => format!(
                "{} {} {} {} [{}]",
                text(entity, "id"),
                text(entity, "machineId"),
                text(entity, "rbacGroupName"),
                text(&entity["relatedUser"], "userName"),
                named(&entity["evidence"])
            ),
            _ => format!("{} {}", text(entity, "id"), text(entity, "rbacGroupName")),
        };
        let count = body.get("@odata.count").map(ToString::to_string);
        let listed: Vec<String> = match body.get("value") {
            Some(list) => list.as_array().unwrap().iter().map(shown).collect(),
            None => vec![shown(&body)],
        };
        (status, count.into_iter().chain(listed).collect())
    }
}
