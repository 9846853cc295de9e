//! Watching: what is there, then each change, until the client or the time ends it.

mod stored;

use super::{
    Api,
    budget::Share,
    derived::Derived,
    filter::ObjectFilter,
    json_cache::JsonCache,
    log::{Capacity, ChangeLog},
    outlet::{Gone, Outlet},
    path::ResourcePath,
    query::RequestParameters,
    read::{holding, not_newer, page},
    representation::Representation,
    resource::ObjectSource,
    status::StatusFailure,
    stream,
    watch_source::{WatchObject, WatchSource},
};
use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use stored::{Nothing, StoreSource};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};

/// How often a bookmark is sent to who allows them, so that a quiet watch stays within the log.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// What is taken from the log at a time, and held until the client has taken it.
const AT_A_TIME: Capacity = Capacity { changes: 64, octets: 1 << 20 };
/// How long a watch lasts where the client does not say: between this and twice as long, so that not all end at once.
const WATCH_SECONDS_DEFAULT: u64 = 1800;
/// Longest watch, in seconds.
const WATCH_SECONDS_MAX: u64 = 24 * 3600;

/// The type of the event of an object that has gone, or is selected no longer.
const DELETED: &str = "DELETED";

/// The annotation of the bookmark that ends the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";
/// The one beside it, without which kubectl 1.33 warns and lists.
const LIST_BLUEPRINT: &str = "kubernetes.io/initial-events-list-blueprint";

/// Where a watch begins.
#[derive(Debug)]
enum Start {
    /// With everything that is there, and with true a bookmark after it.
    Everything(bool),
    /// After a version.
    Behind(u64),
}

fn start(api: &Api, query: &RequestParameters) -> Result<Start, StatusFailure> {
    not_newer(api, query)?;
    let matches = query.resource_version_match.as_str();
    match query.initial_events {
        Some(_) if matches != "NotOlderThan" => Err(StatusFailure::unprocessable(
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )),
        None if !matches.is_empty() => Err(StatusFailure::unprocessable(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
             provided",
        )),
        Some(true) => Ok(Start::Everything(query.bookmarks)),
        Some(false) => Ok(Start::Behind(query.resource_version.unwrap_or_else(|| api.handle.log().newest()))),
        None => match query.resource_version {
            None | Some(0) => Ok(Start::Everything(false)),
            Some(version) => Ok(Start::Behind(version)),
        },
    }
}

/// `GET …?watch=true`.
pub async fn watch(
    api: &Api,
    place: &ResourcePath,
    query: &RequestParameters,
    shape: Representation,
) -> Result<Response, StatusFailure> {
    let start = start(api, query)?;
    let permit = Arc::clone(&api.watches).try_acquire_owned();
    let permit = permit.map_err(|_| {
        api.refused_watches.fetch_add(1, Ordering::Relaxed);
        StatusFailure::too_many("too many watches are open already (limits.apiConnections), please try again later")
    })?;
    let lasts = query
        .timeout
        .unwrap_or_else(|| Duration::from_secs(WATCH_SECONDS_DEFAULT + fastrand::u64(..WATCH_SECONDS_DEFAULT)));
    let (parts, body) = stream::channel();
    let outlet = api.outlet(parts);
    let watcher = Watcher {
        _permit: permit,
        log: Arc::clone(api.handle.log()),
        overtaken: Arc::clone(&api.overtaken_watches),
        stopped: api.stopped.clone(),
        sink: Sink { outlet, shape, texts: Arc::clone(&api.texts), first: true },
        initial: None,
        version: 0,
        is_following: false,
        marked: matches!(start, Start::Everything(true)),
        bookmarks: query.bookmarks,
        ends: Instant::now() + lasts.min(Duration::from_secs(WATCH_SECONDS_MAX)),
    };
    match place.resource.source {
        ObjectSource::Stored(kind) => {
            let selection = ObjectFilter::new(place, query, kind)?;
            let (objects, version) = match start {
                Start::Behind(version) => (Vec::new(), version),
                Start::Everything(_) => {
                    let page = page(api, &selection, None, None).await?;
                    (page.objects, page.resource_version)
                }
            };
            let initial = Some(holding(api, objects.len())?);
            tokio::spawn(Watcher { version, initial, ..watcher }.run(StoreSource { initial: objects, selection }));
        }
        ObjectSource::Endpoints => {
            let after = match start {
                Start::Behind(version) => Some(version),
                Start::Everything(_) => None,
            };
            let (derived, version) = Derived::begin(api, place, query, after).await?;
            tokio::spawn(Watcher { version, ..watcher }.run(derived));
        }
        ObjectSource::Nothing | ObjectSource::Review => {
            let version = api.handle.log().newest();
            tokio::spawn(Watcher { version, ..watcher }.run(Nothing));
        }
    }
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache, private")], body)
        .into_response())
}

