//! Services as they are stored: addresses and node ports, and what the fields of one have to do with each other.

mod addresses;
mod form;

pub use addresses::ServiceAddresses;
pub use form::family;
