//! `pintle machine-rule`: which machines are one.

use std::process::ExitCode;

use axum::http::Method;
use pintle_model::MachineId;
use pintle_store::{MachineKind, MachineRule, SameMachines, SameNames};
use serde_json::Value;

use super::Failure;
use super::administer::Within;
use super::terminal::{Printable, Table};
use crate::admin::wire;

/// Say which machines that several sources know are one
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A source that knows a machine by its name and one that has an id of its own tell of two machines. A rule makes \
them one, with all that is known of either: lists and counts have it once, and each of its ids finds it. It goes by \
the id that its rule says, else by Defender's, else by the smallest.

With --machine the ids are one because you say so. With --by-name machines are one that have the same full name, \
whatever the case, and are known by different kinds of source: Defender's id, an agent's id, the name alone. Where \
there is more than one of a kind nothing is joined; `preview` says which and why. Machines of an inlet's \
namespace are joined by their ids alone. A rule that is changed \
or deleted leaves nothing behind: every machine is again what its source says.

Examples:
  pintle machine-rule preview --by-name
  pintle machine-rule create by-name --by-name --suffix corp.example.org
  pintle machine-rule create ws5 --machine 4f1c…,98be… --canonical 4f1c…
  pintle machine-rule joined --machine ws5.corp.example.org
  pintle machine-rule delete by-name")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the rules, with how many machines are one by each
    List(Within),
    /// Make a rule; it counts at once
    Create {
        /// Its name
        name: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        rule: Rule,
        #[command(flatten)]
        within: Within,
    },
    /// Change a rule; what is not named stays, and what it says is replaced as a whole
    Change {
        /// The rule, by name or id
        which: String,
        /// Its new name
        #[arg(long)]
        name: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        rule: Rule,
        #[command(flatten)]
        within: Within,
    },
    /// Show which machines a rule would make one beside the others, and which it would not and why
    Preview {
        #[command(flatten)]
        rule: Rule,
        /// The rule in whose place it would be, by name or id
        #[arg(long, value_name = "RULE")]
        instead_of: Option<String>,
        /// How many machines to name
        #[arg(long, default_value_t = 10)]
        top: usize,
        #[command(flatten)]
        within: Within,
    },
    /// Show the machines of several ids, with the rules that made them
    Joined {
        /// Only this machine, by any of its ids or by name
        #[arg(long, value_name = "MACHINE")]
        machine: Option<String>,
        /// Only those by this rule, by name or id
        #[arg(long, value_name = "RULE")]
        rule: Option<String>,
        /// How many machines to name
        #[arg(long, default_value_t = 10)]
        top: usize,
        #[command(flatten)]
        within: Within,
    },
    /// Delete a rule; machines that are one by it alone are several again
    Delete {
        /// The rule, by name or id
        which: String,
        #[command(flatten)]
        within: Within,
    },
}

/// Which machines are one
#[derive(Debug, clap::Args)]
struct Rule {
    /// Ids that are one machine; give it several times or part by commas
    #[arg(long = "machine", value_name = "ID", value_delimiter = ',', conflicts_with = "by_name")]
    machines: Vec<MachineId>,
    /// The one of them by which the machine goes
    #[arg(long, value_name = "ID", requires = "machines")]
    canonical: Option<MachineId>,
    /// Machines of different kinds of source with the same full name
    #[arg(long)]
    by_name: bool,
    /// Only names that end so: a domain
    #[arg(long, value_name = "DOMAIN", requires = "by_name")]
    suffix: Option<String>,
    /// A name without a domain stands for the one machine whose full name begins so
    #[arg(long, requires = "by_name")]
    short: bool,
}

impl Rule {
    /// `None`: none was given.
    fn given(self) -> Option<MachineRule> {
        let Rule { machines: ids, canonical, by_name, suffix, short } = self;
        match by_name {
            true => Some(MachineRule::Names(SameNames { suffix, short })),
            false if ids.is_empty() => None,
            false => Some(MachineRule::Machines(SameMachines { ids, canonical })),
        }
    }

