//! `scale`: a store filled by the law. One process makes the records, another appends them; that
//! one is then killed, and a third opens what it left, twice.

use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pintle_model::tables::device_file_events as file_event;
use pintle_model::{Record, Row, TenantId};
use pintle_store::{ArchiveCaps, Batch, Options, Store};
use serde::{Deserialize, Serialize};

use crate::feed::{self, Fleet, Frame, Made};
use crate::{Failure, machine, wire};

/// Whose records all are.
pub const TENANT: TenantId = TenantId::from_bytes([7; 16]);

/// Hashes of files that are in the store, one a line, for `lookups`.
pub const SAMPLE: &str = "sample.txt";

/// How `scale` is called.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    fleet: Fleet,
    #[command(flatten)]
    folder: Folder,
}

/// A store's folder.
#[derive(Clone, Debug, clap::Args)]
pub struct Folder {
    /// Where the store is; `scale` wants it new and leaves it for `lookups`
    folder: PathBuf,
    /// The bytes that the archive may take: its oldest parts are dropped
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    archive: u64,
}

impl Folder {
    fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    fn options(&self) -> Options {
        let archive = ArchiveCaps { max_bytes: Some(self.archive), ..ArchiveCaps::default() };
        Options { archive, ..Options::default() }
    }

    fn arguments(&self, command: &mut Command) {
        command.arg(&self.folder).arg("--archive").arg(self.archive.to_string());
    }
}

/// What filling took.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Filled {
    made: Made,
    seconds: f64,
    /// Of the processors, all threads of the store, without what the pipe cost.
    cpu: f64,
    memory: u64,
    /// The archive before any of it was dropped: bytes, and the records in them.
    archive: (u64, u64),
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        if self.folder.folder.exists() {
            return Err(format!("{} is there already", self.folder.folder.display()).into());
        }
        fs::create_dir_all(&self.folder.folder)?;
        let program = std::env::current_exe()?;
        let mut feeding = Command::new(&program)
            .args(["feed", "--part", &self.fleet.part.to_string(), "--days", &self.fleet.days.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let fed = feeding.stdout.take().ok_or("no pipe")?;
        let mut filling = Command::new(&program);
        filling.arg("fill").stdin(fed).stdout(Stdio::piped());
        self.folder.arguments(&mut filling);
        let mut filling = filling.spawn()?;
        let said = said(&mut filling);
        // It waits to be killed, with whatever it has not folded yet.
        filling.kill()?;
        filling.wait()?;
        feeding.wait()?;
        let filled: Filled = serde_json::from_str(&said?)?;
        let after_kill = self.time_to_open(&program)?;
        let after_close = self.time_to_open(&program)?;
        self.report(&filled, after_kill, after_close)
    }

    fn time_to_open(&self, program: &Path) -> Result<f64, Failure> {
        let mut opening = Command::new(program);
        opening.arg("open").stdout(Stdio::piped());
        self.folder.arguments(&mut opening);
        let mut opening = opening.spawn()?;
        let said = said(&mut opening)?;
        opening.wait()?;
        Ok(said.trim().parse()?)
    }

    fn report(&self, filled: &Filled, after_kill: f64, after_close: f64) -> Result<(), Failure> {
        let Filled { made, seconds, cpu, memory, archive } = filled;
        let store = self.folder.store();
        let archived = size(&store.join("archive"))?;
        let base = size(&store)? - archived;
        let records = made.records as f64;
        let each = |seconds: f64| format!("{:.2} µs", seconds * 1e6 / records);
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        println!("| {} machines, {} days | |", self.fleet.machines(), self.fleet.days);
        println!("| --- | ---: |");
        let rows = [
            ("records", made.records.to_string()),
            ("files", made.files.to_string()),
            ("pairs of file and machine", made.pairs.to_string()),
            ("generating, CPU a record", each(made.cpu)),
            ("appending, CPU a record", each(*cpu)),
            ("appending, records a second", format!("{:.0}", records / seconds)),
            ("base and all but the archive", mib(base)),
            ("the same a pair", format!("{:.1} bytes", base as f64 / made.pairs as f64)),
            ("archive a record", format!("{:.1} bytes", archive.0 as f64 / archive.1.max(1) as f64)),
            ("archive as capped", mib(archived)),
            ("peak memory while appending", mib(*memory)),
            ("opening after kill -9", format!("{after_kill:.2} s")),
            ("opening after a clean end", format!("{after_close:.2} s")),
        ];
        for (name, value) in rows {
            println!("| {name} | {value} |");
        }
        println!("\n{}", machine::describe()?);
        Ok(())
    }
}

