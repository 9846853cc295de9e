//! Services that change their form: every row of upstream's recording (`tests/data/upstream/transitions.md`), replayed
//! over the API of a running server and, for files, through the controller.

use crate::support::{cluster::Home, control_plane::ControlPlane, eventually};
use headless_dns::{
    control::{
        controller::{Controller, Event},
        runtime::simulated::Simulated,
    },
    objects::object::{self, Kind, Object, ObjectKey},
    program::app::Server,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, TcpStream},
};

const RECORDING: &str = include_str!("../data/upstream/transitions.md");
const SINGLE: &[&str] = &["10.96.0.0/12"];
const DUAL: &[&str] = &["10.96.0.0/12", "fd00:10:96::/112"];

/// What an API answers: the status, the body, the warnings.
struct Reply {
    code: u16,
    body: Value,
    warnings: Vec<String>,
}

impl Reply {
    /// The errors of a refusal, each with its field; empty for success.
    fn errors(&self) -> Vec<String> {
        if self.code < 400 {
            return Vec::new();
        }
        let causes = self.body["details"]["causes"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", text(&cause["field"]), text(&cause["message"]))).collect();
        if all.is_empty() { vec![text(&self.body["message"])] } else { all }
    }
}

/// A server of its own with an empty cluster.
struct Cluster {
    _server: Server,
    connection: RefCell<BufReader<TcpStream>>,
    _home: Home,
}

impl Cluster {
    fn start(ranges: &[&str]) -> Cluster {
        let mut home = Home::new();
        home.settings.pod_cidrs = ["10.244.0.0/16", "fd00:10:244::/64"].map(|range| range.parse().unwrap()).to_vec();
        home.settings.service_cidrs = ranges.iter().map(|range| range.parse().unwrap()).collect();
        let server = home.start();
        let address = server.api_address().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Cluster { _server: server, connection: RefCell::new(BufReader::new(stream)), _home: home }
    }

    fn ask(&self, method: &str, path: &str, media_type: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut connection = self.connection.borrow_mut();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut head, mut body) = (Vec::new(), Vec::new());
        loop {
            let mut line = String::new();
            assert!(connection.read_line(&mut line).unwrap() > 0);
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let is_there = |line: &&String, name: &str| line.to_ascii_lowercase().starts_with(name);
        match head.iter().find(|line| is_there(line, "content-length: ")) {
            Some(line) => {
                body.resize(line.split_once(": ").unwrap().1.parse().unwrap(), 0);
                connection.read_exact(&mut body).unwrap();
            }
            // A list comes in chunks.
            None => loop {
                let mut line = String::new();
                connection.read_line(&mut line).unwrap();
                let mut chunk = vec![0; usize::from_str_radix(line.trim(), 16).unwrap() + 2];
                connection.read_exact(&mut chunk).unwrap();
                match chunk.len() {
                    2 => break,
                    length => body.extend_from_slice(&chunk[..length - 2]),
                }
            },
        }
        let code = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        let warning =
            |line: &String| Some(line.split_once("arning: 299 - \"")?.1.strip_suffix('"')?.replace("\\\"", "\""));
        let warnings = head.iter().filter_map(warning).collect();
        Reply { code, body: serde_json::from_slice(&body).unwrap_or_default(), warnings }
    }
}

const SERVICES: &str = "/api/v1/namespaces/default/services";
const JSON: &str = "application/json";

fn path(name: &str) -> String {
    format!("{SERVICES}/{name}")
}

fn service(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
}

/// The patch that `kubectl apply` sends: what is named, and null for what was named before and is named no longer.
fn three_way(before: &Value, after: &Value) -> Value {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else { return after.clone() };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        let stood = old.get(key).cloned().unwrap_or_default();
        let changed = match (key.as_str(), stood.as_array(), value.as_array()) {
            ("ports", Some(old), Some(new)) => {
                let same = |a: &Value, b: &Value| a["port"] == b["port"] && a["protocol"] == b["protocol"];
                let mut ports: Vec<Value> = Vec::new();
                for port in new {
                    let stood = old.iter().find(|old| same(old, port)).cloned().unwrap_or_default();
                    ports.push(three_way(&stood, port));
                }
                for gone in old.iter().filter(|old| new.iter().all(|new| !same(old, new))) {
                    ports.push(json!({"port": gone["port"], "$patch": "delete"}));
                }
                ports.into()
            }
            _ => three_way(&stood, value),
        };
        patch.insert(key.clone(), changed);
    }
    Value::Object(patch)
}

