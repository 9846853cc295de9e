//! The image of a container: looked for, pulled by its policy, and who pulls (upstream's `images/image_manager.go`).

use super::{
    Command, CommandError, Credentials, Referenced,
    retry::{is_about_the_engine, words},
    turn::{InFlight, Monotonic, PodTurn, limits},
};
use crate::engine::sandbox::ImageDetails;
use k8s_openapi::api::core::v1::{Container, Pod};
use std::time::Duration;

/// The first pause after a failed pull, and the longest.
const FIRST_BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);
/// For how long a failure is told as one (`ErrImagePull`) before the pause is (`ImagePullBackOff`).
const FAILURE_TOLD_FOR: Duration = Duration::from_secs(1);
/// How often it is looked whether an image that may not be pulled has come.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is known of a container's image.
#[derive(Debug, Clone, Default)]
pub struct ContainerImage {
    step: Step,
    /// Failed pulls in a row.
    failures: u32,
    /// What it was when it was seen last.
    pub details: Option<ImageDetails>,
}

#[derive(Debug, Clone, Default)]
enum Step {
    /// To be looked for.
    #[default]
    Unknown,
    Inspecting(InFlight),
    /// It is not there.
    Absent,
    Pulling(InFlight, Monotonic),
    /// Told as a failure until then.
    Failed {
        told_until: Monotonic,
        retry_at: Monotonic,
        error: String,
    },
    /// Not tried before this.
    Waiting(Monotonic),
    Present,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// What is to be told of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub warning: bool,
    pub reason: &'static str,
    pub message: String,
}

/// What became of one step: what to tell, and why the container waits, if that changed.
#[derive(Debug, Default)]
pub struct Progress {
    pub told: Vec<Told>,
    pub waiting: Option<(&'static str, Option<String>)>,
}

impl Progress {
    fn tell(&mut self, warning: bool, reason: &'static str, message: String) {
        self.told.push(Told { warning, reason, message });
    }

    /// The container waits for this reason; kubelet tells the reason as an error of its own, too.
    fn wait(&mut self, reason: &'static str, message: String) {
        self.tell(true, "Failed", format!("Error: {reason}"));
        self.waiting = Some((reason, Some(message)));
    }
}

impl ContainerImage {
    /// Whether it is there and may be used for the next start.
    pub fn is_present(&self) -> bool {
        matches!(self.step, Step::Present)
    }

    /// Whether something is being done about it that ends by itself.
    pub fn is_under_way(&self) -> bool {
        matches!(self.step, Step::Inspecting(_) | Step::Pulling(..))
    }

    /// An answer that is lost is not waited for.
    pub fn expire(&mut self, turn: &mut PodTurn) {
        if let Step::Inspecting(flight) | Step::Pulling(flight, _) = &self.step
            && !turn.awaits(&mut Some(*flight))
        {
            self.step = Step::Unknown;
            turn.again = true;
        }
    }

    /// Before the next start it is looked for again.
    pub fn forget(&mut self) {
        if self.is_present() {
            self.step = Step::Unknown;
        }
    }

    /// Looks what a container was made from that an earlier run of this program had started: how it is ended is said there.
    pub fn look_up(&mut self, uid: &str, container: &str, image_id: &str, turn: &mut PodTurn) {
        let command =
            Command::InspectImage { uid: uid.to_owned(), container: container.to_owned(), image: image_id.to_owned() };
        if let Some(flight) = turn.command(command, limits::QUICK) {
            self.step = Step::Inspecting(flight);
        }
    }

    /// Looks whether it is there before it is needed, if it need not be pulled all the same.
    pub fn look_ahead(&mut self, uid: &str, container: &Container, turn: &mut PodTurn) {
        let image = container.image.as_deref().unwrap_or_default();
        let is_worth_it = policy(container, image) != PullPolicy::Always && invalid_reference(image).is_none();
        if matches!(self.step, Step::Unknown) && is_worth_it {
            self.look_up(uid, &container.name, image, turn);
        }
    }

    /// A look before it was needed failed, which is nobody's business: there is one in its time.
    pub fn looked_in_vain(&mut self) {
        if matches!(self.step, Step::Inspecting(_)) {
            self.step = Step::Unknown;
        }
    }

