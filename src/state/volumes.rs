//! Volumes as directories: what the cluster's changes mean for them, so that anyone can see that data follows the claim
//! and not the pod.
//!
//! Every PersistentVolume, whatever it is declared to be (provisioned, hostPath, local, nfs), has a directory
//! `volumes/NAME` in the state directory, and nothing outside of it is ever touched: the `path` of a hostPath or local
//! volume is not used. Each simulated start of a pod's containers appends one line, the pod's name, to the file
//! [`STARTS`] on each volume that the pod's claims are bound to.
//!
//! | what happens to the volume                           | what becomes of its directory         |
//! |------------------------------------------------------|---------------------------------------|
//! | it comes into being                                  | made, unless there is one: then taken |
//! | reclaimed under the policy `Delete`                  | removed with everything in it         |
//! | reclaimed under the policy `Recycle`                 | emptied                               |
//! | `Retain`, or removed though no claim ever had it     | kept                                  |
//!
//! [`Tracker`] is pure: changes in, [`Plan`] out. [`Volumes`] carries a plan out.
//!
//! # Crashes
//!
//! What adds (a directory, a line) is done before the cluster's change is on disk, what destroys after it. A start
//! whose line is there but whose change is not comes again after a crash, as the pod does: every start has its line.
//! What is to be destroyed is written down in the same transaction as its reason ([`Plan::wiping`]) and made up for at the next
//! start. Lines are not forced to the disk one by one: they survive the end of this program in any way, the last ones
//! not a power failure.

mod disk;
mod tracker;

pub use disk::{VolumeError, Volumes};
pub use tracker::Tracker;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The directory of all volumes, in the state directory.
pub const DIRECTORY: &str = "volumes";
/// The file on each volume that pods' starts are written to.
pub const STARTS: &str = "starts";

/// Runs of equal lines that wait for one volume. Beyond that, a line joins an earlier run of its pod and only their
/// order is lost.
const RUNS: usize = 1024;

/// One piece of work on a volume's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Work {
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

impl Work {
    /// Whether it destroys what was there, and with it whatever was done before.
    fn wipes(&self) -> bool {
        matches!(self, Work::Empty | Work::Remove)
    }
}

/// Work to be done, by volume; for each in order. What a later piece would undo is left out, so a plan is bounded by
/// the number of volumes and of the pods that use each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plan(BTreeMap<String, Vec<Work>>);

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many volumes are concerned.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Their names, in order.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The work on one volume.
    pub fn of(&self, volume: &str) -> &[Work] {
        self.0.get(volume).map_or(&[], Vec::as_slice)
    }

    /// One more piece, after all others of that volume.
    pub fn add(&mut self, volume: &str, work: Work) {
        let works = match self.0.get_mut(volume) {
            Some(works) => works,
            None => self.0.entry(volume.to_owned()).or_default(),
        };
        match work {
            Work::Empty | Work::Remove => *works = vec![work],
            Work::Make if works.contains(&Work::Make) => {}
            Work::Make => works.push(work),
            Work::Append { line, times } => {
                let full = works.len() > RUNS;
                let same = |work: &&mut Work| matches!(work, Work::Append { line: other, .. } if *other == line);
                let run = if full { works.iter_mut().rfind(same) } else { works.last_mut().filter(same) };
                match run {
                    Some(Work::Append { times: before, .. }) => *before = before.saturating_add(times),
                    _ => works.push(Work::Append { line, times }),
                }
            }
        }
    }

    /// Another plan after this one.
    pub fn extend(&mut self, later: Plan) {
        for (volume, works) in later.0 {
            for work in works {
                self.add(&volume, work);
            }
        }
    }

    /// Parts the work: what adds, and, for each volume, what comes from the first piece on that destroys.
    pub fn split(self) -> (Plan, Plan) {
        let (wiping, adding) = self.0.into_iter().partition(|(_, works)| works.iter().any(Work::wipes));
        // `add` keeps nothing in front of a piece that destroys.
        (Plan(adding), Plan(wiping))
    }

    /// The work on volumes of which something is to be destroyed. Doing it twice comes to the same.
    pub fn wiping(&self) -> Plan {
        self.clone().split().1
    }
}

#[cfg(test)]
mod tests;
