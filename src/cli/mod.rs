//! The command line: arguments to a command, a command to an exit code.

mod arguments;
mod check;
mod explain;
mod kubeconfig;
mod serve;
mod wait;

use crate::{
    diagnostic::{self, Diagnostic},
    escape::visible_lines,
    regular_file,
    settings::{Overrides, Settings},
};
use arguments::{Arguments, Command, Flags};
use clap::Parser as _;
use std::{ffi::OsString, io, io::Write as _, process::ExitCode};

/// Everything is fine.
pub const EXIT_OK: u8 = 0;
/// The name that was asked about has no records (`explain`); nothing is wrong with the program.
pub const EXIT_ABSENT: u8 = 1;
/// The command line is wrong (sysexits EX_USAGE).
pub const EXIT_USAGE: u8 = 64;
/// Something inside ended that must not (EX_SOFTWARE), or the system refused something that no setting can change.
pub const EXIT_INTERNAL: u8 = 70;
/// What `wait` waited for did not come in time (EX_TEMPFAIL).
pub const EXIT_TIMED_OUT: u8 = 75;
/// A permission is missing: a port below 1024, an unreadable settings file, a state directory that cannot be written
/// (EX_NOPERM).
pub const EXIT_PERMISSION: u8 = 77;
/// Settings, manifests or zones are wrong, an address is not to be had, such as a port that another program has, or what
/// is in the state directory cannot be used (EX_CONFIG). Starting again without a change will not help.
pub const EXIT_CONFIGURATION: u8 = 78;

/// Runs the program.
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os()))
}

/// Runs the program with the given arguments, of which the first is its own name; returns the exit code.
fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let Arguments { flags, command } = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way, too, on standard output; a closed pipe there is no mistake.
            let text = error.render().to_string();
            let _ = match visible_lines(&text) {
                // An argument may be anything, and stands in the message as it is.
                shown if shown != text => io::stderr().write_all(shown.as_bytes()),
                _ => error.print(),
            };
            return if error.use_stderr() { EXIT_USAGE } else { EXIT_OK };
        }
    };
    match command {
        None => serve::serve(&flags),
        Some(Command::Serve(more)) => serve::serve(&flags.and(more)),
        Some(Command::Check { flags: more, strict }) => check::check(&flags.and(more), strict),
        Some(Command::Explain { flags: more, wanted }) => explain::explain(&flags.and(more), &wanted),
        Some(Command::Wait { flags: more, service, ready, timeout, server }) => {
            wait::wait(&flags.and(more), server, &wait::Wanted { service, ready, timeout })
        }
        Some(Command::Kubeconfig { flags: more, server }) => {
            kubeconfig::kubeconfig(&flags.and(more), server.as_deref())
        }
        Some(Command::Demo { files }) => arguments::without_flags(&flags, "demo", || crate::demo::run(&files)),
        Some(Command::Version) => arguments::without_flags(&flags, "version", || {
            say(&format!("{} {}\n", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")));
            EXIT_OK
        }),
    }
}

/// Flags and environment to what wins over the settings file; or the exit code, when everything that is wrong has been
/// printed.
fn overrides(flags: &Flags) -> Result<Overrides, u8> {
    flags.overrides().or_environment(|name| std::env::var_os(name)).map_err(|errors| {
        diagnostic::print(&errors);
        EXIT_CONFIGURATION
    })
}

/// Settings and warnings; or the exit code, when everything that is wrong has been printed.
fn settings(overrides: &Overrides) -> Result<(Settings, Vec<Diagnostic>), u8> {
    Settings::load(overrides).map_err(|errors| {
        diagnostic::print(&errors);
        if may_not_be_read(overrides) { EXIT_PERMISSION } else { EXIT_CONFIGURATION }
    })
}

/// Whether the settings file is there but this user may not read it.
fn may_not_be_read(overrides: &Overrides) -> bool {
    let file = Settings::file(overrides).map(|file| regular_file::open(&file));
    matches!(file, Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied)
}

/// Writes on standard output at once. Nobody may be reading (`headless-dns | head -1`), which is no reason to stop.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(visible_lines(text).as_bytes()).and_then(|()| out.flush());
}
