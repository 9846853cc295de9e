//! A small stub resolver: the search list of a container, UDP with retries, TCP when an answer is truncated.

use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::opt::EdnsCode},
};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

/// How long one try may take, and how many there are.
const TIMEOUT: Duration = Duration::from_secs(1);
const ATTEMPTS_MAX: usize = 3;
/// The UDP payload offered (what `dig` offers).
const UDP_PAYLOAD_OCTETS: u16 = 1232;
/// A name with at least so many dots is tried as it is first; a kubelet writes this into every container's resolv.conf.
const NDOTS: usize = 5;
/// The EDNS option of RFC 8914.
const EXTENDED_ERROR: u16 = 15;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReceivedReply {
    /// The full name that was answered, with its final dot.
    pub name: String,
    /// `NOERROR`, `NXDOMAIN`, …
    pub code: String,
    /// The answer section in zone-file syntax.
    pub answers: Vec<AnsweredRecord>,
    /// Extended error texts (RFC 8914).
    pub why: Vec<String>,
    /// Whether it came over TCP because the UDP answer was truncated.
    pub tcp: bool,
}

/// One record of the answer section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnsweredRecord {
    /// The owner name.
    pub name: String,
    /// Seconds.
    pub ttl: u32,
    /// The type's mnemonic.
    pub record_type: String,
    /// The data in zone-file syntax.
    pub rdata: String,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum QueryError {
    /// The name is none.
    #[error("`{0}` is no domain name: {1}")]
    Name(String, String),
    /// The type is unknown.
    #[error("`{0}` is no record type")]
    Type(String),
    /// The transport failed.
    #[error("no answer from {0}: {1}")]
    Transport(SocketAddr, io::Error),
    /// The reply could not be read.
    #[error("the answer is no DNS message: {0}")]
    Message(String),
}

/// Asks one server.
#[derive(Debug)]
pub(super) struct DnsClient {
    server: SocketAddr,
    cluster_domain: String,
}

impl DnsClient {
    /// A client of the server at `server`; `cluster_domain` (without final dot) makes up the search list.
    pub(super) fn new(server: SocketAddr, cluster_domain: &str) -> DnsClient {
        DnsClient { server, cluster_domain: cluster_domain.trim_end_matches('.').to_owned() }
    }

    /// Asks as a program in a container of `namespace` would: the first name of the search list that has records wins;
    /// otherwise a name that exists without them beats one that does not exist.
    pub(super) fn resolve(&self, name: &str, namespace: &str, record_type: &str) -> Result<ReceivedReply, QueryError> {
        let record_type: RecordType =
            record_type.to_ascii_uppercase().parse().map_err(|_| QueryError::Type(record_type.to_owned()))?;
        let mut best: Option<ReceivedReply> = None;
        for candidate in self.candidates(name, namespace) {
            let reply = self.ask(&candidate, record_type)?;
            if !reply.answers.is_empty() {
                return Ok(reply);
            }
            let rank = |reply: &ReceivedReply| match reply.code.as_str() {
                "NOERROR" => 2,
                "NXDOMAIN" => 1,
                _ => 0,
            };
            if best.as_ref().is_none_or(|best| rank(&reply) > rank(best)) {
                best = Some(reply);
            }
        }
        best.ok_or_else(|| QueryError::Name(name.to_owned(), "it is empty".to_owned()))
    }

    /// The full names to try, in order.
    fn candidates(&self, name: &str, namespace: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let domain = &self.cluster_domain;
        let mut candidates = vec![
            format!("{name}.{namespace}.svc.{domain}."),
            format!("{name}.svc.{domain}."),
            format!("{name}.{domain}."),
        ];
        let literal = format!("{name}.");
        match name.matches('.').count() >= NDOTS {
            true => candidates.insert(0, literal),
            false => candidates.push(literal),
        }
        candidates
    }

    fn ask(&self, name: &str, record_type: RecordType) -> Result<ReceivedReply, QueryError> {
        let owner = Name::from_ascii(name).map_err(|error| QueryError::Name(name.to_owned(), error.to_string()))?;
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(owner, record_type));
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD_OCTETS).set_version(0);
        message.set_edns(edns);
        let bytes = message.to_vec().map_err(|error| QueryError::Message(error.to_string()))?;

        let failed = |error| QueryError::Transport(self.server, error);
        let reply = self.over_udp(&bytes).map_err(failed)?;
        let mut reply = parse(&reply)?;
        let tcp = reply.metadata.truncation;
        if tcp {
            reply = parse(&self.over_tcp(&bytes).map_err(failed)?)?;
        }
        Ok(describe(name, &reply, tcp))
    }

    fn over_udp(&self, query: &[u8]) -> io::Result<Vec<u8>> {
        let local: IpAddr =
            if self.server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        // A socket per query: its fresh port keeps late replies to earlier queries away.
        let socket = UdpSocket::bind((local, 0))?;
        socket.connect(self.server)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let mut buffer = vec![0; usize::from(u16::MAX)];
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for _ in 0..ATTEMPTS_MAX {
            socket.send(query)?;
            match socket.recv(&mut buffer) {
                Ok(length) if buffer.get(..2) == query.get(..2) => {
                    buffer.truncate(length);
                    return Ok(buffer);
                }
                Ok(_) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn over_tcp(&self, query: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.server, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], query].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply)?;
        Ok(reply)
    }
}

/// The reverse name of an address, with its final dot.
pub(super) fn reverse(address: IpAddr) -> String {
    Name::from(address).to_ascii()
}

fn parse(bytes: &[u8]) -> Result<Message, QueryError> {
    Message::from_vec(bytes).map_err(|error| QueryError::Message(error.to_string()))
}

