//! What follows the head of a reply, read piece by piece, as a whole up to a limit, or line by line.

use super::{Connection, failed};
use crate::engine::sandbox::EngineError;
use http_body_util::BodyExt;
use hyper::{
    body::{Bytes, Incoming},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use std::{fmt, path::PathBuf};
use tokio::io::AsyncReadExt;

/// Octets that are read from a stream at a time.
const PIECE_OCTETS: usize = 16 * 1024;

/// Where the octets come from.
pub(super) enum Source {
    /// The body of a reply.
    Body(Incoming),
    /// A connection that is a plain stream by now.
    Stream(TokioIo<Upgraded>),
}

/// What follows the head of a reply.
pub struct ReplyBody {
    source: Source,
    socket: PathBuf,
    /// Ends with this.
    _connection: Connection,
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBody").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl ReplyBody {
    pub(super) fn new(source: Source, connection: Connection, socket: PathBuf) -> ReplyBody {
        ReplyBody { source, socket, _connection: connection }
    }

    /// The next octets; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`EngineError::Unreachable`] if the connection ends before the body does.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, EngineError> {
        match &mut self.source {
            Source::Body(body) => loop {
                match body.frame().await {
                    None => return Ok(None),
                    Some(Err(error)) => return Err(failed(&self.socket, &error)),
                    Some(Ok(frame)) => {
                        if let Ok(octets) = frame.into_data() {
                            return Ok(Some(octets));
                        }
                    }
                }
            },
            Source::Stream(stream) => {
                let mut octets = vec![0; PIECE_OCTETS];
                let length = stream.read(&mut octets).await.map_err(|error| {
                    EngineError::Unreachable(format!("{}: the connection broke: {error}", self.socket.display()))
                })?;
                octets.truncate(length);
                Ok((length > 0).then(|| octets.into()))
            }
        }
    }

    /// All octets.
    ///
    /// # Errors
    ///
    /// As [`ReplyBody::piece`]; [`EngineError::Malformed`] if there are more than `limit`.
    pub async fn whole(mut self, limit: usize) -> Result<Vec<u8>, EngineError> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece().await? {
            if all.len().saturating_add(piece.len()) > limit {
                return Err(EngineError::Malformed(format!(
                    "{}: the reply has more than {limit} octets",
                    self.socket.display()
                )));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    /// The body as lines of at most `limit` octets.
    pub fn lines(self, limit: usize) -> Lines {
        Lines { body: self, limit, buffer: Vec::new(), read: 0, searched: 0 }
    }
}

/// The lines of a reply, as they come.
#[derive(Debug)]
pub struct Lines {
    body: ReplyBody,
    limit: usize,
    buffer: Vec<u8>,
    /// Octets of the buffer that were returned.
    read: usize,
    /// Octets of the buffer in which no end of a line is left.
    searched: usize,
}

impl Lines {
    /// The next line without its end; `None` after the last one.
    ///
    /// # Errors
    ///
    /// As [`ReplyBody::piece`]; [`EngineError::Malformed`] for a line that is too long.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, EngineError> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = rest.iter().position(|octet| *octet == b'\n') {
                let end = self.searched + at;
                let line = self.buffer.get(self.read..end).unwrap_or_default().to_vec();
                self.read = end + 1;
                self.searched = self.read;
                return Ok(Some(line));
            }
            self.buffer.drain(..self.read.min(self.buffer.len()));
            self.read = 0;
            self.searched = self.buffer.len();
            if self.buffer.len() > self.limit {
                return Err(EngineError::Malformed(format!("a line of a stream has more than {} octets", self.limit)));
            }
            match self.body.piece().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    return Ok(Some(std::mem::take(&mut self.buffer)));
                }
            }
        }
    }
}
