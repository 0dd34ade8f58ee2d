//! Whether a record names a file by its hash, and why not where it should.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem;
use pintle_model::{ColumnId, Hashes, Record, Row, Table, tables};

/// Why an event about a file has no usable hash of it: the source gave none, …
const NONE: &str = "no hash given";
/// … only of kinds that identify no file (IMPHASH, an authentihash), or what is no hash, …
const OTHERS: &str = "only hashes of other kinds";
/// … or zeros in place of one.
const ZEROS: &str = "only zeros";

/// What a record says of files by their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Some file, in any role, by a usable hash.
    pub any: bool,
    /// The file that an event about one is about; `None`: it is about none. Else why it does not.
    pub object: Option<Result<(), &'static str>>,
}

impl Names {
    /// What a record names.
    pub fn of(record: &Record) -> Names {
        match record {
            Record::Row(row) => Names::of_row(row),
            Record::Alert(alert) => {
                let any = alert.evidence.iter().any(|piece| !piece.hashes().is_empty());
                Names { any, object: None }
            }
            Record::Machine(_) => Names::default(),
        }
    }

    fn of_row(row: &Row) -> Names {
        let Some(columns) = COLUMNS.get(usize::from(row.table_id().0)) else { return Names::default() };
        let [object, process] = &columns.roles;
        let is_named = is_usable(row, object);
        let any = is_named || is_usable(row, process);
        let told = columns.is_of_files.then(|| if is_named { Ok(()) } else { Err(lacks(row, columns)) });
        Names { any, object: told }
    }
}

type Role = [Option<ColumnId>; 3];

fn is_usable(row: &Row, [sha1, sha256, md5]: &Role) -> bool {
    let text = |column: &Option<ColumnId>| column.and_then(|column| row.text(column));
    let is_usable = |hashes: Hashes| !hashes.is_empty();
    // Whichever comes first is enough.
    text(sha1).is_some_and(|text| is_usable(Hashes::read(Some(text), None, None)))
        || text(sha256).is_some_and(|text| is_usable(Hashes::read(None, Some(text), None)))
        || text(md5).is_some_and(|text| is_usable(Hashes::read(None, None, Some(text))))
}

/// Why a row's file has no usable hash.
fn lacks(row: &Row, columns: &Columns) -> &'static str {
    let [object, _] = &columns.roles;
    let given = object.iter().flatten().find_map(|column| row.text(*column)).map(Cow::Borrowed);
    // What a decoder could not use it kept.
    let left = || row.text(columns.additional?).and_then(left_over);
    match given.or_else(left) {
        None => NONE,
        Some(text) if is_zeros(&text) => ZEROS,
        Some(_) => OTHERS,
    }
}

/// The text of hashes among additional fields.
fn left_over(fields: &str) -> Option<Cow<'_, str>> {
    const NAMES: [&str; 2] = ["\"Hashes\":\"", "\"Hash\":\""];
    let begin = NAMES
        .iter()
        .find_map(|name| memmem::find(fields.as_bytes(), name.as_bytes()).map(|place| place + name.len()))?;
    fields.get(begin..)?.split('"').next().map(Cow::Borrowed)
}

/// Whether one of the hashes in a text is nothing but zeros.
fn is_zeros(text: &str) -> bool {
    let value = |part: &str| part.split_once('=').map_or(part, |(_, value)| value).trim().to_owned();
    let is_zero = |value: String| value.len() >= 32 && value.bytes().all(|byte| byte == b'0');
    text.split(',').any(|part| is_zero(value(part)))
}

/// The columns of a table that name files.
struct Columns {
    /// The SHA-1, SHA-256 and MD5 of its two roles.
    roles: [Role; 2],
    /// Whether its events are about files.
    is_of_files: bool,
    additional: Option<ColumnId>,
}

/// By table.
static COLUMNS: LazyLock<Vec<Columns>> = LazyLock::new(|| {
    let roles = [
        ["SHA1", "SHA256", "MD5"],
        ["InitiatingProcessSHA1", "InitiatingProcessSHA256", "InitiatingProcessMD5"],
    ];
    let of_files = ["DeviceFileEvents", "DeviceImageLoadEvents", "DeviceProcessEvents"];
    let columns = |table: &&Table| {
        let column = |name: &str| table.column(name).map(|(column, _)| column);
        Columns {
            roles: roles.map(|names| names.map(column)),
            is_of_files: of_files.contains(&table.name),
            additional: column("AdditionalFields"),
        }
    };
    tables::ALL.iter().map(columns).collect()
});

#[cfg(test)]
mod tests {
    use pintle_model::Cell;
    use pintle_model::tables::{device_events, device_file_events as file};

    use super::*;

    #[test]
    fn an_event_about_a_file_says_why_it_has_no_hash() {
        let told = |hash: Option<(ColumnId, &str)>, additional: &str| {
            let mut row = Row::new(&file::TABLE);
            if let Some((column, text)) = hash {
                row.set_text(column, Some(text));
            }
            row.set(file::ADDITIONAL_FIELDS, Cell::Text(additional));
            Names::of(&Record::Row(row)).object.unwrap()
        };
        let zeros = "0".repeat(40);
        assert_eq!(told(Some((file::SHA1, &"ab".repeat(20))), ""), Ok(()));
        assert_eq!(told(None, "{\"EventID\":11}"), Err(NONE));
        assert_eq!(told(Some((file::SHA1, &zeros)), ""), Err(ZEROS));
        assert_eq!(told(Some((file::MD5, "-")), ""), Err(OTHERS));
        assert_eq!(told(None, "{\"Hashes\":\"IMPHASH=0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F\"}"), Err(OTHERS));
        assert_eq!(told(None, &format!("{{\"Hashes\":\"SHA1={zeros},IMPHASH=0F\"}}")), Err(ZEROS));
        assert_eq!(Names::of(&Record::Row(Row::new(&device_events::TABLE))).object, None);
    }
}
