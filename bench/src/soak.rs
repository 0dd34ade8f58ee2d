//! `soak`: a server that takes in a fleet's telemetry and answers questions for hours: what becomes of its
//! memory and its descriptors.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::day::{self, Day};
use crate::scale::size;
use crate::server::{self, Server};
use crate::{Failure, machine};

/// How `soak` is called.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Minutes
    #[arg(long, default_value_t = 120)]
    minutes: u32,
    /// Minutes that do not count: caches fill
    #[arg(long, default_value_t = 20)]
    warm: u32,
    /// Machines
    #[arg(long, default_value_t = 10_000)]
    machines: u32,
    /// Records a second: twelve times the 20 million that 10,000 machines have in a day
    #[arg(long, default_value_t = 2_778)]
    rate: u32,
    /// The binary that serves: the one beside this program, unless named
    #[arg(long, value_name = "FILE")]
    pintle: Option<PathBuf>,
    /// Where its data goes: a new folder in this one, taken away at the end
    #[arg(long, value_name = "FOLDER", default_value = "/var/tmp")]
    within: PathBuf,
}

/// Who ask at the same time, each with a connection that it changes every minute.
const ASKERS: usize = 2;
const PAUSE: Duration = Duration::from_millis(20);
const CONNECTION: Duration = Duration::from_secs(60);
/// Below a token's life.
const TOKEN: Duration = Duration::from_secs(900);
const SAMPLED_EVERY: Duration = Duration::from_secs(10);
/// Hashes at hand to ask for.
const HASHES: usize = 4_096;
/// What memory may grow by in an hour, bytes.
const GROWTH: f64 = 1e6;

/// What all threads know.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    records: AtomicU64,
    /// SHA-1s that were sent, new ones in the place of others.
    hashes: Mutex<Vec<String>>,
    took: Mutex<Vec<Duration>>,
}

/// The server at one moment.
struct Sample {
    /// Seconds since the beginning.
    at: f64,
    memory: f64,
    descriptors: f64,
    threads: u64,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let pintle = server::binary(self.pintle.as_ref())?;
        let top = self.within.join(format!("pintle-soak-{}", std::process::id()));
        let watched = top.join("watched");
        fs::create_dir_all(&watched)?;
        let measured = self.measure(&pintle, &top, &watched);
        fs::remove_dir_all(&top)?;
        measured
    }

    fn measure(&self, pintle: &Path, top: &Path, watched: &Path) -> Result<(), Failure> {
        let records = u64::from(self.rate) * 60 * u64::from(self.minutes);
        let mut day = Day::generated(pintle, self.machines, records)?;
        let server = Server::start(pintle, top, watched)?;
        let shared = Shared::default();
        let samples = thread::scope(|scope| {
            let sending = scope.spawn(|| shared.stopping(|| self.send(&server, &shared, &mut day)));
            let askers: Vec<_> =
                (0..ASKERS).map(|_| scope.spawn(|| shared.stopping(|| ask(&server, &shared)))).collect();
            let samples = shared.stopping(|| self.watch(&server, &shared, top));
            sending.join().map_err(|_| "the sender stopped")??;
            for asker in askers {
                asker.join().map_err(|_| "an asker stopped")??;
            }
            samples
        })?;
        server.stop()?;
        println!("\n{}", machine::describe()?);
        self.judge(&samples)
    }

    /// Sends a second's records every second.
    fn send(&self, server: &Server, shared: &Shared, day: &mut Day) -> Result<(), Failure> {
        let (began, mut seconds) = (Instant::now(), 0);
        while let Some(body) = day.next()? {
            // The first one takes long to make; nobody keeps a connection that long.
            let mut connection = server.connect()?;
            let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
            for second in lines.chunks(self.rate.max(1) as usize) {
                let due = began + Duration::from_secs(1) * seconds;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if shared.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let second = second.concat();
                server.post(&mut connection, &second)?;
                shared.records.fetch_add(day::lines(&second), Ordering::Relaxed);
                shared.note_hashes(&second)?;
                seconds += 1;
            }
        }
        Ok(())
    }

    /// Looks at the server until the time is over, and says what it saw every ten minutes.
    fn watch(&self, server: &Server, shared: &Shared, top: &Path) -> Result<Vec<Sample>, Failure> {
        println!(
            "| minutes | records | memory | most | descriptors | threads | on the disk | answers | p99 |\n\
             | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        );
        let (began, mut samples, mut told) = (Instant::now(), Vec::new(), 0);
        let end = Duration::from_secs(60) * self.minutes;
        while began.elapsed() < end && !shared.stop.load(Ordering::Relaxed) {
            thread::sleep(SAMPLED_EVERY);
            samples.push(Sample::of(server.process(), began.elapsed())?);
            let now = began.elapsed().min(end).as_secs() / 600;
            if now > told || began.elapsed() >= end {
                let since = told as f64 * 600.0;
                let new: Vec<&Sample> = samples.iter().filter(|sample| sample.at > since).collect();
                told = now;
                row(&new, shared, top)?;
            }
        }
        Ok(samples)
    }

    fn judge(&self, samples: &[Sample]) -> Result<(), Failure> {
        let warm = f64::from(self.warm) * 60.0;
        let counted: Vec<&Sample> = samples.iter().filter(|sample| sample.at >= warm).collect();
        let hourly = |value: fn(&Sample) -> f64| slope(&counted, value) * 3600.0;
        let (memory, descriptors) = (hourly(|sample| sample.memory), hourly(|sample| sample.descriptors));
        println!(
            "After the first {} minutes memory grew by {:.2} MB an hour, descriptors by {descriptors:.2}.",
            self.warm,
            memory / 1e6
        );
        if memory >= GROWTH {
            return Err(format!("memory grows by {:.2} MB an hour", memory / 1e6).into());
        }
        Ok(())
    }
}

