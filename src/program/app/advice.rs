//! What is said of objects that the control plane refused: the place in the manifest, and the setting that it depends
//! on. The refusals themselves are upstream's words, which know no settings of ours.

use crate::{
    control::controller::Refusal,
    objects::{
        manifest::{KEPT, MAX_DIAGNOSTICS, Manifests},
        object::{FieldError, ObjectKey},
    },
    program::settings::Settings,
    text::diagnostic::{Diagnostic, Severity, not_shown},
};
use std::{collections::BTreeMap, path::PathBuf};

/// Knows the settings that refusals depend on; none of them changes while the server runs.
#[derive(Debug)]
pub(super) struct Advice {
    service_cidrs: String,
    pod_cidrs: String,
}

impl Advice {
    pub(super) fn new(settings: &Settings) -> Advice {
        let listed = |ranges: &[ipnet::IpNet]| ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Advice { service_cidrs: listed(&settings.service_cidrs), pod_cidrs: listed(&settings.pod_cidrs) }
    }

    /// Refusals at their places in the manifests, each with its object; an object that no manifest declares has none. Of
    /// one file so many are placed, since the line of each is looked for in its text, and the rest is counted.
    pub(super) fn place(&self, refusals: &[Refusal], manifests: &Manifests) -> Vec<(ObjectKey, Vec<Diagnostic>)> {
        let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
        let mut more: BTreeMap<PathBuf, (usize, usize)> = BTreeMap::new();
        let mut placed: Vec<(ObjectKey, Vec<Diagnostic>)> = Vec::with_capacity(refusals.len());
        for Refusal { key, errors, stands } in refusals {
            let mut found = Vec::new();
            if let Some((path, _)) = manifests.origin(key) {
                let count = counts.entry(path.to_owned()).or_default();
                let (shown, counted) = errors.split_at(errors.len().min(MAX_DIAGNOSTICS.saturating_sub(*count)));
                *count += shown.len();
                let kept = if *stands { KEPT } else { "" };
                found.extend(
                    shown
                        .iter()
                        .filter_map(|error| Some(manifests.diagnose(key, error)?.kept(kept).help(self.help(error)))),
                );
                if !counted.is_empty() {
                    // The last one bears the number.
                    let (last, number) = more.entry(path.to_owned()).or_default();
                    (*last, *number) = (placed.len(), *number + counted.len());
                }
            }
            placed.push((key.clone(), found));
        }
        for (path, (last, number)) in more {
            if let Some((_, found)) = placed.get_mut(last) {
                found.push(Diagnostic::error(&path, not_shown(number, Severity::Error)));
            }
        }
        placed
    }

    /// What to do; empty where the message says it.
    fn help(&self, error: &FieldError) -> String {
        let Advice { service_cidrs, pod_cidrs } = self;
        let says = |text: &str| error.message.contains(text);
        if says("does not match the current range") {
            format!(
                "serviceCidrs in the settings is {service_cidrs}: set it to the range of the cluster that the manifest \
                 comes from, or remove clusterIP and clusterIPs"
            )
        } else if says("not configured on this cluster") || says("not configured for dual-stack") {
            format!(
                "serviceCidrs in the settings is {service_cidrs}, podCidrs is {pod_cidrs}: add a range of the other \
                 family to both, or remove ipFamilies and ipFamilyPolicy"
            )
        } else if says("failed to allocate a serviceIP: range is full") {
            format!("serviceCidrs in the settings is {service_cidrs}: set a larger range")
        } else if says("provided port is not in the valid range") {
            "remove nodePort for a free one, or take one of that range".to_owned()
        } else if says("provided IP is already allocated") {
            "another Service has it: remove clusterIP and clusterIPs from one of the two".to_owned()
        } else if says("provided port is already allocated") {
            "another Service has it: remove nodePort from one of the two".to_owned()
        } else {
            String::new()
        }
    }
}
