//! One request to its response without any connection, by the same way as those that come through one: for fuzz targets.

use super::{Api, ApiOptions, Handle, answer};
use axum::{
    body::Body,
    extract::{Request, State},
};
use http_body_util::BodyExt;
use std::{fmt, io, sync::Arc};
use tokio::{runtime::Runtime, sync::watch as signal};

/// An API without a socket.
pub struct InProcessApi {
    api: Arc<Api>,
    runtime: Runtime,
}

impl fmt::Debug for InProcessApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessApi").finish_non_exhaustive()
    }
}

impl InProcessApi {
    /// Carries out requests on the thread that asks. Connections and TLS in `options` count for nothing, and watches end
    /// once they have sent what there is.
    ///
    /// # Errors
    /// The system gives no event queue.
    pub fn new(handle: Handle, options: ApiOptions) -> io::Result<InProcessApi> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        // The server is about to end from the beginning.
        let (_, stopped) = signal::channel(true);
        let api = Arc::new(Api::new(handle, options, runtime.handle().clone(), stopped));
        Ok(InProcessApi { api, runtime })
    }

    /// The status of the response to a request (method and target, headers, body), and its body; `None` for what no HTTP
    /// server would have taken as a request.
    pub fn respond(
        &self,
        (method, target): (&[u8], &[u8]),
        headers: &[(&[u8], &[u8])],
        body: &[u8],
    ) -> Option<(u16, Vec<u8>)> {
        let head = Request::builder().method(method).uri(target);
        let head = headers.iter().fold(head, |head, (name, value)| head.header(*name, *value));
        let request = head.body(Body::from(body.to_vec())).ok()?;
        self.runtime.block_on(async {
            let response = answer(State(Arc::clone(&self.api)), request).await;
            let status = response.status().as_u16();
            // Lists and watches that were cut off end so.
            let body = response.into_body().collect().await.map(|body| body.to_bytes().to_vec());
            Some((status, body.unwrap_or_default()))
        })
    }

    /// What requests and replies take of the budget, in octets: nothing of what has been responded to.
    pub fn octets(&self) -> usize {
        self.api.budget.taken()
    }
}
