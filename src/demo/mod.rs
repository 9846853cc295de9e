//! Scenarios from YAML files, played against a fresh server in this process.

use std::path::PathBuf;

/// Plays the scenarios in order; returns the exit code.
pub fn run(files: &[PathBuf]) -> u8 {
    let _ = files;
    crate::cli::EXIT_INTERNAL
}
