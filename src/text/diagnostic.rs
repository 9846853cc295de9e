//! A message for a person about something they wrote: place, field, what is kept meanwhile, what to do.

use crate::text::escape::{is_unsafe, visible};
use anstyle::{AnsiColor, Style};
use std::{
    cmp::Reverse,
    collections::HashSet,
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong; told so that nobody waits for an effect. One line, and no exit code heeds it.
    Note,
    /// It works, but probably not as meant.
    Warning,
    /// It is not used.
    Error,
}

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Location {
    /// Line, from 1; 0 when there is none.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// One thing that is wrong or doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error, warning or note.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub place: Location,
    /// How many characters the caret line underlines; at least 1.
    pub width: usize,
    /// The object (`StatefulSet default/web`), empty when it is not known.
    pub object: String,
    /// The field's path (`spec.template.spec.containers[0].image`), empty when there is none.
    pub field: String,
    /// What is wrong, lower-case, without a final dot.
    pub message: String,
    /// What to do, empty when the message says it already.
    pub help: String,
    /// What keeps running meanwhile, empty when nothing ran before.
    pub kept: String,
    /// The line of the file that the caret points into, empty when there is none.
    pub source_line: String,
}

/// Whether the same advice was given before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AdviceState {
    First,
    /// Then it is left out; and of a warning, which stands beside many like it, all but the headline.
    Again,
}

/// Whether a rendering carries escape sequences for colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Plain,
    /// ANSI escape sequences; `anstream` takes them out again where the output is no terminal.
    Ansi,
}

/// Longest source line that is kept, in octets; machine-written JSON in one line would fill the memory.
const LINE_OCTETS_MAX: usize = 16 << 10;
/// Most characters of a source line that are shown; a longer line is cut around the caret.
const LINE_CHARACTERS_MAX: usize = 100;

impl Diagnostic {
    /// An error about a file as a whole; `at` and the other fields can be set afterwards.
    pub fn error(file: &Path, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: file.to_path_buf(),
            place: Location::default(),
            width: 1,
            object: String::new(),
            field: String::new(),
            message: message.into(),
            help: String::new(),
            kept: String::new(),
            source_line: String::new(),
        }
    }

    /// A warning about a file as a whole; see [`Diagnostic::error`].
    pub fn warning(file: &Path, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(file, message) }
    }

    /// A note about a file as a whole; see [`Diagnostic::error`].
    pub fn note(file: &Path, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Note, ..Diagnostic::error(file, message) }
    }

    /// The diagnostic at a place of `text`, the file's contents, `width` characters underlined.
    pub fn at(mut self, text: &str, place: Location, width: usize) -> Diagnostic {
        self.place = place;
        self.width = width.max(1);
        let line = line_of(text, place.line);
        self.source_line = if line.len() <= LINE_OCTETS_MAX { line.to_string() } else { String::new() };
        self
    }

    /// The diagnostic about a field.
    pub fn field(mut self, path: impl Into<String>) -> Diagnostic {
        self.field = path.into();
        self
    }

    /// The diagnostic about an object.
    pub fn object(mut self, object: impl Into<String>) -> Diagnostic {
        self.object = object.into();
        self
    }

    /// The diagnostic with advice on what to do.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = help.into();
        self
    }

    /// The diagnostic with what keeps running meanwhile.
    pub fn kept(mut self, kept: impl Into<String>) -> Diagnostic {
        self.kept = kept.into();
        self
    }

    /// The whole message: headline, source line with the place underlined, what is kept, what to do; of a note the
    /// headline alone. Ends with a line feed.
    pub fn render(&self, colour: Colour) -> String {
        self.render_as(colour, AdviceState::First)
    }

    fn render_as(&self, colour: Colour, telling: AdviceState) -> String {
        let paint = Paint(colour);
        let mut out = String::new();
        let (style, name) = match self.severity {
            Severity::Error => (AnsiColor::Red.on_default().bold(), "error"),
            Severity::Warning => (AnsiColor::Yellow.on_default().bold(), "warning"),
            Severity::Note => (AnsiColor::Cyan.on_default().bold(), "note"),
        };
        paint.put(&mut out, style, name);
        out.push_str(": ");
        paint.put(&mut out, Style::new().bold(), &self.headline());
        out.push('\n');
        let again = telling == AdviceState::Again;
        if self.severity == Severity::Note || again && self.severity == Severity::Warning {
            return out;
        }
        if self.place.line > 0 && !self.source_line.trim().is_empty() {
            self.render_source(&mut out, &paint, style);
        }
        for (name, text, wanted) in [("kept", &self.kept, true), ("help", &self.help, !again)] {
            if wanted && !text.is_empty() {
                out.push_str("  ");
                paint.put(&mut out, AnsiColor::Cyan.on_default(), name);
                let _ = writeln!(out, ": {}", visible(text));
            }
        }
        out
    }

    /// File, place, object, field and message in one line.
    fn headline(&self) -> String {
        let mut line = String::new();
        if !self.file.as_os_str().is_empty() {
            line.push_str(&visible(&self.file.to_string_lossy()));
            if self.place.line > 0 {
                let _ = write!(line, ":{}:{}", self.place.line, self.place.column);
            }
            line.push_str(": ");
        }
        for part in [&self.object, &self.field] {
            if !part.is_empty() {
                line.push_str(&visible(part));
                line.push_str(": ");
            }
        }
        line.push_str(&visible(&self.message));
        line
    }

    /// The source line after a gutter, and the underline below it.
    fn render_source(&self, out: &mut String, paint: &Paint, style: Style) {
        let number = self.place.line.to_string();
        let margin = " ".repeat(number.len());
        let (shown, indent, width) = excerpt(&self.source_line, self.place.column.saturating_sub(1), self.width);
        let gutter = AnsiColor::Blue.on_default();
        paint.put(out, gutter, &format!("{number} |"));
        let _ = writeln!(out, " {shown}");
        paint.put(out, gutter, &format!("{margin} |"));
        out.push(' ');
        out.push_str(&indent);
        paint.put(out, style, &"^".repeat(width));
        out.push('\n');
    }
}

