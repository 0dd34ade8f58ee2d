//! A server and all that comes to it: those who attack it in turn, and those who must not notice.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::Exactness;
use super::attacker::attack;
use super::good::{self, Target, ask, p99};
use super::kinds::{KINDS, Known, NO_TIMEOUTS, TIMEOUTS};
use super::program::{self, MODES};
use crate::batches::Batches;
use crate::client::Connection;
use crate::livez::Prober;
use crate::process::{Open, Process};
use crate::product::Product;
use crate::report::{Failure, Outcome, Report, While, Wrong};
use crate::server::Server;
use crate::tls;

/// What a control run must find.
pub const NOT_ENDED: &str = "slow connection not ended in time";

/// Connections that the server takes, of which one address may have a quarter.
const TAKEN: &[(&str, &str)] =
    &[("PINTLE_SERVER_MAX_CONNECTIONS", "400"), ("PINTLE_SERVER_MAX_CONNECTIONS_PER_ADDRESS", "100")];
/// Connections that attack it, of eight addresses.
const ATTACKERS: usize = 640;
/// Those of a flood, each anew with each step of the attacker's.
const FLOOD: usize = 24;
const ATTACK: Duration = Duration::from_secs(8);
/// How long one of `slowhttptest` lasts.
const PROGRAM: Duration = Duration::from_secs(5);
/// How long good clients ask without an attack, for comparison with what follows.
const BASELINE: Duration = Duration::from_secs(2);
/// How much later than its timeouts say the server may end a connection, on a machine that others work on.
const SLACK: Duration = Duration::from_secs(3);
/// After so long all must be as before.
const RECOVERY: Duration = Duration::from_secs(60);
/// Files that the store may have opened meanwhile.
const OF_STORE: usize = 32;

/// The server.
pub struct Stage {
    server: Server,
    process: Process,
    target: Target,
    known: Known,
    batches: Batches,
    exactness: Exactness,
    /// Of each way to attack.
    compared: Vec<Compared>,
    totals: Totals,
    _top: tempfile::TempDir,
}

/// A p99 of each round, before an attack and during it.
struct Compared {
    name: &'static str,
    before: Vec<Duration>,
    during: Vec<Duration>,
}

#[derive(Default)]
struct Totals {
    opened: u64,
    cut: u64,
    /// Memory at first, in MiB.
    memory: u64,
    slowest_health: Duration,
    slowest_recovery: Duration,
}

impl Stage {
    /// Starts a server and puts a batch in.
    pub fn new(product: &Product, with_tls: bool, is_control: bool, exactness: Exactness) -> Outcome<Stage> {
        let top = tempfile::tempdir().during("making a folder")?;
        let place = product.settle(&top.path().join("data"), top.path())?;
        let attackers = product.register(&place, "attackers")?;
        let tls = with_tls.then(|| tls::certify(top.path())).transpose()?;
        let mut settings = [TAKEN, if is_control { NO_TIMEOUTS } else { TIMEOUTS }].concat();
        let [certificate, key] = tls::FILES.map(|file| top.path().join(file).to_string_lossy().into_owned());
        if with_tls {
            settings.extend([
                ("PINTLE_SERVER_TLS_CERTIFICATE", certificate.as_str()),
                ("PINTLE_SERVER_TLS_KEY", &key),
            ]);
        }
        let mut server = product.serve_under(&place, &settings)?;
        let address = server.must_be_ready()?;
        let token = place.token_by(&address, tls.as_ref())?;
        let known = Known {
            token: attackers.token_by(&address, tls.as_ref())?,
            token_path: place.token_path().to_owned(),
        };
        let (process, target) = (server.process(), Target { address, tls, token });
        let batches = Batches::default();
        good::begin(&target, &batches)?;
        let mut at_first = Wrong::default();
        // What a server does for the first time takes longer.
        ask(&target, &batches, BASELINE, "before all", &mut at_first);
        if let Some(first) = at_first.first() {
            return Err(Failure::Unable(format!("good requests fail without an attack: {first}")));
        }
        let totals = Totals { memory: process.most_memory()?, ..Totals::default() };
        let compared = Vec::new();
        Ok(Stage { server, process, target, known, batches, exactness, compared, totals, _top: top })
    }

