//! `pintle client`: the applications that may call the API, their permissions and secrets.

use std::process::ExitCode;

use axum::http::Method;
use serde_json::Value;
use uuid::Uuid;

use super::terminal::{Printable, Table};
use super::{Failure, Place};
use crate::auth::permission::Permission;
use crate::socket::wire;

/// Register applications and give them secrets
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  pintle client create soar --permission Machine.Read.All --permission File.Read.All
  pintle client list
  pintle client rotate 6c1fb5e0-95a6-4d2c-9a0c-3a2f0e1b7d55")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Register an application; prints its id and its secret, which cannot be had again
    #[command(after_long_help = create_help())]
    Create {
        /// Its name, for people
        name: String,
        /// What it may do; give it several times or part by commas
        #[arg(long = "permission", short, value_name = "PERMISSION", required = true, value_delimiter = ',',
              value_parser = permission, hide_possible_values = true)]
        permissions: Vec<Permission>,
        #[command(flatten)]
        place: Place,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the applications of all tenants with their permissions
    List {
        #[command(flatten)]
        place: Place,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Give an application a new secret; the old one stops working at once
    Rotate {
        /// The client id
        id: Uuid,
        #[command(flatten)]
        place: Place,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove an application; its tokens stop working at once
    Delete {
        /// The client id
        id: Uuid,
        #[command(flatten)]
        place: Place,
    },
}

fn permission(text: &str) -> Result<Permission, String> {
    Permission::named(text).ok_or_else(|| {
        let nearest = Permission::ALL.iter().max_by(|a, b| {
            let likeness = |permission: &Permission| strsim::jaro_winkler(permission.value(), text);
            likeness(a).total_cmp(&likeness(b))
        });
        nearest.map_or_else(String::new, |nearest| format!("no such permission; the nearest is {nearest}"))
    })
}

fn create_help() -> String {
    let mut table = Table::new("<<");
    for permission in Permission::ALL {
        table.row([format!("  {permission}"), permission.display_name().to_owned()]);
    }
    format!("Permissions:\n{table}\nExample:\n  pintle client create soar -p Machine.Read.All,File.Read.All")
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.what {
        What::Create { name, permissions, place, json } => {
            let session = place.take().await?;
            let new = wire::NewApplication {
                tenant: place.tenant.clone(),
                name,
                permissions: permissions.iter().map(ToString::to_string).collect(),
            };
            let made: wire::Application = session.client.call(Method::POST, "/applications", &new).await?;
            session.end().await;
            super::print(&if json { super::json(&made)? } else { shown_once(&made) })?;
        }
        What::List { place, json } => {
            let session = place.find().await?;
            let tenants: Vec<wire::Tenant> = session.client.get("/tenants", &Value::Null).await?;
            let all: Vec<wire::Application> = session.client.get("/applications", &Value::Null).await?;
            session.end().await;
            super::print(&if json { super::json(&all)? } else { listed(&all, &tenants) })?;
        }
        What::Rotate { id, place, json } => {
            let session = place.find().await?;
            let path = format!("/applications/{id}/secret");
            let made: wire::Application = session.client.call(Method::POST, &path, &Value::Null).await?;
            session.end().await;
            super::print(&if json { super::json(&made)? } else { shown_once(&made) })?;
        }
        What::Delete { id, place } => {
            let session = place.find().await?;
            let () =
                session.client.call(Method::DELETE, &format!("/applications/{id}"), &Value::Null).await?;
            session.end().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn shown_once(application: &wire::Application) -> String {
    let mut table = Table::new("<<");
    table.row(["name", &application.name]);
    table.row(["tenant id", &application.tenant_id]);
    table.row(["client id", &application.client_id]);
    table.row(["secret", application.secret.as_deref().unwrap_or("-")]);
    for (place, permission) in application.permissions.iter().enumerate() {
        let label = if place == 0 { "permissions" } else { "" };
        table.row([label, &format!("{} ({})", permission.value, permission.display_name)]);
    }
    format!("{table}\nThe secret is shown this once: keep it now, or `pintle client rotate` makes another.\n")
}

fn listed(applications: &[wire::Application], tenants: &[wire::Tenant]) -> String {
    if applications.is_empty() {
        return "no applications: `pintle client create` registers one\n".to_owned();
    }
    let mut text = String::new();
    for application in applications {
        let tenant = tenants.iter().find(|tenant| tenant.id == application.tenant_id);
        let tenant = tenant.map_or(application.tenant_id.as_str(), |tenant| &tenant.name);
        let state = if application.enabled { "" } else { " (disabled)" };
        let (name, tenant) = (Printable(&application.name), Printable(tenant));
        text.push_str(&format!("{}  {name}, tenant {tenant}{state}\n", application.client_id));
        let mut table = Table::new("<<");
        for permission in &application.permissions {
            table.row([&format!("  {}", permission.value), &permission.display_name]);
        }
        text.push_str(&table.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_permission_is_answered_with_the_nearest() {
        assert_eq!(permission("machine.read.all"), Ok(Permission::MachineRead));
        assert!(permission("Machines.Read.All").unwrap_err().contains("Machine.Read.All"));
    }

    #[test]
    fn permissions_are_shown_with_their_names_and_the_secret_once() {
        let application = wire::Application {
            client_id: "id".into(),
            tenant_id: "t".into(),
            name: "so\x1bar".into(),
            enabled: true,
            permissions: vec![wire::Permission {
                value: "File.Read.All".into(),
                display_name: "Read all file profiles".into(),
            }],
            secret: Some("s3cret".into()),
        };
        let once = shown_once(&application);
        assert!(once.contains("s3cret") && once.contains("File.Read.All (Read all file profiles)"), "{once}");
        let tenants = [wire::Tenant { id: "t".into(), name: "default".into() }];
        let list = listed(&[application], &tenants);
        assert!(!list.contains("s3cret") && list.contains("so\\u{1b}ar, tenant default"), "{list}");
    }
}
