//! TLS (RFC 8446, RFC 5246) below DNS over TLS, HTTPS, QUIC and HTTP/3: one certificate, and what is agreed on with ALPN.

#[cfg(test)]
mod tests;

use super::ServeContext;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    server::ResolvesServerCert,
    version::{TLS12, TLS13},
};
use std::{io, sync::Arc};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// ALPN of DNS over TLS (RFC 7858 §3.1, RFC 9103 §7.1); a client may do without.
const DOT: &[&[u8]] = &[b"dot"];
/// ALPN of DNS over HTTPS, the better one first.
const DOH: &[&[u8]] = &[b"h2", b"http/1.1"];
/// ALPN of DNS over QUIC (RFC 9250 §4.1.1); QUIC demands one.
const DOQ: &[&[u8]] = &[b"doq"];
/// ALPN of HTTP/3 (RFC 9114 §3.1).
const H3: &[&[u8]] = &[b"h3"];

/// What of replies may wait encrypted for one client, in octets; one part of a reply more (16 KiB) is begun.
const UNSENT_OCTETS_MAX: usize = 16 << 10;

/// How the encrypted transports shake hands.
#[derive(Clone)]
pub(super) struct Handshakes {
    pub(super) tls: TlsAcceptor,
    pub(super) https: TlsAcceptor,
    pub(super) quic: Arc<ServerConfig>,
    pub(super) http3: Arc<ServerConfig>,
}

impl Handshakes {
    pub(super) fn new(certificate: &Arc<dyn ResolvesServerCert>) -> io::Result<Handshakes> {
        let config = |alpn: &[&[u8]], only_13: bool| -> io::Result<Arc<ServerConfig>> {
            let versions: &[_] = if only_13 { &[&TLS13] } else { &[&TLS13, &TLS12] };
            let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
                .with_protocol_versions(versions)
                .map_err(io::Error::other)?
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(certificate));
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            // What comes before the handshake is done can be sent again by anybody (RFC 9250 §4.5); so it is not taken.
            config.max_early_data_size = 0;
            Ok(Arc::new(config))
        };
        Ok(Handshakes {
            tls: config(DOT, false)?.into(),
            https: config(DOH, false)?.into(),
            quic: config(DOQ, true)?,
            http3: config(H3, true)?,
        })
    }
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
