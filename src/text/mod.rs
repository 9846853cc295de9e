//! What people write, and what is made of text: durations, words that were nearly right, percent-encoding, hashes. Nothing
//! here knows DNS or Kubernetes.

mod duration;
mod fnv1a;
mod nearest;
pub mod percent;

pub use duration::{format_duration, parse_duration};
pub use fnv1a::{Fnv1a, fnv1a};
pub use nearest::nearest;
