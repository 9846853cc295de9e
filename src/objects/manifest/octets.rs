//! Octets in base64, which people write over several lines: as they are stored, or where they are broken.

use crate::{
    objects::object::{
        Kind, octets,
        schema::{Schema, SchemaType},
    },
    text::yaml::{YamlNode, YamlValue},
};

/// A field that holds no base64, and Go's complaint, which does not repeat the text.
pub(super) type BrokenOctets = (String, String);

/// The document with all octets of its kind as they are stored; `None` where its kind has none.
///
/// # Errors
/// The fields that cannot be read.
pub(super) fn canonical(kind: Kind, node: &YamlNode) -> Result<Option<YamlNode>, Vec<BrokenOctets>> {
    let Some(schema) = Schema::of(kind.name()).filter(|_| octets::kind_has_octets(kind)) else { return Ok(None) };
    let (mut node, mut broken) = (node.clone(), Vec::new());
    walk(&SchemaType::Object(schema.name), &mut node, String::new(), &mut broken);
    if broken.is_empty() { Ok(Some(node)) } else { Err(broken) }
}

fn walk(of: &SchemaType, node: &mut YamlNode, place: String, broken: &mut Vec<BrokenOctets>) {
    let below = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    match (of, &mut node.value) {
        (SchemaType::Bytes, YamlValue::String(text)) => match octets::canonical(text) {
            Ok(stored) => *text = stored,
            Err(offset) => broken.push((place, octets::refusal(offset))),
        },
        (SchemaType::Object(name), YamlValue::Mapping(entries)) => {
            let Some(schema) = Schema::named(name).filter(|schema| octets::has_octets(schema)) else { return };
            for (name, _, inner) in entries {
                if let Some(field) = schema.field(name) {
                    walk(&field.of, inner, below(name), broken);
                }
            }
        }
        (SchemaType::Map(of), YamlValue::Mapping(entries)) => {
            entries.iter_mut().for_each(|(name, _, inner)| walk(of, inner, format!("{place}[{name}]"), broken));
        }
        (SchemaType::List(of), YamlValue::Sequence(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(of, item, format!("{place}[{index}]"), broken);
            }
        }
        _ => {}
    }
}
