//! The operations of administration, for callers with a permission for it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawPathParams, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::admin::{self, Asked, MAX_BODY, Operation};
use crate::http::body::whole;
use crate::http::caller::Caller;
use crate::http::error::Failure;
use crate::http::origin::ClientAddress;
use crate::instance::Instance;

/// What answers for an operation.
pub(crate) fn handler(operation: &'static Operation) -> MethodRouter<Arc<Instance>> {
    let answer = async move |State(instance): State<Arc<Instance>>,
                             caller: Caller,
                             address: ClientAddress,
                             keys: RawPathParams,
                             headers: HeaderMap,
                             body: Body|
                -> Result<Response, Failure> {
        let body = whole(&instance, &headers, body, MAX_BODY).await?;
        let asked = Asked {
            actor: caller.rights.who.actor(address.0),
            tenant: Some(caller.scope.tenant()),
            keys: keys.iter().map(|(_, value)| value.to_owned()).collect(),
            body: body.into(),
        };
        let done = admin::perform(operation, instance, asked).await.map_err(Failure::administration)?;
        Ok(axum::Json(done).into_response())
    };
    on(MethodFilter::try_from(operation.method.clone()).unwrap_or(MethodFilter::GET), answer)
}
