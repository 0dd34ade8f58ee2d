//! `pintle config`: writes a sample of the settings file, checks one, shows what is in effect.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::Exit;
use super::settings::Settings;
use crate::config::{Loaded, Sources, load, sample};
use crate::http::tls::Certificate;

/// Write, check and show settings.
#[derive(clap::Args)]
pub struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Write a file with every setting, explained and commented out; `-` is standard output.
    Init {
        /// The file to write. It must not exist.
        #[arg(default_value = "pintle.toml")]
        path: PathBuf,
    },
    /// Read a settings file and the environment and say what `serve` would object to.
    Check {
        /// The file to read, else the one that `serve` would.
        path: Option<PathBuf>,
        /// The same, as the other commands take it.
        #[arg(long, value_name = "FILE", conflicts_with = "path")]
        config: Option<PathBuf>,
    },
    /// Show the settings in effect and where each is from.
    Show(Settings),
}

impl Config {
    /// Runs it.
    pub fn run(self) -> Exit {
        match self.action {
            Action::Init { path } => init(&path),
            Action::Check { path, config } => check(path.or(config).as_deref()),
            Action::Show(settings) => match settings.load() {
                Ok(loaded) => print(&sample::show(&loaded)),
                Err(exit) => exit,
            },
        }
    }
}

fn init(path: &Path) -> Exit {
    let text = sample::sample();
    if path.as_os_str() == "-" {
        return print(&text);
    }
    // Creating it anew is what refuses to overwrite, also when somebody else is as quick.
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            eprintln!(
                "error: {} exists and is not overwritten: remove it or name another file",
                path.display()
            );
            Exit::Failed
        }
        Err(error) => {
            eprintln!("error: cannot write {}: {error}", path.display());
            Exit::Failed
        }
    }
}

fn check(path: Option<&Path>) -> Exit {
    let loaded = Sources::gather(path, Vec::new())
        .map_err(|problem| vec![problem])
        .and_then(|sources| Loaded::from_sources(&sources));
    let problems: Vec<String> = match loaded {
        Ok(loaded) => {
            let mut problems = loaded.config.problems_for_serving();
            let certificate = loaded.config.server.tls().map(Certificate::from_files);
            problems.extend(certificate.and_then(Result::err).map(|error| error.to_string()));
            problems
        }
        Err(problems) => problems.iter().map(load::Problem::to_string).collect(),
    };
    if problems.is_empty() {
        return print("ok\n");
    }
    for problem in problems {
        eprintln!("error: {problem}");
    }
    Exit::Failed
}

fn print(text: &str) -> Exit {
    let mut out = std::io::stdout().lock();
    // Whoever reads may have gone, as `head` does.
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Failed,
    }
}
