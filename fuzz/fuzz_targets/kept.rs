//! Any text as a configuration, and any bytes as a file of a data folder that is not the store's: who may ask,
//! sessions, quotas, sources, the clock of retention, the audit log, what was fetched and watched. The first byte
//! says as what. With a folder in `SEEDS` it writes what its fuzzing begins with.

#![no_main]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pintle::audit::{self, Actor, Audit, Entry};
use pintle::auth::control::{Control, NewApplication};
use pintle::auth::permission::Permissions;
use pintle::auth::sessions::Sessions;
use pintle::auth::user::NewUser;
use pintle::config::{self, Loaded, Sources};
use pintle::quota::Quotas;
use pintle::retention::Job;
use pintle::{fuzzing, sources};
use pintle_model::Time;
use pintle_store::Clock;

const NOW: i64 = 1_768_435_200;

/// One for each process.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(std::process::id().to_string());
    fs::create_dir_all(folder.join(audit::FOLDER)).expect("a folder in memory");
    folder
});

fn with(name: &str, bytes: &[u8]) -> &'static Path {
    fs::write(FOLDER.join(name), bytes).expect("a file in memory");
    &FOLDER
}

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("SEEDS") {
            write_seeds(&Path::new(&folder).join("kept")).expect("seeds can be written");
            std::process::exit(0);
        }
    },
    |bytes: &[u8]| read(bytes)
);

fn read(bytes: &[u8]) {
    let Some((what, bytes)) = bytes.split_first() else { return };
    let clock: Clock = Arc::new(|| Time::from_unix_seconds(NOW));
    match what % 17 {
        0..=4 => {
            let Ok(text) = str::from_utf8(bytes) else { return };
            let file = Some((PathBuf::from("pintle.toml"), text.to_owned()));
            if let Err(problems) = Loaded::from_sources(&Sources { file, ..Sources::default() }) {
                assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.message.is_empty()));
            }
        }
        5 | 6 => {
            let Ok(control) = Control::open(with("control.json", bytes)) else { return };
            for tenant in control.tenants() {
                control.device_groups(tenant.id).compiled();
                control.machine_rules(tenant.id).compiled();
            }
        }
        7 => _ = Sessions::open(with("sessions.json", bytes), Duration::from_secs(3600)),
        8 => _ = Quotas::open(with("quota.json", bytes)),
        9 => _ = sources::Sources::open(with("sources.json", bytes)),
        10 => _ = Job::open(with("retention.json", bytes), clock).0.look(),
        11 | 12 => {
            let verified = audit::verify(with("audit/00000001.jsonl", bytes), None).expect("it can be read");
            assert!(verified.lines <= bytes.len() as u64);
        }
        kind => fuzzing::remembered(kind.wrapping_sub(13), bytes, &FOLDER.join("credentials")),
    }
}

/// What a server writes that has a little of everything.
fn write_seeds(to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let seed = |kind: u8, name: &str, bytes: &[u8]| fs::write(to.join(name), [&[kind], bytes].concat());
    seed(0, "sample", config::sample::sample().as_bytes())?;
    // The sample's settings are comments: without their signs they count.
    let set: String = config::sample::sample()
        .lines()
        .map(|line| line.trim_start_matches("# ").to_owned() + "\n")
        .collect();
    seed(0, "settings", set.as_bytes())?;
    for (number, text) in SETTINGS.iter().enumerate() {
        seed(0, &format!("section-{number}"), text.as_bytes())?;
    }
    let now = Time::from_unix_seconds(NOW);
    let control = Control::open(&FOLDER).expect("control");
    let tenant = control.tenant("default").expect("a tenant").id;
    let new = NewApplication::new(tenant, "a", Permissions::named(["Machine.Read.All"]));
    control.create_application_with(new, now).expect("an application");
    control.create_user_group(tenant, "g", "d").expect("a group");
    let new = NewUser { tenant, name: "u".into(), display_name: "U".into(), user_groups: vec!["g".into()] };
    control.create_user(new, now).expect("a user");
    seed(5, "control", &fs::read(FOLDER.join("control.json"))?)?;
    let audit = Audit::open(&FOLDER, Arc::new(move || now)).expect("an audit log");
    for number in 0..3 {
        let entry = Entry::new(Actor::anonymous(), "a.b").on(number).with("detail", number);
        audit.record(entry.in_tenant(tenant)).expect("a line");
    }
    audit.close().expect("the last line");
    seed(11, "audit", &fs::read(FOLDER.join("audit/00000001.jsonl"))?)?;
    for (kind, name, text) in KEPT {
        seed(*kind, name, text.as_bytes())?;
    }
    Ok(())
}

/// Sections with names of the administrator's own.
const SETTINGS: [&str; 3] = [
    "[outside_issuers.a]\nissuer = \"https://login.example.org/\"\ntenant = \"default\"\naudiences = [\"api://a\"]\nroles = { r = [\"Machine.Read.All\"] }\ngroups = { g = [\"analysts\"] }\n",
    "[pull.a]\nurl = \"s3://bucket/prefix/\"\nregion = \"eu-west-1\"\nendpoint = \"https://s3.example.org\"\ncredentials_file = \"/a\"\ninterval = \"1m\"\ntenant = \"default\"\nformat = \"ocsf\"\n[tenants.default.retention]\nalerts = \"30d\"\n",
    "[watch.a]\nfolder = \"/var/log/a\"\npattern = \"*.json\"\nafter = \"keep\"\n[kafka.a]\nbrokers = [\"a:9092\"]\ntopics = [\"t\"]\ngroup = \"g\"\n",
];

/// Files of a data folder.
const KEPT: &[(u8, &str, &str)] = &[
    (
        7,
        "sessions",
        r#"{"11111111-1111-1111-1111-111111111111":{"tenant":"11111111-1111-1111-1111-111111111111","user":"11111111-1111-1111-1111-111111111111","application":"11111111-1111-1111-1111-111111111111","audience":"a","scopes":[],"openid":true,"signed_in":1,"epoch":0,"used":1,"generation":0,"current":["a"],"previous":[]}}"#,
    ),
    (
        8,
        "quota",
        r#"{"buckets":[{"bucket":{"tenant":"11111111-1111-1111-1111-111111111111","application":"11111111-1111-1111-1111-111111111111","endpoint":"a"},"first":1,"then":[1,2]}]}"#,
    ),
    (9, "sources", r#"{"sources":[]}"#),
    (10, "retention", r#"{"last":null,"pause":null}"#),
    (
        13,
        "api",
        r#"{"of":"https://a","lists":{"alerts":{"watermark":"2026-01-02T03:04:05Z","looked":null,"elements":{"1":2}}}}"#,
    ),
    (
        14,
        "objects",
        r#"{"places":{"a":{"done_before":1,"reached":"a/b","begun":1,"newest":2,"forgot":0,"objects":{"a/b":{"changed":1,"size":2,"tag":null}}}}}"#,
    ),
    (
        15,
        "watched",
        r#"[{"name":"a","growth":"lines","offset":1,"is_taken":false,"format":null,"gone":null}]"#,
    ),
    (16, "credentials", "CLIENT_ID=a\n# c\nCLIENT_SECRET=\"b\"\n"),
];
