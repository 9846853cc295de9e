//! Messages of a stream, each with its length in two octets in front (RFC 1035 §4.2.2), found in what has arrived.

use crate::dns::wire::MESSAGE_MAX;

/// What the octets that have arrived begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole message; what follows it begins after two octets more than it is long.
    Message(&'a [u8]),
    /// A length of 0, which no message has.
    Empty,
    /// So many octets at least are missing until there is a message.
    Incomplete(usize),
}

impl<'a> Frame<'a> {
    /// Looks at the beginning of `octets`. Any octets give one of the three; nothing is kept and nothing copied.
    pub fn first(octets: &'a [u8]) -> Frame<'a> {
        let Some((&prefix, rest)) = octets.split_first_chunk() else {
            // The shortest message that is none takes one octet more.
            return Frame::Incomplete(3 - octets.len());
        };
        match usize::from(u16::from_be_bytes(prefix)) {
            0 => Frame::Empty,
            length => match rest.get(..length) {
                Some(message) => Frame::Message(message),
                None => Frame::Incomplete(length - rest.len()),
            },
        }
    }

    /// How many octets it takes up.
    pub fn length(&self) -> usize {
        match self {
            Frame::Message(message) => 2 + message.len(),
            Frame::Empty => 2,
            Frame::Incomplete(_) => 0,
        }
    }
}

/// Appends a message with its length in front, so that both leave in one write (RFC 7766 §8). What does not fit in a
/// message is cut off; no caller makes such replies.
pub(super) fn append(output: &mut Vec<u8>, message: &[u8]) {
    let message = &message[..message.len().min(MESSAGE_MAX)];
    output.extend_from_slice(&(message.len() as u16).to_be_bytes());
    output.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_octets_begin_with() {
        let rows: [(&[u8], Frame<'_>); 8] = [
            (&[], Frame::Incomplete(3)),
            (&[0], Frame::Incomplete(2)),
            (&[0, 0], Frame::Empty),
            (&[0, 0, 9], Frame::Empty),
            (&[0, 3], Frame::Incomplete(3)),
            (&[0, 3, 7], Frame::Incomplete(2)),
            (&[0, 1, 7], Frame::Message(&[7])),
            (&[0, 1, 7, 0, 1], Frame::Message(&[7])),
        ];
        for (octets, expected) in rows {
            assert_eq!(Frame::first(octets), expected, "{octets:?}");
        }
    }

    proptest! {
        /// However a stream is cut into pieces, the messages in it are the same.
        #[test]
        fn cuts_change_nothing(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            cuts in prop::collection::vec(1_usize..200, 1..40),
        ) {
            let mut octets = Vec::new();
            for message in &messages {
                append(&mut octets, message);
            }
            let (mut arrived, mut found, mut cuts) = (Vec::new(), Vec::new(), cuts.iter().cycle());
            let mut rest = octets.as_slice();
            while let Some(cut) = cuts.next().filter(|_| !rest.is_empty()) {
                let (piece, later) = rest.split_at((*cut).min(rest.len()));
                arrived.extend_from_slice(piece);
                rest = later;
                while let frame @ Frame::Message(message) = Frame::first(&arrived) {
                    let length = frame.length();
                    found.push(message.to_vec());
                    arrived.drain(..length);
                }
            }
            prop_assert!(arrived.is_empty());
            prop_assert_eq!(found, messages);
        }
    }
}
