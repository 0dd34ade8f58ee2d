//! Measurements at scale, a command each. What they measure and how stands in `bench/README.md`.

mod day;
mod feed;
mod limits;
mod lookups;
mod machine;
/// The same as what the benchmark of reading is compared to.
#[path = "../../crates/pintle/benches/parsed.rs"]
mod parsed;
mod peers;
mod scale;
mod server;
mod soak;
mod visible;
mod wire;

use std::process::ExitCode;

use clap::Parser;

/// Whatever stops a measurement.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures Pintle at scale.
#[derive(Parser)]
#[command(name = "pintle-bench")]
enum Command {
    /// Fill a store by the law: what it costs, how large it gets, how soon it opens
    Scale(scale::Args),
    /// Ask two filled stores in turn which machines have seen a file
    Lookups(lookups::Args),
    /// How lookups, lists, filters and lists of hashes grow with what is in a store
    Limits(limits::Args),
    /// How soon a file that is sent to a running server is found
    Visible(visible::Args),
    /// A day of a fleet goes into a running server, over HTTP and by a watched folder
    Day(day::Args),
    /// Hours of a fleet's telemetry and of questions: what becomes of a server's memory and descriptors
    Soak(soak::Args),
    /// Make what Pintle and its peers are compared by; `bench/peers/run.sh` does it all
    Peers(peers::Args),
    /// Part of `scale`: write the law's batches to standard output
    #[command(hide = true)]
    Feed(feed::Fleet),
    /// Part of `scale`: append batches from standard input
    #[command(hide = true)]
    Fill(scale::Folder),
    /// Part of `scale`: open a store and close it
    #[command(hide = true)]
    Open(scale::Folder),
}

fn main() -> ExitCode {
    // The server that `visible` asks is `pintle dev`, as it is.
    if std::env::args().nth(1).as_deref() == Some("dev") {
        return pintle::cli::main();
    }
    let ended = match Command::parse() {
        Command::Scale(args) => args.run(),
        Command::Lookups(args) => args.run(),
        Command::Limits(args) => args.run(),
        Command::Visible(args) => args.run(),
        Command::Day(args) => args.run(),
        Command::Soak(args) => args.run(),
        Command::Peers(args) => args.run(),
        Command::Feed(fleet) => feed::write(fleet),
        Command::Fill(folder) => scale::fill(folder),
        Command::Open(folder) => scale::open(folder),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
