use std::fs::OpenOptions;
use std::io::{Cursor, Write as _};

use pintle_store::{Options, Scope};

use super::*;
use crate::config::Config;
use crate::testing::{self, gzip};

/// A watched folder and what is taken from it.
struct Site {
    data: tempfile::TempDir,
    logs: tempfile::TempDir,
    config: Config,
    folder: Option<Folder>,
    now: Duration,
}

/// A row, with the end of its line.
fn row(n: usize) -> String {
    testing::row(n) + "\n"
}

fn rows(numbers: std::ops::Range<usize>) -> String {
    numbers.map(row).collect()
}

impl Site {
    fn with(change: impl FnOnce(&mut Watch)) -> Site {
        let (data, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut settings = Watch {
            path: logs.path().to_owned(),
            tenant: "default".to_owned(),
            format: None,
            pattern: "*".parse().unwrap(),
            recursive: true,
            poll: Duration::from_secs(5),
            settle: Duration::from_secs(10),
            after: After::Keep,
            finished_after: Duration::from_secs(3600),
        };
        change(&mut settings);
        let mut config = Config::default();
        config.watch.insert("logs".to_owned(), settings);
        let mut site = Site { data, logs, config, folder: None, now: Duration::ZERO };
        site.restart();
        site
    }

    fn new() -> Site {
        Site::with(|_| {})
    }

    /// As after a crash: nothing is told to the old one.
    fn restart(&mut self) {
        self.folder = None;
        let clock = Options::default().clock;
        let instance = Arc::new(Instance::open(self.data.path(), self.config.clone(), clock).unwrap());
        self.folder = Some(Folder::open(instance, "logs", &self.config.watch["logs"]));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.logs.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Looks a second later, until there is nothing more to take.
    fn look(&mut self) {
        self.look_after(Duration::from_secs(1));
    }

    fn look_after(&mut self, time: Duration) {
        self.now += time;
        while self.folder.as_mut().unwrap().look(self.now).has_more {}
    }

    fn folder(&self) -> &Folder {
        self.folder.as_ref().unwrap()
    }

    /// Distinct files that the store knows, and records taken since the last restart.
    fn taken(&self) -> (u64, u64) {
        let instance = &self.folder().instance;
        let tenant = instance.control.tenant("default").unwrap().id;
        let files = instance.store.totals(&Scope::whole(tenant)).unwrap().files;
        let counted = instance.metrics.encode();
        let records = counted
            .lines()
            .filter_map(|line| line.strip_prefix("pintle_ingest_records_total{"))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        (files, records.sum())
    }

    fn rejects(&self) -> Vec<(String, u64, String)> {
        let instance = &self.folder().instance;
        let tenant = instance.control.tenant("default").unwrap().id;
        let rejects = instance.store.rejects(&Scope::whole(tenant), 100).unwrap();
        rejects.into_iter().map(|reject| (reject.source, reject.offset, reject.reason)).collect()
    }

    fn trouble(&self, name: &str) -> Option<String> {
        let known = self.folder().files.values().find(|known| known.name == name)?;
        known.now.trouble.as_ref().map(|trouble| trouble.reason.clone())
    }
}

const SETTLED: Duration = Duration::from_secs(11);

#[test]
fn lines_are_taken_as_they_become_whole() {
    let mut site = Site::new();
    let torn = row(2);
    let (begin, end) = torn.split_at(50);
    site.append("host/app.json", rows(0..2) + begin);
    site.look();
    assert_eq!(site.taken(), (2, 2));
    site.look();
    assert_eq!(site.taken(), (2, 2));
    site.append("host/app.json", end);
    site.append("host/app.json", "rubbish\n");
    site.look();
    assert_eq!(site.taken(), (3, 4));
    let offset = rows(0..3).len() as u64;
    assert_eq!(site.rejects(), [("logs:host/app.json".to_owned(), offset, "not JSON".to_owned())]);
    // A line that is a whole value and gets no end is one after a while.
    site.append("host/app.json", row(3).trim_end());
    site.look();
    assert_eq!(site.taken().0, 3);
    site.look_after(SETTLED);
    assert_eq!(site.taken(), (4, 5));
    site.append("host/app.json", "\n".to_owned() + &row(4));
    site.look();
    assert_eq!(site.taken(), (5, 6));
}

#[test]
fn a_file_that_is_renamed_goes_on_where_it_was_also_under_a_name_that_no_pattern_has() {
    let mut site = Site::with(|settings| settings.pattern = "*.json".parse().unwrap());
    site.append("app.json", rows(0..3));
    site.append("other.txt", rows(90..99));
    site.look();
    site.append("app.json", rows(3..5));
    site.rename("app.json", "app.json.1");
    site.append("app.json", rows(5..6));
    site.look();
    assert_eq!(site.taken(), (6, 6));
    site.rename("app.json.1", "app.json.2");
    site.append("app.json.2", rows(6..7));
    site.look();
    assert_eq!(site.taken(), (7, 7));
}

#[test]
fn a_file_that_is_copied_and_truncated_loses_nothing_and_is_not_taken_twice() {
    for restart in [false, true] {
        let mut site = Site::new();
        site.append("app.json", rows(0..3));
        site.look();
        // Two lines that come before the copy and are not looked at until after it.
        site.append("app.json", rows(3..5));
        std::fs::copy(site.path("app.json"), site.path("app.json.1")).unwrap();
        std::fs::write(site.path("app.json"), rows(5..7)).unwrap();
        let before = site.taken().1;
        if restart {
            site.restart();
        }
        site.look();
        assert_eq!(site.taken(), (7, if restart { 4 } else { before + 4 }));
        // Truncated, and grown beyond where it was before anybody looks.
        std::fs::write(site.path("app.json"), rows(7..20)).unwrap();
        site.look();
        assert_eq!(site.taken(), (20, if restart { 17 } else { before + 17 }));
    }
}

#[test]
fn a_file_that_is_truncated_while_it_is_read_is_taken_from_its_beginning() {
    let mut site = Site::new();
    site.append("app.json", rows(0..3));
    site.look();
    site.append("app.json", rows(3..5));
    let (path, now) = (site.path("app.json"), site.now);
    let folder = site.folder.as_mut().unwrap();
    let tenant = folder.instance.control.tenant("default").unwrap().id;
    let (id, mut known) = folder.files.pop_first().unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let size = file.metadata().unwrap().len();
    // What stood there when it was looked at is gone when it is read, and it has grown beyond that again.
    std::fs::write(&path, rows(5..20)).unwrap();
    assert!(folder.take_lines(tenant, &mut known, &file, size, now).is_ok_and(|has_more| has_more));
    folder.files.insert(id, known);
    site.look();
    assert_eq!(site.taken().0, 18);
    site.append("app.json", rows(20..21));
    site.look();
    assert_eq!((site.taken().0, site.rejects()), (19, vec![]));
}

#[test]
fn a_rotated_file_that_is_packed_is_not_taken_again_and_its_rest_is() {
    for delayed in [false, true] {
        let mut site = Site::new();
        site.append("app.json", rows(0..3));
        site.look();
        site.append("app.json", rows(3..5));
        site.rename("app.json", "app.json.1");
        if delayed {
            site.look();
            assert_eq!(site.taken(), (5, 5));
        } else {
            // No longer held open, as after a restart.
            site.restart();
        }
        std::fs::write(site.path("app.json.1.gz"), gzip(&rows(0..5))).unwrap();
        std::fs::remove_file(site.path("app.json.1")).unwrap();
        site.look();
        site.look_after(SETTLED);
        assert_eq!(site.taken(), (5, if delayed { 5 } else { 2 }));
        assert_eq!(site.rejects(), []);
        site.append("new.json.gz", gzip(&rows(50..53)));
        site.look();
        site.look_after(SETTLED);
        assert_eq!(site.taken().0, 8);
    }
}

#[test]
fn a_file_that_is_deleted_while_it_is_read_is_read_to_its_end() {
    let mut site = Site::new();
    site.append("app.json", rows(0..3));
    site.look();
    site.append("app.json", rows(3..5) + row(5).trim_end());
    std::fs::remove_file(site.path("app.json")).unwrap();
    site.look();
    assert_eq!(site.taken(), (6, 6));
    assert!(site.folder().files.is_empty());
    // Another file, which may well have the same number in the file system.
    site.append("app.json", rows(6..8));
    site.look();
    assert_eq!(site.taken(), (8, 8));
}

#[test]
fn a_restart_goes_on_where_it_was_and_without_its_notes_nothing_counts_twice() {
    let mut site = Site::new();
    site.append("app.json", rows(0..3));
    site.append("drop.json.gz", gzip(&rows(10..13)));
    site.look();
    site.look_after(SETTLED);
    assert_eq!(site.taken(), (6, 6));
    site.append("app.json", rows(3..4));
    site.restart();
    site.look();
    site.look_after(SETTLED);
    assert_eq!(site.taken(), (7, 1));
    // What was noted is lost, as between taking something and noting it.
    let kept = site.data.path().join("watch.logs.json");
    for kept_text in [None, Some("damaged")] {
        match kept_text {
            None => std::fs::remove_file(&kept).unwrap(),
            Some(text) => std::fs::write(&kept, text).unwrap(),
        }
        site.restart();
        site.look();
        site.look_after(SETTLED);
        assert_eq!(site.taken(), (7, 7));
    }
}

#[test]
fn what_is_no_lines_is_taken_whole_once_it_no_longer_grows() {
    let mut site = Site::new();
    let document = format!("[\n{}]", rows(0..3).trim_end().replace('\n', ",\n"));
    let (first, rest) = document.split_at(document.len() / 2);
    site.append("document.json", first);
    site.look();
    site.look_after(Duration::from_secs(6));
    site.append("document.json", rest);
    site.look_after(Duration::from_secs(6));
    assert_eq!(site.taken(), (0, 0));
    site.look_after(SETTLED);
    assert_eq!(site.taken(), (3, 3));
    site.look_after(SETTLED);
    assert_eq!(site.taken(), (3, 3));
    // Written anew with other content, it is taken again.
    std::fs::write(site.path("document.json"), document.replace("\"a.exe\"", "\"b.exe\"")).unwrap();
    site.look();
    site.look_after(SETTLED);
    assert_eq!(site.taken(), (3, 6));
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("logs/a.json", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all((rows(20..22) + "rubbish").as_bytes()).unwrap();
    site.append("drop/a.zip", zip.finish().unwrap().into_inner());
    site.look();
    site.look_after(SETTLED);
    assert_eq!(site.taken().0, 5);
    assert_eq!(site.rejects()[0].0, "logs:drop/a.zip:logs/a.json");
}

#[test]
fn rows_of_a_table_are_taken_as_they_become_whole() {
    let mut site = Site::new();
    let header = "Timestamp,DeviceId,ActionType,FileName,SHA1,ReportId\n";
    let line = |n: usize, name: &str| {
        format!("2026-01-15T09:00:00Z,{:040x},FileCreated,{name},{:040x},{n}\n", n + 1, n + 1)
    };
    site.append("t.csv", header);
    site.look();
    let torn = line(1, "\"two\nlines.exe\"");
    let (begin, end) = torn.split_at(80);
    site.append("t.csv", line(0, "a.exe") + begin);
    site.look();
    assert_eq!(site.taken(), (1, 1));
    site.append("t.csv", end);
    site.append("t.csv", "1,2,3,4,5,6,7\n");
    site.look();
    assert_eq!(site.taken(), (2, 3));
    let offset = header.len() + line(0, "a.exe").len() + line(1, "\"two\nlines.exe\"").len();
    assert_eq!(site.rejects()[0].1, offset as u64);
    site.restart();
    site.append("t.csv", line(2, "c.exe"));
    site.look();
    assert_eq!(site.taken(), (3, 1));
}

#[test]
fn a_quote_within_a_field_holds_up_no_row() {
    let mut site = Site::new();
    site.append("t.csv", "Timestamp,DeviceId,ActionType,FileName,SHA1,ReportId\n");
    for (n, name) in [(0, "5\" disk.exe"), (1, "\"a \"\"b\"\".exe\""), (2, "\"\""), (3, "c.exe")] {
        let (host, hash) = (format!("{:040x}", n + 1), format!("{:040x}", n + 1));
        site.append("t.csv", format!("2026-01-15T09:00:00Z,{host},FileCreated,{name},{hash},{n}\n"));
    }
    site.look();
    assert_eq!((site.taken(), site.rejects()), ((4, 4), vec![]));
}

#[test]
fn a_file_whose_first_line_is_not_whole_waits_for_it() {
    let mut site = Site::new();
    let header = "Timestamp,DeviceId,ActionType,FileName,SHA1,ReportId\n";
    let line =
        |n: usize| format!("2026-01-15T09:00:00Z,{:040x},FileCreated,a.exe,{:040x},{n}\n", n + 1, n + 1);
    let (first, last) = (row(0), row(2));
    site.append("app.json", first.split_at(50).0);
    site.append("header.csv", header);
    site.append("table.csv", header.to_owned() + line(20).split_at(30).0);
    site.append("value.json", row(10).trim_end());
    site.look();
    assert_eq!(site.taken().0, 0);
    site.look_after(SETTLED);
    // Only what is a value as it stands is not waited for.
    assert_eq!((site.taken(), site.rejects()), ((1, 1), vec![]));
    site.append("app.json", first.split_at(50).1.to_owned() + &row(1) + last.split_at(50).0);
    site.append("header.csv", line(30));
    site.append("table.csv", line(20).split_at(30).1.to_owned() + &line(21));
    site.append("value.json", "\n".to_owned() + &row(11));
    site.look();
    // They are lines, of which none is taken twice.
    assert_eq!((site.taken(), site.rejects()), ((7, 7), vec![]));
    site.append("app.json", last.split_at(50).1);
    site.look();
    assert_eq!((site.taken(), site.rejects()), ((8, 8), vec![]));
}

#[test]
fn a_folder_that_cannot_be_looked_at_for_a_while_loses_nothing() {
    let mut site = Site::new();
    let torn = row(2);
    site.append("host/app.json", rows(0..2) + torn.split_at(50).0);
    site.append("other.json", rows(10..11));
    site.look();
    let (now, unseen) = (site.now, vec![site.path("host")]);
    let folder = site.folder.as_mut().unwrap();
    let tenant = folder.instance.control.tenant("default").unwrap().id;
    folder.note(&Found { unseen, ..Found::default() }, now);
    folder.take(tenant, now);
    folder.forget_gone();
    assert_eq!(folder.files.values().map(|known| known.name.as_str()).collect::<Vec<_>>(), ["host/app.json"]);
    site.append("host/app.json", torn.split_at(50).1);
    site.look();
    assert_eq!((site.taken(), site.rejects()), ((4, 4), vec![]));
}

#[test]
fn what_is_written_to_a_file_that_was_just_put_away_is_taken() {
    let mut site = Site::with(|settings| settings.after = After::Delete);
    site.append("a.json", rows(0..2));
    site.look();
    let mut writer = OpenOptions::new().append(true).open(site.path("a.json")).unwrap();
    site.look_after(Duration::from_secs(3600));
    assert!(!site.path("a.json").exists());
    writer.write_all(row(2).as_bytes()).unwrap();
    site.look();
    assert_eq!(site.taken(), (3, 3));
    assert!(site.folder().files.is_empty());
}

#[test]
fn a_file_of_an_unknown_format_is_told_and_tried_again_and_the_others_are_taken() {
    let mut site = Site::new();
    site.append("a.txt", "dear all,\n".repeat(10));
    site.append("b.json", rows(0..1));
    site.look();
    assert_eq!(site.taken(), (1, 1));
    assert_eq!(site.trouble("a.txt").as_deref(), Some("it is of no known format"));
    // Not at once, but after a while.
    site.append("a.txt", rows(1..2));
    site.look();
    assert_eq!(site.taken().0, 1);
    site.look_after(SETTLED);
    assert_eq!((site.taken().0, site.trouble("a.txt")), (2, None));
    assert_eq!(site.rejects().len(), 10);
}

#[test]
fn what_cannot_be_read_is_told_and_taken_once_it_can() {
    let mut site = Site::with(|settings| settings.tenant = "later".to_owned());
    site.append("a.json", rows(0..1));
    site.look();
    assert!(site.folder().said.contains("there is no tenant later"));
    let instance = Arc::clone(&site.folder().instance);
    instance.control.create_tenant(None, "later").unwrap();
    site.look();
    assert!(site.folder().said.is_empty());
    let tenant = instance.control.tenant("later").unwrap().id;
    assert_eq!(instance.store.totals(&Scope::whole(tenant)).unwrap().files, 1);
    let (here, away) = (site.logs.path().to_owned(), site.data.path().join("away"));
    drop(instance);
    std::fs::rename(&here, &away).unwrap();
    site.look();
    assert!(site.folder().said.iter().any(|said| said.starts_with("it cannot be looked at: ")));
    std::fs::rename(&away, &here).unwrap();
    site.append("a.json", rows(1..2));
    site.look();
    assert!(site.folder().said.is_empty());
    let records = site.folder().instance.metrics.encode();
    assert!(records.contains("pintle_ingest_records_total{format=\"mde-hunting\"} 2"), "{records}");
}

#[test]
fn links_and_hidden_files_are_left_out_and_nothing_outside_is_reached() {
    let mut site = Site::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.json"), rows(0..1)).unwrap();
    std::os::unix::fs::symlink(outside.path(), site.path("folder")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.json"), site.path("file.json")).unwrap();
    std::os::unix::fs::symlink(site.logs.path(), site.path("loop")).unwrap();
    site.append(".hidden.json", rows(1..2));
    site.append(".git/a.json", rows(2..3));
    site.look();
    site.look_after(SETTLED);
    assert_eq!(site.taken(), (0, 0));
}

#[test]
fn finished_files_are_deleted_or_moved_if_they_are_to_be() {
    let mut site = Site::with(|settings| settings.after = After::Delete);
    site.append("a.json", rows(0..2) + "torn");
    site.append("b.json.gz", gzip(&rows(2..4)));
    site.append("c.txt", "of no format\n");
    site.append("d.csv", "Timestamp,DeviceId,SHA1\n");
    site.look();
    site.look_after(SETTLED);
    assert!(site.path("a.json").exists() && site.path("d.csv").exists() && !site.path("b.json.gz").exists());
    site.look_after(Duration::from_secs(3600));
    site.look();
    assert!(!site.path("a.json").exists() && site.path("c.txt").exists());
    // Of its header there is nothing to take.
    assert!(!site.path("d.csv").exists());
    assert_eq!(site.taken(), (4, 5));
    assert_eq!(site.rejects()[0].2, "not JSON");

    let done = tempfile::tempdir().unwrap();
    let mut site = Site::with(|settings| settings.after = After::Move(done.path().join("taken")));
    for n in 0..3 {
        site.append("x/b.json.gz", gzip(&rows(n..n + 1)));
        site.look();
        site.look_after(SETTLED);
    }
    for (name, n) in [("b.json.gz", 0), ("b.json.gz.1", 1), ("b.json.gz.2", 2)] {
        assert_eq!(std::fs::read(done.path().join("taken/x").join(name)).unwrap(), gzip(&row(n)));
    }
    assert_eq!(site.taken(), (3, 3));
}

#[test]
fn a_watching_thread_takes_what_comes_and_ends() {
    let mut site = Site::new();
    let instance = Arc::clone(&site.folder().instance);
    site.folder = None;
    let watching = Watching::start(&instance).unwrap();
    site.append("app.json", rows(0..3));
    let tenant = instance.control.tenant("default").unwrap().id;
    let begun = Instant::now();
    while instance.store.totals(&Scope::whole(tenant)).unwrap().files < 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    watching.end();
    site.append("app.json", rows(3..4));
    assert_eq!(instance.store.totals(&Scope::whole(tenant)).unwrap().files, 3);
}
