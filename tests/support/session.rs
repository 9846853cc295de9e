//! Sessions in the documentation, run as they stand, and what they print compared with what the page says.
//!
//! `$ ` begins a command in a block `console`; what is below it is its output. A block `yaml` whose first line is a
//! comment with a file's name is saved under that name. A block `console second` runs beside the rest, until a block
//! `text second` has told what it shows. In outputs `…` is any word, or any number of lines on a line of its own. Columns
//! may be of any width.

use super::{PATIENCE, eventually};
use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, sync_channel},
    },
    thread::spawn,
};

/// What a page has.
#[derive(Debug, PartialEq)]
pub enum Part {
    /// A command, and what it prints.
    Run(String, Vec<String>),
    /// A command that runs beside the rest, and what it prints at first.
    Beside(String, Vec<String>),
    /// All that the command beside the rest has printed by now; it is ended.
    Shown(Vec<String>),
    /// A file.
    Save(String, String),
}

/// What is to be done with a page, in order.
pub fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match info {
            "console" | "console second" => {
                for line in block {
                    match (line.strip_prefix("$ "), parts.last_mut()) {
                        (Some(command), _) if info == "console" => {
                            parts.push(Part::Run(command.to_owned(), Vec::new()))
                        }
                        (Some(command), _) => parts.push(Part::Beside(command.to_owned(), Vec::new())),
                        (None, Some(Part::Run(_, output) | Part::Beside(_, output))) => output.push(line.to_owned()),
                        (None, _) => panic!("`{line}` is the output of nothing"),
                    }
                }
            }
            "text second" => parts.push(Part::Shown(block.iter().map(|line| (*line).to_owned()).collect())),
            "yaml" => {
                if let Some(name) = block.first().and_then(|line| line.strip_prefix("# ")) {
                    parts.push(Part::Save(name.to_owned(), block.join("\n") + "\n"));
                }
            }
            _ => {}
        }
    }
    parts
}

/// Whether an output is the one that a page shows.
pub fn is_shown(output: &[String], shown: &[String]) -> bool {
    let line = |line: &str, shown: &str| {
        let (words, expected): (Vec<_>, Vec<_>) =
            (line.split_whitespace().collect(), shown.split_whitespace().collect());
        words.len() == expected.len() && words.iter().zip(&expected).all(|(word, shown)| *shown == "…" || word == shown)
    };
    match (output, shown) {
        ([], []) => true,
        (_, [any, rest @ ..]) if any.trim() == "…" => {
            (0..=output.len()).any(|skipped| is_shown(&output[skipped..], rest))
        }
        ([first, others @ ..], [expected, rest @ ..]) => line(first, expected) && is_shown(others, rest),
        _ => false,
    }
}

fn check(command: &str, output: &[String], shown: &[String]) -> Result<(), String> {
    match is_shown(output, shown) {
        true => Ok(()),
        false => {
            Err(format!("`{command}`\n--- the page says\n{}\n--- it says\n{}", shown.join("\n"), output.join("\n")))
        }
    }
}

/// One shell in which commands are run one after the other.
pub struct Shell {
    shell: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

/// What the shell prints after a command.
const END: &str = "--- end of the command";

impl Shell {
    /// A shell in a directory, with further variables.
    pub fn new(directory: &Path, variables: &[(&str, &str)]) -> Shell {
        let mut command = Command::new("bash");
        command.args(["--norc", "--noprofile"]).current_dir(directory).envs(variables.iter().copied());
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = sync_channel(64);
        let output = BufReader::new(shell.stdout.take().unwrap());
        spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut input = shell.stdin.take().unwrap();
        // As in a shell that somebody types into; errors stand where they come.
        writeln!(input, "shopt -s expand_aliases; exec 2>&1").unwrap();
        Shell { shell, input, lines }
    }

    /// The lines that a command prints.
    pub fn run(&mut self, command: &str) -> Vec<String> {
        // The empty line in front ends a last line without an end.
        writeln!(self.input, "{command}\necho; echo '{END}'").unwrap();
        let mut output = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == END => break,
                Ok(line) => output.push(line),
                Err(_) => panic!("`{command}` does not end\n{}", output.join("\n")),
            }
        }
        if output.last().is_some_and(String::is_empty) {
            output.pop();
        }
        output
    }

    /// Runs a command, which has to print what a page shows.
    pub fn check(&mut self, command: &str, shown: &[String]) {
        let output = self.run(command);
        if let Err(wrong) = check(command, &output, shown) {
            panic!("{wrong}");
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// A command that runs beside the rest; ended when dropped.
pub struct Beside {
    command: String,
    child: Child,
    printed: Arc<Mutex<String>>,
}

impl Beside {
    /// Starts one (without a shell's help) and waits until it has printed what a page shows.
    pub fn start(command: &str, directory: &Path, variables: &[(&str, &str)], shown: &[String]) -> Beside {
        let mut words = command.split_whitespace();
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .current_dir(directory)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = Arc::new(Mutex::new(String::new()));
        let (into, mut from) = (Arc::clone(&printed), child.stdout.take().unwrap());
        spawn(move || {
            let mut octets = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut octets) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&octets[..count]));
            }
        });
        let beside = Beside { command: command.to_owned(), child, printed };
        beside.check(shown);
        beside
    }

    /// Waits until all that it has printed is what a page shows. Lines that follow on themselves count once.
    pub fn check(&self, shown: &[String]) {
        eventually(&self.command, || {
            let printed = self.printed.lock().unwrap().clone();
            let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
            let words = |line: &str| line.split_whitespace().take(4).map(str::to_owned).collect::<Vec<_>>();
            lines.dedup_by(|one, other| words(one) == words(other));
            check(&self.command, &lines, shown)
        });
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
