//! `pintle rebuild`: makes the base again from the archive.

use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use pintle_store::{Replayed, Store};

use super::terminal::count;
use super::{Failure, Folder};
use crate::auth::control::Control;
use crate::instance;
use crate::socket::Client;

/// Make the base again from the archive, with the server stopped; answers are the same afterwards
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The base is what answers are read from. It is derived from the archive of accepted \
batches, so it can be made again whenever it is damaged or a newer pintle wants another form. This is \
the one command that does not go through a running server: stop it first.

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
    if Client::connect(&folder).await.is_ok() {
        return Err(Failure::Failed(format!("a server is running on {}: stop it first", folder.display())));
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30}  {msg}  {bytes}/{total_bytes}  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let shown = bar.clone();
    let rebuilt = tokio::task::spawn_blocking(move || {
        let said = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
        let folder = pintle_store::Folder::lock(&folder).map_err(|error| said(&error))?;
        let control = Control::open(folder.path()).map_err(|error| said(&error))?;
        let clock = Arc::clone(&pintle_store::Options::default().clock);
        let options = instance::store_options(&config, &control, clock);
        let mut last = Replayed::default();
        let mut progress = |rebuilt: Replayed| {
            shown.set_length(rebuilt.bytes_total);
            shown.set_position(rebuilt.bytes);
            shown.set_message(format!("{} records", count(rebuilt.records)));
            last = rebuilt;
        };
        let rebuilt = Store::rebuild(folder, options, &mut progress);
        rebuilt.map(|_| last).map_err(|error| said(&error))
    });
    let rebuilt = match rebuilt.await {
        Ok(rebuilt) => rebuilt?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    bar.finish_and_clear();
    super::print(&format!(
        "{} records in {} batches were applied again\n",
        count(rebuilt.records),
        count(rebuilt.batches)
    ))?;
    Ok(ExitCode::SUCCESS)
}
