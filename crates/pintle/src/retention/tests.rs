use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::*;

fn at(hours: i64) -> Time {
    Time::from_unix_seconds(1_700_000_000 + hours * 3600)
}

/// A folder with a job in it, by clocks that stand until they are moved, in hours.
struct Clocks {
    folder: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    steady: Arc<AtomicU64>,
}

impl Clocks {
    fn new() -> Clocks {
        Clocks { folder: tempfile::tempdir().unwrap(), clock: Arc::default(), steady: Arc::default() }
    }

    /// As a start of the server opens it; the steady clock begins anew with each.
    fn start(&self) -> Job {
        self.steady.store(0, Ordering::SeqCst);
        let (clock, steady) = (Arc::clone(&self.clock), Arc::clone(&self.steady));
        let clock: Clock = Arc::new(move || at(clock.load(Ordering::SeqCst)));
        let steady: Steady = Arc::new(move || HOUR * u32::try_from(steady.load(Ordering::SeqCst)).unwrap());
        let (job, problem) = Job::open_by(self.folder.path(), clock, steady);
        assert!(problem.is_none(), "{problem:?}");
        job
    }

    fn pass(&self, hours: i64) {
        self.clock.fetch_add(hours, Ordering::SeqCst);
        self.steady.fetch_add(hours.unsigned_abs(), Ordering::SeqCst);
    }

    fn jump(&self, hours: i64) {
        self.clock.fetch_add(hours, Ordering::SeqCst);
    }

    fn run(&self, job: &Job) {
        let run = Run { at: (job.clock)(), seconds: 1.0, expired: Expired::default() };
        job.ran(run);
        assert_eq!(job.look().last, Some(run));
    }
}

#[test]
fn a_run_is_due_a_day_after_the_first_look_and_then_daily_also_across_restarts() {
    let clocks = Clocks::new();
    let mut job = clocks.start();
    assert_eq!((job.look().is_due(), job.look().due), (false, at(24)));
    for day in 0..3 {
        for hour in 0..24 {
            assert!(!job.look().is_due(), "day {day}, hour {hour}");
            clocks.pass(1);
            if hour == 11 {
                job = clocks.start();
            }
        }
        assert!(job.look().is_due() && job.look().is_due(), "until it has run");
        clocks.run(&job);
    }
}

#[test]
fn nothing_is_due_after_a_jump_until_it_is_resumed_or_a_day_has_gone_by() {
    for hours in [25, 1_000_000, -25] {
        for is_resumed in [true, false] {
            let clocks = Clocks::new();
            let job = clocks.start();
            job.look();
            clocks.pass(30);
            assert!(job.look().is_due());
            clocks.run(&job);
            clocks.pass(1);
            clocks.jump(hours);
            let pause = Pause { since: at(31 + hours), expected: at(31), found: at(31 + hours) };
            assert_eq!((job.look().paused, job.look().is_due()), (Some(pause), false), "{hours}");
            clocks.pass(1);
            if is_resumed {
                assert_eq!(job.resume().paused, None);
            } else {
                clocks.pass(22);
                assert_eq!((job.look().paused, job.look().is_due()), (Some(pause), false), "{hours}");
                clocks.pass(1);
            }
            let standing = job.look();
            assert_eq!(standing.paused, None, "{hours}");
            // Behind a clock that went back nobody waits for the old time to come again.
            assert!(standing.due <= standing.clock + DAY, "{hours}");
            if hours > 0 {
                assert!(standing.is_due(), "{hours}");
            }
        }
    }
}

#[test]
fn a_jump_within_a_day_is_none() {
    let clocks = Clocks::new();
    let job = clocks.start();
    job.look();
    clocks.jump(24);
    assert!(job.look().is_due());
    clocks.jump(-23);
    assert_eq!(job.look().paused, None);
}

#[test]
fn a_restart_compares_with_where_the_clock_stood_and_keeps_a_pause() {
    let clocks = Clocks::new();
    clocks.start().look();
    clocks.pass(25);
    let job = clocks.start();
    let pause = Pause { since: at(25), expected: at(0), found: at(25) };
    assert_eq!(job.look().paused, Some(pause));
    clocks.pass(12);
    job.look();

    // The clock is where the last look left it, but nobody has resumed.
    let job = clocks.start();
    assert_eq!((job.look().paused, job.look().is_due()), (Some(pause), false));
    clocks.pass(23);
    assert_eq!(job.look().paused, Some(pause));
    clocks.pass(1);
    assert!(job.look().is_due());

    clocks.jump(-100);
    assert!(job.look().paused.is_some());
    let job = clocks.start();
    assert_eq!(job.resume().paused, None);
    assert_eq!(clocks.start().look().paused, None, "that is kept too");
}

#[test]
fn what_cannot_be_read_counts_as_nothing_known() {
    let clocks = Clocks::new();
    std::fs::write(clocks.folder.path().join("retention.json"), "{").unwrap();
    let (job, problem) = Job::open(clocks.folder.path(), Arc::new(|| at(0)));
    assert!(problem.is_some());
    assert_eq!((job.look().paused, job.look().due), (None, at(24)));
    assert_eq!(Job::open(clocks.folder.path(), Arc::new(|| at(0))).1.map(|error| error.to_string()), None);
}
