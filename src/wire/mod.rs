//! The DNS message format: what a query holds, how a reply is written, and rdata in wire form.

pub mod rdata;
