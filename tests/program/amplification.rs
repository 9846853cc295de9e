//! How much is sent for how little, and to whom: sizes of replies beside those of their queries, cookies as `dig` knows
//! them, and a flood with a forged source.

use crate::support::{
    PATIENCE,
    dig::{Dig, dig},
    dns::{A, Tcp, code},
    have, pods_zone,
};
use headless_dns::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    serve::{RateLimit, ServeLimits, Serving, Sockets},
    wire::cookie::{Cookies, Secret, ShownCookie},
    zone::{self, Publisher, Snapshot},
};
use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

const NOW: u64 = 1_700_000_000;

/// A Service of a hundred pods, as in docs/limits.md.
fn snapshot() -> Snapshot {
    let text = "$ORIGIN example.org.\n$TTL 5\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nchild NS ns.child\nns.child A \
                192.0.2.2\n";
    let (zone, diagnostics) = zone::file::read(Path::new("example.org.zone"), text.as_bytes(), &[]);
    let zone = zone.unwrap_or_else(|| panic!("{diagnostics:#?}"));
    Snapshot::new(vec![pods_zone::spec("cluster.local")])
        .apply(&pods_zone::records(100))
        .with_static_zones(vec![zone])
        .with_identity(Some("ns1"))
        .synced()
}

/// A query; with EDNS if it has options (which may be empty).
fn query(asked: &str, rtype: u16, class: u8, options: Option<&[u8]>) -> Vec<u8> {
    let mut packet = crate::support::dns::query(0xabcd, asked, rtype);
    *packet.last_mut().unwrap() = class;
    if let Some(options) = options {
        packet[11] = 1;
        packet.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0");
        packet.extend_from_slice(&(options.len() as u16).to_be_bytes());
        packet.extend_from_slice(options);
    }
    packet
}

fn cookie_option(cookie: &[u8]) -> Vec<u8> {
    [&[0, 10, 0, cookie.len() as u8], cookie].concat()
}

/// docs/limits.md has these very rows: what is asked, then octets of query and reply with EDNS and without.
#[test]
fn the_table_of_ratios_is_as_measured() {
    const KINDS: [(&str, &str, u16, u8); 13] = [
        ("address of a pod", "web-7.nginx.default.svc.cluster.local", 1, 1),
        ("addresses of a Service of 100 pods (TC)", "nginx.default.svc.cluster.local", 1, 1),
        ("SRV of 100 pods (TC)", "_web._tcp.nginx.default.svc.cluster.local", 33, 1),
        ("ANY of a Service of 100 pods", "nginx.default.svc.cluster.local", 255, 1),
        ("SOA", "cluster.local", 6, 1),
        ("NS with addresses", "cluster.local", 2, 1),
        ("DNSKEY (there are none)", "cluster.local", 48, 1),
        ("no such type", "web-7.nginx.default.svc.cluster.local", 28, 1),
        ("no such name (NXDOMAIN)", "x.nginx.default.svc.cluster.local", 1, 1),
        ("referral", "www.child.example.org", 1, 1),
        ("not ours (REFUSED)", "www.example.com", 1, 1),
        ("zone transfer (REFUSED)", "cluster.local", 252, 1),
        ("who this server is (CH)", "id.server", 16, 3),
    ];
    let snapshot = snapshot();
    let documented = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/limits.md")).unwrap();
    let mut out = [0; 4096];
    let mut missing = Vec::new();
    let mut row = |what: &str, columns: [(usize, usize); 2]| {
        let columns = columns.map(|(query, reply)| {
            let ratio = reply as f64 / query as f64;
            format!("{query} | {reply} | {ratio:.1}")
        });
        let row = format!("| {what} | {} |", columns.join(" | "));
        if !documented.contains(&row) {
            missing.push(row);
        }
    };
    for (what, asked, rtype, class) in KINDS {
        row(
            what,
            [Some(&b""[..]), None].map(|options| {
                let packet = query(asked, rtype, class, options);
                let request = QueryContext::new(Transport::Udp, 1232, 0);
                match answer(&packet, &snapshot, request, &mut out) {
                    Verdict::Reply(length) => (packet.len(), length),
                    other => panic!("{what}: {other:?}"),
                }
            }),
        );
    }
    // What is sent in place of a reply that the limit of rates keeps back.
    row(
        "beyond `rateLimit` (TC)",
        [Some(&b""[..]), None].map(|options| {
            let packet = query("nginx.default.svc.cluster.local", 1, 1, options);
            let length =
                headless_dns::dns::answer::slipped(&packet, QueryContext::new(Transport::Udp, 1232, 0), &mut out);
            (packet.len(), length)
        }),
    );
    assert!(missing.is_empty(), "docs/limits.md lacks:\n{}", missing.join("\n"));
}

