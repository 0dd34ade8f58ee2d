//! `pintle client`: the applications that may call the API, their permissions, secrets and certificates.

use std::path::PathBuf;
use std::process::ExitCode;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use uuid::Uuid;

use super::administer::ask;
use super::terminal::{Printable, Table};
use super::{Failure, Place};
use crate::admin::wire;
use crate::auth::permission::Permission;

/// Register applications and give them secrets and certificates
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  pintle client create soar --permission Machine.Read.All --permission File.Read.All
  pintle client list --credentials
  pintle client create console --public --delegated Machine.Read.All --redirect-uri http://localhost
  pintle client add-secret 6c1fb5e0-95a6-4d2c-9a0c-3a2f0e1b7d55 --expires 2027-01-31
  pintle client add-certificate 6c1fb5e0-95a6-4d2c-9a0c-3a2f0e1b7d55 soar.pem")]
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
        #[arg(long = "permission", short, value_name = "PERMISSION", value_delimiter = ',',
              value_parser = permission, required_unless_present = "delegated")]
        permissions: Vec<Permission>,
        #[command(flatten)]
        users: ForUsers,
        #[command(flatten)]
        place: Place,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Change what an application may do; what is not named stays
    #[command(after_long_help = create_help())]
    Change {
        #[command(flatten)]
        which: Which,
        /// Its new name
        #[arg(long)]
        name: Option<String>,
        /// What it may do, all of it; give it several times or part by commas
        #[arg(long = "permission", short, value_name = "PERMISSION", value_delimiter = ',',
              value_parser = permission)]
        permissions: Option<Vec<Permission>>,
        #[command(flatten)]
        users: ForUsers,
    },
    /// List the applications of all tenants with their permissions
    List {
        /// Also what each proves itself with
        #[arg(long)]
        credentials: bool,
        #[command(flatten)]
        place: Place,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Give an application a new secret; the old ones stop working at once
    Rotate {
        #[command(flatten)]
        which: Which,
    },
    /// Give an application one more secret, so that the old one can be exchanged where it is in use
    AddSecret {
        #[command(flatten)]
        which: Which,
        /// When it ends: 2027-01-31, 2027-01-31T12:00:00Z. Without it, never
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Let an application prove itself with the key of a certificate, as `client_assertion`
    AddCertificate {
        #[command(flatten)]
        which: Which,
        /// The certificate in PEM or DER, of an RSA key. Its private key stays where it is
        #[arg(value_name = "FILE")]
        certificate: PathBuf,
    },
    /// Take a secret or a certificate from an application; tokens it has stay good until they expire
    RemoveCredential {
        #[command(flatten)]
        which: Which,
        /// Its id, as `pintle client list --credentials` shows it
        credential: Uuid,
    },
    /// Show an application only the machines of some device groups, and the alerts on them
    Limit {
        #[command(flatten)]
        which: Which,
        /// A device group, by name or id; give it several times or part by commas
        #[arg(
            long = "device-group",
            value_name = "GROUP",
            value_delimiter = ',',
            required_unless_present = "off"
        )]
        device_groups: Vec<String>,
        /// Show it every machine again
        #[arg(long, conflicts_with = "device_groups")]
        off: bool,
    },
    /// Let an application get and use tokens again
    Enable {
        #[command(flatten)]
        which: Which,
    },
    /// Keep an application from getting and using tokens, from the next request on
    Disable {
        #[command(flatten)]
        which: Which,
    },
    /// Remove an application; its tokens stop working at once
    Delete {
        /// The client id
        id: Uuid,
        #[command(flatten)]
        place: Place,
    },
}

/// What an application does for users who sign in to it
#[derive(Debug, clap::Args)]
struct ForUsers {
    /// What it may do for users, as far as their roles go
    #[arg(long, value_name = "PERMISSION", value_delimiter = ',', value_parser = permission)]
    delegated: Option<Vec<Permission>>,
    /// It runs where users could read a secret, so it has none: a command, a desktop program
    #[arg(long)]
    public: bool,
    /// Where users are sent back to after signing in: https://…, or http://localhost for any port
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Option<Vec<String>>,
}

fn values(permissions: Vec<Permission>) -> Vec<String> {
    permissions.iter().map(ToString::to_string).collect()
}

