//! The formats of names, labels and keys in upstream's words (apimachinery `util/validation`).

use std::net::IpAddr;

/// Longest RFC 1123 label.
const LABEL_OCTETS_MAX: usize = 63;
/// Longest RFC 1123 subdomain.
const SUBDOMAIN_CHARACTERS_MAX: usize = 253;

const LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
    and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation \
    is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
    '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation \
    is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_VALUE_MESSAGE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', \
    '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
    regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY_MESSAGE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
    'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const WILDCARD_MESSAGE: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, \
    which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. \
    '*.example.com', regex used for validation is \
    '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_PART: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// The sentence for a text longer than `limit` octets.
pub fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} characters")
}

fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    matches!((bytes.first(), bytes.last()), (Some(&first), Some(&last)) if plain(first) && plain(last))
        && bytes.iter().all(|&b| plain(b) || b == b'-')
}

fn is_subdomain_text(text: &str) -> bool {
    text.split('.').all(is_label_text)
}

fn is_qualified_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(first), Some(last))
        if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && bytes.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

const LABEL_1035_MESSAGE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with \
                                  an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or \
                                  'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// An RFC 1123 label: names of StatefulSets, Services, Namespaces, ports, hostnames.
pub fn dns_label(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > LABEL_OCTETS_MAX {
        messages.push(too_long(LABEL_OCTETS_MAX));
    }
    if !is_label_text(text) {
        messages.push(if is_subdomain_text(text) { "must not contain dots".into() } else { LABEL_MESSAGE.into() });
    }
    messages
}

/// An RFC 1035 label, which begins with a letter: names that definitions define.
pub fn dns_1035_label(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > LABEL_OCTETS_MAX {
        messages.push(too_long(LABEL_OCTETS_MAX));
    }
    if !is_label_text(text) || !text.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        messages.push(LABEL_1035_MESSAGE.into());
    }
    messages
}

/// An RFC 1123 subdomain: names of most objects.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > SUBDOMAIN_CHARACTERS_MAX {
        messages.push(too_long(SUBDOMAIN_CHARACTERS_MAX));
    }
    if !is_subdomain_text(text) {
        messages.push(SUBDOMAIN_MESSAGE.into());
    }
    messages
}

/// A name that may stand in a path: RBAC's, such as `system:node`.
pub fn path_segment(text: &str) -> Vec<String> {
    if matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    let contained = ['/', '%'].into_iter().filter(|letter| text.contains(*letter));
    contained.map(|letter| format!("may not contain '{letter}'")).collect()
}

/// A key of a ConfigMap or a Secret.
pub fn config_key(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > SUBDOMAIN_CHARACTERS_MAX {
        messages.push(too_long(SUBDOMAIN_CHARACTERS_MAX));
    }
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(is_plain) {
        messages.push(CONFIG_KEY_MESSAGE.into());
    }
    match text {
        "." | ".." => messages.push(format!("must not be '{text}'")),
        text if text.starts_with("..") => messages.push("must not start with '..'".into()),
        _ => {}
    }
    messages
}

/// A DNS name whose first label is `*`.
pub fn wildcard(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > SUBDOMAIN_CHARACTERS_MAX {
        messages.push(too_long(SUBDOMAIN_CHARACTERS_MAX));
    }
    if !text.strip_prefix("*.").is_some_and(is_subdomain_text) {
        messages.push(WILDCARD_MESSAGE.into());
    }
    messages
}

/// A network: an address and the length of its prefix.
pub fn cidr(text: &str) -> Vec<String> {
    match parse_cidr(text) {
        Some(_) => Vec::new(),
        None => vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".into()],
    }
}

/// An address and the length of its prefix, if a text is both.
pub fn parse_cidr(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let is_number = length.bytes().all(|b| b.is_ascii_digit());
    let length = length.parse().ok().filter(|length| is_number && *length <= most)?;
    Some((address, length))
}

