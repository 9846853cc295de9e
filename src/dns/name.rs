//! A domain name: lower-cased wire form in one allocation.

use crate::text::options::Written;
use std::{borrow::Borrow, cmp::Ordering, fmt, str::FromStr};
use triomphe::Arc;

/// Most octets of a name in wire form, the root label included (RFC 1035 §2.3.4).
pub const NAME_MAX: usize = 255;
/// Most octets of one label (RFC 1035 §2.3.4).
pub const LABEL_MAX: usize = 63;

/// A domain name in wire form (RFC 1035 §3.1), ASCII letters lower-cased, always with its final root label.
///
/// At most 255 octets, each label 1–63 octets. Labels are octet strings: a dot inside a label is legal and escaped on
/// output. Only ASCII A–Z are folded (RFC 4343 §3). The order is the canonical one of RFC 4034 §6.1, in which a name
/// stands before everything below it. Cloning is cheap: the octets are shared.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<[u8]>);

/// Why some text or octets are no domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A label is empty or longer than 63 octets.
    #[error("a label has 1 to 63 octets")]
    LabelLength,
    /// The whole name is longer than 255 octets.
    #[error("a name has at most 255 octets")]
    NameLength,
    /// A backslash is not followed by a character or three digits up to 255.
    #[error("a backslash stands before a character or three digits up to 255")]
    Escape,
    /// The octets are no uncompressed name.
    #[error("the octets are no uncompressed name")]
    Wire,
}

impl Name {
    /// The root.
    pub fn root() -> Name {
        Name(Arc::from(&[0][..]))
    }

    /// Parses presentation form (`web-0.nginx.default.svc.cluster.local`, final dot optional, `\.` and `\DDD` escapes
    /// of RFC 1035 §5.1); always absolute. `.` is the root, the empty text is an error.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        Name::parse_below(text, &Name::root())
    }

    /// Parses presentation form as a master file means it (RFC 1035 §5.1): with a final dot it is absolute, without one
    /// it lies below `origin`, and `@` is `origin` itself.
    pub fn parse_below(text: &str, origin: &Name) -> Result<Name, NameError> {
        match text {
            "." => return Ok(Name::root()),
            "@" if !origin.is_root() => return Ok(origin.clone()),
            _ => {}
        }
        let mut wire = Vec::with_capacity(text.len() + 1 + origin.0.len());
        wire.push(0);
        // Where the length octet of the label being read stands.
        let mut start = 0;
        let mut octets = text.bytes();
        let mut absolute = false;
        while let Some(octet) = octets.next() {
            let octet = match octet {
                b'.' => {
                    close_label(&mut wire, start)?;
                    start = wire.len();
                    wire.push(0);
                    absolute = octets.len() == 0;
                    continue;
                }
                b'\\' => unescape(&mut octets).ok_or(NameError::Escape)?,
                plain => plain,
            };
            wire.push(octet.to_ascii_lowercase());
        }
        if absolute {
            // The octet pushed for the label that would follow is the root label.
            return finish(wire);
        }
        close_label(&mut wire, start)?;
        wire.extend_from_slice(&origin.0);
        finish(wire)
    }

    /// Takes an uncompressed wire-form name and nothing after it, lower-casing it.
    pub fn from_wire(octets: &[u8]) -> Result<Name, NameError> {
        match wire_length(octets) {
            Some(length) if length == octets.len() => Ok(Name(octets.to_ascii_lowercase().into())),
            _ => Err(NameError::Wire),
        }
    }

    /// The name with `label` put in front.
    pub fn child(&self, label: &[u8]) -> Result<Name, NameError> {
        self.descendant(&[label])
    }

    /// The name with labels put in front, in their order.
    pub fn descendant(&self, labels: &[&[u8]]) -> Result<Name, NameError> {
        let mut octets = [0; NAME_MAX];
        let mut length = 0;
        for label in labels {
            if label.is_empty() || label.len() > LABEL_MAX {
                return Err(NameError::LabelLength);
            }
            let end = length + 1 + label.len();
            let room = octets.get_mut(length..end).ok_or(NameError::NameLength)?;
            room[0] = label.len() as u8;
            room[1..].copy_from_slice(label);
            room[1..].make_ascii_lowercase();
            length = end;
        }
        let end = length + self.0.len();
        octets.get_mut(length..end).ok_or(NameError::NameLength)?.copy_from_slice(&self.0);
        Ok(Name(Arc::from(&octets[..end])))
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        parent(&self.0).map(|wire| Name(wire.into()))
    }

    /// The wire form, final root label included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether this name is `ancestor` or lies below it, label by label.
    pub fn is_within(&self, ancestor: &Name) -> bool {
        is_within(&self.0, &ancestor.0)
    }

    /// The labels from the left, without the root.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let mut starts = [0u8; 128];
        let mut count = 0;
        let mut at = 0;
        while self.0[at] != 0 {
            starts[count] = at as u8;
            count += 1;
            at += 1 + usize::from(self.0[at]);
        }
        (0..count).map(move |label| {
            let start = usize::from(starts[label]);
            &self.0[start + 1..start + 1 + usize::from(self.0[start])]
        })
    }
}

