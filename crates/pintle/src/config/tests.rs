//! Settings as an administrator meets them: text in, settings or problems out.

mod kafka;
mod outside;
mod pull;
mod watch;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::keys::{KEYS, find};
use super::{AccessLog, Config, Loaded, Origin, Profile, Sources, sample};

const TENANT: &str = "5f0d2a6e-0c1b-4a52-9a43-0a6f7f0c9d11";

fn sources(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    Sources {
        file: Some((PathBuf::from("pintle.toml"), file.to_owned())),
        environment: environment.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        flags: flags.iter().map(|(name, v)| (find(name).unwrap(), v.to_string())).collect(),
    }
}

fn load(file: &str) -> Config {
    Loaded::from_sources(&sources(file, &[], &[])).unwrap().config
}

fn problems(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let loaded = Loaded::from_sources(&sources(file, environment, &[]));
    loaded.unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_set_is_the_default() {
    assert_eq!(load(""), Config::default());
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file() {
    let file = "[quota]\nper_minute = 1\nper_hour = 1\nenabled = false\n";
    let environment = [
        ("PINTLE_QUOTA_PER_MINUTE", "2"),
        ("PINTLE_QUOTA_PER_HOUR", "2"),
        ("PINTLE_SERVER_LISTEN", ""),
        ("HOME", "/nowhere"),
    ];
    let loaded = Loaded::from_sources(&sources(file, &environment, &[("quota.per_minute", "3")])).unwrap();
    let quota = &loaded.config.quota;
    assert_eq!((quota.per_minute.get(), quota.per_hour.get(), quota.enabled), (3, 2, false));
    let origin = |name| loaded.origin(find(name).unwrap());
    assert_eq!(origin("quota.per_minute"), Origin::Flag);
    assert_eq!(origin("quota.per_hour"), Origin::Environment);
    assert_eq!(origin("quota.enabled"), Origin::File);
    assert_eq!(origin("server.listen"), Origin::Default);
}

#[test]
fn an_unknown_name_is_an_error_that_names_the_nearest_and_its_place() {
    for (file, expected) in [
        (
            "[server]\nlisten = \"127.0.0.1:1\"\nlisen = \"127.0.0.1:1\"\n",
            "pintle.toml:3:1: unknown key server.lisen, did you mean server.listen",
        ),
        (
            "[sever]\npublic_url = \"https://pintle.example.org\"\n",
            "pintle.toml:2:1: unknown key sever.public_url, did you mean server.public_url",
        ),
        (
            "[quota]\ntoken_lifetime = \"1h\"\n",
            "pintle.toml:2:1: unknown key quota.token_lifetime, did you mean issuer.token_lifetime",
        ),
        ("server = 3\n", "pintle.toml:1:1: server is a section: write [server] and its keys below"),
        ("[serve]\n", "pintle.toml:1:2: unknown key serve, did you mean [server]"),
        ("listn = \"127.0.0.1:1\"\n", "pintle.toml:1:1: unknown key listn, did you mean server.listen"),
        (
            "[tenants.acme.retention]\nalert = \"30d\"\n",
            "pintle.toml:2:1: unknown key tenants.acme.retention.alert, did you mean \
             tenants.acme.retention.alerts",
        ),
    ] {
        assert_eq!(problems(file, &[]), [expected], "{file}");
    }
    assert_eq!(
        problems("", &[("PINTLE_SERVER_LISEN", "127.0.0.1:1")]),
        ["PINTLE_SERVER_LISEN: unknown variable, did you mean PINTLE_SERVER_LISTEN"]
    );
    assert_eq!(
        problems("", &[("PINTLE_CONFIGURATION", "x")]),
        ["PINTLE_CONFIGURATION: unknown variable, did you mean PINTLE_CONFIG"]
    );
}

#[test]
fn every_problem_is_told_at_once() {
    let file = "[server]\nlisten = 80\nbody_timeout = \"0s\"\n[api]\nprofile = \"2020\"\n";
    let problems = problems(file, &[("PINTLE_QUOTA_ENABLED", "yes")]);
    assert_eq!(
        problems,
        [
            "pintle.toml:5:11: api.profile: expected one of 2021, today, found \"2020\"",
            "pintle.toml:3:16: server.body_timeout: expected a time longer than 0 such as \"30s\", \
             \"12h\" or \"180d\", found \"0s\"",
            "pintle.toml:2:10: server.listen: expected a string in quotes, found a number",
            "PINTLE_QUOTA_ENABLED: quota.enabled: expected true or false, found \"yes\"",
        ]
    );
}

#[test]
fn a_broken_file_is_told_with_its_place() {
    let problems = problems("[server]\nlisten = \"127.0.0.1:1\n", &[]);
    assert!(problems[0].starts_with("pintle.toml:2:"), "{problems:?}");
}

#[test]
fn values_are_read_in_every_way_they_are_written() {
    let config = load(
        "[server]\nidle_timeout = \"1m30s\"\ntrusted_proxies = \
         [\"192.0.2.0/24\", \"2001:db8::1\"]\n[ingest]\nmax_body_bytes = 0x10_0000\n[archive]\n\
         max_age = \"unlimited\"\nmax_bytes = \"2 GB\"\n[log]\naccess = \"1/50\"\n",
    );
    assert_eq!(config.server.limits.idle_timeout, Duration::from_secs(90));
    assert_eq!(config.ingest.max_body_bytes.bytes(), 1 << 20);
    assert_eq!(config.archive.max_age, None);
    assert_eq!(config.archive.caps().max_bytes, Some(2_000_000_000));
    assert_eq!(config.log.access, AccessLog::OneIn(50.try_into().unwrap()));
    for (peer, trusted) in [
        ("192.0.2.200", true),
        ("::ffff:192.0.2.200", true),
        ("192.0.3.1", false),
        ("2001:db8::1", true),
        ("2001:db8::2", false),
    ] {
        assert_eq!(config.server.trusts(peer.parse::<IpAddr>().unwrap()), trusted, "{peer}");
    }
    let environment = [("PINTLE_SERVER_TRUSTED_PROXIES", "127.0.0.1, ::1"), ("PINTLE_API_PROFILE", "today")];
    let loaded = Loaded::from_sources(&sources("", &environment, &[])).unwrap();
    assert_eq!(loaded.config.server.trusted_proxies.len(), 2);
    assert_eq!(loaded.config.api.profile, Profile::Today);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (key, value) in [
        ("server.listen", "\"localhost\""),
        ("server.public_url", "\"http://pintle.example.org\""),
        ("server.public_url", "\"https://user@pintle.example.org\""),
        ("server.public_url", "\"https://pintle.example.org/?a=b\""),
        ("server.public_url", "\"ftp://pintle.example.org\""),
        ("server.public_url", "\"pintle.example.org\""),
        ("server.trusted_proxies", "[\"192.0.2.0/33\"]"),
        ("server.trusted_proxies", "\"192.0.2.0\""),
        ("server.max_connections", "0"),
        ("server.max_connections", "-1"),
        ("ingest.max_body_bytes", "\"99999999TiB\""),
        ("retention.alerts", "\"12\""),
        ("retention.alerts", "\"d\""),
        ("retention.alerts", "\"99999999999999999999d\""),
        ("quota.per_minute", "4294967296"),
        ("quota.per_minute", "1.5"),
        ("log.access", "\"1/0\""),
    ] {
        let problems = problems(&format!("{key} = {value}\n"), &[]);
        assert_eq!(problems.len(), 1, "{key} = {value}: {problems:?}");
    }
}

#[test]
fn a_tenants_retention_is_the_general_one_but_for_what_it_says_itself() {
    let file = format!(
        "[retention]\nalerts = \"180d\"\n[tenants.acme.retention]\nalerts = \"unlimited\"\n\
         [tenants.\"{TENANT}\".retention]\nalerts = \"30d\"\n"
    );
    let environment = [("PINTLE_RETENTION_MACHINES", "90d")];
    let config = Loaded::from_sources(&sources(&file, &environment, &[])).unwrap().config;
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    let (listed, other) = (TENANT.parse().unwrap(), TENANT.replace('5', "6").parse().unwrap());

    let by_id = config.retention_of(listed, "acme");
    assert_eq!((by_id.alerts, by_id.machines, by_id.sightings), (days(30), days(90), None));
    let by_name = config.retention_of(other, "acme");
    assert_eq!((by_name.alerts, by_name.machines), (None, days(90)));
    let general = config.retention_of(other, "default");
    assert_eq!((general.alerts, general.machines), (days(180), days(90)));
}

#[test]
fn serving_needs_a_public_url_and_tls_where_others_can_listen() {
    let url = "public_url = \"https://pintle.example.org/\"\n";
    for (server, expected) in [
        ("", vec!["server.public_url is not set"]),
        (url, vec![]),
        ("public_url = \"http://localhost:8080\"\n", vec![]),
        (&format!("{url}listen = \"[::1]:8080\"\n"), vec![]),
        (&format!("{url}listen = \"0.0.0.0:8080\"\n"), vec!["server.listen is 0.0.0.0:8080"]),
        (&format!("{url}listen = \"0.0.0.0:443\"\ntls_certificate = \"a\"\ntls_key = \"b\"\n"), vec![]),
        (&format!("{url}tls_key = \"b\"\n"), vec!["server.tls_key is set"]),
        (&format!("{url}health_listen = \"127.0.0.1:8080\"\n"), vec!["server.listen and"]),
    ] {
        let file = format!("[data]\nfolder = \"/srv/pintle\"\n[server]\n{server}");
        let problems = load(&file).problems_for_serving();
        assert_eq!(problems.len(), expected.len(), "{server}: {problems:?}");
        for (problem, beginning) in problems.iter().zip(expected) {
            assert!(problem.starts_with(beginning), "{server}: {problem}");
        }
    }
}

#[test]
fn the_sample_says_nothing_but_the_defaults() {
    let sample = sample::sample();
    assert_eq!(load(&sample), Config::default());
    // With its settings no longer commented out it is still a file that loads.
    let uncommented: String = sample
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let is_last = |(before, _): (&str, &str)| before.to_owned();
    let uncommented = match uncommented.split_once("[kafka.").map(is_last) {
        // Not everywhere can it be set.
        Some(others) if !cfg!(feature = "kafka") => others,
        _ => uncommented,
    };
    let config = load(&uncommented);
    assert_eq!(config.server.listen, Config::default().server.listen);
    for key in KEYS {
        let name = key.section_and_name().1;
        assert!(sample.contains(&format!("\n#{name} = ")), "{}", key.name);
        assert!(sample.contains(&key.variable()), "{}", key.name);
    }
}

#[test]
fn the_packaged_sample_is_what_config_init_writes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/pintle.toml");
    let packaged = std::fs::read_to_string(path).unwrap();
    assert!(packaged == sample::sample(), "run `pintle config init - > packaging/pintle.toml`");
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let file = "[server]\npublic_url = \"https://pintle.example.org\"\n[log]\naccess = \"1/7\"\n\
                [retention]\nalerts = \"180d\"\n[tenants.acme.retention]\nmachines = \"1w\"\n";
    let loaded = Loaded::from_sources(&sources(file, &[], &[("data.folder", "/srv/a \"b\"")])).unwrap();
    let shown = sample::show(&loaded);
    assert_eq!(load(&shown), loaded.config, "{shown}");
    let line = shown.lines().find(|line| line.starts_with("data.folder")).unwrap();
    assert!(line.ends_with("# flag"), "{line}");
}

#[test]
fn keys_variables_and_flags_are_each_there_once() {
    for (at, key) in KEYS.iter().enumerate() {
        for other in KEYS.iter().skip(at + 1) {
            assert_ne!(key.name, other.name);
            assert_ne!(key.variable(), other.variable());
            assert!(key.flag.is_none() || key.flag != other.flag, "{}", key.name);
        }
    }
}
