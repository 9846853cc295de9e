//! Scans of real directories: what operations on files change, keep and say.

use super::*;
use crate::text::diagnostic::Severity;
use proptest::prelude::*;
use std::fs;

/// A temporary directory, the manifests under it, and a clock of its own.
struct Scene {
    root: tempfile::TempDir,
    manifests: Manifests,
    now: Instant,
}

impl Scene {
    fn new() -> Scene {
        let root = tempfile::tempdir().unwrap();
        let manifests = Manifests::new(vec![root.path().join("m")]);
        fs::create_dir(root.path().join("m")).unwrap();
        Scene { root, manifests, now: Instant::now() }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("m").join(name)
    }
    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }
    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }
    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }
    #[cfg(unix)]
    fn link(&self, target: &str, name: &str) {
        std::os::unix::fs::symlink(target, self.path(name)).unwrap();
    }
    /// Names of what was applied and withdrawn.
    fn scan(&mut self) -> (Vec<String>, Vec<String>) {
        let Changes { applied, withdrawn, .. } = self.manifests.scan_at(self.now);
        (
            applied.iter().map(|declared| declared.object.key().name).collect(),
            withdrawn.into_iter().map(|key| key.name).collect(),
        )
    }
    #[track_caller]
    fn expect(&mut self, applied: &[&str], withdrawn: &[&str]) {
        assert_eq!(self.scan(), (owned(applied), owned(withdrawn)));
    }
    fn wait(&mut self) {
        self.now += EMPTY_FILE_GRACE;
    }
    /// Errors as `file:line:column field: message`, the directory left out.
    fn errors(&self) -> Vec<String> {
        self.said(Severity::Error)
    }
    fn said(&self, severity: Severity) -> Vec<String> {
        let prefix = format!("{}/", self.root.path().join("m").display());
        let diagnostics = self.manifests.diagnostics();
        let wanted = diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity);
        let text = wanted.map(|diagnostic| {
            let Diagnostic { file, place, field, message, .. } = diagnostic;
            format!("{}:{}:{} {field}: {message}", file.display(), place.line, place.column).replace(&prefix, "")
        });
        text.collect()
    }
    #[track_caller]
    fn expect_errors(&self, expected: &[&str]) {
        let errors = self.errors();
        assert_eq!(errors.len(), expected.len(), "{errors:#?}");
        for (error, expected) in errors.iter().zip(expected) {
            assert!(error.contains(expected), "{error}\nlacks {expected}");
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn service(name: &str) -> String {
    sized(name, 80)
}

fn sized(name: &str, port: u32) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  clusterIP: None\n  ports:\n  - port: \
         {port}\n"
    )
}

#[test]
fn creation_change_deletion_and_moving() {
    let mut scene = Scene::new();
    scene.expect(&[], &[]);
    scene.write("a.yaml", format!("{}---\n{}", service("a"), service("b")));
    scene.write("deep/er/c.yml", service("c"));
    scene.write(
        "d.json",
        r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "d"}, "spec": {"clusterIP": "None"}}"#,
    );
    scene.expect(&["a", "b", "d", "c"], &[]);
    scene.expect(&[], &[]);
    assert_eq!(scene.manifests.counts(), (3, 4));

    scene.write("a.yaml", format!("{}---\n{}", service("a"), sized("b", 81)));
    scene.expect(&["b"], &[]);
    scene.write("a.yaml", format!("# a comment\n{}", service("a")));
    scene.expect(&[], &["b"]);
    scene.rename("a.yaml", "z.yaml");
    scene.expect(&[], &[]);
    let key = ObjectKey::new(Kind::Service, "default", "a");
    assert_eq!(scene.manifests.origin(&key).unwrap().0, scene.path("z.yaml"));
    scene.write("y.yaml", sized("a", 90));
    scene.remove("z.yaml");
    scene.expect(&["a"], &[]);
    scene.remove("y.yaml");
    scene.remove("deep/er/c.yml");
    scene.expect(&[], &["a", "c"]);
    scene.expect_errors(&[]);
}

#[test]
fn what_is_no_manifest() {
    let mut scene = Scene::new();
    for name in
        [".hidden.yaml", ".#a.yaml", "a.yaml~", "#a.yaml#", ".a.yaml.swp", "4913", "a.yaml.tmp", "sedXYZ", "README.md"]
    {
        scene.write(name, service("no"));
    }
    scene.write("..2026_01/a.yaml", service("no"));
    scene.write("A.YAML", service("yes"));
    scene.expect(&["yes"], &[]);
    assert_eq!(scene.manifests.counts(), (1, 1));
}

