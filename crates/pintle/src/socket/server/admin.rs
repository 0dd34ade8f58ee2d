//! The operations of administration, for the owner of the data folder.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Query, RawPathParams, State};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Json, Router};
use serde_json::Value;

use super::{Owner, Peer, Refused, scope, unusable};
use crate::admin::{self, Asked, MAX_BODY, OPERATIONS, Operation, wire};
use crate::instance::Instance;

/// Adds a route for each.
pub(super) fn routes(mut router: Router<Arc<Instance>>) -> Router<Arc<Instance>> {
    for operation in OPERATIONS {
        router = router.route(operation.path, route(operation));
    }
    router
}

fn route(operation: &'static Operation) -> MethodRouter<Arc<Instance>> {
    let answer = async move |State(instance): Owner,
                             ConnectInfo(peer): ConnectInfo<Peer>,
                             keys: RawPathParams,
                             Query(of): Query<wire::OfTenant>,
                             body: Body|
                -> Result<Json<Value>, Refused> {
        let tenant =
            of.tenant.map(|tenant| scope(&instance, &tenant)).transpose()?.map(|scope| scope.tenant());
        let asked = Asked {
            actor: peer.into(),
            tenant,
            keys: keys.iter().map(|(_, value)| value.to_owned()).collect(),
            body: axum::body::to_bytes(body, MAX_BODY).await.map_err(unusable)?.into(),
        };
        Ok(Json(admin::perform(operation, instance, asked).await?))
    };
    on(MethodFilter::try_from(operation.method.clone()).unwrap_or(MethodFilter::GET), answer)
}

impl From<admin::Refused> for Refused {
    fn from(refused: admin::Refused) -> Refused {
        Refused(refused.status, refused.message)
    }
}
