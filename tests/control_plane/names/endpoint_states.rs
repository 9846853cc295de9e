//! The tables of `docs/endpoint-states.md`, cell by cell.

use super::{DOMAIN, RecordType, ask, show, snapshot};

const TABLES: &str = include_str!("../../../docs/endpoint-states.md");

/// The Services of the document; the state of a row goes where `STATE` and `PUBLISH` stand.
const OBJECTS: &str = "
metadata: {name: web}
spec: {clusterIP: None, publishNotReadyAddresses: PUBLISH, ports: [{name: http, port: 80}]}
---
metadata: {name: web-4}
of: web
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints:
- {addresses: [10.1.0.1], hostname: web-0, conditions: STATE}
- {addresses: [10.1.0.9], hostname: web-9, conditions: {ready: true}}
---
metadata: {name: web-6}
of: web
addressType: IPv6
ports: [{name: http, port: 80}]
endpoints: [{addresses: ['fd00::1'], hostname: web-0, conditions: STATE}]
---
metadata: {name: solo}
spec: {clusterIP: None, publishNotReadyAddresses: PUBLISH, ports: [{name: http, port: 80}]}
---
metadata: {name: solo-4}
of: solo
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.1.0.2], hostname: one, conditions: STATE}]
---
metadata: {name: bare}
spec: {clusterIP: None, publishNotReadyAddresses: PUBLISH}
---
metadata: {name: bare-4}
of: bare
addressType: IPv4
endpoints:
- {addresses: [10.1.0.3], conditions: STATE}
- {addresses: [10.1.0.8], hostname: other}
---
metadata: {name: api}
spec: {clusterIP: 10.96.0.1, publishNotReadyAddresses: PUBLISH, ports: [{name: http, port: 80}]}
---
metadata: {name: api-4}
of: api
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.1.0.4], hostname: api-0, conditions: STATE}]
";

fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_matches('|').split('|').map(str::trim).collect()
}

/// The data of the answer's records, names without `.default.svc`; or `NODATA`, `NXDOMAIN`.
fn answered(snapshot: &headless_dns::dns::zone::Snapshot, question: &str) -> String {
    let (asked, rtype) = question.split_once("` ").unwrap_or_else(|| panic!("{question} is no question"));
    let asked = asked.trim_start_matches('`');
    let asked = if asked.ends_with('.') { asked.to_owned() } else { format!("{asked}.default.svc.{DOMAIN}") };
    let reply = ask(snapshot, &asked, RecordType::parse(rtype).unwrap());
    let lines = show(&reply, &asked);
    let mut data: Vec<&str> = lines.iter().filter(|line| !line.starts_with('+')).map(String::as_str).collect();
    // For how long absence may be remembered is no matter of the state.
    data.iter_mut().for_each(|line| {
        let absent = ["NODATA", "NXDOMAIN"].into_iter().find(|absent| line.starts_with(absent));
        *line = absent.unwrap_or_else(|| line.rsplit(' ').next().unwrap().trim_end_matches(".default.svc"));
    });
    data.join(", ")
}

#[test]
fn every_state_of_an_endpoint_and_every_form_of_its_name() {
    let mut header: Vec<&str> = Vec::new();
    let (mut rows, mut checked, mut broken) = (0, 0, Vec::new());
    for line in TABLES.lines() {
        if line.starts_with("| State |") {
            header = cells(line);
        } else if !line.starts_with('|') {
            header.clear();
        }
        let [_, conditions, publish, expected @ ..] = &cells(line)[..] else { continue };
        if header.is_empty() || !conditions.starts_with("`{") {
            continue;
        }
        assert_eq!(expected.len() + 3, header.len(), "{line}");
        let publish = match *publish {
            "yes" => "true",
            "no" => "false",
            other => panic!("publishNotReadyAddresses is yes or no, not {other:?}"),
        };
        let objects = OBJECTS.replace("STATE", conditions.trim_matches('`')).replace("PUBLISH", publish);
        let snapshot = snapshot(&objects);
        for (question, expected) in header[3..].iter().zip(expected) {
            let found = answered(&snapshot, question);
            if found != *expected {
                broken.push(format!("{question} is {found}, and the table says {expected}: {line}"));
            }
            checked += 1;
        }
        rows += 1;
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(rows >= 39 && checked > 170, "{rows} rows and {checked} cells were found");
}
