//! `headless-dns explain`: asks the running server why a name gets its answer, or finds out in this process.

use super::{
    EXIT_ABSENT, EXIT_CONFIGURATION, EXIT_INTERNAL, EXIT_OK, EXIT_USAGE, Flags,
    arguments::{Output, Wanted},
    fetch::{FetchError, encoded, fetch},
    say,
};
use crate::{
    app::Rehearsal,
    diagnostic::{self, Diagnostic},
    explain::{Explanation, Question},
    settings::Settings,
};
use std::path::Path;

/// Where an explanation comes from, and what is said before it.
type Told = (Explanation, Option<String>);

/// Explains a name; returns the exit code.
pub(super) fn explain(flags: &Flags, wanted: &Wanted) -> u8 {
    let question = match Question::new(&wanted.name, wanted.record_type.as_deref(), &wanted.namespace) {
        Ok(question) => question,
        Err(error) => return refuse(&error.to_string(), EXIT_USAGE),
    };
    let told = match &wanted.server {
        Some(server) => ask(server, wanted).map(|explanation| (explanation, None)).map_err(|error| match error {
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
        if wanted.output == Output::Text && !wanted.short { say(&format!("{first}\n")) } else { eprintln!("{first}") }
    }
    match wanted.output {
        _ if wanted.short => say(&explanation.short()),
        Output::Text => say(&explanation.to_string()),
        Output::Json => say(&format!("{}\n", serde_json::to_string_pretty(&explanation).unwrap_or_default())),
    }
    if explanation.resolves() { EXIT_OK } else { EXIT_ABSENT }
}

/// From the server that the settings name, else from a rehearsal; or the exit code, when all has been said.
fn found_out(flags: &Flags, wanted: &Wanted, question: &Question) -> Result<Told, u8> {
    let (settings, warnings) = super::overrides(flags).and_then(|overrides| super::settings(&overrides))?;
    let why = match server_of(&settings) {
        Some(server) => match ask(&server, wanted) {
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
    let wrong = match found.is_empty() {
        true => String::new(),
        false => format!(" (`headless-dns check` tells of {} in what was read)", diagnostic::summary(&found)),
    };
    Ok((explanation, Some(format!("{why}; this is what a fresh start would give{wrong}"))))
}

/// Where the settings say that the server answers HTTP.
fn server_of(_settings: &Settings) -> Option<String> {
    None
}

/// Why the server did not explain.
enum Refused {
    Unreachable(String),
    /// The name, type or namespace is wrong.
    Question(String),
    Failed(String),
}

fn ask(server: &str, wanted: &Wanted) -> Result<Explanation, Refused> {
    let mut path = format!("/explain?name={}&namespace={}", encoded(&wanted.name), encoded(&wanted.namespace));
    if let Some(record_type) = &wanted.record_type {
        path.push_str(&format!("&type={}", encoded(record_type)));
    }
    let (status, body) = fetch(server, &path).map_err(|error| match error {
        FetchError::Unreachable(..) => Refused::Unreachable(error.to_string()),
        FetchError::Address(_) | FetchError::Failed(..) => Refused::Failed(error.to_string()),
    })?;
    let text = || String::from_utf8_lossy(&body).trim().to_owned();
    match status {
        200 => serde_json::from_slice(&body)
            .map_err(|error| Refused::Failed(format!("{server}: not an explanation ({error}); is it headless-dns?"))),
        400 => Err(Refused::Question(text())),
        status => Err(Refused::Failed(format!("{server}: {status} {}", text()))),
    }
}

fn refuse(message: &str, code: u8) -> u8 {
    diagnostic::print(&[Diagnostic::error(Path::new(""), message)]);
    code
}
