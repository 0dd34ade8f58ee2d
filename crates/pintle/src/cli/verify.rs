//! `pintle verify`: whether a backup is what was backed up.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::Failure;
use super::backup::passphrase;
use super::long::{Bar, amount, blocking};
use super::terminal::Printable;
use crate::keep::{self, Kept};

/// Read a backup whole and say whether it can be restored
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Every file is compared with the length and the SHA-256 that it had, and all that it holds \
is read. Each line on standard output names a file that is wrong. A signature is not checked: who can write \
the backup can write another. With --passphrase-file it is also seen whether that opens the encrypted keys \
and secrets.

Exit codes:
  0  it is whole
  1  it is damaged or no backup, or it could not be read
  2  the command line is wrong

Examples:
  pintle verify /mnt/backups/pintle-2026-11-22
  pintle verify /mnt/backups/pintle-2026-11-22 --passphrase-file passphrase.txt"
)]
pub struct Args {
    /// The backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// Decrypt the keys and secrets with the passphrase in this file (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let passphrase = passphrase(args.passphrase_file.as_deref())?;
    let began = Instant::now();
    let has_passphrase = passphrase.is_some();
    let bar = Bar::new("read");
    let shown = bar.clone();
    let verified =
        blocking(move || keep::verify(&args.backup, passphrase.as_ref(), &mut |come| shown.show(come)));
    let verified = verified.await.map_err(|error| Failure::Failed(error.to_string()));
    bar.clear();
    let looked = verified?;
    let verified = &looked.verified;
    if args.json {
        super::print(&super::json(&looked)?)?;
    } else if verified.damages.is_empty() {
        let (made, pintle) = (&verified.backup, &verified.pintle);
        super::print(&format!(
            "whole: {}, everything until {}, made by pintle {}\n",
            amount(made, began),
            made.until,
            Printable(pintle)
        ))?;
        super::print(&match looked.secrets {
            Kept::Encrypted if has_passphrase => "the passphrase opens its keys and secrets\n".to_owned(),
            Kept::Encrypted => {
                "its keys and secrets are encrypted; a restore takes the passphrase\n".to_owned()
            }
            Kept::Clear => "its keys and secrets are not encrypted: an earlier pintle made it\n".to_owned(),
            Kept::LeftOut => {
                format!("it has no keys and secrets: after a restore {}\n", keep::WITHOUT_SECRETS)
            }
        })?;
    } else {
        let lines = verified.damages.iter().map(|damage| {
            let file = damage.file.display().to_string();
            format!("{} at byte {}: {}\n", Printable(&file), damage.offset, Printable(&damage.reason))
        });
        super::print(&lines.collect::<String>())?;
    }
    Ok(ExitCode::from(u8::from(!verified.damages.is_empty())))
}
