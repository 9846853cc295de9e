//! How one simulated pod behaves: settings, the image's name, and the annotations under `simulation.headless-dns/`.

use crate::{
    text::options::{self, options},
    text::{duration::parse_duration, nearest::nearest},
};
use k8s_openapi::api::core::v1::Pod;
use std::{collections::BTreeMap, time::Duration};

pub use crate::objects::object::annotations::SIMULATION_PREFIX as PREFIX;

/// Delays above this are taken for mistakes.
const ANNOTATED_DELAY_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Flapping and crashing never run faster than this, so that one poll has a bounded number of steps.
const SHORTEST_CYCLE: Duration = Duration::from_millis(1);

/// The longest delay that the settings give, to keep a start from looking like a hang.
const DELAY_MAX: Duration = Duration::from_secs(3600);

options! {
    /// Delays of simulated pods unless their annotations say otherwise.
    #[derive(Eq)]
    pub struct Delays {
        /// From creation to Running.
        #[serde(deserialize_with = "options::text")]
        pub start_after: Duration = Duration::from_millis(50), Duration::ZERO..=DELAY_MAX;
        /// From Running to Ready.
        #[serde(deserialize_with = "options::text")]
        pub ready_after: Duration = Duration::from_millis(50), Duration::ZERO..=DELAY_MAX;
        /// From deletion to being gone, unless the grace period is shorter.
        #[serde(deserialize_with = "options::text")]
        pub stop_after: Duration = Duration::from_millis(100), Duration::ZERO..=DELAY_MAX;
        /// Whether pods need the ConfigMaps, Secrets and ServiceAccounts that they name, as upstream's do.
        pub require_references: bool = false;
    }
}

/// How a pod ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Phase Failed.
    Failed,
    /// Phase Failed, reason Evicted.
    Evicted,
    /// Phase Succeeded.
    Succeeded,
}

/// Everything that one pod does, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether its image can be pulled (`start: "false"`).
    pub starts: bool,
    /// From creation to Running.
    pub start_after: Duration,
    /// Whether it ever becomes ready.
    pub ready: bool,
    /// From each start of its container to Ready.
    pub ready_after: Duration,
    /// From deletion to being gone.
    pub stop_after: Duration,
    /// How long its container runs before it crashes, each time.
    pub crash_after: Option<Duration>,
    /// From Running to its end.
    pub end: Option<(Duration, End)>,
    /// From Ready to not ready.
    pub unready_after: Option<Duration>,
    /// From then to Ready again; without it the pod stays unready.
    pub unready_for: Option<Duration>,
}

/// What an annotation's value may be.
#[derive(Clone, Copy)]
enum AnnotationValue {
    Delay,
    Switch,
    SwitchOrDelay,
}

/// Every annotation there is, without the prefix.
const KNOWN: &[(&str, AnnotationValue)] = &[
    ("start", AnnotationValue::Switch),
    ("start-after", AnnotationValue::Delay),
    ("ready", AnnotationValue::Switch),
    ("ready-after", AnnotationValue::Delay),
    ("stop-after", AnnotationValue::Delay),
    ("crash-loop", AnnotationValue::SwitchOrDelay),
    ("fail-after", AnnotationValue::Delay),
    ("evict-after", AnnotationValue::Delay),
    ("succeed-after", AnnotationValue::Delay),
    ("unready-after", AnnotationValue::Delay),
    ("unready-for", AnnotationValue::Delay),
];

