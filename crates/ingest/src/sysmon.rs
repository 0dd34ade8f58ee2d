//! What Sysmon's events mean: one line an event, one line a datum.
//!
//! An event's file is the one it is about (the new process, the loaded image, the file written or
//! deleted); its hashes are that file's. Two events carry hashes of something that is no file:
//! the clipboard (24) and a named stream (15).

use pintle_model::tables::{
    device_events, device_file_events, device_image_load_events, device_network_events,
    device_process_events, device_registry_events,
};

use crate::windows::{Field, Mapping, Target, WindowsEvent, last_part};

/// Whether Sysmon wrote the event. A forwarded event keeps its provider; some shippers only give
/// the channel.
pub fn wrote(event: &WindowsEvent<'_>) -> bool {
    match &*event.provider {
        "" => matches!(&*event.channel, "Microsoft-Windows-Sysmon/Operational" | "Linux-Sysmon/Operational"),
        provider => matches!(provider, "Microsoft-Windows-Sysmon" | "Linux-Sysmon"),
    }
}

/// Whether an event 15 is about a named stream (`file.exe:Zone.Identifier`): its hashes are the
/// stream's, and the same few values stand beside countless files.
pub fn is_named_stream(event: &WindowsEvent<'_>) -> bool {
    wrote(event) && event.get("TargetFilename").is_some_and(|path| names_stream(&path))
}

fn names_stream(path: &str) -> bool {
    let name = last_part(path);
    // `C:name` without a backslash: that colon is the drive's.
    let name = if name.len() == path.len() && name.as_bytes().get(1) == Some(&b':') {
        name.get(2..).unwrap_or_default()
    } else {
        name
    };
    // `name::$DATA` spells out the unnamed stream.
    name.split(':').nth(1).is_some_and(|stream| !stream.is_empty())
}

