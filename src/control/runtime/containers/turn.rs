//! One turn of a pod's machine: what it knows of the world, and what it wants of it.

use super::{Command, NodeFacts};
use crate::control::runtime::{What, address::AddressPools};
use jiff::Timestamp;
use std::time::Duration;

/// Time since the runtime began; unlike the wall clock's it is never set back.
pub type Monotonic = Duration;

/// How many commands a pod may give within a second, however much goes wrong.
const COMMANDS_A_SECOND: u32 = 20;
/// … and for each of its containers, whose probes may come every second.
const COMMANDS_A_SECOND_OF_A_CONTAINER: u32 = 10;

/// What was commanded and is not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// When the answer counts as lost, by [`PodTurn::attended`].
    until: Monotonic,
}

/// How long the answer to a command may take until it counts as lost. The program's own limits, which end in an answer,
/// are shorter.
pub mod limits {
    use std::time::Duration;

    /// Looking at something, or sending a signal.
    pub const QUICK: Duration = Duration::from_secs(60);
    /// Making, starting and removing.
    pub const SLOW: Duration = Duration::from_secs(180);
    /// Pulling an image. A pull that takes longer is asked for once more, and its answer counts all the same.
    pub const PULL: Duration = Duration::from_secs(900);
    /// A probe or a hook, beyond its own timeout.
    pub const PROBE: Duration = Duration::from_secs(10);
}

/// How many commands a pod gave lately.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommandBudget {
    second: Monotonic,
    given: u32,
}

/// One turn of one pod.
pub struct PodTurn<'a> {
    /// The wall clock, for what statuses say.
    pub now: Timestamp,
    /// The time, for everything else.
    pub at: Monotonic,
    /// The time without pauses of this program and leaps of the clock, in which no answer could come.
    pub attended: Monotonic,
    /// The node.
    pub facts: &'a NodeFacts,
    /// Where addresses come from.
    pub pools: &'a mut AddressPools,
    /// How many commands the driver had taken before this turn.
    pub taken: u64,
    /// What is to be done.
    pub commands: Vec<Command>,
    /// What is to be told.
    pub reports: Vec<What>,
    /// A new list is wanted.
    pub wants_list: bool,
    /// When the pod wants its next turn.
    pub due: Option<Monotonic>,
    /// Something changed that other parts of the machine must look at in this turn.
    pub again: bool,
    /// Addresses that somebody has whom this program does not know.
    pub quarantined: Vec<std::net::IpAddr>,
    /// Addresses were given back: who waits for one may have it.
    pub freed: bool,
    pub budget: CommandBudget,
    pub containers: u32,
}

impl PodTurn<'_> {
    /// Asks for a turn at `at`.
    pub fn wake(&mut self, at: Monotonic) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Whether `at` has come; if not, there is a turn then.
    pub fn is_due(&mut self, at: Monotonic) -> bool {
        if at > self.at {
            self.wake(at);
        }
        at <= self.at
    }

    /// Gives a command whose answer may take `limit`; `None` if the pod gave too many within this second: it has another
    /// turn when the second is over.
    pub fn command(&mut self, command: Command, limit: Duration) -> Option<InFlight> {
        if self.at >= self.budget.second + Duration::from_secs(1) {
            self.budget = CommandBudget { second: self.at, given: 0 };
        }
        if self.budget.given >= COMMANDS_A_SECOND + self.containers * COMMANDS_A_SECOND_OF_A_CONTAINER {
            self.wake(self.budget.second + Duration::from_secs(1));
            return None;
        }
        self.budget.given += 1;
        self.commands.push(command);
        self.wake(self.at + limit);
        Some(InFlight { until: self.attended + limit })
    }

    /// As if something had been commanded whose answer never comes.
    pub fn unanswered(&self) -> InFlight {
        InFlight { until: self.attended }
    }

    /// Whether something is under way: commanded, and its answer not lost. What is lost is forgotten.
    pub fn awaits(&mut self, flight: &mut Option<InFlight>) -> bool {
        match *flight {
            Some(InFlight { until }) if until > self.attended => {
                self.wake(self.at + (until - self.attended));
                true
            }
            _ => {
                *flight = None;
                false
            }
        }
    }

    /// Tells something about the pod.
    pub fn event(&mut self, warning: bool, reason: &str, message: impl Into<String>) {
        let (reason, message) = (reason.to_owned(), message.into());
        self.reports.push(What::Event { reason, message, warning, container: None });
    }
}
