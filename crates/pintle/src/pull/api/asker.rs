//! How an API is asked: with a token, no oftener than it allows, again where that may help.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use jiff::fmt::rfc2822;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector as _, HttpErrorKind, HttpRequestBody};
use pintle_model::Time;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use crate::config::pull::Api;
use crate::pull::http::Client;
use crate::pull::{credentials, token};

/// An answer; one that is longer is asked for in parts.
const MAX_BYTES: usize = 32 << 20;
/// For a whole answer.
const ANSWERING: Duration = Duration::from_secs(300);
/// How often the same is asked that had no answer, …
const MOST_TRIES: u32 = 4;
/// … after a first wait, of which each further one is the double.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How often in turn it may say that it is asked too often.
const MOST_REFUSALS: u32 = 10;
/// How long is waited if it does not say it, …
const UNSAID: Duration = Duration::from_secs(60);
/// … and at most.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// A wait for the next call's turn that is told.
const WORTH_TELLING: Duration = Duration::from_secs(61);
/// Characters of what it says in an error.
const MOST_SAID: usize = 300;
/// How long before its end a token is not shown any more.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It is longer than what is read.
    TooLong,
    /// It is not made in time, whatever is tried.
    TooSlow(String),
    /// There is nothing at the path.
    NotThere(String),
    /// For what the reason says.
    Failed(String),
    /// It was told to stop.
    Stopped,
}

/// An answer.
pub struct Answer {
    pub body: Bytes,
    /// When it was given, by the clock of who gave it.
    pub at: Option<Time>,
}

/// Asks an API.
pub struct Asker {
    settings: Api,
    client: Client,
    http: HttpClient,
    pace: Pace,
    /// The token, and until when it is shown.
    token: Option<(HeaderValue, Instant)>,
}

/// What came of asking once.
enum Once {
    Answered(Answer),
    /// The token is not taken.
    Unknown(String),
    /// It may be asked again then.
    Wait(Duration, String),
    /// It may help to ask again.
    Again(String),
    /// The same; or to ask for less.
    Slow(String),
    Never(Unanswered),
}

impl Asker {
    /// One for the API that a section names.
    pub fn new(settings: &Api) -> Result<Asker, String> {
        let client = Client::new().map_err(|error| error.to_string())?;
        let options = ClientOptions::new().with_allow_http(settings.api.is_plain());
        let http = client.connect(&options).map_err(|error| error.to_string())?;
        let pace = Pace::new(settings.calls_per_minute, settings.calls_per_hour);
        Ok(Asker { settings: settings.clone(), client, http, pace, token: None })
    }

    /// Gets what stands at a path, with its query. Waits as long as the API wants it.
    pub async fn get(&mut self, path: &str, stop: &CancellationToken) -> Result<Answer, Unanswered> {
        tokio::select! {
            answer = self.ask(path) => answer,
            () = stop.cancelled() => Err(Unanswered::Stopped),
        }
    }

    async fn ask(&mut self, path: &str) -> Result<Answer, Unanswered> {
        let (mut tries, mut refusals, mut has_new_token) = (0, 0, false);
        loop {
            self.wait_for_turn().await;
            let token = self.token().await.map_err(Unanswered::Failed)?;
            let reason = match self.once(path, token).await {
                Once::Answered(answer) => return Ok(answer),
                Once::Never(unanswered) => return Err(unanswered),
                // Its key may have gone since it was given.
                Once::Unknown(reason) if !has_new_token => {
                    (self.token, has_new_token) = (None, true);
                    tracing::debug!(api = self.settings.api.as_str(), reason, "a new token is got");
                    continue;
                }
                Once::Unknown(reason) => return Err(Unanswered::Failed(reason)),
                Once::Wait(wait, reason) => {
                    refusals += 1;
                    if refusals < MOST_REFUSALS {
                        let seconds = wait.as_secs();
                        tracing::info!(
                            api = self.settings.api.as_str(),
                            seconds,
                            reason,
                            "an API wants to be left alone for a while"
                        );
                        tokio::time::sleep(wait).await;
                        continue;
                    }
                    Unanswered::Failed(reason)
                }
                Once::Again(reason) => Unanswered::Failed(reason),
                Once::Slow(reason) => Unanswered::TooSlow(reason),
            };
            tries += 1;
            if tries >= MOST_TRIES || refusals >= MOST_REFUSALS {
                return Err(reason);
            }
            tokio::time::sleep(FIRST_WAIT * (1 << (tries - 1))).await;
        }
    }

