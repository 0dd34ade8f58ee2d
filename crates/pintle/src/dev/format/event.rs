//! What Sysmon and the security log write about what a row says.

use std::borrow::Cow;

use pintle_model::tables::{
    device_file_events as file_event, device_image_load_events as load, device_logon_events as logon,
    device_network_events as network, device_process_events as process,
};
use pintle_model::{ColumnId, Record, Row, Time};
use serde::ser::{Serialize, Serializer};

const SYSMON: (&str, &str) = ("Microsoft-Windows-Sysmon", "Microsoft-Windows-Sysmon/Operational");
const SECURITY: (&str, &str) = ("Microsoft-Windows-Security-Auditing", "Security");

/// One event of a Windows log.
pub(super) struct Event<'a> {
    pub(super) id: i64,
    pub(super) provider: &'static str,
    pub(super) channel: &'static str,
    pub(super) computer: &'a str,
    /// Its number in the machine's log.
    pub(super) record: i64,
    pub(super) time: Time,
    pub(super) data: Data<'a>,
}

/// An event's data, in order.
pub(super) struct Data<'a>(pub(super) Vec<(&'static str, Cow<'a, str>)>);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'a> Data<'a> {
    fn text(&mut self, name: &'static str, text: Option<&'a str>) {
        self.0.extend(text.map(|text| (name, Cow::Borrowed(text))));
    }

    fn made(&mut self, name: &'static str, text: impl ToString) {
        self.0.push((name, Cow::Owned(text.to_string())));
    }

    fn number(&mut self, name: &'static str, number: Option<i64>) {
        if let Some(number) = number {
            self.made(name, number);
        }
    }

    fn account(&mut self, name: &'static str, domain: Option<&str>, account: Option<&str>) {
        self.made(name, format_args!("{}\\{}", domain.unwrap_or_default(), account.unwrap_or_default()));
    }

    fn hashes(&mut self, row: &Row, sha1: ColumnId, sha256: ColumnId, md5: ColumnId) {
        let hashes = [("SHA1", sha1), ("MD5", md5), ("SHA256", sha256)];
        let written = hashes.iter().filter_map(|(name, column)| {
            row.text(*column).map(|hash| format!("{name}={}", hash.to_ascii_uppercase()))
        });
        self.made("Hashes", written.collect::<Vec<_>>().join(","));
    }
}

impl<'a> Event<'a> {
    /// The event behind a row; `None` for what no Windows log has (a sensor's reports and
    /// certificates) and for alerts.
    pub(super) fn of(record: &'a Record) -> Option<Event<'a>> {
        let Record::Row(row) = record else { return None };
        let table = row.table_id();
        if table == process::TABLE.id {
            Event::process_created(row)
        } else if table == load::TABLE.id {
            Event::image_loaded(row)
        } else if table == file_event::TABLE.id {
            Event::file(row)
        } else if table == network::TABLE.id {
            Event::connection(row)
        } else if table == logon::TABLE.id {
            Event::logon(row)
        } else {
            None
        }
    }

    fn begin(
        row: &'a Row,
        id: i64,
        (provider, channel): (&'static str, &'static str),
        report: ColumnId,
    ) -> Option<Event<'a>> {
        // The first columns of every event table.
        let (time, computer) = (row.time(process::TIMESTAMP)?, row.text(process::DEVICE_NAME)?);
        let data = Data(Vec::with_capacity(20));
        Some(Event { id, provider, channel, computer, record: row.long(report)?, time, data })
    }

