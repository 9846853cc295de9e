//! Hostile and broken manifests: each gives a diagnostic or meets a documented limit, in bounded time and memory,
//! and what ran before keeps running.
//!
//! Every row writes its files beside a good one, through the scan of real directories, into the real controller with the
//! simulated runtime under simulated time.

use headless_dns::{
    control::{
        controller::{Cascade, Controller, ControllerSettings, Event, Write},
        records::RecordSettings,
        runtime::simulated::{Delays, Simulated, SimulationSettings},
    },
    dns::name::Name,
    objects::{
        manifest::{EMPTY_FILE_GRACE, Manifests, walk::MAX_FILES},
        object::{Kind, Object, ObjectKey},
    },
    text::{diagnostic::Severity, yaml},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// What one row may take, in a build without optimizations on a busy machine.
const TIME: Duration = Duration::from_secs(60);
/// What the whole file may ever have resident, in KiB.
const MEMORY: u64 = 2 << 20;
/// How many changes a row may bring: whoever writes an object over and over again is in a circle.
const CHANGES: usize = 20_000;

/// A directory of manifests, the control plane that follows it, and both their clocks.
struct World {
    directory: tempfile::TempDir,
    manifests: Manifests,
    controller: Controller<Simulated>,
    scanned: Instant,
    now: Timestamp,
    /// Messages of the controller's refusals, where they belong in the files.
    refused: Vec<String>,
}

impl World {
    fn new() -> World {
        let settings = ControllerSettings {
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
            records: RecordSettings::new(Name::parse("cluster.local").unwrap(), 5),
            built_in_class: true,
            provision_undeclared: true,
            max_unavailable: false,
            seed: 1,
        };
        let runtime = Simulated::new(SimulationSettings {
            pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
            delays: Delays {
                start_after: Duration::from_millis(50),
                ready_after: Duration::from_millis(50),
                stop_after: Duration::from_millis(50),
                ..Delays::default()
            },
        });
        let directory = tempfile::tempdir().unwrap();
        World {
            manifests: Manifests::new(vec![directory.path().to_owned()]),
            directory,
            controller: Controller::new(settings, runtime),
            scanned: Instant::now(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            refused: Vec::new(),
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// Reads the directory and lets half a minute pass.
    fn take(&mut self) {
        self.scanned += EMPTY_FILE_GRACE;
        let changes = self.manifests.scan_at(self.scanned);
        for declared in changes.applied {
            self.controller.handle(Event::Apply(declared), self.now);
        }
        for key in changes.withdrawn {
            self.controller.handle(Event::Withdraw(key), self.now);
        }
        self.controller.handle(Event::Loaded, self.now);
        self.run(SignedDuration::from_secs(30));
    }

    fn run(&mut self, time: SignedDuration) {
        let end = self.now + time;
        let mut changes = 0;
        loop {
            let turn = self.controller.turn(self.now);
            changes += turn.changes.len();
            assert!(changes <= CHANGES, "{changes} changes and no end");
            for refusal in turn.refusals {
                for error in refusal.errors {
                    let placed = self.manifests.diagnose(&refusal.key, &error);
                    self.refused.push(placed.map_or_else(|| error.to_string(), |placed| placed.to_string()));
                }
            }
            match turn.wake_at {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
        }
        self.now = end;
    }

    fn pod_uids(&self) -> Vec<(String, String)> {
        let pods = self.controller.cluster().pods();
        let own = pods.filter(|pod| pod.metadata.name.as_ref().is_some_and(|name| name.starts_with("web-")));
        own.map(|pod| (pod.metadata.name.clone().unwrap(), pod.metadata.uid.clone().unwrap())).collect()
    }

    fn object(&self, kind: Kind, name: &str) -> Option<Object> {
        self.controller.object(&ObjectKey::new(kind, "default", name))
    }

    /// Everything that was said: errors and warnings of the files, refusals, and warning events.
    fn said(&self) -> Vec<String> {
        let mut said: Vec<String> = self
            .manifests
            .diagnostics()
            .iter()
            .map(|found| {
                let severity = match found.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                    Severity::Note => "note",
                };
                format!("{severity} {}: {}", found.field, found.message)
            })
            .collect();
        said.extend(self.refused.iter().map(|text| format!("refused {text}")));
        for object in self.controller.objects(Kind::Event) {
            let Object::Event(event) = object else { continue };
            if event.type_.as_deref() == Some("Warning") {
                said.push(format!(
                    "event {}: {}",
                    event.reason.as_deref().unwrap_or_default(),
                    event.message.as_deref().unwrap_or_default()
                ));
            }
        }
        said
    }
}

/// The most memory that this process ever had, in KiB; nothing where the system does not tell.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// A set beside the good one: its name, its spec's first fields, its claim templates.
fn set(name: &str, replicas: &str, claims: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {name}
spec:
  serviceName: nginx
  replicas: {replicas}
  selector:
    matchLabels:
      set: other
  template:
    metadata:
      labels:
        app: nginx
        set: other
    spec:
      containers:
      - name: a
        image: a
{claims}"
    )
}

fn claim_templates(count: usize) -> String {
    (0..count).fold("  volumeClaimTemplates:\n".to_owned(), |mut text, number| {
        write!(
            text,
            "  - metadata: {{name: c{number}}}\n    spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: \
             1Gi}}}}}}\n"
        )
        .unwrap();
        text
    })
}

fn service(name: &str, metadata: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n{metadata}spec:\n  clusterIP: None\n")
}

/// Writes a file beside the good one; compares what is said about it, and that the good one's pods go on untouched.
/// `expected` are beginnings of what is said, in order; `pods` are the pods beside the good set's.
fn check(story: &str, files: &[(&str, String)], expected: &[&str], pods: usize) -> World {
    let begun = Instant::now();
    let mut world = World::new();
    world.write("good.yaml", &crate::support::web(2, "", ""));
    world.take();
    let before = world.pod_uids();
    assert_eq!(before.len(), 2, "{story}");
    assert_eq!(world.said(), [] as [&str; 0], "{story}");
    for (name, text) in files {
        world.write(name, text);
        world.take();
    }
    assert_eq!(world.pod_uids(), before, "{story}: what ran goes on");
    let said = world.said();
    assert_eq!(said.len(), expected.len(), "{story}: {said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{story}: {said}\nlacks {expected}");
    }
    let all = world.controller.cluster().pods().count();
    assert_eq!(all, 2 + pods, "{story}");
    // It can still be worked with.
    let delete = Write::delete(ObjectKey::new(Kind::Pod, "default", "web-1"), None, Cascade::Background);
    world.controller.write(delete, false, world.now).unwrap();
    world.run(SignedDuration::from_secs(30));
    let after = world.pod_uids();
    assert_eq!(after[0], before[0], "{story}");
    assert_ne!(after[1], before[1], "{story}: a pod that is deleted comes back");
    assert!(begun.elapsed() < TIME, "{story}: {:?}", begun.elapsed());
    assert!(peak_memory() < MEMORY, "{story}: {} KiB", peak_memory());
    world
}

#[test]
fn numbers_beyond_all_bounds() {
    let rows: &[(&str, &str)] = &[
        ("2147483647", "error spec.replicas: Invalid value: 2147483647: must be less than or equal to 100000"),
        ("2147483648", "error spec.replicas: "),
        ("99999999999999999999999999", "error spec.replicas: "),
        ("-1", "error spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ("1e9", "error spec.replicas: "),
        (".inf", "error : neither infinity nor not-a-number can be a value"),
        ("'3'", "error spec.replicas: "),
    ];
    for (replicas, expected) in rows {
        check(replicas, &[("bad.yaml", set("other", replicas, ""))], &[expected], 0);
    }
    let start = set("other", "1", "  ordinals: {start: 2147483647}\n");
    check("the last ordinal there is", &[("bad.yaml", start)], &[], 1);
}

#[test]
fn names_beyond_all_bounds() {
    let long = "n".repeat(300);
    check("a set", &[("bad.yaml", set(&long, "1", ""))], &["error metadata.name: Invalid value: \"nnn"], 0);
    check(
        "a pod that could not be made",
        &[("bad.yaml", set(&"n".repeat(62), "1", ""))],
        &["warning metadata.name: the pod nnn", "event FailedCreate: Create Pod nnn"],
        0,
    );
    check(
        "a label's value",
        &[("bad.yaml", set("other", "1", "").replace("set: other", &format!("set: {}", "v".repeat(1 << 20))))],
        &["error spec.selector.matchLabels: Invalid value: \"vvv", "error spec.template.labels: Invalid value: \"vvv"],
        0,
    );
    check(
        "an annotation",
        &[(
            "bad.yaml",
            set("other", "1", "").replace(
                "spec:\n  serviceName",
                &format!("  annotations: {{a: {}}}\nspec:\n  serviceName", "v".repeat(1 << 20)),
            ),
        )],
        &["error metadata.annotations: Too long: may not be more than 262144 bytes"],
        0,
    );
}

#[test]
fn depth_and_breadth() {
    let deep = |text: &str, times| text.repeat(times);
    check("lists in lists", &[("bad.yaml", format!("a: {}", deep("[", 1_000_000)))], &["error : "], 0);
    check(
        "mappings in mappings",
        &[("bad.yaml", set("other", "1", "") + "  x: " + &deep("{a: ", 50_000) + "1" + &deep("}", 50_000))],
        &["error : "],
        0,
    );
    let aliases = (1..40).fold("a0: &a0 [x, x, x, x]\n".to_owned(), |text, n| {
        let before = format!("*a{}", n - 1);
        format!("{text}a{n}: &a{n} [{before}, {before}, {before}, {before}]\n")
    });
    check("aliases of aliases", &[("bad.yaml", aliases)], &["error : "], 0);
    let many = |kind: &str| {
        (0..5_000).fold(String::new(), |text, n| {
            text + &format!(
                "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: s{n}\nspec:\n  ports:\n  - port: 80\n---\n"
            )
        })
    };
    let world = check("many documents", &[("many.yaml", many("Service"))], &[], 0);
    assert!(world.object(Kind::Service, "s4999").is_some());
    let sets = (0..300).fold(String::new(), |text, n| {
        text + &set(&format!("s{n}"), "0", "").replace("serviceName: nginx", "serviceName: none") + "---\n"
    });
    let told = ["200 more warnings in this file"].into_iter().chain(["warning spec.serviceName: no Service none"; 100]);
    check("many doubts", &[("many.yaml", sets)], &told.collect::<Vec<_>>(), 0);
    check("much that has no part", &[("many.yaml", many("Secret"))], &["note : no part in names: 5000 Secret"], 0);
    let told = ["4900 more errors in this file"].into_iter().chain(["there is no kind Servise"; 100]);
    check("much that is wrong", &[("many.yaml", many("Servise"))], &told.collect::<Vec<_>>(), 0);
    let ports = (0..20_000).fold(String::new(), |text, _| text + "  - {}\n");
    let told = ["more errors in this file are not shown"].into_iter().chain(["spec.ports["; 100]);
    let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: many}}\nspec:\n  ports:\n{ports}");
    check("one object with much that is wrong", &[("many.yaml", text)], &told.collect::<Vec<_>>(), 0);
    let spaces = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n".repeat(10_000);
    let told = ["9899 more notes in this file"].into_iter().chain(["note : Namespace a is declared in line 1"; 100]);
    check("one object word for word again and again", &[("many.yaml", spaces)], &told.collect::<Vec<_>>(), 0);
}

/// The files that are read are those that come first; what was read before stays although it is no longer among them.
#[test]
fn more_files_than_are_read() {
    let begun = Instant::now();
    let mut world = World::new();
    world.write("good.yaml", &crate::support::web(2, "", ""));
    world.take();
    let before = world.pod_uids();
    for number in 0..=MAX_FILES {
        world.write(&format!("{number}.yaml"), "");
    }
    world.take();
    let said = world.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("there are more than 65536 manifests; the others are not read"), "{said:?}");
    assert_eq!((world.pod_uids(), before.len()), (before, 2), "what ran goes on");
    assert!(begun.elapsed() < TIME && peak_memory() < MEMORY, "{:?}, {} KiB", begun.elapsed(), peak_memory());
}

