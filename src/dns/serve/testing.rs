//! A server for the tests of this room: real sockets, and instead of answers an echo with a few whims; and clients.

use super::{Encrypted, ProxyProtocol, ServeLimits, Serving, Sockets};
use crate::{
    dns::{
        answer::{QueryContext, QuerySummary, Transport, Verdict},
        zone::{self, Snapshot},
    },
    program::certificate::{Certificate, CertificateSource},
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{ring::default_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A message that begins so comes back as it is. Octets of 0 in front of any of these do not count, so that messages can
/// have the id that QUIC demands.
pub(super) const ECHO: u8 = 1;
/// A message that begins so makes the answer panic.
pub(super) const PANIC: u8 = 2;
/// A message that begins so gets no reply.
pub(super) const SILENCE: u8 = 3;

const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

fn whim<'s>(packet: &[u8], _: &'s Snapshot, _: QueryContext<'_>, out: &mut [u8], _: &mut QuerySummary<'s>) -> Verdict {
    match packet.iter().copied().find(|&octet| octet != 0).unwrap_or(ECHO) {
        PANIC => panic!("a query that panics, for the test"),
        SILENCE => Verdict::Drop,
        _ => {
            out[..packet.len()].copy_from_slice(packet);
            Verdict::Reply(packet.len())
        }
    }
}

/// Limits that no client reaches by being slow, on however busy a machine.
pub(super) fn limits() -> ServeLimits {
    let long = Duration::from_secs(60);
    ServeLimits {
        udp_threads: 2,
        udp_payload: 1232,
        tcp_connections: 64,
        tcp_connections_per_source: 64,
        tcp_idle: long,
        tcp_slow: long,
        tls_handshake: long,
        queries_per_connection: 0,
        https_streams: 20,
        quic_connections: 64,
        quic_connections_per_source: 64,
        quic_streams: 20,
    }
}

/// Limits with which a test that waits for them need not wait long.
pub(super) fn fast_limits() -> ServeLimits {
    let (short, second) = (Duration::from_millis(400), Duration::from_secs(1));
    ServeLimits { tcp_idle: second, tcp_slow: short, tls_handshake: second, ..limits() }
}

/// Serves whims; returns the address as well.
pub(super) fn serve(listen: &str, limits: ServeLimits) -> (Serving, SocketAddr) {
    serve_behind(listen, limits, ProxyProtocol::default())
}

/// Serves whims to clients behind proxies; returns the address as well.
pub(super) fn serve_behind(listen: &str, limits: ServeLimits, proxies: ProxyProtocol) -> (Serving, SocketAddr) {
    let sockets = Sockets::bind(&[listen.parse().unwrap()], &limits).unwrap().behind(proxies);
    let address = sockets.addresses()[0];
    let (_, reader) = zone::channel(Snapshot::new(Vec::new()));
    (sockets.serve_with(reader, limits, whim).unwrap(), address)
}

/// Serves whims over an encrypted transport; returns the address as well.
pub(super) fn serve_encrypted(transport: Transport, limits: ServeLimits) -> (Serving, SocketAddr) {
    serve_encrypted_behind(transport, limits, ProxyProtocol::default())
}

/// Serves whims over an encrypted transport to clients behind proxies; returns the address as well.
pub(super) fn serve_encrypted_behind(
    transport: Transport,
    limits: ServeLimits,
    proxies: ProxyProtocol,
) -> (Serving, SocketAddr) {
    let mut sockets = Sockets::bind(&[], &limits).unwrap().behind(proxies);
    let any: Option<SocketAddr> = "127.0.0.1:0".parse().ok();
    let mut listen = Encrypted::default();
    listen.list_mut(transport).unwrap().extend(any);
    let certificate = Certificate::open(&CertificateSource::SelfSigned(vec!["localhost".to_owned()])).unwrap();
    sockets.bind_encrypted(&listen, certificate.resolver()).unwrap();
    let address = sockets.encrypted_addresses()[0].1;
    let (_, reader) = zone::channel(Snapshot::new(Vec::new()));
    (sockets.serve_with(reader, limits, whim).unwrap(), address)
}

/// How a client shakes hands that trusts anybody.
pub(super) fn trusting(versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trust))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

#[derive(Debug)]
struct Trust;

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &default_provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &default_provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Waits until so much has been counted: a server counts a little after the client has seen the end.
pub(super) fn expect_count(counter: &AtomicU64, expected: u64) {
    let end = Instant::now() + CLIENT_TIMEOUT;
    while counter.load(Ordering::Relaxed) != expected && Instant::now() < end {
        std::thread::yield_now();
    }
    assert_eq!(counter.load(Ordering::Relaxed), expected);
}

/// Runs a client that needs a runtime.
pub(super) fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(CLIENT_TIMEOUT, client).await.unwrap() })
}

/// A client that waits for seconds, but not for ever.
pub(super) fn udp_client(server: SocketAddr) -> UdpSocket {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let client = UdpSocket::bind(any).unwrap();
    client.connect(server).unwrap();
    client.set_read_timeout(Some(CLIENT_TIMEOUT)).unwrap();
    client
}

/// A client that waits for seconds, but not for ever.
pub(super) fn tcp_client(server: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(server).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(CLIENT_TIMEOUT)).unwrap();
    client
}

/// A message with its length in front.
pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    let mut octets = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    octets.extend_from_slice(message);
    octets
}
