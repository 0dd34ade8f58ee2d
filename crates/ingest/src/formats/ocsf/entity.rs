//! Files, processes and users as OCSF describes them, and the columns and evidence that they become.

use std::borrow::Cow;

use pintle_model::shapes::evidence;
use pintle_model::{Hashes, Time};

use super::{at, number, text};
use crate::alert::Draft;
use crate::event::{Event, Role};
use crate::json::{Json, Object};
use crate::time;

/// A file.
#[derive(Default)]
pub struct File<'a> {
    /// What identifies it.
    pub hashes: Hashes,
    /// Where it is, …
    pub path: Option<Cow<'a, str>>,
    /// … or at least what it is called.
    pub name: Option<Cow<'a, str>>,
    size: Option<Cow<'a, str>>,
}

impl<'a> File<'a> {
    /// The file that an object describes.
    pub fn of(value: Json<'a>) -> Option<File<'a>> {
        let file = value.object()?;
        let name = text(&file, "name");
        let path = text(&file, "path").or_else(|| {
            let folder = text(&file, "parent_folder")?;
            let separator = if folder.contains('\\') { '\\' } else { '/' };
            Some(format!("{}{separator}{}", folder.trim_end_matches(separator), name.as_deref()?).into())
        });
        Some(File { hashes: hashes(&file), path, name, size: text(&file, "size") })
    }

    /// Puts it into an event.
    pub fn put(&self, event: &mut Event, role: Role) {
        event.file(role, &self.hashes, self.path.as_deref());
        if self.path.is_none() {
            event.set(&format!("{}FileName", role.prefix()), self.name.as_deref());
        }
        event.set(&format!("{}FileSize", role.prefix()), self.size.as_deref());
    }

    /// Adds it to an alert.
    pub fn evidence(&self, draft: &mut Draft) {
        let path = self.path.as_deref().or(self.name.as_deref());
        draft.evidence("File").file(&self.hashes, path);
    }
}

/// The hashes of a file. Of two of one kind the first counts.
fn hashes(file: &Object<'_>) -> Hashes {
    let mut found = [None, None, None];
    // `fingerprints` is what 1.0 called them in its drafts.
    let list = ["hashes", "fingerprints"].iter().flat_map(|name| super::list(file, name));
    for hash in list.filter_map(Json::object) {
        let place = match (number(&hash, "algorithm_id"), text(&hash, "algorithm").as_deref()) {
            (Some(1), _) => 2,
            (Some(2), _) => 0,
            (Some(3), _) => 1,
            (_, Some("MD5" | "md5")) => 2,
            (_, Some("SHA-1" | "SHA1" | "sha1")) => 0,
            (_, Some("SHA-256" | "SHA256" | "sha256")) => 1,
            _ => continue,
        };
        if let Some(slot @ None) = found.get_mut(place) {
            *slot = text(&hash, "value");
        }
    }
    let [sha1, sha256, md5] = &found;
    Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref())
}

/// A process.
pub struct Process<'a> {
    members: Object<'a>,
    /// Its program.
    pub file: File<'a>,
}

impl<'a> Process<'a> {
    /// The process that an object describes.
    pub fn of(value: Json<'a>) -> Option<Process<'a>> {
        let members = value.object()?;
        let mut file = members.get("file").and_then(File::of).unwrap_or_default();
        file.name = file.name.or_else(|| text(&members, "name"));
        Some(Process { members, file })
    }

    /// The process that began it.
    pub fn parent(&self) -> Option<Process<'a>> {
        self.members.get("parent_process").and_then(Process::of)
    }

    /// Whether it says more of itself than a number.
    pub fn is_described(&self) -> bool {
        !self.file.hashes.is_empty() || self.file.path.is_some() || self.file.name.is_some()
    }

    /// Puts it into an event.
    pub fn put(&self, event: &mut Event, role: Role) {
        self.file.put(event, role);
        let column = |name: &str| match role {
            Role::Target => format!("Process{name}"),
            Role::Initiating => format!("InitiatingProcess{name}"),
        };
        event.set(&column("Id"), text(&self.members, "pid"));
        event.set(&column("CommandLine"), text(&self.members, "cmd_line"));
        event.set_time(&column("CreationTime"), self.created());
        event.set(&column("IntegrityLevel"), text(&self.members, "integrity"));
        if let Some(user) = self.user() {
            user.put(event, role.prefix());
        }
        if let (Role::Initiating, Some(parent)) = (role, self.parent()) {
            event.set("InitiatingProcessParentId", text(&parent.members, "pid"));
            event.set("InitiatingProcessParentFileName", parent.file.name.as_deref());
            event.set_time("InitiatingProcessParentCreationTime", parent.created());
        }
    }