#[test]
fn a_file_may_stand_for_a_directory() {
    let mut scene = Scene::new();
    scene.write("one", service("a"));
    scene.manifests = Manifests::new(vec![scene.path("one")]);
    scene.expect(&["a"], &[]);
    scene.remove("one");
    scene.expect(&[], &[]);
    scene.wait();
    scene.expect(&[], &["a"]);
}

#[cfg(unix)]
#[test]
fn links_and_mounted_config_maps() {
    let mut scene = Scene::new();
    scene.write("..2026_1/web.yaml", service("a"));
    scene.link("..2026_1", "..data");
    scene.link("..data/web.yaml", "web.yaml");
    scene.expect(&["a"], &[]);
    // The swap: a new directory, a new link, renamed over the old one.
    scene.write("..2026_2/web.yaml", sized("a", 81));
    scene.link("..2026_2", "..data_tmp");
    scene.rename("..data_tmp", "..data");
    fs::remove_dir_all(scene.path("..2026_1")).unwrap();
    scene.expect(&["a"], &[]);
    scene.expect(&[], &[]);
    // Circles, links to nowhere, two ways to one file or directory.
    scene.link(".", "self");
    scene.link("../m", "around");
    scene.link("nowhere.yaml", "broken.yaml");
    scene.link("broken.yaml", "chain.yaml");
    scene.write("sub/b.yaml", service("b"));
    scene.link("sub", "also");
    scene.link("sub/b.yaml", "b.yaml");
    scene.expect(&["b"], &[]);
    scene.expect_errors(&[]);
    let outside = scene.root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("c.yaml"), service("c")).unwrap();
    scene.link("../outside", "linked");
    scene.expect(&["c"], &[]);
}

#[test]
fn a_broken_file_keeps_its_last_good_version() {
    let mut scene = Scene::new();
    scene.write("a.yaml", format!("{}---\n{}", service("a"), service("b")));
    scene.write("other.yaml", service("c"));
    scene.expect(&["a", "b", "c"], &[]);
    let versions = [
        format!("{}---\nkind: [", sized("a", 81)),
        format!("{}---\n{}", sized("a", 81), sized("b", 0)),
        "\tkind: Service".to_owned(),
        service("a").replace("name: a", "name: A"),
        service("a").replace("Service", "Servise"),
        service("a")[..40].to_owned(),
    ];
    for (port, broken) in (100..).zip(versions) {
        scene.write("a.yaml", &broken);
        scene.write("other.yaml", sized("c", port));
        scene.expect(&["c"], &[]);
        let diagnostics = scene.manifests.diagnostics();
        let error = diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error).unwrap();
        assert!(error.file.ends_with("a.yaml") && error.kept == KEPT && error.place.line > 0, "{error:?}");
    }
    scene.write("a.yaml", sized("a", 81));
    scene.expect(&["a"], &["b"]);
    scene.expect_errors(&[]);
}

#[test]
fn a_new_file_gives_its_good_documents() {
    let mut scene = Scene::new();
    scene.write("a.yaml", format!("{}---\nkind: Service\n---\n{}", service("a"), service("b")));
    scene.expect(&["a", "b"], &[]);
    scene.expect_errors(&["a.yaml:10:1 : the Service has no apiVersion"]);
    // Not good yet: what was there stays, what is new comes.
    scene.write("a.yaml", format!("{}---\nkind: Service\n---\n{}", service("a"), service("c")));
    scene.expect(&["c"], &[]);
    scene.write("a.yaml", format!("{}---\n{}", service("a"), service("c")));
    scene.expect(&[], &["b"]);
    scene.write("a.yaml", "kind: Service\n");
    scene.expect(&[], &[]);
    assert_eq!(scene.manifests.counts(), (1, 2));
}

