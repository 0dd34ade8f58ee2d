//! The three answers. Each is made once, when it is first asked for, and served from memory.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::page as html_page;
use super::{csdl, openapi};
use crate::http::origin::Origin;
use crate::http::routes::routes;
use crate::http::{envelope, html};
use crate::instance::Instance;

/// Anybody may keep it for a while; with its tag they learn cheaply whether it is another.
const KEEP: HeaderValue = HeaderValue::from_static("max-age=300, private");

/// What answers `GET /openapi.json`: the document, which names the URL it was asked under as the server's.
pub fn document() -> MethodRouter<Arc<Instance>, Infallible> {
    let made: Arc<OnceLock<Document>> = Arc::default();
    get(async move |State(instance): State<Arc<Instance>>, origin: Origin, headers: HeaderMap| {
        let document = made.get_or_init(|| Document::new(&instance));
        let body = document.at(&origin);
        let tag = tag(&[document.digest.as_slice(), origin.as_str().as_bytes()]);
        let mut response = unless_known(&headers, &tag, || body.into_response());
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response
    })
}

/// What answers `GET /docs`: the same for people.
pub fn page() -> MethodRouter<Arc<Instance>, Infallible> {
    let made: Arc<OnceLock<(String, String)>> = Arc::default();
    get(async move |State(instance): State<Arc<Instance>>, headers: HeaderMap| {
        let (page, tag) = made.get_or_init(|| {
            let document = Value::Object(openapi::openapi(&routes(), &instance.config));
            let page = html_page::page(&document);
            let tag = tag(&[page.as_bytes()]);
            (page, tag)
        });
        let mut response = unless_known(&headers, tag, || page.clone().into_response());
        html::protect(response.headers_mut(), html::policy(html_page::STYLE));
        response
    })
}

/// What answers `GET /api/$metadata`.
pub fn metadata() -> MethodRouter<Arc<Instance>, Infallible> {
    let made: Arc<OnceLock<String>> = Arc::default();
    get(async move || {
        let mut response = made.get_or_init(csdl::csdl).clone().into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response.headers_mut().insert(envelope::ODATA_VERSION, HeaderValue::from_static("4.0"));
        response
    })
}

/// The document without the URL of the server, which is put in for each request.
struct Document {
    before: String,
    after: String,
    digest: Vec<u8>,
}

impl Document {
    fn new(instance: &Instance) -> Document {
        let members = Value::Object(openapi::openapi(&routes(), &instance.config)).to_string();
        let digest = Sha256::digest(members.as_bytes()).to_vec();
        let rest = members.strip_prefix('{').unwrap_or_default().to_owned();
        Document { before: r#"{"servers":[{"url":"#.to_owned(), after: format!("}}],{rest}"), digest }
    }

    fn at(&self, origin: &Origin) -> String {
        // A request that names no host gets a URL that is relative to the document's.
        let origin = if origin.as_str().is_empty() { "/" } else { origin.as_str() };
        format!("{}{}{}", self.before, Value::from(origin), self.after)
    }
}

/// The entity tag of these bytes. Weak: what is packed on the way has the same.
fn tag(parts: &[&[u8]]) -> String {
    let digest = parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part)).finalize();
    let half = digest.get(..16).unwrap_or_default();
    format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(half))
}

/// The answer, or 304 if the client says that it has it.
fn unless_known(headers: &HeaderMap, tag: &str, answer: impl FnOnce() -> Response) -> Response {
    let has = |value: &HeaderValue| {
        let listed = value.to_str().unwrap_or_default().split(',').map(str::trim);
        listed.into_iter().any(|known| known == "*" || bare(known) == bare(tag))
    };
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(has);
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { answer() };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, KEEP);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// Weak tags compare without what says that they are weak (RFC 9110 §8.8.3.2).
fn bare(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}
