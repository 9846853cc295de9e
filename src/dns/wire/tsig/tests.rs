//! Signatures that are accepted, and those that are not.

use super::*;
use crate::dns::wire::query::Query;
use proptest::prelude::*;

const NOW: u64 = 1_800_000_000;
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";

fn key(name: &str, algorithm: Algorithm) -> Arc<TsigKey> {
    Arc::new(TsigKey::new(Name::parse(name).unwrap(), algorithm, b"0123456789abcdef"))
}

fn signed(key: &Arc<TsigKey>, time: u64) -> Vec<u8> {
    let mut message = QUERY.to_vec();
    let mut signer = Signer::request(key, 0x1234);
    let expected = message.len() + signer.length();
    signer.sign(&mut message, time);
    assert_eq!(message.len(), expected);
    message
}

fn start(message: &[u8]) -> usize {
    let query = Query::parse(message).unwrap();
    assert!(query.signed);
    query.last_record
}

fn outcome(message: &[u8], keys: &[Arc<TsigKey>], now: u64) -> &'static str {
    match check(message, start(message), keys, now) {
        SignatureCheck::Malformed => "FORMERR",
        SignatureCheck::Bad(failure, _) => failure.name(),
        SignatureCheck::Good(_) => "good",
    }
}

/// The signature with its last `cut` octets gone.
fn truncated(message: &[u8], cut: u16, key: &TsigKey) -> Vec<u8> {
    let mut message = message.to_vec();
    let octets = key.algorithm.octets() as u16;
    let end = message.len() - 6;
    message.drain(end - usize::from(cut)..end);
    let rdlength = start_of_rdata(QUERY.len(), key) - 2;
    let mac_length = rdlength + 2 + key.algorithm.wire().len() + 8;
    for at in [rdlength, mac_length] {
        let was = u16_at(&message, at).unwrap();
        message[at..at + 2].copy_from_slice(&(was - cut).to_be_bytes());
    }
    assert_eq!(u16_at(&message, mac_length), Some(octets - cut));
    message
}

fn start_of_rdata(start: usize, key: &TsigKey) -> usize {
    start + key.name.as_wire().len() + RECORD_HEAD_OCTETS
}

#[test]
fn what_is_accepted() {
    for algorithm in Algorithm::ALL {
        let (own, other) = (key("own", algorithm), key("other", algorithm));
        let keys = [Arc::clone(&own), other];
        let message = signed(&own, NOW);
        let octets = algorithm.octets() as u16;
        let mut wrong = message.clone();
        wrong[13] ^= 1;
        let mut forwarded = message.clone();
        forwarded[0] ^= 1;
        let mut no_tsig = message.clone();
        let class = start_of_rdata(QUERY.len(), &own) - 7;
        no_tsig[class] = 1;
        let impostor = Arc::new(TsigKey::new(own.name.clone(), algorithm, b"another secret!!"));
        let half = octets - (octets / 2).max(10);
        #[rustfmt::skip]
        let rows = [
            ("plain", message.clone(), NOW, "good"),
            ("in the last moment", message.clone(), NOW + u64::from(FUDGE), "good"),
            ("too late", message.clone(), NOW + u64::from(FUDGE) + 1, "BADTIME"),
            ("from the future", message.clone(), NOW - u64::from(FUDGE) - 1, "BADTIME"),
            ("another id, as forwarders give it", forwarded, NOW, "good"),
            ("a changed question", wrong, NOW, "BADSIG"),
            ("another secret", signed(&impostor, NOW), NOW, "BADSIG"),
            ("an unknown name", signed(&key("who", algorithm), NOW), NOW, "BADKEY"),
            ("another algorithm", signed(&key("own", next(algorithm)), NOW), NOW, "BADKEY"),
            ("truncated", truncated(&message, 1, &own), NOW, "BADTRUNC"),
            ("truncated as far as it may", truncated(&message, half, &own), NOW, "BADTRUNC"),
            ("truncated too far", truncated(&message, half + 1, &own), NOW, "FORMERR"),
            ("truncated and wrong", truncated(&signed(&impostor, NOW), 1, &own), NOW, "BADSIG"),
            ("of another class", no_tsig, NOW, "FORMERR"),
        ];
        for (what, message, now, expected) in rows {
            assert_eq!(outcome(&message, &keys, now), expected, "{} {what}", algorithm.name());
        }
    }
}

