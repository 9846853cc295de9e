//! The section `transfer`: keys as the file has them, and what several of its keys together can get wrong.

use super::checked::CheckedSettings;
use crate::{
    dns::{
        name::Name,
        serve::{NotifyTarget, Permission, TransferPolicy},
        wire::tsig::{Algorithm, TsigKey},
    },
    text::{
        options::{self, Written},
        regular_file,
    },
};
use data_encoding::BASE64;
use serde::Deserialize;
use std::{path::PathBuf, sync::Arc};

/// What the section has beside [`TransferPolicy`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileKeys {
    pub keys: Vec<FileKey>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileKey {
    #[serde(deserialize_with = "options::some")]
    pub name: Option<Name>,
    #[serde(deserialize_with = "options::some")]
    pub algorithm: Option<Algorithm>,
    pub secret: Option<String>,
    pub secret_file: Option<PathBuf>,
}

impl Written for Algorithm {
    const EXPECTED: &str = "an algorithm such as hmac-sha256";
    fn read(text: &str) -> Result<Algorithm, String> {
        let bare = text.strip_prefix("hmac-").unwrap_or(text);
        let found = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name()[5..].eq_ignore_ascii_case(bare));
        found.ok_or_else(|| {
            let names = Algorithm::ALL.map(Algorithm::name).join(", ");
            format!("`{text}` is no algorithm of keys here; there are {names}")
        })
    }
}

impl CheckedSettings<'_> {
    /// The keys with their secrets, some of which are in files.
    pub(super) fn transfer_keys(&mut self, FileKeys { keys }: FileKeys) -> Vec<Arc<TsigKey>> {
        let mut known: Vec<Arc<TsigKey>> = Vec::new();
        for (index, FileKey { name, algorithm, secret, secret_file }) in keys.into_iter().enumerate() {
            let field = format!("transfer.keys[{index}]");
            let Some(name) = name else {
                self.refuse(&field, "the key has no name".to_owned(), "write the name that both sides know it by");
                continue;
            };
            let (field, text) = match (secret, secret_file) {
                (Some(secret), None) => (format!("{field}.secret"), Ok(secret)),
                (None, Some(file)) => (
                    format!("{field}.secretFile"),
                    regular_file::read_text(&self.beside(&file), SECRET_FILE_OCTETS_MAX),
                ),
                _ => {
                    let message = format!("the key {name} needs either a secret or a secretFile");
                    self.refuse(&field, message, "make one with `openssl rand -base64 32`");
                    continue;
                }
            };
            let secret = match text {
                Err(error) => Err(format!("the secret cannot be read: {error}")),
                Ok(text) => BASE64
                    .decode(text.trim().as_bytes())
                    .map_err(|_| "the secret is not in base64".to_owned())
                    .and_then(|secret| if secret.is_empty() { Err("the secret is empty".into()) } else { Ok(secret) }),
            };
            let secret = match secret {
                Ok(secret) => secret,
                Err(message) => {
                    self.refuse(&field, message, "make one with `openssl rand -base64 32`");
                    continue;
                }
            };
            if secret.len() < SECRET_OCTETS_MIN {
                let message = format!("a secret of {} octets can be guessed", secret.len());
                self.doubt(&field, message, "make one with `openssl rand -base64 32`");
            }
            if known.iter().any(|other| *other.name() == name) {
                self.refuse(&field, format!("a second key {name}"), "give each key a name of its own");
            }
            let algorithm = algorithm.unwrap_or(Algorithm::Sha256);
            known.push(Arc::new(TsigKey::new(name, algorithm, &secret)));
        }
        known
    }

    /// What only several keys together can get wrong.
    pub(super) fn transfer_together(&mut self, transfer: &TransferPolicy) {
        let missing = |key: &Option<Name>| key.clone().filter(|key| !transfer.keys.iter().any(|own| own.name() == key));
        for (index, Permission { from, key }) in transfer.to.iter().enumerate() {
            let field = format!("transfer.to[{index}]");
            if let Some(key) = missing(key) {
                self.refuse(&field, format!("there is no key {key}"), "add it to transfer.keys");
            }
            if key.is_none() && from.is_some_and(|range| range.prefix_len() == 0) {
                let message = "everybody may copy all zones".to_owned();
                self.doubt(&field, message, "name the secondaries, or have them use a key");
            }
        }
        for (index, NotifyTarget { address, key }) in transfer.notify.iter().enumerate() {
            let field = format!("transfer.notify[{index}]");
            if let Some(key) = missing(key) {
                self.refuse(&field, format!("there is no key {key}"), "add it to transfer.keys");
            }
            if !transfer.to.iter().any(|to| to.from.is_none_or(|range| range.contains(&address.ip()))) {
                let message = format!("{} is told of changes, but may not transfer them", address.ip());
                self.doubt(&field, message, "add it to transfer.to");
            }
        }
    }
}

/// The largest file with a secret, in octets.
const SECRET_FILE_OCTETS_MAX: u64 = 64 << 10;
/// A secret of fewer octets (128 bits) gets a warning.
const SECRET_OCTETS_MIN: usize = 16;
