//! `clusterDomain`: one domain, or several that hold the same names.

use super::checked::CheckedSettings;
use crate::{dns::name::Name, text::options};
use serde::Deserializer;
use std::iter;

/// The domains of the cluster: at least one, and of several none lies within another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDomains {
    /// The one into which reverse names lead.
    pub first: Name,
    /// Those that hold the same names.
    pub further: Vec<Name>,
}

impl Default for ClusterDomains {
    fn default() -> ClusterDomains {
        // A constant that parses.
        Name::parse("cluster.local").unwrap_or_else(|_| Name::root()).into()
    }
}

/// One domain alone.
impl From<Name> for ClusterDomains {
    fn from(first: Name) -> ClusterDomains {
        ClusterDomains { first, further: Vec::new() }
    }
}

impl ClusterDomains {
    /// All domains, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        iter::once(&self.first).chain(&self.further)
    }

    /// What the command line or the environment names.
    pub(super) fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<ClusterDomains, String> {
        let mut names = Vec::new();
        for text in texts {
            let name = Name::parse(text).map_err(|error| format!("`{text}` is no domain name: {error}"))?;
            refusal(&names, &name).map_or(Ok(()), Err)?;
            names.push(name);
        }
        of(names).ok_or_else(|| NONE.to_owned())
    }
}

const NONE: &str = "there is no domain for the cluster's names";

fn of(names: Vec<Name>) -> Option<ClusterDomains> {
    let mut names = names.into_iter();
    Some(ClusterDomains { first: names.next()?, further: names.collect() })
}

/// For `deserialize_with`. That an empty list is refused, [`check`] says; the root stands for it.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClusterDomains, D::Error> {
    Ok(of(options::one_or_more(deserializer)?).unwrap_or_else(|| Name::root().into()))
}

/// Says what is wrong with the domains of the file.
pub(super) fn check(checked: &mut CheckedSettings<'_>, domains: &ClusterDomains) {
    let is_list = checked.is_list("clusterDomain");
    let domains: Vec<Name> = domains.iter().cloned().collect();
    if is_list && checked.is_empty_list("clusterDomain") {
        return checked.refuse("clusterDomain", NONE.to_owned(), "remove the key for cluster.local");
    }
    for (index, domain) in domains.iter().enumerate() {
        let field = if is_list { format!("clusterDomain[{index}]") } else { "clusterDomain".to_owned() };
        let octets = domain.as_wire().len();
        if let Some(message) = refusal(&domains[..index], domain) {
            checked.refuse(&field, message, "write a name such as cluster.local");
        } else if octets > DOMAIN_OCTETS_MAX {
            let message = format!("with a domain of {octets} octets, pods with long names will have none in DNS");
            checked.doubt(&field, message, &format!("at most {DOMAIN_OCTETS_MAX} octets leave room for every name"));
        }
    }
}

/// Why a domain cannot be one of the cluster's beside those before it.
fn refusal(before: &[Name], domain: &Name) -> Option<String> {
    if domain.is_root() {
        return Some("the root cannot be the cluster's domain".to_string());
    }
    let other = before.iter().find(|other| domain.is_within(other) || other.is_within(domain))?;
    Some(match domain == other {
        true => format!("{domain} stands twice"),
        false => format!("{domain} and {other} lie one within the other, and each is to be a zone of its own"),
    })
}

/// 255 octets less the three longest labels, `svc` and their length octets: what leaves room for every pod of every
/// Service.
const DOMAIN_OCTETS_MAX: usize = 255 - 3 * 64 - 4;
