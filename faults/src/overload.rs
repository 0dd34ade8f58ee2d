//! Five times as many requests as a server can answer: it goes on answering as many as it can, in time.

mod load;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use self::load::{Came, Clients};
use crate::batches::{Batches, body};
use crate::client::Connection;
use crate::livez::Prober;
use crate::process::Process;
use crate::product::Product;
use crate::report::{Failure, Outcome, Report, While};

/// An answer that takes longer is of no use.
const DEADLINE: Duration = Duration::from_secs(1);
/// Requests that may be under way while the peak is looked for.
const AT_THE_PEAK: usize = 200;
/// Under overload there are as many as the server answers in this part of the deadline at its peak, within
/// [`UNDER_WAY`]. Each connection waits for all others, so with as many as it answers in all of the deadline
/// any moment's want of processor would make every answer late.
const PART_OF_DEADLINE: f64 = 0.25;
const UNDER_WAY: (usize, usize) = (32, 800);
/// The rate it begins with, and what it is multiplied with as long as all are answered.
const SLOWLY: f64 = 200.0;
const FASTER: f64 = 1.4;
/// At each rate.
const STEP: Duration = Duration::from_secs(3);
/// How many times what the server can answer.
const TOO_MANY: f64 = 5.0;
/// Of the peak, what is left of it under overload.
const KEPT: f64 = 0.9;
/// The same on a machine that may be busy with anything, in a run of less than [`LONG`].
const ROUGHLY_KEPT: f64 = 0.5;
const LONG: Duration = Duration::from_secs(300);
/// What memory may grow by, in MiB, beyond what is taken in; once the overload has lasted for a while.
const GROWTH: u64 = 96;
/// No answer is as quick as that.
const MOMENT: Duration = Duration::from_micros(10);
const LOST: &str = "goodput lost";

/// Overloads a server for so long.
pub fn run(rounds: u32, time: Duration, product: &Product, is_control: bool) -> Outcome<Report> {
    let mut report = Report::new("overload");
    (report.rounds, report.is_control) = (rounds, is_control);
    report.must_find(&[LOST]);
    let is_long = time >= LONG;
    for _ in 0..rounds {
        let top = tempfile::tempdir().during("making a folder")?;
        let place = product.settle(&top.path().join("data"), top.path())?;
        let cores = Cores::of_two();
        let mut server = cores.with_server(|| product.serve_under(&place, &[]))?;
        let address = server.must_be_ready()?;
        let to: SocketAddr = address.parse().during("reading the server's address")?;
        let (token, process, batches) = (place.token(&address)?, server.process(), Batches::default());
        // What will be asked for.
        let first = Connection::open(&address, &token)
            .and_then(|mut server| server.post("/api/ingest", &body(batches.take())));
        if !first.as_ref().is_ok_and(|answer| answer.status == 200) {
            return Err(Failure::Unable(format!("the first batch: {first:?}")));
        }
        let clients =
            Clients { to, token: &token, batches: &batches, connections: AT_THE_PEAK, deadline: DEADLINE };
        let peak = find_peak(&clients, process)?;
        let connections = peak.per_second() * DEADLINE.as_secs_f64() * PART_OF_DEADLINE;
        let connections = (connections as usize).clamp(UNDER_WAY.0, UNDER_WAY.1);
        let deadline = if is_control { MOMENT } else { DEADLINE };
        let overloaded = Clients { connections, deadline, ..clients };
        let prober = Prober::begin(server.health());
        let rate = peak.came.due as f64 / peak.time.as_secs_f64() * TOO_MANY;
        // The beginning shows what memory it needs.
        let begun = measure(&overloaded, process, rate, time / 4)?;
        let memory = process.most_memory()?;
        let went_on = measure(&overloaded, process, rate, time - time / 4)?;
        let grown = process.most_memory()?.saturating_sub(memory);
        let patience = if is_long { Duration::ZERO } else { Duration::from_secs(1) };
        let health = prober.end(patience, &mut report.wrong);
        let mut compare = |what: &str, at_peak: f64, now: f64, kept: f64| {
            if now < at_peak * kept {
                report.wrong.add(LOST, format!("{now:.0} a second{what}, at the peak {at_peak:.0}"));
            }
        };
        let kept = if is_long { KEPT } else { ROUGHLY_KEPT };
        compare(" of CPU", peak.per_cpu(), went_on.per_cpu(), kept);
        if is_long || is_control {
            compare("", peak.per_second(), went_on.per_second(), kept);
        }
        if grown > GROWTH {
            report.wrong.add("memory grows", format!("{grown} MiB more"));
        }
        for measured in [&begun, &went_on] {
            let Came { broken, due, .. } = measured.came;
            if broken * 1_000 > due {
                report.wrong.add("requests broken off", format!("{broken} of {due}"));
            }
        }
        let Came { due, good, late, refused, broken, unsent } = went_on.came;
        report.sent += due;
        report.acknowledged += good;
        report.held += good;
        report.remarks.push(format!(
            "{}; peak {:.0} good a second ({:.0} a second of CPU), then {rate:.0} due and {:.0} good ({:.0}); \
             {late} late, {refused} refused, {broken} broken, {unsent} without one of {connections} connections; \
             health within {} ms; memory {memory} MiB, {grown} MiB more at the end",
            cores.describe(),
            peak.per_second(),
            peak.per_cpu(),
            went_on.per_second(),
            went_on.per_cpu(),
            health.as_millis(),
        ));
        server.kill(&mut report.wrong)?;
    }
    Ok(report)
}

