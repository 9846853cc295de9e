//! What a demo prints: steps, pods as they change, answers as dig writes them, and differences; in colour on a terminal.

use super::{client::ReceivedReply, condition::Difference, observe::PodView};
use crate::text::escape::visible_lines;
use anstyle::{AnsiColor, Style};
use std::{
    collections::BTreeSet,
    io::Write,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

const TITLE: Style = Style::new().bold();
const STEP: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));
const QUIET: Style = Style::new().dimmed();
const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const WAITING: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));
const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));

/// How often is looked whether a pause is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Where a demo is told. What cannot be written any more (a closed pipe) is not written; the demo and its outcome go on.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    started: Instant,
}

/// How an answer differs from what was expected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AnswerDifference {
    /// Expected, but not there.
    pub missing: Vec<String>,
    /// There, but not expected.
    pub unexpected: Vec<String>,
    /// As expected.
    pub right: Vec<String>,
}

impl AnswerDifference {
    /// Compares two sets.
    pub(super) fn between(expected: &BTreeSet<String>, got: &BTreeSet<String>) -> AnswerDifference {
        AnswerDifference {
            missing: expected.difference(got).cloned().collect(),
            unexpected: got.difference(expected).cloned().collect(),
            right: expected.intersection(got).cloned().collect(),
        }
    }
}

