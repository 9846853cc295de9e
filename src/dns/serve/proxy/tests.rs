//! Tests of the PROXY protocol: what is a header, and whose connections and datagrams those after one are.

use super::{
    super::testing::{self, ECHO, fast_limits, frame, limits, run},
    *,
};
use crate::dns::serve::{ProxyProtocol, ServeLimits};
use proptest::prelude::*;
use rustls::version::TLS13;
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::atomic::Ordering,
};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

/// A header of version 2; the length is that of `rest`.
fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

fn tcp4(source: [u8; 4]) -> Vec<u8> {
    version_2(0x21, 0x11, &[&source[..], &[192, 0, 2, 1, 0x10, 0, 0, 53]].concat())
}

#[test]
fn what_is_a_header() {
    let v4 = b"\xc6\x33\x64\x07\xc0\x00\x02\x01\x10\x00\x00\x35";
    let v6 = [&b"\x20\x01\x0d\xb8"[..], &[0; 11], &[9], &[0; 16], b"\x10\x00\x00\x35"].concat();
    let long = |length: usize| version_2(0x21, 0x11, &[&v4[..], &vec![4; length]].concat());
    let mut of_version_3 = tcp4([198, 51, 100, 7]);
    of_version_3[12] = 0x31;
    let line = |text: &str| text.as_bytes().to_vec();
    let unknown = |length: usize| line(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - HEADER_OCTETS_MIN - 1)));
    let (client, client6) = ("198.51.100.7:4096", "[2001:db8::9]:4096");
    // octets, the client (`-` if the proxy speaks for itself, nothing if it is no header)
    let rows: Vec<(Vec<u8>, &str)> = vec![
        (line("PROXY TCP4 198.51.100.7 192.0.2.1 4096 53\r\n"), client),
        (line("PROXY TCP6 2001:db8::9 2001:db8::1 4096 53\r\n"), client6),
        (line("PROXY TCP6 ::ffff:198.51.100.7 ::1 0 65535\r\n"), "[::ffff:198.51.100.7]:0"),
        (line("PROXY UNKNOWN\r\n"), "-"),
        (line("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), "-"),
        (unknown(LINE_OCTETS_MAX), "-"),
        (unknown(LINE_OCTETS_MAX + 1), ""),
        (line("PROXY TCP4 198.51.100.7 192.0.2.1 4096\r\n"), ""),
        (line("PROXY TCP4 198.51.100.7 192.0.2.1 4096 53 \r\n"), ""),
        (line("PROXY TCP4  198.51.100.7 192.0.2.1 4096 53\r\n"), ""),
        (line("PROXY TCP4 2001:db8::9 2001:db8::1 4096 53\r\n"), ""),
        (line("PROXY TCP6 198.51.100.7 192.0.2.1 4096 53\r\n"), ""),
        (line("PROXY TCP4 198.51.100.07 192.0.2.1 4096 53\r\n"), ""),
        (line("PROXY TCP4 198.51.100.7 192.0.2.1 65536 53\r\n"), ""),
        (line("PROXY TCP4 198.51.100.7 192.0.2.1 4096 053\r\n"), ""),
        (line("PROXY TCP4 198.51.100.7 192.0.2.1 +4096 53\r\n"), ""),
        (line("PROXY UDP4 198.51.100.7 192.0.2.1 4096 53\r\n"), ""),
        (line("PROXY TCP4 198.51.100.7 192.0.2.1 4096 53\n"), ""),
        (line("proxy TCP4 198.51.100.7 192.0.2.1 4096 53\r\n"), ""),
        (line("PROXY \r\n         "), ""),
        (line("GET / HTTP/1.1\r\n\r\n"), ""),
        (frame(&[ECHO; 20]), ""),
        (version_2(0x21, 0x11, v4), client),
        (version_2(0x21, 0x12, v4), client),
        (version_2(0x21, 0x21, &v6), client6),
        (version_2(0x21, 0x22, &[&v6[..], b"\x04\x00\x02hi"].concat()), client6),
        (version_2(0x21, 0x31, &[0; UNIX_ADDRESSES_OCTETS]), "-"),
        (version_2(0x21, 0x31, &[0; UNIX_ADDRESSES_OCTETS - 1]), ""),
        (version_2(0x21, 0x00, v4), "-"),
        (version_2(0x20, 0x11, v4), "-"),
        (version_2(0x20, 0x00, b""), "-"),
        (version_2(0x20, 0xff, b""), "-"),
        (version_2(0x22, 0x11, v4), ""),
        (version_2(0x21, 0x13, v4), ""),
        (version_2(0x21, 0x41, v4), ""),
        (version_2(0x21, 0x11, &v4[..11]), ""),
        (version_2(0x21, 0x21, v4), ""),
        (of_version_3, ""),
        (long(HEADER_OCTETS_MAX - FIXED_OCTETS - v4.len()), client),
        (long(HEADER_OCTETS_MAX - FIXED_OCTETS - v4.len() + 1), ""),
    ];
    for (octets, expected) in rows {
        let what = String::from_utf8_lossy(&octets);
        let client = match expected {
            "" => {
                assert_eq!(ProxyHeader::first(&octets), ProxyHeader::Malformed, "{what}");
                continue;
            }
            "-" => None,
            client => Some(client.parse().unwrap()),
        };
        assert_eq!(ProxyHeader::first(&octets), ProxyHeader::Whole { length: octets.len(), client }, "{what}");
    }
}

fn any_header() -> impl Strategy<Value = (Vec<u8>, Option<SocketAddr>)> {
    let rest = prop::collection::vec(any::<u8>(), 0..300);
    (any::<SocketAddr>(), any::<SocketAddr>(), rest, 0..4).prop_map(|(source, other, rest, form)| {
        // A scope is not sent.
        let source = SocketAddr::new(source.ip(), source.port());
        let family = if source.is_ipv4() { 0x11 } else { 0x21 };
        let other =
            SocketAddr::new(if source.is_ipv4() { [192, 0, 2, 1].into() } else { [9; 16].into() }, other.port());
        let octets = |address: SocketAddr| match address.ip() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let ports = [source.port().to_be_bytes(), other.port().to_be_bytes()].concat();
        match form {
            0 => {
                let kind = if source.is_ipv4() { "TCP4" } else { "TCP6" };
                let (from, to) = (source.ip(), other.ip());
                let line = format!("PROXY {kind} {from} {to} {} {}\r\n", source.port(), other.port());
                (line.into_bytes(), Some(source))
            }
            1 => (b"PROXY UNKNOWN\r\n".to_vec(), None),
            2 => (version_2(0x20, 0, &rest), None),
            _ => (version_2(0x21, family, &[octets(source), octets(other), ports, rest].concat()), Some(source)),
        }
    })
}

proptest! {
    /// However it is cut, a header is taken whole, and nothing after it is asked for.
    #[test]
    fn headers_are_read_to_their_end(
        (header, client) in any_header(),
        behind in prop::collection::vec(any::<u8>(), 0..40),
        pieces in prop::collection::vec(1_usize..30, 1..8),
    ) {
        let stream = [&header[..], &behind].concat();
        prop_assert_eq!(ProxyHeader::first(&stream), ProxyHeader::Whole { length: header.len(), client });
        let (mut end, mut pieces) = (0, pieces.iter().cycle());
        while let ProxyHeader::Incomplete(missing) = ProxyHeader::first(&stream[..end]) {
            prop_assert!(missing > 0 && end + missing <= header.len(), "{} of {}", end + missing, header.len());
            end += missing.min(*pieces.next().unwrap());
        }
        prop_assert_eq!(end, header.len());
    }

    /// Whatever comes is decided on within a bounded number of octets.
    #[test]
    fn nothing_is_read_for_ever(octets in prop::collection::vec(any::<u8>(), HEADER_OCTETS_MAX), form in 0_usize..3) {
        let begin: &[u8] = [&b""[..], LINE, SIGNATURE][form];
        let octets = [begin, &octets[begin.len()..]].concat();
        let mut end = 0;
        while let ProxyHeader::Incomplete(missing) = ProxyHeader::first(&octets[..end]) {
            prop_assert!(missing > 0 && end + missing <= HEADER_OCTETS_MAX);
            end += missing;
        }
    }
}

fn proxies() -> ProxyProtocol {
    ProxyProtocol { from: vec!["127.0.0.0/8".parse().unwrap()] }
}

/// Reads one reply; `None` if the server closes instead.
fn reply(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    if let Err(error) = client.read_exact(&mut length) {
        assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error}");
        return None;
    }
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    client.read_exact(&mut message).unwrap();
    Some(message)
}

