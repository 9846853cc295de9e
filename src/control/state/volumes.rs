//! Volumes as directories: what the cluster's changes mean for them, so that anyone can see that data follows the claim
//! and not the pod.
//!
//! Every PersistentVolume, whatever it is declared to be (provisioned, hostPath, local, nfs), has a directory
//! `volumes/NAME` in the state directory, and nothing outside of it is ever touched, unless the settings name a
//! [`HostRoot`]: then a hostPath or local volume whose `path` is at or below that root is that very directory. Each
//! simulated start of a pod's containers appends one line, the pod's name, to the file [`STARTS`] on each volume that
//! the pod's claims are bound to. Where pods are real containers, which mount these directories, the line goes to a file
//! of the volume's name in the directory [`RECORDS`] beside them.
//!
//! | what happens to the volume                           | what becomes of its directory         |
//! |------------------------------------------------------|---------------------------------------|
//! | it comes into being                                  | made, unless there is one: then taken |
//! | reclaimed under the policy `Delete`                  | removed with everything in it         |
//! | reclaimed under the policy `Recycle`                 | emptied                               |
//! | `Retain`, or removed though no claim ever had it     | kept                                  |
//!
//! A declared directory is made only if its type lets it be, emptied like any other, and never removed: upstream's
//! deleter of hostPath volumes leaves everything but `/tmp` alone as well.
//!
//! [`Tracker`] is pure: changes in, [`DirectoryPlan`] out. [`Volumes`] carries a plan out.
//!
//! # Crashes
//!
//! What adds (a directory, a line) is done before the cluster's change is on disk, what destroys after it. A start
//! whose line is there but whose change is not comes again after a crash, as the pod does: every start has its line.
//! What is to be destroyed is written down in the same transaction as its reason ([`DirectoryPlan::wiping`]) and made
//! up for at the next start. Lines are not forced to the disk one by one: they survive the end of this program in any
//! way, the last ones not a power failure.

mod disk;
mod host;
#[cfg(unix)]
pub(super) mod opened;
#[cfg(not(unix))]
#[path = "volumes/named.rs"]
mod opened;
mod paths;
mod tracker;

pub use disk::{VolumeError, Volumes};
pub use host::{Fallback, HostRoot};
pub use paths::VolumePaths;
pub use tracker::Tracker;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The directory of all volumes, in the state directory.
pub const DIRECTORY: &str = "volumes";
/// The file on each volume that pods' starts are written to.
pub const STARTS: &str = "starts";

/// The directory of the records of starts, in the state directory, where containers mount the volumes: a file for each
/// volume.
pub const RECORDS: &str = "starts";

/// Runs of equal lines that wait for one volume. Beyond that, a line joins an earlier run of its pod and only their
/// order is lost.
const WAITING_RUNS_MAX: usize = 1024;

/// One piece of work on a volume's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeWork {
    /// Make the directory, unless it is there.
    Make,
    /// Append a line to [`STARTS`].
    Append {
        /// The line, without its end.
        line: String,
        /// How often.
        times: u32,
    },
    /// Remove everything in the directory.
    Empty,
    /// Remove the directory and everything in it.
    Remove,
}

impl VolumeWork {
    /// Whether it destroys what was there, and with it whatever was done before.
    fn wipes(&self) -> bool {
        matches!(self, VolumeWork::Empty | VolumeWork::Remove)
    }
}

/// Where a volume's directory is. Written as `NAME`, `NAME:create:PATH` or `NAME:existing:PATH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct VolumeDirectory {
    volume: String,
    declared: Option<DeclaredPath>,
}

/// A path of a volume's specification that was below the root when it was declared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct DeclaredPath {
    path: String,
    /// Whether the directory may be made.
    make: bool,
}

impl VolumeDirectory {
    /// The same volume at a declared path.
    fn at(self, path: &str, make: bool) -> VolumeDirectory {
        VolumeDirectory { declared: Some(DeclaredPath { path: path.to_owned(), make }), ..self }
    }

