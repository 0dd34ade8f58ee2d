use super::silence::Watch;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn at(hours: u32) -> Time {
    Time::parse("2026-01-15T00:00:00Z").unwrap() + HOUR * hours
}

fn summary(records: u64, format: &'static str) -> Summary {
    Summary { records, format: Some(format.into()), ..Summary::default() }
}

fn sources() -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let (sources, problem) = Sources::open(folder.path());
    assert!(problem.is_none());
    (folder, sources)
}

fn tenant() -> TenantId {
    TenantId::from_bytes([1; 16])
}

fn note(sources: &Sources, source: &str, is_live: bool, now: Time) {
    let (summary, times) = (summary(1, "evtx"), Times::default());
    let came = Came { tenant: tenant(), source, is_live, summary: &summary, times: &times, failure: None };
    sources.note(&came, now, Some(HOUR * 24));
}

#[test]
fn a_machine_of_an_api_is_as_late_as_its_reading_whenever_it_was_seen() {
    let of = |machine: pintle_model::Machine| {
        let mut times = Times::default();
        times.note(&[Record::Machine(machine)], at(6));
        times.latest()
    };
    let mut facts = pintle_model::Facts::default();
    facts.note_time(shapes::machine::LAST_SEEN, at(5), Some(at(1)));
    let id: pintle_model::MachineId = "m".parse().unwrap();
    assert_eq!(of(pintle_model::Machine { id: id.clone(), facts }), Some(at(5)));
    assert_eq!(of(pintle_model::Machine { id, facts: pintle_model::Facts::default() }), None);
}

#[test]
fn what_came_is_told_by_source_and_format_and_kept_over_a_restart() {
    let (folder, sources) = sources();
    let mut times = Times::default();
    let mut row = pintle_model::Row::new(&tables::device_file_events::TABLE);
    row.set_time(tables::device_file_events::TIMESTAMP, Some(at(5)));
    times.note(&[Record::Row(row.clone())], at(6));
    // An implausible time counts for nothing.
    row.set_time(tables::device_file_events::TIMESTAMP, Some(at(100)));
    times.note(&[Record::Row(row)], at(6));
    let summary = Summary {
        rejects_by_reason: [("not JSON".to_owned(), 2)].into(),
        ignored: [("no machine", 1)].into(),
        file_events: 7,
        without_hash: [("no hash given", 3)].into(),
        ..summary(10, "sysmon-json")
    };
    let failure = Some("it broke off".to_owned());
    let came = Came {
        tenant: tenant(),
        source: "shipper",
        is_live: true,
        summary: &summary,
        times: &times,
        failure,
    };
    sources.note(&came, at(6), None);
    note(&sources, "shipper", true, at(7));
    sources.save().unwrap();
    let (again, problem) = Sources::open(folder.path());
    assert!(problem.is_none());
    for sources in [&sources, &again] {
        let told = sources.told(tenant(), at(7), Some(HOUR * 24));
        assert_eq!(told.len(), 2);
        assert_eq!((&told[0]["format"], &told[0]["records"]), (&json!("evtx"), &json!(1)));
        let sysmon = &told[1];
        for (member, value) in [
            ("source", json!("shipper")),
            ("live", json!(true)),
            ("state", json!("active")),
            ("firstArrival", json!("2026-01-15T06:00:00Z")),
            ("lastArrival", json!("2026-01-15T06:00:00Z")),
            ("lastEvent", json!("2026-01-15T05:00:00Z")),
            ("silentSince", json!(null)),
            ("records", json!(10)),
            ("recordsLastMinute", json!(0)),
            ("recordsLastDay", json!(10)),
            ("rejectedByReason", json!({ "not JSON": 2 })),
            ("ignored", json!({ "no machine": 1 })),
            ("fileEvents", json!(7)),
            ("withoutHashByReason", json!({ "no hash given": 3 })),
            ("failures", json!(1)),
            ("lastFailure", json!("it broke off")),
        ] {
            assert_eq!(sysmon[member], value, "{member}");
        }
        let lag = sysmon["lagSecondsMedian"].as_f64().unwrap();
        assert!((3600.0..=5400.0).contains(&lag), "{lag}");
        assert!(sources.told(TenantId::from_bytes([2; 16]), at(7), None).is_empty());
    }
    assert_eq!(again.told(tenant(), at(7), None)[0]["state"], "unknown");
    again.forget(tenant(), Some("another"));
    assert_eq!(again.told(tenant(), at(7), None).len(), 2);
    again.forget(tenant(), Some("shipper"));
    assert!(again.told(tenant(), at(7), None).is_empty());
    std::fs::write(folder.path().join("sources.json"), "{").unwrap();
    assert!(Sources::open(folder.path()).1.is_some());
}

