//! One GET to one of our own servers, with a reply of bounded size.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use std::{io, net::SocketAddr};
use tokio::net::TcpStream;

/// Largest body that is read, in octets.
const BODY_OCTETS_MAX: usize = 4 << 20;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// Nobody listens there (yet).
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    /// The connection broke, or what came is no HTTP.
    #[error("{0}: {1}")]
    Http(SocketAddr, Box<dyn std::error::Error + Send + Sync>),
}

/// Asks for a path with its query; status and body of the reply.
pub async fn get(server: SocketAddr, path: &str) -> Result<(u16, Bytes), GetError> {
    let stream = TcpStream::connect(server).await.map_err(|error| GetError::Connect(server, error))?;
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| GetError::Http(server, error);
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.into()))?;
    let exchange = async {
        let request = Request::get(path).header(HOST, server.to_string()).body(Empty::<Bytes>::new())?;
        let reply = sender.send_request(request).await?;
        let status = reply.status().as_u16();
        Ok((status, Limited::new(reply.into_body(), BODY_OCTETS_MAX).collect().await?.to_bytes()))
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        outcome = &mut exchange => outcome.map_err(failed),
        // The connection's own end; what came before it is still to be read.
        _ = connection => exchange.await.map_err(failed),
    }
}
