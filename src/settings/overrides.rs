//! What the command line and the environment say; it wins over the file.

use super::text::parse_listen;
use crate::diagnostic::Diagnostic;
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// What the command line and the environment say; it wins over the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--manifests`, repeatable.
    pub manifests: Vec<PathBuf>,
    /// `--zones`.
    pub zones: Option<PathBuf>,
    /// `--listen`, repeatable.
    pub listen: Vec<SocketAddr>,
    /// `--cluster-domain`.
    pub cluster_domain: Option<String>,
    /// `--state-dir`, or `none`.
    pub state_directory: Option<PathBuf>,
}

impl Overrides {
    /// Fills what no flag has set from environment variables; an empty variable is as good as none.
    ///
    /// `HEADLESS_DNS_CONFIG`, `_MANIFESTS` (directories separated as in `PATH`), `_ZONES`, `_LISTEN` (addresses
    /// separated by commas), `_CLUSTER_DOMAIN` and `_STATE_DIR`.
    ///
    /// # Errors
    /// One diagnostic for each variable that cannot be read, with the variable in the place of the file.
    pub fn or_environment(self, lookup: impl Fn(&str) -> Option<OsString>) -> Result<Overrides, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let variable = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let mut text = |name: &'static str| -> Option<String> {
            let value = variable(name)?;
            value
                .into_string()
                .map_err(|_| wrong.push(Diagnostic::error(Path::new(name), "the value is not UTF-8")))
                .ok()
        };
        let listen_text = text(LISTEN).filter(|_| self.listen.is_empty());
        let domain = text(CLUSTER_DOMAIN);
        let mut listen = self.listen;
        for part in listen_text.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty()) {
            match parse_listen(part) {
                Ok(address) => listen.push(address),
                Err(message) => wrong.push(Diagnostic::error(Path::new(LISTEN), message)),
            }
        }
        let manifests = match self.manifests.is_empty() {
            false => self.manifests,
            true => variable(MANIFESTS)
                .iter()
                .flat_map(|value| std::env::split_paths(value).collect::<Vec<PathBuf>>())
                .filter(|path| !path.as_os_str().is_empty())
                .collect(),
        };
        let overrides = Overrides {
            config: self.config.or_else(|| variable(CONFIG).map(PathBuf::from)),
            manifests,
            zones: self.zones.or_else(|| variable(ZONES).map(PathBuf::from)),
            listen,
            cluster_domain: self.cluster_domain.or(domain),
            state_directory: self.state_directory.or_else(|| variable(STATE_DIRECTORY).map(PathBuf::from)),
        };
        if wrong.is_empty() { Ok(overrides) } else { Err(wrong) }
    }
}

const CONFIG: &str = "HEADLESS_DNS_CONFIG";
const MANIFESTS: &str = "HEADLESS_DNS_MANIFESTS";
const ZONES: &str = "HEADLESS_DNS_ZONES";
const LISTEN: &str = "HEADLESS_DNS_LISTEN";
const CLUSTER_DOMAIN: &str = "HEADLESS_DNS_CLUSTER_DOMAIN";
const STATE_DIRECTORY: &str = "HEADLESS_DNS_STATE_DIR";
