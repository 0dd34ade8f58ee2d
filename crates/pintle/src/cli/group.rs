//! `pintle group`: groups of users.

use std::process::ExitCode;

use axum::http::Method;
use serde_json::Value;

use super::Failure;
use super::administer::Within;
use super::terminal::Table;
use crate::admin::wire;

/// Make groups of users, to which roles and device groups are given
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  pintle group create analysts --description 'Those on shift'
  pintle user join alice@example.org analysts
  pintle group list")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the user groups with their users and roles
    List(Within),
    /// Make a user group
    Create {
        /// Its name
        name: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        within: Within,
    },
    /// Rename a user group or describe it anew
    Change {
        /// The user group, by name or id
        group: String,
        /// Its new name
        #[arg(long)]
        name: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        within: Within,
    },
    /// Remove a user group, and with it what its users had by it
    Delete {
        /// The user group, by name or id
        group: String,
        #[command(flatten)]
        within: Within,
    },
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (within, made): (Within, wire::UserGroup) = match args.what {
        What::List(within) => {
            let groups: Vec<wire::UserGroup> = within.list("user-groups").await?;
            within.print(&groups, |groups| listed(groups))?;
            return Ok(ExitCode::SUCCESS);
        }
        What::Create { name, description, within } => {
            let new = wire::UserGroupChange { name: Some(name), description };
            let made = within.ask(Method::POST, &["user-groups"], &new).await?;
            (within, made)
        }
        What::Change { group, name, description, within } => {
            let change = wire::UserGroupChange { name, description };
            let made = within.ask(Method::PATCH, &["user-groups", &group], &change).await?;
            (within, made)
        }
        What::Delete { group, within } => {
            let gone = within.ask(Method::DELETE, &["user-groups", &group], &Value::Null).await?;
            (within, gone)
        }
    };
    within.print(&made, |made| listed(std::slice::from_ref(made)))?;
    Ok(ExitCode::SUCCESS)
}

fn listed(groups: &[wire::UserGroup]) -> String {
    if groups.is_empty() {
        return "no user groups: `pintle group create` makes one\n".to_owned();
    }
    let mut table = Table::new("<<<<<");
    table.row(["group", "users", "roles", "description", "id"]);
    for group in groups {
        table.row([
            &group.name,
            &group.users.join(", "),
            &group.roles.join(", "),
            &group.description,
            &group.id,
        ]);
    }
    table.to_string()
}
