//! Where a list goes on: the place of a page's last row as a text that only this server can make, and
//! only for the one who asked and for what they asked. It needs nothing kept, so it stays good however
//! long the client takes, also over a restart; a restore without the secrets ends it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pintle_store::Place;

use crate::auth::control::Control;
use crate::http::caller::Caller;

/// A longer one is none of ours.
const MAX_BYTES: usize = 32 * 1024;
/// Bytes of the signature before the place.
const TAG: usize = 32;

/// What a place belongs to: a list that one caller asked for.
pub struct Cursor {
    key: hmac::Key,
    /// What was asked, by whom.
    question: Vec<u8>,
}

impl Cursor {
    /// Of the list at a path, as `$filter` and `$orderby` choose and order its rows.
    pub fn of(
        control: &Control,
        caller: &Caller,
        path: &str,
        filter: Option<&str>,
        order: Option<&str>,
    ) -> Cursor {
        let user = caller.rights.who.user.as_ref().map(|(id, _)| id.as_bytes());
        let mut question = Vec::new();
        for part in [
            Some(caller.scope.tenant().as_bytes().as_slice()),
            Some(caller.rights.who.application.as_bytes()),
            user,
            Some(path.as_bytes()),
            filter.map(str::as_bytes),
            order.map(str::as_bytes),
        ] {
            // The length before each, so that nothing reads as a part of what is beside it.
            let length = part.map_or(0, |part| part.len() as u64 + 1);
            question.extend_from_slice(&length.to_be_bytes());
            question.extend_from_slice(part.unwrap_or_default());
        }
        let key = control.derived_key("the places of lists, 1");
        Cursor { key: hmac::Key::new(hmac::HMAC_SHA256, &key), question }
    }

    /// A place as clients carry it, in characters that need no encoding in a URL. `None`: it cannot be
    /// written, which no place of the store's is.
    pub fn seal(&self, place: &Place) -> Option<String> {
        let place = serde_json::to_vec(place).ok()?;
        let tag = hmac::sign(&self.key, &[self.question.as_slice(), &place].concat());
        Some(URL_SAFE_NO_PAD.encode([tag.as_ref(), &place].concat()))
    }

    /// The place that a client brings back; `None`: it was made for something else, altered, or not made
    /// here.
    pub fn open(&self, token: &str) -> Option<Place> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, place) = bytes.split_at_checked(TAG)?;
        hmac::verify(&self.key, &[self.question.as_slice(), place].concat(), tag).ok()?;
        serde_json::from_slice(place).ok()
    }
}
