//! Campaigns: one malicious file on several machines, what it leaves there, and the alerts that
//! are raised. Drawn before anything else, so that their ids and files are the same whatever day
//! the telemetry ends on.

use std::sync::Arc;
use std::time::Duration;

use pintle_model::shapes::{alert, evidence};
use pintle_model::{Alert, Evidence, Facts, MemberId, Record, Time};
use serde_json::json;

use super::Law;
use super::chance::Chance;
use super::file::{Draft, File, Kind};
use super::machine::Machine;
use super::rows::{Verb, network_row, seen_row};
use super::words::{self, Story};

/// A machine that a campaign reaches.
pub(super) struct Hit {
    pub(super) machine: usize,
    /// How far before the end of the window.
    pub(super) before_end: Duration,
    story: Story,
    /// The malicious file, then what it brought along.
    files: Vec<Arc<File>>,
    alert: Option<Raised>,
}

/// An alert that a hit raised.
struct Raised {
    id: String,
    number: i64,
    status: &'static str,
    /// Whether each file but the first was hashed with SHA-1 as well.
    sha1: Vec<bool>,
}

/// Draws campaigns until as many alerts are raised as asked for. On a machine without an alert a
/// campaign has to be looked for by hand, which is what Pintle is for.
pub(super) fn draw(law: &Law) -> Vec<Hit> {
    let mut hits = Vec::new();
    let (mut raised, mut campaign) = (0, 0);
    while raised < law.alerts && law.machines > 0 {
        let mut chance = Chance::of(law.seed, "campaign", campaign);
        let story = words::STORIES.get(campaign % words::STORIES.len().max(1)).copied().unwrap_or_default();
        let malicious = malicious(law, story, campaign, &mut chance);
        let day = Duration::from_secs(24 * 3600);
        let begins = day.mul_f64(chance.unit() * (law.days as f64 * 0.75));
        for (nth, machine) in reached(law.machines, &mut chance).into_iter().enumerate() {
            let mut files = vec![Arc::clone(&malicious)];
            let mut sha1 = Vec::new();
            // 1 + Poisson(0.9) files an alert, 5 % of them without SHA-1.
            for extra in 0..chance.poisson(0.9) {
                files.push(dropped(law, story, campaign, machine, extra, &mut chance));
                sha1.push(!chance.happens(0.05));
            }
            let alert = (nth < law.alerts_a_campaign() && raised < law.alerts).then(|| {
                raised += 1;
                Raised {
                    id: format!(
                        "da{}_-{}",
                        chance.between(637_000_000_000_000_000, 639_999_999_999_999_999),
                        chance.between(100_000_000, 2_147_483_647)
                    ),
                    number: raised as i64,
                    status: chance.pick(&["New", "New", "InProgress", "Resolved"]),
                    sha1,
                }
            });
            let spread = day.mul_f64(chance.unit().powi(2) * (law.days as f64 * 0.2));
            let before_end = (day.mul_f64(law.days as f64 * 0.97)).saturating_sub(begins + spread);
            hits.push(Hit { machine, before_end, story, files, alert });
        }
        campaign += 1;
    }
    hits
}

fn reached(machines: usize, chance: &mut Chance) -> Vec<usize> {
    let mut all: Vec<usize> = (0..machines).collect();
    (0..chance.reach(machines)).map(|_| all.swap_remove(chance.below(all.len()))).collect()
}

fn malicious(law: &Law, story: Story, campaign: usize, chance: &mut Chance) -> Arc<File> {
    Draft {
        kind: Kind::Program,
        name: story.file.to_owned(),
        folder: "C:\\Users\\Public\\Downloads".to_owned(),
        product: "",
        version: String::new(),
        signer: None,
        mark: format!("{} campaign {campaign}", law.seed),
    }
    .file(chance)
}

fn dropped(
    law: &Law,
    story: Story,
    campaign: usize,
    machine: usize,
    extra: usize,
    chance: &mut Chance,
) -> Arc<File> {
    // Half of what a campaign drops is the same everywhere, half is made anew on each machine.
    let place = if chance.happens(0.5) { String::new() } else { format!("on {machine}") };
    let name = if extra == 0 { story.dropped.to_owned() } else { format!("{extra}-{}", story.dropped) };
    Draft {
        kind: if name.ends_with(".dll") { Kind::Library } else { Kind::Document },
        name,
        folder: "C:\\ProgramData\\Cache".to_owned(),
        product: "",
        version: String::new(),
        signer: None,
        mark: format!("{} campaign {campaign} {extra} {place}", law.seed),
    }
    .file(chance)
}

impl Hit {
    /// The hash and the alert's id that show the two questions best: the malicious file of a hit
    /// that raised an alert.
    pub(super) fn example(&self) -> Option<(&str, &str)> {
        Some((&self.alert.as_ref()?.id, &self.files.first()?.sha1))
    }

    /// The files that it leaves on the machine.
    pub(super) fn files(&self) -> &[Arc<File>] {
        &self.files
    }

    /// What was seen: the file arrives, runs, leaves others behind and calls home.
    pub(super) fn events(&self, machine: &mut Machine, end: Time, by: &Arc<File>) -> Vec<(Time, Record)> {
        let start = end - self.before_end;
        let Some((malicious, brought)) = self.files.split_first() else {
            return Vec::new();
        };
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let mut events = vec![
            (after(0), seen_row(machine, after(0), Verb::Created, malicious, by, true)),
            (after(40), seen_row(machine, after(40), Verb::Ran, malicious, by, true)),
        ];
        for (nth, file) in (0u64..).zip(brought) {
            let at = after(45 + nth);
            events.push((at, seen_row(machine, at, Verb::Created, file, malicious, true)));
        }
        events.push((after(60), network_row(machine, after(60), malicious)));
        events
    }

