//! `headless-dns explain`: asks the running server why a name gets its answer, or finds out in this process.

use super::{
    arguments::{ExplainArguments, Output},
    say, wait,
};
use crate::{
    control::explain::{ExplainQuestion, Explanation},
    program::{app::DryRun, exit::Exit, settings::Overrides},
    text::{
        diagnostic::{self, Diagnostic},
        escape::{visible, visible_json},
        percent,
    },
    web::http::{self, GetError},
};
use std::{net::SocketAddr, path::Path, time::Duration};
use tokio::time::timeout;

/// How long the server may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where an explanation comes from, and what is said before it.
type Told = (Explanation, Option<String>);

/// Explains a name; returns the exit code.
pub(super) fn explain(overrides: &Overrides, wanted: &ExplainArguments) -> Exit {
    let question = match ExplainQuestion::new(&wanted.name, wanted.record_type.as_deref(), &wanted.namespace) {
        Ok(question) => question,
        Err(error) => return refuse(&error.to_string(), Exit::Usage),
    };
    let explained = match &wanted.server {
        Some(server) => ask(*server, wanted).map(|explanation| (explanation, None)).map_err(|error| match error {
            ExplainRefused::Question(message) => refuse(&message, Exit::Usage),
            ExplainRefused::Unreachable(error) | ExplainRefused::Failed(error) => refuse(&error, Exit::Internal),
        }),
        None => found_out(overrides, wanted, &question),
    };
    let (explanation, first) = match explained {
        Ok(explained) => explained,
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
    if explanation.resolves() { Exit::Ok } else { Exit::Unmet }
}

/// From the server that the settings name, else from a rehearsal; or the exit code, when all has been said.
fn found_out(overrides: &Overrides, wanted: &ExplainArguments, question: &ExplainQuestion) -> Result<Told, Exit> {
    let (settings, warnings) = super::settings(overrides)?;
    let why = match settings.metrics_listen.map(wait::reachable) {
        Some(server) => match ask(server, wanted) {
            Ok(explanation) => return Ok((explanation, None)),
            Err(ExplainRefused::Question(message)) => return Err(refuse(&message, Exit::Usage)),
            Err(ExplainRefused::Failed(error)) => return Err(refuse(&error, Exit::Internal)),
            Err(ExplainRefused::Unreachable(_)) => format!("no server is reachable at {server}"),
        },
        None => "no server is known (metricsListen is not set, and --server not given)".to_owned(),
    };
    let rehearsal = DryRun::run(&settings).map_err(|error| refuse(&error.to_string(), Exit::Configuration))?;
    let explanation = rehearsal.explain(question).map_err(|error| refuse(&error.to_string(), Exit::Usage))?;
    let found: Vec<Diagnostic> = warnings.into_iter().chain(rehearsal.diagnostics().iter().cloned()).collect();
    let wrong = match diagnostic::has_warning(&found) {
        false => String::new(),
        true => format!(" (`headless-dns check` tells of {} in what was read)", diagnostic::summary(&found)),
    };
    Ok((explanation, Some(format!("{why}; this is what a fresh start would give{wrong}"))))
}

/// Why the server did not explain.
enum ExplainRefused {
    Unreachable(String),
    /// The name, type or namespace is wrong.
    Question(String),
    Failed(String),
}

fn ask(server: SocketAddr, wanted: &ExplainArguments) -> Result<Explanation, ExplainRefused> {
    let mut path =
        format!("/explain?name={}&namespace={}", percent::encode(&wanted.name), percent::encode(&wanted.namespace));
    if let Some(record_type) = &wanted.record_type {
        path.push_str(&format!("&type={}", percent::encode(record_type)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| ExplainRefused::Failed(format!("the runtime cannot be started: {error}")))?;
    let outcome = runtime.block_on(async { timeout(REPLY_TIMEOUT, http::get(server, &path)).await });
    let (status, body) = match outcome {
        Ok(Ok(reply)) => reply,
        Ok(Err(error @ GetError::Connect(..))) => return Err(ExplainRefused::Unreachable(error.to_string())),
        Ok(Err(error)) => return Err(ExplainRefused::Failed(error.to_string())),
        Err(_) => {
            return Err(ExplainRefused::Failed(format!(
                "{server} did not answer within {} s",
                REPLY_TIMEOUT.as_secs()
            )));
        }
    };
    let text = || String::from_utf8_lossy(&body).trim().to_owned();
    match status {
        200 => serde_json::from_slice(&body).map_err(|error| {
            ExplainRefused::Failed(format!("{server}: not an explanation ({error}); is it headless-dns?"))
        }),
        400 => Err(ExplainRefused::Question(text())),
        status => Err(ExplainRefused::Failed(format!("{server}: status {status}: {}", text()))),
    }
}

fn refuse(message: &str, code: Exit) -> Exit {
    diagnostic::print(&[Diagnostic::error(Path::new(""), message)]);
    code
}
