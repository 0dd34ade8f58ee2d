//! `pintle restore`: a data folder out of a backup.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::Failure;
use super::long::{Bar, amount, blocking};

/// Make a data folder of a backup
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Every file is compared with what the backup says of it, and the whole is checked, before \
the data folder gets its name. A folder that holds anything is left alone. No server is needed; start one \
on the folder afterwards. The tenants, the applications and their secrets, and the key that signs tokens \
are those of the backup.

Example:
  pintle restore /mnt/backups/pintle-2026-11-22 /var/lib/pintle"
)]
pub struct Args {
    /// The backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The new data folder, which is not there yet or empty
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    let bar = Bar::new("copied and read back");
    let shown = bar.clone();
    let made = blocking(move || pintle_store::restore(&args.backup, &args.to, &mut |come| shown.show(come)));
    let made = made.await.map_err(|error| Failure::Failed(error.to_string()));
    bar.clear();
    let made = made?;
    if args.json {
        super::print(&super::json(&made)?)?;
    } else {
        super::print(&format!("{}, everything until {}\n", amount(&made, began), made.until))?;
    }
    Ok(ExitCode::SUCCESS)
}
