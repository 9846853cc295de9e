//! How many replies over UDP go to one network in a second, so that no network is flooded with answers that an attacker
//! asked for in its name (response rate limiting).
//!
//! An account for each network and kind of answer gains so many replies a second, holds at most those of one second, and
//! owes at most those of the window; who owes gets none, but for each so manieth, which has honest clients come over TCP
//! or with a cookie. The table of accounts never grows: the one that was used longest ago gives its place away.

use super::RateLimit;
use crate::dns::{
    answer::{QuerySummary, Verdict},
    wire::{Rcode, cookie::ShownCookie},
};
use foldhash::fast::RandomState;
use std::{
    hash::BuildHasher,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Accounts that share a lock, and places.
const ACCOUNTS_PER_LOCK: usize = 8;
/// A reply in thousandths, in which accounts are kept.
const THOUSANDTHS_PER_REPLY: i64 = 1000;

/// What becomes of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    /// It is sent.
    No,
    /// Nothing is sent.
    Dropped,
    /// A short one is sent in its place.
    Slipped,
}

/// What replies are counted by, besides the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ReplyKind {
    Records,
    NoRecords,
    NoName,
    Referral,
    Forwarded,
    /// Transfers, signed queries, everything that is refused or not understood.
    Other,
}

impl ReplyKind {
    fn of(seen: &QuerySummary<'_>, verdict: Verdict, reply: &[u8]) -> ReplyKind {
        const AUTHORITATIVE: u8 = 4;
        let answers = reply.get(6..8).is_some_and(|count| count != [0, 0]);
        let authoritative = reply.get(2).is_some_and(|flags| flags & AUTHORITATIVE != 0);
        match (verdict, seen.rcode) {
            (Verdict::Forward(_), _) => ReplyKind::Forwarded,
            (Verdict::Reply(_), Rcode::NOERROR) if answers || seen.truncated => ReplyKind::Records,
            (Verdict::Reply(_), Rcode::NOERROR) if authoritative => ReplyKind::NoRecords,
            (Verdict::Reply(_), Rcode::NOERROR) => ReplyKind::Referral,
            (Verdict::Reply(_), Rcode::NXDOMAIN) => ReplyKind::NoName,
            _ => ReplyKind::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    /// The network and kind it is for; 0 while it is unused.
    of: u64,
    /// Thousandths of replies that may be sent, or are owed.
    balance: i64,
    /// Milliseconds after the start when it was used last.
    used: u64,
    /// Replies left out since the last one that slipped.
    left_out: u32,
}

/// Accounts of all networks.
#[derive(Debug)]
pub(super) struct RateLimiter {
    limit: RateLimit,
    start: Instant,
    hasher: RandomState,
    table: Box<[Mutex<[Account; ACCOUNTS_PER_LOCK]>]>,
}

impl RateLimiter {
    /// `None` where there is no limit.
    pub(super) fn new(limit: &RateLimit) -> Option<RateLimiter> {
        let sets = limit.table.div_ceil(ACCOUNTS_PER_LOCK).max(1);
        (limit.responses > 0).then(|| RateLimiter {
            limit: limit.clone(),
            start: Instant::now(),
            hasher: RandomState::default(),
            table: (0..sets).map(|_| Mutex::default()).collect(),
        })
    }

    /// Charges a reply to its client's network. Clients that have shown a good cookie are who they say, and never pay.
    pub(super) fn judge(
        &self,
        (source, now): (IpAddr, Instant),
        seen: &QuerySummary<'_>,
        verdict: Verdict,
        reply: &[u8],
    ) -> Limited {
        if verdict == Verdict::Drop || seen.cookie == ShownCookie::Good {
            return Limited::No;
        }
        let of = self.hasher.hash_one((self.network(source), ReplyKind::of(seen, verdict, reply))).max(1);
        let now = u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX);
        let limited = self.charge(of, now);
        // A reply that the client would not believe without a signature.
        if verdict == Verdict::Signed && limited == Limited::Slipped { Limited::Dropped } else { limited }
    }

    /// The client's address without the bits that distinguish neighbours.
    fn network(&self, source: IpAddr) -> u128 {
        let (bits, width, length) = match source.to_canonical() {
            IpAddr::V4(source) => (u128::from(u32::from(source)) | 1 << 127, 32, self.limit.ipv4_prefix),
            IpAddr::V6(source) => (u128::from(source), 128, self.limit.ipv6_prefix),
        };
        let host = width - length.min(width);
        bits.checked_shr(host).unwrap_or(0).checked_shl(host).unwrap_or(0)
    }

    fn charge(&self, of: u64, now: u64) -> Limited {
        let rate = i64::from(self.limit.responses) * THOUSANDTHS_PER_REPLY;
        let window = i64::try_from(self.limit.window.as_millis()).unwrap_or(i64::MAX);
        let place = (of % self.table.len() as u64) as usize;
        let mut set = self.table[place].lock().unwrap_or_else(PoisonError::into_inner);
        let known = set.iter().position(|account| account.of == of);
        let oldest = || set.iter().enumerate().min_by_key(|(_, account)| account.used).map_or(0, |(place, _)| place);
        let way = known.unwrap_or_else(oldest);
        let account = &mut set[way];
        if known.is_none() {
            *account = Account { of, balance: rate, used: now, left_out: 0 };
        }
        let passed = i64::try_from(now.saturating_sub(account.used)).unwrap_or(i64::MAX);
        let gained = passed.saturating_mul(i64::from(self.limit.responses));
        account.used = account.used.max(now);
        account.balance = account.balance.saturating_add(gained).min(rate).saturating_sub(THOUSANDTHS_PER_REPLY);
        if account.balance >= 0 {
            account.left_out = 0;
            return Limited::No;
        }
        account.balance = account.balance.max(-window.saturating_mul(i64::from(self.limit.responses)));
        account.left_out += 1;
        if self.limit.slip == 0 || account.left_out < self.limit.slip {
            return Limited::Dropped;
        }
        account.left_out = 0;
        Limited::Slipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limiter(slip: u32, table: usize) -> RateLimiter {
        let limit = RateLimit { responses: 10, window: Duration::from_secs(5), slip, table, ..RateLimit::default() };
        RateLimiter::new(&limit).unwrap()
    }

    fn ask(limiter: &RateLimiter, source: &str, millis: u64, rcode: Rcode, cookie: ShownCookie) -> Limited {
        let seen = QuerySummary { rcode, cookie, ..QuerySummary::default() };
        let now = limiter.start + Duration::from_millis(millis);
        limiter.judge((source.parse().unwrap(), now), &seen, Verdict::Reply(12), &[0; 12])
    }

    /// How many of so many queries at one time are answered, dropped, slipped.
    fn burst(limiter: &RateLimiter, source: &str, millis: u64, count: usize) -> [usize; 3] {
        let mut outcomes = [0; 3];
        for _ in 0..count {
            outcomes[ask(limiter, source, millis, Rcode::NXDOMAIN, ShownCookie::Nothing) as usize] += 1;
        }
        outcomes
    }

    #[test]
    fn a_network_gets_its_rate_and_pays_for_the_window() {
        let limiter = limiter(2, 1000);
        assert_eq!(burst(&limiter, "192.0.2.1", 0, 30), [10, 10, 10]);
        // Neighbours share; other kinds, other networks and clients with a cookie do not.
        assert_eq!(burst(&limiter, "192.0.2.99", 0, 2), [0, 1, 1]);
        assert_eq!(burst(&limiter, "192.0.3.1", 0, 10), [10, 0, 0]);
        assert_eq!(ask(&limiter, "192.0.2.1", 0, Rcode::REFUSED, ShownCookie::Client), Limited::No);
        for _ in 0..100 {
            assert_eq!(ask(&limiter, "192.0.2.1", 0, Rcode::NXDOMAIN, ShownCookie::Good), Limited::No);
        }
        // It owes 22 replies, which take 2.2 s; from then on it has its rate again.
        assert_eq!(burst(&limiter, "192.0.2.1", 2_000, 1)[0], 0);
        assert_eq!(burst(&limiter, "192.0.2.1", 2_500, 5), [2, 2, 1]);
        // Whatever is asked, no more than the window is owed.
        burst(&limiter, "192.0.2.1", 3_000, 10_000);
        assert_eq!(burst(&limiter, "192.0.2.1", 7_900, 1)[0], 0);
        assert_eq!(burst(&limiter, "192.0.2.1", 60_000, 30), [10, 10, 10]);
    }

    #[test]
    fn slips() {
        for (slip, expected) in [(0, [10, 40, 0]), (1, [10, 0, 40]), (4, [10, 30, 10])] {
            assert_eq!(burst(&limiter(slip, 1000), "2001:db8::1", 0, 50), expected, "{slip}");
        }
    }

    #[test]
    fn networks_have_their_lengths() {
        let limiter = limiter(2, 1000);
        let same = [
            ("192.0.2.1", "192.0.2.255", true),
            ("192.0.2.1", "::ffff:192.0.2.7", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("2001:db8::1", "2001:db8:0:ff::1", true),
            ("2001:db8::1", "2001:db8:0:100::1", false),
            ("0.0.0.1", "::1", false),
        ];
        for (one, other, expected) in same {
            let network = |text: &str| limiter.network(text.parse().unwrap());
            assert_eq!(network(one) == network(other), expected, "{one} {other}");
        }
    }

    /// However many networks there are, the table keeps its size, and who floods is still known.
    #[test]
    fn the_table_is_bounded() {
        let limiter = limiter(2, 64);
        assert_eq!(limiter.table.len() * ACCOUNTS_PER_LOCK, 64);
        let mut answered = 0;
        for number in 0..20_000_u32 {
            let source = IpAddr::from(std::net::Ipv4Addr::from(number << 8));
            let seen = QuerySummary { rcode: Rcode::NXDOMAIN, ..QuerySummary::default() };
            limiter.judge((source, limiter.start), &seen, Verdict::Reply(12), &[0; 12]);
            answered += burst(&limiter, "203.0.113.1", u64::from(number / 100), 1)[0];
        }
        // 0.2 s of 10 a second, and what it had; a place that was given away begins anew now and then.
        assert!(answered < 2_000, "{answered}");
    }
}
