//! Numbered batches, each told from all others by its files and its machine, and what their
//! senders know of them. So one look finds a batch that is missing, torn or doubled.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::answers::Question;
use crate::chance::Chance;
use crate::client::Connection;
use crate::report::{Failure, Outcome, While, Wrong};

/// Files of a batch, all on its one machine and on no other.
const FILES: u32 = 2;
/// The file that is in every row, as the process that made the others.
const EVERYWHERE: &str = "00000000000000000000000000000000000000ee";

/// A file's SHA-1.
fn file(batch: u32, nth: u32) -> String {
    format!("f1{:038x}", batch * FILES + nth)
}

/// The machine's id.
pub fn machine(batch: u32) -> String {
    format!("{:040x}", batch + 1)
}

/// The rows of a batch, as an advanced hunting query exports them.
pub fn body(batch: u32) -> String {
    let row = |nth| {
        let sha1 = file(batch, nth);
        json!({
            "Timestamp": format!("2026-01-15T09:{:02}:12.5071301Z", batch % 60),
            "DeviceId": machine(batch),
            "DeviceName": "ws",
            "ActionType": "FileCreated",
            "FileName": "a.exe",
            "FolderPath": "C:\\Temp\\a.exe",
            "SHA1": sha1,
            "SHA256": format!("{sha1:0>64}"),
            "InitiatingProcessSHA1": EVERYWHERE,
            "InitiatingProcessFileName": "explorer.exe",
            "ReportId": nth,
            "AdditionalFields": noise(batch),
        })
    };
    (0..FILES).map(|nth| format!("{}\n", row(nth))).collect()
}

/// What does not pack well, of lengths that make a batch end anywhere in a page and span several.
fn noise(batch: u32) -> String {
    let mut chance = Chance::from_seed(batch.into());
    let longest = chance.pick(&[16, 16, 200, 4_000]).copied().unwrap_or_default();
    (0..chance.below(longest)).map(|_| format!("{:04x}", chance.below(1 << 16))).collect()
}

/// All batches of a run.
#[derive(Default)]
pub struct Batches {
    /// The next that nobody has sent.
    next: AtomicU32,
    /// Answered with something else than 200.
    refused: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Answered with 200, and not lost.
    acknowledged: BTreeSet<u32>,
    /// Answered with 200, and lost.
    lost: u64,
    /// Answered with 200, and given up to a purge.
    given_up: u64,
    /// Purged.
    gone: BTreeSet<u32>,
    /// Broken off, and about to be sent again.
    again: Vec<u32>,
    /// Sent since the last look.
    touched: BTreeSet<u32>,
    /// There at the last look.
    held: BTreeSet<u32>,
}

impl Batches {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were sent.
    pub fn sent(&self) -> u64 {
        self.next.load(Ordering::SeqCst).into()
    }

