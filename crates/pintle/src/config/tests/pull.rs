//! Sections of stores that are fetched from.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::pull::{Place, Store};

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

#[test]
fn a_section_is_read_whole_and_shown_as_it_was() {
    let config = load(EXPORT);
    let pull = &config.pull["export"];
    assert_eq!((pull.url.store, pull.account.as_deref()), (Store::Azure, Some("exported")));
    assert_eq!(pull.endpoint.as_ref().unwrap().as_str(), "https://storage.example.org:9000");
    assert_eq!(pull.credentials_file.as_deref(), Some(Path::new("/etc/pintle/export")));
    assert_eq!((pull.region.as_deref(), pull.tenant.as_str(), pull.is_live), (Some("eu-1"), "acme", false));
    assert_eq!(pull.format.as_deref(), Some("mde-streaming"));
    assert_eq!((pull.interval.as_secs(), pull.forget_after.as_secs()), (120, 3 * 24 * 3600));
    assert_eq!(load(&pull.show("export")), config);
}

#[test]
fn a_url_stands_for_a_place_or_for_one_a_table() {
    let places = load(EXPORT).pull["export"].url.places();
    assert_eq!(places.len(), pintle_model::tables::ALL.len());
    let bucket = "insights-logs-advancedhunting-deviceprocessevents".to_owned();
    assert!(places.contains(&Place { bucket, prefix: "of".to_owned() }), "{places:?}");
    for (url, bucket, prefix) in
        [("s3://b", "b", ""), ("s3://b/x/y/", "b", "x/y"), ("file:///srv/x y", "", "/srv/x y")]
    {
        let config = load(&format!("[pull.a]\nurl = \"{url}\"\n"));
        let pull = &config.pull["a"];
        assert_eq!(pull.url.places(), [Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() }]);
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
    ] {
        let problems = problems(&file, &[]);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
    }
}
