//! Rows of PodDisruptionBudgets.

use super::{AGE, Column, NAME, age::age, number, text};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("Min Available", 0, "pods that must stay"),
    ("Max Unavailable", 0, "pods that may be missing"),
    ("Allowed Disruptions", 0, "pods that may be evicted now"),
    AGE,
];

pub(super) fn cells(budget: &Value, now: Timestamp) -> Vec<Value> {
    // A number or a percentage.
    let wanted = |field: &str| match &budget["spec"][field] {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => "N/A".to_owned(),
    };
    vec![
        text(budget, "/metadata/name").into(),
        wanted("minAvailable").into(),
        wanted("maxUnavailable").into(),
        number(budget, "/status/disruptionsAllowed").into(),
        age(budget, now).into(),
    ]
}
