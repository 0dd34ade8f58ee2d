//! A machine: what it is called, what is installed on it, and what it does in a day.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use sha1::{Digest, Sha1};

use super::Law;
use super::chance::{Chance, Zipf};
use super::file::{Cadence, Draft, File, Kind, Software, hex};
use super::law::is_server;
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
    /// How many files the installed software has: they come before its own in rank.
    shared: usize,
    /// What has not been seen yet; the last is seen first, so that news does not wait behind the
    /// inventory of the first day.
    unseen: Vec<Unseen>,
    /// What starts other things.
    programs: Vec<Arc<File>>,
    reports: i64,
    pub(super) today: Today,
}

/// What a machine that is on has yet to do today.
#[derive(Clone, Copy, Default)]
pub(super) struct Today {
    /// Events, and how many of them have been.
    pub(super) events: usize,
    pub(super) done: usize,
    /// How many of those to come must be about files that have not been seen yet.
    pub(super) news: usize,
    /// Spreads the fleet's events over the parts of the day.
    pub(super) phase: f64,
    /// When it reports, as a share of the day; `None` while it is off or when it has reported.
    pub(super) report: Option<f64>,
}

/// How a file comes to be seen for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was there when the telemetry begins.
    Inventory,
    /// It has just come to the machine.
    Arrival,
}

