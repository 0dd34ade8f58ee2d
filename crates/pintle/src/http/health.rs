//! Health and metrics, for the second listener: whether the process lives, whether it should get
//! requests, and what it has counted.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;

use crate::metrics::Metrics;

/// Whether the server should get requests. Clones are one.
#[derive(Clone)]
pub struct Ready(Arc<RwLock<Phase>>);

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not there yet; says what it is doing.
    Starting(&'static str),
    /// Not there yet: applying what the archive holds beyond the base, in bytes.
    CatchingUp {
        /// Applied.
        done: u64,
        /// Of so many.
        of: u64,
    },
    /// Answering.
    Ready,
    /// Finishing what it has.
    Draining,
}

impl Default for Ready {
    fn default() -> Ready {
        Ready(Arc::new(RwLock::new(Phase::Starting("starting"))))
    }
}

impl Ready {
    /// Moves on. Draining is the end: nothing is ready again after it.
    pub fn set(&self, phase: Phase) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if *current != Phase::Draining {
            *current = phase;
        }
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(ready: Ready, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(ready))
        .route("/metrics", get(show_metrics).with_state(metrics))
}

async fn readyz(State(ready): State<Ready>) -> Response {
    match ready.phase() {
        Phase::Ready => "ok\n".into_response(),
        Phase::Starting(doing) => unready(doing),
        Phase::CatchingUp { done, of } => {
            unready(&format!("catching up: {done} of {of} bytes of the archive are applied"))
        }
        Phase::Draining => unready("draining"),
    }
}

fn unready(reason: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
}

async fn show_metrics(State(metrics): State<Metrics>) -> Response {
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, openmetrics)], metrics.encode()).into_response()
}