    /// Takes the next step towards an image that is there.
    pub fn step(&mut self, pod: &Pod, container: &Container, referenced: &Referenced, turn: &mut PodTurn) -> Progress {
        let mut progress = Progress::default();
        let image = container.image.clone().unwrap_or_default();
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        match &self.step {
            Step::Inspecting(_) | Step::Pulling(..) => {}
            Step::Failed { told_until, retry_at, error } => {
                if turn.is_due(*told_until) {
                    let message = format!("Back-off pulling image \"{image}\"");
                    progress.tell(false, "BackOff", message.clone());
                    progress.wait("ImagePullBackOff", format!("{message}: ErrImagePull: {error}"));
                    self.step = Step::Waiting(*retry_at);
                    turn.again = true;
                }
            }
            Step::Waiting(until) => {
                if turn.is_due(*until) {
                    self.step = Step::Unknown;
                    turn.again = true;
                }
            }
            Step::Unknown => match invalid_reference(&image) {
                Some(why) => {
                    let message = format!("Failed to apply default image tag \"{image}\": {why}");
                    progress.tell(true, "InspectFailed", message.clone());
                    progress.wait("InvalidImageName", message);
                    self.step = Step::Waiting(turn.at + LOOK_AGAIN_AFTER);
                    turn.again = true;
                }
                None if policy(container, &image) == PullPolicy::Always => {
                    self.pull(uid, container, image, referenced, pod, turn, &mut progress);
                }
                None => self.look_up(&uid, &container.name, &image, turn),
            },
            Step::Absent if policy(container, &image) == PullPolicy::Never => {
                let message = format!("Container image \"{image}\" is not present with pull policy of Never");
                progress.tell(true, "ErrImageNeverPull", message.clone());
                progress.wait("ErrImageNeverPull", message);
                self.step = Step::Waiting(turn.at + LOOK_AGAIN_AFTER);
                turn.again = true;
            }
            Step::Absent => self.pull(uid, container, image, referenced, pod, turn, &mut progress),
            Step::Present => {}
        }
        progress
    }

    #[expect(clippy::too_many_arguments, reason = "one call in two places")]
    fn pull(
        &mut self,
        uid: String,
        container: &Container,
        image: String,
        referenced: &Referenced,
        pod: &Pod,
        turn: &mut PodTurn,
        progress: &mut Progress,
    ) {
        let credentials = credentials(pod, referenced, &image);
        let told = format!("Pulling image \"{image}\"");
        let command = Command::PullImage { uid, container: container.name.clone(), image, credentials };
        if let Some(flight) = turn.command(command, limits::PULL) {
            progress.tell(false, "Pulling", told);
            self.step = Step::Pulling(flight, turn.at);
        }
    }

    /// What was found or pulled.
    pub fn answered(
        &mut self,
        pulled: bool,
        result: Result<Option<ImageDetails>, CommandError>,
        container: &Container,
        turn: &mut PodTurn,
    ) -> Progress {
        let mut progress = Progress::default();
        let image = container.image.as_deref().unwrap_or_default();
        let began = match (&self.step, pulled) {
            (Step::Inspecting(_), false) => turn.at,
            (Step::Pulling(_, began), true) => *began,
            // An answer that comes late or twice.
            _ => return progress,
        };
        turn.again = true;
        match result {
            Ok(Some(details)) => {
                let message = match pulled {
                    true => {
                        let took = turn.at.saturating_sub(began);
                        let took = Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
                        let octets = details.octets;
                        format!(
                            "Successfully pulled image \"{image}\" in {took:?} ({took:?} including waiting). Image size: {octets} bytes."
                        )
                    }
                    false => {
                        format!("Container image \"{image}\" already present on machine and can be accessed by the pod")
                    }
                };
                progress.tell(false, "Pulled", message);
                (self.details, self.failures, self.step) = (Some(details), 0, Step::Present);
            }
            Ok(None) if !pulled => self.step = Step::Absent,
            // Nothing is known; it is tried again when the engine answers.
            Err(error) if is_about_the_engine(&error) => self.step = Step::Waiting(turn.at + Duration::from_secs(1)),
            Err(error) if !pulled => {
                let message = format!("Failed to inspect image \"{image}\": {}", words(&error));
                progress.tell(true, "InspectFailed", message.clone());
                progress.wait("ImageInspectError", message);
                self.step = Step::Waiting(turn.at + LOOK_AGAIN_AFTER);
            }
            Ok(None) => self.fail(image, "not found".to_owned(), turn, &mut progress),
            Err(error) => self.fail(image, words(&error), turn, &mut progress),
        }
        progress
    }