/// The one line that a child says.
fn said(child: &mut Child) -> Result<String, Failure> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
    Ok(line)
}

/// Opens a store and appends what comes; says what it took, and waits.
pub fn fill(folder: Folder) -> Result<(), Failure> {
    let store = Store::open(&folder.store(), folder.options())?;
    let (began, cpu) = (Instant::now(), machine::process_time());
    let mut input = io::stdin().lock();
    let mut sample = Sample::default();
    let (mut buffer, mut piped) = (Vec::new(), Duration::ZERO);
    let mut filled = Filled::default();
    let (mut records, mut told) = (0, Instant::now());
    filled.made = loop {
        let before = machine::thread_time();
        let batch = match feed::receive(&mut input, &mut buffer)? {
            Frame::Batch(batch) => wire::unpack(&batch)?,
            Frame::End(made) => break made,
        };
        sample.take(&batch);
        piped += machine::thread_time() - before;
        records += batch.len() as u64;
        let source = "bench".to_owned();
        store.append(Batch { records: batch, ..Batch::recorded(TENANT, source) })?;
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            eprintln!("{records} records, {:.0} a second", records as f64 / began.elapsed().as_secs_f64());
            filled.note_archive(&folder, records)?;
        }
    };
    filled.seconds = began.elapsed().as_secs_f64();
    filled.cpu = (machine::process_time() - cpu - piped).as_secs_f64();
    filled.memory = machine::peak_memory()?;
    filled.note_archive(&folder, records)?;
    fs::write(folder.folder.join(SAMPLE), sample.hashes.join("\n"))?;
    let mut out = io::stdout();
    serde_json::to_writer(&mut out, &filled)?;
    writeln!(out)?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}

impl Filled {
    fn note_archive(&mut self, folder: &Folder, records: u64) -> Result<(), Failure> {
        let bytes = size(&folder.store().join("archive"))?;
        if bytes < folder.archive / 2 {
            self.archive = (bytes, records);
        }
        Ok(())
    }
}

/// SHA-1s of files: as many that came to a machine as others.
#[derive(Default)]
struct Sample {
    hashes: Vec<String>,
    seen: [usize; 2],
}

impl Sample {
    fn take(&mut self, records: &[Record]) {
        const EVERY: usize = 500;
        for record in records {
            let Record::Row(row) = record else { continue };
            let came = row.text(file_event::ACTION_TYPE) == Some("FileCreated");
            let Some(hash) = sha1(row) else { continue };
            let Some(seen) = self.seen.get_mut(usize::from(came)) else { continue };
            *seen += 1;
            if seen.is_multiple_of(EVERY) {
                self.hashes.push(hash.to_owned());
            }
        }
    }
}

fn sha1(row: &Row) -> Option<&str> {
    let (column, _) = row.table()?.column("SHA1")?;
    row.text(column)
}

/// Opens a store and says how long that took, in seconds.
pub fn open(folder: Folder) -> Result<(), Failure> {
    let began = Instant::now();
    let store = Store::open(&folder.store(), folder.options())?;
    println!("{}", began.elapsed().as_secs_f64());
    drop(store);
    Ok(())
}

/// The bytes in a folder.
pub fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file may be gone by now: the store merges and drops.
        let Ok(known) = entry.metadata() else { continue };
        bytes += if known.is_dir() { size(&entry.path())? } else { known.len() };
    }
    Ok(bytes)
}
