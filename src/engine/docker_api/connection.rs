//! Which engine listens, which version of the API is spoken with it, and one call.

use super::{HttpEngine, REPLY_OCTETS_MAX, json, refusal};
use crate::engine::{
    sandbox::{EngineError, EngineKind, INSTANCE_LABEL},
    unix_http::{HttpReply, HttpRequest},
};
use crate::text::{escape, percent};
use hyper::{
    Method,
    header::{HeaderMap, HeaderValue},
};
use serde_json::Value;
use std::{
    sync::{Arc, PoisonError},
    time::Instant,
};

/// The oldest API that is spoken: that of Docker 20.10 and Podman 4.
const VERSION_MIN: (u16, u16) = (1, 41);
/// The newest.
const VERSION_MAX: (u16, u16) = (1, 56);
/// Podman's own API, of all versions from 4.0 on.
pub(super) const LIBPOD: &str = "/v4.0.0/libpod";

/// What is spoken with an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spoken {
    /// Which it is.
    pub(super) kind: EngineKind,
    /// The engine's version.
    pub(super) engine_version: String,
    /// The version of the API.
    pub(super) version: (u16, u16),
    /// `amd64`, `arm64`, ….
    pub(super) architecture: String,
}

impl Spoken {
    /// Out of the head of Podman's reply to `GET /_ping`; `None` if it is another engine's, or an API that is not spoken.
    ///
    /// Podman has all packages of the machine searched for its parts' versions when it is asked for its own, which takes a
    /// quarter of a second. Its API is never newer than Docker's, and the machine is the one on which this program runs.
    fn of_podman(headers: &HeaderMap) -> Option<Spoken> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let engine_version = text("Server")?.strip_prefix("Libpod/")?.split(' ').next()?;
        let version = version(text("Api-Version")?)?;
        let is_spoken = (VERSION_MIN..=VERSION_MAX).contains(&version);
        is_spoken.then(|| Spoken {
            kind: EngineKind::Podman,
            engine_version: escape::visible(engine_version),
            version,
            architecture: architecture(std::env::consts::ARCH),
        })
    }

    /// Out of the reply to `GET /version`.
    fn read(reply: &Value) -> Result<Spoken, EngineError> {
        let newest = version(json::text(reply, "/ApiVersion")).ok_or_else(|| {
            EngineError::Malformed(
                "what listens on the socket is no container engine: it tells no version of its API".to_owned(),
            )
        })?;
        let oldest = version(json::text(reply, "/MinAPIVersion")).unwrap_or(VERSION_MIN);
        let engine_version = json::visible(reply, "/Version");
        let is_podman =
            json::array(reply, "/Components").iter().any(|part| json::text(part, "/Name").starts_with("Podman"));
        let kind = if is_podman { EngineKind::Podman } else { EngineKind::Docker };
        if newest < VERSION_MIN || oldest > VERSION_MAX {
            let ((from, from_minor), (to, to_minor)) =
                if newest < VERSION_MIN { (oldest.min(newest), newest) } else { (oldest, newest) };
            return Err(EngineError::Version(format!(
                "{kind:?} {engine_version} speaks API {from}.{from_minor} to {to}.{to_minor}, and this program {}.{} to {}.{}: update {}",
                VERSION_MIN.0,
                VERSION_MIN.1,
                VERSION_MAX.0,
                VERSION_MAX.1,
                if newest < VERSION_MIN { "the engine" } else { "this program" },
            )));
        }
        let architecture = architecture(json::text(reply, "/Arch"));
        Ok(Spoken { kind, engine_version, version: newest.min(VERSION_MAX), architecture })
    }
}

/// As images name it.
fn architecture(name: &str) -> String {
    escape::visible(match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    })
}

