//! Settings of the encrypted transports: where they are served, and with which certificate.

use super::{
    Settings,
    file::{Checked, beside},
    text::Text,
};
use crate::diagnostic::Diagnostic;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Most names in a self-signed certificate.
const NAMES: usize = 64;

/// Addresses of the encrypted transports; none by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Encrypted {
    /// DNS over TLS (RFC 7858).
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS (RFC 8484).
    pub https: Vec<SocketAddr>,
    /// DNS over QUIC (RFC 9250).
    pub quic: Vec<SocketAddr>,
    /// DNS over HTTP/3 (RFC 8484 over RFC 9114).
    pub http3: Vec<SocketAddr>,
    /// What is shown to clients; `None` only where there are no addresses.
    pub certificate: Option<CertificateSource>,
}

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum CertificateSource {
    /// PEM files, which are read again when they change.
    Files {
        /// The certificate, and those that lead to its root.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Made at the start for these names and addresses, and signed by itself.
    SelfSigned(Vec<String>),
}

/// The section `tls` of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileTls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub self_signed: Option<Vec<String>>,
}

impl Encrypted {
    /// Whether there is anything to be served.
    pub fn is_empty(&self) -> bool {
        self.tls.is_empty() && self.https.is_empty() && self.quic.is_empty() && self.http3.is_empty()
    }
}

/// Takes the section into the settings.
pub(super) fn apply(checked: &mut Checked<'_>, settings: &mut Settings, directory: &Path, tls: FileTls) {
    let FileTls { certificate, key, self_signed } = tls;
    let named = |path: Option<PathBuf>| path.filter(|path| path.as_os_str() != "none");
    let (certificate, key) = (named(certificate), named(key));
    let self_signed = self_signed.filter(|names| !names.is_empty());
    settings.encrypted.certificate = match (certificate, key, self_signed) {
        (None, None, None) => None,
        (Some(certificate), Some(key), None) => Some(CertificateSource::Files {
            certificate: beside(directory, &certificate),
            key: beside(directory, &key),
        }),
        (None, None, Some(names)) => Some(CertificateSource::SelfSigned(names_of(checked, names))),
        (_, _, Some(_)) => {
            let help = "remove selfSigned, or the files";
            checked.refuse("tls.selfSigned", "the certificate comes from files already".to_owned(), help);
            None
        }
        (Some(_), None, None) => {
            let help = "name the file of the private key as tls.key; it may be the same file";
            checked.refuse("tls.certificate", "a certificate is of no use without its key".to_owned(), help);
            None
        }
        (None, Some(_), None) => {
            let help = "name the file of the certificate as tls.certificate; it may be the same file";
            checked.refuse("tls.key", "a key is of no use without its certificate".to_owned(), help);
            None
        }
    };
}

fn names_of(checked: &mut Checked<'_>, names: Vec<String>) -> Vec<String> {
    const HELP: &str = "write names and addresses that clients know this server by, such as dns.example and 127.0.0.1";
    if names.len() > NAMES {
        checked.refuse("tls.selfSigned", format!("{} names where at most {NAMES} belong", names.len()), HELP);
    }
    for (index, name) in names.iter().enumerate() {
        let is_name = name.split('.').all(|label| !label.is_empty() && label.len() <= 63)
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._*".contains(&octet))
            && name.len() <= 253;
        if !is_name && name.parse::<std::net::IpAddr>().is_err() {
            checked.refuse(&format!("tls.selfSigned[{index}]"), format!("`{name}` is no name of a server"), HELP);
        }
    }
    names
}

/// Addresses of a list; none is fine.
pub(super) fn addresses(checked: &mut Checked<'_>, key: &str, addresses: Vec<Text<SocketAddr>>) -> Vec<SocketAddr> {
    let mut listen: Vec<SocketAddr> = Vec::new();
    for (index, Text(address)) in addresses.into_iter().enumerate() {
        if address.port() != 0 && listen.contains(&address) {
            checked.refuse(&format!("{key}[{index}]"), format!("{address} stands twice"), "remove one");
        }
        listen.push(address);
    }
    listen
}

/// What is wrong once file, environment and flags are put together: nobody can be served without a certificate.
pub(super) fn without_certificate(settings: &Settings) -> Option<Diagnostic> {
    let encrypted = &settings.encrypted;
    if encrypted.is_empty() || encrypted.certificate.is_some() {
        return None;
    }
    let lists = [
        ("listenTls", &encrypted.tls),
        ("listenHttps", &encrypted.https),
        ("listenQuic", &encrypted.quic),
        ("listenHttp3", &encrypted.http3),
    ];
    let keys: Vec<&str> = lists.iter().filter(|(_, list)| !list.is_empty()).map(|(key, _)| *key).collect();
    let file = settings.file.clone().unwrap_or_default();
    let message = format!("there is no certificate for {}", keys.join(", "));
    let help = "name files with `tls: {certificate: FILE, key: FILE}`, or for a demo write `tls: {selfSigned: \
                [localhost, 127.0.0.1]}` into the settings file";
    Some(Diagnostic::error(&file, message).field("tls").help(help))
}
