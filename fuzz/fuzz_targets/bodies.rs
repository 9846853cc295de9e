//! Any requests to the Kubernetes API over a real controller with simulated pods, one after the other: no panic, a status
//! that is documented, a reply that can be read, nothing left of the budget; and what was created is what is stored:
//! sending it back in any form changes nothing.
#![no_main]

use headless_dns::{
    control::{
        controller::{Controller, ControllerSettings, Event},
        records::RecordSettings,
        runtime::simulated::{Delays, Simulated, SimulationSettings},
    },
    dns::name::Name,
    web::api::{ApiLimits, ApiOptions, Ask, Capacity, ChangeLog, Guard, Handle, InProcessApi},
};
use headless_dns_fuzz::{http, mutate};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const STATUSES: [u16; 17] = [200, 201, 202, 304, 400, 403, 404, 405, 406, 409, 410, 413, 415, 422, 429, 503, 504];
/// Inputs beyond this only take time.
const LARGEST: usize = 16 << 10;
/// Requests of one input that are carried out.
const REQUESTS: usize = 6;
/// What the API may take, in octets: enough for every body of this size.
const BUDGET: usize = 256 << 20;

fn controller() -> Controller<Simulated> {
    let settings = ControllerSettings {
        service_cidrs: vec!["10.96.0.0/24".parse().expect("a range")],
        records: RecordSettings::new(Name::parse("cluster.local").expect("a name"), 5),
        built_in_class: true,
        provision_undeclared: true,
        max_unavailable: true,
        seed: 1,
    };
    let time = Duration::from_millis(50);
    Controller::new(
        settings,
        Simulated::new(SimulationSettings {
            pod_cidrs: vec!["10.244.0.0/22".parse().expect("a range")],
            delays: Delays { start_after: time, ready_after: time, stop_after: time, ..Delays::default() },
        }),
    )
}

/// An API over an empty cluster, in which a tenth of a second passes with each write.
fn api() -> InProcessApi {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let mut controller = controller();
    controller.handle(Event::Loaded, now);
    controller.turn(now);
    let log = Arc::new(ChangeLog::keeping(
        Capacity { changes: 1000, octets: 1 << 20 },
        controller.cluster().resource_version(),
    ));
    let (control, changes) = (Mutex::new((controller, now)), Arc::clone(&log));
    let ask = move |ask| {
        let (controller, now) = &mut *control.lock().expect("no panic before");
        match ask {
            Ask::Read(look) => look(controller.cluster()),
            Ask::Write(write, dry_run, reply) => {
                *now += SignedDuration::from_millis(100);
                let outcome = controller.write(*write, dry_run, *now);
                let turn = controller.turn(*now);
                changes.append(&turn.changes, controller.cluster().resource_version());
                drop(reply.send(outcome));
            }
        }
        Ok(())
    };
    let handle = Handle::new(ask, || false, Arc::default(), log);
    let options = ApiOptions {
        guard: Guard::default(),
        limits: ApiLimits {
            api_connections: 8,
            api_slow: Duration::from_secs(5),
            api_octets: BUDGET,
            api_object_octets: BUDGET as u64,
            ..ApiLimits::default()
        },
        problem: Box::new(|| None),
        create_namespaces: true,
        tls: None,
    };
    InProcessApi::new(handle, options).expect("an event queue")
}

/// Method and target in a line, fields of the head (`name: value`), each in a line; an empty one; the body.
struct Request<'i> {
    method: &'i [u8],
    target: &'i [u8],
    fields: Vec<(&'i [u8], &'i [u8])>,
    body: &'i [u8],
}

impl<'i> Request<'i> {
    fn parse(input: &'i [u8]) -> Option<Request<'i>> {
        let end = input.windows(2).position(|two| two == b"\n\n");
        let (head, body) = end.map_or((input, &b""[..]), |at| (&input[..at], &input[at + 2..]));
        let mut lines = head.split(|octet| *octet == b'\n');
        let first = lines.next()?;
        let space = first.iter().position(|octet| *octet == b' ')?;
        let mut fields = vec![];
        for line in lines {
            let colon = line.iter().position(|octet| *octet == b':')?;
            fields.push((&line[..colon], line[colon + 1..].trim_ascii()));
        }
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"host")) {
            fields.push((b"host", b"localhost"));
        }
        Some(Request { method: &first[..space], target: &first[space + 1..], fields, body })
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, http::change_api)
});

