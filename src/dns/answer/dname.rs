//! Names below a DNAME: the CNAME that is made for each (RFC 6672 §3).

use super::{Answering, Followed, ReplyStatus};
use crate::dns::{
    name::{NAME_MAX, wire_length},
    wire::{
        Rcode,
        rdata::RecordType,
        response::{MessageSection, RecordOwner},
    },
    zone::Node,
};

impl<'s> Answering<'s, '_> {
    /// Writes the DNAME of `above` and the CNAME that it makes of `name`, and follows that. It stands apart, with a buffer
    /// of its own, so that other answers have nothing to do with it.
    #[cold]
    #[inline(never)]
    pub(super) fn substitute<'n>(
        &mut self,
        above: &'s Node,
        name: &'n [u8],
        owner: RecordOwner<'_>,
        qtype: RecordType,
        mut followed: Followed<'n>,
    ) -> ReplyStatus<'s> {
        let ours = ReplyStatus::ours(Rcode::NOERROR);
        let Some(set) = above.set(RecordType::DNAME) else { return ours };
        let Some(ending) = set.rdata().next().and_then(|rdata| rdata.get(..wire_length(rdata)?)) else { return ours };
        if !self.response.whole_set(MessageSection::Answer, RecordOwner::Name(above.wire_name()), &set.ready(), 0) {
            self.response.truncate();
            return ours;
        }
        let mut made = [0; NAME_MAX];
        let kept = name.len().saturating_sub(above.wire_name().len());
        let length = kept + ending.len();
        let Some(target) = made.get_mut(..length) else { return ReplyStatus::ours(Rcode::YXDOMAIN) };
        target[..kept].copy_from_slice(&name[..kept]);
        target[kept..].copy_from_slice(ending);
        let target: &[u8] = target;
        // Its TTL is that of the DNAME (RFC 6672 §3.1).
        if !self.response.record(MessageSection::Answer, owner, RecordType::CNAME, set.ttl(), target) {
            self.response.truncate();
            return ours;
        }
        if qtype == RecordType::CNAME {
            return ours;
        }
        followed.add(name);
        match self.next(target, qtype, &followed) {
            Ok(zone) => self.follow(zone, target, RecordOwner::Name(target), qtype, followed),
            Err(outcome) => outcome,
        }
    }
}
