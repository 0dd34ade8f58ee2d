//! The keys that sign tokens. A new one takes a while to make, so none is made where requests are served.

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};

use super::{Owner, Peer, Refused, audited, blocking, unusable, wire};
use crate::audit::Entry;
use crate::auth;
use crate::auth::keys::{ChangeError, KeyInfo};

pub(super) async fn list(State(instance): Owner) -> Json<Vec<wire::Key>> {
    Json(instance.issuer.keys().into_iter().map(shown).collect())
}

pub(super) async fn publish(
    State(instance): Owner,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<wire::Key>, Refused> {
    blocking(move || {
        let key = instance.issuer.publish_key(instance.now());
        let entry = Entry::new(peer.into(), "key.published");
        let key = audited(&instance, key, entry, |entry, key| entry.on(&key.kid))?;
        tracing::info!(
            uid = peer.uid,
            pid = peer.pid,
            kid = key.kid,
            "the key that is to sign next was published"
        );
        Ok(Json(shown(key)))
    })
    .await
}

pub(super) async fn rotate(
    State(instance): Owner,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<wire::Key>, Refused> {
    blocking(move || {
        let key = instance.issuer.rotate_key(instance.now());
        let entry = Entry::new(peer.into(), "key.rotated");
        let key = audited(&instance, key, entry, |entry, key| entry.on(&key.kid))?;
        tracing::info!(uid = peer.uid, pid = peer.pid, kid = key.kid, "another key signs now");
        Ok(Json(shown(key)))
    })
    .await
}

pub(super) async fn revoke(
    State(instance): Owner,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(kid): Path<String>,
) -> Result<Json<wire::Key>, Refused> {
    blocking(move || {
        let key = instance.issuer.revoke_key(&kid, instance.now());
        let entry = Entry::new(peer.into(), "key.revoked").on(&kid);
        let key = audited(&instance, key, entry, |entry, key| entry.on(&key.kid))?;
        tracing::warn!(
            uid = peer.uid,
            pid = peer.pid,
            kid = key.kid,
            "a key was revoked: its tokens are refused"
        );
        Ok(Json(shown(key)))
    })
    .await
}

fn shown(key: KeyInfo) -> wire::Key {
    wire::Key {
        kid: key.kid,
        state: key.state.name().to_owned(),
        created: key.created.to_string(),
        since: key.since.to_string(),
        until: key.until.map(|until| until.to_string()),
    }
}

impl From<auth::Error> for Refused {
    fn from(error: auth::Error) -> Refused {
        Refused(axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<ChangeError> for Refused {
    fn from(error: ChangeError) -> Refused {
        match error {
            ChangeError::Storage(error) => error.into(),
            other => unusable(other),
        }
    }
}
