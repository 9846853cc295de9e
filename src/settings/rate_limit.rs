//! `rateLimit` and `cookies`: what keeps this server from flooding somebody in whose name others ask.

use super::{
    Settings,
    file::{Checked, SECOND, beside},
    text::Text,
};
use crate::{regular_file, wire::cookie::Secret};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Cookies of DNS (RFC 7873), which clients always get that ask for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsCookies {
    /// The file of the secrets; `None` has the server make them itself, new ones each day.
    pub secret_file: Option<PathBuf>,
    /// Whether clients that send a cookie over UDP have to know ours before they are answered; default no.
    pub required: bool,
}

/// How many replies over UDP go to one network; by default any number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Replies of one kind to one network in a second, 0–1,000,000; 0, the default, for any number.
    pub responses: u32,
    /// For how long a network that asked for too much gets less; 1 s–1 h, default 15 s.
    pub window: Duration,
    /// Of so many replies beyond the rate one has its client come again, over TCP or with a cookie; 0–100, 0 for none,
    /// default 2.
    pub slip: u32,
    /// How many bits of an IPv4 address make a network, 1–32; default 24.
    pub ipv4_prefix: u32,
    /// How many bits of an IPv6 address make a network, 1–128; default 56.
    pub ipv6_prefix: u32,
    /// How many pairs of a network and a kind are told apart, 8–10,000,000; default 100,000, of 32 octets each.
    pub table: usize,
}

impl RateLimit {
    /// No limit.
    pub fn off() -> RateLimit {
        RateLimit {
            responses: 0,
            window: Duration::from_secs(15),
            slip: 2,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            table: 100_000,
        }
    }
}

/// The section `cookies` of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileCookies {
    pub secret_file: Option<PathBuf>,
    pub required: Option<bool>,
}

/// The section `rateLimit` of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileRateLimit {
    pub responses: Option<u32>,
    pub window: Option<Text<Duration>>,
    pub slip: Option<u32>,
    pub ipv4_prefix: Option<u32>,
    pub ipv6_prefix: Option<u32>,
    pub table: Option<usize>,
}

/// Octets of a file of secrets that are read.
const LARGEST: u64 = 4096;
/// Secrets of one file: the new one, the one in use, the one before.
const SECRETS: usize = 3;

/// Reads secrets of 128 bits in hexadecimal, one in a line; cookies are made with the first one.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence.
pub fn read_cookie_secrets(path: &Path) -> Result<Vec<Secret>, String> {
    let text = regular_file::read_text(path, LARGEST);
    let text = text.map_err(|error| format!("the secrets cannot be read: {error}"))?;
    let mut secrets = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let octets = HEXLOWER_PERMISSIVE.decode(line.trim().as_bytes()).ok().and_then(|octets| octets.try_into().ok());
        let octets = octets.ok_or_else(|| format!("line {} is no secret of 32 hexadecimal digits", number + 1))?;
        secrets.push(Secret::new(octets));
    }
    match secrets.len() {
        1..=SECRETS => Ok(secrets),
        0 => Err("there is no secret in it".to_owned()),
        count => Err(format!("{count} secrets are more than the {SECRETS} that are accepted")),
    }
}

impl Checked<'_> {
    pub(super) fn cookies(&mut self, settings: &mut Settings, directory: &Path, cookies: FileCookies) {
        let FileCookies { secret_file, required } = cookies;
        let into = &mut settings.cookies;
        into.required = required.unwrap_or(into.required);
        let Some(file) = secret_file else { return };
        into.secret_file = (file.as_os_str() != "none").then(|| beside(directory, &file));
        if let Some(Err(message)) = into.secret_file.as_deref().map(read_cookie_secrets) {
            self.refuse("cookies.secretFile", message, "make one with `openssl rand -hex 16`");
        }
    }

    pub(super) fn rate_limit(&mut self, settings: &mut Settings, limit: FileRateLimit) {
        let FileRateLimit { responses, window, slip, ipv4_prefix, ipv6_prefix, table } = limit;
        let into = &mut settings.rate_limit;
        for (key, value, into, least, most) in [
            ("responses", responses, &mut into.responses, 0, 1_000_000),
            ("slip", slip, &mut into.slip, 0, 100),
            ("ipv4Prefix", ipv4_prefix, &mut into.ipv4_prefix, 1, 32),
            ("ipv6Prefix", ipv6_prefix, &mut into.ipv6_prefix, 1, 128),
        ] {
            if let Some(number) = value {
                *into = self.range(&format!("rateLimit.{key}"), number, least, most);
            }
        }
        if let Some(number) = table {
            into.table = self.range("rateLimit.table", number, 8, 10_000_000);
        }
        self.duration("rateLimit.window", window, &mut into.window, SECOND, 3600 * SECOND);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_of_secrets() {
        const ONE: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf\n";
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cookie.secret");
        let two = format!("{}{ONE}", "445536BCD2513298075A5D379663C962\r\n");
        #[rustfmt::skip]
        let rows = [
            (ONE.to_owned(), Ok(1)),
            (format!("\n{two}"), Ok(2)),
            (ONE.repeat(3), Ok(3)),
            (ONE.repeat(4), Err("more than the 3")),
            (String::new(), Err("no secret in it")),
            (format!("{ONE}abc\n"), Err("line 2 is no secret")),
            (ONE[..30].to_owned(), Err("line 1 is no secret")),
            (format!("{}\n", "x".repeat(32)), Err("line 1 is no secret")),
        ];
        for (text, expected) in rows {
            std::fs::write(&path, &text).unwrap();
            match (read_cookie_secrets(&path), expected) {
                (Ok(secrets), Ok(count)) => assert_eq!(secrets.len(), count, "{text}"),
                (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
        assert!(read_cookie_secrets(directory.path()).unwrap_err().contains("it is a directory"));
        assert!(read_cookie_secrets(&directory.path().join("none")).unwrap_err().contains("cannot be read"));
    }
}
