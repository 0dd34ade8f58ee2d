//! kill -9 at any time: nothing acknowledged is lost, nothing is there twice, and the archive
//! gives the same answers.

mod disturbance;

use std::time::Duration;

use crate::answers;
use crate::batches::Batches;
use crate::chance::Chance;
use crate::client::Connection;
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
}

/// Kills so many times.
pub fn run(rounds: u32, mut chance: Chance, product: &Product) -> Outcome<Report> {
    let mut report = Report::new("kill");
    let top = tempfile::tempdir().during("making a folder")?;
    let place = product.settle(&top.path().join("data"), top.path())?;
    let batches = Batches::default();
    let guess = Duration::from_millis(100);
    let mut usual = Usual { start: guess, rebuild: guess, command: guess };
    let mut times = vec![0_u32; DISTURBANCES.len()];
    for nth in 0..rounds {
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
    conclude(product, &place, &batches, &mut report)?;
    (report.sent, report.acknowledged, report.held) =
        (batches.sent(), batches.acknowledged(), batches.held());
    report.rounds = rounds;
    let counted = DISTURBANCES.iter().zip(times).map(|(kind, times)| format!("{times} during {}", kind.name));
    report.remarks.push(counted.collect::<Vec<_>>().join(", "));
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
