//! The batch of [`super::udp`] where the system has no recvmmsg: one datagram at a time, with the same face.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
};

/// Octets of a datagram that are looked at.
const DATAGRAM_OCTETS_MAX: usize = 4096;

/// One datagram and the room for its reply.
pub(super) struct Batch {
    packet: Box<[u8]>,
    length: usize,
    source: Option<SocketAddr>,
    reply: Box<[u8]>,
    reply_length: usize,
}

/// How a reply reaches the sender of a datagram that is no longer in the batch.
#[derive(Clone, Copy)]
pub(super) struct ReplyPath(Option<SocketAddr>);

/// Sends one reply.
pub(super) fn send_one(socket: &UdpSocket, way: &ReplyPath, reply: &[u8]) -> io::Result<()> {
    way.0.map_or(Ok(()), |source| socket.send_to(reply, source).map(|_| ()))
}

/// Nothing to be set here: a wildcard socket replies from the address that the routing table chooses.
pub(super) fn prepare(_socket: &socket2::Socket, _address: SocketAddr) -> io::Result<()> {
    Ok(())
}

impl Batch {
    /// Room for a datagram with a reply of at most `reply_size` octets.
    pub(super) fn new(_socket: &UdpSocket, reply_size: usize) -> Batch {
        Batch {
            packet: vec![0; DATAGRAM_OCTETS_MAX].into_boxed_slice(),
            length: 0,
            source: None,
            reply: vec![0; reply_size].into_boxed_slice(),
            reply_length: 0,
        }
    }

    /// Receives one datagram; without `wait` there is none, because the socket is a waiting one.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<usize> {
        if !wait {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (length, source) = socket.recv_from(&mut self.packet)?;
        (self.length, self.source, self.reply_length) = (length, Some(source), 0);
        Ok(1)
    }

    /// Where the datagram came from.
    pub(super) fn source(&self, _index: usize) -> Option<SocketAddr> {
        self.source
    }

    /// Not known here.
    pub(super) fn destination(&mut self, _index: usize) -> Option<IpAddr> {
        None
    }

    /// How a reply gets to the sender later.
    pub(super) fn way_back(&self, _index: usize) -> ReplyPath {
        ReplyPath(self.source)
    }

    /// The datagram.
    pub(super) fn packet(&self, _index: usize) -> &[u8] {
        &self.packet[..self.length]
    }

    /// The datagram, and the room for its reply.
    pub(super) fn exchange(&mut self, _index: usize) -> (&[u8], &mut [u8]) {
        (&self.packet[..self.length], &mut self.reply)
    }

    /// So many octets of the reply will be sent.
    pub(super) fn set_reply(&mut self, _index: usize, length: usize) {
        self.reply_length = length.min(self.reply.len());
    }

    /// Sends the reply; returns how many the system did not take, with the reason.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> io::Result<(u64, Option<io::Error>)> {
        let Some(source) = self.source.filter(|_| self.reply_length > 0) else {
            return Ok((0, None));
        };
        match socket.send_to(&self.reply[..self.reply_length], source) {
            Ok(_) => Ok((0, None)),
            Err(error) => Ok((1, Some(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receives_and_replies() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client.send(b"ask").unwrap();
        let mut batch = Batch::new(&server, 512);
        assert_eq!(batch.receive(&server, true).unwrap(), 1);
        assert_eq!(batch.source(0), Some(client.local_addr().unwrap()));
        assert_eq!(batch.destination(0), None);
        assert_eq!(batch.packet(0), b"ask");
        let (packet, reply) = batch.exchange(0);
        assert_eq!(packet, b"ask");
        reply[..4].copy_from_slice(b"told");
        batch.set_reply(0, 4);
        assert_eq!(batch.send(&server).unwrap().0, 0);
        let mut buffer = [0; 16];
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"told");
        send_one(&server, &batch.way_back(0), b"later").unwrap();
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"later");
        assert!(batch.receive(&server, false).is_err());
        prepare(&socket2::Socket::from(server), client.local_addr().unwrap()).unwrap();
    }
}
