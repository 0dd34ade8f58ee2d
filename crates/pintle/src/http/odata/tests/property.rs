//! Filters and entities by chance: what the parser and the store make of a filter's text is what an
//! evaluator says that follows the specification word by word on JSON values, and shares nothing
//! with them but the clock.

use std::cmp::Ordering;
use std::fmt::Write;

use pintle_model::{Kind, Time};
use serde_json::{Map, Value, json};

use super::super::fields::Fields;
use super::{ALERT, MACHINE, read};

/// xorshift64*: the same numbers for the same seed, everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

#[derive(Clone, Debug)]
enum Literal {
    Null,
    Text(String),
    Int(i64),
    Ticks(i64),
}

#[derive(Debug)]
enum Wanted {
    And(Vec<Wanted>),
    Or(Vec<Wanted>),
    Not(Box<Wanted>),
    /// A member; `None`: the element.
    Compare(Option<&'static str>, &'static str, Literal),
    In(Option<&'static str>, Vec<Literal>),
    Text(&'static str, Option<&'static str>, String),
    Elements(&'static str, &'static str, Box<Wanted>),
    NotEmpty(&'static str),
}

const TEXTS: [&str; 12] =
    ["", "a", "A", "ab", "aB.c", "High", "it's", "x+y", "\"q\\", "Büro", "BÜRO İß", "null"];
const INTS: [i64; 6] = [0, 1, -1, 140, i64::MAX, i64::MIN];
/// 2020-02-29T00:00:00Z and about it.
const DAY: i64 = 15_829_344_000_000_000;
const TICKS: [i64; 5] = [DAY, DAY - 1, DAY + 1, DAY + 10_000_000, DAY + 36_000_000_000];

fn text(chance: &mut Chance) -> String {
    let text = chance.pick(&TEXTS);
    if chance.one_in(4) { text.to_uppercase() } else { text.to_owned() }
}

fn literal(chance: &mut Chance, kind: Kind) -> Literal {
    match kind {
        _ if chance.one_in(8) => Literal::Null,
        Kind::Int => Literal::Int(chance.pick(&INTS)),
        Kind::Time => Literal::Ticks(chance.pick(&TICKS)),
        _ => Literal::Text(text(chance)),
    }
}

/// Members of the entities that are filtered by, and of the elements of their collections.
struct World {
    fields: &'static Fields,
    values: &'static [(&'static str, Kind)],
    enums: &'static [&'static str],
    texts: &'static [&'static str],
    objects: &'static [(&'static str, &'static [(&'static str, Kind)])],
}

const MACHINES: World = World {
    fields: &MACHINE,
    values: &[
        ("id", Kind::Text),
        ("computerDnsName", Kind::Text),
        ("lastSeen", Kind::Time),
        ("riskScore", Kind::Text),
        ("rbacGroupId", Kind::Int),
    ],
    enums: &["riskScore", "type"],
    texts: &["machineTags"],
    objects: &[("ipAddresses", &[("ipAddress", Kind::Text), ("type", Kind::Text)])],
};

const ALERTS: World = World {
    fields: &ALERT,
    values: &[
        ("id", Kind::Text),
        ("incidentId", Kind::Int),
        ("severity", Kind::Text),
        ("alertCreationTime", Kind::Time),
    ],
    enums: &["severity"],
    texts: &[],
    objects: &[(
        "evidence",
        &[("sha1", Kind::Text), ("processId", Kind::Int), ("evidenceCreationTime", Kind::Time)],
    )],
};

impl World {
    fn entity(&self, chance: &mut Chance) -> Value {
        let mut entity = object(chance, self.values);
        for name in self.texts {
            let texts: Vec<String> = (0..chance.below(3)).map(|_| text(chance)).collect();
            entity.insert((*name).to_owned(), json!(texts));
        }
        for (name, members) in self.objects {
            let objects: Vec<Value> =
                (0..chance.below(3)).map(|_| Value::Object(object(chance, members))).collect();
            entity.insert((*name).to_owned(), json!(objects));
        }
        Value::Object(entity)
    }

