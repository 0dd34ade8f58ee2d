//! Alerts as Defender's API gives them, in the API's list or one a line. A shipper may have split
//! `evidence`, so that each line has one object of it: the parts meet again in the store.

use pintle_model::shapes::{alert, evidence};
use pintle_model::{Alert, AlertId, Evidence, Facts, MachineId, Record, Time};

use crate::alert::note_named;
use crate::format::{Decoded, Format, Problem};
use crate::json::{Json, Object};
use crate::machine;

pub static FORMAT: Format = Format {
    name: "mde-alerts",
    description: "Defender alerts as the API gives them: {\"value\":[…]}, or one alert a line",
    recognises: |object| {
        object.has("id")
            && (object.has("alertCreationTime") || object.has("machineId"))
            && object.has("severity")
    },
    decode,
};

/// The most pieces of evidence in one record, of which the store keeps a tenth: a hostile one has room for
/// millions, each of which takes many times its bytes.
const MOST_EVIDENCE: usize = 10_000;

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let object = Object::parse(record)?;
    let id = object.get("id").and_then(Json::text).ok_or("id is missing")?;
    let id: AlertId = id.parse().map_err(|_| "id cannot be an alert's id")?;
    let time = |name: &str| object.get(name).and_then(Json::text).and_then(|text| Time::parse(&text));
    let at = time("lastUpdateTime")
        .or_else(|| time("lastEventTime").max(time("alertCreationTime")))
        .unwrap_or(Time::MIN);

    let mut facts = Facts::default();
    for (name, value) in &object.members {
        match &**name {
            // Evidence is kept piece by piece.
            "evidence" => {}
            "machineId" if is_no_id(*value) => {
                let name = object.get("computerDnsName").and_then(Json::text);
                let derived = name.and_then(|name| machine::named(&name));
                facts.note_text(alert::MACHINE_ID, at, derived.as_ref().map(MachineId::as_str));
            }
            _ => note_named(&mut facts, &alert::SHAPE, name, *value, at),
        }
    }
    let evidence = object.get("evidence").map(|list| pieces(list, at)).transpose()?.unwrap_or_default();
    Ok(Decoded::Record(Record::Alert(Alert { id, facts, evidence })))
}

fn is_no_id(value: Json<'_>) -> bool {
    value.text().is_none_or(|id| machine::is_no_id(&id))
}

/// The pieces of evidence in a list, or the one object that a shipper left of it.
fn pieces(evidence: Json<'_>, alert: Time) -> Result<Vec<Evidence>, Problem> {
    let elements = evidence.elements();
    if elements.len() > MOST_EVIDENCE {
        return Err("more than 10,000 pieces of evidence in one record".into());
    }
    Ok(elements.into_iter().filter_map(Json::object).map(|members| piece(&members, alert)).collect())
}

fn piece(members: &Object<'_>, alert: Time) -> Evidence {
    let created =
        members.get("evidenceCreationTime").and_then(Json::text).and_then(|text| Time::parse(&text));
    let mut facts = Facts::default();
    for (name, value) in &members.members {
        note_named(&mut facts, &evidence::SHAPE, name, *value, created.unwrap_or(alert));
    }
    Evidence(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(json: &str) -> Alert {
        match decode(json.as_bytes()) {
            Ok(Decoded::Record(Record::Alert(alert))) => alert,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_an_alert_says_holds_as_of_its_last_update_or_else_its_newest_time() {
        let old = r#"{"id":"a","status":"New","lastUpdateTime":"2026-01-02T00:00:00Z","lastEventTime":"2026-01-09T00:00:00Z"}"#;
        let by_creation = r#"{"id":"a","status":"InProgress","lastEventTime":"2026-01-01T00:00:00Z","alertCreationTime":"2026-01-03T00:00:00Z"}"#;
        let timeless = r#"{"id":"a","status":"Resolved"}"#;
        for order in [[old, by_creation, timeless], [timeless, by_creation, old]] {
            let mut facts = Facts::default();
            for json in order {
                facts.merge(alert(json).facts);
            }
            assert_eq!(facts.text(alert::STATUS).as_deref(), Some("InProgress"));
        }
    }

    #[test]
    fn evidence_is_a_list_or_the_one_object_that_a_shipper_left_of_it() {
        let piece = r#"{"entityType":"File","sha1":"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"}"#;
        let list = alert(&format!(r#"{{"id":"a","evidence":[{piece},3,{piece}]}}"#));
        let one = alert(&format!(r#"{{"id":"a","evidence":{piece}}}"#));
        assert_eq!((list.evidence.len(), one.evidence.len()), (2, 1));
        assert_eq!(list.evidence.first(), one.evidence.first());
        assert!(alert(r#"{"id":"a","evidence":null}"#).evidence.is_empty());
    }
    #[test]
    fn of_a_list_without_end_the_beginning_is_read() {
        let comments =
            vec![r#"{"comment":"c","createdBy":"a@b","createdTime":"2026-01-01T00:00:00Z"}"#; 10_000];
        let alert = alert(&format!(
            r#"{{"id":"a","comments":[{}],"relatedUser":{{"userName":"u"}}}}"#,
            comments.join(",")
        ));
        let comments = alert.facts.json(alert::COMMENTS).unwrap();
        let read = serde_json::from_str::<Vec<serde_json::Value>>(comments).unwrap().len();
        assert!((3_000..4_000).contains(&read), "{read}");
    }

    #[test]
    fn evidence_without_end_is_no_alert() {
        let with = |count| format!(r#"{{"id":"a","evidence":[{{}}{}]}}"#, r#",{"url":"x"}"#.repeat(count));
        assert_eq!(alert(&with(9_999)).evidence.len(), 10_000);
        assert!(decode(with(10_000).as_bytes()).is_err());
    }
}