impl fmt::Display for Diagnostic {
    /// One line, for logs: `manifests/web.yaml:12:5: StatefulSet default/web: spec.replicas: … (help; kept)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match (self.help.is_empty(), self.kept.is_empty()) {
            (true, true) => Ok(()),
            (false, true) => write!(f, " ({})", visible(&self.help)),
            (true, false) => write!(f, " (kept: {})", visible(&self.kept)),
            (false, false) => write!(f, " ({}; kept: {})", visible(&self.help), visible(&self.kept)),
        }
    }
}

/// Puts diagnostics into the order in which they are shown: file, place, errors before warnings.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &'_ Diagnostic| (d.place, Reverse(d.severity));
        (a.file.cmp(&b.file))
            .then_with(|| key(a).cmp(&key(b)))
            .then_with(|| (&a.object, &a.field, &a.message, &a.help).cmp(&(&b.object, &b.field, &b.message, &b.help)))
    });
}

/// Whether one of them is an error.
pub fn has_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// Whether one of them is an error or a warning, which is what `check --strict` fails for.
pub fn has_warning(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity >= Severity::Warning)
}

/// All of them in order, and the summary as the last line. Nothing at all gives an empty text.
pub fn render(diagnostics: &[Diagnostic], colour: Colour) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let mut out = render_all(diagnostics, colour);
    out.push_str(&summary(diagnostics));
    out.push('\n');
    out
}

/// Most notes that are shown at once, so that they do not push away what is wrong.
const NOTES_MAX: usize = 20;

/// All of them in order: errors and warnings with an empty line after each, then notes, one line each, and an empty
/// line. What to do is told once where several have the same text of it; of warnings after the first the headline only.
pub fn render_all(diagnostics: &[Diagnostic], colour: Colour) -> String {
    let mut sorted = diagnostics.to_vec();
    sort(&mut sorted);
    let (notes, faults): (Vec<_>, Vec<_>) = sorted.iter().partition(|one| one.severity == Severity::Note);
    let (mut out, mut shown_help) = (String::new(), HashSet::new());
    for fault in faults {
        let again = !fault.help.is_empty() && !shown_help.insert(&fault.help);
        out.push_str(&fault.render_as(colour, if again { AdviceState::Again } else { AdviceState::First }));
        out.push('\n');
    }
    for note in notes.iter().take(NOTES_MAX) {
        out.push_str(&note.render(colour));
    }
    if let Some(more) = notes.len().checked_sub(NOTES_MAX).filter(|more| *more > 0) {
        let more = Diagnostic::note(Path::new(""), format!("{more} more notes are not shown"));
        out.push_str(&more.render(colour));
    }
    if !notes.is_empty() {
        out.push('\n');
    }
    out
}