    fn wanted(&self, chance: &mut Chance, depth: usize, of: Option<&[(&'static str, Kind)]>) -> Wanted {
        let inner = |chance: &mut Chance| self.wanted(chance, depth - 1, of);
        let several = |chance: &mut Chance| (0..2 + chance.below(2)).map(|_| inner(chance)).collect();
        if depth > 0 {
            match chance.below(8) {
                0 | 1 => return Wanted::And(several(chance)),
                2 | 3 => return Wanted::Or(several(chance)),
                4 => return Wanted::Not(Box::new(inner(chance))),
                5 if of.is_none() => return self.elements(chance, depth),
                _ => {}
            }
        }
        let (name, kind) = match of {
            Some([]) => ("", Kind::Text),
            Some(members) => chance.pick(members),
            None => chance.pick(self.values),
        };
        let name = Some(name).filter(|name| !name.is_empty());
        match chance.below(4) {
            0 => Wanted::In(name, (0..1 + chance.below(3)).map(|_| literal(chance, kind)).collect()),
            1 if kind == Kind::Text => {
                Wanted::Text(chance.pick(&["startswith", "endswith", "contains"]), name, text(chance))
            }
            _ => {
                let is_enum = name.is_some_and(|name| self.enums.contains(&name));
                let some = if is_enum { 2 } else { 6 };
                let comparison = chance.pick(&["eq", "ne", "gt", "ge", "lt", "le"][..some]);
                Wanted::Compare(name, comparison, literal(chance, kind))
            }
        }
    }

    fn elements(&self, chance: &mut Chance, depth: usize) -> Wanted {
        let nth = chance.below(self.texts.len() + self.objects.len());
        let (name, members) = match self.texts.get(nth) {
            Some(name) => (*name, &[][..]),
            None => self.objects[nth - self.texts.len()],
        };
        if chance.one_in(8) {
            return Wanted::NotEmpty(name);
        }
        let inner = self.wanted(chance, depth - 1, Some(members));
        Wanted::Elements(name, chance.pick(&["any", "all"]), Box::new(inner))
    }
}

fn object(chance: &mut Chance, members: &[(&str, Kind)]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, kind) in members {
        let value = match literal(chance, *kind) {
            Literal::Null => Value::Null,
            Literal::Text(text) => text.into(),
            Literal::Int(number) => number.into(),
            Literal::Ticks(ticks) => Time::from_ticks(ticks).to_string().into(),
        };
        // Some are not there at all.
        if !chance.one_in(16) {
            object.insert((*name).to_owned(), value);
        }
    }
    object
}

/// By the letter of the specification, the plain way.
fn is_met(wanted: &Wanted, entity: &Value) -> bool {
    let value = |name: &Option<&str>| match name {
        Some(name) => entity.get(name).cloned().unwrap_or(Value::Null),
        None => entity.clone(),
    };
    match wanted {
        Wanted::And(all) => all.iter().all(|one| is_met(one, entity)),
        Wanted::Or(all) => all.iter().any(|one| is_met(one, entity)),
        Wanted::Not(one) => !is_met(one, entity),
        Wanted::Compare(name, comparison, literal) => {
            let (value, literal) = (value(name), literal);
            let order = order(&value, literal);
            match *comparison {
                "eq" => order == Some(Ordering::Equal),
                "ne" => order != Some(Ordering::Equal),
                _ if value.is_null() || matches!(literal, Literal::Null) => false,
                "gt" => order.unwrap().is_gt(),
                "ge" => order.unwrap().is_ge(),
                "lt" => order.unwrap().is_lt(),
                _ => order.unwrap().is_le(),
            }
        }
        Wanted::In(name, literals) => {
            let value = value(name);
            literals.iter().any(|literal| order(&value, literal) == Some(Ordering::Equal))
        }
        Wanted::Text(function, name, wanted) => {
            let value = value(name);
            let (Some(text), wanted) = (value.as_str().map(lower), lower(wanted)) else { return false };
            match *function {
                "startswith" => text.starts_with(&wanted),
                "endswith" => text.ends_with(&wanted),
                _ => text.contains(&wanted),
            }
        }
        Wanted::Elements(name, quantifier, wanted) => {
            let mut elements = entity[name].as_array().unwrap().iter();
            match *quantifier {
                "any" => elements.any(|element| is_met(wanted, element)),
                _ => elements.all(|element| is_met(wanted, element)),
            }
        }
        Wanted::NotEmpty(name) => !entity[name].as_array().unwrap().is_empty(),
    }
}

/// `None`: one of them is null, and not the other.
fn order(value: &Value, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Null, Literal::Null) => Some(Ordering::Equal),
        (Value::Null, _) | (_, Literal::Null) => None,
        (_, Literal::Text(text)) => Some(lower(value.as_str().unwrap()).cmp(&lower(text))),
        (_, Literal::Int(number)) => Some(value.as_i64().unwrap().cmp(number)),
        (_, Literal::Ticks(ticks)) => Some(Time::parse(value.as_str().unwrap()).unwrap().ticks().cmp(ticks)),
    }
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The text of a filter, in one of the spellings that mean the same.
struct Spelling<'c> {
    chance: &'c mut Chance,
    text: String,
    variable: Option<&'static str>,
}