#[test]
fn a_hundred_claim_templates() {
    let world = check("a hundred claims", &[("many.yaml", set("other", "2", &claim_templates(100)))], &[], 2);
    let claims = world.controller.objects(Kind::PersistentVolumeClaim);
    assert_eq!(claims.len(), 200);
    let twice = claim_templates(1) + &claim_templates(1).lines().skip(1).collect::<Vec<_>>().join("\n");
    let duplicate = "error spec.volumeClaimTemplates[1].metadata.name: Duplicate value: \"c0\"";
    check("one name twice (J14)", &[("bad.yaml", set("other", "1", &twice))], &[duplicate], 0);
}

#[test]
fn owners_that_cannot_be() {
    let owner = |version: &str, kind: &str, name: &str, uid: &str| {
        format!(
            "  ownerReferences:\n  - {{apiVersion: {version}, kind: {kind}, name: {name}, uid: {uid}, controller: true, \
             blockOwnerDeletion: true}}\n"
        )
    };
    // A manifest cannot know the uid that an object will get, so an owner that it names is none, and garbage goes.
    let circle =
        service("a", &owner("v1", "Service", "b", "b")) + "---\n" + &service("b", &owner("v1", "Service", "a", "a"));
    let world = check("a circle", &[("bad.yaml", circle)], &[], 0);
    assert_eq!(world.object(Kind::Service, "a"), None);
    assert_eq!(world.object(Kind::Service, "b"), None);
    let itself = set("other", "1", "")
        .replace("spec:\n  serviceName", &(owner("apps/v1", "StatefulSet", "other", "x") + "spec:\n  serviceName"));
    let world = check("its own owner", &[("bad.yaml", itself)], &[], 0);
    assert_eq!(world.object(Kind::StatefulSet, "other"), None);
}

