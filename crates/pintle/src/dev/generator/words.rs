//! What the invented company's things are called. Names are made from plain words; domains are
//! those reserved for examples, addresses those of RFC 5737; accounts are numbers, not people.

use super::chance::Chance;
use super::file::Kind;

/// The company's domain, on every machine's name.
pub(super) const DOMAIN: &str = "tillerworks.example";
/// The account domain.
pub(super) const ACCOUNT_DOMAIN: &str = "tillerworks";

pub(super) const SYSTEM_PRODUCT: &str = "Desktop Operating System";
pub(super) const SYSTEM_PUBLISHER: &str = "System Vendor";
pub(super) const SYSTEM_FOLDER: &str = "C:\\Windows\\System32";

/// An operating system build as the API names it.
#[derive(Clone, Copy)]
pub(super) struct Build {
    pub(super) platform: &'static str,
    pub(super) version: &'static str,
    pub(super) build: i64,
}

/// What workstations run, the most common first.
pub(super) const WORKSTATION_BUILDS: [Build; 4] = [
    Build { platform: "Windows11", version: "24H2", build: 26100 },
    Build { platform: "Windows11", version: "23H2", build: 22631 },
    Build { platform: "Windows10", version: "22H2", build: 19045 },
    Build { platform: "Windows11", version: "25H2", build: 26200 },
];

/// What servers run.
pub(super) const SERVER_BUILDS: [Build; 2] = [
    Build { platform: "WindowsServer2022", version: "21H2", build: 20348 },
    Build { platform: "WindowsServer2019", version: "1809", build: 17763 },
];

pub(super) const PUBLISHERS: &[&str] = &[
    "Anchor Software",
    "Bollard Systems",
    "Capstan Labs",
    "Davit Tools",
    "Fairlead Media",
    "Gudgeon Data",
    "Halyard Office",
    "Keelson Networks",
    "Lanyard Security",
    "Mizzen Design",
    "Oarlock Apps",
    "Spinnaker Cloud",
];

/// Departments: the middle of a workstation's name, and its device group.
pub(super) const DEPARTMENTS: &[(&str, &str)] = &[
    ("fin", "Office"),
    ("sales", "Office"),
    ("hr", "Office"),
    ("dev", "Engineering"),
    ("lab", "Engineering"),
];
/// What servers are for.
pub(super) const SERVER_TASKS: &[&str] = &["file", "mail", "sql", "web", "build", "print", "backup"];

/// The names of core files of which something is seen all the time, then made-up ones: four
/// libraries to a program.
pub(super) fn core_file(place: usize) -> (Kind, String) {
    const PROGRAMS: &[&str] = &[
        "explorer",
        "svchost",
        "services",
        "taskhostw",
        "conhost",
        "cmd",
        "powershell",
        "rundll32",
        "dllhost",
        "msiexec",
        "schtasks",
        "wscript",
        "regsvr32",
        "lsass",
        "winlogon",
        "spoolsv",
        "searchindexer",
        "notepad",
    ];
    const LIBRARIES: &[&str] = &[
        "ntdll",
        "kernel32",
        "kernelbase",
        "user32",
        "gdi32",
        "advapi32",
        "sechost",
        "ole32",
        "combase",
        "shell32",
        "crypt32",
        "ws2_32",
        "rpcrt4",
        "msvcrt",
        "bcrypt",
        "winhttp",
        "amsi",
        "wldp",
        "profapi",
        "dbghelp",
    ];
    const STEMS: &[&str] = &[
        "net", "wlan", "disp", "auth", "print", "cert", "dev", "task", "sched", "font", "media", "power",
        "input", "store", "mount", "audio", "locale",
    ];
    const ENDS: &[&str] = &[
        "api", "svc", "ui", "cfg", "core", "host", "mgr", "prov", "shell", "client", "cache", "proxy", "sync",
    ];
    let word = |words: &[&'static str], place: usize| {
        words.get(place % words.len().max(1)).copied().unwrap_or("file")
    };
    let (kind, known, nth, ending) = match place % 5 {
        0 => (Kind::Program, PROGRAMS, place / 5, "exe"),
        n => (Kind::Library, LIBRARIES, place / 5 * 4 + n - 1, "dll"),
    };
    let name = match known.get(nth) {
        Some(name) => (*name).to_owned(),
        None => {
            let round = place / (STEMS.len() * ENDS.len());
            let number = if round == 0 { String::new() } else { round.to_string() };
            format!("{}{}{number}", word(STEMS, place), word(ENDS, place))
        }
    };
    (kind, format!("{name}.{ending}"))
}