#[test]
fn half_written_and_vanished() {
    let mut scene = Scene::new();
    scene.write("a.yaml", service("a"));
    scene.expect(&["a"], &[]);
    scene.write("a.yaml", "");
    scene.expect(&[], &[]);
    assert_eq!(scene.manifests.rescan_within(), Some(EMPTY_FILE_GRACE));
    scene.write("a.yaml", sized("a", 81));
    scene.expect(&["a"], &[]);
    assert_eq!(scene.manifests.rescan_within(), None);
    scene.write("a.yaml", " \n");
    scene.expect(&[], &[]);
    scene.wait();
    scene.expect(&[], &["a"]);
    assert_eq!(scene.manifests.rescan_within(), None);
    scene.write("a.yaml", "# nothing any more\n");
    scene.expect(&[], &[]);
    scene.write("a.yaml", service("a"));
    scene.expect(&["a"], &[]);
    scene.write("a.yaml", "# nothing any more\n");
    scene.expect(&[], &["a"]);

    scene.write("a.yaml", service("a"));
    scene.expect(&["a"], &[]);
    let (here, away) = (scene.root.path().join("m"), scene.root.path().join("away"));
    fs::rename(&here, &away).unwrap();
    scene.expect(&[], &[]);
    assert!(scene.said(Severity::Warning)[0].contains("does not exist"));
    fs::rename(&away, &here).unwrap();
    scene.expect(&[], &[]);
    assert_eq!(scene.said(Severity::Warning), owned(&[]));
    fs::rename(&here, &away).unwrap();
    scene.expect(&[], &[]);
    scene.wait();
    scene.expect(&[], &["a"]);
    fs::rename(&away, &here).unwrap();
    scene.expect(&["a"], &[]);
}

#[cfg(unix)]
#[test]
fn unreadable_keeps_everything() {
    use std::os::unix::fs::PermissionsExt;
    let mut scene = Scene::new();
    scene.write("sub/a.yaml", service("a"));
    scene.write("b.yaml", service("b"));
    scene.expect(&["b", "a"], &[]);
    let mode = |path: PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(scene.path("sub"), 0);
    mode(scene.path("b.yaml"), 0);
    if fs::read(scene.path("b.yaml")).is_err() {
        scene.expect(&[], &[]);
        scene.expect_errors(&["b.yaml:0:0 : cannot be read", "sub:0:0 : cannot be read"]);
    }
    mode(scene.path("sub"), 0o755);
    mode(scene.path("b.yaml"), 0o644);
    scene.expect(&[], &[]);
    scene.expect_errors(&[]);
    // A file grown too large is no deletion either.
    let file = fs::File::create(scene.path("b.yaml")).unwrap();
    file.set_len(MAX_FILE_SIZE + 1).unwrap();
    scene.expect(&[], &[]);
    scene.expect_errors(&["larger than 16 MiB"]);
}

/// What is no regular file any more keeps its objects; what never was one is told, and nobody waits for it.
#[cfg(unix)]
#[test]
fn pipes_and_devices() {
    use std::{os::unix::fs::symlink, process::Command};
    let mut scene = Scene::new();
    scene.write("a.yaml", service("a"));
    scene.write("b.yaml", service("b"));
    scene.expect(&["a", "b"], &[]);
    fs::remove_file(scene.path("a.yaml")).unwrap();
    assert!(Command::new("mkfifo").arg(scene.path("a.yaml")).status().unwrap().success());
    symlink("/dev/zero", scene.path("zero.yaml")).unwrap();
    symlink("/dev/zero", scene.path("zero.txt")).unwrap();
    symlink("/proc", scene.path("processes")).unwrap();
    scene.write("b.yaml", "");
    scene.remove("b.yaml");
    scene.write("c.yaml", service("c"));
    scene.expect(&["c"], &["b"]);
    let special = "and neither a directory nor a regular file";
    scene.expect_errors(&[
        &format!("a.yaml:0:0 : cannot be read: it is a pipe, {special}"),
        &format!("processes:0:0 : cannot be read: it is part of /proc or /sys, which the kernel makes up, {special}"),
        &format!("zero.yaml:0:0 : cannot be read: it is a device, {special}"),
    ]);
    scene.remove("a.yaml");
    scene.expect(&[], &["a"]);
}

#[test]
fn declared_twice() {
    let mut scene = Scene::new();
    scene.write("b.yaml", service("x"));
    scene.expect(&["x"], &[]);
    scene.write("a.yaml", format!("{}---\n{}", service("y"), sized("x", 81)));
    scene.expect(&["y"], &[]);
    scene.expect_errors(&["a.yaml:10:1 metadata.name: Service default/x is declared in"]);
    assert!(scene.errors()[0].ends_with("b.yaml:1 too"), "{:?}", scene.errors());
    scene.remove("b.yaml");
    scene.expect(&["x"], &[]);
    scene.expect_errors(&[]);
    scene.write("c.yaml", format!("{}---\n{}", service("z"), sized("z", 81)));
    scene.expect(&["z"], &[]);
    scene.expect_errors(&["c.yaml:13:9 : Service default/z is declared twice in this file, first in line 1"]);
    // The namespace is part of the name, said or not.
    scene.write(
        "c.yaml",
        format!("{}---\n{}", service("z"), service("z").replace("name: z", "name: z\n  namespace: default")),
    );
    scene.expect(&[], &[]);
    assert_eq!(scene.errors().len(), 1);
}