/// Whether `text` is a label of a host name (RFC 1123 §2.1): 1–63 letters, digits and hyphens, no hyphen at either end.
pub fn is_host_label(text: &str) -> bool {
    (1..=LABEL_MAX).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Length of the uncompressed name at the beginning of `octets`, its root label included; `None` if there is none of at
/// most 255 octets.
pub fn wire_length(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *octets.get(at)? {
            0 => return (at < NAME_MAX).then_some(at + 1),
            length if usize::from(length) <= LABEL_MAX => at += 1 + usize::from(length),
            _ => return None,
        }
        if at >= NAME_MAX {
            return None;
        }
    }
}

/// Whether the wire-form name `name` is `ancestor` or lies below it; both lower-cased and well-formed.
pub fn is_within(name: &[u8], ancestor: &[u8]) -> bool {
    let Some(cut) = name.len().checked_sub(ancestor.len()) else { return false };
    if &name[cut..] != ancestor {
        return false;
    }
    let mut at = 0;
    while at < cut {
        at += 1 + usize::from(name[at]);
    }
    at == cut
}

/// The well-formed wire-form name without its first label; `None` for the root.
pub fn parent(name: &[u8]) -> Option<&[u8]> {
    match *name.first()? {
        0 => None,
        length => name.get(1 + usize::from(length)..),
    }
}

/// Reads what follows a backslash (RFC 1035 §5.1): three decimal digits up to 255, or one octet that is no digit.
pub fn unescape(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = rest.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = rest.next().filter(u8::is_ascii_digit)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).ok()
}

fn close_label(wire: &mut [u8], start: usize) -> Result<(), NameError> {
    let length = wire.len() - start - 1;
    if length == 0 || length > LABEL_MAX {
        return Err(NameError::LabelLength);
    }
    wire[start] = length as u8;
    Ok(())
}

fn finish(wire: Vec<u8>) -> Result<Name, NameError> {
    if wire.len() > NAME_MAX { Err(NameError::NameLength) } else { Ok(Name(wire.into())) }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text)
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        self.labels().rev().cmp(other.labels().rev())
    }
}
impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Presentation(self.as_wire()).fmt(f)
    }
}

/// A name in wire form that is shown in presentation form, with a final dot; what [`Name::parse`] would take for something
/// else is escaped (RFC 4343 §2.1).
#[derive(Debug, Clone, Copy)]
pub struct Presentation<'n>(pub &'n [u8]);

