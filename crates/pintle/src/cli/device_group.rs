//! `pintle device-group`: which users see which machines.

use std::process::ExitCode;

use axum::http::Method;
use pintle_store::{DeviceRule, Operator, Row};
use serde_json::Value;

use super::Failure;
use super::administer::Within;
use super::terminal::Table;
use crate::admin::wire;
use crate::auth::device_group::RemediationLevel;

/// Sort machines into groups and say which users see them
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A machine is in the group of the highest rank (1 is the highest) whose rule takes it, and in UnassignedGroup if \
none does. Rows of one property are alternatives; every property that has rows must be met. A group that is given \
to no user group is seen by everybody. The built-in role `Administrator` sees every machine, and so do \
applications, unless `pintle client limit` says otherwise.

Examples:
  pintle device-group preview --if-name starts-with:srv- --if-os WindowsServer2019,WindowsServer2022
  pintle device-group create servers --if-name starts-with:srv- --group server-team --rank 1
  pintle device-group create paris --if-domain ends-with:paris.example.org --if-tag equals:paris
  pintle device-group change paris --take all-analysts
  pintle device-group list")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the device groups by rank, with their rules, machines and who sees them
    List(Within),
    /// Make a device group; machines are in it at once
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        rule: Rule,
        #[command(flatten)]
        within: Within,
    },
    /// Change a device group; what is not named stays
    Change {
        /// The device group, by name or id
        group: String,
        /// Its new name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        about: About,
        /// A user group that is not to see it any more, by name or id; give it several times or part by commas
        #[arg(long, value_name = "GROUP", value_delimiter = ',')]
        take: Vec<String>,
        /// Let everybody see it: no user group is named for it any more
        #[arg(long)]
        everybody: bool,
        #[command(flatten)]
        rule: Rule,
        #[command(flatten)]
        within: Within,
    },
    /// Show which machines a rule would take, without making a group
    Preview {
        #[command(flatten)]
        rule: Rule,
        /// How many of them to name
        #[arg(long, default_value_t = 10)]
        top: usize,
        #[command(flatten)]
        within: Within,
    },
    /// Remove a device group; its machines go to the others
    Delete {
        /// The device group, by name or id
        group: String,
        #[command(flatten)]
        within: Within,
    },
}

/// What there is to say of a device group besides its name and its rule
#[derive(Debug, clap::Args)]
struct About {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Its rank, 1 is the highest; a new one comes last without
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rank: Option<u16>,
    /// A user group that sees it, by name or id; give it several times or part by commas
    #[arg(long = "group", value_name = "GROUP", value_delimiter = ',')]
    give: Vec<String>,
    /// How far threats are remediated: none, semi-all-folders, semi-non-temporary-folders,
    /// semi-core-folders, full. Kept and shown; nothing here remediates
    #[arg(long, value_name = "LEVEL")]
    remediation: Option<RemediationLevel>,
}

/// Which machines it takes. In a change, all of the rule is replaced
#[derive(Debug, clap::Args)]
struct Rule {
    /// The computer's name: starts-with:, ends-with:, equals: or contains: and a text. Give it several times
    /// for alternatives, here as below
    #[arg(id = "if-name", long = "if-name", value_name = "HOW:TEXT", value_parser = row)]
    name: Vec<Row>,
    /// The domain: what stands after the first dot of the computer's name
    #[arg(long = "if-domain", value_name = "HOW:TEXT", value_parser = row)]
    domain: Vec<Row>,
    /// One of its tags
    #[arg(long = "if-tag", value_name = "HOW:TEXT", value_parser = row)]
    tag: Vec<Row>,
    /// Its platform, one of these parted by commas: Windows10, Windows11, WindowsServer2022, Linux, macOS
    #[arg(long = "if-os", value_name = "PLATFORM", value_delimiter = ',')]
    os: Vec<String>,
    /// The group that telemetry names, so that a tenant keeps the groups that it has elsewhere
    #[arg(long = "if-source-group", value_name = "HOW:TEXT", value_parser = row)]
    source_group: Vec<Row>,
}

/// The operators, as they are written.
const OPERATORS: [(&str, Operator); 4] = [
    ("starts-with", Operator::StartsWith),
    ("ends-with", Operator::EndsWith),
    ("equals", Operator::Equals),
    ("contains", Operator::Contains),
];

fn row(text: &str) -> Result<Row, String> {
    let named = text.split_once(':').and_then(|(name, value)| {
        let (_, operator) = OPERATORS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(Row { operator, value: value.to_owned() })
    });
    named.ok_or_else(|| {
        "write it as starts-with:TEXT, ends-with:TEXT, equals:TEXT or contains:TEXT".to_owned()
    })
}

