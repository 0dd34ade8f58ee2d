//! What values are, as JSON Schema (2020-12, the dialect of OpenAPI 3.1) says it.

use pintle_model::{Kind, Member, Part, Shape};
use serde_json::{Map, Value, json};

use crate::http::odata::Fields;

/// What a value is.
#[derive(Clone, Copy)]
pub(crate) enum Schema {
    /// Any text.
    Text,
    /// A text of so many characters.
    TextOf(usize, usize),
    /// A text that fits a pattern.
    Pattern(&'static str),
    /// A text that means something of its own, by the name of what it means.
    Named(&'static str),
    /// Both.
    NamedPattern(&'static str, &'static str),
    /// A GUID.
    Guid,
    /// A point in time.
    Time,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// A `$filter` on entities with these fields.
    Filter(&'static Fields),
    /// A `$select` of entities of this shape.
    Select(&'static Shape),
    /// A whole number between these.
    Number(u64, u64),
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
    /// A value, or `null`.
    OrNull(&'static Schema),
    /// An array.
    List(&'static Schema),
    /// An array of so many.
    ListOf(&'static Schema, usize, usize),
    /// A text that fits a pattern, of at most so many characters.
    PatternOf(&'static str, usize),
    /// An object.
    Object(&'static Object),
    /// An object whose members' names are nobody's to say.
    Counts,
    /// Any JSON.
    Anything,
    /// An answer of OData with many entities.
    Rows(&'static Shape),
    /// An answer of OData with one entity.
    Single(&'static Shape),
    /// An answer of OData with all members of something, of which none can be left out.
    Whole(&'static Shape),
}

/// An object.
pub(crate) struct Object {
    /// The name of its type.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) members: &'static [Property],
    /// Whether other members are refused.
    pub(super) is_closed: bool,
}

/// A member of an object.
pub(crate) struct Property {
    name: &'static str,
    schema: Schema,
    is_required: bool,
    about: &'static str,
}

impl Object {
    /// What is sent here: a member of another name is a 400.
    pub(super) const fn sent(
        name: &'static str,
        about: &'static str,
        members: &'static [Property],
    ) -> Object {
        Object { name, about, members, is_closed: true }
    }

    /// What comes back: later versions may add members.
    pub(super) const fn given(
        name: &'static str,
        about: &'static str,
        members: &'static [Property],
    ) -> Object {
        Object { name, about, members, is_closed: false }
    }
}

/// A member that is always there.
pub(super) const fn always(name: &'static str, schema: Schema, about: &'static str) -> Property {
    Property { name, schema, is_required: true, about }
}

/// A member that may be missing.
pub(super) const fn maybe(name: &'static str, schema: Schema, about: &'static str) -> Property {
    Property { name, schema, is_required: false, about }
}

/// The error envelope.
pub(super) static ERROR: Object = Object::given(
    "Error",
    "Why a call was refused.",
    &[always("error", Schema::Object(&ERROR_BODY), "The reason.")],
);

static ERROR_BODY: Object = Object::given(
    "ErrorBody",
    "What was wrong.",
    &[
        always("code", Schema::Text, "A word for programs, such as `ResourceNotFound`."),
        always("message", Schema::Text, "A sentence for people; its wording may change."),
        always("target", Schema::Guid, "The id of this answer, which the server's log has too."),
    ],
);

/// Which members of an object are certain to be there.
#[derive(Clone, Copy)]
enum There {
    /// All of them.
    All,
    /// All, unless `$select` names some.
    Selected,
    /// Those that cannot be `null`: a source may have sent it without the others.
    Known,
}

/// The keyword with the members that are there unless `$select` names some.
const UNLESS_SELECTED: &str = "x-there-unless-selected";

/// The schemas that others refer to by name, as they come up.
#[derive(Default)]
pub(super) struct Components {
    named: Map<String, Value>,
}

impl Components {
    /// All of them, by name.
    pub(super) fn finish(self) -> Value {
        let mut named: Vec<(String, Value)> = self.named.into_iter().collect();
        named.sort_by(|one, other| one.0.cmp(&other.0));
        Value::Object(named.into_iter().collect())
    }

    /// A schema as JSON. What has a name is written down once and referred to.
    pub(super) fn schema(&mut self, schema: Schema) -> Value {
        match schema {
            Schema::Text => json!({ "type": "string" }),
            Schema::TextOf(least, most) => json!({ "type": "string", "minLength": least, "maxLength": most }),
            Schema::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
            Schema::Named(format) => json!({ "type": "string", "format": format }),
            Schema::NamedPattern(format, pattern) => {
                json!({ "type": "string", "format": format, "pattern": pattern })
            }
            Schema::Guid => json!({ "type": "string", "format": "uuid" }),
            Schema::Time => json!({ "type": "string", "format": "date-time" }),
            Schema::OneOf(words) => json!({ "type": "string", "enum": words }),
            Schema::Filter(fields) => filter(fields),
            Schema::Select(shape) => {
                json!({ "type": "string", "format": format!("odata-select-{}", shape.name.to_ascii_lowercase()) })
            }
            Schema::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Schema::Bool => json!({ "type": "boolean" }),
            Schema::Null => json!({ "type": "null" }),
            Schema::OrNull(inner) => json!({ "anyOf": [self.schema(*inner), { "type": "null" }] }),
            Schema::ListOf(inner, least, most) => {
                json!({ "type": "array", "items": self.schema(*inner), "minItems": least, "maxItems": most })
            }
            Schema::PatternOf(pattern, most) => {
                json!({ "type": "string", "pattern": pattern, "maxLength": most })
            }
            Schema::List(inner) => json!({ "type": "array", "items": self.schema(*inner) }),
            Schema::Counts => json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
            Schema::Anything => json!({}),
            Schema::Object(object) => self.object(object),
            Schema::Rows(shape) => {
                let row = self.shape(shape, There::Selected);
                with_context(
                    json!({
                        "value": { "type": "array", "items": row },
                        "@odata.count": { "type": "integer", "description": "How many rows there are in all, if `$count=true`." },
                        "@odata.nextLink": { "type": "string", "description": "Where the rows that follow are." },
                    }),
                    &["value"],
                )
            }
            Schema::Single(shape) | Schema::Whole(shape) => {
                let is_whole = matches!(schema, Schema::Whole(_));
                let one = self.shape(shape, if is_whole { There::All } else { There::Selected });
                let mut single = with_context(json!({}), &[]);
                put(&mut single, "allOf", json!([one]));
                single
            }
        }
    }

    fn object(&mut self, object: &'static Object) -> Value {
        self.named(object.name, |this| {
            let property = |property: &Property| {
                let mut schema = this.schema(property.schema);
                put(&mut schema, "description", property.about);
                (property.name.to_owned(), schema)
            };
            let properties: Map<String, Value> = object.members.iter().map(property).collect();
            let required: Vec<&str> =
                object.members.iter().filter(|member| member.is_required).map(|member| member.name).collect();
            let mut schema = json!({
                "type": "object",
                "description": object.about,
                "required": required,
                "properties": properties,
            });
            if object.is_closed {
                put(&mut schema, "additionalProperties", false);
            }
            schema
        })
    }

    fn shape(&mut self, shape: &'static Shape, is_there: There) -> Value {
        // What is an entity as well as a part of one is written as the entity, whichever comes up first.
        if matches!(is_there, There::Selected)
            && self.named.get(shape.name).is_some_and(|part| part.get(UNLESS_SELECTED).is_none())
        {
            self.named.remove(shape.name);
        }
        self.named(shape.name, |this| {
            let member = |member: &Member| (member.name.to_owned(), this.member(member));
            let properties: Map<String, Value> = shape.members.iter().map(member).collect();
            let there = shape.members.iter().filter(|member| match is_there {
                There::All => true,
                There::Selected => false,
                There::Known => !member.is_nullable,
            });
            let required: Vec<&str> = there.map(|member| member.name).collect();
            let mut schema = json!({ "type": "object", "required": required, "properties": properties });
            if matches!(is_there, There::Selected) {
                let (asked_for, all) = named(shape.members);
                let about = match asked_for.as_slice() {
                    [] => "Every member is there unless `$select` names some.".to_owned(),
                    names => format!(
                        "Every member is there unless `$select` names some; only then `{}`.",
                        names.join("`, `")
                    ),
                };
                put(&mut schema, "description", about);
                put(&mut schema, UNLESS_SELECTED, all);
            }
            schema
        })
    }

    fn member(&mut self, member: &Member) -> Value {
        let mut types = vec![match member.kind {
            Kind::Text | Kind::Time => "string",
            Kind::Int => "integer",
            Kind::Bool => "boolean",
            Kind::List => "array",
            Kind::Object => "object",
        }];
        types.extend(member.is_nullable.then_some("null"));
        let types = if member.is_nullable { json!(types) } else { json!(types.first()) };
        let mut part = |part: Part| match part {
            Part::Texts => json!({ "type": "string" }),
            Part::Shape(shape) => self.shape(shape, There::Known),
        };
        match (member.kind, member.of) {
            (Kind::Int, _) if member.is_short => json!({ "type": types, "format": "int32" }),
            (Kind::Int, _) => json!({ "type": types, "format": "int64" }),
            (Kind::Time, _) => json!({ "type": types, "format": "date-time" }),
            (Kind::List, Some(of)) => json!({ "type": types, "items": part(of) }),
            (Kind::Object, Some(of)) => json!({ "anyOf": [part(of), { "type": "null" }] }),
            // Telemetry's own words are repeated, so the set is open.
            _ if !member.words.is_empty() => {
                json!({ "anyOf": [{ "enum": member.words }, { "type": types }] })
            }
            _ => json!({ "type": types }),
        }
    }

    /// A reference to a schema, which is made if it is not there yet.
    fn named(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.named.contains_key(name) {
            // Before it is made, in case it is a part of itself.
            self.named.insert(name.to_owned(), Value::Null);
            let made = make(self);
            self.named.insert(name.to_owned(), made);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

/// Puts a member into an object; what is none stays as it is.
pub(super) fn put(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

/// An answer of OData with these properties besides its context.
fn with_context(properties: Value, required: &[&str]) -> Value {
    let context = json!({ "@odata.context": { "type": "string", "description": "The answer's type, as a place in `/api/$metadata`." } });
    let objects = [context, properties].into_iter().filter_map(|value| match value {
        Value::Object(members) => Some(members),
        _ => None,
    });
    let properties: Map<String, Value> = objects.flatten().collect();
    let required: Vec<&str> = [&["@odata.context"], required].concat();
    json!({ "type": "object", "required": required, "properties": properties })
}

/// The names of members that are shown only to who asks for them, and of the others.
fn named(members: &[Member]) -> (Vec<&'static str>, Vec<&'static str>) {
    let (asked_for, all): (Vec<&Member>, Vec<&Member>) =
        members.iter().partition(|member| member.is_on_request);
    let names = |members: Vec<&Member>| members.into_iter().map(|member| member.name).collect();
    (names(asked_for), names(all))
}

fn filter(fields: &Fields) -> Value {
    json!({
        "type": "string",
        "format": format!("odata-filter-{}", fields.shape().name.to_ascii_lowercase()),
        "minLength": 1,
        "maxLength": crate::http::odata::MAX_FILTER,
    })
}
