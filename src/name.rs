//! A domain name: lower-cased wire form in one allocation.

use std::fmt;

/// A domain name in wire form (RFC 1035 §3.1), ASCII letters lower-cased, always with its final root label.
///
/// At most 255 octets, each label 1–63 octets. Labels are octet strings: a dot inside a label is legal and escaped on output.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

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
        Name(Box::new([0]))
    }
    /// Parses presentation form (`web-0.nginx.default.svc.cluster.local`, final dot optional, `\.` and `\DDD` escapes); always absolute.
    pub fn parse(_text: &str) -> Result<Name, NameError> {
        todo!()
    }
    /// Takes an uncompressed wire-form name, lower-casing it.
    pub fn from_wire(_octets: &[u8]) -> Result<Name, NameError> {
        todo!()
    }
    /// The name with `label` put in front.
    pub fn child(&self, _label: &[u8]) -> Result<Name, NameError> {
        todo!()
    }
    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        todo!()
    }
    /// The wire form, final root label included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }
    /// Whether this name is `ancestor` or lies below it, label by label.
    pub fn is_within(&self, _ancestor: &Name) -> bool {
        todo!()
    }
    /// The labels from the left, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::empty()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
