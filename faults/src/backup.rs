//! A backup made while clients send: restored elsewhere, it has everything that was acknowledged
//! before, with the same answers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::answers::{Answers, of_folder};
use crate::batches::Batches;
use crate::chance::Chance;
use crate::damage;
use crate::kill::{conclude, write_until};
use crate::product::{Place, Product};
use crate::report::{Failure, Outcome, Report, While, Wrong};

/// Makes so many backups of one folder that grows.
pub fn run(rounds: u32, mut chance: Chance, product: &Product) -> Outcome<Report> {
    for name in ["backup", "verify", "restore"] {
        if !product.knows(name)? {
            return Err(Failure::Unable(format!("this pintle has no command `{name}`")));
        }
    }
    let mut report = Report::new("backup");
    report.rounds = rounds;
    let top = tempfile::tempdir().during("making a folder")?;
    let place = product.settle(&top.path().join("data"), top.path())?;
    let batches = Batches::default();
    let mut before = 0;
    for _ in 0..rounds {
        before += round(product, &place, &batches, top.path(), &mut chance, &mut report.wrong)?;
    }
    conclude(product, &place, &batches, &mut report)?;
    (report.sent, report.acknowledged, report.held) =
        (batches.sent(), batches.acknowledged(), batches.held());
    report.remarks.push(format!("{before} batches were acknowledged before their backup began, summed up"));
    Ok(report)
}

/// Gives how many batches had been acknowledged when the backup began.
fn round(
    product: &Product,
    place: &Place,
    batches: &Batches,
    top: &Path,
    chance: &mut Chance,
    wrong: &mut Wrong,
) -> Outcome<u64> {
    let (backup, restored, passphrase) = (top.join("backup"), top.join("restored"), top.join("passphrase"));
    fs::write(&passphrase, "what is restored is asked with the old secret\n")
        .during("writing a passphrase")?;
    let mut server = product.serve(place)?;
    let address = server.must_be_ready()?;
    let token = place.token(&address)?;
    let (before, refusals) = write_until(batches, &address, &token, || {
        std::thread::sleep(Duration::from_millis(50) + chance.delay());
        let before = batches.all_acknowledged();
        let made = product.backup(&place.data, &backup, &passphrase)?;
        if made.code != Some(0) {
            wrong.add("backup failed", made.said);
        }
        std::thread::sleep(chance.delay());
        server.kill(wrong)?;
        Ok(before)
    })?;
    for refusal in refusals {
        wrong.add("batch refused", refusal);
    }

    let verified = product.verify(&backup)?;
    if verified.code != Some(0) {
        wrong.add("sound backup not verified", verified.said);
    }
    let made = product.restore(&backup, &restored, &passphrase)?;
    if made.code != Some(0) {
        wrong.add("restore failed", made.said);
        return Ok(before.len() as u64);
    }
    let questions = Batches::questions_about(&before);
    let original = of_folder(&place.data, place.tenant, &questions)?;
    compare(&original, &of_folder(&restored, place.tenant, &questions)?, wrong);

    // Who might ask the old server may ask the new one.
    let elsewhere = place.moved(&restored, top)?;
    let mut server = product.serve(&elsewhere)?;
    elsewhere.token(&server.must_be_ready()?)?;
    server.kill(wrong)?;

    // Verifying must be seen to notice something.
    damage::flip_a_bit(&backup, chance)?;
    if product.verify(&backup)?.code == Some(0) {
        wrong.add("damaged backup verified", "");
    }
    for folder in [backup, restored] {
        fs::remove_dir_all(folder).during("removing a backup")?;
    }
    Ok(before.len() as u64)
}

fn compare(original: &Answers, restored: &Answers, wrong: &mut Wrong) {
    for (question, answer) in original {
        if restored.get(question) != Some(answer) {
            wrong.add("restored folder answers otherwise", format!("{question:?}"));
        }
    }
}
