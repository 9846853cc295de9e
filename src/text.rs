//! What people write and read: values, places, messages, YAML. Nothing here knows DNS or Kubernetes.

pub mod diagnostic;
pub mod duration;
pub mod escape;
pub mod fnv1a;
pub mod nearest;
pub mod options;
pub mod percent;
pub mod regular_file;
pub mod yaml;
