//! The forwarder against upstreams of all kinds; numbers are those of the list of DNS behaviour.

mod fake;

use super::*;
use crate::dns::answer::{
    Transport, Verdict, answer,
    tests::{query, show, snapshot},
};
use fake::{Fake, Ways};
use std::fmt::Write as _;

const RECORDS: &str = r#"
www      A     192.0.2.1
www      A     192.0.2.2
zero   0 A     192.0.2.9
long 9999999 A 192.0.2.8
alias    CNAME www
gone     CNAME nothing
round-a  CNAME round-b
round-b  CNAME round-a
mail     MX    10 mx.mail
txt      TXT   "one" "two words"
web      HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1
odd      TYPE65280 \# 3 010203
"#;

/// 40 addresses of IPv6: more than 1,232 octets.
fn records() -> String {
    let mut text = RECORDS.to_owned();
    (0..80).for_each(|number| writeln!(text, "many AAAA 2001:db8::{number:x}").unwrap());
    text
}

/// Bounds with which a test need not wait.
fn settings(fakes: &[&Fake]) -> ForwardOptions {
    ForwardOptions {
        to: fakes.iter().map(|fake| UpstreamAddress::Plain(fake.address)).collect(),
        timeout: Duration::from_millis(700),
        ..ForwardOptions::default()
    }
}

