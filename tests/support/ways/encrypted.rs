//! Clients of the encrypted transports, which trust one certificate made for them.

use super::{framed, the_one_message};
use h3::client::SendRequest;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    body::{Buf, Bytes},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{PrivateKeyDer, ServerName},
    server::ResolvesServerCert,
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The name in the certificate.
const NAME: &str = "localhost";

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// One client for each transport; each keeps its connection as long as the server does.
pub struct Clients {
    runtime: Runtime,
    trusted: RootCertStore,
    endpoint: Option<quinn::Endpoint>,
    https: Option<http2::SendRequest<Full<Bytes>>>,
    quic: Option<quinn::Connection>,
    http3: Option<SendRequest<h3_quinn::OpenStreams, Bytes>>,
}

/// A certificate for a server, and clients that trust it.
pub fn pair() -> (Arc<dyn ResolvesServerCert>, Clients) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = rustls::crypto::ring::default_provider();
    let key = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &provider).expect("a pair");
    let mut trusted = RootCertStore::empty();
    trusted.add(made.cert.der().clone()).expect("a root");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let clients = Clients { runtime, trusted, endpoint: None, https: None, quic: None, http3: None };
    (Arc::new(SingleCertAndKey::from(key)), clients)
}

fn config(trusted: &RootCertStore, alpn: &[u8]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(trusted.clone()).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

async fn handshake(server: SocketAddr, trusted: &RootCertStore, alpn: &[u8]) -> Outcome<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::new(config(trusted, alpn)));
    Ok(connector.connect(ServerName::try_from(NAME)?, stream).await?)
}

impl Clients {
    /// Asks over TLS on a connection of its own, whose end tells that nothing more comes.
    pub fn tls(&mut self, server: SocketAddr, packet: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let Clients { runtime, trusted, .. } = self;
        let octets = runtime.block_on(within(async {
            let mut stream = handshake(server, trusted, b"dot").await?;
            stream.write_all(&framed(packet)).await?;
            stream.shutdown().await?;
            let mut octets = Vec::new();
            stream.read_to_end(&mut octets).await?;
            Ok(octets)
        }))?;
        Ok(the_one_message(&octets))
    }

    /// Asks by POST; `None` if the status is another than 200.
    pub fn https(&mut self, server: SocketAddr, packet: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let Clients { runtime, trusted, https, .. } = self;
        twice(|| {
            let outcome = runtime.block_on(within(async {
                if https.is_none() {
                    let stream = TokioIo::new(handshake(server, trusted, b"h2").await?);
                    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                    tokio::spawn(connection);
                    *https = Some(sender);
                }
                let Some(sender) = https else { return Ok(None) };
                sender.ready().await?;
                let request = Request::post(format!("https://{NAME}/dns-query"))
                    .header("content-type", "application/dns-message")
                    .body(Full::new(Bytes::copy_from_slice(packet)))?;
                let response = sender.send_request(request).await?;
                if response.status() != StatusCode::OK {
                    return Ok(None);
                }
                Ok(Some(response.into_body().collect().await?.to_bytes().to_vec()))
            }));
            if outcome.is_err() {
                *https = None;
            }
            outcome
        })
    }

    /// Asks by POST over HTTP/3; `None` if the status is another than 200.
    pub fn http3(&mut self, server: SocketAddr, packet: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let Clients { runtime, trusted, endpoint, http3, .. } = self;
        twice(|| {
            let outcome = runtime.block_on(within(async {
                if endpoint.is_none() {
                    *endpoint = Some(quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?);
                }
                if let (Some(endpoint), None) = (&endpoint, &http3) {
                    let connection = endpoint.connect_with(over_quic(trusted, b"h3")?, server, NAME)?.await?;
                    let (mut driver, sender) = h3::client::new(h3_quinn::Connection::new(connection)).await?;
                    tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
                    *http3 = Some(sender);
                }
                let Some(sender) = http3 else { return Ok(None) };
                let request = Request::post(format!("https://{NAME}/dns-query"))
                    .header("content-type", "application/dns-message")
                    .body(())?;
                let mut stream = sender.send_request(request).await?;
                stream.send_data(Bytes::copy_from_slice(packet)).await?;
                stream.finish().await?;
                if stream.recv_response().await?.status() != StatusCode::OK {
                    return Ok(None);
                }
                let mut octets = Vec::new();
                while let Some(mut data) = stream.recv_data().await? {
                    octets.extend_from_slice(&data.copy_to_bytes(data.remaining()));
                }
                Ok(Some(octets))
            }));
            if outcome.is_err() {
                *http3 = None;
            }
            outcome
        })
    }

    /// Asks on a stream of its own, with id 0 as QUIC wants it; the reply has the packet's id again. `None` if the server
    /// ended the stream or the connection without a reply.
    pub fn quic(&mut self, server: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
        let mut sent = framed(packet);
        sent.iter_mut().skip(2).take(2).for_each(|octet| *octet = 0);
        let Clients { runtime, trusted, endpoint, quic, .. } = self;
        let outcome: Outcome<Vec<u8>> = runtime.block_on(within(async {
            if endpoint.is_none() {
                *endpoint = Some(quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?);
            }
            let ended = quic.as_ref().is_none_or(|connection| connection.close_reason().is_some());
            if let (Some(endpoint), true) = (endpoint, ended) {
                *quic = Some(endpoint.connect_with(over_quic(trusted, b"doq")?, server, NAME)?.await?);
            }
            let Some(connection) = quic else { return Ok(Vec::new()) };
            let (mut send, mut receive) = connection.open_bi().await?;
            send.write_all(&sent).await?;
            send.finish()?;
            Ok(receive.read_to_end(2 + 65_535).await?)
        }));
        let mut reply = outcome.ok().filter(|octets| octets.len() > 2)?.split_off(2);
        reply.iter_mut().zip(packet).take(2).for_each(|(octet, id)| *octet = *id);
        Some(reply)
    }
}

/// How a client of QUIC shakes hands.
fn over_quic(trusted: &RootCertStore, alpn: &[u8]) -> Outcome<quinn::ClientConfig> {
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config(trusted, alpn))?;
    Ok(quinn::ClientConfig::new(Arc::new(crypto)))
}

/// Tries again once, with a new connection.
fn twice(mut attempt: impl FnMut() -> Outcome<Option<Vec<u8>>>) -> Outcome<Option<Vec<u8>>> {
    attempt().or_else(|_| attempt())
}

async fn within<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    timeout(Duration::from_secs(20), work).await?
}
