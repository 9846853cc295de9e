//! The parser's complaints in words that say what to do, at the place where the mistake was made.

use crate::diagnostic::Place;

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Explained {
    pub place: Place,
    pub width: usize,
    pub message: String,
    pub help: String,
}

/// The lines of the document, and how many lines of the file come before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub lines: &'a [&'a str],
    pub lines_before: usize,
}

impl<'a> Text<'a> {
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

    /// A line's text behind its indentation: place and width, without a comment.
    fn content(self, number: usize) -> (Place, usize) {
        let line = self.line(number);
        let content = line.trim_start();
        let column = line.chars().count() - content.chars().count() + 1;
        let text = content.split(" #").next().unwrap_or("").trim_end();
        (Place { line: number, column }, text.chars().count().max(1))
    }
}

/// Says it. `flow` is the innermost bracket that is still open.
pub(super) fn explain(info: &str, at: Place, text: Text<'_>, flow: Option<Place>) -> Explained {
    let has = |part: &str| info.contains(part);
    let said = |place: Place, width: usize, message: &str, help: &str| Explained {
        place,
        width,
        message: message.to_string(),
        help: help.to_string(),
    };
    if has("tab") && (has("tabs disallowed") || has("found a tab") || has("tab cannot") || has("start with a tab")) {
        let place = tab_near(at, text).unwrap_or(at);
        return said(place, 1, "a tab is used for indentation", "indent with spaces");
    }
    if has("recursion limit") {
        return said(at, 1, "brackets are nested too deep", "");
    }
    if has("quoted scalar") {
        return quoted(info, at, text);
    }
    if let Some(open) = flow {
        return in_brackets(info, at, text, open);
    }
    if has("mapping values are not allowed") || has("simple key expect") || has("illegal placement of ':'") {
        return misplaced_colon(at, text);
    }
    let fits_none = [
        "did not find expected key",
        "did not find expected '-'",
        "did not find expected <document start>",
        "invalid indentation",
        "wrongly indented line",
        "mapping keys are not allowed",
        "unexpected end of plain scalar",
        "comment intercepting",
    ];
    if fits_none.iter().any(|part| has(part)) {
        return lost_indentation(at, text);
    }
    if has("unknown anchor") {
        let name: String = text.line(at.line).chars().skip(at.column).take_while(|c| !is_end_of_word(*c)).collect();
        let width = name.chars().count() + 1;
        let message = format!("no `&{name}` stands above this alias");
        return said(
            at,
            width,
            &message,
            "define the anchor before, in the same document; quote text that begins with `*`",
        );
    }
    if has("unexpected character") || has("did not find expected next token") {
        let character = text.line(at.line).chars().nth(at.column - 1).unwrap_or(' ');
        return said(at, 1, &format!("a value cannot begin with `{character}`"), "put the whole value in quotes");
    }
    if has("misplaced bracket") || has("expected node content") {
        let character = text.line(at.line).chars().nth(at.column - 1);
        let message = match character {
            Some(c @ (']' | '}' | ',')) => format!("this `{c}` closes or separates nothing"),
            _ => "a value is missing here".to_string(),
        };
        return said(at, 1, &message, "quote it if it belongs to the text");
    }
    if has("block sequence entries are not allowed") {
        return said(
            at,
            1,
            "a list cannot begin behind a key on the same line",
            "put each `- ` in a line of its own below the key",
        );
    }
    if has("'-' must be followed") || has("':' must be followed") || has("plain scalar cannot start with '-'") {
        return said(at, 1, "a space is missing behind this", "put a space behind it, or quote the text");
    }
    if has("anchor or alias") {
        return said(at, 1, "a name is missing behind `&` or `*`", "quote the text if the sign belongs to it");
    }
    let message = info.rsplit_once(", ").map_or(info, |(_, what)| what);
    said(at, 1, message, "")
}

fn is_end_of_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, ',' | ']' | '}')
}

/// The tab in the indentation of the line of the error, or of a line next to it.
fn tab_near(at: Place, text: Text<'_>) -> Option<Place> {
    [at.line, at.line + 1, at.line.saturating_sub(1)].into_iter().find_map(|number| {
        let line = text.line(number);
        let indentation = line.len() - line.trim_start().len();
        line[..indentation].chars().position(|c| c == '\t').map(|index| Place { line: number, column: index + 1 })
    })
}

