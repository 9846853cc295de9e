//! What a refusal means: the status tells little, and each engine says it in its own words.

#[cfg(test)]
mod tests;

use super::json;
use crate::{engine::sandbox::EngineError, text::escape};
use serde_json::Value;

/// Characters of a message that are kept.
const MESSAGE_CHARACTERS_MAX: usize = 2000;

/// The error of a reply with a status of 400 and more.
pub(super) fn read(status: u16, body: &[u8]) -> EngineError {
    let reply: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = json::text(&reply, "/message");
    if said.is_empty() {
        // What serves something else on the socket, or a proxy before it: says nothing of containers.
        let text = String::from_utf8_lossy(body);
        let text = if reply.is_null() { text.trim() } else { "" };
        return from_words(status, text, false);
    }
    from_words(status, said, true)
}

/// The error of words that came in a stream.
pub(super) fn from_stream(said: &str) -> EngineError {
    from_words(500, said, false)
}

fn from_words(status: u16, said: &str, is_engine: bool) -> EngineError {
    let mut message: String = escape::visible(said).chars().take(MESSAGE_CHARACTERS_MAX).collect();
    if message.is_empty() {
        message = format!("status {status} without a message");
    }
    let words = said.to_ascii_lowercase();
    let has = |several: &[&str]| several.iter().any(|some| words.contains(some));
    // Of everything that is not found, it is only a container, image or network when the engine says so: an unknown path is
    // none of them.
    let names_object = is_engine && !has(&["page not found"]) && words.trim() != "not found";
    match status {
        401 => EngineError::Denied(message),
        400 if has(&["client version"]) && has(&["too new", "too old"]) => EngineError::Version(message),
        404 if names_object => EngineError::NotFound(message),
        _ if has(&["port is already allocated", "bind: address already in use", "ports are not available"]) => {
            EngineError::PortTaken(message)
        }
        _ if words == "address already in use" || has(&["already allocated to container", "requested ip address"]) => {
            EngineError::AddressTaken(message)
        }
        _ if has(&["pool overlaps", "is already used on the host", "overlaps with other one"]) => {
            EngineError::SubnetTaken(message)
        }
        409 => EngineError::Conflict(message),
        _ if has(&[
            "is already in use by",
            "name is already in use",
            "network already exists",
            "already exists",
            "has active endpoints",
            "is being used",
            "has dependent containers",
            "container state improper",
            "already in progress",
        ]) =>
        {
            EngineError::Conflict(message)
        }
        _ if is_engine
            && has(&[
                "no such container",
                "no such image",
                "no such network",
                "network not found",
                "image not known",
            ]) =>
        {
            EngineError::NotFound(message)
        }
        status => EngineError::Refused { status, message },
    }
}
