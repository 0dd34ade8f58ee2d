//! A server that takes topics of Kafka: of librdkafka's mock cluster, which this process holds, and of a real
//! broker where one is installed.

mod broker;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::command::{on, row, run_on, signal, spawn};
use crate::recordings::Recordings;
use crate::shippers::{assert_answers, is_of_lines};

/// Far beyond what anything takes here; a member that was killed is missed after 30 s.
const PATIENCE: Duration = Duration::from_secs(180);

fn sha1(n: u32) -> String {
    format!("{n:040x}")
}

/// A row of a machine and a file of that number.
fn record(n: u32) -> String {
    row(n, "ws-01", n % 60, &sha1(n)).trim_end().to_owned()
}

/// Sends to brokers.
struct Sender(BaseProducer);

impl Sender {
    fn to(settings: &[(&str, &str)]) -> Sender {
        let mut config = ClientConfig::new();
        settings.iter().for_each(|(name, value)| _ = config.set(*name, *value));
        Sender(config.create().unwrap())
    }

    fn send(&self, topic: &str, partition: i32, value: Option<&[u8]>) {
        let record = BaseRecord::<(), [u8]>::to(topic).partition(partition);
        let record = value.into_iter().fold(record, BaseRecord::payload);
        self.0.send(record).map_err(|(error, _)| error).unwrap();
    }

    fn flush(&self) {
        self.0.flush(Duration::from_secs(60)).unwrap();
        assert_eq!(self.0.in_flight_count(), 0);
    }
}

struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    sender: Sender,
}

impl Cluster {
    fn with(topics: &[(&str, i32)]) -> Cluster {
        let mock = MockCluster::new(1).unwrap();
        for (topic, partitions) in topics {
            mock.create_topic(topic, *partitions, 1).unwrap();
        }
        let sender = Sender::to(&[("bootstrap.servers", &mock.bootstrap_servers())]);
        Cluster { mock, sender }
    }

    fn send(&self, topic: &str, partition: i32, value: impl AsRef<[u8]>) {
        self.sender.send(topic, partition, Some(value.as_ref()));
    }
}

/// A server that takes topics.
struct Site {
    top: tempfile::TempDir,
    data: PathBuf,
}

impl Site {
    /// With these settings.
    fn new(text: &str) -> Site {
        let top = tempfile::tempdir().unwrap();
        let data = top.path().join("data");
        let general = "[server]\nlisten = \"127.0.0.1:0\"\nhealth_listen = \"127.0.0.1:0\"\npublic_url = \"http://localhost\"\n";
        std::fs::write(top.path().join("pintle.toml"), format!("{general}{text}")).unwrap();
        Site { top, data }
    }

    /// With a section for topics of a cluster, with more lines.
    fn of(cluster: &Cluster, topics: &str, more: &str) -> Site {
        let brokers = cluster.mock.bootstrap_servers().replace(',', "\", \"");
        Site::new(&format!("[kafka.edr]\nbrokers = [\"{brokers}\"]\ntopics = {topics}\ntls = false\n{more}"))
    }

