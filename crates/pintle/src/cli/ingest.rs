//! `pintle ingest`: puts files, folders or standard input in, shows how it goes, and ends with a
//! table of what came of it.

mod inputs;
mod outcome;
mod progress;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::Failure;
use super::terminal::{Printable, count};
use crate::intake::UnknownFormat;
use crate::mappings;
use crate::socket::{Client, ClientError, wire};
use inputs::Input;
use progress::Progress;

/// Put telemetry in: files, folders, standard input
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit codes:
  0    everything went in
  1    nothing could be done, or there was nothing to do: no files, an empty standard input
  2    the command line is wrong
  5    partly: records were kept aside (`pintle rejects` lists them), or an input failed
  130  interrupted; what was reported as done is kept, and ingesting again counts nothing twice

Examples:
  pintle ingest /var/log/export/
  pintle ingest collection.zip export.tar.gz
  zcat sysmon.json.gz | pintle ingest - --format sysmon-json --json")]
pub struct Args {
    /// Files and folders, or `-` for standard input. Folders are gone through in the order of
    /// their names; hidden files and `__MACOSX` are left out. gzip and zstd are
    /// unpacked, zip and tar read member by member
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<std::path::PathBuf>,
    /// The format of all inputs, instead of recognising it from the content
    #[arg(long, value_name = "FORMAT", value_parser = super::FormatName)]
    format: Option<String>,
    /// A mapping that describes the format of all inputs: a TOML file that says where in a record the
    /// machine, the time and the rest are. `ingest.mappings` names a folder of those that always count
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    mapping: Option<std::path::PathBuf>,
    #[command(flatten)]
    place: super::Place,
    /// Print the final table as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let (inputs, mut outcome) = inputs::find(&args.paths);
    if inputs.is_empty() && outcome.is_empty() {
        let paths: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::Failed(format!("no files in {}", Printable(&paths.join(", ")))));
    }
    let mapping = args.mapping.as_deref().map(mapping).transpose()?;
    let session = args.place.take().await?;
    if let Some(format) = &args.format
        && let Err(unknown) = is_known(&session.client, format).await
    {
        session.end().await;
        return Err(unknown);
    }
    let progress = Progress::over(inputs.iter().map(Input::bytes).sum());
    let mut behind = 0;
    let mut interrupted = None;
    for input in inputs {
        let asked = wire::Ingest {
            tenant: args.place.tenant.clone(),
            source: input.name(),
            format: args.format.clone(),
            mapping_bytes: mapping.as_ref().map_or(0, String::len),
        };
        let standard = input == Input::Standard;
        let bytes = input.bytes().unwrap_or(0);
        let durable = AtomicU64::new(0);
        let before = Before { records: outcome.records(), bytes: behind };
        let taken = take(&session.client, &asked, mapping.as_deref(), input, &progress, &durable, before);
        tokio::select! {
            taken = taken => match taken {
                Ok(report) if standard && report.bytes == 0 && report.error.is_none() => {
                    outcome.fail(asked.source, "nothing to read".to_owned());
                }
                Ok(report) => outcome.add(report),
                Err(Stopped::Input(error)) => outcome.fail(asked.source, error.to_string()),
                // One input's connection broke, and the owner takes others.
                Err(Stopped::Owner(error @ ClientError::Broken { .. }))
                    if session.client.is_answered().await =>
                {
                    outcome.fail(asked.source, error.to_string());
                }
                Err(Stopped::Owner(error)) => {
                    progress.clear();
                    return Err(error.into());
                }
            },
            _ = tokio::signal::ctrl_c() => {
                interrupted = Some((asked.source, durable.into_inner()));
                break;
            }
        }
        behind += bytes;
        progress.bytes(behind);
    }
    progress.clear();
    if let Some((source, records)) = interrupted {
        let all = count(outcome.records() + records);
        let (source, records) = (Printable(&source), count(records));
        eprintln!(
            "interrupted in {source}: {all} records are in, {records} of them from there, and stay; \
             ingest it again for the rest, nothing is counted twice"
        );
        session.end().await;
        return Ok(ExitCode::from(130));
    }
    let held = session.client.get("/totals", &args.place.of_tenant()).await;
    session.end().await;
    let printed = outcome.printed(&held?, started.elapsed(), args.json);
    super::print(&printed)?;
    Ok(outcome.exit_code())
}

/// Whether the owner of the folder, who may have mappings, knows a format of that name.
async fn is_known(client: &Client, format: &str) -> Result<(), Failure> {
    let names: Vec<String> = client.get("/formats", &()).await?;
    if names.iter().any(|name| name.eq_ignore_ascii_case(format)) {
        return Ok(());
    }
    Err(Failure::Usage(UnknownFormat::among(format, &names.join(", ")).to_string()))
}

/// The text of a file that is a mapping.
fn mapping(file: &Path) -> Result<String, Failure> {
    mappings::read(file).map_err(|error| Failure::Usage(error.to_string()))?;
    mappings::text(file).map_err(|error| Failure::Usage(error.to_string()))
}

/// What came before an input.
struct Before {
    records: u64,
    bytes: u64,
}

/// Why an input did not come to its end.
enum Stopped {
    /// It cannot be read: go on with the next.
    Input(std::io::Error),
    /// Whoever owns the folder cannot go on.
    Owner(ClientError),
}

async fn take(
    client: &Client,
    asked: &wire::Ingest,
    mapping: Option<&str>,
    input: Input,
    progress: &Progress,
    durable: &AtomicU64,
    before: Before,
) -> Result<wire::Report, Stopped> {
    let bytes: Box<dyn AsyncRead + Send + Unpin> = match input {
        Input::Standard => Box::new(tokio::io::stdin()),
        Input::File { path, .. } => Box::new(tokio::fs::File::open(path).await.map_err(Stopped::Input)?),
    };
    // An input that breaks off says why here, since the other side only sees that it ended.
    let broke = Arc::new(std::sync::Mutex::new(None));
    let noted = Arc::clone(&broke);
    let bytes = ReaderStream::with_capacity(bytes, 256 * 1024).inspect_err(move |error| {
        let copy = std::io::Error::new(error.kind(), error.to_string());
        *noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(copy);
    });
    let mut came = |records: u64, bytes: u64| {
        durable.store(records, Ordering::Relaxed);
        progress.bytes(before.bytes + bytes);
        progress.records(before.records + records);
    };
    let before = stream::iter(mapping.map(|text| Ok(Bytes::from(text.to_owned()))));
    let taken = client.ingest(asked, Body::from_stream(before.chain(bytes)), &mut came).await;
    let broke = broke.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    match (taken, broke) {
        (Ok(report), None) => Ok(report),
        (_, Some(error)) => Err(Stopped::Input(error)),
        (Err(error), None) => Err(Stopped::Owner(error)),
    }
}
