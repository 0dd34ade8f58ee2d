//! `pintle pull`: fetches at once from what the settings name.

use std::process::ExitCode;

use axum::http::Method;

use super::long::Bar;
use super::terminal::{Printable, count};
use super::{Exit, Failure, Where};
use crate::pull::Came;
use crate::socket::wire;

/// Fetch at once what is new in a store or an API that the settings name
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "A server fetches by itself, every interval of the section [pull.NAME]. The command does \
it once, with the settings of the server if one owns the folder: after a change of the settings it tells \
whether they are right, and where there is no server it is all there is to do.

Exit codes:
  0  all that is new was taken
  1  it failed
  2  the command line or the settings are wrong
  5  partly: objects were not taken, and are tried again

Example:
  pintle pull defender-export --config /etc/pintle/pintle.toml"
)]
pub struct Args {
    /// The name of the section: [pull.NAME]
    name: String,
    #[command(flatten)]
    place: Where,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let session = args.place.folder.take().await?;
    let bar = Bar::new("fetched");
    let asked = wire::Pull { name: args.name };
    let came: Result<Came, _> =
        session.client.long(Method::POST, "/pull", &asked, &mut |come| bar.show(come)).await;
    bar.clear();
    session.end().await;
    let came = came?;
    super::print(&if args.place.json { super::json(&came)? } else { told(&came) })?;
    Ok(if came.failed == 0 { ExitCode::SUCCESS } else { Exit::Partly.into() })
}

fn told(came: &Came) -> String {
    let Came { listed, taken, bytes, records, failed, troubles } = came;
    let mut text = format!(
        "{} records in {} bytes of {} objects were taken; there are {}\n",
        count(*records),
        count(*bytes),
        count(*taken),
        count(*listed)
    );
    for trouble in troubles {
        text += &format!("not taken: {}\n", Printable(trouble));
    }
    let more = failed.saturating_sub(troubles.len() as u64);
    if more > 0 {
        text += &format!("not taken: {} more\n", count(more));
    }
    text
}
