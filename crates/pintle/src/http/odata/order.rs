//! `$orderby`: members of an entity, each with `asc` or `desc`, separated by commas.

use pintle_model::{Kind, MemberId};
use pintle_store::OrderBy;

use super::cut;
use super::fields::Fields;

/// The most members that a list can be ordered by.
const MOST: usize = 8;

/// What a text orders by; or what is wrong with it, as a sentence.
pub(super) fn read(text: &str, fields: &Fields) -> Result<Vec<OrderBy>, String> {
    let parts: Vec<&str> = text.split(',').take(MOST + 1).collect();
    if parts.len() > MOST {
        return Err(format!("$orderby names more than {MOST} properties."));
    }
    let mut order: Vec<OrderBy> = Vec::with_capacity(parts.len());
    for part in parts {
        let by = one(part, fields)?;
        // What is equal by a member is equal by it again.
        if order.iter().all(|before| before.member != by.member) {
            order.push(by);
        }
    }
    Ok(order)
}

fn one(part: &str, fields: &Fields) -> Result<OrderBy, String> {
    // Some clients encode a plus for a space, and that once more.
    let mut words = part.split(|c: char| c.is_whitespace() || c == '+').filter(|word| !word.is_empty());
    let Some(name) = words.next() else {
        return Err("$orderby: expected the name of a property, with asc or desc after it.".to_owned());
    };
    let descending = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("asc") => false,
        Some(word) if word.eq_ignore_ascii_case("desc") => true,
        Some(word) => return Err(format!("$orderby: expected asc, desc or ',', found '{}'.", cut(word))),
    };
    if let Some(word) = words.next() {
        return Err(format!("$orderby: expected ',' or the end, found '{}'.", cut(word)));
    }
    let mut members = (0..).zip(fields.shape.members);
    match members.find(|(_, member)| member.name.eq_ignore_ascii_case(name)) {
        None => Err(format!(
            "$orderby: could not find a property named '{}' on type '{}'.",
            cut(name),
            fields.entity
        )),
        Some((_, member)) if matches!(member.kind, Kind::List | Kind::Object) => {
            Err(format!("$orderby: the property '{}' has no order.", member.name))
        }
        Some((place, _)) => Ok(OrderBy { member: MemberId(place), descending }),
    }
}

#[cfg(test)]
mod tests {
    use pintle_model::shapes::{alert as a, machine as m};

    use super::super::{ALERT, MACHINE};
    use super::*;

    #[test]
    fn names_in_any_case_with_and_without_a_direction() {
        let by = |member, descending| OrderBy { member, descending };
        for (text, expected) in [
            ("alertCreationTime desc", vec![by(a::ALERT_CREATION_TIME, true)]),
            (
                " AlertCreationTime+DESC ,severity",
                vec![by(a::ALERT_CREATION_TIME, true), by(a::SEVERITY, false)],
            ),
            ("title asc,id  Asc", vec![by(a::TITLE, false), by(a::ID, false)]),
            ("title,id,TITLE desc", vec![by(a::TITLE, false), by(a::ID, false)]),
        ] {
            assert_eq!(read(text, &ALERT).unwrap(), expected, "{text}");
        }
        assert_eq!(read("lastSeen desc", &MACHINE).unwrap(), [by(m::LAST_SEEN, true)]);
    }

    #[test]
    fn what_orders_nothing_is_refused() {
        let many = ["id"; MOST + 1].join(",");
        for text in
            ["", " ", "id,", "id down", "id desc x", "nobody", "evidence", "relatedUser", "id/x", &many]
        {
            assert!(read(text, &ALERT).is_err(), "{text}");
        }
        assert!(read(&["id"; MOST].join(","), &ALERT).is_ok());
    }
}
