//! Which entities of a list are asked for. A [`Filter`] is a condition on the members of a shape and
//! is tested on an entity's JSON as the API shows it, so that nobody filters by something else than
//! what they read: what a member means is decided in `render` alone.
//!
//! A [`Condition`] is checked and bounded as it is put together, whatever it is made from; there is
//! none that costs more to test than [`Condition::MAX_DEPTH`] and [`Condition::MAX_SIZE`] say.

mod columns;
pub(crate) mod subject;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use pintle_model::{Kind, MemberId, Shape, Time};

pub(crate) use columns::{Column, Columns};
use subject::elements;
pub(crate) use subject::{NULL, Subject, folded, text};

/// A condition on the entities of one shape.
#[derive(Clone, Debug)]
pub struct Filter {
    shape: &'static Shape,
    condition: Condition,
}

impl Filter {
    /// Those entities of this shape that meet a condition, whose members are this shape's.
    pub fn new(shape: &'static Shape, condition: Condition) -> Filter {
        Filter { shape, condition }
    }

    /// Those of them that meet another condition too.
    pub fn and(self, condition: Condition) -> Result<Filter, BadCondition> {
        let condition = Condition::every(vec![condition, self.condition])?;
        Ok(Filter { condition, ..self })
    }

    /// Whether an entity meets it: the text of its JSON object.
    pub fn matches(&self, object: &str) -> bool {
        self.condition.is_met(&Subject::object(self.shape, object))
    }

    /// What columns alone say of it; `None`: the object must be looked at. Never anything else than
    /// [`Filter::matches`] says of the object.
    pub(crate) fn decides(&self, columns: &impl Columns) -> Option<bool> {
        self.condition.decided(columns)
    }

    /// In lower case, the only values of a member of texts with which an entity can meet it; `None`: it
    /// is not that narrow.
    pub(crate) fn only(&self, member: MemberId) -> Option<BTreeSet<&str>> {
        self.condition.only(member)
    }

    /// The texts, in lower case, that a member of texts is compared with as a whole.
    pub(crate) fn texts(&self, member: MemberId) -> BTreeSet<&str> {
        let mut texts = BTreeSet::new();
        self.condition.texts(member, &mut texts);
        texts
    }

    /// The same with other texts, each in the place of one that the member is compared with as a whole.
    pub(crate) fn with_texts(&self, member: MemberId, instead: &BTreeMap<String, String>) -> Filter {
        let mut filter = self.clone();
        filter.condition.replace_texts(member, instead);
        filter
    }

    /// Whether a member decides.
    pub fn reads(&self, member: MemberId) -> bool {
        self.condition.reads(member)
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// `None`: the element itself.
    member: Option<MemberId>,
    kind: Kind,
}

impl Operand {
    /// The element of a collection of texts.
    pub const ELEMENT: Operand = Operand { member: None, kind: Kind::Text };

    /// A member of a shape; `None`: it has no such one.
    pub fn member(shape: &Shape, member: MemberId) -> Option<Operand> {
        let kind = shape.members.get(usize::from(member.0))?.kind;
        Some(Operand { member: Some(member), kind })
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn value<'a>(&self, subject: &Subject<'a>) -> &'a str {
        match self.member {
            Some(member) => subject.member(member),
            None => subject.json(),
        }
    }
}

/// What an operand is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `null`.
    Null,
    /// A text.
    Text(String),
    /// An integer.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// A point in time.
    Time(Time),
}

/// How an operand is compared with a literal. A value that is `null` is unequal to every literal
/// but `null`, and neither less nor greater than any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

/// What is asked of a text. Of a value that is `null` all of it is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// It begins so.
    StartsWith,
    /// It ends so.
    EndsWith,
    /// It has that in it.
    Contains,
}

/// How many elements of a collection must meet a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Any,
    /// Each one; an empty collection does.
    All,
}

