//! Logs: set up once, on standard error.
