//! What a sensor's events mean: the table of each, and where its members go.

use pintle_model::Table;
use pintle_model::tables::{
    device_events, device_file_events, device_image_load_events, device_logon_events, device_network_events,
    device_process_events, device_registry_events,
};

use crate::members::{Column, Members};
use crate::windows::logon_type;

/// A member whose words or numbers are Defender's by other names.
type Word = (&'static str, &'static str, fn(&str) -> Option<&'static str>);

/// What some events become.
pub struct Kind {
    /// The row's table.
    pub table: &'static Table,
    /// Defender's word for it; the event's own name where there is none.
    word: Option<&'static str>,
    /// The members that may have the file's path, tried in turn.
    pub path: &'static [&'static str],
    /// Which process did it.
    pub process: Process,
    /// Where members go.
    pub columns: &'static [&'static [Column]],
    /// Columns that take the first of several members.
    pub alternatives: &'static [(&'static [&'static str], &'static str)],
    /// Columns of words.
    pub words: &'static [Word],
}

/// Which process did what happened.
#[derive(Clone, Copy)]
pub enum Process {
    /// The one in whose context it was seen.
    Context,
    /// The one that a module was loaded into.
    Loader,
    /// The new process's parent.
    Parent,
}

impl Process {
    /// Where its name goes.
    pub fn name(self) -> &'static [Column] {
        match self {
            Process::Context => &[("ContextBaseFileName", "InitiatingProcessFileName")],
            Process::Loader => &[],
            Process::Parent => &[("ParentBaseFileName", "InitiatingProcessFileName")],
        }
    }

    /// Where its id goes.
    pub fn id(self) -> &'static [Column] {
        match self {
            Process::Context => &[("ContextProcessId", "InitiatingProcessUniqueId")],
            Process::Loader => &[("TargetProcessId", "InitiatingProcessUniqueId")],
            Process::Parent => &[("ParentProcessId", "InitiatingProcessUniqueId")],
        }
    }
}

