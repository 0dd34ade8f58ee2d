//! What is under way when the kill comes. Another kind of work is another row of [`DISTURBANCES`]:
//! a function that begins it, kills it at random, and leaves the folder for the next.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{Round, look, write_until};
use crate::batches;
use crate::chance::Chance;
use crate::product::Ran;
use crate::report::{Outcome, While};
use crate::server::Server;

/// A kind of work to kill.
pub struct Disturbance {
    /// Its name in the report.
    pub name: &'static str,
    /// How often it comes, compared with the others.
    weight: u64,
    /// Makes one round of it.
    pub make: fn(&mut Round) -> Outcome<()>,
}

/// All kinds.
pub const DISTURBANCES: &[Disturbance] = &[
    Disturbance { name: "ingest", weight: 8, make: ingest },
    Disturbance { name: "folds", weight: 4, make: folds },
    Disturbance { name: "start", weight: 4, make: start },
    Disturbance { name: "the ingest command", weight: 2, make: command },
    Disturbance { name: "rebuild", weight: 1, make: rebuild },
    Disturbance { name: "rebuild by a server", weight: 1, make: rebuild_by_server },
    Disturbance { name: "purge", weight: 1, make: purge },
    Disturbance { name: "purge by a server", weight: 2, make: purge_by_server },
    Disturbance { name: "retention", weight: 2, make: retention },
    Disturbance { name: "the making of a folder", weight: 1, make: new_folder },
];

/// Which kind comes next.
pub fn choose(chance: &mut Chance) -> usize {
    let mut left = chance.below(DISTURBANCES.iter().map(|kind| kind.weight).sum());
    for (nth, kind) in DISTURBANCES.iter().enumerate() {
        match left.checked_sub(kind.weight) {
            None => return nth,
            Some(rest) => left = rest,
        }
    }
    0
}

/// Clients send until the kill. Before that, all that earlier rounds sent is looked for.
fn ingest(round: &mut Round) -> Outcome<()> {
    let started = Instant::now();
    let mut server = round.product.serve(round.place)?;
    let address = server.must_be_ready()?;
    round.usual.start = started.elapsed();
    send_until_killed(round, server, &address, |_| Ok(None)).map(drop)
}

/// The same while what is in memory is written to the base all the time.
fn folds(round: &mut Round) -> Outcome<()> {
    let mut server = round.product.serve_folding(round.place)?;
    let address = server.must_be_ready()?;
    send_until_killed(round, server, &address, |_| Ok(None)).map(drop)
}

/// Looks for all that earlier rounds sent, lets clients send and a command run, and kills both. Gives
/// how the command ended if it came to its end before.
fn send_until_killed(
    round: &mut Round,
    server: Server,
    address: &str,
    begin: impl FnOnce(&mut Round) -> Outcome<Option<Command>>,
) -> Outcome<Option<Ran>> {
    let token = look(address, round.place, round.batches, round.wrong)?;
    let command = begin(round)?;
    let delay = round.chance.delay();
    let wrong = &mut *round.wrong;
    let ((said, ran), refusals) = write_until(round.batches, address, &token, || {
        let child = command.map(|mut command| command.spawn().during("starting a command")).transpose()?;
        std::thread::sleep(delay);
        let Some(mut child) = child else { return Ok((server.kill(wrong)?, None)) };
        let has_ended = child.try_wait().during("waiting for a command")?.is_some();
        let said = server.kill(wrong)?;
        // Without a server it would take the folder itself. It may have ended.
        let _ = child.kill();
        let ran = Ran::from(child.wait_with_output().during("waiting for a command")?);
        Ok((said, has_ended.then_some(ran)))
    })?;
    for refusal in refusals {
        round.wrong.add("batch refused", refusal);
    }
    for line in said.iter().filter(|line| line.contains("\"ERROR\"")) {
        round.wrong.add("error in the log", line);
    }
    Ok(ran)
}

/// A command runs on a server that takes what clients send. Whether it came to its end.
fn by_server(
    round: &mut Round,
    what: &'static str,
    begin: impl FnOnce(&mut Round) -> Outcome<Option<Command>>,
) -> Outcome<bool> {
    let mut server = round.product.serve(round.place)?;
    let address = server.must_be_ready()?;
    let Some(ran) = send_until_killed(round, server, &address, begin)? else { return Ok(false) };
    if ran.code != Some(0) {
        round.wrong.add(what, ran.said);
        return Ok(false);
    }
    Ok(true)
}

/// `pintle rebuild` of a served folder.
fn rebuild_by_server(round: &mut Round) -> Outcome<()> {
    let begin = |round: &mut Round| Ok(Some(round.product.on(&round.place.data, &["rebuild"])));
    by_server(round, "rebuild failed", begin).map(drop)
}

