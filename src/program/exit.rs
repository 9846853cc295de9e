//! The exit codes of the program.

use std::process::ExitCode;

/// How the program ends; the numbers from 64 up are those of sysexits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything is fine.
    Ok = 0,
    /// What was asked does not hold, and nothing is wrong with the program: the name has no records (`explain`), or an
    /// expectation of a scenario was not met (`demo`).
    Unmet = 1,
    /// The command line is wrong (EX_USAGE).
    Usage = 64,
    /// Something inside ended that must not (EX_SOFTWARE), or the system refused something that no setting can change.
    Internal = 70,
    /// What `wait` waited for did not come in time (EX_TEMPFAIL).
    TimedOut = 75,
    /// A permission is missing: a port below 1024, an unreadable settings file, a state directory that cannot be written
    /// (EX_NOPERM).
    Permission = 77,
    /// Settings, manifests or zones are wrong, an address is not to be had, such as a port that another program has, or
    /// what is in the state directory cannot be used (EX_CONFIG). Starting again without a change will not help.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
