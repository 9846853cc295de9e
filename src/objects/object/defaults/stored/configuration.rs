//! ConfigMaps and Secrets.

use super::{Fields, default, drop_empty, object_or_new};
use data_encoding::BASE64;
use serde_json::Value;

pub(super) fn set_config_map(fields: &mut Fields) {
    drop_empty(fields, &["data", "binaryData"]);
}

/// `stringData` is how people write what is stored as `data`.
pub(super) fn set_secret(fields: &mut Fields) {
    default(fields, "type", "Opaque");
    if let Some(Value::Object(texts)) = fields.shift_remove("stringData")
        && let Some(data) = object_or_new(fields, "data")
    {
        for (key, text) in texts {
            let text = text.as_str().unwrap_or_default();
            data.insert(key, BASE64.encode(text.as_bytes()).into());
        }
    }
    drop_empty(fields, &["data"]);
}