#[test]
fn connections_begin_with_it() {
    let (serving, address) = testing::serve_behind("127.0.0.1:0", limits(), proxies());
    let echo = frame(&[ECHO, 1]);
    // what comes first, whether a query after it is answered
    let rows: [(&[u8], bool); 7] = [
        (b"PROXY TCP4 198.51.100.7 192.0.2.1 4096 53\r\n", true),
        (b"PROXY UNKNOWN\r\n", true),
        (&tcp4([198, 51, 100, 7]), true),
        (&version_2(0x20, 0, b""), true),
        (b"", false),
        (b"PROXY TCP4 198.51.100.7\r\n", false),
        (&version_2(0x21, 0x41, &[0; 12]), false),
    ];
    for (header, good) in rows {
        let mut client = testing::tcp_client(address);
        client.write_all(&[header, &echo, &echo].concat()).unwrap();
        let replies = [reply(&mut client), reply(&mut client)];
        let expected = good.then(|| vec![ECHO, 1]);
        assert_eq!(replies, [expected.clone(), expected], "{}", String::from_utf8_lossy(header));
        // Octet by octet, too.
        let mut client = testing::tcp_client(address);
        for octet in [header, &echo].concat() {
            if client.write_all(&[octet]).is_err() {
                break;
            }
        }
        assert_eq!(reply(&mut client).is_some(), good, "{}", String::from_utf8_lossy(header));
    }
    testing::expect_count(serving.counters().protocol_errors.of(Transport::Tcp), 6);
    // One that ends within the header, and one that says nothing at all.
    let mut client = testing::tcp_client(address);
    client.write_all(b"PROXY TCP4 ").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(reply(&mut client), None);
    drop(testing::tcp_client(address));
    testing::expect_count(serving.counters().protocol_errors.of(Transport::Tcp), 7);
    // Nobody waits for ever.
    let (serving, address) = testing::serve_behind("127.0.0.1:0", fast_limits(), proxies());
    let mut client = testing::tcp_client(address);
    client.write_all(b"PROXY TCP4 ").unwrap();
    assert_eq!(reply(&mut client), None);
    testing::expect_count(serving.counters().slow.of(Transport::Tcp), 1);
}

