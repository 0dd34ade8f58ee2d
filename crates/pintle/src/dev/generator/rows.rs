//! Events as rows of the hunting tables, with the columns that a sensor fills.

use std::sync::Arc;

use pintle_model::tables::{
    device_file_certificate_info as certificate, device_file_events as file_event,
    device_image_load_events as load, device_info as info, device_logon_events as logon,
    device_network_events as network, device_network_info as adapter, device_process_events as process,
};
use pintle_model::{ColumnId, Record, Row, Table, Time};

use super::file::{File, Kind};
use super::machine::Machine;
use super::words;

/// Where a table keeps the process behind an event.
struct Initiator {
    sha1: ColumnId,
    sha256: ColumnId,
    md5: ColumnId,
    name: ColumnId,
    folder: ColumnId,
    command_line: ColumnId,
    id: ColumnId,
    created: ColumnId,
    account_domain: ColumnId,
    account_name: ColumnId,
    account_sid: ColumnId,
    parent_name: ColumnId,
}

macro_rules! initiator {
    ($table:ident) => {
        &Initiator {
            sha1: $table::INITIATING_PROCESS_SHA1,
            sha256: $table::INITIATING_PROCESS_SHA256,
            md5: $table::INITIATING_PROCESS_MD5,
            name: $table::INITIATING_PROCESS_FILE_NAME,
            folder: $table::INITIATING_PROCESS_FOLDER_PATH,
            command_line: $table::INITIATING_PROCESS_COMMAND_LINE,
            id: $table::INITIATING_PROCESS_ID,
            created: $table::INITIATING_PROCESS_CREATION_TIME,
            account_domain: $table::INITIATING_PROCESS_ACCOUNT_DOMAIN,
            account_name: $table::INITIATING_PROCESS_ACCOUNT_NAME,
            account_sid: $table::INITIATING_PROCESS_ACCOUNT_SID,
            parent_name: $table::INITIATING_PROCESS_PARENT_FILE_NAME,
        }
    };
}

/// Where a table keeps the file that an event is about.
struct Target {
    name: ColumnId,
    folder: ColumnId,
    sha1: ColumnId,
    sha256: ColumnId,
    md5: ColumnId,
    size: ColumnId,
}

macro_rules! target {
    ($table:ident) => {
        &Target {
            name: $table::FILE_NAME,
            folder: $table::FOLDER_PATH,
            sha1: $table::SHA1,
            sha256: $table::SHA256,
            md5: $table::MD5,
            size: $table::FILE_SIZE,
        }
    };
}

/// Begins a row with what every table has.
macro_rules! begin {
    ($table:ident, $machine:expr, $at:expr) => {{
        let mut row = Row::new(&$table::TABLE);
        row.set_time($table::TIMESTAMP, Some($at));
        row.set_text($table::DEVICE_ID, Some(&$machine.id));
        row.set_text($table::DEVICE_NAME, Some(&$machine.name));
        row.set_long($table::REPORT_ID, Some($machine.next_report()));
        row.set_text($table::MACHINE_GROUP, Some($machine.group));
        row
    }};
}

/// What an event says of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Ran,
    Loaded,
    Created,
    Changed,
    Deleted,
}

impl Verb {
    /// What usually happens to a file of this kind.
    pub(super) fn of(kind: Kind, machine: &mut Machine) -> Verb {
        match kind {
            Kind::Program if machine.chance.happens(0.9) => Verb::Ran,
            Kind::Library if machine.chance.happens(0.9) => Verb::Loaded,
            _ if machine.chance.happens(0.1) => Verb::Deleted,
            _ => Verb::Changed,
        }
    }
}

/// Something that happened to a file.
pub(super) fn file_row(machine: &mut Machine, at: Time, verb: Verb, file: &File, by: &Arc<File>) -> Record {
    // A quarter of the records of all sensors carry no SHA-1.
    let with_sha1 = !machine.chance.happens(0.25);
    seen_row(machine, at, verb, file, by, with_sha1)
}

