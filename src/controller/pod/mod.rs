//! Pods: started when their claims are bound, stopped when they are deleted.

mod reconcile;

pub use reconcile::{NODE, phase};
