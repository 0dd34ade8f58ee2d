//! `AdditionalFields`: what a source says of an event and no column takes, as one JSON object in a text.

use crate::json::{self, Json};

/// The longest text written, in bytes.
const MAX_BYTES: usize = 32 * 1024;

/// The object in the making. What would make it too long is left out and counted.
#[derive(Default)]
pub struct AdditionalFields {
    /// The inside of the object.
    members: String,
    omitted: u32,
}

impl AdditionalFields {
    /// Adds a member, whose value `write` appends as JSON text.
    pub fn note(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        let before = self.members.len();
        if before > 0 {
            self.members.push(',');
        }
        json::write_string(&mut self.members, name);
        self.members.push(':');
        write(&mut self.members);
        if self.members.len() > MAX_BYTES - 32 {
            self.members.truncate(before);
            self.omitted += 1;
        }
    }

    /// Adds a value as the source has it, unless it is `null` or empty.
    pub fn value(&mut self, name: &str, value: Json<'_>) {
        if !matches!(value.raw(), "null" | "\"\"" | "{}" | "[]") {
            self.note(name, |out| value.write(out));
        }
    }

    /// Adds a text, unless it is empty.
    pub fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.note(name, |out| json::write_string(out, text));
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.omitted == 0
    }

    /// The whole object, which says how many fields it lacks.
    pub fn close(mut self) -> String {
        if self.omitted > 0 {
            let comma = if self.members.is_empty() { "" } else { "," };
            self.members.push_str(&format!("{comma}\"OmittedFields\":{}", self.omitted));
        }
        format!("{{{}}}", self.members)
    }
}
