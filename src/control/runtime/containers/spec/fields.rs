//! Fields of a pod that its containers are told: `fieldRef` in variables and in files.

use crate::control::runtime::containers::NodeFacts;
use k8s_openapi::api::core::v1::Pod;
use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr};

/// The value of a field; one that the pod does not have is empty.
///
/// # Errors
/// There is no such field, in kubelet's words.
pub fn field(pod: &Pod, path: &str, addresses: &[IpAddr], facts: &NodeFacts) -> Result<String, String> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    let list = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
    let first = |addresses: &[IpAddr]| addresses.first().map(ToString::to_string).unwrap_or_default();
    Ok(match path {
        "metadata.name" => text(metadata.name.as_ref()),
        "metadata.namespace" => text(metadata.namespace.as_ref()),
        "metadata.uid" => text(metadata.uid.as_ref()),
        "metadata.labels" => lines(metadata.labels.as_ref()),
        "metadata.annotations" => lines(metadata.annotations.as_ref()),
        "spec.nodeName" => {
            text(spec.and_then(|spec| spec.node_name.as_ref()).filter(|name| !name.is_empty()).or(Some(&facts.name)))
        }
        "spec.serviceAccountName" => text(spec.and_then(|spec| spec.service_account_name.as_ref())),
        "status.hostIP" => first(&facts.addresses),
        "status.hostIPs" => list(&facts.addresses).join(","),
        "status.podIP" => first(addresses),
        "status.podIPs" => list(addresses).join(","),
        path => {
            let of = |prefix: &str, map: Option<&BTreeMap<String, String>>| {
                let key = path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']")?;
                Some(map.and_then(|map| map.get(key)).cloned().unwrap_or_default())
            };
            of("metadata.labels", metadata.labels.as_ref())
                .or_else(|| of("metadata.annotations", metadata.annotations.as_ref()))
                .ok_or_else(|| format!("unsupported fieldPath: {path}"))?
        }
    })
}

/// `KEY="VALUE"` in lines, as upstream's `FormatMap`.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = map.into_iter().flatten().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
    lines.join("\n")
}

/// A text as Go's `%q` writes it.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x80 && c.is_control() => drop(write!(out, "\\x{:02x}", u32::from(c))),
            // What Rust would show by its number cannot be printed.
            c if c.escape_debug().len() > 1 && c != '\'' => match u32::from(c) {
                number @ 0..=0xffff => drop(write!(out, "\\u{number:04x}")),
                number => drop(write!(out, "\\U{number:08x}")),
            },
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::{addresses, facts, pod};

    #[test]
    fn rows() {
        let pod = pod("{nodeName: node, serviceAccountName: reader}");
        let rows = [
            ("metadata.name", "web-0"),
            ("metadata.namespace", "shop"),
            ("metadata.uid", "uid-1"),
            ("metadata.labels['app']", "web"),
            ("metadata.labels['apps.test/tier']", "front"),
            ("metadata.labels['none']", ""),
            ("metadata.annotations['note']", "say \"hi\""),
            ("metadata.labels", "app=\"web\"\napps.test/tier=\"front\""),
            ("metadata.annotations", "note=\"say \\\"hi\\\"\"\nsecond=\"two lines\""),
            ("spec.nodeName", "node"),
            ("spec.serviceAccountName", "reader"),
            ("status.hostIP", "10.9.0.1"),
            ("status.hostIPs", "10.9.0.1,fd00::1"),
            ("status.podIP", "10.9.0.7"),
            ("status.podIPs", "10.9.0.7,fd00::7"),
        ];
        for (path, expected) in rows {
            let value = super::field(&pod, path, &addresses("10.9.0.7 fd00::7"), &facts());
            assert_eq!(value.as_deref(), Ok(expected), "{path}");
        }
        for path in ["spec.hostname", "metadata.labels['app", "metadata.labelsx", "", "status.phase"] {
            let error = super::field(&pod, path, &[], &facts());
            assert_eq!(error, Err(format!("unsupported fieldPath: {path}")));
        }
    }

    #[test]
    fn quoted_as_go_does() {
        let rows = [
            ("", r#""""#),
            ("a\"b\\c'd", r#""a\"b\\c'd""#),
            ("\n\r\t\u{7}\u{8}\u{b}\u{c}\0\u{7f}", r#""\n\r\t\a\b\v\f\x00\x7f""#),
            ("ü€\u{200b}\u{e0001}", r#""ü€\u200b\U000e0001""#),
        ];
        for (text, expected) in rows {
            assert_eq!(super::quoted(text), expected);
        }
    }
}
