//! The command line: one command a file. All have the same exit codes; a command that means
//! something more by them lists its own.

mod administer;
pub mod alerts;
pub mod audit;
pub mod backup;
pub mod batches;
pub mod check;
pub mod client;
pub mod config;
pub mod decode;
pub mod dev;
pub mod device_group;
pub mod explain;
mod failure;
pub mod generate;
pub mod group;
pub mod ingest;
pub mod inlet;
pub mod key;
mod listing;
mod long;
pub mod machine_rule;
pub mod machines;
mod opening;
mod place;
pub mod pull;
pub mod purge;
pub mod rebuild;
pub mod rejects;
pub mod restore;
pub mod retention;
pub mod role;
pub mod search;
pub mod serve;
pub mod settings;
pub mod sources;
pub mod tenant;
mod terminal;
pub mod user;
pub mod verify;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, TypedValueParser};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use pintle_ingest::{Decoder, Decoders};

use crate::{memory, worker};

pub use failure::Failure;
pub(crate) use failure::{json, print};
pub use listing::Listing;
pub use place::{Folder, Place, Where};

const AFTER_HELP: &str =
    "Start with `pintle dev`. While a server owns a data folder, commands go through the server.";

/// For commands that do not list their own.
const EXIT_CODES: &str = "Exit codes:
  0  all well
  1  it failed
  2  the command line or the settings are wrong";

/// The command line, with exit codes in the help of every command.
fn command_line() -> clap::Command {
    fn explained(command: clap::Command) -> clap::Command {
        if command.has_subcommands() {
            return command.mut_subcommands(explained);
        }
        let more = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        match more.as_str() {
            more if more.contains("Exit codes:") => command,
            "" => command.after_long_help(EXIT_CODES),
            more => command.after_long_help(format!("{EXIT_CODES}\n\n{more}")),
        }
    }
    explained(Pintle::command())
}

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
#[command(name = "pintle", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Pintle {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Dev(dev::Args),
    Generate(generate::Args),
    Serve(serve::Serve),
    Ingest(ingest::Args),
    Decode(decode::Args),
    Search(search::Args),
    Alerts(alerts::Args),
    Machines(machines::Args),
    Rejects(rejects::Args),
    Batches(batches::Args),
    Sources(sources::Args),
    Pull(pull::Args),
    Purge(purge::Args),
    Retention(retention::Args),
    Tenant(tenant::Args),
    Client(client::Args),
    Inlet(inlet::Args),
    User(user::Args),
    Group(group::Args),
    Role(role::Args),
    DeviceGroup(device_group::Args),
    MachineRule(machine_rule::Args),
    Explain(explain::Args),
    Key(key::Args),
    Audit(audit::Args),
    Check(check::Args),
    Backup(backup::Args),
    Verify(verify::Args),
    Restore(restore::Args),
    Rebuild(rebuild::Args),
    Config(config::Config),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    memory::give_back();
    // Before anything else is made ready: it is started for every input that is not text.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == worker::COMMAND) {
        return worker::main(arguments);
    }
    let matches = command_line().get_matches();
    let pintle = Pintle::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match pintle.command {
        Command::Dev(args) => run(dev::run(args)),
        Command::Generate(args) => args.run().unwrap_or_else(Failure::report),
        Command::Serve(command) => command.run(opening::open).into(),
        Command::Ingest(args) => run(ingest::run(args)),
        Command::Decode(args) => decode::run(&args).unwrap_or_else(Failure::report),
        Command::Search(args) => run(search::run(args)),
        Command::Alerts(args) => run(alerts::run(args)),
        Command::Machines(args) => run(machines::run(args)),
        Command::Rejects(args) => run(rejects::run(args)),
        Command::Batches(args) => run(batches::run(args)),
        Command::Sources(args) => run(sources::run(args)),
        Command::Pull(args) => run(pull::run(args)),
        Command::Purge(args) => run(purge::run(args)),
        Command::Retention(args) => run(retention::run(args)),
        Command::Tenant(args) => run(tenant::run(args)),
        Command::Client(args) => run(client::run(args)),
        Command::Inlet(args) => run(inlet::run(args)),
        Command::User(args) => run(user::run(args)),
        Command::Group(args) => run(group::run(args)),
        Command::Role(args) => run(role::run(args)),
        Command::DeviceGroup(args) => run(device_group::run(args)),
        Command::MachineRule(args) => run(machine_rule::run(args)),
        Command::Explain(args) => run(explain::run(args)),
        Command::Key(args) => run(key::run(args)),
        Command::Audit(args) => run(audit::run(args)),
        Command::Check(args) => run(check::run(args)),
        Command::Backup(args) => run(backup::run(args)),
        Command::Verify(args) => run(verify::run(args)),
        Command::Restore(args) => run(restore::run(args)),
        Command::Rebuild(args) => run(rebuild::run(args)),
        Command::Config(command) => command.run().into(),
    }
}

fn run(command: impl Future<Output = Result<ExitCode, Failure>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Failed(format!("cannot start threads: {error}")).report(),
    };
    let ended = runtime.block_on(command).unwrap_or_else(Failure::report);
    // Standard input may still be waited for by a thread that cannot be woken.
    runtime.shutdown_background();
    ended
}

/// A format's name, as `--format` takes it. Help tells those that come with Pintle; whoever owns the data
/// folder may have more.
#[derive(Clone)]
struct FormatName;

impl TypedValueParser for FormatName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        NonEmptyStringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let named = |decoder: Decoder| {
            PossibleValue::new(decoder.name().to_owned()).help(decoder.description().to_owned())
        };
        Some(Box::new(Decoders::default().iter().map(named).collect::<Vec<_>>().into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::KEYS;

    #[derive(Parser)]
    struct Serving {
        #[command(flatten)]
        serve: serve::Serve,
    }

    #[test]
    fn no_command_asks_for_a_stopped_server() {
        fn check(command: &mut clap::Command) {
            let help = command.render_long_help().to_string();
            let asks = ["stop it first", "server stopped", "stop the server"];
            assert!(!asks.iter().any(|words| help.contains(words)), "{}: {help}", command.get_name());
            command.get_subcommands_mut().for_each(check);
        }
        let mut line = command_line();
        assert!(line.render_long_help().to_string().contains("commands go through the server"));
        check(&mut line);
    }

    #[test]
    fn no_command_has_the_name_that_makes_a_worker() {
        assert!(command_line().find_subcommand(worker::COMMAND).is_none());
    }

    #[test]
    fn every_command_says_how_it_exits() {
        fn check(command: &clap::Command) {
            command.get_subcommands().for_each(check);
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            let codes = help.matches("Exit codes:").count();
            assert_eq!(codes, usize::from(!command.has_subcommands()), "{}: {help}", command.get_name());
        }
        check(&command_line());
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