    fn serve(&self) -> Serving<'_> {
        // One that was killed leaves its socket behind, which says nothing of this one.
        _ = std::fs::remove_file(self.data.join("pintle.sock"));
        let settings = self.top.path().join("pintle.toml");
        let log =
            std::fs::OpenOptions::new().append(true).create(true).open(self.top.path().join("log")).unwrap();
        let mut command = on(&self.data, &["serve", "--config", settings.to_str().unwrap()]);
        Serving { site: self, child: spawn(command.stdout(Stdio::null()).stderr(log)) }
    }

    /// What the command `sources` tells, once there is a server.
    fn told(&self) -> Option<Value> {
        // A command that finds no server would own the folder itself.
        if !self.data.join("pintle.sock").exists() {
            return None;
        }
        let told = run_on(&self.data, &["sources", "--json"]);
        (told.code == 0).then(|| told.json())
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < PATIENCE {
            last = self.told().or(last);
            if let Some(told) = last.as_ref().filter(|told| is_so(told)) {
                return told.clone();
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let log = std::fs::read_to_string(self.top.path().join("log")).unwrap_or_default();
        panic!("{what}: {last:?}\n{log}");
    }

    fn wait_for(&self, files: impl IntoIterator<Item = u32>) {
        let begun = Instant::now();
        for n in files {
            let is_known = || self.told().is_some() && run_on(&self.data, &["search", &sha1(n)]).code == 0;
            while !is_known() {
                let log = || std::fs::read_to_string(self.top.path().join("log")).unwrap_or_default();
                assert!(begun.elapsed() < PATIENCE, "file {n} is not taken: {:?}\n{}", self.told(), log());
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

struct Serving<'s> {
    site: &'s Site,
    child: Child,
}

impl Serving<'_> {
    fn end(mut self) {
        signal(&self.child, Signal::TERM);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    fn kill(mut self) {
        signal(&self.child, Signal::KILL);
        self.child.wait().unwrap();
        std::fs::remove_file(self.site.data.join("pintle.sock")).unwrap();
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// The sum of what is committed of all partitions.
fn committed(told: &Value) -> u64 {
    let partitions = told["kafka"][0]["partitions"].as_array();
    partitions.into_iter().flatten().filter_map(|partition| partition["committed"].as_u64()).sum()
}

fn records(told: &Value) -> u64 {
    told["value"].as_array().unwrap().iter().map(|source| source["records"].as_u64().unwrap()).sum()
}

#[test]
fn what_topics_hold_is_taken_whatever_it_is_packed_in_and_what_cannot_be_read_is_kept_aside() {
    let cluster = Cluster::with(&[("edr", 2), ("defender", 1)]);
    let site = Site::of(&cluster, "[\"edr\", \"defender\"]", "[ingest]\nmax_body_bytes = \"64KiB\"\n");
    let poison: [&[u8]; 4] = [b"hello", b"{\"Timestamp\":", &[0xff; 100], &gzip(&record(90))[..40]];
    cluster.send("edr", 0, record(1));
    for value in poison {
        cluster.send("edr", 0, value);
    }
    cluster.sender.send("edr", 0, None);
    cluster.send("edr", 0, "");
    cluster.send("edr", 0, gzip(&" ".repeat(100_000)));
    cluster.send("edr", 0, format!("{}\n{}\n", record(2), record(3)));
    cluster.send("edr", 1, format!("[{},{}]", record(4), record(5)));
    cluster.send("edr", 1, gzip(&record(6)));
    cluster.send(
        "edr",
        1,
        json!({ "@timestamp": "2026-01-15T09:00:00Z", "agent": {}, "message": record(7) }).to_string(),
    );
    // As Defender's streaming API sends it to Event Hubs.
    let streamed = json!({
        "time": "2026-01-15T09:08:13Z",
        "tenantId": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
        "operationName": "Publish",
        "category": "AdvancedHunting-DeviceFileEvents",
        "properties": serde_json::from_str::<Value>(&record(8)).unwrap(),
    });
    cluster.send("defender", 0, json!({ "records": [streamed] }).to_string());
    cluster.sender.flush();
    for (n, compression) in [(9, "gzip"), (10, "snappy"), (11, "lz4"), (12, "zstd")] {
        let brokers = cluster.mock.bootstrap_servers();
        let sender = Sender::to(&[("bootstrap.servers", &brokers), ("compression.type", compression)]);
        // What is not smaller for it is not compressed.
        sender.send("edr", 1, Some(format!("{}{}", record(n), " ".repeat(5_000)).as_bytes()));
        sender.flush();
    }
    let server = site.serve();
    site.wait_for(1..=12);
    let sent = 17;
    let told = site.wait_until("all is committed", |told| committed(told) == sent);
    let (consumer, source) = (&told["kafka"][0], &told["value"][0]);
    assert_eq!((&consumer["name"], &consumer["group"]), (&json!("edr"), &json!("pintle")), "{told}");
    assert_eq!((&consumer["partitionCount"], &consumer["troubles"]), (&json!(3), &json!([])), "{told}");
    assert!(consumer["partitions"].as_array().unwrap().iter().all(|one| one["lag"] == 0), "{told}");
    assert_eq!((&source["source"], &source["live"]), (&json!("edr"), &json!(true)), "{told}");
    let rejected = run_on(&site.data, &["rejects", "--json"]).out;
    for name in (1..=7).map(|offset| format!("\"edr:edr/0@{offset}\"")) {
        assert!(rejected.contains(&name), "{name} in {rejected}");
    }
    assert!(!rejected.contains("edr/1@") && !rejected.contains("edr/0@8"), "{rejected}");
    assert!(rejected.contains("a message without a value"), "{rejected}");
    assert!(rejected.contains("has more than 65536 bytes"), "{rejected}");
    let shown = run_on(&site.data, &["sources"]).out;
    assert!(shown.contains("Kafka of edr, group pintle: 3 partitions"), "{shown}");
    // It goes on where it was.
    server.end();
    cluster.send("edr", 0, record(13));
    cluster.sender.flush();
    let server = site.serve();
    site.wait_for([13]);
    let again = site.wait_until("it is committed", |told| committed(told) == sent + 1);
    assert_eq!(records(&again), records(&told) + 1, "{again}");
    server.end();
}

#[test]
fn what_was_taken_and_not_committed_before_a_kill_comes_again_and_changes_nothing() {
    let cluster = Cluster::with(&[("edr", 2)]);
    let site = Site::of(&cluster, "[\"edr\"]", "");
    let server = site.serve();
    cluster.send("edr", 0, record(1));
    cluster.send("edr", 1, record(2));
    cluster.sender.flush();
    site.wait_until("it is committed", |told| committed(told) == 2);
    // It is durable, and no commit gets through.
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 50];
    cluster.mock.request_errors(RDKafkaApiKey::OffsetCommit, &refusals);
    for n in 3..100 {
        cluster.send("edr", (n % 2) as i32, record(n));
    }
    cluster.sender.flush();
    site.wait_for([98, 99]);
    let told = site.wait_until("it is said", |told| told["kafka"][0]["troubles"] != json!([]));
    assert!(told["kafka"][0]["troubles"][0].as_str().unwrap().contains("cannot be committed"), "{told}");
    let before = records(&told);
    let answers = || run_on(&site.data, &["search", "--json", &sha1(1), &sha1(50), &sha1(99)]).out;
    let answered = answers();
    server.kill();
    cluster.mock.clear_request_errors(RDKafkaApiKey::OffsetCommit);
    for n in 100..110 {
        cluster.send("edr", (n % 2) as i32, record(n));
    }
    cluster.sender.flush();
    let server = site.serve();
    site.wait_for(100..110);
    let told = site.wait_until("all is committed", |told| committed(told) == 109);
    assert_eq!(told["kafka"][0]["troubles"], json!([]), "{told}");
    // What it knows of its sources may be a minute older than the kill.
    assert!(records(&told) >= 97 + 10, "{told}, before {before}");
    site.wait_for(1..110);
    assert_eq!(answers(), answered);
    server.end();
}

#[test]
fn two_of_a_group_share_the_partitions_and_one_takes_over_what_the_other_leaves() {
    let cluster = Cluster::with(&[("edr", 2)]);
    let sites = [(); 2].map(|()| Site::of(&cluster, "[\"edr\"]", ""));
    let [one, other] = sites.each_ref().map(Site::serve);
    for site in &sites {
        site.wait_until("each has one", |told| told["kafka"][0]["partitionCount"] == 1);
    }
    for n in 1..=20 {
        cluster.send("edr", (n % 2) as i32, record(n));
    }
    cluster.sender.flush();
    let has = |site: &Site, n: u32| run_on(&site.data, &["search", &sha1(n)]).code == 0;
    let begun = Instant::now();
    while !(1..=20).all(|n| sites.iter().any(|site| has(site, n))) {
        assert!(begun.elapsed() < PATIENCE);
    }
    let kinds = sites.each_ref().map(|site| (has(site, 1), has(site, 2)));
    assert!(kinds.contains(&(true, false)) && kinds.contains(&(false, true)), "{kinds:?}");
    other.kill();
    for n in 21..=40 {
        cluster.send("edr", (n % 2) as i32, record(n));
    }
    cluster.sender.flush();
    sites[0].wait_for(21..=40);
    let told = sites[0].wait_until("all is committed", |told| committed(told) == 40);
    assert_eq!(told["kafka"][0]["partitionCount"], 2, "{told}");
    one.end();
}

#[test]
fn what_cannot_be_kept_is_kept_once_it_can_and_brokers_that_go_are_waited_for() {
    let cluster = Cluster::with(&[("edr", 2)]);
    let site = Site::of(&cluster, "[\"edr\"]", "tenant = \"acme\"\n");
    cluster.send("edr", 0, record(1));
    cluster.send("edr", 1, record(2));
    cluster.sender.flush();
    let server = site.serve();
    // The sources of a tenant that there is not are nobody's to see.
    let begun = Instant::now();
    let log = || std::fs::read_to_string(site.top.path().join("log")).unwrap();
    while !log().contains("there is no tenant acme") {
        assert!(begun.elapsed() < PATIENCE, "{}", log());
        std::thread::sleep(Duration::from_millis(100));
    }
    cluster.send("edr", 0, record(3));
    cluster.sender.flush();
    assert_eq!(run_on(&site.data, &["tenant", "create", "acme"]).code, 0);
    let known = |n: u32| run_on(&site.data, &["search", "--tenant", "acme", &sha1(n)]).code == 0;
    let wait_for = |n: u32| {
        let begun = Instant::now();
        while !known(n) {
            assert!(begun.elapsed() < PATIENCE, "file {n}: {}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    (1..=3).for_each(wait_for);
    cluster.mock.broker_down(1).unwrap();
    let told = || run_on(&site.data, &["sources", "--tenant", "acme", "--json"]).json();
    let begun = Instant::now();
    while told()["kafka"][0]["troubles"] == json!([]) {
        assert!(begun.elapsed() < PATIENCE, "{}", log());
        std::thread::sleep(Duration::from_millis(200));
    }
    cluster.mock.broker_up(1).unwrap();
    // The other one may not look for the broker again for long.
    let sender = Sender::to(&[("bootstrap.servers", &cluster.mock.bootstrap_servers())]);
    sender.send("edr", 1, Some(record(4).as_bytes()));
    sender.flush();
    wait_for(4);
    server.end();
}

#[test]
fn recordings_that_come_over_kafka_give_the_truth() {
    let Some(recordings) = Recordings::find() else { return };
    let files = recordings.files().into_iter();
    let files: Vec<&str> =
        files.filter(|file| is_of_lines(&recordings.path(file), recordings.of(file))).collect();
    assert!(files.len() > 10, "{files:?}");
    let cluster = Cluster::with(&[("edr", 2)]);
    let site = Site::of(&cluster, "[\"edr\"]", "");
    let direct = site.top.path().join("direct");
    let mut sent = 0;
    for file in &files {
        let text = std::fs::read_to_string(recordings.path(file)).unwrap();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            cluster.send("edr", sent % 2, line);
            sent += 1;
            if sent % 1_000 == 0 {
                cluster.sender.flush();
            }
        }
        run_on(&direct, &["ingest", recordings.path(file).to_str().unwrap()]);
    }
    cluster.sender.flush();
    let server = site.serve();
    let told = site.wait_until("all is committed", |told| committed(told) == u64::try_from(sent).unwrap());
    assert_eq!(records(&told), u64::try_from(sent).unwrap(), "{told}");
    for file in files {
        assert_answers(&site.data, &direct, file, recordings.of(file));
    }
    server.end();
}
