//! What a pod sees on a real engine: names, environment, user, rights, volumes; and what of it changes while it runs.

use crate::support::{
    engines::{ContainerEngine, Kind, images},
    eventually, have,
    program::Program,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use tempfile::TempDir;

const API: &str = "127.0.0.1:18002";

/// What the pod reports of itself, as `TOPIC|LINE`, then what it sees of a ConfigMap again and again.
const SCRIPT: &str = r#"
say() { topic=$1; shift; "$@" 2>&1 | while read -r line || test -n "$line"; do echo "$topic|$line"; done; }
{
  say hostname hostname
  say hosts cat /etc/hosts
  say resolv cat /etc/resolv.conf
  say env env
  say id sh -c 'id -u; id -G'
  say status grep -E '^(NoNewPrivs|CapEff|Seccomp):' /proc/self/status
  say oom cat /proc/self/oom_score_adj
  say somaxconn cat /proc/sys/net/core/somaxconn
  say root sh -c 'touch /new || echo refused'
  say claim stat -c '%a %g' /claim
  say sub sh -c 'touch /sub/mine && stat -c "%a %g" /sub && ls /sub'
  say expr sh -c 'ls -d /expr && echo there > /expr/file'
  say empty sh -c 'echo text > /empty/file && stat -c "%a %g" /empty && cat /empty/file'
  say memory stat -f -c '%T' /memory
  say memory df --output=size -k /memory
  say conf cat /conf/level
  say conf cat /conf/sub/site
  say conf sh -c 'touch /conf/new || echo refused'
  say single cat /single.conf
  say secret stat -L -c '%a %g' /secret/password
  say secret cat /secret/password
  say all ls /all
  say all cat /all/labels
  say host sh -c 'touch /usr/new || echo refused'
} > /report/first.new
mv /report/first.new /report/first
while :; do cat /conf/level /single.conf > /report/now.new; mv /report/now.new /report/now; sleep 0.05; done
"#;

const MANIFEST: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: debug, site: listen 80}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter2}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec:
  subdomain: nginx
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  hostAliases: [{ip: 192.0.2.7, hostnames: [alias.test]}]
  dnsConfig: {options: [{name: timeout, value: '1'}]}
  securityContext:
    runAsUser: 1000
    runAsGroup: 2000
    fsGroup: 3000
    supplementalGroups: [4000]
    sysctls: [{name: net.core.somaxconn, value: '512'}]
  initContainers:
  - name: first
    image: localhost/links:1
    command: [sh, -c, 'mkdir /claim/logs && echo made > /claim/logs/first']
    volumeMounts: [{name: usr, mountPath: /usr, readOnly: true}, {name: data, mountPath: /claim}]
  containers:
  - name: app
    image: localhost/links:1
    command: [sh, -c, "$(SCRIPT)"]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    resources: {limits: {memory: 128Mi, cpu: 500m}}
    envFrom: [{configMapRef: {name: settings}, prefix: CONF_}]
    env:
    - {name: SCRIPT, valueFrom: {configMapKeyRef: {name: script, key: sh}}}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: NODE_ADDRESS, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    - {name: MIB, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: login, key: password}}}
    - {name: BOTH, value: '$(POD)/$(NONE)/$$(POD)'}
    volumeMounts:
    - {name: usr, mountPath: /usr, readOnly: true}
    - {name: report, mountPath: /report}
    - {name: data, mountPath: /claim}
    - {name: data, mountPath: /sub, subPath: logs}
    - {name: data, mountPath: /expr, subPathExpr: 'made/$(POD)'}
    - {name: empty, mountPath: /empty}
    - {name: memory, mountPath: /memory}
    - {name: conf, mountPath: /conf}
    - {name: conf, mountPath: /single.conf, subPath: sub/site}
    - {name: secret, mountPath: /secret}
    - {name: all, mountPath: /all}
  - name: last
    image: localhost/links:1
    command: [sh, -c, 'echo out of luck > /dev/termination-log; exit 3']
    volumeMounts: [{name: usr, mountPath: /usr, readOnly: true}]
  volumes:
  - {name: usr, hostPath: {path: /usr, type: Directory}}
  - {name: report, hostPath: {path: REPORT, type: Directory}}
  - {name: data, persistentVolumeClaim: {claimName: data}}
  - {name: empty, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 4Mi}}
  - {name: conf, configMap: {name: settings, items: [{key: level, path: level}, {key: site, path: sub/site}]}}
  - {name: secret, secret: {secretName: login, defaultMode: 0400}}
  - name: all
    projected:
      sources:
      - downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}, {path: labels, fieldRef: {fieldPath: metadata.labels}}]}
      - secret: {name: none, optional: true}
"#;

struct Cluster {
    engine: ContainerEngine,
    directory: TempDir,
    _program: Program,
}