fn at_noon() -> u64 {
    NOW
}

struct Scene {
    address: SocketAddr,
    serving: Serving,
    _publisher: Publisher,
}

fn serve(required: bool, limit: RateLimit) -> Scene {
    let limits = ServeLimits::default();
    let cookies = Cookies::new(vec![Secret::new([3; 16])], at_noon, required);
    let sockets = Sockets::bind(&["127.0.0.1:0".parse().unwrap()], &limits).unwrap();
    let sockets = sockets.with_cookies(Arc::new(cookies)).limiting(&limit);
    let address = sockets.addresses()[0];
    let (publisher, reader) = zone::channel(snapshot());
    Scene { address, serving: sockets.serve(reader, limits).unwrap(), _publisher: publisher }
}

/// The cookie that dig shows of a reply, and what it thinks of it.
fn cookie_of(reply: &Dig) -> (String, String) {
    let line = reply.text.lines().find_map(|line| line.strip_prefix("; COOKIE: "));
    let (cookie, judged) = line.unwrap_or_else(|| panic!("no cookie:\n{reply}")).split_once(' ').unwrap();
    (cookie.to_owned(), judged.to_owned())
}

#[test]
fn dig_gets_its_cookie_and_shows_it_again() {
    if !have(&["dig"]) {
        return;
    }
    const ASKED: [&str; 2] = ["web-7.nginx.default.svc.cluster.local", "A"];
    let scene = serve(false, RateLimit::default());
    for way in ["+notcp", "+tcp"] {
        let (cookie, judged) = cookie_of(&dig(scene.address, &["+cookie", way, ASKED[0], ASKED[1]]));
        assert_eq!((cookie.len(), judged.as_str()), (48, "(good)"), "{way}");
        let again = dig(scene.address, &[&format!("+cookie={cookie}"), way, ASKED[0], ASKED[1]]);
        assert_eq!((again.status.as_str(), cookie_of(&again).0), ("NOERROR", cookie.clone()), "{way}");
        // One that is none is answered, too, and replaced.
        let forged = format!("{}{}", &cookie[..16], "01".repeat(16));
        let again = dig(scene.address, &[&format!("+cookie={forged}"), way, ASKED[0], ASKED[1]]);
        assert_eq!((again.status.as_str(), cookie_of(&again).0), ("NOERROR", cookie), "{way}");
    }
    // Of a length that no cookie has.
    let broken = dig(scene.address, &["+ednsopt=10:0102030405", ASKED[0], ASKED[1]]);
    assert_eq!(broken.status, "FORMERR", "{broken}");
    let counted = scene.serving.counted();
    assert_eq!(counted.statistics().totals(Transport::Udp).cookies, [1, 1, 1]);
    // A query without a question is about the cookie alone (RFC 7873 §5.4).
    let nothing = dig(scene.address, &["+header-only", "+cookie"]);
    assert_eq!((nothing.status.as_str(), cookie_of(&nothing).1.as_str()), ("NOERROR", "(good)"), "{nothing}");

    let strict = serve(true, RateLimit::default());
    let refused = dig(strict.address, &["+cookie", "+nobadcookie", ASKED[0], ASKED[1]]);
    assert_eq!((refused.status.as_str(), refused.answer.len()), ("BADCOOKIE", 0), "{refused}");
    // dig comes again with what it got; over TCP, and without any cookie, nothing is asked for.
    for arguments in ["+cookie", "+tcp", "+nocookie"] {
        let answered = dig(strict.address, &[arguments, ASKED[0], ASKED[1]]);
        assert_eq!((answered.status.as_str(), answered.answer.len()), ("NOERROR", 1), "{answered}");
    }
}

