//! What a body costs in memory: counted before anything is made of it, so that few octets cannot become many.
//!
//! A value takes far more memory than text: the two octets of `0,` become a value of 72, the three of `{},` the empty
//! struct of a volume with hundreds, and there are several copies of an object on its way into the store. So values and
//! objects are counted, and too many of them refused, however short the text is.

use super::status::StatusFailure;
use serde_json::Value;

/// Largest body, in octets; upstream's limit.
pub const BODY_OCTETS_MAX: usize = 3 << 20;
/// Most values in one body, and in what becomes of it: scalars, lists and objects, at any depth. A slice of a thousand
/// endpoints has 20,000.
pub const VALUES_MAX: usize = 100_000;
/// Most of these that are objects.
pub const OBJECTS_MAX: usize = 20_000;

/// Memory of an octet of text, of a value and of an object in octets, all copies together; measured by
/// `tests/program/hostile_api_bodies.rs`.
const PER_OCTET: usize = 12;
const PER_VALUE: usize = 1024;
const PER_OBJECT: usize = 4096;

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    octets: usize,
    values: usize,
    objects: usize,
}

impl Cost {
    /// A JSON text, at least as much as what a reader makes of it; of no JSON, as much as one makes before it stops.
    pub fn of_json(text: &[u8]) -> Cost {
        let mut cost = Cost { octets: text.len(), values: 1, objects: 0 };
        let mut rest = text.iter();
        while let Some(octet) = rest.next() {
            match octet {
                b'"' => skip_string(&mut rest),
                b',' | b'[' => cost.values += 1,
                b'{' => {
                    cost.values += 1;
                    cost.objects += 1;
                }
                _ => {}
            }
        }
        cost
    }

    /// A body in another form, which counts its values itself: see [`VALUES_MAX`].
    pub fn of_octets(octets: usize) -> Cost {
        Cost { octets, ..Cost::default() }
    }

    /// A value.
    pub fn of_value(value: &Value) -> Cost {
        let mut cost = Cost::default();
        cost.add(value);
        cost
    }

    /// An object, without what the server itself notes in it of every field.
    pub fn of_object(object: &Value) -> Cost {
        let managed = object.pointer("/metadata/managedFields").map(Cost::of_value).unwrap_or_default();
        let Cost { octets, values, objects } = Cost::of_value(object);
        Cost { octets: octets - managed.octets, values: values - managed.values, objects: objects - managed.objects }
    }

    // No deeper than what decoding and patching let through.
    fn add(&mut self, value: &Value) {
        self.values += 1;
        match value {
            Value::String(text) => self.octets += text.len(),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(fields) => {
                self.objects += 1;
                for (name, field) in fields {
                    self.octets += name.len();
                    self.add(field);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Whether so much is read at all.
    pub fn check(self) -> Result<Cost, StatusFailure> {
        let Cost { octets, values, objects } = self;
        for (count, most, what) in
            [(values, VALUES_MAX, "values"), (objects, OBJECTS_MAX, "objects"), (octets, BODY_OCTETS_MAX, "octets")]
        {
            if count > most {
                return Err(StatusFailure::too_complex(most, what));
            }
        }
        Ok(self)
    }

    /// The memory that it takes until the request is done, in octets, by an estimate.
    pub fn memory(self) -> usize {
        let Cost { octets, values, objects } = self;
        octets * PER_OCTET + values * PER_VALUE + objects * PER_OBJECT
    }
}

/// After the quotation mark that ends a string.
fn skip_string(rest: &mut std::slice::Iter<'_, u8>) {
    while let Some(octet) = rest.next() {
        match octet {
            b'"' => return,
            b'\\' => drop(rest.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_body_is_counted_before_it_is_read() {
        for (text, values, objects) in [
            ("{}", 2, 1),
            (r#"{"a": [1, 2, {"b": "[,{"}], "c\"{": null}"#, 7, 2),
            ("[[[[", 5, 0),
            (r#""\\", {"#, 3, 1),
            (r#"{"a": "unfinished, {"#, 2, 1),
        ] {
            let cost = Cost::of_json(text.as_bytes());
            assert_eq!((cost.values, cost.objects), (values, objects), "{text}");
        }
        let many = |count| Value::Array(vec![Value::Null; count]);
        let objects = |count| Value::Array(vec![json!({}); count]);
        for (value, is_taken) in [
            (many(VALUES_MAX - 2), true),
            (many(VALUES_MAX), false),
            (objects(OBJECTS_MAX), true),
            (objects(OBJECTS_MAX + 1), false),
        ] {
            assert_eq!(Cost::of_json(value.to_string().as_bytes()).check().is_ok(), is_taken);
            assert_eq!(Cost::of_value(&value).check().is_ok(), is_taken);
        }
        assert_eq!(Cost::of_value(&many(VALUES_MAX)).check().unwrap_err().code, 413);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), ".{0,8}".prop_map(Value::from)];
        leaf.prop_recursive(5, 48, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_value_is_missed(value in any_json()) {
            let (text, made) = (Cost::of_json(value.to_string().as_bytes()), Cost::of_value(&value));
            prop_assert!(text.values >= made.values && text.objects == made.objects && text.octets >= made.octets);
        }
    }
}
