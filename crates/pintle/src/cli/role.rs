//! `pintle role`: what users may do.

use std::process::ExitCode;

use axum::http::Method;
use serde_json::Value;

use super::Failure;
use super::administer::Within;
use super::terminal::Table;
use crate::admin::wire;
use crate::auth::role::RolePermission;

/// Say what users may do, by the groups they are in
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A user's token is good for a call if it has the scope that the call needs and a role of the user has the \
permission that it needs besides. The built-in role `Administrator` may do everything and sees every machine.

Examples:
  pintle role create investigate --permission view-data,alerts-investigation --group analysts
  pintle role give Administrator admins
  pintle role list")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the roles with what they allow and who has them
    List(Within),
    /// Make a role
    #[command(after_long_help = permissions_help())]
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        allows: Allows,
        /// A user group that gets it, by name or id; give it several times or part by commas
        #[arg(long = "group", value_name = "GROUP", value_delimiter = ',')]
        groups: Vec<String>,
        #[command(flatten)]
        within: Within,
    },
    /// Change a role's name, description or permissions; who has it follows from the next request on
    #[command(after_long_help = permissions_help())]
    Change {
        /// The role, by name or id
        role: String,
        /// Its new name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        allows: Allows,
        #[command(flatten)]
        within: Within,
    },
    /// Give a role to a user group
    Give(Between),
    /// Take a role from a user group
    Take(Between),
    /// Remove a role
    Delete {
        /// The role, by name or id
        role: String,
        #[command(flatten)]
        within: Within,
    },
}

/// What a role allows
#[derive(Debug, clap::Args)]
struct Allows {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What its users may do, all of it; give it several times or part by commas
    #[arg(long = "permission", short, value_name = "PERMISSION", value_delimiter = ',')]
    permissions: Option<Vec<String>>,
}

/// A role and a user group
#[derive(Debug, clap::Args)]
struct Between {
    /// The role, by name or id
    role: String,
    /// The user group, by name or id
    group: String,
    #[command(flatten)]
    within: Within,
}

fn permissions_help() -> String {
    let mut table = Table::new("<<");
    for permission in RolePermission::ALL {
        table.row([format!("  {permission}"), permission.display_name().to_owned()]);
    }
    format!("Permissions:\n{table}\nmanage-system-settings is in the built-in role `Administrator` only.")
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (within, method, role, body) = match args.what {
        What::List(within) => {
            let roles: Vec<wire::Role> = within.list("roles").await?;
            within.print(&roles, |roles| listed(roles))?;
            return Ok(ExitCode::SUCCESS);
        }
        What::Create { name, allows: Allows { description, permissions }, groups, within } => {
            let permissions = Some(permissions.unwrap_or_default());
            let new = wire::RoleChange {
                name: Some(name),
                description,
                permissions,
                give: groups,
                take: Vec::new(),
            };
            (within, Method::POST, None, new)
        }
        What::Change { role, name, allows: Allows { description, permissions }, within } => {
            let change = wire::RoleChange { name, description, permissions, ..Default::default() };
            (within, Method::PATCH, Some(role), change)
        }
        What::Give(Between { role, group, within }) => {
            let change = wire::RoleChange { give: vec![group], ..Default::default() };
            (within, Method::PATCH, Some(role), change)
        }
        What::Take(Between { role, group, within }) => {
            let change = wire::RoleChange { take: vec![group], ..Default::default() };
            (within, Method::PATCH, Some(role), change)
        }
        What::Delete { role, within } => {
            let gone: wire::Role = within.ask(Method::DELETE, &["roles", &role], &Value::Null).await?;
            within.print(&gone, |gone| listed(std::slice::from_ref(gone)))?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let path = [&["roles"][..], role.as_deref().as_slice()].concat();
    let made: wire::Role = within.ask(method, &path, &body).await?;
    within.print(&made, |made| listed(std::slice::from_ref(made)))?;
    Ok(ExitCode::SUCCESS)
}

fn listed(roles: &[wire::Role]) -> String {
    let mut text = String::new();
    for role in roles {
        let mut table = Table::new("<<");
        table.row(["role", &role.name]);
        if !role.description.is_empty() {
            table.row(["", &role.description]);
        }
        table.row(["groups", &if role.groups.is_empty() { "-".to_owned() } else { role.groups.join(", ") }]);
        for (place, permission) in role.permissions.iter().enumerate() {
            let label = if place == 0 { "permissions" } else { "" };
            table.row([label, &format!("{} ({})", permission.value, permission.display_name)]);
        }
        text.push_str(&format!("{}{table}", if text.is_empty() { "" } else { "\n" }));
    }
    text
}