fn start(settings: &ForwardOptions) -> Forwarder {
    let (_, own) = crate::dns::zone::channel(snapshot());
    Forwarder::start(settings, &[], own).unwrap().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A query as `serve` hands it on.
fn asked(line: &str) -> ForwardRequest {
    let (packet, request) = query(line);
    let request = QueryContext { forwarding: true, ..request };
    let mut out = vec![0; if request.transport == Transport::Udp { 1232 } else { 65_535 }];
    let Verdict::Forward(length) = answer(&packet, &snapshot(), request, &mut out) else {
        panic!("{line} is not to be forwarded")
    };
    out.truncate(length);
    ForwardRequest {
        source: "192.0.2.200".parse().unwrap(),
        packet,
        known: out,
        request: request.without_cookies(),
        cookies: None,
    }
}

fn ask(forwarder: &Forwarder, line: &str) -> String {
    let asked = asked(line);
    let reply = block_on(forwarder.answer(asked.clone()));
    assert_eq!(reply[..2], asked.packet[..2], "id of {line}");
    let question = asked.packet[12..].iter().position(|&octet| octet == 0).unwrap() + 5;
    assert_eq!(reply[12..12 + question], asked.packet[12..12 + question], "155: the question of {line}");
    show(&reply)
}

#[track_caller]
fn check(forwarder: &Forwarder, line: &str, expected: &str) {
    let expected: Vec<&str> = expected.trim_start().lines().map(str::trim_start).collect();
    assert_eq!(ask(forwarder, line), expected.join("\n"), "{line}");
}

#[test]
fn what_an_upstream_says_is_passed_on() {
    let fake = Fake::new(&records(), Ways::Honest);
    let forwarder = start(&settings(&[&fake]));
    let soa = "auth: example. 60 SOA ns.example. h.example. 1 2 3 4 60";
    check(&forwarder, "wWw.EXAMPLE A", "NOERROR ra\nwWw.EXAMPLE. 300 A 192.0.2.1\nwWw.EXAMPLE. 300 A 192.0.2.2");
    check(
        &forwarder,
        "alias.example A",
        "NOERROR ra\nalias.example. 300 CNAME www.example.\nwww.example. 300 A 192.0.2.1\nwww.example. 300 A 192.0.2.2",
    );
    check(&forwarder, "www.example AAAA", &format!("NOERROR ra\n{soa}"));
    // The upstream's reason is told as its own.
    let reason = format!("\"{}: no such name; the closest that exists is example.\"", fake.address);
    check(&forwarder, "nothing.example A edns", &format!("NXDOMAIN ra edns=1232 ede=0 {reason}\n{soa}"));
    check(&forwarder, "gone.example A", &format!("NXDOMAIN ra\ngone.example. 300 CNAME nothing.example.\n{soa}"));
    check(
        &forwarder,
        "mail.example MX tcp edns do",
        "NOERROR ra do edns=1232\nmail.example. 300 MX 10 mx.mail.example.",
    );
    check(&forwarder, "txt.example TXT", "NOERROR ra\ntxt.example. 300 TXT onetwo words");
    check(&forwarder, "odd.example TYPE65280", "NOERROR ra\nodd.example. 300 TYPE65280 AQID");
    let https = ask(&forwarder, "web.example TYPE65");
    assert!(https.contains("HTTPS 1 . alpn=h2") && https.contains("ipv4hint=192.0.2.1"), "{https}");
    // A loop ends at the upstream; nobody follows it here.
    let round = ask(&forwarder, "round-a.example A");
    assert!(round.starts_with("NOERROR ra\n") && round.lines().count() == 3, "{round}");
    // Its TTL is bounded.
    check(&forwarder, "long.example A", "NOERROR ra\nlong.example. 3600 A 192.0.2.8");
}

/// 104: our own aliases come first; the code is that of the last name, AA covers our part.
#[test]
fn aliases_that_lead_outside_are_followed() {
    let fake = Fake::new("x A 192.0.2.1", Ways::Honest);
    // The alias of the records in `answer::tests` leads to www.example.com, of which this upstream knows nothing.
    let forwarder = start(&ForwardOptions { to: vec![UpstreamAddress::Plain(fake.address)], ..settings(&[]) });
    check(
        &forwarder,
        "ext.ns1.svc.cluster.local A edns",
        &format!(
            "REFUSED aa ra edns=1232 ede=20 \"{}: this server has no zone above this name\"\n\
             ext.ns1.svc.cluster.local. 5 CNAME www.example.com.",
            fake.address
        ),
    );
}

/// What does not fit over UDP is had over TCP, and cut again for a client that takes no more.
#[test]
fn large_answers_come_over_tcp() {
    let fake = Fake::new(&records(), Ways::Honest);
    let forwarder = start(&settings(&[&fake]));
    let whole = ask(&forwarder, "many.example AAAA tcp");
    assert!(whole.starts_with("NOERROR ra\n") && whole.lines().count() == 81, "{whole}");
    assert_eq!((fake.over_udp.load(Ordering::SeqCst), fake.over_tcp.load(Ordering::SeqCst)), (1, 1));
    for (line, fewest) in [("many.example AAAA", 15), ("many.example AAAA edns=1232", 40)] {
        let cut = ask(&forwarder, line);
        assert!(cut.starts_with("NOERROR tc ra"), "{cut}");
        assert!((fewest..80).contains(&cut.lines().count()), "{cut}");
    }
    assert_eq!(forwarder.counters().cache_hits.load(Ordering::Relaxed), 2);
}

/// 275: an upstream that misbehaves harms its own answers only, and within the time-out.
#[test]
fn upstreams_that_misbehave() {
    const GOOD: &str = "NOERROR ra edns=1232\nwww.example. 300 A 192.0.2.1\nwww.example. 300 A 192.0.2.2";
    let rows = [
        (Ways::Honest, GOOD),
        (Ways::Slow, GOOD),
        (Ways::WrongId, GOOD),
        (Ways::OtherPort, GOOD),
        (Ways::ForgetsCase, GOOD),
        (Ways::WrongCase, GOOD),
        (Ways::ManyForged, GOOD),
        (Ways::Babbling, GOOD),
        (Ways::Dead, "SERVFAIL ra edns=1232 ede=22 \"UP: no answer in time\""),
        (Ways::DeadOverTcp, "SERVFAIL ra edns=1232 ede=22 \"UP: no answer in time\""),
        (Ways::OtherName, "SERVFAIL ra edns=1232 ede=22 \"UP: no answer in time\""),
        (Ways::Garbage, "SERVFAIL ra edns=1232 ede=22 \"UP: no answer in time\""),
        (Ways::Failing, "SERVFAIL ra edns=1232"),
        (Ways::Refusing, "REFUSED ra edns=1232"),
        (Ways::AlwaysCut, "NOERROR tc ra edns=1232\nwww.example. 300 A 192.0.2.1\nwww.example. 300 A 192.0.2.2"),
    ];
    for (ways, expected) in rows {
        let fake = Fake::new(&records(), ways);
        let forwarder = start(&ForwardOptions { attempts: 1, ..settings(&[&fake]) });
        let expected = expected.replace("UP", &fake.address.to_string());
        let begun = Instant::now();
        let said = ask(&forwarder, "www.example A edns");
        assert_eq!(said, expected, "{ways:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{ways:?}");
    }
}

/// Another upstream is asked where one fails; one that failed is passed over and comes back.
#[test]
fn others_are_asked_meanwhile() {
    for ways in [Ways::Dead, Ways::Failing, Ways::Refusing, Ways::Garbage] {
        let (bad, good) = (Fake::new(&records(), ways), Fake::new(&records(), Ways::Honest));
        let forwarder = start(&settings(&[&bad, &good]));
        assert!(ask(&forwarder, "www.example A").starts_with("NOERROR ra\nwww.example. 300 A"), "{ways:?}");
    }
    let (first, second) = (Fake::new(&records(), Ways::Dead), Fake::new(&records(), Ways::Honest));
    let forwarder = start(&ForwardOptions {
        timeout: Duration::from_millis(200),
        cache_entries: 0,
        ..settings(&[&first, &second])
    });
    let Some(Route::Upstreams(upstreams)) = forwarder.shared.work.routes.find(b"\0") else { panic!("no route") };
    let begun = Instant::now();
    while !upstreams[0].is_down() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is still asked");
        assert!(ask(&forwarder, "www.example A").starts_with("NOERROR"));
    }
    // Passed over: only trial queries go there.
    first.die(false);
    let begun = Instant::now();
    while upstreams[0].is_down() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it never came back");
        std::thread::yield_now();
    }
    let before = second.over_udp.load(Ordering::SeqCst);
    assert!(ask(&forwarder, "www.example A").starts_with("NOERROR"));
    assert_eq!(second.over_udp.load(Ordering::SeqCst), before, "the first one is asked again");
}

