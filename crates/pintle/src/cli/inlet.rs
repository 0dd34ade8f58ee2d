//! `pintle inlet`: where shippers send telemetry, and the keys they send it with.

mod guide;

use std::process::ExitCode;

use axum::http::Method;
use serde_json::Value;
use uuid::Uuid;

use super::administer::Within;
use super::terminal::Table;
use super::{Failure, FormatName};
use crate::admin::wire;

/// Make standing inlets for shippers, each with keys that open nothing else
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
What comes by an inlet is its tenant's, whatever the records say. With a namespace, its machines and alerts have \
ids of their own, so whoever has a key can say nothing of those of others.

Examples:
  pintle inlet add winlogbeat
  pintle inlet add plant-7 --namespace plant-7 --format sysmon-json
  pintle inlet add-key winlogbeat --expires 2027-01-31
  pintle inlet list")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make an inlet; prints its id and its key, which cannot be had again
    Add {
        /// Its name, no other inlet's of the tenant
        name: String,
        /// The format of all that it takes; without it, each record tells
        #[arg(long, value_name = "NAME", value_parser = FormatName)]
        format: Option<String>,
        /// Keep its machines and alerts apart under this name: small letters, digits and dashes
        #[arg(long, value_name = "NAME")]
        namespace: Option<String>,
        /// When the key ends: 2027-01-31, 2027-01-31T12:00:00Z. Without it, never
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        within: Within,
    },
    /// List the inlets with their keys
    List(Within),
    /// Show an inlet
    Show(Which),
    /// Remove an inlet; what came by it stays
    Remove(Which),
    /// Let an inlet take nothing, from the next request on
    Disable(Which),
    /// Let an inlet take telemetry again
    Enable(Which),
    /// Give an inlet one more key, so that the old one can be exchanged where it is in use
    AddKey {
        #[command(flatten)]
        which: Which,
        /// When it ends: 2027-01-31, 2027-01-31T12:00:00Z. Without it, never
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Take a key from an inlet, from the next request on
    RemoveKey {
        #[command(flatten)]
        which: Which,
        /// The key's id, as `pintle inlet list` shows it
        key: Uuid,
    },
}

/// An inlet, and where it is
#[derive(Debug, clap::Args)]
struct Which {
    /// The inlet, by name or id
    inlet: String,
    #[command(flatten)]
    within: Within,
}

impl Which {
    /// Asks for an operation on the inlet, and prints what it is then.
    async fn ask(
        &self,
        method: Method,
        what: &[&str],
        body: &impl serde::Serialize,
    ) -> Result<ExitCode, Failure> {
        let path = [&["inlets", self.inlet.as_str()], what].concat();
        let inlet: wire::Inlet = self.within.ask(method, &path, body).await?;
        print(&self.within, &inlet)
    }

    async fn enable(&self, enabled: bool) -> Result<ExitCode, Failure> {
        let change = wire::InletChange { enabled: Some(enabled), ..Default::default() };
        self.ask(Method::PATCH, &[], &change).await
    }
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.what {
        What::Add { name, format, namespace, expires, within } => {
            let new = wire::NewInlet { name, format, namespace, expires };
            let made: wire::Inlet = within.ask(Method::POST, &["inlets"], &new).await?;
            print(&within, &made)
        }
        What::List(within) => {
            let all: Vec<wire::Inlet> = within.list("inlets").await?;
            within.print(&all, |all| listed(all))?;
            Ok(ExitCode::SUCCESS)
        }
        What::Show(which) => which.ask(Method::GET, &[], &Value::Null).await,
        What::Remove(which) => which.ask(Method::DELETE, &[], &Value::Null).await,
        What::Disable(which) => which.enable(false).await,
        What::Enable(which) => which.enable(true).await,
        What::AddKey { which, expires } => {
            which.ask(Method::POST, &["keys"], &wire::NewSecret { expires }).await
        }
        What::RemoveKey { which, key } => {
            which.ask(Method::DELETE, &["keys", &key.to_string()], &Value::Null).await
        }
    }
}

/// Prints an inlet, and what to do with its key if that was just made.
fn print(within: &Within, inlet: &wire::Inlet) -> Result<ExitCode, Failure> {
    let (config, _) = within.place.folder.resolve()?;
    let url = config.server.public_url.as_ref().map(|url| url.as_str());
    within.print(inlet, |inlet| shown(inlet, url))?;
    Ok(ExitCode::SUCCESS)
}

fn listed(inlets: &[wire::Inlet]) -> String {
    if inlets.is_empty() {
        return "no inlets: `pintle inlet add` makes one\n".to_owned();
    }
    inlets.iter().map(|inlet| table(inlet).to_string()).collect::<Vec<_>>().join("\n")
}

fn shown(inlet: &wire::Inlet, public_url: Option<&str>) -> String {
    let table = table(inlet);
    match &inlet.secret {
        Some(key) => format!(
            "{table}\nThe key is shown this once: keep it now, or `pintle inlet add-key` makes another.\n\n{}",
            guide::lines(inlet, key, public_url)
        ),
        None => table.to_string(),
    }
}

fn table(inlet: &wire::Inlet) -> Table {
    let mut table = Table::new("<<");
    table.row(["inlet", &inlet.name]);
    table.row(["tenant id", &inlet.tenant_id]);
    table.row(["id", &inlet.id]);
    if !inlet.enabled {
        table.row(["state", "disabled"]);
    }
    if let Some(format) = &inlet.format {
        table.row(["format", format]);
    }
    if let Some(namespace) = &inlet.namespace {
        table.row(["namespace", namespace]);
    }
    if let Some(secret) = &inlet.secret {
        table.row(["key", secret]);
    }
    for (place, key) in inlet.keys.iter().enumerate() {
        table.row([if place == 0 { "keys" } else { "" }, &described(key)]);
    }
    table
}

fn described(key: &wire::InletKey) -> String {
    let wire::InletKey { id, created, expires, last_used } = key;
    let expires = expires.as_ref().map_or_else(|| "for ever".to_owned(), |time| format!("until {time}"));
    let used = last_used.as_ref().map_or_else(|| "never used".to_owned(), |time| format!("last used {time}"));
    format!("{id}  from {created} {expires}, {used}")
}