#[test]
fn others_are_not_believed() {
    let elsewhere = ProxyProtocol { from: vec!["192.0.2.0/24".parse().unwrap()] };
    let (serving, address) = testing::serve_behind("127.0.0.1:0", fast_limits(), elsewhere);
    let mut client = testing::tcp_client(address);
    client.write_all(&frame(&[ECHO, 1])).unwrap();
    assert_eq!(reply(&mut client), Some(vec![ECHO, 1]));
    // The header is read as the length of a long message that never comes.
    client.write_all(&[&tcp4([198, 51, 100, 7])[..], &frame(&[ECHO, 2])].concat()).unwrap();
    assert_eq!(reply(&mut client), None);
    assert_eq!(serving.counters().protocol_errors.total(), 0);
}

#[test]
fn datagrams_begin_with_it() {
    let (serving, address) = testing::serve_behind("127.0.0.1:0", limits(), proxies());
    let client = testing::udp_client(address);
    for (number, header) in [tcp4([198, 51, 100, 7]), version_2(0x20, 0, b"")].into_iter().enumerate() {
        let query = [ECHO, number as u8];
        client.send(&query).unwrap();
        client.send(&header[..header.len() - 1]).unwrap();
        client.send(&[&header[..], &query].concat()).unwrap();
        // The first that comes is the reply to the last one, without the header.
        let mut buffer = [0; 100];
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], query);
    }
    testing::expect_count(serving.counters().protocol_errors.of(Transport::Udp), 4);
}

#[test]
fn it_comes_before_the_handshake() {
    let (serving, address) = testing::serve_encrypted_behind(Transport::Tls, limits(), proxies());
    let shake = |header: Vec<u8>| async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(&header).await.unwrap();
        let connector = TlsConnector::from(testing::trusting(&[&TLS13], &["dot"]));
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await?;
        stream.write_all(&frame(&[ECHO, 1])).await?;
        let mut reply = [0; 4];
        stream.read_exact(&mut reply).await?;
        io::Result::Ok(reply)
    };
    assert_eq!(run(shake(tcp4([198, 51, 100, 7]))).unwrap(), [0, 2, ECHO, 1]);
    assert!(run(shake(Vec::new())).is_err());
    testing::expect_count(serving.counters().protocol_errors.of(Transport::Tls), 1);
}

/// The limit of one source is that of each client behind the proxy, not that of the proxy.
#[test]
fn clients_have_limits_of_their_own() {
    let limits = ServeLimits { tcp_connections_per_source: 2, ..limits() };
    let (serving, address) = testing::serve_behind("127.0.0.1:0", limits, proxies());
    // Each begins a second message and does not end it.
    let connect = |client: u8| {
        let mut stream = testing::tcp_client(address);
        let begun = [&tcp4([198, 51, 100, client])[..], &frame(&[ECHO, client]), &[0, 2, ECHO]].concat();
        stream.write_all(&begun).unwrap();
        (reply(&mut stream), stream)
    };
    let clients: Vec<_> = [1, 2, 3, 1, 2, 3].into_iter().map(|client| (client, connect(client))).collect();
    for (client, (reply, _)) in &clients {
        assert_eq!(*reply, Some(vec![ECHO, *client]));
    }
    // For one more of a client that has two, one of its own goes.
    assert_eq!(connect(2).0, Some(vec![ECHO, 2]));
    assert_eq!(connect(4).0, Some(vec![ECHO, 4]));
    let counters = serving.counters();
    assert_eq!((counters.refused.total(), counters.evicted.total()), (0, 1));
    assert_eq!(counters.protocol_errors.of(Transport::Tcp).load(Ordering::Relaxed), 0);
}
