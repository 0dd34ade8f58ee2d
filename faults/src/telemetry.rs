//! A little of everything that a store can hold: machines, files that are known by one, two or
//! three kinds of hash and by contradicting ones, alerts with evidence, records kept aside.

use pintle_ingest::{Choice, Content, Reading};
use pintle_model::TenantId;
use pintle_store::{Batch, Store};
use serde_json::{Value, json};

use crate::answers::Question;
use crate::chance::Chance;
use crate::report::{Failure, Outcome, While};

const MACHINES: u64 = 80;
const FILES: u64 = 300;
const ALERTS: u64 = 40;
const ROWS_A_BATCH: u64 = 100;

fn sha1(file: u64) -> String {
    format!("{:040x}", 0xf100_0000 + file)
}

fn sha256(file: u64) -> String {
    format!("{:064x}", 0xf256_0000 + file)
}

fn md5(file: u64) -> String {
    format!("{:032x}", 0xf500_0000 + file)
}

fn machine(nth: u64) -> String {
    format!("{:040x}", 0xa000 + nth)
}

fn alert(nth: u64) -> String {
    format!("da{nth:012}_1")
}

/// One record of Defender's streaming export.
fn exported(table: &str, properties: &Value) -> String {
    let record = json!({
        "time": "2026-01-15T10:00:00.0000000Z",
        "tenantId": "00000000-0000-0000-0000-000000000000",
        "operationName": "Publish",
        "category": format!("AdvancedHunting-{table}"),
        "properties": properties,
    });
    format!("{record}\n")
}

fn row(chance: &mut Chance) -> String {
    let at = format!(
        "2026-01-{:02}T{:02}:{:02}:{:02}.1234567Z",
        1 + chance.below(18),
        chance.below(24),
        chance.below(60),
        chance.below(60)
    );
    // Few files are on many machines.
    let file = chance.below(FILES) * chance.below(FILES) / FILES;
    let on = chance.below(MACHINES);
    match chance.below(30) {
        0 => exported(
            "DeviceInfo",
            &json!({
                "Timestamp": at, "DeviceId": machine(on), "DeviceName": format!("host-{on}.example.org"),
                "OSPlatform": "Windows11", "PublicIP": format!("192.0.2.{on}"),
            }),
        ),
        1 => {
            let id = alert(chance.below(ALERTS));
            let info = json!({
                "Timestamp": at, "AlertId": id, "Title": "Something was seen", "Severity": "Medium",
                "Category": "Execution", "ServiceSource": "Microsoft Defender for Endpoint",
            });
            let evidence = json!({
                "Timestamp": at, "AlertId": id, "EntityType": "File", "EvidenceRole": "Related",
                "FileName": format!("file-{file}.exe"), "SHA1": sha1(file), "SHA256": sha256(file),
                "DeviceId": machine(on),
            });
            exported("AlertInfo", &info) + &exported("AlertEvidence", &evidence)
        }
        2 => "{\"no record at all\"\n".to_owned(),
        _ => {
            let mut event = json!({
                "Timestamp": at, "DeviceId": machine(on), "DeviceName": format!("host-{on}.example.org"),
                "ActionType": "FileCreated", "FileName": format!("file-{file}.exe"),
                "FolderPath": format!("C:\\Folder {}\\file-{file}.exe", chance.below(9)),
                "InitiatingProcessSHA1": sha1(file / 7), "ReportId": on,
            });
            // One file in nine has two SHA-256 beside its MD5.
            let stranger = if file.is_multiple_of(9) && chance.one_in(2) { file + FILES } else { file };
            let hashes = [("SHA1", sha1(file)), ("SHA256", sha256(stranger)), ("MD5", md5(file))];
            let kept = 1 + chance.below(7);
            for (nth, (name, hash)) in hashes.into_iter().enumerate() {
                if let (true, Some(event)) = (kept >> nth & 1 == 1, event.as_object_mut()) {
                    event.insert(name.to_owned(), hash.into());
                }
            }
            exported("DeviceFileEvents", &event)
        }
    }
}

/// Puts so many batches into a store.
pub fn fill(store: &Store, tenant: TenantId, batches: u64, chance: &mut Chance) -> Outcome<()> {
    for nth in 0..batches {
        let rows: String = (0..ROWS_A_BATCH).map(|_| row(chance)).collect();
        let source = format!("export {nth}");
        let mut deliver = |records, rejects| {
            store.append(Batch { records, rejects, ..Batch::recorded(tenant, source.clone()) })?;
            Ok(())
        };
        let read = pintle_ingest::read(
            Content::stream(rows.as_bytes()),
            Reading::of(&source, Choice::default()),
            &mut deliver,
            &mut |_| {},
        );
        let read = read.during("reading what was made")?;
        if read.with_file_hash < ROWS_A_BATCH / 2 {
            return Err(Failure::Unable(format!(
                "what was made does not read: {:?}",
                read.rejects_by_reason
            )));
        }
    }
    Ok(())
}

/// Everything that can be asked about it, and about things that are not there.
pub fn questions() -> Vec<Question> {
    let files = (0..2 * FILES).step_by(5).flat_map(|file| [sha1(file), sha256(file), md5(file)]);
    Question::about(files, (0..=MACHINES).map(machine), (0..=ALERTS).map(alert))
}