/// The name of the `number`th application. Never the same twice.
pub(super) fn application(number: usize, chance: &mut Chance) -> String {
    const FIRST: &[&str] = &[
        "Ledger", "Chart", "Mail", "Note", "Plan", "Sheet", "Draw", "Build", "Trace", "Vault", "Relay",
        "Parcel", "Meter", "Survey", "Roster", "Invoice",
    ];
    const SECOND: &[&str] =
        &["Room", "Works", "Desk", "Studio", "Viewer", "Agent", "Sync", "Kit", "Board", "Manager"];
    let name = format!("{}{}", chance.pick(FIRST), chance.pick(SECOND));
    if number < 8 { name } else { format!("{name} {}", number + 1) }
}

/// A file of an application: the first is the program itself.
pub(super) fn application_file(product: &str, place: usize, chance: &mut Chance) -> (Kind, String) {
    let base = product.to_lowercase().replace(' ', "");
    match place {
        0 => (Kind::Program, format!("{base}.exe")),
        1 => (Kind::Program, format!("{base}-update.exe")),
        _ => {
            let part =
                chance.pick(&["core", "ui", "net", "data", "plugin", "codec", "render", "lang", "report"]);
            (Kind::Library, format!("{base}-{part}{place}.dll"))
        }
    }
}

/// A file that only one machine has.
pub(super) fn singleton(account: &str, chance: &mut Chance) -> (Kind, String, String) {
    let number = chance.below(9000) + 1000;
    let home = format!("C:\\Users\\{account}");
    if chance.happens(0.5) {
        let name = chance.pick(&["setup", "helper", "patch", "converter", "viewer"]);
        (Kind::Program, format!("{name}-{number}.exe"), format!("{home}\\Downloads"))
    } else if chance.happens(0.3) {
        (Kind::Library, format!("native-{number}.dll"), format!("{home}\\AppData\\Local\\Temp"))
    } else {
        let name = chance.pick(&["report", "minutes", "offer", "budget", "figures"]);
        let ending = chance.pick(&["docx", "xlsx", "pdf", "ps1"]);
        (Kind::Document, format!("{name}-{number}.{ending}"), format!("{home}\\Documents"))
    }
}

/// A file that a developer's machine builds.
pub(super) fn built(day: i64, nth: usize, account: &str) -> (Kind, String, String) {
    let folder = format!("C:\\Users\\{account}\\source\\gudgeon\\target\\debug");
    match nth % 3 {
        0 => (Kind::Program, format!("gudgeon-test-{day}-{nth}.exe"), folder),
        _ => (Kind::Library, format!("gudgeon-{day}-{nth}.dll"), folder),
    }
}

/// What an alert is about.
#[derive(Clone, Copy, Default)]
pub(super) struct Story {
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) category: &'static str,
    pub(super) severity: &'static str,
    pub(super) techniques: &'static [&'static str],
    /// The malicious file.
    pub(super) file: &'static str,
    /// What it leaves behind.
    pub(super) dropped: &'static str,
}

pub(super) const STORIES: &[Story] = &[
    Story {
        title: "A program posing as a document was run",
        description: "A program with the icon and name of a document arrived by mail and was run by the user.",
        category: "Execution",
        severity: "High",
        techniques: &["T1204.002"],
        file: "overdue-invoice.pdf.exe",
        dropped: "invoice-helper.dll",
    },
    Story {
        title: "A credential dumping tool was found in memory",
        description: "A program read the memory of the process that keeps credentials.",
        category: "CredentialAccess",
        severity: "High",
        techniques: &["T1003.001"],
        file: "memview.exe",
        dropped: "memview-driver.dll",
    },
    Story {
        title: "A file was encrypted by an unknown program",
        description: "A program not seen in the organisation before rewrote many documents in a short time.",
        category: "Ransomware",
        severity: "High",
        techniques: &["T1486"],
        file: "archive-tool.exe",
        dropped: "archive-note.txt",
    },
    Story {
        title: "A scheduled task keeps an unknown program running",
        description: "A task that starts an unsigned program at every logon was created.",
        category: "Persistence",
        severity: "Medium",
        techniques: &["T1053.005"],
        file: "updater-svc.exe",
        dropped: "updater-cfg.dll",
    },
    Story {
        title: "An unwanted application was installed",
        description: "An installer brought along an application that shows advertising.",
        category: "UnwantedSoftware",
        severity: "Low",
        techniques: &[],
        file: "free-converter-setup.exe",
        dropped: "toolbar.dll",
    },
    Story {
        title: "A program connected to a known control server",
        description: "A program connected at regular intervals to an address on a watch list.",
        category: "CommandAndControl",
        severity: "Medium",
        techniques: &["T1071.001"],
        file: "sync-client.exe",
        dropped: "sync-client.dat",
    },
];
