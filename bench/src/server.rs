//! A running `pintle serve` of a measurement's own, with an inlet and a watched folder.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::{Failure, machine};

/// The binary that serves: the one beside this program, unless another is named.
pub fn binary(named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    Ok(match named {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("pintle"),
    })
}

/// What some work cost the server.
pub struct Cost {
    pub records: u64,
    pub bytes: u64,
    /// Seconds.
    pub wall: f64,
    /// Seconds of the processors.
    pub cpu: f64,
    /// The most memory in that time, bytes.
    pub peak: u64,
}

/// A running `pintle serve`. It is killed when this goes away.
pub struct Server {
    child: Child,
    address: String,
    health: String,
    inlet: String,
    /// Of an application that may read everything.
    token_form: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has been waited for if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start(pintle: &Path, top: &Path, watched: &Path) -> Result<Server, Failure> {
        let (data, settings) = (top.join("data"), top.join("pintle.toml"));
        let text = format!(
            "[data]\nfolder = {data:?}\n[server]\nlisten = \"127.0.0.1:0\"\nhealth_listen = \"127.0.0.1:0\"\n\
             public_url = \"http://localhost\"\n[quota]\nenabled = false\n[log]\nformat = \"json\"\n\
             [watch.bench]\npath = {watched:?}\npoll = \"1s\"\nformat = \"mde-streaming\"\n"
        );
        fs::write(&settings, text)?;
        let run = |words: &[&str]| -> Result<Value, Failure> {
            let made = Command::new(pintle).args(words).args(["--json", "--data"]).arg(&data).output()?;
            Ok(serde_json::from_slice(&made.stdout)?)
        };
        let inlet = run(&["inlet", "add", "bench", "--format", "mde-streaming"])?;
        let permissions = "Machine.Read.All,File.Read.All,Alert.Read.All";
        let application = run(&["client", "create", "bench", "-p", permissions])?;
        let member = |of: &Value, name: &str| {
            of.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("no {name}: {of}"))
        };
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
            inlet: format!("ApiKey {}", STANDARD.encode(format!("bench:{}", member(&inlet, "secret")?))),
            token_form: format!(
                "grant_type=client_credentials&client_id={}&client_secret={}\
                 &scope=https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default",
                member(&application, "client_id")?,
                member(&application, "secret")?
            ),
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
    pub fn stop(mut self) -> Result<(), Failure> {
        let id = rustix::process::Pid::from_raw(self.child.id().cast_signed()).ok_or("no process")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }

    pub fn connect(&self) -> Result<BufReader<TcpStream>, Failure> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a body by the inlet, and waits until it is durable.
    pub fn post(&self, connection: &mut BufReader<TcpStream>, body: &[u8]) -> Result<(), Failure> {
        let (head, answer) = self.ask(connection, "POST", "/api/ingest", &self.inlet, body)?;
        if head.contains(" 200 ") { Ok(()) } else { Err(format!("{head}: {answer}").into()) }
    }

    /// What an `Authorization` says with a new token.
    pub fn bearer(&self, connection: &mut BufReader<TcpStream>) -> Result<String, Failure> {
        let form = self.token_form.as_bytes();
        let (head, answer) = self.ask(connection, "POST", "/default/oauth2/v2.0/token", "none", form)?;
        let read: Value = serde_json::from_str(&answer)?;
        let token = read.get("access_token").and_then(Value::as_str).ok_or(head)?;
        Ok(format!("Bearer {token}"))
    }

    /// Asks; gives the first line of the answer, and its body.
    pub fn ask(
        &self,
        connection: &mut BufReader<TcpStream>,
        method: &str,
        path: &str,
        authorization: &str,
        body: &[u8],
    ) -> Result<(String, String), Failure> {
        let kind = match path {
            _ if path.ends_with("/token") => "application/x-www-form-urlencoded",
            "/api/files/lookup" => "text/plain",
            _ => "application/x-ndjson",
        };
        let stream = connection.get_mut();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len(),
        )?;
        stream.write_all(body)?;
        answer(connection)
    }

    /// The records that it counts as taken in.
    pub fn taken(&self) -> Result<u64, Failure> {
        let mut stream = TcpStream::connect(&self.health)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.health)?;
        let mut metrics = String::new();
        stream.read_to_string(&mut metrics)?;
        let counts = metrics.lines().filter(|line| line.starts_with("pintle_ingest_records_total"));
        Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// What some work costs it.
    pub fn costs(&self, work: impl FnOnce() -> Result<(u64, u64), Failure>) -> Result<Cost, Failure> {
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
    let head = line(connection)?;
    let (mut length, mut in_pieces) = (0, false);
    loop {
        let header = line(connection)?.to_ascii_lowercase();
        let Some((name, value)) = header.split_once(':') else { break };
        match name {
            "content-length" => length = value.trim().parse()?,
            "transfer-encoding" => in_pieces = true,
            _ => {}
        }
    }
    let mut body = Vec::new();
    loop {
        if in_pieces {
            length = u64::from_str_radix(&line(connection)?, 16)?;
        }
        connection.take(length).read_to_end(&mut body)?;
        if !in_pieces {
            break;
        }
        line(connection)?;
        if length == 0 {
            break;
        }
    }
    Ok((head, String::from_utf8_lossy(&body).into_owned()))
}

/// The next line, without its end.
fn line(connection: &mut BufReader<TcpStream>) -> Result<String, Failure> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