#[test]
fn there_are_no_more_sources_than_there_may_be_and_live_ones_stay() {
    let (_folder, sources) = sources();
    for n in 0..300 {
        note(&sources, &format!("/exports/{n}"), false, at(n));
    }
    assert_eq!(sources.told(tenant(), at(300), Some(HOUR * 24)).len(), MOST_SOURCES);
    for n in 0..300 {
        note(&sources, &format!("host {n:03}"), true, at(300));
    }
    note(&sources, "/exports/new", false, at(301));
    let told = sources.told(tenant(), at(301), Some(HOUR * 24));
    let names: Vec<&str> = told.iter().map(|source| source["source"].as_str().unwrap()).collect();
    assert!(names.len() <= MOST_SOURCES + 1 && names.contains(&"host 000") && names.contains(&OTHERS));
    assert!(!names.contains(&"host 299") && !names.contains(&"/exports/299"));
    // Who makes up names does not take the places for good.
    let month = 30 * 24;
    note(&sources, "late", true, at(300 + month));
    note(&sources, "later", true, at(301 + month));
    let told = sources.told(tenant(), at(301 + month), None);
    let names: Vec<&str> = told.iter().map(|source| source["source"].as_str().unwrap()).collect();
    assert!(names.len() <= MOST_SOURCES + 1 && names.contains(&"later") && !names.contains(&"late"));
}

#[test]
fn a_source_is_silent_that_came_regularly_and_does_not_any_more() {
    let (_folder, sources) = sources();
    let day = HOUR * 24;
    let watch = Watch::new(at(0));
    let news = |now, after| sources.news(&watch, now, after);
    note(&sources, "seldom", true, at(0));
    (0..=30).for_each(|hour| note(&sources, "regular", true, at(hour)));
    (0..=30).for_each(|hour| note(&sources, "file", false, at(hour)));
    assert!(news(at(54), Some(day)).is_empty());
    assert!(news(at(55), None).is_empty());
    let told = news(at(55), Some(day));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].source.as_str(), told[0].since, told[0].is_over), ("regular", at(30), false));
    // Nobody could come before the server was there.
    assert!(sources.news(&Watch::new(at(50)), at(55), Some(day)).is_empty());
    sources.told_news(&told[0]);
    assert!(news(at(60), Some(day)).is_empty());
    let silent = &sources.told(tenant(), at(60), Some(day))[1];
    assert_eq!((&silent["silentSince"], &silent["state"]), (&json!(at(30).to_string()), &json!("silent")));
    assert_eq!(sources.told(tenant(), at(60), Some(day))[2]["state"], "unknown");
    note(&sources, "regular", true, at(61));
    let over = news(at(61), Some(day));
    assert!(over.len() == 1 && over[0].is_over && over[0].alert == told[0].alert);
    sources.told_news(&over[0]);
    // It must be regular again before it can be silent again.
    assert!(news(at(99), Some(day)).is_empty());
}

