//! Messages of a queue: each is an input by itself, and none harms another.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write;

use pintle_ingest::{Choice, Error, Message, Reading, Summary, read_messages};
use pintle_model::Record;
use pintle_store::Reject;

fn row(n: usize) -> String {
    format!(
        r#"{{"Timestamp":"2026-01-15T09:00:00Z","DeviceId":"{:040x}","ActionType":"FileCreated","ReportId":{n}}}"#,
        n + 1
    )
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// What came of messages, which are named by their place: the summary, and each delivery.
type Came = (Summary, Vec<(Vec<Record>, Vec<Reject>)>);

fn came_within(max_bytes: u64, values: &[Vec<u8>]) -> Result<Came, Error> {
    let mut deliveries = Vec::new();
    let reading = Reading { max_bytes, ..Reading::of("unused", Choice::default()) };
    let mut messages =
        values.iter().enumerate().map(|(n, value)| Message { name: format!("topic/0@{n}"), value });
    let summary = read_messages(&mut messages, &reading, &mut |records, rejects| {
        deliveries.push((records, rejects));
        Ok(())
    })?;
    Ok((summary, deliveries))
}

fn came(values: &[Vec<u8>]) -> (Summary, Vec<Record>, Vec<Reject>) {
    let (summary, mut deliveries) = came_within(pintle_ingest::MAX_BYTES, values).unwrap();
    assert_eq!(deliveries.len(), 1);
    let (records, rejects) = deliveries.pop().unwrap();
    (summary, records, rejects)
}

#[test]
fn a_message_is_a_record_lines_an_array_an_envelope_or_packed() {
    let sysmon = r#"{"@timestamp":"2026-01-15T09:00:00Z","winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","provider_name":"Microsoft-Windows-Sysmon","event_id":11,"computer_name":"ws-01","event_data":{"UtcTime":"2026-01-15 09:00:00.000","Image":"C:\\a.exe","TargetFilename":"C:\\b.exe","ProcessId":"1"}}}"#;
    let streamed = format!(
        r#"{{"records":[{{"time":"2026-01-15T09:00:01Z","tenantId":"t","operationName":"Publish","category":"AdvancedHunting-DeviceEvents","properties":{}}}]}}"#,
        row(8)
    );
    let shipped = serde_json::json!({ "@timestamp": "2026-01-15T09:00:00Z", "agent": {}, "message": row(9) });
    let values: Vec<Vec<u8>> = [
        row(0),
        format!("{}\n{}\n", row(1), row(2)),
        format!("[{},{}]", row(3), row(4)),
        format!("{{\n\"value\": [{},\n{}]}}", row(5), row(6)),
        streamed,
        shipped.to_string(),
        sysmon.to_owned(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .chain([gzip(row(7).as_bytes())])
    .collect();
    let (summary, records, rejects) = came(&values);
    assert_eq!((summary.records, rejects), (11, Vec::new()));
    assert_eq!(summary.format.as_deref(), Some("mixed"));
    assert_eq!(records.len(), 11);
    let bytes: usize = values.iter().map(Vec::len).sum();
    assert_eq!(summary.packed_bytes, bytes as u64);
}

#[test]
fn what_is_wrong_with_a_message_costs_it_alone_and_is_kept_aside_by_its_name() {
    let packed = gzip(row(1).as_bytes());
    let values = vec![
        row(0).into_bytes(),
        Vec::new(),
        b"hello".to_vec(),
        "{}\n".repeat(500).into_bytes(),
        packed[..packed.len() / 2].to_vec(),
        vec![0xff; 9_000],
        format!("{}\n{{\"Timestamp\":", row(2)).into_bytes(),
        row(3).into_bytes(),
    ];
    let (summary, records, rejects) = came(&values);
    assert_eq!(records.len(), 3);
    let told: Vec<_> =
        rejects.iter().map(|reject| (reject.source.as_str(), reject.reason.as_str())).collect();
    assert_eq!(told[0], ("topic/0@1", "a message without a value"));
    assert_eq!(told[1], ("topic/0@2", "of no known format"));
    assert_eq!(told[2], ("topic/0@3", "of no known format"));
    assert_eq!(told[3], ("topic/0@4", "damaged compressed data: reading stopped here"));
    assert_eq!(told[4], ("topic/0@5", "of no known format"));
    assert_eq!(told[5].0, "topic/0@6");
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(rejects[1].bytes, b"hello");
    assert_eq!(rejects[4].bytes.len(), 8 * 1024);
    assert_eq!(summary.rejects(), 6);
    assert_eq!(summary.rejects_by_reason["of no known format"], 3);
}

#[test]
fn a_message_beyond_a_limit_is_kept_aside_for_a_reason_that_all_such_share() {
    let large = vec![b' '; 2_000];
    let values = vec![large.clone(), row(0).into_bytes(), gzip(&large)];
    let (summary, mut deliveries) = came_within(1_000, &values).unwrap();
    let (records, rejects) = deliveries.pop().unwrap();
    assert_eq!((records.len(), rejects.len(), deliveries.len()), (1, 2, 0));
    assert_eq!(rejects[0].reason, rejects[1].reason);
    assert!(rejects[0].reason.starts_with("has more than 1000 bytes"), "{}", rejects[0].reason);
    assert_eq!(summary.rejects_by_reason.len(), 1);
}

#[test]
fn much_is_handed_over_in_batches_and_a_batch_that_is_not_taken_ends_it() {
    let values: Vec<Vec<u8>> =
        (0..250).map(|_| (0..100).map(|n| row(n) + "\n").collect::<String>().into_bytes()).collect();
    let (summary, deliveries) = came_within(pintle_ingest::MAX_BYTES, &values).unwrap();
    let sizes: Vec<usize> = deliveries.iter().map(|(records, _)| records.len()).collect();
    assert_eq!((summary.records, sizes), (25_000, vec![20_000, 5_000]));
    let mut read = 0;
    let mut messages =
        values.iter().inspect(|_| read += 1).map(|value| Message { name: "m".to_owned(), value });
    let reading = Reading::of("unused", Choice::default());
    let ended = read_messages(&mut messages, &reading, &mut |_, _| Err("full".into()));
    assert!(matches!(ended, Err(Error::Deliver(_))), "{ended:?}");
    assert_eq!(read, 201);
}
