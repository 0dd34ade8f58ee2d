//! Results of osquery's queries, as its file logger writes them. It hashes what runs and what its events
//! of files tell; of a library that was loaded it only knows that the file is there.

use pintle_model::tables::{
    device_file_events as file_event, device_image_load_events as load, device_logon_events as logon,
    device_network_events as network, device_process_events as process,
};
use pintle_model::{ColumnId, Record, Row, Time};
use serde_json::{Map, Value, json};

use super::Sender;

/// Results, one row a line.
pub(super) fn results(record: &Record, _: &mut Sender, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let Record::Row(row) = record else { return Ok(()) };
    let Some((query, columns)) = columns(row) else { return Ok(()) };
    // The first columns of every event table.
    let (Some(time), Some(id), Some(name)) =
        (row.time(process::TIMESTAMP), row.text(process::DEVICE_ID), row.text(process::DEVICE_NAME))
    else {
        return Ok(());
    };
    let line = json!({
        "name": query,
        "hostIdentifier": name,
        "calendarTime": calendar(time),
        "unixTime": time.unix_seconds(),
        "epoch": 0,
        "counter": 1,
        "numerics": false,
        "decorations": { "host_uuid": uuid(id) },
        "columns": columns,
        "action": "added",
    });
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

/// The query that a row comes from, and its values, which are all texts.
fn columns(row: &Row) -> Option<(&'static str, Map<String, Value>)> {
    let table = row.table_id();
    let mut columns = Map::new();
    let mut set = |name: &str, value: Option<String>| {
        columns.insert(name.into(), value.unwrap_or_default().into());
    };
    let text = |column: ColumnId| row.text(column).map(str::to_owned);
    let number = |column: ColumnId| row.long(column).map(|number| number.to_string());
    let time = row.time(process::TIMESTAMP).map(|time| time.unix_seconds().to_string());
    let query = if table == process::TABLE.id {
        set("pid", number(process::PROCESS_ID));
        set("path", text(process::FOLDER_PATH));
        set("cmdline", text(process::PROCESS_COMMAND_LINE));
        set("parent", number(process::INITIATING_PROCESS_ID));
        set("username", text(process::ACCOUNT_NAME));
        set("md5", text(process::MD5));
        set("sha1", text(process::SHA1));
        set("sha256", text(process::SHA256));
        set("time", time);
        "process_events"
    } else if table == load::TABLE.id {
        set("path", text(load::FOLDER_PATH));
        set("md5", text(load::MD5));
        set("sha1", text(load::SHA1));
        set("sha256", text(load::SHA256));
        "libraries"
    } else if table == file_event::TABLE.id {
        let is_deleted = row.text(file_event::ACTION_TYPE) == Some("FileDeleted");
        set("action", Some(if is_deleted { "DELETED" } else { "CREATED" }.to_owned()));
        set("category", Some("watched".to_owned()));
        set("target_path", text(file_event::FOLDER_PATH));
        set("md5", text(file_event::MD5));
        set("sha1", text(file_event::SHA1));
        set("sha256", text(file_event::SHA256));
        set("size", number(file_event::FILE_SIZE));
        set("time", time);
        "file_events"
    } else if table == network::TABLE.id {
        set("action", Some("connect".to_owned()));
        set("pid", number(network::INITIATING_PROCESS_ID));
        set("path", text(network::INITIATING_PROCESS_FOLDER_PATH));
        set("status", Some("succeeded".to_owned()));
        set("local_address", text(network::LOCAL_IP));
        set("local_port", number(network::LOCAL_PORT));
        set("remote_address", text(network::REMOTE_IP));
        set("remote_port", number(network::REMOTE_PORT));
        set("time", time);
        "socket_events"
    } else if table == logon::TABLE.id && row.text(logon::ACTION_TYPE) == Some("LogonSuccess") {
        set("username", text(logon::ACCOUNT_NAME));
        set("tty", Some("pts/0".to_owned()));
        set("type", Some("7".to_owned()));
        set("type_name", Some("user-process".to_owned()));
        set("host", text(logon::REMOTE_IP));
        set("time", time);
        "last"
    } else {
        return None;
    };
    Some((query, columns))
}

/// `Thu Jan 15 09:30:00 2026 UTC`.
fn calendar(time: Time) -> String {
    let time = jiff::Timestamp::from_second(time.unix_seconds()).unwrap_or_default();
    time.strftime("%a %b %e %H:%M:%S %Y UTC").to_string()
}

/// A UUID out of the hexadecimal digits of a machine's id.
fn uuid(id: &str) -> String {
    let part = |from: usize, to: usize| id.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
