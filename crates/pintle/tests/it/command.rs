//! The binary, run as a user does.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// `pintle` with no configuration but what its arguments say.
pub fn pintle(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pintle"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PINTLE_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a run ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code().expect("ended by a signal"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output as one JSON value.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error} in {:?} (stderr {:?})", self.out, self.err))
    }
}

/// Runs to the end.
pub fn run(arguments: &[&str]) -> Ran {
    Ran::of(pintle(arguments).output().unwrap())
}

/// Runs to the end on a data folder.
pub fn run_on(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(on(folder, arguments).output().unwrap())
}

/// Runs to the end on a data folder, with this on standard input.
pub fn run_with_input(folder: &Path, arguments: &[&str], input: &(impl AsRef<[u8]> + ?Sized)) -> Ran {
    let mut child = spawn(on(folder, arguments).stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_ref()).unwrap();
    drop(stdin);
    Ran::of(child.wait_with_output().unwrap())
}

pub fn on(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = pintle(arguments);
    command.arg("--data").arg(folder);
    command
}

pub fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap()
}

/// Sends a signal.
pub fn signal(child: &Child, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

/// A row of `DeviceFileEvents` as an advanced hunting query exports it, a line.
pub fn row(machine: u32, name: &str, minute: u32, sha1: &str) -> String {
    let row = serde_json::json!({
        "Timestamp": format!("2026-01-15T09:{minute:02}:12.5071301Z"),
        "DeviceId": format!("{machine:040x}"),
        "DeviceName": name,
        "ActionType": "FileCreated",
        "FileName": "a.exe",
        "FolderPath": "C:\\Temp\\a.exe",
        "SHA1": sha1,
        "SHA256": format!("{sha1:0>64}"),
        "InitiatingProcessSHA1": "00000000000000000000000000000000000000ee",
        "InitiatingProcessFileName": "explorer.exe",
        "ReportId": minute,
    });
    format!("{row}\n")
}
