//! The entities of an alert as Sentinel writes them: objects with a `$id`, of which others are told by
//! `{"$ref": …}`, in either order and in circles if somebody wants it so. Nothing here follows a reference
//! further than to what it names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Deref;

use crate::format::Problem;
use crate::json::{Json, List, Object};

/// How much of the text is read; Log Analytics keeps a tenth of it.
const MOST_TEXT: usize = 1024 * 1024;
/// The most entities of an alert that are read; Sentinel's own limit is half of it.
const MOST: usize = 1000;
/// The longest, with all that stands inside: whoever refers to it has it read again.
const MOST_BYTES: usize = 64 * 1024;
/// How deep inside an entity others are looked for, …
const DEPTH: usize = 3;
/// … and how many objects are looked at in all.
const MOST_INSIDE: usize = 10_000;
/// The most entities that one lists.
const MOST_LISTED: usize = 16;

/// An alert's entities.
pub struct Entities<'a> {
    /// The alert's own, …
    own: Vec<Object<'a>>,
    /// … and those that stand inside them, if they can be referred to.
    inside: Vec<Object<'a>>,
    by_id: HashMap<Cow<'a, str>, Place>,
    looked_at: usize,
    problem: Option<&'static str>,
}

/// Where an entity is kept.
#[derive(Clone, Copy)]
enum Place {
    Own(usize),
    Inside(usize),
}

/// An entity that another names.
pub enum Named<'s, 'a> {
    /// It stands there.
    Here(Object<'a>),
    /// It stands elsewhere.
    There(&'s Object<'a>),
}

impl<'a> Deref for Named<'_, 'a> {
    type Target = Object<'a>;

    fn deref(&self) -> &Object<'a> {
        match self {
            Named::Here(entity) => entity,
            Named::There(entity) => entity,
        }
    }
}

impl<'a> Entities<'a> {
    /// Reads a list of them; of one that is cut off, those before the cut.
    pub fn read(text: &'a str) -> Entities<'a> {
        let mut entities = Entities {
            own: Vec::new(),
            inside: Vec::new(),
            by_id: HashMap::new(),
            looked_at: 0,
            problem: None,
        };
        if matches!(text.trim(), "" | "null") {
            return entities;
        }
        let mut list = List::open(text.get(..text.floor_char_boundary(MOST_TEXT)).unwrap_or_default());
        for entity in list.by_ref() {
            if entities.own.len() == MOST {
                entities.problem = Some("Entities has more than 1,000: the alert is kept with the first");
                return entities;
            }
            if entity.raw().len() > MOST_BYTES {
                entities.problem = Some("Entities has one longer than 64 KiB: the alert is kept without it");
            } else if let Some(entity) = entity.object() {
                entities.add(entity);
            }
        }
        if !list.is_whole() {
            entities.problem = Some("Entities is cut off or no JSON: the alert is kept with what is whole");
        }
        entities
    }

    /// What is wrong with them.
    pub fn problem(&self) -> Option<Problem> {
        self.problem.map(Problem::from)
    }

    /// The alert's own, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Object<'a>> {
        self.own.iter()
    }

    /// The entity that a member of another names.
    pub fn named(&self, entity: &Object<'a>, member: &str) -> Option<Named<'_, 'a>> {
        self.resolve(entity.get(member)?)
    }

    /// The entities that a member of another lists.
    pub fn all_named(&self, entity: &Object<'a>, member: &str) -> impl Iterator<Item = Named<'_, 'a>> {
        let listed = entity.get(member).map(List::of).into_iter().flatten();
        listed.take(MOST_LISTED).filter_map(|value| self.resolve(value))
    }

