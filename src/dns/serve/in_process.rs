//! One message to its replies without any socket, by the same way as those that come through one: for fuzz targets.

use super::{
    QueryServices, ServeContext, ServeLimits, TransferPolicy, https,
    reply::{Client, Reply},
};
use crate::dns::{
    answer::{QuerySummary, Transport, Verdict, answer_seen},
    wire::{
        MESSAGE_MAX,
        cookie::{Cookies, Secret},
    },
    zone::Reader,
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::runtime::Runtime;

/// A server without a socket.
#[derive(Debug)]
pub struct InProcessServer {
    shared: ServeContext,
    runtime: Runtime,
}

impl InProcessServer {
    /// Answers from what `reader` shows; zones are transferred as the settings say.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn new(reader: Reader, limits: ServeLimits, transfer: TransferPolicy) -> io::Result<InProcessServer> {
        // The thread of the query log ends with its sender.
        let cookies = Cookies::new(vec![Secret::new([7; 16])], || 1 << 30, false);
        let beside = QueryServices { cookies: Some(Arc::new(cookies)), ..QueryServices::new(transfer) };
        let (shared, _) = ServeContext::new(reader, limits, answer_seen, beside)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(InProcessServer { shared, runtime })
    }

    /// All that is sent in reply to a message; several messages are a transfer.
    pub fn replies(&self, transport: Transport, source: SocketAddr, message: &[u8]) -> Vec<Vec<u8>> {
        let client = Client { transport, source, agreed: true };
        if transport == Transport::Udp {
            return self.datagram(client, message).into_iter().collect();
        }
        self.runtime.block_on(async {
            match self.shared.reply(client, message).await {
                Reply::Silence | Reply::Lost => Vec::new(),
                Reply::Message(reply) => vec![reply],
                Reply::Messages(mut receiver) => {
                    let mut replies = Vec::new();
                    while let Some(reply) = receiver.recv().await {
                        replies.push(reply);
                    }
                    replies
                }
            }
        })
    }

    fn datagram(&self, client: Client, message: &[u8]) -> Option<Vec<u8>> {
        let mut reply = vec![0; usize::from(self.shared.limits.udp_payload)];
        let snapshot = self.shared.reader.load();
        let request = self.shared.request(client, 0);
        let verdict =
            self.shared.answer_caught(message, &snapshot, request, &mut reply, &mut QuerySummary::default())?;
        let length = match verdict {
            Verdict::Reply(length) | Verdict::Forward(length) => length,
            Verdict::Drop => return None,
            Verdict::Transfer(_) | Verdict::Signed => {
                self.shared.datagram(client, &snapshot, verdict, message, &mut reply)?
            }
        };
        reply.truncate(length.min(MESSAGE_MAX));
        Some(reply)
    }

    /// The status of the response to a request of DNS over HTTPS (method and URI, headers, body), and its body; `None` for
    /// what hyper would not have taken as a request.
    pub fn https(&self, head: (&[u8], &[u8]), headers: &[(&[u8], &[u8])], body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let source = SocketAddr::from(([192, 0, 2, 1], 4096));
        let client = Client { transport: Transport::Https, source, agreed: true };
        self.runtime.block_on(https::respond_to(head, headers, body, client, &self.shared))
    }
}
