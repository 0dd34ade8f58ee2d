use std::collections::{BTreeMap, BTreeSet, HashMap};

use pintle_model::tables::{device_file_events, device_image_load_events, device_process_events};
use pintle_model::{Alert, Row};

use super::law::DAY;
use super::*;

/// 2026-01-15 was a Thursday.
fn end() -> Time {
    Time::parse("2026-01-15T09:31:00Z").unwrap()
}

fn small() -> Law {
    Law { events: 20_000, days: 14, ..Law::demo(end()) }
}

struct Generated {
    rows: Vec<Row>,
    alerts: Vec<Alert>,
    batches: usize,
}

fn generate(law: Law) -> Generated {
    let mut generated = Generated { rows: Vec::new(), alerts: Vec::new(), batches: 0 };
    for batch in Generator::new(law) {
        assert!(batch.len() <= Generator::BATCH);
        generated.batches += 1;
        for record in batch {
            match record {
                Record::Row(row) => generated.rows.push(row),
                Record::Alert(alert) => generated.alerts.push(alert),
                Record::Machine(_) => panic!("no law has machines' own records"),
            }
        }
    }
    generated
}

/// The machines on which each SHA-256 was the object of an event.
fn machines_by_file(rows: &[Row]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows {
        let (machine, hash) = match row.table().unwrap().name {
            "DeviceProcessEvents" => (device_process_events::DEVICE_ID, device_process_events::SHA256),
            "DeviceImageLoadEvents" => {
                (device_image_load_events::DEVICE_ID, device_image_load_events::SHA256)
            }
            "DeviceFileEvents" => (device_file_events::DEVICE_ID, device_file_events::SHA256),
            _ => continue,
        };
        let (machine, hash) = (row.text(machine).unwrap(), row.text(hash).unwrap());
        found.entry(hash.to_owned()).or_default().insert(machine.to_owned());
    }
    found
}

fn count(rows: &[Row], tables: &[&str]) -> usize {
    rows.iter().filter(|row| tables.contains(&row.table().unwrap().name)).count()
}

const EVENTS: &[&str] = &[
    "DeviceProcessEvents",
    "DeviceImageLoadEvents",
    "DeviceFileEvents",
    "DeviceNetworkEvents",
    "DeviceLogonEvents",
];

#[test]
fn the_same_law_gives_the_same_telemetry() {
    let (once, again) = (generate(small()), generate(small()));
    assert_eq!(once.rows, again.rows);
    assert_eq!(once.alerts, again.alerts);
    let other = generate(Law { seed: 2, ..small() });
    assert_ne!(once.alerts[0].id, other.alerts[0].id);
}

#[test]
fn ids_and_hashes_do_not_depend_on_when_it_ends() {
    // Three days later: another weekday, another hour.
    let later = Law { end: Time::parse("2026-01-18T22:00:07.5Z").unwrap(), ..small() };
    let (now, then) =
        (Generator::new(small()).example().unwrap(), Generator::new(later.clone()).example().unwrap());
    assert_eq!((now.alert, now.file), (then.alert, then.file));
    let ids = |alerts: &[Alert]| alerts.iter().map(|alert| alert.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&generate(small()).alerts), ids(&generate(later).alerts));
}

