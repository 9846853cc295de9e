//! Record types and the wire form of the rdata that this program makes itself.

use crate::dns::name::{Name, wire_length};
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// A record type by its number (RFC 1035 §3.2.2 and the IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

macro_rules! record_types {
    ($($(#[$doc:meta])* $name:ident $(($mnemonic:literal))? = $number:literal,)*) => {
        impl RecordType {
            $($(#[$doc])* pub const $name: RecordType = RecordType($number);)*

            /// The mnemonic, if the type has one here.
            pub fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(mnemonic!($name $($mnemonic)?)),)*
                    _ => None,
                }
            }

            /// The type of a mnemonic in any case, or of `TYPE123` (RFC 3597 §5).
            pub fn parse(text: &str) -> Option<RecordType> {
                $(if text.eq_ignore_ascii_case(mnemonic!($name $($mnemonic)?)) {
                    return Some(RecordType::$name);
                })*
                let (prefix, number) = text.split_at_checked(4)?;
                let digits = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
                if !digits || !prefix.eq_ignore_ascii_case("TYPE") {
                    return None;
                }
                number.parse().ok().map(RecordType)
            }
        }
    };
}

macro_rules! mnemonic {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $mnemonic:literal) => {
        $mnemonic
    };
}

record_types! {
    /// A host address (RFC 1035).
    A = 1,
    /// An authoritative name server (RFC 1035).
    NS = 2,
    /// A mail destination, obsolete (RFC 973).
    MD = 3,
    /// A mail forwarder, obsolete (RFC 973).
    MF = 4,
    /// The canonical name of an alias (RFC 1035).
    CNAME = 5,
    /// The start of a zone of authority (RFC 1035).
    SOA = 6,
    /// A mailbox (RFC 1035).
    MB = 7,
    /// A member of a mail group (RFC 1035).
    MG = 8,
    /// Another name of a mailbox (RFC 1035).
    MR = 9,
    /// Any octets (RFC 1035).
    NULL = 10,
    /// Well-known services (RFC 1035).
    WKS = 11,
    /// A pointer, from an address to a name (RFC 1035).
    PTR = 12,
    /// Host information; also the answer to ANY (RFC 1035, RFC 8482).
    HINFO = 13,
    /// Who is responsible for a mailing list (RFC 1035).
    MINFO = 14,
    /// A mail exchange (RFC 1035).
    MX = 15,
    /// Text (RFC 1035).
    TXT = 16,
    /// A responsible person (RFC 1183).
    RP = 17,
    /// An AFS database server (RFC 1183).
    AFSDB = 18,
    /// An X.121 address (RFC 1183).
    X25 = 19,
    /// An ISDN address (RFC 1183).
    ISDN = 20,
    /// A host on the way to one without a connection of its own (RFC 1183).
    RT = 21,
    /// An OSI address (RFC 1706).
    NSAP = 22,
    /// A pointer from an OSI address (RFC 1706).
    NSAP_PTR("NSAP-PTR") = 23,
    /// A signature, superseded by RRSIG (RFC 2535).
    SIG = 24,
    /// A key, superseded by DNSKEY (RFC 2535).
    KEY = 25,
    /// A mapping between mail systems (RFC 2163).
    PX = 26,
    /// A place on earth, superseded by LOC (RFC 1712).
    GPOS = 27,
    /// An IPv6 address (RFC 3596).
    AAAA = 28,
    /// A place on earth (RFC 1876).
    LOC = 29,
    /// Proof of absence, superseded by NSEC (RFC 2535).
    NXT = 30,
    /// An endpoint of Nimrod.
    EID = 31,
    /// A locator of Nimrod.
    NIMLOC = 32,
    /// A service's host and port (RFC 2782).
    SRV = 33,
    /// An ATM address.
    ATMA = 34,
    /// Naming authority pointer (RFC 3403).
    NAPTR = 35,
    /// A key exchanger (RFC 2230).
    KX = 36,
    /// A certificate (RFC 4398).
    CERT = 37,
    /// An IPv6 address in parts, historic (RFC 2874).
    A6 = 38,
    /// The alias of a whole subtree (RFC 6672).
    DNAME = 39,
    /// Anything.
    SINK = 40,
    /// EDNS itself (RFC 6891); no data.
    OPT = 41,
    /// A list of address prefixes (RFC 3123).
    APL = 42,
    /// Delegation signer; belongs to the parent's side of a cut (RFC 4034).
    DS = 43,
    /// An SSH host key's fingerprint (RFC 4255).
    SSHFP = 44,
    /// A key of IPsec (RFC 4025).
    IPSECKEY = 45,
    /// A signature (RFC 4034).
    RRSIG = 46,
    /// Proof of absence (RFC 4034).
    NSEC = 47,
    /// A zone key (RFC 4034).
    DNSKEY = 48,
    /// A DHCP client's identity (RFC 4701).
    DHCID = 49,
    /// Hashed proof of absence (RFC 5155).
    NSEC3 = 50,
    /// The parameters of NSEC3 (RFC 5155).
    NSEC3PARAM = 51,
    /// A TLS server's certificate association (RFC 6698).
    TLSA = 52,
    /// A mail user's certificate association (RFC 8162).
    SMIMEA = 53,
    /// A host's identity (RFC 8005).
    HIP = 55,
    /// The state of a zone.
    NINFO = 56,
    /// A key for records.
    RKEY = 57,
    /// Neighbours of a trust anchor.
    TALINK = 58,
    /// The DS that a child wants (RFC 7344).
    CDS = 59,
    /// The DNSKEY that a child wants a DS of (RFC 7344).
    CDNSKEY = 60,
    /// An OpenPGP key (RFC 7929).
    OPENPGPKEY = 61,
    /// Child-to-parent synchronisation (RFC 7477).
    CSYNC = 62,
    /// The digest of a zone (RFC 8976).
    ZONEMD = 63,
    /// Service binding (RFC 9460).
    SVCB = 64,
    /// Service binding of HTTPS (RFC 9460).
    HTTPS = 65,
    /// Where a parent takes notifications (RFC 9859).
    DSYNC = 66,
    /// The identity of a drone (RFC 9886).
    HHIT = 67,
    /// The broadcast identity of a drone (RFC 9886).
    BRID = 68,
    /// Sender policy, obsolete (RFC 7208).
    SPF = 99,
    /// Reserved.
    UINFO = 100,
    /// Reserved.
    UID = 101,
    /// Reserved.
    GID = 102,
    /// Reserved.
    UNSPEC = 103,
    /// An identifier of a node (RFC 6742).
    NID = 104,
    /// A locator of 32 bits (RFC 6742).
    L32 = 105,
    /// A locator of 64 bits (RFC 6742).
    L64 = 106,
    /// The name that has a node's locators (RFC 6742).
    LP = 107,
    /// An address of 48 bits (RFC 7043).
    EUI48 = 108,
    /// An address of 64 bits (RFC 7043).
    EUI64 = 109,
    /// A name that does not exist; in bitmaps only (RFC 9824).
    NXNAME = 128,
    /// The making of a key (RFC 2930); no data.
    TKEY = 249,
    /// Transaction signature (RFC 8945); no data.
    TSIG = 250,
    /// Incremental transfer (RFC 1995); a question only.
    IXFR = 251,
    /// Full transfer (RFC 5936); a question only.
    AXFR = 252,
    /// Mailboxes (RFC 1035); a question only.
    MAILB = 253,
    /// Mail agents, obsolete (RFC 1035); a question only.
    MAILA = 254,
    /// Any type (RFC 8482); a question only.
    ANY = 255,
    /// A URI (RFC 7553).
    URI = 256,
    /// Certification authority authorisation (RFC 8659).
    CAA = 257,
    /// What an application is.
    AVC = 258,
    /// A digital object.
    DOA = 259,
    /// A multicast relay (RFC 8777).
    AMTRELAY = 260,
    /// What a resolver can do (RFC 9606).
    RESINFO = 261,
    /// A wallet's address.
    WALLET = 262,
    /// A trust anchor.
    TA = 32768,
    /// A DS outside its place, obsolete (RFC 4431).
    DLV = 32769,
}