/// One watch.
#[derive(Debug)]
struct Watcher {
    _permit: OwnedSemaphorePermit,
    log: Arc<ChangeLog>,
    /// Watches that fell behind the log, to be counted.
    overtaken: Arc<AtomicU64>,
    stopped: watch::Receiver<bool>,
    sink: Sink,
    /// What the objects take that it begins with, until they are sent.
    initial: Option<Share>,
    /// Up to here the client knows everything.
    version: u64,
    /// Whether it was up to date once.
    is_following: bool,
    /// Whether a bookmark marks the end of the initial objects.
    marked: bool,
    bookmarks: bool,
    ends: Instant,
}

impl Watcher {
    async fn run(mut self, mut watched: impl WatchSource) {
        // A stream that ends is all that either side has to know of it.
        let _ = self.tell(&mut watched).await;
    }

    async fn tell(&mut self, watched: &mut impl WatchSource) -> Result<(), Gone> {
        let mut bell = self.log.bell();
        let mut bookmarks = interval_at(Instant::now() + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL);
        bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.sink.outlet.begin(self.version);
        for object in watched.initial() {
            self.sink.add("ADDED", object).await?;
        }
        self.initial = None;
        self.sink.outlet.end();
        if self.marked {
            let blueprint = self.sink.shape.blueprint();
            let annotations = json!({INITIAL_EVENTS_END: "true", LIST_BLUEPRINT: blueprint});
            self.sink.bookmark(self.version, Some(annotations)).await?;
        }
        loop {
            // Before the look: what comes during it rings again.
            bell.borrow_and_update();
            if !self.catch_up(watched).await? {
                return Ok(());
            }
            self.sink.outlet.flush().await?;
            self.is_following = true;
            tokio::select! {
                rung = bell.changed() => if rung.is_err() { return Ok(()) },
                _ = bookmarks.tick(), if self.bookmarks => self.sink.bookmark(self.version, None).await?,
                () = sleep_until(self.ends) => return Ok(()),
                () = self.sink.outlet.closed() => return Err(Gone),
                () = stopped(&mut self.stopped) => return Ok(()),
            }
        }
    }

    /// Sends everything that the log has; false where that is the end.
    async fn catch_up(&mut self, watched: &mut impl WatchSource) -> Result<bool, Gone> {
        loop {
            let Ok(read) = self.log.after(self.version, AT_A_TIME, |change| watched.concerns(change)) else {
                let message = format!("too old resource version: {} ({})", self.version, self.log.newest());
                if self.is_following {
                    self.overtaken.fetch_add(1, Ordering::Relaxed);
                }
                self.sink.tell("ERROR", &StatusFailure::expired(message).to_json().to_string()).await?;
                self.sink.outlet.flush().await?;
                return Ok(false);
            };
            if !read.changes.is_empty() {
                // Before and after each change.
                let _held = self.sink.outlet.room_of(usize::try_from(2 * read.octets).unwrap_or(usize::MAX)).await?;
                let Some(events) = watched.events(&read.changes).await else { return Ok(false) };
                for (kind, object) in events {
                    self.sink.add(kind, object).await?;
                }
            }
            self.version = read.upto;
            if read.is_all {
                return Ok(true);
            }
        }
    }
}

/// Where events go.
#[derive(Debug)]
struct Sink {
    outlet: Outlet,
    shape: Representation,
    texts: Arc<JsonCache>,
    /// Whether nothing was sent yet.
    first: bool,
}

impl Sink {
    async fn add(&mut self, kind: &str, object: WatchObject) -> Result<(), Gone> {
        let first = std::mem::take(&mut self.first);
        let (texts, shape, is_deletion) = (Arc::clone(&self.texts), self.shape.clone(), kind == DELETED);
        if let WatchObject::Stored(object) = &object
            && let Some(form) = shape.shared()
        {
            let text = self.outlet.room(|| texts.of(object, is_deletion, form)).await?;
            let around = || shape.begin(first, || texts.made(object, is_deletion));
            let (begin, _share) = self.outlet.text(around).await?;
            self.outlet.write(&format!("{{\"type\":\"{kind}\",\"object\":")).await?;
            for part in [&*begin, &**text, shape.end(), "}\n"] {
                self.outlet.write(part).await?;
            }
            return Ok(());
        }
        let made = || match &object {
            WatchObject::Stored(object) => object.to_json(),
            WatchObject::Made(object) => object.clone(),
        };
        let (text, _share) = self.outlet.text(|| shape.event(made(), first).to_string()).await?;
        self.tell(kind, &text).await
    }

    async fn bookmark(&mut self, version: u64, annotations: Option<Value>) -> Result<(), Gone> {
        let object = self.shape.bookmark(version, annotations);
        self.tell("BOOKMARK", &object.to_string()).await
    }

    async fn tell(&mut self, kind: &str, object: &str) -> Result<(), Gone> {
        self.outlet.write(&format!("{{\"type\":\"{kind}\",\"object\":")).await?;
        self.outlet.write(object).await?;
        self.outlet.write("}\n").await
    }
}

/// Returns when the server is about to end.
async fn stopped(stopped: &mut watch::Receiver<bool>) {
    // Also when nobody can say so any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
