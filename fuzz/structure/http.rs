//! Requests as text: method and target, fields of the head, an empty line, the body; of the API, and of DNS over HTTPS.

use crate::{damage, message, once_in, patch, pick, protobuf, value, yaml};
use fastrand::Rng;
use serde_json::{Value, json};

/// What stands between two requests.
pub const BETWEEN: &[u8] = b"\n====\n";

const COLLECTIONS: &[(&str, &str, &str)] = &[
    ("/api/v1/namespaces/default/services", "v1", "Service"),
    ("/api/v1/namespaces/default/pods", "v1", "Pod"),
    ("/api/v1/namespaces/default/endpoints", "v1", "Endpoints"),
    ("/api/v1/namespaces/default/persistentvolumeclaims", "v1", "PersistentVolumeClaim"),
    ("/api/v1/persistentvolumes", "v1", "PersistentVolume"),
    ("/api/v1/namespaces", "v1", "Namespace"),
    ("/apis/apps/v1/namespaces/default/statefulsets", "apps/v1", "StatefulSet"),
    ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", "discovery.k8s.io/v1", "EndpointSlice"),
    ("/apis/storage.k8s.io/v1/storageclasses", "storage.k8s.io/v1", "StorageClass"),
];
const TARGETS: &[&str] = &[
    "/version",
    "/api",
    "/apis",
    "/api/v1",
    "/apis/apps/v1",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/apis/apps/v1",
    "/readyz",
    "/api/v1/pods",
    "/api/v1/events",
    "/apis/apps/v1/namespaces/default/statefulsets/web/scale",
    "/apis/apps/v1/namespaces/default/statefulsets/web/status",
    "/api/v1/namespaces/default/pods/web-0/log",
    "/apis/apps/v1/namespaces/default/controllerrevisions",
    "/%61pi/v1/namespaces/a%2fb/pods",
];
const PARAMETERS: &[&str] = &[
    "labelSelector=app%3Dweb,tier+in+(a,b),!c",
    "labelSelector=a!%3Db",
    "labelSelector=((",
    "fieldSelector=metadata.name%3Dweb",
    "fieldSelector=status.phase!%3DRunning,spec.nodeName%3D",
    "fieldSelector=x",
    "limit=1",
    "limit=18446744073709551616",
    "continue=a",
    "watch=1",
    "watch=true",
    "resourceVersion=0",
    "resourceVersion=1",
    "resourceVersionMatch=NotOlderThan",
    "resourceVersionMatch=Exact",
    "allowWatchBookmarks=true",
    "sendInitialEvents=true",
    "timeoutSeconds=1",
    "timeoutSeconds=0",
    "includeObject=Object",
    "includeObject=None",
    "dryRun=All",
    "dryRun=x",
    "fieldManager=fuzz",
    "fieldManager=",
    "fieldValidation=Strict",
    "fieldValidation=Ignore",
    "force=true",
    "gracePeriodSeconds=0",
    "gracePeriodSeconds=-1",
    "propagationPolicy=Foreground",
    "propagationPolicy=Orphan",
    "%",
    "%zz=1",
    "&&=",
    "pretty=true",
];
const ACCEPT: &[&str] = &[
    "application/json",
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    "*/*",
    "text/html",
    "application/yaml",
];

/// Requests to the API: these changed, one more, or a body of another form.
pub fn change_api(input: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut requests: Vec<Vec<u8>> = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        requests.push(rest[..at].to_vec());
        rest = &rest[at + BETWEEN.len()..];
    }
    requests.push(rest.to_vec());
    let at = random.usize(..requests.len());
    match random.u8(..6) {
        0 if requests.len() < 5 => requests.insert(at + 1, request(random)),
        1 if requests.len() > 1 => drop(requests.remove(at)),
        2 => requests[at] = request(random),
        _ => requests[at] = changed(&requests[at], random),
    }
    requests.join(BETWEEN)
}

/// The body changed as what it is, or the target.
fn changed(request: &[u8], random: &mut Rng) -> Vec<u8> {
    let end = request.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((request, &b""[..]), |at| (&request[..at], &request[at + 2..]));
    if body.is_empty() || once_in(random, 5) {
        let (line, fields) = head.split_at(head.iter().position(|octet| *octet == b'\n').unwrap_or(head.len()));
        let separator: &[u8] = if line.contains(&b'?') { b"&" } else { b"?" };
        return [line, separator, pick(random, PARAMETERS).as_bytes(), fields, b"\n\n", body].concat();
    }
    let body = if body.starts_with(b"k8s\0") {
        protobuf::change(body, random)
    } else if let (Ok(mut json), false) = (serde_json::from_slice::<Value>(body), once_in(random, 8)) {
        value::change(&mut json, random);
        json.to_string().into_bytes()
    } else {
        yaml::change(body, random)
    };
    [head, b"\n\n", &body].concat()
}