impl<'a> Screen<'a> {
    /// A screen that counts time from now.
    pub(super) fn new(out: &'a mut dyn Write) -> Screen<'a> {
        Screen { out, started: Instant::now() }
    }

    fn line(&mut self, style: Style, text: &str) {
        let _ = match text {
            "" => writeln!(self.out),
            _ => writeln!(self.out, "{style}{}{style:#}", visible_lines(text)),
        };
    }

    /// The head of a scenario.
    pub(super) fn title(&mut self, title: &str, about: &str, server: &str) {
        self.line(TITLE, title);
        about.trim_end().lines().for_each(|line| self.line(Style::new(), line));
        self.line(QUIET, server);
    }

    /// The text before a step.
    pub(super) fn say(&mut self, text: &str) {
        self.line(STEP, "");
        text.trim_end().lines().for_each(|line| self.line(STEP, &format!("# {line}")));
    }

    /// What a step does.
    pub(super) fn act(&mut self, text: &str) {
        self.line(TITLE, &format!("> {text}"));
    }

    /// A remark: a warning about a manifest, a refusal that was expected.
    pub(super) fn note(&mut self, text: &str) {
        text.trim_end().lines().for_each(|line| self.line(QUIET, &format!("  {line}")));
    }

    /// Something that was to be checked holds.
    pub(super) fn good(&mut self, text: &str) {
        self.line(GOOD, &format!("  ✓ {text}"));
    }

    /// A pod that is new, changed or (`None` now) gone since it was last shown.
    pub(super) fn pod(&mut self, before: Option<&PodView>, now: Option<&PodView>) {
        let (mark, style) = match (before, now) {
            (_, Some(pod)) if pod.terminating => ('-', WAITING),
            (None, Some(_)) => ('+', WAITING),
            (Some(_), Some(pod)) if pod.ready => ('~', GOOD),
            (_, Some(_)) => ('~', WAITING),
            (_, None) => ('-', BAD),
        };
        let Some(pod) = now.or(before) else { return };
        let state = if now.is_some() { pod.state() } else { "gone".to_owned() };
        let columns = match now {
            Some(pod) => pod_columns(pod, &state),
            None => format!("{:<12} {state}", pod.named.to_string()),
        };
        let time = seconds(self.started.elapsed());
        let _ = write!(self.out, "{QUIET}  {time:>8}{QUIET:#} ");
        self.line(style, &format!("{mark} {columns}"));
    }

    /// All pods.
    pub(super) fn pods(&mut self, pods: &[PodView]) {
        let rows = pods.iter().map(|pod| {
            let ready = if pod.ready { "yes" } else { "no" };
            [
                pod.named.to_string(),
                pod.state(),
                ready.to_owned(),
                pod.address.clone(),
                pod.revision.clone(),
                pod.image.clone(),
            ]
        });
        self.table(["POD", "PHASE", "READY", "ADDRESS", "REVISION", "IMAGE"], rows);
    }

    /// A table with a head; empty cells are shown as `-`.
    pub(super) fn table<const N: usize>(&mut self, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
        let rows: Vec<[String; N]> = rows.into_iter().collect();
        let shown = |cell: &str| if cell.is_empty() { "-".to_owned() } else { cell.to_owned() };
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([head[column].len()]).max().unwrap_or_default()
        };
        let widths: [usize; N] = std::array::from_fn(width);
        let line = |cells: [String; N]| {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.line(QUIET, &format!("    {}", line(head.map(str::to_owned))));
        if rows.is_empty() {
            self.line(QUIET, "    none");
        }
        for row in &rows {
            self.line(Style::new(), &format!("    {}", line(std::array::from_fn(|column| shown(&row[column])))));
        }
    }

    /// An answer, as dig writes one.
    pub(super) fn answer(&mut self, reply: &ReceivedReply) {
        for record in &reply.answers {
            let text = format!("  {} {} IN {} {}", record.name, record.ttl, record.record_type, record.rdata);
            self.line(Style::new(), &text);
        }
        if reply.answers.is_empty() {
            let code = if reply.code == "NOERROR" { "NODATA" } else { &reply.code };
            self.line(WAITING, &format!("  {} {code}", reply.name));
        }
        if reply.tcp {
            self.line(QUIET, "  ; truncated over UDP, asked again over TCP");
        }
        for why in &reply.why {
            self.line(QUIET, &format!("  ; {why}"));
        }
    }

    /// A page that was fetched.
    pub(super) fn page(&mut self, text: &str) {
        text.lines().for_each(|line| self.line(Style::new(), &format!("  {line}")));
    }

    /// Objects that are not as expected.
    pub(super) fn differences(&mut self, reason: &str, differences: &[Difference]) {
        self.line(BAD, &format!("  ✗ {reason}"));
        for Difference { what, expected, got } in differences {
            self.line(Style::new(), &format!("      {what}"));
            self.line(GOOD, &format!("        expected: {expected}"));
            self.line(BAD, &format!("        got:      {got}"));
        }
    }

    /// An answer that is not as expected.
    pub(super) fn answer_difference(&mut self, reason: &str, difference: &AnswerDifference) {
        self.line(BAD, &format!("  ✗ {reason}"));
        difference.right.iter().for_each(|record| self.line(QUIET, &format!("        {record}")));
        difference
            .missing
            .iter()
            .for_each(|record| self.line(GOOD, &format!("      - {record}   (expected, missing)")));
        difference.unexpected.iter().for_each(|record| self.line(BAD, &format!("      + {record}   (not expected)")));
    }

    /// Something went wrong that has no difference to show.
    pub(super) fn bad(&mut self, text: &str) {
        text.trim_end().lines().for_each(|line| self.line(BAD, &format!("  ✗ {line}")));
    }

    /// How it ended.
    pub(super) fn end(&mut self, text: &str, fine: bool) {
        let time = seconds(self.started.elapsed());
        self.line(if fine { GOOD } else { BAD }, &format!("\n{text} ({time})"));
    }

    /// Waits for Enter, or until `is_over`.
    pub(super) fn pause(&mut self, text: Option<&str>, is_over: impl Fn() -> bool) {
        let _ = write!(self.out, "{QUIET}  {} {QUIET:#}", text.unwrap_or("press Enter to go on"));
        let _ = self.out.flush();
        let (pressed, waiting) = sync_channel(1);
        // Reading cannot be broken off, so it is left behind where it is over.
        let reading = std::thread::Builder::new().name("keyboard".to_owned()).spawn(move || {
            let _ = std::io::stdin().read_line(&mut String::new());
            let _ = pressed.send(());
        });
        while reading.is_ok() && waiting.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) && !is_over() {}
    }
}

fn pod_columns(pod: &PodView, state: &str) -> String {
    let ready = if pod.ready { "ready" } else { "not ready" };
    let address = if pod.address.is_empty() { "-" } else { &pod.address };
    format!("{:<12} {state:<12} {ready:<10} {address:<15} {}", pod.named.to_string(), pod.revision)
        .trim_end()
        .to_owned()
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
