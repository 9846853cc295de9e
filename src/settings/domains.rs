//! The settings file's `clusterDomain`: one domain, or several that hold the same names.

use super::{Settings, file::Checked, text::OneOrMore};
use crate::name::Name;

/// Takes the domains into the settings.
pub(super) fn apply(checked: &mut Checked<'_>, settings: &mut Settings, OneOrMore(domains): OneOrMore<Name>) {
    if domains.is_empty() {
        let help = "remove the key for cluster.local";
        return checked.refuse("clusterDomain", "there is no domain for the cluster's names".to_string(), help);
    }
    for (index, domain) in domains.iter().enumerate() {
        let field = if checked.is_list("clusterDomain") {
            format!("clusterDomain[{index}]")
        } else {
            "clusterDomain".to_string()
        };
        let octets = domain.as_wire().len();
        if let Some(message) = refusal(&domains[..index], domain) {
            checked.refuse(&field, message, "write a name such as cluster.local");
        } else if octets > LONGEST_DOMAIN {
            let message = format!("with a domain of {octets} octets, pods with long names will have none in DNS");
            checked.doubt(&field, message, &format!("at most {LONGEST_DOMAIN} octets leave room for every name"));
        }
    }
    let mut domains = domains.into_iter();
    settings.cluster_domain = domains.next().unwrap_or_else(Name::root);
    settings.further_domains = domains.collect();
}

/// Why a domain cannot be one of the cluster's beside those before it.
pub(super) fn refusal(before: &[Name], domain: &Name) -> Option<String> {
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
const LONGEST_DOMAIN: usize = 255 - 3 * 64 - 4;
