//! EDNS (RFC 6891): the OPT record of a query and of a reply, and extended errors (RFC 8914).

use super::{cookie, u16_at};

/// Octets of an OPT record without options.
pub const OPT_LENGTH: usize = 11;
/// The version this server speaks, the only one there is.
pub const VERSION: u8 = 0;
/// The size whose multiples replies over encrypted transports are padded to (RFC 8467 §4.1).
pub const PADDING_BLOCK: usize = 468;

/// Options of the OPT record that are understood.
pub mod option {
    /// The server's name (RFC 5001).
    pub const NSID: u16 = 3;
    /// Proof of the client's address (RFC 7873).
    pub const COOKIE: u16 = 10;
    /// How long a stream may be idle (RFC 7828).
    pub const KEEPALIVE: u16 = 11;
    /// Octets without meaning (RFC 7830).
    pub const PADDING: u16 = 12;
    /// Extended errors (RFC 8914 §2).
    pub const EXTENDED_ERROR: u16 = 15;
}

const DO: u16 = 0x8000;

/// What a query's OPT record says. All options are checked for their form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edns {
    /// The largest UDP reply the client takes; less than 512 counts as 512 (RFC 6891 §6.2.3).
    pub udp_payload: u16,
    /// The version the client speaks.
    pub version: u8,
    /// DNSSEC records are welcome (RFC 3225); only copied, since no zone is signed.
    pub dnssec_ok: bool,
    /// The client wants to know who answers.
    pub nsid: bool,
    /// The client understands keepalive.
    pub keepalive: bool,
    /// The client has padded its message, and its reply is to be padded.
    pub padding: bool,
    /// The client shows a cookie, or asks for one; [`cookie_of`] has it.
    pub cookie: bool,
}

/// The data of the first COOKIE option; further ones do not count (RFC 7873 §5.2).
pub fn cookie_of(rdata: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let data = rdata.get(at + 4..at + 4 + usize::from(u16_at(rdata, at + 2)?))?;
        if u16_at(rdata, at)? == option::COOKIE {
            return Some(data);
        }
        at += 4 + data.len();
    }
}

/// Whether a COOKIE option may have so many octets: a client's part, and maybe a server's (RFC 7873 §5.2.2).
fn may_be_cookie(length: u16) -> bool {
    let length = usize::from(length);
    length == cookie::CLIENT_OCTETS
        || length.checked_sub(cookie::CLIENT_OCTETS).is_some_and(|server| cookie::SERVER_ANY.contains(&server))
}

impl Edns {
    /// Reads the fixed part and the options of an OPT record: its CLASS and TTL fields and its rdata. `None` if an
    /// option runs over the end (RFC 6891 §6.1.2), or the cookie has a length that none has (RFC 7873 §5.2.2).
    #[inline]
    pub fn read(class: u16, ttl: [u8; 4], rdata: &[u8]) -> Option<Edns> {
        let mut edns = Edns {
            udp_payload: class.max(512),
            version: ttl[1],
            dnssec_ok: u16::from_be_bytes([ttl[2], ttl[3]]) & DO != 0,
            nsid: false,
            keepalive: false,
            padding: false,
            cookie: false,
        };
        let mut at = 0;
        while at < rdata.len() {
            match u16_at(rdata, at)? {
                option::NSID => edns.nsid = true,
                option::KEEPALIVE => edns.keepalive = true,
                option::PADDING => edns.padding = true,
                option::COOKIE if !edns.cookie => {
                    edns.cookie = may_be_cookie(u16_at(rdata, at + 2)?);
                    if !edns.cookie {
                        return None;
                    }
                }
                _ => {}
            }
            at += 4 + usize::from(u16_at(rdata, at + 2)?);
        }
        (at == rdata.len()).then_some(edns)
    }
}

