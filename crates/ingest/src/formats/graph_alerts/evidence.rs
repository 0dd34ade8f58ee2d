//! The evidence of Graph's alerts: each piece is of a type of its own and may name the machine it was on.

use pintle_model::shapes::evidence as e;
use pintle_model::{Hashes, MemberId, Time};

use crate::alert::{Draft, Piece, seen_by_md5};
use crate::device;
use crate::event::{Event, PARENT_SEEN, Role};
use crate::format::{Problem, Several};
use crate::json::{Json, List, Object};
use crate::machine::Machine;
use crate::windows::full_path;
use crate::words;

/// The types of evidence that the API has a kind for.
const KINDS: &[(&str, &str)] = &[
    ("fileEvidence", "File"),
    ("fileHashEvidence", "File"),
    ("ipEvidence", "Ip"),
    ("processEvidence", "Process"),
    ("registryKeyEvidence", "Registry"),
    ("registryValueEvidence", "Registry"),
    ("urlEvidence", "Url"),
    ("userEvidence", "User"),
];

/// What members are in the API's evidence: of the piece itself, …
const MEMBERS: &[(&str, MemberId)] = &[
    ("createdDateTime", e::EVIDENCE_CREATION_TIME),
    ("ipAddress", e::IP_ADDRESS),
    ("parentProcessCreationDateTime", e::PARENT_PROCESS_CREATION_TIME),
    ("parentProcessId", e::PARENT_PROCESS_ID),
    ("processCommandLine", e::PROCESS_COMMAND_LINE),
    ("processCreationDateTime", e::PROCESS_CREATION_TIME),
    ("processId", e::PROCESS_ID),
    ("registryHive", e::REGISTRY_HIVE),
    ("registryKey", e::REGISTRY_KEY),
    ("registryValue", e::REGISTRY_VALUE),
    ("registryValueName", e::REGISTRY_VALUE_NAME),
    ("registryValueType", e::REGISTRY_VALUE_TYPE),
    ("url", e::URL),
];

/// … of `fileDetails` and `imageFile`, …
const FILE: &[(&str, MemberId)] =
    &[("fileName", e::FILE_NAME), ("filePath", e::FILE_PATH), ("sha1", e::SHA1), ("sha256", e::SHA256)];

/// … of `parentProcessImageFile`, …
const PARENT: &[(&str, MemberId)] =
    &[("fileName", e::PARENT_PROCESS_FILE_NAME), ("filePath", e::PARENT_PROCESS_FILE_PATH)];

/// … and of `userAccount`.
const ACCOUNT: &[(&str, MemberId)] = &[
    ("accountName", e::ACCOUNT_NAME),
    ("azureAdUserId", e::AAD_USER_ID),
    ("domainName", e::DOMAIN_NAME),
    ("userPrincipalName", e::USER_PRINCIPAL_NAME),
    ("userSid", e::USER_SID),
];

/// Takes an alert's evidence; the alert's last event was at `time`.
pub fn take(
    list: Json<'_>,
    time: Option<Time>,
    draft: &mut Draft,
    several: &mut Several,
) -> Result<(), Problem> {
    let machines = devices(list, time, draft, several)?;
    for piece in List::of(list).filter_map(Json::object) {
        several.count()?;
        let of_type = type_of(&piece);
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == of_type) else { continue };
        let machine = Machine::among(&machines, piece.get("mdeDeviceId").and_then(Json::text).as_deref());
        note(draft.evidence_on(kind, machine.as_ref()), &piece);
        if let Some(machine) = machine.as_ref().or(draft.on()) {
            files_besides(&piece, machine, time, several)?;
        }
    }
    Ok(())
}

/// The type's own name, the last part of `#microsoft.graph.security.fileEvidence`.
fn type_of(piece: &Object<'_>) -> String {
    let name = piece.get("@odata.type").and_then(Json::text).unwrap_or_default();
    name.rsplit('.').next().unwrap_or_default().to_owned()
}

/// The machines among the evidence, each reported in a row of its own. The first is the alert's.
fn devices(
    list: Json<'_>,
    time: Option<Time>,
    draft: &mut Draft,
    several: &mut Several,
) -> Result<Vec<Machine<'static>>, Problem> {
    let mut machines = Vec::new();
    let devices = List::of(list).filter_map(Json::object).filter(|piece| type_of(piece) == "deviceEvidence");
    for device in devices {
        let text = |name: &str| device.get(name).and_then(Json::text).filter(|text| !text.is_empty());
        let name = text("deviceDnsName").or_else(|| text("hostName"));
        let machine = Machine::of_defender(text("mdeDeviceId").as_deref(), name.as_deref());
        let Some(machine) = machine else { continue };
        several.add(device::info(&device, &machine, time))?;
        if machines.is_empty() {
            draft.machine(&machine);
            device::of_alert(&device, draft);
        }
        machines.push(machine);
    }
    Ok(machines)
}

/// Notes what a piece says.
fn note(mut piece: Piece<'_>, given: &Object<'_>) {
    for (name, member) in MEMBERS {
        piece.member(*member, given.get(name));
    }
    for (name, members) in [
        ("fileDetails", FILE),
        ("imageFile", FILE),
        ("parentProcessImageFile", PARENT),
        ("userAccount", ACCOUNT),
    ] {
        let Some(inner) = given.get(name).and_then(Json::object) else { continue };
        for (name, member) in members {
            piece.member(*member, inner.get(name));
        }
    }
    let status = given.get("detectionStatus").and_then(Json::text);
    piece.text(e::DETECTION_STATUS, status.and_then(|status| words::of_api(&status)));
    let hashes = bare_hash(given);
    piece.text(e::SHA1, hashes.sha1.map(|hash| hash.to_string()));
    piece.text(e::SHA256, hashes.sha256.map(|hash| hash.to_string()));
}

/// The hash of a `fileHashEvidence`.
fn bare_hash(given: &Object<'_>) -> Hashes {
    let text = |name: &str| given.get(name).and_then(Json::text);
    let (Some(algorithm), Some(value)) = (text("algorithm"), text("value")) else { return Hashes::default() };
    let of = |name: &str| algorithm.eq_ignore_ascii_case(name).then_some(&*value);
    Hashes::read(of("sha1"), of("sha256"), of("md5"))
}

/// What the evidence has no member for: the hashes of a parent process, a file that is known by its MD5.
fn files_besides(
    given: &Object<'_>,
    machine: &Machine<'_>,
    time: Option<Time>,
    several: &mut Several,
) -> Result<(), Problem> {
    let created = given.get("createdDateTime").and_then(Json::text).and_then(|text| Time::parse(&text));
    let time = created.or(time);
    let (parent, path) = file(given, "parentProcessImageFile");
    if let Some(event) = Event::seen(machine, time, PARENT_SEEN, Role::Initiating, &parent, path.as_deref()) {
        several.add(event.finish())?;
    }
    let files = ["fileDetails", "imageFile"].map(|name| file(given, name));
    for (hashes, path) in files.into_iter().chain([(bare_hash(given), None)]) {
        if let Some(record) = seen_by_md5(machine, time, &hashes, path.as_deref()) {
            several.add(record)?;
        }
    }
    Ok(())
}

/// The hashes and the path of a file in a member.
fn file(given: &Object<'_>, member: &str) -> (Hashes, Option<String>) {
    let file = given.get(member).and_then(Json::object);
    let text = |name: &str| file.as_ref()?.get(name)?.text();
    let hashes = Hashes::read(text("sha1").as_deref(), text("sha256").as_deref(), text("md5").as_deref());
    (hashes, full_path(text("filePath").as_deref(), text("fileName").as_deref()))
}
