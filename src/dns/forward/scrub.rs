//! What of an upstream's reply is believed: what was asked for, from the upstream that is asked for it.
//!
//! A reply can hold more than an answer, by mistake or to mislead: records of other names, addresses for ours, an alias
//! that was not asked about. Kept is the chain from the question to its records, as far as each of its names is one
//! that this very upstream is asked for; what says that there are none; and the addresses of what the records point to.
//! The rest is dropped before anything is remembered or sent on.

use hickory_proto::{
    op::Message,
    rr::{DNSClass, Name, RData, Record, RecordType},
};

/// Most aliases that are followed through one reply.
const CHAIN_ALIASES_MAX: usize = 16;

/// Leaves of a reply what may be believed; `believed` says whether its upstream is the one that is asked for a name, and
/// the name is none of ours. Returns the name that the reply leads to without being believed about it.
pub(super) fn scrub(
    message: &mut Message,
    asked: &Name,
    qtype: RecordType,
    believed: impl Fn(&Name) -> bool,
) -> Option<Name> {
    let mut answers = Vec::new();
    let mut name = asked.clone();
    let mut leads_out = false;
    let mut passed = vec![name.clone()];
    loop {
        let own = |record: &&Record| record.dns_class == DNSClass::IN && record.name == name;
        let is_wanted = |record: &&Record| qtype == RecordType::ANY || record.record_type() == qtype;
        let wanted: Vec<Record> = message.answers.iter().filter(own).filter(is_wanted).cloned().collect();
        let alias = message.answers.iter().filter(own).find_map(|record| match &record.data {
            RData::CNAME(target) if wanted.is_empty() => Some((record.clone(), target.0.clone())),
            _ => None,
        });
        let found = !wanted.is_empty();
        answers.extend(wanted);
        let Some((record, target)) = alias else {
            signatures(&message.answers, &name, found.then_some(qtype), &mut answers);
            break;
        };
        // A domain that is an alias as a whole stands before the alias that was made of it.
        let above = |record: &&Record| record.record_type() == RecordType::DNAME && is_below(&name, &record.name);
        answers.extend(message.answers.iter().filter(above).take(1).filter(|record| believed(&record.name)).cloned());
        answers.push(record);
        signatures(&message.answers, &name, Some(RecordType::CNAME), &mut answers);
        let circle = passed.contains(&target);
        name = target;
        leads_out = !believed(&name);
        if leads_out || circle || passed.len() >= CHAIN_ALIASES_MAX {
            break;
        }
        passed.push(name.clone());
    }
    message.answers = answers;
    if leads_out {
        message.authorities.clear();
        message.additionals.clear();
        return Some(name);
    }
    message.authorities.retain(|record| match record.record_type() {
        // Above a stub domain its zone may begin, and what is told is only for how long nothing is there.
        RecordType::SOA => record.name.zone_of(&name),
        RecordType::NS => record.name.zone_of(&name) && believed(&record.name),
        RecordType::NSEC | RecordType::NSEC3 | RecordType::DS => believed(&record.name),
        RecordType::RRSIG => believed(&record.name) || record.name.zone_of(&name),
        _ => false,
    });
    let targets: Vec<Name> = message.answers.iter().chain(&message.authorities).filter_map(target).cloned().collect();
    message.additionals.retain(|record| {
        matches!(record.record_type(), RecordType::A | RecordType::AAAA | RecordType::RRSIG)
            && targets.contains(&record.name)
            && believed(&record.name)
    });
    None
}

/// Adds the signatures that stand at a name, if anything else does.
fn signatures(from: &[Record], name: &Name, of: Option<RecordType>, into: &mut Vec<Record>) {
    // Who asked for them, or for everything, has them already.
    if of.is_some_and(|of| of != RecordType::RRSIG && of != RecordType::ANY) {
        let signed = |record: &&Record| record.record_type() == RecordType::RRSIG && record.name == *name;
        into.extend(from.iter().filter(signed).cloned());
    }
}

fn is_below(name: &Name, domain: &Name) -> bool {
    domain.zone_of(name) && domain != name
}

