//! TLS (RFC 8446, RFC 5246) below DNS over TLS, HTTPS, QUIC and HTTP/3: one certificate, and what is agreed on with ALPN.

#[cfg(test)]
mod tests;

use super::ServeContext;
use crate::dns::answer::Transport;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    server::ResolvesServerCert,
    version::{TLS12, TLS13},
};
use std::{io, sync::Arc};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What of replies may wait encrypted for one client, in octets; one part of a reply more (16 KiB) is begun.
const UNSENT_OCTETS_MAX: usize = 16 << 10;

/// How connections of an encrypted transport shake hands.
pub(super) fn config(transport: Transport, certificate: &Arc<dyn ResolvesServerCert>) -> io::Result<Arc<ServerConfig>> {
    // QUIC begins with TLS 1.3 (RFC 9001 §4.2).
    let versions: &[_] = if transport.is_over_udp() { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(certificate));
    config.alpn_protocols = transport.alpn().iter().map(|name| name.to_vec()).collect();
    // What comes before the handshake is done can be sent again by anybody (RFC 9250 §4.5); so it is not taken.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The handshake of a new connection, as long as the client takes no longer than it may.
pub(super) async fn accept<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    acceptor: &TlsAcceptor,
    stream: S,
    shared: &ServeContext,
) -> io::Result<TlsStream<S>> {
    let mut stream = timeout(shared.limits.tls_handshake, acceptor.accept(stream)).await??;
    stream.get_mut().1.set_buffer_limit(Some(UNSENT_OCTETS_MAX));
    Ok(stream)
}
