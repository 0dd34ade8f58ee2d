//! `pintle batches`: what came in, when, from where.

use std::process::ExitCode;

use super::terminal::{Table, count};
use super::{Failure, Place};
use crate::socket::wire;

/// Digits of an id that the table shows; `--json` has all.
const SHOWN: usize = 12;

/// List what came in, when and from where, the oldest first
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "An input comes in as batches of some 20,000 records. What is listed as a batch can be \
taken out again with `pintle purge --batch`, what came from a source with `pintle purge --source`.

Examples:
  pintle batches --since 2026-01-31
  pintle batches --source sysmon --json | jq -r '.[] | [.time, .id, .records] | @tsv'"
)]
pub struct Args {
    /// Only what came in from this time on: 2026-01-31, 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only from sources whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    source: String,
    /// How many to list at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    top: usize,
    /// How many to leave out at the start
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: usize,
    #[command(flatten)]
    place: Place,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let session = args.place.find().await?;
    let asked = wire::BatchesAsked {
        tenant: args.place.tenant.clone(),
        since: args.since,
        source: args.source,
        top: args.top,
        skip: args.skip,
    };
    let batches: Vec<wire::Batch> = session.client.get("/batches", &asked).await?;
    session.end().await;
    if args.json {
        super::print(&super::json(&batches)?)?;
    } else if batches.is_empty() {
        eprintln!("no batches");
    } else {
        super::print(&listed(&batches).to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(batches: &[wire::Batch]) -> Table {
    let mut table = Table::new("<<>><");
    table.row(["time", "batch", "records", "kept aside", "source"]);
    for batch in batches {
        let id = batch.id.get(..SHOWN).unwrap_or(&batch.id);
        let (records, kept_aside) = (count(batch.records), count(batch.kept_aside));
        table.row([&batch.time, id, &records, &kept_aside, &batch.source]);
    }
    table
}
