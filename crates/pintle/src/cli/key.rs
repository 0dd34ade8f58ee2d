//! `pintle key`: the keys that sign tokens.

use std::process::ExitCode;

use axum::http::Method;
use serde_json::Value;

use super::administer::ask;
use super::terminal::Table;
use super::{Failure, Where};
use crate::admin::wire;

/// List, exchange and revoke the keys that sign tokens
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A key is published before it signs, so that others who verify tokens can fetch it in time; it signs until \
another takes its place, and is retained until the last of its tokens has expired. A server does all that \
by itself every issuer.rotate_keys_every.

Examples:
  pintle key list
  pintle key publish            # the next one, some time before:
  pintle key rotate
  pintle key revoke jfF3a       # its tokens are refused at once")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the keys with what each is used for
    List(Where),
    /// Make the key that is to sign next, if there is none, and publish it
    Publish(Where),
    /// Let the published key sign now, or a new one; tokens of the old one stay good
    Rotate(Where),
    /// Refuse every token that a key has signed, from the next request on; if it is the one that signs,
    /// another takes its place
    Revoke {
        /// Its name as listed, or the beginning of it
        // One name of 64 begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        place: Where,
    },
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (place, path) = match &args.what {
        What::List(place) => {
            let keys: Vec<wire::Key> = ask(&place.folder, None, Method::GET, &["keys"], &Value::Null).await?;
            super::print(&if place.json { super::json(&keys)? } else { listed(&keys) })?;
            return Ok(ExitCode::SUCCESS);
        }
        What::Publish(place) => (place, vec!["keys", "publish"]),
        What::Rotate(place) => (place, vec!["keys", "rotate"]),
        What::Revoke { kid, place } => (place, vec!["keys", kid, "revoke"]),
    };
    let changed: wire::Key = ask(&place.folder, None, Method::POST, &path, &Value::Null).await?;
    super::print(&if place.json { super::json(&changed)? } else { listed(&[changed]) })?;
    Ok(ExitCode::SUCCESS)
}

fn listed(keys: &[wire::Key]) -> String {
    let mut table = Table::new("<<<<<");
    table.row(["key", "state", "since", "made", "goes"]);
    for key in keys {
        let until = key.until.as_deref().unwrap_or("-");
        table.row([&key.kid, &key.state, &key.since, &key.created, until]);
    }
    table.to_string()
}
