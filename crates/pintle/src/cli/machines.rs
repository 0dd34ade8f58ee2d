//! `pintle machines`: machines by id, so that one can be asked for.

use std::process::ExitCode;

use serde_json::Value;

use super::terminal::Table;
use super::{Failure, Listing};

/// Lists machines, by id
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  pintle machines --top 20
  pintle machines --json | jq -r '.[] | [.id, .computerDnsName] | @tsv'")]
pub struct Args {
    #[command(flatten)]
    listing: Listing,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    args.listing.show("/machines", "no machines", rows).await
}

fn rows(machines: &[Value]) -> Table {
    let mut table = Table::new("<<<<<<");
    table.row(["id", "name", "system", "group", "first seen", "last seen"]);
    for machine in machines {
        let text = |member: &str| machine.get(member).and_then(Value::as_str).unwrap_or("-");
        table.row([
            text("id"),
            text("computerDnsName"),
            text("osPlatform"),
            text("rbacGroupName"),
            text("firstSeen"),
            text("lastSeen"),
        ]);
    }
    table
}
