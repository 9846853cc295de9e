//! The command line: arguments to a command, a command to an exit code.

mod arguments;
mod check;
mod down;
mod explain;
mod kubeconfig;
mod serve;
mod wait;

use crate::{
    program::{
        exit::Exit,
        settings::{Overrides, Settings},
    },
    text::{
        diagnostic::{self, Diagnostic},
        escape::visible_lines,
        regular_file,
    },
};
use arguments::{Arguments, CliCommand, Unreadable};
use std::{ffi::OsString, io, io::Write as _, process::ExitCode};

/// Runs the program.
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os()))
}

/// Runs the program with the given arguments, of which the first is its own name.
fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let Arguments { overrides, command } = match arguments::read(arguments) {
        Ok(arguments) => arguments,
        Err(Unreadable::CommandLine(error)) => return print(&error),
        Err(Unreadable::Variables(wrong)) => {
            diagnostic::print(&wrong);
            return Exit::Configuration;
        }
    };
    match command {
        None | Some(CliCommand::Serve) => serve::serve(overrides),
        Some(CliCommand::Check { strict }) => check::check(&overrides, strict),
        Some(CliCommand::Explain(wanted)) => explain::explain(&overrides, &wanted),
        Some(CliCommand::Wait { service, ready, timeout, server }) => {
            wait::wait(&overrides, server, &wait::WaitArguments { service, ready, timeout })
        }
        Some(CliCommand::Kubeconfig { server }) => kubeconfig::kubeconfig(&overrides, server.as_deref()),
        Some(CliCommand::Down) => down::down(&overrides),
        Some(CliCommand::Demo { files }) => crate::program::demo::run(&files),
        Some(CliCommand::Version) => {
            say(&format!("{} {}\n", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")));
            Exit::Ok
        }
    }
}

/// Prints what clap says. Help and version come this way, too, on standard output; a closed pipe there is no mistake.
fn print(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    let _ = match visible_lines(&text) {
        // An argument may be anything, and stands in the message as it is.
        shown if shown != text => io::stderr().write_all(shown.as_bytes()),
        _ => error.print(),
    };
    if error.use_stderr() { Exit::Usage } else { Exit::Ok }
}

/// Settings and warnings; or the exit code, when everything that is wrong has been printed.
fn settings(overrides: &Overrides) -> Result<(Settings, Vec<Diagnostic>), Exit> {
    Settings::load(overrides).map_err(|errors| {
        diagnostic::print(&errors);
        if may_not_be_read(overrides) { Exit::Permission } else { Exit::Configuration }
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
