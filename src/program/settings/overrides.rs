//! What the command line and the environment say; it wins over the file.

use super::{OptionalAddress, RuntimeChoice};
use crate::{dns::forward::parse_upstream, text::options::CommaSeparated};
use clap::Args;
use std::{net::SocketAddr, path::PathBuf};

/// What the command line and the environment say; it wins over the file. Given before and after a command, what stands
/// after it counts.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Overrides {
    /// Settings file; else config/headless-dns.yaml, /etc/headless-dns/headless-dns.yaml, or built-in defaults
    #[arg(long, env = "HEADLESS_DNS_CONFIG", hide_env_values = true, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of manifests; repeatable; in the variable separated as in PATH
    #[arg(long, env = "HEADLESS_DNS_MANIFESTS", hide_env_values = true, global = true, value_name = "DIR")]
    pub manifests: Vec<PathBuf>,
    /// Directory of static zones
    #[arg(long, env = "HEADLESS_DNS_ZONES", hide_env_values = true, global = true, value_name = "DIR")]
    pub zones: Option<PathBuf>,
    /// Address to serve over UDP and TCP; repeatable, or separated by commas; port 0 takes a free one
    #[arg(long, env = "HEADLESS_DNS_LISTEN", hide_env_values = true, global = true, value_name = "ADDR:PORT")]
    pub listen: Vec<CommaSeparated<SocketAddr>>,
    /// Address to serve over TLS; repeatable; the settings file names the certificate
    #[arg(long, env = "HEADLESS_DNS_LISTEN_TLS", hide_env_values = true, global = true, value_name = "ADDR:PORT")]
    pub listen_tls: Vec<CommaSeparated<SocketAddr>>,
    /// Address to serve over HTTPS, at /dns-query; repeatable
    #[arg(long, env = "HEADLESS_DNS_LISTEN_HTTPS", hide_env_values = true, global = true, value_name = "ADDR:PORT")]
    pub listen_https: Vec<CommaSeparated<SocketAddr>>,
    /// Address to serve over QUIC; repeatable
    #[arg(long, env = "HEADLESS_DNS_LISTEN_QUIC", hide_env_values = true, global = true, value_name = "ADDR:PORT")]
    pub listen_quic: Vec<CommaSeparated<SocketAddr>>,
    /// Address to serve over HTTP/3, at /dns-query; repeatable
    #[arg(long, env = "HEADLESS_DNS_LISTEN_HTTP3", hide_env_values = true, global = true, value_name = "ADDR:PORT")]
    pub listen_http3: Vec<CommaSeparated<SocketAddr>>,
    /// Address of metrics, health and waiting over HTTP, or `none`
    #[arg(long, env = "HEADLESS_DNS_METRICS_LISTEN", hide_env_values = true, global = true, value_name = "ADDR:PORT")]
    pub metrics_listen: Option<OptionalAddress>,
    /// Address of the Kubernetes API over HTTP, or `none`
    #[arg(long, env = "HEADLESS_DNS_API_LISTEN", hide_env_values = true, global = true, value_name = "ADDR:PORT")]
    pub api_listen: Option<OptionalAddress>,
    /// Domain of the cluster; repeatable, or separated by commas; each holds the same names
    #[arg(long, env = "HEADLESS_DNS_CLUSTER_DOMAIN", hide_env_values = true, global = true, value_name = "NAME")]
    pub cluster_domain: Vec<CommaSeparated<String>>,
    /// Directory of what survives a restart; `none` keeps everything in memory
    #[arg(
        long = "state-dir",
        env = "HEADLESS_DNS_STATE_DIR",
        hide_env_values = true,
        global = true,
        value_name = "DIR"
    )]
    pub state_directory: Option<PathBuf>,
    /// Server to ask for names outside our zones: 192.0.2.1, tls://192.0.2.1#dns.example, `system` for those of
    /// /etc/resolv.conf, `none` for nobody; repeatable, or separated by commas
    #[arg(long, env = "HEADLESS_DNS_FORWARD", hide_env_values = true, global = true, value_name = "ADDR")]
    #[arg(value_parser = upstreams)]
    pub forward: Vec<CommaSeparated<String>>,
    /// What runs pods: simulated, docker, podman, auto (the engine that has a socket), or unix:///PATH of a socket
    #[arg(long, env = "HEADLESS_DNS_RUNTIME", hide_env_values = true, global = true, value_name = "NAME")]
    pub runtime: Option<RuntimeChoice>,
}

/// Says at once what is no upstream.
fn upstreams(text: &str) -> Result<CommaSeparated<String>, String> {
    let texts: CommaSeparated<String> = text.parse()?;
    for upstream in texts.0.iter().filter(|_| texts.0 != ["none"]) {
        parse_upstream(upstream)?;
    }
    Ok(texts)
}
