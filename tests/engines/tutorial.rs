//! The first tutorial of the seeds with real containers: three pods that say who they are, by name and from a pod, whose
//! data follow the claim; then scaling, updates, a broken image, and the ends of server and engine.

use crate::{
    machine_image,
    support::{
        engines::{ContainerEngine, Kind},
        eventually, have,
        program::{self, Program},
    },
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const API: &str = "127.0.0.1:18001";
const SET: &str = "examplestatefulset";
const CURL_POD: &str = "examplepodforheadlessservice";

/// A server in an engine's network, and what a user has: kubectl, and a shell in a pod.
struct Cluster {
    engine: ContainerEngine,
    directory: TempDir,
    program: Option<Program>,
}

impl Cluster {
    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The program with these arguments, in the engine's network.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.engine.command(env!("CARGO_BIN_EXE_headless-dns"));
        command.arg("--runtime").arg(format!("unix://{}", self.engine.socket().display()));
        command.arg("--state-dir").arg(self.state()).args(arguments);
        command
    }

    fn serve(&mut self) {
        let command = self.command(&["--api-listen", API]);
        self.program = Some(Program::spawn(command, "127.0.0.1:0", self.directory.path()).listening());
    }

    /// What kubectl prints, and whether it says that all is well.
    fn try_kubectl(&self, arguments: &str) -> (bool, String) {
        let mut command = self.engine.command("kubectl");
        command.args(["-s", API]).args(arguments.split_whitespace());
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.trim().to_owned())
    }

    fn kubectl(&self, arguments: &str) -> String {
        let (is_well, text) = self.try_kubectl(arguments);
        assert!(is_well, "kubectl {arguments}: {text}\n{}", self.try_kubectl("describe pods").1);
        text
    }

    fn pods(&self) -> BTreeMap<String, Value> {
        let list: Value = serde_json::from_str(&self.kubectl("get pods -o json")).unwrap();
        let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
        list["items"].as_array().unwrap().iter().map(|pod| (name(pod), pod.clone())).collect()
    }

    fn pod(&self, ordinal: usize) -> Value {
        self.pods()[&format!("{SET}-{ordinal}")].clone()
    }

    /// Waits until so many pods of the set are ready and there are no others.
    fn ready(&self, replicas: usize) {
        eventually(&format!("{replicas} pods are ready"), || {
            let pods = self.pods();
            let of_set: Vec<&Value> =
                pods.iter().filter(|(name, _)| name.starts_with(SET)).map(|(_, pod)| pod).collect();
            let is_ready = |pod: &&&Value| {
                pod["metadata"]["deletionTimestamp"].is_null() && pod["status"]["containerStatuses"][0]["ready"] == true
            };
            match (of_set.iter().filter(is_ready).count(), of_set.len()) {
                (ready, all) if ready == replicas && all == replicas => Ok(()),
                _ => Err(self.kubectl("get pods -o wide") + "\n" + &self.logs()),
            }
        });
    }

    /// What the set's containers have written, those that have ended too.
    fn logs(&self) -> String {
        let list = self.engine.request("GET", "/v1.41/containers/json?all=true", b"").unwrap().1;
        let list: Value = serde_json::from_slice(&list).unwrap_or_default();
        let of_set = |one: &&Value| one["Labels"]["io.kubernetes.container.name"] == "pythonserviceforstateful";
        let ids = list.as_array().into_iter().flatten().filter(of_set).filter_map(|one| one["Id"].as_str());
        let log = |id| {
            let path = format!("/v1.41/containers/{id}/logs?stdout=true&stderr=true&tail=5");
            self.engine.request("GET", &path, b"").map_or_else(|error| error.to_string().into_bytes(), |reply| reply.1)
        };
        ids.map(|id| String::from_utf8_lossy(&log(id)).into_owned() + "\n").collect()
    }

    /// The containers of this instance that run: their names and ids.
    fn containers(&self) -> BTreeMap<String, String> {
        let list = self.engine.request("GET", "/v1.41/containers/json", b"").unwrap().1;
        let list: Value = serde_json::from_slice(&list).unwrap();
        let is_ours = |one: &&Value| !one["Labels"]["headless-dns/instance"].is_null();
        let named =
            |one: &Value| (one["Names"][0].as_str().unwrap().to_owned(), one["Id"].as_str().unwrap().to_owned());
        list.as_array().unwrap().iter().filter(is_ours).map(named).collect()
    }

    /// The hardware address of the pods' bridge: if it changes, pods reach nothing for half a minute.
    fn bridge_address(&self) -> String {
        let output = self.engine.command("ip").args(["-o", "link", "show", "type", "bridge"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let ours = text.lines().find(|line| line.contains(": hdns-")).unwrap_or_else(|| panic!("{text}"));
        ours.split_once("link/ether ").unwrap().1.split(' ').next().unwrap().to_owned()
    }

    /// What a command in the pod with the usual tools prints.
    fn in_pod(&self, command: &[&str]) -> String {
        let containers = self.containers();
        let (_, id) = containers
            .iter()
            .find(|(name, _)| name.contains(CURL_POD) && !name.contains("k8s_POD_"))
            .unwrap_or_else(|| panic!("{containers:?}"));
        let post = |path: &str, body: Value| {
            let (status, reply) = self.engine.request("POST", path, body.to_string().as_bytes()).unwrap();
            assert!((200..300).contains(&status), "{path}: {}", String::from_utf8_lossy(&reply));
            reply
        };
        let made = post(
            &format!("/v1.41/containers/{id}/exec"),
            json!({"Cmd": command, "AttachStdout": true, "AttachStderr": true, "Tty": true}),
        );
        let made: Value = serde_json::from_slice(&made).unwrap();
        let reply =
            post(&format!("/v1.41/exec/{}/start", made["Id"].as_str().unwrap()), json!({"Detach": false, "Tty": true}));
        String::from_utf8_lossy(&reply).trim().to_owned()
    }

    /// What a pod of the set wrote on its claim.
    fn data(&self, ordinal: usize) -> Vec<String> {
        let claim = format!("get pvc statefuldata-{SET}-{ordinal} -o jsonpath={{.spec.volumeName}}");
        let directory = self.state().join("volumes").join(self.kubectl(&claim));
        let text = fs::read_to_string(directory.join("data")).unwrap();
        assert!(!directory.join("starts").exists(), "nothing but the pod's own data is in a volume");
        text.lines().map(str::to_owned).collect()
    }

    fn everybody_says_who_they_are(&self, replicas: usize) {
        for ordinal in 0..replicas {
            let name = format!("{SET}-{ordinal}");
            for suffix in ["", ".default.svc.cluster.local"] {
                let url = format!("http://{name}.examplestatefulservice{suffix}/");
                let expected = format!("<p>The host is {name}</p>");
                eventually(&url, || {
                    let page = self.in_pod(&["curl", "-sS", "-m", "2", &url]);
                    if page == expected { Ok(()) } else { Err(format!("{page} instead of {expected}")) }
                });
            }
        }
    }

    /// The pod is deleted with a grace of a second, since its shell ignores TERM as in the tutorial.
    fn delete_pod(&self, ordinal: usize) {
        self.kubectl(&format!("delete pod {SET}-{ordinal} --grace-period=1"));
    }
}

fn seed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/seeds").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn started_at(pod: &Value) -> String {
    pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"].as_str().unwrap().to_owned()
}

