//! Chance, the same in every run.

use std::collections::BTreeSet;

use pintle_store::{DeviceRule, Operator, Row};

use super::model::{ADDRESSES, DOMAINS, Machine, NAMES, PLATFORMS, SOURCE_GROUPS, TAGS};

/// Splitmix: the same numbers in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    pub(super) fn some<T: Copy + Ord>(&mut self, of: &[T], percent: u64) -> BTreeSet<T> {
        of.iter().copied().filter(|_| self.chance(percent)).collect()
    }
}

pub(super) fn row(random: &mut Random, values: &[&'static str]) -> Row {
    let value = random.one(values);
    let (operator, value) = match random.below(4) {
        0 => (Operator::Equals, value),
        1 => (Operator::StartsWith, value.get(..2).unwrap()),
        2 => (Operator::EndsWith, value.get(value.len() - 2..).unwrap()),
        _ => (Operator::Contains, value.get(1..value.len().min(3)).unwrap()),
    };
    let value = if random.chance(30) { value.to_uppercase() } else { value.to_owned() };
    Row { operator, value }
}

pub(super) fn rule(random: &mut Random) -> DeviceRule {
    let mut rule = DeviceRule::default();
    for _ in 0..=random.below(2) {
        match random.below(5) {
            0 => rule.name.push(row(random, &NAMES)),
            1 => rule.domain.push(row(random, &DOMAINS)),
            2 => rule.tag.push(row(random, &TAGS)),
            3 => rule.os.push(random.one(&PLATFORMS).to_owned()),
            _ => rule.source_group.push(row(random, &SOURCE_GROUPS)),
        }
    }
    rule
}

pub(super) fn machine(random: &mut Random, id: u64, told: u32) -> Machine {
    Machine {
        name: format!("{}-{id}", random.one(&NAMES)),
        domain: random.one(&DOMAINS),
        platform: random.one(&PLATFORMS),
        tags: if random.chance(20) { BTreeSet::from([random.one(&TAGS)]) } else { random.some(&TAGS, 30) },
        source_group: random.one(&SOURCE_GROUPS),
        address: random.below(ADDRESSES),
        told,
    }
}