#[test]
fn there_are_as_many_events_alerts_and_machines_as_asked_for() {
    let generated = generate(small());
    let events = count(&generated.rows, EVENTS);
    // 2 % arrive twice.
    assert!((20_300..20_500).contains(&events), "{events}");
    assert_eq!(generated.alerts.len(), 12);
    let machines: BTreeSet<_> =
        generated.rows.iter().filter_map(|row| row.text(device_process_events::DEVICE_ID)).collect();
    assert_eq!(machines.len(), 25);
    assert!(machines.iter().all(|id| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    for table in [
        "DeviceInfo",
        "DeviceNetworkInfo",
        "DeviceFileCertificateInfo",
        "DeviceNetworkEvents",
        "DeviceLogonEvents",
    ] {
        assert!(count(&generated.rows, &[table]) > 100, "{table}");
    }
}

#[test]
fn most_files_are_on_one_machine_and_few_on_all() {
    let files = machines_by_file(&generate(Law::demo(end())).rows);
    let share = |test: &dyn Fn(usize) -> bool| {
        files.values().filter(|machines| test(machines.len())).count() as f64 / files.len() as f64
    };
    let (single, everywhere) = (share(&|k| k == 1), share(&|k| k == 25));
    // Between the 66 % measured in labs of five machines and the 94 % of a hundred million.
    assert!((0.55..0.95).contains(&single), "{single}");
    assert!(everywhere > 0.001 && everywhere < 0.05, "{everywhere}");
}

#[test]
fn sightings_concentrate_on_few_pairs() {
    let mut pairs: HashMap<(String, String), u64> = HashMap::new();
    for row in generate(Law::demo(end())).rows {
        if row.table().unwrap().name == "DeviceImageLoadEvents" {
            let text = |column| row.text(column).unwrap().to_owned();
            let pair = (text(device_image_load_events::DEVICE_ID), text(device_image_load_events::SHA256));
            *pairs.entry(pair).or_default() += 1;
        }
    }
    let mut counts: Vec<u64> = pairs.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let top: u64 = counts.iter().take(counts.len() / 5).sum();
    let share = top as f64 / counts.iter().sum::<u64>() as f64;
    // Measured: the top 20 % of pairs carry 83 % of sightings.
    assert!((0.6..0.95).contains(&share), "{share}");
}

#[test]
fn people_work_in_working_hours_and_rest_at_weekends() {
    let law = small();
    let (mut working, mut all, mut workstations_at_weekends) = (0, 0, 0);
    for row in generate(law.clone()).rows {
        let Some(at) = row.time(device_process_events::TIMESTAMP) else {
            continue;
        };
        assert!(at <= law.end && at >= law.end - std::time::Duration::from_secs(14 * 24 * 3600), "{at}");
        let hour = at.unix_seconds().rem_euclid(24 * 3600) / 3600;
        all += 1;
        working += u64::from((8..18).contains(&hour));
        let day = (at.ticks() - law.day_start(0)).div_euclid(DAY);
        let name = row.text(device_process_events::DEVICE_NAME).unwrap();
        workstations_at_weekends += u64::from(law.is_weekend(day) && name.starts_with("ws-"));
    }
    let share = working as f64 / all as f64;
    assert!((0.75..0.85).contains(&share), "{share}");
    // Campaigns do not keep to working days.
    assert!(workstations_at_weekends < all / 100, "{workstations_at_weekends}");
}

#[test]
fn every_file_in_an_alert_was_seen_on_its_machine() {
    use pintle_model::shapes::{alert, evidence};
    let generated = generate(small());
    let seen = machines_by_file(&generated.rows);
    let mut files = 0;
    for raised in &generated.alerts {
        let machine = raised.facts.text(alert::MACHINE_ID).unwrap();
        let updated = raised.facts.time(alert::LAST_UPDATE_TIME).unwrap();
        assert!(updated <= end(), "{updated}");
        let kinds: BTreeSet<_> =
            raised.evidence.iter().filter_map(|piece| piece.0.text(evidence::ENTITY_TYPE)).collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["File", "Process", "User"]);
        for piece in raised.evidence.iter().filter(|piece| !piece.hashes().is_empty()) {
            let hash = piece.0.text(evidence::SHA256).unwrap();
            assert!(
                seen.get(&hash).is_some_and(|machines| machines.contains(&machine)),
                "{hash} of {}",
                raised.id
            );
            files += 1;
        }
    }
    assert!(files > 24, "{files}");
    let example = Generator::new(small()).example().unwrap();
    assert!(generated.alerts.iter().any(|alert| alert.id == example.alert));
}

#[test]
fn the_three_hashes_of_a_file_are_of_one_content() {
    use sha1::{Digest, Sha1};
    let mut chance = Chance::of(1, "test", 0);
    let file = file::Draft {
        kind: file::Kind::Program,
        name: "a.exe".into(),
        folder: "C:\\".into(),
        product: "Chart Room",
        version: "1.0".into(),
        signer: None,
        mark: "7".into(),
    }
    .file(&mut chance);
    let content = "a sample file of pintle dev\nChart Room\na.exe\n1.0\n7\n";
    assert_eq!(file.sha1, file::hex(&Sha1::digest(content)));
    assert_eq!(file.sha256, file::hex(&sha2::Sha256::digest(content)));
    assert_eq!(file.md5, file::hex(&md5::Md5::digest(content)));
}

#[test]
fn a_company_of_any_size_can_be_generated() {
    for (machines, days, events, alerts) in [(0, 3, 100, 2), (1, 1, 10, 1), (3, 0, 10, 1), (1, 2, 0, 0)] {
        let generated = generate(Law { machines, days, events, alerts, ..small() });
        assert!(generated.rows.len() < 1_000, "{machines} machines, {days} days");
    }
}

#[test]
fn the_example_has_an_answer_to_both_questions() {
    use pintle_store::{Batch, Options, Page, Scope, Store};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let tenant = pintle_model::TenantId::from_bytes([7; 16]);
    let mut generator = Generator::new(small());
    let example = generator.example().unwrap();
    for records in &mut generator {
        store.append(Batch { records, ..Batch::recorded(tenant, "test") }).unwrap();
    }
    let scope = Scope::whole(tenant);
    let mut machines = Vec::new();
    let hash = pintle_model::FileHash::Sha1(example.file);
    let found = store.file_machines(&scope, &hash, Page::ALL, &mut machines).unwrap().unwrap();
    assert!(found.written >= 2, "{found:?}");
    assert!(found.ask_instead.is_empty());
    let mut files = Vec::new();
    let written = store.alert_files(&scope, &example.alert, Page::ALL, &mut files).unwrap().unwrap();
    assert!(written >= 1);
    assert!(String::from_utf8(files).unwrap().contains(&example.file.to_string()));
    let totals = store.totals(&scope).unwrap();
    assert_eq!((totals.machines, totals.alerts), (25, 12));
    assert!(store.conflicts(&scope).unwrap().is_empty());
}

/// 2026-01-16 was a Friday, so that no machine is off when it ends.
fn friday() -> Time {
    Time::parse("2026-01-16T23:31:00Z").unwrap()
}

#[test]
fn a_fleet_has_the_published_number_of_files_and_pairs() {
    // telemetry.md §4: 3.75 million files, 93.5 % of them on one machine, and 95 million pairs at
    // 10,000 machines and 180 days; a tenth of the pairs at 1,000 machines.
    let generator = Generator::new(Law::fleet(1_000, 180, 600, friday()));
    let pairs: u64 = generator.machines.iter().map(|machine| machine.files_in(180)).sum();
    assert!((9_000_000..10_000_000).contains(&pairs), "{pairs}");
    let own: usize = generator.machines.iter().map(|machine| machine.own_files(180)).sum();
    assert_eq!(own, 180 * (950 + 50 * 20));
    let alerts = generator.hits.iter().filter(|(_, hit)| hit.example().is_some()).count();
    assert_eq!(alerts, 3_600);
}

#[test]
fn what_a_fleet_sees_is_what_was_counted() {
    let law = Law { alerts: 10, ..Law::fleet(30, 14, 0, friday()) };
    let planned: u64 = Generator::new(law.clone()).machines.iter().map(|machine| machine.files_in(14)).sum();
    let mut generator = Generator::new(law);
    let (mut pairs, mut files, mut records) = (BTreeSet::new(), BTreeMap::<String, usize>::new(), 0);
    for record in generator.by_ref().flatten() {
        records += 1;
        let Record::Row(row) = record else { continue };
        for name in ["SHA256", "InitiatingProcessSHA256"] {
            let Some((column, _)) = row.table().unwrap().column(name) else { continue };
            let Some(hash) = row.text(column) else { continue };
            let machine = row.text(device_process_events::DEVICE_ID).unwrap();
            if pairs.insert((hash.to_owned(), machine.to_owned())) {
                *files.entry(hash.to_owned()).or_default() += 1;
            }
        }
    }
    let generated = generator.generated();
    assert_eq!(generated.records, records);
    assert_eq!(generated.pairs, pairs.len() as u64);
    assert_eq!(generated.files, files.len() as u64);
    assert_eq!(generated.alerts, 10);
    let campaigns = generated.pairs - planned;
    assert!((10..100).contains(&campaigns), "{campaigns} beside {planned}");
    // A file in a campaign is on two machines or more.
    assert!(files.values().any(|machines| *machines == 30));
}

#[test]
fn news_comes_on_its_first_day_and_repeats_fill_the_rest() {
    let law = Law { alerts: 0, ..Law::fleet(4, 5, 2_000, friday()) };
    let (mut first, mut events) = (BTreeMap::<(String, String), i64>::new(), 0);
    let (mut late, mut settled, mut without_sha1, mut repeats) = (0_usize, 0_usize, 0, 0);
    let mut reports = BTreeSet::new();
    let mut last = Time::from_ticks(law.day_start(0));
    for row in generate(law.clone()).rows {
        let name = row.table().unwrap().name;
        if !["DeviceProcessEvents", "DeviceImageLoadEvents", "DeviceFileEvents"].contains(&name) {
            continue;
        }
        events += 1;
        let text = |name: &str| row.text(row.table().unwrap().column(name).unwrap().0).map(str::to_owned);
        let at = row.time(device_process_events::TIMESTAMP).unwrap();
        let (report, _) = row.table().unwrap().column("ReportId").unwrap();
        let machine = text("DeviceId").unwrap();
        repeats += usize::from(!reports.insert((machine.clone(), row.long(report))));
        without_sha1 += usize::from(text("SHA1").is_none());
        // In the first two days there is not yet enough behind to be late from.
        if law.day_of(last) >= 2 {
            settled += 1;
            late += usize::from(at < last);
        }
        last = last.max(at);
        first.entry((text("SHA256").unwrap(), machine)).or_insert(law.day_of(at));
    }
    let share = |count: usize| count as f64 / events as f64;
    assert!((0.22..0.28).contains(&share(without_sha1)), "{}", share(without_sha1));
    assert!((0.01..0.03).contains(&share(repeats)), "{}", share(repeats));
    // 5 % late, and 2 % sent again later.
    let late = late as f64 / settled as f64;
    assert!((0.055..0.085).contains(&late), "{late}");
    let on_the_first = first.values().filter(|day| **day == 0).count();
    assert!(on_the_first * 10 > first.len() * 9, "{on_the_first} of {}", first.len());
    // All sightings are there, but for connections and logons.
    let least = law.events as f64;
    assert!((0.85..1.05).contains(&(events as f64 / least)), "{events} of {least}");
}

#[test]
#[ignore = "a measurement: run it with --release --nocapture"]
fn how_fast_records_are_made() {
    let end = friday();
    for law in [Law::fleet(1_000, 30, 2_000, end).thinned(3_000_000), Law::fleet(1_000, 3, 2_000, end)] {
        let began = std::time::Instant::now();
        let mut generator = Generator::new(law);
        eprintln!("set up in {:?}", began.elapsed());
        let began = std::time::Instant::now();
        let mut records = 0;
        for batch in generator.by_ref() {
            records += batch.len();
        }
        let rate = records as f64 / began.elapsed().as_secs_f64();
        eprintln!("{:?} {rate:.0} records/s", generator.generated());
    }
}