    async fn wait_for_turn(&mut self) {
        loop {
            let wait = self.pace.wait(Instant::now());
            if wait.is_zero() {
                return;
            }
            if wait >= WORTH_TELLING {
                let (api, seconds) = (self.settings.api.as_str(), wait.as_secs());
                tracing::info!(
                    api,
                    seconds,
                    "an API was asked as often as it may be, and is left alone for a while"
                );
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn token(&mut self) -> Result<HeaderValue, String> {
        if let Some((token, until)) = &self.token
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        // Read anew, as what is in it may be exchanged.
        let file = &self.settings.credentials_file;
        let lines = credentials::read(file)?;
        let (id, secret) =
            (credentials::of(file, &lines, "CLIENT_ID")?, credentials::of(file, &lines, "CLIENT_SECRET")?);
        let (url, scope) = (&self.settings.token_url, Some(self.settings.scope.as_str()));
        let got = token::fetch(&self.client, url, scope, (&id, &secret)).await?;
        let shown = HeaderValue::try_from(format!("Bearer {}", got.text));
        let mut shown = shown.map_err(|_| format!("{}: what it gives cannot be a token", url.as_str()))?;
        shown.set_sensitive(true);
        let until = Instant::now() + got.lasts.saturating_sub(TOKEN_MARGIN);
        self.token = Some((shown.clone(), until));
        Ok(shown)
    }

    /// Asks once.
    async fn once(&self, path: &str, token: HeaderValue) -> Once {
        let failed = |what: &dyn std::fmt::Display| format!("{}{path}: {what}", self.settings.api.as_str());
        let url = format!("{}{path}", self.settings.api.as_str());
        let request = Request::builder().method(Method::GET).uri(url);
        let request = request.header(AUTHORIZATION, token).header(ACCEPT, "application/json");
        let request = match request.body(HttpRequestBody::empty()) {
            Ok(request) => request,
            Err(error) => return Once::Never(Unanswered::Failed(failed(&error))),
        };
        let answered = async {
            let answer = self.http.execute(request).await.map_err(|error| match error.kind() {
                HttpErrorKind::Timeout => Once::Slow(failed(&chain(&error))),
                _ => Once::Again(failed(&chain(&error))),
            })?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, MAX_BYTES).collect().await.map_err(|error| {
                let is_long = error.downcast_ref::<LengthLimitError>().is_some();
                if is_long { Once::Never(Unanswered::TooLong) } else { Once::Again(failed(&chain(&*error))) }
            })?;
            Ok((parts.status, parts.headers, body.to_bytes()))
        };
        let (status, headers, body) = match timeout(ANSWERING, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(once)) => return once,
            Err(_) => return Once::Slow(failed(&"it does not answer")),
        };
        let reason = || failed(&format!("{status}{}", refusal(&body)));
        match status {
            StatusCode::OK => Once::Answered(Answer { body, at: date(&headers) }),
            StatusCode::UNAUTHORIZED => Once::Unknown(reason()),
            StatusCode::TOO_MANY_REQUESTS => Once::Wait(retry_after(&headers).unwrap_or(UNSAID), reason()),
            StatusCode::NOT_FOUND => Once::Never(Unanswered::NotThere(reason())),
            StatusCode::GATEWAY_TIMEOUT => Once::Slow(reason()),
            status if status.is_server_error() => match retry_after(&headers) {
                Some(wait) => Once::Wait(wait, reason()),
                None => Once::Again(reason()),
            },
            _ => Once::Never(Unanswered::Failed(reason())),
        }
    }
}

/// An error with what is behind it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let said = error.to_string();
        if !text.contains(&said) {
            text += &format!(": {said}");
        }
        behind = error.source();
    }
    text
}

#[derive(Deserialize)]
struct Refusal {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What the API says of why not.
pub(crate) fn refusal(body: &Bytes) -> String {
    let Ok(Refusal { error }) = serde_json::from_slice(body) else { return String::new() };
    let said = format!(": {} {}", error.code, error.message);
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_SAID).collect()
}

/// How long is to be waited, as a header says in seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

pub(crate) fn date(headers: &HeaderMap) -> Option<Time> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(Time::from_unix_seconds(rfc2822::parse(text).ok()?.timestamp().as_second()))
}
