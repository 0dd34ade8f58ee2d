//! `day`: a day of a fleet goes into a running server: most of it over HTTP, the rest by a watched folder.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::parsed::Envelope;
use crate::server::{self, Server};
use crate::{Failure, machine};

/// How `day` is called.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Machines
    #[arg(long, default_value_t = 10_000)]
    machines: u32,
    /// Records in all, of which a tenth comes by the watched folder
    #[arg(long, default_value_t = 20_000_000)]
    records: u64,
    /// The binary that serves: the one beside this program, unless named
    #[arg(long, value_name = "FILE")]
    pintle: Option<PathBuf>,
    /// Where its data goes: a new folder in this one, taken away at the end
    #[arg(long, value_name = "FOLDER", default_value = "/var/tmp")]
    within: PathBuf,
}

/// The most bytes of one request, and of one file of the watched folder.
const BODY: usize = 16 << 20;
/// Requests under way at once: one is taken in while the next one's bytes are on their way.
const AT_ONCE: usize = 2;
/// Bytes of the day that are parsed alone, for comparison.
const PARSED: usize = 512 << 20;
/// Far beyond what a server takes to start, and a watched file to be seen.
const PATIENCE: Duration = Duration::from_secs(120);

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let pintle = server::binary(self.pintle.as_ref())?;
        let top = self.within.join(format!("pintle-day-{}", std::process::id()));
        let (staged, watched) = (top.join("staged"), top.join("watched"));
        for folder in [&top, &staged, &watched] {
            fs::create_dir(folder)?;
        }
        let measured = self.measure(&pintle, &top, &staged, &watched);
        fs::remove_dir_all(&top)?;
        measured
    }

    fn measure(&self, pintle: &Path, top: &Path, staged: &Path, watched: &Path) -> Result<(), Failure> {
        let mut day = Day::generated(pintle, self.machines, self.records)?;
        let mut in_files = 0;
        while in_files < self.records / 10 {
            let Some(body) = day.next()? else { break };
            in_files += lines(&body);
            fs::write(staged.join(format!("{in_files:010}.json")), body)?;
        }
        let server = Server::start(pintle, top, watched)?;
        let by_http = server.costs(|| send(&server, &mut day))?;
        let parse = parsing_alone(staged)?;
        let by_folder = server.costs(|| watch(&server, staged, watched, in_files))?;
        server.stop()?;
        println!(
            "| by | records | JSON | records a second | server's CPU | its peak memory | share of the parse limit |"
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        for (by, cost) in [("HTTP", &by_http), ("watched folder", &by_folder)] {
            println!(
                "| {by} | {} | {:.1} GB | {:.0} | {:.2} µs a record | {:.0} MiB | {:.2} |",
                cost.records,
                cost.bytes as f64 / 1e9,
                cost.records as f64 / cost.wall,
                cost.cpu * 1e6 / cost.records as f64,
                cost.peak as f64 / f64::from(1 << 20),
                parse * cost.bytes as f64 / cost.cpu,
            );
        }
        println!("\nParsing alone: {:.0} MB a second of one core.", 1e-6 / parse);
        println!("\n{}", machine::describe()?);
        Ok(())
    }
}

/// How many lines a body has.
pub fn lines(body: &[u8]) -> u64 {
    body.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A day as `pintle generate` writes it, in bodies of whole lines.
pub struct Day {
    child: Child,
    rest: Vec<u8>,
}

impl Day {
    /// Of so many machines, so many records.
    pub fn generated(pintle: &Path, machines: u32, records: u64) -> Result<Day, Failure> {
        // Not every machine is on all day, and the law brings less than its rate on the first one.
        let rate = (records / u64::from(machines)).max(1) * 4;
        let child = Command::new(pintle)
            .args(["generate", "--days", "1", "--machines", &machines.to_string()])
            .args(["--sightings-per-machine-day", &rate.to_string(), "--records", &records.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Day { child, rest: Vec::new() })
    }

    /// The next body; none at the end.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let output = self.child.stdout.as_mut().ok_or("no pipe")?;
        let mut body = std::mem::take(&mut self.rest);
        output.take((BODY - body.len()) as u64).read_to_end(&mut body)?;
        if body.is_empty() {
            let status = self.child.wait()?;
            return if status.success() { Ok(None) } else { Err(format!("generating: {status}").into()) };
        }
        if let Some(end) = body.iter().rposition(|byte| *byte == b'\n') {
            self.rest = body.split_off(end + 1);
        }
        Ok(Some(body))
    }
}

/// Sends the rest of a day; returns its records and bytes.
fn send(server: &Server, day: &mut Day) -> Result<(u64, u64), Failure> {
    let (bodies, to_send) = mpsc::sync_channel::<Vec<u8>>(1);
    let to_send = Arc::new(Mutex::new(to_send));
    thread::scope(|scope| {
        let senders: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let to_send = Arc::clone(&to_send);
                scope.spawn(move || -> Result<(u64, u64), Failure> {
                    let mut connection = server.connect()?;
                    let (mut records, mut bytes) = (0, 0);
                    loop {
                        let body = to_send.lock().map_err(|_| "a sender stopped")?.recv();
                        let Ok(body) = body else { return Ok((records, bytes)) };
                        server.post(&mut connection, &body)?;
                        records += lines(&body);
                        bytes += body.len() as u64;
                    }
                })
            })
            .collect();
        // Theirs alone: once they all stopped, nothing more is sent.
        drop(to_send);
        while let Some(body) = day.next()? {
            if bodies.send(body).is_err() {
                break;
            }
        }
        drop(bodies);
        let mut sent = (0, 0);
        for sender in senders {
            let (records, bytes) = sender.join().map_err(|_| "a sender stopped")??;
            sent = (sent.0 + records, sent.1 + bytes);
        }
        Ok(sent)
    })
}

/// Seconds of a core a byte that merely parsing the staged part of the day takes, line by line.
fn parsing_alone(staged: &Path) -> Result<f64, Failure> {
    let mut input = Vec::new();
    for file in fs::read_dir(staged)? {
        if input.len() < PARSED {
            File::open(file?.path())?.read_to_end(&mut input)?;
        }
    }
    let (mut all, mut broken) = (0_u64, 0_u64);
    let began = machine::thread_time();
    for line in input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        all += 1;
        broken += u64::from(black_box(sonic_rs::from_slice::<Envelope<'_>>(line)).is_err());
    }
    let took = machine::thread_time() - began;
    // One line in a thousand is cut off, as the law has it.
    if broken * 100 > all {
        return Err(format!("{broken} of {all} lines are not what is parsed here").into());
    }
    Ok(took.as_secs_f64() / input.len() as f64)
}

/// Puts the staged files where the server looks, and waits until it has taken them.
fn watch(server: &Server, staged: &Path, watched: &Path, records: u64) -> Result<(u64, u64), Failure> {
    let before = server.taken()?;
    let mut bytes = 0;
    for file in fs::read_dir(staged)? {
        let file = file?;
        bytes += file.metadata()?.len();
        fs::rename(file.path(), watched.join(file.file_name()))?;
    }
    let (mut last, mut moved) = (before, Instant::now());
    while last - before < records {
        thread::sleep(Duration::from_millis(50));
        let now = server.taken()?;
        if now != last {
            (last, moved) = (now, Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            return Err(format!("{} of {records} records of the folder are taken", last - before).into());
        }
    }
    Ok((records, bytes))
}