impl Cluster {
    fn new(engine: ContainerEngine) -> Cluster {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["report", "manifests", "zones"] {
            fs::create_dir(path(name)).unwrap();
        }
        // The pod's user writes there.
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path("report"), fs::Permissions::from_mode(0o777)).unwrap();
        let script: String = SCRIPT.lines().map(|line| format!("    {line}\n")).collect();
        let script =
            format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: script}}\ndata:\n  sh: |\n{script}");
        let manifest = MANIFEST.replace("REPORT", path("report").to_str().unwrap()) + &script;
        fs::write(path("manifests/pod.yaml"), manifest).unwrap();
        let mut command = engine.command(env!("CARGO_BIN_EXE_headless-dns"));
        command.arg("--runtime").arg(format!("unix://{}", engine.socket().display()));
        command.arg("--state-dir").arg(path("state")).args(["--api-listen", API]);
        let program = Program::spawn(command, "127.0.0.1:0", directory.path()).listening();
        Cluster { engine, directory, _program: program }
    }

    fn report(&self, name: &str) -> PathBuf {
        self.directory.path().join("report").join(name)
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.engine.command("kubectl").args(["-s", API]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    fn pod(&self) -> Value {
        serde_json::from_str(&self.kubectl(&["get", "pod", "web-0", "-o", "json"])).unwrap_or_default()
    }
}

/// The lines of a report by their topic.
fn topics(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut topics = BTreeMap::<&str, Vec<&str>>::new();
    for (topic, line) in text.lines().filter_map(|line| line.split_once('|')) {
        topics.entry(topic).or_default().push(line);
    }
    topics
}

fn contents(kind: Kind) {
    if !have(&["kubectl", "sh", "stat", "df"]) {
        return;
    }
    let Some(engine) = ContainerEngine::start(kind) else { return };
    images::load_links(&engine, "localhost/links:1", &["sh"]);
    let cluster = Cluster::new(engine);
    let report = eventually("the pod reports", || {
        fs::read_to_string(cluster.report("first")).map_err(|_| cluster.kubectl(&["describe", "pods"]))
    });
    let pod = cluster.pod();
    let address = pod["status"]["podIP"].as_str().unwrap().to_owned();
    let node = pod["status"]["hostIP"].as_str().unwrap().to_owned();
    let topics = topics(&report);
    let check = |topic: &str, expected: &[&str]| {
        let found = topics.get(topic).map(Vec::as_slice).unwrap_or_default();
        for line in expected {
            assert!(found.contains(line), "{topic}: no {line:?} in {found:#?}");
        }
    };
    let hosts = format!("{address}\tweb-0.nginx.default.svc.cluster.local\tweb-0");
    check("hostname", &["web-0"]);
    check("hosts", &["# Kubernetes-managed hosts file.", &hosts, "192.0.2.7\talias.test"]);
    check("resolv", &[&format!("nameserver {node}"), "options ndots:5 timeout:1"]);
    let search = topics["resolv"].iter().find_map(|line| line.strip_prefix("search ")).unwrap();
    assert!(search.starts_with("default.svc.cluster.local svc.cluster.local cluster.local"), "{search}");
    let variables = ["POD=web-0", "MIB=128", "PASSWORD=hunter2", "BOTH=web-0/$(NONE)/$(POD)", "CONF_level=debug"];
    check("env", &variables);
    check("env", &[&format!("ADDRESS={address}"), &format!("NODE_ADDRESS={node}")]);
    check("id", &["1000", "2000 3000 4000"]);
    check("status", &["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "Seccomp:\t2"]);
    let oom: i32 = topics["oom"][0].parse().unwrap();
    assert!((3..1000).contains(&oom), "burstable: {oom}");
    check("somaxconn", &["512"]);
    check("root", &["refused"]);
    check("claim", &["2777 3000"]);
    check("sub", &["2755 3000", "mine", "first"]);
    check("expr", &["/expr"]);
    check("empty", &["2777 3000", "text"]);
    check("memory", &["tmpfs", "4096"]);
    check("conf", &["debug", "listen 80", "refused"]);
    check("single", &["listen 80"]);
    check("secret", &["440 3000", "hunter2"]);
    check("all", &["labels", "name", "app=\"web\""]);
    check("host", &["refused"]);

    // What another container said at its end.
    let ended = eventually("the other one has ended", || {
        let pod = cluster.pod();
        let statuses = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
        let ended =
            statuses.iter().find(|status| status["name"] == "last").map(|status| status["state"]["terminated"].clone());
        ended.filter(|ended| !ended.is_null()).ok_or_else(|| pod.to_string())
    });
    assert_eq!((ended["exitCode"].as_i64(), ended["message"].as_str()), (Some(3), Some("out of luck\n")), "{ended}");

    // A change of the ConfigMap is in the volume; a single file keeps what it had, as upstream.
    let now = || fs::read_to_string(cluster.report("now")).unwrap_or_default();
    assert_eq!(now(), "debuglisten 80");
    let patch = r#"{"data":{"level":"info","site":"listen 81"}}"#;
    let told = cluster.kubectl(&["patch", "configmap", "settings", "-p", patch]);
    let begun = Instant::now();
    assert!(told.contains("patched"), "{told}");
    eventually("the change is there", || if now() == "infolisten 80" { Ok(()) } else { Err(now()) });
    println!("{kind:?}: the change of a ConfigMap was seen {:?} after its acknowledgement", begun.elapsed());

    // Files of the pod go with it, its claim stays.
    let directory = cluster.directory.path().join("state/pods");
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    assert!(directory.join(uid).join("etc-hosts").is_file());
    cluster.kubectl(&["delete", "pod", "web-0"]);
    eventually("its directory has gone", || match fs::read_dir(&directory).map(Iterator::count) {
        Ok(0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let volume = cluster.kubectl(&["get", "pvc", "data", "-o", "jsonpath={.spec.volumeName}"]);
    let volume = cluster.directory.path().join("state/volumes").join(volume);
    assert_eq!(fs::read_to_string(volume.join("made/web-0/file")).unwrap(), "there\n");
    assert!(Path::new(&volume.join("logs/mine")).exists());
}

#[test]
fn what_a_pod_sees_on_docker() {
    contents(Kind::Docker);
}

#[test]
fn what_a_pod_sees_on_podman() {
    contents(Kind::Podman);
}
