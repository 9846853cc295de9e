//! What a container without a terminal wrote, out of the frames of 8 octets and a payload in which an engine sends it.

use crate::engine::sandbox::{EngineError, LogFrame};

/// Octets before each payload: the stream, three zeros, the payload's length (big-endian).
const HEAD_OCTETS: usize = 8;

/// Takes frames apart as their octets come. Payloads are passed on in pieces, so that nothing waits for the end of a long
/// one.
#[derive(Debug)]
pub struct Frames {
    /// Whether there are frames at all: what a terminal shows comes as it is.
    framed: bool,
    head: [u8; HEAD_OCTETS],
    /// Octets of the head that have come.
    filled: usize,
    /// Octets of the payload that are to come.
    remaining: usize,
}

impl Frames {
    /// Frames, or (of a terminal) octets as they are.
    pub fn new(is_terminal: bool) -> Frames {
        Frames { framed: !is_terminal, head: [0; HEAD_OCTETS], filled: 0, remaining: 0 }
    }

    /// Takes the next octets, and returns what the container wrote.
    ///
    /// # Errors
    ///
    /// [`EngineError::Malformed`] for a head that is none.
    pub fn take(&mut self, mut octets: &[u8]) -> Result<Vec<LogFrame>, EngineError> {
        let mut frames = Vec::new();
        if !self.framed {
            if !octets.is_empty() {
                frames.push(LogFrame::Output(octets.to_vec()));
            }
            return Ok(frames);
        }
        while let Some((first, rest)) = octets.split_first() {
            if self.remaining > 0 {
                let (payload, rest) = octets.split_at(self.remaining.min(octets.len()));
                self.remaining -= payload.len();
                octets = rest;
                // 0 is the standard input, sent back; 3 is what the engine itself has to say.
                let is_error = matches!(self.head.first(), Some(2 | 3));
                let payload = payload.to_vec();
                frames.push(if is_error { LogFrame::Error(payload) } else { LogFrame::Output(payload) });
                continue;
            }
            octets = rest;
            let position = self.filled % HEAD_OCTETS;
            if let Some(octet) = self.head.get_mut(position) {
                *octet = *first;
            }
            self.filled = (position + 1) % HEAD_OCTETS;
            if self.filled == 0 {
                let [stream, 0, 0, 0, a, b, c, d] = self.head else { return Err(malformed(self.head)) };
                if stream > 3 {
                    return Err(malformed(self.head));
                }
                self.remaining = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            }
        }
        Ok(frames)
    }

    /// Whether the octets so far end with a whole frame.
    pub fn is_complete(&self) -> bool {
        self.filled == 0 && self.remaining == 0
    }
}

fn malformed(head: [u8; HEAD_OCTETS]) -> EngineError {
    EngineError::Malformed(format!("{head:?} is not the head of a frame"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joined(frames: Vec<LogFrame>) -> (Vec<u8>, Vec<u8>) {
        let mut joined = (Vec::new(), Vec::new());
        for frame in frames {
            match frame {
                LogFrame::Output(octets) => joined.0.extend(octets),
                LogFrame::Error(octets) => joined.1.extend(octets),
            }
        }
        joined
    }

    #[test]
    fn heads() {
        type Row<'a> = (&'a [u8], Option<(&'a str, &'a str)>);
        let rows: [Row<'_>; 7] = [
            (b"", Some(("", ""))),
            (b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x01!", Some(("hi", "!"))),
            (b"\x01\0\0\0\0\0\0\0", Some(("", ""))),
            (b"\x03\0\0\0\0\0\0\x01?", Some(("", "?"))),
            (b"\x01\0\0\0\xff\xff\xff\xffhalf", Some(("half", ""))),
            (b"\x04\0\0\0\0\0\0\x01?", None),
            (b"plain text", None),
        ];
        for (octets, expected) in rows {
            let found = Frames::new(false).take(octets).ok().map(joined);
            let expected = expected.map(|(output, error)| (output.as_bytes().to_vec(), error.as_bytes().to_vec()));
            assert_eq!(found, expected, "{octets:?}");
        }
        assert_eq!(Frames::new(true).take(b"plain").unwrap(), [LogFrame::Output(b"plain".to_vec())]);
    }

    proptest! {
        #[test]
        fn what_was_written_arrives_however_it_is_cut(
            written in prop::collection::vec((1..=2u8, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
            size in 1..50usize,
        ) {
            let mut octets = Vec::new();
            let mut expected = (Vec::new(), Vec::new());
            for (stream, payload) in &written {
                octets.extend([*stream, 0, 0, 0]);
                octets.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
                octets.extend(payload);
                if *stream == 1 { &mut expected.0 } else { &mut expected.1 }.extend(payload);
            }
            let mut frames = Frames::new(false);
            let mut found = Vec::new();
            for piece in octets.chunks(size) {
                found.extend(frames.take(piece).unwrap());
            }
            prop_assert_eq!(joined(found), expected);
            prop_assert!(frames.is_complete());
        }

        #[test]
        fn junk_does_no_harm(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::new(false);
            for piece in octets.chunks(7) {
                let _ = frames.take(piece);
            }
        }
    }
}
