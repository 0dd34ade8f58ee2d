use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

/// A folder with a log in it, and a clock that stands still until told.
struct World {
    folder: tempfile::TempDir,
    seconds: Arc<AtomicI64>,
}

impl World {
    fn new() -> World {
        World { folder: tempfile::tempdir().unwrap(), seconds: Arc::new(AtomicI64::new(1_700_000_000)) }
    }

    /// One of three lines beside the first, closed.
    fn of_three_lines() -> World {
        let world = World::new();
        let audit = world.open();
        for name in ["a", "b", "c"] {
            audit.note(Entry::new(Actor::owner(Some(7), Some(70)), "client.created").on(name));
        }
        world
    }

    fn open(&self) -> Audit {
        self.open_with(FILE_BYTES)
    }

    fn open_with(&self, file_bytes: u64) -> Audit {
        let seconds = Arc::clone(&self.seconds);
        let clock = Arc::new(move || Time::from_unix_seconds(seconds.load(Ordering::SeqCst)));
        Audit::open_with(self.folder.path(), clock, file_bytes).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(FOLDER).join(name)
    }

    fn first(&self) -> PathBuf {
        self.path("00000001.jsonl")
    }

    fn verified(&self) -> Verified {
        verify(self.folder.path(), None).unwrap()
    }

    fn lines(&self) -> Vec<Line> {
        let asked = Asked { last: usize::MAX, action: String::new(), since: None };
        newest(self.folder.path(), &asked).unwrap()
    }

    fn actions(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.action).collect()
    }
}

fn sound(verified: &Verified) -> bool {
    verified.problems.is_empty()
}

fn reasons(verified: &Verified) -> String {
    let problems = verified.problems.iter();
    problems.map(|problem| format!("{}:{}: {}\n", problem.file, problem.line, problem.reason)).collect()
}

#[test]
fn lines_say_who_did_what_and_only_the_owner_may_read_them() {
    let world = World::new();
    let tenant = TENANT.parse().unwrap();
    let audit = world.open();
    let caller = Actor::anonymous().from_address(Some([192, 0, 2, 1].into()));
    audit.note(Entry::new(caller, "token.refused").in_tenant(tenant).on("x".repeat(300)).refused("AADSTS7"));
    audit.record(Entry::new(Actor::owner(Some(7), Some(70)), "purge").with("records", 3)).unwrap();
    let text = fs::read_to_string(world.first()).unwrap();
    let refused = text.lines().nth(1).unwrap();
    let begins = format!(
        "{{\"seq\":2,\"at\":\"2023-11-14T22:13:20Z\",\"actor\":{{\"kind\":\"anonymous\",\"address\":\"192.0.2.1\"}},\
         \"tenant\":\"{TENANT}\",\"action\":\"token.refused\",\"target\":\"{}\",\"outcome\":\"refused\",\
         \"detail\":{{\"code\":\"AADSTS7\"}},\"prev\":\"",
        "x".repeat(200)
    );
    assert!(refused.starts_with(&begins), "{refused}");
    let purge = "\"actor\":{\"kind\":\"owner\",\"uid\":7,\"pid\":70},\"action\":\"purge\",\"outcome\":\"done\",\"detail\":{\"records\":3}";
    assert!(text.lines().nth(2).unwrap().contains(purge), "{text}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&world.path("")), mode(&world.first()), mode(&world.path("HEAD"))),
        (0o700, 0o600, 0o600)
    );
    let verified = world.verified();
    assert_eq!((verified.lines, verified.files, verified.first, verified.last), (3, 1, Some(1), Some(3)));
    assert!(sound(&verified) && verified.unsynced == 0, "{verified:?}");
    assert_eq!(verified.head, Some(world.lines()[2].hash));
}

const TENANT: &str = "11111111-2222-4333-8444-555555555555";

#[test]
fn a_detail_is_bounded() {
    let world = World::new();
    let mut entry = Entry::new(Actor::server(), "key.rotated");
    for nth in 0..1_000 {
        entry = entry.with(&format!("n{nth}"), "\u{1}".repeat(500));
    }
    world.open().record(entry).unwrap();
    let text = fs::read_to_string(world.first()).unwrap();
    let line = text.lines().nth(1).unwrap();
    assert!(line.len() < 8 << 10 && line.contains("\"cut\":true"), "{} {line}", line.len());
}

