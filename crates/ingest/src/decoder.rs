//! What decodes an input: a format of Pintle's, or one that a mapping describes; and how it is chosen.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::format::{Decoded, Format, Problem};
use crate::formats::FORMATS;
use crate::json::Object;
use crate::mapping::{Mapping, Unusable};

/// A format of Pintle's, or a mapping.
#[derive(Clone)]
pub enum Decoder {
    /// Written in Rust.
    Format(&'static Format),
    /// Described in a file.
    Mapping(Arc<Mapping>),
}

impl Decoder {
    /// The name, as `--format` takes it.
    pub fn name(&self) -> &str {
        match self {
            Decoder::Format(format) => format.name,
            Decoder::Mapping(mapping) => mapping.name(),
        }
    }

    /// What it is, in a line.
    pub fn description(&self) -> &str {
        match self {
            Decoder::Format(format) => format.description,
            Decoder::Mapping(mapping) => mapping.description(),
        }
    }

    fn recognises(&self, record: &Object<'_>) -> bool {
        match self {
            Decoder::Format(format) => (format.recognises)(record),
            Decoder::Mapping(mapping) => mapping.recognises(record),
        }
    }

    /// Decodes one record.
    pub fn decode(&self, record: &[u8]) -> Result<Decoded, Problem> {
        match self {
            Decoder::Format(format) => (format.decode)(record),
            Decoder::Mapping(mapping) => mapping.decode(record),
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Everything that decodes here: an administrator's mappings before Pintle's formats, since who wrote them
/// knows better; then the mappings that come with Pintle.
#[derive(Clone, Debug, Default)]
pub struct Decoders {
    mappings: Arc<[Arc<Mapping>]>,
}

impl Decoders {
    /// With these mappings.
    ///
    /// # Errors
    ///
    /// When two have one name, or one has a format's.
    pub fn with(mappings: Vec<Mapping>) -> Result<Decoders, Unusable> {
        let mut decoders = Decoders::default();
        for mapping in mappings {
            if decoders.named(mapping.name()).is_some() {
                return Err(Unusable::taken(mapping.name()));
            }
            let known = decoders.mappings.iter().cloned();
            decoders.mappings = known.chain([Arc::new(mapping)]).collect();
        }
        Ok(decoders)
    }

    /// All of them, in the order in which they are asked whether a record is theirs.
    pub fn iter(&self) -> impl Iterator<Item = Decoder> {
        let mapped = |mapping: &Arc<Mapping>| Decoder::Mapping(Arc::clone(mapping));
        let formats = FORMATS.iter().map(|format| Decoder::Format(format));
        self.mappings.iter().map(mapped).chain(formats).chain(SHIPPED.iter().map(mapped))
    }

    /// The one of that name, compared without case.
    pub fn named(&self, name: &str) -> Option<Decoder> {
        self.iter().find(|decoder| decoder.name().eq_ignore_ascii_case(name))
    }

    /// Their names, for people.
    pub fn names(&self) -> String {
        self.iter().map(|decoder| decoder.name().to_owned()).collect::<Vec<_>>().join(", ")
    }

    /// The one that a record is of, told by its members' names.
    pub(crate) fn of(&self, record: &[u8]) -> Option<Decoder> {
        let object = Object::parse(record).ok()?;
        self.iter().find(|decoder| decoder.recognises(&object))
    }
}

/// The mappings that come with Pintle. One that cannot be read would be missing here; the test says so.
static SHIPPED: LazyLock<Vec<Arc<Mapping>>> = LazyLock::new(|| {
    let read = |text: &&str| Mapping::read(text).ok();
    SHIPPED_FILES.iter().filter_map(read).map(Arc::new).collect()
});

const SHIPPED_FILES: &[&str] = &[include_str!("mappings/velociraptor.toml")];

/// How an input's decoder is chosen.
#[derive(Clone, Debug)]
pub enum Choice {
    /// Told from the first record that one recognises.
    Told(Decoders),
    /// Told for every record anew, where one input has records of several.
    Each(Decoders),
    /// This one, and no other.
    Only(Decoder),
}

impl Choice {
    /// Whether it has a decoder that recognises a record with these members.
    pub(crate) fn takes(&self, record: &Object<'_>) -> bool {
        match self {
            Choice::Told(decoders) | Choice::Each(decoders) => {
                decoders.iter().any(|decoder| decoder.recognises(record))
            }
            Choice::Only(decoder) => decoder.recognises(record),
        }
    }
}

impl Default for Choice {
    fn default() -> Choice {
        Choice::Told(Decoders::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mappings_that_come_with_pintle_can_be_read() {
        for text in SHIPPED_FILES {
            Mapping::read(text).unwrap();
        }
        assert_eq!(SHIPPED.len(), SHIPPED_FILES.len());
    }

    #[test]
    fn a_name_stands_for_one_thing() {
        let mapping = |name| {
            Mapping::read(&format!("name = \"{name}\"\n[machine]\nname = \"host\"\n[[event]]\n")).unwrap()
        };
        assert!(Decoders::with(vec![mapping("a"), mapping("b")]).is_ok());
        for taken in ["a", "mde-streaming", "velociraptor"] {
            let error = Decoders::with(vec![mapping("a"), mapping(taken)]).unwrap_err();
            assert!(error.to_string().contains(taken), "{error}");
        }
    }
}
