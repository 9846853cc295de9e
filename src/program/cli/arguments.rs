//! Commands and flags; and the environment, which clap reads where no flag is given.

use crate::{program::settings::Overrides, text::diagnostic::Diagnostic, text::duration::parse_duration};
use clap::{
    Arg, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Id, Parser, Subcommand, ValueEnum,
    builder::{OsStr, Resettable},
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use std::{
    env,
    error::Error,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Authoritative DNS for stateful pods: Kubernetes manifests in, stable names out.
#[derive(Debug, Parser)]
#[command(name = "headless-dns", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub overrides: Overrides,
    #[command(subcommand)]
    pub command: Option<CliCommand>,
}

const EXIT_CODES: &str =
    "Without a command it serves. A flag wins over its environment variable, and that over the settings file.

Exit codes: 0 fine, 1 the name has no records (explain), 64 wrong command line, 70 something inside failed, 75 what was
waited for did not come in time (wait), 77 a permission is missing,
78 settings, manifests or zones are wrong, an address is not to be had, or the state cannot be used";

#[derive(Debug, Subcommand)]
pub(super) enum CliCommand {
    /// Serve DNS from manifests and zones until SIGTERM or SIGINT; SIGHUP re-reads everything (the default)
    Serve,
    /// Read settings, manifests and zones, tell everything that is wrong with them, and serve nothing
    Check {
        /// Exit with 78 for warnings, too
        #[arg(long)]
        strict: bool,
    },
    /// Tell why a name gets the answer it gets: from the search list down to the pod's claims
    ///
    /// Asks the running server. Where none can be reached, settings, manifests and zones are read and the control plane
    /// runs in this process, under a simulated clock, until it is quiet: what a fresh start would give.
    ///
    /// Exit codes: 0 the name resolves, 1 it does not, 64 it is no name, 70 the server cannot be understood, 78
    /// settings cannot be used.
    #[command(verbatim_doc_comment)]
    Explain(ExplainArguments),
    /// Wait until a Service has so many addresses in DNS, and print them with the names of the pods; works while the
    /// server is still starting
    Wait {
        /// The Service; without a namespace in `default`
        #[arg(long, value_name = "[NAMESPACE/]NAME")]
        service: String,
        /// How many addresses
        #[arg(long, value_name = "N", default_value_t = 1)]
        ready: usize,
        /// How long to wait at most, such as 30s or 5m
        #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
        timeout: Duration,
        /// Where the server has its metrics; else --metrics-listen or the settings' metricsListen
        #[arg(long, value_name = "ADDR:PORT")]
        server: Option<SocketAddr>,
    },
    /// Print a kubeconfig for kubectl and client libraries
    Kubeconfig {
        /// Address of the API as clients know it; else that of apiListen
        #[arg(long, value_name = "URL")]
        server: Option<String>,
    },
    /// Remove the containers and the network that `runtime` made on a container engine, and nothing else
    ///
    /// State and volumes stay: a server that is started later makes the same pods again, with their data. The server must not
    /// run meanwhile.
    #[command(verbatim_doc_comment)]
    Down,
    /// Play scenarios against a fresh server in this process
    Demo {
        /// Scenario files, in YAML
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the version
    Version,
}

/// What `explain` takes besides.
#[derive(Debug, Clone, Args)]
pub(super) struct ExplainArguments {
    /// A name, short or full, or an address
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A record type; else PTR for an address, SRV for `_port._proto.…`, A for the rest
    #[arg(value_name = "TYPE")]
    pub record_type: Option<String>,
    /// Namespace of the pod that asks; it decides the search list
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    pub namespace: String,
    /// Where the server answers HTTP; else what the settings say in metricsListen
    #[arg(long, value_name = "URL", value_parser = parse_server)]
    pub server: Option<SocketAddr>,
    /// How to tell it
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Only what DNS says
    #[arg(long)]
    pub short: bool,
}

/// The form of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Where a server answers HTTP, with or without `http://`.
fn parse_server(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    bare.parse().map_err(|_| format!("`{text}` is no address with a port; write http://127.0.0.1:9153"))
}

/// Why there are no arguments.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// The command line is wrong, or asks for help or the version.
    CommandLine(clap::Error),
    /// Variables are wrong; each diagnostic names its variable where others name a file.
    Variables(Vec<Diagnostic>),
}

/// Reads the command line, of which the first is the program's own name, and the environment for what no flag says.
pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, Unreadable> {
    let line: Vec<OsString> = arguments.into_iter().collect();
    let alone = |arg: Arg| arg.env(Resettable::<OsStr>::Reset);
    let matches = match Arguments::command().mut_args(alone).try_get_matches_from(&line) {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => return Err(Unreadable::CommandLine(error)),
        // The version, or help, in which the variables are named.
        Err(error) => {
            let help = Arguments::command().try_get_matches_from(&line);
            return Err(Unreadable::CommandLine(help.err().unwrap_or(error)));
        }
    };
    let arguments = of_matches(&matches).map_err(Unreadable::CommandLine)?;
    if !takes_settings(&arguments.command) {
        return Ok(arguments);
    }
    // A flag wins, and an empty variable is as good as none.
    let is_used = |arg: &Arg| {
        matches.value_source(arg.get_id().as_str()) != Some(ValueSource::CommandLine)
            && arg.get_env().and_then(env::var_os).is_some_and(|value| !value.is_empty())
    };
    let mut wrong: Vec<(Option<Id>, Diagnostic)> = Vec::new();
    loop {
        let is_wrong = |arg: &Arg| wrong.iter().any(|(id, _)| id.as_ref() == Some(arg.get_id()));
        let unless_used = |arg: Arg| if is_used(&arg) && !is_wrong(&arg) { arg } else { alone(arg) };
        let matches = Arguments::command().mut_args(unless_used).try_get_matches_from(&line);
        match matches.and_then(|matches| of_matches(&matches)) {
            Ok(arguments) if wrong.is_empty() => return Ok(arguments),
            Ok(_) => break,
            // clap stops at the first wrong variable; without it the next one shows.
            Err(error) => {
                let found = wrong_variable(&error);
                let is_last = found.0.is_none() || wrong.iter().any(|(id, _)| *id == found.0);
                wrong.push(found);
                if is_last {
                    break;
                }
            }
        }
    }
    Err(Unreadable::Variables(wrong.into_iter().map(|(_, diagnostic)| diagnostic).collect()))
}

/// Whether a command reads the settings.
fn takes_settings(command: &Option<CliCommand>) -> bool {
    !matches!(command, Some(CliCommand::Demo { .. } | CliCommand::Version))
}

fn of_matches(matches: &ArgMatches) -> Result<Arguments, clap::Error> {
    let mut arguments = Arguments::from_arg_matches(matches)?;
    let overrides = Overrides::augment_args(clap::Command::new(""));
    let is_given = |arg: &Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    if !takes_settings(&arguments.command) && overrides.get_arguments().any(is_given) {
        let name = if matches!(arguments.command, Some(CliCommand::Version)) { "version" } else { "demo" };
        let message = format!("`{name}` takes no settings such as --listen or --config");
        return Err(Arguments::command().error(ErrorKind::ArgumentConflict, message));
    }
    let manifests = &mut arguments.overrides.manifests;
    if matches.value_source("manifests") == Some(ValueSource::EnvVariable) {
        *manifests = manifests.iter().flat_map(|paths| env::split_paths(paths).collect::<Vec<PathBuf>>()).collect();
        manifests.retain(|path| !path.as_os_str().is_empty());
    }
    Ok(arguments)
}

/// What is wrong with a variable, of which clap says that it is wrong with the flag; and which flag that is.
fn wrong_variable(error: &clap::Error) -> (Option<Id>, Diagnostic) {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => flag.as_str(),
        _ => "",
    };
    let command = Arguments::command();
    let is_text = |arg: &Arg| arg.get_env().and_then(env::var_os).is_none_or(|value| value.to_str().is_some());
    let named =
        command.get_arguments().find(|arg| arg.get_long().is_some_and(|long| flag.starts_with(&format!("--{long} "))));
    let arg = named.or_else(|| command.get_arguments().find(|arg| !is_text(arg)));
    let variable = arg.and_then(Arg::get_env).unwrap_or_default();
    let message = error.source().map_or_else(|| "the value is not UTF-8".to_owned(), ToString::to_string);
    (arg.map(|arg| arg.get_id().clone()), Diagnostic::error(Path::new(variable), message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;

    #[test]
    fn the_declaration_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        let parse = |line: &str| read(line.split(' ').map(OsString::from)).unwrap().overrides;
        let expected = Overrides {
            config: Some("c".into()),
            manifests: vec!["a".into(), "b".into()],
            listen: vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()],
            state_directory: Some("none".into()),
            ..Overrides::default()
        };
        let rows = [
            "p --config c --manifests a --manifests b --listen 127.0.0.1:1 --listen [::1]:2 --state-dir none",
            "p serve --config c --manifests a --manifests b --listen 127.0.0.1:1 --listen [::1]:2 --state-dir none",
            "p --config x --manifests x --listen 127.0.0.1:9 serve --manifests a --manifests b \
             --listen 127.0.0.1:1 --listen [::1]:2 --state-dir none --config c",
            "p --state-dir none --manifests a --manifests b check --config c --listen 127.0.0.1:1 \
             --listen [::1]:2 --strict",
        ];
        for row in rows {
            assert_eq!(parse(row), expected, "{row}");
        }
        assert_eq!(
            parse("p --listen 127.0.0.1:1,[::1]:2").listen,
            slice::from_ref(&"127.0.0.1:1,[::1]:2".parse().unwrap())
        );
        for wrong in [
            "p --listen 127.0.0.1",
            "p --lisen x",
            "p serve x",
            "p demo",
            "p check --fast",
            "p wait",
            "p wait --service a --timeout 5",
            "p --forward nobody",
            "p --listen 127.0.0.1:1 version",
            "p version --listen 127.0.0.1:1",
        ] {
            let read = read(wrong.split(' ').map(OsString::from));
            assert!(matches!(read, Err(Unreadable::CommandLine(_))), "{wrong}");
        }
    }
}