fn text<'a>(pod: &'a Value, pointer: &str) -> &'a str {
    pod.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}: {pod}"))
}

fn tutorial(kind: Kind) {
    if !have(&["kubectl", "curl", "python3", "hostname", "getent", "ldd"]) {
        return;
    }
    let Some(engine) = ContainerEngine::start(kind) else { return };
    let library = format!("/usr/lib/{}", machine_image::found("python3").file_name().unwrap().to_str().unwrap());
    let tools = [("sh", "sh"), ("hostname", "hostname"), ("python", "python3")];
    machine_image::load(&engine, "docker.io/library/python:3.7", &tools, &[Path::new(&library)]);
    let tools = ["sh", "curl", "getent", "sleep"].map(|tool| (tool, tool));
    machine_image::load(&engine, "docker.io/appropriate/curl:latest", &tools, &[]);
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Cluster { engine, directory, program: None };
    let manifests = cluster.directory.path().join("manifests");
    fs::create_dir(&manifests).unwrap();
    fs::create_dir(cluster.directory.path().join("zones")).unwrap();
    for name in ["000-c-examplestatefulset.yaml", "000-d-curl-pod.yaml", "storageclass-managed-nfs-storage.yaml"] {
        fs::write(manifests.join(name), seed(name)).unwrap();
    }
    cluster.serve();

    // One after the other, each with its name, its page and its data.
    cluster.ready(3);
    let begun: Vec<String> = (0..3).map(|ordinal| started_at(&cluster.pod(ordinal))).collect();
    assert!(begun.is_sorted(), "{begun:?}");
    cluster.everybody_says_who_they_are(3);
    assert_eq!(cluster.data(1), ["The host is examplestatefulset-1"]);
    let bridge = cluster.bridge_address();
    let before = cluster.pod(1);
    cluster.delete_pod(1);
    cluster.ready(3);
    let after = cluster.pod(1);
    assert_ne!(text(&before, "/metadata/uid"), text(&after, "/metadata/uid"));
    assert_ne!(text(&before, "/status/podIP"), text(&after, "/status/podIP"), "a freed address comes last");
    eventually("its second line", || match cluster.data(1) {
        lines if lines.len() == 2 => Ok(()),
        lines => Err(format!("{lines:?}")),
    });
    cluster.everybody_says_who_they_are(3);
    let resolved = cluster.in_pod(&["getent", "hosts", text(&after, "/status/podIP")]);
    assert!(resolved.contains("examplestatefulset-1.examplestatefulservice.default.svc.cluster.local"), "{resolved}");

    // A template that ends soon, taken by the highest ordinal alone.
    let uids = |cluster: &Cluster| -> Vec<String> {
        (0..3).map(|ordinal| text(&cluster.pod(ordinal), "/metadata/uid").to_owned()).collect()
    };
    let old = uids(&cluster);
    cluster.kubectl(&format!(
        "patch statefulset {SET} -p {}",
        r#"{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}},"template":{"spec":{"terminationGracePeriodSeconds":1}}}}"#
    ));
    cluster.delete_pod(2);
    cluster.ready(3);
    let new = uids(&cluster);
    assert_eq!((&new[..2], new[2] != old[2]), (&old[..2], true));

    // A broken image stops there; the way back needs the pod to be deleted.
    cluster.kubectl(&format!("set image statefulset/{SET} pythonserviceforstateful=nowhere.invalid/none:1"));
    let stuck = eventually("the image cannot be pulled", || {
        let (_, reason) = cluster
            .try_kubectl(&format!("get pod {SET}-2 -o jsonpath={{.status.containerStatuses[0].state.waiting.reason}}"));
        if reason == "ErrImagePull" || reason == "ImagePullBackOff" { Ok(reason) } else { Err(reason) }
    });
    cluster.kubectl(&format!("set image statefulset/{SET} pythonserviceforstateful=python:3.7"));
    let reason =
        cluster.kubectl(&format!("get pod {SET}-2 -o jsonpath={{.status.containerStatuses[0].state.waiting.reason}}"));
    assert!(["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str()), "{stuck}, then {reason}");
    cluster.delete_pod(2);
    cluster.ready(3);
    cluster.everybody_says_who_they_are(3);

    // Down from the highest, up again in order; the data are there.
    cluster.kubectl(&format!("scale statefulset {SET} --replicas=2"));
    cluster.ready(2);
    cluster.kubectl(&format!("scale statefulset {SET} --replicas=3"));
    cluster.ready(3);
    assert!(cluster.data(2).len() >= 4, "{:?}", cluster.data(2));
    assert_eq!(cluster.bridge_address(), bridge);

    // The server is killed: its containers go on, and are found again.
    let containers = cluster.containers();
    assert_eq!(containers.len(), 8, "{containers:?}");
    let counts = |cluster: &Cluster| -> Vec<i64> {
        cluster
            .pods()
            .values()
            .map(|pod| pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap())
            .collect()
    };
    let restarted = counts(&cluster);
    cluster.program.take().unwrap().kill();
    assert_eq!(cluster.containers(), containers);
    cluster.serve();
    cluster.ready(3);
    cluster.everybody_says_who_they_are(3);
    assert_eq!((cluster.containers(), counts(&cluster)), (containers, restarted.clone()));

    // The power fails: the same pods with the same addresses, their containers started once more.
    let identity = |pod: &Value| ["/metadata/uid", "/status/podIP"].map(|pointer| text(pod, pointer).to_owned());
    let pods: Vec<[String; 2]> = (0..3).map(|ordinal| identity(&cluster.pod(ordinal))).collect();
    cluster.engine.reboot();
    cluster.program.as_ref().unwrap().expect_stderr("the container engine does not answer");
    assert_eq!((0..3).map(|ordinal| identity(&cluster.pod(ordinal))).collect::<Vec<_>>(), pods, "as they were");
    cluster.engine.start_again();
    eventually("every container was started once more", || {
        let counted = counts(&cluster);
        let expected: Vec<i64> = restarted.iter().map(|count| count + 1).collect();
        if counted == expected { Ok(()) } else { Err(format!("{counted:?} instead of {expected:?}")) }
    });
    cluster.ready(3);
    cluster.everybody_says_who_they_are(3);
    assert_eq!((0..3).map(|ordinal| identity(&cluster.pod(ordinal))).collect::<Vec<_>>(), pods);

    // What is ours goes, and only that.
    let foreign = json!({"Image": "docker.io/appropriate/curl:latest", "Cmd": ["sleep", "60"]}).to_string();
    let (status, reply) =
        cluster.engine.request("POST", "/v1.41/containers/create?name=foreign", foreign.as_bytes()).unwrap();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&reply));
    let refused = program::run(cluster.command(&["down"]));
    assert!(refused.stderr.contains("stop it first"), "{} {}", refused.stdout, refused.stderr);
    let program = cluster.program.take().unwrap();
    program.signal("TERM");
    assert!(program.ended().success());
    let removed = program::run(cluster.command(&["down"]));
    // Of each container one that has ended may be kept.
    let expected = " containers, 4 sandboxes and the network; volumes and state are kept\n";
    assert!(removed.status.success() && removed.stdout.ends_with(expected), "{} {}", removed.stdout, removed.stderr);
    let all = cluster.engine.request("GET", "/v1.41/containers/json?all=true", b"").unwrap().1;
    let all: Value = serde_json::from_slice(&all).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1, "{all:#}");
    let networks = cluster.engine.request("GET", "/v1.41/networks", b"").unwrap().1;
    assert!(!String::from_utf8_lossy(&networks).contains("headless-dns-"));
    assert!(cluster.state().join("volumes").read_dir().unwrap().count() >= 3, "the data stay");
}

#[test]
fn the_tutorial_on_docker() {
    tutorial(Kind::Docker);
}

#[test]
fn the_tutorial_on_podman() {
    tutorial(Kind::Podman);
}
