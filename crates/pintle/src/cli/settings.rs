//! The settings on a command line: `--config` and a flag for every key that has one.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::Exit;
use crate::config::keys::{KEYS, Key};
use crate::config::{Loaded, Sources};

/// The settings given on a command line.
#[derive(Clone, Default)]
pub struct Settings {
    file: Option<PathBuf>,
    flags: Vec<(&'static Key, String)>,
}

impl Settings {
    /// Puts them together with the file and the environment. What is wrong with them goes to
    /// standard error.
    pub fn load(&self) -> Result<Loaded, Exit> {
        let sources = match Sources::gather(self.file.as_deref(), self.flags.clone()) {
            Ok(sources) => sources,
            Err(problem) => {
                eprintln!("error: {problem}");
                return Err(Exit::Usage);
            }
        };
        Loaded::from_sources(&sources).map_err(|problems| {
            for problem in problems {
                eprintln!("error: {problem}");
            }
            Exit::Usage
        })
    }
}

const FILE: &str = "config";

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(FILE)
            .long("config")
            .value_name("PATH")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Read settings from this file [env: PINTLE_CONFIG]");
        let flags = KEYS.iter().filter_map(|key| {
            let flag = Arg::new(key.name).long(key.flag?).value_name(key.hint);
            Some(flag.help(format!("{} [env: {}]", key.help, key.variable())))
        });
        command.arg(file).next_help_heading("Settings").args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Settings::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Settings, clap::Error> {
        let flags = KEYS
            .iter()
            .filter(|key| key.flag.is_some())
            .filter_map(|key| Some((key, matches.get_one::<String>(key.name)?.clone())))
            .collect();
        Ok(Settings { file: matches.get_one::<PathBuf>(FILE).cloned(), flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Settings::from_arg_matches(matches)?;
        Ok(())
    }
}
