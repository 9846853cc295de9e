//! What is wrong with the syntax, in words that say what to do, at the place where the mistake was made.

use super::scan::{SyntaxError, SyntaxProblem};
use crate::text::diagnostic::Location;

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Explained {
    pub place: Location,
    pub width: usize,
    pub message: String,
    pub help: String,
}

/// The lines of the document, and how many lines of the file come before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct DocumentLines<'a> {
    pub lines: &'a [&'a str],
    pub lines_before: usize,
}

impl<'a> DocumentLines<'a> {
    /// A line by its number in the file.
    fn line(self, number: usize) -> &'a str {
        let index = number.checked_sub(self.lines_before + 1);
        index.and_then(|index| self.lines.get(index)).copied().unwrap_or("")
    }

    /// The last line above `number` that is neither empty nor a comment.
    fn above(self, number: usize) -> Option<(usize, &'a str)> {
        (self.lines_before + 1..number).rev().map(|number| (number, self.line(number))).find(|(_, line)| {
            let content = line.trim_start();
            !content.is_empty() && !content.starts_with('#')
        })
    }

    /// A line's text after its indentation: place and width, without a comment.
    fn content(self, number: usize) -> (Location, usize) {
        let line = self.line(number);
        let content = line.trim_start();
        let column = line.chars().count() - content.chars().count() + 1;
        let text = content.split(" #").next().unwrap_or("").trim_end();
        (Location { line: number, column }, text.chars().count().max(1))
    }
}

impl Explained {
    /// At the place of the error.
    fn new(error: SyntaxError, message: &str, help: &str) -> Explained {
        Explained { place: error.place, width: error.width, message: message.to_string(), help: help.to_string() }
    }
}

/// Says it. `flow` is the innermost bracket that is still open, `quote_end` where quoted text has ended last.
pub(super) fn explain(
    error: SyntaxError,
    text: DocumentLines<'_>,
    flow: Option<Location>,
    quote_end: Option<Location>,
) -> Explained {
    let at = error.place;
    let said = |message: &str, help: &str| Explained::new(error, message, help);
    match error.problem {
        SyntaxProblem::Tab => Explained {
            place: tab_near(at, text).unwrap_or(at),
            ..said("a tab is used for indentation", "indent with spaces")
        },
        SyntaxProblem::OpenQuote => open_quote(at, text),
        SyntaxProblem::Escape => said(
            "this escape is unknown",
            "write \\\\ for a backslash, or use single quotes, in which a backslash is itself",
        ),
        SyntaxProblem::MarkInside => said(
            "a byte order mark stands within a document",
            "put `---` in a line of its own before it if another file begins here; remove it if not",
        ),
        SyntaxProblem::Directive => said(
            "a line that begins with `%` is a directive, and this one is unknown",
            "quote the text if the sign belongs to it",
        ),
        SyntaxProblem::Tag => said("this tag cannot be read", "quote the text if the `!` belongs to it"),
        SyntaxProblem::AnchorName => {
            said("a name is missing after `&` or `*`", "quote the text if the sign belongs to it")
        }
        _ if is_after_quote(at, quote_end, text) => text_after_quote(error, text),
        SyntaxProblem::Unstartable => {
            let character = text.line(at.line).chars().nth(at.column - 1).unwrap_or(' ');
            said(&format!("a value cannot begin with `{character}`"), "put the whole value in quotes")
        }
        _ if let Some(open) = flow => in_brackets(error, text, open),
        SyntaxProblem::MisplacedColon => misplaced_colon(at, text),
        SyntaxProblem::MissingColon => missing_colon(at.line, text),
        SyntaxProblem::MisplacedEntry => {
            said("a list cannot begin after a key on the same line", "put each `- ` in a line of its own below the key")
        }
        SyntaxProblem::BlockHeader => {
            said("only a digit, `+` or `-` can follow `|` and `>`", "put the text in the next line, indented")
        }
        SyntaxProblem::MisplacedKey | SyntaxProblem::ExpectedKey | SyntaxProblem::ExpectedEntry => {
            lost_indentation(at, text)
        }
        SyntaxProblem::ExpectedDocument => after_document(error, text),
        SyntaxProblem::ExpectedNode | SyntaxProblem::ExpectedSeparator => missing_value(error, text),
    }
}

/// Something that begins where the document has ended.
fn after_document(error: SyntaxError, text: DocumentLines<'_>) -> Explained {
    let at = error.place;
    match text.line(at.line).chars().nth(at.column - 1) {
        Some('{' | '[') => {
            Explained::new(error, "a second document begins here", "put `---` in a line of its own before it")
        }
        _ if text.content(at.line).0.column < at.column => Explained::new(
            error,
            "this comes after the end of the document",
            "remove it, or put `---` in a line of its own before it",
        ),
        _ => lost_indentation(at, text),
    }
}

/// Something else where a value has to begin.
fn missing_value(error: SyntaxError, text: DocumentLines<'_>) -> Explained {
    let at = error.place;
    match text.line(at.line).chars().nth(at.column - 1) {
        Some(sign @ (']' | '}' | ',')) => {
            let message = format!("this `{sign}` closes or separates nothing");
            Explained::new(error, &message, "quote it if it belongs to the text")
        }
        _ => Explained::new(
            error,
            "a value is missing here",
            "quote the text above if a sign at its beginning belongs to it",
        ),
    }
}

