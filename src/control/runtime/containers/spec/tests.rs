//! Whole pods: what is made of them.

use super::{
    testing::{addresses, container_of, facts, pod, pod_of, referenced},
    *,
};
use proptest::prelude::*;

fn made(container: &str, rest: &str) -> Result<ContainerSpec, String> {
    let (pod, one) = pod_of(container, rest);
    let (id, image) = (ContainerId("box".to_owned()), ImageDetails::default());
    let made = super::container(&pod, &one, &id, &addresses("10.9.0.7"), &image, &referenced(), &facts(), 2);
    made.map_err(|error| error.message)
}

#[test]
fn sandboxes() {
    let made = |spec: &str| sandbox(&pod(spec), &addresses("10.9.0.7 fd00::7"), &facts(), 4).unwrap();
    let plain = made(
        "{securityContext: {sysctls: [{name: net.core.somaxconn, value: '1024'}, {name: kernel/shm_rmid_forced, value: '1'}]}}",
    );
    assert_eq!(plain.name, "k8s_POD_web-0_shop_uid-1_4");
    let labels: Vec<String> = plain.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let expected = [
        "headless-dns/attempt=4",
        "headless-dns/instance=test",
        "io.kubernetes.container.name=POD",
        "io.kubernetes.pod.name=web-0",
        "io.kubernetes.pod.namespace=shop",
        "io.kubernetes.pod.uid=uid-1",
    ];
    assert_eq!(labels, expected);
    assert_eq!(plain.hostname, "web-0");
    let network = SandboxNetwork::Addresses { network: "net".to_owned(), addresses: addresses("10.9.0.7 fd00::7") };
    assert_eq!(plain.network, network);
    let sysctls: Vec<_> = plain.sysctls.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(sysctls, ["kernel.shm_rmid_forced=1", "net.core.somaxconn=1024"]);
    assert!(!plain.host_pid && !plain.host_ipc);
    let host = made("{hostNetwork: true, hostPID: true, hostIPC: true}");
    assert_eq!((host.network, host.hostname.as_str()), (SandboxNetwork::Host, ""));
    assert!(host.host_pid && host.host_ipc);
}

#[test]
fn containers() {
    let made_of = |container: &str, rest: &str| made(container, rest).unwrap();
    let one = made_of(
        "command: [sh, -c], args: ['echo $(A) $$(A) $(NONE) $(DB_SERVICE_PORT)'], env: [{name: A, value: one}], workingDir: /srv, \
         stdin: true, stdinOnce: true, tty: true",
        "",
    );
    assert_eq!(one.name, "k8s_app_web-0_shop_uid-1_2");
    assert_eq!(one.labels.get(CONTAINER_NAME_LABEL).map(String::as_str), Some("app"));
    assert_eq!(one.labels.get(SPEC_HASH_LABEL).map(String::len), Some(16));
    assert_eq!((one.image.as_str(), one.hostname.as_str(), one.sandbox.0.as_str()), ("app:1", "web-0", "box"));
    assert_eq!(one.command, Some(vec!["sh".to_owned(), "-c".to_owned()]));
    assert_eq!(one.args, Some(vec!["echo one $(A) $(NONE) 5432".to_owned()]));
    assert_eq!(one.working_dir.as_deref(), Some("/srv"));
    assert!(one.stdin && one.stdin_once && one.tty);
    let bare = made_of("command: [], args: [], workingDir: ''", "");
    assert_eq!((bare.command, bare.args, bare.working_dir), (None, None, None));
    let rows = [
        ("", PidNamespace::Own),
        ("shareProcessNamespace: true", PidNamespace::Sandbox),
        ("hostPID: true", PidNamespace::Host),
    ];
    for (rest, pid) in rows {
        assert_eq!(made_of("", rest).pid, pid, "{rest}");
    }
    let too_long = format!("args: ['{}']", "x".repeat(200_000));
    assert_eq!(made(&too_long, ""), Err("the command is longer than Linux gives to a process".to_owned()));
}

#[test]
fn hashes_follow_what_restarts() {
    let hash = |container: &str| spec_hash(&pod_of(container, "").1);
    let plain = hash("");
    assert_eq!(plain, hash("env: [{name: A, value: b}], resources: {limits: {cpu: '1'}}"));
    assert_ne!(plain, hash("command: [x]"));
    assert_ne!(hash("command: [x]"), hash("args: [x]"));
    let other = Container { image: Some("app:2".to_owned()), ..pod_of("", "").1 };
    assert_ne!(plain, spec_hash(&other));
    // It is on containers that an earlier version of this program made.
    assert_eq!(plain, "2d4446f7f960e832");
}

