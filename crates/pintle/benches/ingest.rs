//! How fast telemetry goes in, and what it takes in the archive: reading alone on one core, and
//! reading on one while another makes durable what was read, beside what merely parsing the same
//! JSON costs. The input is packed as it travels, and unpacking counts everywhere. An argument
//! leaves only the work whose name it is in.

mod export;
mod measure;
mod parsed;

use std::hint::black_box;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::{LazyLock, mpsc};
use std::time::Instant;

use measure::Failure;
use parsed::Envelope;
use pintle::dev::generator::{Generator, Law};
use pintle_model::{TenantId, Time};
use pintle_store::{Batch, Options, Store};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// What a kind of work cost.
struct Cost {
    /// Seconds by the clock on the wall.
    wall: f64,
    /// Seconds that the core that parses worked.
    parsing: f64,
    /// Seconds that processors worked for this process.
    cpu: f64,
}

/// What a kind of work did.
#[derive(Default)]
struct Done {
    records: u64,
    /// Bytes in the archive, if there is one.
    archived: u64,
}

/// One kind of work on the packed input, with an empty folder to work in.
type Work = fn(&[u8], &Path) -> Result<Done, Failure>;

const KINDS: [(&str, Work); 5] = [
    ("unpack", |packed, _| each_line(packed, |_| Ok(()))),
    ("sonic-rs into a struct", |packed, _| {
        each_line(packed, |line| Ok(_ = black_box(sonic_rs::from_slice::<Envelope<'_>>(line)?)))
    }),
    ("serde_json into a struct", |packed, _| {
        each_line(packed, |line| Ok(_ = black_box(serde_json::from_slice::<Envelope<'_>>(line)?)))
    }),
    ("read", |packed, _| {
        read(packed, &mut |records| {
            black_box(records);
            Ok(())
        })
    }),
    ("read and append", append),
];
/// What the others are compared to.
const SONIC: usize = 1;

/// The core for all but parsing, and the core for parsing.
static CORES: LazyLock<Option<[CpuSet; 2]>> = LazyLock::new(|| {
    let allowed = sched_getaffinity(None).ok()?;
    let allowed = || (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let single = |core| {
        let mut one = CpuSet::new();
        one.set(core);
        one
    };
    Some([single(allowed().next()?), single(allowed().next_back()?)])
});

fn main() -> Result<(), Failure> {
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
    let [_, parsing] = CORES.as_ref().ok_or("no core is allowed")?;
    for (law, order) in inputs {
        let about = format!(
            "{} machines, {} events, columns {}",
            law.machines,
            law.events,
            if order == ByName { "by name" } else { "as published" }
        );
        let input = export::json_lines(Generator::new(law).flatten(), order)?;
        run(&about, &input, rounds, parsing)?;
    }
    Ok(())
}

/// Measures every kind of work, one after the other in each round.
fn run(about: &str, input: &[u8], rounds: usize, parsing: &CpuSet) -> Result<(), Failure> {
    let records = memchr::memchr_iter(b'\n', input).count() as u64;
    let packed = compress_to_vec(input, CompressionLevel::Fastest);
    let megabytes = |bytes: &[u8]| bytes.len() as f64 / 1e6;
    println!(
        "\n{about}: {records} records, {:.1} MB, packed {:.1} MB\n",
        megabytes(input),
        megabytes(&packed)
    );
    let mut costs: [Vec<Cost>; KINDS.len()] = Default::default();
    let mut archived = 0;
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for _ in 0..rounds {
        for ((kind, work), costs) in KINDS.iter().zip(&mut costs) {
            if !kind.contains(&wanted) {
                continue;
            }
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
            let (done, cost) = on_core(parsing, || work(&packed, folder.path()))?;
            costs.push(cost);
            archived = archived.max(done.archived);
            if done.records != records {
                return Err(format!("{kind}: {} of {records} records", done.records).into());
            }
        }
    }
    println!("| work | records/s | wall s (least–most) | parsing core s | CPU s | speed against sonic-rs |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let parsing = |costs: &[Cost]| measure::middle(costs.iter().map(|cost| cost.parsing)).0;
    let sonic = costs.get(SONIC).map_or(f64::NAN, |costs| parsing(costs));
    let measured = KINDS.iter().zip(&costs).filter(|(_, costs)| !costs.is_empty());
    for ((kind, _), costs) in measured {
        let (wall, least, most) = measure::middle(costs.iter().map(|cost| cost.wall));
        println!(
            "| {kind} | {:.0} | {wall:.2} ({least:.2}–{most:.2}) | {:.2} | {:.2} | {:.2} |",
            records as f64 / wall,
            parsing(costs),
            measure::middle(costs.iter().map(|cost| cost.cpu)).0,
            sonic / parsing(costs),
        );
    }
    if archived > 0 {
        let each = |bytes: f64| bytes / records as f64;
        let (json, kept) = (each(input.len() as f64), each(archived as f64));
        println!("\nArchive: {kept:.0} bytes a record of {json:.0} bytes of JSON, 1/{:.0}", json / kept);
    }
    Ok(())
}

/// Does some work on a thread that stays on one core.
fn on_core(
    core: &CpuSet,
    work: impl FnOnce() -> Result<Done, Failure> + Send,
) -> Result<(Done, Cost), Failure> {
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let (began, cpu) = (Instant::now(), measure::processor_time());
            sched_setaffinity(None, core)?;
            let done = work()?;
            let cost = Cost {
                wall: began.elapsed().as_secs_f64(),
                parsing: measure::thread_time().as_secs_f64(),
                cpu: (measure::processor_time() - cpu).as_secs_f64(),
            };
            Ok((done, cost))
        });
        work.join().map_err(|_| Failure::from("the work panicked"))?
    })
}

fn each_line(packed: &[u8], line: impl Fn(&[u8]) -> Result<(), Failure>) -> Result<Done, Failure> {
    let mut input = std::io::BufReader::with_capacity(256 * 1024, StreamingDecoder::new(packed)?);
    let (mut one, mut done) = (Vec::new(), Done::default());
    while input.read_until(b'\n', &mut one)? > 0 {
        line(&one)?;
        one.clear();
        done.records += 1;
    }
    Ok(done)
}

/// Unpacks, frames, recognises and decodes, as `pintle ingest` does.
fn read(
    packed: &[u8],
    take: &mut dyn FnMut(Vec<pintle_model::Record>) -> Result<(), pintle_ingest::DeliverError>,
) -> Result<Done, Failure> {
    let summary = pintle_ingest::read(
        pintle_ingest::Content::stream(packed),
        pintle_ingest::Reading::of("bench", pintle_ingest::Choice::default()),
        &mut |records, rejects| {
            if let Some(reject) = rejects.first() {
                return Err(reject.reason.clone().into());
            }
            take(records)
        },
        &mut |_| {},
    )?;
    Ok(Done { records: summary.records, archived: 0 })
}

/// The same while another core appends to a new store what was read, each batch synced before the
/// next is taken, at most one waiting. Done when the last is durable and can be read.
fn append(packed: &[u8], folder: &Path) -> Result<Done, Failure> {
    let [appending_core, _] = CORES.as_ref().ok_or("no core is allowed")?;
    let done = std::thread::scope(|scope| {
        let (batches, to_append) = mpsc::sync_channel(1);
        let appending = scope.spawn(move || -> Result<(), Failure> {
            sched_setaffinity(None, appending_core)?;
            let store = Store::open(folder, Options::default())?;
            let tenant = TenantId::from_bytes([7; 16]);
            for records in to_append {
                store.append(Batch { records, ..Batch::recorded(tenant, "bench") })?;
            }
            Ok(())
        });
        let done = read(packed, &mut |records| Ok(batches.send(records)?));
        drop(batches);
        appending.join().map_err(|_| Failure::from("appending panicked"))??;
        done
    })?;
    let mut archived = 0;
    for segment in std::fs::read_dir(folder.join("archive"))? {
        archived += segment?.metadata()?.len();
    }
    Ok(Done { archived, ..done })
}