    fn needed(self) -> Result<MachineRule, Failure> {
        self.given().ok_or_else(|| {
            Failure::Usage("say which machines are one: --machine with their ids, or --by-name".to_owned())
        })
    }
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (within, made): (Within, wire::MachineRule) = match args.what {
        What::List(within) => {
            let rules: Vec<wire::MachineRule> = within.list("machine-rules").await?;
            within.print(&rules, |rules| rules.iter().map(shown).collect::<Vec<_>>().join("\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        What::Preview { rule, instead_of, top, within } => {
            let asked = wire::JoinPreviewAsked { rule: rule.needed()?, instead_of, top };
            let found: wire::JoinPreview =
                within.ask(Method::POST, &["joined-machines", "preview"], &asked).await?;
            within.print(&found, previewed)?;
            return Ok(ExitCode::SUCCESS);
        }
        What::Joined { machine, rule, top, within } => {
            let asked = wire::JoinedAsked { machine, rule, top };
            let found: wire::Joined = within.ask(Method::POST, &["joined-machines"], &asked).await?;
            within.print(&found, |found| joined(found.matching, &found.machines))?;
            return Ok(ExitCode::SUCCESS);
        }
        What::Create { name, description, rule, within } => {
            let new = wire::MachineRuleChange { name: Some(name), description, rule: Some(rule.needed()?) };
            let made = within.ask(Method::POST, &["machine-rules"], &new).await?;
            (within, made)
        }
        What::Change { which, name, description, rule, within } => {
            let change = wire::MachineRuleChange { name, description, rule: rule.given() };
            let made = within.ask(Method::PATCH, &["machine-rules", &which], &change).await?;
            (within, made)
        }
        What::Delete { which, within } => {
            let gone = within.ask(Method::DELETE, &["machine-rules", &which], &Value::Null).await?;
            (within, gone)
        }
    };
    within.print(&made, shown)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(rule: &wire::MachineRule) -> String {
    let mut table = Table::new("<<");
    table.row(["machine rule", &rule.name]).row(["id", &rule.id.to_string()]);
    if !rule.description.is_empty() {
        table.row(["", &rule.description]);
    }
    for (place, line) in says(&rule.rule).iter().enumerate() {
        table.row([if place == 0 { "one are" } else { "" }, line]);
    }
    table.row(["machines", &rule.machines.to_string()]);
    table.to_string()
}

/// What a rule says, a line each.
fn says(rule: &MachineRule) -> Vec<String> {
    match rule {
        MachineRule::Machines(SameMachines { ids, canonical }) => {
            let goes_by =
                |id: &MachineId| if canonical.as_ref() == Some(id) { ", by which it goes" } else { "" };
            ids.iter().map(|id| format!("{id}{}", goes_by(id))).collect()
        }
        MachineRule::Names(SameNames { suffix, short }) => {
            let within = suffix.as_ref().map(|suffix| format!(" in `{suffix}`")).unwrap_or_default();
            let short = if *short { ", or its part before the first dot" } else { "" };
            vec![format!("machines of one full name{within}{short}")]
        }
    }
}

fn joined(matching: usize, machines: &[wire::JoinedMachine]) -> String {
    let mut text = count(matching, machines.len(), "machine", "of several ids");
    for machine in machines {
        text.push_str(&format!("\n{} by {}\n", Printable(&machine.id), Printable(&machine.rules.join(", "))));
        text.push_str(&members(&machine.members));
    }
    text
}

fn previewed(found: &wire::JoinPreview) -> String {
    let mut text = joined(found.matching, &found.machines);
    if found.refused > 0 {
        text.push('\n');
        text.push_str(&count(found.refused, found.refusals.len(), "name", "of which nothing comes"));
        for refusal in &found.refusals {
            text.push_str(&format!("\n{}: {}\n", Printable(&refusal.name), refusal.why));
            text.push_str(&members(&refusal.machines));
        }
    }
    for id in &found.unknown {
        text.push_str(&format!("\nno machine is known as {}\n", Printable(id)));
    }
    text
}

fn count(all: usize, told: usize, what: &str, how: &str) -> String {
    let more = if told < all { ", of which these are the first" } else { "" };
    let plural = if all == 1 { "" } else { "s" };
    format!("{all} {what}{plural} {how}{more}\n")
}

fn members(members: &[wire::MachineMember]) -> String {
    let mut table = Table::new("<<<<");
    for wire::MachineMember { id, name, kind, last_seen } in members {
        let kind = match kind {
            MachineKind::Defender => "Defender",
            MachineKind::Agent => "agent",
            MachineKind::Name => "by its name",
        };
        table.row([
            &format!("  {id}"),
            name.as_deref().unwrap_or("-"),
            kind,
            last_seen.as_deref().unwrap_or("-"),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_told_as_it_is_given() {
        let given = |arguments: &[&str]| {
            use clap::Parser;
            #[derive(Parser)]
            struct Line {
                #[command(flatten)]
                rule: Rule,
            }
            let line = Line::try_parse_from([&["pintle"], arguments].concat()).ok()?;
            line.rule.given()
        };
        let rule = given(&["--machine", "a,b", "--canonical", "b"]).unwrap();
        assert_eq!(says(&rule), ["a", "b, by which it goes"]);
        let rule = given(&["--by-name", "--suffix", "example.org", "--short"]).unwrap();
        assert_eq!(
            says(&rule),
            ["machines of one full name in `example.org`, or its part before the first dot"]
        );
        for none in [&["--short"][..], &["--by-name", "--machine", "a"], &["--canonical", "a"], &[]] {
            assert_eq!(given(none), None, "{none:?}");
        }
    }
}