/// Errors in quoted text; the parser points at the opening quote, or behind the closing one.
fn quoted(info: &str, at: Place, text: Text<'_>) -> Explained {
    let line = text.line(at.line);
    let quote = line.chars().nth(at.column - 1);
    let said = |width, message: String, help: &str| Explained { place: at, width, message, help: help.to_string() };
    if info.contains("trailing content") {
        let quote = line.chars().take(at.column - 1).filter(|c| matches!(c, '"' | '\'')).last();
        let help = match quote {
            Some('\'') => "write '' for a single quote inside of single quotes, or use double quotes",
            _ => "write \\\" for a double quote inside of double quotes, or quote the whole value",
        };
        return said(1, "text stands behind the closing quote".to_string(), help);
    }
    if info.contains("escape") || info.contains("hexadecimal") {
        let (column, width) = bad_escape(line, at.column);
        let message = "this escape is unknown".to_string();
        let help = "write \\\\ for a backslash, or use single quotes, in which a backslash is itself";
        return Explained { place: Place { column, ..at }, width, message, help: help.to_string() };
    }
    match quote {
        Some(quote @ ('"' | '\'')) => {
            let width = line.trim_end().chars().count().saturating_sub(at.column - 1);
            said(width, format!("the quoted text that begins here is never closed by `{quote}`"), "close it")
        }
        _ => said(1, "quoted text is never closed".to_string(), "close it"),
    }
}

/// The first backslash behind `column` that begins no escape of YAML: column from 1, and width.
fn bad_escape(line: &str, column: usize) -> (usize, usize) {
    let mut characters = line.chars().enumerate().skip(column);
    while let Some((index, character)) = characters.next() {
        if character != '\\' {
            continue;
        }
        let digits = match characters.next().map(|(_, escaped)| escaped) {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(c) if "0abt\tnvfre \"/\\N_LP".contains(c) => continue,
            _ => return (index + 1, 2),
        };
        let hexadecimal: String = line.chars().skip(index + 2).take(digits).collect();
        let code = u32::from_str_radix(&hexadecimal, 16).ok().filter(|_| hexadecimal.len() == digits);
        if code.and_then(char::from_u32).is_none() {
            return (index + 1, 2 + digits.min(hexadecimal.chars().count()));
        }
    }
    (column, 1)
}

/// Errors inside of brackets: nearly always the closing one is missing.
fn in_brackets(info: &str, at: Place, text: Text<'_>, open: Place) -> Explained {
    let line = text.line(open.line);
    // An anchor may stand before the bracket.
    let written = line.chars().enumerate().skip(open.column - 1).find(|(_, c)| matches!(c, '[' | '{'));
    let (index, bracket) = written.unwrap_or((open.column - 1, '['));
    let open = Place { column: index + 1, ..open };
    let closing = if bracket == '[' { ']' } else { '}' };
    let found = text.line(at.line).chars().nth(at.column - 1);
    if at.line == open.line && found.is_some() {
        let separated = info.contains("expected ','") || info.contains("':'") || info.contains("bracket");
        let message = match found {
            Some(wrong @ (']' | '}')) => format!("`{wrong}` does not close the `{bracket}` in column {}", open.column),
            _ if separated => format!("`,` or `{closing}` is missing here"),
            _ => info.rsplit_once(", ").map_or(info, |(_, what)| what).to_string(),
        };
        let help = "quote the text if a bracket, comma or colon belongs to it".to_string();
        return Explained { place: at, width: 1, message, help };
    }
    Explained {
        place: open,
        width: 1,
        message: format!("this `{bracket}` is not closed; line {} cannot go on inside of it", at.line),
        help: format!("add the missing `,` or `{closing}`"),
    }
}

/// A `: ` where no key can stand.
fn misplaced_colon(at: Place, text: Text<'_>) -> Explained {
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
    let (place, width) = text.content(number);
    match entry.find(':') {
        Some(_) => said(place, width, "a space is missing behind the `:`", "write `key: value`"),
        None => said(place, width, "this line has no `:`", "write `key: value`, or `- ` in front of an item of a list"),
    }
}

/// A line whose indentation fits no list or mapping around it.
fn lost_indentation(at: Place, text: Text<'_>) -> Explained {
    // Where text ends without a `:`, the parser notices only at the line behind it.
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
