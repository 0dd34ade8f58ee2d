//! `pintle search`: which machines have seen these files.

use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use pintle_model::FileHash;

use super::terminal::{Printable, Table};
use super::{Failure, Place};
use crate::socket::wire;

/// Standard input larger than this is no list of hashes: some 15 million of them.
const LONGEST_LIST: u64 = 1 << 30;
/// Hashes asked for in one request.
const AT_ONCE: usize = 10_000;

/// Show which machines have seen a file, by any of its hashes
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "For each machine: when the file was created, loaded, run, deleted or named as evidence \
there (as target), and when it had any part in an event, also as the program behind it (any role).

Exit codes:
  0  at least one of the hashes is known
  1  none is
  2  the command line is wrong, or a hash is malformed; one on standard input is named on standard
     error, and the others are answered
  3  the question could not be asked: what other commands end with 1 for

Examples:
  pintle search 3395856ce81f2b7382dee72602f798b642f14140
  cut -d, -f2 indicators.csv | pintle search --json | jq -r 'select(.found) | .machines[].name'
  pintle search --conflicts --json"
)]
pub struct Args {
    /// SHA-1, SHA-256 or MD5, mixed as you like; `-`, or none when standard input is no terminal:
    /// those on standard input, apart by spaces or line ends
    #[arg(value_name = "HASH")]
    hashes: Vec<String>,
    /// List the hashes that stand beside several of another kind and so identify no single file
    #[arg(long, conflicts_with = "hashes")]
    conflicts: bool,
    #[command(flatten)]
    place: Place,
    /// Print a JSON object a line, one a hash; with --conflicts one JSON array
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let asked = if args.conflicts { Asked::default() } else { hashes(&args.hashes)? };
    let malformed = asked.malformed;
    // 1 is taken: it says that nothing was found.
    match ask(&args, asked.hashes).await {
        Err(Failure::Failed(message)) => Err(Failure::With(3, message)),
        Ok(_) if malformed => Ok(ExitCode::from(2)),
        answer => answer,
    }
}

async fn ask(args: &Args, hashes: Vec<String>) -> Result<ExitCode, Failure> {
    let session = args.place.find().await?;
    if args.conflicts {
        let conflicts: Vec<wire::Conflict> =
            session.client.get("/conflicts", &args.place.of_tenant()).await?;
        session.end().await;
        super::print(&if args.json { super::json(&conflicts)? } else { listed(&conflicts) })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut known = false;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for some in hashes.chunks(AT_ONCE) {
        let asked = wire::Search { tenant: args.place.tenant.clone(), hashes: some.to_vec() };
        let mut show = |found: wire::Found| {
            known |= found.found;
            if args.json {
                serde_json::to_writer(&mut out, &found)?;
                out.write_all(b"\n")
            } else {
                out.write_all(described(&found).as_bytes())
            }
        };
        session.client.search(&asked, &mut show).await??;
    }
    out.flush()?;
    session.end().await;
    Ok(if known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is asked for.
#[derive(Debug, Default)]
struct Asked {
    /// In the order given.
    hashes: Vec<String>,
    /// Whether standard input had something else too.
    malformed: bool,
}

/// The hashes of the command line, each checked. Standard input is often a column of somebody's
/// list: what is no hash there is named and the rest is asked for.
fn hashes(given: &[String]) -> Result<Asked, Failure> {
    let mut hashes = Vec::new();
    let mut malformed = false;
    let mut standard = given.is_empty();
    for text in given {
        if text == "-" { standard = true } else { hashes.push(checked(text).map_err(Failure::Usage)?) }
    }
    if standard {
        if given.is_empty() && io::stdin().is_terminal() {
            return Err(Failure::Usage("no hash: name one, or give a list on standard input".to_owned()));
        }
        let mut list = Vec::new();
        io::stdin().lock().take(LONGEST_LIST).read_to_end(&mut list)?;
        for (number, line) in (1..).zip(String::from_utf8_lossy(&list).lines()) {
            for text in line.split_whitespace() {
                match checked(text) {
                    Ok(hash) => hashes.push(hash),
                    Err(error) => {
                        malformed = true;
                        // Standard error may be closed; then there is nobody to tell.
                        let _ = writeln!(io::stderr(), "warning: standard input, line {number}: {error}");
                    }
                }
            }
        }
    }
    Ok(Asked { hashes, malformed })
}

fn checked(text: &str) -> Result<String, String> {
    match text.parse::<FileHash>() {
        Ok(hash) => Ok(hash.to_string()),
        Err(error) => Err(format!("`{}`: {error}", Printable(text))),
    }
}

fn described(found: &wire::Found) -> String {
    let wire::Found { kind, hash, machines, .. } = found;
    if !found.found {
        return format!("{kind} {hash}: unknown\n");
    }
    let mut table = Table::new("<<<<<<");
    if !machines.is_empty() {
        table.row([
            "  machine",
            "id",
            "first as target",
            "last as target",
            "first in any role",
            "last in any role",
        ]);
    }
    for machine in machines {
        let [first, last] = times(machine.as_target.as_ref());
        let [any_first, any_last] = times(machine.any_role.as_ref());
        let name = format!("  {}", machine.name.as_deref().unwrap_or("-"));
        table.row([&name, &machine.id, &first, &last, &any_first, &any_last]);
    }
    let plural = if machines.len() == 1 { "" } else { "s" };
    let mut text = format!("{kind} {hash}: {} machine{plural}\n{table}", machines.len());
    for other in &found.ask_instead {
        text.push_str(&format!(
            "  records with only the {} {} may be of this file or of another: search for that as well\n",
            other.kind, other.hash
        ));
    }
    text
}

/// First and last, to the second: enough for people, and what `--json` adds is for machines.
fn times(between: Option<&wire::Between>) -> [String; 2] {
    let to_the_second = |time: &String| match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.clone(),
    };
    between.map_or(["-".to_owned(), "-".to_owned()], |between| {
        [to_the_second(&between.first_seen), to_the_second(&between.last_seen)]
    })
}

fn listed(conflicts: &[wire::Conflict]) -> String {
    let mut text = String::new();
    for conflict in conflicts {
        text.push_str(&format!("{} {} stands beside\n", conflict.hash.kind, conflict.hash.hash));
        for partner in &conflict.partners {
            text.push_str(&format!("  {} {}\n", partner.kind, partner.hash));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_all_kinds_are_taken_and_a_malformed_one_is_named() {
        let given = ["A5".repeat(20), "b6".repeat(16), "C7".repeat(32)];
        assert_eq!(hashes(&given).unwrap().hashes, given.map(|text| text.to_lowercase()));
        let Err(Failure::Usage(message)) = hashes(&["not-a-hash\x1b".to_owned()]) else { panic!("taken") };
        assert!(message.contains("`not-a-hash\\u{1b}`"), "{message}");
    }

    #[test]
    fn a_machines_name_is_shown_as_text() {
        let found = wire::Found {
            kind: "md5".into(),
            hash: "b6".repeat(16),
            found: true,
            machines: vec![wire::SeenOn {
                id: "0a".into(),
                name: Some("ws\x1b]0;owned\x07".into()),
                as_target: None,
                any_role: Some(wire::Between { first_seen: "t1".into(), last_seen: "t2".into() }),
            }],
            ask_instead: Vec::new(),
        };
        let text = described(&found);
        assert!(text.contains("1 machine\n") && text.contains("ws\\u{1b}]0;owned\\u{7}  0a"), "{text}");
    }
}
