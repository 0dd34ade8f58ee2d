//! `pintle backup`: a copy of the data folder, made while it is in use.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use axum::http::Method;
use pintle_store::BackedUp;

use super::long::{Bar, amount};
use super::{Failure, Folder};
use crate::socket::{Session, wire};

/// Copy all data to a folder, while the server goes on
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The backup holds everything that was acknowledged before it began. It is read back before \
it counts: a folder without BACKUP.json in it is no backup. While a server owns the data folder the \
server writes the backup, so it must be allowed to write there.

Keep backups as secret as the data folder: they hold the key that signs tokens and what is kept of the \
applications' secrets (control.json, pepper), besides the telemetry. What is purged later stays in them. \
The settings file is not in them.

Examples:
  pintle backup /mnt/backups/pintle-2026-11-22
  pintle backup /mnt/backups/pintle-2026-11-22 --json"
)]
pub struct Args {
    /// The folder for the backup, which is not there yet or empty
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    folder: Folder,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (config, folder) = args.folder.resolve()?;
    // The owner may be in another folder.
    let to = std::path::absolute(&args.to)?;
    let session = Session::with_existing(&folder, &config).await?;
    let began = Instant::now();
    let bar = Bar::new("copied and read back");
    let asked = wire::Backup { to };
    let made = session.client.long(Method::POST, "/backup", &asked, &mut |come| bar.show(come)).await;
    bar.clear();
    session.end().await;
    let made: BackedUp = made?;
    if args.json {
        super::print(&super::json(&made)?)?;
    } else {
        super::print(&format!("{}, everything until {}\n", amount(&made, began), made.until))?;
    }
    Ok(ExitCode::SUCCESS)
}
