//! Pods' addresses from CIDR ranges; an address just freed is the last to be used again.
