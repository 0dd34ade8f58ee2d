//! `pintle purge`: takes records out as if they had never come.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use axum::http::Method;

use super::long::Bar;
use super::place::DEFAULT_TENANT;
use super::terminal::{Printable, count};
use super::{Failure, Folder};
use crate::socket::wire::{self, PurgePlan, Remade, ToPurge};

/// Take records out of archive and base, as if they had never come
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Shows what is meant and asks before it begins; without --yes and without a terminal to \
ask on, that is all it does. Afterwards every answer is that of a store that never saw the records. A \
server goes on answering and taking telemetry meanwhile. Once begun, a purge is brought to its end, also \
if this command, the server or the machine stops: at the next start then. What went is written to \
purges.jsonl in the data folder, and who asked to the audit log (`pintle audit`).

It needs the whole archive: once archive.max_age or archive.max_bytes has dropped a part of it, nobody \
knows what else the base has from there, and the purge refuses. The archive is written anew, so there \
must be space for another.

--tenant alone takes out everything that a tenant has, and needs the tenant's name once more: typed on \
the terminal, or as --confirm. --yes does not do for that. Its applications stay.

Exit codes:
  0  it is gone
  1  there was nothing to take out, or it failed
  2  the command line is wrong, or nobody confirmed

Examples:
  pintle purge --batch 3f9a0c1d2b4e
  pintle purge --source export-2026-01.json.gz --yes
  pintle purge --user 'CORP\\jdoe' --tenant acme
  pintle purge --before 2025-01-01 --yes
  pintle purge --tenant acme --confirm acme"
)]
pub struct Args {
    #[command(flatten)]
    kind: Kind,
    /// The tenant whose records they are, by name or id; alone, all that it has. Default with one of
    /// the others: the tenant `default`
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// The name of the tenant of which everything is to go
    #[arg(long, value_name = "TENANT", conflicts_with_all = ["batch", "source", "machine", "user", "before"])]
    confirm: Option<String>,
    #[command(flatten)]
    folder: Folder,
    /// Print what went as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Kind {
    /// One batch: its id as `pintle batches` shows it, or the first 8 digits or more
    #[arg(long, value_name = "ID")]
    batch: Option<String>,
    /// All telemetry that came from a source of exactly this name; what people changed stays
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// All that is about a machine, and what was kept aside and names its id
    #[arg(long, value_name = "ID-OR-NAME")]
    machine: Option<String>,
    /// All that names a user: by name, DOMAIN\name, SID, object id or principal name
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// All that happened before: 2026-01-31, 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
}

impl Kind {
    fn named(self) -> Option<ToPurge> {
        let Kind { batch, source, machine, user, before } = self;
        None.or(batch.map(ToPurge::Batch))
            .or(source.map(ToPurge::Source))
            .or(machine.map(ToPurge::Machine))
            .or(user.map(ToPurge::User))
            .or(before.map(ToPurge::Before))
    }
}