/// Makes a Service in the first form and changes it into the second; what was made first, and the last reply.
fn change(cluster: &Cluster, way: &str, first: &Value, second: &Value) -> (Value, Reply) {
    let (made, second) = (service("s", first), service("s", second));
    let applied = "application/apply-patch+yaml";
    let target = format!("{}?fieldManager=kubectl", path("s"));
    let before = match way {
        "server-side" => cluster.ask("PATCH", &target, applied, &made),
        _ => cluster.ask("POST", SERVICES, JSON, &made),
    };
    assert_eq!(before.code, 201, "{way}: {}", before.body);
    let after = match way {
        "apply" => {
            cluster.ask("PATCH", &path("s"), "application/strategic-merge-patch+json", &three_way(&made, &second))
        }
        "server-side" => cluster.ask("PATCH", &target, applied, &second),
        "replace" => cluster.ask("PUT", &path("s"), JSON, &second),
        "patch" => {
            let mut spec = second["spec"].clone();
            spec["type"] = spec.get("type").cloned().unwrap_or_else(|| json!("ClusterIP"));
            cluster.ask("PATCH", &path("s"), "application/merge-patch+json", &json!({"spec": spec}))
        }
        other => unreachable!("{other}"),
    };
    let now = cluster.ask("GET", &path("s"), JSON, &Value::Null);
    if after.code >= 400 {
        assert_eq!(now.body, before.body, "a refused change changes nothing");
    } else {
        assert_eq!(now.body, after.body);
    }
    let deleted = cluster.ask("DELETE", &path("s"), JSON, &Value::Null);
    assert_eq!(deleted.code, 200);
    (before.body["spec"].clone(), after)
}

/// The forms of one kind of cluster, by name; with what becomes of each.
fn forms(section: &str) -> BTreeMap<&str, (Value, &str)> {
    let block = section.split("```").nth(1).unwrap();
    let mut lines = block.trim().lines();
    let mut forms = BTreeMap::new();
    while let (Some(head), Some(made)) = (lines.next(), lines.next()) {
        let (name, spec) = head.split_once(' ').unwrap();
        forms.insert(name, (serde_json::from_str(spec.trim()).unwrap(), made.trim()));
    }
    forms
}

/// The addresses of a Service by their families.
fn addresses(spec: &Value) -> [Option<String>; 2] {
    let all = || spec["clusterIPs"].as_array().into_iter().flatten().filter_map(|address| address.as_str());
    let of = |six: bool| {
        all().find(|text| text.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6() == six)).map(str::to_owned)
    };
    [of(false), of(true)]
}

/// Whether an address is what the recording's word for it says.
fn is_address(word: &str, found: &str, before: &Value) -> bool {
    let [old4, old6] = addresses(before);
    let parsed = found.parse::<IpAddr>().ok();
    let four = parsed.is_some_and(|address| address.is_ipv4());
    match word {
        "old4" => old4.as_deref() == Some(found),
        "old6" => old6.as_deref() == Some(found),
        "ip4" | "new4" => four && old4.is_none(),
        "ip6" | "new6" => parsed.is_some() && !four && old6.is_none(),
        literal => literal.trim_end_matches("(kept)") == found,
    }
}

