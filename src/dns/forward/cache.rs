//! Answers that are kept: bounded in number, size and time.

use super::response::UpstreamResponse;
use moka::sync;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Larger answers are asked for again each time: they are rare, and a cache of them would have no useful bound.
const ANSWER_OCTETS_MAX: usize = 4096;
/// For how long an answer beyond its time is given before the upstreams are tried again (RFC 8767 §5).
const STALE_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// What an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    /// In wire form and lower case.
    pub(super) name: Box<[u8]>,
    pub(super) qtype: u16,
    pub(super) dnssec_ok: bool,
    pub(super) checking_disabled: bool,
}

/// An answer with its age.
#[derive(Debug, Clone)]
pub(super) struct CacheEntry {
    pub(super) said: Arc<UpstreamResponse>,
    received: Instant,
    /// Until when it is given though it is beyond its time.
    stale_until: Option<Instant>,
}

impl CacheEntry {
    /// An answer that is given once and not kept.
    pub(super) fn passing(said: UpstreamResponse, now: Instant) -> CacheEntry {
        CacheEntry { said: Arc::new(said), received: now, stale_until: None }
    }

    /// Seconds since it was received.
    pub(super) fn age(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.received).as_secs()).unwrap_or(u32::MAX)
    }

    /// Whether it is within its time.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.age(now) < self.said.lifetime
    }
}

/// All answers that are kept.
#[derive(Debug)]
pub(super) struct Cache {
    entries: sync::Cache<CacheKey, CacheEntry>,
    stale: Duration,
}

impl Cache {
    /// Room for so many answers; each may be used for `stale` beyond its time.
    pub(super) fn new(entries: u64, max_ttl: u32, stale: Duration) -> Cache {
        let lifetime = Duration::from_secs(max_ttl.into()) + stale + STALE_RETRY_INTERVAL;
        Cache { entries: sync::Cache::builder().max_capacity(entries).time_to_live(lifetime).build(), stale }
    }

    /// An answer that can be given without asking anybody.
    pub(super) fn get(&self, key: &CacheKey, now: Instant) -> Option<CacheEntry> {
        let kept = self.entries.get(key)?;
        (kept.is_fresh(now) || kept.stale_until.is_some_and(|until| now < until)).then_some(kept)
    }

    /// Keeps a new answer, unless it may not be kept; returns it as it is to be given.
    pub(super) fn put(&self, key: &CacheKey, said: UpstreamResponse, now: Instant) -> CacheEntry {
        let kept = CacheEntry { said: Arc::new(said), received: now, stale_until: None };
        // A cache of 0 entries holds one for a moment.
        let wanted = self.entries.policy().max_capacity() != Some(0);
        if wanted && kept.said.lifetime > 0 && kept.said.size() <= ANSWER_OCTETS_MAX {
            self.entries.insert(key.clone(), kept.clone());
        }
        kept
    }

    /// An answer beyond its time, now that nobody could be asked; it is given for a while from now on.
    pub(super) fn stale(&self, key: &CacheKey, now: Instant) -> Option<CacheEntry> {
        let mut kept = self.entries.get(key)?;
        let expired = Duration::from_secs(kept.said.lifetime.into()) + self.stale;
        if self.stale.is_zero() || now.saturating_duration_since(kept.received) >= expired {
            return None;
        }
        kept.stale_until = Some(now + STALE_RETRY_INTERVAL);
        self.entries.insert(key.clone(), kept.clone());
        Some(kept)
    }

    /// About how many answers there are.
    pub(super) fn len(&self) -> u64 {
        self.entries.entry_count()
    }
}
