//! The JSON patch of RFC 6902.

use super::{NESTING_MAX, PatchError, is_shallower};
use serde::Deserialize;
use serde_json::Value;

/// The most operations of a patch, as upstream.
const OPERATIONS_MAX: usize = 10_000;

/// How many bytes `copy` may make in one patch, as upstream: copying a list into itself again and again doubles it.
const COPIED_OCTETS_MAX: usize = 3 << 20;

/// How many values an operation may move or look at, all operations of one patch together. An element that is put at
/// the front of a list moves all others: ten thousand of them in a list of thousands are still let through.
const MOVED_VALUES_MAX: usize = 20_000_000;

/// What a patch has cost so far.
#[derive(Debug, Default)]
struct PatchCost {
    copied: usize,
    steps: usize,
}

impl PatchCost {
    fn step(&mut self, values: usize) -> Result<(), PatchError> {
        self.steps = self.steps.saturating_add(values);
        if self.steps <= MOVED_VALUES_MAX {
            return Ok(());
        }
        Err(PatchError::unprocessable(format!(
            "the patch moves more than {MOVED_VALUES_MAX} values of lists and objects"
        )))
    }
}

/// One operation. Members that RFC 6902 does not know are ignored, as it says.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum JsonPatchOperation {
    Add { path: Pointer, value: Value },
    Remove { path: Pointer },
    Replace { path: Pointer, value: Value },
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test { path: Pointer, value: Value },
}

/// A JSON pointer (RFC 6901), its tokens unescaped.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pointer {
    text: String,
    tokens: Vec<String>,
}

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Pointer, String> {
        let mut tokens = Vec::new();
        if let Some(rest) = text.strip_prefix('/') {
            tokens.extend(rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")));
        } else if !text.is_empty() {
            return Err(format!("the path {text:?} must begin with /"));
        }
        Ok(Pointer { text, tokens })
    }
}

impl Pointer {
    fn missing(&self) -> PatchError {
        PatchError::unprocessable(format!("there is nothing at {}", self.text))
    }

    /// What stands there.
    fn get<'a>(&self, document: &'a Value) -> Result<&'a Value, PatchError> {
        let found = self.tokens.iter().try_fold(document, |value, token| match value {
            Value::Object(fields) => fields.get(token),
            Value::Array(items) => items.get(index(token)?),
            _ => None,
        });
        found.ok_or_else(|| self.missing())
    }

    /// What holds the last token, and that token; `None` for the whole document.
    fn parent<'a>(&self, document: &'a mut Value) -> Result<Option<(&'a mut Value, &str)>, PatchError> {
        let Some((last, path)) = self.tokens.split_last() else { return Ok(None) };
        descend(document, path).map(|value| Some((value, last.as_str()))).ok_or_else(|| self.missing())
    }

    /// Whether something stands beneath this place (a move may not go there).
    fn is_above(&self, other: &Pointer) -> bool {
        other.tokens.len() > self.tokens.len() && other.tokens.starts_with(&self.tokens)
    }
}

/// What stands at the end of these tokens, to be changed.
fn descend<'a>(document: &'a mut Value, tokens: &[String]) -> Option<&'a mut Value> {
    tokens.iter().try_fold(document, |value, token| match value {
        Value::Object(fields) => fields.get_mut(token),
        Value::Array(items) => items.get_mut(index(token)?),
        _ => None,
    })
}

/// The index of an element: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let is_number = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    token.parse().ok().filter(|_| is_number)
}

pub fn apply(original: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::malformed("a JSON patch must be a list of operations"));
    };
    if operations.len() > OPERATIONS_MAX {
        let count = operations.len();
        return Err(PatchError::malformed(format!(
            "a JSON patch has at most {OPERATIONS_MAX} operations, not {count}"
        )));
    }
    let mut document = original.clone();
    let mut work = PatchCost::default();
    for (number, operation) in operations.iter().enumerate() {
        let operation = JsonPatchOperation::deserialize(operation)
            .map_err(|error| PatchError::malformed(format!("operation {number} of the JSON patch: {error}")))?;
        carry_out(&mut document, operation, &mut work)
            .map_err(|error| PatchError::unprocessable(format!("operation {number} of the JSON patch: {error}")))?;
    }
    Ok(document)
}

