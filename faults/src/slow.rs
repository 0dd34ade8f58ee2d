//! Clients that keep a server waiting, in more connections than it takes: nobody else notices, and the server
//! ends each of them by itself.

mod attacker;
mod good;
mod kinds;
mod program;
mod stage;

use std::time::Duration;

use self::stage::Stage;
use crate::product::Product;
use crate::report::{Outcome, Report};

/// Lets all kinds attack so many times.
pub fn run(rounds: u32, product: &Product, is_control: bool) -> Outcome<Report> {
    let mut report = Report::new("slow");
    report.is_control = is_control;
    report.must_find(&[stage::NOT_ENDED]);
    report.rounds = rounds;
    let program = program::find();
    for tls in [false, true] {
        let mut stage = Stage::new(product, tls, is_control, Exactness::of(rounds))?;
        for _ in 0..rounds {
            stage.make_round(program.as_deref(), &mut report.wrong)?;
        }
        stage.end(&mut report)?;
    }
    if program.is_none() {
        eprintln!("NOT RUN: slowhttptest, which is not on this machine (apt-get install slowhttptest)");
        report.remarks.push("without slowhttptest".to_owned());
    }
    Ok(report)
}

/// How closely times are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// As promised.
    Exact,
    /// In a short run, on a machine that may be busy with anything: only what no such machine explains.
    Rough,
}

impl Exactness {
    fn of(rounds: u32) -> Exactness {
        /// From so many on, the median of a round's figures says something.
        const ENOUGH: u32 = 5;
        if rounds >= ENOUGH { Exactness::Exact } else { Exactness::Rough }
    }

    /// What a p99 may be during an attack.
    fn p99(self, before: Duration) -> Duration {
        match self {
            // One turn of the scheduler beside others' work is some milliseconds, whatever the server does.
            Exactness::Exact => before * 2 + Duration::from_millis(5),
            Exactness::Rough => before * 10 + Duration::from_millis(500),
        }
    }

    /// What is added to the time in which health is to answer.
    pub fn patience(self) -> Duration {
        match self {
            Exactness::Exact => Duration::ZERO,
            Exactness::Rough => Duration::from_secs(1),
        }
    }
}