#[test]
fn a_silence_is_an_alert_that_is_resolved_when_the_source_comes_again() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let hours = Arc::new(AtomicU32::new(0));
    let clock: pintle_store::Clock = {
        let hours = Arc::clone(&hours);
        Arc::new(move || at(hours.load(Ordering::Relaxed)))
    };
    let folder = tempfile::tempdir().unwrap();
    let mut config = crate::config::Config::default();
    config.ingest.silent_after = Some(HOUR * 24);
    let instance = Instance::open(folder.path(), config, clock).unwrap();
    let tenant = instance.control.tenant("default").unwrap().id;
    let (summary, times) = (summary(1, "evtx"), Times::default());
    let come = |source| {
        let came = Came { tenant, source, is_live: true, summary: &summary, times: &times, failure: None };
        instance.sources.note(&came, instance.now(), instance.config.ingest.silent_after);
    };
    let alerts = || -> Vec<Value> {
        let mut out = b"[".to_vec();
        let all = pintle_store::Page::ALL;
        instance.store.alerts(&pintle_store::Scope::whole(tenant), all, &mut out).unwrap();
        out.push(b']');
        serde_json::from_slice(&out).unwrap()
    };
    let mut watch = Watch::new(instance.now());
    for hour in 0..=60 {
        hours.store(hour, Ordering::Relaxed);
        if hour <= 30 {
            come("collector\u{7}\"");
        }
        for _ in 0..2 {
            // Looked at every hour, as if it were every minute.
            watch = watch.at(instance.now());
            silence::look(&instance, &mut watch);
        }
    }
    let raised = alerts();
    assert_eq!(raised.len(), 1, "{raised:?}");
    for (member, value) in [
        ("title", json!("Telemetry source collector\u{7}\" has gone silent")),
        ("severity", json!("Medium")),
        ("category", json!("SuspiciousActivity")),
        ("status", json!("New")),
        ("detectionSource", json!("Pintle")),
        ("machineId", json!(null)),
        ("lastEventTime", json!("2026-01-16T06:00:00Z")),
        ("alertCreationTime", json!("2026-01-17T07:00:00Z")),
        ("resolvedTime", json!(null)),
    ] {
        assert_eq!(raised[0][member], value, "{member}");
    }
    come("collector\u{7}\"");
    silence::look(&instance, &mut watch);
    silence::look(&instance, &mut watch);
    let resolved = alerts();
    assert_eq!(resolved.len(), 1);
    assert_eq!((&resolved[0]["status"], &resolved[0]["id"]), (&json!("Resolved"), &raised[0]["id"]));
    assert_eq!(resolved[0]["resolvedTime"], "2026-01-17T12:00:00Z");
}

#[test]
fn what_a_sender_writes_takes_no_more_room_than_it_may() {
    let (_folder, sources) = sources();
    for n in 0..50 {
        let rejects = [(format!("table {n} {} is not kept", "x".repeat(1_000)), 1)];
        let summary = Summary { rejects_by_reason: rejects.into(), ..summary(1, "mde-streaming") };
        let times = Times::default();
        let came = Came {
            tenant: tenant(),
            source: "shipper",
            is_live: true,
            summary: &summary,
            times: &times,
            failure: Some("x".repeat(10_000)),
        };
        sources.note(&came, at(0), None);
    }
    let told = &sources.told(tenant(), at(0), None)[0];
    let rejects = told["rejectedByReason"].as_object().unwrap();
    assert_eq!((rejects.len(), &rejects[OTHERS]), (MOST_REASONS + 1, &json!(30)));
    assert!(rejects.keys().all(|reason| reason.len() <= LONGEST_TEXT));
    assert_eq!(told["lastFailure"].as_str().unwrap().len(), LONGEST_TEXT);
}

#[test]
fn metrics_have_each_live_source_by_its_name() {
    let (_folder, sources) = sources();
    note(&sources, "a \"quoted\"\nname", true, at(7));
    note(&sources, "file", false, at(7));
    let metrics = Metrics::default();
    let shown = || {
        sources.measure(&metrics, &|id| (id == tenant()).then(|| "default".to_owned()));
        metrics.encode()
    };
    let labels = r#"{tenant="default",source="a \"quoted\"\nname"}"#;
    let text = shown();
    for line in [
        format!("pintle_ingest_source_records_total{labels} 1"),
        format!("pintle_ingest_source_silent{labels} 0"),
        format!("pintle_ingest_source_last_arrival_timestamp_seconds{labels} {}", at(7).unix_seconds()),
        "pintle_ingest_sources 1".to_owned(),
        "pintle_ingest_sources_silent 0".to_owned(),
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    assert!(!text.contains("\"file\""), "{text}");
    // They do not grow by being shown again, and go with their source.
    assert_eq!(shown(), text);
    sources.forget(tenant(), None);
    assert!(!shown().contains("quoted"));
}
