//! What was measured, as tables.

use crate::support::engines::Kind;
use std::{fmt::Write as _, time::Duration};

/// Values by what they are of, in the order in which these were first met.
#[derive(Default)]
pub struct Figures(Vec<(String, Vec<f64>)>);

impl Figures {
    /// Adds a value.
    pub fn add(&mut self, what: &str, value: f64) {
        match self.0.iter_mut().find(|(known, _)| known == what) {
            Some((_, values)) => values.push(value),
            None => self.0.push((what.to_owned(), vec![value])),
        }
    }

    /// Adds a time, in milliseconds.
    pub fn milliseconds(&mut self, what: &str, time: Duration) {
        self.add(&format!("{what}, ms"), time.as_secs_f64() * 1000.0);
    }

    /// All of it.
    pub fn take(&mut self) -> Figures {
        std::mem::take(self)
    }

    /// The median, and the smallest and the largest in brackets if there are several.
    fn cell(&self, what: &str) -> String {
        let Some((_, values)) = self.0.iter().find(|(known, _)| known == what) else { return "–".to_owned() };
        let mut values = values.clone();
        values.sort_by(f64::total_cmp);
        let written = |value: f64| if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") };
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        match values.len() {
            1 => written(median),
            _ => format!("{} ({}–{})", written(median), written(values[0]), written(values[values.len() - 1])),
        }
    }
}

/// What is to be reached; words of a row, for Docker, for Podman.
const GOALS: [(&str, f64, f64); 7] = [
    ("first name answered, ms", 800.0, 800.0),
    ("third name answered, ms", 1500.0, 1000.0),
    ("resident memory, MB", 55.0, 55.0),
    ("killed, then answers again, ms", 1500.0, 1500.0),
    ("ConfigMap edited in its manifest, then in the volume, ms", 500.0, 500.0),
    ("ConfigMap edited over the API, then in the volume, ms", 500.0, 500.0),
    ("% of a core", 1.0, 1.0),
];

/// What others publish: from the command to an application that runs and DNS that answers
/// (minikube's own benchmark time-to-k8s of v1.36.0).
const OTHERS: [(&str, f64); 3] = [("k3d 5.8.3", 19.937), ("kind 0.29.0", 32.977), ("minikube 1.36.0", 50.812)];

/// The tables: ours, and what others publish.
pub fn tables(all: &[(Kind, Figures)]) -> String {
    let mut text = format!("Medians (smallest–largest); {}.\n\n| |", machine());
    for (kind, _) in all {
        let _ = write!(text, " {kind} | goal |");
    }
    text += &format!("\n|---|{}\n", "---:|---:|".repeat(all.len()));
    let mut rows: Vec<&String> = Vec::new();
    for what in all.iter().flat_map(|(_, figures)| &figures.0).map(|(what, _)| what) {
        if !rows.contains(&what) {
            rows.push(what);
        }
    }
    // First what is to be reached, then what it is made of.
    rows.sort_by_key(|what| what.starts_with("call:") || what.starts_with("engine alone"));
    for what in rows {
        let _ = write!(text, "| {what} |");
        for (kind, figures) in all {
            let goal = GOALS.iter().find(|(words, ..)| what.ends_with(words));
            let goal = goal.map(|(_, docker, podman)| if *kind == Kind::Docker { docker } else { podman });
            let _ =
                write!(text, " {} | {} |", figures.cell(what), goal.map_or(String::new(), |goal| format!("{goal}")));
        }
        text.push('\n');
    }
    text += "\n| a cluster with an application, and DNS answers, as published | s |\n|---|---:|\n";
    for (tool, seconds) in OTHERS {
        let _ = writeln!(text, "| {tool} | {seconds:.1} |");
    }
    text
}

/// Processors, and how busy they are with other things.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{processors} processors, load at the end {}",
        load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
    )
}
