//! Why a name gets its answer, as JSON: what `headless-dns explain` asks for.

use super::{ObservedServer, text};
use crate::{control::explain::ExplainQuestion, text::escape::visible_json};
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::sync::Arc;

/// Explanations at one time; the control loop gives each between two of its turns, and has other things to do.
pub(super) const CONCURRENT_EXPLANATIONS_MAX: usize = 4;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainParameters {
    name: String,
    #[serde(rename = "type")]
    record_type: Option<String>,
    namespace: Option<String>,
}

pub(super) async fn explain(
    State(observed): State<Arc<ObservedServer>>,
    asked: Result<Query<ExplainParameters>, QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(rejection) => return text(StatusCode::BAD_REQUEST, rejection.body_text()),
    };
    let namespace = asked.namespace.as_deref().unwrap_or("default");
    let question = match ExplainQuestion::new(&asked.name, asked.record_type.as_deref(), namespace) {
        Ok(question) => question,
        Err(error) => return text(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let Ok(_place) = observed.explaining.try_acquire() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many ask for explanations already; ask again later");
    };
    let control = observed.control.clone();
    // The loop may be busy with a turn, and this thread has others to serve meanwhile.
    match tokio::task::spawn_blocking(move || control.explain(question)).await {
        Ok(Ok(Ok(explanation))) => {
            // As curl shows it.
            let json = visible_json(&serde_json::to_string(&explanation).unwrap_or_default());
            ([(header::CONTENT_TYPE, "application/json")], json).into_response()
        }
        Ok(Ok(Err(error))) => text(StatusCode::BAD_REQUEST, error.to_string()),
        Ok(Err(_)) | Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the server is ending"),
    }
}
