//! `pintle restore`: a data folder out of a backup.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::Failure;
use super::backup::passphrase;
use super::long::{Bar, amount, blocking};
use crate::keep::{self, Kept};

/// Make a data folder of a backup
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Every file is compared with what the backup says of it, and the whole is checked, before \
the data folder gets its name. A folder that holds anything is left alone. No server is needed; start one \
on the folder afterwards. Tenants, applications and users are those of the backup.

If the backup has the keys that sign tokens and what applications' secrets are checked with \
(secrets.encrypted), --passphrase-file brings them back, and tokens and secrets go on to work. Otherwise, \
or with --without-secrets, every application needs a new secret (`pintle client rotate`) and tokens issued \
before are refused; certificates stay good, and users keep their passwords.

Examples:
  pintle restore /mnt/backups/pintle-2026-11-22 /var/lib/pintle --passphrase-file passphrase.txt
  pintle restore /mnt/backups/pintle-2026-11-22 /var/lib/pintle --without-secrets"
)]
pub struct Args {
    /// The backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The new data folder, which is not there yet or empty
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Decrypt the keys and secrets with the passphrase in this file (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "without_secrets")]
    passphrase_file: Option<PathBuf>,
    /// Leave the keys and secrets of the backup where they are
    #[arg(long)]
    without_secrets: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let passphrase = passphrase(args.passphrase_file.as_deref())?;
    let began = Instant::now();
    let bar = Bar::new("copied and read back");
    let shown = bar.clone();
    let made = blocking(move || {
        let passphrase = passphrase.as_ref();
        keep::restore(&args.backup, &args.to, passphrase, args.without_secrets, &mut |come| shown.show(come))
    });
    let made = made.await.map_err(|error| Failure::Failed(error.to_string()));
    bar.clear();
    let made = made?;
    if args.json {
        super::print(&super::json(&made)?)?;
    } else {
        super::print(&format!("{}, everything until {}\n", amount(&made.backup, began), made.backup.until))?;
    }
    if made.secrets == Kept::LeftOut {
        eprintln!("the folder has new keys, and no secrets of the backup: {}", keep::WITHOUT_SECRETS);
    }
    Ok(ExitCode::SUCCESS)
}
