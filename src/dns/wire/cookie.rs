//! DNS Cookies (RFC 7873) in the form that several servers with one secret understand (RFC 9018): a client that shows one
//! receives at its address, since only there it can have got it.

use arc_swap::ArcSwap;
use std::net::IpAddr;

/// Octets of a client's part.
pub const CLIENT_OCTETS: usize = 8;
/// Octets of a server's part in the form of RFC 9018.
pub const SERVER_OCTETS: usize = 16;
/// What a server's part of any form may have (RFC 7873 §4).
pub const SERVER_ANY: std::ops::RangeInclusive<usize> = 8..=32;
/// Octets of the option in a reply, with code and length.
pub const OPTION_OCTETS: usize = 4 + CLIENT_OCTETS + SERVER_OCTETS;

/// The form that is made and understood (RFC 9018 §4.1).
const VERSION: u8 = 1;
/// For how many seconds a cookie is good (RFC 9018 §4.3).
const LIFETIME_SECONDS: i32 = 3600;
/// From so many seconds on a client gets a new one.
const RENEWAL_SECONDS: i32 = LIFETIME_SECONDS / 2;
/// How many seconds another server's clock may be ahead of ours.
const CLOCK_SKEW_SECONDS_MAX: i32 = 300;

/// 128 bits that cookies are made with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u64; 2]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Takes its octets.
    pub fn new(octets: [u8; 16]) -> Secret {
        let (low, high) = octets.split_at(8);
        let word = |half: &[u8]| half.iter().rev().fold(0, |word, &octet| word << 8 | u64::from(octet));
        Secret([word(low), word(high)])
    }

    /// What proves that a client's and a server's first octets belong together and to this address.
    fn hash(self, client: &[u8], head: &[u8], source: IpAddr) -> [u8; 8] {
        let mut message = [0; CLIENT_OCTETS + 8 + 16];
        message[..CLIENT_OCTETS].copy_from_slice(client);
        message[CLIENT_OCTETS..CLIENT_OCTETS + 8].copy_from_slice(head);
        let address = &mut message[CLIENT_OCTETS + 8..];
        let length = match source.to_canonical() {
            IpAddr::V4(source) => {
                address[..4].copy_from_slice(&source.octets());
                4
            }
            IpAddr::V6(source) => {
                address.copy_from_slice(&source.octets());
                16
            }
        };
        sip_hash(self.0, &message[..CLIENT_OCTETS + 8 + length]).to_le_bytes()
    }
}

/// SipHash-2-4 of a message.
fn sip_hash(key: [u64; 2], message: &[u8]) -> u64 {
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let mut take = |word: u64| {
        state[3] ^= word;
        round(&mut state);
        round(&mut state);
        state[0] ^= word;
    };
    let mut words = message.chunks_exact(8);
    for word in words.by_ref() {
        take(word.iter().rev().fold(0, |word, &octet| word << 8 | u64::from(octet)));
    }
    let rest = words.remainder().iter().rev().fold(0, |word, &octet| word << 8 | u64::from(octet));
    take((message.len() as u64) << 56 | rest);
    state[2] ^= 0xff;
    for _ in 0..4 {
        round(&mut state);
    }
    state.iter().fold(0, |hash, word| hash ^ word)
}

fn round(state: &mut [u64; 4]) {
    let [a, b, c, d] = state;
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

/// What a client has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShownCookie {
    /// No cookie at all.
    #[default]
    Nothing,
    /// Only its own part: it asks for ours.
    Client,
    /// A server's part that is not ours, not for its address, or too old.
    Bad,
    /// A cookie that we, or a server with the same secret, gave to this address in the last hour.
    Good,
}

/// The secrets of a server, which may change while it runs.
#[derive(Debug)]
pub struct Cookies {
    /// The first one makes cookies, all of them are accepted.
    secrets: ArcSwap<Vec<Secret>>,
    /// Seconds since 1970; cookies have the lower 32 bits.
    now: fn() -> u64,
    required: bool,
}

