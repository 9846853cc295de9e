//! Bodies of requests: read within limits, and decoded by what they say they are.

use super::{
    budget::Share,
    cost::{BODY_OCTETS_MAX, Cost, VALUES_MAX},
    openapi::strict,
    protobuf::{self, DecodeError},
    status::StatusFailure,
};
use crate::text::yaml;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use std::{path::Path, time::Duration};
use tokio::time::timeout;

/// The media type of what kubectl sends where it creates by a command, and not from a file.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The media type of a body, without its parameters; empty where nothing is said.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads a body, of which something has to come every `slow`, and all of it in [`BODY_TIMEOUT`]. What it takes is taken from
/// the budget as it comes.
pub async fn read(body: Body, slow: Duration, share: &mut Share) -> Result<Bytes, StatusFailure> {
    let late = |_| StatusFailure::bad_request("the request's body did not come in time");
    let mut body = Limited::new(body, BODY_OCTETS_MAX);
    let all = async {
        let mut octets = Vec::new();
        while let Some(frame) = timeout(slow, body.frame()).await.map_err(late)? {
            let frame = frame.map_err(|error| {
                // Either it is too long or the client broke off, to whom nothing can be said.
                tracing::debug!(%error, "a request's body was not read");
                StatusFailure::too_large(BODY_OCTETS_MAX)
            })?;
            if let Ok(data) = frame.into_data() {
                // The list that holds them may be twice as large.
                share.grow(2 * data.len())?;
                octets.extend_from_slice(&data);
            }
        }
        Ok(Bytes::from(octets))
    };
    timeout(BODY_TIMEOUT, all).await.map_err(late)?
}

/// A whole object as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SentObject {
    /// The object.
    pub json: Value,
    /// Fields that occur twice in the text.
    pub duplicates: Vec<String>,
}

/// A whole object; what it takes is taken from the budget before it is decoded.
pub fn object(media_type: &str, octets: &[u8], share: &mut Share) -> Result<SentObject, StatusFailure> {
    let json = match media_type {
        "" | "application/json" | "*/*" => json(octets, share)?,
        "application/yaml" => yaml(octets, share)?,
        PROTOBUF => protobuf::decode(octets).map_err(|error| match error {
            DecodeError::Unsupported(_) => StatusFailure::unsupported(error.to_string()),
            DecodeError::Malformed(_) => StatusFailure::bad_request(error.to_string()),
            DecodeError::TooMany(most, what) => StatusFailure::too_complex(most, what),
        })?,
        other => {
            return Err(StatusFailure::unsupported(format!(
                "the body of the request was in an unknown format - accepted media types include: application/json, \
                 application/yaml ({other} is not among them)"
            )));
        }
    };
    let json = whole(json)?;
    share.grow_to(Cost::of_value(&json).check()?.memory())?;
    // A YAML reader refuses them itself, and protobuf has no names.
    let is_json = !matches!(media_type, "application/yaml" | PROTOBUF);
    let duplicates = if is_json { strict::duplicate_fields(octets) } else { Vec::new() };
    Ok(SentObject { json, duplicates })
}

/// What is applied: an object, or a part of one.
pub fn applied(octets: &[u8], share: &mut Share) -> Result<Value, StatusFailure> {
    whole(yaml(octets, share)?)
}

fn whole(json: Value) -> Result<Value, StatusFailure> {
    if json.is_object() { Ok(json) } else { Err(StatusFailure::bad_request("the request's body is no object")) }
}

/// JSON, whatever it holds.
pub fn json(octets: &[u8], share: &mut Share) -> Result<Value, StatusFailure> {
    share.grow_to(Cost::of_json(octets).check()?.memory())?;
    serde_json::from_slice(octets).map_err(|error| StatusFailure::bad_request(format!("the body is no JSON: {error}")))
}

/// One YAML document, or JSON, which is YAML; whatever it holds.
fn yaml(octets: &[u8], share: &mut Share) -> Result<Value, StatusFailure> {
    share.grow_to(Cost::of_octets(octets.len()).memory())?;
    let text = std::str::from_utf8(octets).map_err(|_| StatusFailure::bad_request("the body is not UTF-8"))?;
    let (documents, diagnostics) =
        yaml::parse_values(yaml::SourceText { path: Path::new("body"), text }, 2 * VALUES_MAX);
    if let Some(error) = yaml::first_error(&diagnostics) {
        return Err(StatusFailure::bad_request(format!("the body is no YAML: {error}")));
    }
    match documents.as_slice() {
        [document] => {
            let json = document.to_json();
            share.grow_to(Cost::of_value(&json).check()?.memory())?;
            Ok(json)
        }
        _ => Err(StatusFailure::bad_request("the body is not one YAML document")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::api::budget::Budget;

    #[test]
    fn bodies() {
        let budget = Budget::new(1 << 30);
        let mut share = budget.take(0).unwrap();
        let rows: [(&str, &str, Result<&str, u16>); 11] = [
            ("", "{\"a\": 1}", Ok("{\"a\":1}")),
            ("application/json", "{\"a\": 1}", Ok("{\"a\":1}")),
            ("application/yaml", "a: 1\n", Ok("{\"a\":1}")),
            ("application/json", "[]", Err(400)),
            ("application/json", "{\"a\": ", Err(400)),
            ("application/yaml", "a: [", Err(400)),
            ("application/yaml", "a: 1\n---\nb: 2\n", Err(400)),
            ("application/vnd.kubernetes.protobuf", "{}", Err(400)),
            ("application/vnd.kubernetes.protobuf", "k8s\0", Err(415)),
            ("application/cbor", "{}", Err(415)),
            ("text/plain", "{}", Err(415)),
        ];
        for (media_type, text, expected) in rows {
            let found = object(media_type, text.as_bytes(), &mut share);
            assert_eq!(
                found.map(|sent| sent.json.to_string()).map_err(|r| r.code),
                expected.map(str::to_owned),
                "{text}"
            );
        }
        for (text, is_taken) in
            [("a: 1", true), ("{}", true), ("59", false), ("a", false), ("[]", false), ("true", false), ("~", false)]
        {
            assert_eq!(applied(text.as_bytes(), &mut share).map_err(|r| r.code).is_ok(), is_taken, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(json(deep.as_bytes(), &mut share).is_err() && yaml(deep.as_bytes(), &mut share).is_err());
    }
}
