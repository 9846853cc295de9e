//! Everything that the engine has of this instance, listed every 5 s and a second after something happened.

use super::{Shared, connection::Era, lister::Lister};
use crate::{
    control::runtime::containers::{ContainerFound, Listing, Observation},
    engine::sandbox::{
        ATTEMPT_LABEL, CONTAINER_NAME_LABEL, ContainerDetails, ContainerState, ContainerSummary, Engine, EngineError,
        POD_UID_LABEL, SANDBOX_CONTAINER_NAME, SPEC_HASH_LABEL,
    },
};
use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

/// Pause between two lists.
const INTERVAL: Duration = Duration::from_secs(5);
/// Pause between a hint and the list: one for all that happens in it, beside nothing that is being started.
const HINT_PAUSE: Duration = Duration::from_secs(1);
/// Shortest pause between two lists that something asked for.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// For how long what is known of a container is taken as it is, if its state is the same and nothing happened to it.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// Containers that are looked at at once.
const INSPECTIONS_MAX: usize = 8;

/// Lists again and again; each list that is complete is told.
pub(super) async fn keep<E: Engine>(shared: Arc<Shared<E>>, lister: Arc<Lister>) {
    loop {
        let hinted = async {
            lister.hinted.notified().await;
            tokio::time::sleep(HINT_PAUSE).await;
        };
        tokio::select! {
            () = lister.wanted.notified() => {}
            () = hinted => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let Some(era) = shared.connection.ready().await else {
            // Whoever finds the engine again asks for a list.
            lister.wanted.notified().await;
            lister.list_now();
            tokio::time::sleep(PAUSE_MIN).await;
            continue;
        };
        list(&shared, &lister, era).await;
        tokio::time::sleep(PAUSE_MIN).await;
    }
}

/// One list; a list that fails for the engine as a whole says that it is gone.
pub(super) async fn list<E: Engine>(shared: &Shared<E>, lister: &Lister, era: Era) {
    let begun = shared.outstanding(|outstanding| outstanding.settled());
    match everything(shared, lister).await {
        Ok(listing) => shared.observe(Observation::Listed { listing, begun }),
        Err(error) if error.is_about_the_engine() => shared.connection.fail(era, error),
        // An incomplete list says nothing.
        Err(error) => tracing::warn!(%error, "the containers could not be listed; it is tried again in a few seconds"),
    }
}

async fn everything<E: Engine>(shared: &Shared<E>, lister: &Lister) -> Result<Listing, EngineError> {
    let summaries = shared.engine.list(&shared.instance).await?;
    let mut containers = Vec::with_capacity(summaries.len());
    let mut unknown = Vec::new();
    let mut known = std::mem::take(&mut *lister.known.lock().unwrap_or_else(PoisonError::into_inner));
    for summary in summaries {
        let fresh = known.remove(&summary.id).filter(|(at, details)| {
            at.elapsed() < KNOWN_FOR
                && details.summary.state == summary.state
                && summary.state != ContainerState::Unknown
        });
        match fresh {
            Some((at, details)) => containers.push((at, details)),
            None => unknown.push(summary.id),
        }
    }
    while !unknown.is_empty() {
        let mut looks = tokio::task::JoinSet::new();
        for id in unknown.drain(..unknown.len().min(INSPECTIONS_MAX)) {
            let engine = Arc::clone(&shared.engine);
            looks.spawn(async move { engine.inspect(&id).await });
        }
        while let Some(look) = looks.join_next().await {
            // A container that is gone by now is left out. A task that was ended gives no complete list.
            let ended = |_| EngineError::Unreachable("the look at a container was given up".to_owned());
            if let Some(details) = look.map_err(ended)?? {
                containers.push((Instant::now(), details));
            }
        }
    }
    let found = containers.iter().filter_map(|(_, details)| found(details)).collect();
    let mut known = lister.known.lock().unwrap_or_else(PoisonError::into_inner);
    known.extend(containers.into_iter().map(|(at, details)| (details.summary.id.clone(), (at, details))));
    Ok(Listing { containers: found })
}

/// Whether a container is the sandbox of its pod.
pub(super) fn is_sandbox(summary: &ContainerSummary) -> bool {
    summary.labels.get(CONTAINER_NAME_LABEL).is_some_and(|name| name == SANDBOX_CONTAINER_NAME)
}

/// A container as its labels say; `None` for one without them, which nobody here made.
fn found(details: &ContainerDetails) -> Option<ContainerFound> {
    let ContainerSummary { labels, .. } = &details.summary;
    Some(ContainerFound {
        uid: labels.get(POD_UID_LABEL)?.clone(),
        container: labels.get(CONTAINER_NAME_LABEL)?.clone(),
        attempt: labels.get(ATTEMPT_LABEL)?.parse().ok()?,
        spec_hash: labels.get(SPEC_HASH_LABEL).cloned().unwrap_or_default(),
        details: details.clone(),
    })
}
