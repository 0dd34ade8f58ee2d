//! Machines as Defender's API gives them, in the API's list or one a line. A collector says in `@timestamp`
//! when it read them: the API does not.

use pintle_model::shapes::machine;
use pintle_model::{Facts, Machine, Record, Time};

use crate::alert::note_named;
use crate::format::{Decoded, Format, Problem};
use crate::json::{Json, Object};
use crate::machine::Machine as Named;

pub static FORMAT: Format = Format {
    name: "mde-machines",
    description: "Defender machines as the API gives them: {\"value\":[…]}, or one machine a line",
    recognises: |object| {
        let of_machines = OF_MACHINES.iter().filter(|name| object.has(name)).count();
        object.has("id")
            && object.has("computerDnsName")
            && of_machines >= 2
            && !object.has("severity")
            && !object.has("alertCreationTime")
    },
    decode,
};

/// Members by which a machine is told from what else has an id and a computer's name, such as an action on one.
const OF_MACHINES: [&str; 6] =
    ["healthStatus", "osPlatform", "riskScore", "lastSeen", "machineTags", "onboardingStatus"];

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let object = Object::parse(record)?;
    let text = |name: &str| object.get(name).and_then(Json::text);
    let named = Named::of_defender(text("id").as_deref(), text("computerDnsName").as_deref());
    let id = named.ok_or("neither id nor computerDnsName says which machine it is")?.id;
    let time = |name: &str| text(name).and_then(|text| Time::parse(&text));
    let at = time("@timestamp").or_else(|| time("lastSeen")).unwrap_or(Time::MIN);

    let mut facts = Facts::default();
    for (name, value) in object.members.iter().filter(|(name, _)| name != "id") {
        note_named(&mut facts, &machine::SHAPE, name, *value, at);
    }
    Ok(Decoded::Record(Record::Machine(Machine { id, facts })))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use pintle_model::MachineId;
    use serde_json::Value;

    use super::*;
    use crate::formats::FORMATS;

    fn machine(json: &str) -> Machine {
        match decode(json.as_bytes()) {
            Ok(Decoded::Record(Record::Machine(machine))) => machine,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_machine_says_holds_as_of_when_it_was_read_or_else_last_seen() {
        let at = |members: &str| machine(&format!(r#"{{"id":"m","riskScore":"Low"{members}}}"#)).read_at();
        let seen = r#","lastSeen":"2026-01-02T00:00:00Z""#;
        assert_eq!(at(&format!(r#"{seen},"@timestamp":"2026-01-09T00:00:00Z""#)), {
            Time::parse("2026-01-09T00:00:00Z")
        });
        assert_eq!(at(&format!(r#"{seen},"@timestamp":"yesterday""#)), Time::parse("2026-01-02T00:00:00Z"));
        assert_eq!(at(""), None);
    }

    #[test]
    fn newer_word_stands_above_older_also_that_there_is_nothing_any_more() {
        let said = |second: u32, members: &str| {
            machine(&format!(r#"{{"id":"m","@timestamp":"2026-01-02T00:00:0{second}Z",{members}}}"#)).facts
        };
        let old = said(1, r#""exposureLevel":"High","machineTags":["a"],"version":"21H2""#);
        let new = said(2, r#""exposureLevel":null,"machineTags":[]"#);
        for order in [[&old, &new], [&new, &old]] {
            let mut facts = order[0].clone();
            facts.merge(order[1].clone());
            let shown = [machine::EXPOSURE_LEVEL, machine::MACHINE_TAGS, machine::VERSION];
            assert_eq!(
                shown.map(|member| facts.json(member)),
                [Some("null"), Some("[]"), Some("\"21H2\"")],
                "a member that is not there says nothing"
            );
        }
    }

    #[test]
    fn a_machine_is_known_by_its_id_else_by_its_name_else_not_at_all() {
        let id = |json: &str| decode(json.as_bytes()).map(|_| machine(json).id);
        assert_eq!(id(r#"{"id":"7f","computerDnsName":"a"}"#), Ok("7f".parse().unwrap()));
        for unusable in [r#""000""#, "null", r#""a/b""#] {
            let by_name = id(&format!(r#"{{"id":{unusable},"computerDnsName":"WS-1"}}"#));
            assert_eq!(by_name, Ok(MachineId::derived("host", "ws-1")), "{unusable}");
            assert!(id(&format!(r#"{{"id":{unusable},"computerDnsName":null}}"#)).is_err(), "{unusable}");
        }
    }

    #[test]
    fn lists_without_end_are_read_from_their_beginning() {
        let address = r#"{"ipAddress":"192.0.2.1","macAddress":null,"type":"Ethernet"}"#;
        let report = machine(&format!(
            r#"{{"id":"m","machineTags":[{}],"ipAddresses":[{}],"vmMetadata":{{"vmId":"{}"}}}}"#,
            vec![r#""tag""#; 1_000_000].join(","),
            vec![address; 200_000].join(","),
            "x".repeat(1_000_000),
        ));
        let bytes: usize = report.facts.iter().map(|(_, fact)| fact.json.len()).sum();
        assert!(bytes <= 2 * 256 * 1024 + 100, "{bytes}");
        assert!(bytes > 256 * 1024, "{bytes}");
    }

    /// Calls for every object in a sample's JSON.
    fn each_object(value: &Value, call: &mut dyn FnMut(&Object<'_>)) {
        match value {
            Value::Array(list) => list.iter().for_each(|element| each_object(element, call)),
            Value::Object(members) => {
                call(&Object::read(&value.to_string()).unwrap());
                members.values().for_each(|member| each_object(member, call));
            }
            _ => {}
        }
    }

    #[test]
    fn no_other_format_takes_a_machine_and_this_one_takes_nothing_else() {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/formats/samples");
        let (mut machines, mut others) = (0, 0);
        for sample in fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path()) {
            let is_own = sample.ends_with(FORMAT.name);
            for file in fs::read_dir(&sample).unwrap().map(|entry| entry.unwrap().path()) {
                let is_input = file.file_stem().is_some_and(|stem| stem == "input");
                let Some(text) = fs::read_to_string(&file).ok().filter(|_| is_input) else { continue };
                let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
                documents.map_while(Result::ok).for_each(|document| {
                    each_object(&document, &mut |object| {
                        let takers = FORMATS.iter().filter(|format| (format.recognises)(object));
                        let takers: Vec<_> = takers.map(|format| format.name).collect();
                        if is_own && object.has("computerDnsName") {
                            machines += 1;
                            assert_eq!(takers, [FORMAT.name]);
                        } else {
                            others += 1;
                            assert!(!takers.contains(&FORMAT.name), "{}", sample.display());
                        }
                    });
                });
            }
        }
        assert!(machines > 4 && others > 100, "{machines} {others}");
    }

    #[test]
    fn neither_an_alert_nor_an_action_on_a_machine_is_one() {
        let is_machine = |json: &str| (FORMAT.recognises)(&Object::read(json).unwrap());
        let machine = r#"{"id":"m","computerDnsName":null,"osPlatform":"Linux","healthStatus":"Active""#;
        assert!(is_machine(&format!("{machine}}}")));
        for member in ["severity", "alertCreationTime"] {
            assert!(!is_machine(&format!("{machine},\"{member}\":null}}")));
        }
        assert!(!is_machine(r#"{"id":"a","type":"Isolate","machineId":"m","computerDnsName":"x"}"#));
    }
}
