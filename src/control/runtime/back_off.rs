//! How long a container that crashes again and again waits for its next start.

use std::time::Duration;

/// A container that ran for this long starts again without delay (upstream's kubelet: twice the longest back-off).
pub const CRASHES_FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// After so many crashes in a row, each too soon after the one before. Upstream's kubelet: at once the first time, then
/// 10 s, doubled up to 5 minutes.
pub fn back_off(crashes: u32) -> Duration {
    match crashes {
        0 | 1 => Duration::ZERO,
        more => Duration::from_secs(10u64.saturating_mul(1 << (more - 2).min(6)).min(300)),
    }
}