/// The same, with or without the SHA-1 of the file.
pub(super) fn seen_row(
    machine: &mut Machine,
    at: Time,
    verb: Verb,
    file: &File,
    by: &Arc<File>,
    with_sha1: bool,
) -> Record {
    let (table, initiator, target): (&Table, &Initiator, &Target) = match verb {
        Verb::Ran => (&process::TABLE, initiator!(process), target!(process)),
        Verb::Loaded => (&load::TABLE, initiator!(load), target!(load)),
        Verb::Created | Verb::Changed | Verb::Deleted => {
            (&file_event::TABLE, initiator!(file_event), target!(file_event))
        }
    };
    let mut row = match verb {
        Verb::Ran => begin!(process, machine, at),
        Verb::Loaded => begin!(load, machine, at),
        _ => begin!(file_event, machine, at),
    };
    debug_assert_eq!(row.table_id(), table.id);
    row.set_text(target.name, Some(&file.name));
    row.set_text(target.folder, Some(&file.path));
    row.set_text(target.sha1, Some(&file.sha1).filter(|_| with_sha1).map(String::as_str));
    row.set_text(target.sha256, Some(&file.sha256));
    row.set_text(target.md5, Some(&file.md5));
    row.set_long(target.size, Some(file.size));
    initiate(&mut row, initiator, machine, at, by);
    match verb {
        Verb::Ran => {
            row.set_text(process::ACTION_TYPE, Some("ProcessCreated"));
            row.set_text(process::PROCESS_VERSION_INFO_COMPANY_NAME, file.signer);
            row.set_text(process::PROCESS_VERSION_INFO_PRODUCT_NAME, Some(&file.product));
            row.set_text(process::PROCESS_VERSION_INFO_PRODUCT_VERSION, Some(&file.version));
            row.set_long(process::PROCESS_ID, Some(machine.chance.between(1_000, 30_000)));
            row.set_text(process::PROCESS_COMMAND_LINE, Some(&format!("\"{}\"", file.path)));
            row.set_time(process::PROCESS_CREATION_TIME, Some(at));
            row.set_text(process::ACCOUNT_DOMAIN, Some(words::ACCOUNT_DOMAIN));
            row.set_text(process::ACCOUNT_NAME, Some(&machine.account));
            row.set_text(process::ACCOUNT_SID, Some(&machine.sid));
        }
        Verb::Loaded => row.set_text(load::ACTION_TYPE, Some("ImageLoaded")),
        Verb::Created => row.set_text(file_event::ACTION_TYPE, Some("FileCreated")),
        Verb::Changed => row.set_text(file_event::ACTION_TYPE, Some("FileModified")),
        Verb::Deleted => row.set_text(file_event::ACTION_TYPE, Some("FileDeleted")),
    }
    Record::Row(row)
}

fn initiate(row: &mut Row, columns: &Initiator, machine: &mut Machine, at: Time, by: &File) {
    let running_for = machine.chance.between(1, 6 * 3600);
    row.set_text(columns.sha1, Some(&by.sha1));
    row.set_text(columns.sha256, Some(&by.sha256));
    row.set_text(columns.md5, Some(&by.md5));
    row.set_text(columns.name, Some(&by.name));
    row.set_text(columns.folder, Some(&by.path));
    row.set_text(columns.command_line, Some(&by.name));
    row.set_long(columns.id, Some(machine.chance.between(400, 30_000)));
    row.set_time(columns.created, Some(at - std::time::Duration::from_secs(running_for.unsigned_abs())));
    row.set_text(columns.account_domain, Some(words::ACCOUNT_DOMAIN));
    row.set_text(columns.account_name, Some(&machine.account));
    row.set_text(columns.account_sid, Some(&machine.sid));
    row.set_text(columns.parent_name, Some("services.exe"));
}

/// A connection to an address outside.
pub(super) fn network_row(machine: &mut Machine, at: Time, by: &Arc<File>) -> Record {
    let mut row = begin!(network, machine, at);
    row.set_text(network::ACTION_TYPE, Some("ConnectionSuccess"));
    let place = machine.chance.below(254) + 1;
    row.set_text(network::REMOTE_IP, Some(&format!("203.0.113.{place}")));
    row.set_long(network::REMOTE_PORT, Some(443));
    row.set_text(network::REMOTE_URL, Some(&format!("host{place}.example.net")));
    row.set_text(network::LOCAL_IP, Some(&machine.address));
    row.set_long(network::LOCAL_PORT, Some(machine.chance.between(49_152, 65_535)));
    row.set_text(network::PROTOCOL, Some("Tcp"));
    row.set_text(network::REMOTE_IP_TYPE, Some("Public"));
    initiate(&mut row, initiator!(network), machine, at, by);
    Record::Row(row)
}