impl fmt::Display for Presentation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= 1 {
            return f.write_str(".");
        }
        let mut rest = self.0;
        while let Some((&length, after)) = rest.split_first()
            && let Some((label, after)) = after.split_at_checked(usize::from(length))
            && length > 0
        {
            rest = after;
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => write!(f, "\\{}", char::from(octet))?,
                    0x21..=0x7e => write!(f, "{}", char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Written for Name {
    const EXPECTED: &str = "a domain name such as cluster.local";
    fn read(text: &str) -> Result<Name, String> {
        Name::parse(text).map_err(|error| format!("`{text}` is no domain name: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn presentation_form() {
        #[rustfmt::skip]
        let rows: &[(&str, Result<&str, NameError>)] = &[
            ("web-0.Nginx.default", Ok("web-0.nginx.default.")),
            ("cluster.local.", Ok("cluster.local.")),
            (".", Ok(".")),
            (r"a\.b.c", Ok(r"a\.b.c.")),
            (r"a\046b.c", Ok(r"a\.b.c.")),
            (r"\000\255 .x", Ok(r"\000\255\032.x.")),
            (r"\065", Ok("a.")),
            ("\u{212a}.x", Ok(r"\226\132\170.x.")), // 156: the Kelvin sign is not k
            ("@", Ok(r"\@.")),
            (r"a\.", Ok(r"a\..")),
            ("", Err(NameError::LabelLength)),
            ("a..b", Err(NameError::LabelLength)),
            (".a", Err(NameError::LabelLength)),
            ("..", Err(NameError::LabelLength)),
            ("a\\", Err(NameError::Escape)),
            (r"\25", Err(NameError::Escape)),
            (r"\256", Err(NameError::Escape)),
            (r"\2x5", Err(NameError::Escape)),
        ];
        for (text, expected) in rows {
            assert_eq!(Name::parse(text).map(|name| name.to_string()), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn lengths() {
        let label = "a".repeat(63);
        assert!(Name::parse(&label).is_ok());
        assert_eq!(Name::parse(&"a".repeat(64)), Err(NameError::LabelLength));
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        let name = Name::parse(&longest).unwrap();
        assert_eq!(name.as_wire().len(), 255);
        assert_eq!(Name::parse(&format!("{longest}b")), Err(NameError::NameLength));
        assert_eq!(name.child(b"c"), Err(NameError::NameLength));
        assert_eq!(Name::root().child(b""), Err(NameError::LabelLength));
        assert_eq!(name.parent().unwrap().child(label.as_bytes()).unwrap(), name);
        assert_eq!(Name::parse(&"a.".repeat(127)).unwrap().labels().count(), 127);
        assert_eq!(Name::parse(&"a.".repeat(128)), Err(NameError::NameLength));
    }

    #[test]
    fn within_by_label() {
        let zone = Name::parse("cluster.local").unwrap();
        // 182: by label, never by string suffix.
        for (text, expected) in [
            ("cluster.local", true),
            ("a.b.cluster.local", true),
            ("notcluster.local", false),
            (r"x\.cluster.local", false),
            (r"x\007cluster\005local", false),
            ("cluster.local.example", false),
            ("local", false),
            (".", false),
        ] {
            assert_eq!(Name::parse(text).unwrap().is_within(&zone), expected, "{text}");
        }
        assert!(zone.is_within(&Name::root()));
    }

    #[test]
    fn wire_form() {
        for bad in [&b""[..], b"\x01a", b"\x01a\0x", b"\xc0\x0c", b"\x40a\0", b"\x02a\0"] {
            assert_eq!(Name::from_wire(bad), Err(NameError::Wire), "{bad:?}");
        }
        assert_eq!(Name::from_wire(b"\x01A\0").unwrap().as_wire(), b"\x01a\0");
    }

    #[test]
    fn relative_names() {
        let origin = Name::parse("example.org").unwrap();
        for (text, expected) in [("@", "example.org."), ("www", "www.example.org."), ("www.", "www."), (".", ".")] {
            assert_eq!(Name::parse_below(text, &origin).unwrap().to_string(), expected);
        }
    }

    fn any_name() -> impl Strategy<Value = Name> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=20), 0..=8).prop_map(|labels| {
            labels.iter().fold(Name::root(), |name, label| name.child(label).unwrap_or_else(|_| name.clone()))
        })
    }

    proptest! {
        #[test]
        fn text_and_wire_round_trip(name in any_name()) {
            prop_assert_eq!(&Name::parse(&name.to_string()).unwrap(), &name);
            prop_assert_eq!(&Name::from_wire(name.as_wire()).unwrap(), &name);
            let rebuilt = name.labels().rev().try_fold(Name::root(), |name, label| name.child(label)).unwrap();
            prop_assert_eq!(&rebuilt, &name);
            let parent = name.parent();
            prop_assert_eq!(parent.is_none(), name.is_root());
            if let Some(parent) = parent {
                prop_assert!(name.is_within(&parent) && !parent.is_within(&name) && parent < name);
            }
        }

        #[test]
        fn any_octets_and_any_text(octets in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}") {
            if let Ok(name) = Name::from_wire(&octets) {
                prop_assert_eq!(name.as_wire().to_vec(), octets.to_ascii_lowercase());
            }
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(Name::from_wire(name.as_wire()).unwrap(), name);
            }
        }
    }
}
