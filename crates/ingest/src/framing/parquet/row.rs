//! A row becomes a JSON object. Columns hold the values of all rows, each with how much of the path to it is
//! there and at which level it stands once more: from that the members and lists are put together again.
//! What is not there is left out.

use pintle_model::Time;

use super::column::{Column, Place};
use super::schema::{Leaf, Meaning, Node, Schema, Shape, Stored};
use super::values::Value;
use super::{Budget, Fault, MAX_RECORD};
use crate::json;

/// The columns of a group of rows, from which rows are taken.
pub struct Rows<'f, 's> {
    schema: &'s Schema,
    columns: Vec<Column<'f>>,
    budget: &'s Budget,
}

/// Why a row was not written.
pub enum Unwritten {
    /// It is longer than a record may be; the next one can be read.
    TooLong,
    /// Nothing behind it can be read.
    Fault(Fault),
}

impl From<Fault> for Unwritten {
    fn from(fault: Fault) -> Unwritten {
        Unwritten::Fault(fault)
    }
}

impl<'f, 's> Rows<'f, 's> {
    /// The rows in some columns.
    pub fn of(schema: &'s Schema, columns: Vec<Column<'f>>, budget: &'s Budget) -> Rows<'f, 's> {
        Rows { schema, columns, budget }
    }

    /// Writes the next row.
    pub fn next(&mut self, out: &mut String) -> Result<(), Unwritten> {
        out.clear();
        let schema = self.schema;
        let written = match schema.nodes.first() {
            Some(row) => self.members(row, out),
            None => Err(Fault::Damage.into()),
        };
        self.budget.work(out.len() as u64)?;
        match written {
            Err(Unwritten::TooLong) => {
                self.pass_row()?;
                Err(Unwritten::TooLong)
            }
            written => written,
        }
    }

