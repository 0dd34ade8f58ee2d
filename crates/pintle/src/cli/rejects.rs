//! `pintle rejects`: records that were kept aside, and why.

use std::process::ExitCode;

use serde_json::Value;

use super::terminal::Table;
use super::{Failure, Listing};

/// How much of a record the table shows, in characters; `--json` has all that was kept.
const SHOWN: usize = 60;

/// List records that were kept aside: where they were, why, and how they begin
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The offset is in bytes of the unpacked input; for Windows event logs it is the number \
of the record.

Examples:
  pintle rejects --top 20
  pintle rejects --json | jq -r '.[].reason' | sort | uniq -c"
)]
pub struct Args {
    #[command(flatten)]
    listing: Listing,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    args.listing.show("/rejects", "nothing was kept aside", rows).await
}

fn rows(rejects: &[Value]) -> Table {
    let mut table = Table::new("<><<");
    table.row(["source", "offset", "reason", "begins"]);
    for reject in rejects {
        let text = |member: &str| reject.get(member).and_then(Value::as_str).unwrap_or("-");
        let offset = reject.get("offset").and_then(Value::as_u64).unwrap_or_default().to_string();
        let begins: String = text("text").chars().take(SHOWN).collect();
        table.row([text("source"), &offset, text("reason"), &begins]);
    }
    table
}
