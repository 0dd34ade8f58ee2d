use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use pintle_store::{Options, Scope};
use tokio::runtime::Runtime;

use crate::config::Config;
use crate::instance::Instance;
use crate::pull::{Asked, Came, PullError};
use crate::testing::{self, gzip};

/// A folder that is fetched from, and what is taken of it.
struct Site {
    data: tempfile::TempDir,
    store: tempfile::TempDir,
    runtime: Runtime,
    config: Config,
    instance: Option<Instance>,
}

/// A row, with the end of its line.
fn row(n: usize) -> String {
    testing::row(n) + "\r\n"
}

fn rows(numbers: std::ops::Range<usize>) -> String {
    numbers.map(row).collect()
}

/// Where Defender's export puts the rows of an hour.
const HOUR: &str = "tenantId=00000000-0000-4000-8000-000000000001/y=2026/m=01/d=15/h=09/m=00/PT1H.json";

impl Site {
    fn new(more: &str) -> Site {
        let store = tempfile::tempdir().unwrap();
        let text = format!("[pull.export]\nurl = \"file://{}\"\n{more}", store.path().display());
        Site::with(store, &text)
    }

    fn with(store: tempfile::TempDir, text: &str) -> Site {
        let sources = crate::config::Sources {
            file: Some((PathBuf::from("a.toml"), text.to_owned())),
            ..Default::default()
        };
        let config = crate::config::Loaded::from_sources(&sources).unwrap().config;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut site = Site { data, store, runtime, config, instance: None };
        site.restart();
        site
    }

    /// As after a crash: nothing is told to the old one.
    fn restart(&mut self) {
        self.instance = None;
        let clock = Options::default().clock;
        self.instance = Some(Instance::open(self.data.path(), self.config.clone(), clock).unwrap());
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.store.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.store.path().join(name), text).unwrap();
    }

    /// It changed last an hour ago.
    fn make_old(&self, name: &str) {
        let file = OpenOptions::new().append(true).open(self.store.path().join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }

    fn instance(&self) -> &Instance {
        self.instance.as_ref().unwrap()
    }

    fn round(&self) -> Result<Came, PullError> {
        let instance = self.instance();
        instance.pulls.round(instance, "export", self.runtime.handle(), Asked::ByTheClock, &mut |_| {})
    }

    /// The records that a round takes.
    fn records(&self) -> u64 {
        self.round().unwrap().records
    }

    /// Distinct files that the store knows.
    fn files(&self) -> u64 {
        let tenant = self.instance().control.tenant("default").unwrap().id;
        self.instance().store.totals(&Scope::whole(tenant)).unwrap().files
    }
}

#[test]
fn lines_are_taken_from_where_they_were_and_half_a_line_waits() {
    let mut site = Site::new("");
    site.append(HOUR, rows(0..3) + row(3).split_at(40).0);
    assert_eq!(site.records(), 3);
    assert_eq!(site.records(), 0);
    site.append(HOUR, row(3).split_at(40).1.to_owned() + &rows(4..6));
    assert_eq!((site.records(), site.files()), (3, 6));
    site.restart();
    assert_eq!(site.records(), 0);
    site.append(HOUR, rows(6..7));
    let came = site.round().unwrap();
    assert_eq!((came.listed, came.taken, came.records, came.failed), (1, 1, 1, 0));
    assert_eq!(came.bytes, row(6).len() as u64);
    assert_eq!(site.files(), 7);
}

#[test]
fn what_has_other_content_is_taken_anew() {
    let site = Site::new("");
    site.append("a.json", rows(0..5));
    assert_eq!(site.records(), 5);
    // Longer, and shorter, than what was there.
    site.write("a.json", rows(10..17));
    assert_eq!((site.records(), site.files()), (7, 12));
    site.write("a.json", rows(20..22));
    assert_eq!((site.records(), site.files()), (2, 14));
    // Just as long.
    site.write("a.json", rows(30..32));
    assert_eq!((site.records(), site.files()), (2, 16));
}

#[test]
fn a_line_that_is_longer_than_what_is_read_at_once_is_taken_as_one() {
    // An envelope on one line, of 24 MiB.
    let envelope = |numbers: std::ops::Range<usize>| {
        let padding = format!(",\"Padding\":\"{}\"}}", "x".repeat(3 << 20));
        let records: Vec<String> = numbers.map(|n| row(n).trim_end().replace('}', &padding)).collect();
        format!("{{\"records\":[{}]}}", records.join(","))
    };
    let site = Site::new("");
    site.append("document.json", envelope(0..8));
    assert_eq!((site.records(), site.files()), (8, 8));
    site.append("lines.json", row(10) + &envelope(20..28) + "\n" + &row(11));
    assert_eq!((site.records(), site.files()), (10, 18));
    // One that is not whole waits.
    let last = envelope(30..38);
    let (begin, end) = last.split_at(21 << 20);
    site.append("lines.json", begin);
    assert_eq!(site.records(), 0);
    site.append("lines.json", end.to_owned() + "\n" + &row(12));
    assert_eq!((site.records(), site.files()), (9, 27));
    assert_eq!(site.records(), 0);
    // One without an end is whole once it is old, and a value.
    site.append("end.json", row(50) + &envelope(60..68));
    assert_eq!(site.records(), 1);
    site.make_old("end.json");
    assert_eq!((site.records(), site.files()), (8, 36));
}

