//! Bodies in Kubernetes' protobuf, which some of kubectl's commands send in no other form.
//!
//! A table for each message says which field has which number and type. What the table does not know is refused and not
//! dropped. As in upstream's JSON, what is empty or zero is left out, unless the field is optional in Go (a pointer).

mod kinds;

use super::cost::{OBJECTS_MAX, VALUES_MAX};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use thiserror::Error;

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It is of a kind that is read as JSON and YAML only (415, UnsupportedMediaType).
    #[error("{0}")]
    Unsupported(String),
    /// It is broken (400, BadRequest).
    #[error("the body is no protobuf of Kubernetes: {0}")]
    Malformed(&'static str),
    /// It holds more values, or objects, than this (413, RequestEntityTooLarge).
    #[error("the body holds more than {0} {1}")]
    TooMany(usize, &'static str),
}

use DecodeError::Malformed;

/// What a field holds.
#[derive(Clone, Copy)]
enum WireType {
    Text,
    Int,
    Bool,
    /// A number or a boolean that may be zero, and text that may be empty.
    Given(&'static WireType),
    /// A list, one element a field.
    List(&'static WireType),
    /// A map of texts, one entry a field.
    Texts,
    /// A map of octets, one entry a field; in JSON they are base64.
    Octets,
    /// A message that holds the text of a quantity.
    Quantity,
    /// A map of quantities, one entry a field.
    Quantities,
    /// A message whose fields are those of the one around it.
    Inline(&'static [Field]),
    /// Seconds and nanoseconds.
    Time,
    /// A number or a text, and which of them.
    IntOrString,
    Message(&'static [Field]),
}

/// The number, the name in JSON, and the type.
type Field = (u32, &'static str, WireType);

const OWNER: &[Field] = &[
    (1, "kind", WireType::Text),
    (3, "name", WireType::Text),
    (4, "uid", WireType::Text),
    (5, "apiVersion", WireType::Text),
    (6, "controller", WireType::Given(&WireType::Bool)),
    (7, "blockOwnerDeletion", WireType::Given(&WireType::Bool)),
];

const METADATA: &[Field] = &[
    (1, "name", WireType::Text),
    (2, "generateName", WireType::Text),
    (3, "namespace", WireType::Text),
    (4, "selfLink", WireType::Text),
    (5, "uid", WireType::Text),
    (6, "resourceVersion", WireType::Text),
    (7, "generation", WireType::Int),
    (8, "creationTimestamp", WireType::Time),
    (9, "deletionTimestamp", WireType::Time),
    (10, "deletionGracePeriodSeconds", WireType::Given(&WireType::Int)),
    (11, "labels", WireType::Texts),
    (12, "annotations", WireType::Texts),
    (13, "ownerReferences", WireType::List(&WireType::Message(OWNER))),
    (14, "finalizers", WireType::List(&WireType::Text)),
];

/// What a new object says of its status counts for nothing; it is read because kubectl sends it.
const NAMESPACE: &[Field] = &[
    (1, "metadata", WireType::Message(METADATA)),
    (2, "spec", WireType::Message(&[(1, "finalizers", WireType::List(&WireType::Text))])),
    (3, "status", WireType::Message(&[(1, "phase", WireType::Text)])),
];

const PORT: &[Field] = &[
    (1, "name", WireType::Text),
    (2, "protocol", WireType::Text),
    (3, "port", WireType::Int),
    (4, "targetPort", WireType::IntOrString),
    (5, "nodePort", WireType::Int),
    (6, "appProtocol", WireType::Given(&WireType::Text)),
];

const CLIENT_IP: &[Field] =
    &[(1, "clientIP", WireType::Message(&[(1, "timeoutSeconds", WireType::Given(&WireType::Int))]))];

const SERVICE_SPEC: &[Field] = &[
    (1, "ports", WireType::List(&WireType::Message(PORT))),
    (2, "selector", WireType::Texts),
    (3, "clusterIP", WireType::Text),
    (4, "type", WireType::Text),
    (5, "externalIPs", WireType::List(&WireType::Text)),
    (7, "sessionAffinity", WireType::Text),
    (8, "loadBalancerIP", WireType::Text),
    (9, "loadBalancerSourceRanges", WireType::List(&WireType::Text)),
    (10, "externalName", WireType::Text),
    (11, "externalTrafficPolicy", WireType::Text),
    (12, "healthCheckNodePort", WireType::Int),
    (13, "publishNotReadyAddresses", WireType::Bool),
    (14, "sessionAffinityConfig", WireType::Message(CLIENT_IP)),
    (17, "ipFamilyPolicy", WireType::Given(&WireType::Text)),
    (18, "clusterIPs", WireType::List(&WireType::Text)),
    (19, "ipFamilies", WireType::List(&WireType::Text)),
    (20, "allocateLoadBalancerNodePorts", WireType::Given(&WireType::Bool)),
    (21, "loadBalancerClass", WireType::Given(&WireType::Text)),
    (22, "internalTrafficPolicy", WireType::Given(&WireType::Text)),
    (23, "trafficDistribution", WireType::Given(&WireType::Text)),
];

const SERVICE: &[Field] = &[
    (1, "metadata", WireType::Message(METADATA)),
    (2, "spec", WireType::Message(SERVICE_SPEC)),
    (3, "status", WireType::Message(&[(1, "loadBalancer", WireType::Message(&[]))])),
];

const KIND: &[Field] = &[(1, "apiVersion", WireType::Text), (2, "kind", WireType::Text)];

const KINDS: &[(&str, &str, &[Field])] = &[("v1", "Namespace", NAMESPACE), ("v1", "Service", SERVICE)];

/// The object in a body, with apiVersion and kind.
pub fn decode(body: &[u8]) -> Result<Value, DecodeError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Malformed("it does not begin with k8s"))?;
    let (mut named, mut raw) = (Map::new(), None);
    let mut count = Count::default();
    for field in Wire(envelope) {
        match field? {
            (1, Payload::Bytes(bytes)) => named = message(bytes, KIND, &mut count)?,
            (2, Payload::Bytes(bytes)) => raw = Some(bytes),
            // The encoding and the media type of what is inside; neither is used.
            (3 | 4, Payload::Bytes([])) => {}
            _ => return Err(Malformed("its envelope holds more than it should")),
        }
    }
    let name = |name| named.get(name).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (name("apiVersion"), name("kind"));
    let (.., fields) = KINDS
        .iter()
        .chain(kinds::KINDS)
        .find(|(known, name, _)| (*known, *name) == (version, kind))
        .ok_or_else(|| unsupported(version, kind))?;
    let mut object = Map::from_iter([("apiVersion".to_owned(), json!(version)), ("kind".to_owned(), json!(kind))]);
    object.extend(message(raw.ok_or(Malformed("it holds no object"))?, fields, &mut count)?);
    Ok(Value::Object(object))
}

/// What is not supported, and what to use instead.
fn unsupported(version: &str, kind: &str) -> DecodeError {
    DecodeError::Unsupported(match (version, kind) {
        ("v1", "Pod") => {
            "creating a Pod from protobuf, as kubectl debug --copy-to does, is not supported: this control \
                          plane runs no containers that could be debugged; use kubectl apply -f to create pods"
                .to_owned()
        }
        ("" | "v1", "") => "an object in protobuf that does not say its kind is not supported; use kubectl apply -f, \
                            which sends JSON"
            .to_owned(),
        _ => format!(
            "creating {kind} ({version}) from protobuf is not supported: only what kubectl's commands create is read in \
             that form; use kubectl apply -f, which sends JSON"
        ),
    })
}

/// What was made so far: an element takes two octets here, and many times that once it is made.
#[derive(Default)]
struct Count {
    values: usize,
    objects: usize,
}

impl Count {
    fn value(&mut self) -> Result<(), DecodeError> {
        self.values += 1;
        if self.values > VALUES_MAX { Err(DecodeError::TooMany(VALUES_MAX, "values")) } else { Ok(()) }
    }

    fn object(&mut self) -> Result<(), DecodeError> {
        self.objects += 1;
        if self.objects > OBJECTS_MAX { Err(DecodeError::TooMany(OBJECTS_MAX, "objects")) } else { Ok(()) }
    }
}

fn message(bytes: &[u8], fields: &[Field], count: &mut Count) -> Result<Map<String, Value>, DecodeError> {
    count.object()?;
    let mut object = Map::new();
    for field in Wire(bytes) {
        let (number, payload) = field?;
        count.value()?;
        let known = fields.iter().find(|(known, ..)| *known == number);
        let (_, name, of) = known.ok_or(Malformed("it has a field that is not known"))?;
        match of {
            WireType::List(of) => {
                let list = object.entry(*name).or_insert_with(|| json!([]));
                // An element may be empty, which a field may not.
                let element = value(payload, **of, count)?
                    .unwrap_or_else(|| if matches!(of, WireType::Text) { json!("") } else { json!({}) });
                if let Value::Array(list) = list {
                    list.push(element);
                }
            }
            WireType::Texts | WireType::Octets | WireType::Quantities => {
                let (key, value) = entry(payload, of, count)?;
                if let Value::Object(map) = object.entry(*name).or_insert_with(|| json!({})) {
                    map.insert(key, Value::String(value));
                }
            }
            WireType::Inline(fields) => {
                let Payload::Bytes(bytes) = payload else { return Err(Malformed("a field is of the wrong type")) };
                object.extend(message(bytes, fields, count)?);
            }
            // What a new object says of its status counts for nothing.
            _ if name.is_empty() => drop(value(payload, *of, count)?),
            _ => {
                if let Some(value) = value(payload, *of, count)? {
                    object.insert((*name).to_owned(), value);
                }
            }
        }
    }
    Ok(object)
}

/// The value of one field; `None` where JSON leaves it out.
fn value(payload: Payload, of: WireType, count: &mut Count) -> Result<Option<Value>, DecodeError> {
    Ok(match (of, payload) {
        (WireType::Text, Payload::Bytes(bytes)) => Some(json!(text(bytes)?)).filter(|value| *value != json!("")),
        (WireType::Int, Payload::Number(number)) => Some(json!(signed(number))).filter(|_| number != 0),
        (WireType::Bool, Payload::Number(number)) => (number != 0).then_some(json!(true)),
        (WireType::Given(of), payload) => Some(match (of, payload) {
            (WireType::Text, Payload::Bytes(bytes)) => json!(text(bytes)?),
            (WireType::Int, Payload::Number(number)) => json!(signed(number)),
            (WireType::Bool, Payload::Number(number)) => json!(number != 0),
            _ => return Err(Malformed("a field is of the wrong type")),
        }),
        (WireType::Message(fields), Payload::Bytes(bytes)) => Some(Value::Object(message(bytes, fields, count)?)),
        (WireType::Time, Payload::Bytes(bytes)) => time(bytes, count)?,
        (WireType::Quantity, Payload::Bytes(bytes)) => Some(json!(quantity(bytes, count)?)),
        (WireType::IntOrString, Payload::Bytes(bytes)) => {
            let fields = &[(1, "type", WireType::Int), (2, "int", WireType::Int), (3, "text", WireType::Text)];
            let parts = message(bytes, fields, count)?;
            if parts.get("type") == Some(&json!(1)) { parts.get("text").cloned() } else { parts.get("int").cloned() }
        }
        _ => return Err(Malformed("a field is of the wrong type")),
    })
}

/// The key and the value of an entry of a map of these.
fn entry(payload: Payload, of: &WireType, count: &mut Count) -> Result<(String, String), DecodeError> {
    let Payload::Bytes(bytes) = payload else { return Err(Malformed("a field is of the wrong type")) };
    count.object()?;
    let (mut key, mut value) = (String::new(), String::new());
    for field in Wire(bytes) {
        count.value()?;
        match (field?, of) {
            ((1, Payload::Bytes(bytes)), _) => text(bytes)?.clone_into(&mut key),
            ((2, Payload::Bytes(bytes)), WireType::Octets) => value = BASE64.encode(bytes),
            ((2, Payload::Bytes(bytes)), WireType::Quantities) => value = quantity(bytes, count)?,
            ((2, Payload::Bytes(bytes)), _) => text(bytes)?.clone_into(&mut value),
            _ => return Err(Malformed("it has a field that is not known")),
        }
    }
    Ok((key, value))
}

fn quantity(bytes: &[u8], count: &mut Count) -> Result<String, DecodeError> {
    let mut fields = message(bytes, &[(1, "text", WireType::Text)], count)?;
    Ok(match fields.remove("text") {
        Some(Value::String(text)) => text,
        _ => "0".to_owned(),
    })
}

fn time(bytes: &[u8], count: &mut Count) -> Result<Option<Value>, DecodeError> {
    let parts = message(bytes, &[(1, "seconds", WireType::Int), (2, "nanos", WireType::Int)], count)?;
    let Some(seconds) = parts.get("seconds").and_then(Value::as_i64) else { return Ok(None) };
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| Malformed("a time is out of range"))?;
    Ok(Some(json!(time.to_string())))
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))
}

/// Numbers below zero are written in ten bytes.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// What a field holds on the wire; the other two types are in no message here.
enum Payload<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, one after the other.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed("it ends early"))?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number is too long"))
    }

    fn field(&mut self) -> Result<(u32, Payload<'a>), DecodeError> {
        let tag = self.number()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed("a field's number is too large"))?;
        match tag & 7 {
            0 => Ok((number, Payload::Number(self.number()?))),
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| Malformed("it ends early"))?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed("it ends early"))?;
                self.0 = rest;
                Ok((number, Payload::Bytes(bytes)))
            }
            _ => Err(Malformed("a field is of the wrong type")),
        }
    }
}