/// What came of a rate, and what it cost the server.
struct Measured {
    came: Came,
    time: Duration,
    cpu: Duration,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.came.good as f64 / self.time.as_secs_f64()
    }

    fn per_cpu(&self) -> f64 {
        self.came.good as f64 / self.cpu.as_secs_f64().max(0.01)
    }
}

fn measure(clients: &Clients, process: Process, rate: f64, time: Duration) -> Outcome<Measured> {
    let (began, worked) = (Instant::now(), process.worked()?);
    let came = clients.ask(rate, time)?;
    // The last answers come after the last request was due.
    let time = began.elapsed().max(time);
    let measured = Measured { came, time, cpu: process.worked()?.saturating_sub(worked) };
    eprintln!("{rate:.0} a second: {:.0} good; {came:?}", measured.per_second());
    Ok(measured)
}

/// The most that is answered in time, whatever is asked.
fn find_peak(clients: &Clients, process: Process) -> Outcome<Measured> {
    let (mut rate, mut best) = (SLOWLY, measure(clients, process, SLOWLY, STEP)?);
    loop {
        rate *= FASTER;
        let next = measure(clients, process, rate, STEP)?;
        let is_enough = (next.came.good as f64) < next.came.due as f64 * 0.8;
        if next.per_second() > best.per_second() {
            best = next;
        }
        if is_enough {
            return Ok(best);
        }
    }
}

/// One core for the server and another for those who ask, so that they do not take it from the server.
struct Cores(Option<[CpuSet; 2]>);

impl Cores {
    fn of_two() -> Cores {
        let two = || {
            let all = sched_getaffinity(None).ok()?;
            let mut there = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
            let only = |core| {
                let mut set = CpuSet::new();
                set.set(core);
                set
            };
            Some([only(there.next()?), only(there.next()?)])
        };
        Cores(two())
    }

    /// Starts what inherits the server's core, and goes to the other.
    fn with_server<T>(&self, start: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let Some([ours, servers]) = &self.0 else { return start() };
        sched_setaffinity(None, servers).during("choosing a core")?;
        let started = start();
        sched_setaffinity(None, ours).during("choosing a core")?;
        started
    }

    fn describe(&self) -> &'static str {
        if self.0.is_some() {
            "a core each for server and clients"
        } else {
            "one core for server and clients"
        }
    }
}
