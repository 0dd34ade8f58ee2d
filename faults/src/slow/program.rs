//! Debian's `slowhttptest`: others' idea of the same attacks, from the one address that the good clients have too.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::report::{Outcome, While};

/// Its modes, with what they ask for.
pub const MODES: &[(&str, &[&str], &str)] = &[
    ("slowhttptest -H", &["-H"], "/"),
    ("slowhttptest -B", &["-B", "-s", "8192"], "TOKEN"),
    ("slowhttptest -R", &["-R", "-a", "5", "-b", "3000"], "/openapi.json"),
    (
        "slowhttptest -X",
        &["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "9"],
        "/openapi.json",
    ),
];

/// Connections that it opens, and how many a second.
const CONNECTIONS: &str = "300";

/// Its name, if it is there.
pub fn find() -> Option<String> {
    let name = "slowhttptest";
    let mut asked = Command::new(name);
    asked.arg("-h").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok().then(|| name.to_owned())
}

/// Lets it attack.
pub fn attack(program: &str, mode: &[&str], url: &str, time: Duration) -> Outcome<()> {
    let seconds = time.as_secs().max(1).to_string();
    let mut command = Command::new(program);
    command.args(mode).args(["-c", CONNECTIONS, "-r", CONNECTIONS, "-i", "1", "-l", &seconds, "-u", url]);
    // What it prints is for people; how the server fared is seen by others here.
    let ran = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.map(drop).during(program)
}
