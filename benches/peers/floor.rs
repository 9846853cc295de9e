//! What no server can be without: datagrams that come and go, connections that are accepted, read, written and closed.

use headless_dns::dns::{
    answer::{QueryContext, QuerySummary, Verdict},
    zone::Snapshot,
};
use mio::{Events, Interest, Poll, Token, net::TcpListener};
use std::io::{self, Read as _, Write as _};

/// The least that any server does: the question with QR set.
pub fn echo<'s>(packet: &[u8], _: &'s Snapshot, _: QueryContext, out: &mut [u8], _: &mut QuerySummary<'s>) -> Verdict {
    let length = packet.len().min(out.len());
    out[..length].copy_from_slice(&packet[..length]);
    if let Some(flags) = out[..length].get_mut(2) {
        *flags |= 0x80;
    }
    Verdict::Reply(length)
}

/// The token of the listener; those of connections are their places.
const LISTENER: Token = Token(usize::MAX);

/// Connections in the fewest calls of the system: accept, wait, read, write, read, close.
pub fn connections() {
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut poll = Poll::new().unwrap();
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
    println!("{} 0", listener.local_addr().unwrap().port());
    io::stdout().flush().unwrap();
    let (mut streams, mut free) = (Vec::new(), Vec::new());
    let mut events = Events::with_capacity(256);
    let mut octets = [0; 4096];
    loop {
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let place = free.pop().unwrap_or_else(|| {
                        streams.push(None);
                        streams.len() - 1
                    });
                    poll.registry().register(&mut stream, Token(place), Interest::READABLE).unwrap();
                    streams[place] = Some(stream);
                }
                continue;
            }
            let place = event.token().0;
            let Some(stream) = &mut streams[place] else { continue };
            let outcome = stream.read(&mut octets).and_then(|length| {
                // The header's flags stand behind the length of the message.
                octets[4] |= 0x80;
                stream.write_all(&octets[..length])?;
                Ok(length)
            });
            match outcome {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => {
                    // Closing is enough for the system to forget it.
                    streams[place] = None;
                    free.push(place);
                }
            }
        }
    }
}
