//! `pintle tenant`: whose data is kept apart from whose.

use std::process::ExitCode;

use axum::http::Method;
use serde_json::Value;
use uuid::Uuid;

use super::terminal::Table;
use super::{Failure, Where};
use crate::socket::wire;

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
            let session = place.folder.find().await?;
            let tenants: Result<Vec<wire::Tenant>, _> = session.client.get("/tenants", &Value::Null).await;
            session.end().await;
            let tenants = tenants?;
            super::print(&if place.json { super::json(&tenants)? } else { listed(&tenants) })?;
        }
        What::Create { name, id, place } => {
            let session = place.folder.take().await?;
            let new = wire::NewTenant { name, id: id.map(|id| id.to_string()) };
            let made: Result<wire::Tenant, _> = session.client.call(Method::POST, "/tenants", &new).await;
            session.end().await;
            let made = made?;
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
