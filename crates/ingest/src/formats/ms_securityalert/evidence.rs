//! What the entities of a Sentinel alert are as Defender's machines and evidence.

use std::borrow::Cow;

use pintle_model::shapes::evidence as e;
use pintle_model::{Hashes, Time, tables};

use super::entities::Entities;
use super::text;
use crate::alert::{Draft, Piece, seen_by_md5};
use crate::event::{Event, PARENT_SEEN, Role};
use crate::format::{Problem, Several};
use crate::json::{self, Json, Object};
use crate::machine::Machine;
use crate::windows::full_path;
use crate::{time, words};

/// What Defender adds to a host that it knows in words of its own, and the column that takes it.
const HOST: &[(&str, &str)] =
    &[("HealthStatus", "SensorHealthState"), ("OnboardingStatus", "OnboardingStatus")];

/// What else is kept of such a host.
const HOST_BESIDES: &[&str] = &["AzureID", "OSFamily", "OSVersion", "RiskScore"];

/// Takes what an alert names; its last event was at `time`, and `about` is what Sentinel calls compromised.
pub fn take(
    entities: &Entities<'_>,
    about: Option<&str>,
    time: Option<Time>,
    draft: &mut Draft,
    several: &mut Several,
) -> Result<(), Problem> {
    hosts(entities, about, time, draft, several)?;
    // These are told as the files'.
    let hashes_of_files = entities.listed_in("FileHashes");
    for entity in entities.iter() {
        several.count()?;
        let kind = kind(entity);
        let Some(of_api) = of_api(&kind) else { continue };
        if kind == "filehash" && text(entity, &["$id"]).is_some_and(|id| hashes_of_files.contains(&id)) {
            continue;
        }
        let host = entities.named(entity, "Host").and_then(|host| machine(&host));
        note(draft.evidence_on(of_api, host.as_ref()), &kind, entity, entities);
        if let Some(machine) = host.as_ref().or(draft.on()) {
            files_besides(entity, entities, machine, time, several)?;
        }
    }
    Ok(())
}

/// The name of the malware that an alert names first.
pub fn malware<'a>(entities: &Entities<'a>) -> Option<Cow<'a, str>> {
    entities.iter().filter(|entity| kind(entity) == "malware").find_map(|entity| text(entity, &["Name"]))
}

/// An entity's type.
fn kind(entity: &Object<'_>) -> String {
    text(entity, &["Type"]).unwrap_or_default().trim().to_ascii_lowercase()
}

/// The kind that the API has for a type.
fn of_api(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "account" => "User",
        "file" | "filehash" => "File",
        "ip" => "Ip",
        "process" => "Process",
        "registry-key" | "registry-value" => "Registry",
        "url" | "dns" => "Url",
        _ => return None,
    })
}

/// Says on which machines the alert is. Its own is the one that Defender calls leading, else the one that is
/// called compromised, else the first.
fn hosts(
    entities: &Entities<'_>,
    about: Option<&str>,
    time: Option<Time>,
    draft: &mut Draft,
    several: &mut Several,
) -> Result<(), Problem> {
    let hosts = entities.iter().filter(|entity| kind(entity) == "host");
    let hosts: Vec<_> = hosts.filter_map(|host| Some((host, machine(host)?))).collect();
    let leading = hosts
        .iter()
        .position(|(host, _)| text(host, &["LeadingHost"]).and_then(|word| json::truth(&word)) == Some(true));
    let is_meant = |name: &str| about.is_some_and(|about| about.trim().eq_ignore_ascii_case(name));
    let compromised = || {
        hosts.iter().position(|(host, machine)| {
            machine.name.as_deref().is_some_and(is_meant)
                || text(host, &["HostName"]).is_some_and(|name| is_meant(name.trim()))
        })
    };
    let own = leading.or_else(compromised).unwrap_or_default();
    if let Some((_, machine)) = hosts.get(own) {
        draft.machine(machine);
    }
    for (host, machine) in &hosts {
        several.count()?;
        if draft.on().is_some_and(|own| own.id != machine.id) {
            draft.also_on(machine);
        }
        info(host, machine, time, several)?;
    }
    Ok(())
}