/// Why an answer is empty, odd or refused, for people (RFC 8914).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedError<'t> {
    /// INFO-CODE of the IANA registry.
    pub code: u16,
    /// EXTRA-TEXT in UTF-8; may be empty, is cut where it does not fit.
    pub text: &'t str,
}

impl<'t> ExtendedError<'t> {
    /// No code of its own; the text says it.
    pub const OTHER: u16 = 0;
    /// The answer may be out of date (RFC 8914 §4.4).
    pub const STALE_ANSWER: u16 = 3;
    /// A name that was absent earlier, said beyond the time of that answer (RFC 8914 §4.20).
    pub const STALE_NXDOMAIN_ANSWER: u16 = 19;
    /// The server is not fully up (RFC 8914 §4.15).
    pub const NOT_READY: u16 = 14;
    /// This client may not do this (RFC 8914 §4.19).
    pub const PROHIBITED: u16 = 18;
    /// The server is no authority for the name and does not recurse (RFC 8914 §4.21).
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// The operation or query is not supported (RFC 8914 §4.22).
    pub const NOT_SUPPORTED: u16 = 21;
    /// No server that could know answers (RFC 8914 §4.23).
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// A server could be reached, but not talked with (RFC 8914 §4.24).
    pub const NETWORK_ERROR: u16 = 23;

    /// A code with its text.
    pub fn new(code: u16, text: &'t str) -> ExtendedError<'t> {
        ExtendedError { code, text }
    }

    /// Octets of the option with the whole text.
    pub fn length(&self) -> usize {
        6 + self.text.len()
    }

    /// The code with its text cut between characters, so that the whole option has at most `room` octets; `None` if not
    /// even the code fits.
    pub fn cut_to(self, room: usize) -> Option<ExtendedError<'t>> {
        let most = room.checked_sub(6)?;
        let text = &self.text[..self.text.floor_char_boundary(most)];
        Some(ExtendedError { text, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_must_end_where_the_rdata_ends() {
        let ttl = [0, 0, 0x80, 0];
        for (rdata, whole) in [
            (&b""[..], true),
            (b"\0\x07\0\0", true),
            (b"\0\x07\0\x02ab\xff\xff\0\0", true),
            (b"\0\x0a\0", false),
            (b"\0\x0a\0\x02a", false),
            (b"\0\x0a\0\x02ab\0", false),
        ] {
            assert_eq!(Edns::read(4096, ttl, rdata).is_some(), whole, "{rdata:?}");
        }
        let edns = Edns::read(100, ttl, b"\0\x0c\0\x02ab\0\x03\0\0");
        let expected = Edns { udp_payload: 512, dnssec_ok: true, nsid: true, padding: true, ..Edns::default() };
        assert_eq!(edns, Some(expected));
    }

    /// RFC 7873 §5.2.2: 8 octets, or 16 to 40; of several options only the first counts.
    #[test]
    fn cookies_have_their_lengths() {
        let option = |length: u8| [&[0, 10, 0, length][..], &vec![7; usize::from(length)]].concat();
        for length in 0..=60 {
            let good = length == 8 || (16..=40).contains(&length);
            let rdata = option(length);
            assert_eq!(Edns::read(1232, [0; 4], &rdata).is_some_and(|edns| edns.cookie), good, "{length}");
            assert_eq!(cookie_of(&rdata).map(<[u8]>::len), Some(usize::from(length)));
        }
        let two = [&b"\0\x0c\0\x02ab"[..], &option(8), &option(3)].concat();
        assert!(Edns::read(1232, [0; 4], &two).is_some_and(|edns| edns.cookie));
        assert_eq!(cookie_of(&two).map(<[u8]>::len), Some(8));
        assert_eq!(cookie_of(b"\0\x0c\0\x02ab"), None);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let error = ExtendedError::new(0, "aé");
        assert_eq!(error.cut_to(9), Some(error));
        assert_eq!(error.cut_to(8), Some(ExtendedError::new(0, "a")));
        assert_eq!(error.cut_to(5), None);
    }
}
