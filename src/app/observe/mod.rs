//! What is seen of the server from outside, over HTTP: metrics, health, and waiting for pods.
//!
//! Everything here only reads. It has a thread and limits of its own (`http`), so that nobody who asks here keeps a DNS
//! query waiting.

mod explain;
mod readiness;
mod wait;

pub(super) use readiness::Readiness;

use super::Control;
use crate::{
    diagnostic::Severity,
    escape::visible_lines,
    http,
    metrics::{CONTENT_TYPE, Metrics},
    name::Name,
    zone::Reader,
};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{io, sync::Arc};
use tokio::sync::{Semaphore, watch};

/// How many diagnostics are told to who asks why the server is not ready.
const TOLD: usize = 20;

/// What the routes look at.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) metrics: Metrics,
    pub(super) reader: Reader,
    pub(super) readiness: Readiness,
    /// Changes with each publication.
    pub(super) published: watch::Receiver<u64>,
    pub(super) cluster_domain: Name,
    /// Places of those who wait for pods.
    pub(super) waiting: Arc<Semaphore>,
    /// Who gives explanations, and places of those who ask for them.
    pub(super) control: Control,
    pub(super) explaining: Semaphore,
}

/// Places of those who ask for explanations.
pub(super) fn explaining() -> Semaphore {
    Semaphore::new(explain::AT_ONCE)
}

/// Of so many connections, how many may wait for pods: some are left for whoever looks after the server.
pub(super) fn places(connections: usize) -> usize {
    connections - connections / 4
}

/// Serves the routes on a bound socket.
pub(super) fn serve(listener: http::Listener, observed: Observed, connections: usize) -> io::Result<http::Serving> {
    let observed = Arc::new(observed);
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/wait", get(wait::wait))
        .route("/explain", get(explain::explain))
        .fallback(nothing)
        .with_state(Arc::clone(&observed));
    let serving = listener.serve("http", routes, http::Limits::new(connections))?;
    observed.metrics.set_http(serving.counters());
    Ok(serving)
}

/// Plain text with a status.
fn text(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], visible_lines(&text.into()) + "\n").into_response()
}

async fn metrics(State(observed): State<Arc<Observed>>) -> Response {
    match observed.metrics.text() {
        Ok(page) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Alive: the process serves, whatever it knows. A vital thread that ends takes the process with it, so an answer at all
/// says most.
async fn healthz() -> Response {
    text(StatusCode::OK, "ok")
}

/// Ready: every name is answered for, and the server is to stay. If not, why, and what of the files stands in the way.
async fn readyz(State(observed): State<Arc<Observed>>) -> Response {
    match observed.readiness.problem(&observed.reader) {
        None => text(StatusCode::OK, "ok"),
        Some(problem) => {
            let found = observed.control.diagnostics();
            let wrong = found.iter().filter(|one| one.severity != Severity::Note).take(TOLD);
            let lines = wrong.map(|one| format!("\n{}: {}", one.file.display(), one.message));
            text(StatusCode::SERVICE_UNAVAILABLE, problem.to_owned() + &lines.collect::<String>())
        }
    }
}

async fn nothing() -> Response {
    text(StatusCode::NOT_FOUND, "here are /metrics, /healthz, /readyz, /wait and /explain")
}
