//! Commands and flags.

use super::EXIT_USAGE;
use crate::settings::{OptionalAddress, Overrides, parse_duration, parse_listen, parse_upstream};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum, error::ErrorKind};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Authoritative DNS for stateful pods: Kubernetes manifests in, stable names out.
#[derive(Debug, Parser)]
#[command(name = "headless-dns", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub flags: Flags,
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXIT_CODES: &str =
    "Without a command it serves. A flag wins over its environment variable, and that over the settings file.

Exit codes: 0 fine, 1 the name has no records (explain), 64 wrong command line, 70 something inside failed, 75 what was
waited for did not come in time (wait), 77 a permission is missing,
78 settings, manifests or zones are wrong, an address is not to be had, or the state cannot be used";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve DNS from manifests and zones until SIGTERM or SIGINT; SIGHUP re-reads everything (the default)
    Serve(Flags),
    /// Read settings, manifests and zones, tell everything that is wrong with them, and serve nothing
    Check {
        #[command(flatten)]
        flags: Flags,
        /// Exit with 78 for warnings, too
        #[arg(long)]
        strict: bool,
    },
    /// Tell why a name gets the answer it gets: from the search list down to the pod's claims
    ///
    /// Asks the running server. Where none can be reached, settings, manifests and zones are read and the control plane
    /// runs in this process, under a simulated clock, until it is quiet: what a fresh start would give.
    ///
    /// Exit codes: 0 the name resolves, 1 it does not, 64 it is no name, 70 the server cannot be understood, 78
    /// settings cannot be used.
    #[command(verbatim_doc_comment)]
    Explain {
        #[command(flatten)]
        flags: Flags,
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Wait until a Service has so many addresses in DNS, and print them with the names of the pods; works while the
    /// server is still starting
    Wait {
        #[command(flatten)]
        flags: Flags,
        /// The Service; without a namespace in `default`
        #[arg(long, value_name = "[NAMESPACE/]NAME")]
        service: String,
        /// How many addresses
        #[arg(long, value_name = "N", default_value_t = 1)]
        ready: usize,
        /// How long to wait at most, such as 30s or 5m
        #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
        timeout: Duration,
        /// Where the server has its metrics; else --metrics-listen or the settings' metricsListen
        #[arg(long, value_name = "ADDR:PORT")]
        server: Option<SocketAddr>,
    },
    /// Print a kubeconfig for kubectl and client libraries
    Kubeconfig {
        #[command(flatten)]
        flags: Flags,
        /// Address of the API as clients know it; else that of apiListen
        #[arg(long, value_name = "URL")]
        server: Option<String>,
    },
    /// Play scenarios against a fresh server in this process
    Demo {
        /// Scenario files, in YAML
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the version
    Version,
}

/// What `explain` takes besides.
#[derive(Debug, Clone, Args)]
pub(super) struct Wanted {
    /// A name, short or full, or an address
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A record type; else PTR for an address, SRV for `_port._proto.…`, A for the rest
    #[arg(value_name = "TYPE")]
    pub record_type: Option<String>,
    /// Namespace of the pod that asks; it decides the search list
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    pub namespace: String,
    /// Where the server answers HTTP; else what the settings say in metricsListen
    #[arg(long, value_name = "URL", value_parser = super::explain::parse_server)]
    pub server: Option<SocketAddr>,
    /// How to tell it
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Only what DNS says
    #[arg(long)]
    pub short: bool,
}

/// The form of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// What `serve` and `check` take; also accepted before the command.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub(super) struct Flags {
    /// Settings file; else config/headless-dns.yaml, /etc/headless-dns/headless-dns.yaml, or built-in defaults
    /// [env: HEADLESS_DNS_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of manifests; repeatable [env: HEADLESS_DNS_MANIFESTS, separated as in PATH]
    #[arg(long, value_name = "DIR")]
    manifests: Vec<PathBuf>,
    /// Directory of static zones [env: HEADLESS_DNS_ZONES]
    #[arg(long, value_name = "DIR")]
    zones: Option<PathBuf>,
    /// Address to serve over UDP and TCP; repeatable; port 0 takes a free one [env: HEADLESS_DNS_LISTEN, separated by
    /// commas]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    listen: Vec<SocketAddr>,
    /// Address to serve over TLS; repeatable; the settings file names the certificate [env: HEADLESS_DNS_LISTEN_TLS]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    listen_tls: Vec<SocketAddr>,
    /// Address to serve over HTTPS, at /dns-query; repeatable [env: HEADLESS_DNS_LISTEN_HTTPS]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    listen_https: Vec<SocketAddr>,
    /// Address to serve over QUIC; repeatable [env: HEADLESS_DNS_LISTEN_QUIC]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    listen_quic: Vec<SocketAddr>,
    /// Address to serve over HTTP/3, at /dns-query; repeatable [env: HEADLESS_DNS_LISTEN_HTTP3]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    listen_http3: Vec<SocketAddr>,
    /// Address of metrics, health and waiting over HTTP, or `none` [env: HEADLESS_DNS_METRICS_LISTEN]
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_listen: Option<OptionalAddress>,
    /// Address of the Kubernetes API over HTTP, or `none` [env: HEADLESS_DNS_API_LISTEN]
    #[arg(long, value_name = "ADDR:PORT")]
    api_listen: Option<OptionalAddress>,
    /// Domain of the cluster; repeatable, each holds the same names [env: HEADLESS_DNS_CLUSTER_DOMAIN, with commas]
    #[arg(long, value_name = "NAME")]
    cluster_domain: Vec<String>,
    /// Directory of what survives a restart; `none` keeps everything in memory [env: HEADLESS_DNS_STATE_DIR]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Server to ask for names outside our zones: 192.0.2.1, tls://192.0.2.1#dns.example, `system` for those of
    /// /etc/resolv.conf, `none` for nobody; repeatable [env: HEADLESS_DNS_FORWARD, separated by commas]
    #[arg(long, value_name = "ADDR", value_parser = upstream)]
    forward: Vec<String>,
}

