//! What is mounted in a container: its volumes, `/etc/hosts`, `/etc/resolv.conf`, the file of its termination message.

use super::{
    SpecError,
    environment::Environment,
    files::{CONTAINERS, HOSTS, RESOLV_CONF, SubPath},
    volumes::{Place, place, pod_directory},
};
use crate::{
    control::runtime::containers::{NodeFacts, Referenced},
    engine::sandbox::Mount,
};
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use std::path::{Path, PathBuf};

/// Upstream's default of `terminationMessagePath`.
const TERMINATION_MESSAGE_PATH: &str = "/dev/termination-log";
/// The mode of an `emptyDir` volume.
pub const EMPTY_DIR_MODE: u32 = 0o777;

/// What is mounted, and what of it are places below volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Parents before children.
    pub mounts: Vec<Mount>,
    /// Places that are made and checked before the container starts.
    pub sub_paths: Vec<SubPath>,
}

/// The file on the host that takes the termination message of one attempt of a container.
pub fn message_file(pod: &Pod, container: &Container, facts: &NodeFacts, attempt: u32) -> PathBuf {
    pod_directory(pod, facts).join(CONTAINERS).join(&container.name).join(attempt.to_string())
}

/// What is mounted in an attempt of a container.
///
/// # Errors
/// `CreateContainerConfigError`, in kubelet's words.
pub fn mounts(
    pod: &Pod,
    container: &Container,
    environment: &Environment,
    referenced: &Referenced,
    facts: &NodeFacts,
    attempt: u32,
) -> Result<Mounts, SpecError> {
    let refused = |message| SpecError { reason: "CreateContainerConfigError", message };
    if let Some(device) = container.volume_devices.iter().flatten().next() {
        let message = "volumeDevices are not supported: volumes are directories here, and no block devices; mount";
        return Err(refused(format!("{message} \"{}\" with volumeMounts", device.name)));
    }
    let mut found = Mounts::default();
    for mount in container.volume_mounts.iter().flatten() {
        found.add(pod, container, mount, environment, referenced, facts).map_err(refused)?;
    }
    let read_only = container.security_context.as_ref().and_then(|context| context.read_only_root_filesystem);
    let directory = pod_directory(pod, facts);
    found.add_file(directory.join(HOSTS), "/etc/hosts", false);
    found.add_file(directory.join(RESOLV_CONF), "/etc/resolv.conf", read_only.unwrap_or(false));
    let message = container.termination_message_path.as_deref().filter(|path| !path.is_empty());
    let message = absolute(message.unwrap_or(TERMINATION_MESSAGE_PATH));
    found.add_file(message_file(pod, container, facts, attempt), &message, false);
    found.mounts.sort_by(|a, b| Path::new(target(a)).cmp(Path::new(target(b))));
    Ok(found)
}

impl Mounts {
    fn add(
        &mut self,
        pod: &Pod,
        container: &Container,
        mount: &VolumeMount,
        environment: &Environment,
        referenced: &Referenced,
        facts: &NodeFacts,
    ) -> Result<(), String> {
        let name = &mount.name;
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let volume = volumes.into_iter().find(|volume| volume.name == *name);
        let volume = volume
            .ok_or_else(|| format!("cannot find volume \"{name}\" to mount into container \"{}\"", container.name))?;
        let target = absolute(&mount.mount_path);
        let (directory, read_only) = match place(volume, pod, referenced, facts)? {
            Place::Memory { octets } => {
                self.mounts.push(Mount::Tmpfs { target, octets, mode: EMPTY_DIR_MODE });
                return Ok(());
            }
            Place::Own(path) | Place::Host { path, .. } => (path, false),
            Place::Projected(path) => (path, true),
            Place::Claim { path, read_only } => (path, read_only),
        };
        let source = match sub_path(mount, environment)? {
            None => directory,
            Some(path) => {
                let source = directory.join(&path);
                let container = container.name.clone();
                self.sub_paths.push(SubPath { container, volume: name.clone(), directory, path });
                source
            }
        };
        let propagation = match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => "rslave",
            Some("Bidirectional") => "rshared",
            _ => "private",
        };
        let read_only = read_only || mount.read_only.unwrap_or(false);
        self.mounts.push(Mount::Bind { source, target, read_only, propagation });
        Ok(())
    }

    /// Mounts a file of this program's own, unless the container has something else there.
    fn add_file(&mut self, source: PathBuf, path: &str, read_only: bool) {
        if self.mounts.iter().all(|mount| target(mount) != path) {
            self.mounts.push(Mount::Bind { source, target: path.to_owned(), read_only, propagation: "private" });
        }
    }
}

