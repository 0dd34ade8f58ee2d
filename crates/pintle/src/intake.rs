//! Telemetry on its way in, whoever brings it: an input is read batch by batch, each batch is
//! appended, and what came of it is counted.

use std::io::Read;

use pintle_ingest::{Format, Summary};
use pintle_model::TenantId;
use pintle_store::Batch;

use crate::instance::Instance;
use crate::socket::wire::Report;

/// A format's name that there is no format of.
#[derive(Debug, thiserror::Error)]
#[error("no format `{0}`: there is {names}", names = names())]
pub(crate) struct UnknownFormat(String);

fn names() -> String {
    pintle_ingest::FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ")
}

/// The format of that name.
pub(crate) fn format(name: &str) -> Result<&'static Format, UnknownFormat> {
    Format::named(name).ok_or_else(|| UnknownFormat(name.to_owned()))
}

/// Takes an input in. Calls `progress` with the number of records that are durable after every
/// batch. What ended it early stands in the report, beside what was durable by then.
pub(crate) fn take(
    instance: &Instance,
    tenant: TenantId,
    source: &str,
    format: Option<&'static Format>,
    input: impl Read,
    progress: &mut dyn FnMut(u64),
) -> Report {
    let mut report = Report { source: source.to_owned(), ..Report::default() };
    let mut last = Summary::default();
    let mut deliver = |records, rejects| {
        let batch = Batch { tenant, source: source.to_owned(), records, rejects };
        report.add(&instance.store.append(batch)?);
        Ok(())
    };
    let read =
        pintle_ingest::read(input, source, format, pintle_ingest::MAX_BYTES, &mut deliver, &mut |summary| {
            last = summary.clone();
            progress(summary.records);
        });
    match read {
        Ok(summary) => last = summary,
        Err(error) => report.error = Some(reason(error, source)),
    }
    if let Some(format) = last.format {
        instance.metrics.ingested(format, last.records, last.bytes, last.rejects());
    }
    report.format = last.format.map(str::to_owned);
    report.records = last.records;
    report.with_file_hash = last.with_file_hash;
    report.bytes = last.bytes;
    report.ignored = last.ignored.iter().map(|(reason, number)| ((*reason).to_owned(), *number)).collect();
    report.kept_aside = last.rejects_by_reason;
    report
}

/// Why reading stopped, for a list in which the input's name stands already.
fn reason(error: pintle_ingest::Error, source: &str) -> String {
    match error {
        pintle_ingest::Error::Unrecognised(_) => "of no known format; --format names one".to_owned(),
        pintle_ingest::Error::Read(_, error) => format!("cannot be read: {error}"),
        error => {
            let text = error.to_string();
            text.strip_prefix(source).map_or(text.clone(), |rest| rest.trim_start().to_owned())
        }
    }
}
