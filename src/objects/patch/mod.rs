//! Patches: a JSON patch (RFC 6902), a JSON merge patch (RFC 7386), Kubernetes' strategic merge patch, and the three-way
//! merge of client-side apply, which makes one of these.
//!
//! Nothing here knows objects or stores: a value and a patch give a value. What a patch may cost is bounded: how deep
//! a value gets, how many operations there are, and how much they copy.

mod json;
mod merge;
mod order;
mod strategic;
mod three_way;

#[cfg(test)]
mod tests;

use crate::objects::object::schema::Schema;
use serde_json::{Map, Value};
use thiserror::Error;

/// The deepest nesting of a patch and of what comes out of it; objects of Kubernetes get to about 20.
pub const NESTING_MAX: usize = 96;

/// The kind of a patch, which its media type tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// `application/json-patch+json`: a list of operations.
    Json,
    /// `application/merge-patch+json`: what is there replaces, `null` removes, lists are replaced.
    Merge,
    /// `application/strategic-merge-patch+json`: like a merge patch, but lists are merged by their elements' keys.
    Strategic,
}

/// Why a patch could not be applied; the text is the sentence for the one who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatchError {
    /// The patch is none (400, BadRequest).
    #[error("{0}")]
    Malformed(String),
    /// The patch does not fit the object (422, Invalid).
    #[error("{0}")]
    Unprocessable(String),
}

impl PatchError {
    fn malformed(message: impl Into<String>) -> PatchError {
        PatchError::Malformed(message.into())
    }

    fn unprocessable(message: impl Into<String>) -> PatchError {
        PatchError::Unprocessable(message.into())
    }
}

/// The object of a kind that a patch makes of `original`. Whether that is a valid object is for others to say.
pub fn patch(of: PatchType, kind: &str, original: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !is_shallower(patch, NESTING_MAX) {
        return Err(PatchError::malformed(format!("the patch is nested deeper than {NESTING_MAX} levels")));
    }
    let patched = match of {
        PatchType::Json => json::apply(original, patch)?,
        PatchType::Merge => merge::apply(original, patch)?,
        PatchType::Strategic => strategic::apply(original, patch, structure(kind)?)?,
    };
    if patched.is_object() { Ok(patched) } else { Err(PatchError::unprocessable("the patch leaves no object")) }
}

/// What client-side apply makes of the live object `current`: a configuration says `modified` now and said `original` when
/// it was applied last. What it says is set, what it said and does not say any more is removed, and everything else
/// stays. `null` in it removes, too. Without `original` nothing is removed for lack of being said.
///
/// # Errors
/// If the lists of the three do not fit together: an element without its merge key, elements of several types.
pub fn apply_edit(
    kind: &str,
    original: Option<&Value>,
    modified: &Value,
    current: &Value,
) -> Result<Value, PatchError> {
    let schema = structure(kind)?;
    let nothing = Value::Object(Map::new());
    let three = [original.unwrap_or(&nothing), modified, current];
    if !three.iter().all(|value| is_shallower(value, NESTING_MAX)) {
        return Err(PatchError::malformed(format!("it is nested deeper than {NESTING_MAX} levels")));
    }
    match three.map(Value::as_object) {
        [Some(original), Some(modified), Some(current)] => {
            three_way::apply(original, modified, current, schema).map(Value::Object)
        }
        _ => Err(PatchError::malformed("it is no object")),
    }
}

fn structure(kind: &str) -> Result<&'static Schema, PatchError> {
    let none = || PatchError::unprocessable(format!("{kind} has no strategic merge patch; use a merge patch"));
    Schema::of(kind).ok_or_else(none)
}

/// Whether a value is nested at most so many levels deep; looks no deeper than that.
pub fn is_shallower(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_shallower(item, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|field| is_shallower(field, levels - 1)),
        _ => true,
    }
}
