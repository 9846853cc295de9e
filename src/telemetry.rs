//! Logs: set up once, on standard error; and diagnostics, readable for a person or one line of JSON each.

use crate::{
    diagnostic::{Colour, Diagnostic, Severity},
    settings::Log,
};
use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};
use tracing_subscriber::EnvFilter;

/// Why the logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is none.
    #[error("log.filter: `{filter}`: {reason}; try `info`, `debug` or `headless_dns::serve=trace`")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// They are set up already.
    #[error("logs are set up already")]
    Twice,
}

/// Whether diagnostics go to standard error as text of several lines; otherwise they are log events like all others.
static TEXT: AtomicBool = AtomicBool::new(false);

/// Sets up the logs of the process.
pub fn init(log: &Log) -> Result<(), LogError> {
    let refused = |error: tracing_subscriber::filter::ParseError| LogError::Filter {
        filter: log.filter.clone(),
        reason: error.to_string(),
    };
    let filter = EnvFilter::try_new(&log.filter).map_err(refused)?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let outcome = if log.json {
        subscriber.json().flatten_event(true).try_init()
    } else {
        subscriber.with_ansi(colour()).try_init()
    };
    outcome.map_err(|_| LogError::Twice)?;
    TEXT.store(!log.json, Ordering::Relaxed);
    Ok(())
}

/// Whether standard error is a terminal that shows colours (`NO_COLOR` and `TERM=dumb` are heeded).
fn colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Tells a person about what they wrote: several lines with the place in text logs, one event each in JSON logs.
pub fn report(diagnostics: &[Diagnostic]) {
    if diagnostics.is_empty() {
        return;
    }
    if TEXT.load(Ordering::Relaxed) {
        // In one piece, so that no log line comes between; a closed standard error is no reason to stop.
        let text: String = diagnostics.iter().map(|diagnostic| diagnostic.render(Colour::Ansi) + "\n").collect();
        let _ = anstream::stderr().lock().write_all(text.as_bytes());
        return;
    }
    for diagnostic in diagnostics {
        let Diagnostic { severity, file, place, object, field, message, help, kept, .. } = diagnostic;
        let (file, line, column) = (file.display(), place.line, place.column);
        match severity {
            Severity::Error => tracing::error!(%file, line, column, object, field, help, kept, "{message}"),
            Severity::Warning => tracing::warn!(%file, line, column, object, field, help, kept, "{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_explained() {
        let error = init(&Log { filter: "headless_dns=loud".to_owned(), json: false }).expect_err("not a level");
        assert!(error.to_string().contains("headless_dns=loud"), "{error}");
    }
}
