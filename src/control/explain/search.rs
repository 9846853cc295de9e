//! Which names a resolver tries for the one that was typed: the search list that a kubelet writes for a pod.

use super::{DnsAnswer, ExplainQuestion, QuestionError, ServerFacts, Try, answered::Asking};
use crate::{
    control::records::name_schema::{FixedName, namespace_name},
    dns::{name::Name, wire::rdata::RecordType},
};

/// A name with at least so many dots is tried as it is first (`options ndots:5`, which a kubelet writes).
pub const NDOTS: usize = 5;

/// The tries up to the first that is answered with records, and the names they are of. A name that has become too long
/// is not sent.
pub(super) fn search(
    question: &ExplainQuestion,
    surroundings: &ServerFacts,
    asking: &Asking<'_>,
) -> Result<(Vec<Try>, Vec<Name>), QuestionError> {
    let typed = Name::parse(&question.name).map_err(|error| QuestionError::Name(question.name.clone(), error))?;
    let (mut tries, mut names) = (Vec::new(), Vec::new());
    for candidate in candidates(question, surroundings, &typed) {
        let answer = asking.ask(&candidate);
        // Programs ask for both kinds of addresses at once, and either ends the search.
        let other = match asking.rtype {
            RecordType::A => Some(RecordType::AAAA),
            RecordType::AAAA => Some(RecordType::A),
            _ => None,
        };
        let other = other.filter(|_| !answer.resolves && answer.code == "NOERROR");
        let other =
            other.map(|rtype| (rtype, Asking { rtype, ..*asking }.ask(&candidate))).filter(|(_, other)| other.resolves);
        let outcome = match &other {
            Some((rtype, other)) => format!("{}; for {rtype} {}", answer.outcome(), other.outcome()),
            None => answer.outcome(),
        };
        tries.push(Try { name: candidate.to_string(), outcome });
        names.push(candidate);
        if answer.resolves || answer.forwarded || other.is_some() {
            break;
        }
    }
    Ok((tries, names))
}

/// The full names in the order in which they are sent: with a final dot the name alone; with fewer than [`NDOTS`] dots
/// below each suffix first, else last.
pub(super) fn candidates(question: &ExplainQuestion, surroundings: &ServerFacts, typed: &Name) -> Vec<Name> {
    if is_absolute(&question.name) {
        return vec![typed.clone()];
    }
    let mut suffixes = Vec::new();
    if let Some(domain) = surroundings.domains.first()
        && let Ok(svc) = FixedName::Services.in_domain(domain)
    {
        suffixes.extend(namespace_name(domain, &question.namespace));
        suffixes.extend([svc, domain.clone()]);
    }
    let below = suffixes.iter().filter_map(|suffix| join(typed, suffix));
    if dots(&question.name) >= NDOTS {
        std::iter::once(typed.clone()).chain(below).collect()
    } else {
        below.chain([typed.clone()]).collect()
    }
}

/// What typing the name otherwise would save.
pub(super) fn advice(question: &ExplainQuestion, tries: &[Try], answer: &DnsAnswer) -> Option<String> {
    let sent = tries.len();
    let last = tries.last()?;
    (answer.resolves && sent > 1).then(|| {
        format!(
            "a resolver sends {} queries (A and AAAA for each name tried) to get here from `{}`; `{}`, with its final \
             dot, takes 2",
            2 * sent,
            question.name,
            last.name
        )
    })
}

/// Whether the text ends with a dot that is no part of a label.
fn is_absolute(text: &str) -> bool {
    let Some(bare) = text.strip_suffix('.') else { return false };
    let slashes = bare.bytes().rev().take_while(|octet| *octet == b'\\').count();
    slashes % 2 == 0
}

/// Resolvers count the dots of the text.
fn dots(text: &str) -> usize {
    text.bytes().filter(|octet| *octet == b'.').count()
}

fn join(front: &Name, suffix: &Name) -> Option<Name> {
    front.labels().rev().try_fold(suffix.clone(), |name, label| name.child(label)).ok()
}
