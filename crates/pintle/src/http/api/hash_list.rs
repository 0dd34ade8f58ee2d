//! Lists of hashes, looked up in one call.

pub(crate) mod read;

use std::sync::Arc;
use std::vec::IntoIter;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use pintle_model::Time;
use pintle_store::{Error, FoundFile, MachineIds, Scope};
use serde::Serialize;

use self::read::{Asked, Form, HashList};
use super::{blocking, turn};
use crate::auth::permission::Permission;
use crate::auth::role::RolePermission;
use crate::http::body;
use crate::http::caller::Caller;
use crate::http::envelope::{ask_instead, incomplete, lines};
use crate::http::error::Failure;
use crate::http::form;
use crate::http::pieces::{self, ENOUGH_BYTES, Made};
use crate::instance::Instance;
use crate::slots::Slot;

/// The largest body: 100,000 SHA-256 in JSON, and as much again of blanks.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What a caller needs besides to be told of machines.
const MACHINES: &[Permission] = &[Permission::MachineRead, Permission::MachineReadWrite];

/// Hashes looked up before others may use the thread, and before it is seen whether the client is still
/// there.
const AT_ONCE: usize = 1_000;
/// Machines named before the directory is let go for others.
const IDS_AT_ONCE: usize = 1_000;

/// `POST /api/files/lookup`: which of up to 100,000 hashes of any kind are known, each with what it
/// stands for, on how many machines it was seen, and when; on request with the machines that the caller
/// may see. Answers are lines of JSON in the order of the request: one for each hash that is known or is
/// none, none for one that is unknown. A hash given twice is answered once.
pub async fn look_up(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let asks_for_machines = option(query.as_deref().unwrap_or_default())?;
    let form = Form::of(&headers)?;
    body::refuse_packed(&headers)?;
    if announced_length(&headers).is_some_and(|length| length > MAX_BODY) {
        return Err(Failure::too_long(MAX_BODY));
    }
    // Lists take memory, so only a few are at work at once; the others wait unread.
    let slot = turn(&instance, &instance.look_up_slots, caller.scope.tenant()).await?;
    let body = body::read(&instance, body, MAX_BODY).await?;
    let HashList { asked, machines } = blocking(move || read::read(form, &body)).await?;
    let asks_for_machines = asks_for_machines || machines;
    if asks_for_machines {
        let may = caller.rights.may(MACHINES, Some(RolePermission::ViewData));
        may.map_err(|missing| Failure::missing(&missing))?;
    }
    let (asked, scope) = (asked.into_iter(), caller.scope);
    let mut answer = Answer { instance, scope, asked, asks_for_machines, ids: None, _slot: slot };
    Ok(lines(pieces::body(move || answer.next()), HeaderMap::new()))
}

/// `?machines=`, in any case; `$` options are not obeyed, so there are none.
fn option(query: &str) -> Result<bool, Failure> {
    let mut machines = false;
    for (name, value) in form::pairs(query) {
        let (name, value) = (name.trim(), value.trim());
        if name.starts_with('$') {
            let name: String = name.chars().take(64).collect();
            return Err(Failure::query(&format!("Query option '{name}' is not supported by this server.")));
        }
        if name.eq_ignore_ascii_case("machines") {
            machines = value.to_ascii_lowercase().parse().map_err(|_| {
                let value: String = value.chars().take(64).collect();
                Failure::input(format!("machines '{value}' is neither true nor false"))
            })?;
        }
    }
    Ok(machines)
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH).and_then(|length: &HeaderValue| length.to_str().ok()?.parse().ok())
}

/// The answer that is still to be given.
struct Answer {
    instance: Arc<Instance>,
    scope: Scope,
    asked: IntoIter<Asked>,
    asks_for_machines: bool,
    /// The machines of the hash that was answered last; whether some of them are told already.
    ids: Option<(MachineIds, bool)>,
    _slot: Slot,
}

impl Answer {
    fn next(&mut self) -> Result<Made, Error> {
        let mut piece = Vec::new();
        tell_ids(&mut self.ids, &mut piece);
        if self.ids.is_none() {
            self.look_some_up(&mut piece)?;
        }
        Ok(Made { piece: piece.into(), is_last: self.ids.is_none() && self.asked.len() == 0 })
    }

    fn look_some_up(&mut self, piece: &mut Vec<u8>) -> Result<(), Error> {
        let lookup = self.instance.store.look_up_files(&self.scope)?;
        for Asked { text, hash } in self.asked.by_ref().take(AT_ONCE) {
            let Some(hash) = hash else {
                line(&NoHash { hash: &text, error: "InvalidHashValue" }, piece);
                continue;
            };
            let Some(found) = lookup.find(&hash)? else { continue };
            line(&Line::new(&text, &found), piece);
            if self.asks_for_machines {
                // In the place of the object's end and the line's.
                piece.truncate(piece.len().saturating_sub(2));
                piece.extend_from_slice(br#","machineIds":["#);
                self.ids = Some((lookup.machine_ids(found)?, false));
                tell_ids(&mut self.ids, piece);
            }
            if self.ids.is_some() || piece.len() >= ENOUGH_BYTES {
                break;
            }
        }
        Ok(())
    }
}

/// Tells the machines of a hash, or goes on with it, as far as there is room. None are left then, or some.
fn tell_ids(left: &mut Option<(MachineIds, bool)>, piece: &mut Vec<u8>) {
    let Some((ids, begun)) = left else { return };
    while piece.len() < ENOUGH_BYTES {
        let has_more = ids.next_some(IDS_AT_ONCE, &mut |id| {
            if std::mem::replace(begun, true) {
                piece.push(b',');
            }
            // Writing to memory does not fail.
            _ = serde_json::to_writer(&mut *piece, id);
        });
        if !has_more {
            piece.extend_from_slice(b"]}\n");
            *left = None;
            return;
        }
    }
}

/// What is told of a hash that is known.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    hash: &'a str,
    sha1: Option<String>,
    sha256: Option<String>,
    md5: Option<String>,
    machines: usize,
    first_seen: Option<String>,
    last_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ask_instead: Vec<String>,
}

impl<'a> Line<'a> {
    fn new(hash: &'a str, found: &FoundFile) -> Line<'a> {
        let FoundFile { hashes, machines, seen, gaps, .. } = found;
        let time = |time: Option<Time>| time.map(|time| time.to_string());
        Line {
            hash,
            sha1: hashes.sha1.map(|hash| hash.to_string()),
            sha256: hashes.sha256.map(|hash| hash.to_string()),
            md5: hashes.md5.map(|hash| hash.to_string()),
            machines: *machines,
            first_seen: time(seen.map(|span| span.first)),
            last_seen: time(seen.map(|span| span.last)),
            incomplete: incomplete(gaps),
            ask_instead: ask_instead(gaps),
        }
    }
}

/// What is told of a text that is none.
#[derive(Serialize)]
struct NoHash<'a> {
    hash: &'a str,
    error: &'static str,
}

fn line(of: &impl Serialize, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    _ = serde_json::to_writer(&mut *out, of);
    out.push(b'\n');
}
