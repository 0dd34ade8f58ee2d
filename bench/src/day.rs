//! `day`: a day of a fleet goes into a running server: most of it over HTTP, the rest by a watched folder.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::parsed::Envelope;
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

/// What a way in cost the server.
struct Cost {
    records: u64,
    bytes: u64,
    wall: f64,
    cpu: f64,
    peak: u64,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let beside = || std::env::current_exe().map(|this| this.with_file_name("pintle"));
        let pintle = self.pintle.clone().map_or_else(beside, Ok)?;
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
        let mut day = Day::generated(pintle, self)?;
        let mut in_files = 0;
        while in_files < self.records / 10 {
            let Some(body) = day.next()? else { break };
            in_files += lines(&body);
            fs::write(staged.join(format!("{in_files:010}.json")), body)?;
        }
        let server = Server::start(pintle, top, watched)?;
        let by_http = server.costs(|| send(&server, &mut day))?;
        let parse = parsing_alone(staged)?;
        let by_folder = server.costs(|| server.watch(staged, watched, in_files))?;
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

fn lines(body: &[u8]) -> u64 {
    body.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A day as `pintle generate` writes it, in bodies of whole lines.
struct Day {
    child: Child,
    rest: Vec<u8>,
}

impl Day {
    fn generated(pintle: &Path, args: &Args) -> Result<Day, Failure> {
        // Not every machine is on all day, and the law brings less than its rate on the first one.
        let rate = (args.records / u64::from(args.machines)).max(1) * 4;
        let child = Command::new(pintle)
            .args(["generate", "--days", "1", "--machines", &args.machines.to_string()])
            .args(["--sightings-per-machine-day", &rate.to_string(), "--records", &args.records.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Day { child, rest: Vec::new() })
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
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

/// A running `pintle serve` with an inlet and a watched folder.
struct Server {
    child: Child,
    address: String,
    health: String,
    authorization: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has been waited for if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(pintle: &Path, top: &Path, watched: &Path) -> Result<Server, Failure> {
        let (data, settings) = (top.join("data"), top.join("pintle.toml"));
        let text = format!(
            "[data]\nfolder = {data:?}\n[server]\nlisten = \"127.0.0.1:0\"\nhealth_listen = \"127.0.0.1:0\"\n\
             public_url = \"http://localhost\"\n[log]\nformat = \"json\"\n\
             [watch.day]\npath = {watched:?}\npoll = \"1s\"\nformat = \"mde-streaming\"\n"
        );
        fs::write(&settings, text)?;
        let made = Command::new(pintle)
            .args(["inlet", "add", "day", "--format", "mde-streaming", "--json", "--data"])
            .arg(&data)
            .output()?;
        let made: Value = serde_json::from_slice(&made.stdout)?;
        let key = made.get("secret").and_then(Value::as_str).ok_or_else(|| format!("no key: {made}"))?;
        let mut child = Command::new(pintle)
            .arg("serve")
            .arg("--config")
            .arg(&settings)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stderr.take().ok_or("no pipe")?);
        let mut server = Server {
            child,
            address: String::new(),
            health: String::new(),
            authorization: format!("ApiKey {}", STANDARD.encode(format!("day:{key}"))),
        };
        let mut lines = said.lines();
        for line in lines.by_ref() {
            let event: Value = serde_json::from_str(&line?).unwrap_or_default();
            let address = |name: &str| {
                let url = event.get(name).and_then(Value::as_str)?;
                Some(url.trim_start_matches("http://").trim_end_matches('/').to_owned())
            };
            if let (Some(api), Some(health)) = (address("api"), address("health")) {
                (server.address, server.health) = (api, health);
                // What it says from now on is for whoever looks on.
                thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
                return Ok(server);
            }
        }
        Err("the server does not start".into())
    }

    /// Ends it as an administrator would, so that what it holds is where it belongs.
    fn stop(mut self) -> Result<(), Failure> {
        let id = rustix::process::Pid::from_raw(self.child.id().cast_signed()).ok_or("no process")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }

    fn connect(&self) -> Result<BufReader<TcpStream>, Failure> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }

    /// Sends a body by the inlet, and waits until it is durable.
    fn post(&self, connection: &mut BufReader<TcpStream>, body: &[u8]) -> Result<(), Failure> {
        let stream = connection.get_mut();
        write!(
            stream,
            "POST /api/ingest HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            self.authorization,
            body.len(),
        )?;
        stream.write_all(body)?;
        let (head, answer) = answer(connection)?;
        if head.contains(" 200 ") { Ok(()) } else { Err(format!("{head}: {answer}").into()) }
    }

    /// Puts the staged files where the server looks, and waits until it has taken them.
    fn watch(&self, staged: &Path, watched: &Path, records: u64) -> Result<(u64, u64), Failure> {
        let before = self.taken()?;
        let mut bytes = 0;
        for file in fs::read_dir(staged)? {
            let file = file?;
            bytes += file.metadata()?.len();
            fs::rename(file.path(), watched.join(file.file_name()))?;
        }
        let (mut last, mut moved) = (before, Instant::now());
        while last - before < records {
            thread::sleep(Duration::from_millis(50));
            let now = self.taken()?;
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                return Err(format!("{} of {records} records of the folder are taken", last - before).into());
            }
        }
        Ok((records, bytes))
    }

    /// The records that it counts as taken in.
    fn taken(&self) -> Result<u64, Failure> {
        let mut stream = TcpStream::connect(&self.health)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.health)?;
        let mut metrics = String::new();
        stream.read_to_string(&mut metrics)?;
        let counts = metrics.lines().filter(|line| line.starts_with("pintle_ingest_records_total"));
        Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// What some work costs it.
    fn costs(&self, work: impl FnOnce() -> Result<(u64, u64), Failure>) -> Result<Cost, Failure> {
        let id = self.child.id();
        machine::forget_peak(id)?;
        let (began, cpu) = (Instant::now(), machine::time_of(id)?);
        let (records, bytes) = work()?;
        Ok(Cost {
            records,
            bytes,
            wall: began.elapsed().as_secs_f64(),
            cpu: (machine::time_of(id)? - cpu).as_secs_f64(),
            peak: machine::peak_memory_of(id)?,
        })
    }
}

/// Reads an answer: its first line and its body.
fn answer(connection: &mut BufReader<TcpStream>) -> Result<(String, String), Failure> {
    let mut head = String::new();
    connection.read_line(&mut head)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok((head.trim_end().to_owned(), String::from_utf8_lossy(&body).into_owned()))
}
