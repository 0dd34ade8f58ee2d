//! A running `pintle serve`.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::Process;
use crate::report::{Failure, Outcome, While, Wrong};

/// Far beyond what any start takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server as a process. It is killed when this goes away.
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    health: String,
}

/// Host and port of a URL.
fn authority(url: &str) -> String {
    url.split_once("://").map_or(url, |(_, authority)| authority).to_owned()
}

impl Server {
    /// A process and what it says.
    pub fn new(child: Child, lines: Receiver<String>) -> Server {
        Server { child, lines, said: Vec::new(), health: String::new() }
    }

    /// Waits until it serves, and gives the address; else what it said.
    pub fn ready(&mut self) -> Result<String, String> {
        let patience = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(patience.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let event: Value = serde_json::from_str(&line).unwrap_or_default();
                    let is_ready = event.get("message").is_some_and(|said| said == "listening");
                    self.said.push(line);
                    if let (true, Some(api)) = (is_ready, event.get("api").and_then(Value::as_str)) {
                        let health = event.get("health").and_then(Value::as_str).unwrap_or_default();
                        self.health = authority(health);
                        return Ok(authority(api));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(format!("it does not start: {:?}", self.said)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("it ended by itself: {:?}", self.said));
                }
            }
        }
    }

    /// The same where it must start.
    pub fn must_be_ready(&mut self) -> Outcome<String> {
        self.ready().map_err(Failure::Unable)
    }

    /// The process.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Where it tells how it is; known once it is ready.
    pub fn health(&self) -> &str {
        &self.health
    }

    /// Ends it as nothing can prevent, and gives what it said. It must have been running until
    /// then, without a panic.
    pub fn kill(self, wrong: &mut Wrong) -> Outcome<Vec<String>> {
        let (status, said) = self.end(wrong)?;
        if let Some(status) = status {
            wrong.add("server ended by itself", format!("{status}: {said:?}"));
        }
        Ok(said)
    }

    /// The same of one that may have ended by itself, and then how.
    pub fn end(mut self, wrong: &mut Wrong) -> Outcome<(Option<ExitStatus>, Vec<String>)> {
        self.child.kill().during("killing the server")?;
        let status = self.child.wait().during("waiting for the server")?;
        self.said.extend(self.lines.iter());
        let said = std::mem::take(&mut self.said);
        if let Some(line) = said.iter().find(|line| line.contains("panicked")) {
            wrong.add("panic", line);
        }
        Ok(((status.signal() != Some(9)).then_some(status), said))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
