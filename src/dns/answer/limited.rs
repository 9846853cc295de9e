//! The reply to a client that gets no full answer because too many went to its neighbourhood.

use super::{QueryContext, reply_edns};
use crate::dns::wire::{
    Rcode, UDP_MAX_WITHOUT_EDNS, cookie,
    cookie::ShownCookie,
    edns::OPT_LENGTH,
    query::Query,
    response::{ReplyEdns, Response},
};

/// Writes a reply of about the query's size that has a client come again in a way nobody can forge: with the cookie that
/// stands in the reply if it sent one (BADCOOKIE), else over TCP (TC). Returns its length; 0 if there can be none.
pub fn slipped(packet: &[u8], request: QueryContext<'_>, out: &mut [u8]) -> usize {
    let Some(query) = Query::parse(packet) else { return 0 };
    let cookie = request.cookie(&query, packet);
    let reserved = query.edns.map_or(0, |_| OPT_LENGTH + cookie.map_or(0, |_| cookie::OPTION_OCTETS));
    let question = query.question.map(|question| question.octets);
    let Some(mut response) = Response::new(out, query.header, question, UDP_MAX_WITHOUT_EDNS, reserved) else {
        return 0;
    };
    if request.forwarding {
        response.recursion_available();
    }
    let rcode = match cookie {
        Some(cookie) if cookie.shown != ShownCookie::Good => Rcode::BADCOOKIE,
        _ => {
            response.truncate();
            Rcode::NOERROR
        }
    };
    let edns = query.edns.map(|edns| ReplyEdns { keepalive: None, ..reply_edns(request, edns, cookie.as_ref()) });
    response.finish(rcode, false, edns)
}
