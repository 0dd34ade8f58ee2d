//! `pintle backup`: a copy of the data folder, made while it is in use.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use axum::http::Method;

use super::long::{Bar, amount};
use super::{Failure, Folder};
use crate::keep::{self, Copied, Kept, Passphrase};
use crate::socket::{Session, wire};

/// Copy all data to a folder, while the server goes on
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The backup holds everything that was acknowledged before it began. It is read back before \
it counts: a folder without BACKUP.json in it is no backup. While a server owns the data folder the \
server writes the backup, so it must be allowed to write there.

With --passphrase-file the keys that sign tokens and what the applications' secrets are checked with are \
in it too, encrypted (secrets.encrypted: Argon2id, AES-256-GCM); nobody can open it without the \
passphrase. Without it they are left out: after a restore every application needs a new secret \
(`pintle client rotate`) and tokens issued before are refused; certificates stay good, and users keep \
their passwords.

Everything else is in it as it is, so keep backups as secret as the telemetry. What is purged later stays \
in them. The settings file is not in them.

Examples:
  pintle backup /mnt/backups/pintle-2026-11-22 --passphrase-file passphrase.txt
  pass pintle-backup | pintle backup /mnt/backups/pintle-2026-11-22 --passphrase-file -
  pintle backup /mnt/backups/pintle-2026-11-22 --json"
)]
pub struct Args {
    /// The folder for the backup, which is not there yet or empty
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Put the keys and secrets in, encrypted with the passphrase in this file (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    folder: Folder,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (config, folder) = args.folder.resolve()?;
    let passphrase = passphrase(args.passphrase_file.as_deref())?;
    // The owner may be in another folder.
    let to = std::path::absolute(&args.to)?;
    let session = Session::with_existing(&folder, &config).await?;
    let began = Instant::now();
    let bar = Bar::new("copied and read back");
    let asked = wire::Backup { to, passphrase };
    let made = session.client.long(Method::POST, "/backup", &asked, &mut |come| bar.show(come)).await;
    bar.clear();
    session.end().await;
    let made: Copied = made?;
    if args.json {
        super::print(&super::json(&made)?)?;
    } else {
        super::print(&format!("{}, everything until {}\n", amount(&made.backup, began), made.backup.until))?;
    }
    if made.secrets == Kept::LeftOut {
        eprintln!(
            "the keys and secrets are not in it (--passphrase-file puts them in, encrypted): after a restore {}",
            keep::WITHOUT_SECRETS
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The passphrase in a file, if one is named.
pub(super) fn passphrase(file: Option<&Path>) -> Result<Option<Passphrase>, Failure> {
    file.map(Passphrase::read).transpose().map_err(|error| Failure::Usage(error.to_string()))
}
