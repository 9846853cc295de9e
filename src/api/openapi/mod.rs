//! What the API says of its own structure: OpenAPI documents, and what follows from them for bodies.

pub mod schema;
