//! The process is killed at any time and starts again: what was acknowledged is there, nothing is
//! counted twice, and the archive gives the same answers.
//!
//! `PINTLE_KILL_ROUNDS` sets the number of kills, `PINTLE_KILL_SEED` repeats a run's delays.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{Ran, on, row, run_on, run_with_input, spawn};
use crate::server::{Connection, Place};

/// Clients that send at once.
const WRITERS: u32 = 4;
/// Files and machines of a batch; each file is on each of its machines, and on no other.
const FILES: u32 = 4;
const MACHINES: u32 = 2;
/// The file that is in every row, as the process that created the others.
const EVERYWHERE: &str = "00000000000000000000000000000000000000ee";

fn rounds() -> u32 {
    std::env::var("PINTLE_KILL_ROUNDS").map_or(100, |rounds| rounds.parse().unwrap())
}

/// Delays that differ from run to run and can be had again by their seed.
struct Delays(u64);

impl Delays {
    fn new() -> Delays {
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let given = std::env::var("PINTLE_KILL_SEED");
        let seed = given.map_or_else(|_| now() as u64, |seed| seed.parse().unwrap());
        println!("PINTLE_KILL_SEED={seed}");
        Delays(seed)
    }

    /// SplitMix64: uniform in `0..n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// Uniform in `0.0..1.0`.
    fn unit(&mut self) -> f64 {
        self.below(1 << 32) as f64 / (1u64 << 32) as f64
    }

    /// A millisecond to some hundreds, short ones as often as long ones.
    fn delay(&mut self) -> Duration {
        let longest = [4_000, 30_000, 300_000][self.below(3) as usize];
        Duration::from_micros(1_000 + self.below(longest))
    }
}

fn file(batch: u32, nth: u32) -> String {
    format!("f1{:038x}", batch * FILES + nth)
}

fn machines(batch: u32) -> BTreeSet<String> {
    (0..MACHINES).map(|nth| format!("{:040x}", batch * MACHINES + nth + 1)).collect()
}

fn body(batch: u32) -> String {
    let pairs = (0..MACHINES).flat_map(|machine| (0..FILES).map(move |nth| (machine, nth)));
    pairs
        .map(|(machine, nth)| row(batch * MACHINES + machine + 1, "ws", batch % 60, &file(batch, nth)))
        .collect()
}

/// What the clients know.
#[derive(Default)]
struct Sent {
    /// The next batch that nobody has sent.
    next: AtomicU32,
    /// Answered with 200.
    acknowledged: Mutex<BTreeSet<u32>>,
    /// Broken off, and about to be sent again.
    again: Mutex<Vec<u32>>,
}

impl Sent {
    /// Sends batches until the server is gone.
    async fn write(self: Arc<Sent>, address: String, token: String) {
        let Ok(mut connection) = Connection::open(&address, &token).await else { return };
        loop {
            let again = self.again.lock().unwrap().pop();
            let batch = again.unwrap_or_else(|| self.next.fetch_add(1, Ordering::SeqCst));
            let Ok((status, answer)) = connection.post("/api/ingest", body(batch)).await else {
                // Some clients repeat what broke off, some never do.
                if batch.is_multiple_of(2) {
                    self.again.lock().unwrap().push(batch);
                }
                return;
            };
            assert_eq!(status, 200, "batch {batch}: {answer}");
            self.acknowledged.lock().unwrap().insert(batch);
        }
    }

    fn is_acknowledged(&self, batch: u32) -> bool {
        self.acknowledged.lock().unwrap().contains(&batch)
    }

    /// Asks for every file of these batches. An acknowledged batch must be there, any batch must
    /// be there as a whole or not at all; gives those that are.
    async fn check(&self, asked: &mut Asked, batches: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
        let mut there = BTreeSet::new();
        for batch in batches {
            let mut files = 0;
            for nth in 0..FILES {
                match asked.machines(&file(batch, nth)).await {
                    Some(found) => assert_eq!(found, machines(batch), "file {nth} of batch {batch}"),
                    None => continue,
                }
                files += 1;
            }
            let wanted = if self.is_acknowledged(batch) { FILES..=FILES } else { 0..=FILES };
            assert!(wanted.contains(&files), "{files} files of the acknowledged batch {batch} are left");
            assert!(files == 0 || files == FILES, "{files} files of batch {batch}");
            if files == FILES {
                there.insert(batch);
            }
        }
        there
    }
}

/// Who asks a running server, and remembers every answer.
struct Asked {
    connection: Connection,
    answers: BTreeMap<String, String>,
}

impl Asked {
    async fn of(address: &str, token: &str) -> Asked {
        Asked { connection: Connection::open(address, token).await.unwrap(), answers: BTreeMap::new() }
    }

