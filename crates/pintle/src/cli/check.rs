//! `pintle check`: whether what is on the disk is what was written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axum::http::Method;
use pintle_store::{Checked, Damage, Error, Part, check};

use super::long::{Bar, blocking};
use super::terminal::{Printable, count};
use super::{Failure, Folder};
use crate::keep;
use crate::socket::{Client, ClientError, SessionError};

/// How long to wait for a process that has the folder but does not listen yet, or listens no more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Read all data once and name every damaged file; changes nothing
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Every file of the data folder is compared with its checksums. While a server owns the \
folder it checks itself, and goes on serving; what comes in meanwhile is left out. Each line on standard \
output names a damaged file, where in it and what is wrong, and what to do.

Batches that were being written when the process or the machine stopped are no damage: they were never \
acknowledged, and the next start sets them aside.

Exit codes:
  0  all is sound
  1  something is damaged, or it could not be checked
  2  the command line or the settings are wrong

Examples:
  pintle check --data /var/lib/pintle
  pintle check --json | jq -r '.damages[].file'"
)]
pub struct Args {
    #[command(flatten)]
    folder: Folder,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (_, folder) = args.folder.resolve()?;
    if !folder.exists() {
        return Err(SessionError::NoData(folder).into());
    }
    let bar = Bar::new("checked");
    let checked = checked(&folder, &bar).await?;
    bar.clear();
    if args.json {
        super::print(&super::json(&checked)?)?;
    } else {
        super::print(&checked.damages.iter().map(line).collect::<String>())?;
        if let Some((file, offset)) = &checked.torn {
            let file = file.display().to_string();
            eprintln!(
                "{} ends at byte {offset} in batches that were never acknowledged: the next start sets them aside",
                Printable(&file)
            );
        }
        for notice in &checked.notices {
            eprintln!("{notice}");
        }
        let (files, bytes) = (count(checked.files), count(checked.bytes));
        match checked.damages.len() {
            0 => super::print(&format!(
                "sound: {files} files of {bytes} bytes, {} batches\n",
                count(checked.batches)
            ))?,
            damages => eprintln!("{damages} damaged, of {files} files"),
        }
    }
    Ok(ExitCode::from(u8::from(!checked.damages.is_empty())))
}

/// Asks the folder's owner, or reads it as nobody's. Opening would change what is to be checked.
async fn checked(folder: &Path, bar: &Bar) -> Result<Checked, Failure> {
    let patience = tokio::time::Instant::now() + PATIENCE;
    loop {
        match Client::connect(folder).await {
            Ok(owner) => {
                let mut come = |progress| bar.show(progress);
                return Ok(owner.long(Method::GET, "/check", &(), &mut come).await?);
            }
            Err(ClientError::Nobody(_)) => {}
            Err(error) => return Err(error.into()),
        }
        match alone(folder.to_owned(), bar).await {
            Err(Error::InUse(folder)) if tokio::time::Instant::now() >= patience => {
                return Err(SessionError::Silent(folder).into());
            }
            Err(Error::InUse(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
            checked => return checked.map_err(|error| Failure::Failed(error.to_string())),
        }
    }
}

async fn alone(folder: PathBuf, bar: &Bar) -> Result<Checked, Error> {
    let bar = bar.clone();
    blocking(move || {
        let locked = pintle_store::Folder::lock(&folder)?;
        let mut checked = check(&folder, &mut |progress| bar.show(progress))?;
        keep::check(&folder, &mut checked);
        drop(locked);
        Ok(checked)
    })
    .await
}

fn line(damage: &Damage) -> String {
    let advice = match damage.part {
        Part::Base => "`pintle rebuild` makes it again from the archive",
        Part::Archive => {
            "restore a backup (`pintle restore`); until then do not rebuild, since the base may still have it"
        }
        Part::Other => "restore it from a backup",
    };
    let file = damage.file.display().to_string();
    let (file, reason) = (Printable(&file), Printable(&damage.reason));
    format!("{file} at byte {}: {reason}; {advice}\n", damage.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_own_advice() {
        let damage = |part| Damage { part, file: "a/\u{1b}b".into(), offset: 7, reason: "it is cut".into() };
        assert_eq!(
            line(&damage(Part::Base)),
            "a/\\u{1b}b at byte 7: it is cut; `pintle rebuild` makes it again from the archive\n"
        );
        assert!(line(&damage(Part::Archive)).contains("pintle restore"));
        assert!(!line(&damage(Part::Other)).contains("pintle"));
    }
}
