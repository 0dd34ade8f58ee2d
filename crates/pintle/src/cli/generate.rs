//! `pintle generate`: telemetry by the law of published measurements, of any size, as text.

mod output;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};
use pintle_model::Time;

use super::Failure;
use super::terminal::count;
use crate::dev::format::Writer;
use crate::dev::generator::{Generator, Law};
use output::Output;

/// Write invented telemetry of any size, in a format that `pintle ingest` reads
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The telemetry follows published measurements: nine files in ten are on one machine only, a \
file of a machine is seen the more often the sooner it came, four fifths of all happens in working hours, a quarter of the records \
have no SHA-1, one in twenty comes up to two days late, one in fifty twice, and one line in a thousand is cut off and \
comes again whole. Which machines there are and what is on them follows from the seed alone, the times also from --end.

Sightings a day on each machine that is on: 600 as with process creation only, 2000 as with all of Defender's \
tables, 30000 as with Sysmon and image loads on.

Nothing is kept but what is installed on each machine, so the size has no limit: 10,000 machines and 180 days with \
--thin 200000000 are 95 million pairs of a file and a machine.

Examples:
  pintle generate --machines 100 --days 30 --out telemetry.json.zst
  pintle generate --format winlogbeat7 --records 1000000 | pintle ingest -"
)]
pub struct Args {
    /// How many machines there are
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    machines: u32,
    /// How many days it looks back
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=3_650))]
    days: i64,
    /// How many sightings a day has on a machine that is on: 600, 2000 or 30000 are typical
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    sightings_per_machine_day: u32,
    /// Leave out repeats until there are about this many records; what is seen first stays
    #[arg(long, value_name = "RECORDS")]
    thin: Option<u64>,
    /// Everything follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// When the telemetry ends, such as 2026-01-16T23:30:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    end: Option<Time>,
    /// The format
    #[arg(long, value_name = "FORMAT", default_value = "mde-streaming", value_parser = formats())]
    format: String,
    /// Where to write; compressed if the name ends in .gz or .zst; - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Stop after this many records
    #[arg(long, value_name = "N")]
    records: Option<u64>,
}

/// All that can be read can be written but event logs themselves: `evtx` is what evtx_dump prints.
fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(Writer::formats())
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "a time, such as 2026-01-16T23:30:00Z".to_owned())
}

impl Args {
    fn law(&self) -> Law {
        let end = self.end.unwrap_or_else(|| Time::from(std::time::SystemTime::now()));
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let sightings = size(self.sightings_per_machine_day.into());
        let law =
            Law { seed: self.seed, ..Law::fleet(size(self.machines.into()), self.days, sightings, end) };
        match self.thin {
            Some(records) => law.thinned(size(records)),
            None => law,
        }
    }

    /// Runs the command.
    pub fn run(self) -> Result<ExitCode, Failure> {
        if self.out.as_os_str().to_string_lossy().ends_with(".evtx") {
            let message = "event logs themselves cannot be written: --format evtx writes what evtx_dump prints, as JSON";
            return Err(Failure::Usage(message.to_owned()));
        }
        let writer = Writer::new(&self.format, self.seed);
        let mut writer = writer.ok_or_else(|| Failure::Usage(format!("no format {}", self.format)))?;
        let mut out = Output::create(&self.out)?;
        let bar = ProgressBar::new(self.days.unsigned_abs());
        let style = ProgressStyle::with_template("{bar:30}  day {pos} of {len}  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));

        let began = Instant::now();
        let mut telemetry = Generator::new(self.law());
        let (mut text, mut records) = (Vec::new(), 0);
        let most = self.records.unwrap_or(u64::MAX);
        while let Some(batch) = telemetry.next().filter(|_| records < most) {
            for record in &batch {
                if records == most {
                    break;
                }
                let before = text.len();
                writer.write(record, &mut text)?;
                records += u64::from(text.len() > before);
            }
            out.write_all(&text)?;
            text.clear();
            bar.set_position(telemetry.progress().0.unsigned_abs());
            bar.set_message(format!("{} records", count(records)));
        }
        out.finish()?;
        bar.finish_and_clear();
        let seconds = began.elapsed().as_secs_f64();
        let known = telemetry.generated();
        let mut said = format!(
            "{} records in {seconds:.1} s, and {} lines cut off on purpose",
            count(records),
            count(writer.malformed())
        );
        if records < most {
            said += &format!(
                "; {} files, {} pairs of file and machine, {} alerts",
                count(known.files),
                count(known.pairs),
                count(known.alerts)
            );
        }
        if !(self.out.as_os_str() == "-" && std::io::stdout().is_terminal()) {
            // Standard error may be closed; the telemetry is written all the same.
            let _ = writeln!(std::io::stderr(), "{said}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_that_is_written_can_be_read() {
        let read: Vec<_> = pintle_ingest::FORMATS.iter().map(|format| format.name).collect();
        for format in Writer::formats() {
            assert!(read.contains(&format), "{format}");
        }
    }
}
