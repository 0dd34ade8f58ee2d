//! Tokens of an OAuth2 server, got for an application by its credentials (RFC 6749 §4.4), which APIs and
//! brokers are shown (RFC 6750, RFC 7628).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use object_store::ClientOptions;
use object_store::client::{HttpConnector as _, HttpRequestBody};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::http::Client;
use crate::config::Endpoint;

/// For all of it.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// An answer.
const MAX_BYTES: usize = 64 << 10;
/// Of which what is wrong is told so far, in characters.
const MOST_SAID: usize = 300;
/// How long a token counts that does not say it.
const UNSAID: u64 = 300;
/// The longest that one is believed to count, in seconds.
const LONGEST: u64 = 24 * 3600;

/// A token.
pub struct Token {
    /// As brokers are shown it.
    pub text: String,
    /// How long it counts from now.
    pub lasts: Duration,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// A number; of older endpoints one in a text.
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Gets one of a scope at `url` for an application. The reason why that cannot be done has nothing of the secret.
pub async fn fetch(
    client: &Client,
    url: &Endpoint,
    scope: Option<&str>,
    (id, secret): (&str, &str),
) -> Result<Token, String> {
    let failed = |what: String| format!("{}: {what}", url.as_str());
    let mut form = "grant_type=client_credentials".to_owned();
    let scope = scope.map(|scope| ("scope", scope));
    for (name, value) in [("client_id", id), ("client_secret", secret)].into_iter().chain(scope) {
        form += &format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    let request = Request::post(url.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(HttpRequestBody::from(form))
        .map_err(|error| failed(error.to_string()))?;
    let client = client.connect(&ClientOptions::new().with_allow_http(url.is_plain()));
    let client = client.map_err(|error| failed(error.to_string()))?;
    let answered = async {
        let answer = client.execute(request).await.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|_| failed(format!("no answer of at most {MAX_BYTES} bytes")))?.to_bytes();
        if status.is_success() { read(&body) } else { Err(format!("{status}{}", refusal(&body))) }
            .map_err(failed)
    };
    timeout(TIME_LIMIT, answered).await.unwrap_or_else(|_| Err(failed("it does not answer".to_owned())))
}

pub(crate) fn read(body: &Bytes) -> Result<Token, String> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| "the answer has no access_token".to_owned())?;
    let seconds = |told: Value| told.as_u64().or_else(|| told.as_str()?.parse().ok());
    let lasts = Duration::from_secs(answer.expires_in.and_then(seconds).unwrap_or(UNSAID).min(LONGEST));
    Ok(Token { text: answer.access_token, lasts })
}

/// What the server says of why not.
pub(crate) fn refusal(body: &Bytes) -> String {
    let Ok(said) = serde_json::from_slice::<Refusal>(body) else { return String::new() };
    let said = format!(": {} {}", said.error, said.error_description);
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_SAID).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::config::value::Value as _;

    /// What a server is asked that answers so, and what is made of it.
    fn fetched(answer: &str, scope: Option<&str>) -> (String, Result<Token, String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = answer.to_owned();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let mut piece = [0; 4096];
            let is_whole = |asked: &[u8]| {
                let text = String::from_utf8_lossy(asked).to_lowercase();
                let length = text
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split("\r\n").next()?.parse().ok());
                text.split_once("\r\n\r\n")
                    .zip(length)
                    .is_some_and(|((_, body), length): (_, usize)| body.len() >= length)
            };
            while !is_whole(&asked) {
                let count = stream.read(&mut piece).unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&asked));
                asked.extend_from_slice(&piece[..count]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        });
        let url = Endpoint::from_text(&format!("http://127.0.0.1:{port}/tenant/token")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let token = runtime.block_on(fetch(&Client::new().unwrap(), &url, scope, ("the id", "hush&hush")));
        (server.join().unwrap(), token)
    }

    fn answer(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[test]
    fn a_token_is_got_for_the_application_and_counts_as_long_as_it_says() {
        let good = answer("200 OK", r#"{"token_type":"Bearer","expires_in":3599,"access_token":"abc.def"}"#);
        let (asked, token) = fetched(&good, Some("https://n.example.org/.default"));
        let token = token.unwrap();
        assert_eq!((token.text.as_str(), token.lasts), ("abc.def", Duration::from_secs(3599)));
        assert!(asked.starts_with("POST /tenant/token HTTP/1.1\r\n"), "{asked}");
        let form = "grant_type=client_credentials&client_id=the%20id&client_secret=hush%26hush&scope=https%3A%2F%2Fn%2Eexample%2Eorg%2F%2Edefault";
        assert!(asked.ends_with(form), "{asked}");
        let old = answer("200 OK", r#"{"access_token":"abc","expires_in":"3599"}"#);
        assert_eq!(fetched(&old, None).1.unwrap().lasts, Duration::from_secs(3599));
        let short = answer("200 OK", r#"{"access_token":"abc"}"#);
        let (asked, token) = fetched(&short, None);
        assert_eq!(token.unwrap().lasts, Duration::from_secs(300));
        assert!(asked.ends_with("client_secret=hush%26hush"), "{asked}");
    }

    #[test]
    fn why_there_is_no_token_is_said_without_the_secret() {
        for (answer, expected) in [
            (
                answer(
                    "401 Unauthorized",
                    "{\"error\":\"invalid_client\",\"error_description\":\"no\\nway\"}",
                ),
                "401 Unauthorized: invalid_client no way",
            ),
            (answer("500 Internal Server Error", "oops"), "500 Internal Server Error"),
            (answer("200 OK", "{}"), "the answer has no access_token"),
            (
                answer("200 OK", &format!("{{\"access_token\":\"{}\"}}", "a".repeat(MAX_BYTES))),
                "no answer of at most",
            ),
        ] {
            let problem = fetched(&answer, None).1.err().unwrap();
            assert!(problem.contains(expected) && !problem.contains("hush"), "{problem}");
        }
    }
}
