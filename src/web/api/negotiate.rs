//! Which form of an object a client wants, by its Accept header.

use super::status::StatusFailure;

/// The forms that objects and lists are served in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaForm {
    /// As they are.
    Plain,
    /// meta.k8s.io Table of this version.
    Table(&'static str),
    /// meta.k8s.io/v1 PartialObjectMetadata, or a list of them.
    Partial,
    /// apidiscovery.k8s.io/v2 APIGroupDiscoveryList; of discovery only.
    Aggregated,
}

/// Longest Accept header that is looked at, in octets; kubectl's have some 200.
const ACCEPT_OCTETS_MAX: usize = 4096;

/// The first of the wanted forms that is `offered`; without a header the plain one.
pub fn form(accept: Option<&str>, offered: impl Fn(MediaForm) -> bool) -> Result<MediaForm, StatusFailure> {
    let accept = accept.unwrap_or_default().trim();
    if accept.is_empty() {
        return Ok(MediaForm::Plain);
    }
    if accept.len() > ACCEPT_OCTETS_MAX {
        return Err(StatusFailure::not_acceptable());
    }
    accept.split(',').filter_map(one).find(|form| offered(*form)).ok_or_else(StatusFailure::not_acceptable)
}

/// What one media range of the header asks for; `None` for what is not served.
fn one(range: &str) -> Option<MediaForm> {
    let mut parts = range.split(';').map(str::trim);
    let plain = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/json" => false,
        "*/*" | "application/*" => true,
        _ => return None,
    };
    let (mut kind, mut group, mut version) = (None, None, None);
    for part in parts {
        match part.split_once('=').map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))) {
            Some(("as", value)) => kind = Some(value),
            Some(("g", value)) => group = Some(value),
            Some(("v", value)) => version = Some(value),
            // Parameters such as q and charset change nothing.
            _ => {}
        }
    }
    match (kind, group, version) {
        (None, _, _) => Some(MediaForm::Plain),
        _ if plain => None,
        (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Some(MediaForm::Table("v1")),
        (Some("Table"), Some("meta.k8s.io"), Some("v1beta1")) => Some(MediaForm::Table("v1beta1")),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("meta.k8s.io"), Some("v1")) => {
            Some(MediaForm::Partial)
        }
        (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => Some(MediaForm::Aggregated),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
                     application/json";
        let discovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        let old_discovery =
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let rows = [
            ("", Some(MediaForm::Plain)),
            ("*/*", Some(MediaForm::Plain)),
            ("application/json, */*", Some(MediaForm::Plain)),
            ("application/json;q=0.9;charset=utf-8", Some(MediaForm::Plain)),
            ("application/vnd.kubernetes.protobuf,application/json", Some(MediaForm::Plain)),
            ("application/cbor, */*", Some(MediaForm::Plain)),
            (table, Some(MediaForm::Table("v1"))),
            ("application/json; g=meta.k8s.io ; as=Table; v=v1beta1", Some(MediaForm::Table("v1beta1"))),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some(MediaForm::Partial)),
            (discovery, Some(MediaForm::Plain)),
            (old_discovery, Some(MediaForm::Plain)),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html", None),
            ("application/json;as=Elephant;g=meta.k8s.io;v=v1", None),
        ];
        for (accept, expected) in rows {
            assert_eq!(form(Some(accept), |form| form != MediaForm::Aggregated).ok(), expected, "{accept}");
        }
        assert_eq!(form(Some(discovery), |_| true), Ok(MediaForm::Aggregated));
        assert_eq!(form(None, |_| true), Ok(MediaForm::Plain));
    }
}