fn describe(name: &str, message: &Message, tcp: bool) -> ReceivedReply {
    ReceivedReply {
        name: name.to_owned(),
        code: mnemonic(message.metadata.response_code),
        answers: message.answers.iter().map(answered).collect(),
        why: message.edns.iter().flat_map(extended_errors).collect(),
        tcp,
    }
}

fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

fn answered(record: &Record) -> AnsweredRecord {
    AnsweredRecord {
        name: record.name.to_ascii(),
        ttl: record.ttl,
        record_type: record.record_type().to_string(),
        rdata: rdata(&record.data),
    }
}

fn rdata(data: &RData) -> String {
    match data {
        // Shown as in a zone file, each string in quotes.
        RData::TXT(txt) => {
            let strings: Vec<String> = txt
                .txt_data
                .iter()
                .map(|string| {
                    format!("\"{}\"", String::from_utf8_lossy(string).replace('\\', "\\\\").replace('"', "\\\""))
                })
                .collect();
            strings.join(" ")
        }
        other => other.to_string(),
    }
}

/// The texts of RFC 8914 options; a code without a text as its number.
fn extended_errors(edns: &Edns) -> Vec<String> {
    let options = edns.options().get_all(EdnsCode::from(EXTENDED_ERROR));
    let bytes = options.into_iter().filter_map(|option| Vec::<u8>::try_from(option).ok());
    bytes
        .filter_map(|bytes| {
            let (code, text) = bytes.split_first_chunk::<2>()?;
            let code = u16::from_be_bytes(*code);
            match text {
                [] => Some(format!("extended error {code}")),
                text => Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::{
        op::{MessageType, OpCode},
        rr::rdata::{A, TXT, opt::EdnsOption},
    };
    use std::{io, net::TcpListener, thread};

    fn client(server: SocketAddr) -> DnsClient {
        DnsClient::new(server, "cluster.local.")
    }

    #[test]
    fn the_search_list_is_a_containers() {
        let check = |name, expected: &[&str]| {
            assert_eq!(client(([127, 0, 0, 1], 53).into()).candidates(name, "shop"), expected, "{name}");
        };
        check("a.example.", &["a.example."]);
        check("web", &["web.shop.svc.cluster.local.", "web.svc.cluster.local.", "web.cluster.local.", "web."]);
        check(
            "a.b.c.d.e.f",
            &[
                "a.b.c.d.e.f.",
                "a.b.c.d.e.f.shop.svc.cluster.local.",
                "a.b.c.d.e.f.svc.cluster.local.",
                "a.b.c.d.e.f.cluster.local.",
            ],
        );
    }

    #[test]
    fn addresses_reversed() {
        assert_eq!(reverse([10, 244, 0, 7].into()), "7.0.244.10.in-addr.arpa.");
        assert!(reverse("fd00::1".parse().unwrap()).ends_with(".0.0.d.f.ip6.arpa."));
    }

    #[test]
    fn records_read_as_in_a_zone_file() {
        let txt = RData::TXT(TXT::new(vec!["a b".to_owned(), "say \"c\"".to_owned()]));
        assert_eq!(rdata(&txt), r#""a b" "say \"c\"""#);
        assert_eq!(rdata(&RData::A(A::new(10, 0, 0, 1))), "10.0.0.1");
    }

    /// A reply that repeats the question and holds one address unless it is truncated.
    fn reply_to(query: &[u8], truncated: bool) -> Vec<u8> {
        let query = Message::from_vec(query).unwrap();
        let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        reply.metadata.truncation = truncated;
        reply.add_query(query.queries[0].clone());
        if !truncated {
            let name = query.queries[0].name().clone();
            reply.add_answer(Record::from_rdata(name, 5, RData::A(A::new(10, 0, 0, 1))));
        }
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, b"\x00\x16not ready".to_vec()));
        reply.set_edns(edns);
        reply.to_vec().unwrap()
    }

    /// One port for both; a client of a test that runs beside this one may have it for UDP.
    fn sockets() -> (TcpListener, UdpSocket) {
        let both = || {
            let tcp = TcpListener::bind("127.0.0.1:0")?;
            let udp = UdpSocket::bind(tcp.local_addr()?)?;
            io::Result::Ok((tcp, udp))
        };
        (0..64).find_map(|_| both().ok()).unwrap()
    }

    #[test]
    fn truncated_answers_are_asked_for_again_over_tcp() {
        let (listener, udp) = sockets();
        let server = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let mut buffer = [0; 512];
            let (length, from) = udp.recv_from(&mut buffer).unwrap();
            udp.send_to(&reply_to(&buffer[..length], true), from).unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let length = stream.read(&mut buffer).unwrap();
            let reply = reply_to(&buffer[2..length], false);
            stream.write_all(&(reply.len() as u16).to_be_bytes()).unwrap();
            stream.write_all(&reply).unwrap();
        });
        let reply = client(server).resolve("web.example.", "default", "a").unwrap();
        serving.join().unwrap();
        assert!(reply.tcp);
        assert_eq!((reply.name.as_str(), reply.code.as_str()), ("web.example.", "NOERROR"));
        assert_eq!(reply.answers[0].rdata, "10.0.0.1");
        assert_eq!(reply.why, ["not ready"]);
    }

    #[test]
    fn bad_names_and_types_are_told() {
        let client = client(([127, 0, 0, 1], 53).into());
        let error = |name: &str, record_type| client.resolve(name, "default", record_type).unwrap_err().to_string();
        assert!(error("web", "ADDRESS").contains("`ADDRESS` is no record type"));
        assert!(error(&format!("{}.", "a".repeat(64)), "A").contains("is no domain name"));
    }
}
