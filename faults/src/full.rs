//! The disk is full, and later not: whoever sends is told so, questions are answered meanwhile, and
//! writing goes on by itself when there is space again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::batches::Batches;
use crate::chance::Chance;
use crate::client::Answer;
use crate::kill::{conclude, look};
use crate::product::{Place, Product};
use crate::report::{Failure, Outcome, Report, While, Wrong, command};
use crate::sender::Sender;

const DISK: &str = "size=64m";
/// How long a server may take to notice that there is space again.
const RECOVERY: Duration = Duration::from_secs(10);
/// More than fit in what a ballast leaves.
const MOST_BATCHES: u32 = 2_000;

/// What lies on the small disk.
#[derive(Clone, Copy)]
enum Small {
    Everything,
    ArchiveAlone,
}

/// Fills the disk so many times, half of them with the archive alone on it.
pub fn run(rounds: u32, mut chance: Chance, product: &Product) -> Outcome<Report> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::NotPermitted("mounting needs root".into()));
    }
    let mut report = Report::new("full");
    report.rounds = rounds;
    for (small, rounds) in [(Small::Everything, rounds.div_ceil(2)), (Small::ArchiveAlone, rounds / 2)] {
        if rounds > 0 {
            let stage = Stage::new(small, product)?;
            let (sent, acknowledged, held) = stage.run(rounds, &mut chance, product, &mut report)?;
            report.sent += sent;
            report.acknowledged += acknowledged;
            report.held += held;
        }
    }
    Ok(report)
}

struct Stage {
    place: Place,
    disk: SmallDisk,
    _top: tempfile::TempDir,
}

impl Stage {
    fn new(small: Small, product: &Product) -> Outcome<Stage> {
        let top = tempfile::tempdir().during("making a folder")?;
        let disk = SmallDisk::mount(&top.path().join("small"))?;
        let data = match small {
            Small::Everything => disk.folder.join("data"),
            Small::ArchiveAlone => {
                let (data, archive) = (top.path().join("data"), disk.folder.join("archive"));
                fs::create_dir_all(&data).during("making a folder")?;
                fs::create_dir(&archive).during("making a folder")?;
                std::os::unix::fs::symlink(&archive, data.join("archive")).during("moving the archive")?;
                data
            }
        };
        Ok(Stage { place: product.settle(&data, top.path())?, disk, _top: top })
    }

    fn run(
        &self,
        rounds: u32,
        chance: &mut Chance,
        product: &Product,
        report: &mut Report,
    ) -> Outcome<(u64, u64, u64)> {
        let batches = Batches::default();
        let mut server = product.serve(&self.place)?;
        let mut sender = Sender::of(&mut server, &self.place)?;
        for _ in 0..rounds {
            for _ in 0..=chance.below(10) {
                if let Err(refusal) = sender.send(&batches)? {
                    report.wrong.add("batch refused with space left", describe(&refusal));
                }
            }
            self.disk.fill(chance)?;
            match (0..MOST_BATCHES).find_map(|_| sender.send(&batches).map(Result::err).transpose()) {
                Some(refusal) => judge(&refusal?, &mut report.wrong),
                None => return Err(Failure::Unable("the disk does not fill".into())),
            }
            sender.ask(&batches, &mut report.wrong)?;
            self.disk.empty()?;
            if !recovers(&mut sender, &batches)? {
                report.wrong.add("no recovery without a restart", "");
                server.kill(&mut report.wrong)?;
                server = product.serve(&self.place)?;
                sender = Sender::of(&mut server, &self.place)?;
            }
            look(&sender.address, &self.place, &batches, &mut report.wrong)?;
        }
        server.kill(&mut report.wrong)?;
        conclude(product, &self.place, &batches, report)?;
        Ok((batches.sent(), batches.acknowledged(), batches.held()))
    }
}

/// A refusal for want of space is one that a sender can act on.
fn judge(refusal: &Answer, wrong: &mut Wrong) {
    let said = refusal.body.to_lowercase();
    if ![503, 507].contains(&refusal.status) || !(said.contains("full") || said.contains("space")) {
        wrong.add("refusal that does not say why", describe(refusal));
    }
}

fn describe(answer: &Answer) -> String {
    format!("{}: {}", answer.status, answer.body)
}

/// Whether a batch is taken before long.
fn recovers(sender: &mut Sender, batches: &Batches) -> Outcome<bool> {
    let patience = Instant::now() + RECOVERY;
    loop {
        match sender.send(batches)? {
            Ok(()) => return Ok(true),
            Err(_) if Instant::now() > patience => return Ok(false),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A disk in memory.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(folder: &Path) -> Outcome<SmallDisk> {
        fs::create_dir_all(folder).during("making a folder")?;
        let mounted = command("mount", &["-t", "tmpfs", "-o", DISK, "tmpfs", &folder.to_string_lossy()]);
        mounted.map_err(|_| Failure::NotPermitted("a tmpfs cannot be mounted here".into()))?;
        Ok(SmallDisk { folder: folder.to_owned() })
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Leaves some kilobytes at most.
    fn fill(&self, chance: &mut Chance) -> Outcome<()> {
        let mut ballast = File::create(self.ballast()).during("making the ballast")?;
        let page = [0; 4_096];
        while ballast.write_all(&page).is_ok() {}
        let filled = ballast.metadata().during("making the ballast")?.len();
        let left = chance.pick(&[0, 0, 4_096, 65_536]).copied().unwrap_or_default();
        ballast.set_len(filled.saturating_sub(chance.below(left + 1))).during("making the ballast")
    }

    fn empty(&self) -> Outcome<()> {
        fs::remove_file(self.ballast()).during("removing the ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The figures are told by then and stand; what cannot be unmounted is left to the machine's owner.
        let _ = command("umount", &["-l", &self.folder.to_string_lossy()]);
    }
}
