//! Master files: records from pieces of the grammar, directives, and damage.

use crate::{damage, lines, once_in, pick};
use fastrand::Rng;

const OWNERS: &[&str] = &[
    "@",
    "",
    "a",
    "ns",
    "*",
    "*.w",
    "a.b.c",
    "example.org.",
    "other.",
    ".",
    "a..b",
    "\\065",
    "\\.",
    "a\\032b",
    "_s._tcp",
    "-",
    "$",
    "a$",
    "\"q\"",
    "xn--a",
    "0",
];
const RECORDS: &[&str] = &[
    "A 192.0.2.1",
    "A 192.0.2",
    "AAAA 2001:db8::1",
    "AAAA ::ffff:1.2.3.4",
    "NS ns",
    "NS .",
    "CNAME a",
    "DNAME d.",
    "PTR a.example.org.",
    "MX 10 a",
    "MX 70000 a",
    "SRV 0 5 80 ns",
    "TXT \"a b\" c \"\\\"\\065\"",
    "TXT \"open",
    "TXT",
    "SOA ns h 1 2 3 4 5",
    "SOA ns h ( 1 ; c\n 2h 3w\n 4d 5m )",
    "NAPTR 1 2 \"s\" \"SIP\" \"\" ns",
    "NAPTR 1 2 s SIP !^.*$!sip:a@b! .",
    "DS 1 8 5 abcd",
    "DS 1 8 2 ( ab cd )",
    "DNSKEY 257 3 8 AQAB",
    "CAA 0 issue \"ca.example\"",
    "HTTPS 1 . alpn=\"h2,h3\" port=443",
    "SVCB 0 a",
    "SVCB 1 . mandatory=alpn alpn=h2 ipv4hint=192.0.2.1 ech=AQAB key65000=\\000",
    "SSHFP 1 1 01234567",
    "TLSA 3 1 1 abcdef",
    "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
    "RP a b",
    "HINFO a b",
    "URI 1 2 \"http://a\"",
    "OPENPGPKEY AQAB",
    "CSYNC 1 3 A NS",
    "NSEC a A NS TYPE65280",
    "NSEC3PARAM 1 0 0 -",
    "RRSIG A 8 2 5 20300101000000 20200101000000 1 a AQAB",
    "TYPE65280 \\# 3 0102 03",
    "TYPE1 \\# 4 c0000201",
    "A \\# 4 c0000201",
    "TYPE65280 \\# 4 01",
    "TYPE65281 \\# 0",
    "ANY x",
    "OPT",
    "CNAME",
];
const DIRECTIVES: &[&str] = &[
    "$TTL 5",
    "$TTL 1h30m",
    "$TTL",
    "$TTL -1",
    "$TTL 99999999999w",
    "$ORIGIN example.org.",
    "$ORIGIN sub",
    "$ORIGIN .",
    "$ORIGIN other.",
    "$ORIGIN \\",
    "$INCLUDE x",
    "$INCLUDE /dev/null",
    "$INCLUDE \"example.org.zone\" sub",
    "$INCLUDE ../x y z",
    "$GENERATE 1-3 a$ A 192.0.2.$",
    "$GENERATE 0-10/2 h${1,3,x} CNAME t${-1,2,o}.b",
    "$GENERATE 1-99999999 a$ A 1.2.3.4",
    "$GENERATE 3-1 a A 1",
    "$GENERATE 1-2/0 $ PTR $",
    "$GENERATE 1-4 ${0,255,d} TXT \"${0,0,N}\"",
    "$GENERATE 1-2 \\$ TXT $$ ${} ${,}",
    "$GENERATE 4294967290-4294967295 n${9,1,X} 5 IN A 192.0.2.1",
    "$UNKNOWN",
    "$",
];
const PIECES: &[&str] = &[
    "(",
    ")",
    "((",
    "\"",
    "\"\"",
    ";",
    "\\",
    "\\300",
    "\\00",
    "\t",
    "\r",
    "IN",
    "CH",
    "HS",
    "NONE",
    "1",
    "0",
    "-1",
    "1w2d",
    "4294967295",
    "2147483648",
    "4294967296",
    "@",
    ".",
    "*",
    "\\#",
    "\u{fffd}",
    "é",
    "\u{0}",
    "65536",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// A line: a record or a directive.
fn line(random: &mut Rng) -> String {
    if once_in(random, 5) {
        return pick(random, DIRECTIVES).to_owned();
    }
    let owner = pick(random, OWNERS);
    let ttl = if random.bool() { "" } else { pick(random, &["5 ", "1h ", "IN ", "7 IN ", "IN 7 ", "CH ", "0 ", "x "]) };
    let comment = if once_in(random, 8) { " ; (\"" } else { "" };
    format!("{owner} {ttl}{}{comment}", pick(random, RECORDS))
}

/// A file, mostly with what every zone must have.
pub fn any(random: &mut Rng) -> Vec<u8> {
    let mut text = match random.u8(..6) {
        0 => String::new(),
        1 => "@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n".to_owned(),
        _ => "$TTL 5\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n".to_owned(),
    };
    for _ in 0..random.usize(..12) {
        text += &line(random);
        text += if once_in(random, 10) { "\r\n" } else { "\n" };
    }
    let mut octets = text.into_bytes();
    if once_in(random, 4) {
        damage(&mut octets, random);
    }
    octets
}

/// Another file, or this one with other lines.
pub fn change(text: &[u8], random: &mut Rng) -> Vec<u8> {
    if once_in(random, 4) { any(random) } else { lines(text, random, line, PIECES) }
}
