//! Which socket an engine has: the one that is named, or one of the usual places.

use crate::program::settings::RuntimeChoice;
use std::{env, path::PathBuf};

/// No engine has a socket in one of the usual places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("runtime {choice}: no socket in any of {places}; start the engine, or name its socket: unix:///PATH")]
pub(in crate::program::app) struct NoSocket {
    choice: String,
    places: String,
}

/// What is looked up besides the file system.
struct Surroundings<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    is_there: &'a dyn Fn(&PathBuf) -> bool,
}

/// The socket of the engine that is chosen; `None` for the simulation. A socket that is named need not be there yet.
///
/// # Errors
/// None of the usual places has a socket.
pub(in crate::program::app) fn find_socket(choice: &RuntimeChoice) -> Result<Option<PathBuf>, NoSocket> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let is_there = |path: &PathBuf| {
        use std::os::unix::fs::FileTypeExt as _;
        std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
    };
    find(choice, &Surroundings { variable: &variable, is_there: &is_there })
}

fn find(choice: &RuntimeChoice, surroundings: &Surroundings<'_>) -> Result<Option<PathBuf>, NoSocket> {
    let places = match choice {
        RuntimeChoice::Simulated => return Ok(None),
        RuntimeChoice::Socket(path) => return Ok(Some(path.clone())),
        RuntimeChoice::Docker => docker(surroundings),
        RuntimeChoice::Podman => podman(surroundings),
        RuntimeChoice::Auto => docker(surroundings).into_iter().chain(podman(surroundings)).collect(),
    };
    match places.iter().find(|path| (surroundings.is_there)(path)) {
        Some(path) => Ok(Some(path.clone())),
        None => {
            let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            Err(NoSocket { choice: choice.to_string(), places: places.join(", ") })
        }
    }
}

/// A socket that a variable names as a URL.
fn named(surroundings: &Surroundings<'_>, variable: &str) -> Option<PathBuf> {
    (surroundings.variable)(variable)?.strip_prefix("unix://").map(PathBuf::from)
}

fn docker(surroundings: &Surroundings<'_>) -> Vec<PathBuf> {
    let beneath = |variable: &str, path: &str| (surroundings.variable)(variable).map(|at| PathBuf::from(at).join(path));
    [
        named(surroundings, "DOCKER_HOST"),
        Some("/run/docker.sock".into()),
        Some("/var/run/docker.sock".into()),
        beneath("XDG_RUNTIME_DIR", "docker.sock"),
        beneath("HOME", ".docker/run/docker.sock"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn podman(surroundings: &Surroundings<'_>) -> Vec<PathBuf> {
    let beneath = |variable: &str, path: &str| (surroundings.variable)(variable).map(|at| PathBuf::from(at).join(path));
    [
        named(surroundings, "CONTAINER_HOST"),
        Some("/run/podman/podman.sock".into()),
        beneath("XDG_RUNTIME_DIR", "podman/podman.sock"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_socket_that_is_there() {
        // What is chosen, variables, what is there; the socket, or an error.
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str], Result<Option<&'a str>, ()>);
        let rows: &[Row<'_>] = &[
            ("simulated", &[("DOCKER_HOST", "unix:///d")], &["/d"], Ok(None)),
            ("unix:///x", &[("DOCKER_HOST", "unix:///d")], &["/d"], Ok(Some("/x"))),
            ("docker", &[], &["/run/docker.sock"], Ok(Some("/run/docker.sock"))),
            ("docker", &[("DOCKER_HOST", "unix:///d")], &["/run/docker.sock", "/d"], Ok(Some("/d"))),
            ("docker", &[("DOCKER_HOST", "tcp://192.0.2.1:2375")], &["/run/docker.sock"], Ok(Some("/run/docker.sock"))),
            ("docker", &[], &["/run/podman/podman.sock"], Err(())),
            ("podman", &[("XDG_RUNTIME_DIR", "/r")], &["/r/podman/podman.sock"], Ok(Some("/r/podman/podman.sock"))),
            ("auto", &[], &["/run/podman/podman.sock"], Ok(Some("/run/podman/podman.sock"))),
            ("auto", &[], &["/run/podman/podman.sock", "/run/docker.sock"], Ok(Some("/run/docker.sock"))),
            ("auto", &[], &[], Err(())),
        ];
        for (choice, variables, there, expected) in rows {
            let variable =
                |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
            let is_there = |path: &PathBuf| there.iter().any(|other| path.as_os_str() == *other);
            let found = find(&choice.parse().unwrap(), &Surroundings { variable: &variable, is_there: &is_there });
            assert_eq!(found.map_err(|_| ()), expected.map(|path| path.map(PathBuf::from)), "{choice} {variables:?}");
        }
    }
}