impl RecordType {
    /// Whether no record can have this type: OPT, and the types and questions of 128–255 (RFC 6895 §3.1), and 0.
    pub fn is_meta(self) -> bool {
        self == RecordType::OPT || self.0 == 0 || (128..=255).contains(&self.0)
    }

    /// Where in the rdata the name stands whose addresses a client will want next (RFC 1034 §4.3.2 step 6).
    pub fn target_offset(self) -> Option<usize> {
        match self {
            RecordType::NS => Some(0),
            RecordType::MX => Some(2),
            RecordType::SRV => Some(6),
            _ => None,
        }
    }

    /// How many names the rdata begins with that may be compressed in a message (RFC 3597 §4 allows the types of
    /// RFC 1035; the ones that occur are enough).
    pub fn compressible_names(self) -> usize {
        match self {
            RecordType::NS | RecordType::CNAME | RecordType::PTR => 1,
            RecordType::SOA => 2,
            _ => 0,
        }
    }

    /// Whether replies begin with a different record each time, so that clients spread over them.
    pub fn rotates(self) -> bool {
        matches!(self, RecordType::A | RecordType::AAAA | RecordType::SRV)
    }
}

/// The mnemonic, or `TYPE123` (RFC 3597 §5).
impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(mnemonic) => f.pad(mnemonic),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}
impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name that `rdata` of this type points to, whose addresses belong into the additional section.
pub fn target(rtype: RecordType, rdata: &[u8]) -> Option<&[u8]> {
    let name = rdata.get(rtype.target_offset()?..)?;
    name.get(..wire_length(name)?)
}

