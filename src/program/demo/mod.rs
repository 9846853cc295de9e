//! Scenarios from YAML files, played against a fresh server in this process.
//!
//! ```text
//! file → scenario (strict) → player ─┬→ files    (manifests in a watched directory)
//!                                    ├→ app::Control (pods deleted, objects looked at)
//!                                    ├→ client   (real queries over UDP and TCP)
//!                                    ├→ page     (what containers serve over HTTP)
//!                                    └→ screen   (what a person sees)
//! ```

mod client;
mod condition;
mod files;
mod interrupt;
mod observe;
mod page;
mod player;
mod scenario;
mod screen;
mod tables;

use crate::{
    program::{app::StartError, exit::Exit},
    text::{regular_file, yaml},
};
use interrupt::Interrupt;
use player::{PlayError, Player};
use screen::Screen;
use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

/// Largest scenario, and largest manifest that one names, in octets.
const FILE_OCTETS_MAX: u64 = 16 << 20;

/// Plays scenarios one after the other, each against a server of its own, and prints them to standard output.
///
/// Returns the worst exit code: 0 when all expectations held, 1 when one failed, 78 when a file is no scenario or asks for
/// something that cannot be, 70 or 77 when the server did not start.
pub fn run(files: &[PathBuf]) -> Exit {
    let pauses = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut out = anstream::stdout();
    let interrupt = match Interrupt::catch() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            Screen::new(&mut out).bad(&format!("signals cannot be caught: {error}"));
            return Exit::Internal;
        }
    };
    let mut worst = Exit::Ok;
    for (index, file) in files.iter().enumerate() {
        if interrupt.is_given() {
            break;
        }
        if index > 0 {
            let _ = writeln!(out);
        }
        worst = worst.max(play(file, pauses, &interrupt, &mut out));
    }
    worst
}

/// Plays one file.
fn play(file: &Path, pauses: bool, interrupt: &Interrupt, out: &mut dyn Write) -> Exit {
    let mut screen = Screen::new(out);
    let text = match regular_file::read_text(file, FILE_OCTETS_MAX) {
        Ok(text) => text,
        Err(error) => {
            screen.bad(&format!("{}: {error}", file.display()));
            return Exit::Configuration;
        }
    };
    let scenario = match scenario::decode(&text) {
        Ok(scenario) => scenario,
        Err(scenario::UnreadableScenario { line, column, reason }) => {
            screen.bad(&format!("{}:{line}:{column}: {reason}", file.display()));
            return Exit::Configuration;
        }
    };
    let directory = file.parent().unwrap_or(Path::new("."));
    let mut player = match Player::start(&scenario, directory, pauses, interrupt, &mut screen) {
        Ok(player) => player,
        // Such a scenario is for machines that have one.
        Err(PlayError::Start(error @ StartError::NoEngine(_))) => {
            screen.note(&format!("{}: not played: {error}", file.display()));
            return Exit::Ok;
        }
        Err(stop) => {
            screen.bad(&format!("{}: {stop}", file.display()));
            return exit_code(&stop);
        }
    };
    let lines = step_lines(file, &text);
    let mut outcome = Ok(());
    for (index, step) in scenario.steps.iter().enumerate() {
        outcome = player.step(step).map_err(|stop| (index, stop));
        if outcome.is_err() {
            break;
        }
    }
    let ended = player.end();
    match outcome {
        Ok(()) => {
            if let Err(stop) = ended {
                screen.bad(&format!("{}: {stop}", file.display()));
                return exit_code(&stop);
            }
            screen.end(&format!("{}: everything as expected", file.display()), true);
            Exit::Ok
        }
        Err((index, stop)) => {
            let line = lines.get(index).map(|line| format!(":{line}")).unwrap_or_default();
            if let Err(left) = ended {
                screen.bad(&left.to_string());
            }
            screen.end(&format!("{}{line}: step {} of {}: {stop}", file.display(), index + 1, lines.len()), false);
            exit_code(&stop)
        }
    }
}

fn exit_code(stop: &PlayError) -> Exit {
    match stop {
        PlayError::Failed | PlayError::Interrupted => Exit::Unmet,
        PlayError::Scenario(_) => Exit::Configuration,
        PlayError::Start(error) if error.is_permission() => Exit::Permission,
        PlayError::Start(_) | PlayError::Ended(_) | PlayError::Send(_) | PlayError::Down(_) => Exit::Internal,
    }
}

/// The line of each step. The YAML that scenarios are decoded with forgets places, so they come from ours.
fn step_lines(file: &Path, text: &str) -> Vec<usize> {
    let (documents, _) = yaml::parse(yaml::SourceText { path: file, text });
    let Some(yaml::YamlValue::Mapping(entries)) = documents.into_iter().next().map(|document| document.value) else {
        return Vec::new();
    };
    let steps = entries.into_iter().find(|(key, _, _)| key == "steps").map(|(_, _, node)| node.value);
    match steps {
        Some(yaml::YamlValue::Sequence(steps)) => steps.iter().map(|step| step.place.line).collect(),
        _ => Vec::new(),
    }
}
