//! Where each volume of a pod is on the host.

use super::{
    files::VOLUMES,
    resources::{memory_of_pod, octets},
};
use crate::control::runtime::containers::{NodeFacts, Referenced};
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod, Volume};
use std::path::PathBuf;

/// Where a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A directory that is the pod's own and goes with it (`emptyDir`).
    Own(PathBuf),
    /// A directory of files that this program keeps up to date.
    Projected(PathBuf),
    /// A claim's directory.
    Claim {
        /// Where it is.
        path: PathBuf,
        /// Whether nothing can be written.
        read_only: bool,
    },
    /// A path of the host, and the type that it must have.
    Host {
        /// The path.
        path: PathBuf,
        /// The type; may be empty.
        kind: String,
    },
    /// Memory of the one container that mounts it.
    Memory {
        /// At most so many octets.
        octets: Option<u64>,
    },
}

/// The directory of a pod's own files.
pub fn pod_directory(pod: &Pod, facts: &NodeFacts) -> PathBuf {
    facts.pods_directory.join(pod.metadata.uid.as_deref().unwrap_or_default())
}

/// Where a volume of a pod is.
///
/// # Errors
/// Its claim is not bound, or it is of a kind that is not supported.
pub fn place(volume: &Volume, pod: &Pod, referenced: &Referenced, facts: &NodeFacts) -> Result<Place, String> {
    let own = || pod_directory(pod, facts).join(VOLUMES).join(&volume.name);
    if let Some(source) = &volume.persistent_volume_claim {
        let name = &source.claim_name;
        let found = referenced.claims.get(name);
        let claim = found.ok_or_else(|| format!("persistentvolumeclaim \"{name}\" not found"))?;
        let read_only = source.read_only.unwrap_or(false) || claim.read_only;
        return Ok(Place::Claim { path: claim.path.clone(), read_only });
    }
    if let Some(source) = &volume.host_path {
        let kind = source.type_.clone().unwrap_or_default();
        return match source.path.starts_with('/') {
            true => Ok(Place::Host { path: PathBuf::from(&source.path), kind }),
            false => Err(format!("hostPath {:?} is not an absolute path", source.path)),
        };
    }
    let is_projected = volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some();
    if is_projected {
        return Ok(Place::Projected(own()));
    }
    match (&volume.empty_dir, other_kind(volume)) {
        (Some(source), _) => empty_dir(volume, source, pod, own()),
        // Upstream's default.
        (None, None) => Ok(Place::Own(own())),
        (None, Some(kind)) => Err(format!(
            "volumes of the kind {kind} are not supported with a container engine: take a claim, hostPath or emptyDir"
        )),
    }
}

/// The kind of a volume by its field; `None` if it has no source.
fn other_kind(volume: &Volume) -> Option<String> {
    let fields = serde_json::to_value(volume).ok()?;
    fields.as_object()?.keys().find(|field| *field != "name").cloned()
}

/// An engine's memory file system belongs to one container and lives as long: so it is taken only where one container mounts
/// the volume as a whole. Otherwise the volume is on disk, where it is shared and outlives containers, as upstream's does.
fn empty_dir(volume: &Volume, source: &EmptyDirVolumeSource, pod: &Pod, own: PathBuf) -> Result<Place, String> {
    match source.medium.as_deref().unwrap_or_default() {
        "" => Ok(Place::Own(own)),
        "Memory" => {
            let spec = pod.spec.as_ref();
            let all = spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
            let mounts = all.flat_map(|container| container.volume_mounts.iter().flatten());
            let mut mounts = mounts.filter(|mount| mount.name == volume.name);
            let whole = mounts.next().is_some_and(|mount| mount.sub_path.is_none() && mount.sub_path_expr.is_none());
            if !whole || mounts.next().is_some() {
                return Ok(Place::Own(own));
            }
            let limits = [octets(source.size_limit.as_ref()), spec.and_then(memory_of_pod)];
            Ok(Place::Memory { octets: limits.into_iter().flatten().min() })
        }
        medium => Err(format!("emptyDir on the medium {medium} is not supported: take Memory, or leave it out")),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{facts, pod, referenced},
        *,
    };

    #[test]
    fn rows() {
        let mounts = |mounts: &str| {
            format!("containers: [{{name: a, volumeMounts: [{mounts}], resources: {{limits: {{memory: 1Gi}}}}}}]")
        };
        let one = mounts("{name: v, mountPath: /v}");
        let two = mounts("{name: v, mountPath: /v}, {name: v, mountPath: /w}");
        let part = mounts("{name: v, mountPath: /v, subPath: x}");
        let none = mounts("");
        let own = || Ok(Place::Own("/pods/uid-1/volumes/v".into()));
        let projected = || Ok(Place::Projected("/pods/uid-1/volumes/v".into()));
        let claim = |path: &str, read_only| Ok(Place::Claim { path: path.into(), read_only });
        let host = |path: &str, kind: &str| Ok(Place::Host { path: path.into(), kind: kind.to_owned() });
        let rows = [
            ("emptyDir: {}", &one, own()),
            ("", &one, own()),
            ("emptyDir: {medium: Memory}", &one, Ok(Place::Memory { octets: Some(1 << 30) })),
            ("emptyDir: {medium: Memory, sizeLimit: 64Mi}", &one, Ok(Place::Memory { octets: Some(64 << 20) })),
            ("emptyDir: {medium: Memory, sizeLimit: 64Gi}", &one, Ok(Place::Memory { octets: Some(1 << 30) })),
            ("emptyDir: {medium: Memory}", &two, own()),
            ("emptyDir: {medium: Memory}", &part, own()),
            ("emptyDir: {medium: Memory}", &none, own()),
            (
                "emptyDir: {medium: HugePages}",
                &one,
                Err("emptyDir on the medium HugePages is not supported: take Memory, or leave it out"),
            ),
            ("configMap: {name: x}", &one, projected()),
            ("secret: {secretName: x}", &one, projected()),
            ("downwardAPI: {}", &one, projected()),
            ("projected: {}", &one, projected()),
            ("persistentVolumeClaim: {claimName: data}", &one, claim("/volumes/pv-1", false)),
            ("persistentVolumeClaim: {claimName: data, readOnly: true}", &one, claim("/volumes/pv-1", true)),
            ("persistentVolumeClaim: {claimName: archive}", &one, claim("/volumes/pv-2", true)),
            ("persistentVolumeClaim: {claimName: none}", &one, Err("persistentvolumeclaim \"none\" not found")),
            // Nobody makes its claim here.
            (
                "ephemeral: {}",
                &one,
                Err(
                    "volumes of the kind ephemeral are not supported with a container engine: take a claim, hostPath or emptyDir",
                ),
            ),
            ("hostPath: {path: /srv/x}", &one, host("/srv/x", "")),
            ("hostPath: {path: /srv/x, type: FileOrCreate}", &one, host("/srv/x", "FileOrCreate")),
            ("hostPath: {path: srv}", &one, Err("hostPath \"srv\" is not an absolute path")),
            (
                "nfs: {server: a, path: /b}",
                &one,
                Err(
                    "volumes of the kind nfs are not supported with a container engine: take a claim, hostPath or emptyDir",
                ),
            ),
        ];
        for (source, containers, expected) in rows {
            let pod = pod(&format!("{{volumes: [{{name: v, {source}}}], {containers}}}"));
            let volume = &pod.spec.as_ref().unwrap().volumes.as_ref().unwrap()[0];
            let found = place(volume, &pod, &referenced(), &facts());
            assert_eq!(found, expected.map_err(str::to_owned), "{source} {containers}");
        }
    }
}