/// The same value, however it is written, is no mistake.
#[test]
fn declared_word_for_word() {
    let mut scene = Scene::new();
    let space = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n";
    scene.write("a.yaml", format!("# ours\n{space}---\n{}", service("a")));
    scene.write(
        "b.yaml",
        format!("kind: Namespace\nmetadata: {{'name': \"shop\"}}\napiVersion: v1\n---\n{}", service("b")),
    );
    scene.write("c.yaml", format!("{space}---\n{space}---\n{}", service("c")));
    scene.expect(&["shop", "a", "b", "c"], &[]);
    scene.expect_errors(&[]);
    let notes = scene.said(Severity::Note);
    let expected = [
        "b.yaml:1:1 : Namespace shop is declared in ",
        "c.yaml:9:9 : Namespace shop is declared in line 1 word for word the same",
    ];
    assert_eq!(notes.len(), expected.len(), "{notes:#?}");
    assert!(notes.iter().zip(expected).all(|(note, expected)| note.starts_with(expected)), "{notes:#?}");
    assert!(notes[0].ends_with("a.yaml:2 word for word the same, and in 1 more file"), "{notes:#?}");
    // Another takes its place when the first goes, and nothing changes.
    scene.remove("a.yaml");
    scene.expect(&[], &["a"]);
    // What an API server writes is no difference; a label is.
    scene.write("c.yaml", space.replace("name: shop", "name: shop\n  uid: x") + "status: {phase: Active}\n");
    scene.expect(&[], &["c"]);
    scene.expect_errors(&[]);
    scene.write("c.yaml", space.replace("name: shop", "name: shop\n  labels: {a: b}"));
    scene.expect(&[], &[]);
    scene.expect_errors(&["c.yaml:1:1 metadata.name: Namespace shop is declared in"]);
}

#[test]
fn diagnostics_of_documents() {
    let set =
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: web\nspec:\n  selector: {}\n  replicas: three\n";
    let rows: Vec<(String, Vec<&str>)> = vec![
        (set.to_owned(), vec!["x.yaml:7:13 spec.replicas: "]),
        (
            set.replace("three", "-1"),
            vec![
                "x.yaml:5:1 spec.template.spec.containers: Required value",
                "x.yaml:6:3 spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
                "x.yaml:7:13 spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            set.replace("apps/v1", "apps/v1beta2"),
            vec!["x.yaml:1:13 apiVersion: there is no kind StatefulSet in version apps/v1beta2 since Kubernetes 1.16"],
        ),
        (set.replace("StatefulSet", "StatefullSet"), vec!["x.yaml:2:7 kind: there is no kind StatefullSet"]),
        (
            service("a").replace("name: a", "generateName: a-"),
            vec!["x.yaml:4:17 metadata.generateName: generateName makes"],
        ),
        (service("a").replace("  name: a", "  labels: {}"), vec!["x.yaml:3:1 metadata.name: Required value"]),
        ("- a\n".into(), vec!["x.yaml:1:1 : a manifest is a mapping"]),
        ("hello\n".into(), vec!["x.yaml:1:1 : a manifest is a mapping"]),
        ("apiVersion: v1\nkind: 7\n".into(), vec!["x.yaml:2:7 kind: kind is not text"]),
        ("apiVersion: v1\nkind: List\nitems: 7\n".into(), vec!["x.yaml:3:8 items: items is not a list"]),
        (format!("{}\0", service("a")), vec!["x.yaml:"]),
        (format!("a: {}\n", "[".repeat(100_000)), vec!["x.yaml:"]),
        (
            service("a").replace("name: a", &format!("name: {}", "a".repeat(300))),
            vec!["must be no more than 63 characters"],
        ),
    ];
    for (text, expected) in rows {
        let mut scene = Scene::new();
        scene.write("x.yaml", text.as_bytes());
        scene.expect(&[], &[]);
        scene.expect_errors(&expected);
    }
    let mut scene = Scene::new();
    scene.write("x.yaml", b"a: \xff\n");
    scene.expect(&[], &[]);
    scene.expect_errors(&["x.yaml:1:4 : the file is not UTF-8 text"]);
}

/// A definition and its resource, in this order and in the other, in one file and in two.
#[test]
fn resources_of_a_definition() {
    let definition = |plural: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {plural}.example.com}}\n\
             spec: {{group: example.com, scope: Namespaced, names: {{plural: {plural}, kind: Widget}}, versions: [{{name: v1, \
             served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}]}}\n"
        )
    };
    let resource = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: one}\nspec: {free: [1, null]}\n";
    let mut scene = Scene::new();
    scene.write("b.yaml", resource);
    scene.expect(&[], &[]);
    assert_eq!(scene.said(Severity::Note), ["b.yaml:0:0 : no part in names: 1 Widget"]);
    scene.write("c.yaml", definition("widgets"));
    scene.expect(&["one", "widgets.example.com"], &[]);
    assert_eq!(scene.said(Severity::Note), Vec::<String>::new());
    scene.write("b.yaml", format!("{resource}---\n{}", definition("widgets")));
    scene.remove("c.yaml");
    scene.expect(&[], &[]);
    let broken = resource.replace("name: one", "name: one, labels: {a: [b]}");
    scene.write("b.yaml", format!("{broken}---\n{}", definition("widgets")));
    scene.expect(&[], &[]);
    scene.expect_errors(&["b.yaml:3:35 metadata.labels.a: "]);
    scene.write("b.yaml", resource);
    scene.expect(&[], &["widgets.example.com", "one"]);
    assert_eq!(scene.said(Severity::Note), ["b.yaml:0:0 : no part in names: 1 Widget"]);
    // A client makes the definition, and deletes it.
    let served = CustomKind::new("example.com", "widgets", "Widget", true).unwrap();
    scene.manifests.set_served(vec![served]);
    scene.expect(&["one"], &[]);
    assert_eq!(scene.said(Severity::Note), Vec::<String>::new());
    scene.manifests.set_served(Vec::new());
    scene.expect(&[], &["one"]);
}