fn request(random: &mut Rng) -> Vec<u8> {
    let (path, version, kind) = COLLECTIONS[random.usize(..COLLECTIONS.len())];
    let object = object(version, kind, random);
    let name = object["metadata"]["name"].as_str().unwrap_or("web").to_owned();
    let beneath = if once_in(random, 5) { pick(random, &["/status", "/scale", "/finalize"]) } else { "" };
    let (method, target, media_type, body) = match random.u8(..10) {
        0..3 => ("POST", path.to_owned(), "application/json", object.to_string().into_bytes()),
        3 => ("POST", path.to_owned(), "application/vnd.kubernetes.protobuf", protobuf::any(random)),
        4 => ("PUT", format!("{path}/{name}{beneath}"), "application/yaml", object.to_string().into_bytes()),
        5 | 6 => {
            let of = pick(random, &["json", "merge", "strategic", "apply"]);
            let lines = patch::change(format!("{of} {kind}\n{object}\n").as_bytes(), random);
            let body = lines.splitn(3, |octet| *octet == b'\n').nth(2).unwrap_or_default().to_vec();
            let media_type = match of {
                "json" => "application/json-patch+json",
                "merge" => "application/merge-patch+json",
                "strategic" => "application/strategic-merge-patch+json",
                _ => "application/apply-patch+yaml",
            };
            ("PATCH", format!("{path}/{name}{beneath}?fieldManager=fuzz"), media_type, body)
        }
        7 => {
            let options = if random.bool() { value::object(random, 1).to_string() } else { String::new() };
            let target = if random.bool() { path.to_owned() } else { format!("{path}/{name}") };
            ("DELETE", target, "application/json", options.into_bytes())
        }
        8 => ("GET", pick(random, TARGETS).to_owned(), "", Vec::new()),
        _ => ("GET", format!("{path}?{}&{}", pick(random, PARAMETERS), pick(random, PARAMETERS)), "", Vec::new()),
    };
    let accept = pick(random, ACCEPT);
    [format!("{method} {target}\ncontent-type: {media_type}\naccept: {accept}\n\n").as_bytes(), &body].concat()
}

/// An object that is mostly valid, and a little changed.
fn object(version: &str, kind: &str, random: &mut Rng) -> Value {
    let labels = json!({"app": "web"});
    let pod = json!({"containers": [{"name": "a", "image": "a:1", "ports": [{"containerPort": 80, "name": "http"}]}]});
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let part = match kind {
        "Service" => {
            json!({"spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 80, "name": "http"}]}})
        }
        "Pod" => json!({"spec": pod}),
        "StatefulSet" => {
            json!({"spec": {"serviceName": "web", "replicas": 2, "selector": {"matchLabels": labels}, "template": template,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]}})
        }
        "PersistentVolumeClaim" => json!({"spec": claim}),
        "PersistentVolume" => {
            json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}})
        }
        "EndpointSlice" => {
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"], "hostname": "a"}], "ports": [{"port": 80}]})
        }
        "Endpoints" => json!({"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]}),
        "StorageClass" => json!({"provisioner": "example.com/x"}),
        _ => json!({}),
    };
    let name = pick(random, &["web", "web-0", "a", "data-web-0"]);
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels}});
    if let (Value::Object(object), Value::Object(part)) = (&mut object, part) {
        object.extend(part);
    }
    if random.bool() {
        value::change(&mut object, random);
    }
    object
}

/// A request of DNS over HTTPS (method, target and fields in lines of their own): with another message or field.
pub fn change_doh(input: &[u8], random: &mut Rng) -> Vec<u8> {
    let message = message::any(random);
    let fields = [
        "content-type: application/dns-message",
        "content-type: text/plain",
        "accept: */*",
        "accept: text/html;q=0, application/dns-message;q=0.1",
        "content-length: 12",
        "content-length: 99999999999",
        "host: d",
        "accept: application/dns-message",
    ];
    let field = if random.bool() { format!("{}\n", pick(random, &fields)) } else { String::new() };
    match random.u8(..4) {
        0 => [b"POST\nhttps://d/dns-query\ncontent-type: application/dns-message\n", field.as_bytes(), b"\n", &message]
            .concat(),
        1 | 2 => {
            let mut query = base64url(&message);
            if once_in(random, 4) {
                query += pick(random, &["=", "&dns=AA", "&x=1", "+", "%41", "A", "/"]);
            }
            format!("GET\nhttps://d/dns-query?dns={query}\n{field}\n").into_bytes()
        }
        _ => {
            let mut input = input.to_vec();
            damage(&mut input, random);
            input
        }
    }
}

fn base64url(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in octets.chunks(3) {
        let word = three.iter().fold(0, |word: u32, octet| word << 8 | u32::from(*octet)) << (8 * (3 - three.len()));
        (0..=three.len()).for_each(|place| text.push(DIGITS[(word >> (18 - 6 * place)) as usize & 63].into()));
    }
    text
}
