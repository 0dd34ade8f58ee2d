//! kill -9 at any time: nothing acknowledged is lost, nothing is there twice, and the archive
//! gives the same answers.

mod disturbance;

use std::path::Path;
use std::time::Duration;

use crate::answers;
use crate::batches::Batches;
use crate::chance::Chance;
use crate::client::Connection;
use crate::folder;
use crate::kill::disturbance::DISTURBANCES;
use crate::product::{Place, Product};
use crate::report::{Failure, Outcome, Report, While, Wrong};

/// Clients that send at once.
pub const WRITERS: u32 = 4;

/// What a disturbance has to work with.
struct Round<'r> {
    product: &'r Product,
    place: &'r Place,
    batches: &'r Batches,
    chance: &'r mut Chance,
    wrong: &'r mut Wrong,
    usual: &'r mut Usual,
}

/// How long things take that are killed half-way.
#[derive(Clone, Copy)]
struct Usual {
    start: Duration,
    rebuild: Duration,
    command: Duration,
    purge: Duration,
}

/// Kills so many times. The control run does meanwhile what the product must never do: it loses
/// what came in the second half, and has twice what came in the first.
pub fn run(rounds: u32, mut chance: Chance, product: &Product, control: bool) -> Outcome<Report> {
    let mut report = Report::new("kill");
    report.is_control = control;
    let top = tempfile::tempdir().during("making a folder")?;
    let place = product.settle(&top.path().join("data"), top.path())?;
    let batches = Batches::default();
    let guess = Duration::from_millis(100);
    let mut usual = Usual { start: guess, rebuild: guess, command: guess, purge: guess };
    let mut times = vec![0_u32; DISTURBANCES.len()];
    let half_way = top.path().join("half-way");
    for nth in 0..rounds {
        if control && nth == rounds / 2 {
            folder::copy(&place.data, &half_way)?;
        }
        let chosen = disturbance::choose(&mut chance);
        let Some(disturbance) = DISTURBANCES.get(chosen) else { continue };
        if let Some(times) = times.get_mut(chosen) {
            *times += 1;
        }
        let mut round = Round {
            product,
            place: &place,
            batches: &batches,
            chance: &mut chance,
            wrong: &mut report.wrong,
            usual: &mut usual,
        };
        let made = (disturbance.make)(&mut round);
        made.map_err(|failure| within(failure, &format!("round {nth}, during {}", disturbance.name)))?;
    }
    if control {
        std::fs::remove_dir_all(&place.data).during("losing the folder")?;
        folder::copy(&half_way, &place.data)?;
        folder::double_archive(&place.data)?;
    }
    conclude(product, &place, &batches, &mut report)?;
    (report.sent, report.acknowledged, report.held) =
        (batches.sent(), batches.acknowledged(), batches.held());
    report.rounds = rounds;
    let counted = DISTURBANCES.iter().zip(times).map(|(kind, times)| format!("{times} during {}", kind.name));
    report.remarks.push(counted.collect::<Vec<_>>().join(", "));
    report.must_find(&["acknowledged batch lost", "archive with too much or too little"]);
    Ok(report)
}

fn within(failure: Failure, what: &str) -> Failure {
    match failure {
        Failure::Unable(why) => Failure::Unable(format!("{what}: {why}")),
        other => other,
    }
}

/// Sends from several clients until `until` returns; what was refused meanwhile is told.
pub fn write_until<T>(
    batches: &Batches,
    address: &str,
    token: &str,
    until: impl FnOnce() -> Outcome<T>,
) -> Outcome<(T, Vec<String>)> {
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(|| batches.write(address, token))).collect();
        let ended = until();
        let refusals = writers.into_iter().filter_map(|writer| writer.join().ok().flatten()).collect();
        Ok((ended?, refusals))
    })
}

/// Looks for what was sent since the last look; gives the token it took for that.
pub fn look(address: &str, place: &Place, batches: &Batches, wrong: &mut Wrong) -> Outcome<String> {
    let token = place.token(address)?;
    let mut connection =
        Connection::open(address, &token).map_err(|_| Failure::Unable("no server to ask".into()))?;
    batches.look(&mut connection, wrong)?;
    Ok(token)
}

/// At the end: everything is looked for once more, and a rebuild gives the same answers from an
/// archive that holds each batch once.
pub fn conclude(product: &Product, place: &Place, batches: &Batches, report: &mut Report) -> Outcome<()> {
    let mut server = product.serve(place)?;
    let address = server.must_be_ready()?;
    let token = place.token(&address)?;
    let mut connection =
        Connection::open(&address, &token).map_err(|_| Failure::Unable("no server to ask".into()))?;
    batches.look_for_all(&mut connection, &mut report.wrong)?;
    server.kill(&mut report.wrong)?;
    let held = batches.held();
    report.remarks.push(format!("{} torn ends", torn_ends(&place.data)?));

    let questions = batches.questions();
    let before = answers::of_folder(&place.data, place.tenant, &questions)?;
    match product.rebuild(&place.data)? {
        Ok(rebuilt) if rebuilt == (Batches::records(held), held) => {}
        Ok((records, kept)) => report.wrong.add(
            "archive with too much or too little",
            format!("{records} records in {kept} batches of {held}"),
        ),
        Err(said) => report.wrong.add("rebuild failed", said),
    }
    let after = answers::of_folder(&place.data, place.tenant, &questions)?;
    for (question, answer) in &before {
        if after.get(question) != Some(answer) {
            report.wrong.add("answer changed by rebuild", format!("{question:?}"));
        }
    }
    Ok(())
}

/// How often a start has set the end of a batch aside that was being written at the stop before.
fn torn_ends(data: &Path) -> Outcome<usize> {
    let archive = std::fs::read_dir(data.join("archive")).during("listing the archive")?;
    let is_torn = |path: &Path| path.extension().is_some_and(|kind| kind == "torn");
    Ok(archive.filter_map(Result::ok).filter(|entry| is_torn(&entry.path())).count())
}
