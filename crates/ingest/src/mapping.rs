//! A format that an administrator describes in a file instead of in Rust: where in a record the machine,
//! the time, the hashes, the names and an alert's members are. Such a file is TOML:
//!
//! ```toml
//! name = "camera-log"
//! description = "what the cameras' controller writes"
//! recognise = ["cam_host", "firmware"]        # a record with these members is of this format
//!
//! [machine]
//! name = "cam_host"                            # and/or id = "serial" with kind = "camera"
//!
//! [[event]]
//! when = { kind = "upload" }                   # only records in which these members are so
//! table = "DeviceFileEvents"
//! action = "FileCreated"                       # or { member = "kind" }
//! time = ["written", "received"]               # the first that is there
//! [event.columns]                              # column of the table = member of the record
//! SHA256 = "firmware.digest"
//! FolderPath = "firmware.path"
//!
//! [alert]
//! when = { severity = ["bad", "worse"] }
//! id = "case"
//! title = { text = "A camera complains" }
//! [alert.members]
//! severity = "severity"
//! ```
//!
//! A member is named by its path, `a.b` being `b` in `a` unless a member is called `a.b`. Several names are
//! tried in turn; `{ text = "…" }` is that text.

mod alert;
mod event;
mod source;

use serde::Deserialize;

use crate::format::{Decoded, Problem, Several};
use crate::json::Object;
use crate::machine::Machine;
use source::{Source, Wanted};

/// The longest file of a mapping.
pub const MAX_BYTES: usize = 256 * 1024;

/// Why a file is no mapping, in words that say how to mend it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

impl Unusable {
    /// A name that stands for something else already.
    pub(crate) fn taken(name: &str) -> Unusable {
        Unusable(format!("name: another format is called {name}"))
    }
}

/// A format that is described in a file.
#[derive(Debug)]
pub struct Mapping {
    name: String,
    description: String,
    recognise: Vec<String>,
    machine: MachineSource,
    events: Vec<event::Event>,
    alert: Option<alert::Alert>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    recognise: Vec<String>,
    machine: MachineSource,
    #[serde(default)]
    event: Vec<event::Told>,
    alert: Option<alert::Told>,
}

/// Where the machine is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MachineSource {
    /// What sort of id it is: two mappings of one kind mean the same machines. `defender` takes ids as
    /// they are.
    kind: Option<String>,
    id: Option<Source>,
    name: Option<Source>,
}

impl Mapping {
    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn read(text: &str) -> Result<Mapping, Unusable> {
        if text.len() > MAX_BYTES {
            return Err(Unusable(format!("a mapping has at most {MAX_BYTES} bytes")));
        }
        let file: File = toml::from_str(text).map_err(|error| Unusable(error.to_string()))?;
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if file.name.is_empty() || file.name.len() > 64 || !file.name.bytes().all(is_plain) {
            return Err(Unusable("name: 1 to 64 lower-case letters, digits and '-'".into()));
        }
        file.machine.check()?;
        if file.event.is_empty() && file.alert.is_none() {
            return Err(Unusable("neither [[event]] nor [alert]: nothing would be read".into()));
        }
        Ok(Mapping {
            name: file.name,
            description: file.description,
            recognise: file.recognise,
            machine: file.machine,
            events: file.event.into_iter().map(event::Event::of).collect::<Result<_, _>>()?,
            alert: file.alert.map(alert::Alert::of).transpose()?,
        })
    }

    /// The name, as `--format` takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in a line.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Whether a record with these members is of this format.
    pub(crate) fn recognises(&self, record: &Object<'_>) -> bool {
        !self.recognise.is_empty() && self.recognise.iter().all(|path| source::find(record, path).is_some())
    }

    /// Decodes one record.
    pub(crate) fn decode(&self, record: &[u8]) -> Result<Decoded, Problem> {
        let record = Object::parse(record)?;
        let machine = self.machine.of(&record);
        let mut several = Several::default();
        if let Some(machine) = &machine
            && let Some(event) = self.events.iter().find(|event| event.wants(&record))
        {
            several.add(event.decode(&record, machine)?)?;
        }
        if let Some(alert) = self.alert.as_ref().filter(|alert| alert.wants(&record)) {
            several.add(alert.decode(&record, machine.as_ref())?)?;
        }
        Ok(several.finish(if machine.is_none() {
            "event without a machine"
        } else {
            "no event that the mapping describes"
        }))
    }
}

impl MachineSource {
    fn check(&self) -> Result<(), Unusable> {
        if self.id.is_none() && self.name.is_none() {
            return Err(Unusable("[machine]: neither id nor name".into()));
        }
        if self.id.is_some() && self.kind.is_none() {
            return Err(Unusable(
                "[machine]: an id needs a kind, such as kind = \"velociraptor\"; kind = \"defender\" takes \
                 ids as they are"
                    .into(),
            ));
        }
        Ok(())
    }

    fn of(&self, record: &Object<'_>) -> Option<Machine<'static>> {
        let id = self.id.as_ref().and_then(|source| source.text(record));
        let name = self.name.as_ref().and_then(|source| source.text(record));
        match self.kind.as_deref() {
            Some("defender") => Machine::of_defender(id.as_deref(), name.as_deref()),
            kind => Machine::identified(kind.unwrap_or_default(), id.as_deref(), name.as_deref()),
        }
    }
}

/// Whether a record has what is wanted of it; nothing is wanted of those without any.
fn all(wanted: &Wanted, record: &Object<'_>) -> bool {
    wanted.iter().all(|(path, words)| {
        let text = source::find(record, path).and_then(|value| value.text().map(|text| text.into_owned()));
        words.take(text.as_deref())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_mapping_is_told_in_words() {
        for (text, why) in [
            ("", "missing field `name`"),
            ("name = \"A b\"\n[machine]\nname = \"h\"\n[[event]]\n", "name: 1 to 64"),
            ("name = \"a\"\n[machine]\n[[event]]\n", "neither id nor name"),
            ("name = \"a\"\n[machine]\nid = \"i\"\n[[event]]\n", "an id needs a kind"),
            ("name = \"a\"\n[machine]\nname = \"h\"\n", "nothing would be read"),
            ("name = \"a\"\n[machine]\nname = \"h\"\n[[event]]\ntable = \"X\"\n", "no table X"),
            (
                "name = \"a\"\n[machine]\nname = \"h\"\n[[event]]\n[event.columns]\nSha1 = \"x\"\n",
                "no column Sha1 in DeviceEvents",
            ),
            (
                "name = \"a\"\n[machine]\nname = \"h\"\n[alert]\nid = \"i\"\ntitle = \"t\"\n[alert.members]\nx = \"x\"\n",
                "no member x",
            ),
            ("name = \"a\"\nfoo = 1\n[machine]\nname = \"h\"\n", "unknown field `foo`"),
        ] {
            let error = Mapping::read(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