/// The name that a record points to, whose addresses are wanted next.
fn target(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::MX(mx) => Some(&mx.exchange),
        RData::SRV(srv) => Some(&srv.target),
        RData::NS(ns) => Some(&ns.0),
        // An owner that is its own target is written as the root (RFC 9460 §2.5).
        RData::SVCB(svcb) if svcb.target_name.is_root() => Some(&record.name),
        RData::SVCB(svcb) => Some(&svcb.target_name),
        RData::HTTPS(https) if https.0.target_name.is_root() => Some(&record.name),
        RData::HTTPS(https) => Some(&https.0.target_name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::rdata::{A, CNAME, MX, NS, SOA, TXT};
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        let absolute = format!("{}.", text.trim_end_matches('.'));
        Name::from_ascii(absolute).unwrap()
    }

    /// `owner TYPE rdata`, of the types that matter here.
    fn record(line: &str) -> Record {
        let words: Vec<&str> = line.split_whitespace().collect();
        let data = match words[1] {
            "A" => RData::A(A(words[2].parse().unwrap())),
            "CNAME" => RData::CNAME(CNAME(name(words[2]))),
            "NS" => RData::NS(NS(name(words[2]))),
            "MX" => RData::MX(MX::new(10, name(words[2]))),
            "TXT" => RData::TXT(TXT::new(vec![words[2].to_owned()])),
            "SOA" => RData::SOA(SOA::new(name("ns"), name("h"), 1, 2, 3, 4, 5)),
            other => panic!("{other}"),
        };
        Record::from_rdata(name(words[0]), 60, data)
    }

    fn line(record: &Record) -> String {
        let owner = record.name.to_string();
        let data = match &record.data {
            RData::A(address) => address.to_string(),
            RData::CNAME(target) => target.0.to_string(),
            RData::NS(target) => target.0.to_string(),
            RData::MX(mx) => mx.exchange.to_string(),
            RData::TXT(text) => text.to_string(),
            _ => String::new(),
        };
        let data = data.trim_end_matches('.');
        format!("{} {} {data}", owner.trim_end_matches('.'), record.record_type()).trim_end().to_owned()
    }

    /// `stub.test` has an upstream of its own, `ours.test` is ours.
    fn believed(asked: &Name) -> impl Fn(&Name) -> bool + use<> {
        let stub = name("stub.test");
        let of_stub = stub.zone_of(asked);
        move |other| stub.zone_of(other) == of_stub && !name("ours.test").zone_of(other)
    }

    /// Sections one after the other, `-` between them.
    fn message(lines: &str) -> Message {
        let mut message = Message::query();
        let mut sections = lines.split('-').map(|lines| lines.lines().map(str::trim).filter(|line| !line.is_empty()));
        let mut section = || sections.next().into_iter().flatten().map(record).collect::<Vec<_>>();
        (message.answers, message.authorities, message.additionals) = (section(), section(), section());
        message
    }

    fn shown(message: &Message) -> Vec<String> {
        let sections = [&message.answers, &message.authorities, &message.additionals];
        sections.iter().flat_map(|section| section.iter().map(line).chain(["-".to_owned()])).collect()
    }

    #[track_caller]
    fn check(asked: &str, qtype: RecordType, said: &str, expected: &str, leads_to: Option<&str>) {
        let mut scrubbed = message(said);
        let next = scrub(&mut scrubbed, &name(asked), qtype, believed(&name(asked)));
        assert_eq!(shown(&scrubbed), shown(&message(expected)), "{asked}");
        assert_eq!(next, leads_to.map(name), "{asked}");
    }

    #[test]
    fn what_was_not_asked_for_goes() {
        use RecordType as T;
        // Other names and other types beside the answer.
        check("a.test", T::A, "a.test A 1.1.1.1\n b.test A 6.6.6.6\n a.test TXT x", "a.test A 1.1.1.1", None);
        check("A.test", T::A, "a.TEST A 1.1.1.1", "a.TEST A 1.1.1.1", None);
        check("a.test", T::A, "b.test A 6.6.6.6", "", None);
        // A chain in whatever order, and only the chain.
        check(
            "a.test",
            T::A,
            "c.test A 1.1.1.1\n b.test CNAME c.test\n a.test CNAME b.test\n x.test CNAME y.test\n y.test A 6.6.6.6",
            "a.test CNAME b.test\n b.test CNAME c.test\n c.test A 1.1.1.1",
            None,
        );
        // A second alias at one name, an alias beside the records, aliases in a circle.
        check(
            "a.test",
            T::A,
            "a.test CNAME b.test\n a.test CNAME c.test\n c.test A 6.6.6.6",
            "a.test CNAME b.test",
            None,
        );
        check("a.test", T::A, "a.test A 1.1.1.1\n a.test CNAME b.test\n b.test A 6.6.6.6", "a.test A 1.1.1.1", None);
        check(
            "a.test",
            T::A,
            "a.test CNAME b.test\n b.test CNAME a.test",
            "a.test CNAME b.test\n b.test CNAME a.test",
            None,
        );
        check("a.test", T::CNAME, "a.test CNAME b.test\n b.test A 6.6.6.6", "a.test CNAME b.test", None);
        check(
            "a.test",
            T::ANY,
            "a.test A 1.1.1.1\n a.test TXT x\n b.test A 6.6.6.6",
            "a.test A 1.1.1.1\n a.test TXT x",
            None,
        );
    }

    #[test]
    fn nobody_speaks_of_names_that_others_know() {
        use RecordType as T;
        // Ours: wherever a chain leads there, the rest of it is ours to say.
        check("ours.test", T::A, "ours.test CNAME b.test", "ours.test CNAME b.test", None);
        let said = "a.test CNAME web.ours.test\n web.ours.test A 6.6.6.6 - ours.test SOA - web.ours.test A 6.6.6.6";
        check("a.test", T::A, said, "a.test CNAME web.ours.test", Some("web.ours.test"));
        // Another upstream's, in both directions.
        let said = "a.test CNAME b.stub.test\n b.stub.test A 6.6.6.6";
        check("a.test", T::A, said, "a.test CNAME b.stub.test", Some("b.stub.test"));
        let said = "a.stub.test CNAME b.test\n b.test A 6.6.6.6";
        check("a.stub.test", T::A, said, "a.stub.test CNAME b.test", Some("b.test"));
        let said = "a.stub.test CNAME b.stub.test\n b.stub.test A 1.1.1.1";
        check("a.stub.test", T::A, said, said, None);
    }

    #[test]
    fn what_stands_beside_the_answer() {
        use RecordType as T;
        let said = "a.test MX m.test\n a.test MX m.ours.test - test NS ns.test\n b.test NS n.b.test\n ours.test NS ns.test\n \
                    test TXT x - m.test A 1.1.1.1\n ns.test A 1.1.1.2\n m.ours.test A 6.6.6.6\n www.bank.test A 6.6.6.6\n m.test \
                    TXT x";
        let kept = "a.test MX m.test\n a.test MX m.ours.test - test NS ns.test - m.test A 1.1.1.1\n ns.test A 1.1.1.2";
        check("a.test", T::MX, said, kept, None);
        // Nothing there: who says so, if it is somebody above.
        check("a.test", T::A, " - test SOA\n other SOA - x.test A 6.6.6.6", " - test SOA - ", None);
        check("a.stub.test", T::A, " - test SOA - ", " - test SOA - ", None);
        check("a.test", T::A, "a.test CNAME b.test - test SOA - ", "a.test CNAME b.test - test SOA - ", None);
    }

    proptest! {
        /// Whatever comes: what is kept was said, is scrubbed already, and says nothing of names that others know.
        #[test]
        fn nothing_else_is_kept(records in prop::collection::vec((0..6_usize, 0..6_usize, 0..3_usize, 0..3_usize), 0..24)) {
            const NAMES: [&str; 6] = ["a.test", "b.test", "c.stub.test", "d.ours.test", "test", "e.other"];
            let mut said = Message::query();
            for (owner, target, kind, section) in records {
                let kind = ["A 6.6.6.6".to_owned(), format!("CNAME {}", NAMES[target]), format!("NS {}", NAMES[target])][kind].clone();
                let record = record(&format!("{} {kind}", NAMES[owner]));
                [&mut said.answers, &mut said.authorities, &mut said.additionals][section].push(record);
            }
            let mut kept = said.clone();
            let asked = name("a.test");
            let next = scrub(&mut kept, &asked, RecordType::A, believed(&asked));
            for record in kept.answers.iter().chain(&kept.authorities).chain(&kept.additionals) {
                prop_assert!(believed(&asked)(&record.name), "{}", line(record));
            }
            prop_assert!(kept.answers.iter().all(|record| said.answers.contains(record)));
            let mut again = kept.clone();
            prop_assert_eq!(scrub(&mut again, &asked, RecordType::A, believed(&asked)), next);
            prop_assert_eq!(shown(&again), shown(&kept));
        }
    }
}