    fn process_created(row: &'a Row) -> Option<Event<'a>> {
        let mut event = Event::begin(row, 1, SYSMON, process::REPORT_ID)?;
        let data = &mut event.data;
        data.number("ProcessId", row.long(process::PROCESS_ID));
        data.text("Image", row.text(process::FOLDER_PATH));
        data.text("FileVersion", row.text(process::PROCESS_VERSION_INFO_PRODUCT_VERSION));
        data.text("Product", row.text(process::PROCESS_VERSION_INFO_PRODUCT_NAME));
        data.text("Company", row.text(process::PROCESS_VERSION_INFO_COMPANY_NAME));
        data.text("CommandLine", row.text(process::PROCESS_COMMAND_LINE));
        data.account("User", row.text(process::ACCOUNT_DOMAIN), row.text(process::ACCOUNT_NAME));
        data.hashes(row, process::SHA1, process::SHA256, process::MD5);
        data.number("ParentProcessId", row.long(process::INITIATING_PROCESS_ID));
        data.text("ParentImage", row.text(process::INITIATING_PROCESS_FOLDER_PATH));
        data.text("ParentCommandLine", row.text(process::INITIATING_PROCESS_COMMAND_LINE));
        data.account(
            "ParentUser",
            row.text(process::INITIATING_PROCESS_ACCOUNT_DOMAIN),
            row.text(process::INITIATING_PROCESS_ACCOUNT_NAME),
        );
        Some(event)
    }

    fn image_loaded(row: &'a Row) -> Option<Event<'a>> {
        let mut event = Event::begin(row, 7, SYSMON, load::REPORT_ID)?;
        let data = &mut event.data;
        data.number("ProcessId", row.long(load::INITIATING_PROCESS_ID));
        data.text("Image", row.text(load::INITIATING_PROCESS_FOLDER_PATH));
        data.text("ImageLoaded", row.text(load::FOLDER_PATH));
        data.hashes(row, load::SHA1, load::SHA256, load::MD5);
        data.account(
            "User",
            row.text(load::INITIATING_PROCESS_ACCOUNT_DOMAIN),
            row.text(load::INITIATING_PROCESS_ACCOUNT_NAME),
        );
        Some(event)
    }

    /// Sysmon 11 (a file is created) has no hashes; 15 is about the same moment and has.
    fn file(row: &'a Row) -> Option<Event<'a>> {
        let id = if row.text(file_event::ACTION_TYPE) == Some("FileDeleted") { 26 } else { 15 };
        let mut event = Event::begin(row, id, SYSMON, file_event::REPORT_ID)?;
        let data = &mut event.data;
        data.number("ProcessId", row.long(file_event::INITIATING_PROCESS_ID));
        data.text("Image", row.text(file_event::INITIATING_PROCESS_FOLDER_PATH));
        data.text("TargetFilename", row.text(file_event::FOLDER_PATH));
        data.hashes(row, file_event::SHA1, file_event::SHA256, file_event::MD5);
        data.account(
            "User",
            row.text(file_event::INITIATING_PROCESS_ACCOUNT_DOMAIN),
            row.text(file_event::INITIATING_PROCESS_ACCOUNT_NAME),
        );
        Some(event)
    }

    fn connection(row: &'a Row) -> Option<Event<'a>> {
        let mut event = Event::begin(row, 3, SYSMON, network::REPORT_ID)?;
        let data = &mut event.data;
        data.number("ProcessId", row.long(network::INITIATING_PROCESS_ID));
        data.text("Image", row.text(network::INITIATING_PROCESS_FOLDER_PATH));
        data.text("Protocol", Some("tcp"));
        data.text("Initiated", Some("true"));
        data.text("SourceIp", row.text(network::LOCAL_IP));
        data.number("SourcePort", row.long(network::LOCAL_PORT));
        data.text("DestinationIp", row.text(network::REMOTE_IP));
        data.text("DestinationHostname", row.text(network::REMOTE_URL));
        data.number("DestinationPort", row.long(network::REMOTE_PORT));
        Some(event)
    }

    fn logon(row: &'a Row) -> Option<Event<'a>> {
        let id = if row.text(logon::ACTION_TYPE) == Some("LogonFailed") { 4625 } else { 4624 };
        let mut event = Event::begin(row, id, SECURITY, logon::REPORT_ID)?;
        let data = &mut event.data;
        data.text("TargetUserName", row.text(logon::ACCOUNT_NAME));
        data.text("TargetDomainName", row.text(logon::ACCOUNT_DOMAIN));
        data.text("TargetUserSid", row.text(logon::ACCOUNT_SID));
        let number = if row.text(logon::LOGON_TYPE) == Some("Network") { "3" } else { "2" };
        data.text("LogonType", Some(number));
        data.text("ProcessName", row.text(logon::INITIATING_PROCESS_FOLDER_PATH));
        Some(event)
    }

    /// Whether Sysmon wrote it, whose events name their own time.
    pub(super) fn is_sysmons(&self) -> bool {
        self.provider == SYSMON.0
    }

    /// The time as Sysmon and NXLog write it: `2026-01-15 09:29:52.016`.
    pub(super) fn utc_time(&self) -> String {
        let text = self.time.cut_to_millis().to_string();
        let text = text.trim_end_matches('Z').replacen('T', " ", 1);
        let (second, fraction) = text.split_once('.').unwrap_or((&text, ""));
        format!("{second}.{fraction:0<3}")
    }
}