    async fn machines(&mut self, sha1: &str) -> Option<BTreeSet<String>> {
        self.ids(&format!("/api/files/{sha1}/machines")).await
    }

    /// The ids in a list, over all pages; `None` for a 404.
    async fn ids(&mut self, path: &str) -> Option<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        loop {
            let page = format!("{path}?$top=10000&$skip={}", ids.len());
            let (status, body) = self.connection.get(&page).await.unwrap();
            if status == 404 {
                return None;
            }
            assert_eq!(status, 200, "{page}: {body}");
            let answer: Value = serde_json::from_str(&body).unwrap();
            self.answers.insert(page, body);
            let list = answer["value"].as_array().unwrap();
            ids.extend(list.iter().map(|machine| machine["id"].as_str().unwrap().to_owned()));
            if list.len() < 10_000 {
                return Some(ids);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_missing_after_any_number_of_kills() {
    let place = Place::new();
    let application = place.application("Event.Write,Machine.Read.All,File.Read.All");
    let mut delays = Delays::new();
    let sent = Arc::new(Sent::default());
    let (mut during_start, mut checked) = (0, 0);
    let mut starts = Duration::from_millis(500);
    for _ in 0..rounds() {
        let started = Instant::now();
        let mut server = place.serve();
        if delays.below(5) == 0 {
            during_start += 1;
            tokio::time::sleep(starts.mul_f64(delays.unit())).await;
            server.kill();
            continue;
        }
        let address = server.ready();
        starts = started.elapsed();
        // A token does not outlive its hour; the key and the application outlive the kill.
        let token = application.token(&address).await;
        let next = sent.next.load(Ordering::SeqCst);
        sent.check(&mut Asked::of(&address, &token).await, checked..next).await;
        checked = next;

        let write = || tokio::spawn(Arc::clone(&sent).write(address.clone(), token.clone()));
        let writers: Vec<_> = (0..WRITERS).map(|_| write()).collect();
        tokio::time::sleep(delays.delay()).await;
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
    }

    let (mut server, batches) = (place.serve(), sent.next.load(Ordering::SeqCst));
    let address = server.ready();
    let token = application.token(&address).await;
    let mut asked = Asked::of(&address, &token).await;
    let there = sent.check(&mut asked, 0..batches).await;
    let all: BTreeSet<String> = there.iter().flat_map(|batch| machines(*batch)).collect();
    assert_eq!(asked.machines(EVERYWHERE).await.unwrap_or_default(), all);
    assert_eq!(asked.ids("/api/machines").await.unwrap(), all);
    let (held, acknowledged) = (there.len(), sent.acknowledged.lock().unwrap().len());
    let torn = torn_ends(&place.data);
    println!(
        "{batches} batches sent, {acknowledged} acknowledged, {held} held; \
         {during_start} kills during the start, {torn} torn ends"
    );
    assert!(rounds() < 20 || acknowledged >= 100, "the kills leave no time to write");

    // Sending one again changes nothing, and its report says how much there is.
    let known = *there.first().unwrap();
    let (_, report) = asked.connection.post("/api/ingest", body(known)).await.unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let held = held as u64;
    let count = |what: &str| report["totals"][what].as_u64().unwrap();
    assert_eq!(report["repeatedBatches"], 1);
    assert_eq!(count("machines"), held * u64::from(MACHINES));
    assert_eq!(count("files"), held * u64::from(FILES) + 1);

    let before = asked.answers;
    server.kill();
    let rebuilt = run_on(&place.data, &["rebuild"]);
    assert_eq!(rebuilt.code, 0, "{}", rebuilt.err);
    // No batch is in the archive twice.
    let digits = |text: &str| text.replace(',', "");
    let records = held * u64::from(MACHINES * FILES);
    assert_eq!(digits(rebuilt.out.trim()), format!("{records} records in {held} batches were applied again"));
    let mut server = place.serve();
    let address = server.ready();
    let mut asked = Asked::of(&address, &application.token(&address).await).await;
    assert_eq!(sent.check(&mut asked, 0..batches).await, there);
    asked.machines(EVERYWHERE).await;
    asked.ids("/api/machines").await;
    let differing: Vec<_> =
        before.iter().filter(|(path, body)| asked.answers.get(*path) != Some(body)).collect();
    assert!(asked.answers.len() == before.len() && differing.is_empty(), "{differing:?}");
    server.kill();
}

fn torn_ends(data: &Path) -> usize {
    let archive = std::fs::read_dir(data.join("archive")).unwrap();
    archive.filter(|entry| entry.as_ref().unwrap().path().extension() == Some("torn".as_ref())).count()
}

#[test]
fn a_folder_that_was_being_made_can_be_made() {
    let mut delays = Delays::new();
    let started = Instant::now();
    let place = Place::new();
    let mut server = place.serve();
    server.ready();
    server.kill();
    let whole = started.elapsed();
    for _ in 0..rounds().div_ceil(8) {
        let place = Place::new();
        // Twice, since the second kill finds what the first has left.
        for _ in 0..2 {
            let server = place.serve();
            std::thread::sleep(whole.mul_f64(delays.unit()));
            server.kill();
        }
        let mut server = place.serve();
        server.ready();
        server.kill();
        assert_eq!(run_with_input(&place.data, &["ingest", "-"], &body(1)).code, 0);
    }
}

/// Rows of an input that fills several batches, each of a file of its own.
const ROWS: u32 = 50_000;

fn sha1_of_row(nth: u32) -> String {
    format!("f2{nth:038x}")
}

fn large_input(folder: &Path) -> String {
    let rows = (0..ROWS).map(|nth| row(nth % 90, "ws", nth % 60, &sha1_of_row(nth))).collect::<String>();
    let path = folder.join("large.json");
    std::fs::write(&path, rows).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Some of the files, in the order of their rows.
fn some_files() -> Vec<String> {
    (0..ROWS).step_by(500).map(sha1_of_row).collect()
}

/// What is known of these files, as `search` prints it; `None` if the process that was to answer
/// ended meanwhile.
fn look(data: &Path) -> Option<String> {
    let hashes = some_files();
    let mut arguments = vec!["search", "--json"];
    arguments.extend(hashes.iter().map(String::as_str));
    let ran = run_on(data, &arguments);
    (ran.code < 2).then_some(ran.out)
}

/// The same when nobody else has the folder.
fn search(data: &Path) -> String {
    look(data).unwrap()
}

/// How many of the files are known. Rows go in by their order, so these must be the first.
fn known(found: &str) -> usize {
    let lines: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), some_files().len());
    let known: Vec<bool> = lines.iter().map(|line| line["found"].as_bool().unwrap()).collect();
    assert!(known.is_sorted_by(|one, next| one >= next), "there is a gap: {known:?}");
    known.into_iter().filter(|known| *known).count()
}

#[test]
fn an_ingest_that_was_killed_is_completed_by_another() {
    let top = tempfile::tempdir().unwrap();
    let large = large_input(top.path());
    let mut delays = Delays::new();

    let whole = top.path().join("whole");
    let started = Instant::now();
    let uninterrupted = run_on(&whole, &["ingest", &large, "--json"]);
    let takes = started.elapsed();
    assert_eq!(uninterrupted.code, 0, "{}", uninterrupted.err);
    let (uninterrupted, answers) = (uninterrupted.json(), search(&whole));
    assert_eq!(known(&answers), some_files().len());

    let data = top.path().join("killed");
    let (mut kept, mut most_seen) = (0, 0);
    for _ in 0..rounds().div_ceil(20) {
        let mut child = spawn(&mut on(&data, &["ingest", &large, "--json"]));
        std::thread::sleep(takes.mul_f64(delays.unit()));
        // What can be read of a running ingest is as good as reported to be done.
        let listening = UnixStream::connect(data.join("pintle.sock")).is_ok();
        let seen = listening.then(|| look(&data)).flatten().map_or(0, |found| known(&found));
        child.kill().unwrap();
        child.wait().unwrap();
        if !data.exists() {
            continue;
        }
        let found = known(&search(&data));
        assert!(
            found >= seen && found >= kept,
            "{found} files; {seen} were seen before the kill, {kept} after the one before"
        );
        (kept, most_seen) = (found, most_seen.max(seen));
    }
    println!("{kept} of {} files were in, {most_seen} were seen before a kill", some_files().len());

    let completed = Ran::of(on(&data, &["ingest", &large, "--json"]).output().unwrap());
    assert_eq!(completed.code, 0, "{}", completed.err);
    let completed = completed.json();
    for total in ["machines", "files", "alerts"] {
        assert_eq!(completed[total]["total"], uninterrupted[total]["total"], "{total}");
    }
    assert_eq!(completed["records"], ROWS);
    assert_eq!(kept > 0, completed["repeated_batches"].as_u64().unwrap() > 0);
    assert_eq!(search(&data), answers);

    // Nor does it matter when a rebuild ends.
    let started = Instant::now();
    assert_eq!(run_on(&data, &["rebuild"]).code, 0);
    let takes = started.elapsed();
    for _ in 0..rounds().div_ceil(33) {
        let mut child = spawn(&mut on(&data, &["rebuild"]));
        std::thread::sleep(takes.mul_f64(delays.unit()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(search(&data), answers);
    }
}
