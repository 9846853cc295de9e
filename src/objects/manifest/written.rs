//! What a document says and nothing more, in the types that its kind has: the base of the next edit's merge.

use crate::text::yaml::{YamlNode, YamlValue};
use serde_json::{Map, Value as Json};

/// The part of a decoded object (without defaults) that its document names. Null stays null: to apply it removes.
/// Fields that the kind does not have are left out.
pub(super) fn said(node: &YamlNode, decoded: Json) -> Json {
    match (&node.value, decoded) {
        (YamlValue::Mapping(entries), Json::Object(mut decoded)) => {
            let mut fields = Map::with_capacity(entries.len());
            for (name, _, inner) in entries {
                match (&inner.value, decoded.shift_remove(name)) {
                    (YamlValue::Null, _) => drop(fields.insert(name.clone(), Json::Null)),
                    (_, Some(decoded)) => drop(fields.insert(name.clone(), said(inner, decoded))),
                    (_, None) => {}
                }
            }
            Json::Object(fields)
        }
        (YamlValue::Sequence(items), Json::Array(decoded)) if items.len() == decoded.len() => {
            items.iter().zip(decoded).map(|(item, decoded)| said(item, decoded)).collect()
        }
        (_, decoded) => decoded,
    }
}