/// `4812 more warnings in this file are not shown`.
pub fn not_shown(more: usize, severity: Severity) -> String {
    let (what, verb) = match (severity, more) {
        (Severity::Error, 1) => ("error", "is"),
        (Severity::Error, _) => ("errors", "are"),
        (Severity::Warning, 1) => ("warning", "is"),
        (Severity::Warning, _) => ("warnings", "are"),
        (Severity::Note, 1) => ("note", "is"),
        (Severity::Note, _) => ("notes", "are"),
    };
    format!("{more} more {what} in this file {verb} not shown")
}

/// `2 errors, 1 warning`; `no errors` when there is neither. Notes are not counted.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => "no errors".to_string(),
        (errors, 0) => plural(errors, "error"),
        (0, warnings) => plural(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
    }
}

/// Prints them on standard error, in colour where that is a terminal. A closed pipe is no reason to stop.
pub fn print(diagnostics: &[Diagnostic]) {
    use std::io::Write as _;
    let text = render(diagnostics, Colour::Ansi);
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// A line of a text by its number from 1, without its end; empty when there is none. Lines end as in YAML: LF, CR LF or
/// CR.
pub fn line_of(text: &str, number: usize) -> &str {
    number.checked_sub(1).and_then(|index| lines(text).nth(index)).unwrap_or("")
}

/// The lines of a text without their ends (LF, CR LF or CR) and without the byte order mark that may stand before each
/// where files were put together.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    let lines = std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return (!text.is_empty()).then_some(text);
        };
        let next = end + if text[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&text[next..]);
        Some(&text[..end])
    });
    lines.map(|line| line.trim_start_matches('\u{feff}'))
}

/// Writes styled text, or plain text.
struct Paint(Colour);

impl Paint {
    fn put(&self, out: &mut String, style: Style, text: &str) {
        let _ = match self.0 {
            Colour::Plain => write!(out, "{text}"),
            Colour::Ansi => write!(out, "{style}{text}{style:#}"),
        };
    }
}