/// Text between a closing quote and the end of the value.
fn text_after_quote(error: SyntaxError, text: DocumentLines<'_>) -> Explained {
    let line = text.line(error.place.line);
    let quote = line.chars().take(error.place.column - 1).filter(|c| matches!(c, '"' | '\'')).last();
    let help = match quote {
        Some('\'') => "write '' for a single quote inside of single quotes, or use double quotes",
        _ => "write \\\" for a double quote inside of double quotes, or quote the whole value",
    };
    Explained::new(error, "text follows the closing quote", help)
}

/// Whether there are only blanks between the end of quoted text and here.
fn is_after_quote(at: Location, quote_end: Option<Location>, text: DocumentLines<'_>) -> bool {
    let Some(end) = quote_end.filter(|end| end.line == at.line && end.column <= at.column) else { return false };
    let mut rest = text.line(at.line).chars().skip(end.column - 1);
    let between = at.column - end.column;
    (&mut rest).take(between).all(|c| matches!(c, ' ' | '\t')) && rest.next().is_some_and(|c| !is_sign(c))
}

fn is_sign(character: char) -> bool {
    matches!(character, ':' | ',' | ']' | '}')
}

/// The tab in the indentation of the line of the error, or of a line next to it.
fn tab_near(at: Location, text: DocumentLines<'_>) -> Option<Location> {
    [at.line, at.line + 1, at.line.saturating_sub(1)].into_iter().find_map(|number| {
        let line = text.line(number);
        let indentation = line.len() - line.trim_start().len();
        line[..indentation].chars().position(|c| c == '\t').map(|index| Location { line: number, column: index + 1 })
    })
}

/// Quoted text without end, which begins here.
fn open_quote(at: Location, text: DocumentLines<'_>) -> Explained {
    let line = text.line(at.line);
    let quote = line.chars().nth(at.column - 1).unwrap_or('"');
    Explained {
        place: at,
        width: line.trim_end().chars().count().saturating_sub(at.column - 1).max(1),
        message: format!("the quoted text that begins here is never closed by `{quote}`"),
        help: "close it".to_string(),
    }
}

/// Errors inside of brackets: nearly always the closing one is missing.
fn in_brackets(error: SyntaxError, text: DocumentLines<'_>, open: Location) -> Explained {
    let at = error.place;
    let line = text.line(open.line);
    // An anchor may stand before the bracket.
    let written = line.chars().enumerate().skip(open.column - 1).find(|(_, c)| matches!(c, '[' | '{'));
    let (index, bracket) = written.unwrap_or((open.column - 1, '['));
    let open = Location { column: index + 1, ..open };
    let closing = if bracket == '[' { ']' } else { '}' };
    let found = text.line(at.line).chars().nth(at.column - 1);
    if at.line == open.line && found.is_some() {
        let message = match found {
            Some(wrong @ (']' | '}')) => format!("`{wrong}` does not close the `{bracket}` in column {}", open.column),
            Some(',') if error.problem == SyntaxProblem::ExpectedNode => "a value is missing here".to_string(),
            _ => format!("`,` or `{closing}` is missing here"),
        };
        let help = "quote the text if a bracket, comma or colon belongs to it".to_string();
        return Explained { place: at, width: 1, message, help };
    }
    let message = match error.at_end {
        true => format!("this `{bracket}` is never closed"),
        false => format!("this `{bracket}` is not closed; line {} cannot go on inside of it", at.line),
    };
    Explained { place: open, width: 1, message, help: format!("add the missing `,` or `{closing}`") }
}

/// A line that has to be an entry of a mapping, and has no `: `.
fn missing_colon(number: usize, text: DocumentLines<'_>) -> Explained {
    let (place, width) = text.content(number);
    let (message, help) = match text.line(number).contains(':') {
        true => ("a space is missing after the `:`", "write `key: value`"),
        false => ("this line has no `:`", "write `key: value`, or `- ` in front of an item of a list"),
    };
    Explained { place, width, message: message.to_string(), help: help.to_string() }
}

/// A `: ` where no key can stand.
fn misplaced_colon(at: Location, text: DocumentLines<'_>) -> Explained {
    let line = text.line(at.line);
    let (place, width) = text.content(at.line);
    let before: String = line.chars().take(at.column.saturating_sub(1)).collect();
    let said = |place, width, message: &str, help: &str| Explained {
        place,
        width,
        message: message.to_string(),
        help: help.to_string(),
    };
    if before.trim_start().contains(": ") {
        return said(at, 1, "a second `: ` in one line", "quote the value if the `: ` belongs to it");
    }
    let Some((number, above)) = text.above(at.line) else {
        return said(at, 1, "no `:` can stand here", "quote the text if the `:` belongs to it");
    };
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let entry = above.trim_start().trim_start_matches("- ");
    if indentation(above) < indentation(line) && entry.contains(": ") {
        let message = format!("this line is indented deeper than line {number}, which already has a value");
        return said(place, width, &message, "indent it as the lines it belongs with");
    }
    missing_colon(number, text)
}

/// A line whose indentation fits no list or mapping around it.
fn lost_indentation(at: Location, text: DocumentLines<'_>) -> Explained {
    // Where text ends without a `:`, the parser notices only at the line after it.
    let number =
        if text.line(at.line).trim().is_empty() { text.above(at.line).map_or(at.line, |(n, _)| n) } else { at.line };
    let (place, width) = text.content(number);
    let content = text.line(number).trim_start();
    if !content.contains(':') && !content.starts_with('-') {
        return Explained {
            place,
            width,
            message: "this line is neither `key: value` nor a list item, or its indentation is wrong".to_string(),
            help: "write `key: value`, or indent it as the text above".to_string(),
        };
    }
    Explained {
        place,
        width,
        message: "the indentation of this line fits none of the lines above".to_string(),
        help: "indent it as the lines it belongs with".to_string(),
    }
}
