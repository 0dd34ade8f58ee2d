//! What a Parquet file says its rows are: a tree of columns, told in the footer by its nodes from the root
//! down, each with how many it has below it. The tree is held as a list, so that nothing depends on how deep
//! or wide a file claims it to be before that is known.

use std::ops::Range;

use super::Fault;
use super::thrift::{Kind, Reader};

/// The most nodes, …
const MAX_NODES: usize = 16_384;
/// … those of them that have values, …
const MAX_LEAVES: usize = 4_096;
/// … and the most nodes within one another: a row is written by going down as far.
const MAX_DEPTH: usize = 32;

const TOO_LARGE: Fault = Fault::Limit("has more than 4,096 columns, or columns nested deeper than 32");

/// The columns of a file.
pub struct Schema {
    /// The nodes, each after the one that it is in; the first is the row.
    pub nodes: Vec<Node>,
    /// The nodes that have values, in the order of their columns.
    pub leaves: Vec<Leaf>,
}

/// A column, or several under one name.
#[derive(Debug)]
pub struct Node {
    /// What it is called.
    pub name: String,
    /// Whether it stands as many times as a row has it.
    pub is_repeated: bool,
    /// The definition level from which on it is there.
    pub level: u16,
    /// The repetition level at which it stands once more.
    pub repetition: u16,
    /// The nodes in it.
    pub children: Vec<usize>,
    /// The columns in it.
    pub columns: Range<usize>,
    /// What its nodes mean together.
    pub shape: Shape,
}

/// What a node and those below it are, besides being nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A value.
    Leaf,
    /// Members.
    Group,
    /// A list: the node that is repeated, and the one in it that is the element, if it is not that itself.
    List { repeated: usize, element: Option<usize> },
    /// Keys and values, in a node that is repeated.
    Map { repeated: usize, key: usize, value: usize },
}

/// How the values of a column are kept, and what they mean.
#[derive(Clone, Copy, Debug)]
pub struct Leaf {
    /// How they are kept.
    pub stored: Stored,
    /// What they mean.
    pub meaning: Meaning,
    /// The definition level at which there is a value.
    pub level: u16,
    /// How many repetition levels there are.
    pub repetition: u16,
}

/// How a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// One bit.
    Bit,
    /// Four bytes of a whole number.
    Int32,
    /// Eight of one.
    Int64,
    /// Twelve bytes of a time.
    Int96,
    /// Four bytes of a floating-point number.
    Float,
    /// Eight of one.
    Double,
    /// Bytes with their length.
    Bytes,
    /// As many bytes each time.
    Fixed(usize),
}

impl Stored {
    /// How many bytes a value has; `None` if that differs or is not whole.
    pub fn width(self) -> Option<usize> {
        match self {
            Stored::Bit | Stored::Bytes => None,
            Stored::Int32 | Stored::Float => Some(4),
            Stored::Int64 | Stored::Double => Some(8),
            Stored::Int96 => Some(12),
            Stored::Fixed(width) => Some(width),
        }
    }
}

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Itself.
    Plain,
    /// A text.
    Text,
    /// A number without a sign.
    Unsigned,
    /// A number of which so many digits are behind the point.
    Decimal(u32),
    /// Days since 1970.
    Date,
    /// A point in time, in units of which so many make a second.
    Time(i64),
    /// A GUID.
    Guid,
}

/// A node as the footer has it.
#[derive(Default)]
struct Element {
    kind: Option<i64>,
    width: i64,
    /// 0: required, 1: optional, 2: repeated.
    repetition: i64,
    name: String,
    children: usize,
    converted: Option<i64>,
    scale: i64,
    logical: Option<Logical>,
}

/// What `logicalType` says, as far as it matters.
enum Logical {
    List,
    Map,
    Means(Meaning),
}

