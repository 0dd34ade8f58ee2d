//! `pintle retention`: what is forgotten by age, when that was last done, and why it may not be.

use std::process::ExitCode;

use axum::http::Method;
use pintle_store::Expired;
use serde_json::Value;

use super::terminal::{Table, count};
use super::{Failure, Where};
use crate::socket::wire;

/// Show what is forgotten by age, and how that stands
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "How long things stay is set by retention.… and archive.… in the settings. What has expired \
is out of the answers at once; once a day a server takes it out of the base. If the clock has jumped by \
more than a day, nothing is forgotten until it has gone steadily for a day, or somebody has looked at \
it and says `pintle retention resume`. A server that was off for more than a day cannot tell that from a jump.

Examples:
  pintle retention
  pintle retention run
  pintle retention resume"
)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Take out what has expired now, not only when it is time
    Run(Where),
    /// Believe the clock as it stands
    Resume(Where),
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (json, values, words) = match args.what {
        None => {
            let session = args.place.folder.find().await?;
            let stands: wire::Retention = session.client.get("/retention", &Value::Null).await?;
            session.end().await;
            (args.place.json, super::json(&stands)?, described(&stands))
        }
        Some(What::Run(place)) => {
            let session = place.folder.find().await?;
            let ran: Result<wire::RetentionRun, _> =
                session.client.call(Method::POST, "/retention/run", &Value::Null).await;
            session.end().await;
            let ran = ran?;
            (place.json, super::json(&ran)?, format!("{}\n", told(&ran)))
        }
        Some(What::Resume(place)) => {
            let session = place.folder.find().await?;
            let stands: wire::Retention =
                session.client.call(Method::POST, "/retention/resume", &Value::Null).await?;
            session.end().await;
            (place.json, super::json(&stands)?, described(&stands))
        }
    };
    super::print(if json { &values } else { &words })?;
    Ok(ExitCode::SUCCESS)
}

fn told(run: &wire::RetentionRun) -> String {
    let Expired { alerts, machines, sightings, files } = run.expired;
    format!(
        "{} alerts, {} machines, {} sightings and {} files were taken out in {:.1} s",
        count(alerts),
        count(machines),
        count(sightings),
        count(files),
        run.seconds
    )
}

fn described(stands: &wire::Retention) -> String {
    let mut table = Table::new("<<<<");
    table.row(["tenant", "alerts", "machines", "sightings"]);
    let text = |window: &Option<String>| window.clone().unwrap_or_else(|| "unlimited".to_owned());
    for windows in &stands.windows {
        let wire::Windows { tenant, alerts, machines, sightings } = windows;
        table.row([tenant.clone(), text(alerts), text(machines), text(sightings)]);
    }
    let mut lines = Table::new("<<");
    lines
        .row(["archive", &format!("{}, {}", text(&stands.archive_max_age), text(&stands.archive_max_bytes))]);
    let last = stands.last_run.as_ref().map(|run| format!("{}: {}", run.at, told(run)));
    lines.row(["last run", last.as_deref().unwrap_or("never")]);
    let next = match (&stands.next_run, &stands.paused) {
        (Some(next), _) => next.clone(),
        (None, Some(paused)) => format!(
            "not while it is paused since {}: the clock should have stood at {} and stood at {}; look at \
             it, then run `pintle retention resume`",
            paused.since, paused.expected, paused.found
        ),
        (None, None) => "never: nothing is configured to be forgotten".to_owned(),
    };
    lines.row(["next run", &next]);
    format!("{table}\n{lines}")
}
