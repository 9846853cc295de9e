//! The shortest history that still fails in the same way.

use crate::{history::History, outcome};

/// The rule that a failure broke: what stands in brackets.
fn rule(failure: &str) -> &str {
    failure.split_once(']').map_or("panic", |(rule, _)| rule)
}

/// Leaves out operations as long as the same rule is broken; which ones stay, by their number, and how it fails then.
pub fn shrink(history: &History, failure: &str) -> (Vec<usize>, String) {
    let mut kept: Vec<usize> = (0..history.operations.len()).collect();
    let mut how = failure.to_owned();
    let mut chunk = kept.len().div_ceil(2).max(1);
    loop {
        let mut is_shorter = false;
        let mut from = 0;
        while from < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(from..(from + chunk).min(kept.len()));
            match outcome(&history.keeping(&fewer)).1 {
                Err(other) if rule(&other) == rule(failure) => {
                    (kept, how, is_shorter) = (fewer, other, true);
                }
                _ => from += chunk,
            }
        }
        if chunk == 1 && !is_shorter {
            return (kept, how);
        }
        chunk = if is_shorter { chunk } else { chunk / 2 }.max(1);
    }
}