#[test]
fn a_long_list_takes_the_lines_that_it_needs_with_all_the_rest_in_each() {
    let world = World::new();
    let audit = world.open();
    let texts = |count: usize| (0..count).map(|nth| format!("{nth}{}", "\u{1}\u{1f4a9}".repeat(150)));
    let entry = |count| {
        let entry = Entry::new(Actor::server(), "alert.updated").with("assignedTo", "\u{1}".repeat(500));
        entry.with_each("alerts", texts(count).collect())
    };
    let list = |line: &Line| line.detail["alerts"].as_array().unwrap().clone();
    for count in [0, 1, 2, 1_000] {
        let before = world.lines().len();
        audit.record(entry(count)).unwrap();
        let lines = world.lines().split_off(before.max(1));
        let told: Vec<_> = lines.iter().flat_map(list).collect();
        let expected = texts(count).map(|text| text.chars().take(256).collect::<String>());
        assert!(told.iter().map(|text| text.as_str().unwrap().to_owned()).eq(expected), "{count}");
        for (line, part) in lines.iter().zip(1..) {
            let parts = (lines.len() > 1).then(|| (part.into(), lines.len().into()));
            let has = line.detail.get("part").cloned().zip(line.detail.get("parts").cloned());
            assert!(has == parts && !line.detail.contains_key("cut"), "{line:?}");
            assert_eq!(line.detail["assignedTo"].as_str().unwrap().len(), 200);
            let size = serde_json::to_string(&line.detail).unwrap().len();
            assert!(size <= 4 << 10, "{size}");
        }
    }
    let before = world.lines().len();
    audit.note(entry(1_000).refused(404));
    let lines = world.lines().split_off(before);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&line.detail["code"], &line.detail["part"]), (&"404".into(), &1.into()));
    assert!(sound(&world.verified()));
}

#[test]
fn reopened_it_goes_on() {
    let world = World::of_three_lines();
    let head = world.verified().head;
    for nth in 5..8 {
        world.open().record(Entry::new(Actor::server(), "key.rotated")).unwrap();
        let verified = world.verified();
        assert!(sound(&verified) && verified.last == Some(nth), "{verified:?}");
    }
    let found = verify(world.folder.path(), head).unwrap().found;
    assert_eq!(found, Some(Found { file: "00000001.jsonl".to_owned(), seq: 4 }));
    assert_eq!(verify(world.folder.path(), Some(Hash::NONE)).unwrap().found, None);
}

#[test]
fn every_altered_byte_is_found() {
    let world = World::of_three_lines();
    let sound_bytes = fs::read(world.first()).unwrap();
    for place in 0..sound_bytes.len() {
        let mut bytes = sound_bytes.clone();
        bytes[place] ^= 1;
        fs::write(world.first(), &bytes).unwrap();
        let at = bytes_before(&sound_bytes, place);
        let verified = world.verified();
        // One that is no line end any more joins two lines; one at the end is missing.
        let near = |line: u64| line == 0 || line == at || line == at + 1;
        let is_found = verified.problems.iter().any(|problem| near(problem.line));
        assert!(is_found, "byte {place} of line {at}: {verified:?}");
        assert!(verified.problems.len() <= 2, "byte {place}: {}", reasons(&verified));
    }
    for (_, head) in flipped(&fs::read(world.path("HEAD")).unwrap()) {
        fs::write(world.first(), &sound_bytes).unwrap();
        fs::write(world.path("HEAD"), &head).unwrap();
        let verified = world.verified();
        // `"file":1` names no line and is not looked at; nor are spaces.
        let same = |head: &[u8]| serde_json::from_slice::<Head>(head).ok().map(|head| (head.seq, head.hash));
        let is_another = same(&head).is_none_or(|head| Some(head) != verified.last.zip(verified.head));
        assert_eq!(
            verified.problems.iter().any(|problem| problem.file == "HEAD"),
            is_another,
            "{verified:?}"
        );
    }
}

/// The number of the line in which a byte is, from 1.
fn bytes_before(bytes: &[u8], place: usize) -> u64 {
    bytes[..place].iter().filter(|byte| **byte == b'\n').count() as u64 + 1
}

fn flipped(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len()).map(|place| {
        let mut bytes = bytes.to_vec();
        bytes[place] ^= 1;
        (place, bytes)
    })
}