impl Spelling<'_> {
    fn space(&mut self) {
        self.text.push_str(self.chance.pick(&[" ", " ", "+", "  ", " + "]));
    }

    fn may_space(&mut self) {
        if self.chance.one_in(4) {
            self.space();
        }
    }

    fn word(&mut self, word: &str) {
        match self.chance.below(6) {
            0 => self.text.push_str(&word.to_uppercase()),
            1 => self.text.push_str(&word.to_lowercase()),
            _ => self.text.push_str(word),
        }
    }

    fn name(&mut self, name: Option<&str>) {
        if let Some(variable) = self.variable {
            self.text.push_str(variable);
        }
        if self.variable.is_some() && name.is_some() {
            self.text.push('/');
        }
        self.word(name.unwrap_or_default());
    }

    /// `level`: how close what is around it binds: 0 nothing, 1 `or`, 2 `and`, 3 `not`.
    fn wanted(&mut self, wanted: &Wanted, level: usize) {
        let own = match wanted {
            Wanted::Or(_) => 1,
            Wanted::And(_) => 2,
            _ => 3,
        };
        let in_brackets = own < level || self.chance.one_in(10);
        if in_brackets {
            self.text.push('(');
            self.may_space();
        }
        match wanted {
            Wanted::And(all) | Wanted::Or(all) => {
                for (nth, one) in all.iter().enumerate() {
                    if nth > 0 {
                        self.space();
                        self.word(if own == 1 { "or" } else { "and" });
                        self.space();
                    }
                    self.wanted(one, own + 1);
                }
            }
            Wanted::Not(one) => {
                self.word("not");
                self.space();
                self.wanted(one, 3);
            }
            Wanted::Compare(name, comparison, literal) => {
                self.name(*name);
                self.space();
                self.word(comparison);
                self.space();
                self.literal(literal);
            }
            Wanted::In(name, literals) => {
                self.name(*name);
                self.space();
                self.word("in");
                self.may_space();
                for (nth, literal) in literals.iter().enumerate() {
                    self.text.push(if nth == 0 { '(' } else { ',' });
                    self.may_space();
                    self.literal(literal);
                    self.may_space();
                }
                self.text.push(')');
            }
            Wanted::Text(function, name, text) => {
                self.word(function);
                self.text.push('(');
                self.name(*name);
                self.may_space();
                self.text.push(',');
                self.may_space();
                self.literal(&Literal::Text(text.clone()));
                self.text.push(')');
            }
            Wanted::Elements(name, quantifier, wanted) => {
                self.word(name);
                self.text.push('/');
                self.word(quantifier);
                let variable = self.chance.pick(&["x", "tag", "id"]);
                write!(self.text, "({variable}:").unwrap();
                self.may_space();
                self.variable = Some(variable);
                self.wanted(wanted, 0);
                self.variable = None;
                self.text.push(')');
            }
            Wanted::NotEmpty(name) => {
                self.word(name);
                self.text.push_str("/any()");
            }
        }
        if in_brackets {
            self.may_space();
            self.text.push(')');
        }
    }

    fn literal(&mut self, literal: &Literal) {
        match literal {
            Literal::Null => self.word("null"),
            Literal::Text(text) => write!(self.text, "'{}'", text.replace('\'', "''")).unwrap(),
            Literal::Int(number) if self.chance.one_in(4) => write!(self.text, "'{number}'").unwrap(),
            Literal::Int(number) => write!(self.text, "{number}").unwrap(),
            Literal::Ticks(ticks) => self.time(*ticks),
        }
    }

    fn time(&mut self, ticks: i64) {
        if ticks == DAY && self.chance.one_in(2) {
            return self.text.push_str(self.chance.pick(&["2020-02-29", "2020-02-29Z", "2020-02-29T00:00Z"]));
        }
        let (minutes, offset) = self.chance.pick(&[
            (0, "Z"),
            (0, "z"),
            (0, "+00:00"),
            (90, "+01:30"),
            (120, " 02:00"),
            (-300, "-05:00"),
            (840, "+14:00"),
        ]);
        let local = Time::from_ticks(ticks + minutes * 600_000_000).to_string();
        let local = local.trim_end_matches('Z');
        let zeros = match local.split_once('.') {
            Some((_, fraction)) => "0".repeat(7 - fraction.len()),
            None => (self.chance.pick(&["", ".0", ".0000000"])).to_owned(),
        };
        write!(self.text, "{local}{zeros}{offset}").unwrap();
    }
}

#[test]
fn a_filter_takes_what_the_specification_says() {
    const SEED: u64 = 0x7069_6e74_6c65;
    const FILTERS: usize = 40_000;
    const ENTITIES: usize = 5;
    let (mut met, mut cases) = (0, 0);
    let mut chance = Chance(SEED);
    for nth in 0..FILTERS {
        let world = if nth % 2 == 0 { &MACHINES } else { &ALERTS };
        let depth = chance.below(5);
        let wanted = world.wanted(&mut chance, depth, None);
        let mut spelling = Spelling { chance: &mut chance, text: String::new(), variable: None };
        spelling.wanted(&wanted, 0);
        let text = spelling.text;
        let filter = read(&text, world.fields).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        for _ in 0..ENTITIES {
            let entity = world.entity(&mut chance);
            let expected = is_met(&wanted, &entity);
            assert_eq!(filter.matches(&entity.to_string()), expected, "{text}\n{entity}\n{wanted:?}");
            met += usize::from(expected);
            cases += 1;
        }
    }
    // Neither all nor nothing.
    assert!(met > cases / 5 && met < cases * 4 / 5, "{met} of {cases}");
}
