//! Refusals in the words of both engines.

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
            r#"{"message":"client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"}"#,
            "version",
            "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version",
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
            r#"{"message":"driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated"}"#,
            "port taken",
            "driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated",
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
            r#"{"message":"container create: creating container storage: the container name \"x\" is already in use by 1. You have to remove that container to be able to reuse that name: that name is already in use"}"#,
            "conflict",
            "container create: creating container storage: the container name \"x\" is already in use by 1. You have to remove that container to be able to reuse that name: that name is already in use",
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