impl Schema {
    /// Reads the list of nodes.
    pub fn read(reader: &mut Reader<'_>) -> Result<Schema, Fault> {
        let (kind, count) = reader.list()?;
        if kind != Kind::Struct {
            return Err(Fault::Damage);
        }
        if count > MAX_NODES {
            return Err(TOO_LARGE);
        }
        let mut schema = Schema { nodes: Vec::new(), leaves: Vec::new() };
        // The nodes that the next one is in, with how many more each has.
        let mut open: Vec<(usize, usize)> = Vec::new();
        for place in 0..count {
            let element = Element::read(reader)?;
            if (place == 0) != open.is_empty() {
                return Err(Fault::Damage);
            }
            let children = element.children;
            schema.add(element, open.last().map(|(parent, _)| *parent))?;
            if let Some((_, left)) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 || place == 0 {
                open.push((place, children));
            }
            if open.len() > MAX_DEPTH || schema.leaves.len() > MAX_LEAVES {
                return Err(TOO_LARGE);
            }
            while let Some((node, 0)) = open.last().copied() {
                open.pop();
                schema.close(node);
            }
        }
        if open.is_empty() && count > 0 { Ok(schema) } else { Err(Fault::Damage) }
    }

    /// Adds a node below `parent`; one without nodes of its own is a column.
    fn add(&mut self, element: Element, parent: Option<usize>) -> Result<(), Fault> {
        let place = self.nodes.len();
        let (mut level, mut repetition) = (0, 0);
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.push(place);
            level = parent.level + u16::from(element.repetition > 0);
            repetition = parent.repetition + u16::from(element.repetition == 2);
        }
        let column = self.leaves.len();
        let mut columns = column..column;
        let mut shape = element.shape();
        if parent.is_some() && element.children == 0 {
            let stored = element.stored()?;
            self.leaves.push(Leaf { stored, meaning: element.meaning(), level, repetition });
            columns.end += 1;
            shape = Shape::Leaf;
        }
        let is_repeated = parent.is_some() && element.repetition == 2;
        let Element { name, .. } = element;
        self.nodes.push(Node { name, is_repeated, level, repetition, children: Vec::new(), columns, shape });
        Ok(())
    }

    /// Notes of a node below which all is known what is in it, and what that means.
    fn close(&mut self, place: usize) {
        let end = self.leaves.len();
        let shape = self.shape(place);
        if let Some(node) = self.nodes.get_mut(place) {
            node.columns.end = end;
            node.shape = shape;
        }
    }

    /// A list or a map says so and has one repeated node, or is a plain group.
    fn shape(&self, place: usize) -> Shape {
        let Some(node) = self.nodes.get(place) else { return Shape::Group };
        let only = |node: &Node| match node.children.as_slice() {
            [child] => self.nodes.get(*child).filter(|child| child.is_repeated).map(|found| (*child, found)),
            _ => None,
        };
        let Some((repeated, inner)) = only(node) else { return Shape::Group };
        match (node.shape, inner.children.as_slice()) {
            (Shape::Map { .. }, [key, value]) => Shape::Map { repeated, key: *key, value: *value },
            (Shape::List { .. }, [element]) => {
                // Older writers repeat the element itself, which may be a group of one.
                let is_element = inner.name == "array"
                    || inner.name.strip_suffix("_tuple").is_some_and(|name| name == node.name)
                    || !matches!(inner.shape, Shape::Group);
                Shape::List { repeated, element: (!is_element).then_some(*element) }
            }
            (Shape::List { .. }, _) => Shape::List { repeated, element: None },
            _ => Shape::Group,
        }
    }
}

