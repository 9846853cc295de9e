//! The section `cookies`: how clients are known over UDP.

use super::checked::CheckedSettings;
use crate::{
    dns::wire::cookie::Secret,
    text::{
        options::{self, options},
        regular_file,
    },
};
use data_encoding::HEXLOWER_PERMISSIVE;
use std::path::{Path, PathBuf};

options! {
    /// Cookies of DNS (RFC 7873), which clients always get that ask for them.
    #[derive(Eq)]
    pub struct DnsCookies {
        /// The file of the secrets; `None` has the server make them itself, new ones each day.
        #[serde(deserialize_with = "options::none_or_path")]
        pub secret_file: Option<PathBuf> = None;
        /// Whether clients that send a cookie over UDP have to know ours before they are answered.
        pub required: bool = false;
    }
}

/// Octets of a file of secrets that are read.
const SECRETS_FILE_OCTETS_MAX: u64 = 4096;
/// Secrets of one file: the new one, the one in use, the one before.
const SECRETS_MAX: usize = 3;

/// Reads secrets of 128 bits in hexadecimal, one in a line; cookies are made with the first one.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence.
pub fn read_cookie_secrets(path: &Path) -> Result<Vec<Secret>, String> {
    let text = regular_file::read_text(path, SECRETS_FILE_OCTETS_MAX);
    let text = text.map_err(|error| format!("the secrets cannot be read: {error}"))?;
    let mut secrets = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let octets = HEXLOWER_PERMISSIVE.decode(line.trim().as_bytes()).ok().and_then(|octets| octets.try_into().ok());
        let octets = octets.ok_or_else(|| format!("line {} is no secret of 32 hexadecimal digits", number + 1))?;
        secrets.push(Secret::new(octets));
    }
    match secrets.len() {
        1..=SECRETS_MAX => Ok(secrets),
        0 => Err("there is no secret in it".to_owned()),
        count => Err(format!("{count} secrets are more than the {SECRETS_MAX} that are accepted")),
    }
}

/// Says what is wrong with the file of the secrets.
pub(super) fn check(checked: &mut CheckedSettings<'_>, cookies: &DnsCookies) {
    if let Some(Err(message)) = cookies.secret_file.as_deref().map(read_cookie_secrets) {
        checked.refuse("cookies.secretFile", message, "make one with `openssl rand -hex 16`");
    }
}

#[cfg(test)]
mod tests {
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