/// Why something is no condition: correct it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCondition {
    /// A literal is of another kind than what it is compared with, or the kind has no such comparison.
    #[error("incompatible types: the property takes {}", takes(*.0))]
    Kind(Kind),
    /// It is nested too deep.
    #[error("it is nested deeper than {} levels: ask in a flatter form", Condition::MAX_DEPTH)]
    TooDeep,
    /// It has too many parts.
    #[error("it has more than {} comparisons and values: ask in several requests", Condition::MAX_SIZE)]
    TooLarge,
    /// A text in it is too long.
    #[error("a text in it is longer than {} bytes: ask for a part of it", Condition::MAX_TEXT)]
    TextTooLong,
}

fn takes(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text in quotes ('…') or null",
        Kind::Int => "an integer or null",
        Kind::Bool => "eq or ne with true, false or null",
        Kind::Time => "a time without quotes (2026-01-31T00:00:00Z) or null",
        Kind::List => "any(…) or all(…)",
        Kind::Object => "no comparison",
    }
}

/// A condition on an entity or on an element of a collection. Texts compare without regard to case,
/// letter by letter in the order of Unicode's lower case.
#[derive(Clone, Debug)]
pub struct Condition {
    node: Node,
    /// Levels of `not`, `and`, `or` and collections, itself included.
    depth: usize,
    /// Conditions and literals in it.
    size: usize,
}

#[derive(Clone, Debug)]
enum Node {
    Every(Vec<Condition>),
    Some(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparison, Literal),
    OneOf(Operand, Vec<Literal>),
    Text(Operand, TextTest, Box<str>),
    Elements(MemberId, Quantifier, Elements),
}

/// What the elements of a collection are asked.
#[derive(Clone, Debug)]
enum Elements {
    /// Nothing: there must be one.
    Exist,
    Texts(Box<Condition>),
    Objects(&'static Shape, Box<Condition>),
}

impl Condition {
    /// The most levels a condition may have.
    pub const MAX_DEPTH: usize = 64;
    /// The most comparisons and literals that may be in a condition.
    pub const MAX_SIZE: usize = 500;
    /// The most bytes that a text in it may have.
    pub const MAX_TEXT: usize = 8 * 1024;
    /// As much as so many comparisons a question to the elements of a collection counts: an alert may
    /// have 1,000 of them, and each time they are all looked through.
    const ELEMENTS_SIZE: usize = 10;

    /// Each of these is met.
    pub fn every(conditions: Vec<Condition>) -> Result<Condition, BadCondition> {
        Condition::joined(conditions, Node::Every)
    }

    /// At least one of these is met.
    pub fn some(conditions: Vec<Condition>) -> Result<Condition, BadCondition> {
        Condition::joined(conditions, Node::Some)
    }

    /// This one is not met.
    pub fn negated(condition: Condition) -> Result<Condition, BadCondition> {
        let (depth, size) = (condition.depth, condition.size);
        Condition::bounded(Node::Not(Box::new(condition)), depth, size)
    }

    /// A value compares so with a literal.
    pub fn compare(
        operand: Operand,
        comparison: Comparison,
        literal: Literal,
    ) -> Result<Condition, BadCondition> {
        let is_ordered = !matches!(comparison, Comparison::Eq | Comparison::Ne);
        if is_ordered && operand.kind == Kind::Bool {
            return Err(BadCondition::Kind(operand.kind));
        }
        let literal = prepared(operand, literal)?;
        Condition::bounded(Node::Compare(operand, comparison, literal), 0, 0)
    }

    /// A value is equal to one of these.
    pub fn one_of(operand: Operand, literals: Vec<Literal>) -> Result<Condition, BadCondition> {
        let size = literals.len();
        let literals = literals.into_iter().map(|literal| prepared(operand, literal));
        let literals = literals.collect::<Result<_, _>>()?;
        Condition::bounded(Node::OneOf(operand, literals), 0, size)
    }

    /// A text is made so.
    pub fn text(operand: Operand, test: TextTest, text: &str) -> Result<Condition, BadCondition> {
        match prepared(operand, Literal::Text(text.to_owned()))? {
            Literal::Text(text) => Condition::bounded(Node::Text(operand, test, text.into()), 0, 0),
            _ => Err(BadCondition::Kind(operand.kind)),
        }
    }

