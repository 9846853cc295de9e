//! What the command line and the environment say; it wins over the file.

use super::{OptionalAddress, forward::parse_upstreams, text::parse_listen};
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
    /// `--listen-tls`, repeatable.
    pub listen_tls: Vec<SocketAddr>,
    /// `--listen-https`, repeatable.
    pub listen_https: Vec<SocketAddr>,
    /// `--listen-quic`, repeatable.
    pub listen_quic: Vec<SocketAddr>,
    /// `--listen-http3`, repeatable.
    pub listen_http3: Vec<SocketAddr>,
    /// `--metrics-listen`.
    pub metrics_listen: Option<OptionalAddress>,
    /// `--api-listen`.
    pub api_listen: Option<OptionalAddress>,
    /// `--cluster-domain`, repeatable.
    pub cluster_domain: Vec<String>,
    /// `--state-dir`, or `none`.
    pub state_directory: Option<PathBuf>,
    /// `--forward`, repeatable, or `none`.
    pub forward: Vec<String>,
}

impl Overrides {
    /// Fills what no flag has set from environment variables; an empty variable is as good as none.
    ///
    /// `HEADLESS_DNS_CONFIG`, `_MANIFESTS` (directories separated as in `PATH`), `_ZONES`, `_LISTEN`, `_LISTEN_TLS`,
    /// `_LISTEN_HTTPS`, `_LISTEN_QUIC`, `_LISTEN_HTTP3` (addresses separated by commas), `_METRICS_LISTEN`, `_API_LISTEN`,
    /// `_CLUSTER_DOMAIN`, `_FORWARD` (both separated by commas) and `_STATE_DIR`.
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
        let lists = [
            (LISTEN, self.listen),
            (LISTEN_TLS, self.listen_tls),
            (LISTEN_HTTPS, self.listen_https),
            (LISTEN_QUIC, self.listen_quic),
            (LISTEN_HTTP3, self.listen_http3),
        ];
        let texts = lists.map(|(name, list)| (name, text(name).filter(|_| list.is_empty()), list));
        let domains = text(CLUSTER_DOMAIN).filter(|_| self.cluster_domain.is_empty());
        let metrics_text = text(METRICS_LISTEN).filter(|_| self.metrics_listen.is_none());
        let api_text = text(API_LISTEN).filter(|_| self.api_listen.is_none());
        let forward = match self.forward.is_empty() {
            false => self.forward,
            true => text(FORWARD).iter().flat_map(|text| text.split(',')).map(|part| part.trim().to_owned()).collect(),
        };
        wrong.extend(parse_upstreams(&forward).err().map(|message| Diagnostic::error(Path::new(FORWARD), message)));
        let [listen, listen_tls, listen_https, listen_quic, listen_http3] = texts.map(|(name, text, mut list)| {
            let parts = text.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty());
            for part in parts {
                match parse_listen(part) {
                    Ok(address) => list.push(address),
                    Err(message) => wrong.push(Diagnostic::error(Path::new(name), message)),
                }
            }
            list
        });
        let mut cluster_domain = self.cluster_domain;
        let domains = domains.iter().flat_map(|text| text.split(',')).map(str::trim);
        cluster_domain.extend(domains.filter(|part| !part.is_empty()).map(str::to_owned));
        let mut optional = |name: &str, given: Option<OptionalAddress>, text: Option<String>| {
            given.or_else(|| match text?.parse() {
                Ok(address) => Some(address),
                Err(message) => {
                    wrong.push(Diagnostic::error(Path::new(name), message));
                    None
                }
            })
        };
        let metrics_listen = optional(METRICS_LISTEN, self.metrics_listen, metrics_text);
        let api_listen = optional(API_LISTEN, self.api_listen, api_text);
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
            listen_tls,
            listen_https,
            listen_quic,
            listen_http3,
            cluster_domain,
            metrics_listen,
            api_listen,
            state_directory: self.state_directory.or_else(|| variable(STATE_DIRECTORY).map(PathBuf::from)),
            forward,
        };
        if wrong.is_empty() { Ok(overrides) } else { Err(wrong) }
    }
}

const CONFIG: &str = "HEADLESS_DNS_CONFIG";
const MANIFESTS: &str = "HEADLESS_DNS_MANIFESTS";
const ZONES: &str = "HEADLESS_DNS_ZONES";
const LISTEN: &str = "HEADLESS_DNS_LISTEN";
const LISTEN_TLS: &str = "HEADLESS_DNS_LISTEN_TLS";
const LISTEN_HTTPS: &str = "HEADLESS_DNS_LISTEN_HTTPS";
const LISTEN_QUIC: &str = "HEADLESS_DNS_LISTEN_QUIC";
const LISTEN_HTTP3: &str = "HEADLESS_DNS_LISTEN_HTTP3";
const METRICS_LISTEN: &str = "HEADLESS_DNS_METRICS_LISTEN";
const API_LISTEN: &str = "HEADLESS_DNS_API_LISTEN";
const CLUSTER_DOMAIN: &str = "HEADLESS_DNS_CLUSTER_DOMAIN";
const STATE_DIRECTORY: &str = "HEADLESS_DNS_STATE_DIR";
const FORWARD: &str = "HEADLESS_DNS_FORWARD";
