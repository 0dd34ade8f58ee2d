//! `pintle alerts`: alerts by id, so that one can be asked for.

use std::process::ExitCode;

use serde_json::Value;

use super::terminal::Table;
use super::{Failure, Listing};

/// List alerts, by id
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  pintle alerts --top 20
  pintle alerts --json | jq -r '.[] | select(.severity == \"High\") | .id'")]
pub struct Args {
    #[command(flatten)]
    listing: Listing,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    args.listing.show("/alerts", "no alerts", rows).await
}

fn rows(alerts: &[Value]) -> Table {
    let mut table = Table::new("<<<<<<");
    table.row(["id", "last update", "severity", "status", "machine", "title"]);
    for alert in alerts {
        let text = |member: &str| alert.get(member).and_then(Value::as_str).unwrap_or("-");
        let machine = match text("computerDnsName") {
            "-" => text("machineId"),
            name => name,
        };
        table.row([
            text("id"),
            text("lastUpdateTime"),
            text("severity"),
            text("status"),
            machine,
            text("title"),
        ]);
    }
    table
}
