//! Which members of entities are shown, and how a list of entities is written: done in one pass over the
//! JSON that the store's reads give, which is Pintle's own, without spaces, members in wire order. Of any
//! other less may be shown, and no more can go wrong.

use crate::filter::subject::end_of_part;

/// The members of an entity that are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// Their names; `None`: all.
    members: Option<Box<[&'static str]>>,
}

/// How the entities of a list are parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// `{…},{…}`, as reads give them.
    Joined,
    /// `{…}` and a line feed each (NDJSON).
    Lines,
}

impl Projection {
    /// All members.
    pub const ALL: Projection = Projection { members: None };

    /// The members of these names. They keep the order in which the entity has them.
    pub fn of(names: impl IntoIterator<Item = &'static str>) -> Projection {
        Projection { members: Some(names.into_iter().collect()) }
    }

    /// Whether nothing is left out.
    pub fn is_all(&self) -> bool {
        self.members.is_none()
    }

    /// Appends what is shown of the members of one object, `"id":"…","incidentId":null,…`.
    pub fn members(&self, members: &str, out: &mut Vec<u8>) {
        self.object(members.as_bytes(), out);
    }

    /// Appends what is shown of a piece of a list, `{…},{…}`: pieces that follow others begin with the
    /// comma before their first entity, and do so here too if they are joined.
    pub fn rows(&self, mut piece: &[u8], rows: Rows, out: &mut Vec<u8>) {
        while let Some((first, rest)) = piece.split_first() {
            piece = match first {
                b',' => rest,
                b'{' => {
                    out.push(b'{');
                    let rest = self.object(rest, out);
                    out.push(b'}');
                    rest.strip_prefix(b"}").unwrap_or_default()
                }
                _ => return,
            };
            match (first, rows) {
                (b',', Rows::Joined) => out.push(b','),
                (b'{', Rows::Lines) => out.push(b'\n'),
                _ => {}
            }
        }
    }

    /// Appends what is shown of an object's members. Returns what follows them.
    fn object<'j>(&self, mut json: &'j [u8], out: &mut Vec<u8>) -> &'j [u8] {
        let (start, mut shown) = (out.len(), 0);
        loop {
            let (member, rest) = json.split_at_checked(end_of_part(json)).unwrap_or((json, b""));
            if self.shows(member, &mut shown) {
                if out.len() > start {
                    out.push(b',');
                }
                out.extend_from_slice(member);
            }
            match rest.strip_prefix(b",") {
                Some(more) => json = more,
                None => return rest,
            }
        }
    }

    /// Whether a member `"name":…` is shown, when `next` of the names were met.
    fn shows(&self, member: &[u8], next: &mut usize) -> bool {
        let Some(names) = &self.members else { return !member.is_empty() };
        let Some(member) = member.strip_prefix(b"\"") else { return false };
        let is =
            |name: &&str| member.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"\":"));
        // Names mostly stand in the order of the members, so that one look tells.
        let shown = names.get(*next).is_some_and(is) || names.iter().any(is);
        *next += usize::from(shown);
        shown
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn rows(projection: &Projection, piece: &str, rows: Rows) -> String {
        let mut out = Vec::new();
        projection.rows(piece.as_bytes(), rows, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members_keep_their_order_and_whatever_stands_in_them() {
        let nasty = r#""id":"a,\"b\":1}","tags":["x",{"id":[2]}],"title":"\\","none":null"#;
        for (names, expected) in [
            (vec!["none", "id"], r#""id":"a,\"b\":1}","none":null"#),
            (vec!["tags"], r#""tags":["x",{"id":[2]}]"#),
            (vec!["title"], r#""title":"\\""#),
            (vec!["b", "i", "idx"], ""),
        ] {
            let mut out = Vec::new();
            Projection::of(names).members(nasty, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let list = format!("{{{nasty}}},{{{nasty}}}");
        assert_eq!(rows(&Projection::ALL, &list, Rows::Joined), list);
        assert_eq!(rows(&Projection::ALL, &list, Rows::Lines), format!("{{{nasty}}}\n{{{nasty}}}\n"));
        let ids = Projection::of(["none"]);
        assert_eq!(rows(&ids, &list, Rows::Joined), r#"{"none":null},{"none":null}"#);
        assert_eq!(rows(&ids, &format!(",{list}"), Rows::Joined), r#",{"none":null},{"none":null}"#);
        assert_eq!(rows(&ids, &format!(",{list}"), Rows::Lines), "{\"none\":null}\n{\"none\":null}\n");
    }

    #[test]
    fn of_any_objects_it_shows_what_picking_members_one_by_one_does() {
        const NAMES: [&str; 5] = ["a", "b", "ab", "\u{e9}", "c"];
        let values = [json!(null), json!("}],{\"\\"), json!([1, {"a": "]"}]), json!({"b": {}}), json!(-1.5)];
        // Every subset of the members against every subset of the names, each value in turn.
        for (there, asked) in (0..32usize).flat_map(|there| (0..32usize).map(move |asked| (there, asked))) {
            let has = |set: usize, place: usize| set & (1 << place) != 0;
            let object = |also: usize| -> Value {
                let members = (0..5).filter(|place| has(there, *place) && has(also, *place));
                let member = |place: usize| (NAMES[place].to_owned(), values[(place + there) % 5].clone());
                Value::Object(members.map(member).collect::<Map<_, _>>())
            };
            let names: Vec<&str> =
                NAMES.into_iter().enumerate().filter(|(at, _)| has(asked, *at)).map(|(_, n)| n).collect();
            let (all, some) = (object(31).to_string(), object(asked).to_string());
            for names in [names.clone(), names.into_iter().rev().collect()] {
                let shown = rows(&Projection::of(names), &format!("{all},{all}"), Rows::Joined);
                assert_eq!(shown, format!("{some},{some}"));
            }
        }
    }

    #[test]
    fn what_is_no_list_of_objects_ends_it() {
        for piece in ["", "x", "{", "{}}", "{\"a", "{\"a\":[", "]", "{]", ",", "{\"a\":1}x{}", "{\"a\":\"\\"]
        {
            for how in [Rows::Joined, Rows::Lines] {
                rows(&Projection::ALL, piece, how);
                rows(&Projection::of(["a"]), piece, how);
            }
        }
    }
}
