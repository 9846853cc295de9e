//! The bearer token of the API, from its file.

use crate::text::{diagnostic::Diagnostic, regular_file};
use std::path::Path;

/// Shortest token that is taken, in octets: one of that length cannot be guessed.
const TOKEN_OCTETS_MIN: usize = 16;
/// Longest token, in octets.
const TOKEN_OCTETS_MAX: usize = 4096;
/// Largest file that is read, in octets: a token and a line's end.
const TOKEN_FILE_OCTETS_MAX: u64 = 4098;

/// Reads the token of the API.
///
/// # Errors
/// What is wrong with the file, and what to do about it.
pub fn read_token(path: &Path) -> Result<String, Box<Diagnostic>> {
    let wrong = |message: String| {
        let help = "make one with `head -c 32 /dev/urandom | base64 > FILE` and let only this user read it";
        Box::new(Diagnostic::error(path, message).help(help))
    };
    let text = regular_file::read_text(path, TOKEN_FILE_OCTETS_MAX);
    let text = text.map_err(|error| wrong(format!("the API's token cannot be read: {error}")))?;
    let token = text.trim();
    let is_token = token.bytes().all(|octet| octet.is_ascii_graphic());
    if !is_token || !(TOKEN_OCTETS_MIN..=TOKEN_OCTETS_MAX).contains(&token.len()) {
        return Err(wrong(format!(
            "the API's token must be {TOKEN_OCTETS_MIN} to {TOKEN_OCTETS_MAX} printable characters on one line"
        )));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        assert!(read_token(&path).is_err());
        for (text, taken) in [
            ("0123456789abcdef\n", true),
            ("short", false),
            ("", false),
            ("two words of sixteen", false),
            ("0123456789abcdef\nmore of it", false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_token(&path).is_ok(), taken, "{text:?}");
        }
    }
}
