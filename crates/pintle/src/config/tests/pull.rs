//! Sections of stores that are fetched from.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::Pull;
use crate::config::pull::{Api, Objects, Place, Store, Upstream};

const EXPORT: &str = r#"
[pull.export]
url = "az://insights-logs-advancedhunting-{table}/of/"
account = "exported"
endpoint = "https://storage.example.org:9000/"
region = "eu-1"
credentials_file = "/etc/pintle/export"
tenant = "acme"
format = "mde-streaming"
interval = "2m"
live = false
forget_after = "3d"
"#;

const API: &str = r#"
[pull.defender]
api = "https://api.example.org/"
token_url = "https://login.example.org/of/token"
scope = "api://of/.default"
credentials_file = "/etc/pintle/defender"
tenant = "acme"
interval = "2m"
live = false
look_back = "30d"
machines_interval = "3h"
calls_per_minute = 10
calls_per_hour = 100
"#;

fn objects(pull: &Pull) -> &Objects {
    let Upstream::Objects(objects) = &pull.upstream else { panic!("an API") };
    objects
}

fn api(pull: &Pull) -> &Api {
    let Upstream::Api(api) = &pull.upstream else { panic!("objects") };
    api
}

#[test]
fn a_section_is_read_whole_and_shown_as_it_was() {
    let config = load(EXPORT);
    let pull = &config.pull["export"];
    let objects = objects(pull);
    assert_eq!((objects.url.store, objects.account.as_deref()), (Store::Azure, Some("exported")));
    assert_eq!(objects.endpoint.as_ref().unwrap().as_str(), "https://storage.example.org:9000");
    assert_eq!(objects.credentials_file.as_deref(), Some(Path::new("/etc/pintle/export")));
    assert_eq!(
        (objects.region.as_deref(), pull.tenant.as_str(), pull.is_live),
        (Some("eu-1"), "acme", false)
    );
    assert_eq!(objects.format.as_deref(), Some("mde-streaming"));
    assert_eq!((pull.interval.as_secs(), objects.forget_after.as_secs()), (120, 3 * 24 * 3600));
    assert_eq!(load(&pull.show("export")), config);
}

#[test]
fn a_section_of_an_api_is_read_whole_and_shown_as_it_was() {
    let config = load(API);
    let pull = &config.pull["defender"];
    let told = api(pull);
    assert_eq!(told.api.as_str(), "https://api.example.org");
    assert_eq!(told.token_url.as_str(), "https://login.example.org/of/token");
    assert_eq!(
        (told.scope.as_str(), pull.tenant.as_str(), pull.is_live),
        ("api://of/.default", "acme", false)
    );
    assert_eq!(told.credentials_file, Path::new("/etc/pintle/defender"));
    assert_eq!((pull.interval.as_secs(), told.machines_interval.as_secs()), (120, 3 * 3600));
    assert_eq!(told.look_back.as_secs(), 30 * 24 * 3600);
    assert_eq!((told.calls_per_minute.get(), told.calls_per_hour.get()), (10, 100));
    assert_eq!(load(&pull.show("defender")), config);
    let least: String =
        API.lines().take(4).chain(API.lines().skip(5).take(1)).map(|line| line.to_owned() + "\n").collect();
    let config = load(&least);
    let pull = &config.pull["defender"];
    let told = api(pull);
    assert_eq!(told.scope, "https://api.securitycenter.microsoft.com/.default");
    assert_eq!((told.machines_interval.as_secs(), told.look_back.as_secs()), (3600, 180 * 24 * 3600));
    assert_eq!((told.calls_per_minute.get(), told.calls_per_hour.get()), (50, 750));
    assert_eq!(load(&pull.show("defender")), config);
}

#[test]
fn a_url_stands_for_a_place_or_for_one_a_table() {
    let places = objects(&load(EXPORT).pull["export"]).url.places();
    assert_eq!(places.len(), pintle_model::tables::ALL.len());
    let bucket = "insights-logs-advancedhunting-deviceprocessevents".to_owned();
    assert!(places.contains(&Place { bucket, prefix: "of".to_owned() }), "{places:?}");
    for (url, bucket, prefix) in
        [("s3://b", "b", ""), ("s3://b/x/y/", "b", "x/y"), ("file:///srv/x y", "", "/srv/x y")]
    {
        let config = load(&format!("[pull.a]\nurl = \"{url}\"\n"));
        let pull = &config.pull["a"];
        assert_eq!(
            objects(pull).url.places(),
            [Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() }]
        );
        assert_eq!(
            (pull.tenant.as_str(), pull.is_live, pull.interval),
            ("default", true, Duration::from_secs(60))
        );
        assert_eq!(load(&pull.show("a")), config);
    }
}

#[test]
fn what_is_wrong_with_a_section_is_said_with_its_remedy() {
    let url = "\"az://insights-logs-advancedhunting-{table}/of/\"";
    let with = |wrong: &str, right: &str| EXPORT.replacen(right, wrong, 1);
    for (file, expected) in [
        (with("", &format!("url = {url}")), "pull.export.url is not set: it is where to fetch from"),
        (with("\"https://x/y\"", url), "pull.export.url: expected s3://BUCKET/PREFIX"),
        (with("\"s3://a:b@c/\"", url), "pull.export.url: expected s3://BUCKET/PREFIX"),
        (with("\"s3://b/../c\"", url), "pull.export.url: expected s3://BUCKET/PREFIX"),
        (with("\"s3://b?x=1\"", url), "pull.export.url: expected s3://BUCKET/PREFIX"),
        (with("\"file://etc\"", url), "pull.export.url: expected s3://BUCKET/PREFIX"),
        (with("\"s3://b\"", url), "pull.export.account: only Azure has accounts"),
        (with("\"file:///srv\"", url), "pull.export.url: a folder has no endpoint"),
        (
            with("\"ftp://x\"", "\"https://storage.example.org:9000/\""),
            "pull.export.endpoint: expected a URL",
        ),
        (
            with("\"https://a:b@x\"", "\"https://storage.example.org:9000/\""),
            "pull.export.endpoint: expected",
        ),
        (with("\"1ms\"", "\"2m\""), "pull.export.interval: expected at least 100ms"),
        (with("\"1m\"", "\"3d\""), "pull.export.forget_after: expected at least 1h"),
        (with("regoin", "region"), "unknown key pull.export.regoin, did you mean pull.export.region"),
        (with("[pulls.export]", "[pull.export]"), "did you mean [pull.NAME]"),
        ("[pull]\nlogs = 7\n".to_owned(), "pull.logs is a section: write [pull.logs]"),
        (
            EXPORT.replacen("url =", "api = \"https://x.example.org\"\nurl =", 1),
            "unknown key pull.export.url, did you mean pull.export.api",
        ),
        (API.replacen("token_url", "token_ulr", 1), "pull.defender.token_url is not set: it is where tokens"),
        (
            API.replacen("credentials_file", "#", 1),
            "pull.defender.credentials_file is not set: it is a file with",
        ),
        (API.replacen("= 100", "= 0", 1), "pull.defender.calls_per_hour: expected a whole number from 1"),
        (API.replacen("3h", "3ms", 1), "pull.defender.machines_interval: expected at least 100ms"),
        (
            API.replacen("api =", "region =", 1),
            "pull.defender.url is not set: it is where to fetch from, or api is",
        ),
    ] {
        let problems = problems(&file, &[]);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
    }
}
