//! Who gets copies of the zones, with which keys, and who is told when they change.

use super::{
    Settings,
    file::{Checked, beside},
    text::{Text, Written},
};
use crate::{
    name::Name,
    regular_file,
    wire::tsig::{Algorithm, Key},
};
use data_encoding::BASE64;
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Zone transfers; with the defaults nobody gets one.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// Who may transfer zones.
    pub to: Vec<Permission>,
    /// Keys of TSIG, with which any query may be signed.
    pub keys: Vec<Arc<Key>>,
    /// Servers that are told when a zone has changed.
    pub notify: Vec<Target>,
    /// Records that came or went which each zone remembers for incremental transfers; default 100,000.
    pub journal_changes: usize,
    /// Octets of those records, of each zone; default 16 MiB.
    pub journal_octets: usize,
    /// Transfers that run at the same time, 1–1000; default 8. Others wait.
    pub concurrent: usize,
}

impl Transfer {
    /// Nobody gets anything.
    pub fn off() -> Transfer {
        Transfer {
            to: Vec::new(),
            keys: Vec::new(),
            notify: Vec::new(),
            journal_changes: 100_000,
            journal_octets: 16 << 20,
            concurrent: 8,
        }
    }
}

/// Who may transfer zones: whoever fulfils all that is given. At least one is.
#[derive(Debug, Clone, PartialEq)]
pub struct Permission {
    /// Where the query comes from.
    pub from: Option<IpNet>,
    /// What it is signed with.
    pub key: Option<Name>,
}

/// A server that is told of changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// What the message is signed with.
    pub key: Option<Name>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileTransfer {
    pub to: Option<Vec<Text<Permission>>>,
    pub keys: Option<Vec<FileKey>>,
    pub notify: Option<Vec<Text<Target>>>,
    pub journal: Option<FileJournal>,
    pub concurrent: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileKey {
    pub name: Option<Text<Name>>,
    pub algorithm: Option<Text<Algorithm>>,
    pub secret: Option<String>,
    pub secret_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileJournal {
    pub changes: Option<usize>,
    pub octets: Option<usize>,
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

impl Written for Permission {
    const EXPECTED: &str = "an address or range, a key, or both: 192.0.2.0/24 key secondary";
    fn read(text: &str) -> Result<Permission, String> {
        let (from, key) = with_key(text, Self::EXPECTED)?;
        let from = match from {
            None => None,
            Some(word) => match (word.parse::<IpNet>(), word.parse::<IpAddr>()) {
                (Ok(range), _) => Some(range.trunc()),
                (_, Ok(address)) => Some(address.into()),
                _ => return Err(format!("`{word}` is no address and no range; write {}", Self::EXPECTED)),
            },
        };
        if from.is_none() && key.is_none() {
            Err(format!("write {}", Self::EXPECTED))
        } else {
            Ok(Permission { from, key })
        }
    }
}

impl Written for Target {
    const EXPECTED: &str = "an address with its port, and maybe a key: 192.0.2.53:53 key secondary";
    fn read(text: &str) -> Result<Target, String> {
        let (address, key) = with_key(text, Self::EXPECTED)?;
        let address = address.and_then(|word| word.parse::<SocketAddr>().ok()).filter(|address| address.port() != 0);
        let address = address.ok_or_else(|| format!("`{text}` is no such server; write {}", Self::EXPECTED))?;
        Ok(Target { address, key })
    }
}

/// A word, and the name after `key`; each may be missing.
fn with_key<'t>(text: &'t str, expected: &str) -> Result<(Option<&'t str>, Option<Name>), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (word, key) = match words[..] {
        [word] if word != "key" => (Some(word), None),
        ["key", key] => (None, Some(key)),
        [word, "key", key] => (Some(word), Some(key)),
        _ => return Err(format!("`{text}` is not understood; write {expected}")),
    };
    let key = key.map(|key| Name::parse(key).map_err(|error| format!("`{key}` is no name of a key: {error}")));
    Ok((word, key.transpose()?))
}

impl Checked<'_> {
    pub(super) fn transfer(&mut self, settings: &mut Settings, directory: &Path, transfer: FileTransfer) {
        let FileTransfer { to, keys, notify, journal, concurrent } = transfer;
        let into = &mut settings.transfer;
        if let Some(keys) = keys {
            into.keys = self.keys(directory, keys);
        }
        if let Some(to) = to {
            into.to = to.into_iter().map(|Text(permission)| permission).collect();
        }
        if let Some(notify) = notify {
            into.notify = notify.into_iter().map(|Text(target)| target).collect();
        }
        if let Some(FileJournal { changes, octets }) = journal {
            let range = |number: Option<usize>, default| number.unwrap_or(default);
            into.journal_changes = range(changes, into.journal_changes);
            into.journal_octets = range(octets, into.journal_octets);
            into.journal_changes = self.range("transfer.journal.changes", into.journal_changes, 0, 10_000_000);
            into.journal_octets = self.range("transfer.journal.octets", into.journal_octets, 0, 1 << 30);
        }
        if let Some(number) = concurrent {
            into.concurrent = self.range("transfer.concurrent", number, 1, 1000);
        }
        self.transfer_together(&settings.transfer);
    }

    fn keys(&mut self, directory: &Path, keys: Vec<FileKey>) -> Vec<Arc<Key>> {
        let mut known: Vec<Arc<Key>> = Vec::new();
        for (index, FileKey { name, algorithm, secret, secret_file }) in keys.into_iter().enumerate() {
            let field = format!("transfer.keys[{index}]");
            let Some(Text(name)) = name else {
                self.refuse(&field, "the key has no name".to_owned(), "write the name that both sides know it by");
                continue;
            };
            let (field, text) = match (secret, secret_file) {
                (Some(secret), None) => (format!("{field}.secret"), Ok(secret)),
                (None, Some(file)) => (
                    format!("{field}.secretFile"),
                    regular_file::read_text(&beside(directory, &file), SECRET_FILE_LARGEST),
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
            if secret.len() < SHORT_SECRET {
                let message = format!("a secret of {} octets can be guessed", secret.len());
                self.doubt(&field, message, "make one with `openssl rand -base64 32`");
            }
            if known.iter().any(|other| *other.name() == name) {
                self.refuse(&field, format!("a second key {name}"), "give each key a name of its own");
            }
            let algorithm = algorithm.map_or(Algorithm::Sha256, |Text(algorithm)| algorithm);
            known.push(Arc::new(Key::new(name, algorithm, &secret)));
        }
        known
    }

    /// What only several keys together can get wrong.
    fn transfer_together(&mut self, transfer: &Transfer) {
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
        for (index, Target { address, key }) in transfer.notify.iter().enumerate() {
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
const SECRET_FILE_LARGEST: u64 = 64 << 10;
/// A secret of fewer octets (128 bits) gets a warning.
const SHORT_SECRET: usize = 16;