    fn fail(&mut self, image: &str, error: String, turn: &mut PodTurn, progress: &mut Progress) {
        progress.tell(true, "Failed", format!("Failed to pull image \"{image}\": {error}"));
        progress.wait("ErrImagePull", error.clone());
        let pause = FIRST_BACK_OFF.saturating_mul(1 << self.failures.min(10)).min(LONGEST_BACK_OFF);
        self.failures = self.failures.saturating_add(1);
        self.step = Step::Failed { told_until: turn.at + FAILURE_TOLD_FOR, retry_at: turn.at + pause, error };
    }

    /// The engine is gone, and nobody will answer.
    pub fn engine_gone(&mut self) {
        if self.is_under_way() {
            self.step = Step::Unknown;
        }
    }
}

/// The pull policy: as it is written; else `Always` for the tag `latest`, which an image without tag has.
fn policy(container: &Container, image: &str) -> PullPolicy {
    match container.image_pull_policy.as_deref() {
        Some("Always") => PullPolicy::Always,
        Some("Never") => PullPolicy::Never,
        Some("IfNotPresent") => PullPolicy::IfNotPresent,
        _ if image.contains('@') => PullPolicy::IfNotPresent,
        _ => match image.rsplit_once(':') {
            Some((_, tag)) if tag != "latest" && !tag.contains('/') => PullPolicy::IfNotPresent,
            _ => PullPolicy::Always,
        },
    }
}

/// Why a reference cannot be one, in the words of the library that kubelet uses (`distribution/reference`).
fn invalid_reference(image: &str) -> Option<String> {
    let why = |why: &str| Some(format!("couldn't parse image name \"{image}\": {why}"));
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    };
    let is_digest = |digest: &str| {
        digest.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|octet| octet.is_ascii_hexdigit())
        })
    };
    let is_tag = |tag: &str| {
        let word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
        (1..=128).contains(&tag.len())
            && tag.bytes().enumerate().all(|(at, octet)| word(octet) || (at > 0 && matches!(octet, b'.' | b'-')))
    };
    let (host, rest) = split_host(path);
    if rest.bytes().any(|octet| octet.is_ascii_uppercase()) {
        return why("invalid reference format: repository name must be lowercase");
    }
    let is_component = |part: &str| {
        let word = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
        let octets = part.as_bytes();
        octets.first().copied().is_some_and(word)
            && octets.last().copied().is_some_and(word)
            && octets.iter().all(|octet| word(*octet) || matches!(octet, b'.' | b'_' | b'-'))
    };
    let is_host = |host: &str| {
        !host.is_empty() && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-:[]".contains(&octet))
    };
    let valid = rest.len() <= 255
        && rest.split('/').all(is_component)
        && host.is_none_or(is_host)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    if valid { None } else { why("invalid reference format") }
}

/// The registry of a reference, if it names one, and the rest.
fn split_host(path: &str) -> (Option<&str>, &str) {
    match path.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), rest),
        _ => (None, path),
    }
}

/// What the pod's `imagePullSecrets` say of the image's registry, those that fit best first.
fn credentials(pod: &Pod, referenced: &Referenced, image: &str) -> Vec<Credentials> {
    let path = image.split('@').next().unwrap_or(image);
    let (host, repository) = split_host(path);
    let host = host.unwrap_or("docker.io");
    let secrets = pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten());
    let mut fitting: Vec<(usize, Credentials)> = Vec::new();
    for secret in secrets.filter_map(|secret| referenced.secrets.get(&secret.name)) {
        let whole = secret.data.get(".dockerconfigjson").and_then(|octets| json(octets)?.get("auths").cloned());
        let old = || secret.data.get(".dockercfg").and_then(|octets| json(octets));
        for (registry, entry) in whole.or_else(old).iter().filter_map(|auths| auths.as_object()).flatten() {
            if let Some(length) = fits(registry, host, repository) {
                fitting.push((length, Credentials(entry.to_string())));
            }
        }
    }
    fitting.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    fitting.into_iter().map(|(_, credentials)| credentials).collect()
}

