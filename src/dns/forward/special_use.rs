//! Names of special use, which are answered here instead of being sent on.

use super::response::{Bounds, UpstreamResponse};
use crate::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    wire::MESSAGE_MAX,
    zone::{Snapshot, file},
};
use hickory_proto::{
    op::{Message, Query},
    rr::{Name, RecordType},
};
use std::path::Path;

/// How long clients may keep these answers, in seconds.
const TTL_SECONDS: u32 = 3600;

/// The names, and what there is besides the SOA.
///
/// RFC 6761 §6.2–6.4 (`test`, `localhost`, `invalid`), RFC 6762 §22.1 (`local`, which is asked by multicast),
/// RFC 7686 §2 (`onion`), RFC 9476 §3 (`alt`), RFC 9462 §6.4 (`resolver.arpa`: nobody else is this resolver), RFC 6303
/// §4 (reverse names that mean the machine itself or its link).
pub(super) const LOCAL: &[(&str, &str)] = &[
    ("localhost", "@ A 127.0.0.1\n@ AAAA ::1\n* A 127.0.0.1\n* AAAA ::1\n"),
    ("invalid", ""),
    ("test", ""),
    ("local", ""),
    ("onion", ""),
    ("alt", ""),
    ("resolver.arpa", ""),
    ("0.in-addr.arpa", ""),
    ("127.in-addr.arpa", "1.0.0 PTR localhost.\n"),
    ("254.169.in-addr.arpa", ""),
    ("255.255.255.255.in-addr.arpa", ""),
    ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", "@ PTR localhost.\n"),
    ("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", ""),
    ("8.e.f.ip6.arpa", ""),
    ("9.e.f.ip6.arpa", ""),
    ("a.e.f.ip6.arpa", ""),
    ("b.e.f.ip6.arpa", ""),
];

/// The zones of [`LOCAL`].
pub(super) fn zones() -> Snapshot {
    let zone = |(origin, records): &(&str, &str)| {
        let text = format!(
            "$ORIGIN {origin}.\n$TTL {TTL_SECONDS}\n@ SOA localhost. nobody.invalid. 1 3600 1200 604800 {TTL_SECONDS}\n\
             @ NS localhost.\n{records}"
        );
        file::read(Path::new("local"), text.as_bytes(), &[]).0
    };
    Snapshot::new(Vec::new()).with_static_zones(LOCAL.iter().filter_map(zone).collect()).synced()
}

/// What the zones of [`LOCAL`] say about a name.
pub(super) fn ask(zones: &Snapshot, name: &Name, qtype: u16) -> Option<UpstreamResponse> {
    UpstreamResponse::read(message(zones, name, qtype)?, "", Bounds { min_ttl: 0, max_ttl: TTL_SECONDS })
}

/// The reply of zones to a query for a name.
pub(super) fn message(zones: &Snapshot, name: &Name, qtype: u16) -> Option<Message> {
    let mut message = Message::query();
    message.add_query(Query::query(name.clone(), RecordType::from(qtype)));
    let packet = message.to_vec().ok()?;
    let mut out = vec![0; MESSAGE_MAX];
    match answer(&packet, zones, QueryContext::new(Transport::Tcp, 1232, 0), &mut out) {
        Verdict::Reply(length) => Message::from_vec(out.get(..length)?).ok(),
        _ => None,
    }
}