#[test]
fn answers_are_kept_for_their_time() {
    let fake = Fake::new(&records(), Ways::Honest);
    let forwarder = start(&settings(&[&fake]));
    let count = || fake.over_udp.load(Ordering::SeqCst);
    for (line, lookups) in [
        ("www.example A", 1),
        ("WWW.example A", 1),
        ("www.example A tcp edns", 1),
        ("www.example A edns do", 2), // DNSSEC records could be in it
        ("nothing.example A", 3),
        ("nothing.example A", 3),
        ("zero.example A", 4),
        ("zero.example A", 5),
    ] {
        ask(&forwarder, line);
        assert_eq!(count(), lookups, "{line}");
    }
    let work = &forwarder.shared.work;
    let key = Lookup::read(&asked("www.example A")).unwrap().key;
    let now = Instant::now();
    for (seconds, fresh) in [(0, true), (299, true), (301, false)] {
        let later = now + Duration::from_secs(seconds);
        let kept = work.cache.get(&key, later);
        assert_eq!(kept.is_some(), fresh, "{seconds}");
        if let Some(kept) = kept {
            let ttl = Uncompressed(kept.said.foreign(0).records).next().unwrap().ttl;
            let reply = compose(&asked("www.example A"), &[], kept.said.foreign(kept.age(later)));
            assert_eq!(ttl, 300);
            let left = 300 - kept.age(later);
            assert!(show(&reply).contains(&format!("www.example. {left} A 192.0.2.1")), "{seconds}");
        }
    }
}

