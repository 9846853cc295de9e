//! Which replies of a batch leave as one: the system takes several datagrams to one client in a single piece, and its
//! work for each piece is most of what a query costs.
//!
//! Linux cuts such a piece into datagrams of one length, of which only the last may be shorter (UDP_SEGMENT, udp(7)).
//! Clients of many outstanding queries over one socket are caches and load balancers; everybody else's replies leave
//! one by one as ever.

/// Most datagrams in a piece (`UDP_MAX_SEGMENTS` of linux/udp.h, where it is smallest).
const SEGMENTS_MAX: usize = 64;
/// Most octets in a piece: what an IPv4 datagram can hold, and some room.
const PIECE_OCTETS_MAX: usize = 65_000;
/// The longest datagram that is sent with others: each must fit the link whole, and this fits every one that carries
/// IPv6 (RFC 8200 §5).
const SEGMENT_OCTETS_MAX: u16 = 1232;

/// A reply that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OutgoingReply(u64);

impl OutgoingReply {
    /// `client` may be the same for two clients, if seldom; `index` is the reply's place in the batch.
    pub(super) fn new(client: u32, length: usize, index: u8) -> OutgoingReply {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        // In this order those of one client stand together, the longest first.
        OutgoingReply(u64::from(client) << 32 | u64::from(!length) << 16 | u64::from(index))
    }

    fn client(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn length(self) -> u16 {
        !((self.0 >> 16) as u16)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0 as u8)
    }
}

/// Puts the replies in order; [`next_piece`] takes them from the front.
pub(super) fn sort(replies: &mut [OutgoingReply]) {
    // One client, equal lengths, or a single reply: nothing to do.
    if !replies.is_sorted() {
        replies.sort_unstable();
    }
}

/// How many of the first replies leave as one; `same` returns for two replies, by their places in the batch, whether
/// they go to the same client from the same address. At least 1 unless there is none.
pub(super) fn next_piece(replies: &[OutgoingReply], same: impl Fn(usize, usize) -> bool) -> usize {
    let Some((&first, others)) = replies.split_first() else { return 0 };
    if first.length() > SEGMENT_OCTETS_MAX || first.length() == 0 {
        return 1;
    }
    let (mut count, mut octets) = (1, usize::from(first.length()));
    for &other in others {
        octets += usize::from(other.length());
        let together = other.client() == first.client() && same(first.index(), other.index());
        if !together || count == SEGMENTS_MAX || octets > PIECE_OCTETS_MAX {
            break;
        }
        count += 1;
        // A shorter one is the last.
        if other.length() < first.length() {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies as (client, length), and the pieces that they leave in.
    #[test]
    fn pieces() {
        type Of = (u32, usize);
        let rows: [(&[Of], &[&[Of]]); 8] = [
            (&[], &[]),
            (&[(1, 90)], &[&[(1, 90)]]),
            (&[(1, 90), (2, 90), (1, 90)], &[&[(1, 90), (1, 90)], &[(2, 90)]]),
            // The last of a piece may be shorter, no other.
            (&[(1, 80), (1, 90), (1, 90), (1, 80)], &[&[(1, 90), (1, 90), (1, 80)], &[(1, 80)]]),
            (&[(1, 70), (1, 80), (1, 90)], &[&[(1, 90), (1, 80)], &[(1, 70)]]),
            // What may not fit the link goes alone.
            (&[(1, 1233), (1, 1233), (1, 1232)], &[&[(1, 1233)], &[(1, 1233)], &[(1, 1232)]]),
            // Two clients that only look the same; see `same` below.
            (&[(7, 50), (7, 51)], &[&[(7, 51)], &[(7, 50)]]),
            (&[(1, 1), (1, 1)], &[&[(1, 1), (1, 1)]]),
        ];
        for (replies, expected) in rows {
            let mut sorted: Vec<OutgoingReply> =
                (0_u8..).zip(replies).map(|(index, row)| OutgoingReply::new(row.0, row.1, index)).collect();
            sort(&mut sorted);
            let mut got: Vec<Vec<(u32, usize)>> = Vec::new();
            let mut rest = &sorted[..];
            loop {
                let count = next_piece(rest, |one, other| replies[one].0 != 7 || one == other);
                if count == 0 {
                    break;
                }
                got.push(rest[..count].iter().map(|reply| replies[reply.index()]).collect());
                rest = &rest[count..];
            }
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_piece_has_bounds() {
        let of = |length| (0..=u8::MAX).map(|index| OutgoingReply::new(1, length, index)).collect::<Vec<_>>();
        assert_eq!(next_piece(&of(100), |_, _| true), SEGMENTS_MAX);
        assert_eq!(next_piece(&of(1232), |_, _| true), PIECE_OCTETS_MAX / 1232);
    }
}