#[test]
fn every_kind_of_tampering_is_named() {
    type Tamper = fn(&mut Vec<String>);
    fn made_anew(line: &str, seq: u64, prev: Hash) -> String {
        let line: Line = serde_json::from_str(line).unwrap();
        let entry = Entry::new(line.actor, "client.created").on("forged");
        let (bytes, _) = line::sealed(seq, prev, Time::from_unix_seconds(0), &entry, None).unwrap();
        String::from_utf8(bytes).unwrap()
    }
    let cases: [(&str, Tamper, &str); 9] = [
        (
            "a line out of the middle",
            |lines| drop(lines.remove(2)),
            "00000001.jsonl:3: line 3 is missing before it\n",
        ),
        ("the first line", |lines| drop(lines.remove(0)), "00000001.jsonl:1: line 1 is missing before it\n"),
        ("the last line", |lines| drop(lines.pop()), "HEAD:0: line 4 is missing at the end\n"),
        ("the last two", |lines| lines.truncate(2), "HEAD:0: lines 3 to 4 are missing at the end\n"),
        ("all lines", Vec::clear, "HEAD:0: lines 1 to 4 are missing at the end\n"),
        (
            "two lines swapped",
            |lines| lines.swap(1, 2),
            "00000001.jsonl:2: line 2 is missing before it\n00000001.jsonl:3: it is out of order, or there twice\n\
             00000001.jsonl:4: line 3 is missing before it\n",
        ),
        (
            "a line twice",
            |lines| lines.insert(2, lines[1].clone()),
            "00000001.jsonl:3: it is out of order, or there twice\n",
        ),
        (
            "a line made anew, with a hash that fits it",
            |lines| lines[1] = made_anew(&lines[1], 2, serde_json::from_str::<Line>(&lines[1]).unwrap().prev),
            "00000001.jsonl:3: it does not follow on the line before: one of the two was replaced\n",
        ),
        (
            "a forged line at the end",
            |lines| lines.push(made_anew(&lines[3], 5, Hash::NONE)),
            "00000001.jsonl:5: it does not follow on the line before: one of the two was replaced\n",
        ),
    ];
    for (what, tamper, said) in cases {
        let world = World::of_three_lines();
        let text = fs::read_to_string(world.first()).unwrap();
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        tamper(&mut lines);
        fs::write(world.first(), lines.concat()).unwrap();
        assert_eq!(reasons(&world.verified()), said, "{what}");
    }
    let world = World::of_three_lines();
    fs::remove_file(world.path("HEAD")).unwrap();
    assert!(reasons(&world.verified()).contains("HEAD:0: it is missing"));
    fs::write(world.path("HEAD"), "{").unwrap();
    assert!(reasons(&world.verified()).contains("HEAD:0: it does not read"));
}

/// Three full files and one that is not.
fn rolled() -> World {
    let world = World::new();
    let audit = world.open_with(2_000);
    while log::numbers(&world.path("")).unwrap().len() < 4 {
        audit.note(Entry::new(Actor::server(), "key.rotated"));
    }
    world
}

#[test]
fn the_chain_goes_on_across_files() {
    let world = rolled();
    let verified = world.verified();
    assert!(sound(&verified) && verified.files == 4, "{verified:?}");
    for nth in 1..4 {
        let size = fs::metadata(world.path(&log::name(nth))).unwrap().len();
        assert!((2_000..3_000).contains(&size), "{size}");
    }
    let before = verified.last;
    world.open_with(2_000).note(Entry::new(Actor::server(), "key.rotated"));
    assert_eq!(world.verified().last, before.map(|last| last + 1));
    // Newest lines are found in as many files as it takes.
    let lines = world.lines();
    assert_eq!(lines.len() as u64, world.verified().lines);
    for last in [1, 3, 9, lines.len() - 1] {
        let asked = Asked { last, action: "key".to_owned(), since: None };
        let seqs: Vec<u64> =
            newest(world.folder.path(), &asked).unwrap().iter().map(|line| line.seq).collect();
        let all = lines.iter().filter(|line| line.action == "key.rotated").map(|line| line.seq);
        let all: Vec<u64> = all.collect();
        assert_eq!(seqs, all[all.len().saturating_sub(last)..]);
    }
}