#[test]
fn what_works_without_change() {
    let exported = [
        "apiVersion: v1",
        "kind: List",
        "items:",
        "- apiVersion: v1",
        "  kind: Service",
        "  metadata:",
        "    name: a",
        "    uid: x",
        "    resourceVersion: '7'",
        "    creationTimestamp: null",
        "    generation: 3",
        "    managedFields: [{manager: kubectl}]",
        "  spec: {clusterIP: None}",
        "  status: {loadBalancer: {}}",
    ]
    .join("\n");
    let rows: Vec<(String, &[&str], &[&str])> = vec![
        (exported, &["a"], &[]),
        (format!("\u{feff}{}", service("a").replace('\n', "\r\n")), &["a"], &[]),
        (
            "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n  spec: {clusterIP: None}\n".into(),
            &["a"],
            &[],
        ),
        (
            format!(
                "apiVersion: v1\nkind: List\nmetadata: {{}}\n---\napiVersion: apps/v1\nkind: StatefulSetList\n---\n\
                 apiVersion: filter.example.com/v1\nkind: AllowList\nspec: {{}}\n---\n{}",
                service("a")
            ),
            &["a"],
            &["note x.yaml:0:0 : no part in names: 1 AllowList"],
        ),
        (
            format!(
                "apiVersion: v1\nkind: List\nitems:\n---\napiVersion: v1\nkind: List\nitems: []\n---\n{}",
                service("a")
            ),
            &["a"],
            &[],
        ),
        (
            format!(
                "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {{name: p}}\n---\n{}",
                service("a")
            ),
            &["a"],
            &["x.yaml:1:13 apiVersion: there is no kind PodDisruptionBudget in version policy/v1beta1 since"],
        ),
        (
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{a: b}}\n---\n{}", service("a")),
            &["c", "a"],
            &[],
        ),
        (
            format!("apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\n---\n{}", service("a")),
            &["a"],
            &["note x.yaml:0:0 : no part in names: 1 ServiceMonitor"],
        ),
        (
            service("a").replace("clusterIP: None", "clusterIP: None\n  clusterIp: None"),
            &["a"],
            &["x.yaml:7:3 spec.clusterIp: "],
        ),
    ];
    for (text, applied, warnings) in rows {
        let mut scene = Scene::new();
        scene.write("x.yaml", &text);
        scene.expect(applied, &[]);
        scene.expect_errors(&[]);
        let mut said = scene.said(Severity::Warning);
        said.extend(scene.said(Severity::Note).iter().map(|note| format!("note {note}")));
        assert_eq!(said.len(), warnings.len(), "{said:?}");
        assert!(said.iter().zip(warnings).all(|(said, warning)| said.contains(warning)), "{said:?}");
        let object = &scene.manifests.objects.values().next().unwrap().declared.declaration.object;
        assert_eq!(object.metadata().uid, None);
        assert_eq!(object.metadata().namespace.as_deref(), Some("default"));
    }
}

