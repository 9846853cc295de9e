//! What runs pods: the simulation, or a container engine by its name or socket.

use crate::text::options::{self, Written};
use serde::Deserializer;
use std::{fmt, path::PathBuf, str::FromStr};

/// What runs pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// Nothing: pods are simulated.
    Simulated,
    /// Docker, or Podman, whichever has a socket in one of the usual places.
    Auto,
    /// Docker at one of the usual sockets.
    Docker,
    /// Podman at one of the usual sockets.
    Podman,
    /// The engine at this socket.
    Socket(PathBuf),
}

impl FromStr for RuntimeChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<RuntimeChoice, String> {
        match text {
            "simulated" => Ok(RuntimeChoice::Simulated),
            "auto" => Ok(RuntimeChoice::Auto),
            "docker" => Ok(RuntimeChoice::Docker),
            "podman" => Ok(RuntimeChoice::Podman),
            _ => match text.strip_prefix("unix://").filter(|path| path.starts_with('/') && path.len() > 1) {
                Some(path) => Ok(RuntimeChoice::Socket(path.into())),
                None => Err(format!("`{text}` is none of {}", RuntimeChoice::EXPECTED)),
            },
        }
    }
}

impl fmt::Display for RuntimeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuntimeChoice::Simulated => f.write_str("simulated"),
            RuntimeChoice::Auto => f.write_str("auto"),
            RuntimeChoice::Docker => f.write_str("docker"),
            RuntimeChoice::Podman => f.write_str("podman"),
            RuntimeChoice::Socket(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Written for RuntimeChoice {
    const EXPECTED: &str = "simulated, docker, podman, auto or unix:///PATH/OF/A/SOCKET";
    fn read(text: &str) -> Result<RuntimeChoice, String> {
        text.parse()
    }
}

/// For `deserialize_with`.
pub(super) fn choice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RuntimeChoice, D::Error> {
    options::text(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sockets() {
        for text in ["simulated", "auto", "docker", "podman", "unix:///run/docker.sock"] {
            assert_eq!(text.parse::<RuntimeChoice>().map(|choice| choice.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["", "Docker", "unix://", "unix:///", "unix://run/docker.sock", "tcp://127.0.0.1:2375", "/run/docker.sock"]
        {
            assert!(text.parse::<RuntimeChoice>().is_err(), "{text}");
        }
    }
}