impl Cookies {
    /// Cookies are made with the first secret, and accepted if they were made with any; without a secret none are.
    /// `now` are seconds since 1970. With `required`, clients that send a cookie over UDP have to know ours before they
    /// are answered (BADCOOKIE).
    pub fn new(secrets: Vec<Secret>, now: fn() -> u64, required: bool) -> Cookies {
        Cookies { secrets: ArcSwap::from_pointee(secrets), now, required }
    }

    /// From now on these secrets.
    pub fn set(&self, secrets: Vec<Secret>) {
        self.secrets.store(secrets.into());
    }

    /// The secrets in use.
    pub fn secrets(&self) -> Vec<Secret> {
        self.secrets.load().to_vec()
    }

    /// For a client at this address.
    pub fn of(&self, source: IpAddr) -> Check<'_> {
        Check { cookies: self, source }
    }
}

/// The cookies of a client.
#[derive(Debug, Clone, Copy)]
pub struct Check<'c> {
    cookies: &'c Cookies,
    source: IpAddr,
}

/// What is said to a client that showed a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieReply {
    /// What it showed.
    pub shown: ShownCookie,
    /// What it may show from now on: its own part and ours.
    pub cookie: [u8; CLIENT_OCTETS + SERVER_OCTETS],
}

impl Check<'_> {
    /// Whether this client has to know our cookie before it is answered.
    pub fn is_required(&self) -> bool {
        self.cookies.required
    }

    /// Looks at the data of a COOKIE option, of which [`super::edns::Edns::read`] has checked the length. `None` without
    /// a secret.
    #[inline(never)]
    pub fn answer(&self, option: &[u8]) -> Option<CookieReply> {
        let (client, server) = option.split_at_checked(CLIENT_OCTETS)?;
        let secrets = self.cookies.secrets.load();
        let making = *secrets.first()?;
        let now = (self.cookies.now)() as u32;
        let mut cookie = [0; CLIENT_OCTETS + SERVER_OCTETS];
        cookie[..CLIENT_OCTETS].copy_from_slice(client);
        let mut shown = if server.is_empty() { ShownCookie::Client } else { ShownCookie::Bad };
        if let Ok(server) = <&[u8; SERVER_OCTETS]>::try_from(server)
            && server[0] == VERSION
        {
            let (head, proof) = server.split_at(8);
            let made = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
            // Serial number arithmetic (RFC 9018 §4.3, RFC 1982), so that 2106 is a year like others.
            let age = now.wrapping_sub(made) as i32;
            let matches = |secret: &Secret| secret.hash(client, head, self.source) == proof;
            if (-CLOCK_SKEW_SECONDS_MAX..=LIFETIME_SECONDS).contains(&age)
                && let Some(place) = secrets.iter().position(matches)
            {
                shown = ShownCookie::Good;
                if place == 0 && age < RENEWAL_SECONDS {
                    cookie[CLIENT_OCTETS..].copy_from_slice(server);
                    return Some(CookieReply { shown, cookie });
                }
            }
        }
        let mut head = [VERSION, 0, 0, 0, 0, 0, 0, 0];
        head[4..].copy_from_slice(&now.to_be_bytes());
        cookie[CLIENT_OCTETS..CLIENT_OCTETS + 8].copy_from_slice(&head);
        cookie[CLIENT_OCTETS + 8..].copy_from_slice(&making.hash(client, &head, self.source));
        Some(CookieReply { shown, cookie })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    /// When, the secrets, who shows which octets; what they are, and what is given.
    type Row<'a> = (fn() -> u64, &'a [&'a str], &'a str, &'a str, ShownCookie, &'a str);

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    fn secret(hex: &str) -> Secret {
        Secret::new(HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap())
    }

    fn check(now: fn() -> u64, secrets: &[&str], source: &str, option: &str) -> (ShownCookie, String) {
        let cookies = Cookies::new(secrets.iter().map(|hex| secret(hex)).collect(), now, false);
        let option = HEXLOWER.decode(option.as_bytes()).unwrap();
        let answered = cookies.of(source.parse().unwrap()).answer(&option).unwrap();
        assert_eq!(answered.cookie[..CLIENT_OCTETS], option[..CLIENT_OCTETS]);
        (answered.shown, HEXLOWER.encode(&answered.cookie[CLIENT_OCTETS..]))
    }

    /// The first message of the hash's authors (octets 0 to 14 under the key 0 to 15).
    #[test]
    fn the_hash_is_the_one_of_its_authors() {
        let key = Secret::new(std::array::from_fn(|at| at as u8));
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(sip_hash(key.0, &message), 0xa129_ca61_49be_45e5);
    }

    /// The examples of RFC 9018, appendix A.
    #[test]
    fn the_examples_of_the_rfc() {
        let new = "445536bcd2513298075a5d379663c962";
        let old = "dd3bdf9344b678b185a6f5cb60fca715";
        let v6 = "2001:db8:220:1:59de:d0f4:8769:82b8";
        #[rustfmt::skip]
        let rows: &[Row<'_>] = &[
            (|| 1_559_731_985, &[SECRET], "198.51.100.100", "2464c4abcf10c957",
             ShownCookie::Client, "010000005cf79f111f8130c3eee29480"),
            (|| 1_559_734_385, &[SECRET], "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
             ShownCookie::Good, "010000005cf7a871d4a564a1442aca77"),
            (|| 1_559_734_700, &[SECRET], "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
             ShownCookie::Bad, ""),
            (|| 1_559_727_985, &[SECRET], "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
             ShownCookie::Good, "01abcdef5cf78f71a314227b6679ebf5"),
            (|| 1_559_741_961, &[new, old], v6, "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
             ShownCookie::Good, "010000005cf7c609a6bb79d16625507a"),
            (|| 1_559_741_961, &[new], v6, "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
             ShownCookie::Bad, "010000005cf7c609a6bb79d16625507a"),
        ];
        for &(now, secrets, source, option, shown, cookie) in rows {
            let (got, made) = check(now, secrets, source, option);
            assert_eq!(got, shown, "{option}");
            assert!(cookie.is_empty() || made == cookie, "{option}: {made}");
        }
    }

    #[test]
    fn what_makes_a_cookie_bad() {
        let at: fn() -> u64 = || 1_559_731_985;
        let good = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        assert_eq!(check(at, &[SECRET], "198.51.100.100", good).0, ShownCookie::Good);
        assert_eq!(check(at, &[SECRET], "::ffff:198.51.100.100", good).0, ShownCookie::Good);
        assert_eq!(check(at, &[SECRET], "198.51.100.101", good).0, ShownCookie::Bad);
        for (seconds, shown) in [
            ((|| 1_559_731_985 + 3600) as fn() -> u64, ShownCookie::Good),
            (|| 1_559_731_985 + 3601, ShownCookie::Bad),
            (|| 1_559_731_985 - 300, ShownCookie::Good),
            (|| 1_559_731_985 - 301, ShownCookie::Bad),
        ] {
            assert_eq!(check(seconds, &[SECRET], "198.51.100.100", good).0, shown);
        }
        for length in [8, 15, 17, 32] {
            let option = format!("2464c4abcf10c957{}", "01".repeat(length));
            assert_eq!(check(at, &[SECRET], "198.51.100.100", &option).0, ShownCookie::Bad, "{length}");
        }
        assert!(Cookies::new(vec![], at, false).of("::1".parse().unwrap()).answer(&[0; 8]).is_none());
    }

    proptest! {
        /// What is given is accepted, and with one bit changed it is not.
        #[test]
        fn only_what_was_given_is_accepted(
            client: [u8; 8], secret: [u8; 16], source: [u8; 16], bit in 0..(CLIENT_OCTETS + SERVER_OCTETS) * 8,
        ) {
            let cookies = Cookies::new(vec![Secret::new(secret)], || 0xffff_ff00, false);
            let check = cookies.of(IpAddr::from(source));
            let given = check.answer(&client).unwrap();
            prop_assert_eq!(given.shown, ShownCookie::Client);
            let again = check.answer(&given.cookie).unwrap();
            prop_assert_eq!((again.shown, again.cookie), (ShownCookie::Good, given.cookie));
            let mut forged = given.cookie;
            forged[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(check.answer(&forged).unwrap().shown, ShownCookie::Bad);
        }
    }
}
