//! How one simulated pod behaves: settings, the image's name, and the annotations under `simulation.headless-dns/`.

use crate::{
    objects::object::annotations::COMPLETION_INDEX,
    text::options::{self, options},
    text::{duration::parse_duration, nearest::nearest},
};
use k8s_openapi::api::core::v1::Pod;
use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

pub use crate::objects::object::annotations::SIMULATION_PREFIX as PREFIX;

/// Delays above this are taken for mistakes.
const ANNOTATED_DELAY_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Flapping and crashing never run faster than this, so that one poll has a bounded number of steps.
const CYCLE_MIN: Duration = Duration::from_millis(1);

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
        /// How long the container of a Job's pod runs before it exits, well unless an annotation says otherwise.
        #[serde(deserialize_with = "options::text")]
        pub finish_after: Duration = Duration::from_secs(1), Duration::ZERO..=DELAY_MAX;
        /// Whether pods need the ConfigMaps, Secrets and ServiceAccounts that they name, as upstream's do.
        pub require_references: bool = false;
    }
}

/// How a pod ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Phase Failed, with this exit code of its containers, which is not zero.
    Failed(u8),
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
    /// How long its container runs before it exits and is restarted, each time.
    pub crash_after: Option<Duration>,
    /// The exit code then.
    pub crash_code: u8,
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
    ExitCode,
    ExitCodesByIndex,
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
    ("run-for", AnnotationValue::Delay),
    ("exit-code", AnnotationValue::ExitCode),
    ("exit-code-by-index", AnnotationValue::ExitCodesByIndex),
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
        let exit_code = exit_code(pod, text("exit-code"), text("exit-code-by-index"));
        // What is said to fail does not do so with success.
        let failure = exit_code.filter(|code| *code != 0).unwrap_or(1);
        let mut crash_after = match switch("crash-loop") {
            // As soon as it would have become ready.
            Some(true) => Some(ready_after),
            Some(false) => None,
            None => delay("crash-loop"),
        };
        let mut crash_code = failure;
        let ends =
            [("fail-after", End::Failed(failure)), ("evict-after", End::Evicted), ("succeed-after", End::Succeeded)];
        let mut end =
            ends.into_iter().filter_map(|(key, end)| Some((delay(key)?, end))).min_by_key(|(after, _)| *after);
        let of_job = || is_of_job(pod) && crash_after.is_none() && end.is_none();
        let run_for = delay("run-for").or_else(|| of_job().then_some(delays.finish_after));
        if let Some(run_for) = run_for.filter(|_| crash_after.is_none()) {
            let code = exit_code.unwrap_or(0);
            let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
            let is_restarted = match policy {
                Some("Never") => false,
                Some("OnFailure") => code != 0,
                _ => true,
            };
            if is_restarted {
                (crash_after, crash_code) = (Some(run_for), code);
            } else if end.is_none_or(|(after, _)| run_for < after) {
                end = Some((run_for, if code == 0 { End::Succeeded } else { End::Failed(code) }));
            }
        }
        Behaviour {
            starts: switch("start").unwrap_or(true),
            start_after: delay("start-after").unwrap_or(delays.start_after),
            ready: switch("ready").unwrap_or_else(|| !has_broken_image(pod)),
            ready_after,
            stop_after: delay("stop-after").unwrap_or(delays.stop_after),
            crash_after,
            crash_code,
            end,
            unready_after: delay("unready-after").map(|after| after.max(CYCLE_MIN)),
            unready_for: delay("unready-for").map(|duration| duration.max(CYCLE_MIN)),
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
            Some((_, AnnotationValue::ExitCode)) => parse_exit_code(value)
                .is_none()
                .then(|| format!("{value:?} is no exit code; write a number from 0 to 255")),
            Some((_, AnnotationValue::ExitCodesByIndex)) => value
                .split(',')
                .find(|one| parse_by_index(one).is_none())
                .map(|one| format!("{one:?} is no exit code of an index; write 2=1, or 0-3=0, 4=137")),
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

/// The exit code of a pod: that of its completion index, else the one for all; `None` if neither says any.
fn exit_code(pod: &Pod, for_all: Option<&str>, by_index: Option<&str>) -> Option<u8> {
    let index = pod.metadata.annotations.as_ref().and_then(|all| all.get(COMPLETION_INDEX)?.parse().ok());
    let of_index = |one: &str| {
        let ((indexes, code), index): (_, u32) = (parse_by_index(one)?, index?);
        indexes.contains(&index).then_some(code)
    };
    by_index.and_then(|all| all.split(',').find_map(of_index)).or_else(|| for_all.and_then(parse_exit_code))
}

fn parse_exit_code(text: &str) -> Option<u8> {
    text.trim().parse().ok()
}

/// `2=1` or `0-3=137`: indexes and their exit code.
fn parse_by_index(text: &str) -> Option<(RangeInclusive<u32>, u8)> {
    let (indexes, code) = text.split_once('=')?;
    let (first, last) = indexes.split_once('-').unwrap_or((indexes, indexes));
    Some((first.trim().parse().ok()?..=last.trim().parse().ok()?, parse_exit_code(code)?))
}

/// Whether a Job made the pod.
fn is_of_job(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.controller == Some(true) && owner.kind == "Job")
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
    use super::*;
    use k8s_openapi::{api::core::v1::Container, api::core::v1::PodSpec};

    fn defaults() -> Delays {
        Delays {
            start_after: Duration::from_millis(50),
            ready_after: Duration::from_millis(60),
            stop_after: Duration::from_millis(100),
            finish_after: Duration::from_secs(1),
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
        assert_eq!(odd.unready_after, Some(CYCLE_MIN));
        assert_eq!(behaviour("x", &[("crash-loop", "true")]).crash_after, Some(Duration::from_millis(60)));
        assert_eq!(behaviour("x", &[("crash-loop", "7s")]).crash_after, Some(Duration::from_secs(7)));
        assert_eq!(behaviour("x", &[("crash-loop", "false")]).crash_after, None);
    }

    #[test]
    fn containers_that_exit() {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
        let (none, crashes) = ((None, None), |after: u64, code: u8| (None, Some((Duration::from_secs(after), code))));
        let ends = |after: u64, end: End| (Some((Duration::from_secs(after), end)), None);
        // Whether a Job made the pod, its restart policy, its annotations; how it ends, and after what it crashes.
        type Annotations = &'static [(&'static str, &'static str)];
        type Ends = (Option<(Duration, End)>, Option<(Duration, u8)>);
        let rows: &[(bool, &str, Annotations, Ends)] = &[
            (true, "Never", &[], ends(1, End::Succeeded)),
            (true, "OnFailure", &[], ends(1, End::Succeeded)),
            (false, "Never", &[], none),
            (false, "Never", &[("exit-code", "3")], none),
            (false, "Never", &[("run-for", "4s"), ("exit-code", "3")], ends(4, End::Failed(3))),
            (false, "Always", &[("run-for", "4s")], crashes(4, 0)),
            (true, "Never", &[("exit-code", "3")], ends(1, End::Failed(3))),
            (true, "OnFailure", &[("exit-code", "3")], crashes(1, 3)),
            (true, "OnFailure", &[("exit-code", "0")], ends(1, End::Succeeded)),
            (true, "Never", &[("exit-code-by-index", "0=1, 4-7=42")], ends(1, End::Failed(42))),
            (true, "Never", &[("exit-code-by-index", "0=1"), ("exit-code", "7")], ends(1, End::Failed(7))),
            (true, "Never", &[("fail-after", "2s")], ends(2, End::Failed(1))),
            (true, "Never", &[("succeed-after", "9s"), ("run-for", "2s"), ("exit-code", "2")], ends(2, End::Failed(2))),
            (true, "OnFailure", &[("crash-loop", "3s"), ("exit-code", "9")], crashes(3, 9)),
        ];
        for (of_job, policy, rows, expected) in rows {
            let mut pod = Pod::default();
            let mut all = annotations(rows);
            all.insert("batch.kubernetes.io/job-completion-index".to_owned(), "5".to_owned());
            pod.metadata.annotations = Some(all);
            let owner = OwnerReference { kind: "Job".to_owned(), controller: Some(true), ..OwnerReference::default() };
            pod.metadata.owner_references = of_job.then(|| vec![owner]);
            pod.spec = Some(PodSpec { restart_policy: Some((*policy).to_owned()), ..PodSpec::default() });
            let found = Behaviour::of(&pod, &defaults());
            let crash = found.crash_after.map(|after| (after, found.crash_code));
            assert_eq!((found.end, crash), *expected, "{of_job} {policy} {rows:?}");
        }
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
            ("exit-code", "3", None),
            ("exit-code", "256", Some("is no exit code")),
            ("exit-code-by-index", "0=1, 2-5=137", None),
            ("exit-code-by-index", "1", Some("is no exit code of an index")),
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
