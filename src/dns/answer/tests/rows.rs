//! What is answered, row by row.

use super::*;

/// What a negative answer of the zone holds besides its header.
fn soa(snapshot: &Snapshot, origin: &str) -> String {
    let (_, serial) = snapshot.serials().into_iter().find(|(apex, _)| *apex == name(origin)).unwrap();
    format!("auth: {origin}. 1 SOA ns.dns.cluster.local. hostmaster.cluster.local. {serial} 7200 1800 86400 1")
}

/// The SOA as an answer, which has its own TTL.
fn apex_soa(snapshot: &Snapshot) -> String {
    soa(snapshot, "cluster.local").replace("auth: cluster.local. 1 ", "cluster.local. 5 ")
}

const EXAMPLE_SOA: &str = "auth: example.org. 5 SOA ns.elsewhere. h.elsewhere. 1 2 3 4 60";

#[test]
fn records() {
    let snapshot = snapshot();
    #[rustfmt::skip]
    let rows: &[(&str, &str)] = &[
        // 1, 148, 151
        ("dns-version.cluster.local TXT", "NOERROR aa\n dns-version.cluster.local. 5 TXT 1.1.0"),
        // 4
        ("cluster.local SOA", &format!("NOERROR aa\n{}", apex_soa(&snapshot))),
        // 5, 6, 167
        ("cluster.local NS", "NOERROR aa
            cluster.local. 5 NS ns.dns.cluster.local.
            add: ns.dns.cluster.local. 5 A 127.0.0.1
            add: ns.dns.cluster.local. 5 AAAA ::1"),
        // 9
        ("ns.dns.cluster.local A", "NOERROR aa\n ns.dns.cluster.local. 5 A 127.0.0.1"),
        // 18, 19, 20
        ("svc1.ns1.svc.cluster.local A", "NOERROR aa\n svc1.ns1.svc.cluster.local. 5 A 10.96.0.1"),
        ("dual.ns1.svc.cluster.local A", "NOERROR aa\n dual.ns1.svc.cluster.local. 5 A 10.96.0.2"),
        ("dual.ns1.svc.cluster.local AAAA", "NOERROR aa\n dual.ns1.svc.cluster.local. 5 AAAA fd00::2"),
        // 32
        ("svc.svc.svc.cluster.local A", "NOERROR aa\n svc.svc.svc.cluster.local. 5 A 10.96.0.3"),
        // 33, 39, 40, 155, 157
        ("_HTTP._tCp.svc1.ns1.svc.cluster.local SRV", "NOERROR aa
            _HTTP._tCp.svc1.ns1.svc.cluster.local. 5 SRV 0 100 80 svc1.ns1.svc.cluster.local.
            add: svc1.ns1.svc.cluster.local. 5 A 10.96.0.1"),
        // 49, 162
        ("nginx.ns1.svc.cluster.local A rotation=0", "NOERROR aa
            nginx.ns1.svc.cluster.local. 5 A 10.1.0.1
            nginx.ns1.svc.cluster.local. 5 A 10.1.0.2"),
        ("nginx.ns1.svc.cluster.local A rotation=4294967295", "NOERROR aa
            nginx.ns1.svc.cluster.local. 5 A 10.1.0.2
            nginx.ns1.svc.cluster.local. 5 A 10.1.0.1"),
        // 81, 87: each target with its own addresses
        ("_web._tcp.nginx.ns1.svc.cluster.local SRV", "NOERROR aa
            _web._tcp.nginx.ns1.svc.cluster.local. 5 SRV 0 50 8080 web-0.nginx.ns1.svc.cluster.local.
            _web._tcp.nginx.ns1.svc.cluster.local. 5 SRV 0 50 8080 web-1.nginx.ns1.svc.cluster.local.
            add: web-0.nginx.ns1.svc.cluster.local. 5 A 10.1.0.1
            add: web-1.nginx.ns1.svc.cluster.local. 5 A 10.1.0.2
            add: web-1.nginx.ns1.svc.cluster.local. 5 AAAA fd00::12"),
        // 105, 109
        ("1.0.1.10.in-addr.arpa PTR", "NOERROR aa\n 1.0.1.10.in-addr.arpa. 5 PTR web-0.nginx.ns1.svc.cluster.local."),
        ("2.0.1.10.IN-ADDR.arpa PTR", "NOERROR aa
            2.0.1.10.IN-ADDR.arpa. 5 PTR other.nginx.ns1.svc.cluster.local.
            2.0.1.10.IN-ADDR.arpa. 5 PTR web-1.nginx.ns1.svc.cluster.local."),
        // 158
        (r"a\.b.ns1.svc.cluster.local A", "NOERROR aa\n a\\.b.ns1.svc.cluster.local. 5 A 10.1.0.9"),
        // types this program knows nothing of
        ("any.example.org TYPE65280", "NOERROR aa\n any.example.org. 5 TYPE65280 AQID"),
        ("mail.example.org MX", "NOERROR aa
            mail.example.org. 5 MX 10 www.example.org.
            add: www.example.org. 5 A 192.0.2.1"),
        // 227, 229: small, whatever there is
        ("nginx.ns1.svc.cluster.local ANY", "NOERROR aa\n nginx.ns1.svc.cluster.local. 1 HINFO RFC8482 "),
        ("ext.ns1.svc.cluster.local ANY", "NOERROR aa\n ext.ns1.svc.cluster.local. 5 CNAME www.example.com."),
    ];
    for (line, expected) in rows {
        check(&snapshot, line, expected);
    }
    // 4: the TTL of the record itself, not the negative one.
    let apex = soa(&snapshot, "cluster.local").replace("auth: cluster.local. 1 ", "cluster.local. 5 ");
    check(&snapshot, "cluster.local SOA", &format!("NOERROR aa\n{apex}"));
}

#[test]
fn absence() {
    let snapshot = snapshot();
    #[rustfmt::skip]
    let rows: &[(&str, &str)] = &[
        // 2, 10, 11, 12, 131, 141
        ("dns-version.cluster.local A", "NOERROR"),
        ("cluster.local A", "NOERROR"),
        ("cluster.local TXT", "NOERROR"),
        ("cluster.local MX", "NOERROR"),
        ("cluster.local PTR", "NOERROR"),
        ("cluster.local CNAME", "NOERROR"),
        ("cluster.local DS", "NOERROR"),
        ("cluster.local DNSKEY", "NOERROR"),
        ("cluster.local NSEC", "NOERROR"),
        ("cluster.local RRSIG", "NOERROR"),
        ("svc1.ns1.svc.cluster.local HTTPS", "NOERROR"),
        ("svc1.ns1.svc.cluster.local TYPE65280", "NOERROR"),
        // 3
        ("x.dns-version.cluster.local TXT", "NXDOMAIN"),
        // 9, 42, 88, 132, 133, 140: empty non-terminals; the last lies above a zone within this one
        ("dns.cluster.local A", "NOERROR"),
        ("svc.cluster.local TXT", "NOERROR"),
        ("ns1.svc.cluster.local A", "NOERROR"),
        ("_tcp.svc1.ns1.svc.cluster.local SRV", "NOERROR"),
        ("_tcp.nginx.ns1.svc.cluster.local A", "NOERROR"),
        ("svc.cluster.local ANY", "NOERROR"),
        ("team.cluster.local A", "NOERROR"),
        ("own.team.cluster.local DS", "NOERROR"),
        // 13, 14
        ("svc1.ns1.svc.cluster.local SOA", "NOERROR"),
        ("foo.cluster.local SOA", "NXDOMAIN"),
        ("svc.cluster.local NS", "NOERROR"),
        ("foo.cluster.local NS", "NXDOMAIN"),
        // 21, 69
        ("svc1.ns1.svc.cluster.local AAAA", "NOERROR"),
        ("nginx.ns1.svc.cluster.local AAAA", "NOERROR"),
        ("web-0.nginx.ns1.svc.cluster.local AAAA", "NOERROR"),
        // 30, 38, 44, 45, 46, 47, 48, 60
        ("bogus.nginx.ns1.svc.cluster.local A", "NXDOMAIN"),
        ("_http._udp.svc1.ns1.svc.cluster.local SRV", "NXDOMAIN"),
        ("_80._tcp.svc1.ns1.svc.cluster.local SRV", "NXDOMAIN"),
        ("_http._tcp.svc1.ns1.svc.cluster.local A", "NOERROR"),
        ("http.tcp.svc1.ns1.svc.cluster.local SRV", "NXDOMAIN"),
        ("_._tcp.svc1.ns1.svc.cluster.local SRV", "NXDOMAIN"),
        ("*.ns1.svc.cluster.local A", "NXDOMAIN"),
        ("*.*.svc.cluster.local A", "NXDOMAIN"),
        ("any.ns1.svc.cluster.local A", "NXDOMAIN"),
        ("_web._tcp.web-0.nginx.ns1.svc.cluster.local SRV", "NXDOMAIN"),
        ("10-9-9-9.nginx.ns1.svc.cluster.local A", "NXDOMAIN"),
        // 102, 139
        ("x.ext.ns1.svc.cluster.local A", "NXDOMAIN"),
        ("x.web-0.nginx.ns1.svc.cluster.local A", "NXDOMAIN"),
        // 120, 135, 137, 138
        ("1.0.1.10.in-addr.arpa.cluster.local PTR", "NXDOMAIN"),
        ("svc1.nowhere.svc.cluster.local A", "NXDOMAIN"),
        ("x.y.foo.cluster.local A", "NXDOMAIN"),
        ("a.b.c.d.e.f.svc.cluster.local A", "NXDOMAIN"),
        // 156, 158: octets that are no letters
        (r"\226\132\170.svc.cluster.local A", "NXDOMAIN"),
        (r"\000\255\032.svc.cluster.local A", "NXDOMAIN"),
        (r"svc1\.ns1.svc.cluster.local A", "NXDOMAIN"),
        // 228, 255
        ("nothing.ns1.svc.cluster.local ANY", "NXDOMAIN"),
        ("www.example.com.ns1.svc.cluster.local AAAA", "NXDOMAIN"),
    ];
    let cluster = soa(&snapshot, "cluster.local");
    for (line, rcode) in rows {
        check(&snapshot, line, &format!("{rcode} aa\n{cluster}"));
    }
    // 17, 116, 117, 118, 119, 120
    let reverse = soa(&snapshot, "in-addr.arpa");
    for (line, rcode) in [
        ("1.0.1.10.in-addr.arpa A", "NOERROR"),
        ("1.10.in-addr.arpa PTR", "NOERROR"),
        ("in-addr.arpa PTR", "NOERROR"),
        ("3.0.1.10.in-addr.arpa PTR", "NXDOMAIN"),
        ("256.0.1.10.in-addr.arpa PTR", "NXDOMAIN"),
        ("01.0.1.10.in-addr.arpa PTR", "NXDOMAIN"),
        ("x.1.0.1.10.in-addr.arpa PTR", "NXDOMAIN"),
        ("svc1.ns1.svc.cluster.local.in-addr.arpa A", "NXDOMAIN"),
    ] {
        check(&snapshot, line, &format!("{rcode} aa\n{reverse}"));
    }
    check(&snapshot, "1.ip6.arpa PTR", &format!("NXDOMAIN aa\n{}", soa(&snapshot, "ip6.arpa")));
}

#[test]
fn aliases() {
    let snapshot = snapshot();
    // 92, 93, 94: the alias for every type
    for rtype in ["A", "AAAA", "CNAME", "TXT", "SRV", "HTTPS", "TYPE65280"] {
        let line = format!("ext.ns1.svc.cluster.local {rtype}");
        check(&snapshot, &line, "NOERROR aa\n ext.ns1.svc.cluster.local. 5 CNAME www.example.com.");
    }
    #[rustfmt::skip]
    let rows: &[(&str, &str)] = &[
        // 95, 161
        ("chain.ns1.svc.cluster.local A", "NOERROR aa
            chain.ns1.svc.cluster.local. 5 CNAME inside.ns1.svc.cluster.local.
            inside.ns1.svc.cluster.local. 5 CNAME svc1.ns1.svc.cluster.local.
            svc1.ns1.svc.cluster.local. 5 A 10.96.0.1"),
        // 98
        ("chain.ns1.svc.cluster.local CNAME", "NOERROR aa
            chain.ns1.svc.cluster.local. 5 CNAME inside.ns1.svc.cluster.local."),
        ("tostatic.ns1.svc.cluster.local A", "NOERROR aa
            tostatic.ns1.svc.cluster.local. 5 CNAME www.example.org.
            www.example.org. 5 A 192.0.2.1"),
        // 96
        ("dangling.ns1.svc.cluster.local A", "NXDOMAIN aa
            dangling.ns1.svc.cluster.local. 5 CNAME gone.ns1.svc.cluster.local.
            CLUSTER"),
        ("toreverse.ns1.svc.cluster.local A", "NXDOMAIN aa
            toreverse.ns1.svc.cluster.local. 5 CNAME 9.9.9.9.in-addr.arpa.
            REVERSE"),
        // 97
        ("inside.ns1.svc.cluster.local AAAA", "NOERROR aa
            inside.ns1.svc.cluster.local. 5 CNAME svc1.ns1.svc.cluster.local.
            CLUSTER"),
        // 99
        ("loop-a.ns1.svc.cluster.local A", "NOERROR aa
            loop-a.ns1.svc.cluster.local. 5 CNAME loop-b.ns1.svc.cluster.local.
            loop-b.ns1.svc.cluster.local. 5 CNAME loop-a.ns1.svc.cluster.local."),
        ("self.ns1.svc.cluster.local A", "NOERROR aa
            self.ns1.svc.cluster.local. 5 CNAME self.ns1.svc.cluster.local."),
    ];
    let (cluster, reverse) = (soa(&snapshot, "cluster.local"), soa(&snapshot, "in-addr.arpa"));
    for (line, expected) in rows {
        check(&snapshot, line, &expected.replace("CLUSTER", &cluster).replace("REVERSE", &reverse));
    }
}

#[test]
fn long_chains() {
    // 99: 16 aliases lead to the address, of 17 the last is for the client to follow.
    let chain = |length: usize| -> String {
        (0..length).map(|n| format!("c{n} CNAME c{}\n", n + 1)).chain([format!("c{length} A 192.0.2.1\n")]).collect()
    };
    for (length, addresses) in [(ALIASES_MAX - 1, 1), (ALIASES_MAX, 0), (ALIASES_MAX + 40, 0)] {
        let snapshot = Snapshot::new(vec![]).with_static_zones(vec![file_zone("example.org", &chain(length))]).synced();
        let packet = query("c0.example.org A edns").0;
        for reply in ways::all(&snapshot, &packet) {
            let message = Message::from_vec(reply.octets.as_deref().unwrap()).unwrap();
            let is_address = |record: &&hickory_proto::rr::Record| u16::from(record.record_type()) == 1;
            let found = message.answers.iter().filter(is_address).count();
            let what = format!("{length} aliases, {}", reply.way);
            assert_eq!((found, message.answers.len() - found), (addresses, length.min(ALIASES_MAX)), "{what}");
            assert_eq!(u16::from(message.metadata.response_code), 0, "{what}");
            assert!(message.metadata.authoritative && !message.metadata.truncation, "{what}");
        }
    }
}

#[test]
fn no_time_at_all() {
    // 149, 146: TTL 0, and a negative answer for no time
    let zone = file_zone("example.org", "www 0 A 192.0.2.1");
    let brief = "$ORIGIN brief.test.\n$TTL 5\n@ 9 SOA ns.elsewhere. h.elsewhere. 1 2 3 4 0\n@ NS ns.elsewhere.\n";
    let brief = file::read(Path::new("brief.zone"), brief.as_bytes(), &[]).0.unwrap();
    let snapshot = Snapshot::new(vec![]).with_static_zones(vec![zone, brief]).synced();
    check(&snapshot, "www.example.org A", "NOERROR aa\n www.example.org. 0 A 192.0.2.1");
    check(&snapshot, "x.brief.test A", "NXDOMAIN aa\n auth: brief.test. 0 SOA ns.elsewhere. h.elsewhere. 1 2 3 4 0");
}

#[test]
fn static_zones() {
    let snapshot = snapshot();
    const REFERRAL: &str = "NOERROR
        auth: child.example.org. 5 NS ns.child.example.org.
        auth: child.example.org. 5 NS ns.elsewhere.
        add: ns.child.example.org. 5 A 192.0.2.53";
    #[rustfmt::skip]
    let rows: &[(&str, &str)] = &[
        // 146: the lesser of the SOA's TTL and MINIMUM
        ("no.example.org A", "NXDOMAIN aa\n SOA"),
        // RFC 4592
        ("y.wild.example.org TXT", "NOERROR aa\n y.wild.example.org. 5 TXT w"),
        ("z.y.wild.example.org TXT", "NOERROR aa\n z.y.wild.example.org. 5 TXT w"),
        ("y.wild.example.org A", "NOERROR aa\n SOA"),
        ("x.wild.example.org TXT", "NOERROR aa\n SOA"),
        ("y.x.wild.example.org TXT", "NXDOMAIN aa\n SOA"),
        ("wild.example.org TXT", "NOERROR aa\n SOA"),
        ("*.wild.example.org TXT", "NOERROR aa\n *.wild.example.org. 5 TXT w"),
        ("q.alias.example.org A", "NOERROR aa
            q.alias.example.org. 5 CNAME www.example.org.
            www.example.org. 5 A 192.0.2.1"),
        ("q.deep.example.org A", "NOERROR aa\n SOA"),
        // delegation
        ("child.example.org A", REFERRAL),
        ("host.child.example.org TXT", REFERRAL),
        ("ns.child.example.org A", REFERRAL),
        ("out.example.org A", "NOERROR\n auth: out.example.org. 5 NS ns.elsewhere."),
        ("out.example.org DS", "NOERROR aa\n SOA"),
        ("tochild.example.org A", "NOERROR aa\n tochild.example.org. 5 CNAME host.child.example.org."),
        // 183: the longest apex wins
        ("a.own.team.cluster.local A", "NOERROR aa\n a.own.team.cluster.local. 5 A 192.0.2.77"),
        ("b.own.team.cluster.local A", "NXDOMAIN aa
            auth: own.team.cluster.local. 5 SOA ns.elsewhere. h.elsewhere. 1 2 3 4 60"),
    ];
    for (line, expected) in rows {
        let expected =
            expected.strip_suffix(" SOA").map_or((*expected).to_owned(), |head| head.to_owned() + EXAMPLE_SOA);
        check(&snapshot, line, &expected);
    }
    // DS rdata is opaque to hickory without its DNSSEC features.
    let (packet, request) = query("child.example.org DS");
    let reply = ask(&snapshot, &packet, request).unwrap();
    assert!(reply.ends_with(b"\xc0\x0c\0\x2b\0\x01\0\0\0\x05\0\x06\0\x01\x08\x05\xab\xcd"), "{reply:02x?}");
}

#[test]
fn refused_and_edns() {
    let snapshot = snapshot();
    #[rustfmt::skip]
    let rows: &[(&str, &str)] = &[
        // 181, 182, 147, 263
        ("www.example.com A", "REFUSED"),
        ("notcluster.local A", "REFUSED"),
        ("cluster.local.example A", "REFUSED"),
        (r"x\.cluster.local A", "REFUSED"),
        ("local A", "REFUSED"),
        (". NS", "REFUSED"),
        ("localhost A", "REFUSED"),
        ("www.example.com A edns", r#"REFUSED edns=1232 ede=20 "this server has no zone above this name""#),
        // 180, 230, 231, 232
        ("svc1.ns1.svc.cluster.local A CH", "REFUSED"),
        ("version.bind TXT CH", "REFUSED"),
        ("svc1.ns1.svc.cluster.local A ANY", "REFUSED"),
        // 233, 237, 238
        ("cluster.local AXFR tcp", "REFUSED"),
        ("cluster.local AXFR", "REFUSED"),
        ("cluster.local IXFR", "REFUSED"),
        ("example.com AXFR tcp", "REFUSED"),
        ("cluster.local AXFR tcp edns", r#"REFUSED edns=1232 ede=18 "zone transfer is not allowed""#),
        // 184, 185, 186, 190, 194
        ("svc1.ns1.svc.cluster.local A edns=4096", "NOERROR aa edns=1232\n svc1.ns1.svc.cluster.local. 5 A 10.96.0.1"),
        ("svc1.ns1.svc.cluster.local A edns=0 do",
            "NOERROR aa do edns=1232\n svc1.ns1.svc.cluster.local. 5 A 10.96.0.1"),
        ("no.example.org A edns", &format!("NXDOMAIN aa edns=1232 \
            ede=0 \"no such name; the closest that exists is example.org.\"\n{EXAMPLE_SOA}")),
    ];
    for (line, expected) in rows {
        check(&snapshot, line, expected);
    }
}

#[test]
fn before_the_first_load() {
    let unsynced = Snapshot::new(vec![spec("cluster.local")])
        .apply(&delta("cluster.local", CLUSTER))
        .with_static_zones(vec![file_zone("example.org", EXAMPLE)]);
    // 143: what is known is answered, what may yet come is not denied.
    #[rustfmt::skip]
    let rows: &[(&str, &str)] = &[
        ("svc1.ns1.svc.cluster.local A", "NOERROR aa\n svc1.ns1.svc.cluster.local. 5 A 10.96.0.1"),
        ("x.svc.cluster.local A", "SERVFAIL"),
        ("svc1.ns1.svc.cluster.local AAAA", "SERVFAIL"),
        ("dangling.ns1.svc.cluster.local A", "SERVFAIL"),
        ("x.svc.cluster.local A edns", r#"SERVFAIL edns=1232 ede=14 "the first complete load is not in yet""#),
        ("no.example.org A", &format!("NXDOMAIN aa\n{EXAMPLE_SOA}")),
        ("www.example.com A", "REFUSED"),
    ];
    for (line, expected) in rows {
        check(&unsynced, line, expected);
    }
}

#[test]
fn odd_packets() {
    const Q: &[u8] = b"\x07cluster\x05local\0\0\x02\0\x01";
    const OPT0: &[u8] = b"\0\0\x29\x10\0\0\0\0\0\0\0";
    const OPT1: &[u8] = b"\0\0\x29\x10\0\0\x01\0\0\0\0";
    const UNKNOWN: &[u8] = b"\0\0\x29\x10\0\0\0\0\0\0\x06\xff\0\0\x02ab";
    const NOTIMP: &str = r#"NOTIMP edns=1232 ede=21 "only ordinary queries are answered (opcode 0)""#;
    const FORMERR: &str = r#"FORMERR edns=1232 ede=0 "the message cannot be read to its end""#;
    let snapshot = snapshot();
    let packet = |flags: [u8; 2], questions: u8, additional: u8, body: &[&[u8]]| {
        [&[0xab, 0xcd, flags[0], flags[1], 0, questions, 0, 0, 0, 0, 0, additional][..], &body.concat()].concat()
    };
    let request = query("x A").1;
    #[rustfmt::skip]
    let rows: &[(&str, Vec<u8>, Option<&str>)] = &[
        ("173", packet([0x80, 0], 1, 0, &[Q]), None),
        ("245", Q[..11].to_vec(), None),
        ("174: IQUERY", packet([0x08, 0], 1, 0, &[Q]), Some("NOTIMP")),
        ("174: STATUS without anything", packet([0x10, 0], 0, 0, &[]), Some("NOTIMP")),
        ("175: NOTIFY", packet([0x24, 0], 1, 0, &[Q]), Some("NOTIMP")),
        ("175: UPDATE", packet([0x28, 0], 1, 0, &[Q]), Some("NOTIMP")),
        ("176: DSO", packet([0x30, 0], 0, 0, &[]), Some("NOTIMP")),
        ("184: with EDNS", packet([0x10, 0], 1, 1, &[Q, OPT0]), Some(NOTIMP)),
        ("177", packet([0, 0], 2, 0, &[Q, Q]), Some("FORMERR")),
        ("178", packet([0, 0], 0, 0, &[]), Some("FORMERR")),
        ("187", packet([0, 0], 1, 1, &[Q, OPT1]), Some("BADVERS edns=1232")),
        ("188: before the opcode", packet([0x10, 0], 1, 1, &[Q, OPT1]), Some("BADVERS edns=1232")),
        ("191", packet([0, 0], 1, 2, &[Q, OPT0, OPT0]), Some(FORMERR)),
        ("246", packet([0, 0], 1, 0, &[b"\x07clus"]), Some("FORMERR")),
        ("247", packet([0, 0], 1, 0, &[b"\xc0\x0c\0\x01\0\x01"]), Some("FORMERR")),
        ("189: an unknown option", packet([0, 0], 1, 1, &[Q, UNKNOWN]), Some("NOERROR aa edns=1232")),
    ];
    for (what, packet, expected) in rows {
        let reply = ask(&snapshot, packet, request);
        let shown = reply.as_deref().map(show);
        assert_eq!(shown.as_deref().and_then(|text| text.lines().next()), *expected, "{what}");
        if let Some(reply) = reply {
            assert_eq!(reply[..2], packet[..2], "{what}");
            assert_eq!(reply[2] & 0x79, packet[2] & 0x79, "{what}: opcode and RD copied");
        }
        for reply in ways::all(&snapshot, packet) {
            let shown = reply.octets.as_deref().map(show);
            assert_eq!(shown.as_deref().and_then(|text| text.lines().next()), *expected, "{what}, {}", reply.way);
        }
    }
    // 170, 171, 172: flags that mean nothing in a query.
    let reply = ask(&snapshot, &packet([0x07, 0xf0], 1, 0, &[Q]), request).unwrap();
    assert_eq!((reply[2], reply[3]), (0x85, 0), "AA and RD set, all others clear");
}