/// Compares a spec with a line of the recording; what differs.
fn differences(line: &str, spec: &Value, before: &Value) -> Vec<String> {
    let mut rest = spec.as_object().cloned().unwrap_or_default();
    for shown_elsewhere in ["ports", "sessionAffinity"] {
        rest.remove(shown_elsewhere);
    }
    let mut wrong = Vec::new();
    let mut internal = "Cluster";
    for token in line.split_whitespace() {
        let (name, wanted) = token.split_once('=').unwrap();
        let field = match name {
            "families" => "ipFamilies",
            "policy" => "ipFamilyPolicy",
            "allocateLB" => "allocateLoadBalancerNodePorts",
            name => name,
        };
        let listed: Vec<&str> = wanted.trim_matches(['[', ']']).split(',').collect();
        let found = rest.remove(field);
        let is = match (name, found) {
            ("internalTrafficPolicy", found) => {
                internal = "-";
                found.is_none() && wanted == "-"
            }
            ("ports", None) => spec.get("ports").is_none(),
            ("nodePort", None) => {
                let of = |spec: &Value| spec["ports"][0]["nodePort"].as_i64();
                match (wanted, of(spec)) {
                    ("-", found) => found.is_none() && spec.get("ports").is_some(),
                    ("old", Some(found)) => of(before) == Some(found),
                    ("allocated" | "new", Some(found)) => (30000..=32767).contains(&found) && of(before).is_none(),
                    (number, Some(found)) => number == found.to_string(),
                    (_, None) => false,
                }
            }
            (_, None) => wanted == "-",
            ("clusterIP", Some(Value::String(found))) => is_address(wanted, &found, before),
            ("clusterIPs", Some(Value::Array(found))) => {
                found.len() == listed.len()
                    && found.iter().zip(&listed).all(|(found, word)| is_address(word, found.as_str().unwrap(), before))
            }
            ("families", Some(found)) => found == json!(listed),
            ("healthCheckNodePort", Some(found)) => match wanted {
                "old" => before[name] == found,
                "allocated" | "new" => found.is_i64() && before[name].is_null(),
                _ => false,
            },
            ("selector", Some(found)) => wanted == "app=x" && found == json!({"app": "x"}),
            (_, Some(found)) => found.to_string().trim_matches('"') == wanted,
        };
        if !is {
            wrong.push(token.to_owned());
        }
    }
    if internal != "-" && rest.remove("internalTrafficPolicy") != Some(json!(internal)) {
        wrong.push("internalTrafficPolicy".to_owned());
    }
    wrong.extend(rest.into_iter().map(|(name, value)| format!("{name} is {value}")));
    wrong
}

/// Our errors with the recording's words for addresses.
fn in_its_words(errors: &[String], before: &Value) -> String {
    let mut text = errors.join(" | ");
    for (old, word) in addresses(before).into_iter().zip(["<old4>", "<old6>"]) {
        if let Some(old) = old.filter(|old| old != "10.96.77.77") {
            text = text.replace(&old, word);
        }
    }
    let parts: Vec<String> = text
        .split('"')
        .map(|part| match part.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) if part != "10.96.77.77" => "<new4>".to_owned(),
            Ok(IpAddr::V6(_)) => "<new6>".to_owned(),
            _ => part.to_owned(),
        })
        .collect();
    parts.join("\"")
}

/// One row: each of its ways.
fn check(place: &str, row: &str, before: &Value, errors: &[String], spec: &Value) -> Vec<String> {
    let (verdict, expected) = row.split_once(' ').map_or((row, ""), |(verdict, rest)| (verdict, rest.trim()));
    match verdict {
        "ok" if errors.is_empty() => {
            let wrong = differences(expected, spec, before);
            if wrong.is_empty() { Vec::new() } else { vec![format!("{place}: {wrong:?} in {spec}")] }
        }
        "refused" if in_its_words(errors, before) == expected => Vec::new(),
        _ => vec![format!("{place}: {row}\n    ours: {} {spec}", in_its_words(errors, before))],
    }
}

/// A control plane without a server, for what files declare.
fn controller(ranges: &[&str]) -> Controller<Simulated> {
    ControlPlane::default().with_ranges(ranges, &["10.244.0.0/16"]).controller()
}

/// Changes a Service by its file; the first spec, the errors and the last spec.
fn change_by_file(ranges: &[&str], first: &Value, second: &Value) -> (Value, Vec<String>, Value) {
    let mut controller = controller(ranges);
    let key = ObjectKey::new(Kind::Service, "default", "s");
    let mut declare = |spec: &Value| {
        let mut object = object::from_request(Kind::Service, service("s", spec)).unwrap();
        object::set_defaults(&mut object);
        assert_eq!(object::validate(&object), []);
        controller.handle(Event::Apply(object.into()), Timestamp::UNIX_EPOCH);
        let turn = controller.turn(Timestamp::UNIX_EPOCH);
        let errors: Vec<String> = turn.refusals.iter().flat_map(|r| &r.errors).map(ToString::to_string).collect();
        (controller.object(&key).as_ref().map(Object::to_json).unwrap_or_default()["spec"].clone(), errors)
    };
    let (before, none) = declare(first);
    assert_eq!(none, [""; 0]);
    let (after, errors) = declare(second);
    (before, errors, after)
}

