//! Sockets and threads around [`crate::answer::answer`].

use crate::{settings::Limits, zone::Reader};
use std::net::SocketAddr;

/// Why a socket could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {transport} {address}: {source}")]
pub struct ListenError {
    /// The address asked for.
    pub address: SocketAddr,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// What the system says.
    pub source: std::io::Error,
}

/// Bound sockets that nobody serves yet.
#[derive(Debug)]
pub struct Sockets {}

/// Threads that answer; stopped by [`Serving::stop`].
#[derive(Debug)]
pub struct Serving {}

impl Sockets {
    /// Binds UDP and TCP of every address; port 0 takes one free port for both.
    pub fn bind(_listen: &[SocketAddr], _limits: &Limits) -> Result<Sockets, ListenError> {
        todo!()
    }
    /// The addresses in fact bound, in the order asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        todo!()
    }
    /// Starts to answer from what `reader` shows.
    pub fn serve(self, _reader: Reader, _limits: Limits) -> std::io::Result<Serving> {
        todo!()
    }
}

impl Serving {
    /// Answers what has been received and stops.
    pub fn stop(self) {}
    /// Whether a thread ended by itself, which must end the process.
    pub fn failed(&self) -> bool {
        false
    }
}