#[test]
fn contradictory_edits() {
    let good = crate::support::web(2, "", "");
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let rows: &[(&str, String, &[&str])] = &[
        ("another selector", changed("app: nginx", "app: x"), &["Forbidden: updates to statefulset spec"]),
        (
            "a selector that does not match",
            changed("      labels:\n        app: nginx", "      labels:\n        app: x"),
            &["error spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match"],
        ),
        (
            "another Service",
            changed("serviceName: nginx", "serviceName: nginx2"),
            &["warning spec.serviceName: no Service nginx2", "Forbidden: updates to statefulset spec"],
        ),
        (
            "half of it",
            good[..good.find("  template").unwrap()].to_owned(),
            &["error spec.template.metadata.labels", "error spec.template.spec.containers"],
        ),
        ("a tab", changed("  replicas: 2", "\treplicas: 2"), &["error "]),
        (
            "one key twice",
            changed("  replicas: 2", "  replicas: 3\n  replicas: 2"),
            &["warning : the key `replicas` stands twice"],
        ),
        ("binary", "\0\u{1}\u{2}".to_owned(), &["error "]),
        ("text of no meaning", "hello".to_owned(), &["error : a manifest is a mapping"]),
    ];
    for (story, text, expected) in rows {
        check(story, &[("good.yaml", text.clone())], expected, 0);
    }
    // Back and forth, faster than anything can follow: what stays is what was there before.
    let policy = good.replace("  replicas: 2", "  podManagementPolicy: Parallel\n  replicas: 2");
    let files: Vec<(&str, String)> =
        (0..20).map(|n| ("good.yaml", if n % 2 == 0 { policy.clone() } else { good.clone() })).collect();
    let begun = Instant::now();
    let world = check("back and forth", &files, &["Forbidden: updates to statefulset spec"; 10], 0);
    assert!(world.object(Kind::StatefulSet, "web").is_some() && begun.elapsed() < TIME);
}