#[track_caller]
fn replay(title: &str, ranges: &[&str]) {
    let sections: Vec<&str> = RECORDING.split("\n## ").filter(|section| section.starts_with(title)).collect();
    let [made, changed] = sections.as_slice() else { panic!("{} sections", sections.len()) };
    let forms = forms(made);
    let cluster = Cluster::start(ranges);
    let mut wrong = Vec::new();
    for (name, (spec, expected)) in &forms {
        let made = cluster.ask("POST", SERVICES, JSON, &service("s", spec));
        wrong.extend(check(name, &format!("ok {expected}"), &Value::Null, &made.errors(), &made.body["spec"]));
        cluster.ask("DELETE", &path("s"), JSON, &Value::Null);
    }
    let mut rows = 0;
    for section in changed.split("\n### from ").skip(1) {
        let from = section.lines().next().unwrap();
        let lines: Vec<(&str, &str)> = section
            .lines()
            .filter_map(|line| line.strip_prefix("-> "))
            .map(|line| line.split_once(' ').unwrap())
            .collect();
        for (to, row) in &lines {
            let (ways, row) = row.trim().split_once(": ").unwrap();
            let ways: Vec<&str> = if ways == "all" {
                vec!["apply", "server-side", "replace", "patch"]
            } else {
                ways.split(',').collect()
            };
            for way in &ways {
                let (before, after) = change(&cluster, way, &forms[from].0, &forms[to].0);
                let place = format!("{from} -> {to} by {way}");
                wrong.extend(check(&place, row, &before, &after.errors(), &after.body["spec"]));
                rows += 1;
            }
        }
        for to in forms.keys().filter(|to| **to != from) {
            let (before, errors, after) = change_by_file(ranges, &forms[from].0, &forms[to].0);
            // A file is applied; where nothing was written over, that is what a replacement gives, too.
            let of = |way: &str| {
                let mut fitting =
                    lines.iter().filter(|(name, _)| name == to).map(|(_, row)| row.split_once(": ").unwrap());
                fitting.find(|(ways, _)| ways.trim() == "all" || ways.contains(way)).unwrap().1
            };
            let place = format!("{from} -> {to} by file");
            let as_applied = check(&place, of("apply"), &before, &errors, &after);
            if !check(&place, of("replace"), &before, &errors, &after).is_empty() {
                wrong.extend(as_applied);
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= 350, "{rows} rows");
}

#[test]
fn every_change_in_a_single_stack_cluster() {
    replay("Single-stack cluster", SINGLE);
}

#[test]
fn every_change_in_a_dual_stack_cluster() {
    replay("Dual-stack cluster", DUAL);
}

/// One session of the recording: what kubectl was given, and what was seen.
struct Session<'a> {
    cluster: &'a Cluster,
    text: &'a str,
    applied: BTreeMap<String, Value>,
    /// Allocated values of the recording and ours.
    bound: BTreeMap<String, Value>,
    last: Option<Reply>,
}

impl Session<'_> {
    /// Compares a recorded value with ours; addresses and node ports that were allocated get to know each other.
    fn equal(&mut self, recorded: &Value, ours: &Value, allocated: bool) -> bool {
        match (recorded, ours) {
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| {
                        let chosen =
                            matches!(key.as_str(), "clusterIP" | "clusterIPs" | "nodePort" | "healthCheckNodePort");
                        self.equal(value, b.get(key).unwrap_or(&Value::Null), chosen)
                    })
            }
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.equal(a, b, allocated))
            }
            (a, b) if !allocated || a == "None" => a == b,
            (a, b) => {
                let word = a.to_string().trim_matches('"').to_owned();
                if self.is_given(&word) { a == b } else { self.bound.entry(word).or_insert_with(|| b.clone()) == b }
            }
        }
    }

    /// Whether a value stands in what kubectl was given.
    fn is_given(&self, word: &str) -> bool {
        let mut inputs = self.text.lines().filter(|line| !line.starts_with('#') && !line.contains("Invalid value"));
        inputs.any(|line| line.contains(word))
    }

    /// Addresses in a refusal that have not been shown before are those that the Service has.
    fn bind_in(&mut self, refusal: &str) {
        let ours = addresses(&self.cluster.ask("GET", &path("s"), JSON, &Value::Null).body["spec"]);
        for word in refusal.split('"') {
            if let Ok(address) = word.parse::<IpAddr>()
                && !self.is_given(word)
                && let Some(our) = &ours[usize::from(address.is_ipv6())]
            {
                self.bound.entry(word.to_owned()).or_insert_with(|| json!(our));
            }
        }
    }

    fn translated(&mut self, text: &str) -> String {
        self.bind_in(text);
        let ours = |value: &Value| value.to_string().trim_matches('"').to_owned();
        self.bound.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, &ours(value)))
    }

    /// Carries out a command of kubectl.
    fn command(&mut self, command: &str, input: &str) -> Reply {
        if let Some((_, patch)) = command.split_once(" -p '") {
            let target = if command.contains("--subresource=status") { "s/status" } else { "s" };
            let patch = serde_json::from_str(patch.trim_end_matches('\'')).unwrap();
            return self.cluster.ask("PATCH", &path(target), "application/merge-patch+json", &patch);
        }
        if command.starts_with("kubectl delete svc") {
            return self.cluster.ask("DELETE", &path("s"), JSON, &Value::Null);
        }
        let object: Value = serde_yaml::from_str(input).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let there = self.cluster.ask("GET", &path(&name), JSON, &Value::Null).code == 200;
        if command.contains("--server-side") {
            let target =
                format!("{}?fieldManager=kubectl&force={}", path(&name), command.contains("--force-conflicts"));
            return self.cluster.ask("PATCH", &target, "application/apply-patch+yaml", &object);
        }
        if command.contains("replace --force") {
            self.cluster.ask("DELETE", &path(&name), JSON, &Value::Null);
        } else if command.starts_with("kubectl replace") {
            return self.cluster.ask("PUT", &path(&name), JSON, &object);
        }
        if command.starts_with("kubectl apply") && there {
            let patch = three_way(self.applied.get(&name).unwrap_or(&Value::Null), &object);
            let reply = self.cluster.ask("PATCH", &path(&name), "application/strategic-merge-patch+json", &patch);
            if reply.code < 400 {
                self.applied.insert(name, object);
            }
            return reply;
        }
        self.applied.insert(name, object.clone());
        self.cluster.ask("POST", SERVICES, JSON, &object)
    }

    /// A client that reads, changes and writes back.
    fn written_back(&mut self, what: &str) -> Reply {
        let mut object = self.cluster.ask("GET", &path("s"), JSON, &Value::Null).body;
        let spec = object["spec"].as_object_mut().unwrap();
        let mut set = |name: &str, value: Value| drop(spec.insert(name.to_owned(), value));
        match what {
            "clusterIP: None (clusterIPs as before)" => set("clusterIP", json!("None")),
            "clusterIP: None, clusterIPs: [None]" => {
                set("clusterIP", json!("None"));
                set("clusterIPs", json!(["None"]));
            }
            "clusterIP and clusterIPs taken out" => {
                spec.remove("clusterIP");
                spec.remove("clusterIPs");
            }
            "type: ClusterIP" => set("type", json!("ClusterIP")),
            "type: ExternalName" => {
                set("type", json!("ExternalName"));
                set("externalName", json!("www.example.com"));
            }
            "ipFamilyPolicy: SingleStack" => set("ipFamilyPolicy", json!("SingleStack")),
            "policy, families, a second clusterIP" => {
                set("ipFamilyPolicy", json!("RequireDualStack"));
                set("ipFamilies", json!(["IPv4", "IPv6"]));
                let first = spec["clusterIP"].clone();
                spec.insert("clusterIPs".to_owned(), json!([first, "fd00:10:96::77"]));
                self.bound.insert("fd00:10:96::77".to_owned(), json!("fd00:10:96::77"));
            }
            other => panic!("{other}"),
        }
        self.cluster.ask("PUT", &path("s"), JSON, &object)
    }

    /// The slices and Endpoints, as the recording tells of them.
    fn endpoints(&self, target: &str) -> String {
        let list = self.cluster.ask("GET", &format!("/{}", target.replace("/ns/", "/default/")), JSON, &Value::Null);
        let mut told: Vec<String> = Vec::new();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels = |item: &Value| item["metadata"]["labels"].to_string();
        let items = list.body["items"].as_array().into_iter().flatten();
        // The API's own are in the recordings of a fresh cluster.
        for item in items.filter(|item| item["metadata"]["name"] != "kubernetes") {
            let count = |list: &Value| list.as_array().map_or(0, Vec::len);
            if target.ends_with("endpointslices") {
                let by = text(&item["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]);
                told.push(format!(
                    "{}[{} {} endpoints, labels {}]",
                    by.trim_end_matches(".k8s.io"),
                    text(&item["addressType"]),
                    count(&item["endpoints"]),
                    labels(item)
                ));
            } else {
                let addresses: usize =
                    item["subsets"].as_array().into_iter().flatten().map(|subset| count(&subset["addresses"])).sum();
                told.push(format!(
                    "{}: {addresses} addresses, labels {}",
                    text(&item["metadata"]["name"]),
                    labels(item)
                ));
            }
        }
        told.sort();
        told.join(" ")
    }

    /// One line of what was seen.
    fn seen(&mut self, line: &str) -> Result<(), String> {
        let last = self.last.as_ref();
        let code = last.map_or(200, |reply| reply.code);
        if let Some(spec) = line.strip_prefix("# spec: ") {
            let mut stream = serde_json::Deserializer::from_str(spec).into_iter::<Value>();
            let recorded = stream.next().unwrap().unwrap();
            let rest = spec[stream.byte_offset()..].trim().to_owned();
            let ours = self.cluster.ask("GET", &path("s"), JSON, &Value::Null).body;
            if !self.equal(&recorded, &ours["spec"], false) {
                return Err(format!("{recorded}\n   ours: {}", ours["spec"]));
            }
            let status =
                rest.strip_prefix("status.loadBalancer=").map_or(json!({}), |rest| serde_json::from_str(rest).unwrap());
            let same = ours["status"]["loadBalancer"] == status;
            return if same { Ok(()) } else { Err(format!("status {}", ours["status"])) };
        }
        if let Some(warning) = line.strip_prefix("Warning: ") {
            let told = last.is_some_and(|reply| reply.warnings.iter().any(|told| told == warning));
            return if told {
                Ok(())
            } else {
                Err(format!("{warning}: {:?}", last.map(|reply| reply.warnings.clone())))
            };
        }
        if let Some(post) = line.strip_prefix("# POST ") {
            return self.posted(post);
        }
        if let Some(rest) = line.strip_prefix("# read, ") {
            let (what, outcome) = rest.split_once(", PUT: ").unwrap();
            let reply = self.written_back(what);
            let outcome = self.translated(outcome);
            let message = format!("{} {}", reply.code, reply.body["message"].as_str().unwrap_or_default());
            return if message.trim() == outcome.trim() { Ok(()) } else { Err(format!("{message}\n{line}")) };
        }
        if let Some((target, told)) = line.strip_prefix("# GET ").and_then(|line| line.split_once(": 200 ")) {
            if target.contains("/services/") {
                let name = target.rsplit('/').next().unwrap();
                let ours = self.cluster.ask("GET", &path(name), JSON, &Value::Null).body["spec"].clone();
                let recorded = serde_json::from_str(told).unwrap();
                return if self.equal(&recorded, &ours, false) {
                    Ok(())
                } else {
                    Err(format!("{told}\n   ours: {ours}"))
                };
            }
            let compact = |text: &str| text.replace(": ", ":").replace(", ", ",");
            let mut parts: Vec<String> = told.split_inclusive("}] ").map(|part| compact(part.trim())).collect();
            parts.sort();
            let expected = if told.starts_with("(no ") { String::new() } else { parts.join(" ") };
            eventually(line, || {
                let ours = compact(&self.endpoints(target));
                if ours == expected { Ok(()) } else { Err(format!("ours: {ours}")) }
            });
            return Ok(());
        }
        if let Some(refusal) = line.strip_prefix("The Service ").and_then(|rest| rest.split_once(" is invalid: ")) {
            let errors = last.map(Reply::errors).unwrap_or_default();
            let translated = self.translated(refusal.1);
            let listed = refusal.1.is_empty() || errors == [translated];
            return if code == 422 && listed { Ok(()) } else { Err(format!("{code} {errors:?}")) };
        }
        if let Some(error) = line.strip_prefix("* ") {
            let errors = last.map(Reply::errors).unwrap_or_default();
            let translated = self.translated(error);
            return if errors.contains(&translated) { Ok(()) } else { Err(format!("{errors:?}")) };
        }
        match line.starts_with("service/") && code >= 400 {
            true => Err(format!("{code} {:?}", last.map(Reply::errors))),
            false => Ok(()),
        }
    }

    /// A new Service by POST: its name is in the answer if that was a refusal.
    fn posted(&mut self, post: &str) -> Result<(), String> {
        let (spec, outcome) = match post.strip_prefix("clusterIP 10.96.77.2: ") {
            Some(outcome) => {
                let spec = json!({"clusterIP": "10.96.77.2", "selector": {"app": "x"}, "ports": [{"name": "web", "port": 80}]});
                (spec, outcome)
            }
            None => {
                let mut stream = serde_json::Deserializer::from_str(post).into_iter::<Value>();
                let spec = stream.next().unwrap().unwrap();
                (spec, post[stream.byte_offset()..].trim_start_matches(": "))
            }
        };
        let name = outcome.split('"').nth(1).filter(|_| outcome.starts_with("422")).unwrap_or("v");
        let reply = self.cluster.ask("POST", SERVICES, JSON, &service(name, &spec));
        let ours = match reply.code {
            201 => reply.body["spec"].clone(),
            _ => reply.body["message"].clone(),
        };
        let (code, expected) = outcome.split_once(' ').unwrap();
        let same = match serde_json::from_str(expected) {
            Ok(recorded) => self.equal(&recorded, &ours, false),
            Err(_) => ours == expected,
        };
        if code == reply.code.to_string() && same {
            Ok(())
        } else {
            Err(format!("{outcome}\n   ours: {} {ours}", reply.code))
        }
    }
}

/// Replays the single cases of one kind of cluster.
#[track_caller]
fn replay_cases(title: &str, ranges: &[&str], pods: &Value, least: usize) {
    let section = RECORDING.split("\n## ").find(|section| section.starts_with(title)).unwrap();
    let cluster = Cluster::start(ranges);
    for pod in pods.as_array().unwrap() {
        assert_eq!(cluster.ask("POST", "/api/v1/namespaces/default/pods", JSON, pod).code, 201);
    }
    let (mut wrong, mut looked) = (Vec::new(), 0);
    for case in section.split("\n### ").skip(1) {
        let (title, body) = case.split_once('\n').unwrap();
        let text = body.split("```").nth(1).unwrap();
        let mut session =
            Session { cluster: &cluster, text, applied: BTreeMap::new(), bound: BTreeMap::new(), last: None };
        let mut lines = text.trim().lines();
        while let Some(line) = lines.next() {
            if let Some(command) = line.strip_prefix("$ ") {
                let mut input = String::new();
                if command.contains("<<EOF") {
                    input.extend(lines.by_ref().take_while(|line| *line != "EOF").map(|line| format!("{line}\n")));
                }
                let reply = session.command(command, &input);
                session.last = Some(reply);
            } else if let Err(difference) = session.seen(line) {
                wrong.push(format!("{title}: {line}\n   {difference}"));
            }
            looked += 1;
        }
        let all = cluster.ask("GET", SERVICES, JSON, &Value::Null).body;
        for service in all["items"].as_array().unwrap() {
            cluster.ask("DELETE", &path(service["metadata"]["name"].as_str().unwrap()), JSON, &Value::Null);
        }
    }
    assert!(wrong.is_empty(), "{} of {looked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(looked >= least, "{looked} lines");
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "x"}},
        "spec": {"containers": [{"name": "c", "image": "nginx:1", "ports": [{"name": "web", "containerPort": 80}]}]},
    })
}

#[test]
fn single_cases_in_a_single_stack_cluster() {
    replay_cases("Single cases, single-stack", SINGLE, &json!([pod("a"), pod("b")]), 250);
}

#[test]
fn single_cases_in_a_dual_stack_cluster() {
    replay_cases("Single cases, dual-stack", DUAL, &json!([pod("a")]), 60);
}