    /// Adds it to an alert.
    pub fn evidence(&self, draft: &mut Draft) {
        let path = self.file.path.as_deref().or(self.file.name.as_deref());
        let parent = self.parent();
        let user = self.user();
        let mut piece = draft.evidence("Process");
        piece
            .file(&self.file.hashes, path)
            .number(evidence::PROCESS_ID, number(&self.members, "pid"))
            .text(evidence::PROCESS_COMMAND_LINE, text(&self.members, "cmd_line"))
            .time(evidence::PROCESS_CREATION_TIME, self.created());
        if let Some(parent) = parent {
            piece
                .number(evidence::PARENT_PROCESS_ID, number(&parent.members, "pid"))
                .text(evidence::PARENT_PROCESS_FILE_NAME, parent.file.name.as_deref())
                .text(evidence::PARENT_PROCESS_FILE_PATH, parent.file.path.as_deref())
                .time(evidence::PARENT_PROCESS_CREATION_TIME, parent.created());
        }
        if let Some(user) = user {
            piece
                .text(evidence::ACCOUNT_NAME, user.name)
                .text(evidence::DOMAIN_NAME, user.domain)
                .text(evidence::USER_SID, user.sid);
        }
    }

    /// Who it runs for.
    pub fn user(&self) -> Option<User<'a>> {
        self.members.get("user").and_then(User::of)
    }

    fn created(&self) -> Option<Time> {
        let created = text(&self.members, "created_time").or_else(|| text(&self.members, "created_time_dt"));
        time::read(&created?)
    }
}

/// An account.
pub struct User<'a> {
    /// Its name, …
    pub name: Option<Cow<'a, str>>,
    /// … whose it is, …
    pub domain: Option<Cow<'a, str>>,
    /// … and its SID, if its id is one.
    pub sid: Option<Cow<'a, str>>,
}

impl<'a> User<'a> {
    /// The account that an object describes.
    pub fn of(value: Json<'a>) -> Option<User<'a>> {
        let user = value.object()?;
        let (mut name, mut domain) = (text(&user, "name"), text(&user, "domain"));
        if domain.is_none()
            && let Some((before, after)) = name.as_deref().and_then(|name| name.split_once('\\'))
        {
            (domain, name) = (Some(before.to_owned().into()), Some(after.to_owned().into()));
        }
        let sid = text(&user, "uid").filter(|uid| uid.starts_with("S-1-"));
        (name.is_some() || sid.is_some()).then_some(User { name, domain, sid })
    }

    /// Puts it into the columns whose names begin with `prefix`.
    pub fn put(&self, event: &mut Event, prefix: &str) {
        event.set(&format!("{prefix}AccountName"), self.name.as_deref());
        event.set(&format!("{prefix}AccountDomain"), self.domain.as_deref());
        event.set(&format!("{prefix}AccountSid"), self.sid.as_deref());
    }

    /// Adds it to an alert.
    pub fn evidence(&self, draft: &mut Draft) {
        draft
            .evidence("User")
            .text(evidence::ACCOUNT_NAME, self.name.as_deref())
            .text(evidence::DOMAIN_NAME, self.domain.as_deref())
            .text(evidence::USER_SID, self.sid.as_deref());
    }
}

/// One end of a connection.
pub struct Endpoint<'a>(Object<'a>);

impl<'a> Endpoint<'a> {
    /// The end that an object describes.
    pub fn of(value: Json<'a>) -> Option<Endpoint<'a>> {
        value.object().map(Endpoint)
    }

    /// Its address.
    pub fn ip(&self) -> Option<Cow<'a, str>> {
        text(&self.0, "ip")
    }

    /// Its name.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        text(&self.0, "hostname").or_else(|| text(&self.0, "domain"))
    }

    /// Its port.
    pub fn port(&self) -> Option<Cow<'a, str>> {
        text(&self.0, "port")
    }

    /// Whether it is the device that an object describes.
    pub fn is(&self, device: &Object<'_>) -> bool {
        ["uid", "instance_uid", "ip", "hostname"].iter().any(|name| {
            text(&self.0, name).is_some_and(|ours| text(device, name).is_some_and(|its| ours == its))
        })
    }
}

/// The address or host name that a URL object has as text.
pub fn url<'a>(object: &Object<'a>, name: &str) -> Option<Cow<'a, str>> {
    let url = object.get(name)?;
    let member = |member| at(object, &[name, member]).and_then(Json::text).filter(|text| !text.is_empty());
    if url.raw().starts_with('{') {
        member("url_string").or_else(|| member("text")).or_else(|| member("hostname"))
    } else {
        url.text().filter(|text| !text.is_empty())
    }
}