    /// How many were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        let known = self.known();
        known.acknowledged.len() as u64 + known.lost + known.given_up
    }

    /// How many were there at the last look.
    pub fn held(&self) -> u64 {
        self.known().held.len() as u64
    }

    /// How many answers were no 200.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// The records in a number of batches.
    pub fn records(batches: u64) -> u64 {
        batches * u64::from(FILES)
    }

    /// The next batch to send: one that broke off before, or a new one.
    pub fn take(&self) -> u32 {
        let mut known = self.known();
        let batch = known.again.pop().unwrap_or_else(|| self.next.fetch_add(1, Ordering::SeqCst));
        known.touched.insert(batch);
        batch
    }

    /// It was answered with 200.
    pub fn acknowledge(&self, batch: u32) {
        self.known().acknowledged.insert(batch);
    }

    /// Nobody knows what became of it. Some clients repeat what broke off, some never do.
    pub fn broke_off(&self, batch: u32) {
        if batch.is_multiple_of(2) {
            self.known().again.push(batch);
        }
    }

    /// One that was acknowledged, about to be purged: from now on it may be there or not.
    pub fn give_up(&self, chance: &mut Chance) -> Option<u32> {
        let mut known = self.known();
        let nth = chance.below((known.acknowledged.len() as u64).max(1));
        let batch = known.acknowledged.iter().copied().nth(usize::try_from(nth).ok()?)?;
        known.acknowledged.remove(&batch);
        known.held.remove(&batch);
        known.touched.insert(batch);
        known.given_up += 1;
        Some(batch)
    }

    /// It was purged to the end, so it must never be there again.
    pub fn purged(&self, batch: u32) {
        self.known().gone.insert(batch);
    }

    /// Sends batches until the server is gone or refuses one, and gives its refusal.
    pub fn write(&self, address: &str, token: &str) -> Option<String> {
        let mut server = Connection::open(address, token).ok()?;
        loop {
            let batch = self.take();
            match server.post("/api/ingest", &body(batch)) {
                Ok(answer) if answer.status == 200 => self.acknowledge(batch),
                Ok(answer) => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    self.broke_off(batch);
                    return Some(format!("{}: {}", answer.status, answer.body));
                }
                Err(_) => {
                    self.broke_off(batch);
                    return None;
                }
            }
        }
    }

    /// Looks for everything that was sent since the last look.
    pub fn look(&self, server: &mut Connection, wrong: &mut Wrong) -> Outcome<()> {
        let touched = std::mem::take(&mut self.known().touched);
        self.look_for(touched, server, wrong)
    }

    /// Looks for some of what was acknowledged, without sending anything.
    pub fn look_for_acknowledged(&self, server: &mut Connection, wrong: &mut Wrong) -> Outcome<()> {
        let some: Vec<u32> = self.known().acknowledged.iter().rev().take(20).copied().collect();
        some.into_iter().try_for_each(|batch| self.look_for_one(batch, server, wrong))
    }

    /// Looks for everything ever sent.
    pub fn look_for_all(&self, server: &mut Connection, wrong: &mut Wrong) -> Outcome<()> {
        self.look_for(0..self.next.load(Ordering::SeqCst), server, wrong)
    }

    /// An acknowledged batch must be there, any batch must be there as a whole or not at all, a
    /// batch that was there stays, each file is on its machine alone, and nothing else is there.
    fn look_for(
        &self,
        batches: impl IntoIterator<Item = u32>,
        server: &mut Connection,
        wrong: &mut Wrong,
    ) -> Outcome<()> {
        for batch in batches {
            self.look_for_one(batch, server, wrong)?;
        }
        self.count(server, wrong)
    }

    fn look_for_one(&self, batch: u32, server: &mut Connection, wrong: &mut Wrong) -> Outcome<()> {
        let mut files = 0;
        for nth in 0..FILES {
            let Some(found) = machines(server, &file(batch, nth))? else { continue };
            files += 1;
            if found != [machine(batch)] {
                wrong.add("file on the wrong machines", format!("batch {batch}: {found:?}"));
            }
        }
        let mut known = self.known();
        if files != 0 && files != FILES {
            wrong.add("batch in part", format!("{files} files of batch {batch}"));
        }
        if files != FILES && known.acknowledged.contains(&batch) {
            wrong.add("acknowledged batch lost", format!("batch {batch}"));
            // Counted once.
            known.acknowledged.remove(&batch);
            known.lost += 1;
        }
        if files != 0 && known.gone.contains(&batch) {
            wrong.add("purged batch there again", format!("{files} files of batch {batch}"));
        }
        if files == FILES {
            known.held.insert(batch);
        } else if known.held.remove(&batch) {
            wrong.add("batch lost that was there before", format!("batch {batch}"));
        }
        Ok(())
    }

    /// The totals must be those of the batches held. They are told with the answer to a batch that
    /// is there already, which must change nothing.
    fn count(&self, server: &mut Connection, wrong: &mut Wrong) -> Outcome<()> {
        let held = self.held();
        let Some(first) = self.known().held.first().copied() else { return Ok(()) };
        let answer = server.post("/api/ingest", &body(first)).map_err(|_| gone())?;
        if answer.status != 200 {
            wrong.add("batch refused", format!("{}: {}", answer.status, answer.body));
            return Ok(());
        }
        let report: Value = serde_json::from_str(&answer.body).during("reading a report")?;
        let count = |what: &str| report.pointer(what).and_then(Value::as_u64);
        let files = u64::from(FILES);
        let expected =
            [("/repeatedBatches", 1), ("/totals/machines", held), ("/totals/files", held * files + 1)];
        for (what, expected) in expected {
            if count(what) != Some(expected) {
                wrong.add("wrong count", format!("{what}: {:?}, not {expected}", count(what)));
            }
        }
        Ok(())
    }

    /// Those that were acknowledged until now.
    pub fn all_acknowledged(&self) -> BTreeSet<u32> {
        self.known().acknowledged.clone()
    }

    /// What can be asked about these and is not changed by any other batch.
    pub fn questions_about(batches: &BTreeSet<u32>) -> Vec<Question> {
        let files = batches.iter().flat_map(|batch| (0..FILES).map(|nth| file(*batch, nth)));
        Question::about_single(files, batches.iter().map(|batch| machine(*batch)), [])
    }

    /// All that can be asked about what was sent.
    pub fn questions(&self) -> Vec<Question> {
        let sent = 0..self.next.load(Ordering::SeqCst);
        let files = sent.clone().flat_map(|batch| (0..FILES).map(move |nth| file(batch, nth)));
        let files = files.chain([EVERYWHERE.to_owned()]);
        Question::about(files, sent.map(machine), [])
    }
}

/// The machines of a file; `None` for a file that is not known.
fn machines(server: &mut Connection, sha1: &str) -> Outcome<Option<Vec<String>>> {
    let answer = server.get(&format!("/api/files/{sha1}/machines")).map_err(|_| gone())?;
    match answer.status {
        404 => return Ok(None),
        200 => {}
        status => return Err(Failure::Unable(format!("a question was answered {status}: {}", answer.body))),
    }
    let read: Value = serde_json::from_str(&answer.body).during("reading machines")?;
    let list = read.get("value").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let id = |machine: &Value| machine.get("id")?.as_str().map(str::to_owned);
    Ok(Some(list.iter().filter_map(id).collect()))
}

fn gone() -> Failure {
    Failure::Unable("the server was gone while it was asked".into())
}
