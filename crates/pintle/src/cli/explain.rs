//! `pintle explain`: whether somebody may make a request, and why.

use std::process::ExitCode;

use axum::http::Method;
use uuid::Uuid;

use super::administer::Within;
use super::terminal::Printable;
use super::{Exit, Failure};
use crate::admin::wire;

/// Say whether an application or a user may make a request, and why
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit codes:
  0  they may
  1  they may not, or it failed
  2  the command line or the settings are wrong

Examples:
  pintle explain alice@example.org GET /api/machines/ws-01.corp.example
  pintle explain alice@example.org GET /api/alerts --through 6c1fb5e0-95a6-4d2c-9a0c-3a2f0e1b7d55
  pintle explain 6c1fb5e0-95a6-4d2c-9a0c-3a2f0e1b7d55 POST /api/ingest")]
pub struct Args {
    /// A client id, or a user by name or id
    #[arg(value_name = "APP-OR-USER")]
    who: String,
    /// The method: GET, POST, PATCH
    method: String,
    /// The path or the whole URL
    path: String,
    /// The client id of the application that a user signed in to; without it, one with every scope is taken
    #[arg(long, value_name = "CLIENT")]
    through: Option<Uuid>,
    #[command(flatten)]
    within: Within,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args { who, method, path, through, within } = args;
    let asked = wire::ExplainAsked { who, method, path, through: through.map(|id| id.to_string()) };
    let explained: wire::Explained = within.ask(Method::POST, &["explain"], &asked).await?;
    within.print(&explained, |explained| {
        let steps = explained.because.iter().map(|step| format!("  {}\n", Printable(step)));
        format!(
            "{}\n{}",
            if explained.allowed { "allowed" } else { "not allowed" },
            steps.collect::<String>()
        )
    })?;
    Ok(if explained.allowed { Exit::Done } else { Exit::Failed }.into())
}
