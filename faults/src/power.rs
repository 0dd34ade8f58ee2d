//! The power goes at any time: what was acknowledged is there when it is back.

mod disk;
mod mount;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::batches::Batches;
use crate::chance::Chance;
use crate::kill::{conclude, look, write_until};
use crate::product::{Place, Product};
use crate::report::{Failure, Outcome, Report, While, command};
use crate::server::Server;
use disk::{Disk, Kept};
use mount::Mount;

const DISK_BYTES: u64 = 512 << 20;
const NOSYNC: &str = include_str!("power/nosync.c");

/// Cuts the power so many times.
pub fn run(rounds: u32, mut chance: Chance, mut product: Product, without_sync: bool) -> Outcome<Report> {
    permitted()?;
    let mut report = Report::new("power");
    report.is_control = without_sync;
    report.must_find(&["acknowledged batch lost"]);
    let top = tempfile::tempdir().during("making a folder")?;
    let disk = Disk::new(mount::ext4(DISK_BYTES, top.path())?);
    let batches = Batches::default();
    // What fails here for the first time is not allowed; later it would be a fault of the run.
    let first = Mount::new(&disk, top.path()).map_err(|failure| match failure {
        Failure::Unable(why) => Failure::NotPermitted(why),
        other => other,
    })?;
    let place = product.settle(&first.folder().join("data"), top.path())?;
    first.undo()?;
    if without_sync {
        product.preload(NOSYNC, top.path())?;
    }
    let (mut unflushed, mut starts) = (0, Duration::from_millis(100));
    for nth in 0..rounds {
        let mount = Mount::new(&disk, top.path())?;
        report.rounds = nth + 1;
        let cut = round(&disk, &product, &place, &batches, &mut chance, &mut starts, &mut report)?;
        mount.undo()?;
        disk.power_on();
        let Some(sectors) = cut else { break };
        unflushed += sectors;
    }
    let mount = Mount::new(&disk, top.path())?;
    if report.wrong.count(NO_START) == 0 {
        // What the control run left may be in any state, the archive's least of all whole.
        let concluded = conclude(&product, &place, &batches, &mut report);
        if !without_sync {
            concluded?;
        }
    }
    (report.sent, report.acknowledged, report.held) =
        (batches.sent(), batches.acknowledged(), batches.held());
    mount.undo()?;
    report.remarks.push(format!("{unflushed} unflushed sectors at the cuts, {} flushes", disk.flushes()));
    report.remarks.push(format!("{} batches refused as the disk went", batches.refused()));
    Ok(report)
}

const NO_START: &str = "server does not start after a cut";

/// From a start to a cut; gives how many sectors were not flushed then, nothing if the server did
/// not start.
fn round(
    disk: &Disk,
    product: &Product,
    place: &Place,
    batches: &Batches,
    chance: &mut Chance,
    starts: &mut Duration,
    report: &mut Report,
) -> Outcome<Option<usize>> {
    let kept = chance.pick(&[Kept::Nothing, Kept::Some, Kept::All]).copied().unwrap_or(Kept::Nothing);
    if chance.one_in(5) {
        let server = product.serve(place)?;
        std::thread::sleep(starts.mul_f64(chance.unit()));
        let unflushed = disk.cut(kept, chance);
        // What does not start for want of a disk may say so and end.
        drop(server);
        return Ok(Some(unflushed));
    }
    if chance.one_in(3) {
        // What a kill leaves in the system's memory is found after the next start, and must be as
        // durable then as all else that is found.
        let Some((server, address, token)) = start(product, place, batches, starts, report)? else {
            return Ok(None);
        };
        let delay = chance.delay();
        write_until(batches, &address, &token, || {
            std::thread::sleep(delay);
            server.kill(&mut report.wrong)
        })?;
    }
    let Some((server, address, token)) = start(product, place, batches, starts, report)? else {
        return Ok(None);
    };
    let delay = if chance.one_in(4) { Duration::ZERO } else { chance.delay() };
    let (unflushed, _) = write_until(batches, &address, &token, || {
        std::thread::sleep(delay);
        let unflushed = disk.cut(kept, chance);
        // It may still answer, but what it acknowledges now must be durable all the same.
        std::thread::sleep(Duration::from_millis(chance.below(20)));
        server.kill(&mut report.wrong)?;
        Ok(unflushed)
    })?;
    Ok(Some(unflushed))
}

/// A server on the folder, asked for all that was sent before; nothing if it does not start.
fn start(
    product: &Product,
    place: &Place,
    batches: &Batches,
    starts: &mut Duration,
    report: &mut Report,
) -> Outcome<Option<(Server, String, String)>> {
    let started = Instant::now();
    let mut server = product.serve(place)?;
    match server.ready() {
        Ok(address) => {
            *starts = started.elapsed();
            let token = look(&address, place, batches, &mut report.wrong)?;
            Ok(Some((server, address, token)))
        }
        Err(said) => {
            report.wrong.add(NO_START, said);
            Ok(None)
        }
    }
}

/// Whether this machine lets a file system be mounted.
fn permitted() -> Outcome<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::NotPermitted("mounting needs root".into()));
    }
    if !Path::new("/dev/fuse").exists() {
        return Err(Failure::NotPermitted("there is no /dev/fuse".into()));
    }
    for (program, package) in [("nbdfuse", "libnbd-bin"), ("mkfs.ext4", "e2fsprogs")] {
        let found = command("sh", &["-c", &format!("command -v {program}")]);
        found.map_err(|_| Failure::NotPermitted(format!("there is no {program}: install {package}")))?;
    }
    Ok(())
}
