//! The command line: one command a file. Exit codes: 0 all well, 1 it failed (or `search` found
//! nothing), 2 wrong usage, 5 done in part.

pub mod config;
pub mod serve;
pub mod settings;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All well.
    Done,
    /// It failed, or there was nothing to be found.
    Failed,
    /// The command line or the settings make no sense.
    Usage,
    /// Done, but for some of it.
    Partly,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Partly => 5,
        })
    }
}

/// Answers endpoint-investigation questions over the Defender for Endpoint API.
#[derive(Parser)]
#[command(name = "pintle", version, arg_required_else_help = true)]
struct Pintle {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Config(config::Config),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Pintle::parse().command {
        Command::Config(command) => command.run(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::keys::KEYS;

    #[derive(Parser)]
    struct Serving {
        #[command(flatten)]
        serve: serve::Serve,
    }

    #[test]
    fn the_command_line_is_sound_and_has_a_flag_for_every_key() {
        Pintle::command().debug_assert();
        let mut serving = Serving::command();
        serving.clone().debug_assert();
        let help = serving.render_long_help().to_string();
        for key in KEYS {
            let flag = key.flag.unwrap();
            assert!(help.contains(&format!("--{flag} ")), "{flag}");
        }
    }
}
