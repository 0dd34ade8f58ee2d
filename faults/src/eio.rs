//! A disk that fails one call with EIO, each call of a server in its turn: whoever sends is not told that a batch
//! is there which is not, the server says what is wrong and either ends or takes no more writes, and what was
//! acknowledged is there after it was started on a disk that is sound.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::batches::{Batches, body};
use crate::client::Connection;
use crate::folder;
use crate::kill::look;
use crate::product::{Place, Product};
use crate::report::{Failure, Outcome, Report, While, Wrong};

const LIBRARY: &str = include_str!("eio/eio.c");
/// Batches that a round sends: so many that the base is written several times.
const BATCHES: u32 = 40;
/// Batches that are sent after the call that failed.
const AFTERWARDS: u32 = 5;
/// How long after it a failure of what the server does meanwhile may go unnoticed.
const NOTICING: Duration = Duration::from_millis(100);
/// Rounds in turn whose call was not made, after which there is none further on.
const MOST_IN_VAIN: u32 = 5;

/// Fails every `step`-th call in its turn, up to `most`.
pub fn run(most: u32, step: u32, mut product: Product) -> Outcome<Report> {
    let mut report = Report::new("eio");
    let top = tempfile::tempdir().during("making a folder")?;
    let place = product.settle(&top.path().join("data"), top.path())?;
    let kept = top.path().join("kept");
    folder::copy(&place.data, &kept)?;
    let sound = product.clone();
    let state = State { path: top.path().join("state") };
    product.preload(LIBRARY, top.path())?;
    product.environment.push(("EIO_STATE", state.path.clone()));
    product.environment.push(("EIO_FOLDER", place.data.clone()));
    let (mut in_vain, mut met) = (0, BTreeMap::<String, u32>::new());
    for at in (1..=most).step_by(step.max(1) as usize) {
        fs::remove_dir_all(&place.data).during("taking the folder away")?;
        folder::copy(&kept, &place.data)?;
        state.begin(at)?;
        let round = Round { product: &product, sound: &sound, place: &place, state: &state };
        let made = round.make(&mut report);
        let hit = state.hit()?;
        made.map_err(|failure| match failure {
            Failure::Unable(why) => Failure::Unable(format!("call {at}, {hit:?}: {why}")),
            other => other,
        })?;
        let Some(what) = hit else {
            in_vain += 1;
            if in_vain >= MOST_IN_VAIN {
                break;
            }
            continue;
        };
        in_vain = 0;
        report.rounds += 1;
        *met.entry(kind(&what)).or_default() += 1;
    }
    let met: Vec<String> = met.iter().map(|(what, times)| format!("{times} × {what}")).collect();
    report.remarks.push(met.join(", "));
    Ok(report)
}

/// A call and its file, without what numbers it and what only it is called.
fn kind(what: &str) -> String {
    let plain: String = what.chars().filter(|character| !character.is_ascii_digit()).collect();
    plain.find("/.tmp").and_then(|place| plain.get(..place + 5)).unwrap_or(&plain).to_owned()
}

struct Round<'a> {
    product: &'a Product,
    sound: &'a Product,
    place: &'a Place,
    state: &'a State,
}

impl Round<'_> {
    fn make(&self, report: &mut Report) -> Outcome<()> {
        let batches = Batches::default();
        let mut server = self.product.serve_folding(self.place)?;
        match server.ready() {
            Err(said) if self.state.hit()?.is_some() => {
                if !says_why(&said) {
                    report.wrong.add("start refused without the reason", said);
                }
            }
            Err(said) => return Err(Failure::Unable(said)),
            Ok(address) => {
                let is_refused = self.send(&address, &batches, &mut report.wrong)?;
                let (ended, said) = server.end(&mut report.wrong)?;
                if (is_refused || ended.is_some()) && !said.iter().any(|line| says_why(line)) {
                    report.wrong.add("refusal or end without the reason", format!("{ended:?}: {said:?}"));
                }
            }
        }
        // And then the disk is exchanged.
        let mut server = self.sound.serve(self.place)?;
        match server.ready() {
            Ok(address) => {
                look(&address, self.place, &batches, &mut report.wrong)?;
                server.kill(&mut report.wrong)?;
            }
            Err(said) => report.wrong.add("no start on a sound disk", said),
        }
        report.sent += batches.sent();
        report.acknowledged += batches.acknowledged();
        report.held += batches.held();
        Ok(())
    }

    /// Sends batches; gives whether one was refused.
    fn send(&self, address: &str, batches: &Batches, wrong: &mut Wrong) -> Outcome<bool> {
        // What keeps tokens may be what failed; it must not be so for ever.
        let token = self.place.token(address).or_else(|_| self.place.token(address))?;
        let (mut connection, mut afterwards, mut is_refused) = (None, 0, false);
        for _ in 0..BATCHES {
            let hit = self.state.hit()?;
            if hit.is_some() {
                afterwards += 1;
                // What failed may be about to be noticed.
                std::thread::sleep(NOTICING);
            }
            if afterwards > AFTERWARDS {
                break;
            }
            let Ok(server) = connection.take().map_or_else(|| Connection::open(address, &token), Ok) else {
                // It has ended.
                return Ok(true);
            };
            let server = connection.insert(server);
            let batch = batches.take();
            match server.post("/api/ingest", &body(batch)) {
                Ok(answer) if answer.status == 200 => {
                    batches.acknowledge(batch);
                    if hit.as_deref().is_some_and(is_of_store) {
                        wrong.add("batch acknowledged by a disk that has failed", hit.unwrap_or_default());
                    }
                }
                Ok(answer) => {
                    batches.broke_off(batch);
                    is_refused = true;
                    if answer.status != 503 {
                        wrong.add(
                            "refusal as if it were the sender's fault",
                            format!("{}: {}", answer.status, answer.body),
                        );
                    }
                }
                Err(_) => {
                    batches.broke_off(batch);
                    connection = None;
                }
            }
        }
        if let Ok(mut server) = Connection::open(address, &token) {
            batches.look_for_acknowledged(&mut server, wrong)?;
        }
        Ok(is_refused)
    }
}

/// Whether a call was about what keeps telemetry.
fn is_of_store(what: &str) -> bool {
    what.contains(" /archive/") || what.contains(" /base/")
}

/// Whether it names the fault.
fn says_why(said: &str) -> bool {
    said.contains("Input/output error")
}

/// What the library and this program tell each other: how many calls there were, which one is to fail, whether it
/// was made, and what it was.
struct State {
    path: PathBuf,
}

impl State {
    const BYTES: usize = 512;

    fn begin(&self, at: u32) -> Outcome<()> {
        let mut bytes = vec![0; 8];
        bytes.extend(u64::from(at).to_ne_bytes());
        bytes.resize(State::BYTES, 0);
        fs::write(&self.path, bytes).during("writing which call is to fail")
    }

    /// The call that failed, if it came to that.
    fn hit(&self) -> Outcome<Option<String>> {
        let bytes = fs::read(&self.path).during("reading whether a call failed")?;
        let what = bytes.get(24..).unwrap_or_default();
        let what = what.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok((!what.is_empty()).then(|| String::from_utf8_lossy(what).into_owned()))
    }
}
