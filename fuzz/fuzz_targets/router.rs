//! Any request to a server with some machines, files and alerts in it: method, path, query, headers and body,
//! by whoever the first byte says. Nothing that somebody may send is the server's fault, so no answer is a 5xx;
//! and what says that it is JSON is. With a folder in `SEEDS` it writes what its fuzzing begins with.
//!
//! ```text
//! aGET /api/machines?$top=1
//! Accept: application/json
//!
//! the body
//! ```

#![no_main]

mod served;

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde::de::IgnoredAny;
use served::{Asked, Served};

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("SEEDS") {
            served::seeds::write(folder.as_ref()).expect("seeds can be written");
            std::process::exit(0);
        }
    },
    |bytes: &[u8]| -> Corpus {
        let Some(asked) = Asked::read(bytes) else { return Corpus::Reject };
        Served::with(|served| {
            let path = asked.request.uri().path().to_owned();
            let answer = served.ask(asked);
            // What is not text is parsed by a worker, and there is none here.
            let is_of_worker = answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.says("worker");
            assert!(!answer.status.is_server_error() || is_of_worker, "{} {path}: {}", answer.status, answer.text());
            check_body(&answer.headers, &answer.body);
        });
        Corpus::Keep
    }
);

fn check_body(headers: &HeaderMap, body: &[u8]) {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if headers.contains_key(CONTENT_ENCODING) {
        return;
    }
    let is_json = |text: &[u8]| serde_json::from_slice::<IgnoredAny>(text).is_ok();
    match kind.split(';').next() {
        Some("application/json") => assert!(is_json(body), "no JSON: {}", String::from_utf8_lossy(body)),
        Some("application/x-ndjson") => {
            let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            assert!(lines.all(is_json), "no lines of JSON: {}", String::from_utf8_lossy(body));
        }
        _ => {}
    }
}