    /// How many events [`Hit::events`] gives.
    pub(super) fn event_count(&self) -> usize {
        self.files.len() + 2
    }

    /// The alert, if one was raised.
    pub(super) fn alert(&self, machine: &Machine, end: Time, by: &File) -> Option<(Time, Record)> {
        let raised = self.alert.as_ref()?;
        let start = end - self.before_end;
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let (created, updated) = (after(180), after(900));
        let resolved = raised.status == "Resolved";

        let mut facts = Facts::default();
        {
            let mut text = |member, value: &str| facts.note_text(member, updated, Some(value));
            text(alert::ID, &raised.id);
            text(alert::SEVERITY, self.story.severity);
            text(alert::STATUS, raised.status);
            text(
                alert::INVESTIGATION_STATE,
                if resolved { "SuccessfullyRemediated" } else { "PendingApproval" },
            );
            text(alert::DETECTION_SOURCE, "WindowsDefenderAtp");
            text(alert::CATEGORY, self.story.category);
            text(alert::TITLE, self.story.title);
            text(alert::DESCRIPTION, self.story.description);
            text(alert::MACHINE_ID, &machine.id);
            text(alert::COMPUTER_DNS_NAME, &machine.name);
            text(alert::RBAC_GROUP_NAME, machine.group);
            if resolved {
                text(alert::CLASSIFICATION, "TruePositive");
                text(alert::DETERMINATION, "Malware");
            }
        }
        for (member, time) in [
            (alert::ALERT_CREATION_TIME, Some(created)),
            (alert::FIRST_EVENT_TIME, Some(after(0))),
            (alert::LAST_EVENT_TIME, Some(after(60))),
            (alert::LAST_UPDATE_TIME, Some(updated)),
            (alert::RESOLVED_TIME, resolved.then_some(updated)),
        ] {
            facts.note_time(member, updated, time);
        }
        facts.note_plain(alert::INCIDENT_ID, updated, Some(raised.number));
        facts.note_plain(alert::INVESTIGATION_ID, updated, Some(raised.number));
        let user = json!({ "userName": machine.account, "domainName": words::ACCOUNT_DOMAIN });
        facts.note(alert::RELATED_USER, updated, user.to_string());
        facts.note(alert::MITRE_TECHNIQUES, updated, json!(self.story.techniques).to_string());
        facts.note(
            alert::LOGGED_ON_USERS,
            updated,
            json!([{
                "accountName": machine.account, "domainName": words::ACCOUNT_DOMAIN,
            }])
            .to_string(),
        );
        facts.note(alert::COMMENTS, updated, "[]");

        let id = raised.id.parse().ok()?;
        let evidence = self.evidence(raised, machine, start, created, by);
        Some((created, Record::Alert(Alert { id, facts, evidence })))
    }

    fn evidence(
        &self,
        raised: &Raised,
        machine: &Machine,
        start: Time,
        created: Time,
        by: &File,
    ) -> Vec<Evidence> {
        let piece = |entity: &str, texts: &[(MemberId, &str)]| {
            let mut facts = Facts::default();
            facts.note_text(evidence::ENTITY_TYPE, created, Some(entity));
            facts.note_time(evidence::EVIDENCE_CREATION_TIME, created, Some(created));
            for (member, text) in texts {
                facts.note_text(*member, created, Some(text));
            }
            Evidence(facts)
        };
        let hashed = |entity: &str, file: &File, with_sha1: bool| {
            piece(
                entity,
                &[
                    (evidence::SHA1, if with_sha1 { &file.sha1 } else { "" }),
                    (evidence::SHA256, &file.sha256),
                    (evidence::FILE_NAME, &file.name),
                    (evidence::FILE_PATH, file.folder()),
                    (evidence::DETECTION_STATUS, "Detected"),
                ],
            )
        };
        let account = [
            (evidence::ACCOUNT_NAME, machine.account.as_str()),
            (evidence::DOMAIN_NAME, words::ACCOUNT_DOMAIN),
            (evidence::USER_SID, &machine.sid),
        ];
        let mut all = Vec::new();
        if let Some((malicious, brought)) = self.files.split_first() {
            all.push(hashed("File", malicious, true));
            for (file, with_sha1) in brought.iter().zip(&raised.sha1) {
                all.push(hashed("File", file, *with_sha1));
            }
            let mut ran = hashed("Process", malicious, true);
            let ran_at = start + Duration::from_secs(40);
            ran.0.note_text(
                evidence::PROCESS_COMMAND_LINE,
                created,
                Some(&format!("\"{}\"", malicious.path)),
            );
            ran.0.note_plain(evidence::PROCESS_ID, created, Some(4000 + raised.number));
            ran.0.note_time(evidence::PROCESS_CREATION_TIME, created, Some(ran_at));
            ran.0.note_text(evidence::PARENT_PROCESS_FILE_NAME, created, Some(&by.name));
            ran.0.note_text(evidence::PARENT_PROCESS_FILE_PATH, created, Some(by.folder()));
            for (member, text) in account {
                ran.0.note_text(member, created, Some(text));
            }
            all.push(ran);
        }
        let mut user = piece("User", &account);
        let principal = format!("{}@{}", machine.account, words::DOMAIN);
        user.0.note_text(evidence::USER_PRINCIPAL_NAME, created, Some(&principal));
        all.push(user);
        all
    }
}
