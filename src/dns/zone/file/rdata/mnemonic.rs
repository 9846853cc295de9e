//! Mnemonics for numbers in rdata.

/// A word and its number.
pub(super) type Mnemonics = &'static [(&'static str, u16)];

/// Algorithms of DNSSEC keys (RFC 4034 §A.1 and the IANA registry), and other ways in which BIND spells them.
pub(super) const ALGORITHMS: Mnemonics = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("NSEC3DSA", 6),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3RSASHA1", 7),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECCGOST", 12),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ECDSA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// Digests of DS (RFC 4034 §A.2 and the IANA registry).
pub(super) const DIGESTS: Mnemonics =
    &[("SHA-1", 1), ("SHA1", 1), ("SHA-256", 2), ("SHA256", 2), ("GOST", 3), ("SHA-384", 4), ("SHA384", 4)];

/// Types of certificates (RFC 4398 §2.1).
pub(super) const CERTIFICATES: Mnemonics = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// Hashes of NSEC3 (RFC 5155 §11).
pub(super) const HASHES: Mnemonics = &[("SHA-1", 1)];

/// Protocols of keys (RFC 2535 §3.1.3); only DNSSEC is of use today.
pub(super) const KEY_PROTOCOLS: Mnemonics =
    &[("NONE", 0), ("TLS", 1), ("EMAIL", 2), ("DNSSEC", 3), ("IPSEC", 4), ("ALL", 255)];

/// Flags of keys (RFC 2535 §3.1.2, RFC 4034 §2.1.1), joined by `|`.
const KEY_FLAGS: Mnemonics = &[
    ("NOCONF", 0x4000),
    ("NOAUTH", 0x8000),
    ("NOKEY", 0xc000),
    ("FLAG2", 0x2000),
    ("EXTEND", 0x1000),
    ("FLAG4", 0x0800),
    ("FLAG5", 0x0400),
    ("USER", 0x0000),
    ("ZONE", 0x0100),
    ("HOST", 0x0200),
    ("NTYP3", 0x0300),
    ("FLAG8", 0x0080),
    ("FLAG9", 0x0040),
    ("FLAG10", 0x0020),
    ("FLAG11", 0x0010),
    ("SIG0", 0x0000),
    ("KSK", 0x0001),
];

/// Notification schemes of DSYNC (RFC 9859 §2.2).
pub(super) const SCHEMES: Mnemonics = &[("NOTIFY", 1)];

/// Transport protocols by the names of `/etc/protocols` that occur in WKS.
pub(super) const PROTOCOLS: Mnemonics = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ggp", 3),
    ("tcp", 6),
    ("egp", 8),
    ("udp", 17),
    ("rdp", 27),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ospf", 89),
    ("sctp", 132),
];

/// Services by the names of `/etc/services` that occur in WKS.
pub(super) const SERVICES: Mnemonics = &[
    ("echo", 7),
    ("discard", 9),
    ("systat", 11),
    ("daytime", 13),
    ("netstat", 15),
    ("chargen", 19),
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("whois", 43),
    ("domain", 53),
    ("tftp", 69),
    ("gopher", 70),
    ("finger", 79),
    ("http", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("ident", 113),
    ("nntp", 119),
    ("ntp", 123),
    ("imap2", 143),
    ("snmp", 161),
    ("bgp", 179),
    ("irc", 194),
    ("ldap", 389),
    ("https", 443),
];

/// The number of a word in any case, or a decimal number up to `most`.
pub(super) fn value(words: Mnemonics, text: &str, most: u16) -> Option<u16> {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok())?.filter(|at| *at <= most);
    }
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, number)| *number)
}

/// The flags of a key: a decimal number, else a hexadecimal one (with or without `0x`), or words joined by `|`.
pub(super) fn key_flags(text: &str) -> Option<u16> {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let plain = digits.bytes().all(|octet| octet.is_ascii_hexdigit()) && text.len() <= 10;
        let base = if text.bytes().all(|octet| octet.is_ascii_digit()) { 10 } else { 16 };
        return u16::from_str_radix(digits, base).ok().filter(|_| plain);
    }
    let text = text.strip_suffix('|').unwrap_or(text);
    text.split('|').try_fold(0, |flags, word| Some(flags | key_flag(word)?))
}

/// A flag, or the first that begins so, as BIND understands it.
fn key_flag(word: &str) -> Option<u16> {
    let begins = |flag: &str| flag.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let listed = KEY_FLAGS.iter().find(|(flag, _)| begins(flag)).map(|(_, flag)| *flag);
    // The signatory field: SIG0 to SIG15.
    listed.or_else(|| {
        let (prefix, number) = word.split_at_checked(3)?;
        let number = value(&[], number, 15).filter(|_| !number.starts_with('0') || number == "0")?;
        prefix.eq_ignore_ascii_case("SIG").then_some(number)
    })
}
