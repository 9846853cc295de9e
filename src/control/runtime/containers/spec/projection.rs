//! The files of volumes that are made of ConfigMaps, Secrets, the pod's own fields and tokens.

use super::{
    environment::DataKind,
    fields::field,
    files::{FileEntry, ProjectedVolume},
    resources::resource_field,
};
use crate::control::runtime::containers::{NodeFacts, Referenced};
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Volume};
use std::{collections::BTreeMap, net::IpAddr};

/// The mode of files by default.
const MODE: i32 = 0o644;
/// The longest path, and the longest part of one, in octets.
const PATH_OCTETS_MAX: usize = 4096;
const NAME_OCTETS_MAX: usize = 255;

type Files = BTreeMap<String, FileEntry>;

/// What files are made from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its addresses.
    pub addresses: &'a [IpAddr],
    /// What it refers to.
    pub referenced: &'a Referenced,
    /// The node.
    pub facts: &'a NodeFacts,
}

/// A ConfigMap or Secret as a source of files.
#[derive(Clone, Copy)]
struct KeyedSource<'a> {
    kind: DataKind,
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    optional: bool,
    mode: i32,
}

/// The files of a volume; `None` if it is not made of files.
///
/// # Errors
/// Something that is not optional does not exist, or a path leads elsewhere, in kubelet's words.
pub fn projection(volume: &Volume, origin: Origin<'_>) -> Option<Result<ProjectedVolume, String>> {
    let files = if let Some(source) = &volume.config_map {
        origin.keyed(KeyedSource {
            kind: DataKind::ConfigMap,
            name: &source.name,
            items: source.items.as_deref(),
            optional: source.optional.unwrap_or(false),
            mode: source.default_mode.unwrap_or(MODE),
        })
    } else if let Some(source) = &volume.secret {
        origin.keyed(KeyedSource {
            kind: DataKind::Secret,
            name: source.secret_name.as_deref().unwrap_or_default(),
            items: source.items.as_deref(),
            optional: source.optional.unwrap_or(false),
            mode: source.default_mode.unwrap_or(MODE),
        })
    } else if let Some(source) = &volume.downward_api {
        origin.downward(source.items.as_deref().unwrap_or_default(), source.default_mode.unwrap_or(MODE))
    } else {
        origin.all(volume.projected.as_ref()?)
    };
    let group = origin.pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref()?.fs_group);
    Some(files.and_then(|files| {
        check(&files)?;
        Ok(ProjectedVolume { files, group })
    }))
}

impl Origin<'_> {
    fn keyed(&self, source: KeyedSource<'_>) -> Result<Files, String> {
        let data = match source.kind.find(source.name, self.referenced) {
            Err(_) if source.optional => return Ok(Files::new()),
            found => &found?.data,
        };
        let items = source.items.unwrap_or_default();
        if items.is_empty() {
            return Ok(data.iter().map(|(key, value)| (key.clone(), entry(value, source.mode))).collect());
        }
        let mut files = Files::new();
        for item in items {
            match data.get(&item.key) {
                Some(value) => {
                    files.insert(item.path.clone(), entry(value, item.mode.unwrap_or(source.mode)));
                }
                None if source.optional => {}
                None if source.kind == DataKind::Secret => {
                    return Err(format!("references non-existent secret key: {}", item.key));
                }
                None => return Err(format!("configmap references non-existent config key: {}", item.key)),
            }
        }
        Ok(files)
    }

    fn downward(&self, items: &[DownwardAPIVolumeFile], mode: i32) -> Result<Files, String> {
        let Origin { pod, addresses, facts, .. } = *self;
        let mut files = Files::new();
        for item in items {
            let text = match (&item.field_ref, &item.resource_field_ref) {
                (Some(reference), _) => field(pod, &reference.field_path, addresses, facts)?,
                (None, Some(reference)) => resource_field(pod, None, reference, facts)?,
                (None, None) => String::new(),
            };
            files.insert(item.path.clone(), entry(text.as_bytes(), item.mode.unwrap_or(mode)));
        }
        Ok(files)
    }

    /// All sources of a projected volume; of two files at one path the later one counts.
    fn all(&self, projected: &ProjectedVolumeSource) -> Result<Files, String> {
        let mode = projected.default_mode.unwrap_or(MODE);
        let mut files = Files::new();
        for source in projected.sources.iter().flatten() {
            if let Some(source) = &source.config_map {
                files.extend(self.keyed(KeyedSource {
                    kind: DataKind::ConfigMap,
                    name: &source.name,
                    items: source.items.as_deref(),
                    optional: source.optional.unwrap_or(false),
                    mode,
                })?);
            }
            if let Some(source) = &source.secret {
                files.extend(self.keyed(KeyedSource {
                    kind: DataKind::Secret,
                    name: &source.name,
                    items: source.items.as_deref(),
                    optional: source.optional.unwrap_or(false),
                    mode,
                })?);
            }
            if let Some(source) = &source.downward_api {
                files.extend(self.downward(source.items.as_deref().unwrap_or_default(), mode)?);
            }
            if let Some(source) = &source.service_account_token {
                let token = self.referenced.service_account_token.as_deref();
                let token =
                    token.ok_or("no token is given out for ServiceAccounts here: leave serviceAccountToken out")?;
                files.insert(source.path.clone(), entry(token.as_bytes(), mode));
            }
            if source.cluster_trust_bundle.is_some() {
                return Err("clusterTrustBundle is not supported: there are no ClusterTrustBundles here".to_owned());
            }
            if source.pod_certificate.is_some() {
                return Err("podCertificate is not supported: no certificates are issued here".to_owned());
            }
        }
        Ok(files)
    }
}

