//! A DNS client that is fast enough to hammer, with hickory to read the replies.

use super::PATIENCE;
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record},
};
use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
};

pub const A: u16 = 1;
pub const PTR: u16 = 12;
pub const SRV: u16 = 33;

/// A query message (RD as resolvers set it, no EDNS).
pub fn query(id: u16, name: &str, rtype: u16) -> Vec<u8> {
    let mut octets = vec![0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    octets.splice(0..0, id.to_be_bytes());
    for label in name.trim_end_matches('.').split('.') {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    octets.extend_from_slice(&rtype.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    octets
}

/// The name under which an address is looked up.
pub fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

pub fn code(message: &Message) -> ResponseCode {
    message.metadata.response_code
}

/// The address of a record of type A or AAAA.
pub fn address(record: &Record) -> Option<IpAddr> {
    match record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

/// The owner of a record, without the final dot.
pub fn owner(record: &Record) -> String {
    record.name.to_string().trim_end_matches('.').to_owned()
}

/// The name that an SRV or PTR record points to, without the final dot.
pub fn target(record: &Record) -> Option<String> {
    let name = match &record.data {
        RData::SRV(srv) => &srv.target,
        RData::PTR(name) => &name.0,
        _ => return None,
    };
    Some(name.to_string().trim_end_matches('.').to_owned())
}

/// A client over UDP that never asks twice: a lost answer is an error.
pub struct Udp {
    socket: UdpSocket,
    next: u16,
}

impl Udp {
    pub fn new(server: SocketAddr) -> Udp {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Udp { socket, next: 0 }
    }

    /// Sends all queries at once and returns the replies in the same order.
    pub fn ask(&mut self, questions: &[(&str, u16)]) -> Vec<Message> {
        let first = self.next;
        for (name, rtype) in questions {
            self.socket.send(&query(self.next, name, *rtype)).unwrap();
            self.next = self.next.wrapping_add(1);
        }
        let mut replies: Vec<Option<Message>> = questions.iter().map(|_| None).collect();
        let mut buffer = [0; 4096];
        for _ in questions {
            let length = self.socket.recv(&mut buffer).expect("an answer was lost");
            let message = Message::from_vec(&buffer[..length]).expect("a message");
            let place = usize::from(message.metadata.id.wrapping_sub(first));
            assert!(replies[place].replace(message).is_none(), "two replies to one query");
        }
        replies.into_iter().map(Option::unwrap).collect()
    }
}

/// A client over TCP that keeps its connection.
pub struct Tcp(TcpStream);

impl Tcp {
    pub fn new(server: SocketAddr) -> Tcp {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Tcp(stream)
    }

    /// Sends all queries in one segment and returns the replies in the same order.
    pub fn ask(&mut self, questions: &[(&str, u16)]) -> Vec<Message> {
        let mut octets = Vec::new();
        for (id, (name, rtype)) in (0_u16..).zip(questions) {
            let query = query(id, name, *rtype);
            octets.extend_from_slice(&u16::try_from(query.len()).unwrap().to_be_bytes());
            octets.extend_from_slice(&query);
        }
        self.0.write_all(&octets).unwrap();
        let mut replies: Vec<Option<Message>> = questions.iter().map(|_| None).collect();
        for _ in questions {
            let mut length = [0; 2];
            self.0.read_exact(&mut length).expect("an answer was lost");
            let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
            self.0.read_exact(&mut octets).expect("an answer was cut");
            let message = Message::from_vec(&octets).expect("a message");
            let place = usize::from(message.metadata.id);
            assert!(replies[place].replace(message).is_none(), "two replies to one query");
        }
        replies.into_iter().map(Option::unwrap).collect()
    }
}
