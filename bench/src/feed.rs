//! The law's records from one process to another, so that the memory and time of making them do
//! not count for the store.

use std::io::{self, BufWriter, Read, Write};

use pintle::dev::generator::{Generated, Generator, Law};
use pintle_model::Time;
use serde::{Deserialize, Serialize};

use crate::{Failure, machine, wire};

/// How large a fleet.
#[derive(Clone, Debug, clap::Args)]
pub struct Fleet {
    /// One of so many of the whole: 10,000 machines and 200 million records
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub part: u32,
    /// Days
    #[arg(long, value_name = "N", default_value_t = 180)]
    pub days: i64,
}

impl Fleet {
    /// Its machines.
    pub fn machines(&self) -> usize {
        (10_000 / self.part as usize).max(1)
    }

    /// 2,000 sightings a machine and day, thinned to 20,000 records a machine.
    pub fn law(&self) -> Law {
        // A Friday: no machine is off at the end, so that every pair is seen.
        let end = Time::from_unix_seconds(1_768_606_260);
        Law::fleet(self.machines(), self.days, 2_000, end).thinned(20_000 * self.machines())
    }
}

/// What comes over the pipe.
#[derive(Serialize, Deserialize)]
pub enum Frame {
    /// Records to append, packed.
    Batch(Vec<u8>),
    /// The end.
    End(Made),
}

/// What was made, and in how many seconds of a processor.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Made {
    /// Records.
    pub records: u64,
    /// Files.
    pub files: u64,
    /// Pairs of file and machine.
    pub pairs: u64,
    /// Seconds.
    pub cpu: f64,
}

/// Writes all frames to standard output.
pub fn write(fleet: Fleet) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let before = machine::thread_time();
    let mut generator = Generator::new(fleet.law());
    let mut cpu = machine::thread_time() - before;
    loop {
        let before = machine::thread_time();
        let batch = generator.next();
        cpu += machine::thread_time() - before;
        let Some(records) = batch else { break };
        send(&mut out, &Frame::Batch(wire::pack(&records)?))?;
    }
    let Generated { records, files, pairs, .. } = generator.generated();
    send(&mut out, &Frame::End(Made { records, files, pairs, cpu: cpu.as_secs_f64() }))?;
    Ok(out.flush()?)
}

fn send(out: &mut impl Write, frame: &Frame) -> Result<(), Failure> {
    let bytes = postcard::to_stdvec(frame)?;
    out.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
    Ok(out.write_all(&bytes)?)
}

/// Reads the next frame.
pub fn receive(input: &mut impl Read, buffer: &mut Vec<u8>) -> Result<Frame, Failure> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    buffer.resize(u32::from_le_bytes(length) as usize, 0);
    input.read_exact(buffer)?;
    Ok(postcard::from_bytes(buffer)?)
}
