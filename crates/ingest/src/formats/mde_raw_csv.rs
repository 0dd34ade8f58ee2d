//! Defender's table of created processes under the names that its columns have inside Defender, as a table of
//! text: `DeviceProcessEvents` by another name.

use std::borrow::Cow;

use pintle_model::tables;

use crate::event::Event;
use crate::format::{Decoded, Format, Problem};
use crate::json::{Json, Object};
use crate::machine::Machine;
use crate::time;
use crate::windows::{full_path, last_part};

pub static FORMAT: Format = Format {
    name: "mde-raw-csv",
    description: "Defender's created processes under its internal column names, as CSV",
    recognises: |object| {
        object.has("MachineId") && object.has("CreatedProcessId") && object.has("InitiatingProcessImageSha1")
    },
    decode,
};

/// What the columns are in `DeviceProcessEvents`.
const COLUMNS: &[(&str, &str)] = &[
    ("ContainerId", "AppGuardContainerId"),
    ("CreatedProcessAccountAzureADId", "AccountObjectId"),
    ("CreatedProcessAccountDomainName", "AccountDomain"),
    ("CreatedProcessAccountName", "AccountName"),
    ("CreatedProcessAccountSid", "AccountSid"),
    ("CreatedProcessAccountUpn", "AccountUpn"),
    ("CreatedProcessCommandLine", "ProcessCommandLine"),
    ("CreatedProcessFileMd5", "MD5"),
    ("CreatedProcessFilePath", "FolderPath"),
    ("CreatedProcessFileSha1", "SHA1"),
    ("CreatedProcessFileSha256", "SHA256"),
    ("CreatedProcessFileSize", "FileSize"),
    ("CreatedProcessId", "ProcessId"),
    ("CreatedProcessIntegrityLevel", "ProcessIntegrityLevel"),
    ("CreatedProcessName", "FileName"),
    ("CreatedProcessStartKey", "ProcessUniqueId"),
    ("CreatedProcessTokenElevationType", "ProcessTokenElevation"),
    ("CreatedProcessVersionInfoCompanyName", "ProcessVersionInfoCompanyName"),
    ("CreatedProcessVersionInfoFileDescription", "ProcessVersionInfoFileDescription"),
    ("CreatedProcessVersionInfoInternalFileName", "ProcessVersionInfoInternalFileName"),
    ("CreatedProcessVersionInfoOriginalFileName", "ProcessVersionInfoOriginalFileName"),
    ("CreatedProcessVersionInfoProductName", "ProcessVersionInfoProductName"),
    ("CreatedProcessVersionInfoProductVersion", "ProcessVersionInfoProductVersion"),
    ("InitiatingProcessAccountAzureADId", "InitiatingProcessAccountObjectId"),
    ("InitiatingProcessAccountDomainName", "InitiatingProcessAccountDomain"),
    ("InitiatingProcessAccountName", "InitiatingProcessAccountName"),
    ("InitiatingProcessAccountSid", "InitiatingProcessAccountSid"),
    ("InitiatingProcessAccountUpn", "InitiatingProcessAccountUpn"),
    ("InitiatingProcessId", "InitiatingProcessId"),
    ("InitiatingProcessImageFileSizeInBytes", "InitiatingProcessFileSize"),
    ("InitiatingProcessImageMd5", "InitiatingProcessMD5"),
    ("InitiatingProcessImageSha1", "InitiatingProcessSHA1"),
    ("InitiatingProcessImageSha256", "InitiatingProcessSHA256"),
    ("InitiatingProcessIntegrityLevel", "InitiatingProcessIntegrityLevel"),
    ("InitiatingProcessLogonId", "InitiatingProcessLogonId"),
    ("InitiatingProcessName", "InitiatingProcessFileName"),
    ("InitiatingProcessParentProcessId", "InitiatingProcessParentId"),
    ("InitiatingProcessParentProcessName", "InitiatingProcessParentFileName"),
    ("InitiatingProcessSignatureStatus", "InitiatingProcessSignatureStatus"),
    ("InitiatingProcessSignerType", "InitiatingProcessSignerType"),
    ("InitiatingProcessStartKey", "InitiatingProcessUniqueId"),
    ("InitiatingProcessTokenElevationType", "InitiatingProcessTokenElevation"),
    ("InitiatingProcessVersionInfoCompanyName", "InitiatingProcessVersionInfoCompanyName"),
    ("InitiatingProcessVersionInfoFileDescription", "InitiatingProcessVersionInfoFileDescription"),
    ("InitiatingProcessVersionInfoInternalFileName", "InitiatingProcessVersionInfoInternalFileName"),
    ("InitiatingProcessVersionInfoOriginalFileName", "InitiatingProcessVersionInfoOriginalFileName"),
    ("InitiatingProcessVersionInfoProductName", "InitiatingProcessVersionInfoProductName"),
    ("InitiatingProcessVersionInfoProductVersion", "InitiatingProcessVersionInfoProductVersion"),
    ("LogonId", "LogonId"),
    ("Process_CommandLine", "InitiatingProcessCommandLine"),
    ("ReportIndex", "ReportId"),
];

