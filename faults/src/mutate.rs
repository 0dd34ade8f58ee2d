//! Bytes of the data folder change behind the store's back: no answer is ever a wrong one, the
//! damage is named, and a rebuild heals the base.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pintle_model::TenantId;
use pintle_store::{Folder, Store};

use crate::answers::{Answers, Question, of, options};
use crate::chance::Chance;
use crate::damage::{Damage, Part};
use crate::folder;
use crate::product::Product;
use crate::report::{Failure, Outcome, Report, While, Wrong};
use crate::telemetry;

/// Batches in the folder.
const BATCHES: u64 = 24;

/// The first panic that nobody has looked at, of any thread.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// A folder to mutate copies of.
struct Sample {
    name: &'static str,
    data: PathBuf,
}

/// What all mutations are measured by.
struct Sound {
    tenant: TenantId,
    questions: Vec<Question>,
    answers: Answers,
    checks: bool,
}

/// Mutates so many copies of a folder.
pub fn run(rounds: u32, mut chance: Chance, product: &Product, control: bool) -> Outcome<Report> {
    std::panic::set_hook(Box::new(|panic| {
        let mut first = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| panic.to_string());
    }));
    let mut report = Report::new(if control { "mutate, nothing mutated" } else { "mutate" });
    report.rounds = rounds;
    let top = tempfile::tempdir().during("making a folder")?;
    let (samples, sound) = prepare(top.path(), product, &mut chance)?;
    let (mut asked, mut unanswered, mut harmless) = (0, 0, 0);
    for nth in 0..rounds {
        let Some(sample) = chance.pick(&samples) else { break };
        let copy = top.path().join("copy");
        folder::copy(&sample.data, &copy)?;
        let damage = if control { None } else { Some(Damage::make(&copy, &mut chance)?) };
        let about = format!("round {nth}, {}: {}", sample.name, described(damage.as_ref()));
        let found = examine(&copy, damage.as_ref(), &about, &sound, product, &mut report.wrong)?;
        report.sent += u64::from(damage.is_some());
        report.acknowledged += u64::from(found.noticed);
        report.held += u64::from(found.healed);
        harmless += u64::from(!found.noticed && found.unanswered == 0);
        asked += sound.questions.len();
        unanswered += found.unanswered;
        fs::remove_dir_all(&copy).during("removing a copy")?;
    }
    let share = 100.0 * unanswered as f64 / asked.max(1) as f64;
    report.remarks.push(format!("{harmless} unnoticed and harmless, {share:.1} % of questions refused"));
    if !sound.checks {
        report.remarks.push("without `pintle check`, which this pintle does not have".to_owned());
    }
    Ok(report)
}

