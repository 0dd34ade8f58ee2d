//! `pintle user`: the people who may sign in.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use axum::http::Method;
use serde_json::Value;

use super::Failure;
use super::administer::Within;
use super::terminal::Table;
use crate::admin::wire;

/// Add users, put them into groups and give them passwords
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A user may do what the roles of their user groups say, and sees the machines of the device groups that these \
may see. Who signs in with an identity provider of their own needs no user here.

Examples:
  pintle group create analysts
  pintle role create investigate --permission view-data --group analysts
  pintle user create alice@example.org --group analysts
  pintle user set-password alice@example.org --password-file password.txt
  pintle user unlock alice@example.org")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the users with their groups and roles
    List(Within),
    /// Add a user; prints a password to begin with, unless one is given
    Create {
        /// What they sign in with, such as alice@example.org
        name: String,
        /// Their name, for people
        #[arg(long, value_name = "NAME", default_value = "")]
        display_name: String,
        /// A user group they are in, by name or id; give it several times or part by commas
        #[arg(long = "group", value_name = "GROUP", value_delimiter = ',')]
        groups: Vec<String>,
        #[command(flatten)]
        password: PasswordFile,
        #[command(flatten)]
        within: Within,
    },
    /// Give a user another password; their tokens stop working, and a lock ends
    SetPassword {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        password: PasswordFile,
    },
    /// Put a user into a user group
    Join {
        #[command(flatten)]
        which: Which,
        /// The user group, by name or id
        group: String,
    },
    /// Take a user out of a user group
    Leave {
        #[command(flatten)]
        which: Which,
        /// The user group, by name or id
        group: String,
    },
    /// Let a user sign in and use tokens again
    Enable(Which),
    /// Keep a user from signing in and using tokens, from the next request on
    Disable(Which),
    /// End all that a user is signed in to; their tokens stop working at once
    SignOut(Which),
    /// End the wait after wrong passwords
    Unlock(Which),
    /// Make a user administrator with a new password, whatever was done to users and roles: for whoever
    /// owns the data folder, with the server up or down
    Recover(Which),
    /// Remove a user; their tokens stop working at once
    Delete(Which),
}

/// A user
#[derive(Debug, clap::Args)]
struct Which {
    /// The user, by name or id
    user: String,
    #[command(flatten)]
    within: Within,
}

/// Where a password is read from
#[derive(Debug, clap::Args)]
struct PasswordFile {
    /// A file with the password in its first line, `-` for standard input; without it, one is made
    #[arg(long = "password-file", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl PasswordFile {
    fn read(&self) -> Result<Option<String>, Failure> {
        let Some(file) = &self.file else { return Ok(None) };
        let mut text = String::new();
        let read = match file.to_str() {
            Some("-") => std::io::stdin().lock().take(64 * 1024).read_to_string(&mut text),
            _ => std::fs::File::open(file).and_then(|file| file.take(64 * 1024).read_to_string(&mut text)),
        };
        read.map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
        Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
    }
}

impl Which {
    async fn change(self, change: wire::UserChange) -> Result<(), Failure> {
        self.ask(Method::PATCH, &[], &change).await
    }

    async fn ask(self, method: Method, what: &[&str], body: &impl serde::Serialize) -> Result<(), Failure> {
        let path = [&["users", self.user.as_str()], what].concat();
        let user: wire::User = self.within.ask(method, &path, body).await?;
        self.within.print(&user, shown)
    }
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let enabled = |enabled| wire::UserChange { enabled: Some(enabled), ..Default::default() };
    match args.what {
        What::List(within) => {
            let users: Vec<wire::User> = within.list("users").await?;
            within.print(&users, |users| listed(users))?;
        }
        What::Create { name, display_name, groups, password, within } => {
            let new = wire::NewUser { name, display_name, groups, password: password.read()? };
            let made: wire::User = within.ask(Method::POST, &["users"], &new).await?;
            within.print(&made, shown)?;
        }
        What::SetPassword { which, password } => {
            let new = wire::NewPassword { password: password.read()? };
            which.ask(Method::POST, &["password"], &new).await?;
        }
        What::Join { which, group } => {
            which.change(wire::UserChange { join: vec![group], ..Default::default() }).await?;
        }
        What::Leave { which, group } => {
            which.change(wire::UserChange { leave: vec![group], ..Default::default() }).await?;
        }
        What::Enable(which) => which.change(enabled(true)).await?,
        What::Disable(which) => which.change(enabled(false)).await?,
        What::SignOut(which) => which.ask(Method::POST, &["sign-out"], &Value::Null).await?,
        What::Unlock(which) => which.ask(Method::POST, &["unlock"], &Value::Null).await?,
        What::Recover(which) => which.ask(Method::POST, &["recover"], &Value::Null).await?,
        What::Delete(which) => which.ask(Method::DELETE, &[], &Value::Null).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(user: &wire::User) -> String {
    let mut table = Table::new("<<");
    table.row(["name", &user.name]).row(["display name", &user.display_name]).row(["id", &user.id]);
    table.row(["groups", &joined(&user.groups)]).row(["roles", &joined(&user.roles)]);
    table.row(["state", &state(user)]);
    match &user.password {
        Some(password) => {
            table.row(["password", password]);
            format!("{table}\nThe password is shown this once: `pintle user set-password` sets another.\n")
        }
        None => table.to_string(),
    }
}

fn state(user: &wire::User) -> String {
    match (user.enabled, &user.locked_until) {
        (false, _) => "disabled".to_owned(),
        (true, Some(until)) => format!("locked until {until}"),
        (true, None) if !user.has_password => "without a password".to_owned(),
        (true, None) => "enabled".to_owned(),
    }
}

fn joined(names: &[String]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

fn listed(users: &[wire::User]) -> String {
    if users.is_empty() {
        return "no users: `pintle user create` adds one\n".to_owned();
    }
    let mut table = Table::new("<<<<<");
    table.row(["user", "name", "groups", "roles", "state"]);
    for user in users {
        table.row([
            &user.name,
            &user.display_name,
            &joined(&user.groups),
            &joined(&user.roles),
            &state(user),
        ]);
    }
    table.to_string()
}