/// The machine that a host is: by Defender's id, if it has one, or by its full name.
fn machine(host: &Object<'_>) -> Option<Machine<'static>> {
    let id = of_host(host, "MdatpDeviceId");
    let full = text(host, &["FQDN", "Fqdn"]);
    let short = text(host, &["HostName", "NetBiosName"]);
    let domain = text(host, &["DnsDomain"]);
    let name = full.or(match (short, domain) {
        (Some(short), Some(domain)) if !short.contains('.') => {
            Some(Cow::Owned(format!("{}.{}", short.trim(), domain.trim())))
        }
        (short, _) => short,
    });
    Machine::of_defender(id.as_deref(), name.as_deref())
}

/// A member of a host, which may stand in its `AdditionalData`.
fn of_host(host: &Object<'_>, name: &str) -> Option<String> {
    let own = text(host, &[name]).map(Cow::into_owned);
    own.or_else(|| {
        let more = host.get("AdditionalData").and_then(Json::object)?;
        text(&more, &[name]).map(Cow::into_owned)
    })
}

/// Reports a host of which Defender says more than its name.
fn info(
    host: &Object<'_>,
    machine: &Machine<'_>,
    time: Option<Time>,
    several: &mut Several,
) -> Result<(), Problem> {
    let words =
        HOST.iter().filter_map(|(member, column)| Some((*column, words::of_api(&of_host(host, member)?)?)));
    let id = of_host(host, "AadDeviceId").map(|id| ("AadDeviceId", id));
    let known: Vec<_> = id.into_iter().chain(words).collect();
    if known.is_empty() {
        return Ok(());
    }
    let mut row = Event::new(&tables::device_info::TABLE, machine, time, "");
    for (column, value) in known {
        row.set(column, Some(value));
    }
    for name in HOST_BESIDES {
        if let Some(value) = host.get(name) {
            row.additional(name, value);
        }
    }
    several.add(row.finish())
}

/// Notes what an entity says.
fn note<'a>(mut piece: Piece<'_>, kind: &str, entity: &Object<'a>, entities: &Entities<'a>) {
    let own = |name: &str| text(entity, &[name]);
    match kind {
        "file" => note_file(&mut piece, entity, entities),
        "filehash" => note_hashes(&mut piece, &hash(entity)),
        "process" => note_process(&mut piece, entity, entities),
        "account" => note_account(&mut piece, entity),
        "ip" => _ = piece.text(e::IP_ADDRESS, own("Address")),
        "url" => _ = piece.text(e::URL, own("Url")),
        "dns" => _ = piece.text(e::URL, own("DomainName")),
        "registry-key" => note_key(&mut piece, entity),
        "registry-value" => {
            if let Some(key) = entities.named(entity, "Key") {
                note_key(&mut piece, &key);
            }
            piece.text(e::REGISTRY_VALUE_NAME, own("Name"));
            piece.text(e::REGISTRY_VALUE, own("Value"));
            piece.text(e::REGISTRY_VALUE_TYPE, own("ValueType"));
        }
        _ => {}
    }
}

fn note_file<'a>(piece: &mut Piece<'_>, file: &Object<'a>, entities: &Entities<'a>) {
    piece.text(e::FILE_NAME, text(file, &["Name"]));
    piece.text(e::FILE_PATH, text(file, &["Directory"]));
    note_hashes(piece, &hashes(file, entities));
}

fn note_hashes(piece: &mut Piece<'_>, hashes: &Hashes) {
    piece.text(e::SHA1, hashes.sha1.map(|hash| hash.to_string()));
    piece.text(e::SHA256, hashes.sha256.map(|hash| hash.to_string()));
}

