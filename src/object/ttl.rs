//! The annotation of a Service that says how long clients may keep its records.

/// Annotation of a Service: the TTL in seconds of all its records, 0 to [`LONGEST_TTL`].
pub const TTL_ANNOTATION: &str = "headless-dns/ttl";
/// Most that a TTL may be, in seconds; CoreDNS has the same limit.
pub const LONGEST_TTL: u32 = 3600;

/// Reads the value of [`TTL_ANNOTATION`].
///
/// # Errors
/// What is wrong with it; the TTLs of the settings hold then.
pub fn parse_ttl(text: &str) -> Result<u32, String> {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    match text.parse() {
        Ok(ttl @ 0..=LONGEST_TTL) if is_number => Ok(ttl),
        _ => Err(format!("`{text}` is no whole number of seconds from 0 to {LONGEST_TTL}")),
    }
}
