//! A command in a container: made, started over a connection that becomes a stream, and asked for its exit code.

use super::{HttpEngine, connection::decoded, details};
use crate::engine::{
    sandbox::{ContainerId, EngineError, LogFrame},
    unix_http::{Frames, HttpRequest},
};
use crate::text::percent;
use hyper::Method;
use serde_json::json;
use std::time::Duration;

/// The engine notes the end of a command a moment after its stream ended: the first pause, doubled up to the last one.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Runs it to its end, which the caller bounds: its exit code and the first `octets` of what it wrote. Whoever gives up leaves the
/// command running, since the API has no call that ends it.
pub(super) async fn run(
    engine: &HttpEngine,
    id: &ContainerId,
    command: &[String],
    octets: usize,
) -> Result<(i32, Vec<u8>), EngineError> {
    let path = format!("/containers/{}/exec", percent::encode(&id.0));
    let body = json!({"AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": command});
    let made = decoded(&engine.call(Method::POST, &path, Some(&body)).await?)?;
    let path = format!("/exec/{}", percent::encode(&details::created_id(&made)?.0));
    let request = HttpRequest {
        upgrade: true,
        ..HttpRequest::new(Method::POST, format!("{path}/start")).json(&json!({"Detach": false, "Tty": false}))
    };
    let mut stream = engine.open(request).await?.body;
    let mut frames = Frames::new(false);
    let mut written = Vec::new();
    while let Some(piece) = stream.piece().await? {
        for frame in frames.take(&piece)? {
            let (LogFrame::Output(text) | LogFrame::Error(text)) = frame;
            let room = octets.saturating_sub(written.len());
            written.extend(text.into_iter().take(room));
        }
    }
    drop(stream);
    let mut pause = PAUSE_MIN;
    loop {
        let found = decoded(&engine.call(Method::GET, &format!("{path}/json"), None).await?)?;
        let code = super::json::integer(&found, "/ExitCode").and_then(|code| i32::try_from(code).ok());
        if let Some(code) = code.filter(|_| !super::json::flag(&found, "/Running")) {
            return Ok((code, written));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
