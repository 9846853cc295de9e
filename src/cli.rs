//! The command line: arguments to a command, a command to an exit code.

use std::process::ExitCode;

/// Everything is fine.
pub const EXIT_OK: u8 = 0;
/// The command line is wrong (sysexits EX_USAGE).
pub const EXIT_USAGE: u8 = 64;
/// Something inside ended that must not (EX_SOFTWARE).
pub const EXIT_INTERNAL: u8 = 70;
/// A permission is missing: a port below 1024, an unreadable directory (EX_NOPERM).
pub const EXIT_PERMISSION: u8 = 77;
/// Settings, manifests or zones are wrong (EX_CONFIG).
pub const EXIT_CONFIGURATION: u8 = 78;

/// Runs the program.
pub fn main() -> ExitCode {
    ExitCode::from(EXIT_OK)
}