/// Whether a network is a part of another one, and not all of it.
pub fn is_strictly_within((inner, inner_length): (IpAddr, u32), (outer, length): (IpAddr, u32)) -> bool {
    let prefix = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()).checked_shr(32 - length),
        IpAddr::V6(v6) => v6.to_bits().checked_shr(128 - length),
    };
    inner.is_ipv4() == outer.is_ipv4() && inner_length > length && prefix(inner) == prefix(outer)
}

/// A label's value.
pub fn label_value(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > LABEL_OCTETS_MAX {
        messages.push(too_long(LABEL_OCTETS_MAX));
    }
    if !text.is_empty() && !is_qualified_text(text) {
        messages.push(LABEL_VALUE_MESSAGE.into());
    }
    messages
}

/// A qualified name (`name` or `prefix/name`): keys of labels and annotations, condition types.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let parts: Vec<&str> = text.splitn(3, '/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                messages.push("prefix part must be non-empty".into());
            } else {
                messages.extend(dns_subdomain(prefix).into_iter().map(|message| format!("prefix part {message}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a qualified name {NAME_PART} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        messages.push("name part must be non-empty".into());
    } else if name.len() > LABEL_OCTETS_MAX {
        messages.push(format!("name part {}", too_long(LABEL_OCTETS_MAX)));
    }
    if !is_qualified_text(name) {
        messages.push(format!("name part {NAME_PART}"));
    }
    messages
}

/// The name of a container's port (an IANA service name, RFC 6335 §5.1): at most 15 characters with a letter among
/// them.
pub fn port_name(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > 15 {
        messages.push(too_long(15));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if !text.bytes().all(|b| plain(b) || b == b'-') {
        messages.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        messages.push("must contain at least one letter (a-z)".into());
    }
    if text.contains("--") {
        messages.push("must not contain consecutive hyphens".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        messages.push("must not begin or end with a hyphen".into());
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        type Format = fn(&str) -> Vec<String>;
        let rows: &[(Format, &str, bool)] = &[
            (dns_label, "web", true),
            (dns_label, "0", true),
            (dns_label, "-a", false),
            (dns_label, "a-", false),
            (dns_label, "", false),
            (dns_label, "a.b", false),
            (dns_label, "ä", false),
            (dns_subdomain, "a.b-c.d", true),
            (dns_subdomain, "a..b", false),
            (dns_subdomain, "A.b", false),
            (label_value, "", true),
            (label_value, "a_b.C-1", true),
            (label_value, "a b", false),
            (label_value, "_a", false),
            (qualified_name, "app", true),
            (qualified_name, "kubernetes.io/name", true),
            (qualified_name, "/name", false),
            (qualified_name, "a/b/c", false),
            (qualified_name, "a/", false),
            (path_segment, "system:node", true),
            (path_segment, "a/b", false),
            (path_segment, "..", false),
            (config_key, "a.B_c-1", true),
            (config_key, "..a", false),
            (config_key, "a b", false),
            (wildcard, "*.a.b", true),
            (wildcard, "a.*", false),
            (cidr, "10.0.0.0/8", true),
            (cidr, "fd00::/129", false),
            (cidr, "10.0.0.0/+8", false),
            (port_name, "http-2", true),
            (port_name, "80", false),
            (port_name, "a--b", false),
            (port_name, "abcdefghijklmnop", false),
        ];
        for (format, text, valid) in rows {
            assert_eq!(format(text).is_empty(), *valid, "{text:?}");
        }
        let net = |text: &str| parse_cidr(text).unwrap_or((IpAddr::from([0; 4]), 0));
        assert!(is_strictly_within(net("10.1.0.0/16"), net("10.0.0.0/8")));
        assert!(is_strictly_within(net("10.1.0.0/16"), net("0.0.0.0/0")));
        assert!(!is_strictly_within(net("10.0.0.0/8"), net("10.0.0.0/8")));
        assert!(!is_strictly_within(net("fd00::/16"), net("10.0.0.0/8")));
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        assert_eq!(dns_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
    }
}
