//! TSIG (RFC 8945): messages that are signed with a shared secret; the time is an argument.

use super::{
    HEADER,
    query::{name_at, name_end},
    rdata::RecordType,
    u16_at,
};
use crate::dns::name::Name;
use ring::hmac;
use std::{fmt, sync::Arc};

/// How far clocks may differ, in seconds, in what we sign (RFC 8945 §10).
pub const FUDGE: u16 = 300;
/// A TSIG belongs to no class.
const CLASS_ANY: u16 = 255;
/// Octets of a record between its owner and its rdata.
const RECORD_HEAD_OCTETS: usize = 10;

/// A keyed hash (RFC 8945 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Weak, for old peers only.
    Sha1,
    /// The usual one.
    Sha256,
    /// Longer.
    Sha384,
    /// Longest.
    Sha512,
}

impl Algorithm {
    /// All of them; hmac-md5 is broken, and nobody needs hmac-sha224.
    pub const ALL: [Algorithm; 4] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

    /// The name without final dot, as in every server's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "hmac-sha1",
            Algorithm::Sha256 => "hmac-sha256",
            Algorithm::Sha384 => "hmac-sha384",
            Algorithm::Sha512 => "hmac-sha512",
        }
    }

    fn wire(self) -> Vec<u8> {
        let name = self.name();
        [&[name.len() as u8], name.as_bytes(), &[0]].concat()
    }

    fn hash(self) -> hmac::Algorithm {
        match self {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn octets(self) -> usize {
        self.hash().digest_algorithm().output_len()
    }
}

/// A shared secret with its name.
pub struct TsigKey {
    name: Name,
    algorithm: Algorithm,
    secret: Box<[u8]>,
    hmac: hmac::Key,
}

impl TsigKey {
    /// A key; both sides must have the same name, algorithm and secret.
    pub fn new(name: Name, algorithm: Algorithm, secret: &[u8]) -> TsigKey {
        TsigKey { name, algorithm, secret: secret.into(), hmac: hmac::Key::new(algorithm.hash(), secret) }
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The hash of what the parts hold together.
    fn hash(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.hmac);
        parts.iter().for_each(|part| context.update(part));
        context.sign()
    }
}

impl PartialEq for TsigKey {
    fn eq(&self, other: &TsigKey) -> bool {
        (&self.name, self.algorithm, &self.secret) == (&other.name, other.algorithm, &other.secret)
    }
}

impl fmt::Debug for TsigKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} ({})", self.name, self.algorithm.name())
    }
}

/// Why a signature is not accepted; the code that the TSIG of the reply bears (RFC 8945 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsigError {
    /// The signature does not fit.
    BadSig = 16,
    /// No such key, or not with that algorithm.
    BadKey = 17,
    /// The clocks differ too much, or it is an old message.
    BadTime = 18,
    /// The signature is shorter than is taken here.
    BadTrunc = 22,
}

impl TsigError {
    /// BADSIG and so on.
    pub fn name(self) -> &'static str {
        match self {
            TsigError::BadSig => "BADSIG",
            TsigError::BadKey => "BADKEY",
            TsigError::BadTime => "BADTIME",
            TsigError::BadTrunc => "BADTRUNC",
        }
    }
}

/// What became of a message's signature.
#[derive(Debug)]
pub enum SignatureCheck {
    /// The TSIG is no TSIG.
    Malformed,
    /// Not accepted: NOTAUTH is replied, with this TSIG.
    Bad(TsigError, Signer),
    /// The message is what the key's owner sent; the reply is to be signed.
    Good(Signer),
}

/// A TSIG as it stands in a message.
struct Signature<'p> {
    key: Name,
    algorithm: Vec<u8>,
    time: [u8; 6],
    fudge: u16,
    mac: &'p [u8],
    original_id: u16,
    error: u16,
    other: &'p [u8],
}