impl Rule {
    /// `None`: none was given.
    fn given(self) -> Option<DeviceRule> {
        let Rule { name, domain, tag, os, source_group } = self;
        let rule = DeviceRule { name, domain, tag, os, source_group };
        (rule != DeviceRule::default()).then_some(rule)
    }

    fn needed(self) -> Result<DeviceRule, Failure> {
        self.given().ok_or_else(|| {
            Failure::Usage(
                "say which machines: --if-name, --if-domain, --if-tag, --if-os or --if-source-group"
                    .to_owned(),
            )
        })
    }
}

impl About {
    fn change(self, name: Option<String>, rule: Option<DeviceRule>) -> wire::DeviceGroupChange {
        let About { description, rank, give, remediation } = self;
        let remediation = remediation.map(|level| level.to_string());
        wire::DeviceGroupChange {
            name,
            description,
            remediation,
            rule,
            rank: rank.map(usize::from),
            give,
            ..Default::default()
        }
    }
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (within, made): (Within, wire::DeviceGroup) = match args.what {
        What::List(within) => {
            let groups: Vec<wire::DeviceGroup> = within.list("device-groups").await?;
            within.print(&groups, |groups| groups.iter().map(shown).collect::<Vec<_>>().join("\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        What::Preview { rule, top, within } => {
            let asked = wire::PreviewAsked { rule: rule.needed()?, top };
            let found: wire::Preview = within.ask(Method::POST, &["preview"], &asked).await?;
            within.print(&found, previewed)?;
            return Ok(ExitCode::SUCCESS);
        }
        What::Create { name, about, rule, within } => {
            let new = about.change(Some(name), Some(rule.needed()?));
            let made = within.ask(Method::POST, &["device-groups"], &new).await?;
            (within, made)
        }
        What::Change { group, name, about, take, everybody, rule, within } => {
            let change = about.change(name, rule.given());
            let change = wire::DeviceGroupChange { take, everybody, ..change };
            let made = within.ask(Method::PATCH, &["device-groups", &group], &change).await?;
            (within, made)
        }
        What::Delete { group, within } => {
            let gone = within.ask(Method::DELETE, &["device-groups", &group], &Value::Null).await?;
            (within, gone)
        }
    };
    within.print(&made, shown)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(group: &wire::DeviceGroup) -> String {
    let mut table = Table::new("<<");
    let rank = group.rank.map_or_else(|| "last: it takes the rest".to_owned(), |rank| rank.to_string());
    table.row(["device group", &group.name]).row(["id", &group.id.to_string()]).row(["rank", &rank]);
    if !group.description.is_empty() {
        table.row(["", &group.description]);
    }
    for (place, row) in rows(&group.rule).iter().enumerate() {
        table.row([if place == 0 { "takes" } else { "and" }, row]);
    }
    let seen_by = if group.groups.is_empty() { "everybody".to_owned() } else { group.groups.join(", ") };
    table.row(["seen by", &seen_by]).row(["remediation", &group.remediation]);
    let moved = group.moved.map_or_else(String::new, |moved| format!(", {moved} moved by this"));
    table.row(["machines", &format!("{}{moved}", group.machines)]);
    table.to_string()
}

/// A line a property.
fn rows(rule: &DeviceRule) -> Vec<String> {
    let how = |operator: Operator| {
        OPERATORS.iter().find(|(_, known)| *known == operator).map_or("", |(name, _)| name).replace('-', " ")
    };
    let any = |rows: &[Row]| {
        rows.iter()
            .map(|row| format!("{} `{}`", how(row.operator), row.value))
            .collect::<Vec<_>>()
            .join(" or ")
    };
    let properties = [
        ("name", any(&rule.name)),
        ("domain", any(&rule.domain)),
        ("tag", any(&rule.tag)),
        ("platform", rule.os.join(" or ")),
        ("source's group", any(&rule.source_group)),
    ];
    properties.iter().filter(|(_, any)| !any.is_empty()).map(|(name, any)| format!("{name} {any}")).collect()
}

fn previewed(found: &wire::Preview) -> String {
    let mut table = Table::new("<<");
    for machine in &found.machines {
        table.row([&machine.id, machine.name.as_deref().unwrap_or("-")]);
    }
    let more = if found.machines.len() < found.matching { ", of which these are the first" } else { "" };
    let machines = if found.matching == 1 { "machine" } else { "machines" };
    format!("{} {machines}{more}\n{table}", found.matching)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_as_it_is_shown() {
        let row = row("Starts-With:srv:1").unwrap();
        assert_eq!((row.operator, row.value.as_str()), (Operator::StartsWith, "srv:1"));
        assert!(super::row("srv-").is_err() && super::row("like:srv").is_err());
        let rule =
            DeviceRule { name: vec![row.clone(), row], os: vec!["Linux".into()], ..Default::default() };
        assert_eq!(rows(&rule), ["name starts with `srv:1` or starts with `srv:1`", "platform Linux"]);
    }
}
