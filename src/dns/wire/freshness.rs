//! How long a whole reply may be kept, for caches that know nothing of DNS (RFC 8484 §5.1).

use super::{HEADER, Rcode, class, rdata::RecordType, u16_at};

/// Seconds for which a reply holds: the least TTL of its answer; for a negative answer that of its SOA record and the
/// MINIMUM in it (RFC 2308 §5). 0 for everything else: errors, truncated replies, and what cannot be read.
pub fn freshness(reply: &[u8]) -> u32 {
    read(reply).unwrap_or(0)
}

fn read(reply: &[u8]) -> Option<u32> {
    const TC: u16 = 0x0200;
    let flags = u16_at(reply, 2)?;
    let rcode = Rcode(flags & 0x000f);
    if flags & TC != 0 || ![Rcode::NOERROR, Rcode::NXDOMAIN].contains(&rcode) {
        return None;
    }
    let mut at = HEADER;
    for _ in 0..u16_at(reply, 4)? {
        at = after_name(reply, at)? + 4;
    }
    let (answers, authority) = (u16_at(reply, 6)?, u16_at(reply, 8)?);
    let mut least = None;
    for _ in 0..answers {
        let record = RecordTtl::read(reply, at)?;
        least = Some(least.map_or(record.ttl, |ttl: u32| ttl.min(record.ttl)));
        at = record.end;
    }
    // An alias whose target does not exist is both: answer and negative.
    for _ in 0..authority {
        let record = RecordTtl::read(reply, at)?;
        if record.kind == RecordType::SOA && record.class == class::IN {
            let minimum = u32_at(reply, record.end.checked_sub(4)?)?;
            let negative = record.ttl.min(minimum);
            least = Some(least.map_or(negative, |ttl| ttl.min(negative)));
        }
        at = record.end;
    }
    least
}

/// What of a record matters here.
struct RecordTtl {
    kind: RecordType,
    class: u16,
    ttl: u32,
    end: usize,
}

impl RecordTtl {
    fn read(reply: &[u8], at: usize) -> Option<RecordTtl> {
        let fixed = after_name(reply, at)?;
        let end = fixed + 10 + usize::from(u16_at(reply, fixed + 8)?);
        // A TTL with its first bit set counts as 0 (RFC 2181 §8).
        let ttl = u32_at(reply, fixed + 4).map(|ttl| if ttl > super::TTL_MAX { 0 } else { ttl })?;
        (end <= reply.len()).then_some(RecordTtl {
            kind: RecordType(u16_at(reply, fixed)?),
            class: u16_at(reply, fixed + 2)?,
            ttl,
            end,
        })
    }
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

/// Where the name at `at` ends in the message; where a pointer leads to does not matter here.
fn after_name(reply: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *reply.get(at)? {
            0 => return Some(at + 1),
            label if label < 0x40 => at += 1 + usize::from(label),
            label if label >= 0xc0 => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Type, TTL, rdata.
    type Row<'a> = (u16, u32, &'a [u8]);

    /// A reply with these records, the first so many in the answer, the rest in the authority section.
    fn reply(flags: u16, answers: u16, records: &[Row<'_>]) -> Vec<u8> {
        let mut octets = vec![0, 0];
        let authority = records.len() as u16 - answers;
        for field in [flags, 1, answers, authority, 0] {
            octets.extend(field.to_be_bytes());
        }
        octets.extend(b"\x01a\0\0\x01\0\x01");
        for (kind, ttl, rdata) in records {
            octets.extend([0xc0, 12]);
            octets.extend(kind.to_be_bytes());
            octets.extend([0, 1]);
            octets.extend(ttl.to_be_bytes());
            octets.extend((rdata.len() as u16).to_be_bytes());
            octets.extend(*rdata);
        }
        octets
    }

    #[test]
    fn how_long_a_reply_holds() {
        const A: u16 = 1;
        const SOA: u16 = 6;
        let soa = |minimum: u8| [0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, minimum];
        let rows: [(u16, u16, &[Row<'_>], u32); 9] = [
            (0x8400, 2, &[(A, 30, &[1; 4]), (A, 5, &[1; 4])], 5),
            (0x8400, 1, &[(A, 30, &[1; 4]), (2, 3, &[0])], 30),
            (0x8403, 0, &[(SOA, 60, &soa(7))], 7),
            (0x8400, 0, &[(SOA, 6, &soa(7))], 6),
            (0x8403, 1, &[(5, 9, &[0]), (SOA, 60, &soa(1))], 1),
            (0x8400, 0, &[], 0),
            (0x8405, 1, &[(A, 30, &[1; 4])], 0),
            (0x8600, 1, &[(A, 30, &[1; 4])], 0),
            (0x8400, 1, &[(A, 0x8000_0000, &[1; 4])], 0),
        ];
        for (flags, answers, records, expected) in rows {
            let octets = reply(flags, answers, records);
            assert_eq!(freshness(&octets), expected, "{flags:04x} {records:?}");
            for cut in 0..octets.len() {
                freshness(&octets[..cut]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            freshness(&octets);
        }
    }
}