fn carry_out(document: &mut Value, operation: JsonPatchOperation, work: &mut PatchCost) -> Result<(), PatchError> {
    match operation {
        JsonPatchOperation::Add { path, value } => add(document, &path, value, work),
        JsonPatchOperation::Remove { path } => remove(document, &path, work).map(drop),
        JsonPatchOperation::Replace { path, value } => {
            fits(&path, &value)?;
            *descend(document, &path.tokens).ok_or_else(|| path.missing())? = value;
            Ok(())
        }
        JsonPatchOperation::Move { from, path } => {
            if from.is_above(&path) {
                let message = format!("{} cannot be moved into itself", from.text);
                return Err(PatchError::unprocessable(message));
            }
            let value = remove(document, &from, work)?;
            // How deep it is has to be looked at anew in each place.
            work.step(count(&value))?;
            add(document, &path, value, work)
        }
        JsonPatchOperation::Copy { from, path } => {
            let value = from.get(document)?;
            work.copied += size(value);
            if work.copied > COPIED_OCTETS_MAX {
                return Err(PatchError::unprocessable(format!("the patch copies more than {COPIED_OCTETS_MAX} bytes")));
            }
            let value = value.clone();
            add(document, &path, value, work)
        }
        JsonPatchOperation::Test { path, value } => {
            // As upstream: nothing is as good as null.
            let found = path.get(document).unwrap_or(&Value::Null);
            if is_equal(found, &value) {
                return Ok(());
            }
            Err(PatchError::unprocessable(format!("the test of {} failed", path.text)))
        }
    }
}

/// Whether a value may stand at a place, so that no patch builds a tower.
fn fits(path: &Pointer, value: &Value) -> Result<(), PatchError> {
    if path.tokens.len() <= NESTING_MAX && is_shallower(value, NESTING_MAX - path.tokens.len()) {
        return Ok(());
    }
    Err(PatchError::unprocessable(format!("the object would be nested deeper than {NESTING_MAX} levels")))
}

fn add(document: &mut Value, path: &Pointer, value: Value, work: &mut PatchCost) -> Result<(), PatchError> {
    fits(path, &value)?;
    match path.parent(document)? {
        None => *document = value,
        Some((Value::Object(fields), name)) => {
            fields.insert(name.to_owned(), value);
        }
        Some((Value::Array(items), token)) => {
            let at = if token == "-" { Some(items.len()) } else { index(token) };
            let at = at.filter(|at| *at <= items.len()).ok_or_else(|| path.missing())?;
            work.step(items.len() - at)?;
            items.insert(at, value);
        }
        Some(_) => return Err(path.missing()),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &Pointer, work: &mut PatchCost) -> Result<Value, PatchError> {
    let removed = match path.parent(document)? {
        None => Some(document.take()),
        Some((Value::Object(fields), name)) => fields.remove(name),
        Some((Value::Array(items), token)) => match index(token).filter(|at| *at < items.len()) {
            Some(at) => {
                work.step(items.len() - at)?;
                Some(items.remove(at))
            }
            None => None,
        },
        Some(_) => None,
    };
    removed.ok_or_else(|| path.missing())
}

/// How many values there are in a value, and itself.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// About how many bytes a value takes.
fn size(value: &Value) -> usize {
    16 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, field)| name.len() + size(field)).sum(),
        Value::String(text) => text.len(),
        _ => 0,
    }
}

/// Equal as RFC 6902 has it: numbers by their value, so that 1.0 is 1. Goes by what the patch holds, which is looked at
/// once, and not by what the object holds, which may be looked at by every operation.
fn is_equal(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, value): (&String, &Value)| left.get(name).is_some_and(|found| is_equal(found, value));
            left.len() == right.len() && right.iter().all(same)
        }
        _ => found == expected,
    }
}