fn entry(content: &[u8], mode: i32) -> FileEntry {
    FileEntry::new(content, u32::try_from(mode).unwrap_or(0) & 0o777)
}

/// Whether every path stays in the volume and can be a file there: upstream's `validatePath`, and no file among the
/// directories of another one.
fn check(files: &Files) -> Result<(), String> {
    for path in files.keys() {
        check_path(path)?;
        let directories = path.char_indices().filter(|(_, character)| *character == '/');
        for (end, _) in directories {
            if let Some(directory) = path.get(..end).filter(|directory| files.contains_key(*directory)) {
                return Err(format!("invalid path: {directory} is a file, and a directory of {path}"));
            }
        }
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), String> {
    let shown = || path.chars().take(80).collect::<String>();
    let error = match path {
        "" => "must not be empty".to_owned(),
        path if path.starts_with('/') => format!("must not be absolute path: {}", shown()),
        path if path.len() > PATH_OCTETS_MAX => format!("must be less than or equal to {PATH_OCTETS_MAX} characters"),
        path if path.starts_with("..") => format!("must not start with '..': {}", shown()),
        path if path.split('/').any(|part| part == "..") => format!("must not contain '..': {}", shown()),
        path if path.contains('\0') => format!("must not contain a zero octet: {:?}", shown()),
        path if path.split('/').any(|part| matches!(part, "" | ".")) => {
            format!("must be in its shortest form: {}", shown())
        }
        path if path.split('/').any(|part| part.len() > NAME_OCTETS_MAX) => {
            format!("filename must be less than or equal to {NAME_OCTETS_MAX} characters")
        }
        _ => return Ok(()),
    };
    Err(format!("invalid path: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{addresses, data, facts, pod, referenced},
        *,
    };
    use proptest::prelude::*;

    fn made(volume: &str, referenced: &Referenced) -> Result<Vec<String>, String> {
        let pod = pod(&format!("{{securityContext: {{fsGroup: 7}}, volumes: [{{name: v, {volume}}}]}}"));
        let (addresses, facts) = (addresses("10.9.0.7"), facts());
        let origin = Origin { pod: &pod, addresses: &addresses, referenced, facts: &facts };
        let volume = projection(&pod.spec.as_ref().unwrap().volumes.as_ref().unwrap()[0], origin).unwrap()?;
        assert_eq!(volume.group, Some(7));
        let line = |(path, entry): (&String, &FileEntry)| {
            format!("{:o} {path} {}", entry.mode, String::from_utf8_lossy(&entry.content))
        };
        Ok(volume.files.iter().map(line).collect())
    }

    #[test]
    fn files() {
        let rows: [(&str, &[&str]); 10] = [
            ("secret: {secretName: login}", &["644 password hunter2", "644 user admin"]),
            ("secret: {secretName: login, defaultMode: 256}", &["400 password hunter2", "400 user admin"]),
            (
                "configMap: {name: settings, items: [{key: LEVEL, path: a/level}, {key: site.conf, path: b, mode: 511}]}",
                &["644 a/level debug", "777 b listen 80;"],
            ),
            ("configMap: {name: none, optional: true}", &[]),
            ("secret: {secretName: none, optional: true}", &[]),
            ("configMap: {name: settings, optional: true, items: [{key: x, path: x}]}", &[]),
            (
                "downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, \
                 {path: ip, mode: 256, fieldRef: {fieldPath: status.podIP}}]}",
                &["400 ip 10.9.0.7", "644 labels app=\"web\"\napps.test/tier=\"front\""],
            ),
            (
                "projected: {sources: [{secret: {name: login, items: [{key: user, path: u}]}}, \
                 {configMap: {name: settings, items: [{key: LEVEL, path: u}]}}, \
                 {downwardAPI: {items: [{path: n, fieldRef: {fieldPath: metadata.name}}]}}, \
                 {serviceAccountToken: {path: token}}]}",
                &["644 n web-0", "644 token token", "644 u debug"],
            ),
            ("projected: {sources: [{secret: {name: none, optional: true}}]}", &[]),
            ("projected: {defaultMode: 288, sources: [{serviceAccountToken: {path: t}}]}", &["440 t token"]),
        ];
        for (volume, expected) in rows {
            assert_eq!(
                made(volume, &referenced()),
                Ok(expected.iter().map(|&line| line.to_owned()).collect()),
                "{volume}"
            );
        }
    }

    #[test]
    fn refusals() {
        let rows = [
            ("configMap: {name: none}", "configmap \"none\" not found"),
            ("secret: {secretName: none}", "secret \"none\" not found"),
            ("projected: {sources: [{configMap: {name: none}}]}", "configmap \"none\" not found"),
            (
                "configMap: {name: settings, items: [{key: x, path: x}]}",
                "configmap references non-existent config key: x",
            ),
            ("secret: {secretName: login, items: [{key: x, path: x}]}", "references non-existent secret key: x"),
            (
                "downwardAPI: {items: [{path: x, resourceFieldRef: {containerName: c, resource: limits.cpu}}]}",
                "container c not found",
            ),
            (
                "projected: {sources: [{clusterTrustBundle: {path: x, name: y}}]}",
                "clusterTrustBundle is not supported: there are no ClusterTrustBundles here",
            ),
            (
                "secret: {secretName: login, items: [{key: user, path: ../x}]}",
                "invalid path: must not start with '..': ../x",
            ),
            (
                "secret: {secretName: login, items: [{key: user, path: ..data}]}",
                "invalid path: must not start with '..': ..data",
            ),
            (
                "secret: {secretName: login, items: [{key: user, path: a/../b}]}",
                "invalid path: must not contain '..': a/../b",
            ),
            (
                "secret: {secretName: login, items: [{key: user, path: /x}]}",
                "invalid path: must not be absolute path: /x",
            ),
            (
                "secret: {secretName: login, items: [{key: user, path: a//x}]}",
                "invalid path: must be in its shortest form: a//x",
            ),
            (
                "secret: {secretName: login, items: [{key: user, path: a}, {key: password, path: a/b}]}",
                "invalid path: a is a file, and a directory of a/b",
            ),
        ];
        for (volume, expected) in rows {
            assert_eq!(made(volume, &referenced()), Err(expected.to_owned()), "{volume}");
        }
        let without = Referenced { service_account_token: None, ..referenced() };
        let expected = "no token is given out for ServiceAccounts here: leave serviceAccountToken out";
        let volume = "projected: {sources: [{serviceAccountToken: {path: t}}]}";
        assert_eq!(made(volume, &without), Err(expected.to_owned()));
    }

    #[test]
    fn keys_that_lead_elsewhere() {
        // No API takes such keys; a state directory that somebody wrote to might have them.
        for key in
            ["..", "../../etc/passwd", "/etc/passwd", "a\0", "", ".", "..data", &"x".repeat(256), &"x/".repeat(2100)]
        {
            let referenced =
                Referenced { config_maps: [("m".into(), data(&[(key, b"x")]))].into(), ..Referenced::default() };
            let error = made("configMap: {name: m}", &referenced).unwrap_err();
            assert!(error.starts_with("invalid path: ") && error.len() < 140, "{key:?}: {error}");
        }
    }

    proptest! {
        /// Whatever passes stays in the volume: it only goes down, and never through the names of the writer itself.
        #[test]
        fn what_passes_stays_inside(path in "[./a\\x00]{0,12}") {
            if check_path(&path).is_ok() {
                let parts: Vec<&str> = path.split('/').collect();
                prop_assert!(parts.iter().all(|part| !matches!(*part, "" | "." | "..") && !part.contains('\0')));
                prop_assert!(!path.starts_with(".."));
            }
        }
    }
}
