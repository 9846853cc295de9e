//! `headless-dns explain`: asks the running server why a name gets its answer, or finds out in this process.

use super::{
    EXIT_ABSENT, EXIT_CONFIGURATION, EXIT_INTERNAL, EXIT_OK, EXIT_USAGE, Flags,
    arguments::{Output, Wanted},
    say, wait,
};
use crate::{
    app::Rehearsal,
    diagnostic::{self, Diagnostic},
    escape::{visible, visible_json},
    explain::{Explanation, Question},
    http::{self, GetError},
    text::percent,
};
use std::{net::SocketAddr, path::Path, time::Duration};
use tokio::time::timeout;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where an explanation comes from, and what is said before it.
type Told = (Explanation, Option<String>);

/// Explains a name; returns the exit code.
pub(super) fn explain(flags: &Flags, wanted: &Wanted) -> u8 {
    let question = match Question::new(&wanted.name, wanted.record_type.as_deref(), &wanted.namespace) {
        Ok(question) => question,
        Err(error) => return refuse(&error.to_string(), EXIT_USAGE),
    };
    let told = match &wanted.server {
        Some(server) => ask(*server, wanted).map(|explanation| (explanation, None)).map_err(|error| match error {
            Refused::Question(message) => refuse(&message, EXIT_USAGE),
            Refused::Unreachable(error) | Refused::Failed(error) => refuse(&error, EXIT_INTERNAL),
        }),
        None => found_out(flags, wanted, &question),
    };
    let (explanation, first) = match told {
        Ok(told) => told,
        Err(code) => return code,
    };
    // Programs that read the output are not to meet a sentence in it.
    if let Some(first) = first {
        if wanted.output == Output::Text && !wanted.short {
            say(&format!("{first}\n"))
        } else {
            eprintln!("{}", visible(&first))
        }
    }
    match wanted.output {
        _ if wanted.short => say(&explanation.short()),
        Output::Text => say(&explanation.to_string()),
        Output::Json => say(&(visible_json(&serde_json::to_string_pretty(&explanation).unwrap_or_default()) + "\n")),
    }
    if explanation.resolves() { EXIT_OK } else { EXIT_ABSENT }
}

/// From the server that the settings name, else from a rehearsal; or the exit code, when all has been said.
fn found_out(flags: &Flags, wanted: &Wanted, question: &Question) -> Result<Told, u8> {
    let (settings, warnings) = super::overrides(flags).and_then(|overrides| super::settings(&overrides))?;
    let why = match settings.metrics_listen.map(wait::reachable) {
        Some(server) => match ask(server, wanted) {
            Ok(explanation) => return Ok((explanation, None)),
            Err(Refused::Question(message)) => return Err(refuse(&message, EXIT_USAGE)),
            Err(Refused::Failed(error)) => return Err(refuse(&error, EXIT_INTERNAL)),
            Err(Refused::Unreachable(_)) => format!("no server is reachable at {server}"),
        },
        None => "no server is known (metricsListen is not set, and --server not given)".to_owned(),
    };
    let rehearsal = Rehearsal::run(&settings).map_err(|error| refuse(&error.to_string(), EXIT_CONFIGURATION))?;
    let explanation = rehearsal.explain(question).map_err(|error| refuse(&error.to_string(), EXIT_USAGE))?;
    let found: Vec<Diagnostic> = warnings.into_iter().chain(rehearsal.diagnostics().iter().cloned()).collect();
    let wrong = match diagnostic::has_warning(&found) {
        false => String::new(),
        true => format!(" (`headless-dns check` tells of {} in what was read)", diagnostic::summary(&found)),
    };
    Ok((explanation, Some(format!("{why}; this is what a fresh start would give{wrong}"))))
}

/// Why the server did not explain.
enum Refused {
    Unreachable(String),
    /// The name, type or namespace is wrong.
    Question(String),
    Failed(String),
}

fn ask(server: SocketAddr, wanted: &Wanted) -> Result<Explanation, Refused> {
    let mut path =
        format!("/explain?name={}&namespace={}", percent::encode(&wanted.name), percent::encode(&wanted.namespace));
    if let Some(record_type) = &wanted.record_type {
        path.push_str(&format!("&type={}", percent::encode(record_type)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| Refused::Failed(format!("the runtime cannot be started: {error}")))?;
    let outcome = runtime.block_on(async { timeout(PATIENCE, http::get(server, &path)).await });
    let (status, body) = match outcome {
        Ok(Ok(reply)) => reply,
        Ok(Err(error @ GetError::Connect(..))) => return Err(Refused::Unreachable(error.to_string())),
        Ok(Err(error)) => return Err(Refused::Failed(error.to_string())),
        Err(_) => return Err(Refused::Failed(format!("{server} did not answer within {} s", PATIENCE.as_secs()))),
    };
    let text = || String::from_utf8_lossy(&body).trim().to_owned();
    match status {
        200 => serde_json::from_slice(&body)
            .map_err(|error| Refused::Failed(format!("{server}: not an explanation ({error}); is it headless-dns?"))),
        400 => Err(Refused::Question(text())),
        status => Err(Refused::Failed(format!("{server}: status {status}: {}", text()))),
    }
}

/// Where a server answers HTTP, with or without `http://`.
pub(super) fn parse_server(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    bare.parse().map_err(|_| format!("`{text}` is no address with a port; write http://127.0.0.1:9153"))
}

fn refuse(message: &str, code: u8) -> u8 {
    diagnostic::print(&[Diagnostic::error(Path::new(""), message)]);
    code
}
