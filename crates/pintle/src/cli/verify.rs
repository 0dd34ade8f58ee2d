//! `pintle verify`: whether a backup is what was backed up.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::Failure;
use super::long::{Bar, amount, blocking};
use super::terminal::Printable;

/// Read a backup whole and say whether it can be restored
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Every file is compared with the length and the SHA-256 that it had, and all that it holds \
is read. Each line on standard output names a file that is wrong. A signature is not checked: who can write \
the backup can write another.

Exit codes:
  0  it is whole
  1  it is damaged or no backup, or it could not be read
  2  the command line is wrong

Example:
  pintle verify /mnt/backups/pintle-2026-11-22"
)]
pub struct Args {
    /// The backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    let bar = Bar::new("read");
    let shown = bar.clone();
    let verified = blocking(move || pintle_store::verify(&args.backup, &mut |come| shown.show(come)));
    let verified = verified.await.map_err(|error| Failure::Failed(error.to_string()));
    bar.clear();
    let verified = verified?;
    if args.json {
        super::print(&super::json(&verified)?)?;
    } else if verified.damages.is_empty() {
        let (made, pintle) = (&verified.backup, &verified.pintle);
        super::print(&format!(
            "whole: {}, everything until {}, made by pintle {}\n",
            amount(made, began),
            made.until,
            Printable(pintle)
        ))?;
    } else {
        let lines = verified.damages.iter().map(|damage| {
            let file = damage.file.display().to_string();
            format!("{} at byte {}: {}\n", Printable(&file), damage.offset, Printable(&damage.reason))
        });
        super::print(&lines.collect::<String>())?;
    }
    Ok(ExitCode::from(u8::from(!verified.damages.is_empty())))
}