impl Kind {
    /// The `ActionType`, if Defender has a word for it.
    pub fn action(&self, members: &Members<'_>) -> Option<&'static str> {
        // What the other operations' numbers mean is not published.
        let is_other = self.is_of_registry() && members.text("RegOperationType").is_some_and(|of| of != "1");
        self.word.filter(|_| !is_other)
    }

    /// Whether a file got another name by it.
    pub fn is_renaming(&self) -> bool {
        self.word == FILE_RENAMED.word
    }

    /// Whether it is about the registry.
    pub fn is_of_registry(&self) -> bool {
        self.table.id == device_registry_events::TABLE.id
    }
}

/// What an event of that name becomes.
pub fn of(name: &str, members: &Members<'_>) -> &'static Kind {
    match name {
        "ProcessRollup2" | "SyntheticProcessRollup2" => &PROCESS,
        "ImageHash" => &MODULE,
        "DriverLoad" => &DRIVER,
        "DnsRequest" | "SuspiciousDnsRequest" => &NAME_LOOKED_UP,
        "UserLogon" => &LOGON,
        "UserLogonFailed" | "UserLogonFailed2" => &LOGON_FAILED,
        "ExecutableDeleted" | "FileDeleteInfo" | "FileDeleted" => &FILE_DELETED,
        "NewExecutableRenamed" | "FileRenameInfo" => &FILE_RENAMED,
        "NetworkConnectIP4" | "NetworkConnectIP6" => &CONNECTION_TRIED,
        "NetworkReceiveAcceptIP4" | "NetworkReceiveAcceptIP6" => &CONNECTION_ACCEPTED,
        "NetworkListenIP4" | "NetworkListenIP6" => &LISTENING,
        "NetworkCloseIP4" | "NetworkCloseIP6" | "RawBindIP4" | "RawBindIP6" => &CONNECTION,
        _ if name.ends_with("ModuleLoad") => &MODULE,
        // `PeFileWritten`, `NewScriptWritten` and some dozens more.
        _ if name.ends_with("Written") => &FILE_WRITTEN,
        _ if members.has("RegObjectName") && name.contains("Value") => &REGISTRY_VALUE,
        _ if members.has("RegObjectName") => &REGISTRY,
        _ => &OTHER,
    }
}

const REMOTE: (&[&str], &str) = (&["RemoteAddressIP4", "RemoteAddressIP6"], "RemoteIP");
const LOCAL: (&[&str], &str) = (&["LocalAddressIP4", "LocalAddressIP6"], "LocalIP");

/// The account of whoever acted.
const ACTOR: &[Column] = &[
    ("UserName", "InitiatingProcessAccountName"),
    ("UserPrincipal", "InitiatingProcessAccountUpn"),
    ("FileOperatorSid", "InitiatingProcessAccountSid"),
];

/// The account that an event is about.
const ACCOUNT: &[Column] =
    &[("UserName", "AccountName"), ("LogonDomain", "AccountDomain"), ("UserSid", "AccountSid")];

const NONE: Kind = Kind {
    table: &device_events::TABLE,
    word: None,
    path: &[],
    process: Process::Context,
    columns: &[],
    alternatives: &[],
    words: &[],
};

static PROCESS: Kind = Kind {
    table: &device_process_events::TABLE,
    word: Some("ProcessCreated"),
    path: &["ImageFileName"],
    process: Process::Parent,
    columns: &[
        ACCOUNT,
        &[
            ("UserPrincipal", "AccountUpn"),
            ("CommandLine", "ProcessCommandLine"),
            ("RawProcessId", "ProcessId"),
            ("TargetProcessId", "ProcessUniqueId"),
            ("ProcessStartTime", "ProcessCreationTime"),
            ("AuthenticationId", "LogonId"),
            ("SessionId", "CreatedProcessSessionId"),
        ],
    ],
    words: &[("IntegrityLevel", "ProcessIntegrityLevel", integrity)],
    ..NONE
};

static FILE_WRITTEN: Kind = Kind {
    table: &device_file_events::TABLE,
    word: Some("FileCreated"),
    path: &["TargetFileName"],
    columns: &[ACTOR, &[("Size", "FileSize")]],
    ..NONE
};

static FILE_DELETED: Kind = Kind {
    table: &device_file_events::TABLE,
    word: Some("FileDeleted"),
    path: &["TargetFileName"],
    columns: &[ACTOR],
    ..NONE
};

static FILE_RENAMED: Kind = Kind {
    table: &device_file_events::TABLE,
    word: Some("FileRenamed"),
    path: &["TargetFileName"],
    columns: &[ACTOR],
    ..NONE
};

static MODULE: Kind = Kind {
    table: &device_image_load_events::TABLE,
    word: Some("ImageLoaded"),
    path: &["ImageFileName"],
    process: Process::Loader,
    columns: &[ACTOR],
    ..NONE
};

static DRIVER: Kind = Kind { word: Some("DriverLoad"), path: &["ImageFileName"], ..NONE };

static NAME_LOOKED_UP: Kind = Kind {
    word: Some("DnsQueryResponse"),
    columns: &[ACTOR, &[("DomainName", "RemoteUrl")]],
    alternatives: &[LOCAL],
    ..NONE
};

const PORTS: &[Column] = &[("RemotePort", "RemotePort"), ("LocalPort", "LocalPort")];

static CONNECTION: Kind = CONNECTION_OF;
static CONNECTION_TRIED: Kind = Kind { word: Some("ConnectionAttempt"), ..CONNECTION_OF };
static CONNECTION_ACCEPTED: Kind = Kind { word: Some("InboundConnectionAccepted"), ..CONNECTION_OF };
static LISTENING: Kind = Kind { word: Some("ListeningConnectionCreated"), ..CONNECTION_OF };

const CONNECTION_OF: Kind = Kind {
    table: &device_network_events::TABLE,
    columns: &[ACTOR, PORTS],
    alternatives: &[REMOTE, LOCAL],
    words: &[("Protocol", "Protocol", protocol)],
    ..NONE
};

const LOGON_COLUMNS: &[Column] = &[
    ("AuthenticationPackage", "Protocol"),
    ("AuthenticationId", "LogonId"),
    ("UserIsAdmin", "IsLocalAdmin"),
    ("ClientComputerName", "RemoteDeviceName"),
];

static LOGON: Kind = Kind {
    table: &device_logon_events::TABLE,
    word: Some("LogonSuccess"),
    columns: &[ACCOUNT, LOGON_COLUMNS],
    alternatives: &[REMOTE],
    words: &[("LogonType", "LogonType", logon_type)],
    ..NONE
};

static LOGON_FAILED: Kind = Kind {
    table: &device_logon_events::TABLE,
    word: Some("LogonFailed"),
    columns: &[ACCOUNT, LOGON_COLUMNS],
    alternatives: &[REMOTE, (&["SubStatus", "Status"], "FailureReason")],
    words: &[("LogonType", "LogonType", logon_type)],
    ..NONE
};

const ENTRY: &[Column] = &[
    ("RegObjectName", "RegistryKey"),
    ("RegValueName", "RegistryValueName"),
    ("RegStringValue", "RegistryValueData"),
];

static REGISTRY_VALUE: Kind = Kind {
    table: &device_registry_events::TABLE,
    word: Some("RegistryValueSet"),
    columns: &[ACTOR, ENTRY],
    words: &[("RegType", "RegistryValueType", value_type)],
    ..NONE
};

static REGISTRY: Kind = Kind {
    table: &device_registry_events::TABLE,
    columns: &[ACTOR, ENTRY],
    words: &[("RegType", "RegistryValueType", value_type)],
    ..NONE
};

/// Everything else: under its own name, with what is called the same in all events.
pub static OTHER: Kind = Kind {
    path: &["ImageFileName", "TargetFileName", "SourceFileName"],
    columns: &[
        ACCOUNT,
        PORTS,
        &[
            ("CommandLine", "ProcessCommandLine"),
            ("RawProcessId", "ProcessId"),
            ("Size", "FileSize"),
            ("FileOperatorSid", "InitiatingProcessAccountSid"),
        ],
    ],
    alternatives: &[REMOTE, LOCAL],
    ..NONE
};

/// A mandatory label's number, as Windows has them.
fn integrity(number: &str) -> Option<&'static str> {
    Some(match number {
        "0" => "Untrusted",
        "4096" => "Low",
        "8192" | "8448" => "Medium",
        "12288" => "High",
        "16384" => "System",
        _ => return None,
    })
}

fn protocol(number: &str) -> Option<&'static str> {
    Some(match number {
        "1" | "58" => "Icmp",
        "6" => "Tcp",
        "17" => "Udp",
        _ => return None,
    })
}

/// A registry value's type, by Windows's number.
fn value_type(number: &str) -> Option<&'static str> {
    Some(match number {
        "0" => "None",
        "1" => "String",
        "2" => "ExpandString",
        "3" => "Binary",
        "4" => "Dword",
        "7" => "MultiString",
        "11" => "Qword",
        _ => return None,
    })
}