    /// Makes every attack once.
    pub fn make_round(&mut self, program: Option<&str>, wrong: &mut Wrong) -> Outcome<()> {
        let to: SocketAddr = self.target.address.parse().during("reading the server's address")?;
        let with_tls = self.target.tls.is_some();
        for kind in KINDS.iter().filter(|kind| kind.tls == with_tls) {
            let first = (kind.first)(&self.known);
            let connections = if kind.is_flood { FLOOD } else { ATTACKERS };
            let attacked =
                self.under(kind.name, ATTACK, wrong, |until| attack(kind, to, &first, connections, until))?;
            if attacked.longest > kind.ends_within + SLACK {
                wrong.add(NOT_ENDED, format!("{}: open for {:?}", kind.name, attacked.longest));
            }
            self.totals.opened += attacked.opened;
            self.totals.cut += attacked.cut;
        }
        let Some(program) = program.filter(|_| !with_tls) else { return Ok(()) };
        for (name, mode, path) in MODES {
            let path = if *path == "TOKEN" { self.known.token_path.as_str() } else { path };
            let url = format!("http://{}{path}", self.target.address);
            self.under(name, PROGRAM, wrong, |_| program::attack(program, mode, &url, PROGRAM))?;
        }
        Ok(())
    }

    /// Lets good clients ask before an attack and during it, and waits until nothing is left of that.
    fn under<T: Send>(
        &mut self,
        name: &'static str,
        time: Duration,
        wrong: &mut Wrong,
        attack: impl FnOnce(Instant) -> Outcome<T> + Send,
    ) -> Outcome<T> {
        let at_rest = self.process.open()?;
        let (target, batches) = (&self.target, &self.batches);
        let prober = Prober::begin(self.server.health());
        let mut before = ask(target, batches, BASELINE, &format!("before {name}"), wrong);
        let until = Instant::now() + time;
        let (attacked, mut during) = thread::scope(|scope| {
            let attacking = scope.spawn(move || attack(until));
            let during = ask(target, batches, time, &format!("during {name}"), wrong);
            let attacked = attacking.join().map_err(|_| Failure::Unable(format!("{name}: a panic")))?;
            Ok((attacked?, during))
        })?;
        let slowest = prober.end(self.exactness.patience(), wrong);
        self.totals.slowest_health = self.totals.slowest_health.max(slowest);
        let recovered = self.recovers(at_rest, name, wrong)?;
        self.totals.slowest_recovery = self.totals.slowest_recovery.max(recovered);
        let (before, during) = (p99(&mut before), p99(&mut during));
        eprintln!("{name}: p99 {before:.1?} before, {during:.1?} during; as before after {recovered:.1?}");
        match self.compared.iter_mut().find(|compared| compared.name == name) {
            Some(compared) => {
                compared.before.push(before);
                compared.during.push(during);
            }
            None => self.compared.push(Compared { name, before: vec![before], during: vec![during] }),
        }
        Ok(attacked)
    }

    /// How long it takes until no more is open than before.
    fn recovers(&self, at_rest: Open, name: &str, wrong: &mut Wrong) -> Outcome<Duration> {
        let began = Instant::now();
        loop {
            let open = self.process.open()?;
            if open.sockets <= at_rest.sockets && open.all <= at_rest.all + OF_STORE {
                return Ok(began.elapsed());
            }
            if began.elapsed() > RECOVERY {
                wrong
                    .add("connections left after an attack", format!("{name}: {open:?}, before {at_rest:?}"));
                return Ok(began.elapsed());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Judges, and ends the server.
    pub fn end(mut self, report: &mut Report) -> Outcome<()> {
        for compared in &mut self.compared {
            let (before, during) = (median(&mut compared.before), median(&mut compared.during));
            if during > self.exactness.p99(before) {
                let figures = format!("{}: {before:?} before, {during:?} during", compared.name);
                report.wrong.add("good clients slowed down", figures);
            }
            let [before, during] = [before, during].map(|time| time.as_secs_f64() * 1_000.0);
            report.remarks.push(format!("{} {before:.1} → {during:.1} ms", compared.name));
        }
        let Totals { opened, cut, memory, slowest_health, slowest_recovery } = self.totals;
        let grown = self.process.most_memory()?.saturating_sub(memory);
        let tls = if self.target.tls.is_some() { "with TLS " } else { "" };
        report.remarks.push(format!(
            "{tls}{opened} connections, {cut} ended by the server, health within {} ms, as before after {} ms, \
             {grown} MiB more at most",
            slowest_health.as_millis(),
            slowest_recovery.as_millis()
        ));
        let token = &self.target.token;
        let mut server = Connection::open_by(&self.target.address, self.target.tls.as_ref(), token)
            .map_err(|_| Failure::Unable("the server is gone".into()))?;
        self.batches.look_for_acknowledged(&mut server, &mut report.wrong)?;
        report.sent += self.batches.sent();
        report.acknowledged += self.batches.acknowledged();
        report.held += self.batches.held();
        self.server.kill(&mut report.wrong)?;
        Ok(())
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