impl<'p> Signature<'p> {
    fn read(packet: &'p [u8], start: usize) -> Option<Signature<'p>> {
        let head = name_end(packet, start)?;
        let key = Name::from_wire(&name_at(packet, start)?).ok()?;
        let rdata = packet
            .get(head + RECORD_HEAD_OCTETS..head + RECORD_HEAD_OCTETS + usize::from(u16_at(packet, head + 8)?))?;
        let (class, ttl) = (u16_at(packet, head + 2)?, packet.get(head + 4..head + 8)?);
        if u16_at(packet, head)? != RecordType::TSIG.0 || class != CLASS_ANY || ttl != [0; 4] {
            return None;
        }
        let (algorithm, rest) = rdata.split_at(crate::dns::name::wire_length(rdata)?);
        let time = *rest.first_chunk()?;
        let fudge = u16_at(rest, 6)?;
        let mac = rest.get(10..10 + usize::from(u16_at(rest, 8)?))?;
        let rest = rest.get(10 + mac.len()..)?;
        let (original_id, error) = (u16_at(rest, 0)?, u16_at(rest, 2)?);
        let other = rest.get(6..6 + usize::from(u16_at(rest, 4)?))?;
        let whole = rest.len() == 6 + other.len();
        let algorithm = algorithm.to_ascii_lowercase();
        whole.then_some(Signature { key, algorithm, time, fudge, mac, original_id, error, other })
    }

    /// The fields that are hashed besides the message (RFC 8945 §4.3.3).
    fn variables(&self) -> Vec<u8> {
        variables(&self.key, &self.algorithm, self.time, self.fudge, self.error, self.other)
    }
}

fn variables(key: &Name, algorithm: &[u8], time: [u8; 6], fudge: u16, error: u16, other: &[u8]) -> Vec<u8> {
    let mut octets = key.as_wire().to_vec();
    octets.extend_from_slice(&CLASS_ANY.to_be_bytes());
    octets.extend_from_slice(&[0; 4]);
    octets.extend_from_slice(algorithm);
    octets.extend_from_slice(&time);
    for number in [fudge, error, other.len() as u16] {
        octets.extend_from_slice(&number.to_be_bytes());
    }
    octets.extend_from_slice(other);
    octets
}

fn octets_of(time: u64) -> [u8; 6] {
    let [_, _, octets @ ..] = time.to_be_bytes();
    octets
}

fn seconds_of(octets: [u8; 6]) -> u64 {
    octets.iter().fold(0, |sum, &octet| sum << 8 | u64::from(octet))
}

/// The message without the TSIG that begins at `start`, as it was before it was signed but for the id.
pub fn strip(packet: &[u8], start: usize) -> Vec<u8> {
    let mut message = packet[..start.min(packet.len())].to_vec();
    if let Some(additional) = u16_at(&message, 10) {
        message[10..12].copy_from_slice(&additional.saturating_sub(1).to_be_bytes());
    }
    message
}

/// Checks the query whose TSIG begins at `start`, at `now` in seconds since 1970, in the order of RFC 8945 §5.2.
pub fn check(packet: &[u8], start: usize, keys: &[Arc<TsigKey>], now: u64) -> SignatureCheck {
    let Some(signature) = Signature::read(packet, start) else { return SignatureCheck::Malformed };
    let known = keys.iter().find(|key| key.name == signature.key && key.algorithm.wire() == signature.algorithm);
    let Some(key) = known else {
        return SignatureCheck::Bad(TsigError::BadKey, Signer::refusing(&signature, None, TsigError::BadKey, now));
    };
    let octets = key.algorithm.octets();
    if signature.mac.len() > octets || signature.mac.len() < (octets / 2).max(10) {
        return SignatureCheck::Malformed;
    }
    let bad = |failure, key| SignatureCheck::Bad(failure, Signer::refusing(&signature, key, failure, now));
    if !is_signed_by(key, &signature, &strip(packet, start), None) {
        return bad(TsigError::BadSig, None);
    }
    if seconds_of(signature.time).abs_diff(now) > u64::from(signature.fudge) {
        return bad(TsigError::BadTime, Some(key));
    }
    if signature.mac.len() < octets {
        return bad(TsigError::BadTrunc, Some(key));
    }
    SignatureCheck::Good(Signer {
        key: signature.key,
        algorithm: signature.algorithm,
        secret: Some(Arc::clone(key)),
        original_id: signature.original_id,
        prior: Some(signature.mac.to_vec()),
        first: true,
        failure: None,
        time: None,
        other: Vec::new(),
    })
}

/// Whether a reply is signed by whoever got the request with this signature.
pub fn is_reply_to(packet: &[u8], start: usize, key: &Arc<TsigKey>, request: &[u8], now: u64) -> bool {
    Signature::read(packet, start).is_some_and(|signature| {
        signature.key == key.name
            && signature.algorithm == key.algorithm.wire()
            && signature.error == 0
            && signature.mac.len() == key.algorithm.octets()
            && seconds_of(signature.time).abs_diff(now) <= u64::from(signature.fudge)
            && is_signed_by(key, &signature, &strip(packet, start), Some(request))
    })
}

fn is_signed_by(key: &TsigKey, signature: &Signature<'_>, message: &[u8], prior: Option<&[u8]>) -> bool {
    let mut message = message.to_vec();
    message[..2].copy_from_slice(&signature.original_id.to_be_bytes());
    let length = prior.map(|prior| (prior.len() as u16).to_be_bytes());
    let (length, prior) = (length.as_ref().map_or(&[][..], |length| length), prior.unwrap_or_default());
    let expected = key.hash(&[length, prior, &message, &signature.variables()]);
    let Some(expected) = expected.as_ref().get(..signature.mac.len()) else { return false };
    // Comparing the hashes of both takes the same time wherever they differ, whatever their length.
    hmac::verify(&key.hmac, signature.mac, hmac::sign(&key.hmac, expected).as_ref()).is_ok()
}

/// Signs what we send: replies one after another, or one request.
#[derive(Debug)]
pub struct Signer {
    key: Name,
    algorithm: Vec<u8>,
    /// Nothing is hashed without it.
    secret: Option<Arc<TsigKey>>,
    original_id: u16,
    /// The signature before this one, if there was any.
    prior: Option<Vec<u8>>,
    /// Whether no reply has been signed yet.
    first: bool,
    failure: Option<TsigError>,
    /// What is said instead of the time of signing.
    time: Option<[u8; 6]>,
    other: Vec<u8>,
}

impl Signer {
    /// Signs a request.
    pub fn request(key: &Arc<TsigKey>, id: u16) -> Signer {
        Signer {
            key: key.name.clone(),
            algorithm: key.algorithm.wire(),
            secret: Some(Arc::clone(key)),
            original_id: id,
            prior: None,
            first: true,
            failure: None,
            time: None,
            other: Vec::new(),
        }
    }