/// A version that is gone is told of once, with everything that comes next.
#[test]
fn what_else_has_to_change() {
    let set = "apiVersion: apps/v1beta1\nkind: StatefulSet\nmetadata: {name: web}\nspec:\n  serviceName: web\n  \
               replicas: 3\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: a, image: b}]}\n";
    let (selector, rolls) = (
        "use apiVersion: apps/v1; add spec.selector, with matchLabels of the template's labels",
        "; add spec.updateStrategy: {type: OnDelete} if a change must not replace the pods, which was the default",
    );
    for (text, expected) in [
        (set.to_owned(), format!("{selector}{rolls}")),
        (
            set.replace("replicas: 3", "replicas: -3").replace("apps/v1beta1", "apps/v1beta2"),
            format!("{selector}; then spec.replicas: Invalid value: -3: must be greater than or equal to 0"),
        ),
        (
            set.replace("replicas: 3", "replicas: three").replace("apps/v1beta1", "apps/v1beta2"),
            format!("{selector}; then spec.replicas: expected a whole number, found text \"three\""),
        ),
        (
            set.replace("apps/v1beta1", "v1").replace("replicas: 3", "selector: {matchLabels: {app: x}}"),
            "use apiVersion: apps/v1; then spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` \
             does not match template `labels`"
                .to_owned(),
        ),
    ] {
        let mut scene = Scene::new();
        // It counts as declared, so that its Service is not told to select nothing.
        let neighbour = service("web").replace("spec:", "spec:\n  selector: {app: web}").replace("- port", "- name: w\n    port");
        scene.write("x.yaml", format!("{text}---\n{neighbour}"));
        scene.expect(&["web"], &[]);
        let all = scene.manifests.diagnostics();
        let helps: Vec<&str> = all.iter().map(|diagnostic| diagnostic.help.as_str()).collect();
        assert_eq!(helps, [expected], "{text}");
    }
}

/// Kustomize's own file may leave out kind and apiVersion; any other may not.
#[test]
fn kustomizations_are_passed_over() {
    let mut scene = Scene::new();
    scene.write("kustomization.yaml", "resources:\n- a.yaml\n");
    scene.write("sub/kustomization.yml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n");
    scene.write("component/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n");
    scene.write("base/kustomization.yaml", service("a"));
    scene.expect(&["a"], &[]);
    scene.expect_errors(&[]);
    let notes = scene.said(Severity::Note);
    assert_eq!(
        notes,
        [
            "component/kustomization.yaml:0:0 : no part in names: 1 Component",
            "kustomization.yaml:0:0 : no part in names: 1 Kustomization",
            "sub/kustomization.yml:0:0 : no part in names: 1 Kustomization",
        ]
    );
    scene.write("other.yaml", "resources:\n- a.yaml\n");
    scene.expect(&[], &[]);
    scene.expect_errors(&["other.yaml:1:1 : the manifest has no kind"]);
}

#[test]
fn refusals_and_doubts_are_placed() {
    let mut scene = Scene::new();
    let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: web\nspec:\n  serviceName: nginx\n  \
    selector: {matchLabels: \
               {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: a, image: b}]}\n";
    scene.write("x.yaml", format!("apiVersion: v1\nkind: List\nitems:\n- {}", set.trim_end().replace('\n', "\n  ")));
    let changes = scene.manifests.scan_at(scene.now);
    assert_eq!(changes.diagnostics.len(), 1);
    assert_eq!(scene.said(Severity::Warning).len(), 1);
    assert!(scene.said(Severity::Warning)[0].starts_with("x.yaml:9:18 spec.serviceName: no Service nginx"));
    let error = FieldError { field: "spec.template.spec.containers[0].image".into(), message: "Forbidden: no".into() };
    let key = ObjectKey::new(Kind::StatefulSet, "default", "web");
    let diagnostic = scene.manifests.diagnose(&key, &error).unwrap();
    assert_eq!((diagnostic.place, diagnostic.width), (Location { line: 13, column: 44 }, 1));
    assert_eq!(diagnostic.kept, "", "who refused it knows whether there was one before");
    assert!(diagnostic.source_line.contains("image: b"));
    assert!(scene.manifests.diagnose(&ObjectKey::new(key.kind, "x", "web"), &error).is_none());
    // Told once; gone when the Service is there.
    assert_eq!(scene.manifests.scan_at(scene.now).diagnostics, []);
    scene.write(
        "s.yaml",
        service("nginx").replace("spec:", "spec:\n  selector: {a: b}").replace("- port", "- name: web\n    port"),
    );
    scene.expect(&["nginx"], &[]);
    assert_eq!(scene.said(Severity::Warning), owned(&[]));
}

