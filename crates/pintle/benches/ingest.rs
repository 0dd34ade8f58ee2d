//! How fast telemetry goes in, on one core: reading alone, and reading into a durable store, beside
//! what merely parsing the same JSON costs. An argument leaves only the work whose name it is in.

mod export;
mod measure;

use std::borrow::Cow;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use measure::Failure;
use pintle::dev::generator::{Generator, Law};
use pintle_model::{TenantId, Time};
use pintle_store::{Batch, Options, Store};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Seconds by the clock on the wall, and seconds that processors worked for this process.
struct Cost {
    wall: f64,
    cpu: f64,
}

/// One kind of work on the input, with an empty folder to work in. Returns how many records it saw.
type Work = fn(&[u8], &Path) -> Result<u64, Failure>;

const KINDS: [(&str, Work); 4] = [
    ("parse, keep nothing", |input, _| {
        each_line(input, |line| serde_json::from_slice(line).map(|IgnoredAny| ()))
    }),
    ("parse into a struct", |input, _| {
        each_line(input, |line| {
            serde_json::from_slice::<Envelope<'_>>(line).map(|record| _ = black_box(record))
        })
    }),
    ("read", |input, _| {
        read(input, &mut |records| {
            black_box(records);
            Ok(())
        })
    }),
    ("read and append", append),
];

fn main() -> Result<(), Failure> {
    stay_on_one_core()?;
    let law = |machines, events| Law {
        machines,
        events,
        alerts: 0,
        ..Law::demo(Time::from(std::time::SystemTime::now()))
    };
    use export::Columns::{AsPublished, ByName};
    let (rounds, inputs) = if measure::is_in_earnest() {
        let inputs = vec![
            (law(25, 200_000), AsPublished),
            (law(25, 200_000), ByName),
            (law(1_000, 500_000), AsPublished),
        ];
        (5, inputs)
    } else {
        (1, vec![(law(5, 1_000), AsPublished)])
    };
    for (law, order) in inputs {
        let about = format!(
            "{} machines, {} events, columns {}",
            law.machines,
            law.events,
            if order == ByName { "by name" } else { "as published" }
        );
        let input = export::json_lines(Generator::new(law).flatten(), order)?;
        run(&about, &input, rounds)?;
    }
    Ok(())
}

/// Keeps this process, and every thread it starts from now on, on one core.
fn stay_on_one_core() -> Result<(), Failure> {
    let allowed = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core)).ok_or("no core is allowed")?;
    let mut one = CpuSet::new();
    one.set(last);
    Ok(sched_setaffinity(None, &one)?)
}

/// Measures every kind of work, one after the other in each round.
fn run(about: &str, input: &[u8], rounds: usize) -> Result<(), Failure> {
    let records = memchr::memchr_iter(b'\n', input).count() as u64;
    println!("\n{about}: {records} records, {:.1} MB\n", input.len() as f64 / 1e6);
    let mut costs: [Vec<Cost>; KINDS.len()] = Default::default();
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for _ in 0..rounds {
        for ((kind, work), costs) in KINDS.iter().zip(&mut costs) {
            if !kind.contains(&wanted) {
                continue;
            }
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
            let (began, cpu) = (Instant::now(), measure::processor_time());
            let seen = work(input, folder.path())?;
            let cpu = (measure::processor_time() - cpu).as_secs_f64();
            costs.push(Cost { wall: began.elapsed().as_secs_f64(), cpu });
            if seen != records {
                return Err(format!("{kind}: {seen} of {records} records").into());
            }
        }
    }
    println!("| work | records/s | MB/s | wall s (least–most) | CPU s | CPU against the struct |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let cpu = |costs: &[Cost]| measure::middle(costs.iter().map(|cost| cost.cpu)).0;
    let [_, structs, ..] = &costs;
    let base = cpu(structs);
    let measured = KINDS.iter().zip(&costs).filter(|(_, costs)| !costs.is_empty());
    for ((kind, _), costs) in measured {
        let (wall, least, most) = measure::middle(costs.iter().map(|cost| cost.wall));
        println!(
            "| {kind} | {:.0} | {:.0} | {wall:.2} ({least:.2}–{most:.2}) | {:.2} | {:.2} |",
            records as f64 / wall,
            input.len() as f64 / 1e6 / wall,
            cpu(costs),
            cpu(costs) / base,
        );
    }
    Ok(())
}

fn each_line(input: &[u8], line: impl Fn(&[u8]) -> serde_json::Result<()>) -> Result<u64, Failure> {
    let mut records = 0;
    let mut rest = input;
    while let Some((one, after)) = memchr::memchr(b'\n', rest).and_then(|end| rest.split_at_checked(end + 1))
    {
        line(one)?;
        records += 1;
        rest = after;
    }
    Ok(records)
}

/// Unpacks, frames, recognises and decodes, as `pintle ingest` does.
fn read(
    input: &[u8],
    take: &mut dyn FnMut(Vec<pintle_model::Record>) -> Result<(), pintle_ingest::DeliverError>,
) -> Result<u64, Failure> {
    let summary = pintle_ingest::read(
        input,
        "bench",
        None,
        pintle_ingest::MAX_BYTES,
        &mut |records, rejects| {
            if let Some(reject) = rejects.first() {
                return Err(reject.reason.clone().into());
            }
            take(records)
        },
        &mut |_| {},
    )?;
    Ok(summary.records)
}

/// The same into a new store, each batch synced before the next is read. Done when the last is
/// durable and can be read.
fn append(input: &[u8], folder: &Path) -> Result<u64, Failure> {
    let store = Store::open(folder, Options::default())?;
    let tenant = TenantId::from_bytes([7; 16]);
    read(input, &mut |records| {
        let batch = Batch { tenant, source: "bench".to_owned(), records, rejects: Vec::new() };
        store.append(batch)?;
        Ok(())
    })
}

/// What the base needs of a streaming record, borrowed from it: about the least that a decoder
/// could do which keeps no columns.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only there to be parsed into")]
struct Envelope<'a> {
    #[serde(borrow)]
    category: Text<'a>,
    #[serde(borrow)]
    properties: Properties<'a>,
}

/// A text, borrowed unless it has escapes.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only there to be parsed into")]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Properties<'a> {
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    device_id: Option<Text<'a>>,
    device_name: Option<Text<'a>>,
    machine_group: Option<Text<'a>>,
    file_name: Option<Text<'a>>,
    folder_path: Option<Text<'a>>,
    #[serde(rename = "SHA1")]
    sha1: Option<Text<'a>>,
    #[serde(rename = "SHA256")]
    sha256: Option<Text<'a>>,
    #[serde(rename = "MD5")]
    md5: Option<Text<'a>>,
    file_size: Option<i64>,
    process_version_info_company_name: Option<Text<'a>>,
    process_version_info_product_name: Option<Text<'a>>,
    initiating_process_file_name: Option<Text<'a>>,
    initiating_process_folder_path: Option<Text<'a>>,
    #[serde(rename = "InitiatingProcessSHA1")]
    initiating_process_sha1: Option<Text<'a>>,
    #[serde(rename = "InitiatingProcessSHA256")]
    initiating_process_sha256: Option<Text<'a>>,
    #[serde(rename = "InitiatingProcessMD5")]
    initiating_process_md5: Option<Text<'a>>,
    initiating_process_file_size: Option<i64>,
    initiating_process_version_info_company_name: Option<Text<'a>>,
    initiating_process_version_info_product_name: Option<Text<'a>>,
}