    fn refusing(signature: &Signature<'_>, key: Option<&Arc<TsigKey>>, failure: TsigError, now: u64) -> Signer {
        // Whose clock is wrong gets its own time back, and ours beside it (RFC 8945 §5.2.3).
        let late = failure == TsigError::BadTime;
        Signer {
            key: signature.key.clone(),
            algorithm: signature.algorithm.clone(),
            secret: key.cloned(),
            original_id: signature.original_id,
            prior: Some(signature.mac.to_vec()),
            first: true,
            failure: Some(failure),
            time: late.then_some(signature.time),
            other: if late { octets_of(now).to_vec() } else { Vec::new() },
        }
    }

    /// The name of the key.
    pub fn key(&self) -> &Name {
        &self.key
    }

    /// Octets that a signature adds to a message.
    pub fn length(&self) -> usize {
        let mac = self.secret.as_ref().map_or(0, |key| key.algorithm.octets());
        self.key.as_wire().len() + RECORD_HEAD_OCTETS + self.algorithm.len() + 16 + mac + self.other.len()
    }

    /// The signature made last.
    pub fn last(&self) -> &[u8] {
        self.prior.as_deref().unwrap_or_default()
    }

    /// Appends the signature to a message, at `now` in seconds since 1970.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: u64) {
        let Some(additional) = u16_at(message, 10).filter(|_| message.len() >= HEADER) else { return };
        let time = self.time.unwrap_or(octets_of(now));
        let error = self.failure.map_or(0, |failure| failure as u16);
        let mac = self.secret.as_ref().map(|key| {
            let length = self.prior.as_ref().map(|prior| (prior.len() as u16).to_be_bytes());
            let length = length.as_ref().map_or(&[][..], |length| length);
            // Of what follows the first message of several only the times are hashed (RFC 8945 §5.3.1).
            let variables = if self.first {
                variables(&self.key, &self.algorithm, time, FUDGE, error, &self.other)
            } else {
                [&time[..], &FUDGE.to_be_bytes()].concat()
            };
            key.hash(&[length, self.prior.as_deref().unwrap_or_default(), message, &variables]).as_ref().to_vec()
        });
        let mac = mac.unwrap_or_default();
        message[10..12].copy_from_slice(&additional.saturating_add(1).to_be_bytes());
        message.extend_from_slice(self.key.as_wire());
        message.extend_from_slice(&RecordType::TSIG.0.to_be_bytes());
        message.extend_from_slice(&CLASS_ANY.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        let rdlength = self.algorithm.len() + 16 + mac.len() + self.other.len();
        message.extend_from_slice(&(rdlength as u16).to_be_bytes());
        message.extend_from_slice(&self.algorithm);
        message.extend_from_slice(&time);
        message.extend_from_slice(&FUDGE.to_be_bytes());
        message.extend_from_slice(&(mac.len() as u16).to_be_bytes());
        message.extend_from_slice(&mac);
        for number in [self.original_id, error, self.other.len() as u16] {
            message.extend_from_slice(&number.to_be_bytes());
        }
        message.extend_from_slice(&self.other);
        self.prior = Some(mac);
        self.first = false;
    }
}

#[cfg(test)]
mod tests;
