//! The Docker Engine API over a Unix socket, as Docker and Podman speak it.
//!
//! ```text
//! connection   which engine, which version of the API; one call
//! refusal      a status and a message ─→ EngineError
//! create       specs ─→ JSON          (the dialects differ here)
//! network      a network ─→ JSON, and back
//! details      JSON ─→ what is known
//! exec, log, pull, watch               replies that are streams
//! ```
//!
//! Replies are read tolerantly: what is not there, or is of another type than expected, is as if it were empty. Only what
//! something else stands on (an id, a list that must be complete) is an error.

mod connection;
mod create;
mod details;
mod exec;
mod json;
mod log;
mod network;
mod pull;
mod refusal;
#[cfg(test)]
mod tests;
mod watch;

use super::{
    sandbox::{
        ContainerDetails, ContainerId, ContainerSpec, ContainerSummary, Engine, EngineError, EngineEvent, EngineInfo,
        EngineKind, EngineVersion, ImageDetails, LogFrame, NetworkSpec, SandboxSpec,
    },
    sandbox_image::sandbox_image,
    unix_http::{HttpRequest, UnixHttp, within},
};
use crate::text::percent;
use connection::{Spoken, decoded};
use hyper::Method;
use jiff::Timestamp;
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

/// How long an engine may take to look something up.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to change something: under load a start takes seconds.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Octets of the longest reply: some 10 000 containers in a list.
const REPLY_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// An engine behind a Unix socket. Which one it is, and which version of the API it speaks, is asked with the first call, and
/// again after the connection was lost.
#[derive(Debug)]
pub struct HttpEngine {
    http: UnixHttp,
    spoken: Mutex<Option<Arc<Spoken>>>,
    look_timeout: Duration,
    change_timeout: Duration,
}

impl HttpEngine {
    /// The engine behind the socket of this path; nothing is connected yet.
    pub fn new(socket: &Path) -> HttpEngine {
        HttpEngine {
            http: UnixHttp::new(socket),
            spoken: Mutex::new(None),
            look_timeout: LOOK_TIMEOUT,
            change_timeout: CHANGE_TIMEOUT,
        }
    }

    async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Vec<u8>, EngineError> {
        within(self.change_timeout, self.call(method, path, body)).await
    }

    async fn look(&self, path: &str) -> Result<serde_json::Value, EngineError> {
        within(self.look_timeout, async { decoded(&self.call(Method::GET, path, None).await?) }).await
    }

    /// Creates a container of this name; its id.
    async fn create(&self, name: &str, body: &serde_json::Value) -> Result<ContainerId, EngineError> {
        let path = format!("/containers/create?name={}", percent::encode(name));
        let reply = decoded(&self.change(Method::POST, &path, Some(body)).await?)?;
        details::created_id(&reply)
    }

    /// A path below a container, by which each dialect carries out what the other has no words for.
    async fn container_path(&self, id: &ContainerId) -> Result<(EngineKind, String), EngineError> {
        let spoken = within(self.look_timeout, self.spoken()).await?;
        Ok((spoken.kind, format!("/containers/{}", percent::encode(&id.0))))
    }
}

impl Engine for HttpEngine {
    async fn version(&self) -> Result<EngineVersion, EngineError> {
        let spoken = within(self.look_timeout, self.spoken_anew()).await?;
        Ok(EngineVersion { kind: spoken.kind, version: spoken.engine_version.clone() })
    }

    async fn info(&self) -> Result<EngineInfo, EngineError> {
        let spoken = within(self.look_timeout, self.spoken_anew()).await?;
        Ok(details::info(&spoken, &self.look("/info").await?))
    }

