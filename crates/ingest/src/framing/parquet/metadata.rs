//! The footer of a Parquet file: its schema, and where in the file the columns of each group of rows are.

use super::schema::Schema;
use super::thrift::{Kind, Reader};
use super::{Fault, MAGIC};

/// What a footer says.
pub struct Metadata {
    /// What rows are.
    pub schema: Schema,
    /// The groups of rows.
    pub groups: Vec<Group>,
}

/// Rows whose columns lie one after another.
#[derive(Default)]
pub struct Group {
    /// How many rows.
    pub rows: u64,
    /// Where each column of the schema is.
    pub chunks: Vec<Chunk>,
}

/// Where a column of a group is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunk {
    /// By what its pages are compressed.
    pub codec: i64,
    /// Where its first page begins.
    pub begin: usize,
    /// How many bytes its pages have.
    pub length: usize,
}

/// The longest footer, …
const MAX_FOOTER: usize = 16 << 20;
/// … and the most groups of rows.
const MAX_GROUPS: usize = 65_536;

const TOO_LARGE: Fault = Fault::Limit(
    "is Parquet with an end larger than 16 MiB or more than 65,536 groups of rows; write larger groups",
);
const ENCRYPTED: Fault = Fault::Limit("is encrypted Parquet, which is not read: write it without");
const ELSEWHERE: Fault = Fault::Limit("is Parquet with columns in other files, which is not read");

impl Metadata {
    /// Reads the footer of a file.
    pub fn of(file: &[u8]) -> Result<Metadata, Fault> {
        let (rest, end) = file.split_last_chunk::<8>().ok_or(Fault::Damage)?;
        let [a, b, c, d, magic @ ..] = *end;
        if magic != MAGIC {
            return Err(Fault::Damage);
        }
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(|_| Fault::Damage)?;
        let begin = rest.len().checked_sub(length).ok_or(Fault::Damage)?;
        if length > MAX_FOOTER {
            return Err(TOO_LARGE);
        }
        let mut reader = Reader::new(rest.get(begin..).unwrap_or_default());
        let (mut schema, mut groups) = (None, Vec::new());
        reader.fields(&mut |reader, field, kind| {
            match (field, kind) {
                (2, Kind::List) => schema = Some(Schema::read(reader)?),
                (4, Kind::List) => groups = read_list(reader, Group::read)?,
                (8, _) => return Err(ENCRYPTED),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let schema = schema.filter(|schema| !schema.leaves.is_empty()).ok_or(Fault::Damage)?;
        if groups.iter().any(|group| group.chunks.len() != schema.leaves.len()) {
            return Err(Fault::Damage);
        }
        Ok(Metadata { schema, groups })
    }
}

fn read_list<T>(
    reader: &mut Reader<'_>,
    read: fn(&mut Reader<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let (kind, count) = reader.list()?;
    if count > 0 && kind != Kind::Struct {
        return Err(Fault::Damage);
    }
    if count > MAX_GROUPS {
        return Err(TOO_LARGE);
    }
    (0..count).map(|_| read(reader)).collect()
}

impl Group {
    fn read(reader: &mut Reader<'_>) -> Result<Group, Fault> {
        let mut group = Group::default();
        reader.fields(&mut |reader, field, kind| {
            match (field, kind) {
                (1, Kind::List) => group.chunks = read_list(reader, Chunk::read)?,
                (3, Kind::Int) => group.rows = u64::try_from(reader.int()?).map_err(|_| Fault::Damage)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(group)
    }
}

impl Chunk {
    fn read(reader: &mut Reader<'_>) -> Result<Chunk, Fault> {
        let mut chunk = None;
        reader.fields(&mut |reader, field, kind| {
            match (field, kind) {
                (1, Kind::Binary) if reader.binary()?.is_empty() => {}
                (1, Kind::Binary) => return Err(ELSEWHERE),
                (3, Kind::Struct) => chunk = Some(Chunk::of_column(reader)?),
                (8 | 9, _) => return Err(ENCRYPTED),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        chunk.ok_or(Fault::Damage)
    }

    fn of_column(reader: &mut Reader<'_>) -> Result<Chunk, Fault> {
        let (mut chunk, mut data, mut dictionary) = (Chunk::default(), 0, None);
        reader.fields(&mut |reader, field, kind| {
            let mut place = || usize::try_from(reader.int()?).map_err(|_| Fault::Damage);
            match (field, kind) {
                (4, Kind::Int) => chunk.codec = reader.int()?,
                (7, Kind::Int) => chunk.length = place()?,
                (9, Kind::Int) => data = place()?,
                (11, Kind::Int) => dictionary = Some(place()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        // Some writers say 0 where there is no dictionary.
        chunk.begin = dictionary.filter(|place| (1..data).contains(place)).unwrap_or(data);
        Ok(chunk)
    }
}
