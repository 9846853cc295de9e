//! Pulling and loading images: whether it succeeded stands in a stream of JSON that has to be read to its end, since its head
//! says 200 before anything was done.

use super::{json, refusal};
use crate::{
    engine::{
        sandbox::EngineError,
        unix_http::{HttpReply, HttpRequest, within},
    },
    text::percent,
};
use hyper::{Method, header::HeaderName, http::HeaderValue};
use serde_json::{Deserializer, Value};
use std::time::Duration;

/// How long a pull may take in all.
pub(super) const PULL_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
/// How long it may say nothing: a large layer is unpacked without a word.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Octets of the longest line.
const LINE_OCTETS_MAX: usize = 1024 * 1024;

/// The tag of a reference that has none.
const DEFAULT_TAG: &str = "latest";

/// A reference as a part of a path, in which it keeps its slashes.
pub(super) fn encoded(reference: &str) -> String {
    reference.split('/').map(percent::encode).collect::<Vec<_>>().join("/")
}

/// The request that pulls; `auth` as in a Docker configuration file.
pub(super) fn request(reference: &str, auth: Option<&str>) -> Result<HttpRequest, EngineError> {
    let (name, tag) = split(reference);
    // Without a tag, Docker would pull all there are.
    let path = format!("/images/create?fromImage={}&tag={}", percent::encode(name), percent::encode(tag));
    let mut request = HttpRequest::new(Method::POST, path);
    if let Some(auth) = auth {
        request.headers.push((HeaderName::from_static("x-registry-auth"), credentials(auth)?));
    }
    Ok(request)
}

/// Name, and tag or digest.
fn split(reference: &str) -> (&str, &str) {
    let (reference, digest) = match reference.split_once('@') {
        Some((reference, digest)) => (reference, Some(digest)),
        None => (reference, None),
    };
    // A colon before the last slash is that of a port.
    let (name, tag) = match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, DEFAULT_TAG),
    };
    (name, digest.unwrap_or(tag))
}

/// The part of a configuration file as the header `X-Registry-Auth` has it: `auth` (base64 of `USER:PASSWORD`) is taken apart.
fn credentials(auth: &str) -> Result<HeaderValue, EngineError> {
    // None of these errors shows the credentials.
    let unusable = |what: &str| EngineError::Denied(format!("the credentials for the registry {what}"));
    let mut auth: Value = serde_json::from_str(auth).map_err(|_| unusable("are not JSON"))?;
    let Some(fields) = auth.as_object_mut() else { return Err(unusable("are no object of JSON")) };
    if let Some(pair) = fields.remove("auth").as_ref().and_then(Value::as_str).filter(|pair| !pair.is_empty()) {
        let octets = data_encoding::BASE64.decode(pair.trim().as_bytes()).map_err(|_| unusable("are not base64"))?;
        let pair = String::from_utf8(octets).map_err(|_| unusable("are not UTF-8"))?;
        let (user, password) = pair.split_once(':').ok_or_else(|| unusable("have no colon"))?;
        fields.insert("username".to_owned(), user.into());
        fields.insert("password".to_owned(), password.trim_end_matches('\0').into());
    }
    let encoded = data_encoding::BASE64URL.encode(auth.to_string().as_bytes());
    let mut value = HeaderValue::from_str(&encoded).map_err(|_| unusable("do not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads what an engine says while it pulls or loads.
///
/// # Errors
///
/// The first error in the stream; [`EngineError::Malformed`] for what is not JSON.
pub(super) async fn read_to_end(reply: HttpReply) -> Result<(), EngineError> {
    let mut lines = reply.body.lines(LINE_OCTETS_MAX);
    let mut failed = None;
    while let Some(line) = within(PROGRESS_TIMEOUT, lines.next()).await? {
        for said in Deserializer::from_slice(&line).into_iter::<Value>() {
            let said =
                said.map_err(|error| EngineError::Malformed(format!("the engine's progress is not JSON: {error}")))?;
            failed = failed.or_else(|| failure(&said));
        }
    }
    failed.map_or(Ok(()), Err)
}

fn failure(said: &Value) -> Option<EngineError> {
    let words = [json::text(said, "/errorDetail/message"), json::text(said, "/error")];
    words.into_iter().find(|words| !words.is_empty()).map(refusal::from_stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn auth(user: &str, password: &str) -> String {
        json!({"auth": data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes())}).to_string()
    }

    #[test]
    fn references() {
        let rows = [
            ("nginx", "nginx", "latest"),
            ("nginx:1.29", "nginx", "1.29"),
            ("localhost:5000/a/b", "localhost:5000/a/b", "latest"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b", "c"),
            ("nginx@sha256:12", "nginx", "sha256:12"),
            ("nginx:1.29@sha256:12", "nginx", "sha256:12"),
            ("", "", "latest"),
        ];
        for (reference, name, tag) in rows {
            assert_eq!(split(reference), (name, tag), "{reference}");
        }
        let path = request("a b/c&fromImage=d:1", None).unwrap().path;
        assert_eq!(path, "/images/create?fromImage=a%20b%2Fc%26fromImage%3Dd&tag=1");
        assert_eq!(encoded("a/b?c:d"), "a/b%3Fc%3Ad");
    }

    #[test]
    fn credentials_in_their_forms() {
        let decoded = |header: HeaderValue| {
            String::from_utf8(data_encoding::BASE64URL.decode(header.as_bytes()).unwrap()).unwrap()
        };
        let rows = [
            (auth("me", "a:b"), Ok(r#"{"username":"me","password":"a:b"}"#)),
            (r#"{"username":"me","password":"x"}"#.to_owned(), Ok(r#"{"username":"me","password":"x"}"#)),
            (r#"{"identitytoken":"t"}"#.to_owned(), Ok(r#"{"identitytoken":"t"}"#)),
            (r#"{"auth":"%%"}"#.to_owned(), Err("are not base64")),
            (r#"{"auth":"bWU="}"#.to_owned(), Err("have no colon")),
            ("secret".to_owned(), Err("are not JSON")),
            ("[]".to_owned(), Err("are no object of JSON")),
        ];
        for (auth, expected) in rows {
            let found = credentials(&auth).map(decoded).map_err(|error| error.to_string());
            let expected =
                expected.map(str::to_owned).map_err(|what| format!("the credentials for the registry {what}"));
            assert_eq!(found, expected, "{auth}");
        }
        assert_eq!(format!("{:?}", credentials(&auth("me", "secret")).unwrap()), "Sensitive");
    }
}
