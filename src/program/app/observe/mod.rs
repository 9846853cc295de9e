//! What is seen of the server from outside, over HTTP: metrics, health, and waiting for pods.
//!
//! Everything here only reads. It has a thread and limits of its own (`http`), so that no request here keeps a DNS
//! query waiting.

mod explain;
mod readiness;
mod wait;

pub(super) use readiness::{EngineHealth, Readiness};

use super::Control;
use crate::{
    dns::{name::Name, zone::Reader},
    text::{diagnostic::Severity, escape::visible_lines},
    web::{
        http,
        metrics::{CONTENT_TYPE, Metrics},
    },
};
use axum::{
    Router,
    body::HttpBody as _,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{io, sync::Arc};
use tokio::sync::{Semaphore, watch};

/// What pages may take in memory together that their clients have not taken yet, in octets.
const PAGES_OCTETS_MAX: usize = 32 << 20;
/// How many diagnostics the reply shows while the server is not ready.
const DIAGNOSTICS_MAX: usize = 20;

/// What the routes look at.
#[derive(Debug)]
pub(super) struct ObservedServer {
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
    Semaphore::new(explain::CONCURRENT_EXPLANATIONS_MAX)
}

/// Of so many connections, how many may wait for pods: some are left for health checks and metrics.
pub(super) fn places(connections: usize) -> usize {
    connections - connections / 4
}

/// Serves the routes on a bound socket.
pub(super) fn serve(
    listener: http::BoundListener,
    observed: ObservedServer,
    connections: usize,
) -> io::Result<http::HttpServer> {
    let observed = Arc::new(observed);
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/wait", get(wait::wait))
        .route("/explain", get(explain::explain))
        .fallback(nothing)
        .with_state(Arc::clone(&observed))
        .layer(from_fn_with_state(Arc::new(Semaphore::new(PAGES_OCTETS_MAX)), bounded));
    let serving = listener.serve("http", routes, http::HttpLimits::new(connections))?;
    observed.metrics.set_http(serving.counters());
    Ok(serving)
}

/// A page in slices that counts until its client has taken it; where too many are taken slowly, others are refused the
/// larger ones.
async fn bounded(State(pages): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let octets = response.body().size_hint().exact().and_then(|octets| usize::try_from(octets).ok()).unwrap_or(0);
    let share = match u32::try_from(octets) {
        Ok(_) if octets <= http::CHUNK_OCTETS => None,
        Ok(octets) => match pages.try_acquire_many_owned(octets) {
            Ok(share) => Some(share),
            Err(_) => return text(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY),
        },
        Err(_) => return text(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY),
    };
    response.map(|body| http::sliced(body, share))
}

const TOO_MANY: &str = "pages that nobody takes hold all the memory that they may; ask again later";

/// Plain text with a status.
fn text(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], visible_lines(&text.into()) + "\n").into_response()
}

async fn metrics(State(observed): State<Arc<ObservedServer>>) -> Response {
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
async fn readyz(State(observed): State<Arc<ObservedServer>>) -> Response {
    match observed.readiness.problem(&observed.reader) {
        None => text(StatusCode::OK, "ok"),
        Some(problem) => {
            let found = observed.control.diagnostics();
            let wrong = found.iter().filter(|one| one.severity != Severity::Note).take(DIAGNOSTICS_MAX);
            let lines = wrong.map(|one| format!("\n{}: {}", one.file.display(), one.message));
            text(StatusCode::SERVICE_UNAVAILABLE, problem.to_owned() + &lines.collect::<String>())
        }
    }
}

async fn nothing() -> Response {
    text(StatusCode::NOT_FOUND, "here are /metrics, /healthz, /readyz, /wait and /explain")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    #[tokio::test]
    async fn pages_that_nobody_takes_are_bounded() {
        let pages = Arc::new(Semaphore::new(PAGES_OCTETS_MAX));
        let routes = Router::new()
            .route("/large", get(async || "x".repeat(PAGES_OCTETS_MAX / 3)))
            .route("/small", get(async || "ok"))
            .layer(from_fn_with_state(Arc::clone(&pages), bounded));
        let service = TowerToHyperService::new(routes);
        let ask = async |path: &str| service.call(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let mut untaken = Vec::new();
        for (path, expected) in [("/large", 200), ("/large", 200), ("/large", 200), ("/large", 503), ("/small", 200)] {
            let response = ask(path).await;
            assert_eq!(response.status().as_u16(), expected, "{path}");
            untaken.push(response);
        }
        drop(untaken);
        assert_eq!(pages.available_permits(), PAGES_OCTETS_MAX);
        assert_eq!(ask("/large").await.status().as_u16(), 200);
    }
}
