//! Who this instance is on an engine, and which ranges its pods have there; kept in the state directory, so that
//! containers are known again after any restart.

use crate::text::regular_file;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file's name in the state directory.
const FILE: &str = "engine.json";
/// Octets of a file of ours.
const OCTETS_MAX: u64 = 64 << 10;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::program::app) struct Identity {
    /// The value of the engine's label: 16 hexadecimal digits.
    pub instance: String,
    /// The ranges of pods' addresses that were taken on the engine; empty before there was a network.
    #[serde(default)]
    pub pod_cidrs: Vec<IpNet>,
}

impl Identity {
    fn file(state_directory: &Path) -> PathBuf {
        state_directory.join(FILE)
    }

    /// The identity that a state directory has; `None` if it has none yet.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub(in crate::program::app) fn read(state_directory: &Path) -> io::Result<Option<Identity>> {
        let path = Identity::file(state_directory);
        match fs::metadata(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
            Ok(metadata) if !metadata.is_file() || metadata.len() > OCTETS_MAX => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is no file of ours", path.display()),
                ));
            }
            Ok(_) => {}
        }
        let identity: Identity = serde_json::from_slice(&regular_file::read(&path, OCTETS_MAX)?).map_err(|error| {
            let message = format!(
                "{}: {error}; put it back as it was, or remove it and the containers with the label headless-dns/instance",
                path.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        let is_good = identity.instance.len() == 16 && identity.instance.bytes().all(|octet| octet.is_ascii_hexdigit());
        match is_good {
            true => Ok(Some(identity)),
            false => {
                let message = format!("{}: `instance` is no 16 hexadecimal digits", path.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        }
    }

    /// The identity that a state directory has, or a new one, which is kept there at once.
    ///
    /// # Errors
    /// As [`Identity::read`] and [`Identity::write`].
    pub(super) fn read_or_make(state_directory: &Path) -> io::Result<Identity> {
        if let Some(identity) = Identity::read(state_directory)? {
            return Ok(identity);
        }
        let identity = Identity { instance: format!("{:016x}", fastrand::u64(..)), pod_cidrs: Vec::new() };
        identity.write(state_directory)?;
        Ok(identity)
    }

    /// Keeps it: on disk when this returns.
    ///
    /// # Errors
    /// The directory cannot be made, or the file not be written.
    pub(super) fn write(&self, state_directory: &Path) -> io::Result<()> {
        fs::create_dir_all(state_directory)?;
        let (path, new) = (Identity::file(state_directory), state_directory.join("engine.json.new"));
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::OpenOptions::new().write(true).open(&new)?.sync_all()?;
        fs::rename(&new, &path)
    }

    /// The name of its network on the engine.
    pub(in crate::program::app) fn network(&self) -> String {
        format!("headless-dns-{}", self.short())
    }

    /// The name of the network's bridge: at most 15 octets.
    pub(super) fn bridge(&self) -> String {
        format!("hdns-{}", self.short())
    }

    fn short(&self) -> &str {
        self.instance.get(..8).unwrap_or(&self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_stays() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Identity::read(directory.path()).unwrap(), None);
        let mut identity = Identity::read_or_make(directory.path()).unwrap();
        assert!(identity.bridge().len() <= 15, "{}", identity.bridge());
        identity.pod_cidrs = vec!["10.245.0.0/16".parse().unwrap()];
        identity.write(directory.path()).unwrap();
        assert_eq!(Identity::read_or_make(directory.path()).unwrap(), identity);
        for wrong in ["", "{}", "{\"instance\": \"x\"}", "{\"instance\": \"0123456789abcdef\", \"podCidrs\": [\"x\"]}"]
        {
            fs::write(Identity::file(directory.path()), wrong).unwrap();
            assert!(Identity::read_or_make(directory.path()).is_err(), "{wrong}");
        }
    }
}
