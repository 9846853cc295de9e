//! The memory that requests and replies may take together: a request that needs more than is left is refused.
//!
//! What is taken is an estimate of what will be made, taken before it is made, and given back when it is gone.

use super::status::StatusFailure;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How long it counts as exhausted after a request was refused.
const EXHAUSTED_FOR: Duration = Duration::from_secs(2);

/// What there is, and what of it is taken, in octets.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    taken: AtomicUsize,
    /// Who was turned away, in all.
    refused: AtomicU64,
    begun: Instant,
    /// When a request was refused the last time, in milliseconds since the beginning; 0 for never.
    last_refused: AtomicU64,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    octets: usize,
}

/// There is not so much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetExhausted;

impl Budget {
    /// A budget of so many octets, of which nothing is taken.
    pub fn new(limit: usize) -> Arc<Budget> {
        Arc::new(Budget {
            limit,
            taken: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            begun: Instant::now(),
            last_refused: AtomicU64::new(0),
        })
    }

    /// Takes so much, if it is there.
    pub fn take(self: &Arc<Budget>, octets: usize) -> Result<Share, BudgetExhausted> {
        let mut share = Share { budget: Arc::clone(self), octets: 0 };
        share.grow(octets)?;
        Ok(share)
    }

    /// What is taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many requests were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether a request was refused just now, so that holders of memory that they do not need should give it back.
    pub fn is_pressed(&self) -> bool {
        let last = Duration::from_millis(self.last_refused.load(Ordering::Relaxed));
        !last.is_zero() && self.begun.elapsed().saturating_sub(last) < EXHAUSTED_FOR
    }

    fn add(&self, octets: usize) -> Result<(), BudgetExhausted> {
        let enough = |taken: usize| taken.checked_add(octets).filter(|taken| *taken <= self.limit);
        if self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok() {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.last_refused.store(now, Ordering::Relaxed);
        Err(BudgetExhausted)
    }
}

impl Share {
    /// Takes more; what it has stays its own if that is not there.
    pub fn grow(&mut self, octets: usize) -> Result<(), BudgetExhausted> {
        self.budget.add(octets)?;
        self.octets += octets;
        Ok(())
    }

    /// Takes as much as is missing to so much.
    pub fn grow_to(&mut self, octets: usize) -> Result<(), BudgetExhausted> {
        self.grow(octets.saturating_sub(self.octets))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

impl From<BudgetExhausted> for StatusFailure {
    fn from(_: BudgetExhausted) -> StatusFailure {
        StatusFailure::too_many(
            "requests and replies take all the memory that they may (limits.apiOctets), please try again later",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let budget = Budget::new(10);
        let mut first = budget.take(4).unwrap();
        assert!(!budget.is_pressed());
        assert_eq!(budget.take(7).unwrap_err(), BudgetExhausted);
        assert!(budget.is_pressed());
        let second = budget.take(6).unwrap();
        assert_eq!(first.grow(1), Err(BudgetExhausted));
        drop(second);
        first.grow_to(10).unwrap();
        first.grow_to(3).unwrap();
        assert_eq!((budget.taken(), budget.refused()), (10, 2));
        assert_eq!(first.grow(usize::MAX), Err(BudgetExhausted));
        drop(first);
        assert_eq!(budget.taken(), 0);
    }
}
