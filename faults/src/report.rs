//! What a run found: a row of figures, and what was wrong.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::process::Command;
use std::time::Instant;

/// Why a run could not be made. A broken promise is no failure of the run: it is in its [`Report`].
#[derive(Debug)]
pub enum Failure {
    /// The run itself went wrong.
    Unable(String),
    /// The machine does not let the fault be made.
    NotPermitted(String),
}

/// What a step of a run gives.
pub type Outcome<T> = Result<T, Failure>;

/// Says what was being done when something failed.
pub trait While<T> {
    /// As a failure of the run.
    fn during(self, what: impl Display) -> Outcome<T>;
}

impl<T, E: Display> While<T> for Result<T, E> {
    fn during(self, what: impl Display) -> Outcome<T> {
        self.map_err(|error| Failure::Unable(format!("{what}: {error}")))
    }
}

/// Runs a command to its end; its output is told if it fails.
pub fn command(program: &str, arguments: &[&str]) -> Outcome<String> {
    let what = format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output().during(&what)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::Unable(format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// Broken promises, counted by their kind; the first of each is told.
#[derive(Default)]
pub struct Wrong(BTreeMap<&'static str, (u64, String)>);

impl Wrong {
    /// One more.
    pub fn add(&mut self, kind: &'static str, detail: impl Display) {
        self.0.entry(kind).or_insert_with(|| (0, detail.to_string())).0 += 1;
    }

    /// How many of a kind.
    pub fn count(&self, kind: &str) -> u64 {
        self.0.get(kind).map_or(0, |(count, _)| *count)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of them.
    pub fn first(&self) -> Option<&str> {
        self.0.values().next().map(|(_, detail)| detail.as_str())
    }
}

/// The figures of a run.
pub struct Report {
    /// The fault, as its subcommand is called.
    pub fault: &'static str,
    /// How often it was made.
    pub rounds: u32,
    /// Things (batches, mutations) sent or made.
    pub sent: u64,
    /// Of these, acknowledged (or noticed).
    pub acknowledged: u64,
    /// Of all sent, there at the end.
    pub held: u64,
    /// Broken promises.
    pub wrong: Wrong,
    /// Whether this is a control run.
    pub is_control: bool,
    /// What a control run must find.
    expected: &'static [&'static str],
    /// Further figures, for people.
    pub remarks: Vec<String>,
    /// When the run began.
    pub started: Instant,
}

impl Report {
    /// Nothing yet.
    pub fn new(fault: &'static str) -> Report {
        Report {
            fault,
            rounds: 0,
            sent: 0,
            acknowledged: 0,
            held: 0,
            wrong: Wrong::default(),
            is_control: false,
            expected: &[],
            remarks: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Says what a control run must find.
    pub fn must_find(&mut self, kinds: &'static [&'static str]) {
        self.expected = kinds;
    }

    fn missed(&self) -> impl Iterator<Item = &'static str> {
        self.expected.iter().copied().filter(|kind| self.wrong.count(kind) == 0)
    }

    /// Whether all promises held; for a control run, whether it found all it must.
    pub fn is_clean(&self) -> bool {
        if self.is_control { self.missed().next().is_none() } else { self.wrong.is_empty() }
    }

    /// `| fault | rounds | sent | acknowledged | held | wrong | remarks |`
    pub fn row(&self) -> String {
        let wrong: Vec<String> =
            self.wrong.0.iter().map(|(kind, (count, _))| format!("{count} × {kind}")).collect();
        let wrong = if wrong.is_empty() { "nothing".to_owned() } else { wrong.join(", ") };
        let each = self.started.elapsed().as_secs_f64() / f64::from(self.rounds.max(1));
        let mut remarks = self.remarks.clone();
        remarks.push(format!("{each:.2} s a round"));
        format!(
            "| {}{} | {} | {} | {} | {} | {wrong} | {} |",
            self.fault,
            if self.is_control { ", control" } else { "" },
            self.rounds,
            self.sent,
            self.acknowledged,
            self.held,
            remarks.join("; ")
        )
    }

    /// Tells the first of each kind.
    pub fn print_wrong(&self) {
        for (kind, (count, first)) in &self.wrong.0 {
            eprintln!("{count} × {kind}, first: {first}");
        }
        for missed in self.missed().filter(|_| self.is_control) {
            eprintln!("the control run did not find \"{missed}\": then neither does the other");
        }
    }
}