    /// Whether every column stands at the beginning of a row, or at its end.
    pub fn is_between_rows(&mut self) -> Result<bool, Fault> {
        for column in &mut self.columns {
            if column.peek(self.budget)?.is_some_and(|place| place.repetition > 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Passes what is left of a row.
    fn pass_row(&mut self) -> Result<(), Fault> {
        for column in &mut self.columns {
            while column.peek(self.budget)?.is_some_and(|place| place.repetition > 0) {
                column.take(self.budget)?;
            }
        }
        Ok(())
    }

    /// Writes the members of a group. Going down ends where the schema does.
    fn members(&mut self, group: &Node, out: &mut String) -> Result<(), Unwritten> {
        out.push('{');
        for member in &group.children {
            let before = out.len();
            let Some(node) = self.schema.nodes.get(*member) else { continue };
            if !out.ends_with('{') {
                out.push(',');
            }
            json::write_string(out, &node.name);
            out.push(':');
            let is_there =
                if node.is_repeated { self.list(node, None, out)? } else { self.value(node, out)? };
            if !is_there {
                out.truncate(before);
            }
        }
        out.push('}');
        Ok(())
    }

    /// Writes what is at a node, if it is there.
    fn value(&mut self, node: &Node, out: &mut String) -> Result<bool, Unwritten> {
        if self.place(node)?.level < node.level {
            self.pass(node)?;
            return Ok(false);
        }
        self.inside(node, out)
    }

    /// Writes what is at a node that is there.
    fn inside(&mut self, node: &Node, out: &mut String) -> Result<bool, Unwritten> {
        let schema = self.schema;
        let at = |place: usize| schema.nodes.get(place).ok_or(Fault::Damage);
        match node.shape {
            Shape::Group => self.members(node, out).map(|()| true),
            Shape::List { repeated, element } => {
                let element = element.map(at).transpose()?;
                self.list(at(repeated)?, element, out)
            }
            Shape::Map { repeated, key, value } => self.map(at(repeated)?, at(key)?, at(value)?, out),
            Shape::Leaf => {
                let column = self.columns.get_mut(node.columns.start).ok_or(Fault::Damage)?;
                let leaf = column.leaf;
                let value = column.take(self.budget)?.ok_or(Fault::Damage)?;
                let is_there = write(value, &leaf, out);
                if out.len() > MAX_RECORD { Err(Unwritten::TooLong) } else { Ok(is_there) }
            }
        }
    }

    /// Writes what stands at a repeated node as often as it does; nothing if it does not.
    fn list(&mut self, repeated: &Node, element: Option<&Node>, out: &mut String) -> Result<bool, Unwritten> {
        if self.place(repeated)?.level < repeated.level {
            self.pass(repeated)?;
            return Ok(false);
        }
        out.push('[');
        loop {
            let is_there = match element {
                Some(element) => self.value(element, out)?,
                None => self.inside(repeated, out)?,
            };
            if !is_there {
                out.push_str("null");
            }
            if out.len() > MAX_RECORD {
                return Err(Unwritten::TooLong);
            }
            if !self.is_repeated(repeated)? {
                break;
            }
            out.push(',');
        }
        out.push(']');
        Ok(true)
    }

    /// Writes keys and values as an object.
    fn map(
        &mut self,
        repeated: &Node,
        key: &Node,
        value: &Node,
        out: &mut String,
    ) -> Result<bool, Unwritten> {
        if self.place(repeated)?.level < repeated.level {
            self.pass(repeated)?;
            return Ok(false);
        }
        out.push('{');
        loop {
            let before = out.len();
            if !out.ends_with('{') {
                out.push(',');
            }
            let begin = out.len();
            let has_key = self.value(key, out)?;
            // Names of members are texts, whatever keys are.
            if has_key && out.get(begin..).is_some_and(|key| !key.starts_with('"')) {
                let key = out.split_off(begin);
                json::write_string(out, &key);
            }
            out.push(':');
            let is_there = self.value(value, out)?;
            if !has_key || !is_there {
                out.truncate(before);
            }
            if out.len() > MAX_RECORD {
                return Err(Unwritten::TooLong);
            }
            if !self.is_repeated(repeated)? {
                break;
            }
        }
        out.push('}');
        Ok(true)
    }

    /// The place at which the first column of a node stands.
    fn place(&mut self, node: &Node) -> Result<Place, Fault> {
        let column = self.columns.get_mut(node.columns.start).ok_or(Fault::Damage)?;
        column.peek(self.budget)?.ok_or(Fault::Damage)
    }

    /// Whether a node stands once more where it just did.
    fn is_repeated(&mut self, node: &Node) -> Result<bool, Fault> {
        let column = self.columns.get_mut(node.columns.start).ok_or(Fault::Damage)?;
        Ok(column.peek(self.budget)?.is_some_and(|place| place.repetition == node.repetition))
    }

    /// Passes a node that is not there: each column has one place that says so.
    fn pass(&mut self, node: &Node) -> Result<(), Fault> {
        for column in self.columns.get_mut(node.columns.clone()).unwrap_or_default() {
            column.take(self.budget)?;
        }
        Ok(())
    }
}

/// Writes a value; `false`, and nothing, for one that JSON has no way of writing.
fn write(value: Value<'_>, leaf: &Leaf, out: &mut String) -> bool {
    match value {
        Value::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Value::Int(number) => return write_int(number, leaf, out),
        Value::Bytes(bytes) => return write_bytes(bytes, leaf, out),
    }
    true
}

fn write_int(number: i64, leaf: &Leaf, out: &mut String) -> bool {
    const TICKS_A_SECOND: i64 = 10_000_000;
    const TICKS_A_DAY: i64 = 86_400 * TICKS_A_SECOND;
    match leaf.meaning {
        Meaning::Unsigned if leaf.stored == Stored::Int32 => out.push_str(&(number as u32).to_string()),
        Meaning::Unsigned => out.push_str(&number.cast_unsigned().to_string()),
        Meaning::Decimal(scale) => write_decimal(number.into(), scale, out),
        Meaning::Date => {
            let day = Time::from_ticks(number.saturating_mul(TICKS_A_DAY)).to_string();
            json::write_string(out, day.split('T').next().unwrap_or(&day));
        }
        Meaning::Time(units) if units <= TICKS_A_SECOND => {
            write_time(Time::from_ticks(number.saturating_mul(TICKS_A_SECOND / units)), out);
        }
        Meaning::Time(units) => write_time(Time::from_ticks(number / (units / TICKS_A_SECOND)), out),
        Meaning::Plain | Meaning::Text | Meaning::Guid => out.push_str(&number.to_string()),
    }
    true
}

fn write_bytes(bytes: &[u8], leaf: &Leaf, out: &mut String) -> bool {
    match (leaf.stored, leaf.meaning) {
        (Stored::Float, _) => match bytes.first_chunk() {
            Some(bytes) => write_float(f32::from_le_bytes(*bytes).into(), out),
            None => false,
        },
        (Stored::Double, _) => match bytes.first_chunk() {
            Some(bytes) => write_float(f64::from_le_bytes(*bytes), out),
            None => false,
        },
        (Stored::Int96, _) => write_int96(bytes, out),
        (_, Meaning::Decimal(scale)) if bytes.len() <= 16 => {
            let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
            let whole =
                bytes.iter().fold(i128::from(sign as i8), |whole, byte| whole << 8 | i128::from(*byte));
            write_decimal(whole, scale, out);
            true
        }
        (_, Meaning::Guid) => {
            let text = hex(bytes);
            let mut parts = Vec::new();
            let mut rest = text.as_str();
            for length in [8, 4, 4, 4] {
                let (part, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
                parts.push(part);
                rest = after;
            }
            parts.push(rest);
            json::write_string(out, &parts.join("-"));
            true
        }
        (_, Meaning::Text) => {
            json::write_string(out, &String::from_utf8_lossy(bytes));
            true
        }
        // Older writers do not say that a text is one.
        _ => {
            match str::from_utf8(bytes) {
                Ok(text) => json::write_string(out, text),
                Err(_) => json::write_string(out, &hex(bytes)),
            }
            true
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_time(time: Time, out: &mut String) {
    json::write_string(out, &time.to_string());
}

fn write_float(number: f64, out: &mut String) -> bool {
    if number.is_finite() {
        out.push_str(&format!("{number:?}"));
    }
    number.is_finite()
}

/// Nanoseconds of a day, and the day by its number since 4713 BC.
fn write_int96(bytes: &[u8], out: &mut String) -> bool {
    let Some((nanoseconds, day)) = bytes.split_first_chunk() else { return false };
    let Some(day) = day.first_chunk() else { return false };
    const DAY_OF_1970: i64 = 2_440_588;
    let days = i64::from(i32::from_le_bytes(*day)) - DAY_OF_1970;
    let ticks = days.checked_mul(864_000_000_000);
    let ticks = ticks.and_then(|ticks| ticks.checked_add(i64::from_le_bytes(*nanoseconds) / 100));
    ticks.is_some_and(|ticks| {
        write_time(Time::from_ticks(ticks), out);
        true
    })
}

fn write_decimal(whole: i128, scale: u32, out: &mut String) {
    let scale = usize::try_from(scale).unwrap_or_default().min(64);
    let digits = format!("{:0>width$}", whole.unsigned_abs(), width = scale + 1);
    let (before, after) = digits.split_at_checked(digits.len() - scale).unwrap_or((&digits, ""));
    out.push_str(if whole < 0 { "-" } else { "" });
    out.push_str(before);
    if !after.is_empty() {
        out.push('.');
        out.push_str(after);
    }
}
