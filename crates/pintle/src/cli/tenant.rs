//! `pintle tenant`: whose data is kept apart from whose.

use std::process::ExitCode;

use axum::http::Method;
use serde_json::Value;
use uuid::Uuid;

use super::administer::ask;
use super::terminal::Table;
use super::{Failure, Where};
use crate::admin::wire;

/// List and make tenants
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
What belongs to one tenant no application or user of another ever sees. A new data folder has the tenant \
`default`; commands mean that one unless --tenant names another. `pintle purge --tenant` empties one. \
A section [tenants.NAME] of the settings counts for a new tenant once the server has started again.

Examples:
  pintle tenant create customer-a
  pintle tenant create customer-b --id 72f988bf-86f1-41af-91ab-2d7cd011db47
  pintle ingest --tenant customer-a telemetry/")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the tenants
    List(Where),
    /// Make a tenant
    Create {
        /// Its name, usable wherever its id is
        name: String,
        /// Its id, if it must be a known one, such as that of a tenant elsewhere; otherwise a random one
        #[arg(long, value_name = "GUID")]
        id: Option<Uuid>,
        #[command(flatten)]
        place: Where,
    },
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.what {
        What::List(place) => {
            let path = ["tenants"];
            let all: Vec<wire::Tenant> = ask(&place.folder, None, Method::GET, &path, &Value::Null).await?;
            super::print(&if place.json { super::json(&all)? } else { listed(&all) })?;
        }
        What::Create { name, id, place } => {
            let new = wire::NewTenant { name, id: id.map(|id| id.to_string()) };
            let made: wire::Tenant = ask(&place.folder, None, Method::POST, &["tenants"], &new).await?;
            super::print(&if place.json { super::json(&made)? } else { listed(&[made]) })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(tenants: &[wire::Tenant]) -> String {
    let mut table = Table::new("<<");
    table.row(["id", "name"]);
    for tenant in tenants {
        table.row([&tenant.id, &tenant.name]);
    }
    table.to_string()
}