fn json(octets: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(octets).ok()
}

/// Whether a registry's entry is about this repository, and how much of its path it names.
fn fits(registry: &str, host: &str, repository: &str) -> Option<usize> {
    let registry = registry.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let (name, path) = registry.split_once('/').unwrap_or((registry, ""));
    let canonical = |host: &str| match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_ascii_lowercase(),
    };
    // The version of the API is no part of a repository.
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let below = path.is_empty()
        || repository.strip_prefix(path).is_some_and(|rest| rest.starts_with(['/', ':']) || rest.is_empty());
    (canonical(name) == canonical(host) && below).then_some(path.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{LocalObjectReference, PodSpec};
    use std::{collections::BTreeMap, sync::Arc};

    #[test]
    fn references_and_their_policies() {
        use PullPolicy::{Always, IfNotPresent};
        let digest = "a".repeat(64);
        let rows: &[(&str, Option<PullPolicy>)] = &[
            ("nginx", Some(Always)),
            ("nginx:latest", Some(Always)),
            ("nginx:1.25", Some(IfNotPresent)),
            ("localhost:5000/nginx", Some(Always)),
            ("localhost:5000/team/nginx:1", Some(IfNotPresent)),
            ("registry.k8s.io/pause:3.9", Some(IfNotPresent)),
            (&format!("nginx@sha256:{digest}"), Some(IfNotPresent)),
            (&format!("nginx:latest@sha256:{digest}"), Some(IfNotPresent)),
            ("Nginx", None),
            ("", None),
            ("nginx:", None),
            ("nginx:-x", None),
            ("nginx@sha256:12", None),
            ("a b", None),
            ("https://example.com/x", None),
            ("a//b", None),
        ];
        for (image, expected) in rows {
            let container = Container { image: Some((*image).to_owned()), ..Container::default() };
            match expected {
                None => assert!(invalid_reference(image).is_some(), "{image}"),
                Some(expected) => {
                    assert_eq!(invalid_reference(image), None, "{image}");
                    assert_eq!(policy(&container, image), *expected, "{image}");
                }
            }
        }
    }

    #[test]
    fn who_pulls() {
        let config = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "hub"}, "registry.example.com": {"auth": "all"},
            "registry.example.com/team": {"auth": "team"}, "localhost:5000": {"auth": "local"}}}"#;
        let mut referenced = Referenced::default();
        let data = BTreeMap::from([(".dockerconfigjson".to_owned(), config.as_bytes().to_vec())]);
        referenced.secrets.insert("pull".to_owned(), Arc::new(super::super::KeyedData { data }));
        let secrets = Some(vec![LocalObjectReference { name: "pull".to_owned() }, LocalObjectReference::default()]);
        let pod = Pod { spec: Some(PodSpec { image_pull_secrets: secrets, ..PodSpec::default() }), ..Pod::default() };
        let rows: &[(&str, &[&str])] = &[
            ("nginx", &["hub"]),
            ("library/nginx:1", &["hub"]),
            ("registry.example.com/other/x:1", &["all"]),
            ("registry.example.com/team/x:1", &["team", "all"]),
            ("registry.example.com/teams/x:1", &["all"]),
            ("localhost:5000/x", &["local"]),
            ("localhost:5001/x", &[]),
        ];
        for (image, expected) in rows {
            let found: Vec<String> = credentials(&pod, &referenced, image).into_iter().map(|found| found.0).collect();
            let expected: Vec<String> = expected.iter().map(|auth| format!("{{\"auth\":\"{auth}\"}}")).collect();
            assert_eq!(found, expected, "{image}");
        }
    }
}