fuzz_target!(|input: &[u8]| {
    if input.len() > LARGEST {
        return;
    }
    let api = api();
    let mut rest = input;
    for _ in 0..REQUESTS {
        let end = rest.windows(http::BETWEEN.len()).position(|window| window == http::BETWEEN);
        run(&api, &rest[..end.unwrap_or(rest.len())]);
        let Some(end) = end else { return };
        rest = &rest[end + http::BETWEEN.len()..];
    }
});

/// Carries out a request.
fn run(api: &InProcessApi, input: &[u8]) {
    let Some(Request { method, target, fields, body }) = Request::parse(input) else { return };
    // A run would only take time.
    if is_large(body) {
        return;
    }
    let Some((status, reply)) = api.respond((method, target), &fields, body) else { return };
    assert!(STATUSES.contains(&status), "{status}: {}", String::from_utf8_lossy(&reply));
    let json = serde_json::from_slice::<Value>(&reply);
    if status >= 400 && status != 503 {
        let said = json.as_ref().expect("a Status");
        assert_eq!((said["kind"].as_str(), said["code"].as_u64()), (Some("Status"), Some(status.into())));
    }
    assert!(api.octets() < BUDGET / 4, "{} octets are still taken", api.octets());
    let target = String::from_utf8_lossy(target);
    if let (201, b"POST", Ok(created)) = (status, method, json)
        && !target.contains("dryRun")
        && created["kind"] != "Table"
        && created["kind"] != "PartialObjectMetadata"
    {
        let path = target.split('?').next().unwrap_or_default().trim_end_matches('/');
        stays(api, &format!("{path}/{}", created["metadata"]["name"].as_str().expect("a name")));
    }
}

/// What is stored is read, and sent back as JSON and as YAML: it stays as it is.
fn stays(api: &InProcessApi, target: &str) {
    let host: (&[u8], &[u8]) = (b"host", b"localhost");
    let get = || api.respond((b"GET", target.as_bytes()), &[host], b"").expect("a request");
    let (status, stored) = get();
    if status == 404 {
        // A pod that nothing owns may be gone already, or what was created deletes itself.
        return;
    }
    assert_eq!(status, 200, "{target}");
    let before: Value = serde_json::from_slice(&stored).expect("an object");
    for media_type in [&b"application/json"[..], b"application/yaml"] {
        let fields = [host, (b"content-type", media_type)];
        let (status, reply) = api.respond((b"PUT", target.as_bytes()), &fields, &stored).expect("a request");
        let after: Value = serde_json::from_slice(&reply).expect("an object");
        // Somebody else may have been faster: pods start, claims are bound.
        if status == 409 {
            return;
        }
        assert_eq!(status, 200, "{target}: {after}");
        let (before, after) = (spec(&before), spec(&after));
        assert_eq!(before, after, "{target}");
    }
}

/// What a client says of an object.
fn spec(object: &Value) -> Value {
    let mut object = object.clone();
    for pointer in ["/metadata/managedFields", "/metadata/resourceVersion", "/status"] {
        if let Some(part) = object.pointer_mut(pointer) {
            *part = Value::Null;
        }
    }
    object.as_object_mut().map(|object| object.remove("status"));
    object
}

/// Whether a body asks for many pods, in whatever form.
fn is_large(body: &[u8]) -> bool {
    let name = b"replicas";
    body.windows(name.len()).enumerate().filter(|(_, window)| window == name).any(|(at, _)| {
        let behind = &body[at + name.len()..];
        let digits =
            behind.iter().skip_while(|octet| !octet.is_ascii_digit()).take_while(|octet| octet.is_ascii_digit());
        digits.count() > 2
    })
}
