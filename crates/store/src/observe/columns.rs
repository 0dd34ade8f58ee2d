//! Which columns of a hunting table name the machine and the files of a row. Found by name, once
//! a table: all twelve follow the same naming.

use std::sync::LazyLock;

use pintle_model::{ColumnId, Fact, Hashes, Row, Table, TableId, Time, shapes, tables};

use super::cut;
use crate::entity::{Entity, most};

static TABLES: LazyLock<Vec<TableColumns>> =
    LazyLock::new(|| tables::ALL.iter().map(|table| TableColumns::find(table)).collect());

/// What a row of one table says of the machine and its files.
pub(super) struct TableColumns {
    pub(super) timestamp: Option<ColumnId>,
    device_id: Option<ColumnId>,
    pub(super) device_name: Option<ColumnId>,
    pub(super) machine_group: Option<ColumnId>,
    /// The number that names the event, with its machine and its time.
    pub(super) report: Option<ColumnId>,
    /// The file that the event happened to.
    pub(super) target: Option<FileColumns>,
    /// The program that did it.
    pub(super) initiating: Option<FileColumns>,
}

impl TableColumns {
    pub(super) fn of(table: TableId) -> Option<&'static TableColumns> {
        TABLES.get(usize::from(table.0))
    }

    fn find(table: &Table) -> TableColumns {
        let column = |name: &str| table.column(name).map(|(column, _)| column);
        TableColumns {
            timestamp: column("Timestamp"),
            device_id: column("DeviceId"),
            device_name: column("DeviceName"),
            machine_group: column("MachineGroup"),
            report: column("ReportId"),
            target: FileColumns::find(table, "", "ProcessVersionInfo"),
            initiating: FileColumns::find(table, "InitiatingProcess", "InitiatingProcessVersionInfo"),
        }
    }

    /// The machine's id, as the decoder put it.
    pub(super) fn machine_id<'r>(&self, row: &'r Row) -> Option<&'r str> {
        row.text(self.device_id?)
    }
}

/// Columns that describe one file.
pub(super) struct FileColumns {
    sha1: Option<ColumnId>,
    sha256: Option<ColumnId>,
    md5: Option<ColumnId>,
    name: Option<ColumnId>,
    path: Option<ColumnId>,
    size: Option<ColumnId>,
    publisher: Option<ColumnId>,
    product: Option<ColumnId>,
    signer: Option<ColumnId>,
    signer_hash: Option<ColumnId>,
    issuer: Option<ColumnId>,
    trusted: Option<ColumnId>,
}

impl FileColumns {
    fn find(table: &Table, prefix: &str, version_info: &str) -> Option<FileColumns> {
        let column =
            |prefix: &str, name: &str| table.column(&format!("{prefix}{name}")).map(|(column, _)| column);
        let columns = FileColumns {
            sha1: column(prefix, "SHA1"),
            sha256: column(prefix, "SHA256"),
            md5: column(prefix, "MD5"),
            name: column(prefix, "FileName"),
            path: column(prefix, "FolderPath"),
            size: column(prefix, "FileSize"),
            publisher: column(version_info, "CompanyName"),
            product: column(version_info, "ProductName"),
            signer: column(prefix, "Signer"),
            signer_hash: column(prefix, "SignerHash"),
            issuer: column(prefix, "Issuer"),
            trusted: column(prefix, "IsTrusted"),
        };
        (columns.sha1.is_some() || columns.sha256.is_some() || columns.md5.is_some()).then_some(columns)
    }

    pub(super) fn hashes(&self, row: &Row) -> Hashes {
        let text = |column: Option<ColumnId>| row.text(column?);
        Hashes::read(text(self.sha1), text(self.sha256), text(self.md5))
    }

    /// Whether two rows of these columns' table say the same of a file.
    pub(super) fn say_the_same(&self, row: &Row, other: &Row) -> bool {
        let texts =
            [self.name, self.path, self.publisher, self.product, self.signer, self.signer_hash, self.issuer];
        let number = |row: &Row| self.size.and_then(|column| row.long(column));
        let is_trusted = |row: &Row| self.trusted.and_then(|column| row.bool(column));
        row.table_id() == other.table_id()
            && texts.into_iter().flatten().all(|column| row.text(column) == other.text(column))
            && number(row) == number(other)
            && is_trusted(row) == is_trusted(other)
    }

    /// Notes what the row says of the file. A file's content never changes, so its facts carry no
    /// time: where sources differ the smaller bytes stay.
    pub(super) fn note(&self, file: &mut Entity, row: &Row) {
        use shapes::file as f;
        let text = |column: Option<ColumnId>| row.text(column?);
        note_names(file, text(self.name), text(self.path));
        for (member, column) in [
            (f::FILE_PUBLISHER, self.publisher),
            (f::FILE_PRODUCT_NAME, self.product),
            (f::SIGNER, self.signer),
            (f::SIGNER_HASH, self.signer_hash),
            (f::ISSUER, self.issuer),
        ] {
            file.facts.note_text(member, Time::MIN, text(column).map(cut));
        }
        let size = self.size.and_then(|column| row.long(column)).filter(|size| *size >= 0);
        file.facts.note_plain(f::SIZE, Time::MIN, size);
        file.facts.note_plain(
            f::IS_VALID_CERTIFICATE,
            Time::MIN,
            self.trusted.and_then(|column| row.bool(column)),
        );
    }
}

/// Keeps a file's names and paths, as parts named `n:` and `p:`.
pub(super) fn note_names(file: &mut Entity, name: Option<&str>, path: Option<&str>) {
    for (kind, text) in [("n:", name), ("p:", path)] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let part = [kind, cut(text)].concat();
            if !file.parts.contains_key(part.as_str()) {
                file.note_part(part.into(), Fact { at: Time::MIN, json: "null".into() }, most::PATHS);
            }
        }
    }
}