/// A logon.
pub(super) fn logon_row(machine: &mut Machine, at: Time, by: &Arc<File>) -> Record {
    let mut row = begin!(logon, machine, at);
    let failed = machine.chance.happens(0.05);
    row.set_text(logon::ACTION_TYPE, Some(if failed { "LogonFailed" } else { "LogonSuccess" }));
    row.set_text(logon::FAILURE_REASON, failed.then_some("InvalidUserNameOrPassword"));
    row.set_text(logon::LOGON_TYPE, Some(if machine.server { "Network" } else { "Interactive" }));
    row.set_text(logon::ACCOUNT_DOMAIN, Some(words::ACCOUNT_DOMAIN));
    row.set_text(logon::ACCOUNT_NAME, Some(&machine.account));
    row.set_text(logon::ACCOUNT_SID, Some(&machine.sid));
    initiate(&mut row, initiator!(logon), machine, at, by);
    Record::Row(row)
}

/// The sensor's daily report of the machine itself, and of its network adapter.
pub(super) fn report_rows(machine: &mut Machine, at: Time) -> [Record; 2] {
    // This table names the group like the others, though its own column stands elsewhere.
    let mut row = begin!(info, machine, at);
    row.set_text(info::CLIENT_VERSION, Some("10.8760.26100.1742"));
    row.set_text(info::PUBLIC_IP, Some("198.51.100.7"));
    row.set_text(info::OS_ARCHITECTURE, Some("64-bit"));
    row.set_text(info::OS_PLATFORM, Some(machine.build.platform));
    row.set_long(info::OS_BUILD, Some(machine.build.build));
    row.set_text(info::OS_VERSION, Some("10.0"));
    row.set_text(info::OS_VERSION_INFO, Some(machine.build.version));
    row.set_bool(info::IS_AZURE_AD_JOINED, Some(!machine.server));
    row.set_text(info::ONBOARDING_STATUS, Some("Onboarded"));
    row.set_text(info::SENSOR_HEALTH_STATE, Some("Active"));
    row.set_text(info::DEVICE_TYPE, Some(if machine.server { "Server" } else { "Workstation" }));
    row.set_text(info::DEVICE_CATEGORY, Some("Endpoint"));
    row.set_text(
        info::EXPOSURE_LEVEL,
        Some(["Low", "Medium", "High"].get(machine.number % 3).copied().unwrap_or("Low")),
    );
    row.set_text(info::ASSET_VALUE, Some(if machine.server { "High" } else { "Normal" }));
    let users = serde_json::json!([{ "UserName": machine.account, "DomainName": words::ACCOUNT_DOMAIN, "Sid": machine.sid }]);
    row.set_text(info::LOGGED_ON_USERS, Some(&users.to_string()));
    let first = Record::Row(row);

    let mut row = begin!(adapter, machine, at);
    row.set_text(adapter::NETWORK_ADAPTER_NAME, Some("Ethernet"));
    row.set_text(adapter::MAC_ADDRESS, Some(&machine.mac));
    row.set_text(adapter::NETWORK_ADAPTER_TYPE, Some("Ethernet"));
    row.set_text(adapter::NETWORK_ADAPTER_STATUS, Some("Up"));
    row.set_text(adapter::DNS_ADDRESSES, Some("[\"192.0.2.254\"]"));
    row.set_text(adapter::DEFAULT_GATEWAYS, Some("[\"192.0.2.254\"]"));
    let addresses =
        serde_json::json!([{ "IPAddress": machine.address, "SubnetPrefix": 24, "AddressType": "Private" }]);
    row.set_text(adapter::IP_ADDRESSES, Some(&addresses.to_string()));
    [first, Record::Row(row)]
}

/// What is known of a signed file's certificate.
pub(super) fn certificate_row(machine: &mut Machine, at: Time, file: &File, signer: &str) -> Record {
    let mut row = begin!(certificate, machine, at);
    row.set_text(certificate::SHA1, Some(&file.sha1));
    row.set_bool(certificate::IS_SIGNED, Some(true));
    row.set_text(certificate::SIGNATURE_TYPE, Some("Embedded"));
    row.set_text(certificate::SIGNER, Some(signer));
    row.set_text(certificate::SIGNER_HASH, Some(&signer_hash(signer)));
    row.set_text(certificate::ISSUER, Some("Example Code Signing CA"));
    row.set_text(certificate::ISSUER_HASH, Some(&signer_hash("Example Code Signing CA")));
    row.set_bool(certificate::IS_TRUSTED, Some(true));
    Record::Row(row)
}

fn signer_hash(name: &str) -> String {
    use sha1::{Digest, Sha1};
    super::file::hex(&Sha1::digest(format!("certificate of {name}")))
}
