//! `pintle decode`: shows what would be made of telemetry, and keeps nothing.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use pintle_ingest::{Choice, Content, Decoder, Decoders, DeliverError, Reading, Summary};
use pintle_model::shapes::{alert, evidence, machine};
use pintle_model::{Cell, Facts, MemberId, Record, Shape};
use serde_json::{Map, Value, json};

use super::terminal::Printable;
use super::{Exit, Failure};
use crate::worker::Processes;
use crate::{intake, mappings};

/// Show what would be made of telemetry, as one JSON object a line, and keep nothing of it
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit codes:
  0  everything was decoded
  1  nothing could be done: the file cannot be read, or is of no known format
  2  the command line or the mapping is wrong
  5  partly: some records could not be decoded; standard error says which, and why

Examples:
  pintle decode sysmon.json | head -3 | jq
  pintle decode --mapping cameras.toml sample.jsonl")]
pub struct Args {
    /// A file, or `-` for standard input. gzip and zstd are unpacked, zip and tar read member by member
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The format, instead of recognising it from the content
    #[arg(long, value_name = "FORMAT", value_parser = super::FormatName)]
    format: Option<String>,
    /// A mapping that describes the format: a TOML file
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    mapping: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let choice = match &args.mapping {
        Some(file) => {
            let mapping = mappings::read(file).map_err(|error| Failure::Usage(error.to_string()))?;
            Choice::Only(Decoder::Mapping(mapping.into()))
        }
        None => intake::choice(&Decoders::default(), args.format.as_deref())
            .map_err(|unknown| Failure::Usage(unknown.to_string()))?,
    };
    let name = args.path.display().to_string();
    let input = if args.path.as_os_str() == "-" {
        Content::stream(io::stdin())
    } else {
        Content::File(File::open(&args.path).map_err(|error| Failure::Failed(format!("{name}: {error}")))?)
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let summary = show(input, &name, choice, &mut out).map_err(|error| match error {
        pintle_ingest::Error::Deliver(error) => match error.downcast::<io::Error>() {
            Ok(error) => Failure::from(*error),
            Err(error) => Failure::Failed(error.to_string()),
        },
        error => Failure::Failed(error.to_string()),
    })?;
    out.flush()?;
    tell(&summary);
    Ok(if summary.rejects() > 0 { Exit::Partly } else { Exit::Done }.into())
}

fn show(
    input: Content<'_>,
    name: &str,
    choice: Choice,
    out: &mut impl Write,
) -> Result<Summary, pintle_ingest::Error> {
    let mut deliver = |records: Vec<Record>, rejects: Vec<pintle_store::Reject>| {
        for record in &records {
            writeln!(out, "{}", told(record)).map_err(DeliverError::from)?;
        }
        for reject in rejects {
            let member = reject.source.strip_prefix(name).unwrap_or_default().trim_start_matches(':');
            let place = if member.is_empty() { String::new() } else { format!("{}, ", Printable(member)) };
            eprintln!("{place}at {}: {}", reject.offset, Printable(&reject.reason));
        }
        Ok(())
    };
    let workers = Processes::default();
    let reading = Reading { workers: Some(&workers), ..Reading::of(name, choice) };
    pintle_ingest::read(input, reading, &mut deliver, &mut |_| {})
}

/// Says in all what came of it.
fn tell(summary: &Summary) {
    let format = summary.format.as_deref().unwrap_or("none");
    eprintln!("format {format}: {} records, {} with a file's hash", summary.records, summary.with_file_hash);
    for (reason, count) in &summary.ignored {
        eprintln!("{count} × nothing to keep: {reason}");
    }
    for (reason, count) in &summary.rejects_by_reason {
        eprintln!("{count} × kept aside: {reason}");
    }
}

/// A record by the names of its table's columns, or of an alert's or a machine's members.
fn told(record: &Record) -> Value {
    match record {
        Record::Row(row) => {
            let name = |column| row.table().and_then(|table| table.name(column)).unwrap_or("?");
            let cells: Map<String, Value> = row
                .cells()
                .map(|(column, cell)| {
                    let value = match cell {
                        Cell::Text(text) => Value::from(text),
                        Cell::Long(number) => Value::from(number),
                        Cell::Bool(value) => Value::from(value),
                        Cell::Time(time) => Value::from(time.to_string()),
                    };
                    (name(column).to_owned(), value)
                })
                .collect();
            json!({ row.table().map_or("?", |table| table.name): cells })
        }
        Record::Alert(alert) => {
            let pieces = alert.evidence.iter().map(|piece| members(&piece.0, &evidence::SHAPE));
            let mut told = members(&alert.facts, &alert::SHAPE);
            told.insert("id".to_owned(), alert.id.as_str().into());
            told.insert("evidence".to_owned(), pieces.map(Value::Object).collect());
            json!({ "Alert": told })
        }
        Record::Machine(machine) => {
            let mut told = members(&machine.facts, &machine::SHAPE);
            told.insert("id".to_owned(), machine.id.as_str().into());
            json!({ "Machine": told })
        }
    }
}

fn members(facts: &Facts, shape: &Shape) -> Map<String, Value> {
    let named = (0..).zip(shape.members).filter_map(|(place, member)| {
        let value = serde_json::from_str(facts.json(MemberId(place))?).ok()?;
        Some((member.name.to_owned(), value))
    });
    named.collect()
}
