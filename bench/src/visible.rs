//! `visible`: how soon a file is found that was sent to a running server, while much else is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use pintle::dev::format::Writer;
use pintle::dev::generator::{Generator, Law};
use pintle_model::tables::device_file_events as file_event;
use pintle_model::{Record, Row, Sha1, Time};
use serde_json::Value;

use crate::{Failure, machine};

/// How `visible` is called.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Records a second
    #[arg(long, default_value_t = 10_000)]
    rate: usize,
}

/// Batches a second.
const BATCHES: u32 = 10;

/// A running `pintle dev`.
struct Server {
    child: Child,
    address: String,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // `pintle dev` takes its folder away when it is asked to end. One that has ended already cannot
        // be asked, and has been waited for.
        if let Some(id) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Result<Server, Failure> {
        let ports = ["--http", "127.0.0.1:0", "--https", "127.0.0.1:0"];
        let mut child = Command::new(std::env::current_exe()?)
            .args(["dev", "--json", "--events", "1000"])
            .args(ports)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line)?;
        let text = |name: &str| ready.get(name).and_then(Value::as_str).ok_or("not said");
        let address = text("http")?.trim_start_matches("http://").to_owned();
        let mut server = Server { child, address, token: String::new() };
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={}/.default",
            text("client_id")?,
            text("client_secret")?,
            text("audience")?,
        );
        let path = format!("/{}/oauth2/v2.0/token", text("tenant_id")?);
        let (status, body) =
            server.send("POST", &path, "application/x-www-form-urlencoded", form.as_bytes())?;
        let answer: Value = serde_json::from_slice(&body)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        server.token = token.ok_or_else(|| format!("no token: {status}"))?.to_owned();
        Ok(server)
    }

    /// Sends a request; returns the status and the body.
    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<(u16, Vec<u8>), Failure> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            self.token,
            body.len(),
        )?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
        Ok((status, body.as_bytes().to_vec()))
    }
}

/// A batch's own file, which nothing else has.
fn probe(number: u32) -> (Sha1, Record) {
    let mut bytes = [0xb7; 20];
    bytes.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, new)| *byte = new);
    let hash = Sha1(bytes);
    let mut row = Row::new(&file_event::TABLE);
    row.set_time(file_event::TIMESTAMP, Some(Time::from(std::time::SystemTime::now())));
    row.set_text(file_event::DEVICE_ID, Some("0123456789abcdef0123456789abcdef01234567"));
    row.set_text(file_event::DEVICE_NAME, Some("probe.tillerworks.example"));
    row.set_text(file_event::ACTION_TYPE, Some("FileCreated"));
    row.set_text(file_event::FILE_NAME, Some("probe.exe"));
    row.set_text(file_event::SHA1, Some(&hash.to_string()));
    (hash, Record::Row(row))
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let server = Server::start()?;
        let batches = self.seconds * BATCHES;
        let each = self.rate / BATCHES as usize;
        let bodies = self.bodies(batches, each)?;
        let (sent, asked) = mpsc::channel::<(Instant, Sha1)>();
        let (found, missed) = thread::scope(|scope| -> Result<_, Failure> {
            let asking = scope.spawn(|| find(&server, asked));
            let sending = scope.spawn(|| send(&server, bodies, sent));
            let missed = sending.join().map_err(|_| "the sender stopped")??;
            Ok((asking.join().map_err(|_| "the asker stopped")??, missed))
        })?;
        let mut took = found;
        took.sort_unstable();
        let ms = |share| machine::quantile(&took, share).as_secs_f64() * 1e3;
        println!("| records a second | batches | sent late | p50 ms | p99 ms | most ms |");
        println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
        println!(
            "| {} | {} | {missed} | {:.1} | {:.1} | {:.1} |",
            self.rate,
            took.len(),
            ms(0.5),
            ms(0.99),
            ms(1.0)
        );
        println!("\n{}", machine::describe()?);
        Ok(())
    }

    /// All that will be sent, made before the clock starts.
    fn bodies(&self, batches: u32, each: usize) -> Result<Vec<(Sha1, Vec<u8>)>, Failure> {
        let end = Time::from(std::time::SystemTime::now());
        let mut records = Generator::new(Law::fleet(200, 30, 600, end)).flatten();
        let mut writer = Writer::new("mde-streaming", 1).ok_or("no such format")?;
        let mut bodies = Vec::new();
        for number in 0..batches {
            let mut body = Vec::new();
            for record in records.by_ref().take(each.saturating_sub(1)) {
                writer.write(&record, &mut body)?;
            }
            let (hash, record) = probe(number);
            writer.write(&record, &mut body)?;
            bodies.push((hash, body));
        }
        Ok(bodies)
    }
}

/// Sends the bodies at their times; returns how many could not be begun in time, because the one
/// before took too long. Their time runs from when they should have been sent.
fn send(
    server: &Server,
    bodies: Vec<(Sha1, Vec<u8>)>,
    sent: mpsc::Sender<(Instant, Sha1)>,
) -> Result<usize, Failure> {
    let began = Instant::now();
    let mut late = 0;
    for (number, (hash, body)) in (0..).zip(bodies) {
        let due = began + Duration::from_secs(1) * number / BATCHES;
        match due.checked_duration_since(Instant::now()) {
            Some(wait) => thread::sleep(wait),
            None => late += usize::from(number > 0),
        }
        sent.send((due, hash))?;
        let (status, answer) =
            server.send("POST", "/api/ingest?source=bench", "application/x-ndjson", &body)?;
        if status != 200 {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&answer)).into());
        }
    }
    Ok(late)
}

/// Asks for each file until it is there; returns how long after its sending that was.
fn find(server: &Server, asked: mpsc::Receiver<(Instant, Sha1)>) -> Result<Vec<Duration>, Failure> {
    let mut took = Vec::new();
    for (due, hash) in asked {
        let path = format!("/api/files/{hash}/machines");
        while server.send("GET", &path, "application/json", b"")?.0 != 200 {
            if due.elapsed() > Duration::from_secs(60) {
                return Err("not found within a minute".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        took.push(due.elapsed());
    }
    Ok(took)
}
