//! The keys that sign tokens.

use super::{Answer, Call, answer, wire};
use crate::auth::keys::KeyInfo;

pub(super) fn list(call: &Call<'_>) -> Answer {
    answer(call.instance.issuer.keys().into_iter().map(shown).collect::<Vec<_>>())
}

pub(super) fn publish(call: &Call<'_>) -> Answer {
    answer(shown(call.instance.issuer.publish_key(call.instance.now())?))
}

pub(super) fn rotate(call: &Call<'_>) -> Answer {
    answer(shown(call.instance.issuer.rotate_key(call.instance.now())?))
}

pub(super) fn revoke(call: &Call<'_>) -> Answer {
    answer(shown(call.instance.issuer.revoke_key(call.key(0), call.instance.now())?))
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