/// An application, and where it is
#[derive(Debug, clap::Args)]
struct Which {
    /// The client id
    id: Uuid,
    #[command(flatten)]
    place: Place,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Which {
    /// Asks for a change of the application.
    async fn change(
        &self,
        method: Method,
        what: &[&str],
        body: &impl serde::Serialize,
    ) -> Result<wire::Client, Failure> {
        let id = self.id.to_string();
        let path = [&["clients", id.as_str()], what].concat();
        ask(&self.place.folder, None, method, &path, body).await
    }

    /// Lets it get and use tokens, or not.
    async fn enable(&self, enabled: bool) -> Result<wire::Client, Failure> {
        let change = wire::ClientChange { enabled: Some(enabled), ..Default::default() };
        self.change(Method::PATCH, &[], &change).await
    }

    fn print(&self, application: &wire::Client) -> Result<(), Failure> {
        super::print(&if self.json { super::json(application)? } else { shown(application) })
    }
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
        What::Create { name, permissions, users, place, json } => {
            let new = wire::NewClient {
                name,
                permissions: values(permissions),
                delegated: values(users.delegated.unwrap_or_default()),
                public: users.public,
                redirect_uris: users.redirect_uris.unwrap_or_default(),
            };
            let path = ["clients"];
            let made: wire::Client =
                ask(&place.folder, Some(&place.tenant), Method::POST, &path, &new).await?;
            super::print(&if json { super::json(&made)? } else { shown(&made) })?;
        }
        What::Change { which, name, permissions, users } => {
            let change = wire::ClientChange {
                name,
                permissions: permissions.map(values),
                delegated: users.delegated.map(values),
                public: users.public.then_some(true),
                redirect_uris: users.redirect_uris,
                ..Default::default()
            };
            which.print(&which.change(Method::PATCH, &[], &change).await?)?;
        }
        What::List { credentials, place, json } => {
            let get =
                |path: &'static [&'static str]| ask(&place.folder, None, Method::GET, path, &Value::Null);
            let tenants = get(&["tenants"]).await?;
            let tenants: Vec<wire::Tenant> = serde_json::from_value(tenants)?;
            let all: Vec<wire::Client> = serde_json::from_value(get(&["clients"]).await?)?;
            super::print(&if json { super::json(&all)? } else { listed(&all, &tenants, credentials) })?;
        }
        What::Rotate { which } => {
            which.print(&which.change(Method::POST, &["rotate"], &Value::Null).await?)?;
        }
        What::AddSecret { which, expires } => {
            which.print(&which.change(Method::POST, &["secrets"], &wire::NewSecret { expires }).await?)?;
        }
        What::AddCertificate { which, certificate } => {
            let read = std::fs::read(&certificate);
            let read =
                read.map_err(|error| Failure::Failed(format!("{}: {error}", certificate.display())))?;
            let new = wire::NewCertificate { certificate: STANDARD.encode(read) };
            which.print(&which.change(Method::POST, &["certificates"], &new).await?)?;
        }
        What::RemoveCredential { which, credential } => {
            let path = ["credentials", &credential.to_string()];
            which.print(&which.change(Method::DELETE, &path, &Value::Null).await?)?;
        }
        What::Limit { which, device_groups, off } => {
            let limit = wire::Limit { device_groups: (!off).then_some(device_groups) };
            which.print(&which.change(Method::PUT, &["device-groups"], &limit).await?)?;
        }
        What::Enable { which } => which.print(&which.enable(true).await?)?,
        What::Disable { which } => which.print(&which.enable(false).await?)?,
        What::Delete { id, place } => {
            let path = ["clients", &id.to_string()];
            let () = ask(&place.folder, None, Method::DELETE, &path, &Value::Null).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(application: &wire::Client) -> String {
    let mut table = Table::new("<<");
    table.row(["name", &application.name]);
    table.row(["tenant id", &application.tenant_id]);
    table.row(["client id", &application.client_id]);
    if !application.enabled {
        table.row(["state", "disabled"]);
    }
    if let Some(secret) = &application.secret {
        table.row(["secret", secret]);
    }
    for (place, permission) in application.permissions.iter().enumerate() {
        let label = if place == 0 { "permissions" } else { "" };
        table.row([label, &format!("{} ({})", permission.value, permission.display_name)]);
    }
    for (place, permission) in application.delegated.iter().enumerate() {
        let label = if place == 0 { "for users" } else { "" };
        table.row([label, &format!("{} ({})", permission.value, permission.display_name)]);
    }
    if application.public {
        table.row(["kind", "public: it has no secret"]);
    }
    for uri in &application.redirect_uris {
        table.row(["sends back to", uri]);
    }
    if let Some(groups) = &application.device_groups {
        let only = if groups.is_empty() { "none".to_owned() } else { groups.join(", ") };
        table.row(["sees only", &only]);
    }
    for (place, credential) in application.credentials.iter().enumerate() {
        let label = if place == 0 { "credentials" } else { "" };
        table.row([label, &described(credential)]);
    }
    match &application.secret {
        Some(_) => format!(
            "{table}\nThe secret is shown this once: keep it now, or `pintle client rotate` makes another.\n"
        ),
        None => table.to_string(),
    }
}

fn described(credential: &wire::Credential) -> String {
    let wire::Credential { id, kind, thumbprint, created, expires } = credential;
    let thumbprint = thumbprint.as_ref().map_or_else(String::new, |thumbprint| format!(" {thumbprint}"));
    let expires =
        expires.as_ref().map_or_else(|| "for ever".to_owned(), |expires| format!("until {expires}"));
    format!("{id}  {kind}{thumbprint}, from {created} {expires}")
}

fn listed(applications: &[wire::Client], tenants: &[wire::Tenant], credentials: bool) -> String {
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
        for credential in application.credentials.iter().filter(|_| credentials) {
            text.push_str(&format!("  {}\n", described(credential)));
        }
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
        let application = wire::Client {
            client_id: "id".into(),
            tenant_id: "t".into(),
            name: "so\x1bar".into(),
            enabled: true,
            permissions: vec![wire::Permission {
                value: "File.Read.All".into(),
                display_name: "Read all file profiles".into(),
            }],
            delegated: Vec::new(),
            public: false,
            redirect_uris: Vec::new(),
            device_groups: None,
            credentials: vec![wire::Credential {
                id: "c".into(),
                kind: "certificate".into(),
                thumbprint: Some("AB12".into()),
                created: "2026-01-01".into(),
                expires: Some("2027-01-01".into()),
            }],
            secret: Some("s3cret".into()),
        };
        let once = shown(&application);
        assert!(once.contains("s3cret") && once.contains("File.Read.All (Read all file profiles)"), "{once}");
        let tenants = [wire::Tenant { id: "t".into(), name: "default".into() }];
        let application = [application];
        let list = listed(&application, &tenants, false);
        assert!(
            !list.contains("s3cret")
                && !list.contains("AB12")
                && list.contains("so\\u{1b}ar, tenant default"),
            "{list}"
        );
        let list = listed(&application, &tenants, true);
        assert!(list.contains("certificate AB12, from 2026-01-01 until 2027-01-01"), "{list}");
    }
}
