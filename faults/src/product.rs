//! The one place that knows how the product is called: its command lines and what they print.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;

use pintle_model::TenantId;
use rustls::ClientConfig;
use serde_json::Value;

use crate::client::Connection;
use crate::report::{Failure, Outcome, While, command};
use crate::server::Server;

/// The binary under test.
#[derive(Clone)]
pub struct Product {
    binary: PathBuf,
    /// What it is to be started with besides: a library in front of the system's, and what that is told.
    pub environment: Vec<(&'static str, PathBuf)>,
}

/// How a command of the product ended.
pub struct Ran {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed on standard output, then on standard error.
    pub said: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let said = [output.stdout, output.stderr].concat();
        Ran { code: output.status.code(), said: String::from_utf8_lossy(&said).into_owned() }
    }
}

impl Product {
    /// The binary at this path, or the one beside this program.
    pub fn find(path: Option<PathBuf>) -> Outcome<Product> {
        let beside = || std::env::current_exe().map(|this| this.with_file_name("pintle"));
        let binary = path.map_or_else(beside, Ok).during("looking for pintle")?;
        if !binary.is_file() {
            let why = format!("there is no {}: build it, or name it with --pintle", binary.display());
            return Err(Failure::Unable(why));
        }
        Ok(Product { binary, environment: Vec::new() })
    }

    /// `pintle …` with no configuration but what its arguments say.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        let settings =
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PINTLE_"));
        settings.for_each(|(name, _)| {
            command.env_remove(name);
        });
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `pintle … --data FOLDER`
    pub fn on(&self, data: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.arg("--data").arg(data);
        command
    }

    /// Loads a library, built from its source in C, in front of the system's.
    pub fn preload(&mut self, source: &str, top: &Path) -> Outcome<()> {
        let (from, to) = (top.join("library.c"), top.join("library.so"));
        std::fs::write(&from, source).during("writing the library's source")?;
        command("cc", &["-shared", "-fPIC", "-O1", "-o", &to.to_string_lossy(), &from.to_string_lossy()])?;
        self.environment.push(("LD_PRELOAD", to));
        Ok(())
    }

    /// Runs to the end on a data folder.
    pub fn run_on(&self, data: &Path, arguments: &[&str]) -> Outcome<Ran> {
        let ran = self.on(data, arguments).output().during(format!("pintle {arguments:?}"))?;
        Ok(Ran::from(ran))
    }

    /// `pintle rebuild`: how many records in how many batches it has applied again.
    pub fn rebuild(&self, data: &Path) -> Outcome<Result<(u64, u64), String>> {
        let ran = self.run_on(data, &["rebuild"])?;
        let said = ran.said.replace(',', "");
        let mut numbers = said.split(' ').filter_map(|word| word.parse().ok());
        Ok(match (ran.code, numbers.next(), numbers.next()) {
            (Some(0), Some(records), Some(batches)) => Ok((records, batches)),
            _ => Err(ran.said),
        })
    }

    /// Whether this binary has a command of that name.
    pub fn knows(&self, name: &str) -> Outcome<bool> {
        let ran = self.command(&[name, "--help"]).output().during(format!("pintle {name} --help"))?;
        Ok(ran.status.success())
    }

    /// `pintle check`: exit code 0 means sound, 1 damaged, and then the file is named.
    pub fn check(&self, data: &Path) -> Outcome<Ran> {
        self.run_on(data, &["check"])
    }

    /// `pintle backup BACKUP` of a data folder that a server may own, with its secrets encrypted.
    pub fn backup(&self, data: &Path, backup: &Path, passphrase: &Path) -> Outcome<Ran> {
        let (backup, passphrase) = (backup.to_string_lossy(), passphrase.to_string_lossy());
        self.run_on(data, &["backup", &backup, "--passphrase-file", &passphrase])
    }

    /// `pintle verify BACKUP`
    pub fn verify(&self, backup: &Path) -> Outcome<Ran> {
        let mut command = self.command(&["verify", &backup.to_string_lossy()]);
        Ok(Ran::from(command.output().during("pintle verify")?))
    }

    /// `pintle restore BACKUP FOLDER`, with the secrets.
    pub fn restore(&self, backup: &Path, data: &Path, passphrase: &Path) -> Outcome<Ran> {
        let mut command = self.command(&["restore", &backup.to_string_lossy(), &data.to_string_lossy()]);
        command.arg("--passphrase-file").arg(passphrase);
        Ok(Ran::from(command.output().during("pintle restore")?))
    }

    /// A data folder below `top` with a configuration beside it that takes any free port and
    /// counts no calls, and an application that may do what the harness does.
    pub fn settle(&self, data: &Path, top: &Path) -> Outcome<Place> {
        let config = configuration(data, top)?;
        self.application(data, config, "faults")
    }

    /// Another application on the same folder.
    pub fn register(&self, place: &Place, name: &str) -> Outcome<Place> {
        self.application(&place.data, place.config.clone(), name)
    }

