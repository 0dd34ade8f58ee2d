//! `pintle sources`: where telemetry comes from, and how it comes.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::terminal::{Table, count};
use super::{Failure, Place};

/// Show each source of telemetry: when it came last, how much and how late it comes, what of it is not used
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "What came since the server first heard of a source, and at most 256 sources, are told of. \
The lag is from an event to its arrival, of live sources only, in steps of a half. Without a hash are events \
about a file that do not name it by one.

Examples:
  pintle sources
  pintle sources --json | jq '.value[] | select(.state == \"silent\") | .source'"
)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Print the JSON object that /api/ingest/status answers
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Status {
    value: Vec<Source>,
    watched: Vec<Watched>,
    kafka: Vec<Consumer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    source: String,
    format: Option<String>,
    last_arrival: String,
    last_event: Option<String>,
    silent_since: Option<String>,
    records: u64,
    records_last_hour: u64,
    records_last_day: u64,
    lag_seconds_median: Option<f64>,
    lag_seconds_p99: Option<f64>,
    rejected_by_reason: BTreeMap<String, u64>,
    file_events: u64,
    without_hash_by_reason: BTreeMap<String, u64>,
    last_failure: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Watched {
    source: String,
    file_count: u64,
    files: Vec<File>,
    troubles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consumer {
    name: String,
    group: String,
    partition_count: u64,
    partitions: Vec<Partition>,
    troubles: Vec<String>,
}

#[derive(Deserialize)]
struct Partition {
    topic: String,
    partition: i32,
    committed: Option<u64>,
    lag: Option<u64>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    offset: u64,
    size: u64,
    trouble: Option<String>,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let session = args.place.find().await?;
    let told: Box<RawValue> = session.client.get("/sources", &args.place.of_tenant()).await?;
    session.end().await;
    if args.json {
        super::print(&format!("{told}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let status: Status = serde_json::from_str(told.get())?;
    if status.value.is_empty() && status.watched.is_empty() && status.kafka.is_empty() {
        eprintln!("no telemetry has come");
    }
    super::print(&printed(&status))?;
    Ok(ExitCode::SUCCESS)
}

fn printed(status: &Status) -> String {
    let mut text = String::new();
    if !status.value.is_empty() {
        text += &sources(&status.value).to_string();
    }
    for watched in &status.watched {
        text += &files(watched).to_string();
    }
    for consumer in &status.kafka {
        text += &partitions(consumer).to_string();
    }
    text
}

fn sources(sources: &[Source]) -> Table {
    let mut table = Table::new("<<<<>>>>><");
    table.row([
        "source",
        "format",
        "last came",
        "last event",
        "records",
        "in an hour",
        "in a day",
        "lag",
        "lag p99",
        "",
    ]);
    let lag = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
    for source in sources {
        table.row([
            source.source.as_str(),
            source.format.as_deref().unwrap_or("-"),
            &source.last_arrival,
            source.last_event.as_deref().unwrap_or("-"),
            &count(source.records),
            &count(source.records_last_hour),
            &count(source.records_last_day),
            &lag(source.lag_seconds_median),
            &lag(source.lag_seconds_p99),
            if source.silent_since.is_some() { "silent" } else { "" },
        ]);
        let without = format!("of {} events about files", count(source.file_events));
        for (what, counts) in
            [("kept aside", &source.rejected_by_reason), (without.as_str(), &source.without_hash_by_reason)]
        {
            for (reason, number) in counts {
                table.row([format!("  {} {what}: {reason}", count(*number))]);
            }
        }
        if let Some(failure) = &source.last_failure {
            table.row([format!("  last failure: {failure}")]);
        }
    }
    table
}

fn files(watched: &Watched) -> Table {
    let mut table = Table::new("<>>><");
    table.row([format!("folder of {}: {} files", watched.source, count(watched.file_count))]);
    for trouble in &watched.troubles {
        table.row([format!("  {trouble}")]);
    }
    for file in &watched.files {
        let name = format!("  {}", file.name);
        let trouble = file.trouble.as_deref().unwrap_or_default();
        table.row([name.as_str(), &count(file.offset), "of", &count(file.size), trouble]);
    }
    table
}

fn partitions(consumer: &Consumer) -> Table {
    let mut table = Table::new("<>>");
    let Consumer { name, group, partition_count, .. } = consumer;
    table.row([format!("Kafka of {name}, group {group}: {} partitions", count(*partition_count))]);
    for trouble in &consumer.troubles {
        table.row([format!("  {trouble}")]);
    }
    let told = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), count);
    for Partition { topic, partition, committed, lag } in &consumer.partitions {
        let (committed, lag) = (told(*committed), told(*lag));
        table.row([format!("  {topic}/{partition}"), format!("at {committed}"), format!("{lag} wait")]);
    }
    table
}
