//! The members of a flat record on their way into an event. What a decoder asks for by name counts as
//! taken; [`Members::leave`] keeps the rest with the event, so that no decoder need list what it knows.

use std::borrow::Cow;
use std::cell::Cell;

use pintle_model::{Hashes, Time};

use crate::event::Event;
use crate::format::Problem;
use crate::json::{Json, Object};
use crate::time;

/// A member of a record, and the column that takes it.
pub type Column = (&'static str, &'static str);

/// The members of a record.
pub struct Members<'a>(Vec<Member<'a>>);

struct Member<'a> {
    name: Cow<'a, str>,
    value: Json<'a>,
    is_taken: Cell<bool>,
}

impl<'a> Members<'a> {
    /// Reads a record.
    pub fn parse(record: &'a [u8]) -> Result<Members<'a>, Problem> {
        Object::parse(record).map(Members::of)
    }

    /// The members of an object.
    pub fn of(object: Object<'a>) -> Members<'a> {
        let members = object.members.into_iter();
        Members(members.map(|(name, value)| Member { name, value, is_taken: Cell::new(false) }).collect())
    }

    /// The same members under the names that `rename` gives them. Several may then share one.
    pub fn renamed(self, rename: impl Fn(&str) -> &str) -> Members<'a> {
        let members = self.0.into_iter();
        Members(
            members
                .map(|member| Member { name: Cow::Owned(rename(&member.name).to_owned()), ..member })
                .collect(),
        )
    }

    /// Whether there is a member of that name. It is not taken by that.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|member| member.name == name)
    }

    /// Takes a member's value, unless it is `null`.
    pub fn value(&self, name: &str) -> Option<Json<'a>> {
        self.values(name).next()
    }

    /// Takes a member's text, or that of a number or a truth value. `None` where the source says that there
    /// is none.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.values(name).find_map(text)
    }

    /// Takes the text of the first of several members that has one.
    pub fn any(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        names.iter().find_map(|name| self.text(name))
    }

    /// Takes the time of the first of several members that has any text.
    ///
    /// # Errors
    ///
    /// If that text is no time.
    pub fn time(&self, names: &[&str]) -> Result<Option<Time>, Problem> {
        let found = names.iter().find_map(|name| Some((name, self.text(name)?)));
        let Some((name, text)) = found else { return Ok(None) };
        time::read(&text).map(Some).ok_or_else(|| format!("{name} is no time").into())
    }

    /// Takes a file's hashes, each from the member of that name; those that identify nothing are left out.
    pub fn hashes(&self, sha1: &str, sha256: &str, md5: &str) -> Hashes {
        let [sha1, sha256, md5] = [sha1, sha256, md5].map(|name| self.text(name));
        Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref())
    }

    /// Takes a member whose value is kept nowhere.
    pub fn pass(&self, name: &str) {
        self.values(name).for_each(drop);
    }

    /// Takes members into columns of `event`.
    pub fn fill(&self, event: &mut Event, columns: &[Column]) {
        for (member, column) in columns {
            event.set(column, self.text(member));
        }
    }

    /// Keeps what nobody took as additional fields of `event`.
    pub fn leave(&self, event: &mut Event) {
        for member in self.0.iter().filter(|member| !member.is_taken.get()) {
            event.additional(&member.name, member.value);
        }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = Json<'a>> {
        let named = self.0.iter().filter(move |member| member.name == name && !member.value.is_null());
        named.inspect(|member| member.is_taken.set(true)).map(|member| member.value)
    }
}

/// The text of a value that is neither a list nor an object, nor says that there is none.
pub fn text(value: Json<'_>) -> Option<Cow<'_, str>> {
    let text = (!value.raw().starts_with(['{', '['])).then(|| value.text()).flatten()?;
    (!matches!(text.trim(), "" | "-" | "null")).then_some(text)
}

#[cfg(test)]
mod tests {
    use pintle_model::tables::device_events;
    use pintle_model::{Cell, Record};

    use super::*;
    use crate::machine::Machine;

    #[test]
    fn what_is_not_taken_is_kept_with_the_event() {
        let record = br#"{"cmd":"a.exe -x","size":null,"user":"-","list":[1,{"a":2}],"left":7,"gone":""}"#;
        let members = Members::parse(record).unwrap();
        let mut event =
            Event::new(&device_events::TABLE, &Machine::named("ws-1").unwrap(), None, "ProcessTerminate");
        members.fill(&mut event, &[("cmd", "ProcessCommandLine"), ("user", "AccountName")]);
        members.leave(&mut event);
        let Record::Row(row) = event.finish() else { panic!("no row") };
        let fields = row.text(device_events::ADDITIONAL_FIELDS).unwrap();
        assert_eq!(fields, r#"{"list":[1,{"a":2}],"left":7}"#);
        assert!(
            row.cells().any(|cell| cell == (device_events::PROCESS_COMMAND_LINE, Cell::Text("a.exe -x")))
        );
    }

    #[test]
    fn of_members_that_share_a_name_the_first_with_a_text_counts() {
        let members = Members::parse(br#"{"id_s":"","id_d":42,"at":"soon"}"#).unwrap();
        let members = members.renamed(|name| name.trim_end_matches("_s").trim_end_matches("_d"));
        assert_eq!(members.text("id").as_deref(), Some("42"));
        assert_eq!(members.time(&["when", "at"]).unwrap_err().reason(), "at is no time");
        assert!(members.time(&["when"]).unwrap().is_none());
    }
}