/// `pintle retention run` of a served folder, in which nothing has expired.
fn retention(round: &mut Round) -> Outcome<()> {
    let begin = |round: &mut Round| Ok(Some(round.product.forget_expired(&round.place.data)));
    by_server(round, "retention failed", begin).map(drop)
}

/// `pintle purge` of a batch of a served folder.
fn purge_by_server(round: &mut Round) -> Outcome<()> {
    let mut purged = None;
    let is_done = by_server(round, "purge failed", |round| {
        purged = round.batches.give_up(round.chance);
        Ok(purged.map(|batch| round.product.purge(&round.place.data, &batches::machine(batch))))
    })?;
    if let (true, Some(batch)) = (is_done, purged) {
        round.batches.purged(batch);
    }
    Ok(())
}

/// `pintle purge`, which owns the folder itself.
fn purge(round: &mut Round) -> Outcome<()> {
    let Some(batch) = round.batches.give_up(round.chance) else { return Ok(()) };
    let mut command = round.product.purge(&round.place.data, &batches::machine(batch));
    match killed(&mut command, &mut round.usual.purge, round.chance)? {
        Some(0) => round.batches.purged(batch),
        Some(code) => round.wrong.add("purge failed", format!("exit code {code}")),
        None => {}
    }
    Ok(())
}

/// The kill comes while the archive is applied again, or before.
fn start(round: &mut Round) -> Outcome<()> {
    let server = round.product.serve(round.place)?;
    std::thread::sleep(round.usual.start.mul_f64(round.chance.unit()));
    server.kill(round.wrong).map(drop)
}

/// `pintle ingest FILE…`, which owns the folder itself.
fn command(round: &mut Round) -> Outcome<()> {
    let folder = tempfile::tempdir().during("making a folder")?;
    let taken: Vec<u32> = (0..20).map(|_| round.batches.take()).collect();
    let mut command = round.product.on(&round.place.data, &["ingest"]);
    for batch in &taken {
        let file = folder.path().join(format!("{batch}.json"));
        std::fs::write(&file, batches::body(*batch)).during("writing a batch")?;
        command.arg(file);
    }
    let ended = killed(&mut command, &mut round.usual.command, round.chance)?;
    for batch in taken {
        match ended {
            Some(0) => round.batches.acknowledge(batch),
            _ => round.batches.broke_off(batch),
        }
    }
    if ended.is_some_and(|code| code != 0) {
        round.wrong.add("ingest command failed", format!("exit code {ended:?}"));
    }
    Ok(())
}

/// `pintle rebuild`
fn rebuild(round: &mut Round) -> Outcome<()> {
    let mut command = round.product.on(&round.place.data, &["rebuild"]);
    let ended = killed(&mut command, &mut round.usual.rebuild, round.chance)?;
    if ended.is_some_and(|code| code != 0) {
        round.wrong.add("rebuild failed", format!("exit code {ended:?}"));
    }
    Ok(())
}

/// Runs a command and kills it before or soon after its usual end. Gives its exit code if it came to
/// one.
fn killed(command: &mut Command, usual: &mut Duration, chance: &mut Chance) -> Outcome<Option<i32>> {
    let started = Instant::now();
    let mut child = command.spawn().during("starting a command")?;
    let end = usual.mul_f64(chance.unit() * 1.2);
    while started.elapsed() < end {
        if let Some(status) = child.try_wait().during("waiting for a command")? {
            *usual = started.elapsed();
            return Ok(status.code());
        }
        std::thread::sleep(Duration::from_millis(1).min(end.saturating_sub(started.elapsed())));
    }
    *usual = (*usual).max(started.elapsed());
    child.kill().during("killing a command")?;
    Ok(child.wait().during("waiting for a command")?.code())
}

/// A new folder, killed twice while it is made, since the second kill finds what the first left.
fn new_folder(round: &mut Round) -> Outcome<()> {
    let top = tempfile::tempdir().during("making a folder")?;
    let data = top.path().join("data");
    let input = top.path().join("one.json");
    std::fs::write(&input, batches::body(1)).during("writing a batch")?;
    let arguments = ["ingest", &*input.to_string_lossy()];
    for _ in 0..2 {
        killed(&mut round.product.on(&data, &arguments), &mut round.usual.command, round.chance)?;
    }
    let ran = round.product.run_on(&data, &arguments)?;
    if ran.code != Some(0) {
        round.wrong.add("half-made folder not made whole", ran.said);
    }
    Ok(())
}