impl<'a> Iterator for Wire<'a> {
    type Item = Result<(u32, Payload<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As kubectl 1.32.4 sends them.
    const SENT: &[(&str, &str, &str)] = &[
        (
            "create namespace demo",
            "6b3873000a0f0a02763112094e616d657370616365121c0a140a0464656d6f12001a0022002a0032003800420012001a020a001a002200",
            r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"demo"},"spec":{},"status":{}}"#,
        ),
        (
            "create service clusterip web --tcp=80:8080 --tcp=5353:dns",
            "6b3873000a0d0a027631120753657276696365128a010a1f0a0377656212001a0022002a003200380042005a0a0a03617070120377656212\
             630a1b0a0738302d38303830120354435018502207080010903f1a0028000a1f0a08353335332d646e73120354435018e9292209080110001a\
             03646e732800120a0a0361707012037765621a002209436c757374657249503a00420052005a00600068001a020a001a002200",
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","labels":{"app":"web"}},"spec":{"ports":[
               {"name":"80-8080","protocol":"TCP","port":80,"targetPort":8080},
               {"name":"5353-dns","protocol":"TCP","port":5353,"targetPort":"dns"}],
               "selector":{"app":"web"},"type":"ClusterIP"},"status":{"loadBalancer":{}}}"#,
        ),
        (
            "create service clusterip hl --clusterip=None",
            "6b3873000a0d0a027631120753657276696365124d0a1d0a02686c12001a0022002a003200380042005a090a036170701202686c12281209\
             0a036170701202686c1a044e6f6e652209436c757374657249503a00420052005a00600068001a020a001a002200",
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"hl","labels":{"app":"hl"}},"spec":{
               "selector":{"app":"hl"},"clusterIP":"None","type":"ClusterIP"},"status":{"loadBalancer":{}}}"#,
        ),
        (
            "create service externalname ext --external-name example.com",
            "6b3873000a0d0a027631120753657276696365125a0a1f0a0365787412001a0022002a003200380042005a0a0a0361707012036578741233\
             120a0a0361707012036578741a00220c45787465726e616c4e616d653a004200520b6578616d706c652e636f6d5a00600068001a020a001a00\
             2200",
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"ext","labels":{"app":"ext"}},"spec":{
               "selector":{"app":"ext"},"type":"ExternalName","externalName":"example.com"},"status":{"loadBalancer":{}}}"#,
        ),
        (
            "create service nodeport np --tcp=80 --node-port=30080",
            "6b3873000a0d0a02763112075365727669636512610a1d0a026e7012001a0022002a003200380042005a090a0361707012026e70123c0a17\
             0a023830120354435018502206080010501a002880eb0112090a0361707012026e701a0022084e6f6465506f72743a00420052005a00600068\
             001a020a001a002200",
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"np","labels":{"app":"np"}},"spec":{"ports":[
               {"name":"80","protocol":"TCP","port":80,"targetPort":80,"nodePort":30080}],
               "selector":{"app":"np"},"type":"NodePort"},"status":{"loadBalancer":{}}}"#,
        ),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn bodies_of_kubectl_are_read() {
        for (command, sent, expected) in SENT {
            assert_eq!(decode(&bytes(sent)), Ok(serde_json::from_str(expected).unwrap()), "{command}");
        }
    }

    #[test]
    fn what_is_cut_off_or_changed_never_panics() {
        let mut random = fastrand::Rng::with_seed(1);
        for (_, sent, _) in SENT {
            let sent = bytes(sent);
            for length in 0..sent.len() {
                let _ = decode(&sent[..length]);
            }
            for _ in 0..2000 {
                let mut changed = sent.clone();
                let at = random.usize(4..changed.len());
                changed[at] = random.u8(..);
                let _ = decode(&changed);
            }
        }
    }

    #[test]
    fn what_is_not_read_says_so() {
        for (body, expected) in [
            ("", "the body is no protobuf of Kubernetes: it does not begin with k8s"),
            ("7b7d", "the body is no protobuf of Kubernetes: it does not begin with k8s"),
            (
                "6b387300",
                "an object in protobuf that does not say its kind is not supported; use kubectl apply -f, which sends JSON",
            ),
            (
                "6b3873000a090a0276311203506f64",
                "creating a Pod from protobuf, as kubectl debug --copy-to does, is not supported: this control plane runs \
                 no containers that could be debugged; use kubectl apply -f to create pods",
            ),
            (
                "6b3873000a0b0a02763112054576656e74",
                "creating Event (v1) from protobuf is not supported: only what kubectl's commands create is read in \
                 that form; use kubectl apply -f, which sends JSON",
            ),
            ("6b3873000a0f0a02763112094e616d657370616365", "the body is no protobuf of Kubernetes: it holds no object"),
            (
                "6b3873000a0f0a02763112094e616d65737061636512050a",
                "the body is no protobuf of Kubernetes: it ends early",
            ),
            (
                "6b3873000a0f0a02763112094e616d65737061636512022001",
                "the body is no protobuf of Kubernetes: it has a field that is not known",
            ),
            (
                "6b3873000a0f0a02763112094e616d65737061636512020801",
                "the body is no protobuf of Kubernetes: a field is of the wrong type",
            ),
        ] {
            assert_eq!(decode(&bytes(body)).unwrap_err().to_string(), expected, "{body}");
        }
    }
}