/// What makes a purge begin.
#[derive(Debug, PartialEq)]
enum Consent {
    /// It was given with the command.
    Given,
    /// Any yes will do.
    Yes,
    /// Only this tenant's name will do.
    Name,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let (asked, consent) = asked(args.kind.named(), args.tenant, args.yes, args.confirm.as_deref())?;
    let session = args.folder.find().await?;
    let plan: PurgePlan = session.client.call(Method::POST, "/purge/plan", &asked).await?;
    // Standard error may be closed; then there is no terminal to answer on either, and only --yes goes on.
    let _ = write!(io::stderr(), "{}", described(&plan));
    if let Some(confirmed) = &args.confirm
        && *confirmed != plan.tenant
    {
        return Err(Failure::Usage(format!(
            "--confirm must be the tenant's name: {}",
            Printable(&plan.tenant)
        )));
    }
    confirm(consent, &plan)?;
    let bar = Bar::new("read again");
    let mut come = |come| bar.show(come);
    let purged = session.client.long(Method::POST, "/purge", &plan.purge, &mut come).await;
    bar.clear();
    session.end().await;
    let purged: Remade = purged?;
    super::print(&if args.json { super::json(&purged)? } else { told(&purged) })?;
    let is_any = purged.records + purged.kept_aside > 0;
    Ok(if is_any { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is to be asked for, and what is still needed for it to begin.
fn asked(
    kind: Option<ToPurge>,
    tenant: Option<String>,
    yes: bool,
    confirm: Option<&str>,
) -> Result<(wire::PurgeAsked, Consent), Failure> {
    match (kind, tenant) {
        (Some(what), tenant) => {
            let tenant = tenant.unwrap_or_else(|| DEFAULT_TENANT.to_owned());
            Ok((wire::PurgeAsked { tenant, what }, if yes { Consent::Given } else { Consent::Yes }))
        }
        (None, Some(tenant)) => {
            let consent = match (confirm, yes) {
                (Some(_), _) => Consent::Given,
                (None, false) => Consent::Name,
                // As from a script whose own option came out empty.
                (None, true) => {
                    return Err(Failure::Usage(
                        "--tenant alone takes out everything that it has, for which --yes does not do: \
                         add --batch, --source, --machine, --user or --before, or --confirm with the \
                         tenant's name"
                            .to_owned(),
                    ));
                }
            };
            Ok((wire::PurgeAsked { tenant, what: ToPurge::Tenant }, consent))
        }
        (None, None) => Err(Failure::Usage(
            "say what is to go: --batch, --source, --machine, --user, --before, or --tenant for all of one"
                .to_owned(),
        )),
    }
}

fn described(plan: &PurgePlan) -> String {
    let mut text =
        format!("to be taken out of tenant {}: {}\n", Printable(&plan.tenant), Printable(&plan.meant));
    if let Some(size) = plan.size {
        text.push_str(&format!(
            "  {} records in {} batches, and {} kept aside\n",
            count(size.records),
            count(size.batches),
            count(size.kept_aside)
        ));
    }
    text
}

fn confirm(consent: Consent, plan: &PurgePlan) -> Result<(), Failure> {
    let (question, option) = match consent {
        Consent::Given => return Ok(()),
        Consent::Yes => ("This cannot be undone. Go on? [y/N] ", "--yes".to_owned()),
        Consent::Name => (
            "This cannot be undone. To go on, type the name of the tenant: ",
            format!("--confirm {}", Printable(&plan.tenant)),
        ),
    };
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("nothing was purged: nobody can be asked, so add {option}")));
    }
    let mut answer = String::new();
    write!(io::stderr(), "{question}")?;
    io::stdin().lock().read_line(&mut answer)?;
    if is_consent(&consent, answer.trim(), &plan.tenant) {
        Ok(())
    } else {
        Err(Failure::With(2, "nothing was purged".to_owned()))
    }
}

fn is_consent(consent: &Consent, answer: &str, tenant: &str) -> bool {
    match consent {
        Consent::Given => true,
        Consent::Yes => answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"),
        Consent::Name => answer == tenant,
    }
}

fn told(purged: &Remade) -> String {
    let Remade { records, kept_aside, batches, records_left, seconds, .. } = purged;
    if records + kept_aside == 0 {
        return "there was nothing to take out\n".to_owned();
    }
    format!(
        "{} records and {} kept aside were taken out, {} batches whole, in {seconds:.1} s; {} records stay\n",
        count(*records),
        count(*kept_aside),
        count(*batches),
        count(*records_left)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_goes_by_mistake() {
        let refused = |tenant: Option<&str>, yes, confirm| {
            let refused = asked(None, tenant.map(str::to_owned), yes, confirm);
            matches!(refused, Err(Failure::Usage(_)))
        };
        assert!(refused(None, false, None) && refused(None, true, None) && refused(None, true, Some("acme")));
        assert!(refused(Some("acme"), true, None));
        let (whole, consent) = asked(None, Some("acme".to_owned()), false, None).unwrap();
        assert!(matches!(whole.what, ToPurge::Tenant));
        assert_eq!(consent, Consent::Name);
        assert!(["y", "yes", "", "acm", "ACME"].iter().all(|answer| !is_consent(&consent, answer, "acme")));
        assert!(is_consent(&consent, "acme", "acme"));
    }

    #[test]
    fn what_else_goes_is_of_the_named_tenant_and_takes_a_yes() {
        let batch = || Some(ToPurge::Batch("3f9a0c1d".to_owned()));
        let (of_default, consent) = asked(batch(), None, false, None).unwrap();
        assert_eq!((of_default.tenant.as_str(), &consent), ("default", &Consent::Yes));
        assert!(is_consent(&consent, "Y", "default") && !is_consent(&consent, "", "default"));
        let (of_acme, consent) = asked(batch(), Some("acme".to_owned()), true, None).unwrap();
        assert_eq!((of_acme.tenant.as_str(), consent), ("acme", Consent::Given));
        assert!(matches!(of_acme.what, ToPurge::Batch(_)));
    }
}