/// `1.41`; a third part is ignored.
fn version(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

impl HttpEngine {
    /// What is spoken, asked if it is not known.
    pub(super) async fn spoken(&self) -> Result<Arc<Spoken>, EngineError> {
        let known = self.spoken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(spoken) => Ok(spoken),
            None => self.spoken_anew().await,
        }
    }

    /// What is spoken, asked now.
    pub(super) async fn spoken_anew(&self) -> Result<Arc<Spoken>, EngineError> {
        let greeting = self.http.send(HttpRequest::new(Method::GET, "/_ping")).await?;
        let spoken = match Spoken::of_podman(&greeting.headers) {
            Some(spoken) if greeting.status == 200 => spoken,
            _ => {
                let reply = self.http.send(HttpRequest::new(Method::GET, "/version")).await?;
                let (status, body) = (reply.status, reply.body.whole(REPLY_OCTETS_MAX).await?);
                if status != 200 {
                    return Err(refusal::read(status, &body));
                }
                Spoken::read(&decoded(&body)?)?
            }
        };
        let spoken = Arc::new(spoken);
        *self.spoken.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&spoken));
        Ok(spoken)
    }

    fn forget_spoken(&self) {
        *self.spoken.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Sends a request whose path is one of the API without its version; the reply, if it is not a refusal.
    pub(super) async fn open(&self, mut request: HttpRequest) -> Result<HttpReply, EngineError> {
        let (major, minor) = self.spoken().await?.version;
        if !request.path.starts_with(LIBPOD) {
            request.path = format!("/v{major}.{minor}{}", request.path);
        }
        let (begun, method, path) = (Instant::now(), request.method.clone(), request.path.clone());
        let result = async {
            let reply = self.http.send(request).await?;
            tracing::debug!(%method, path, status = reply.status, took = ?begun.elapsed(), "the engine was asked");
            match reply.status {
                101 | 200..=299 | 304 => Ok(reply),
                status => Err(refusal::read(status, &reply.body.whole(REPLY_OCTETS_MAX).await?)),
            }
        }
        .await;
        // Another engine, or another version of it, may be there next time.
        if matches!(result, Err(EngineError::Unreachable(_) | EngineError::Version(_) | EngineError::Denied(_))) {
            self.forget_spoken();
        }
        result
    }

    /// One call: the whole reply.
    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, EngineError> {
        let request = HttpRequest::new(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.open(request).await?.body.whole(REPLY_OCTETS_MAX).await
    }
}

/// A reply as JSON.
pub(super) fn decoded(octets: &[u8]) -> Result<Value, EngineError> {
    serde_json::from_slice(octets)
        .map_err(|error| EngineError::Malformed(format!("the engine's reply is not JSON: {error}")))
}

/// The filter by the label of an instance, encoded for a query.
pub(super) fn label_filter(instance: &str) -> String {
    percent::encode(&serde_json::json!({"label": [format!("{INSTANCE_LABEL}={instance}")]}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions() {
        let docker =
            |api: &str, min: &str| json!({"ApiVersion": api, "MinAPIVersion": min, "Version": "29.1", "Arch": "amd64"});
        let rows = [
            (docker("1.41", "1.12"), Ok((1, 41))),
            (docker("1.52", "1.44"), Ok((1, 52))),
            (docker("1.99", "1.40"), Ok((1, 56))),
            (docker("1.41.1", ""), Ok((1, 41))),
            (
                docker("1.40", "1.12"),
                Err("Docker 29.1 speaks API 1.12 to 1.40, and this program 1.41 to 1.56: update the engine"),
            ),
            (
                docker("1.40", "1.99"),
                Err("Docker 29.1 speaks API 1.40 to 1.40, and this program 1.41 to 1.56: update the engine"),
            ),
            (
                docker("2.3", "1.60"),
                Err("Docker 29.1 speaks API 1.60 to 2.3, and this program 1.41 to 1.56: update this program"),
            ),
            (
                docker("", "1.12"),
                Err("what listens on the socket is no container engine: it tells no version of its API"),
            ),
            (json!([]), Err("what listens on the socket is no container engine: it tells no version of its API")),
            (
                json!({"ApiVersion": 1.41}),
                Err("what listens on the socket is no container engine: it tells no version of its API"),
            ),
        ];
        for (reply, expected) in rows {
            let found = Spoken::read(&reply).map(|spoken| spoken.version).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{reply}");
        }
        let rows = [
            (Some("Libpod/4.3.1 (linux)"), Some("1.41"), Some(("4.3.1", (1, 41)))),
            (Some("Libpod/4.3.1"), Some("1.40"), None),
            (Some("Libpod/9.0.0 (linux)"), Some("2.0"), None),
            (Some("Libpod/4.3.1 (linux)"), Some("junk"), None),
            (Some("Libpod/4.3.1 (linux)"), None, None),
            (Some("Docker/20.10.24 (linux)"), Some("1.41"), None),
            (None, Some("1.41"), None),
        ];
        for (server, api, expected) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in [("server", server), ("api-version", api)] {
                value.map(|value| headers.insert(name, HeaderValue::from_static(value)));
            }
            let spoken = Spoken::of_podman(&headers);
            let found = spoken.as_ref().map(|spoken| (spoken.engine_version.as_str(), spoken.version));
            assert_eq!(found, expected, "{server:?} {api:?}");
        }
        let podman =
            json!({"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}, null, 3], "Arch": "aarch64"});
        let spoken = Spoken::read(&podman).unwrap();
        assert_eq!((spoken.kind, spoken.architecture.as_str()), (EngineKind::Podman, "arm64"));
    }
}
