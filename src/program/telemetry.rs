//! Logs: set up once, on standard error; and diagnostics, readable for a person or one line of JSON each.

use crate::text::{
    diagnostic::{Colour, Diagnostic, Severity, render_all},
    escape::{visible, visible_json},
    options::{self, Written, options},
};
use anstyle::Style;
use serde::Deserialize;
use std::{
    fmt,
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};
use tracing::field::Field;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::format::{Writer, debug_fn},
};

options! {
    /// What is logged, and in which form.
    #[derive(Eq)]
    pub struct LogOptions {
        /// A tracing filter: `info`, `debug`, `headless_dns::dns::serve=trace`, …
        pub filter: String = "info".to_owned();
        /// The form of each event.
        pub format: LogFormat = LogFormat::Text;
        /// Which queries are logged.
        #[serde(deserialize_with = "options::text")]
        pub queries: QuerySample = QuerySample(0);
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object in each line.
    Json,
}

/// Which queries are logged: one of so many, 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuerySample(pub u32);

impl Written for QuerySample {
    const EXPECTED: &str = "none, all, or a part such as 1/100";
    fn read(text: &str) -> Result<QuerySample, String> {
        let refused = || format!("`{text}` is no part of the queries; write none, all, or one of so many as 1/100");
        match text {
            "none" => Ok(QuerySample(0)),
            "all" => Ok(QuerySample(1)),
            _ => match text.strip_prefix("1/").map(str::parse) {
                Some(Ok(every @ 1..)) => Ok(QuerySample(every)),
                _ => Err(refused()),
            },
        }
    }
}

/// Why the logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is none.
    #[error("log.filter: `{filter}`: {reason}; try `info`, `debug` or `headless_dns::dns::serve=trace`")]
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

/// Puts another filter in the place of the one in use; set once the logs are set up.
static SET_FILTER: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Sets up the logs of the process.
pub fn init(log: &LogOptions) -> Result<(), LogError> {
    let filter = parse(&log.filter)?;
    let subscriber = tracing_subscriber::fmt();
    // A handle fails only when there are no logs any more, and so nobody to tell it.
    let (outcome, set): (_, Box<dyn Fn(EnvFilter) + Send + Sync>) = if log.format == LogFormat::Json {
        let subscriber = subscriber
            .with_writer(|| JsonLines)
            .json()
            .flatten_event(true)
            .with_env_filter(filter)
            .with_filter_reloading();
        let handle = subscriber.reload_handle();
        (subscriber.try_init(), Box::new(move |filter| drop(handle.reload(filter))))
    } else {
        let subscriber = subscriber.with_writer(io::stderr).fmt_fields(debug_fn(write_field).delimited(" "));
        let subscriber = subscriber.with_ansi(colour()).with_env_filter(filter).with_filter_reloading();
        let handle = subscriber.reload_handle();
        (subscriber.try_init(), Box::new(move |filter| drop(handle.reload(filter))))
    };
    outcome.map_err(|_| LogError::Twice)?;
    TEXT.store(log.format == LogFormat::Text, Ordering::Relaxed);
    // The logs are set up only once, and so is this.
    let _ = SET_FILTER.set(set);
    Ok(())
}

/// Writes a field of a text log; each is one line, whoever its text comes from.
fn write_field(out: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = visible(&format!("{value:?}"));
    let (name, equals) = (Style::new().italic(), Style::new().dimmed());
    match field.name() {
        "message" => out.write_str(&text),
        field if out.has_ansi_escapes() => write!(out, "{name}{field}{name:#}{equals}={equals:#}{text}"),
        field => write!(out, "{field}={text}"),
    }
}

/// Standard error for events in JSON, of which each is written in one piece.
struct JsonLines;

impl Write for JsonLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(visible_json(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Logs by another filter from now on. Where the logs are not set up (in a test or a demo) nothing changes.
pub fn set_filter(filter: &str) -> Result<(), LogError> {
    let filter = parse(filter)?;
    if let Some(set) = SET_FILTER.get() {
        set(filter);
    }
    Ok(())
}

/// Libraries that warn of single frames and datagrams, with which strangers could fill the log.
const LIBRARIES: [&str; 8] = ["h2", "h3", "hickory_net", "hyper", "hyper_util", "quinn", "quinn_proto", "rustls"];

/// The filter, with which [`LIBRARIES`] tell errors only, unless it names them.
fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let targets: Vec<&str> = filter.split([',', '=', ':', '[']).map(str::trim).collect();
    let loud = LIBRARIES.iter().filter(|name| filter.trim() != "off" && !targets.contains(name));
    let quiet = loud.map(|name| format!(",{name}=error"));
    EnvFilter::try_new(quiet.fold(filter.to_owned(), |all, one| all + &one))
        .map_err(|error| LogError::Filter { filter: filter.to_owned(), reason: error.to_string() })
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
        let text = render_all(diagnostics, Colour::Ansi);
        let _ = anstream::stderr().lock().write_all(text.as_bytes());
        return;
    }
    for diagnostic in diagnostics {
        let Diagnostic { severity, file, place, object, field, message, help, kept, .. } = diagnostic;
        let (file, line, column) = (file.display(), place.line, place.column);
        match severity {
            Severity::Error => tracing::error!(%file, line, column, object, field, help, kept, "{message}"),
            Severity::Warning => tracing::warn!(%file, line, column, object, field, help, kept, "{message}"),
            Severity::Note => tracing::info!(%file, line, column, object, field, help, kept, "{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_queries() {
        let rows = [
            ("none", Some(0)),
            ("all", Some(1)),
            ("1/1", Some(1)),
            ("1/100", Some(100)),
            ("1/0", None),
            ("2/100", None),
            ("1/", None),
            ("1/5000000000", None),
            ("off", None),
        ];
        for (text, expected) in rows {
            assert_eq!(QuerySample::read(text).ok(), expected.map(QuerySample), "{text}");
        }
    }

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        for (filter, loud) in [
            ("info", &[][..]),
            ("debug,headless_dns::dns::serve=trace", &[]),
            ("info,h2=warn", &["h2"]),
            ("h3::server=trace,quinn=debug", &["h3", "quinn"]),
            ("off", &LIBRARIES),
        ] {
            let filter = parse(filter).expect("a filter").to_string();
            for name in LIBRARIES {
                assert_eq!(!filter.contains(&format!("{name}=error")), loud.contains(&name), "{name} in {filter}");
            }
        }
    }

    #[test]
    fn a_filter_that_is_none_is_explained() {
        let init = init(&LogOptions { filter: "headless_dns=loud".to_owned(), ..LogOptions::default() });
        for outcome in [init, set_filter("headless_dns=loud")] {
            let error = outcome.expect_err("not a level");
            assert!(error.to_string().contains("headless_dns=loud"), "{error}");
        }
    }
}
