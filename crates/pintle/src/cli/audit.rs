//! `pintle audit`: who did what, and whether the log of it is whole. It reads the folder itself, so it
//! needs no server and disturbs none.

use std::path::PathBuf;
use std::process::ExitCode;

use pintle_model::Time;

use super::long::blocking;
use super::terminal::{Printable, Table, count};
use super::{Failure, Where};
use crate::audit::{self, Actor, Asked, Hash, Line, Verified};
use crate::socket::SessionError;

/// Show who did what, and check that nothing of it was altered
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Verify(Verify),
    Show(Show),
}

/// Find lines that were altered, removed, swapped or put in
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Every line of the log (audit/ in the data folder) has the hash of the line before and its own. Each line on \
standard output names a line that is wrong, and what is wrong. A server may go on meanwhile.

Who can write to the data folder can make the whole log anew, with hashes that fit. So write down \
elsewhere, now and then, the last hash that this prints; --head says later whether that line is still \
there, and so whether all before it is as it was.

The oldest files may be archived: what is left is checked from its first line on.

Exit codes:
  0  it is whole, and the line of --head is in it
  1  something is wrong, or it could not be read
  2  the command line or the settings are wrong

Examples:
  pintle audit verify --data /var/lib/pintle
  pintle audit verify --json | jq -r .head >> /mnt/elsewhere/pintle-heads
  pintle audit verify --head 5f0c…")]
struct Verify {
    /// The hash of a line that was written down elsewhere
    #[arg(long, value_name = "HASH")]
    head: Option<Hash>,
    #[command(flatten)]
    place: Where,
}

/// Print the newest lines, the newest last
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  pintle audit show --last 100
  pintle audit show --action token.refused --since 2026-11-22
  pintle audit show --last 100000 --json | jq -r 'select(.outcome == \"failed\")'")]
struct Show {
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    last: u32,
    /// Those whose action begins so, such as `token` or `client.created`
    #[arg(long, value_name = "PREFIX", default_value = "")]
    action: String,
    /// Those written since then, such as 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Time>,
    #[command(flatten)]
    place: Where,
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "write a time like 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.what {
        What::Verify(verify) => verify.run().await,
        What::Show(show) => show.run().await,
    }
}

impl Verify {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (folder, head) = (found(&self.place)?, self.head);
        let verified = blocking(move || audit::verify(&folder, head)).await;
        let verified = verified.map_err(|error| Failure::Failed(error.to_string()))?;
        let lacks_head = head.filter(|_| verified.found.is_none());
        let is_whole = verified.problems.is_empty() && lacks_head.is_none();
        if self.place.json {
            super::print(&super::json(&verified)?)?;
        } else {
            super::print(&said(&verified))?;
            if let Some(head) = lacks_head {
                eprintln!(
                    "no line of this log has the hash {head}: the log was made anew, cut short, or its file archived"
                );
            }
        }
        Ok(ExitCode::from(u8::from(!is_whole)))
    }
}

impl Show {
    async fn run(self) -> Result<ExitCode, Failure> {
        let folder = found(&self.place)?;
        let last = usize::try_from(self.last).unwrap_or(usize::MAX);
        let asked = Asked { last, action: self.action, since: self.since };
        let lines = blocking(move || audit::newest(&folder, &asked)).await;
        let lines = lines.map_err(|error| Failure::Failed(error.to_string()))?;
        if self.place.json {
            let lines = lines.iter().map(super::json).collect::<Result<String, _>>()?;
            super::print(&lines)?;
        } else {
            super::print(&listed(&lines))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn found(place: &Where) -> Result<PathBuf, Failure> {
    let (_, folder) = place.folder.resolve()?;
    if folder.exists() { Ok(folder) } else { Err(SessionError::NoData(folder).into()) }
}

fn said(verified: &Verified) -> String {
    let mut said = String::new();
    for problem in &verified.problems {
        let place = match problem.line {
            0 => problem.file.clone(),
            line => format!("{}, line {line}", problem.file),
        };
        said += &format!("{}: {}\n", Printable(&place), Printable(&problem.reason));
    }
    if verified.more_problems > 0 {
        said += &format!("and {} more\n", count(verified.more_problems));
    }
    if verified.archived > 0 {
        said += &format!("the oldest {} files are not here\n", count(verified.archived));
    }
    if verified.torn > 0 {
        said += &format!(
            "the last {} bytes are no whole line: one is being written, or was when the server stopped\n",
            count(verified.torn)
        );
    }
    if verified.unsynced > 0 {
        said += &format!(
            "the last {} lines were not certain to be on the disk: as while a server runs, or was killed\n",
            count(verified.unsynced)
        );
    }
    if let Some(found) = &verified.found {
        said += &format!("the line of that hash is line {}, in {}\n", count(found.seq), found.file);
    }
    if verified.problems.is_empty() {
        let (lines, files) = (count(verified.lines), count(verified.files));
        said += &format!("whole: {lines} lines in {files} files\n");
    }
    if let (Some(last), Some(hash)) = (verified.last, verified.head) {
        said += &format!("line {} has the hash {hash}\n", count(last));
    }
    said
}

fn listed(lines: &[Line]) -> String {
    let mut table = Table::new("><<<<<<");
    table.row(["line", "time", "who", "action", "on", "outcome", "detail"]);
    for line in lines {
        let repeated = line.repeated.map(|more| format!("{} more; ", count(more))).unwrap_or_default();
        let detail = line.detail.iter().map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        });
        table.row([
            count(line.seq).as_str(),
            &line.at,
            &who(&line.actor),
            &line.action,
            line.target.as_deref().unwrap_or("-"),
            line.outcome.name(),
            &(repeated + &detail.collect::<Vec<_>>().join(" ")),
        ]);
    }
    table.to_string()
}

fn who(actor: &Actor) -> String {
    let mut who = actor.kind.name().to_owned();
    for word in [&actor.name, &actor.id].into_iter().flatten().take(1) {
        who += &format!(" {word}");
    }
    if let Some(uid) = actor.uid {
        who += &format!(" {uid}");
    }
    if let Some(address) = actor.address {
        who += &format!(" from {address}");
    }
    who
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_clients_cannot_steer_the_terminal() {
        let line = serde_json::json!({
            "seq": 1_234, "at": "2026-01-31T12:00:00Z",
            "actor": {"kind": "application", "id": "1", "name": "evil\u{1b}[2J", "address": "192.0.2.1"},
            "action": "token.refused", "target": "a\nb", "outcome": "refused", "repeated": 17,
            "detail": {"code": "\u{202e}7"}, "prev": "0".repeat(64), "hash": "0".repeat(64),
        });
        let table = listed(&[serde_json::from_value(line).unwrap()]);
        assert_eq!(
            table.lines().nth(1).unwrap(),
            "1,234  2026-01-31T12:00:00Z  application evil\\u{1b}[2J from 192.0.2.1  token.refused  a\\u{a}b  \
             refused  17 more; code=\\u{202e}7"
        );
    }
}
