//! How a running container is ended: its preStop hook, the signal that asks it to, the one that does not ask; and what is
//! told of its end.

use super::{
    Command,
    retry::Look,
    turn::{InFlight, Monotonic, PodTurn, limits},
};
use crate::engine::sandbox::{ContainerDetails, ContainerId};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::ContainerStateTerminated, apimachinery::pkg::apis::meta::v1::Time};
use std::time::Duration;

/// What a container has at least between the signal that asks and the one that does not, unless its grace is shorter
/// (upstream's `minimumGracePeriodInSeconds`).
const GRACE_AFTER_HOOK: Duration = Duration::from_secs(2);
/// A signal that was not delivered, or had no effect, is sent again after this.
const SIGNAL_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A container is being ended.
#[derive(Debug, Clone)]
pub struct Kill {
    grace: Duration,
    /// When its grace is over.
    pub grace_end: Monotonic,
    stage: Stage,
    flight: Option<InFlight>,
    /// Not sent before this.
    next_signal: Monotonic,
    /// Whether the signal of this stage was delivered.
    delivered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its hook runs, or it is not its turn.
    Before,
    /// It was asked to end, then.
    Asked(Monotonic),
    /// It is not asked any more.
    Killed,
}

impl Kill {
    /// Begins now.
    pub fn new(grace: Duration, at: Monotonic) -> Kill {
        Kill {
            grace,
            grace_end: at + grace,
            stage: Stage::Before,
            flight: None,
            next_signal: Monotonic::ZERO,
            delivered: false,
        }
    }

    /// Whether the hook may still run, and for how long.
    pub fn hook_time(&self, at: Monotonic) -> Option<Duration> {
        let left = self.grace_end.saturating_sub(at);
        (self.stage == Stage::Before && !left.is_zero()).then_some(left)
    }

    /// The grace ends by `end` at the latest.
    pub fn shorten(&mut self, end: Monotonic, grace: Duration) {
        if end < self.grace_end {
            self.grace_end = end;
            self.grace = self.grace.min(grace);
        }
    }

    /// Sends what is due. `ready`: the hook is over and it is the container's turn.
    pub fn step(
        &mut self,
        ready: bool,
        signal: &str,
        uid: &str,
        id: &ContainerId,
        look: &mut Look,
        turn: &mut PodTurn,
    ) {
        if self.stage == Stage::Before {
            if !ready && !turn.is_due(self.grace_end) {
                return;
            }
            self.stage = if self.grace.is_zero() { Stage::Killed } else { Stage::Asked(turn.at) };
        }
        if let Stage::Asked(asked) = self.stage {
            let end = self.grace_end.max(asked + self.grace.min(GRACE_AFTER_HOOK));
            if turn.is_due(end) {
                (self.stage, self.delivered, self.next_signal) = (Stage::Killed, false, turn.at);
                self.flight = None;
            }
        }
        let asked = matches!(self.stage, Stage::Asked(_));
        if turn.awaits(&mut self.flight) || (asked && self.delivered) || !turn.is_due(self.next_signal) {
            return;
        }
        let signal = if asked { signal } else { "SIGKILL" }.to_owned();
        self.flight = turn.command(Command::Kill { uid: uid.to_owned(), id: id.clone(), signal }, limits::QUICK);
        if self.flight.is_some() {
            self.next_signal = turn.at + SIGNAL_AGAIN_AFTER;
            look.by(turn.at + Duration::from_secs(1));
            turn.wake(self.next_signal);
        }
    }

    /// Whether a signal was delivered. If not, it is sent again, and whoever sent it looks what has become of the container.
    pub fn answered(&mut self, delivered: bool, at: Monotonic) {
        if self.flight.take().is_some() {
            self.delivered = delivered;
            if !delivered {
                self.next_signal = at + Duration::from_secs(1);
            }
        }
    }

    /// The engine is gone, and nobody will answer.
    pub fn engine_gone(&mut self) {
        if self.flight.take().is_some() {
            self.next_signal = Monotonic::ZERO;
        }
    }
}

/// What is told of a container that has ended.
pub fn terminated(
    details: &ContainerDetails,
    message: Option<String>,
    container_id: String,
    now: Timestamp,
) -> ContainerStateTerminated {
    let exit_code = details.exit_code.unwrap_or(137);
    let error = details.error.clone().filter(|error| !error.is_empty());
    let reason = match exit_code {
        0 => "Completed",
        _ if details.oom_killed => "OOMKilled",
        126.. if error.is_some() => "ContainerCannotRun",
        _ => "Error",
    };
    ContainerStateTerminated {
        exit_code,
        reason: Some(reason.to_owned()),
        message: message.filter(|message| !message.is_empty()).or(error),
        started_at: details.started_at.map(Time),
        finished_at: Some(Time(details.finished_at.unwrap_or(now))),
        container_id: Some(container_id),
        ..ContainerStateTerminated::default()
    }
}

/// What is told of a container that could not be started.
pub fn start_failed(message: String, container_id: Option<String>, now: Timestamp) -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: 128,
        reason: Some("StartError".to_owned()),
        message: Some(message),
        started_at: Some(Time(Timestamp::UNIX_EPOCH)),
        finished_at: Some(Time(now)),
        container_id,
        ..ContainerStateTerminated::default()
    }
}

/// What is told of a container that nobody finds any more.
pub fn vanished(container_id: Option<String>, started_at: Option<Timestamp>) -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        started_at: started_at.map(Time),
        container_id,
        ..ContainerStateTerminated::default()
    }
}