impl Behaviour {
    /// Reads a pod. What does not parse counts as absent; [`check_annotations`] reports it.
    pub fn of(pod: &Pod, delays: &Delays) -> Behaviour {
        let annotations = pod.metadata.annotations.as_ref();
        let text = |key: &str| annotations.and_then(|all| all.get(&format!("{PREFIX}{key}"))).map(String::as_str);
        let delay = |key| text(key).and_then(|value| parse_delay(value).ok());
        let switch = |key| text(key).and_then(parse_switch);

        let ready_after = delay("ready-after").unwrap_or(delays.ready_after);
        let crash_after = match switch("crash-loop") {
            // As soon as it would have become ready.
            Some(true) => Some(ready_after),
            Some(false) => None,
            None => delay("crash-loop"),
        };
        let ends = [("fail-after", End::Failed), ("evict-after", End::Evicted), ("succeed-after", End::Succeeded)];
        Behaviour {
            starts: switch("start").unwrap_or(true),
            start_after: delay("start-after").unwrap_or(delays.start_after),
            ready: switch("ready").unwrap_or_else(|| !has_broken_image(pod)),
            ready_after,
            stop_after: delay("stop-after").unwrap_or(delays.stop_after),
            crash_after,
            end: ends.into_iter().filter_map(|(key, end)| Some((delay(key)?, end))).min_by_key(|(after, _)| *after),
            unready_after: delay("unready-after").map(|after| after.max(SHORTEST_CYCLE)),
            unready_for: delay("unready-for").map(|duration| duration.max(SHORTEST_CYCLE)),
        }
    }
}

/// What is wrong with the annotations under [`PREFIX`]: pairs of the full key and a sentence. Others are not looked at.
pub fn check_annotations(annotations: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    for (key, value) in annotations {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let problem = match KNOWN.iter().find(|(known, _)| *known == name) {
            None => Some(unknown(name)),
            Some((_, AnnotationValue::Delay)) => parse_delay(value).err(),
            Some((_, AnnotationValue::Switch)) => {
                parse_switch(value).is_none().then(|| format!("{value:?} is neither \"true\" nor \"false\""))
            }
            Some((_, AnnotationValue::SwitchOrDelay)) => match (parse_switch(value), parse_delay(value)) {
                (None, Err(problem)) => Some(format!("{problem}; \"true\" and \"false\" are possible too")),
                _ => None,
            },
        };
        problems.extend(problem.map(|problem| (key.clone(), problem)));
    }
    if annotations.contains_key(&format!("{PREFIX}unready-for"))
        && !annotations.contains_key(&format!("{PREFIX}unready-after"))
    {
        problems.push((format!("{PREFIX}unready-for"), "has no effect without unready-after".to_owned()));
    }
    problems
}

fn unknown(name: &str) -> String {
    match nearest(name, KNOWN.iter().map(|(known, _)| *known)) {
        Some(known) => format!("unknown annotation of the simulation; did you mean {PREFIX}{known}?"),
        None => {
            let all: Vec<&str> = KNOWN.iter().map(|(known, _)| *known).collect();
            format!("unknown annotation of the simulation; known are {}", all.join(", "))
        }
    }
}

