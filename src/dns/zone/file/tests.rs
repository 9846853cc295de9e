//! Files that are zones, files that are none, and directories under change.

use super::*;
use crate::text::diagnostic::Severity;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Diagnostics as `line:column severity message`.
fn shown(diagnostics: &[Diagnostic]) -> Vec<String> {
    let severity = |severity| if severity == Severity::Error { "error" } else { "warning" };
    diagnostics
        .iter()
        .map(|shown| {
            format!("{}:{} {} {}", shown.place.line, shown.place.column, severity(shown.severity), shown.message)
        })
        .collect()
}

const HEAD: &str = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

fn parse(text: &str) -> (Option<StaticZone>, Vec<Diagnostic>) {
    read(Path::new("zones/example.org.zone"), text.as_bytes(), &[])
}

/// The one record below the head, as wire-form rdata.
fn rdata(record: &str) -> Vec<u8> {
    let (zone, diagnostics) = parse(&format!("{HEAD}x.y {record}\n"));
    let zone = zone.unwrap_or_else(|| panic!("{record}: {:?}", shown(&diagnostics)));
    let (_, set) = zone.records().iter().find(|(owner, _)| *owner == name("x.y.example.org")).unwrap();
    set.rdata().next().unwrap().to_vec()
}

#[test]
fn rdata_of_many_types() {
    let www = b"\x03www\x07example\x03org\0";
    #[rustfmt::skip]
    let rows: &[(&str, Vec<u8>)] = &[
        ("A 192.0.2.7", vec![192, 0, 2, 7]),
        ("AAAA 2001:db8::1", [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[1]].concat()),
        ("IN 30 CNAME www", www.to_vec()),
        ("1h IN PTR WWW.Example.ORG.", www.to_vec()),
        ("CNAME @", www[4..].to_vec()),
        ("MX 10 @", [&[0, 10][..], &www[4..]].concat()),
        ("SRV 0 5 80 www", [&[0, 0, 0, 5, 0, 80][..], www].concat()),
        (r#"TXT "a b" c "\"\\\065\255;""#, b"\x03a b\x01c\x05\"\\A\xff;".to_vec()),
        ("TXT ( \"v=DKIM1; k=rsa\" ; comment\n \"p=\" )", b"\x0ev=DKIM1; k=rsa\x02p=".to_vec()),
        (r#"HINFO "PDP-11" UNIX"#, b"\x06PDP-11\x04UNIX".to_vec()),
        (r#"NAPTR 1 2 "s" "SIP+D2T" "" www"#, [&b"\0\x01\0\x02\x01s\x07SIP+D2T\0"[..], www].concat()),
        ("DS 60485 RSASHA1 5 ( 2BB1 83AF )", [0xec, 0x45, 5, 5, 0x2b, 0xb1, 0x83, 0xaf].to_vec()),
        (r"TYPE65280 \# 3 0102 03", vec![1, 2, 3]),
        (r"A \# 4 C0000201", vec![192, 0, 2, 1]),
        (r"TYPE1 \# 4 C0000201", vec![192, 0, 2, 1]),
        (r#"CAA 0 issue "letsencrypt.org""#, b"\0\x05issueletsencrypt.org".to_vec()),
        ("SSHFP 1 1 012345670123456701234567012345670123cdef",
            [&[1, 1][..], &[1, 0x23, 0x45, 0x67].repeat(4), &[1, 0x23, 0xcd, 0xef]].concat()),
        ("TLSA 3 1 1 abcd", vec![3, 1, 1, 0xab, 0xcd]),
        ("HTTPS 1 . alpn=h2", b"\0\x01\0\0\x01\0\x03\x02h2".to_vec()),
        ("SVCB 1 www port=53", [&[0, 1][..], www, b"\0\x03\0\x02\0\x35"].concat()),
        (r"CNAME a\046b\.c", [&b"\x05a.b.c"[..], &www[4..]].concat()),
    ];
    for (record, expected) in rows {
        assert_eq!(rdata(record), *expected, "{record}");
    }
}

#[test]
fn owners_ttls_and_origins() {
    let text = "\u{feff}$TTL 1h ; default\n\
        $ORIGIN Example.org.\r\n\
        @ 7 IN SOA ns h ( 2026010100 ; serial\r\n  1d 2h 3w\n  4 )\n\
        \tNS ns\n\
        ns 5 A 192.0.2.1\n\
        \tAAAA 2001:db8::1\n\n  ; nothing\n\
        $ORIGIN sub\n\
        @ A 192.0.2.2\n\
        www A 192.0.2.3";
    let (zone, diagnostics) = parse(text);
    assert_eq!(shown(&diagnostics), [""; 0]);
    let zone = zone.unwrap();
    let sets: Vec<_> =
        zone.records().iter().map(|(owner, set)| (owner.to_string(), set.rtype().to_string(), set.ttl())).collect();
    let expected = [
        ("example.org.", "NS", 3600),
        ("ns.example.org.", "A", 5),
        ("ns.example.org.", "AAAA", 3600),
        ("sub.example.org.", "A", 3600),
        ("www.sub.example.org.", "A", 3600),
    ];
    assert_eq!(sets, expected.map(|(owner, rtype, ttl)| (owner.to_owned(), rtype.to_owned(), ttl)));
    assert_eq!(zone.soa().0, 7);
    let numbers: Vec<u8> = [2026010100u32, 86400, 7200, 1814400, 4].map(u32::to_be_bytes).concat();
    assert!(zone.soa().1.ends_with(&numbers));
}

#[test]
fn mistakes_have_their_place() {
    #[rustfmt::skip]
    let rows: &[(&str, &[&str])] = &[
        ("", &["1:1 error the zone has no SOA record"]),
        ("HEAD$INCLUDE other", &["5:10 error `other` cannot be included: there is no directory of zones to look into"]),
        ("HEAD$INCLUDE", &["5:1 error $INCLUDE is followed by a file, and maybe an origin"]),
        ("HEAD$GENERATE 1-9 a$ A 192.0.2.$", &[]),
        ("HEAD$GENERATE 1-9 a A", &["5:1 error $GENERATE is followed by a range and a record"]),
        ("HEAD$GENERATE", &["5:1 error $GENERATE is followed by a range and a record"]),
        ("HEAD$GENERATE 9-1 a$ A 192.0.2.$",
            &["5:11 error `9-1` is no range; write it as 1-254, or as 0-254/2 for every second number"]),
        ("HEAD$GENERATE 250-260 a$ A 192.0.2.$", &["5:24 error `192.0.2.256` is not an IPv4 address"]),
        ("HEAD$GENERATE 1-9 ${ A 192.0.2.$", &["5:15 error `${` without `}`"]),
        ("HEAD$FOO", &["5:1 error $FOO is no directive"]),
        ("HEADa A 192.0.2.256", &["5:5 error `192.0.2.256` is not an IPv4 address"]),
        ("HEADa A", &["5:3 error an IPv4 address is missing"]),
        ("HEADa A 192.0.2.1 extra", &["5:15 error nothing is expected here"]),
        ("HEADa 60 IN BOGUS x", &["5:9 error `BOGUS` is no record type known here"]),
        ("HEADa 1h30 A 192.0.2.1", &["5:3 error `1h30` is no TTL"]),
        ("HEADa MD b", &["5:3 error MD is obsolete"]),
        ("HEADa NULL b", &[r"5:8 error NULL has no text form; write its rdata as `\# LENGTH HEX`"]),
        ("HEADa CH TXT x", &["5:3 error class CH is not served"]),
        ("HEADa 2147483648 A 192.0.2.1", &["5:3 warning this TTL is greater than 2147483647 and is taken for 0"]),
        ("HEADa ANY x", &["5:3 error ANY is no type of a record"]),
        ("HEADa DNAME b\nx.a A 192.0.2.1",
            &["6:1 warning x.a.example.org. A is hidden by the DNAME of a.example.org."]),
        ("HEADa DNAME b\na DNAME c",
            &["5:1 error a.example.org. has several DNAME records",
              "6:1 error a.example.org. has several DNAME records"]),
        ("HEAD@ DNAME b.", 
            &["3:1 error the name server ns.example.org. lies below the DNAME of example.org.",
              "4:1 warning ns.example.org. A is hidden by the DNAME of example.org."]),
        ("HEADa CNAME b\na RRSIG CNAME 8 3 60 20300101000000 20200101000000 1 @ AAAA",
            &["6:1 warning this zone is signed: its signatures are transferred, and never added to answers"]),
        ("HEADa SVCB 1 b mandatory=port", &["5:12 error port is mandatory and missing"]),
        ("HEADa SVCB 1 b color=red", &["5:12 error `color` is no parameter known here"]),
        ("HEADa DS 1 8 2 ABCD", &["5:6 error a digest of type 2 has 32 octets, not 2"]),
        ("HEADa SSHFP 1 3 ABC", &["5:13 error an odd number of hexadecimal digits"]),
        ("HEADa DHCID AAA", &["5:9 error this is no base64 with its padding (RFC 4648)"]),
        ("HEADa LOC 91 N 0 E 0", &["5:7 error `91` is not a number up to 90"]),
        ("HEADa TXT \"open\nb A 192.0.2.1", &["5:7 error this quote is never closed"]),
        ("HEADa TXT ( x", &["5:7 error this parenthesis is never closed"]),
        ("HEADa TXT x )", &["5:9 error this parenthesis was never opened"]),
        ("HEADa..b A 192.0.2.1\n A 192.0.2.2", 
            &["5:1 error `a..b` is no name: a label has 1 to 63 octets", "6:2 error a record without an owner"]),
        ("HEADa TXT \\256", &["5:7 error a backslash stands before a character or three digits up to 255"]),
        (r"HEADa TYPE700 \# 2 00", &["5:14 error 2 octets are announced, 1 are there"]),
        (r"HEADa A \# 2 0000", &[r"5:5 error these octets are no rdata of A"]),
        (r"HEADa MX \# 3 000005", &[r"5:6 error these octets are no rdata of MX"]),
        (r"HEADa TYPE700 x", 
            &[r"5:11 error the text form of TYPE700 is unknown here; write its rdata as `\# LENGTH HEX`"]),
        ("HEADelse.where. A 192.0.2.1", &["5:1 error else.where. lies outside the zone example.org."]),
        ("HEAD@ SOA ns h 1 2 3 4 5", &[]),
        ("HEAD@ SOA ns h 2 2 3 4 5", &["5:1 error a second SOA record; the first is in line 2"]),
        ("HEADa CNAME b\na A 192.0.2.1", &["5:1 error a.example.org. has a CNAME and other records"]),
        ("HEADa CNAME b\na CNAME c", 
            &["5:1 error a.example.org. has a CNAME and other records",
              "6:1 error a.example.org. has a CNAME and other records"]),
        ("HEADa NS ns.a", &["5:1 error the name server ns.a.example.org. has no address in this zone"]),
        ("HEADa NS b\nb CNAME c", &["5:1 error the name server b.example.org. is an alias"]),
        ("HEAD*.a NS ns", &["5:1 error a wildcard cannot delegate"]),
        ("HEADa 5 A 192.0.2.1\na 9 A 192.0.2.2", 
            &["6:1 warning the A records of a.example.org. differ in their TTL; 5 is used"]),
        ("HEADa NS ns.e.\nb.a TXT x", &["6:1 warning b.a.example.org. TXT is hidden by a delegation"]),
        ("HEADa NS ns.b\nb NS ns.c.\n", &[]),
        ("@ 60 SOA ns.e. h 1 2 3 4 5", &["1:1 error the zone example.org. has no NS record"]),
        ("@ SOA ns.e. h 1 2 3 4 5", &["1:3 error the record has no TTL", "1:1 error the zone has no SOA record"]),
        ("HEADa\tA 192.0.2.1 ; ümlaut\nb A ümlaut", &["6:5 error `ümlaut` is not an IPv4 address"]),
    ];
    for (text, expected) in rows {
        let (zone, diagnostics) = parse(&text.replace("HEAD", HEAD));
        let mut shown = shown(&diagnostics);
        let mut expected: Vec<&str> = expected.to_vec();
        shown.sort();
        expected.sort_unstable();
        assert_eq!(shown, expected, "{text}");
        assert_eq!(zone.is_some(), !shown.iter().any(|shown| shown.contains(" error ")), "{text}");
        for diagnostic in &diagnostics {
            let line = text.replace("HEAD", HEAD).lines().nth(diagnostic.place.line - 1).unwrap_or_default().to_owned();
            assert_eq!(diagnostic.source_line, line, "{text}");
        }
    }
    let (_, diagnostics) = parse(&"a A x\n".repeat(100));
    assert_eq!(diagnostics.len(), MISTAKES_MAX + 1);
    assert_eq!(diagnostics.last().unwrap().message, "and 80 more mistakes");
    // Warnings do not hide that there is an error.
    let warned: String = (0..100).map(|number| format!("a{number} 5 A 192.0.2.1\na{number} 6 A 192.0.2.2\n")).collect();
    let (zone, diagnostics) = parse(&format!("{HEAD}{warned}z CNAME b\nz TXT c\n"));
    assert!(zone.is_none());
    assert_eq!(shown(&diagnostics).iter().filter(|shown| shown.contains(" error ")).count(), 1);
    assert_eq!(diagnostics.last().unwrap().message, "and 80 more warnings");
}

#[test]
fn a_built_in_apex_gives_a_warning() {
    let text = HEAD.replace("ns A 192.0.2.1\n", "x A 192.0.2.1\n");
    let (zone, diagnostics) = read(Path::new("example.org.zone"), text.as_bytes(), &[name("example.org")]);
    assert!(zone.is_some());
    let built_in = "2:1 warning the zone example.org. is built in: the SOA and NS of this file's apex are ignored";
    assert_eq!(shown(&diagnostics), [built_in]);
}

#[test]
fn generated_records() {
    let text =
        "$GENERATE 1-3 host-${0,2} 30 A 192.0.2.$\n$GENERATE 0-4/2 $ PTR h$.example.\n$GENERATE 1-1 t TXT \"\\$ is $\"";
    let (zone, diagnostics) = parse(&format!("{HEAD}{text}"));
    assert_eq!(shown(&diagnostics), [""; 0]);
    let zone = zone.unwrap();
    let names: Vec<String> = zone.records().iter().map(|(owner, _)| owner.to_string()).collect();
    let expected = ["", "0.", "2.", "4.", "host-01.", "host-02.", "host-03.", "ns.", "t."];
    assert_eq!(names, expected.map(|name| format!("{name}example.org.")));
    let text = zone.records().iter().find(|(_, set)| set.rtype() == crate::dns::wire::rdata::RecordType::TXT).unwrap();
    assert_eq!(text.1.rdata().next().unwrap(), b"\x01$\x02is\x011");
    let (_, diagnostics) = parse(&format!("{HEAD}$GENERATE 0-65536 a$ A 192.0.2.1"));
    assert!(shown(&diagnostics)[0].ends_with("65537 records in one line are too many; at most 65536 are made"));
}

#[test]
fn included_files() {
    let directory = tempfile::tempdir().unwrap();
    let at = |file: &str| directory.path().join(file);
    fs::create_dir(at("parts")).unwrap();
    fs::write(
        at("example.org.zone"),
        format!("{HEAD}a A 192.0.2.1\n$INCLUDE parts/one sub\n A 192.0.2.2\nb A 192.0.2.3\n"),
    )
    .unwrap();
    fs::write(at("parts/one"), "c A 192.0.2.4\n$INCLUDE two\nd A 192.0.2.5\n").unwrap();
    fs::write(at("parts/two"), "$ORIGIN other.example.org.\ne A 192.0.2.6\n").unwrap();
    let mut files = ZoneFiles::new(directory.path());
    let names = |zones: Option<Vec<StaticZone>>| -> Vec<String> {
        zones.unwrap()[0].records().iter().map(|(owner, set)| format!("{owner}{}", set.len())).collect()
    };
    let (zones, diagnostics) = files.scan();
    assert_eq!(shown(&diagnostics), [""; 0]);
    let expected = ["1", "a.2", "b.1", "ns.1", "e.other.1", "c.sub.1", "d.sub.1"];
    let expected = expected.map(|name| match name.rsplit_once('.') {
        Some((name, count)) => format!("{name}.example.org.{count}"),
        None => format!("example.org.{name}"),
    });
    assert_eq!(names(zones), expected);
    assert_eq!(files.scan(), (None, vec![]), "nothing differs");

    // An included file that changes is noticed; one that is broken is told of at its place, and the last good zone stays.
    fs::write(at("parts/two"), "f A 192.0.2.6\n").unwrap();
    assert!(names(files.scan().0).contains(&"f.sub.example.org.1".to_owned()));
    let rows = [
        ("parts/two", "f A x", "two 1:5 error `x` is not an IPv4 address"),
        ("parts/two", "$INCLUDE one", "two 1:10 error `one` cannot be included: it includes itself"),
        ("parts/two", "$INCLUDE ../x", "two 1:10 error `../x` cannot be included: only files below"),
        ("parts/two", "$INCLUDE /etc/passwd", "two 1:10 error `/etc/passwd` cannot be included: only files below"),
        ("parts/two", "$INCLUDE link", "two 1:10 error `link` cannot be included: it is a link to somewhere outside"),
        ("parts/two", "$INCLUDE none", "two 1:10 error `none` cannot be included: No such file"),
        ("parts/two", "f.else. A 192.0.2.1", "two 1:1 error f.else. lies outside the zone example.org."),
    ];
    std::os::unix::fs::symlink("/etc/hosts", at("parts/link")).unwrap();
    for (file, text, expected) in rows {
        fs::write(at(file), text).unwrap();
        let (zones, diagnostics) = files.scan();
        assert!(zones.is_none(), "{text}");
        let name = diagnostics[0].file.file_name().unwrap().to_str().unwrap();
        let shown = format!("{name} {}", shown(&diagnostics)[0]);
        assert!(shown.starts_with(expected), "{text}: {shown}");
        assert_eq!((&*diagnostics[0].kept, &*diagnostics[0].source_line), (KEPT, text));
    }
    // A file that was missing and comes is noticed.
    fs::write(at("parts/two"), "$INCLUDE none").unwrap();
    assert_eq!(files.scan().1.len(), 1);
    fs::write(at("parts/none"), "g A 192.0.2.1").unwrap();
    assert!(names(files.scan().0).contains(&"g.sub.example.org.1".to_owned()));
    // Too deep.
    for number in 0..9 {
        fs::write(at(&format!("parts/deep{number}")), format!("$INCLUDE deep{}\n", number + 1)).unwrap();
    }
    fs::write(at("parts/two"), "$INCLUDE deep0").unwrap();
    assert!(shown(&files.scan().1)[0].contains("more than 8 deep"));
    // Too many, although it is always the same one.
    fs::write(at("parts/two"), "$INCLUDE none\n".repeat(65)).unwrap();
    assert!(shown(&files.scan().1)[0].contains("at most 64 files"));
}

#[test]
fn a_directory_under_change() {
    let directory = tempfile::tempdir().unwrap();
    let at = |file: &str| directory.path().join(file);
    let mut files = ZoneFiles::new(&at("missing"));
    assert_eq!(files.scan(), (None, vec![]));
    let mut files = ZoneFiles::new(directory.path());
    fs::write(at("example.org.zone"), HEAD).unwrap();
    fs::write(at(".hidden.zone"), "broken").unwrap();
    fs::write(at("notes.txt"), "broken").unwrap();
    let (zones, diagnostics) = files.scan();
    assert_eq!((zones.unwrap().len(), diagnostics.len()), (1, 0));
    assert_eq!(files.scan(), (None, vec![]), "nothing differs");

    // A broken file keeps its last good version and harms no other.
    fs::write(at("example.org.zone"), "broken").unwrap();
    fs::write(at("two.zone"), HEAD).unwrap();
    let (zones, diagnostics) = files.scan();
    assert_eq!(zones.unwrap().len(), 2);
    assert_eq!(diagnostics[0].kept, KEPT);
    let (zones, again) = files.scan();
    assert_eq!((zones, again), (None, diagnostics));

    // Two files with one apex: the one served before stays.
    fs::write(at("example.org.zone"), HEAD).unwrap();
    fs::write(at("a.zone"), format!("$ORIGIN two.\n{HEAD}x A 192.0.2.9")).unwrap();
    let (zones, diagnostics) = files.scan();
    assert_eq!((zones, diagnostics.len()), (None, 1));
    assert!(diagnostics[0].message.contains("two.zone") && diagnostics[0].file.ends_with("a.zone"));
    fs::remove_file(at("two.zone")).unwrap();
    let (zones, diagnostics) = files.scan();
    assert_eq!((zones.unwrap().len(), diagnostics.len()), (2, 0));

    // A file that goes takes its zone along, even one that is broken.
    fs::write(at("a.zone"), "broken").unwrap();
    assert!(files.scan().0.is_none());
    fs::remove_file(at("a.zone")).unwrap();
    assert_eq!(files.scan().0.unwrap().len(), 1);
    fs::remove_dir_all(directory.path()).unwrap();
    assert_eq!(files.scan(), (Some(vec![]), vec![]));
}

const RARE_TYPES: &[&str] =
    &["CAA", "CERT", "CSYNC", "OPENPGPKEY", "SMIMEA", "SSHFP", "TLSA", "SVCB", "HTTPS", "NAPTR", "URI"];

/// Files that are none, of which little is kept: what they hold is at most the text once more, twenty messages, and no line
/// of great length.
#[test]
fn junk_is_bounded() {
    let million = 1 << 17;
    let rows: &[(&str, String)] = &[
        ("words", "a ".repeat(million)),
        ("one word", "a".repeat(2 * million)),
        ("parentheses", "(".repeat(2 * million)),
        ("words in parentheses", format!("(\n{}", "a ".repeat(million))),
        ("fields in parentheses", format!("{HEAD}a TXT (\n{})\nb A x\n", "a ".repeat(million))),
        ("quotes", "\"".repeat(2 * million)),
        ("backslashes", "\\".repeat(2 * million)),
        ("lines", "a A x\n".repeat(million / 2)),
        ("digits", format!("{HEAD}a TYPE700 \\# 65535 {}\n", "0".repeat(2 * million))),
        ("base64", format!("{HEAD}a OPENPGPKEY {}\n", "AAAA".repeat(million / 2))),
        ("types", format!("{HEAD}a NSEC b ( {} )\n", "TYPE65535 ".repeat(million / 8))),
        ("parameters", format!("{HEAD}a SVCB 1 . ( {} )\n", "key7 ".repeat(million / 8))),
        ("aliases", format!("{HEAD}{}", (0..20_000).map(|at| format!("a CNAME b{at}\n")).collect::<String>())),
        ("names", format!("{HEAD}a CNAME {}\n", "a.".repeat(million))),
        ("generated", format!("{HEAD}$GENERATE 0-65535 a$ A 192.0.2.$\n")),
    ];
    for (what, text) in rows {
        let (zone, diagnostics) = parse(text);
        assert!(zone.is_none() || matches!(*what, "types"), "{what}");
        assert!(diagnostics.len() <= 2 * (MISTAKES_MAX + 1), "{what}");
        for diagnostic in &diagnostics {
            assert!(diagnostic.message.len() + diagnostic.source_line.len() < 40_000, "{what}");
            assert!(diagnostic.render(crate::text::diagnostic::Colour::Plain).len() < 2_000, "{what}");
        }
    }
}

const ALL_TYPES: std::ops::Range<u16> = 1..263;

proptest! {
    /// Octets in the generic form are refused or stay what they are, but for the case of names.
    #[test]
    fn any_octets_of_any_type(rtype in ALL_TYPES, octets in prop::collection::vec(any::<u8>(), 0..40)) {
        let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let record = format!("TYPE{rtype} \\# {} {hex}", octets.len());
        if let (Some(zone), _) = parse(&format!("{HEAD}a {record}\n")) {
            let (_, set) = zone.records().iter().find(|(owner, _)| *owner == name("a.example.org")).unwrap();
            prop_assert_eq!(set.rdata().next().unwrap().to_ascii_lowercase(), octets.to_ascii_lowercase());
        }
    }

    #[test]
    fn any_text(text in "(\\PC|[ \t\n\r\"();\\\\$@#]){0,120}", record in "[ -~\n]{0,60}") {
        parse(&text);
        parse(&format!("{HEAD}a {record}\n"));
    }

    #[test]
    fn any_rdata(
        rtype in prop::sample::select(RARE_TYPES),
        words in prop::collection::vec(
            prop_oneof!["[0-9]{1,6}", "[a-z.=,\"]{1,12}", "[0-9a-f]{2,8}", "[!-~]{1,9}"],
            0..6,
        ),
    ) {
        if let (Some(zone), _) = parse(&format!("{HEAD}a {rtype} {}\n", words.join(" "))) {
            prop_assert!(zone.records().iter().all(|(_, set)| !set.is_empty()));
        }
    }
}
