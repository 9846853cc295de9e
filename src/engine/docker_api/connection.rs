//! Which engine listens, which version of the API is spoken with it, and one call.

use super::{HttpEngine, REPLY_OCTETS_MAX, json, refusal};
use crate::engine::{
    sandbox::{EngineError, EngineKind, INSTANCE_LABEL},
    unix_http::{HttpReply, HttpRequest},
};
use crate::text::percent;
use hyper::Method;
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
        let architecture = match json::text(reply, "/Arch") {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let architecture = crate::text::escape::visible(architecture);
        Ok(Spoken { kind, engine_version, version: newest.min(VERSION_MAX), architecture })
    }
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
        let reply = self.http.send(HttpRequest::new(Method::GET, "/version")).await?;
        let (status, body) = (reply.status, reply.body.whole(REPLY_OCTETS_MAX).await?);
        if status != 200 {
            return Err(refusal::read(status, &body));
        }
        let spoken = Arc::new(Spoken::read(&decoded(&body)?)?);
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
        let podman =
            json!({"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}, null, 3], "Arch": "aarch64"});
        let spoken = Spoken::read(&podman).unwrap();
        assert_eq!((spoken.kind, spoken.architecture.as_str()), (EngineKind::Podman, "arm64"));
    }
}