fn target(mount: &Mount) -> &str {
    match mount {
        Mount::Bind { target, .. } | Mount::Tmpfs { target, .. } => target,
    }
}

/// As kubelet reads paths in containers, without a sign at their end.
fn absolute(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("/{path}"),
    }
}

/// The path below the volume that is mounted: with its references replaced, in its shortest form; `None` for the whole.
fn sub_path(mount: &VolumeMount, environment: &Environment) -> Result<Option<String>, String> {
    let path = match mount.sub_path_expr.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => environment.expand_whole(text)?,
        None => mount.sub_path.clone().unwrap_or_default(),
    };
    if path.starts_with('/') {
        return Err(format!("error SubPath `{path}` must not be an absolute path"));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(format!("unable to provision SubPath `{path}`: must not contain '..'"));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            environment::VariableSources,
            testing::{facts, pod_of, referenced},
        },
        *,
    };
    use proptest::prelude::*;

    const VOLUMES: &str = "volumes: [{name: data, persistentVolumeClaim: {claimName: data}}, \
                           {name: archive, persistentVolumeClaim: {claimName: archive}}, {name: tmp, emptyDir: {}}, \
                           {name: shm, emptyDir: {medium: Memory, sizeLimit: 1Mi}}, {name: conf, configMap: {name: settings}}, \
                           {name: host, hostPath: {path: /srv}}]";

    fn made(container: &str) -> Result<Mounts, String> {
        let (pod, container) = pod_of(container, VOLUMES);
        let (referenced, facts) = (referenced(), facts());
        let sources = VariableSources {
            pod: &pod,
            container: &container,
            addresses: &[],
            referenced: &referenced,
            facts: &facts,
        };
        let environment = Environment::of(sources).unwrap();
        mounts(&pod, &container, &environment, &referenced, &facts, 3).map_err(|error| {
            assert_eq!(error.reason, "CreateContainerConfigError");
            error.message
        })
    }

    fn lines(mounts: &[Mount]) -> Vec<String> {
        let line = |mount: &Mount| match mount {
            Mount::Bind { source, target, read_only, propagation } => {
                let mode = if *read_only { "ro" } else { "rw" };
                format!("{target} <- {} {mode} {propagation}", source.display())
            }
            Mount::Tmpfs { target, octets, mode } => format!("{target} <- memory {octets:?} {mode:o}"),
        };
        mounts.iter().map(line).collect()
    }

    #[test]
    fn rows() {
        const HOSTS: &str = "/etc/hosts <- /pods/uid-1/etc-hosts rw private";
        const RESOLV: &str = "/etc/resolv.conf <- /pods/uid-1/resolv.conf rw private";
        const LOG: &str = "/dev/termination-log <- /pods/uid-1/containers/app/3 rw private";
        let rows: [(&str, Vec<&str>); 7] = [
            ("", vec![LOG, HOSTS, RESOLV]),
            (
                "volumeMounts: [{name: tmp, mountPath: /data/tmp/}, {name: data, mountPath: /data}, \
                 {name: archive, mountPath: archive}, {name: conf, mountPath: /etc}]",
                vec![
                    "/archive <- /volumes/pv-2 ro private",
                    "/data <- /volumes/pv-1 rw private",
                    "/data/tmp <- /pods/uid-1/volumes/tmp rw private",
                    LOG,
                    "/etc <- /pods/uid-1/volumes/conf ro private",
                    HOSTS,
                    RESOLV,
                ],
            ),
            (
                "volumeMounts: [{name: shm, mountPath: /dev/shm}, {name: host, mountPath: /h, readOnly: true, \
                 mountPropagation: HostToContainer}, {name: host, mountPath: /i, mountPropagation: Bidirectional}]",
                vec![
                    "/dev/shm <- memory Some(1048576) 777",
                    LOG,
                    HOSTS,
                    RESOLV,
                    "/h <- /srv ro rslave",
                    "/i <- /srv rw rshared",
                ],
            ),
            (
                "volumeMounts: [{name: conf, mountPath: /etc/hosts, subPath: LEVEL}], terminationMessagePath: /tmp/log",
                vec![
                    "/etc/hosts <- /pods/uid-1/volumes/conf/LEVEL ro private",
                    RESOLV,
                    "/tmp/log <- /pods/uid-1/containers/app/3 rw private",
                ],
            ),
            (
                "securityContext: {readOnlyRootFilesystem: true}",
                vec![LOG, HOSTS, "/etc/resolv.conf <- /pods/uid-1/resolv.conf ro private"],
            ),
            (
                "env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], \
                 volumeMounts: [{name: data, mountPath: /d, subPathExpr: 'logs/$(POD)'}]",
                vec!["/d <- /volumes/pv-1/logs/web-0 rw private", LOG, HOSTS, RESOLV],
            ),
            (
                "volumeMounts: [{name: data, mountPath: /d, subPath: './a//b/'}, {name: data, mountPath: /e, subPath: .}]",
                vec!["/d <- /volumes/pv-1/a/b rw private", LOG, "/e <- /volumes/pv-1 rw private", HOSTS, RESOLV],
            ),
        ];
        for (container, expected) in rows {
            assert_eq!(
                made(container).map(|made| lines(&made.mounts)),
                Ok(expected.iter().map(|&line| line.to_owned()).collect()),
                "{container}"
            );
        }
        let made = made("volumeMounts: [{name: data, mountPath: /d, subPath: a/b}]").unwrap();
        let (container, volume) = ("app".to_owned(), "data".to_owned());
        let expected = SubPath { container, volume, directory: "/volumes/pv-1".into(), path: "a/b".to_owned() };
        assert_eq!(made.sub_paths, [expected]);
    }

    #[test]
    fn refusals() {
        let rows = [
            (
                "volumeMounts: [{name: none, mountPath: /x}]",
                "cannot find volume \"none\" to mount into container \"app\"",
            ),
            (
                "volumeMounts: [{name: data, mountPath: /x, subPath: /y}]",
                "error SubPath `/y` must not be an absolute path",
            ),
            (
                "volumeMounts: [{name: data, mountPath: /x, subPath: a/../..}]",
                "unable to provision SubPath `a/../..`: must not contain '..'",
            ),
            ("volumeMounts: [{name: data, mountPath: /x, subPathExpr: '$(B)/$(A)'}]", "missing value for A, B"),
            (
                "env: [{name: A, value: ..}], volumeMounts: [{name: data, mountPath: /x, subPathExpr: 'x/$(A)'}]",
                "unable to provision SubPath `x/..`: must not contain '..'",
            ),
            (
                "volumeDevices: [{name: data, devicePath: /dev/x}]",
                "volumeDevices are not supported: volumes are directories here, and no block devices; mount \"data\" with \
                 volumeMounts",
            ),
        ];
        for (container, expected) in rows {
            assert_eq!(made(container), Err(expected.to_owned()), "{container}");
        }
    }

    proptest! {
        /// Whatever a path says, what is mounted is below the volume, and only downwards.
        #[test]
        fn sub_paths_go_down(path in "[./a$()A]{0,16}") {
            let mount = |expression: bool| VolumeMount {
                sub_path: (!expression).then(|| path.clone()),
                sub_path_expr: expression.then(|| path.clone()),
                ..VolumeMount::default()
            };
            for mount in [mount(false), mount(true)] {
                if let Ok(Some(found)) = sub_path(&mount, &Environment::default()) {
                    prop_assert!(!found.starts_with('/') && !found.ends_with('/') && !found.is_empty());
                    prop_assert!(found.split('/').all(|part| !matches!(part, "" | "." | "..")));
                }
            }
        }
    }
}