/// Files not seen yet: a run of them.
enum Unseen {
    /// What a release brought, from a place on.
    Software { installed: usize, release: usize, next: usize },
    /// The machine's own files of a range.
    Own { next: usize, end: usize },
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

/// How many programs of a machine start others, and which of them how often.
const PROGRAMS: usize = 24;
static PROGRAM: LazyLock<Zipf> = LazyLock::new(|| Zipf::over(PROGRAMS));

impl Machine {
    /// The `number`th machine, as it stands on the first day. Every fifth is a server and 5 % of
    /// the others, at least one, are developers'.
    pub(super) fn new(law: &Law, number: usize, shelf: &mut Shelf) -> Machine {
        let mut chance = Chance::of(law.seed, "machine", number);
        let server = is_server(number);
        let developer = !server && number % 20 == 1;
        let (short, group, build_number, build) = if server {
            let task =
                words::SERVER_TASKS.get(number / 5 % words::SERVER_TASKS.len()).copied().unwrap_or("file");
            let build = chance.zipf(&Zipf::over(words::SERVER_BUILDS.len()));
            (format!("srv-{task}-{:02}", number / 5 + 1), "Servers", build, words::SERVER_BUILDS.get(build))
        } else {
            let (department, group) =
                if developer { ("dev", "Engineering") } else { chance.pick(words::DEPARTMENTS) };
            let build = chance.zipf(&Zipf::over(words::WORKSTATION_BUILDS.len()));
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
            shared: 0,
            unseen: Vec::new(),
            programs: Vec::new(),
            chance,
            reports: 0,
            today: Today::default(),
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
        machine.installed.shrink_to_fit();
        let all = (0..machine.installed.len()).rev();
        machine.unseen = all.map(|installed| Unseen::Software { installed, release: 0, next: 0 }).collect();
        machine.find_programs();
        machine
    }

    /// Whether it is on: at weekends only servers are.
    pub(super) fn is_on(&self, weekend: bool) -> bool {
        self.server || !weekend
    }

    fn install(&mut self, software: Arc<Software>) {
        let lag = self.chance.below(software.cadence.spread) as i64;
        let start = self.shared;
        self.shared += software.len();
        self.installed.push(Installed { software, release: 0, start, lag });
    }

    /// What a new day brings: updates that are due, and files that no other machine has.
    pub(super) fn begin(&mut self, day: i64) {
        let mut updated = false;
        for (place, installed) in self.installed.iter_mut().enumerate() {
            if installed.is_due(installed.release + 1, day) {
                installed.release += 1;
                let release = installed.release;
                self.unseen.push(Unseen::Software { installed: place, release, next: 0 });
                updated = true;
            }
        }
        if updated {
            self.find_programs();
        }
        let (next, end) = (self.own_files(day), self.own_files(day + 1));
        self.unseen.push(Unseen::Own { next, end });
    }

    /// How many files only this machine has before a day begins: one more every day, a
    /// developer's twenty.
    pub(super) fn own_files(&self, day: i64) -> usize {
        let days = usize::try_from(day).unwrap_or_default();
        if self.developer { 20 * days } else { days }
    }

    /// How many files there are to be seen on it in so many days.
    pub(super) fn files_in(&self, days: i64) -> u64 {
        let shared = self.installed.iter().flat_map(|installed| {
            let releases = (0..).take_while(|release| *release == 0 || installed.is_due(*release, days - 1));
            releases.map_while(|release| installed.software.brought(release)).map(u64::from)
        });
        shared.sum::<u64>() + self.own_files(days) as u64
    }

    /// How many of the files that are there have not been seen yet.
    pub(super) fn unseen(&self) -> usize {
        let runs = self.unseen.iter().map(|run| match run {
            Unseen::Own { next, end } => end - next,
            Unseen::Software { installed, release, next } => {
                let software = self.installed.get(*installed).map(|installed| &installed.software);
                software.map_or(0, |software| software.brought_after(*release, *next))
            }
        });
        runs.sum()
    }

    /// A file of the machine's own. None of them is kept: each comes out the same again.
    fn own_file(&self, seed: u64, nth: usize) -> Arc<File> {
        let mut chance = Chance::of(seed, "own file", self.number << 24 | nth);
        let (day, place) = if self.developer { (nth / 20, nth % 20) } else { (nth, 0) };
        let (kind, name, folder) = if self.developer {
            words::built(day as i64, place, &self.account)
        } else {
            words::singleton(&self.account, &mut chance)
        };
        Draft {
            kind,
            name,
            folder,
            product: "",
            version: String::new(),
            signer: None,
            mark: format!("{seed} {} {day} {place}", self.id),
        }
        .file(&mut chance)
    }

    /// The file of a rank: the core first, then applications, then its own as they came.
    fn file(&self, seed: u64, rank: usize) -> Option<Arc<File>> {
        if let Some(own) = rank.checked_sub(self.shared) {
            return Some(self.own_file(seed, own));
        }
        let after = self.installed.partition_point(|installed| installed.start <= rank);
        let installed = self.installed.get(after.checked_sub(1)?)?;
        installed.software.file(installed.release, rank - installed.start).cloned()
    }

    fn find_programs(&mut self) {
        let files = self.installed.iter().flat_map(|installed| {
            (0..installed.software.len())
                .filter_map(|place| installed.software.file(installed.release, place))
        });
        self.programs = files.filter(|file| file.kind == Kind::Program).take(PROGRAMS).cloned().collect();
    }

    /// A file that has not been seen yet, if there is one.
    pub(super) fn next_unseen(&mut self, seed: u64) -> Option<(Arc<File>, News)> {
        loop {
            match self.unseen.last_mut()? {
                Unseen::Own { next, end } if *next < *end => {
                    let nth = *next;
                    *next += 1;
                    return Some((self.own_file(seed, nth), News::Arrival));
                }
                Unseen::Own { .. } => {}
                Unseen::Software { installed, release, next } => {
                    let software = self.installed.get(*installed).map(|installed| &installed.software);
                    let brought = software.and_then(|software| software.brought_from(*release, *next));
                    if let Some((place, file)) = brought {
                        *next = place + 1;
                        let news = if *release == 0 { News::Inventory } else { News::Arrival };
                        return Some((Arc::clone(file), news));
                    }
                }
            }
            self.unseen.pop();
        }
    }

    /// Any of the files that are there: one that was seen before, as a rule.
    pub(super) fn next_seen(&mut self, seed: u64, day: i64) -> Option<Arc<File>> {
        let rank = self.chance.rank(self.shared + self.own_files(day + 1));
        self.file(seed, rank)
    }

    /// A program that starts other things; the core's are the most common.
    pub(super) fn next_program(&mut self) -> Option<Arc<File>> {
        let place = self.chance.zipf(&PROGRAM) % self.programs.len().max(1);
        self.programs.get(place).cloned()
    }

    /// The sensor's running number.
    pub(super) fn next_report(&mut self) -> i64 {
        self.reports += 1;
        self.reports
    }
}

impl Installed {
    /// Whether a release has come to this machine by a day.
    fn is_due(&self, release: usize, day: i64) -> bool {
        let Cadence { every, first, .. } = self.software.cadence;
        let earlier = release.saturating_sub(1) as i64;
        self.software.brought(release).is_some() && day >= first + every * earlier + self.lag
    }
}