/// What becomes of an event.
pub fn mapping(event: &WindowsEvent<'_>, event_id: i64) -> &'static Mapping {
    match event_id {
        1 => &PROCESS_CREATED,
        2 => &FILE_CREATE_TIME,
        3 => match event.get("Initiated").as_deref() {
            Some("false" | "False") => &CONNECTION_ACCEPTED,
            _ => &CONNECTION_MADE,
        },
        4 => &SERVICE_STATE_CHANGE,
        5 => &PROCESS_TERMINATE,
        6 => &DRIVER_LOAD,
        7 => &IMAGE_LOADED,
        8 => &CREATE_REMOTE_THREAD,
        9 => &RAW_ACCESS_READ,
        10 => &PROCESS_ACCESS,
        11 | 15 => &FILE_CREATED,
        12 => match event.get("EventType").as_deref() {
            Some("CreateKey") => &REGISTRY_KEY_CREATED,
            Some("DeleteKey") => &REGISTRY_KEY_DELETED,
            Some("DeleteValue") => &REGISTRY_VALUE_DELETED,
            // A shipper may put a word of its own in the place of the event's.
            _ => &REGISTRY_OBJECT,
        },
        13 => &REGISTRY_VALUE_SET,
        14 => &REGISTRY_KEY_RENAMED,
        16 => &SERVICE_CONFIGURATION_CHANGE,
        17 => &PIPE_CREATED,
        18 => &PIPE_CONNECTED,
        19 => &WMI_EVENT_FILTER,
        20 => &WMI_EVENT_CONSUMER,
        21 => &WMI_EVENT_CONSUMER_TO_FILTER,
        22 => &DNS_QUERY,
        23 | 26 => &FILE_DELETED,
        24 => &CLIPBOARD_CHANGE,
        25 => &PROCESS_TAMPERING,
        27 => &FILE_BLOCK_EXECUTABLE,
        28 => &FILE_BLOCK_SHREDDING,
        29 => &FILE_EXECUTABLE_DETECTED,
        255 => &ERROR,
        _ => &UNKNOWN,
    }
}

/// `Image` and its like: the process that did it.
macro_rules! initiating {
    ($table:ident) => {
        initiating!($table, "Image", "ProcessId", "User")
    };
    ($table:ident, $image:literal, $id:literal, $user:literal) => {
        &[
            (
                $image,
                Target::Path($table::INITIATING_PROCESS_FILE_NAME, $table::INITIATING_PROCESS_FOLDER_PATH),
            ),
            ($id, Target::Long($table::INITIATING_PROCESS_ID)),
            (
                $user,
                Target::Account(
                    $table::INITIATING_PROCESS_ACCOUNT_DOMAIN,
                    $table::INITIATING_PROCESS_ACCOUNT_NAME,
                ),
            ),
        ]
    };
}

/// The file of the row, and its hashes.
macro_rules! file {
    ($table:ident, $path:literal) => {
        &[
            ($path, Target::Path($table::FILE_NAME, $table::FOLDER_PATH)),
            ("Hashes", Target::Hashes($table::SHA1, $table::SHA256, $table::MD5)),
            ("Hash", Target::Hashes($table::SHA1, $table::SHA256, $table::MD5)),
        ]
    };
}

/// A row of `DeviceEvents` named after Sysmon's event.
macro_rules! device_event {
    ($constant:ident, $action:literal, $fields:expr) => {
        static $constant: Mapping = Mapping {
            table: &device_events::TABLE,
            action: $action,
            fields: $fields,
            rest: Some(device_events::ADDITIONAL_FIELDS),
        };
    };
}

macro_rules! file_event {
    ($constant:ident, $action:literal) => {
        static $constant: Mapping = Mapping {
            table: &device_file_events::TABLE,
            action: $action,
            fields: &[file!(device_file_events, "TargetFilename"), initiating!(device_file_events)],
            rest: Some(device_file_events::ADDITIONAL_FIELDS),
        };
    };
}

/// A network connection: which end is this machine's.
macro_rules! connection {
    ($constant:ident, $action:literal, here: $ip:literal $port:literal,
     there: $remote_ip:literal $remote_port:literal $remote_name:literal) => {
        static $constant: Mapping = Mapping {
            table: &device_network_events::TABLE,
            action: $action,
            fields: &[
                &[
                    ($remote_ip, Target::Text(device_network_events::REMOTE_IP)),
                    ($remote_port, Target::Long(device_network_events::REMOTE_PORT)),
                    ($remote_name, Target::Text(device_network_events::REMOTE_URL)),
                    ($ip, Target::Text(device_network_events::LOCAL_IP)),
                    ($port, Target::Long(device_network_events::LOCAL_PORT)),
                    ("Protocol", Target::Text(device_network_events::PROTOCOL)),
                ],
                initiating!(device_network_events),
            ],
            rest: Some(device_network_events::ADDITIONAL_FIELDS),
        };
    };
}

macro_rules! registry_event {
    ($constant:ident, $action:literal, $fields:expr) => {
        static $constant: Mapping = Mapping {
            table: &device_registry_events::TABLE,
            action: $action,
            fields: &[$fields, initiating!(device_registry_events)],
            rest: None,
        };
    };
}

static PROCESS_CREATED: Mapping = Mapping {
    table: &device_process_events::TABLE,
    action: "ProcessCreated",
    fields: &[
        file!(device_process_events, "Image"),
        &[
            ("CommandLine", Target::Text(device_process_events::PROCESS_COMMAND_LINE)),
            ("ProcessId", Target::Long(device_process_events::PROCESS_ID)),
            (
                "User",
                Target::Account(device_process_events::ACCOUNT_DOMAIN, device_process_events::ACCOUNT_NAME),
            ),
            ("LogonId", Target::Long(device_process_events::LOGON_ID)),
            ("TerminalSessionId", Target::Long(device_process_events::CREATED_PROCESS_SESSION_ID)),
            ("IntegrityLevel", Target::Text(device_process_events::PROCESS_INTEGRITY_LEVEL)),
            ("Company", Target::Text(device_process_events::PROCESS_VERSION_INFO_COMPANY_NAME)),
            ("Product", Target::Text(device_process_events::PROCESS_VERSION_INFO_PRODUCT_NAME)),
            ("FileVersion", Target::Text(device_process_events::PROCESS_VERSION_INFO_PRODUCT_VERSION)),
            ("Description", Target::Text(device_process_events::PROCESS_VERSION_INFO_FILE_DESCRIPTION)),
            (
                "OriginalFileName",
                Target::Text(device_process_events::PROCESS_VERSION_INFO_ORIGINAL_FILE_NAME),
            ),
            ("ParentCommandLine", Target::Text(device_process_events::INITIATING_PROCESS_COMMAND_LINE)),
        ],
        initiating!(device_process_events, "ParentImage", "ParentProcessId", "ParentUser"),
    ],
    rest: Some(device_process_events::ADDITIONAL_FIELDS),
};

// The table has no `AdditionalFields`: who signed the image is not kept with the row.
static IMAGE_LOADED: Mapping = Mapping {
    table: &device_image_load_events::TABLE,
    action: "ImageLoaded",
    fields: &[file!(device_image_load_events, "ImageLoaded"), initiating!(device_image_load_events)],
    rest: None,
};

connection!(CONNECTION_MADE, "ConnectionSuccess", here: "SourceIp" "SourcePort", there: "DestinationIp" "DestinationPort" "DestinationHostname");
connection!(CONNECTION_ACCEPTED, "InboundConnectionAccepted", here: "DestinationIp" "DestinationPort", there: "SourceIp" "SourcePort" "SourceHostname");

file_event!(FILE_CREATED, "FileCreated");
file_event!(FILE_DELETED, "FileDeleted");
file_event!(FILE_BLOCK_EXECUTABLE, "FileBlockExecutable");
file_event!(FILE_BLOCK_SHREDDING, "FileBlockShredding");
file_event!(FILE_EXECUTABLE_DETECTED, "FileExecutableDetected");

registry_event!(REGISTRY_KEY_CREATED, "RegistryKeyCreated", REGISTRY_KEY);
registry_event!(REGISTRY_KEY_DELETED, "RegistryKeyDeleted", REGISTRY_KEY);
registry_event!(REGISTRY_OBJECT, "RegistryObjectAddedOrDeleted", REGISTRY_KEY);
registry_event!(REGISTRY_VALUE_SET, "RegistryValueSet", REGISTRY_VALUE);
registry_event!(REGISTRY_VALUE_DELETED, "RegistryValueDeleted", REGISTRY_VALUE);
registry_event!(
    REGISTRY_KEY_RENAMED,
    "RegistryKeyRenamed",
    &[
        ("TargetObject", Target::Text(device_registry_events::PREVIOUS_REGISTRY_KEY)),
        ("NewName", Target::Text(device_registry_events::REGISTRY_KEY)),
    ]
);

const REGISTRY_KEY: &[Field] = &[("TargetObject", Target::Text(device_registry_events::REGISTRY_KEY))];
const REGISTRY_VALUE: &[Field] = &[
    (
        "TargetObject",
        Target::RegistryValue(
            device_registry_events::REGISTRY_KEY,
            device_registry_events::REGISTRY_VALUE_NAME,
        ),
    ),
    ("Details", Target::Text(device_registry_events::REGISTRY_VALUE_DATA)),
];

device_event!(DRIVER_LOAD, "DriverLoad", &[file!(device_events, "ImageLoaded")]);
device_event!(
    DNS_QUERY,
    "DnsQueryResponse",
    &[&[("QueryName", Target::Text(device_events::REMOTE_URL))], initiating!(device_events)]
);
device_event!(
    FILE_CREATE_TIME,
    "FileCreateTime",
    &[
        &[("TargetFilename", Target::Path(device_events::FILE_NAME, device_events::FOLDER_PATH))],
        initiating!(device_events)
    ]
);
device_event!(
    CREATE_REMOTE_THREAD,
    "CreateRemoteThread",
    &[TARGET_PROCESS, initiating!(device_events, "SourceImage", "SourceProcessId", "SourceUser")]
);
device_event!(
    PROCESS_ACCESS,
    "ProcessAccess",
    &[TARGET_PROCESS, initiating!(device_events, "SourceImage", "SourceProcessId", "SourceUser")]
);
device_event!(SERVICE_STATE_CHANGE, "ServiceStateChange", &[]);
device_event!(PROCESS_TERMINATE, "ProcessTerminate", &[initiating!(device_events)]);
device_event!(RAW_ACCESS_READ, "RawAccessRead", &[initiating!(device_events)]);
device_event!(SERVICE_CONFIGURATION_CHANGE, "ServiceConfigurationChange", &[]);
device_event!(PIPE_CREATED, "PipeCreated", &[initiating!(device_events)]);
device_event!(PIPE_CONNECTED, "PipeConnected", &[initiating!(device_events)]);
device_event!(WMI_EVENT_FILTER, "WmiEventFilter", &[initiating!(device_events)]);
device_event!(WMI_EVENT_CONSUMER, "WmiEventConsumer", &[initiating!(device_events)]);
device_event!(WMI_EVENT_CONSUMER_TO_FILTER, "WmiEventConsumerToFilter", &[initiating!(device_events)]);
// Its hashes are of the clipboard's text, which is no file: they stay in `AdditionalFields`.
device_event!(CLIPBOARD_CHANGE, "ClipboardChange", &[initiating!(device_events)]);
device_event!(PROCESS_TAMPERING, "ProcessTampering", &[initiating!(device_events)]);
device_event!(ERROR, "SysmonError", &[]);
device_event!(UNKNOWN, "SysmonEvent", &[initiating!(device_events)]);

const TARGET_PROCESS: &[Field] = &[
    ("TargetImage", Target::Path(device_events::FILE_NAME, device_events::FOLDER_PATH)),
    ("TargetProcessId", Target::Long(device_events::PROCESS_ID)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_what_follows_the_colon_that_is_no_drives() {
        for path in
            ["C:\\a\\b.exe:Zone.Identifier", "b.exe:Zone.Identifier", "C:b.exe:s", "\\\\h\\s\\b.exe:x:$DATA"]
        {
            assert!(names_stream(path), "{path}");
        }
        for path in ["C:\\a\\b.exe", "C:b.exe", "b.exe", "\\\\h\\s\\b.exe", "C:\\a\\b.exe::$DATA", "/tmp/b"] {
            assert!(!names_stream(path), "{path}");
        }
    }
}