#[test]
fn thousands_of_files() {
    let mut scene = Scene::new();
    for index in 0..2000 {
        scene.write(&format!("{}/{index}.yaml", index % 20), service(&format!("s{index}")));
    }
    assert_eq!(scene.scan().0.len(), 2000);
    scene.write("7/7.yaml", sized("s7", 81));
    scene.expect(&["s7"], &[]);
}

#[derive(Debug, Clone)]
enum Operation {
    Write(u8, Vec<(u8, u16)>),
    Remove(u8),
    Rename(u8, u8),
    Scan,
    Wait,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0..6u8, prop::collection::vec((0..5u8, 1..4u16), 0..4))
            .prop_map(|(file, objects)| Operation::Write(file, objects)),
        2 => (0..6u8).prop_map(Operation::Remove),
        1 => (0..6u8, 0..6u8).prop_map(|(from, to)| Operation::Rename(from, to)),
        4 => Just(Operation::Scan),
        1 => Just(Operation::Wait),
    ]
}

/// Every file has names of its own, so that all histories are valid and the final directory alone says what is
/// declared.
fn text_of(file: u8, objects: &[(u8, u16)]) -> String {
    let objects: BTreeMap<u8, u16> = objects.iter().copied().collect();
    let documents = objects.into_iter().map(|(name, port)| sized(&format!("f{file}-{name}"), port.into()));
    documents.collect::<Vec<_>>().join("---\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_history_ends_as_a_fresh_scan(operations in prop::collection::vec(operation(), 1..40)) {
        let mut scene = Scene::new();
        let name = |file: u8| format!("{}{file}.yaml", ["", "sub/", "sub/deep/"][usize::from(file % 3)]);
        for file in 0..6 {
            scene.write(&name(file), text_of(file, &[]));
        }
        let mut running: BTreeMap<ObjectKey, Object> = BTreeMap::new();
        let mut contents: BTreeMap<u8, u8> = BTreeMap::new();
        let mut take = |scene: &mut Scene| {
            let changes = scene.manifests.scan_at(scene.now);
            for key in changes.withdrawn {
                assert!(running.remove(&key).is_some(), "withdrawn twice: {key}");
            }
            for Declaration { object, .. } in changes.applied {
                assert_ne!(running.insert(object.key(), object.clone()), Some(object), "applied unchanged");
            }
            running.clone()
        };
        for operation in operations {
            match operation {
                Operation::Write(file, objects) => {
                    // A file that was renamed over keeps the names of where it came from elsewhere: write only where
                    // none is held.
                    let held = contents.values().any(|origin| *origin == file);
                    if !held || contents.get(&file) == Some(&file) {
                        contents.insert(file, file);
                        scene.write(&name(file), text_of(file, &objects));
                    }
                }
                Operation::Remove(file) => {
                    contents.remove(&file);
                    let _ = fs::remove_file(scene.path(&name(file)));
                }
                Operation::Rename(from, to) if from != to && scene.path(&name(from)).exists() => {
                    let moved = contents.remove(&from);
                    contents.remove(&to);
                    contents.extend(moved.map(|origin| (to, origin)));
                    scene.rename(&name(from), &name(to));
                }
                Operation::Rename(..) => {}
                Operation::Scan => drop(take(&mut scene)),
                Operation::Wait => scene.wait(),
            }
        }
        take(&mut scene);
        scene.wait();
        let incremental = take(&mut scene);
        let mut fresh = Manifests::new(vec![scene.root.path().join("m")]);
        let fresh: BTreeMap<ObjectKey, Object> =
            fresh.scan_at(scene.now).applied.into_iter().map(|new| (new.object.key(), new.object)).collect();
        prop_assert_eq!(incremental, fresh);
        prop_assert_eq!(scene.manifests.counts().1, scene.manifests.objects.len());
        prop_assert_eq!(scene.errors(), owned(&[]));
    }

    #[test]
    fn any_text_is_survived(
        text in "(?s)([a-zA-Z:\\-\\[\\]{}&*!|>'\"#%@ \n\t]|apiVersion: v1\n|kind: (Service|List|StatefulSet)\n|\
            metadata: |items:\n- ){0,60}"
    ) {
        let scene = Scene::new();
        let text: Arc<str> = text.into();
        let decoded = document::decode(&scene.path("x.yaml"), &text, &BTreeMap::new());
        for declared in decoded.objects {
            let error = FieldError { field: "spec.x[0].y".into(), message: "z".into() };
            document::diagnose(&document::Parsed::default(), &scene.path("x.yaml"), &declared, &error);
        }
    }
}

