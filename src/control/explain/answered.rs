//! The answer as a client gets it: the production function's own octets, read back.

use crate::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    name::Name,
    wire::{MESSAGE_MAX, rdata::RecordType},
    zone::Snapshot,
};
use hickory_proto::{
    op::{Edns, Message, ResponseCode},
    rr::{RData, Record, rdata::opt::EdnsCode},
};
use serde::{Deserialize, Serialize};

/// The EDNS option of RFC 8914.
const EXTENDED_ERROR: u16 = 15;
/// The UDP payload offered; it matters for nothing, since the question comes over a stream.
const UDP_PAYLOAD_OCTETS: u16 = 1232;

/// What DNS says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsAnswer {
    /// `NOERROR`, `NXDOMAIN`, …
    pub code: String,
    /// Whether there are records of the type (aliases alone are none).
    pub resolves: bool,
    /// Whether the question, or the end of the aliases, is asked for elsewhere.
    pub forwarded: bool,
    /// The answer section in zone-file syntax.
    pub records: Vec<String>,
    /// For how many seconds a resolver may remember that there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_ttl: Option<u32>,
    /// Extended DNS errors (RFC 8914).
    pub extended_errors: Vec<ReceivedExtendedError>,
}

/// One extended DNS error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedExtendedError {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT; may be empty.
    pub text: String,
}

impl DnsAnswer {
    /// In a word or two.
    pub(super) fn outcome(&self) -> String {
        match (self.code.as_str(), self.records.len(), self.resolves) {
            _ if self.forwarded => "asked for elsewhere".to_owned(),
            ("NOERROR", 0, _) => "NODATA".to_owned(),
            ("NOERROR", 1, true) => "1 record".to_owned(),
            ("NOERROR", count, true) => format!("{count} records"),
            ("NOERROR", _, false) => "an alias without an end here".to_owned(),
            (code, ..) => code.to_owned(),
        }
    }

    fn silence() -> DnsAnswer {
        DnsAnswer {
            code: "no answer".to_owned(),
            resolves: false,
            forwarded: false,
            records: Vec::new(),
            negative_ttl: None,
            extended_errors: Vec::new(),
        }
    }
}

/// What an answer depends on besides the name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub snapshot: &'a Snapshot,
    pub rtype: RecordType,
    pub forwarding: bool,
}

impl Asking<'_> {
    /// Asks over a stream, with EDNS and for recursion, as `dig +tcp` does.
    pub(super) fn ask(&self, name: &Name) -> DnsAnswer {
        let packet = query(name, self.rtype);
        let mut out = vec![0; MESSAGE_MAX];
        let request =
            QueryContext { forwarding: self.forwarding, ..QueryContext::new(Transport::Tcp, UDP_PAYLOAD_OCTETS, 0) };
        let (length, forwarded) = match answer(&packet, self.snapshot, request, &mut out) {
            Verdict::Forward(length) => (length, true),
            Verdict::Reply(length) | Verdict::Transfer(length) => (length, false),
            Verdict::Drop | Verdict::Signed => return DnsAnswer::silence(),
        };
        let message = out.get(..length).and_then(|octets| Message::from_vec(octets).ok());
        message.map_or_else(DnsAnswer::silence, |message| read(&message, self.rtype, forwarded))
    }
}

/// A query with recursion desired and an OPT record (RFC 1035 §4.1, RFC 6891 §6.1).
pub(super) fn query(name: &Name, rtype: RecordType) -> Vec<u8> {
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&rtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet.extend_from_slice(&[0, 0, 41]);
    packet.extend_from_slice(&UDP_PAYLOAD_OCTETS.to_be_bytes());
    packet.extend_from_slice(&[0; 6]);
    packet
}

fn read(message: &Message, rtype: RecordType, forwarded: bool) -> DnsAnswer {
    let wanted = |record: &&Record| {
        let present = u16::from(record.record_type());
        present == rtype.0 || rtype == RecordType::ANY
    };
    let soa = message.authorities.iter().find(|record| u16::from(record.record_type()) == RecordType::SOA.0);
    let positive = message.metadata.response_code == ResponseCode::NoError;
    let resolves = positive && message.answers.iter().filter(wanted).count() > 0;
    DnsAnswer {
        code: mnemonic(message.metadata.response_code),
        resolves,
        forwarded,
        records: message.answers.iter().map(presented).collect(),
        negative_ttl: soa.filter(|_| !resolves).map(|soa| soa.ttl),
        extended_errors: message.edns.iter().flat_map(extended_errors).collect(),
    }
}

fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::YXDomain => "YXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

/// One record as in a zone file; text strings in quotes.
fn presented(record: &Record) -> String {
    let data = match &record.data {
        RData::TXT(txt) => {
            let quoted = |string: &[u8]| {
                format!("\"{}\"", String::from_utf8_lossy(string).replace('\\', "\\\\").replace('"', "\\\""))
            };
            txt.txt_data.iter().map(|string| quoted(string)).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    format!("{} {} {} {data}", record.name.to_ascii(), record.ttl, record.record_type())
}

fn extended_errors(edns: &Edns) -> Vec<ReceivedExtendedError> {
    let options = edns.options().get_all(EdnsCode::from(EXTENDED_ERROR));
    let octets = options.into_iter().filter_map(|option| Vec::<u8>::try_from(option).ok());
    octets
        .filter_map(|octets| {
            let (code, text) = octets.split_first_chunk::<2>()?;
            let text = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
            Some(ReceivedExtendedError { code: u16::from_be_bytes(*code), text })
        })
        .collect()
}