/// Beyond its time an answer is better than none, for a while (RFC 8767).
#[test]
fn stale_answers_when_nobody_answers() {
    let fake = Fake::new(&records(), Ways::Honest);
    let forwarder =
        start(&ForwardOptions { max_ttl: 1, attempts: 1, timeout: Duration::from_millis(100), ..settings(&[&fake]) });
    // On a busy machine the first answers may come too late.
    for (line, expected) in [("www.example A edns", "NOERROR"), ("nothing.example A edns", "NXDOMAIN")] {
        let begun = Instant::now();
        while !ask(&forwarder, line).starts_with(expected) {
            assert!(begun.elapsed() < Duration::from_secs(10), "{line}");
        }
    }
    fake.die(true);
    let reason = "\"no upstream can be reached; this is what one said earlier\"";
    let begun = Instant::now();
    loop {
        let said = ask(&forwarder, "www.example A edns");
        assert!(said.starts_with("NOERROR ra edns=1232"), "{said}");
        if said.contains("ede=3") {
            assert_eq!(said.lines().next().unwrap(), format!("NOERROR ra edns=1232 ede=3 {reason}"));
            assert!(said.contains("www.example. 30 A 192.0.2.1"), "{said}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
    let said = ask(&forwarder, "nothing.example A edns");
    assert_eq!(said.lines().next().unwrap(), format!("NXDOMAIN ra edns=1232 ede=19 {reason}"));
    // What nobody has asked for before cannot be known.
    assert!(ask(&forwarder, "other.example A edns").starts_with("SERVFAIL ra edns=1232 ede=22"));
    let strict =
        start(&ForwardOptions { stale: Duration::ZERO, timeout: Duration::from_millis(100), ..settings(&[&fake]) });
    assert!(ask(&strict, "www.example A").starts_with("SERVFAIL ra"));
}

/// 263: names that concern nobody else are not told to anybody.
#[test]
fn local_names_stay_here() {
    let fake = Fake::new(&records(), Ways::Honest);
    let forwarder = start(&settings(&[&fake]));
    let soa = |zone: &str| format!("auth: {zone}. 3600 SOA localhost. nobody.invalid. 1 3600 1200 604800 3600");
    check(&forwarder, "localhost A", "NOERROR ra\nlocalhost. 3600 A 127.0.0.1");
    check(&forwarder, "a.b.localhost AAAA edns", "NOERROR ra edns=1232\na.b.localhost. 3600 AAAA ::1");
    check(&forwarder, "localhost TXT", &format!("NOERROR ra\n{}", soa("localhost")));
    for zone in ["invalid", "local", "test", "onion", "alt"] {
        check(&forwarder, &format!("x.{zone} A"), &format!("NXDOMAIN ra\n{}", soa(zone)));
    }
    check(&forwarder, "_dns.resolver.arpa SVCB", &format!("NXDOMAIN ra\n{}", soa("resolver.arpa")));
    assert_eq!(fake.over_udp.load(Ordering::SeqCst), 0);
    // Unless somebody is named who knows them.
    let zones = vec![(crate::dns::name::Name::parse("local").unwrap(), vec![UpstreamAddress::Plain(fake.address)])];
    let forwarder = start(&ForwardOptions { zones, ..settings(&[]) });
    ask(&forwarder, "x.local A");
    assert_eq!(fake.over_udp.load(Ordering::SeqCst), 1);
    // Only the stub's names are asked for; all others are refused as before.
    check(&forwarder, "www.example A", "REFUSED ra");
}

/// All who want the same wait for one lookup; beyond the limit queries are refused and others go on.
#[test]
fn what_waits_is_bounded() {
    let fake = Fake::new(&records(), Ways::Dead);
    let forwarder = start(&ForwardOptions { max_in_flight: 8, ..settings(&[&fake]) });
    let replies = block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..40_u8 {
            let (forwarder, mut asked) = (forwarder.clone(), asked(&format!("n{}.example A edns", number % 10)));
            asked.source = [192, 0, 2, number % 20].into();
            tasks.spawn(async move { show(&forwarder.answer(asked).await) });
        }
        tasks.join_all().await
    });
    let count = |start: &str| replies.iter().filter(|reply| reply.starts_with(start)).count();
    let refused = "REFUSED ra edns=1232 ede=0 \"too many queries wait for upstreams (forward.maxInFlight)\"";
    assert_eq!((count(refused), count("SERVFAIL ra edns=1232 ede=22")), (32, 8));
    let counters = forwarder.counters();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((read(&counters.queries), read(&counters.refused), read(&counters.failed)), (40, 32, 8));
    assert_eq!((read(&counters.in_flight), read(&counters.lookups), read(&counters.lookups_failed)), (0, 8, 8));
    // The failure is remembered for a moment: who asks again at once is told at once.
    ask(&forwarder, "n0.example A");
    assert_eq!(read(&counters.lookups), 8);

    let fake = Fake::new(&records(), Ways::Slow);
    let forwarder = start(&settings(&[&fake]));
    let replies = block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (forwarder, asked) = (forwarder.clone(), asked("www.example A"));
            tasks.spawn(async move { show(&forwarder.answer(asked).await) });
        }
        tasks.join_all().await
    });
    assert!(replies.iter().all(|reply| reply.starts_with("NOERROR ra\nwww.example. 300 A")));
    assert_eq!(forwarder.counters().lookups.load(Ordering::Relaxed), 1);
}

/// An upstream says more than it was asked, of names that are ours or another's; and where an alias of its leads there,
/// those who know are asked.
#[test]
fn an_upstream_speaks_for_its_own_names_only() {
    let other = Fake::new("www A 192.0.2.1", Ways::Honest);
    let fake = Fake::new(
        "own CNAME web-0.nginx.ns1.svc.cluster.local.\nabsent CNAME none.ns1.svc.cluster.local.\nstub CNAME www.in.example.\n\
         nowhere CNAME x.localhost.",
        Ways::Honest,
    );
    let stub = Fake::new("www.in A 192.0.2.7\n", Ways::Honest);
    let zones =
        vec![(crate::dns::name::Name::parse("in.example").unwrap(), vec![UpstreamAddress::Plain(stub.address)])];
    let forwarder = start(&ForwardOptions { zones, ..settings(&[&fake]) });
    // Ours is said by us, and not remembered.
    for _ in 0..2 {
        check(
            &forwarder,
            "own.example A",
            "NOERROR ra\nown.example. 300 CNAME web-0.nginx.ns1.svc.cluster.local.\n\
             web-0.nginx.ns1.svc.cluster.local. 5 A 10.1.0.1",
        );
    }
    assert_eq!(forwarder.counters().cache_hits.load(Ordering::Relaxed), 0);
    let absent = ask(&forwarder, "absent.example A");
    assert!(
        absent.starts_with("NXDOMAIN ra\nabsent.example. 300 CNAME none.ns1.svc.cluster.local.\nauth: cluster.local."),
        "{absent}"
    );
    // Another's is said by that one, and by nobody for a name that is asked of nobody.
    check(
        &forwarder,
        "stub.example A",
        "NOERROR ra\nstub.example. 300 CNAME www.in.example.\nwww.in.example. 300 A 192.0.2.7",
    );
    check(&forwarder, "nowhere.example A", "NOERROR ra\nnowhere.example. 300 CNAME x.localhost.");
    drop(other);
}
