//! Why a name gets the answer it gets: the whole way from the search list to the pod's claims, in plain words.
//!
//! A pure function of the objects and the snapshot. What it says at the end is what [`crate::dns::answer`] says, octet by
//! octet; everything before that is the reason. Its work is bounded ([`SEARCHED_OBJECTS_MAX`], [`SEARCHED_SLICES_MAX`]),
//! since the control loop carries it out between two turns.

mod answered;
mod endpoint;
mod pod;
mod reverse;
mod search;
mod service;
mod statefulset;
mod static_zones;
mod suggestions;
#[cfg(test)]
mod tests;
mod text;
mod walk;
mod workload;

pub use answered::{DnsAnswer, ReceivedExtendedError};
pub use search::NDOTS;

use crate::{
    control::{cluster::Cluster, records::reverse_name},
    dns::{
        name::{Name, NameError, is_host_label},
        wire::rdata::RecordType,
        zone::Snapshot,
    },
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use walk::Walk;

/// How many objects of one kind are looked at for something that no index finds.
pub const SEARCHED_OBJECTS_MAX: usize = 10_000;
/// How many slices of one Service are looked at.
pub const SEARCHED_SLICES_MAX: usize = 1_000;
/// Longest name that is taken, in octets of text: every octet of a name may be written as `\DDD`.
pub const NAME_TEXT_MAX: usize = 4 * crate::dns::name::NAME_MAX;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainQuestion {
    /// The name as a person types it: short, full, or an address.
    pub name: String,
    /// The record type; `None` takes PTR for addresses, SRV for `_port._proto…` and A for the rest.
    pub record_type: Option<RecordType>,
    /// The namespace of the pod that asks; it decides the search list.
    pub namespace: String,
}

/// What an explanation must know of the server besides objects and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// The cluster's domains; the first is that of the search list.
    pub domains: Vec<Name>,
    /// Whether names outside our zones are asked for elsewhere.
    pub forwarding: bool,
}

/// Why a question is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// The name is none.
    #[error("`{0}` is no domain name: {1}")]
    Name(String, NameError),
    /// The name is far too long to be one.
    #[error("a domain name has at most 255 octets")]
    Long,
    /// The namespace is no label.
    #[error("`{0}` is no namespace: letters, digits and hyphens are")]
    Namespace(String),
    /// The type is unknown.
    #[error("`{0}` is no record type; A, AAAA, SRV, PTR, CNAME, TXT, NS, SOA, ANY or TYPE123 are")]
    Type(String),
}

impl ExplainQuestion {
    /// From what was typed.
    pub fn new(name: &str, record_type: Option<&str>, namespace: &str) -> Result<ExplainQuestion, QuestionError> {
        let parse = |text: &str| match RecordType::parse(text) {
            Some(known) => Ok(known),
            None if text.eq_ignore_ascii_case("ANY") => Ok(RecordType::ANY),
            None => Err(QuestionError::Type(text.chars().take(32).collect())),
        };
        if name.len() > NAME_TEXT_MAX {
            return Err(QuestionError::Long);
        }
        if !is_host_label(namespace) {
            return Err(QuestionError::Namespace(namespace.chars().take(64).collect()));
        }
        Ok(ExplainQuestion {
            name: name.to_owned(),
            record_type: record_type.map(parse).transpose()?,
            namespace: namespace.to_ascii_lowercase(),
        })
    }

    /// The type that is asked for.
    fn record_type(&self) -> RecordType {
        self.record_type.unwrap_or_else(|| match self.name.parse::<IpAddr>() {
            Ok(_) => RecordType::PTR,
            Err(_) if self.name.starts_with('_') => RecordType::SRV,
            Err(_) => RecordType::A,
        })
    }
}

/// Everything there is to say about one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The name as it was asked for.
    pub asked: String,
    /// The type asked for.
    pub record_type: String,
    /// The namespace of the pod that asks.
    pub namespace: String,
    /// The names that a resolver tries, in its order, up to the one that is answered.
    pub tries: Vec<Try>,
    /// The full name that is explained.
    pub name: String,
    /// From the zone down to the claims.
    pub steps: Vec<StageResult>,
    /// What DNS says.
    pub answer: DnsAnswer,
    /// What can be done.
    pub advice: Vec<String>,
    /// Names that exist and are written like this one.
    pub did_you_mean: Vec<String>,
}

/// One name that a resolver tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Try {
    /// The full name.
    pub name: String,
    /// What comes back, in a word or two.
    pub outcome: String,
}

/// One stage of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageResult {
    /// How it is.
    pub status: Status,
    /// Which stage.
    pub level: Stage,
    /// What is so.
    pub text: String,
}

/// How a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth a look, and not what keeps the name from being answered.
    Warn,
    /// Here it ends.
    Fail,
}

/// The stages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Which zone answers.
    Zone,
    /// What a name of this form means.
    Name,
    /// The namespace.
    Namespace,
    /// The Service.
    Service,
    /// Its port.
    Port,
    /// The StatefulSet that makes the pod.
    StatefulSet,
    /// The pod.
    Pod,
    /// Its claims and their volumes.
    Claim,
    /// The endpoint in its slice.
    Endpoint,
    /// Where an alias leads.
    Alias,
    /// The records.
    Records,
}

impl Explanation {
    /// Whether there are records of the type.
    pub fn resolves(&self) -> bool {
        self.answer.resolves
    }
}

/// Explains what a client gets for a question, and why.
///
/// # Errors
/// If the name is no domain name.
pub fn explain(
    question: &ExplainQuestion,
    surroundings: &ServerFacts,
    cluster: &Cluster,
    snapshot: &Snapshot,
) -> Result<Explanation, QuestionError> {
    let rtype = question.record_type();
    let asking = answered::Asking { snapshot, rtype, forwarding: surroundings.forwarding };
    let (tries, names) = match question.name.parse::<IpAddr>() {
        Ok(address) => {
            let name = reverse_name(address);
            let outcome = asking.ask(&name).outcome();
            (vec![Try { name: name.to_string(), outcome }], vec![name])
        }
        Err(_) => search::search(question, surroundings, &asking)?,
    };
    let mut walk = Walk::new(cluster, snapshot, surroundings, rtype);
    let name = walk.most_telling(&names).clone();
    walk.name(&name);
    let answer = asking.ask(&name);
    walk.conclude(&answer);
    let Walk { steps, mut advice, near, .. } = walk;
    advice.extend(search::advice(question, &tries, &answer));
    Ok(Explanation {
        asked: question.name.clone(),
        record_type: rtype.to_string(),
        namespace: question.namespace.clone(),
        tries,
        name: name.to_string(),
        steps,
        answer,
        advice,
        did_you_mean: near,
    })
}