#[test]
fn whole_files_are_missed_but_for_the_oldest() {
    let world = rolled();
    fs::remove_file(world.path(&log::name(2))).unwrap();
    let said = reasons(&world.verified());
    assert!(said.starts_with("00000003.jsonl:0: 1 files before it are missing\n"), "{said}");
    assert!(said.contains("00000003.jsonl:1: lines "), "{said}");

    let world = rolled();
    fs::remove_file(world.path(&log::name(4))).unwrap();
    assert!(reasons(&world.verified()).contains("missing at the end"));

    let world = rolled();
    let last = world.verified().last;
    fs::remove_file(world.path(&log::name(1))).unwrap();
    fs::remove_file(world.path(&log::name(2))).unwrap();
    let verified = world.verified();
    assert!(sound(&verified) && verified.archived == 2 && verified.last == last, "{verified:?}");
    world.open_with(2_000).note(Entry::new(Actor::server(), "key.rotated"));
    assert!(sound(&world.verified()));
    // Nor can the beginning of the oldest go.
    let third = world.path(&log::name(3));
    let text = fs::read_to_string(&third).unwrap();
    fs::write(&third, text.split_once('\n').unwrap().1).unwrap();
    let said = reasons(&world.verified());
    assert_eq!(said, "00000003.jsonl:1: the file's first line is missing\n");
}

#[test]
fn a_torn_end_is_set_aside_and_told() {
    for torn in ["{\"seq\":5", &"x".repeat(200_000)] {
        let world = World::of_three_lines();
        let text = fs::read_to_string(world.first()).unwrap();
        fs::write(world.first(), format!("{text}{torn}")).unwrap();
        let verified = world.verified();
        assert!(sound(&verified) && verified.torn == torn.len() as u64, "{verified:?}");
        drop(world.open());
        assert!(sound(&world.verified()) && world.verified().torn == 0);
        let kept = format!("00000001.jsonl.{}.torn", text.len());
        assert_eq!(fs::read_to_string(world.path(&kept)).unwrap(), torn);
        let line = world.lines().pop().unwrap();
        assert_eq!((line.action.as_str(), line.target), ("audit.torn", Some(kept)));
        assert_eq!(line.detail["bytes"], torn.len());
    }
}

#[test]
fn a_log_with_a_wrong_end_goes_on_and_is_named_from_then_on() {
    type Tamper = fn(&World);
    let cases: [(Tamper, &str); 5] = [
        (|world| fs::remove_file(world.path("HEAD")).unwrap(), "it is missing"),
        (|world| fs::write(world.path("HEAD"), "{}").unwrap(), "does not read"),
        (|world| fs::remove_file(world.first()).unwrap(), "lines 1 to 4 are missing at the end"),
        (
            |world| {
                let text = fs::read_to_string(world.first()).unwrap();
                let whole: String = text.split_inclusive('\n').take(3).collect();
                fs::write(world.first(), whole).unwrap();
            },
            "line 4 is missing at the end",
        ),
        (
            |world| {
                let head = Head { seq: 4, hash: Hash::NONE, file: 1 };
                head::write(&world.path(""), head).unwrap();
            },
            "another hash for line 4",
        ),
    ];
    for (tamper, reason) in cases {
        let world = World::of_three_lines();
        tamper(&world);
        drop(world.open());
        let said = reasons(&world.verified());
        assert!(said.contains("a server that started") && said.contains(reason), "{reason}: {said}");
        let actions = world.actions();
        assert!(actions.iter().any(|action| action == "audit.broken"), "{actions:?}");
        // It is told once, and what comes then is sound.
        world.open().record(Entry::new(Actor::server(), "key.rotated")).unwrap();
        assert_eq!(reasons(&world.verified()), said);
    }
}

#[test]
fn what_cannot_be_written_fails_no_request_and_is_told_later() {
    let world = World::new();
    let audit = world.open_with(300);
    let entry = || Entry::new(Actor::server(), "key.rotated");
    while fs::metadata(world.first()).map_or(0, |about| about.len()) < 300 {
        audit.record(entry()).unwrap();
    }
    // The next file has no place.
    fs::create_dir(world.path("00000002.jsonl")).unwrap();
    audit.note(entry());
    let error = audit.record(entry()).unwrap_err().to_string();
    assert!(error.contains("audit") && error.contains("see to the disk"), "{error}");
    fs::remove_dir(world.path("00000002.jsonl")).unwrap();
    audit.record(entry()).unwrap();
    drop(audit);
    assert!(sound(&world.verified()), "{}", reasons(&world.verified()));
    let lost = world.lines().into_iter().find(|line| line.action == "audit.lost").unwrap();
    assert_eq!((&lost.detail["lines"], lost.outcome), (&2.into(), Outcome::Failed));

    let taken = tempfile::tempdir().unwrap();
    fs::write(taken.path().join(FOLDER), "").unwrap();
    let clock = Arc::new(|| Time::from_unix_seconds(0));
    assert!(Audit::open(taken.path(), clock).unwrap_err().to_string().contains("making"));
}

