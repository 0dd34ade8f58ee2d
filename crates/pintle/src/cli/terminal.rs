//! Text for a terminal. Names and paths come from whoever wrote the telemetry, so what would move
//! the cursor, colour the screen or turn the reading direction is shown as an escape.

use std::fmt::{self, Write};

/// Shows hostile text as text: control characters (escape sequences and line ends among them),
/// directional marks and invisible characters are written as `\u{…}`.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if is_deceptive(character) {
                write!(f, "{}", character.escape_unicode())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Rows in columns, each as wide as its widest cell. Cells are made printable here, so that no
/// caller can forget it.
pub(crate) struct Table {
    /// How each column is set, by `<` (left) or `>` (right).
    layout: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table; `layout` has one `<` or `>` a column.
    pub(crate) fn new(layout: &'static str) -> Table {
        Table { layout, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) -> &mut Table {
        self.rows.push(cells.into_iter().map(|cell| Printable(cell.as_ref()).to_string()).collect());
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands alone in its row is a remark, which makes no column wider.
        let is_row = |row: &&Vec<String>| row.len() > 1 || self.layout.len() == 1;
        let width = |column: usize| {
            let cells = self.rows.iter().filter(is_row).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.layout.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), side) in row.iter().zip(&widths).zip(self.layout.chars()) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                match side {
                    '>' => write!(line, "{cell:>width$}")?,
                    _ => write!(line, "{cell:<width$}")?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A count with thousands set apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_steer_the_terminal() {
        for (hostile, shown) in [
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("a\r\nb\tc\x07", "a\\u{d}\\u{a}b\\u{9}c\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("invoice\u{202e}fdp.exe", "invoice\\u{202e}fdp.exe"),
            ("\u{2066}x\u{2069}\u{200b}", "\\u{2066}x\\u{2069}\\u{200b}"),
            ("naïve 文書.exe", "naïve 文書.exe"),
        ] {
            assert_eq!(Printable(hostile).to_string(), shown);
        }
    }

    #[test]
    fn a_table_lines_up_and_no_cell_breaks_it() {
        let mut table = Table::new("<>");
        table.row(["machine", "events"]).row(["ws-01", "7"]).row(["evil\nname", "1,200"]);
        let lines = "machine        events\nws-01               7\nevil\\u{a}name   1,200\n";
        assert_eq!(table.to_string(), lines);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
