//! Packets as no stub resolver sends them: the battery of RFC 8906, and what is broken.

use super::*;

/// The question `cluster.local SOA`.
const SOA: &[u8] = b"\x07cluster\x05local\0\0\x06\0\x01";

/// A query with the flags given, that asks [`SOA`] and has these records in its answer, authority and additional
/// sections.
fn packet(flags: u16, sections: [&[&[u8]]; 3]) -> Vec<u8> {
    message(flags, &[SOA], sections)
}

fn message(flags: u16, questions: &[&[u8]], sections: [&[&[u8]]; 3]) -> Vec<u8> {
    let count = |records: &[&[u8]]| (records.len() as u16).to_be_bytes();
    let [high, low] = flags.to_be_bytes();
    let mut octets = vec![0xab, 0xcd, high, low];
    octets.extend(count(questions));
    octets.extend(sections.iter().flat_map(|records| count(records)));
    octets.extend(questions.concat());
    octets.extend(sections.iter().flat_map(|records| records.concat()));
    octets
}

/// An OPT record: version, flags, and options as (code, data).
fn opt(version: u8, flags: u16, options: &[(u16, &[u8])]) -> Vec<u8> {
    let option =
        |&(code, data): &(u16, &[u8])| [&code.to_be_bytes(), &(data.len() as u16).to_be_bytes(), data].concat();
    let options: Vec<u8> = options.iter().flat_map(option).collect();
    let [high, low] = flags.to_be_bytes();
    let fixed = [&b"\0\0\x29\x02\0\0"[..], &[version, high, low]].concat();
    [&fixed[..], &(options.len() as u16).to_be_bytes(), &options].concat()
}

/// The first line of the reply as [`show`] has it but for the reason, and how many records each section has.
fn shape(reply: &[u8]) -> (String, [usize; 3]) {
    let message = Message::from_vec(reply).unwrap();
    let counts = [message.answers.len(), message.authorities.len(), message.additionals.len()];
    let shown = show(reply);
    let line = shown.lines().next().unwrap();
    (line.split(" ede=").next().unwrap().to_owned(), counts)
}

/// Every way has the same reply: its first line, and whether there is an answer. `None` is silence.
fn check_packet(what: &str, packet: &[u8], expected: Option<&str>) {
    let snapshot = snapshot();
    for reply in ways::all(&snapshot, packet) {
        let Some(octets) = reply.octets else {
            assert_eq!(None, expected, "{what}, {}", reply.way);
            continue;
        };
        let (line, counts) = shape(&octets);
        assert_eq!(Some(line.as_str()), expected, "{what}, {}", reply.way);
        // Every error stands alone, and the one answer is the SOA.
        let answers = usize::from(line.starts_with("NOERROR"));
        assert_eq!(counts, [answers, 0, 0], "{what}, {}", reply.way);
        assert_eq!(octets[..2], packet[..2], "168: {what}");
        assert_eq!(octets[2] & 0x79, packet[2] & 0x79, "168: {what}");
        assert_eq!(octets[3] & 0x70, 0, "168, 170, 171, 172: RA, Z, AD and CD are clear: {what}");
    }
}