fn note_process<'a>(piece: &mut Piece<'_>, process: &Object<'a>, entities: &Entities<'a>) {
    let number = |of: &Object<'a>| text(of, &["ProcessId"]).and_then(|id| json::long(&id));
    let created = |of: &Object<'a>| text(of, &["CreationTimeUtc"]).and_then(|text| time::read(&text));
    piece.number(e::PROCESS_ID, number(process));
    piece.text(e::PROCESS_COMMAND_LINE, text(process, &["CommandLine"]));
    piece.time(e::PROCESS_CREATION_TIME, created(process));
    if let Some(image) = entities.named(process, "ImageFile") {
        note_file(piece, &image, entities);
    }
    if let Some(account) = entities.named(process, "Account") {
        note_account(piece, &account);
    }
    if let Some(parent) = entities.named(process, "ParentProcess") {
        piece.number(e::PARENT_PROCESS_ID, number(&parent));
        piece.time(e::PARENT_PROCESS_CREATION_TIME, created(&parent));
        if let Some(image) = entities.named(&parent, "ImageFile") {
            piece.text(e::PARENT_PROCESS_FILE_NAME, text(&image, &["Name"]));
            piece.text(e::PARENT_PROCESS_FILE_PATH, text(&image, &["Directory"]));
        }
    }
}

fn note_account(piece: &mut Piece<'_>, account: &Object<'_>) {
    let (name, suffix) = (text(account, &["Name"]), text(account, &["UPNSuffix"]));
    match text(account, &["NTDomain"]) {
        Some(domain) => {
            piece.text(e::ACCOUNT_NAME, name.as_deref()).text(e::DOMAIN_NAME, Some(domain));
        }
        None => _ = piece.account(name.as_deref().map(str::trim)),
    }
    piece.text(e::USER_SID, text(account, &["Sid"]));
    piece.text(e::AAD_USER_ID, text(account, &["AadUserId"]));
    if let (Some(name), Some(suffix)) = (name, suffix) {
        piece.text(e::USER_PRINCIPAL_NAME, Some(format!("{}@{}", name.trim(), suffix.trim())));
    }
}

fn note_key(piece: &mut Piece<'_>, key: &Object<'_>) {
    piece.text(e::REGISTRY_HIVE, text(key, &["Hive"]));
    piece.text(e::REGISTRY_KEY, text(key, &["Key"]));
}

/// The hash that an entity of type `filehash` is.
fn hash(entity: &Object<'_>) -> Hashes {
    let (algorithm, value) = (text(entity, &["Algorithm"]), text(entity, &["Value"]));
    let of = |name: &str| {
        value.as_deref().filter(|_| {
            algorithm.as_deref().is_some_and(|algorithm| algorithm.trim().eq_ignore_ascii_case(name))
        })
    };
    Hashes::read(of("SHA1"), of("SHA256"), of("MD5"))
}

/// The hashes of a file.
fn hashes<'a>(file: &Object<'a>, entities: &Entities<'a>) -> Hashes {
    let mut hashes = Hashes::default();
    for one in entities.all_named(file, "FileHashes").map(|named| hash(&named)) {
        hashes.sha1 = hashes.sha1.or(one.sha1);
        hashes.sha256 = hashes.sha256.or(one.sha256);
        hashes.md5 = hashes.md5.or(one.md5);
    }
    hashes
}

/// What the evidence has no member for: the hashes of a parent process, a file that is known by its MD5.
fn files_besides<'a>(
    entity: &Object<'a>,
    entities: &Entities<'a>,
    machine: &Machine<'_>,
    time: Option<Time>,
    several: &mut Several,
) -> Result<(), Problem> {
    let told = |file: &Object<'a>| {
        let path = full_path(text(file, &["Directory"]).as_deref(), text(file, &["Name"]).as_deref());
        (hashes(file, entities), path)
    };
    let parent = entities.named(entity, "ParentProcess");
    let parent = parent.and_then(|parent| entities.named(&parent, "ImageFile")).map(|image| told(&image));
    if let Some((hashes, path)) = parent
        && let Some(event) =
            Event::seen(machine, time, PARENT_SEEN, Role::Initiating, &hashes, path.as_deref())
    {
        several.add(event.finish())?;
    }
    let (hashes, path) = match (kind(entity).as_str(), entities.named(entity, "ImageFile")) {
        ("filehash", _) => (hash(entity), None),
        (_, Some(image)) => told(&image),
        (_, None) => told(entity),
    };
    match seen_by_md5(machine, time, &hashes, path.as_deref()) {
        Some(record) => several.add(record),
        None => Ok(()),
    }
}
