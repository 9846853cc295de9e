//! The fields of each record type, in order.

use super::field::RdataField::{self, *};
use crate::dns::wire::rdata::RecordType;

/// The fields of a type that has a text form; each is read from text and checked in octets by the same description.
pub(super) fn fields(rtype: RecordType) -> Option<&'static [RdataField]> {
    Some(match rtype {
        RecordType::A => &[Ipv4],
        RecordType::AAAA => &[Ipv6],
        RecordType::NS
        | RecordType::CNAME
        | RecordType::PTR
        | RecordType::DNAME
        | RecordType::MB
        | RecordType::MG
        | RecordType::MR
        | RecordType::NSAP_PTR => &[Name],
        RecordType::MX | RecordType::AFSDB | RecordType::KX | RecordType::RT | RecordType::LP => &[U16, Name],
        RecordType::RP | RecordType::MINFO | RecordType::TALINK => &[Name, Name],
        RecordType::SOA => &[Name, Name, Seconds, Seconds, Seconds, Seconds, Seconds],
        RecordType::SRV => &[U16, U16, U16, Name],
        RecordType::PX => &[U16, Name, Name],
        RecordType::NAPTR => &[U16, U16, Text, Text, Substitution, Name],
        RecordType::TXT
        | RecordType::SPF
        | RecordType::AVC
        | RecordType::NINFO
        | RecordType::RESINFO
        | RecordType::WALLET => &[Texts],
        RecordType::HINFO => &[Text, Text],
        RecordType::ISDN => &[Text, OptionalText],
        RecordType::X25 => &[Digits],
        RecordType::GPOS => &[Text, Text, Text],
        RecordType::CAA => &[U8, Tag, LongText],
        RecordType::URI => &[U16, U16, QuotedText],
        RecordType::DS | RecordType::CDS | RecordType::DLV | RecordType::TA => &[U16, Algorithm, Digest, Hex(1)],
        RecordType::SSHFP => &[U8, U8, Hex(0)],
        RecordType::TLSA | RecordType::SMIMEA => &[U8, U8, U8, Hex(1)],
        RecordType::ZONEMD => &[U32, U8, U8, Hex(1)],
        RecordType::EID | RecordType::NIMLOC => &[Hex(1)],
        RecordType::CERT => &[Certificate, U16, Algorithm, Base64(1)],
        RecordType::DNSKEY | RecordType::CDNSKEY | RecordType::RKEY => &[KeyFlags, KeyProtocol, Algorithm, Base64(1)],
        RecordType::KEY => &[KeyFlags, KeyProtocol, Algorithm, Base64(0)],
        RecordType::OPENPGPKEY | RecordType::DHCID | RecordType::HHIT | RecordType::BRID => &[Base64(1)],
        RecordType::SINK => &[U8, U8, U8, Base64(0)],
        RecordType::DOA => &[U32, U32, U8, Text, Base64OrNothing],
        RecordType::RRSIG => &[Type, Algorithm, U8, U32, Time, Time, U16, Name, Base64(1)],
        RecordType::SIG => &[Type, Algorithm, U8, U32, Date, Date, U16, Name, Base64(1)],
        RecordType::NSEC => &[Name, Types(1)],
        RecordType::NXT => &[Name, FlatTypes],
        RecordType::NSEC3 => &[Hash, U8, U16, Salt, NextHash, Types(0)],
        RecordType::NSEC3PARAM => &[Hash, U8, U16, Salt],
        RecordType::CSYNC => &[U32, U16, Types(0)],
        RecordType::DSYNC => &[Type, Scheme, U16, Name],
        RecordType::NID | RecordType::L64 => &[U16, Locator],
        RecordType::L32 => &[U16, Ipv4],
        RecordType::EUI48 => &[Eui(6)],
        RecordType::EUI64 => &[Eui(8)],
        RecordType::NSAP => &[Nsap],
        RecordType::ATMA => &[Atma],
        RecordType::WKS => &[Ipv4, Protocol, Ports],
        RecordType::A6 => &[Prefixed],
        RecordType::IPSECKEY => &[U8, GatewayType, U8, Gateway, Base64(1)],
        RecordType::AMTRELAY => &[U8, Discovery, Gateway],
        RecordType::HIP => &[HostIdentity, Names],
        RecordType::LOC => &[Location],
        RecordType::APL => &[Prefixes],
        RecordType::SVCB | RecordType::HTTPS => &[U16, Target, Parameters],
        _ => return None,
    })
}