#[test]
fn booleans_of_old() {
    let rows = ["y", "yes", "on", "n", "no", "off", "Yes", "ON"];
    for word in rows {
        let text = set("other", "1", "").replace("set: other", &format!("set: {word}"));
        let doubt = format!("set: `{word}` is taken as text here, but a real cluster reads it as the boolean");
        check(word, &[("doubtful.yaml", text)], &[&doubt, &doubt], 1);
    }
}

/// A file as octets: what is said about it in `expected`, and how many Services it gives.
fn check_octets(story: &str, octets: &[u8], expected: &[&str], services: usize) {
    let begun = Instant::now();
    let mut world = World::new();
    fs::write(world.directory.path().join("bad.yaml"), octets).unwrap();
    world.take();
    let said = world.said();
    assert_eq!(said.len(), expected.len(), "{story}: {said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{story}: {said}\nlacks {expected}");
    }
    assert_eq!(world.controller.objects(Kind::Service).len(), services, "{story}");
    assert!(begun.elapsed() < TIME, "{story}: {:?}", begun.elapsed());
}

/// A Service that no rule has doubts about: its slices are written by hand.
fn quiet(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: ExternalName, externalName: example.org}}\n"
    )
}

#[test]
fn files_put_together_in_every_way() {
    let two = format!("{}---\n{}", quiet("a"), quiet("b"));
    let json = |name: &str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{{\"name\":\"{name}\"}},\"spec\":{{\"type\":\"ExternalName\",\"externalName\":\"example.org\"}}}}"
        )
    };
    let wide =
        |text: &str| -> Vec<u8> { format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let half = |octets: Vec<u8>| octets[..octets.len() - 1].to_vec();
    let rows: Vec<(&str, Vec<u8>, Vec<&str>, usize)> = vec![
        (
            "a mark before each",
            format!("\u{feff}{}\u{feff}---\n{}---\n\u{feff}{}", quiet("a"), quiet("b"), quiet("c")).into(),
            vec![],
            3,
        ),
        (
            "a mark and no separator",
            format!("{}\u{feff}{}", quiet("a"), quiet("b")).into(),
            vec!["error : a byte order mark stands within a document"],
            0,
        ),
        (
            "no end of a line, then a mark",
            format!("{}\u{feff}---\n{}", quiet("a").trim_end(), quiet("b")).into(),
            vec!["error : "],
            0,
        ),
        ("carriage returns", two.replace('\n', "\r").into(), vec![], 2),
        ("lines of Windows", two.replace('\n', "\r\n").into(), vec![], 2),
        ("lines of a mainframe", two.replace('\n', "\u{85}").into(), vec![], 2),
        ("UTF-16", wide(&two), vec![], 2),
        ("UTF-16 cut in half", half(wide(&two)), vec!["error : the file is not UTF-16 text"], 0),
        ("JSON", format!("{}{}\n\n{}\u{feff}{}", json("a"), json("b"), json("c"), json("d")).into(), vec![], 4),
        ("JSON behind a separator", format!("---\n{}\n{}", json("a"), json("b")).into(), vec![], 2),
        (
            "JSON and something else",
            format!("{} x\n", json("a")).into(),
            vec!["error : this stands behind the end of the document"],
            1,
        ),
        (
            "half of a pair",
            format!("{}---\n\"\\ud800\"\n", quiet("a")).into(),
            vec!["error : this escape is unknown"],
            1,
        ),
        (
            "a merge of itself",
            format!("{}x: &x {{<<: *x}}\n", quiet("a")).into(),
            vec!["error : this alias stands inside"],
            0,
        ),
        ("a document behind the end of one", format!("{}...\n{}", quiet("a"), quiet("b")).into(), vec![], 2),
        (
            "a key of every document again",
            two.replace("kind:", "kind: Service\nkind:").into(),
            vec![
                "warning : the key `kind` stands twice, first in line 2",
                "warning : the key `kind` stands twice, first in line 8",
            ],
            2,
        ),
    ];
    for (story, octets, expected, services) in rows {
        check_octets(story, &octets, &expected, services);
    }
}

#[test]
fn ten_thousand_documents_in_one_file() {
    let begun = Instant::now();
    let text: String = (0..10_000).map(|number| format!("\u{feff}---\nkind: Other{number}\nv: [\n")).collect();
    let (nodes, found) = yaml::parse(yaml::SourceText { path: Path::new("x"), text: &text });
    assert_eq!((nodes.len(), found.len()), (0, yaml::MAX_DIAGNOSTICS + 1));
    let text: String = (0..10_000).map(|number| format!("{{\"kind\": \"Other\", \"v\": {number}}}")).collect();
    let (nodes, found) = yaml::parse(yaml::SourceText { path: Path::new("x"), text: &text });
    assert_eq!((nodes.len(), found.len()), (10_000, 0));
    let text = "a: 1\n".repeat(10_000);
    let (nodes, found) = yaml::parse(yaml::SourceText { path: Path::new("x"), text: &text });
    assert_eq!((nodes.len(), found.len()), (1, yaml::MAX_DIAGNOSTICS + 1));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