fn next(algorithm: Algorithm) -> Algorithm {
    if algorithm == Algorithm::Sha256 { Algorithm::Sha512 } else { Algorithm::Sha256 }
}

#[test]
fn replies_answer_the_request_and_each_other() {
    let key = key("own", Algorithm::Sha256);
    let request = signed(&key, NOW);
    let SignatureCheck::Good(mut signer) = check(&request, start(&request), &[Arc::clone(&key)], NOW) else { panic!() };
    assert_eq!(strip(&request, start(&request)), QUERY);
    let mac = signer.last().to_vec();
    let mut reply = QUERY.to_vec();
    signer.sign(&mut reply, NOW);
    let good = |reply: &[u8], mac: &[u8]| is_reply_to(reply, start(reply), &key, mac, NOW);
    assert!(good(&reply, &mac) && !good(&reply, b"another request") && !good(&request, &mac));
    // Of the second one only the times are hashed; it follows the first.
    let mut second = QUERY.to_vec();
    let before = signer.last().to_vec();
    signer.sign(&mut second, NOW);
    assert!(!good(&second, &mac));
    let length = (before.len() as u16).to_be_bytes();
    let expected = key.hash(&[&length, &before, QUERY, &octets_of(NOW), &FUDGE.to_be_bytes()]);
    assert_eq!(signer.last(), expected.as_ref());
}

#[test]
fn refusals_say_why() {
    let key = key("own", Algorithm::Sha256);
    let request = signed(&key, NOW);
    let refusal = |message: &[u8], now: u64| {
        let SignatureCheck::Bad(_, mut signer) = check(message, start(message), &[Arc::clone(&key)], now) else {
            panic!()
        };
        let mut reply = QUERY.to_vec();
        signer.sign(&mut reply, now);
        reply
    };
    let reply = refusal(&request, NOW + 1000);
    let signature = Signature::read(&reply, QUERY.len()).unwrap();
    // Signed, with the client's time and ours (RFC 8945 §5.2.3).
    assert_eq!((signature.error, seconds_of(signature.time)), (TsigError::BadTime as u16, NOW));
    assert_eq!((signature.other, signature.mac.len()), (&octets_of(NOW + 1000)[..], 32));
    let mut wrong = request.clone();
    wrong[13] ^= 1;
    let reply = refusal(&wrong, NOW);
    let signature = Signature::read(&reply, QUERY.len()).unwrap();
    assert_eq!((signature.error, signature.mac, signature.other), (TsigError::BadSig as u16, &b""[..], &b""[..]));
}

proptest! {
    #[test]
    fn any_octets(octets in prop::collection::vec(any::<u8>(), 0..300), place in 0..300usize, flipped in any::<prop::sample::Index>()) {
        let key = key("own", Algorithm::Sha256);
        let _ = check(&octets, place, &[Arc::clone(&key)], NOW);
        let _ = is_reply_to(&octets, place, &key, b"", NOW);
        // Nothing of a signed message can be changed but its id, which is signed elsewhere, and the case of the names.
        let message = signed(&key, NOW);
        let at = flipped.index(message.len() - 2) + 2;
        let mut changed = message.clone();
        changed[at] ^= 0x80;
        if let Some(query) = Query::parse(&changed) && query.signed {
            prop_assert!(!matches!(check(&changed, query.last_record, &[key], NOW), SignatureCheck::Good(_)), "{}", at);
        }
    }
}
