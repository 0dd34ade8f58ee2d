//! A data folder that an earlier pintle has written to is opened by this one, which has everything; and the
//! earlier one then refuses what it would misread, saying what it is, or has everything too.

use crate::batches::Batches;
use crate::chance::Chance;
use crate::kill::conclude;
use crate::product::{Place, Product};
use crate::report::{Outcome, Report, While, Wrong};
use crate::sender::Sender;

/// Batches that each sends in a round.
const BATCHES: u64 = 20;

/// Goes from one to the other and back so often, each time on a new folder.
pub fn run(rounds: u32, mut chance: Chance, earlier: &Product, product: &Product) -> Outcome<Report> {
    let mut report = Report::new("upgrade");
    let mut refused = 0;
    for _ in 0..rounds {
        let top = tempfile::tempdir().during("making a folder")?;
        let place = earlier.settle(&top.path().join("data"), top.path())?;
        let batches = Batches::default();
        // What is only in the archive, and what is in the base too.
        let (is_folded, stays_folded) = (chance.below(2) == 0, chance.below(2) == 0);
        fill(earlier, &place, &batches, is_folded, &mut report.wrong)?;
        fill(product, &place, &batches, stays_folded, &mut report.wrong)?;
        refused += u32::from(go_back(earlier, &place, &batches, &mut report.wrong)?);
        conclude(product, &place, &batches, &mut report)?;
        // How often an end was torn is told by *kill*.
        report.remarks.clear();
        report.rounds += 1;
        report.sent += batches.sent();
        report.acknowledged += batches.acknowledged();
        report.held += batches.held();
    }
    report.remarks.push(format!("{refused} downgrades refused by name, the others with everything there"));
    Ok(report)
}

/// Everything that was acknowledged must be there; then more is sent.
fn fill(
    product: &Product,
    place: &Place,
    batches: &Batches,
    is_folding: bool,
    wrong: &mut Wrong,
) -> Outcome<()> {
    let mut server = if is_folding { product.serve_folding(place)? } else { product.serve(place)? };
    let mut sender = Sender::of(&mut server, place)?;
    sender.ask(batches, wrong)?;
    for _ in 0..BATCHES {
        if let Err(refusal) = sender.send(batches)? {
            wrong.add("batch refused", format!("{refusal:?}"));
        }
    }
    sender.ask(batches, wrong)?;
    server.kill(wrong)?;
    Ok(())
}

/// Whether the earlier one refuses the folder; it must say then which file is of a newer one.
fn go_back(earlier: &Product, place: &Place, batches: &Batches, wrong: &mut Wrong) -> Outcome<bool> {
    let mut server = earlier.serve(place)?;
    match server.ready() {
        Ok(address) => {
            Sender::at(address, place)?.ask(batches, wrong)?;
            server.kill(wrong)?;
            Ok(false)
        }
        Err(said) => {
            if !(said.contains("newer pintle") && said.contains(&*place.data.to_string_lossy())) {
                wrong.add("downgrade refused without saying of what", &said);
            }
            server.end(wrong)?;
            Ok(true)
        }
    }
}