fn parse_switch(text: &str) -> Option<bool> {
    match text.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A delay as people write it: `3s`, `250ms`, `1m30s`, `1.5s`, or a plain number of seconds; at most a year.
pub fn parse_delay(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let plain = text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') && !text.is_empty();
    let duration = if plain { parse_duration(&format!("{text}s")) } else { parse_duration(text) };
    match duration {
        Ok(duration) if duration <= ANNOTATED_DELAY_MAX => Ok(duration),
        Ok(_) => Err(format!("{text:?} is longer than a year")),
        Err(_) => Err(format!("{text:?} is no duration; write 3s, 250ms, 1m30s, or a number of seconds")),
    }
}

/// Whether a container's image, apart from its tag and digest, is named as one that never becomes ready.
fn has_broken_image(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.filter_map(|container| container.image.as_deref()).any(|image| image_name(image).contains("broken"))
}

fn image_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A colon before a slash belongs to the registry's port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use k8s_openapi::{api::core::v1::Container, api::core::v1::PodSpec};

    fn defaults() -> Delays {
        Delays {
            start_after: Duration::from_millis(50),
            ready_after: Duration::from_millis(60),
            stop_after: Duration::from_millis(100),
            ..Delays::default()
        }
    }

    fn annotations(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
        rows.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned())).collect()
    }

    fn behaviour(image: &str, rows: &[(&str, &str)]) -> Behaviour {
        let mut pod = Pod::default();
        pod.metadata.annotations = Some(annotations(rows));
        let container = Container { image: Some(image.to_owned()), ..Container::default() };
        pod.spec = Some(PodSpec { containers: vec![container], ..PodSpec::default() });
        Behaviour::of(&pod, &defaults())
    }

    #[test]
    fn delays() {
        let rows: &[(&str, Option<u64>)] = &[
            ("3s", Some(3000)),
            ("250ms", Some(250)),
            ("1m30s", Some(90_000)),
            ("1h", Some(3_600_000)),
            ("1.5s", Some(1500)),
            ("5", Some(5000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            (" 2.5 ", Some(2500)),
            ("-3s", None),
            ("", None),
            (".", None),
            ("3 apples", None),
            ("1e30", None),
            ("99999h", None),
            ("99999999999999999999", None),
        ];
        for (text, millis) in rows {
            assert_eq!(parse_delay(text).ok(), millis.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn annotations_win_over_delays() {
        let plain = behaviour("nginx:1", &[]);
        assert_eq!(plain.start_after, Duration::from_millis(50));
        assert!(plain.starts && plain.ready && plain.crash_after.is_none() && plain.end.is_none());
        let odd = behaviour(
            "nginx:1",
            &[
                ("start-after", "3s"),
                ("ready", "false"),
                ("evict-after", "2s"),
                ("fail-after", "9s"),
                ("unready-after", "0"),
            ],
        );
        assert_eq!(odd.start_after, Duration::from_secs(3));
        assert!(!odd.ready);
        assert_eq!(odd.end, Some((Duration::from_secs(2), End::Evicted)), "the first to come");
        assert_eq!(odd.unready_after, Some(SHORTEST_CYCLE));
        assert_eq!(behaviour("x", &[("crash-loop", "true")]).crash_after, Some(Duration::from_millis(60)));
        assert_eq!(behaviour("x", &[("crash-loop", "7s")]).crash_after, Some(Duration::from_secs(7)));
        assert_eq!(behaviour("x", &[("crash-loop", "false")]).crash_after, None);
    }

    #[test]
    fn broken_images() {
        let rows = [
            ("broken:1", false),
            ("registry:5000/team/broken-app:2@sha256:00", false),
            ("nginx:broken", true),
            ("registry:5000/nginx", true),
            ("nginx@sha256:broken", true),
        ];
        for (image, ready) in rows {
            assert_eq!(behaviour(image, &[]).ready, ready, "{image}");
        }
        assert!(behaviour("broken:1", &[("ready", "true")]).ready, "the annotation wins");
    }

    #[test]
    fn mistakes_are_told() {
        let rows: &[(&str, &str, Option<&str>)] = &[
            ("start-after", "3s", None),
            ("crash-loop", "true", None),
            ("crash-loop", "3s", None),
            ("ready", "\"no\"", Some("neither \"true\" nor \"false\"")),
            ("start-after", "soon", Some("is no duration")),
            ("crash-loop", "often", Some("\"true\" and \"false\" are possible too")),
            ("start-afer", "3s", Some("did you mean simulation.headless-dns/start-after?")),
            ("cpu-temperature", "3", Some("known are start, start-after")),
            ("unready-for", "3s", Some("without unready-after")),
        ];
        for (key, value, expected) in rows {
            let problems = check_annotations(&annotations(&[(key, value)]));
            match expected {
                None => assert_eq!(problems, [], "{key}: {value}"),
                Some(expected) => {
                    assert_eq!(problems.len(), 1, "{key}: {value}");
                    assert_eq!(problems[0].0, format!("{PREFIX}{key}"));
                    assert!(problems[0].1.contains(expected), "{problems:?}");
                }
            }
        }
        let foreign = BTreeMap::from([("example.com/start-afer".to_owned(), "x".to_owned())]);
        assert_eq!(check_annotations(&foreign), []);
    }
}
