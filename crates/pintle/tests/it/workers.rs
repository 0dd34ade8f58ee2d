//! Whatever becomes of the process that parses an input, it costs that input: the server answers, what
//! came before stays, and a reject says what happened.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;
use pintle::worker::Processes;
use pintle_ingest::{Layout, Workers as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::command::{Ran, on, pintle, run_on, signal, spawn};
use crate::event_logs::log::{Chunk, HEADER, log};
use crate::event_logs::shapes::{self, Shape};
use crate::world::World;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pintle");
const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose workers are as told.
fn world(workers: Processes) -> World {
    World::new(Config::default()).with_workers(workers)
}

/// Workers that are no `pintle`, with little patience for them.
fn misbehaving(name: &str) -> Processes {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/workers");
    Processes::of(scripts.join(name)).with_patience(Duration::from_secs(20))
}

async fn send(world: &World, log: &[u8]) -> (u16, Value) {
    let token = world.token(&["Event.Write".to_owned()]);
    let request = Request::post("/api/ingest").header("Authorization", format!("Bearer {token}"));
    let answer = world.send(request.body(Body::from(log.to_vec())).unwrap()).await;
    (answer.status.as_u16(), serde_json::from_str(&answer.body).unwrap())
}

/// The reasons of a report, each as often as it was counted.
fn reasons(report: &Value) -> Vec<String> {
    let counted = report["rejectedByReason"].as_object().unwrap().iter();
    counted.flat_map(|(reason, count)| vec![reason.clone(); count.as_u64().unwrap() as usize]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_any_shape_costs_itself_and_the_server_answers() {
    let world = world(Processes::of(PROGRAM));
    let cut_off = shapes::cut_off().into_iter().step_by(16);
    for Shape { name, log, events, mut rejects } in shapes::all().into_iter().chain(cut_off) {
        let begun = Instant::now();
        let (status, report) = send(&world, &log).await;
        assert!(begun.elapsed() < PATIENCE, "{name}: {:?}", begun.elapsed());
        assert_eq!(status, 200, "{name}: {report}");
        rejects.sort_unstable();
        assert_eq!(reasons(&report), rejects, "{name}");
        assert_eq!(report["records"], events.len() + rejects.len(), "{name}");
    }
    for log in shapes::mutated(40) {
        let (status, report) = send(&world, &log).await;
        assert_eq!(status, 200, "{report}");
        assert!(
            !reasons(&report).iter().any(|reason| reason.contains("could not be read further")),
            "{report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_dies_of_is_a_reject_and_the_next_input_is_read() {
    // What this one makes of a few kilobytes takes 64 MiB.
    let large = shapes::all().pop().unwrap().log;
    let sound = shapes::sound();
    for (workers, log, became) in [
        (misbehaving("hangs.sh").with_patience(Duration::from_millis(300)), &sound, "took too long"),
        (misbehaving("burns.sh"), &sound, "took too long"),
        (misbehaving("crashes.sh"), &sound, "was killed (signal 11)"),
        (misbehaving("fails.sh"), &sound, "failed"),
        (Processes::of(PROGRAM).with_memory(64 << 20), &large, "ran out of memory"),
    ] {
        let world = world(workers);
        let (status, report) = send(&world, log).await;
        assert_eq!(status, 200, "{report}");
        let reason = format!("the event log could not be read further: its reader {became}");
        assert_eq!(reasons(&report), [reason], "{report}");
        let world = world.with_workers(Processes::of(PROGRAM));
        let (_, report) = send(&world, &sound).await;
        assert_eq!((&report["records"], &report["rejected"]), (&90.into(), &0.into()), "{report}");
    }
}

#[tokio::test]
async fn that_no_worker_can_be_started_is_the_servers_fault() {
    let (status, answer) = send(&world(Processes::of("/nowhere/pintle")), &shapes::sound()).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &"ServiceUnavailable".into()), "{answer}");
}

#[test]
fn one_more_worker_than_there_are_places_for_waits() {
    let workers = misbehaving("hangs.sh");
    let mut held: Vec<_> = (0..8).map(|_| workers.start(Layout::EventLog).unwrap()).collect();
    std::thread::scope(|scope| {
        let (started, wait) = mpsc::channel();
        let workers = &workers;
        scope.spawn(move || {
            let one = workers.start(Layout::EventLog).unwrap();
            started.send(()).unwrap();
            drop(one);
        });
        assert!(wait.recv_timeout(Duration::from_millis(200)).is_err());
        held.pop();
        wait.recv_timeout(PATIENCE).unwrap();
    });
}

/// The worker of a process, once it has one.
fn worker_of(owner: &Child) -> u32 {
    let begun = Instant::now();
    loop {
        for entry in std::fs::read_dir("/proc").unwrap() {
            let Ok(id) = entry.unwrap().file_name().to_string_lossy().parse::<u32>() else { continue };
            let is_its = stat(id).is_some_and(|stat| stat.owner == owner.id());
            // Before it is executed it is still its owner's copy.
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            if is_its && line.starts_with(b"pintle\0worker\0event-log\0") {
                return id;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "no worker");
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Stat {
    owner: u32,
    has_ended: bool,
}

/// What the system says of a process, if there is one.
fn stat(id: u32) -> Option<Stat> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let has_ended = fields.next()? == "Z";
    Some(Stat { has_ended, owner: fields.next()?.parse().ok()? })
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_worker_that_is_killed_costs_the_rest_of_its_input_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // An event a chunk; 64 chunks, 4 MiB, are parsed together.
    let log = log(&(1..=250).map(|number| Chunk::of(number, 1).done()).collect::<Vec<_>>());
    let next = folder.path().join("next.evtx");
    std::fs::write(&next, shapes::sound()).unwrap();
    let data = folder.path().join("data");
    let mut command = on(&data, &["ingest", "--json", "-", next.to_str().unwrap()]);
    let mut ingesting = spawn(command.stdin(Stdio::piped()));
    let mut stdin = ingesting.stdin.take().unwrap();
    // Of so much the worker has 4 MiB at least, whatever waits on the way; and it was told what
    // follows only after it had said what is in these.
    let (some, rest) = log.split_at(12 << 20);
    stdin.write_all(some).unwrap();
    let worker = Pid::from_raw(worker_of(&ingesting).cast_signed()).unwrap();
    kill_process(worker, Signal::KILL).unwrap();
    // The rest may find nobody who wants it.
    let _ = stdin.write_all(rest);
    drop(stdin);
    let ran = Ran::of(ingesting.wait_with_output().unwrap());
    assert_eq!(ran.code, 5, "{}", ran.err);
    let report = ran.json();
    let came = report["records"].as_u64().unwrap() - 1 - 90;
    assert!(came > 0 && came < 250 && came.is_multiple_of(64), "{report}");
    let rejects = run_on(&data, &["rejects", "--json"]);
    let reason = "the event log could not be read further: its reader was killed (signal 9)";
    assert!(rejects.out.contains(reason), "{}", rejects.out);
}

#[test]
fn a_worker_has_given_up_what_it_does_not_need_and_ends_with_its_owner() {
    let mut decoding = spawn(pintle(&["decode", "-"]).env("SECRET", "x").stdin(Stdio::piped()));
    let mut stdin = decoding.stdin.take().unwrap();
    stdin.write_all(&shapes::sound()[..HEADER]).unwrap();
    let worker = worker_of(&decoding);
    let of_worker = PathBuf::from(format!("/proc/{worker}"));
    let read = |file: &str| std::fs::read_to_string(of_worker.join(file)).unwrap();
    wait_until("it is confined", || limit(&read("limits"), "Max cpu time") == "600");
    let limits = read("limits");
    for (name, most) in [
        ("Max open files", "0"),
        ("Max processes", "0"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max address space", "536870912"),
    ] {
        assert_eq!(limit(&limits, name), most, "{limits}");
    }
    assert!(read("status").contains("NoNewPrivs:\t1"));
    // Its owner may not look into it any more, but for root.
    if let Ok(environ) = std::fs::read_to_string(of_worker.join("environ")) {
        assert_eq!(environ, "");
        assert_eq!(std::fs::read_link(of_worker.join("cwd")).unwrap(), Path::new("/"));
    }
    signal(&decoding, Signal::KILL);
    decoding.wait().unwrap();
    wait_until("it has ended", || stat(worker).is_none_or(|stat| stat.has_ended));
}

/// The soft limit of that name.
fn limit<'a>(limits: &'a str, name: &str) -> &'a str {
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap()
}

#[test]
fn nobody_else_starts_a_worker() {
    for arguments in [&["worker"][..], &["worker", "text", "1000000"], &["worker", "event-log", "much"]] {
        let ran = crate::command::run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(ran.err.contains("pintle starts this command by itself"), "{}", ran.err);
    }
}
