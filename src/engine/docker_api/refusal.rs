//! What a refusal means: the status tells little, and each engine says it in its own words.

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
        _ if is_engine && has(&["no such container", "no such image", "no such network", "image not known"]) => {
            EngineError::NotFound(message)
        }
        status => EngineError::Refused { status, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(error: &EngineError) -> &'static str {
        match error {
            EngineError::Denied(_) => "denied",
            EngineError::Version(_) => "version",
            EngineError::NotFound(_) => "not found",
            EngineError::Conflict(_) => "conflict",
            EngineError::AddressTaken(_) => "address taken",
            EngineError::SubnetTaken(_) => "subnet taken",
            EngineError::PortTaken(_) => "port taken",
            EngineError::Refused { .. } => "refused",
            _ => "another",
        }
    }

    /// Replies of Docker 20.10 and Podman 4.3 as they came, and some of newer ones.
    #[test]
    fn words() {
        let rows: &[(u16, &str, &str, &str)] = &[
            (404, r#"{"message":"No such container: x"}"#, "not found", "No such container: x"),
            (
                404,
                r#"{"cause":"no such container","message":"no container with name or ID \"x\" found: no such container","response":404}"#,
                "not found",
                "no container with name or ID \"x\" found: no such container",
            ),
            (404, r#"{"message":"No such image: x:latest"}"#, "not found", "No such image: x:latest"),
            (404, r#"{"message":"network x not found"}"#, "not found", "network x not found"),
            (404, r#"{"message":"page not found"}"#, "refused", "page not found"),
            (404, "Not Found\n", "refused", "Not Found"),
            (404, "404 page not found\n", "refused", "404 page not found"),
            (404, "", "refused", "status 404 without a message"),
            (500, r#"{"unexpected":true}"#, "refused", "status 500 without a message"),
            (500, r#"{"message":{"deep":1}}"#, "refused", "status 500 without a message"),
            (
                400,
                r#"{"message":"client version 1.56 is too new. Maximum supported API version is 1.41"}"#,
                "version",
                "client version 1.56 is too new. Maximum supported API version is 1.41",
            ),
            (
                400,
                r#"{"message":"client version 1.41 is too old. Minimum supported API version is 1.44"}"#,
                "version",
                "client version 1.41 is too old. Minimum supported API version is 1.44",
            ),
            (401, r#"{"message":"who are you"}"#, "denied", "who are you"),
            (403, r#"{"message":"Address already in use"}"#, "address taken", "Address already in use"),
            (
                500,
                r#"{"message":"IPAM error: requested ip address 10.9.0.2 is already allocated to container ID 1234"}"#,
                "address taken",
                "IPAM error: requested ip address 10.9.0.2 is already allocated to container ID 1234",
            ),
            (
                403,
                r#"{"message":"Pool overlaps with other one on this address space"}"#,
                "subnet taken",
                "Pool overlaps with other one on this address space",
            ),
            (
                500,
                r#"{"message":"subnet 10.9.0.0/24 is already used on the host or by another config"}"#,
                "subnet taken",
                "subnet 10.9.0.0/24 is already used on the host or by another config",
            ),
            (
                500,
                r#"{"message":"endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated"}"#,
                "port taken",
                "endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated",
            ),
            (
                500,
                r#"{"message":"cannot listen on the TCP port: listen tcp4 :80: bind: address already in use"}"#,
                "port taken",
                "cannot listen on the TCP port: listen tcp4 :80: bind: address already in use",
            ),
            (
                409,
                r#"{"message":"Conflict. The container name \"/x\" is already in use by container \"1\"."}"#,
                "conflict",
                "Conflict. The container name \"/x\" is already in use by container \"1\".",
            ),
            (
                500,
                r#"{"message":"creating container storage: the container name \"x\" is already in use by 1: that name is already in use"}"#,
                "conflict",
                "creating container storage: the container name \"x\" is already in use by 1: that name is already in use",
            ),
            (
                403,
                r#"{"message":"error while removing network: network x id 1 has active endpoints"}"#,
                "conflict",
                "error while removing network: network x id 1 has active endpoints",
            ),
            (500, r#"{"message":"\u001b[31mred\nline"}"#, "refused", "\\u{1b}[31mred\\nline"),
        ];
        for (status, body, expected, message) in rows {
            let error = read(*status, body.as_bytes());
            assert_eq!((kind(&error), error.to_string().as_str()), (*expected, *message), "{status} {body}");
        }
        let long = read(500, "x".repeat(100_000).as_bytes()).to_string();
        assert_eq!(long.len(), MESSAGE_CHARACTERS_MAX);
    }
}