/// What is shown of a line: the text, the blank text that leads to the caret, and the number of carets.
///
/// `column` counts from 0. A tab stays a tab in both lines so that they stay aligned.
fn excerpt(line: &str, column: usize, width: usize) -> (String, String, usize) {
    let length = line.chars().count();
    let column = column.min(length);
    let (from, to) = if length <= LINE_CHARACTERS_MAX {
        (0, length)
    } else {
        let from = column.saturating_sub(LINE_CHARACTERS_MAX / 3).min(length - LINE_CHARACTERS_MAX);
        (from, from + LINE_CHARACTERS_MAX)
    };
    let (mut text, mut indent, mut carets) = (String::new(), String::new(), 0);
    if from > 0 {
        text.push('…');
        indent.push(' ');
    }
    for (index, character) in line.chars().enumerate().take(to).skip(from) {
        let before = text.chars().count();
        match character {
            '\t' => text.push('\t'),
            _ if is_unsafe(character) => text.extend(character.escape_unicode()),
            _ => text.push(character),
        }
        let cells = text.chars().count() - before;
        if index < column {
            let filler = if character == '\t' { '\t' } else { ' ' };
            indent.extend(std::iter::repeat_n(filler, cells));
        } else if index < column.saturating_add(width) {
            carets += cells;
        }
    }
    if to < length {
        text.push('…');
    }
    (text, indent, carets.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str, line: usize, column: usize, width: usize) -> Diagnostic {
        Diagnostic::error(Path::new("web.yaml"), "invalid value").at(text, Location { line, column }, width)
    }

    fn check(diagnostic: Diagnostic, expected: &str) {
        assert_eq!(diagnostic.render(Colour::Plain), expected);
        let ansi = diagnostic.render(Colour::Ansi);
        assert_ne!(ansi, expected, "colour is there");
        assert_eq!(anstream::adapter::strip_str(&ansi).to_string(), expected, "and can be taken out");
    }

    #[test]
    fn a_message_shows_its_place() {
        check(
            at("a: 1\n  replicas: three\n", 2, 13, 5)
                .object("StatefulSet default/web")
                .field("spec.replicas")
                .kept("the last good version")
                .help("write a number"),
            "error: web.yaml:2:13: StatefulSet default/web: spec.replicas: invalid value\n\
             2 |   replicas: three\n  |             ^^^^^\n  kept: the last good version\n  help: write a number\n",
        );
        check(Diagnostic::warning(Path::new("web.yaml"), "odd"), "warning: web.yaml: odd\n");
        check(Diagnostic::warning(Path::new(""), "odd"), "warning: odd\n");
        // Tabs keep the caret aligned, escapes move it, and it never runs past the line.
        check(at("\ta:\tb", 1, 5, 9), "error: web.yaml:1:5: invalid value\n1 | \ta:\tb\n  | \t  \t^\n");
        check(
            at("\u{1b}[31m: x", 1, 8, 1),
            "error: web.yaml:1:8: invalid value\n1 | \\u{1b}[31m: x\n  |             ^\n",
        );
        check(at("ab", 1, 99, 1), "error: web.yaml:1:99: invalid value\n1 | ab\n  |   ^\n");
        check(at("x\r\nyé z\r\n", 2, 4, 1), "error: web.yaml:2:4: invalid value\n2 | yé z\n  |    ^\n");
        check(at("\u{feff}kind: X", 1, 7, 1), "error: web.yaml:1:7: invalid value\n1 | kind: X\n  |       ^\n");
        check(Diagnostic::error(Path::new("a\u{1b}b"), "x\u{202e}y\nz"), "error: a\\u{1b}b: x\\u{202e}y\\nz\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let shown = at(&line, 1, 501, 4).render(Colour::Plain);
        let rows: Vec<&str> = shown.lines().collect();
        assert!(rows[1].chars().count() < 120, "{shown}");
        let caret = rows[2].chars().position(|c| c == '^').unwrap();
        let under: String = rows[1].chars().skip(caret).take(4).collect();
        assert_eq!(under, "HERE");
        assert!(rows[2].ends_with(" ^^^^"), "{shown}");
    }

    #[test]
    fn many_are_sorted_and_counted() {
        let row = |file: &str, line, severity, message: &str| Diagnostic {
            severity,
            place: Location { line, column: 1 },
            ..Diagnostic::error(Path::new(file), message)
        };
        let all = [
            row("b", 1, Severity::Error, "e"),
            row("a", 9, Severity::Error, "d"),
            row("a", 2, Severity::Warning, "c"),
            row("a", 2, Severity::Error, "b"),
        ];
        assert_eq!(
            render(&all, Colour::Plain),
            "error: a:2:1: b\n\nwarning: a:2:1: c\n\nerror: a:9:1: d\n\nerror: b:1:1: e\n\n3 errors, 1 warning\n"
        );
        assert_eq!(summary(&all[2..3]), "1 warning");
        assert_eq!(summary(&all[..1]), "1 error");
        assert_eq!(summary(&[]), "no errors");
        assert_eq!(render(&[], Colour::Plain), "");
        assert!(has_error(&all) && !has_error(&all[2..3]));
        assert!(has_warning(&all[2..3]) && !has_warning(&[row("a", 1, Severity::Note, "n")]));
        assert_eq!(
            row("a", 3, Severity::Error, "m").field("f").help("h").kept("k").to_string(),
            "a:3:1: f: m (h; kept: k)"
        );
    }

    #[test]
    fn help_is_told_once_and_notes_are_lines() {
        let fault = |line| at("a: 1\nb: 2\n", line, 1, 1).help("mend it");
        let note = |message: &str| Diagnostic::note(Path::new("a.yaml"), message).help("not shown");
        assert_eq!(
            render(&[note("one"), fault(1), fault(2)], Colour::Plain),
            "error: web.yaml:1:1: invalid value\n1 | a: 1\n  | ^\n  help: mend it\n\n\
             error: web.yaml:2:1: invalid value\n2 | b: 2\n  | ^\n\nnote: a.yaml: one\n\n2 errors\n"
        );
        let doubt = |line| Diagnostic { severity: Severity::Warning, ..fault(line) };
        let shown = render(&[doubt(1), doubt(2)], Colour::Plain);
        assert!(shown.ends_with("help: mend it\n\nwarning: web.yaml:2:1: invalid value\n\n2 warnings\n"), "{shown}");
        let many: Vec<_> = (0..23).map(|number| note(&format!("n{number:02}"))).collect();
        let shown = render(&many, Colour::Plain);
        assert!(shown.ends_with("a.yaml: n19\nnote: 3 more notes are not shown\n\nno errors\n"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_line_can_be_shown(
            line in "\\PC{0,300}|[\\x00-\\x7f]{0,300}",
            column in 0usize..400,
            width in 0usize..400,
        ) {
            let shown = at(&line, 1, column, width).render(Colour::Plain);
            prop_assert!(!shown.contains(['\x1b', '\r']), "{shown}");
        }
    }
}
