//! The parts of a pod's name, as upstream's statefulPodRegex reads them.

/// `web-a-12` is ordinal 12 of `web-a` (upstream's statefulPodRegex: the greedy part before the last dash and its
/// digits).
pub fn parent_and_ordinal(name: &str) -> Option<(&str, i64)> {
    let (parent, digits) = name.rsplit_once('-')?;
    (is_ordinal(digits)).then(|| digits.parse().ok().map(|ordinal| (parent, ordinal)))?
}

/// Whether this is an ordinal's text, with leading zeros or without.
pub fn is_ordinal(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}
