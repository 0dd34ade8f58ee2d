//! What is written down: who did what to whom, and how it ended. Texts come from clients, so all are
//! cut to a length. Secrets and tokens never belong in here.

use std::fmt::Display;
use std::net::IpAddr;

use pintle_model::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Characters of a name, an id, a target.
const TEXT: usize = 200;
/// Bytes of a detail as JSON.
const DETAIL: usize = 4 << 10;
/// Characters of a text in a list: no id is longer.
const LISTED: usize = 256;
/// What the name of a list and the numbers of its parts take besides, at most.
const PARTS: usize = 80;

/// What somebody is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Who may read and write the data folder: commands, over its socket.
    Owner,
    /// An application registered here.
    Application,
    /// A user of this server.
    User,
    /// Somebody whom an issuer elsewhere vouches for.
    Outside,
    /// Nobody knows: a caller that has proved nothing.
    Anonymous,
    /// The server by itself.
    Server,
}

impl Kind {
    /// Its name, as it stands in the log.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Owner => "owner",
            Kind::Application => "application",
            Kind::User => "user",
            Kind::Outside => "outside",
            Kind::Anonymous => "anonymous",
            Kind::Server => "server",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What they are to the server.
    pub kind: Kind,
    /// By which they are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Their name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The user of the operating system: an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The process: an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// From where they called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

impl Actor {
    fn of(kind: Kind) -> Actor {
        Actor { kind, id: None, name: None, uid: None, pid: None, address: None }
    }

    fn named(kind: Kind, id: impl Display, name: &str) -> Actor {
        Actor { id: Some(cut(&id.to_string())), name: Some(cut(name)), ..Actor::of(kind) }
    }

    /// A command of who owns the data folder, as far as the operating system says who.
    pub fn owner(uid: Option<u32>, pid: Option<i32>) -> Actor {
        Actor { uid, pid, ..Actor::of(Kind::Owner) }
    }

    /// The same of a command that asks nobody else.
    pub fn this_process() -> Actor {
        let pid = rustix::process::getpid().as_raw_pid();
        Actor::owner(Some(rustix::process::getuid().as_raw()), Some(pid))
    }

    /// An application that has proved who it is.
    pub fn application(id: impl Display, name: &str) -> Actor {
        Actor::named(Kind::Application, id, name)
    }

    /// A user who has.
    pub fn user(id: impl Display, name: &str) -> Actor {
        Actor::named(Kind::User, id, name)
    }

    /// Somebody with a token of an issuer elsewhere.
    pub fn outside(id: impl Display, name: &str) -> Actor {
        Actor::named(Kind::Outside, id, name)
    }

    /// A caller that has proved nothing, whatever it says that it is.
    pub fn anonymous() -> Actor {
        Actor::of(Kind::Anonymous)
    }

    /// The server by itself.
    pub fn server() -> Actor {
        Actor::of(Kind::Server)
    }

    /// With the address from which they called, where it is known.
    pub fn from_address(self, address: Option<IpAddr>) -> Actor {
        Actor { address, ..self }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not permitted, or made no sense.
    Refused,
    /// It could not be done.
    Failed,
}

impl Outcome {
    /// Its name, as it stands in the log.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        }
    }
}

/// What is to be written down.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) actor: Actor,
    pub(super) tenant: Option<TenantId>,
    pub(super) action: &'static str,
    pub(super) target: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) detail: Map<String, Value>,
    /// A list that may take several lines.
    each: Option<(&'static str, Vec<String>)>,
}

impl Entry {
    /// That somebody has done this, in words with dots between, the thing first: `client.created`.
    pub fn new(actor: Actor, action: &'static str) -> Entry {
        let detail = Map::new();
        Entry { actor, tenant: None, action, target: None, outcome: Outcome::Done, detail, each: None }
    }

    /// In this tenant.
    pub fn in_tenant(self, tenant: TenantId) -> Entry {
        Entry { tenant: Some(tenant), ..self }
    }

    /// To this: an id or a name.
    pub fn on(self, target: impl Display) -> Entry {
        Entry { target: Some(cut(&target.to_string())), ..self }
    }

    /// That ended so.
    pub fn outcome(self, outcome: Outcome) -> Entry {
        Entry { outcome, ..self }
    }

    /// That was refused, with a code by which the same refusals are counted together.
    pub fn refused(self, code: impl Display) -> Entry {
        self.outcome(Outcome::Refused).with("code", code.to_string())
    }

    /// That could not be done, and why.
    pub fn failed(self, why: impl Display) -> Entry {
        self.outcome(Outcome::Failed).with("error", why.to_string())
    }

    /// With one more thing to know. Texts are cut to 200 characters; a value that would make all of it
    /// larger than 4 KiB is left out, and a member `cut` says so.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Entry {
        let value = match value.into() {
            Value::String(text) => Value::String(cut(&text)),
            value => value,
        };
        if self.size() + name.len() + value.to_string().len() < DETAIL {
            self.detail.insert(cut(name), value);
        } else {
            self.detail.insert("cut".to_owned(), true.into());
        }
        self
    }

    /// With a list of texts, however long, each cut to 256 characters: of one that is too long for the
    /// detail a line is written for every part that fits, with all the rest in each of them, and `part`
    /// of `parts`. Of a refusal only the first is.
    pub fn with_each(self, name: &'static str, texts: Vec<String>) -> Entry {
        Entry { each: Some((name, texts)), ..self }
    }

    /// The lines that it takes.
    pub(super) fn lines(mut self) -> Vec<Entry> {
        let Some((name, texts)) = self.each.take() else { return vec![self] };
        let texts: Vec<Value> = texts.iter().map(|text| cut_to(LISTED, text).into()).collect();
        let room = DETAIL.saturating_sub(self.size() + PARTS);
        let (mut rest, mut parts) = (&texts[..], Vec::new());
        while let Some((part, others)) = rest.split_at_checked(fitting(rest, room)) {
            parts.push(part.to_vec());
            rest = others;
        }
        let count = parts.len().max(1);
        if count == 1 {
            return vec![self.with(name, texts)];
        }
        let written = if self.outcome == Outcome::Refused { 1 } else { count };
        let line = |(number, part)| {
            self.clone().with("part", number).with("parts", count).with(name, Value::Array(part))
        };
        (1..).zip(parts).take(written).map(line).collect()
    }

    /// The bytes of the detail as JSON.
    fn size(&self) -> usize {
        self.detail.iter().map(|(name, value)| name.len() + value.to_string().len() + 4).sum()
    }
}

/// How many of these texts, from the first on, fit into so many bytes of a JSON array: one at least.
fn fitting(texts: &[Value], room: usize) -> usize {
    let mut bytes = 0;
    let fits = |text: &&Value| {
        bytes += text.to_string().len() + 1;
        bytes <= room
    };
    texts.iter().take_while(fits).count().max(1)
}

fn cut(text: &str) -> String {
    cut_to(TEXT, text)
}

fn cut_to(most: usize, text: &str) -> String {
    text.chars().take(most).collect()
}