/// Rdata of an A record.
pub fn a(address: Ipv4Addr) -> Vec<u8> {
    address.octets().to_vec()
}
/// Rdata of an AAAA record.
pub fn aaaa(address: Ipv6Addr) -> Vec<u8> {
    address.octets().to_vec()
}
/// Rdata that is one name: NS, CNAME, PTR.
pub fn name(target: &Name) -> Vec<u8> {
    target.as_wire().to_vec()
}
/// Rdata of an SRV record (RFC 2782); the target is never compressed.
pub fn srv(priority: u16, weight: u16, port: u16, target: &Name) -> Vec<u8> {
    let mut rdata = Vec::with_capacity(6 + target.as_wire().len());
    for number in [priority, weight, port] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    rdata.extend_from_slice(target.as_wire());
    rdata
}
/// Rdata of a TXT record of one string of at most 255 octets; longer text is split into several strings.
pub fn txt(text: &str) -> Vec<u8> {
    let mut rdata = Vec::with_capacity(text.len() + 1 + text.len() / 255);
    if text.is_empty() {
        rdata.push(0);
    }
    for string in text.as_bytes().chunks(255) {
        rdata.push(string.len() as u8);
        rdata.extend_from_slice(string);
    }
    rdata
}
/// Rdata of an SOA record (RFC 1035 §3.3.13): `numbers` are serial, refresh, retry, expire and minimum.
pub fn soa(primary: &Name, mailbox: &Name, numbers: [u32; 5]) -> Vec<u8> {
    let mut rdata = [primary.as_wire(), mailbox.as_wire()].concat();
    for number in numbers {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    rdata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_name_and_number() {
        for (text, number, shown) in [
            ("a", 1, "A"),
            ("HTTPS", 65, "HTTPS"),
            ("nsap-ptr", 23, "NSAP-PTR"),
            ("type65280", 65280, "TYPE65280"),
            ("TYPE1", 1, "A"),
        ] {
            let rtype = RecordType::parse(text);
            assert_eq!(rtype, Some(RecordType(number)), "{text}");
            assert_eq!(rtype.map(|rtype| rtype.to_string()).as_deref(), Some(shown));
        }
        for text in ["", "TYPE", "TYPE65536", "TYPE+1", "AA", "tÿpe1", "NSAP_PTR"] {
            assert_eq!(RecordType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn long_text_is_split() {
        assert_eq!(txt("1.1.0"), b"\x051.1.0");
        assert_eq!(txt(""), b"\0");
        let long = txt(&"x".repeat(300));
        assert_eq!((long.len(), long[0], long[256]), (302, 255, 45));
    }
}