/// A cookie of the server's for this machine.
fn good_cookie() -> [u8; 24] {
    let cookies = Cookies::new(vec![Secret::new([3; 16])], at_noon, false);
    let check = cookies.of("127.0.0.1".parse().unwrap());
    let good = check.answer(&[9; 8]).unwrap().cookie;
    assert_eq!(check.answer(&good).unwrap().shown, ShownCookie::Good);
    good
}

/// Sends one query so many times and collects the replies.
fn flood(server: SocketAddr, packet: &[u8], times: usize) -> Vec<Vec<u8>> {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut replies = Vec::new();
    let mut buffer = [0; 4096];
    let mut last = packet.to_vec();
    // What is answered whatever was asked before, as it shows a good cookie.
    let marker = query("www.example.com", A, 1, Some(&cookie_option(&good_cookie())));
    for round in 0..times / 50 {
        for _ in 0..50 {
            client.send(packet).unwrap();
        }
        last[..2].copy_from_slice(&(round as u16).to_be_bytes());
        let mut marker = marker.clone();
        marker[..2].copy_from_slice(&last[..2]);
        client.send(&marker).unwrap();
        loop {
            let length = client.recv(&mut buffer).unwrap();
            if buffer[..2] == marker[..2] {
                break;
            }
            replies.push(buffer[..length].to_vec());
        }
    }
    // Replies of other sizes may have gone before those of the last round.
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    while let Ok(length) = client.recv(&mut buffer) {
        replies.push(buffer[..length].to_vec());
    }
    replies
}

#[test]
fn a_flood_in_somebodys_name_is_kept_back() {
    const FLOOD: usize = 1000;
    let limit = RateLimit { responses: 40, window: Duration::from_secs(60), slip: 4, ..RateLimit::default() };
    let asked = "nginx.default.svc.cluster.local";
    let scene = serve(false, limit.clone());
    let plain = query(asked, A, 1, Some(b""));
    let replies = flood(scene.address, &plain, FLOOD);
    let (short, whole): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.len() <= plain.len());
    // Forty at once, and some for the time that the flood takes; of the rest each fourth is a short one with TC.
    assert!((40..=FLOOD / 4).contains(&whole.len()), "{}", whole.len());
    assert!((short.len() + 60).abs_diff((FLOOD - whole.len()) / 4) < 130 && short.len() > 100, "{}", short.len());
    assert!(short.iter().all(|reply| reply[2] & 2 != 0 && reply[6..10] == [0; 4]), "TC and no records");
    let octets: usize = replies.iter().map(Vec::len).sum();
    assert!(octets < FLOOD * plain.len() * 5, "{octets} octets for {}", FLOOD * plain.len());
    let counters = scene.serving.counters();
    assert!(counters.rate_dropped.load(Ordering::Relaxed) > counters.rate_slipped.load(Ordering::Relaxed));

    // The network owes by now. TCP is not limited, nor is another kind of answer, nor who shows a cookie of ours.
    let mut tcp = Tcp::new(scene.address);
    for reply in tcp.ask(&vec![(asked, A); 200]) {
        assert_eq!((u16::from(code(&reply)), reply.answers.len()), (0, 100));
    }
    let good = good_cookie();
    let known = query(asked, A, 1, Some(&cookie_option(&good)));
    let replies = flood(scene.address, &known, FLOOD);
    assert_eq!(replies.iter().filter(|reply| reply.len() > 1000).count(), FLOOD);
    // Who sends only its own part is told ours in each short reply (BADCOOKIE, 23), and so comes to its answer.
    let stranger = query(asked, A, 1, Some(&cookie_option(&[9; 8])));
    let replies = flood(scene.address, &stranger, 200);
    let told = replies.iter().find(|reply| reply[3] & 15 == 23 & 15).expect("BADCOOKIE");
    assert!(told.len() <= stranger.len() + 16 && told.windows(24).any(|octets| octets == good), "{told:02x?}");
}

/// Nobody is limited unless the settings say so.
#[test]
fn without_a_setting_there_is_no_limit() {
    let scene = serve(false, RateLimit::default());
    let packet = query("web-7.nginx.default.svc.cluster.local", A, 1, None);
    assert_eq!(flood(scene.address, &packet, 1000).len(), 1000);
}