    fn application(&self, data: &Path, config: PathBuf, name: &str) -> Outcome<Place> {
        let permissions = "Event.Write,Machine.Read.All,File.Read.All";
        let made = self.run_on(data, &["client", "create", name, "-p", permissions, "--json"])?;
        let member = |made: &Value, name: &str| made.get(name)?.as_str().map(str::to_owned);
        let read: Value =
            serde_json::from_str(&made.said).during(format!("pintle client create: {}", made.said))?;
        let application = || {
            let form = format!(
                "grant_type=client_credentials&client_id={}&client_secret={}\
                 &scope=https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default",
                member(&read, "client_id")?,
                member(&read, "secret")?
            );
            Some((member(&read, "tenant_id")?, form))
        };
        let (tenant, form) =
            application().ok_or_else(|| Failure::Unable(format!("pintle client create: {}", made.said)))?;
        let id: TenantId = tenant.parse().during("reading the tenant")?;
        Ok(Place {
            data: data.to_owned(),
            config,
            token_path: format!("/{tenant}/oauth2/v2.0/token"),
            form,
            tenant: id,
        })
    }

    /// `pintle purge` of all that is about a machine.
    pub fn purge(&self, data: &Path, machine: &str) -> Command {
        self.on(data, &["purge", "--yes", "--machine", machine])
    }

    /// `pintle retention run`
    pub fn forget_expired(&self, data: &Path) -> Command {
        self.on(data, &["retention", "run"])
    }

    /// Starts a server.
    pub fn serve(&self, place: &Place) -> Outcome<Server> {
        self.serve_under(place, &[])
    }

    /// Starts a server that writes what it has in memory to the base after every few batches.
    pub fn serve_folding(&self, place: &Place) -> Outcome<Server> {
        let few = [("PINTLE_STORE_MEMORY", "64KiB"), ("PINTLE_STORE_FOLD_AFTER_RECORDS", "10")];
        self.serve_under(place, &few)
    }

    /// Starts a server with settings, given as variables.
    pub fn serve_under(&self, place: &Place, settings: &[(&str, &str)]) -> Outcome<Server> {
        let mut command = self.command(&["serve", "--config", &place.config.to_string_lossy()]);
        command.envs(settings.iter().copied());
        let mut child = command.spawn().during("starting pintle serve")?;
        let (line, lines) = channel();
        if let Some(log) = child.stderr.take() {
            let log = BufReader::new(log).lines().map_while(Result::ok);
            std::thread::spawn(move || log.take_while(|read| line.send(read.clone()).is_ok()).for_each(drop));
        }
        Ok(Server::new(child, lines))
    }
}

/// A data folder and who may ask a server on it.
pub struct Place {
    /// The folder.
    pub data: PathBuf,
    /// The tenant whose data the harness sends.
    pub tenant: TenantId,
    config: PathBuf,
    token_path: String,
    form: String,
}

/// Writes a configuration for a data folder, beside which it lies. Its retention is longer than
/// anything is old that is sent, so that all must stay when what has expired is taken out.
fn configuration(data: &Path, top: &Path) -> Outcome<PathBuf> {
    let config = top.join("pintle.toml");
    let settings = format!(
        "[data]\nfolder = {data:?}\n[server]\nlisten = \"127.0.0.1:0\"\nhealth_listen = \"127.0.0.1:0\"\n\
         public_url = \"http://localhost:8080\"\n[quota]\nenabled = false\n[retention]\nsightings = \"36500d\"\n[log]\nformat = \"json\"\n"
    );
    std::fs::write(&config, settings).during("writing the configuration")?;
    Ok(config)
}

impl Place {
    /// The same clients and data in another folder.
    pub fn moved(&self, data: &Path, top: &Path) -> Outcome<Place> {
        let top = top.join("elsewhere");
        std::fs::create_dir_all(&top).during("making a folder")?;
        Ok(Place {
            data: data.to_owned(),
            tenant: self.tenant,
            config: configuration(data, &top)?,
            token_path: self.token_path.clone(),
            form: self.form.clone(),
        })
    }

    /// Where a server on the folder gives tokens.
    pub fn token_path(&self) -> &str {
        &self.token_path
    }

    /// A token of a server on the folder. None outlives its hour; the application outlives all.
    pub fn token(&self, address: &str) -> Outcome<String> {
        self.token_by(address, None)
    }

    /// The same over TLS.
    pub fn token_by(&self, address: &str, tls: Option<&Arc<ClientConfig>>) -> Outcome<String> {
        let asked = Connection::open_by(address, tls, "none")
            .and_then(|mut server| server.post(&self.token_path, &self.form));
        let answer =
            asked.map_err(|_| Failure::Unable("the server was gone before it gave a token".into()))?;
        let read: Value = serde_json::from_str(&answer.body).during("reading the token")?;
        let token = read.get("access_token").and_then(Value::as_str);
        token.map(str::to_owned).ok_or(Failure::Unable(answer.body))
    }
}