#[test]
fn how_much_is_known() {
    let mut scene = Scene::new();
    let (here, away) = (scene.root.path().join("m"), scene.root.path().join("away"));
    fs::rename(&here, &away).unwrap();
    let check = |scene: &mut Scene, expected| {
        scene.scan();
        assert_eq!(scene.manifests.completeness(), expected);
    };
    check(&mut scene, Completeness::Nothing);
    fs::rename(&away, &here).unwrap();
    check(&mut scene, Completeness::Whole);
    scene.write("a.yaml", "kind: [\n");
    check(&mut scene, Completeness::Part);
    scene.write("a.yaml", service("a"));
    check(&mut scene, Completeness::Whole);
    // What it declares is known from before.
    scene.write("a.yaml", "kind: [\n");
    check(&mut scene, Completeness::Whole);
    // Half-written, perhaps; later it is taken at its word.
    scene.write("b.yaml", "");
    check(&mut scene, Completeness::Part);
    assert!(scene.manifests.rescan_within().is_some());
    scene.wait();
    check(&mut scene, Completeness::Whole);
    assert_eq!(scene.manifests.rescan_within(), None);
    let other = scene.root.path().join("other");
    scene.manifests.set_directories(vec![here, other.clone()]);
    check(&mut scene, Completeness::Part);
    fs::create_dir(other).unwrap();
    check(&mut scene, Completeness::Whole);
}

#[test]
fn what_a_document_says_is_kept_as_it_is_written() {
    let service = |metadata: &str, spec: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a, {metadata}}}\nspec: {{{spec}}}\n")
    };
    let head = r#"{"apiVersion":"v1","kind":"Service","metadata":"#;
    let rows = [
        // No defaults; sorted; namespace and annotations are there.
        (
            service("", "ports: [{port: 80, name: x}]"),
            r#"{"annotations":{},"name":"a","namespace":"default"},"spec":{"ports":[{"name":"x","port":80}]}}"#,
        ),
        // Null is null, and what is empty is empty.
        (
            service("namespace: b, labels: null", "selector: {}, clusterIP: ~, externalIPs: [], ports: [{port: 1}]"),
            r#"{"annotations":{},"labels":null,"name":"a","namespace":"b"},"spec":{"clusterIP":null,"externalIPs":[],"ports":[{"port":1}],"selector":{}}}"#,
        ),
        // To create it, an entry without a value is the empty text; to edit it, it is null.
        (
            service("labels: {x: , z: w}", "selector: {app: null}, ports: [{port: 1}]"),
            r#"{"annotations":{},"labels":{"x":null,"z":"w"},"name":"a","namespace":"default"},"spec":{"ports":[{"port":1}],"selector":{"app":null}}}"#,
        ),
        // What only a server writes, notes of who applied, and fields that the kind does not have.
        (
            service(
                "uid: u, resourceVersion: '1', annotations: {headless-dns/origin: manifest, headless-dns/applied: '0', \
                 kubectl.kubernetes.io/last-applied-configuration: '{}', mine: x}",
                "ports: [{port: 1}], nonsense: 1}\nstatus: {loadBalancer: {}",
            ),
            r#"{"annotations":{"mine":"x"},"name":"a","namespace":"default"},"spec":{"ports":[{"port":1}]}}"#,
        ),
        (
            service("annotations: null", "ports: [{port: 1}]"),
            r#"{"annotations":{},"name":"a","namespace":"default"},"spec":{"ports":[{"port":1}]}}"#,
        ),
    ];
    for (text, expected) in rows {
        let mut scene = Scene::new();
        scene.write("x.yaml", text);
        let applied = scene.manifests.scan_at(scene.now).applied;
        let written: Vec<String> = applied.iter().map(|declared| declared.written.to_string()).collect();
        assert_eq!(written, [format!("{head}{expected}")]);
    }
    // What was a default and is said now is something new; another order is not.
    let mut scene = Scene::new();
    for (spec, applied) in [
        ("ports: [{port: 80}], selector: {a: b}", &["a"][..]),
        ("selector: {a: b}, ports: [{port: 80}]", &[]),
        ("selector: {a: b}, ports: [{port: 80, protocol: TCP}]", &["a"]),
    ] {
        scene.write("x.yaml", service("", spec));
        scene.expect(applied, &[]);
    }
}
