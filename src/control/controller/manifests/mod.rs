//! What manifests declare: merged into what is there, and withdrawn when no manifest declares it any more.

mod declare;
mod last_applied;
mod withdraw;

pub use withdraw::CASCADE;

use super::{Refusal, shared::Context};
use crate::objects::object::{Declaration, LastApplied, ObjectKey};
use last_applied::LastVersions;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// What is known of manifests, and of what was made of them.
#[derive(Debug)]
pub struct ManifestController {
    /// Declared objects that wait for the old one of their key, or their namespace, to be gone.
    waiting: BTreeMap<ObjectKey, Declaration>,
    last_applied: LastVersions,
    withdrawn_namespaces: BTreeSet<String>,
    /// What was declared since the start; `None` once everything was loaded.
    declared: Option<HashSet<ObjectKey>>,
    loaded_in_part: bool,
    refusals: Vec<Refusal>,
    warnings: Vec<(ObjectKey, String)>,
}

impl Default for ManifestController {
    fn default() -> ManifestController {
        ManifestController {
            waiting: BTreeMap::new(),
            last_applied: LastVersions::default(),
            withdrawn_namespaces: BTreeSet::new(),
            declared: Some(HashSet::new()),
            loaded_in_part: false,
            refusals: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// What one turn made known of manifests.
#[derive(Debug, Default)]
pub struct LoadReport {
    /// What was refused.
    pub refusals: Vec<Refusal>,
    /// What was carried out otherwise than it should be.
    pub warnings: Vec<(ObjectKey, String)>,
    /// Which versions were applied.
    pub applied: Vec<LastApplied>,
}

impl ManifestController {
    /// Puts back the versions that an earlier run applied last, once all of its objects are back.
    pub fn restore(&mut self, versions: impl IntoIterator<Item = (ObjectKey, Arc<str>)>, context: &Context) {
        for (key, written) in versions {
            let exists = context.cluster.get(&key).is_some();
            self.last_applied.restore(key, written, exists);
        }
    }

    /// All manifests have been read once.
    pub fn on_loaded(&mut self, context: &mut Context) {
        self.withdraw_undeclared(context);
        self.declared = None;
    }

    /// Manifests have been read, but for some that could not be.
    pub fn on_loaded_in_part(&mut self) {
        self.loaded_in_part = true;
    }

    /// Whether what no manifest declares is known not to exist.
    pub fn is_loaded(&self) -> bool {
        self.loaded_in_part || self.declared.is_none()
    }

    /// An object went.
    pub fn on_gone(&mut self, key: &ObjectKey, context: &Context) {
        // Another may have its name by now.
        if context.cluster.get(key).is_none() {
            self.last_applied.forget(key);
        }
    }

    /// What there is to report since the last call.
    pub fn take_report(&mut self) -> LoadReport {
        LoadReport {
            refusals: std::mem::take(&mut self.refusals),
            warnings: std::mem::take(&mut self.warnings),
            applied: self.last_applied.take_changed(),
        }
    }
}
