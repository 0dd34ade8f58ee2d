//! Counts every request and writes the access log. Paths, queries, tokens and bodies are not
//! written: they hold what people search for.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper::body::Body;

use super::AppId;
use crate::config::AccessLog;
use crate::metrics::Metrics;

/// The route of a request that fits none.
const NO_ROUTE: &str = "none";

#[derive(Clone)]
struct Observer {
    metrics: Metrics,
    /// Of how many requests one is written; none: none.
    one_in: Option<NonZeroU32>,
    seen: Arc<AtomicU32>,
}

/// A router whose requests are counted and, as far as `access` says, logged.
pub fn wrap(router: Router, metrics: Metrics, access: AccessLog) -> Router {
    let one_in = match access {
        AccessLog::Off => None,
        AccessLog::All => Some(NonZeroU32::MIN),
        AccessLog::OneIn(n) => Some(n),
    };
    let observer = Observer { metrics, one_in, seen: Arc::default() };
    router.layer(middleware::from_fn_with_state(observer, observe))
}

async fn observe(State(observer): State<Observer>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let outer_route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let in_flight = observer.metrics.request_begun();
    let response = next.run(request).await;
    drop(in_flight);
    let took = began.elapsed();
    // The API's router brings paths into its table's form first, so only its answer tells the route.
    let route = outer_route.as_ref().or_else(|| response.extensions().get());
    let route = route.map_or(NO_ROUTE, MatchedPath::as_str);
    let status = response.status().as_u16();
    observer.metrics.request(route, &method, status, took);
    if observer.one_in.is_some_and(|n| observer.seen.fetch_add(1, Ordering::Relaxed) % n == 0) {
        tracing::info!(
            target: "access",
            method = method.as_str(),
            route,
            status,
            ms = took.as_secs_f64() * 1000.0,
            bytes = response.body().size_hint().exact(),
            app = response.extensions().get::<AppId>().map(|app| app.0.as_str()),
            "request"
        );
    }
    response
}
