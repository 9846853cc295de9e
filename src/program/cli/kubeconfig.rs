//! `headless-dns kubeconfig`: what kubectl must know to reach the API.

use super::{say, settings};
use crate::{
    program::{
        app::read_token,
        certificate::{CertificateSource, FILE_OCTETS_MAX},
        exit::Exit,
        settings::{Overrides, Settings},
    },
    text::{
        diagnostic::{self, Diagnostic},
        escape::visible_json,
        regular_file,
    },
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// Name of cluster, context and user.
const NAME: &str = "headless-dns";

pub(super) fn kubeconfig(overrides: &Overrides, server: Option<&str>) -> Exit {
    let loaded = settings(overrides);
    let (settings, warnings) = match loaded {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    diagnostic::print(&warnings);
    match document(&settings, server) {
        // JSON is YAML, and kubectl reads both.
        Ok(document) => {
            say(&(visible_json(&format!("{document:#}")) + "\n"));
            Exit::Ok
        }
        Err(wrong) => {
            diagnostic::print(&[*wrong]);
            Exit::Configuration
        }
    }
}

fn document(settings: &Settings, server: Option<&str>) -> Result<Value, Box<Diagnostic>> {
    let file = settings.file.clone().unwrap_or_default();
    let Some(address) = settings.api_listen else {
        let message = "the settings have no apiListen, so that there is no API to reach".to_owned();
        return Err(Box::new(Diagnostic::error(&file, message).help("serve it with --api-listen 127.0.0.1:8001")));
    };
    if address.port() == 0 && server.is_none() {
        let message = "apiListen takes any free port, which only the running server knows".to_owned();
        return Err(Box::new(Diagnostic::error(&file, message).help("name the server with --server URL")));
    }
    let scheme = if settings.api_token_file.is_some() { "https" } else { "http" };
    let server = server.map_or_else(|| format!("{scheme}://{}", reachable(address)), str::to_owned);
    let mut cluster = json!({"server": server});
    let mut user = json!({});
    if let Some(token) = &settings.api_token_file {
        user["token"] = read_token(token)?.into();
        match &settings.tls {
            Some(CertificateSource::Files { certificate, .. }) => {
                cluster["certificate-authority-data"] = BASE64.encode(&read(certificate)?).into();
            }
            // It is made at each start; nobody else can know it.
            _ => cluster["insecure-skip-tls-verify"] = true.into(),
        }
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": cluster}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "users": [{"name": NAME, "user": user}],
    }))
}

fn read(path: &Path) -> Result<Vec<u8>, Box<Diagnostic>> {
    regular_file::read(path, FILE_OCTETS_MAX)
        .map_err(|error| Box::new(Diagnostic::error(path, format!("the file cannot be read: {error}"))))
}

/// The address by which this machine reaches it.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_kubectl_is_told() {
        let mut settings = Settings::defaults();
        assert!(document(&settings, None).is_err());
        settings.api_listen = Some("127.0.0.1:8001".parse().unwrap());
        let plain = document(&settings, None).unwrap();
        assert_eq!(plain["clusters"][0]["cluster"], json!({"server": "http://127.0.0.1:8001"}));
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        fs::write(&token, "0123456789abcdef\n").unwrap();
        settings.api_listen = Some("0.0.0.0:8443".parse().unwrap());
        settings.api_token_file = Some(token);
        settings.tls = Some(CertificateSource::SelfSigned(Vec::new()));
        let protected = document(&settings, None).unwrap();
        assert_eq!(protected["users"][0]["user"]["token"], "0123456789abcdef");
        let expected = json!({"server": "https://127.0.0.1:8443", "insecure-skip-tls-verify": true});
        assert_eq!(protected["clusters"][0]["cluster"], expected);
        let named = document(&settings, Some("https://dns.example:8443")).unwrap();
        assert_eq!(named["clusters"][0]["cluster"]["server"], "https://dns.example:8443");
    }
}
