//! `headless-dns down`: what was made on a container engine goes, and nothing else.

use super::{say, settings};
use crate::{
    engine::sandbox::EngineError,
    program::{
        app::{DownError, RemovedFromEngine, down as remove},
        exit::Exit,
        settings::Overrides,
    },
    text::diagnostic::{self, Diagnostic},
};
use std::path::Path;

pub(super) fn down(overrides: &Overrides) -> Exit {
    let (settings, warnings) = match settings(overrides) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    diagnostic::print(&warnings);
    match remove(&settings) {
        Ok(removed) => {
            say(&told(removed));
            Exit::Ok
        }
        Err(error) => {
            diagnostic::print(&[Diagnostic::error(Path::new(""), error.to_string())]);
            match error {
                DownError::Engine { source: EngineError::Denied(_), .. } => Exit::Permission,
                DownError::State(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Exit::Permission,
                DownError::NoEngine(_) | DownError::Running(_) | DownError::State(_) => Exit::Configuration,
                DownError::Engine { .. } => Exit::Internal,
            }
        }
    }
}

fn told(removed: RemovedFromEngine) -> String {
    match removed {
        RemovedFromEngine { is_nothing: true, .. } => {
            "nothing to remove: no pod was ever real with this state directory\n".to_owned()
        }
        RemovedFromEngine { containers, sandboxes, .. } => format!(
            "removed {containers} container{}, {sandboxes} sandbox{} and the network; volumes and state are kept\n",
            if containers == 1 { "" } else { "s" },
            if sandboxes == 1 { "" } else { "es" },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told() {
        let rows = [
            (
                RemovedFromEngine { is_nothing: true, ..RemovedFromEngine::default() },
                "nothing to remove: no pod was ever real with this state directory\n",
            ),
            (
                RemovedFromEngine { containers: 1, sandboxes: 1, is_nothing: false },
                "removed 1 container, 1 sandbox and the network; volumes and state are kept\n",
            ),
            (
                RemovedFromEngine { containers: 4, sandboxes: 3, is_nothing: false },
                "removed 4 containers, 3 sandboxes and the network; volumes and state are kept\n",
            ),
        ];
        for (removed, expected) in rows {
            assert_eq!(told(removed), expected);
        }
    }
}
