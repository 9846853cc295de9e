//! One query in, one reply out: RFC 1034 §4.3.2 without any I/O.

use crate::zone::Snapshot;

/// What a packet came over; it decides the size of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams: 512 octets or what EDNS allows, TC beyond.
    Udp,
    /// A stream: up to 65,535 octets.
    Stream,
}

/// What an answer depends on besides the packet and the records.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Where the packet came from.
    pub transport: Transport,
    /// The largest UDP reply sent, and the size advertised in EDNS (512–4096, usually 1232).
    pub udp_payload_max: u16,
    /// Chooses where a set of records begins, so that answers rotate; any number.
    pub rotation: u32,
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Say nothing: it was no query, or too short to be answered.
    Drop,
    /// Send the first so many octets of `out`.
    Reply(usize),
}

/// Answers one message. `out` must hold 65,535 octets for a stream and `udp_payload_max` for UDP; never panics, allocates nothing for plain queries.
pub fn answer(_packet: &[u8], _snapshot: &Snapshot, _request: Request, _out: &mut [u8]) -> Verdict {
    todo!()
}
