//! Breaks what Pintle runs on (the process, the disk, the files, the network) again and again, and counts what
//! its promises lost. Each fault is a subcommand that prints a row for `RESULTS.md`.

mod answers;
mod backup;
mod batches;
mod chance;
mod client;
mod damage;
mod eio;
mod folder;
mod full;
mod kill;
mod livez;
mod mutate;
mod overload;
mod power;
mod process;
mod product;
mod report;
mod sender;
mod server;
mod slow;
mod telemetry;
mod tls;
mod upgrade;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::chance::Chance;
use crate::product::Product;
use crate::report::{Failure, Outcome, Report};

/// Breaks what Pintle runs on and counts what its promises lost
#[derive(Parser)]
#[command(
    name = "pintle-faults",
    after_help = "Exit codes: 0 every promise held, 1 one was broken, 2 the run itself failed, \
3 this machine does not permit the fault, so nothing was tested"
)]
struct Faults {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Subcommand)]
enum Fault {
    /// kill -9 during ingest, start, rebuild
    Kill {
        #[command(flatten)]
        run: Run<2_000>,
        /// The control run: the folder is put back half-way, and its archive doubled
        #[arg(long)]
        control: bool,
    },
    /// A disk that stops mid-write and forgets what it was not told to keep (root)
    Power {
        #[command(flatten)]
        run: Run<200>,
        /// The control run: the server's syncs do nothing, so data must be lost
        #[arg(long)]
        without_sync: bool,
    },
    /// A disk without space, of the whole data folder and of the archive alone (root)
    Full {
        #[command(flatten)]
        run: Run<100>,
    },
    /// A disk that fails one call that writes or syncs: the first, then the second, and so on
    Eio {
        #[command(flatten)]
        run: Run<10_000>,
        /// Fail every n-th call in its turn instead of each
        #[arg(long, default_value_t = 1)]
        every: u32,
    },
    /// Flipped bits, zeroed pages and truncations in the data folder
    Mutate {
        #[command(flatten)]
        run: Run<2_000>,
        /// Mutate nothing: no mutation may be found then, and every answer must be the sound one
        #[arg(long)]
        control: bool,
    },
    /// Clients that keep the server waiting, in more connections than it takes
    Slow {
        #[command(flatten)]
        run: Run<10>,
        /// The control run: the server's timeouts are an hour
        #[arg(long)]
        control: bool,
    },
    /// Five times as many requests as the server can answer
    Overload {
        #[command(flatten)]
        run: Run<1>,
        /// How long
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// The control run: answers that come late count too late, since each is given a moment only
        #[arg(long)]
        control: bool,
    },
    /// From an earlier pintle to this one and back, on one data folder
    Upgrade {
        #[command(flatten)]
        run: Run<20>,
        /// The earlier binary
        #[arg(long, value_name = "PATH")]
        from: PathBuf,
    },
    /// Backup under load, restored elsewhere
    Backup {
        #[command(flatten)]
        run: Run<20>,
    },
}

/// What all faults take.
#[derive(clap::Args)]
struct Run<const ROUNDS: u32> {
    /// How often [default: as faults/README.md says]
    // Not by `default_value_t`: what clap makes of that is one value for all faults.
    #[arg(long)]
    rounds: Option<u32>,
    /// Repeats the choices of the run that printed it
    #[arg(long)]
    seed: Option<u64>,
    /// The binary under test [default: the one beside this one]
    #[arg(long)]
    pintle: Option<PathBuf>,
}

impl<const ROUNDS: u32> Run<ROUNDS> {
    fn prepare(self) -> Outcome<(u32, Chance, Product)> {
        let chance = self.seed.map_or_else(Chance::new, Chance::from_seed);
        eprintln!("--seed {}", chance.seed());
        Ok((self.rounds.unwrap_or(ROUNDS).max(1), chance, Product::find(self.pintle)?))
    }
}

fn run(fault: Fault) -> Outcome<Report> {
    match fault {
        Fault::Kill { run, control } => {
            let (rounds, chance, product) = run.prepare()?;
            kill::run(rounds, chance, &product, control)
        }
        Fault::Power { run, without_sync } => {
            let (rounds, chance, product) = run.prepare()?;
            power::run(rounds, chance, product, without_sync)
        }
        Fault::Full { run } => {
            let (rounds, chance, product) = run.prepare()?;
            full::run(rounds, chance, &product)
        }
        Fault::Eio { run, every } => {
            let (most, _, product) = run.prepare()?;
            eio::run(most, every, product)
        }
        Fault::Mutate { run, control } => {
            let (rounds, chance, product) = run.prepare()?;
            mutate::run(rounds, chance, &product, control)
        }
        Fault::Slow { run, control } => {
            let (rounds, _, product) = run.prepare()?;
            slow::run(rounds, &product, control)
        }
        Fault::Overload { run, seconds, control } => {
            let (rounds, _, product) = run.prepare()?;
            overload::run(rounds, Duration::from_secs(seconds), &product, control)
        }
        Fault::Upgrade { run, from } => {
            let (rounds, chance, product) = run.prepare()?;
            upgrade::run(rounds, chance, &Product::find(Some(from))?, &product)
        }
        Fault::Backup { run } => {
            let (rounds, chance, product) = run.prepare()?;
            backup::run(rounds, chance, &product)
        }
    }
}

fn main() -> ExitCode {
    match run(Faults::parse().fault) {
        Ok(report) => {
            println!("{}", report.row());
            report.print_wrong();
            ExitCode::from(u8::from(!report.is_clean()))
        }
        Err(Failure::Unable(why)) => {
            eprintln!("the run failed: {why}");
            ExitCode::from(2)
        }
        Err(Failure::NotPermitted(why)) => {
            eprintln!("NOT TESTED: {why}");
            ExitCode::from(3)
        }
    }
}