/// Says at once what is no upstream.
fn upstream(text: &str) -> Result<String, String> {
    if text != "none" {
        parse_upstream(text)?;
    }
    Ok(text.to_owned())
}

impl Flags {
    /// These flags from before the command, and those behind it, which win where there can be only one.
    pub(super) fn and(self, behind: Flags) -> Flags {
        let Flags {
            config,
            mut manifests,
            zones,
            mut listen,
            mut listen_tls,
            mut listen_https,
            mut listen_quic,
            mut listen_http3,
            metrics_listen,
            api_listen,
            mut cluster_domain,
            state_dir,
            mut forward,
        } = self;
        manifests.extend(behind.manifests);
        listen.extend(behind.listen);
        listen_tls.extend(behind.listen_tls);
        listen_https.extend(behind.listen_https);
        listen_quic.extend(behind.listen_quic);
        listen_http3.extend(behind.listen_http3);
        forward.extend(behind.forward);
        cluster_domain.extend(behind.cluster_domain);
        Flags {
            config: behind.config.or(config),
            manifests,
            zones: behind.zones.or(zones),
            listen,
            listen_tls,
            listen_https,
            listen_quic,
            listen_http3,
            metrics_listen: behind.metrics_listen.or(metrics_listen),
            api_listen: behind.api_listen.or(api_listen),
            cluster_domain,
            state_dir: behind.state_dir.or(state_dir),
            forward,
        }
    }

    pub(super) fn overrides(&self) -> Overrides {
        let Flags {
            config,
            manifests,
            zones,
            listen,
            listen_tls,
            listen_https,
            listen_quic,
            listen_http3,
            metrics_listen,
            api_listen,
            cluster_domain,
            state_dir,
            forward,
        } = self.clone();
        Overrides {
            config,
            manifests,
            zones,
            listen,
            listen_tls,
            listen_https,
            listen_quic,
            listen_http3,
            metrics_listen,
            api_listen,
            cluster_domain,
            state_directory: state_dir,
            forward,
        }
    }
}

/// Runs a command that takes no flags of [`Flags`]; given ones are a mistake and not silently ignored.
pub(super) fn without_flags(flags: &Flags, command: &str, run: impl FnOnce() -> u8) -> u8 {
    if *flags == Flags::default() {
        return run();
    }
    let message = format!("`{command}` takes no settings such as --listen or --config");
    let _ = Arguments::command().error(ErrorKind::ArgumentConflict, message).print();
    EXIT_USAGE
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_behind_the_command() {
        let parse = |line: &str| {
            let Arguments { flags, command } = Arguments::try_parse_from(line.split(' ')).unwrap();
            match command {
                Some(Command::Serve(more) | Command::Check { flags: more, .. } | Command::Wait { flags: more, .. }) => {
                    flags.and(more)
                }
                _ => flags,
            }
        };
        let expected = Flags {
            config: Some("c".into()),
            manifests: vec!["a".into(), "b".into()],
            listen: vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()],
            state_dir: Some("none".into()),
            ..Flags::default()
        };
        let rows = [
            "p --config c --manifests a --manifests b --listen 127.0.0.1:1 --listen [::1]:2 --state-dir none",
            "p serve --config c --manifests a --manifests b --listen 127.0.0.1:1 --listen [::1]:2 --state-dir none",
            "p --config x --manifests a --listen 127.0.0.1:1 serve --manifests b \
             --listen [::1]:2 --state-dir none --config c",
            "p --state-dir none --manifests a check --config c --manifests b --listen 127.0.0.1:1 \
             --listen [::1]:2 --strict",
        ];
        for row in rows {
            assert_eq!(parse(row), expected, "{row}");
        }
        for wrong in [
            "p --listen 127.0.0.1",
            "p --lisen x",
            "p serve x",
            "p demo",
            "p check --fast",
            "p wait",
            "p wait --service a --timeout 5",
        ] {
            assert!(Arguments::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }
}
