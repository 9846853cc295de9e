//! Work that is tried again until it is done: with growing pauses, looks at containers, and removals.

use super::{
    Command, CommandError,
    turn::{InFlight, Monotonic, PodTurn, limits},
};
use crate::engine::sandbox::{ContainerId, EngineError};
use std::time::Duration;

/// Pauses that double from one failure to the next.
#[derive(Debug, Clone, Default)]
pub struct Retry {
    failures: u32,
    /// When it may be tried again.
    pub next: Monotonic,
}

impl Retry {
    /// It failed: the next pause begins, the first of them `first` and none longer than `longest`.
    pub fn failed(&mut self, at: Monotonic, first: Duration, longest: Duration) {
        self.next = at + first.saturating_mul(1 << self.failures.min(20)).min(longest);
        self.failures = self.failures.saturating_add(1);
    }

    /// It may be tried at once, and the next pause is a short one.
    pub fn reset(&mut self) {
        *self = Retry::default();
    }
}

/// The shortest and longest pause between tries of what the engine or the file system did not do.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether an error says that something does not exist.
pub fn is_not_found(error: &CommandError) -> bool {
    matches!(error, CommandError::Engine(EngineError::NotFound(_)))
}

/// Whether an error leaves open what was done.
pub fn is_about_the_engine(error: &CommandError) -> bool {
    matches!(error, CommandError::Engine(error) if error.is_about_the_engine())
}

/// An error in the engine's or the file system's words.
pub fn words(error: &CommandError) -> String {
    match error {
        CommandError::Engine(error) => error.to_string(),
        CommandError::Files(error) => error.clone(),
    }
}

/// When a container or sandbox is looked at next.
#[derive(Debug, Clone, Default)]
pub struct Look {
    due: Option<Monotonic>,
    flight: Option<InFlight>,
    retry: Retry,
}

impl Look {
    /// It is looked at by `at`.
    pub fn by(&mut self, at: Monotonic) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Whether a look is due or under way, so that what is known may be out of date.
    pub fn is_pending(&self, at: Monotonic) -> bool {
        self.flight.is_some() || self.due.is_some_and(|due| due <= at)
    }

    /// Looks if it is time.
    pub fn step(&mut self, command: impl FnOnce() -> Command, turn: &mut PodTurn) {
        let Some(due) = self.due.map(|due| due.max(self.retry.next)) else {
            // A lost answer is asked for again.
            if self.flight.is_some() && !turn.awaits(&mut self.flight) {
                self.due = Some(turn.at);
                turn.again = true;
            }
            return;
        };
        if !turn.awaits(&mut self.flight) && turn.is_due(due) {
            self.flight = turn.command(command(), limits::QUICK);
            if self.flight.is_some() {
                self.due = None;
            }
        }
    }

    /// It was looked at.
    pub fn answered(&mut self) {
        self.flight = None;
        self.retry.reset();
    }

    /// It could not be looked at.
    pub fn failed(&mut self, at: Monotonic) {
        self.flight = None;
        self.retry.failed(at, Duration::from_millis(500), Duration::from_secs(30));
        self.by(at);
    }

    /// The engine is gone, and nobody will answer.
    pub fn engine_gone(&mut self) {
        self.flight = None;
        self.due = None;
    }
}

/// Containers and sandboxes that are to go.
#[derive(Debug, Clone, Default)]
pub struct Removals(Vec<Removal>);

#[derive(Debug, Clone)]
struct Removal {
    id: ContainerId,
    attempt: u32,
    flight: Option<InFlight>,
    retry: Retry,
}

impl Removals {
    /// This one is to go, an attempt of that number.
    pub fn add(&mut self, id: ContainerId, attempt: u32) {
        if !self.has(&id) {
            self.0.push(Removal { id, attempt, flight: None, retry: Retry::default() });
        }
    }

    /// Whether nothing is left to be removed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is to go.
    pub fn has(&self, id: &ContainerId) -> bool {
        self.0.iter().any(|removal| removal.id == *id)
    }

    /// Whether one of this attempt is still to go: its name is taken until then.
    pub fn has_attempt(&self, attempt: u32) -> bool {
        self.0.iter().any(|removal| removal.attempt == attempt)
    }

    /// Removes what is not being removed.
    pub fn step(&mut self, uid: &str, turn: &mut PodTurn) {
        for removal in &mut self.0 {
            if !turn.awaits(&mut removal.flight) && turn.is_due(removal.retry.next) {
                let command = Command::Remove { uid: uid.to_owned(), id: removal.id.clone() };
                removal.flight = turn.command(command, limits::SLOW);
            }
        }
    }

    /// What became of a removal; whether it was one of these.
    pub fn answered(&mut self, id: &ContainerId, result: &Result<(), CommandError>, at: Monotonic) -> bool {
        let Some(index) = self.0.iter().position(|removal| removal.id == *id) else { return false };
        match result {
            Err(error) if !is_not_found(error) => {
                if let Some(removal) = self.0.get_mut(index) {
                    removal.flight = None;
                    removal.retry.failed(at, FIRST_PAUSE, LONGEST_PAUSE);
                }
            }
            _ => drop(self.0.remove(index)),
        }
        true
    }

    /// The engine is gone, and nobody will answer.
    pub fn engine_gone(&mut self) {
        self.0.iter_mut().for_each(|removal| removal.flight = None);
    }
}
