//! Bodies that are read whole: that of a change is a JSON object with a few members. What a body may not
//! say is refused before anything is looked up, so a change is made whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::http::error::Failure;
use crate::instance::Instance;

/// The largest body of a change.
pub const MAX_BODY: usize = 1 << 20;

/// The members of a body. `null` is the same as nothing: shipped clients send it for what they leave.
#[derive(Debug)]
pub struct Members(Map<String, Value>);

impl FromRequest<Arc<Instance>> for Members {
    type Rejection = Failure;

    async fn from_request(request: Request<Body>, instance: &Arc<Instance>) -> Result<Members, Failure> {
        let (head, body) = request.into_parts();
        Members::read(&whole(instance, &head.headers, body, MAX_BODY).await?)
    }
}

/// All of a body of at most so many bytes, which is read as it is: one that is packed is refused.
pub async fn whole(
    instance: &Instance,
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<Bytes, Failure> {
    refuse_packed(headers)?;
    read(instance, body, most).await
}

/// Refuses a body that says it is packed.
pub fn refuse_packed(headers: &HeaderMap) -> Result<(), Failure> {
    let coding = headers.get(CONTENT_ENCODING).filter(|coding| *coding != "identity");
    coding.map_or(Ok(()), |coding| Err(Failure::packed(coding.to_str().unwrap_or_default())))
}

/// All of a body of at most so many bytes, unless it comes slower on the whole than bodies may: one that
/// only never stalls could take its time for hours.
pub async fn read(instance: &Instance, body: Body, most: usize) -> Result<Bytes, Failure> {
    let rate = instance.config.ingest.min_body_rate.bytes().max(1);
    let seconds = u64::try_from(most).unwrap_or(u64::MAX) / rate;
    let patience = instance.config.server.limits.body_timeout.saturating_add(Duration::from_secs(seconds));
    match tokio::time::timeout(patience, Limited::new(body, most).collect()).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Failure::too_long(most)),
        Ok(Err(_)) | Err(_) => Err(Failure::body_broke_off()),
    }
}

impl Members {
    fn read(body: &[u8]) -> Result<Members, Failure> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Members(members)),
            Ok(_) => Err(incorrect("it is no JSON object")),
            Err(error) => Err(incorrect(&format!("it is not JSON: {error}"))),
        }
    }

    /// With the names of members in the case that the documentation gives them, whatever theirs is.
    pub fn in_any_case(self, names: &[&str]) -> Result<Members, Failure> {
        let mut members = Map::new();
        for (name, value) in self.0 {
            let known = names.iter().find(|known| known.eq_ignore_ascii_case(&name));
            let name = known.map_or(name, |known| (*known).to_owned());
            if members.insert(name.clone(), value).is_some() {
                return Err(incorrect(&format!("member '{name}' is there more than once")));
            }
        }
        Ok(Members(members))
    }

    /// Refuses other members than these.
    pub fn only(self, names: &[&str]) -> Result<Members, Failure> {
        match self.0.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(incorrect(&format!("member '{name}' is not one of {}", names.join(", ")))),
            None => Ok(self),
        }
    }

    /// Whether there are no other members than these.
    pub fn has_only(&self, names: &[&str]) -> bool {
        self.0.keys().all(|name| names.contains(&name.as_str()))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text of at most so many characters.
    pub fn text(&self, name: &str, most: usize) -> Result<Option<String>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Value::String(text) = value else {
            return Err(incorrect(&format!("member '{name}' is no text")));
        };
        checked(name, text, most).map(Some)
    }

    /// The same of a text that there must be, and that is not blank.
    pub fn required_text(&self, name: &str, most: usize) -> Result<String, Failure> {
        let text = self.text(name, most)?.ok_or_else(|| Failure::missing_parameter(name))?;
        if text.trim().is_empty() { Err(incorrect(&format!("member '{name}' is blank"))) } else { Ok(text) }
    }

    /// What stands in a text or is a number, as a text.
    pub fn required_text_or_number(&self, name: &str) -> Result<String, Failure> {
        match self.get(name) {
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => self.required_text(name, 64),
        }
    }

    /// One of a few words, in any case.
    pub fn word(&self, name: &str, words: &[&str]) -> Result<Option<String>, Failure> {
        let Some(text) = self.text(name, usize::MAX)? else { return Ok(None) };
        let word = words.iter().find(|word| word.eq_ignore_ascii_case(&text));
        let word =
            word.ok_or_else(|| incorrect(&format!("member '{name}' is not one of {}", words.join(", "))))?;
        Ok(Some((*word).to_owned()))
    }

    /// The same of a word that there must be.
    pub fn required_word(&self, name: &str, words: &[&str]) -> Result<String, Failure> {
        self.word(name, words)?.ok_or_else(|| Failure::missing_parameter(name))
    }

    /// A list of texts.
    pub fn texts(&self, name: &str, most: usize) -> Result<Option<Vec<String>>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let texts = value.as_array().map(|list| {
            let text = |one: &Value| match one.as_str() {
                Some(text) => checked(name, text, most),
                None => Err(incorrect(&format!("member '{name}' is no list of texts"))),
            };
            list.iter().map(text).collect()
        });
        texts.unwrap_or_else(|| Err(incorrect(&format!("member '{name}' is no list")))).map(Some)
    }

    /// A list of ids that there must be, each once, at most so many.
    pub fn required_ids(&self, name: &str, most: usize) -> Result<Vec<String>, Failure> {
        let mut ids = self.texts(name, 256)?.ok_or_else(|| Failure::missing_parameter(name))?;
        if ids.is_empty() {
            return Err(incorrect(&format!("member '{name}' is empty")));
        }
        if ids.len() > most {
            return Err(Failure::batch_size(ids.len(), most));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

fn checked(name: &str, text: &str, most: usize) -> Result<String, Failure> {
    if most < usize::MAX && text.chars().nth(most).is_some() {
        return Err(incorrect(&format!("member '{name}' has more than {most} characters")));
    }
    Ok(text.to_owned())
}

/// 400 with the sentence that the API's pages give, and why.
pub fn incorrect(why: &str) -> Failure {
    Failure::request_body(format!("Request body is incorrect: {why}"))
}