    /// The ids of entities that are listed in this member of any of the alert's own.
    pub fn listed_in(&self, member: &str) -> HashSet<Cow<'a, str>> {
        let lists = self.own.iter().filter_map(|entity| entity.get(member)).map(List::of);
        let listed = lists.flat_map(|list| list.take(MOST_LISTED)).filter_map(Json::object);
        listed.filter_map(|reference| reference.get("$ref")?.text()).collect()
    }

    fn resolve(&self, value: Json<'a>) -> Option<Named<'_, 'a>> {
        let object = value.object()?;
        let Some(id) = object.get("$ref").and_then(Json::text) else { return Some(Named::Here(object)) };
        match *self.by_id.get(&id)? {
            Place::Own(at) => self.own.get(at),
            Place::Inside(at) => self.inside.get(at),
        }
        .map(Named::There)
    }

    /// Adds one of the alert's own, and notes those inside it that others may refer to.
    fn add(&mut self, entity: Object<'a>) {
        let mut level = self.inner(&entity);
        self.name(&entity, Place::Own(self.own.len()));
        self.own.push(entity);
        for _ in 0..DEPTH {
            let mut next = Vec::new();
            for entity in level {
                next.extend(self.inner(&entity));
                if entity.has("$id") {
                    self.name(&entity, Place::Inside(self.inside.len()));
                    self.inside.push(entity);
                }
            }
            level = next;
        }
    }

    fn name(&mut self, entity: &Object<'a>, place: Place) {
        if let Some(id) = entity.get("$id").and_then(Json::text) {
            self.by_id.entry(id).or_insert(place);
        }
    }

    /// The objects that are members of an entity or stand in a list that is one, as long as more may be
    /// looked at.
    fn inner(&mut self, entity: &Object<'a>) -> Vec<Object<'a>> {
        let nested = entity.members.iter().filter(|(_, value)| value.raw().starts_with(['{', '[']));
        let objects = nested.flat_map(|(_, value)| List::of(*value)).filter_map(Json::object);
        let objects: Vec<_> = objects.take(MOST_INSIDE.saturating_sub(self.looked_at)).collect();
        self.looked_at += objects.len();
        objects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(entity: &Object<'_>) -> String {
        entity.get("Name").and_then(Json::text).unwrap_or_default().into_owned()
    }

    #[test]
    fn references_lead_to_what_they_name_wherever_it_stands() {
        let text = r#"[
            {"$id":"1","Name":"a","Type":"process","ImageFile":{"$ref":"3"},"ParentProcess":{"$ref":"1"}},
            {"$id":2,"Name":"b","Type":"process","ImageFile":{"$id":"3","Name":"f","Type":"file"},"Host":{"Name":"h"}},
            {"$id":"1","Name":"again"},
            {"Name":"c","ImageFile":{"$ref":"9"},"Files":[{"$ref":"3"},{"Name":"g"},5]}
        ]"#;
        let entities = Entities::read(text);
        assert_eq!(entities.problem(), None);
        let [a, b, _, c] = entities.iter().collect::<Vec<_>>()[..] else { panic!("not four") };
        let named = |entity, member| entities.named(entity, member).map(|named| name(&named));
        assert_eq!(named(a, "ImageFile").as_deref(), Some("f"));
        assert_eq!(named(a, "ParentProcess").as_deref(), Some("a"));
        assert_eq!(named(b, "ImageFile").as_deref(), Some("f"));
        assert_eq!(named(b, "Host").as_deref(), Some("h"));
        assert_eq!(named(c, "ImageFile"), None);
        let files: Vec<_> = entities.all_named(c, "Files").map(|named| name(&named)).collect();
        assert_eq!(files, ["f", "g"]);
    }

    #[test]
    fn what_is_cut_off_too_much_or_too_deep_is_told_and_costs_the_rest() {
        let cut = Entities::read(r#"[{"Name":"a"},{"Name":"b"#);
        assert!(cut.iter().map(name).eq(["a"]) && cut.problem().is_some());
        for nothing in ["", " ", "null", "[]"] {
            assert_eq!(Entities::read(nothing).problem(), None);
        }
        assert!(Entities::read("{}").problem().is_some());

        let many = format!("[{}{{}}]", r#"{"$id":"1","a":{"$id":"2"}},"#.repeat(20_000));
        let many = Entities::read(&many);
        assert!(many.own.len() == MOST && many.inside.len() == MOST && many.problem().is_some());

        let full = format!(r#"[{{"Name":"a"}},{{"b":[{}1]}}]"#, "{},".repeat(20_000));
        let full = Entities::read(&full);
        assert!(full.iter().map(name).eq(["a", ""]) && full.looked_at == MOST_INSIDE);

        let long = format!(r#"[{{"Name":"a"}},{{"Name":"{}"}},{{"Name":"c"}}]"#, "b".repeat(MOST_BYTES));
        let long = Entities::read(&long);
        assert!(long.iter().map(name).eq(["a", "c"]) && long.problem().is_some());

        let deep = format!("[{}1{}]", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
        assert_eq!(Entities::read(&deep).problem(), None);
        let deeper = format!("[{}1{}]", r#"{"a":"#.repeat(1_000_000), "}".repeat(1_000_000));
        assert!(Entities::read(&deeper).problem().is_some());
    }
}
