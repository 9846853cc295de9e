//! Selectors in queries: labels in every form (`labels.Parse` of apimachinery), fields by kind (`fields.ParseSelector`).
//!
//! An error is the message of the 400, in upstream's words.

mod fields;
mod labels;
mod text;

pub use fields::FieldSelector;
pub use labels::LabelRequirements;
pub use text::selector_text;
