//! A filter tested on what is at hand of an entity without its JSON: it says yes, no, or that the JSON
//! must be looked at. Columns hold what the JSON shows, so the answer is the one that the JSON gives.

use std::collections::BTreeSet;

use pintle_model::{MemberId, Time};

use super::{Comparison, Condition, Literal, NULL, Node, compares, is_made, order, text};

/// The members of an entity that are at hand.
pub(crate) trait Columns {
    /// A member of the entity's shape.
    fn column(&self, member: MemberId) -> Column<'_>;
}

/// What is at hand of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column<'a> {
    /// Nothing: the JSON says.
    Unknown,
    /// It is `null`.
    Null,
    /// An integer.
    Int(i64),
    /// A point in time.
    Time(Time),
    /// A text, without quotes and escapes.
    Text(&'a str),
    /// A text or a time as JSON.
    Json(&'a str),
}

impl Column<'_> {
    /// How it compares with a prepared literal; `None`: the JSON says.
    fn compares(&self, comparison: Comparison, literal: &Literal) -> Option<bool> {
        let order = match (self, literal) {
            (Column::Unknown, _) => return None,
            (Column::Json(json), _) => return Some(compares(json, comparison, literal)),
            (Column::Null, _) => return Some(compares(NULL, comparison, literal)),
            // Anything but null.
            (_, Literal::Null) => return Some(comparison == Comparison::Ne),
            (Column::Int(value), Literal::Int(literal)) => value.cmp(literal),
            (Column::Time(value), Literal::Time(literal)) => value.cmp(literal),
            (Column::Text(value), Literal::Text(literal)) => order(value, literal),
            _ => return None,
        };
        Some(comparison.is_met(Some(order)))
    }
}

impl Condition {
    /// No deeper than [`Condition::MAX_DEPTH`].
    pub(super) fn decided(&self, columns: &impl Columns) -> Option<bool> {
        match &self.node {
            Node::Every(conditions) => joined(conditions, columns, false),
            Node::Some(conditions) => joined(conditions, columns, true),
            Node::Not(condition) => condition.decided(columns).map(|is_met| !is_met),
            Node::Compare(operand, comparison, literal) => {
                columns.column(operand.member?).compares(*comparison, literal)
            }
            Node::OneOf(operand, literals) => {
                let column = columns.column(operand.member?);
                let mut is_one = false;
                for literal in literals {
                    is_one |= column.compares(Comparison::Eq, literal)?;
                }
                Some(is_one)
            }
            Node::Text(operand, test, wanted) => match columns.column(operand.member?) {
                Column::Null => Some(false),
                Column::Text(value) => Some(is_made(value, *test, wanted)),
                Column::Json(json) => Some(text(json).is_some_and(|text| is_made(&text, *test, wanted))),
                Column::Unknown | Column::Int(_) | Column::Time(_) => None,
            },
            Node::Elements(..) => None,
        }
    }

    /// No deeper than [`Condition::MAX_DEPTH`].
    pub(super) fn only(&self, member: MemberId) -> Option<BTreeSet<&str>> {
        match &self.node {
            Node::Compare(operand, Comparison::Eq, Literal::Text(text)) if operand.member == Some(member) => {
                Some(BTreeSet::from([text.as_str()]))
            }
            Node::OneOf(operand, literals) if operand.member == Some(member) => {
                let texts = literals.iter().map(|literal| match literal {
                    Literal::Text(text) => Some(text.as_str()),
                    _ => None,
                });
                texts.collect()
            }
            Node::Some(conditions) => {
                let mut all = BTreeSet::new();
                for condition in conditions {
                    all.append(&mut condition.only(member)?);
                }
                Some(all)
            }
            Node::Every(conditions) => {
                let narrow = conditions.iter().filter_map(|condition| condition.only(member));
                narrow.min_by_key(BTreeSet::len)
            }
            _ => None,
        }
    }
}

/// `decisive` is what one alone decides: `true` where one must be met, `false` where all must.
fn joined(conditions: &[Condition], columns: &impl Columns, decisive: bool) -> Option<bool> {
    let mut all = Some(!decisive);
    for condition in conditions {
        match condition.decided(columns) {
            Some(is_met) if is_met == decisive => return Some(decisive),
            Some(_) => {}
            None => all = None,
        }
    }
    all
}