    /// The volume's name.
    pub fn volume(&self) -> &str {
        &self.volume
    }
}

/// The volume's own directory, in the state directory.
impl From<&str> for VolumeDirectory {
    fn from(volume: &str) -> VolumeDirectory {
        VolumeDirectory { volume: volume.to_owned(), declared: None }
    }
}

impl From<&VolumeDirectory> for VolumeDirectory {
    fn from(place: &VolumeDirectory) -> VolumeDirectory {
        place.clone()
    }
}

impl From<String> for VolumeDirectory {
    fn from(text: String) -> VolumeDirectory {
        let declared = text.split_once(':').and_then(|(volume, rest)| Some((volume, rest.split_once(':')?)));
        match declared {
            Some((volume, ("create", path))) => VolumeDirectory::from(volume).at(path, true),
            Some((volume, ("existing", path))) => VolumeDirectory::from(volume).at(path, false),
            // No name of a volume has a colon; any other text is no directory's name and will be told of.
            _ => VolumeDirectory { volume: text, declared: None },
        }
    }
}

impl From<VolumeDirectory> for String {
    fn from(place: VolumeDirectory) -> String {
        let VolumeDirectory { volume, declared } = place;
        match declared {
            None => volume,
            Some(DeclaredPath { path, make }) => {
                format!("{volume}:{}:{path}", if make { "create" } else { "existing" })
            }
        }
    }
}

/// Work to be done, by directory; for each in order. What a later piece would undo is left out, so a plan is bounded by
/// the number of volumes and of the pods that use each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DirectoryPlan(BTreeMap<VolumeDirectory, Vec<VolumeWork>>);

impl DirectoryPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many directories are concerned.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The names of their volumes, in order.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(VolumeDirectory::volume)
    }

    /// The work on one directory; a name alone is the volume's own.
    pub fn of(&self, place: impl Into<VolumeDirectory>) -> &[VolumeWork] {
        self.0.get(&place.into()).map_or(&[], Vec::as_slice)
    }

    /// One more piece, after all others on that directory.
    pub fn add(&mut self, place: impl Into<VolumeDirectory>, work: VolumeWork) {
        let works = self.0.entry(place.into()).or_default();
        match work {
            VolumeWork::Empty | VolumeWork::Remove => *works = vec![work],
            VolumeWork::Make if works.contains(&VolumeWork::Make) => {}
            VolumeWork::Make => works.push(work),
            VolumeWork::Append { line, times } => {
                let full = works.len() > WAITING_RUNS_MAX;
                let same =
                    |work: &&mut VolumeWork| matches!(work, VolumeWork::Append { line: other, .. } if *other == line);
                let run = if full { works.iter_mut().rfind(same) } else { works.last_mut().filter(same) };
                match run {
                    Some(VolumeWork::Append { times: before, .. }) => *before = before.saturating_add(times),
                    _ => works.push(VolumeWork::Append { line, times }),
                }
            }
        }
    }

    /// Another plan after this one.
    pub fn extend(&mut self, later: DirectoryPlan) {
        for (place, works) in later.0 {
            for work in works {
                self.add(&place, work);
            }
        }
    }

    /// Parts the work: what adds, and, for each directory, what comes from the first piece on that destroys.
    pub fn split(self) -> (DirectoryPlan, DirectoryPlan) {
        let (wiping, adding) = self.0.into_iter().partition(|(_, works)| works.iter().any(VolumeWork::wipes));
        // `add` keeps nothing in front of a piece that destroys.
        (DirectoryPlan(adding), DirectoryPlan(wiping))
    }

    /// The work on directories of which something is to be destroyed. Doing it twice comes to the same.
    pub fn wiping(&self) -> DirectoryPlan {
        self.clone().split().1
    }
}

#[cfg(test)]
mod tests;
