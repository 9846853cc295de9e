//! The annotations of this program, all of which begin with `headless-dns/`; and the values of those that people write.

/// What the keys begin with.
pub const PREFIX: &str = "headless-dns/";
/// What the keys begin with that say how a simulated pod behaves.
pub const SIMULATION_PREFIX: &str = "simulation.headless-dns/";

/// Annotation on every object that a manifest declares: `manifest`. Without it an object is a client's or a
/// controller's, and taking files away never touches it.
pub const ORIGIN: &str = "headless-dns/origin";
/// Annotation by which version 0.1.0 remembered beside [`ORIGIN`] which version of the manifest it applied last.
pub const APPLIED: &str = "headless-dns/applied";
/// Annotation that people write: `orphan` keeps the dependents when the manifest goes; anything else deletes them.
pub const CASCADE: &str = "headless-dns/cascade";
/// Every annotation that something reads.
pub const KNOWN: [&str; 4] = [APPLIED, CASCADE, ORIGIN, TTL_ANNOTATION];

/// Annotation of a Service: the TTL in seconds of all its records, 0 to [`LONGEST_TTL`].
pub const TTL_ANNOTATION: &str = "headless-dns/ttl";
/// Most that a TTL may be, in seconds; CoreDNS has the same limit.
pub const LONGEST_TTL: u32 = 3600;

/// Annotation (and label) of a pod of an indexed Job: its index.
pub const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";

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