impl Element {
    fn read(reader: &mut Reader<'_>) -> Result<Element, Fault> {
        let mut element = Element::default();
        reader.fields(&mut |reader, field, kind| {
            match (field, kind) {
                (1, Kind::Int) => element.kind = Some(reader.int()?),
                (2, Kind::Int) => element.width = reader.int()?,
                (3, Kind::Int) => element.repetition = reader.int()?,
                (4, Kind::Binary) => element.name = String::from_utf8_lossy(reader.binary()?).into_owned(),
                (5, Kind::Int) => {
                    element.children = usize::try_from(reader.int()?).map_err(|_| Fault::Damage)?;
                }
                (6, Kind::Int) => element.converted = Some(reader.int()?),
                (7, Kind::Int) => element.scale = reader.int()?,
                (10, Kind::Struct) => element.logical = logical(reader)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(element)
    }

    /// What the node says it is; where its nodes are, is known later.
    fn shape(&self) -> Shape {
        match (&self.logical, self.converted) {
            (Some(Logical::List), _) | (None, Some(3)) => Shape::List { repeated: 0, element: None },
            (Some(Logical::Map), _) | (None, Some(1 | 2)) => Shape::Map { repeated: 0, key: 0, value: 0 },
            _ => Shape::Group,
        }
    }

    fn stored(&self) -> Result<Stored, Fault> {
        Ok(match self.kind {
            Some(0) => Stored::Bit,
            Some(1) => Stored::Int32,
            Some(2) => Stored::Int64,
            Some(3) => Stored::Int96,
            Some(4) => Stored::Float,
            Some(5) => Stored::Double,
            Some(6) => Stored::Bytes,
            Some(7) => match usize::try_from(self.width) {
                Ok(width) if (1..=1 << 20).contains(&width) => Stored::Fixed(width),
                _ => return Err(Fault::Damage),
            },
            _ => return Err(Fault::Damage),
        })
    }

    fn meaning(&self) -> Meaning {
        if let Some(Logical::Means(meaning)) = self.logical {
            return meaning;
        }
        match self.converted {
            Some(0 | 4 | 19) => Meaning::Text,
            Some(5) => Meaning::Decimal(u32::try_from(self.scale).unwrap_or_default()),
            Some(6) => Meaning::Date,
            Some(9) => Meaning::Time(1_000),
            Some(10) => Meaning::Time(1_000_000),
            Some(11..=14) => Meaning::Unsigned,
            _ => Meaning::Plain,
        }
    }
}

/// Reads `logicalType`, of whose members one is there.
fn logical(reader: &mut Reader<'_>) -> Result<Option<Logical>, Fault> {
    let mut logical = None;
    reader.fields(&mut |reader, field, kind| {
        if kind != Kind::Struct {
            return Ok(false);
        }
        logical = Some(match field {
            1 | 4 | 12 => Logical::Means(Meaning::Text),
            2 => Logical::Map,
            3 => Logical::List,
            6 => Logical::Means(Meaning::Date),
            14 => Logical::Means(Meaning::Guid),
            5 => Logical::Means(Meaning::Decimal(scale(reader)?)),
            8 => Logical::Means(Meaning::Time(units_a_second(reader)?)),
            10 => Logical::Means(if is_signed(reader)? { Meaning::Plain } else { Meaning::Unsigned }),
            _ => return Ok(false),
        });
        Ok(matches!(field, 5 | 8 | 10))
    })?;
    Ok(logical)
}

fn scale(reader: &mut Reader<'_>) -> Result<u32, Fault> {
    let mut scale = 0;
    reader.fields(&mut |reader, field, kind| {
        let is_scale = (field, kind) == (1, Kind::Int);
        if is_scale {
            scale = u32::try_from(reader.int()?).map_err(|_| Fault::Damage)?;
        }
        Ok(is_scale)
    })?;
    Ok(scale)
}

fn units_a_second(reader: &mut Reader<'_>) -> Result<i64, Fault> {
    let mut units = 1_000;
    reader.fields(&mut |reader, field, kind| {
        let is_unit = (field, kind) == (2, Kind::Struct);
        if is_unit {
            reader.fields(&mut |_, unit, _| {
                units = match unit {
                    3 => 1_000_000_000,
                    2 => 1_000_000,
                    _ => 1_000,
                };
                Ok(false)
            })?;
        }
        Ok(is_unit)
    })?;
    Ok(units)
}

fn is_signed(reader: &mut Reader<'_>) -> Result<bool, Fault> {
    let mut is_signed = true;
    reader.fields(&mut |_, field, kind| {
        if let (2, Kind::Bool(value)) = (field, kind) {
            is_signed = value;
        }
        Ok(false)
    })?;
    Ok(is_signed)
}
