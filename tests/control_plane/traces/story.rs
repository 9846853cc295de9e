//! What is compared of one command's lines.

use super::names::{Names, group, grouped};
use std::collections::{BTreeMap, BTreeSet};

/// What is compared of one command's lines.
#[derive(Debug, Default, PartialEq)]
pub struct Story {
    /// Creations, starts, readiness, deletions in order; what happens to several pods at once is one entry.
    pub order: Vec<(String, Vec<String>)>,
    /// Each pod's own lines; pods of a ReplicaSet have no names, since which of them it is is chance.
    pub pods: Vec<Vec<String>>,
    /// The last line of each set, slice, claim and revision.
    pub last: BTreeMap<String, String>,
}

impl Story {
    /// How many pods of which names were made, deleted, gone, and failed, whatever the order.
    pub fn counts(&self) -> BTreeMap<(&str, &str), usize> {
        let mut counts = BTreeMap::new();
        for (state, pods) in self.order.iter().filter(|(state, _)| !["ready", "running"].contains(&state.as_str())) {
            for pod in pods {
                *counts.entry((state.as_str(), pod.as_str())).or_default() += 1;
            }
        }
        counts
    }

    /// Leaves out of the last lines the generations, which count the steps.
    pub fn forget_steps(&mut self) {
        for line in self.last.values_mut() {
            *line = line.split(' ').filter(|word| !word.starts_with("observed=")).collect::<Vec<_>>().join(" ");
        }
    }
}

/// Tells the story of one command's lines.
pub fn story(lines: &[String], names: &mut Names) -> Story {
    let mut story = Story::default();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    // Pods' lines first: slices refer to their addresses.
    let lines: Vec<String> = {
        let pods: Vec<String> =
            lines.iter().filter(|line| line.starts_with("pod ")).map(|line| names.line(line)).collect();
        let others = lines.iter().filter(|line| !line.starts_with("pod ") && !line.starts_with("event "));
        pods.into_iter().chain(others.map(|line| names.line(line)).collect::<Vec<_>>()).collect()
    };
    let mut pods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let object = match words[0] {
            "pod" if group(words[1]) != words[1] => words[1].to_owned(),
            "pod" => words[2].to_owned(),
            // A Service has one slice of its own in the recordings, and one that mirrors its Endpoints.
            "slice" if line.ends_with(" mirrored") => format!("{} mirrored", words[..3].join(" ")),
            "slice" => words[..3].join(" "),
            // They are made of the slices when somebody asks for them, and compared then.
            "endpoints" => continue,
            _ => words[..2].join(" "),
        };
        if words[0] != "pod" {
            story.last.insert(object, line.clone());
            continue;
        }
        pods.entry(object.clone()).or_default().push(grouped(&line));
        let state = match line.as_str() {
            line if line.ends_with(" gone") => "gone",
            line if line.contains("terminating=yes") => "terminating",
            line if line.contains("phase=Pending") => "created",
            line if line.contains("phase=Failed") => "failed",
            line if line.contains("ready=True") => "ready",
            // Some start while others are still made.
            _ if group(&object) != object => continue,
            _ => "running",
        };
        if seen.insert(object.clone(), state.to_owned()).as_deref() == Some(state) {
            continue;
        }
        let object = group(&object).to_owned();
        match story.order.last_mut() {
            Some((last, pods)) if last == state => {
                pods.push(object);
                pods.sort();
            }
            _ => story.order.push((state.to_owned(), vec![object])),
        }
    }
    story.pods = pods.into_values().collect();
    story.pods.sort();
    story
}

/// What happened, each said once. Of more than ten similar ones of ten minutes upstream says that they are combined, and
/// repeats only the last one's text; here each is told.
pub fn events(lines: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    // Upstream's check of addresses came at this instant.
    let is_told = |line: &String| line.starts_with("event ") && !line.contains(" ClusterIPNotAllocated ");
    let events = lines.into_iter().filter(is_told);
    events.map(|line| grouped(&line.replace("(combined from similar events): ", ""))).collect()
}
