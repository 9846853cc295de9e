//! Whether the engine answers, and how it is found again: told once when it stops to, tried again after 0.1 s, doubling
//! up to 5 s, and told when it answers.

use super::{Shared, lister::Lister, prepare::PreparedEngine};
use crate::{
    control::runtime::containers::Observation,
    engine::sandbox::{Engine, EngineError, EngineEvent, EngineInfo},
    program::app::messages::{ControlRequest, EngineState},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{Notify, mpsc, watch};

/// The first pause before an engine that does not answer is asked again.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Hints that wait; what comes beyond is found by the next list.
const HINTS_MAX: usize = 256;
/// By how much the engine's clock may differ from ours without a word.
const CLOCK_DIFFERENCE_MAX: SignedDuration = SignedDuration::from_secs(2);

/// Whether the engine answers, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not been asked yet.
    Unknown,
    /// It answered. Each time that it comes back has a number of its own.
    There(u64),
    /// It does not.
    Gone,
}

/// The connection to the engine.
#[derive(Debug)]
pub(super) struct Connection {
    state: watch::Sender<State>,
    /// Why it was given up.
    reason: Mutex<Option<EngineError>>,
    lost: Notify,
}

/// When a command was begun: what it hears of the engine holds for that time only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Era(u64);

impl Connection {
    pub(super) fn new(is_there: bool) -> Connection {
        let state = if is_there { State::There(0) } else { State::Unknown };
        Connection { state: watch::Sender::new(state), reason: Mutex::new(None), lost: Notify::new() }
    }

    /// Waits until it is known whether the engine answers; `None` if it does not.
    pub(super) async fn ready(&self) -> Option<Era> {
        let mut state = self.state.subscribe();
        // The sender is held by `self`.
        let known = state.wait_for(|state| *state != State::Unknown).await.ok()?;
        match *known {
            State::There(era) => Some(Era(era)),
            _ => None,
        }
    }

    /// A call of this era failed for the engine as a whole.
    pub(super) fn fail(&self, era: Era, error: EngineError) {
        let is_news = self.state.send_if_modified(|state| {
            let is_news = *state == State::There(era.0);
            if is_news {
                *state = State::Gone;
            }
            is_news
        });
        if is_news {
            *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            self.lost.notify_one();
        }
    }
}

/// Keeps the connection: makes network and sandbox image whenever the engine is there anew, tells when it goes and comes,
/// and listens to what happens on it.
pub(super) async fn keep<E: Engine>(shared: Arc<Shared<E>>, lister: Arc<Lister>, mut prepared: PreparedEngine<E>) {
    let mut is_told_gone = false;
    let mut era = 0;
    let mut is_there = prepared.is_connected();
    loop {
        if !is_there {
            let mut pause = PAUSE_MIN;
            loop {
                match prepared.connect().await {
                    Ok(()) => break,
                    Err(error) => {
                        let first = !std::mem::replace(&mut is_told_gone, true);
                        if first {
                            tell_gone(&shared, &error);
                        } else {
                            tracing::debug!(%error, "engine");
                        }
                        shared.connection.state.send_replace(State::Gone);
                    }
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            era += 1;
        }
        shared.bridge_changes.store(prepared.is_podman(), Ordering::Relaxed);
        tell_there(&shared, &prepared);
        if std::mem::take(&mut is_told_gone) {
            tracing::info!(engine = %prepared.name(), "the container engine answers again");
            shared.observe(Observation::EngineBack);
        }
        shared.connection.state.send_replace(State::There(era));
        lister.list_now();
        let watching = watch_events(&shared, &lister);
        let learning = learn(&shared, &mut prepared);
        tokio::select! {
            () = shared.connection.lost.notified() => {}
            _ = async { tokio::join!(watching, learning) } => {}
        }
        let reason = shared.connection.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = reason {
            is_told_gone = true;
            tell_gone(&shared, &error);
        }
        is_there = false;
    }
}

fn tell_there<E: Engine>(shared: &Shared<E>, prepared: &PreparedEngine<E>) {
    let described = EngineState::There(Box::new(prepared.facts.clone()), Box::new(prepared.description()));
    let _ = shared.observations.send(ControlRequest::Engine(described));
}

/// Asks the engine what it is and has until it says so, and tells it. Nothing waits for that.
async fn learn<E: Engine>(shared: &Shared<E>, prepared: &mut PreparedEngine<E>) {
    loop {
        match prepared.learn().await {
            Ok(info) => {
                compare_clocks(info);
                return tell_there(shared, prepared);
            }
            Err(error) => tracing::debug!(%error, "the engine did not describe itself"),
        }
        tokio::time::sleep(PAUSE_MAX).await;
    }
}

fn tell_gone<E: Engine>(shared: &Shared<E>, error: &EngineError) {
    tracing::error!(
        %error,
        "the container engine does not answer; pods and their names stay as they are, and it is asked again every few seconds"
    );
    let _ = shared.observations.send(ControlRequest::Engine(EngineState::Gone(error.to_string())));
    shared.observe(Observation::EngineGone(error.to_string()));
}

/// Passes hints on. Ends only when the engine is lost: a stream that ends by itself is begun again.
async fn watch_events<E: Engine>(shared: &Arc<Shared<E>>, lister: &Arc<Lister>) {
    let mut pause = PAUSE_MIN;
    loop {
        let (hints, mut hinted) = mpsc::channel::<EngineEvent>(HINTS_MAX);
        let since = Timestamp::now().checked_sub(SignedDuration::from_secs(1)).ok();
        let passing = async {
            while let Some(event) = hinted.recv().await {
                lister.hint(&event.id);
                shared.observe(Observation::Hint { id: event.id });
            }
        };
        let (ended, ()) = tokio::join!(shared.engine.watch(&shared.instance, since, hints), passing);
        match ended {
            Ok(()) => pause = PAUSE_MIN,
            Err(error) => {
                tracing::debug!(%error, "the stream of the engine's events ended");
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
        // What happened meanwhile; if the engine is gone, the list says so.
        lister.list_now();
        tokio::time::sleep(pause).await;
    }
}

fn compare_clocks(info: &EngineInfo) {
    let Some(difference) = info.time.map(|time| time.duration_since(Timestamp::now())) else { return };
    if difference.abs() > CLOCK_DIFFERENCE_MAX {
        tracing::warn!(
            difference = %format_args!("{difference:#}"),
            "the container engine's clock differs from this machine's: times of containers follow the engine's"
        );
    }
}