#[test]
fn what_cannot_be_listed_keeps_nothing_else_from_being_taken() {
    use std::os::unix::ffi::OsStrExt as _;
    let site = Site::new("");
    site.append("a.json", rows(0..1));
    site.append("z/a.json", rows(1..2));
    std::os::unix::fs::symlink(site.store.path(), site.store.path().join("loop")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff.json");
    std::fs::write(site.store.path().join(odd), rows(2..3)).unwrap();
    site.append("100%41 ü.json", rows(3..4));
    let came = site.round().unwrap();
    assert_eq!((came.listed, came.records, came.failed, site.files()), (3, 3, 1, 3));
    assert_eq!(came.troubles, ["odd\u{fffd}.json: its name is not UTF-8"]);
    assert_eq!(site.records(), 0);
}

#[test]
fn what_is_packed_or_a_document_is_taken_whole_once_it_changed() {
    let site = Site::new("");
    site.append("a.json.gz", gzip(&rows(0..5)));
    site.append("b.json", format!("[\n{},\n{}\n]", row(5), row(6)));
    assert_eq!(site.records(), 7);
    assert_eq!(site.records(), 0);
    site.append("a.json.gz", gzip(&rows(7..8)));
    assert_eq!((site.records(), site.files()), (6, 8));
}

#[test]
fn one_that_cannot_be_read_keeps_no_other_from_being_taken_and_is_tried_again_when_it_changes() {
    let site = Site::new("");
    site.append("a.json.gz", &gzip(&rows(0..500))[..200]);
    site.append("b.txt", "neither JSON\nnor anything else\n");
    site.append("c.json", rows(500..502));
    let came = site.round().unwrap();
    // Of what is cut off its beginning is taken, and the rest kept aside.
    assert_eq!((came.listed, came.failed), (3, 1));
    assert_eq!(came.troubles, ["b.txt: it is of no known format"]);
    assert!((2..500).contains(&site.files()), "{}", site.files());
    // Not at once.
    assert_eq!(site.round().unwrap().failed, 0);
    site.write("a.json.gz", gzip(&rows(0..500)));
    assert_eq!((site.round().unwrap().failed, site.files()), (0, 502));
}

#[test]
fn links_do_not_lead_out_of_a_folder() {
    let site = Site::new("");
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("secret.json"), rows(0..5)).unwrap();
    site.append("a.json", rows(5..6));
    std::os::unix::fs::symlink(other.path().join("secret.json"), site.store.path().join("b.json")).unwrap();
    std::os::unix::fs::symlink(other.path(), site.store.path().join("c")).unwrap();
    assert_eq!((site.records(), site.files()), (1, 1));
}

#[test]
fn the_last_line_without_an_end_is_taken_once_it_is_old_and_whole() {
    let site = Site::new("");
    site.append("a.json", rows(0..1) + row(1).trim_end());
    site.append("b.json", rows(2..3) + row(3).split_at(50).0);
    site.make_old("a.json");
    site.make_old("b.json");
    assert_eq!((site.records(), site.files()), (3, 3));
    assert_eq!(site.records(), 0);
}

#[test]
fn one_section_takes_the_tables_of_an_export_those_that_there_are() {
    let store = tempfile::tempdir().unwrap();
    let url = format!("file://{}/insights-logs-advancedhunting-{{table}}", store.path().display());
    let site = Site::with(store, &format!("[pull.export]\nurl = \"{url}\"\n"));
    assert_eq!(site.round().unwrap(), Came::default());
    site.append(&format!("insights-logs-advancedhunting-devicefileevents/{HOUR}"), rows(0..2));
    site.append(&format!("insights-logs-advancedhunting-deviceevents/{HOUR}"), rows(2..3));
    site.append("insights-logs-other/a.json", rows(3..4));
    assert_eq!((site.records(), site.files()), (3, 3));
    assert_eq!(site.records(), 0);
}

#[test]
fn what_is_wrong_is_said() {
    let site = Site::new("tenant = \"nobody\"\n");
    assert_eq!(site.round(), Err(PullError::Failed("there is no tenant nobody".to_owned())));
    let instance = site.instance();
    let unknown =
        instance.pulls.round(instance, "other", site.runtime.handle(), Asked::ByPeople, &mut |_| {});
    assert_eq!(unknown, Err(PullError::Unknown("other".to_owned())));
    let site = Site::new("");
    std::fs::remove_dir_all(site.store.path()).unwrap();
    let gone = site.round().unwrap_err().to_string();
    assert!(gone.ends_with("is not there"), "{gone}");
    let counted = site.instance().metrics.encode();
    assert!(counted.contains("pintle_pull_rounds_total{pull=\"export\",outcome=\"failed\"} 1"), "{counted}");
}

#[test]
fn a_store_that_says_nothing_is_given_up_and_one_without_tls_is_asked_only_if_the_settings_say_so() {
    // Nothing listens there any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let top = tempfile::tempdir().unwrap();
    let credentials = top.path().join("credentials");
    std::fs::write(
        &credentials,
        "# of the export\nAWS_ACCESS_KEY_ID=aa\nAWS_SECRET_ACCESS_KEY=\"hush-hush\"\n",
    )
    .unwrap();
    let text = format!(
        "[pull.export]\nurl = \"s3://export\"\nendpoint = \"http://127.0.0.1:{port}\"\ncredentials_file = {credentials:?}\n"
    );
    let site = Site::with(top, &text);
    let failed = site.round().unwrap_err().to_string();
    assert!(!failed.contains("hush"), "{failed}");
    std::fs::write(&credentials, "hush-hush=1\n").unwrap();
    let failed = site.round().unwrap_err().to_string();
    assert!(failed.contains("is no name of a credential") && !failed.contains("hush-hush"), "{failed}");
}
