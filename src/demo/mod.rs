//! Scenarios from YAML files, played against a fresh server in this process.
