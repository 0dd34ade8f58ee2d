//! A machine: what it is called, what is installed on it, and what it does in a day.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::Law;
use super::chance::Chance;
use super::file::{Draft, File, Kind, Software, hex};
use super::words::{self, Build};

/// One machine of the fleet.
pub(super) struct Machine {
    pub(super) number: usize,
    pub(super) id: String,
    /// With the domain.
    pub(super) name: String,
    pub(super) group: &'static str,
    pub(super) build: Build,
    /// Servers are on at weekends.
    pub(super) server: bool,
    pub(super) account: String,
    pub(super) sid: String,
    pub(super) address: String,
    pub(super) mac: String,
    pub(super) chance: Chance,
    developer: bool,
    installed: Vec<Installed>,
    /// Everything on the machine by rank: the core first, then applications, then what came since.
    files: Vec<Arc<File>>,
    /// What has not been seen yet; the last is seen first, so that news does not wait behind the
    /// inventory of the first day.
    unseen: Vec<(Arc<File>, News)>,
    /// What starts other things.
    programs: Vec<Arc<File>>,
    reports: i64,
}

/// How a file comes to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was seen before, as most are.
    Repeat,
    /// For the first time, though it was there when the telemetry begins.
    Inventory,
    /// It has just come to the machine.
    Arrival,
}

/// Software on a machine.
struct Installed {
    software: Arc<Software>,
    release: usize,
    /// Where its files begin among the machine's.
    start: usize,
    /// How many days after its release this machine gets an update.
    lag: i64,
}

/// All software of the company, made when a machine first has it.
#[derive(Default)]
pub(super) struct Shelf {
    cores: BTreeMap<usize, Arc<Software>>,
    applications: BTreeMap<usize, Arc<Software>>,
}

impl Machine {
    /// The `number`th machine, as it stands on the first day. Every fifth is a server and 5 % of
    /// the others, at least one, are developers'.
    pub(super) fn new(law: &Law, number: usize, shelf: &mut Shelf) -> Machine {
        let mut chance = Chance::of(law.seed, "machine", number);
        let server = number.is_multiple_of(5);
        let developer = !server && number % 20 == 1;
        let (short, group, build_number, build) = if server {
            let task =
                words::SERVER_TASKS.get(number / 5 % words::SERVER_TASKS.len()).copied().unwrap_or("file");
            let build = chance.zipf(words::SERVER_BUILDS.len());
            (format!("srv-{task}-{:02}", number / 5 + 1), "Servers", build, words::SERVER_BUILDS.get(build))
        } else {
            let (department, group) =
                if developer { ("dev", "Engineering") } else { chance.pick(words::DEPARTMENTS) };
            let build = chance.zipf(words::WORKSTATION_BUILDS.len());
            let name = format!("ws-{department}-{number:02}");
            (name, group, build + words::SERVER_BUILDS.len(), words::WORKSTATION_BUILDS.get(build))
        };
        let build = build.copied().unwrap_or(words::SERVER_BUILDS[0]);
        let mut machine = Machine {
            number,
            id: hex(&Sha1::digest(format!("machine {number} of pintle dev {}", law.seed))),
            name: format!("{short}.{}", words::DOMAIN),
            group,
            build,
            server,
            account: if server { format!("svc-{}", number / 5 + 1) } else { format!("staff{number:03}") },
            sid: format!("S-1-5-21-1004336348-1177238915-682003330-{}", 1100 + number),
            address: format!("192.0.2.{}", number % 253 + 1),
            mac: format!("02-00-5E-10-{:02X}-{:02X}", number / 256 % 256, number % 256),
            developer,
            installed: Vec::new(),
            files: Vec::new(),
            unseen: Vec::new(),
            programs: Vec::new(),
            chance,
            reports: 0,
        };
        let core = shelf.cores.entry(build_number).or_insert_with(|| {
            Arc::new(Software::core(law.seed, build_number, build.build, law.core_files(), law.days))
        });
        machine.install(Arc::clone(core));
        // Application i is on min(1, 8/i) of the machines.
        for i in 0..law.applications {
            if machine.chance.happens(8.0 / (i + 1) as f64) {
                let application = shelf.applications.entry(i).or_insert_with(|| {
                    Arc::new(Software::application(law.seed, i, law.application_files(), law.days))
                });
                machine.install(Arc::clone(application));
            }
        }
        machine.unseen = machine.files.iter().rev().map(|file| (Arc::clone(file), News::Inventory)).collect();
        machine
    }

    /// Whether it is on: at weekends only servers are.
    pub(super) fn is_on(&self, weekend: bool) -> bool {
        self.server || !weekend
    }

    fn install(&mut self, software: Arc<Software>) {
        let Some(files) = software.releases.first() else {
            return;
        };
        let start = self.files.len();
        self.files.extend(files.iter().cloned());
        let lag = self.chance.below(software.cadence.spread) as i64;
        self.installed.push(Installed { software, release: 0, start, lag });
    }

    /// What a new day brings: updates that are due, and files that no other machine has.
    pub(super) fn begin(&mut self, law: &Law, day: i64) {
        for installed in &mut self.installed {
            let cadence = installed.software.cadence;
            let due = cadence.first + cadence.every * installed.release as i64 + installed.lag;
            let Some(files) = installed.software.releases.get(installed.release + 1).filter(|_| day >= due)
            else {
                continue;
            };
            for (place, new) in self.files.iter_mut().skip(installed.start).zip(files) {
                if !Arc::ptr_eq(place, new) {
                    *place = Arc::clone(new);
                    self.unseen.push((Arc::clone(new), News::Arrival));
                }
            }
            installed.release += 1;
        }
        let own = if self.developer { 20 } else { 1 };
        for nth in 0..own {
            let (kind, name, folder) = if self.developer {
                words::built(day, nth, &self.account)
            } else {
                words::singleton(&self.account, &mut self.chance)
            };
            let file = Draft {
                kind,
                name,
                folder,
                product: "",
                version: String::new(),
                signer: None,
                mark: format!("{} {} {day} {nth}", law.seed, self.id),
            }
            .file(&mut self.chance);
            self.receive(file);
        }
        self.programs =
            self.files.iter().filter(|file| file.kind == Kind::Program).take(24).cloned().collect();
    }

    fn receive(&mut self, file: Arc<File>) {
        self.files.push(Arc::clone(&file));
        self.unseen.push((file, News::Arrival));
    }

    /// What the next event is about. Up to half of the events go to what has not been seen, as
    /// long as there is any.
    pub(super) fn next_file(&mut self) -> Option<(Arc<File>, News)> {
        if !self.unseen.is_empty() && self.chance.happens(0.5) {
            return self.unseen.pop();
        }
        let rank = self.chance.rank(self.files.len());
        self.files.get(rank).map(|file| (Arc::clone(file), News::Repeat))
    }

    /// A program that starts other things; the core's are the most common.
    pub(super) fn next_program(&mut self) -> Option<Arc<File>> {
        let place = self.chance.zipf(self.programs.len());
        self.programs.get(place).cloned()
    }

    /// The sensor's running number.
    pub(super) fn next_report(&mut self) -> i64 {
        self.reports += 1;
        self.reports
    }
}