#[test]
fn the_battery_of_rfc_8906() {
    let (plain, wide) = (Some("NOERROR aa"), Some("NOERROR aa edns=1232"));
    let (opt0, opt1) = (opt(0, 0, &[]), opt(1, 0, &[]));
    let with = |opt: &[u8]| packet(0, [&[], &[], &[opt]]);
    let known: [(u16, &[u8]); 4] = [(9, b""), (10, b"12345678"), (8, b"\0\x01\0\0"), (12, b"\0\0")];
    #[rustfmt::skip]
    let rows: &[(&str, Vec<u8>, Option<&str>)] = &[
        ("4, 169: section 8.1.1, nothing special", packet(0, [&[], &[], &[]]), plain),
        ("172: 8.1.3.1, recursion desired", packet(0x0100, [&[], &[], &[]]), plain),
        ("171, 172: 8.1.3.2, AD", packet(0x0020, [&[], &[], &[]]), plain),
        ("171, 172: 8.1.3.2, CD", packet(0x0010, [&[], &[], &[]]), plain),
        ("172: 8.1.3.2, the reserved bit", packet(0x0040, [&[], &[], &[]]), plain),
        ("172: AA, TC and RA, which only replies have", packet(0x0680, [&[], &[], &[]]), plain),
        ("174: 8.1.4, an unknown opcode, the header alone", message(0x7800, &[], [&[], &[], &[]]), Some("NOTIMP")),
        ("174: with a question", packet(0x7800, [&[], &[], &[]]), Some("NOTIMP")),
        ("184, 185: 8.2.1, EDNS", with(&opt0), wide),
        ("187: 8.2.2, version 1", with(&opt1), Some("BADVERS edns=1232")),
        ("189: 8.2.3, an unknown option", with(&opt(0, 0, &[(100, b"ab")])), wide),
        ("185: 8.2.4, an unknown flag", with(&opt(0, 0x40, &[])), wide),
        ("185: all of them", with(&opt(0, 0x7fff, &[])), wide),
        ("188: 8.2.5, version 1 and an unknown flag", with(&opt(1, 0x40, &[])), Some("BADVERS edns=1232")),
        ("188: 8.2.6, version 1 and an unknown option", with(&opt(1, 0, &[(100, b"ab")])), Some("BADVERS edns=1232")),
        ("187: the highest version", with(&opt(255, 0, &[])), Some("BADVERS edns=1232")),
        ("190: 8.2.8, DO", with(&opt(0, 0x8000, &[])), Some("NOERROR aa do edns=1232")),
        ("190: 8.2.9, DO and version 1", with(&opt(1, 0x8000, &[])), Some("BADVERS do edns=1232")),
        ("195, 196, 199: 8.2.10, several options that others know", with(&opt(0, 0, &known[..3])), wide),
        ("184: NOTIMP with EDNS", packet(0x7800, [&[], &[], &[&opt0]]), Some("NOTIMP edns=1232")),
        ("188: the version before the opcode", packet(0x7800, [&[], &[], &[&opt1]]), Some("BADVERS edns=1232")),
    ];
    for (what, packet, expected) in rows {
        check_packet(what, packet, *expected);
    }
}

#[test]
fn every_opcode_but_query() {
    for opcode in 1..16 {
        // 174, 175, 176
        check_packet(&format!("174: opcode {opcode}"), &packet(opcode << 11, [&[], &[], &[]]), Some("NOTIMP"));
        check_packet(&format!("173: QR, opcode {opcode}"), &packet(0x8000 | opcode << 11, [&[], &[], &[]]), None);
    }
    check_packet("173: an answer", &packet(0x8400, [&[], &[], &[]]), None);
    check_packet("173: a broken answer", &packet(0x8400, [&[], &[], &[]])[..20], None);
}

#[test]
fn options_are_never_echoed() {
    let snapshot = snapshot();
    // 189, 195, 196, 197, 198, 199, 200: NSID without one configured, cookies, client subnet, EXPIRE, keepalive, padding
    // (over UDP and plain TCP), and nobody's.
    let options: [(u16, &[u8]); 7] =
        [(3, b""), (10, b"12345678"), (8, b"\0\x01\0\0"), (9, b""), (11, b""), (12, b"\0\0\0"), (65_001, b"x")];
    for option in options {
        let packet = packet(0, [&[], &[], &[&opt(0, 0, &[option])]]);
        for reply in ways::all(&snapshot, &packet).iter().filter(|reply| !reply.transport.is_encrypted()) {
            // Over a stream keepalive may be answered (RFC 7828), with a time and not with what came.
            if option.0 == 11 && reply.transport.is_stream() {
                continue;
            }
            let (line, _) = shape(reply.octets.as_deref().unwrap());
            assert_eq!(line, "NOERROR aa edns=1232", "{option:?}, {}", reply.way);
        }
    }
}