impl Shared {
    /// Ends everything else if this fails, or is done.
    fn stopping<T>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let done = work();
        self.stop.store(true, Ordering::Relaxed);
        done
    }

    fn note_hashes(&self, body: &[u8]) -> Result<(), Failure> {
        const NAME: &str = "\"SHA1\":\"";
        let text = String::from_utf8_lossy(body);
        let mut hashes = self.hashes.lock().map_err(|_| "a thread stopped")?;
        for (number, place) in text.match_indices(NAME).map(|(place, _)| place + NAME.len()).enumerate() {
            let Some(hash) = text.get(place..place + 40).filter(|_| number % 97 == 0) else { continue };
            if hashes.len() >= HASHES {
                let other = self.records.load(Ordering::Relaxed) as usize / 97 % HASHES;
                hashes.swap_remove(other);
            }
            hashes.push(hash.to_owned());
        }
        Ok(())
    }
}

/// Asks for what a client asks for, until it is over. Every answer must be good.
fn ask(server: &Server, shared: &Shared) -> Result<(), Failure> {
    let mut connection = server.connect()?;
    let (mut connected, mut named) = (Instant::now(), Instant::now());
    let mut bearer = server.bearer(&mut connection)?;
    for number in 0_usize.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(PAUSE);
        if connected.elapsed() > CONNECTION {
            (connection, connected) = (server.connect()?, Instant::now());
        }
        if named.elapsed() > TOKEN {
            (bearer, named) = (server.bearer(&mut connection)?, Instant::now());
        }
        let known = {
            let hashes = shared.hashes.lock().map_err(|_| "a thread stopped")?;
            hashes.get(number.wrapping_mul(0x9e37_79b9) % hashes.len().max(1)).cloned()
        };
        let Some(hash) = known else { continue };
        let (method, path, body) = match number % 50 {
            0 => ("GET", "/api/machines?$top=100&$filter=healthStatus+eq+'Active'".to_owned(), String::new()),
            1 => ("GET", "/api/alerts?$top=100&$orderby=lastUpdateTime+desc".to_owned(), String::new()),
            2 => ("POST", "/api/files/lookup".to_owned(), hash.clone()),
            even if even % 2 == 0 => ("GET", format!("/api/files/{hash}/machines"), String::new()),
            _ => ("GET", format!("/api/files/{hash}"), String::new()),
        };
        let asked = Instant::now();
        let (head, answer) = server.ask(&mut connection, method, &path, &bearer, body.as_bytes())?;
        if !head.contains(" 200 ") {
            return Err(format!("{method} {path}: {head}: {answer}").into());
        }
        shared.took.lock().map_err(|_| "a thread stopped")?.push(asked.elapsed());
    }
    Ok(())
}

impl Sample {
    fn of(process: u32, at: Duration) -> Result<Sample, Failure> {
        Ok(Sample {
            at: at.as_secs_f64(),
            memory: machine::memory_of(process)? as f64,
            descriptors: fs::read_dir(format!("/proc/{process}/fd"))?.count() as f64,
            threads: fs::read_dir(format!("/proc/{process}/task"))?.count() as u64,
        })
    }
}

/// What was seen since the last row.
fn row(samples: &[&Sample], shared: &Shared, top: &Path) -> Result<(), Failure> {
    let mut took = std::mem::take(&mut *shared.took.lock().map_err(|_| "a thread stopped")?);
    took.sort_unstable();
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let all = |value: fn(&Sample) -> f64| samples.iter().map(move |sample| value(sample));
    let most = |value: fn(&Sample) -> f64| all(value).fold(0.0, f64::max);
    let least = |value: fn(&Sample) -> f64| all(value).fold(f64::MAX, f64::min);
    println!(
        "| {:.0} | {} | {:.1} MiB | {:.1} MiB | {}–{} | {} | {:.0} MiB | {} | {:.1} ms |",
        samples.last().map_or(0.0, |sample| sample.at) / 60.0,
        shared.records.load(Ordering::Relaxed),
        mib(all(|sample| sample.memory).sum::<f64>() / samples.len().max(1) as f64),
        mib(most(|sample| sample.memory)),
        least(|sample| sample.descriptors),
        most(|sample| sample.descriptors),
        samples.last().map_or(0, |sample| sample.threads),
        mib(size(&top.join("data"))? as f64),
        took.len(),
        machine::quantile(&took, 0.99).as_secs_f64() * 1e3,
    );
    Ok(())
}

/// How much a value grows in a second, by least squares.
fn slope(samples: &[&Sample], value: fn(&Sample) -> f64) -> f64 {
    let count = samples.len().max(1) as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(|sample| of(sample)).sum::<f64>() / count;
    let (at, height) = (mean(&|sample| sample.at), mean(&value));
    let (mut both, mut alone) = (0.0, 0.0);
    for sample in samples {
        both += (sample.at - at) * (value(sample) - height);
        alone += (sample.at - at).powi(2);
    }
    if alone > 0.0 { both / alone } else { 0.0 }
}