#[test]
fn files_of_a_pod() {
    let pod = pod(
        "{securityContext: {fsGroup: 7, fsGroupChangePolicy: OnRootMismatch}, dnsConfig: {nameservers: [192.0.2.1, \
         192.0.2.2, 192.0.2.3]}, volumes: [{name: tmp, emptyDir: {}}, {name: conf, configMap: {name: settings}}, \
         {name: data, persistentVolumeClaim: {claimName: data}}, {name: old, persistentVolumeClaim: {claimName: archive}}, \
         {name: shm, emptyDir: {medium: Memory}}, {name: host, hostPath: {path: /srv, type: Directory}}], containers: [\
         {name: a, volumeMounts: [{name: shm, mountPath: /dev/shm}, {name: data, mountPath: /d, subPath: x/y}]}, \
         {name: b, envFrom: [{secretRef: {name: none}}], volumeMounts: [{name: data, mountPath: /d, subPath: z}]}]}",
    );
    let files = files(&pod, &addresses("10.9.0.7"), &referenced(), &facts()).unwrap();
    let names = |map: &BTreeMap<String, FileEntry>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&files.plain), [HOSTS, RESOLV_CONF]);
    assert!(!files.with_hosts_of_node);
    assert_eq!(files.directories, BTreeMap::from([("tmp".to_owned(), 0o777)]));
    assert_eq!(files.projected.keys().collect::<Vec<_>>(), ["conf"]);
    assert_eq!(files.projected.get("conf").unwrap().group, Some(7));
    let owned = |volume: &str, directory: &str| GroupOwnership {
        volume: volume.to_owned(),
        directory: directory.into(),
        group: 7,
        only_if_root_differs: true,
    };
    assert_eq!(files.groups, [owned("tmp", "/pods/uid-1/volumes/tmp"), owned("data", "/volumes/pv-1")]);
    let host = HostPath { volume: "host".to_owned(), path: "/srv".into(), kind: "Directory".to_owned() };
    assert_eq!(files.host_paths, [host]);
    let places: Vec<String> =
        files.sub_paths.iter().map(|place| format!("{} {}", place.container, place.path)).collect();
    assert_eq!(places, ["a x/y"], "b cannot be made, which is told when it is to start");
    assert_eq!(files.warnings.len(), 1);
    assert_eq!(files.warnings[0].0, "DNSConfigForming");
}

#[test]
fn what_a_volume_lacks() {
    let rows = [
        ("configMap: {name: none}", "configmap \"none\" not found"),
        ("secret: {secretName: none}", "secret \"none\" not found"),
        ("persistentVolumeClaim: {claimName: none}", "persistentvolumeclaim \"none\" not found"),
    ];
    for (volume, expected) in rows {
        let pod = pod(&format!("{{volumes: [{{name: v, {volume}}}]}}"));
        let error = files(&pod, &[], &referenced(), &facts()).unwrap_err();
        let message = format!("MountVolume.SetUp failed for volume \"v\" : {expected}");
        assert_eq!(error, SpecError { reason: "FailedMount", message }, "{volume}");
    }
}

#[test]
fn messages_have_a_file_for_each_attempt() {
    let pod = pod("{containers: [{name: a, terminationMessagePolicy: FallbackToLogsOnError}, {name: b}]}");
    let of = |name: &str, attempt| termination_message(container_of(&pod, name), &pod, &facts(), attempt);
    assert_eq!(of("a", 0), ("/pods/uid-1/containers/a/0".into(), true));
    assert_eq!(of("b", 3), ("/pods/uid-1/containers/b/3".into(), false));
}

#[test]
fn many_keys_and_large_values() {
    let keys: Vec<(String, Vec<u8>)> = (0..20_000).map(|key| (format!("key-{key}"), vec![b'x'; 50])).collect();
    let entries: Vec<(&str, &[u8])> = keys.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
    let large = vec![0; 1 << 20];
    let referenced = Referenced {
        config_maps: [
            ("many".to_owned(), testing::data(&entries)),
            ("large".to_owned(), testing::data(&[("k", &large)])),
        ]
        .into(),
        ..Referenced::default()
    };
    let pod = pod("{volumes: [{name: v, configMap: {name: many}}, {name: w, configMap: {name: large}}], \
         containers: [{name: a, envFrom: [{configMapRef: {name: many}}]}]}");
    let files = files(&pod, &[], &referenced, &facts()).unwrap();
    assert_eq!(files.projected.get("v").unwrap().files.len(), 20_000);
    let copy = files.clone();
    let content = |files: &PodFiles| files.projected.get("w").unwrap().files.get("k").unwrap().content.as_ptr();
    assert_eq!(content(&files), content(&copy), "copies share values");
    let container = container_of(&pod, "a");
    let id = ContainerId("box".to_owned());
    let made = super::container(&pod, container, &id, &[], &ImageDetails::default(), &referenced, &facts(), 0);
    assert_eq!(made.unwrap().env.len(), 20_000);
}

#[test]
fn secrets_are_not_shown() {
    let pod = pod("{volumes: [{name: v, secret: {secretName: login}}]}");
    let shown = format!("{:?} {:?}", files(&pod, &[], &referenced(), &facts()), referenced());
    assert!(shown.contains("password") && !shown.contains("hunter2") && !shown.contains("104"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// The same pod gives the same result, whatever its texts are, and never panics.
    #[test]
    fn nothing_panics(text in "\\PC{0,12}", path in "[a-z./$()]{0,12}", number in any::<i32>()) {
        let (mut pod, _) = pod_of("ports: [{containerPort: 1, hostPort: 2}], volumeMounts: [{name: v, mountPath: /v}], \
                                   env: [{name: A, value: b}], resources: {limits: {cpu: '1'}}", "volumes: [{name: v, emptyDir: {}}]");
        let spec = pod.spec.as_mut().unwrap();
        spec.hostname = Some(text.clone());
        spec.subdomain = Some(text.repeat(40));
        spec.priority = Some(number);
        let container = spec.containers.first_mut().unwrap();
        container.args = Some(vec![text.clone(), path.clone()]);
        container.ports.as_mut().unwrap()[0].host_port = Some(number);
        container.volume_mounts.as_mut().unwrap()[0].sub_path_expr = Some(path.clone());
        container.volume_mounts.as_mut().unwrap()[0].mount_path = path;
        container.env.as_mut().unwrap()[0].value = Some(text);
        let container = container.clone();
        let (id, image) = (ContainerId("box".to_owned()), ImageDetails::default());
        let run = || {
            let files = files(&pod, &[], &referenced(), &facts());
            let sandbox = sandbox(&pod, &[], &facts(), 0);
            (files, sandbox, super::container(&pod, &container, &id, &[], &image, &referenced(), &facts(), 0))
        };
        prop_assert_eq!(run(), run());
    }
}
