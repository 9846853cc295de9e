//! The section `tls`: where the certificate comes from.

use super::{Settings, checked::CheckedSettings};
use crate::{
    program::certificate::CertificateSource,
    text::{diagnostic::Diagnostic, options},
};
use serde::Deserialize;
use std::path::PathBuf;

/// Most names in a self-signed certificate.
const CERTIFICATE_NAMES_MAX: usize = 64;

/// The section `tls` of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileTls {
    #[serde(deserialize_with = "options::none_or_path")]
    pub certificate: Option<PathBuf>,
    #[serde(deserialize_with = "options::none_or_path")]
    pub key: Option<PathBuf>,
    pub self_signed: Vec<String>,
}

/// Where the section has the certificate come from.
pub(super) fn source(checked: &mut CheckedSettings<'_>, tls: FileTls) -> Option<CertificateSource> {
    let FileTls { certificate, key, self_signed } = tls;
    let self_signed = Some(self_signed).filter(|names| !names.is_empty());
    match (certificate, key, self_signed) {
        (None, None, None) => None,
        (Some(certificate), Some(key), None) => {
            Some(CertificateSource::Files { certificate: checked.beside(&certificate), key: checked.beside(&key) })
        }
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
    }
}

fn names_of(checked: &mut CheckedSettings<'_>, names: Vec<String>) -> Vec<String> {
    const HELP: &str = "write names and addresses that clients know this server by, such as dns.example and 127.0.0.1";
    if names.len() > CERTIFICATE_NAMES_MAX {
        checked.refuse(
            "tls.selfSigned",
            format!("{} names where at most {CERTIFICATE_NAMES_MAX} belong", names.len()),
            HELP,
        );
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

/// What is wrong once file, environment and flags are put together: nobody can be served without a certificate.
pub(super) fn without_certificate(settings: &Settings) -> Option<Diagnostic> {
    let encrypted = &settings.encrypted;
    if encrypted.is_empty() || settings.tls.is_some() {
        return None;
    }
    let lists = encrypted.lists();
    let keys: Vec<&str> = lists.iter().filter(|(.., list)| !list.is_empty()).map(|(_, key, _)| *key).collect();
    let file = settings.file.clone().unwrap_or_default();
    let message = format!("there is no certificate for {}", keys.join(", "));
    let help = "name files with `tls: {certificate: FILE, key: FILE}`, or for a demo write `tls: {selfSigned: \
                [localhost, 127.0.0.1]}` into the settings file";
    Some(Diagnostic::error(&file, message).field("tls").help(help))
}