    async fn ensure_network(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        let path = format!("/networks/{}", percent::encode(&spec.name));
        for is_last in [false, true] {
            match self.look(&path).await {
                Ok(found) => return network::compare(spec, &found),
                Err(EngineError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
            let kind = within(self.look_timeout, self.spoken()).await?.kind;
            let (path, body) = network::creation(spec, kind);
            match self.change(Method::POST, path, Some(&body)).await {
                // Somebody made it meanwhile: it is looked at.
                Err(EngineError::Conflict(_)) if !is_last => {}
                result => return result.map(drop),
            }
        }
        Ok(())
    }

    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        let path = format!("/networks/{}", percent::encode(name));
        gone(self.change(Method::DELETE, &path, None).await)
    }

    async fn ensure_sandbox_image(&self) -> Result<(), EngineError> {
        let image = self.sandbox_image().await?;
        if self.image(&image.reference).await?.is_some() {
            return Ok(());
        }
        let request = HttpRequest {
            body: Some(("application/x-tar", image.archive.into())),
            ..HttpRequest::new(Method::POST, "/images/load?quiet=1")
        };
        // Errors come in the stream.
        within(self.change_timeout, async { pull::read_to_end(self.open(request).await?).await }).await?;
        match self.image(&image.reference).await? {
            Some(_) => Ok(()),
            None => Err(EngineError::Malformed(format!("{} was loaded, and is not there", image.reference))),
        }
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageDetails>, EngineError> {
        let path = format!("/images/{}/json", pull::encoded(reference));
        match self.look(&path).await {
            Ok(found) => details::image(&found).map(Some),
            Err(EngineError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn pull(&self, reference: &str, auth: Option<&str>) -> Result<ImageDetails, EngineError> {
        within(pull::PULL_TIMEOUT, async {
            pull::read_to_end(self.open(pull::request(reference, auth)?).await?).await
        })
        .await?;
        let found = self.image(reference).await?;
        found.ok_or_else(|| EngineError::NotFound(format!("{reference}: was pulled, and is not there")))
    }

    async fn create_sandbox(&self, spec: &SandboxSpec) -> Result<ContainerId, EngineError> {
        let image = self.sandbox_image().await?;
        let kind = within(self.look_timeout, self.spoken()).await?.kind;
        self.create(&spec.name, &create::sandbox(spec, &image.reference, kind)).await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let kind = within(self.look_timeout, self.spoken()).await?.kind;
        self.create(&spec.name, &create::container(spec, kind)?).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        let (_, path) = self.container_path(id).await?;
        self.change(Method::POST, &format!("{path}/start"), None).await.map(drop)
    }

    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError> {
        let (kind, path) = self.container_path(id).await?;
        let path = format!("{path}/kill?signal={}", percent::encode(signal));
        let path = match kind {
            EngineKind::Docker => path,
            // Its Docker API looks every 250 ms whether the container ended.
            EngineKind::Podman => format!("{}{path}", connection::LIBPOD),
        };
        self.change(Method::POST, &path, None).await.map(drop)
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let (kind, path) = self.container_path(id).await?;
        let path = match kind {
            EngineKind::Docker => format!("{path}?force=true&v=true"),
            // Its Docker API sends TERM and waits for ten seconds; a sandbox is removed only together with what joined it.
            EngineKind::Podman => {
                format!("{}{path}?force=true&volumes=true&v=true&depend=true&timeout=0", connection::LIBPOD)
            }
        };
        gone(self.change(Method::DELETE, &path, None).await)
    }

    async fn list(&self, instance: &str) -> Result<Vec<ContainerSummary>, EngineError> {
        let path = format!("/containers/json?all=true&filters={}", connection::label_filter(instance));
        details::list(&self.look(&path).await?, instance)
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerDetails>, EngineError> {
        let (_, path) = self.container_path(id).await?;
        match self.look(&format!("{path}/json")).await {
            Ok(found) => details::container(&found).map(Some),
            Err(EngineError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        timeout: Duration,
        octets: usize,
    ) -> Result<(i32, Vec<u8>), EngineError> {
        within(timeout, exec::run(self, id, command, octets)).await
    }

    async fn log_tail(&self, id: &ContainerId, lines: usize, octets: usize) -> Result<Vec<LogFrame>, EngineError> {
        within(self.look_timeout, log::tail(self, id, lines, octets)).await
    }

    async fn watch(
        &self,
        instance: &str,
        since: Option<Timestamp>,
        hints: tokio::sync::mpsc::Sender<EngineEvent>,
    ) -> Result<(), EngineError> {
        watch::pass_on(self, instance, since, &hints).await
    }
}

impl HttpEngine {
    async fn sandbox_image(&self) -> Result<super::sandbox_image::SandboxImage, EngineError> {
        let spoken = within(self.look_timeout, self.spoken()).await?;
        sandbox_image(&spoken.architecture).ok_or_else(|| EngineError::Refused {
            status: 0,
            message: format!("no sandbox image for the architecture {:?}: only amd64 and arm64", spoken.architecture),
        })
    }
}

/// What does not exist is removed already.
fn gone(result: Result<Vec<u8>, EngineError>) -> Result<(), EngineError> {
    match result {
        Ok(_) | Err(EngineError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
