//! Any patch of any object, by every kind of patch and by server-side apply: no panic, nothing that grows beyond what was
//! sent, and applying the same again changes nothing.
//!
//! The first line says how and to what kind (`strategic StatefulSet`), the second is the object, the third the patch.
#![no_main]

use headless_dns::{
    objects::patch::{PatchType, patch},
    web::api::apply::{apply, track},
};
use headless_dns_fuzz::{mutate, patch as inputs};
use jiff::Timestamp;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::Value;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, inputs::change)
});

fuzz_target!(|octets: &[u8]| {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let mut lines = text.splitn(3, '\n');
    let (Some(head), Some(original), Some(changes)) = (lines.next(), lines.next(), lines.next()) else { return };
    let (how, kind) = head.split_once(' ').unwrap_or((head, "StatefulSet"));
    let (Ok(original), Ok(changes)) = (serde_json::from_str::<Value>(original), serde_json::from_str::<Value>(changes))
    else {
        return;
    };
    let of = match how {
        "json" => PatchType::Json,
        "merge" => PatchType::Merge,
        "strategic" => PatchType::Strategic,
        _ => return server_side(kind, &original, &changes),
    };
    if let Ok(mut patched) = patch(of, kind, &original, &changes) {
        assert!(patched.is_object());
        let most = original.to_string().len() + changes.to_string().len() + (3 << 20);
        assert!(patched.to_string().len() <= most);
        track(kind, Some(&original), &mut patched, "fuzz", None, Timestamp::UNIX_EPOCH);
    }
});

fn server_side(kind: &str, live: &Value, applied: &Value) {
    let now = Timestamp::UNIX_EPOCH;
    let _ = apply(kind, Some(live), applied, "fuzz", false, now);
    let Ok(once) = apply(kind, None, applied, "fuzz", false, now) else { return };
    let twice = apply(kind, Some(&once), applied, "fuzz", false, now).expect("nobody else manages it");
    // Who says nothing that can be owned (an empty list) is not known afterwards, and what there is was there before it.
    if once.pointer("/metadata/managedFields").is_some() {
        assert_eq!(once, twice);
    }
    let mut forced = apply(kind, Some(live), applied, "fuzz", true, now).expect("it was applied before");
    track(kind, Some(live), &mut forced, "fuzz", Some("status"), now);
}
