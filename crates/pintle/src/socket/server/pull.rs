//! A round of what the settings fetch from, at once.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use tokio::runtime::Handle;

use crate::pull::Asked;

use super::{Owner, long, wire};

pub(super) async fn round(State(instance): Owner, Json(asked): Json<wire::Pull>) -> Response {
    let runtime = Handle::current();
    long(move |come| instance.pulls.round(&instance, &asked.name, &runtime, Asked::ByPeople, come))
}
