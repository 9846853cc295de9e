//! What happens to an instance's containers, as hints to look.

use super::{HttpEngine, json};
use crate::{
    engine::{
        sandbox::{ContainerId, EngineError, EngineEvent, INSTANCE_LABEL},
        unix_http::HttpRequest,
    },
    text::percent,
};
use hyper::Method;
use jiff::Timestamp;
use serde_json::{Deserializer, Value, json};
use tokio::sync::mpsc::{Sender, error::TrySendError};

/// Octets of the longest line.
const LINE_OCTETS_MAX: usize = 1024 * 1024;

/// Passes hints on until the connection ends, or nobody takes them.
pub(super) async fn pass_on(
    engine: &HttpEngine,
    instance: &str,
    since: Option<Timestamp>,
    hints: &Sender<EngineEvent>,
) -> Result<(), EngineError> {
    let filter = json!({"type": ["container"], "label": [format!("{INSTANCE_LABEL}={instance}")]});
    let mut path = format!("/events?filters={}", percent::encode(&filter.to_string()));
    if let Some(since) = since {
        path.push_str(&format!("&since={}.{:09}", since.as_second(), since.subsec_nanosecond().max(0)));
    }
    let reply = engine.open(HttpRequest::new(Method::GET, path)).await?;
    let mut lines = reply.body.lines(LINE_OCTETS_MAX);
    while let Some(line) = lines.next().await? {
        for said in Deserializer::from_slice(&line).into_iter::<Value>() {
            let said =
                said.map_err(|error| EngineError::Malformed(format!("the engine's event is not JSON: {error}")))?;
            let Some(event) = event(&said) else { continue };
            if matches!(hints.try_send(event), Err(TrySendError::Closed(_))) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What happens when a container is made and started, which whoever does it is told of; and signals: if one ends it, that is
/// told, too. To look because of them would take the engine's time from the next start.
const TOLD_OTHERWISE: [&str; 6] = ["create", "init", "mount", "start", "kill", "unmount"];

/// The hint of an event; `None` for those that change nothing, of which probes make very many.
fn event(said: &Value) -> Option<EngineEvent> {
    let words = ["/Action", "/status"].map(|field| json::visible(said, field));
    let action = words.into_iter().find(|word| !word.is_empty())?;
    let id = ["/Actor/ID", "/id"].map(|field| json::text(said, field)).into_iter().find(|id| !id.is_empty())?;
    // `exec_create: sh -c …`, `exec_died`, `top`, `attach`.
    let changes_nothing = ["exec", "top", "attach", "resize"].iter().any(|word| action.starts_with(word));
    (!changes_nothing && !TOLD_OTHERWISE.contains(&action.as_str()))
        .then(|| EngineEvent { id: ContainerId(id.to_owned()), action })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events() {
        let rows = [
            (json!({"Action": "die", "Actor": {"ID": "a"}}), Some(("a", "die"))),
            (json!({"status": "oom", "id": "b"}), Some(("b", "oom"))),
            (json!({"status": "start", "id": "b"}), None),
            (json!({"Action": "kill", "Actor": {"ID": "a"}}), None),
            (json!({"Action": "hibernate", "Actor": {"ID": "a"}}), Some(("a", "hibernate"))),
            (json!({"Action": "exec_create: sh", "Actor": {"ID": "a"}}), None),
            (json!({"Action": "die"}), None),
            (json!({"Action": 5, "Actor": {"ID": "a"}}), None),
            (json!([]), None),
        ];
        for (said, expected) in rows {
            let found = event(&said);
            assert_eq!(found.as_ref().map(|event| (event.id.0.as_str(), event.action.as_str())), expected, "{said}");
        }
    }
}
