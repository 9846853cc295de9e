//! The pod's own files: written before its sandbox is made, again when what they are made from changes, removed at its end.

use super::PodMachine;
use crate::control::runtime::containers::{
    Command, CommandError,
    retry::{FIRST_PAUSE, LONGEST_PAUSE, Retry, words},
    spec::{self, PodFiles},
    turn::{InFlight, Monotonic, PodTurn, limits},
};
use std::time::Duration;

/// How often the removal of files is tried before the pod is told to have stopped all the same.
const REMOVALS_MAX: u32 = 5;

/// What is known of the pod's files.
#[derive(Debug, Default)]
pub(super) struct FilesOnDisk {
    /// As they were written last.
    written: Option<PodFiles>,
    /// As they are being written.
    writing: Option<(PodFiles, InFlight)>,
    /// What they are made from may have changed.
    stale: bool,
    removing: Option<InFlight>,
    removals: u32,
    pub removed: bool,
    retry: Retry,
}

impl FilesOnDisk {
    /// What they are made from has changed.
    pub fn refresh(&mut self) {
        self.stale = true;
        self.retry.next = Monotonic::ZERO;
    }

    /// Commands that were not carried out are given again.
    pub fn engine_gone(&mut self) {
        if self.writing.take().is_some() {
            self.stale = true;
        }
        self.removing = None;
    }
}

impl FilesOnDisk {
    /// Whether they were written once.
    pub fn are_there(&self) -> bool {
        self.written.is_some()
    }
}

impl PodMachine {
    /// Writes the files if they are not what they must be; whether the pod has them, if perhaps not the newest.
    pub(super) fn ensure_files(&mut self, turn: &mut PodTurn) -> bool {
        if let Some((_, flight)) = &self.files.writing {
            if turn.awaits(&mut Some(*flight)) {
                return self.files.written.is_some() && !self.files.stale;
            }
            (self.files.writing, self.files.stale) = (None, true);
        }
        if self.files.written.is_some() && !self.files.stale {
            return true;
        }
        if !turn.is_due(self.files.retry.next) {
            return false;
        }
        match spec::files(&self.pod, &self.addresses, &self.referenced, turn.facts) {
            Err(error) => self.mount_failed(error.message, turn),
            Ok(files) if self.files.written.as_ref() == Some(&files) => {
                self.files.stale = false;
                return true;
            }
            Ok(files) => {
                let command = Command::WriteFiles { uid: self.identity.uid.clone(), files: Box::new(files.clone()) };
                if let Some(flight) = turn.command(command, limits::SLOW) {
                    for (reason, message) in &files.warnings {
                        turn.event(true, reason, message.clone());
                    }
                    (self.files.writing, self.files.stale) = (Some((files, flight)), false);
                }
            }
        }
        false
    }

    fn mount_failed(&mut self, message: String, turn: &mut PodTurn) {
        turn.event(true, "FailedMount", message);
        self.files.retry.failed(turn.at, Duration::from_millis(500), Duration::from_secs(122));
        turn.wake(self.files.retry.next);
    }

    /// Result of `WriteFiles`.
    pub fn files_written(&mut self, result: Result<(), CommandError>, turn: &mut PodTurn) {
        let Some((files, _)) = self.files.writing.take() else { return };
        match result {
            Ok(()) => {
                self.files.written = Some(files);
                self.files.retry.reset();
            }
            Err(error) => {
                self.files.stale = true;
                self.mount_failed(words(&error), turn);
            }
        }
    }

    /// Removes the files; whether they are gone, or cannot be removed.
    pub(super) fn remove_files(&mut self, turn: &mut PodTurn) -> bool {
        if self.files.removed || self.files.removals >= REMOVALS_MAX {
            return true;
        }
        // A late write would make them again.
        if let Some((_, flight)) = &self.files.writing
            && turn.awaits(&mut Some(*flight))
        {
            return false;
        }
        if !turn.awaits(&mut self.files.removing) && turn.is_due(self.files.retry.next) {
            let command = Command::RemoveFiles { uid: self.identity.uid.clone() };
            self.files.removing = turn.command(command, limits::SLOW);
        }
        false
    }

    /// Result of `RemoveFiles`.
    pub fn files_removed(&mut self, result: Result<(), CommandError>, turn: &mut PodTurn) {
        if self.files.removing.take().is_none() {
            return;
        }
        match result {
            Ok(()) => self.files.removed = true,
            Err(error) => {
                self.files.removals = self.files.removals.saturating_add(1);
                self.files.retry.failed(turn.at, FIRST_PAUSE, LONGEST_PAUSE);
                turn.event(true, "FailedKillPod", format!("error removing the pod's files: {}", words(&error)));
            }
        }
        turn.again = true;
    }
}