#[test]
fn a_line_that_was_written_in_part_is_taken_back() {
    let world = World::new();
    let audit = world.open();
    let entry = || Entry::new(Actor::server(), "key.rotated");
    audit.record(entry()).unwrap();
    // As after a write that ended early and could not be taken back.
    fs::OpenOptions::new().append(true).open(world.first()).unwrap().write_all(b"{\"seq\"").unwrap();
    hold(&audit.written).log.doubt();
    audit.record(entry()).unwrap();
    assert!(sound(&world.verified()), "{}", reasons(&world.verified()));
}

#[test]
fn a_flood_of_refusals_writes_little() {
    let world = World::new();
    let audit = world.open();
    let refused = |address: IpAddr, code: &str| {
        let caller = Actor::anonymous().from_address(Some(address));
        Entry::new(caller, "token.refused").on("somebody").refused(code)
    };
    for _ in 0..10_000 {
        audit.note(refused([192, 0, 2, 1].into(), "AADSTS7000215"));
    }
    audit.note(refused([192, 0, 2, 1].into(), "AADSTS700016"));
    audit.note(refused([192, 0, 2, 2].into(), "AADSTS7000215"));
    audit.flush().unwrap();
    assert_eq!(world.lines().len(), 1 + 102);
    world.seconds.fetch_add(60, Ordering::SeqCst);
    audit.flush().unwrap();
    let counted = world.lines().pop().unwrap();
    assert_eq!((counted.repeated, counted.outcome, counted.target), (Some(9_900), Outcome::Refused, None));
    assert_eq!(
        (counted.actor.address, &counted.detail["code"]),
        (Some([192, 0, 2, 1].into()), &"AADSTS7000215".into())
    );
    // The next minute begins anew.
    audit.note(refused([192, 0, 2, 1].into(), "AADSTS7000215"));
    assert_eq!(world.lines().len(), 1 + 104);

    // Who has many addresses: no more kinds than are told apart, and one for all others.
    let before = world.lines().len();
    for nth in 0..50_000_u32 {
        audit.note(refused(nth.to_be_bytes().into(), "AADSTS7000215"));
        let of_one_network = std::net::Ipv6Addr::from_bits(0x2001 << 112 | u128::from(nth));
        audit.note(refused(of_one_network.into(), "AADSTS7000215"));
    }
    audit.close().unwrap();
    let lines = world.lines().split_off(before);
    assert!(lines.len() < 300, "{}", lines.len());
    let all: u64 = lines.iter().map(|line| line.repeated.unwrap_or(1)).sum();
    assert_eq!(all, 100_000);
    assert!(sound(&world.verified()));
}

#[test]
fn many_threads_write_one_chain() {
    let world = World::new();
    let audit = world.open_with(20_000);
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let audit = &audit;
            threads.spawn(move || {
                for nth in 0..200 {
                    let entry =
                        Entry::new(Actor::application(thread, "soar"), "token.issued").with("nth", nth);
                    if nth % 50 == 0 { audit.record(entry).unwrap() } else { audit.note(entry) }
                }
            });
        }
        for _ in 0..20 {
            audit.flush().unwrap();
        }
    });
    drop(audit);
    let verified = world.verified();
    assert!(sound(&verified) && verified.unsynced == 0, "{verified:?}");
    assert_eq!(verified.lines, 1_600 + verified.files);
}

#[test]
fn what_was_recorded_is_there_after_a_kill() {
    let world = World::new();
    let audit = world.open();
    audit.note(Entry::new(Actor::server(), "token.issued"));
    // As if the process ended here: nothing is flushed.
    std::mem::forget(audit);
    let verified = world.verified();
    assert!(sound(&verified) && verified.unsynced == 2, "{verified:?}");
    drop(world.open());
    assert!(sound(&world.verified()) && world.actions() == ["audit.file", "token.issued"]);
}
