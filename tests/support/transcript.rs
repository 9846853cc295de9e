//! Sessions of tests as data: commands and everything that they print, for several versions of a client.
//!
//! ```text
//! # A comment, where it follows an empty line.
//! $ kubectl get pod web-0
//! NAME    READY   STATUS    RESTARTS   AGE
//! web-0   1/1     Running   0          <age>
//! ~ kubectl get pod nope          tried again until it prints this
//! ! Error from server (NotFound): pods "nope" not found
//! ? 1
//! {1.31+} $ kubectl wait --for=create pod/late
//! ```
//!
//! Lines after a command are its standard output; `!` marks standard error, `?` the exit code where it is not 0, `>`
//! further lines of the command. `{1.31+}`, `{-1.30}` and `{1.28-1.30}` are about those minor versions of the client
//! only. Spaces within a line count as one, because the width of columns depends on ages. What cannot be known is a
//! word in angle brackets: see [`is`]; `<lines>` alone is any number of lines.

/// A command, and what has to come of it.
#[derive(Debug)]
pub struct Step {
    /// The line of the file.
    pub line: usize,
    /// For a shell.
    pub command: String,
    /// Whether it is tried until it prints what is expected.
    pub until: bool,
    /// What it prints.
    pub expected: Printed,
}

/// What a command prints, line by line, and how it ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Printed {
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
    pub code: i32,
}

/// The steps of a session for a client of version 1.`minor`.
pub fn read(text: &str, minor: u32) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // Output of a command for other versions is no output of the one before.
    let mut skipped = true;
    let mut after_blank = true;
    for (index, line) in text.lines().enumerate() {
        let (applies, line) = for_version(line, minor);
        let starts = ["$ ", "~ "].iter().find_map(|mark| line.strip_prefix(mark));
        if starts.is_some() || after_blank && line.starts_with("# ") {
            skipped = !applies || starts.is_none();
        }
        after_blank = line.is_empty();
        if skipped || !applies {
            continue;
        }
        if let Some(command) = starts {
            let (command, until) = (command.to_owned(), line.starts_with('~'));
            steps.push(Step { line: index + 1, command, until, expected: Printed::default() });
            continue;
        }
        let Some(step) = steps.last_mut() else { continue };
        let expected = &mut step.expected;
        let rest = line.get(2..).unwrap_or_default();
        match line.get(..2) {
            Some("> ") if expected.stdout.is_empty() => step.command.push_str(&format!("\n{rest}")),
            Some("! ") => expected.stderr.push(plain(rest)),
            Some("? ") => expected.code = rest.parse().unwrap_or_else(|_| panic!("line {}: {line}", index + 1)),
            _ => expected.stdout.push(plain(line)),
        }
    }
    for step in &mut steps {
        trim(&mut step.expected.stdout);
    }
    steps
}

/// Whether a line is about this version, and the line without its condition.
fn for_version(line: &str, minor: u32) -> (bool, &str) {
    let condition = line.strip_prefix('{').and_then(|rest| rest.split_once("} "));
    match condition.and_then(|(versions, rest)| Some((range(versions)?, rest))) {
        Some(((low, high), rest)) => ((low..=high).contains(&minor), rest),
        None => (true, line),
    }
}

/// The minor versions that `1.31+`, `-1.30` or `1.28-1.30` means.
fn range(text: &str) -> Option<(u32, u32)> {
    let minor = |version: &str| version.strip_prefix("1.")?.parse().ok();
    match text.strip_suffix('+') {
        Some(low) => Some((minor(low)?, u32::MAX)),
        None => match text.split_once('-')? {
            ("", high) => Some((0, minor(high)?)),
            (low, high) => Some((minor(low)?, minor(high)?)),
        },
    }
}

/// Output as it is compared: without colours, and with spaces within a line as one.
pub fn lines(output: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = String::from_utf8_lossy(output).lines().map(plain).collect();
    trim(&mut lines);
    lines
}

fn trim(lines: &mut Vec<String>) {
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
}

fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut parts = line.split("\x1b[");
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        text.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    let words = text.trim_start();
    let indentation = &text[..text.len() - words.len()];
    format!("{indentation}{}", words.split_whitespace().collect::<Vec<_>>().join(" ")).trim_end().to_owned()
}

impl Printed {
    /// Whether this is what was expected.
    pub fn fits(&self, expected: &Printed) -> bool {
        self.code == expected.code && all_fit(&expected.stdout, &self.stdout) && all_fit(&expected.stderr, &self.stderr)
    }

    /// As a session writes it.
    pub fn written(&self) -> String {
        let mut text = String::new();
        self.stdout.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        self.stderr.iter().for_each(|line| text.push_str(&format!("! {line}\n")));
        if self.code != 0 {
            text.push_str(&format!("? {}\n", self.code));
        }
        text
    }
}

fn all_fit(expected: &[String], found: &[String]) -> bool {
    match (expected.split_first(), found.split_first()) {
        (None, None) => true,
        (Some((pattern, more)), _) if pattern == "<lines>" => {
            (0..=found.len()).any(|skipped| all_fit(more, &found[skipped..]))
        }
        (Some((pattern, more)), Some((line, rest))) => fits(pattern, line) && all_fit(more, rest),
        _ => false,
    }
}

/// Whether a line is what a pattern says.
fn fits(pattern: &str, line: &str) -> bool {
    let place = pattern.match_indices('<').find_map(|(start, _)| {
        let word = pattern[start + 1..].split_once('>')?.0;
        WORDS.contains(&word).then_some((start, word))
    });
    let Some((start, word)) = place else { return pattern == line };
    let (before, after) = (&pattern[..start], &pattern[start + word.len() + 2..]);
    let Some(rest) = line.strip_prefix(before) else { return false };
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.into_iter().any(|end| is(word, &rest[..end]) && fits(after, &rest[end..]))
}

const WORDS: [&str; 7] = ["age", "any", "hash", "ip", "number", "time", "uid"];

/// What the words in angle brackets stand for.
fn is(word: &str, text: &str) -> bool {
    let all = |allowed: fn(char) -> bool| !text.is_empty() && text.chars().all(allowed);
    match word {
        // 5s, 2m5s
        "age" => {
            all(|c| c.is_ascii_digit() || "smhdy".contains(c))
                && text.starts_with(|c: char| c.is_ascii_digit())
                && text.ends_with(|c: char| c.is_ascii_alphabetic())
        }
        "any" => true,
        "hash" => all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()),
        "ip" => all(|c| c.is_ascii_hexdigit() || ".:".contains(c)),
        "number" => all(|c| c.is_ascii_digit()),
        "time" => all(|c| c.is_ascii_alphanumeric() || " ,:+.-".contains(c)),
        _ => text.len() == 36 && all(|c| c.is_ascii_hexdigit() || c == '-'),
    }
}