    /// A collection has an element.
    pub fn not_empty(of: MemberId) -> Result<Condition, BadCondition> {
        let node = Node::Elements(of, Quantifier::Any, Elements::Exist);
        Condition::bounded(node, 0, Condition::ELEMENTS_SIZE)
    }

    /// Elements of a collection meet a condition: objects of a shape, or texts without one.
    pub fn elements(
        of: MemberId,
        quantifier: Quantifier,
        shape: Option<&'static Shape>,
        condition: Condition,
    ) -> Result<Condition, BadCondition> {
        let (depth, size) = (condition.depth, condition.size + Condition::ELEMENTS_SIZE);
        let elements = match shape {
            Some(shape) => Elements::Objects(shape, Box::new(condition)),
            None => Elements::Texts(Box::new(condition)),
        };
        Condition::bounded(Node::Elements(of, quantifier, elements), depth, size)
    }

    /// One condition is itself, whatever joins it to none.
    fn joined(
        mut conditions: Vec<Condition>,
        node: fn(Vec<Condition>) -> Node,
    ) -> Result<Condition, BadCondition> {
        if conditions.len() == 1
            && let Some(only) = conditions.pop()
        {
            return Ok(only);
        }
        let depth = conditions.iter().map(|condition| condition.depth).max().unwrap_or_default();
        let size = conditions.iter().map(|condition| condition.size).sum();
        Condition::bounded(node(conditions), depth, size)
    }

    /// A condition around others of that depth and size.
    fn bounded(node: Node, depth: usize, size: usize) -> Result<Condition, BadCondition> {
        let condition = Condition { node, depth: depth.saturating_add(1), size: size.saturating_add(1) };
        if condition.depth > Condition::MAX_DEPTH {
            return Err(BadCondition::TooDeep);
        }
        if condition.size > Condition::MAX_SIZE {
            return Err(BadCondition::TooLarge);
        }
        Ok(condition)
    }

    /// No deeper than [`Condition::MAX_DEPTH`].
    fn is_met(&self, subject: &Subject<'_>) -> bool {
        match &self.node {
            Node::Every(conditions) => conditions.iter().all(|condition| condition.is_met(subject)),
            Node::Some(conditions) => conditions.iter().any(|condition| condition.is_met(subject)),
            Node::Not(condition) => !condition.is_met(subject),
            Node::Compare(operand, comparison, literal) => {
                compares(operand.value(subject), *comparison, literal)
            }
            Node::OneOf(operand, literals) => {
                let value = operand.value(subject);
                literals.iter().any(|literal| compares(value, Comparison::Eq, literal))
            }
            Node::Text(operand, test, wanted) => {
                text(operand.value(subject)).is_some_and(|text| is_made(&text, *test, wanted))
            }
            Node::Elements(of, quantifier, asked) => {
                let mut elements = elements(subject.member(*of));
                let meets = |element: &str| match asked {
                    Elements::Exist => true,
                    Elements::Texts(condition) => condition.is_met(&Subject::text(element)),
                    Elements::Objects(shape, condition) => condition.is_met(&Subject::object(shape, element)),
                };
                match quantifier {
                    Quantifier::Any => elements.any(meets),
                    Quantifier::All => elements.all(meets),
                }
            }
        }
    }

    /// No deeper than [`Condition::MAX_DEPTH`].
    fn texts<'c>(&'c self, member: MemberId, into: &mut BTreeSet<&'c str>) {
        let literals = match &self.node {
            Node::Every(conditions) | Node::Some(conditions) => {
                return conditions.iter().for_each(|condition| condition.texts(member, into));
            }
            Node::Not(condition) => return condition.texts(member, into),
            Node::Compare(operand, _, literal) if operand.member == Some(member) => {
                std::slice::from_ref(literal)
            }
            Node::OneOf(operand, literals) if operand.member == Some(member) => literals,
            _ => return,
        };
        into.extend(literals.iter().filter_map(Literal::text));
    }