#[test]
fn broken_in_every_way() {
    let (opt0, alone) = (opt(0, 0, &[]), b"\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01".as_slice());
    let other = [b"\x01a\0\0\x01\0\x01\0\0\0\x05\0\x04".as_slice(), &[10, 0, 0, 1]].concat();
    let a_question = |name: &[u8]| message(0, &[&[name, b"\0\x01\0\x01"].concat()], [&[], &[], &[]]);
    let label = [b"\x3f".as_slice(), &[b'x'; 63]].concat();
    let named = |labels: usize, rest: &[u8]| [&label.repeat(labels)[..], rest].concat();
    let mut longer_option = opt(0, 0, &[(100, b"ab")]);
    longer_option[14] = 9;
    let mut longer_rdata = opt0.clone();
    longer_rdata[10] = 1;
    let mut elsewhere = opt0.clone();
    elsewhere.splice(0..1, *b"\x01a\0");
    let trailing = [packet(0, [&[], &[], &[]]), b"what follows".to_vec()].concat();
    let promised = {
        let mut octets = packet(0, [&[], &[], &[]]);
        octets[6..12].copy_from_slice(&[0xff; 6]);
        octets
    };
    let (formerr, wide) = (Some("FORMERR"), Some("NOERROR aa edns=1232"));
    #[rustfmt::skip]
    let rows: &[(&str, Vec<u8>, Option<&str>)] = &[
        ("177: two questions", message(0, &[SOA, SOA], [&[], &[], &[]]), formerr),
        ("178: none", message(0, &[], [&[], &[], &[]]), formerr),
        ("178: none, with a cookie", message(0, &[], [&[], &[], &[&opt(0, 0, &[(10, b"12345678")])]]),
            Some("FORMERR edns=1232")),
        ("179: an answer in the query", packet(0, [&[&other], &[], &[]]), Some("NOERROR aa")),
        ("179: two, and two more", packet(0, [&[&other, &other], &[&other, &other], &[]]), Some("NOERROR aa")),
        ("191: two OPT", packet(0, [&[], &[], &[&opt0, &opt0]]), Some("FORMERR edns=1232")),
        ("192: OPT of another name", packet(0, [&[], &[], &[&elsewhere]]), formerr),
        ("192: OPT among the answers", packet(0, [&[&opt0], &[], &[]]), formerr),
        ("193: an option longer than its record", packet(0, [&[], &[], &[&longer_option]]), formerr),
        ("193: a record longer than the message", packet(0, [&[], &[], &[&longer_rdata]]), formerr),
        ("202: OPT before another record", packet(0, [&[], &[], &[&opt0, &other]]), wide),
        ("202: OPT behind another record", packet(0, [&[], &[], &[&other, &opt0]]), wide),
        ("245: less than a header", packet(0, [&[], &[], &[]])[..11].to_vec(), None),
        ("246: a question that is cut off", packet(0, [&[], &[], &[]])[..20].to_vec(), formerr),
        ("246: a record that is cut off", packet(0, [&[alone], &[], &[]])[..40].to_vec(), formerr),
        ("247: a pointer to itself", a_question(b"\xc0\x0c"), formerr),
        ("247: into the header", a_question(b"\x01a\xc0\x00"), formerr),
        ("247: forwards", a_question(b"\x01a\xc0\x20"), formerr),
        ("247: beyond the end", a_question(b"\xff\xff"), formerr),
        ("247: in a circle, in a record", packet(0, [&[b"\xc0\x1f\0\x01\0\x01\0\0\0\0\0\0"], &[], &[]]), formerr),
        ("248: label type 01", a_question(b"\x41a\0"), formerr),
        ("248: label type 10", a_question(b"\x81a\0"), formerr),
        ("249: more promised than there is", promised, formerr),
        ("250: octets behind the message", trailing, Some("NOERROR aa")),
        ("159: a name of 256 octets", a_question(&named(3, &[&[63][..], &[b'x'; 63], &[0]].concat())), formerr),
    ];
    for (what, packet, expected) in rows {
        check_packet(what, packet, *expected);
    }
    // 159: 255 octets are a name, though not one of ours.
    let longest = a_question(&named(3, &[&[61][..], &[b'x'; 61], &[0]].concat()));
    for reply in ways::all(&snapshot(), &longest) {
        assert_eq!(show(reply.octets.as_deref().unwrap()), "REFUSED", "{}", reply.way);
    }
}

#[test]
fn no_reply_is_much_longer_than_its_query() {
    // 229, 251: over UDP without EDNS at most 512 octets, and ANY has one small record.
    let snapshot = snapshot();
    for line in ["web-1.nginx.ns1.svc.cluster.local ANY", "cluster.local ANY", "dns-version.cluster.local ANY"] {
        let (packet, request) = query(line);
        let reply = ask(&snapshot, &packet, request).unwrap();
        let message = Message::from_vec(&reply).unwrap();
        assert_eq!((message.answers.len(), message.answers[0].record_type().into()), (1, 13_u16), "{line}");
        assert!(reply.len() < 2 * packet.len(), "{line}: {} octets for {}", reply.len(), packet.len());
    }
}

proptest::proptest! {
    /// 246: any octets after a whole header are answered with it, and never with SERVFAIL.
    #[test]
    fn a_header_and_noise(noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60), counts: [u8; 4]) {
        let mut packet = vec![0xab, 0xcd, 0, 0];
        packet.extend(counts.iter().flat_map(|count| [0, count % 4]));
        packet.extend(noise);
        for reply in ways::all(&snapshot(), &packet) {
            let octets = reply.octets.unwrap();
            proptest::prop_assert_ne!(octets[3] & 15, 2, "{}", reply.way);
        }
    }
}