/// Those that hold a time.
const TIMES: &[(&str, &str)] = &[
    ("CreatedProcessCreationTime", "ProcessCreationTime"),
    ("InitiatingProcessCreationTime", "InitiatingProcessCreationTime"),
    ("InitiatingProcessParentCreationTime", "InitiatingProcessParentCreationTime"),
];

/// The folder of the program that created the process, which the table tells apart from its name.
const FOLDER: &str = "InitiatingProcessImageFilePath";

/// When it happened, the first that is told; when it arrived says nothing of that.
const TOLD: &[&str] = &["ReportTime", "EventTime"];

/// What tells the machine.
const MACHINE: &[&str] = &["MachineId", "ComputerDnsName"];

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let row = Object::parse(record)?;
    let text = |name: &str| row.get(name).and_then(Json::text).filter(|text| !text.is_empty());
    let machine = Machine::of_defender(text("MachineId").as_deref(), text("ComputerDnsName").as_deref());
    let Some(machine) = machine else { return Ok(Decoded::Nothing("event without a machine")) };
    let told = TOLD.iter().find_map(|name| Some((name, text(name)?)));
    let read = |(name, told): (&&str, Cow<'_, str>)| {
        time::read(&told).ok_or_else(|| Problem::from(format!("{name} is no time")))
    };
    let time = told.map(read).transpose()?;
    let mut event = Event::new(&tables::device_process_events::TABLE, &machine, time, "ProcessCreated");
    for (name, value) in &row.members {
        let column =
            |of: &[(&str, &'static str)]| of.iter().find(|(column, _)| column == name).map(|of| of.1);
        if let Some(column) = column(COLUMNS) {
            event.set(column, value.text());
        } else if let Some(column) = column(TIMES) {
            event.set_time(column, value.text().and_then(|text| time::read(&text)));
        } else if name != FOLDER && !TOLD.contains(&&**name) && !MACHINE.contains(&&**name) {
            event.additional(name, *value);
        }
    }
    let name = text("InitiatingProcessName");
    event.set("InitiatingProcessFolderPath", path(text(FOLDER).as_deref(), name.as_deref()));
    Ok(Decoded::Record(event.finish()))
}

/// The whole path of a program, which the folder may be already.
fn path(folder: Option<&str>, name: Option<&str>) -> Option<String> {
    let name = name.filter(|name| !folder.is_some_and(|folder| last_part(folder).eq_ignore_ascii_case(name)));
    full_path(Some(folder?), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_one_of_the_table() {
        for (_, column) in COLUMNS.iter().chain(TIMES) {
            assert!(tables::device_process_events::TABLE.column(column).is_some(), "{column}");
        }
    }

    #[test]
    fn a_folder_and_a_name_are_one_path() {
        for (folder, name, whole) in [
            (Some("C:\\Windows"), Some("a.exe"), Some("C:\\Windows\\a.exe")),
            (Some("C:\\"), Some("a.exe"), Some("C:\\a.exe")),
            (Some("C:\\Windows\\A.exe"), Some("a.exe"), Some("C:\\Windows\\A.exe")),
            (Some("/usr/bin"), Some("sh"), Some("/usr/bin/sh")),
            (Some("C:\\Windows"), None, Some("C:\\Windows")),
            (None, Some("a.exe"), None),
        ] {
            assert_eq!(path(folder, name).as_deref(), whole, "{folder:?} {name:?}");
        }
    }
}
