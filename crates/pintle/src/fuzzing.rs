//! What reads bytes of others without a connection around it, for `fuzz`. Only there where cargo fuzz builds, and
//! no part of the product. What can be reached without it is not here.
//!
//! Each function panics where something read breaks a promise.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "fuzzing finds by panics")]

use std::path::Path;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, Uri};
use bytes::Bytes;
use hyper::header::{DATE, RETRY_AFTER};
use pintle_model::Time;

use crate::auth::outside::fuzzing as outside;
use crate::http::api::hash_list::read::{self, Form};
use crate::http::{path, routes};
use crate::pull::api::{asker, page};
use crate::pull::{credentials, token};
use crate::socket::wire;
use crate::watch::known::Known;

static TEMPLATES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| routes::routes().iter().map(|route| route.path).collect());

/// The path of a request: whatever template it has the shape of, it has it still in that one's form.
pub fn path(text: &str) {
    if let Some((template, keys)) = path::template_of(text, &TEMPLATES) {
        assert_eq!(template.matches('{').count(), keys.len(), "{template}");
    }
    let Ok(uri) = text.parse::<Uri>() else { return };
    let (canonical, arguments) = path::canonical(uri, &TEMPLATES);
    let (again, _) = path::canonical(canonical.clone(), &TEMPLATES);
    if let Some(arguments) = arguments {
        _ = (arguments.text("ip"), arguments.time("timestamp"));
    } else {
        assert_eq!(canonical, again);
    }
}

/// A list of hashes, as an object or as lines.
pub fn hashes(body: &[u8], is_json: bool) {
    let form = if is_json { Form::Json } else { Form::Lines };
    if let Ok(list) = read::read(form, body) {
        assert!(list.asked.iter().all(|asked| asked.text.len() <= 4 * 128), "repeats what is long");
    }
}

/// What another server answers, of the kind of that number. `said` is what it says beside its body.
pub fn answer(kind: u8, body: &[u8], said: &str) {
    match kind % 6 {
        0 => {
            if let Ok(page) = page::Page::read(body) {
                page.is_followed();
                assert!(page.rows.0.len() <= page::MOST_ROWS);
            }
        }
        1 => {
            let body = Bytes::copy_from_slice(body);
            assert!(asker::refusal(&body).chars().count() <= 300);
            assert!(token::refusal(&body).chars().count() <= 300);
            if let Ok(token) = token::read(&body) {
                assert!(token.lasts.as_secs() <= 24 * 3600);
            }
        }
        2 => {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(body) {
                headers.insert(DATE, value.clone());
                headers.insert(RETRY_AFTER, value);
            }
            asker::date(&headers);
            asker::retry_after(&headers);
        }
        3 => outside::keys(body, said),
        4 => outside::discovery(body),
        // The owner of a data folder, to a command.
        _ => {
            _ = serde_json::from_slice::<wire::IngestLine>(body);
            _ = serde_json::from_slice::<wire::LongLine<wire::Remade>>(body);
            _ = serde_json::from_slice::<wire::Found>(body);
            _ = serde_json::from_slice::<wire::PurgeAsked>(body);
        }
    }
}

/// A token of an outside issuer, as if its key had signed it.
pub fn outside_token(token: &str, now: Time) {
    outside::token(token, now);
}

/// What is remembered of what was fetched and watched, and a file with credentials.
pub fn remembered(kind: u8, text: &[u8], file: &Path) {
    match kind % 4 {
        0 => _ = serde_json::from_slice::<crate::pull::api::kept::Kept>(text),
        1 => {
            if let Ok(mut kept) = serde_json::from_slice::<crate::pull::objects::kept::Kept>(text) {
                for taken in kept.places.values_mut() {
                    for (is_all, is_ordered) in [(false, true), (true, true), (true, false)] {
                        _ = taken.begin(is_all, is_ordered, 1_768_435_200_000).from();
                    }
                }
            }
        }
        2 => _ = serde_json::from_slice::<Vec<Known>>(text),
        _ => {
            std::fs::write(file, text).unwrap();
            if let Ok(lines) = credentials::read(file) {
                assert!(!lines.is_empty());
                _ = credentials::of(file, &lines, "CLIENT_ID");
            }
        }
    }
}
