//! Records as they go through the pipe.

use pintle_model::{Alert, Cell, ColumnId, Machine, Record, Row, Table, TableId, Time};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// A record whose texts lie in the bytes it was read from.
#[derive(Serialize, Deserialize)]
enum Sent<'b> {
    Row(u8, #[serde(borrow)] Vec<(u8, Value<'b>)>),
    Alert(Box<Alert>),
    Machine(Box<Machine>),
}

#[derive(Serialize, Deserialize)]
enum Value<'b> {
    Text(&'b str),
    Long(i64),
    Bool(bool),
    Time(Time),
}

/// Records as bytes.
pub fn pack(records: &[Record]) -> Result<Vec<u8>, Failure> {
    let value = |cell| match cell {
        Cell::Text(text) => Value::Text(text),
        Cell::Long(number) => Value::Long(number),
        Cell::Bool(value) => Value::Bool(value),
        Cell::Time(time) => Value::Time(time),
    };
    let sent = records.iter().map(|record| match record {
        Record::Row(row) => {
            Sent::Row(row.table_id().0, row.cells().map(|(column, cell)| (column.0, value(cell))).collect())
        }
        Record::Alert(alert) => Sent::Alert(Box::new(alert.clone())),
        Record::Machine(machine) => Sent::Machine(Box::new(machine.clone())),
    });
    Ok(postcard::to_stdvec(&sent.collect::<Vec<_>>())?)
}

/// Records from the bytes that [`pack`] made of them.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Record>, Failure> {
    let sent: Vec<Sent<'_>> = postcard::from_bytes(bytes)?;
    sent.into_iter()
        .map(|sent| match sent {
            Sent::Row(table, cells) => {
                let mut row = Row::new(Table::get(TableId(table)).ok_or("a row of no table")?);
                for (column, value) in cells {
                    let cell = match value {
                        Value::Text(text) => Cell::Text(text),
                        Value::Long(number) => Cell::Long(number),
                        Value::Bool(value) => Cell::Bool(value),
                        Value::Time(time) => Cell::Time(time),
                    };
                    row.set(ColumnId(column), cell);
                }
                Ok(Record::Row(row))
            }
            Sent::Alert(alert) => Ok(Record::Alert(*alert)),
            Sent::Machine(machine) => Ok(Record::Machine(*machine)),
        })
        .collect()
}
