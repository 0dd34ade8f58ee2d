//! All answers of a store as bytes: two stores that hold the same say the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pintle_model::{AlertId, FileHash, TenantId, Time};
use pintle_store::{Options, Page, Scope, Store};

use crate::report::{Outcome, While};

/// Something to ask a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// How much there is.
    Totals,
    /// All machines.
    Machines,
    /// All alerts.
    Alerts,
    /// Files whose hashes do not belong together.
    Conflicts,
    /// What was kept aside.
    Rejects,
    /// One machine, by id or name.
    Machine(String),
    /// One file, by any hash.
    File(String),
    /// Its machines.
    FileMachines(String),
    /// The same with times.
    FileSightings(String),
    /// One alert.
    Alert(String),
    /// Its files.
    AlertFiles(String),
}

impl Question {
    /// Everything about these, and everything that is asked about nothing.
    pub fn about(
        files: impl IntoIterator<Item = String>,
        machines: impl IntoIterator<Item = String>,
        alerts: impl IntoIterator<Item = String>,
    ) -> Vec<Question> {
        use Question::*;
        let mut questions = vec![Totals, Machines, Alerts, Conflicts, Rejects];
        questions.extend(Question::about_single(files, machines, alerts));
        questions
    }

    /// Everything about these and nothing else.
    pub fn about_single(
        files: impl IntoIterator<Item = String>,
        machines: impl IntoIterator<Item = String>,
        alerts: impl IntoIterator<Item = String>,
    ) -> Vec<Question> {
        use Question::*;
        let mut questions = Vec::new();
        for hash in files {
            questions.extend([File(hash.clone()), FileMachines(hash.clone()), FileSightings(hash)]);
        }
        questions.extend(machines.into_iter().map(Machine));
        questions.extend(alerts.into_iter().flat_map(|id| [Alert(id.clone()), AlertFiles(id)]));
        questions
    }
}

/// What a store says: bytes, or why it cannot say it.
pub type Answers = BTreeMap<Question, Result<Vec<u8>, String>>;

/// Options whose clock stands still, so that no answer depends on when it is given.
pub fn options() -> Options {
    let now = Time::parse("2026-01-20T00:00:00Z");
    Options { clock: Arc::new(move || now.unwrap_or(Time::from_unix_seconds(0))), ..Options::default() }
}

/// Asks a folder that nobody owns, without a server between.
pub fn of_folder(data: &Path, tenant: TenantId, questions: &[Question]) -> Outcome<Answers> {
    let store = Store::open(data, options()).during(format!("opening {}", data.display()))?;
    Ok(of(&store, tenant, questions))
}

/// Asks a store.
pub fn of(store: &Store, tenant: TenantId, questions: &[Question]) -> Answers {
    let scope = Scope::whole(tenant);
    questions.iter().map(|question| (question.clone(), ask(store, &scope, question))).collect()
}

fn ask(store: &Store, scope: &Scope, question: &Question) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let hash = |hash: &str| hash.parse::<FileHash>().map_err(|error| error.to_string());
    let alert = |id: &str| id.parse::<AlertId>().map_err(|error| error.to_string());
    let said = match question {
        Question::Totals => store.totals(scope).map(|totals| format!("{totals:?}")),
        Question::Machines => store.machines(scope, Page::ALL, &mut out).map(|found| format!("{found}")),
        Question::Alerts => store.alerts(scope, Page::ALL, &mut out).map(|found| format!("{found}")),
        Question::Conflicts => store.conflicts(scope).map(|found| format!("{found:?}")),
        Question::Rejects => store.rejects(scope, usize::MAX).map(|found| format!("{found:?}")),
        Question::Machine(id) => store.machine(scope, id).map(|found| format!("{found:?}")),
        Question::File(sha1) => store.file(scope, &hash(sha1)?).map(|found| format!("{found:?}")),
        Question::FileMachines(sha1) => {
            store.file_machines(scope, &hash(sha1)?, Page::ALL, &mut out).map(|found| format!("{found:?}"))
        }
        Question::FileSightings(sha1) => {
            store.file_sightings(scope, &hash(sha1)?).map(|found| format!("{found:?}"))
        }
        Question::Alert(id) => store.alert(scope, &alert(id)?).map(|found| format!("{found:?}")),
        Question::AlertFiles(id) => {
            store.alert_files(scope, &alert(id)?, Page::ALL, &mut out).map(|found| format!("{found:?}"))
        }
    };
    out.extend_from_slice(said.map_err(|error| error.to_string())?.as_bytes());
    Ok(out)
}