    /// No deeper than [`Condition::MAX_DEPTH`].
    fn replace_texts(&mut self, member: MemberId, instead: &BTreeMap<String, String>) {
        let literals = match &mut self.node {
            Node::Every(conditions) | Node::Some(conditions) => {
                return conditions.iter_mut().for_each(|condition| condition.replace_texts(member, instead));
            }
            Node::Not(condition) => return condition.replace_texts(member, instead),
            Node::Compare(operand, Comparison::Eq | Comparison::Ne, literal)
                if operand.member == Some(member) =>
            {
                std::slice::from_mut(literal)
            }
            Node::OneOf(operand, literals) if operand.member == Some(member) => literals,
            _ => return,
        };
        for literal in literals {
            if let Some(other) = literal.text().and_then(|text| instead.get(text)) {
                *literal = Literal::Text(folded(other).into_owned());
            }
        }
    }

    fn reads(&self, member: MemberId) -> bool {
        match &self.node {
            Node::Every(conditions) | Node::Some(conditions) => {
                conditions.iter().any(|condition| condition.reads(member))
            }
            Node::Not(condition) => condition.reads(member),
            Node::Compare(operand, ..) | Node::OneOf(operand, _) | Node::Text(operand, ..) => {
                operand.member == Some(member)
            }
            // What elements are asked is about members of theirs.
            Node::Elements(of, ..) => *of == member,
        }
    }
}

impl Literal {
    fn text(&self) -> Option<&str> {
        match self {
            Literal::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A literal as it is compared with the values of an operand: texts in lower case.
fn prepared(operand: Operand, literal: Literal) -> Result<Literal, BadCondition> {
    match (operand.kind, literal) {
        (Kind::Text, Literal::Text(text)) if text.len() > Condition::MAX_TEXT => {
            Err(BadCondition::TextTooLong)
        }
        (Kind::Text, Literal::Text(text)) => Ok(Literal::Text(folded(&text).into_owned())),
        (Kind::List | Kind::Object, _) => Err(BadCondition::Kind(operand.kind)),
        (_, Literal::Null) => Ok(Literal::Null),
        (Kind::Int, literal @ Literal::Int(_))
        | (Kind::Bool, literal @ Literal::Bool(_))
        | (Kind::Time, literal @ Literal::Time(_)) => Ok(literal),
        (kind, _) => Err(BadCondition::Kind(kind)),
    }
}

/// Whether a value compares so with a prepared literal.
fn compares(value: &str, comparison: Comparison, literal: &Literal) -> bool {
    let order = match literal {
        Literal::Null => {
            let is_null = value == NULL;
            return match comparison {
                Comparison::Eq => is_null,
                Comparison::Ne => !is_null,
                _ => false,
            };
        }
        Literal::Text(literal) => text(value).map(|text| order(&text, literal)),
        Literal::Int(literal) => value.parse::<i64>().ok().map(|value| value.cmp(literal)),
        Literal::Bool(literal) => value.parse::<bool>().ok().map(|value| value.cmp(literal)),
        Literal::Time(literal) => {
            text(value).and_then(|text| Time::parse(&text)).map(|time| time.cmp(literal))
        }
    };
    comparison.is_met(order)
}

impl Comparison {
    /// Whether it is met by values in this order; `None`: one of them is `null`, and not the other.
    fn is_met(self, order: Option<Ordering>) -> bool {
        match self {
            Comparison::Eq => order == Some(Ordering::Equal),
            Comparison::Ne => order != Some(Ordering::Equal),
            Comparison::Gt => order == Some(Ordering::Greater),
            Comparison::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Comparison::Lt => order == Some(Ordering::Less),
            Comparison::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        }
    }
}

/// The order of a text and one that is in lower case.
fn order(text: &str, folded: &str) -> Ordering {
    if text.is_ascii() {
        // Bytes of UTF-8 order as characters do.
        return text.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(folded.bytes());
    }
    text.chars().flat_map(char::to_lowercase).cmp(folded.chars())
}

fn is_made(text: &str, test: TextTest, wanted: &str) -> bool {
    let text = folded(text);
    match test {
        TextTest::StartsWith => text.starts_with(wanted),
        TextTest::EndsWith => text.ends_with(wanted),
        TextTest::Contains => text.contains(wanted),
    }
}