fn described(damage: Option<&Damage>) -> String {
    damage.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// One folder as closing leaves it, and one as a kill does, of the same content.
fn prepare(top: &Path, product: &Product, chance: &mut Chance) -> Outcome<(Vec<Sample>, Sound)> {
    let data = top.join("data");
    let tenant = product.settle(&data, top)?.tenant;
    let questions = telemetry::questions();
    let store = Store::open(&data, options()).during("making a store")?;
    telemetry::fill(&store, tenant, BATCHES, chance)?;
    let answers = of(&store, tenant, &questions);
    let killed = top.join("killed");
    folder::copy(&data, &killed)?;
    drop(store);
    let refused = answers.values().filter_map(|answer| answer.as_ref().err()).next();
    if let Some(refused) = refused {
        return Err(Failure::Unable(format!("the sound folder does not answer: {refused}")));
    }
    let samples = vec![Sample { name: "closed", data }, Sample { name: "killed", data: killed }];
    Ok((samples, Sound { tenant, questions, answers, checks: product.knows("check")? }))
}

#[derive(Default)]
struct Found {
    /// An error, or `pintle check`, said that something is wrong.
    noticed: bool,
    /// Everything was answered, at once or after a rebuild.
    healed: bool,
    /// Questions that were refused before that.
    unanswered: usize,
}

/// Everything that is promised of a damaged folder.
fn examine(
    data: &Path,
    damage: Option<&Damage>,
    about: &str,
    sound: &Sound,
    product: &Product,
    wrong: &mut Wrong,
) -> Outcome<Found> {
    let mut found = Found::default();
    let names = |said: &str| damage.is_some_and(|damage| damage.is_named(said));
    let mut called_sound = None;
    if sound.checks {
        let ran = product.check(data)?;
        called_sound = Some(ran.code == Some(0));
        match ran.code {
            Some(0) => {}
            Some(1) if names(&ran.said) => found.noticed = true,
            Some(1) if damage.is_none() => wrong.add("sound folder called damaged", about),
            _ => wrong.add("check without the file's name", format!("{about}: {:?} {}", ran.code, ran.said)),
        }
    }

    match guarded(about, wrong, || Store::open(data, options())) {
        Some(Ok(store)) => {
            let forgot = store.set_aside().is_some();
            // What the archive lost before the base had it is missing, and opening says so.
            let told = store.troubles().iter().any(|trouble| names(trouble));
            found.noticed |= told;
            let is_told = told && damage.is_some_and(|damage| damage.part == Part::Archive);
            if let Some(answers) = guarded(about, wrong, || of(&store, sound.tenant, &sound.questions)) {
                let errors: Vec<&String> =
                    answers.values().filter_map(|answer| answer.as_ref().err()).collect();
                found.unanswered = errors.len();
                found.noticed |= !errors.is_empty();
                if let Some(error) = errors.first().filter(|_| !errors.iter().any(|error| names(error))) {
                    wrong.add("question refused without the file's name", format!("{about}: {error}"));
                }
                let kind = if forgot { "acknowledged batches taken for a torn end" } else { "wrong answer" };
                if !is_told {
                    judge(&answers, sound, kind, about, wrong);
                }
            }
        }
        Some(Err(error)) => {
            found.noticed = true;
            found.unanswered = sound.questions.len();
            wrong.add("nothing readable", format!("{about}: {error}"));
            if !names(&error.to_string()) {
                wrong.add("folder refused without the file's name", format!("{about}: {error}"));
            }
        }
        None => {}
    }

    let rebuilt = guarded(about, wrong, || {
        let store = Store::rebuild(Folder::lock(data)?, options(), &mut |_| {})?;
        Ok::<_, pintle_store::Error>(of(&store, sound.tenant, &sound.questions))
    });
    let is_archive = damage.is_some_and(|damage| damage.part == Part::Archive);
    match rebuilt {
        Some(Ok(answers)) => {
            found.healed = answers == sound.answers;
            judge(&answers, sound, "wrong answer after a rebuild", about, wrong);
            if answers.values().any(Result::is_err) {
                wrong.add("rebuild does not heal", format!("{about}: a question is refused"));
            }
        }
        Some(Err(error)) if is_archive => {
            found.noticed = true;
            if !names(&error.to_string()) {
                wrong.add("rebuild refused without the file's name", format!("{about}: {error}"));
            }
        }
        Some(Err(error)) => wrong.add("rebuild does not heal", format!("{about}: {error}")),
        None => {}
    }
    if called_sound == Some(true) && (found.noticed || !found.healed) {
        wrong.add("damaged folder called sound", about);
    }
    Ok(found)
}

fn judge(answers: &Answers, sound: &Sound, kind: &'static str, about: &str, wrong: &mut Wrong) {
    let differs = |(question, answer): &(&Question, &Result<Vec<u8>, String>)| {
        answer.is_ok() && sound.answers.get(*question) != Some(*answer)
    };
    if let Some((question, _)) = answers.iter().find(differs) {
        wrong.add(kind, format!("{about}: {question:?}"));
    }
}

/// Does something that must not panic, in whatever thread.
fn guarded<T>(about: &str, wrong: &mut Wrong, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    if let Some(panic) = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take() {
        wrong.add("panic", format!("{about}: {panic}"));
    }
    done
}
