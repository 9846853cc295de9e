//! Any body in protobuf: no panic, no more values and objects than are allowed, however few octets they took; and what is
//! read is an object that its own JSON says again.
#![no_main]

use headless_dns::web::api::protobuf::decode;
use headless_dns_fuzz::{mutate, protobuf};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::Value;

/// As `api/cost` has them.
const VALUES: usize = 100_000;
const OBJECTS: usize = 20_000;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, protobuf::change)
});

fuzz_target!(|octets: &[u8]| {
    let Ok(object) = decode(octets) else { return };
    let (mut values, mut objects, mut text) = (0, 0, 0);
    count(&object, &mut values, &mut objects, &mut text);
    // The object itself and its kind are not fields of a message.
    assert!(values <= VALUES + 3 && objects <= OBJECTS + 1, "{values} values, {objects} objects");
    // Names of fields are ours; a time is written with at most 40 octets more than it was.
    assert!(text <= octets.len() + 40 * values, "{text} octets of text");
    let said = object.to_string();
    assert_eq!(serde_json::from_str::<Value>(&said).expect("JSON"), object);
    assert_eq!(decode(octets).as_ref(), Ok(&object));
});

fn count(value: &Value, values: &mut usize, objects: &mut usize, text: &mut usize) {
    *values += 1;
    match value {
        Value::String(string) => *text += string.len(),
        Value::Array(items) => items.iter().for_each(|item| count(item, values, objects, text)),
        Value::Object(fields) => {
            *objects += 1;
            fields.values().for_each(|field| count(field, values, objects, text));
        }
        _ => {}
    }
}
