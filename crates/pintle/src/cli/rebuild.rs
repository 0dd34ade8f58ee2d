//! `pintle rebuild`: makes the base again from the archive.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use axum::http::Method;
use pintle_store::{Progress, Replayed, Store};
use serde_json::Value;

use super::long::{self, Bar};
use super::terminal::count;
use super::{Failure, Folder};
use crate::audit::{Actor, Audit, Entry};
use crate::auth::control::Control;
use crate::config::Config;
use crate::instance;
use crate::socket::wire::Remade;
use crate::socket::{Client, ClientError};

/// Make the base again from the archive; answers are the same afterwards
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The base is what answers are read from. It is derived from the archive of accepted \
batches, so it can be made again whenever it is damaged or a newer pintle wants another form. A running \
server goes on answering and taking telemetry meanwhile; where the base is so damaged that no server \
starts, the command does it by itself. It needs the whole archive: what archive.max_age and \
archive.max_bytes have dropped cannot be made again, so then it refuses.

Example:
  pintle rebuild --data /var/lib/pintle"
)]
pub struct Args {
    #[command(flatten)]
    folder: Folder,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (config, folder) = args.folder.resolve()?;
    if !folder.exists() {
        return Err(Failure::Failed(format!(
            "there is no data in {}: --data names another folder",
            folder.display()
        )));
    }
    let bar = Bar::new("applied again");
    let rebuilt = match Client::connect(&folder).await {
        Ok(owner) => by_owner(&owner, &bar).await,
        Err(ClientError::Nobody(_)) => by_itself(config, folder, bar.clone()).await,
        Err(error) => Err(error.into()),
    };
    bar.clear();
    let (records, batches) = rebuilt?;
    super::print(&format!("{} records in {} batches were applied again\n", count(records), count(batches)))?;
    Ok(ExitCode::SUCCESS)
}

/// Records and batches.
type Applied = (u64, u64);

async fn by_owner(owner: &Client, bar: &Bar) -> Result<Applied, Failure> {
    let mut come = |come| bar.show(come);
    let remade: Remade = owner.long(Method::POST, "/rebuild", &Value::Null, &mut come).await?;
    Ok((remade.records_left, remade.batches_left))
}

/// Where nobody owns the folder. Opening it first would only make it take longer, or fail.
async fn by_itself(config: Config, folder: PathBuf, bar: Bar) -> Result<Applied, Failure> {
    long::blocking(move || {
        let said = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
        let folder = pintle_store::Folder::lock(&folder).map_err(|error| said(&error))?;
        let control = Control::open(folder.path()).map_err(|error| said(&error))?;
        let clock = Arc::clone(&pintle_store::Options::default().clock);
        let options = instance::store_options(&config, &control, Arc::clone(&clock));
        let mut last = Replayed::default();
        let mut progress = |rebuilt: Replayed| {
            bar.show(Progress { bytes: rebuilt.bytes, bytes_total: rebuilt.bytes_total });
            last = rebuilt;
        };
        let rebuilt = Store::rebuild(folder, options, &mut progress).map_err(|error| said(&error))?;
        let entry = Entry::new(Actor::this_process(), "rebuild").with("kept", last.records);
        let audit = Audit::open(rebuilt.folder(), clock).map_err(|error| said(&error))?;
        audit.record(entry).map_err(|error| said(&error))?;
        Ok((last.records, last.batches))
    })
    .await
}
