//! Waiting for a Service to have so many addresses in DNS: a long poll for gangs that start together.

use super::{ObservedServer, text};
use crate::{
    control::records::{name_schema, reverse_name},
    dns::{name::Name, wire::rdata::RecordType, zone::Snapshot},
    text::{duration::parse_duration, escape::visible},
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// How long is waited where nothing is said.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// Longest wait; who wants more asks again.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitParameters {
    /// `namespace/name`, or a name in `default`.
    service: String,
    ready: Option<usize>,
    timeout: Option<String>,
}

/// What is there.
#[derive(Debug, Serialize, PartialEq)]
struct WaitState {
    /// `namespace/name`.
    service: String,
    /// How many addresses are waited for.
    wanted: usize,
    /// How many the Service's name has; of two families, of the one that has more.
    ready: usize,
    addresses: Vec<IpAddr>,
    /// Names of pods, as far as reverse zones are served.
    names: Vec<String>,
    /// The serial of the zone, and how many changes were published.
    serial: u32,
    generation: u64,
}

pub(super) async fn wait(
    State(observed): State<Arc<ObservedServer>>,
    asked: Result<Query<WaitParameters>, QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(rejection) => return text(StatusCode::BAD_REQUEST, rejection.body_text()),
    };
    let waiting = match WaitCondition::new(&asked, &observed.cluster_domain) {
        Ok(waiting) => waiting,
        Err(problem) => return text(StatusCode::BAD_REQUEST, problem),
    };
    let Ok(_place) = observed.waiting.try_acquire() else {
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many wait already (limits.httpConnections); ask again later",
        );
    };
    let end = Instant::now() + waiting.timeout;
    let mut published = observed.published.clone();
    loop {
        // Before the look: what is published during it is looked at next.
        published.borrow_and_update();
        {
            let snapshot = observed.reader.load();
            if snapshot.is_synced() && waiting.is_over(&snapshot) {
                return Json(waiting.found(&snapshot)).into_response();
            }
            if waiting.is_hopeless(&snapshot) {
                return text(
                    StatusCode::CONFLICT,
                    format!(
                        "Service {} has a ClusterIP, and its name has that address only: wait for ready=1, or make it \
                         headless (clusterIP: None)",
                        waiting.service
                    ),
                );
            }
        }
        tokio::select! {
            changed = published.changed() => if changed.is_err() {
                return text(StatusCode::SERVICE_UNAVAILABLE, "the server is about to end");
            },
            () = observed.readiness.ended() => {
                return text(StatusCode::SERVICE_UNAVAILABLE, "the server is about to end");
            }
            () = sleep_until(end) => {
                return (StatusCode::REQUEST_TIMEOUT, Json(waiting.found(&observed.reader.load()))).into_response();
            }
        }
    }
}

/// What is waited for.
struct WaitCondition {
    service: String,
    /// The Service's name in DNS.
    base: Name,
    wanted: usize,
    timeout: Duration,
}

impl WaitCondition {
    fn new(asked: &WaitParameters, cluster_domain: &Name) -> Result<WaitCondition, String> {
        let (namespace, name) = asked.service.split_once('/').unwrap_or(("default", &asked.service));
        let base = name_schema::service_name(cluster_domain, namespace, name);
        let base = base.ok_or_else(|| {
            format!("service: `{}` is no name of a Service; write namespace/name", visible(&asked.service))
        })?;
        let timeout = asked.timeout.as_deref().map_or(Ok(WAIT_DEFAULT), parse_duration);
        let timeout = timeout.map_err(|problem| format!("timeout: {problem}"))?;
        if timeout > WAIT_MAX {
            return Err(format!("timeout: at most {} s; ask again after that", WAIT_MAX.as_secs()));
        }
        Ok(WaitCondition { service: format!("{namespace}/{name}"), base, wanted: asked.ready.unwrap_or(1), timeout })
    }

    fn ready(&self, snapshot: &Snapshot) -> usize {
        let count = |rtype| snapshot.lookup(&self.base, rtype).map_or(0, |set| set.len());
        count(RecordType::A).max(count(RecordType::AAAA))
    }

    fn is_over(&self, snapshot: &Snapshot) -> bool {
        self.ready(snapshot) >= self.wanted
    }

    /// Whether the name has a ClusterIP, whose number never changes, and more is wanted.
    fn is_hopeless(&self, snapshot: &Snapshot) -> bool {
        let ready = self.ready(snapshot);
        ready == 1 && self.wanted > 1 && {
            let addresses = self.addresses(snapshot);
            addresses.iter().flat_map(|&address| names(snapshot, address)).any(|name| name == self.base)
        }
    }

    fn addresses(&self, snapshot: &Snapshot) -> Vec<IpAddr> {
        let set = |rtype| snapshot.lookup(&self.base, rtype).into_iter().flat_map(|set| set.rdata());
        let four = set(RecordType::A).filter_map(|octets| <[u8; 4]>::try_from(octets).ok());
        let six = set(RecordType::AAAA).filter_map(|octets| <[u8; 16]>::try_from(octets).ok());
        four.map(|octets| Ipv4Addr::from(octets).into())
            .chain(six.map(|octets| Ipv6Addr::from(octets).into()))
            .collect()
    }

    fn found(&self, snapshot: &Snapshot) -> WaitState {
        let addresses = self.addresses(snapshot);
        let mut names: Vec<Name> = addresses
            .iter()
            .flat_map(|&address| names(snapshot, address))
            .filter(|name| name.is_within(&self.base))
            .collect();
        names.sort_unstable();
        names.dedup();
        WaitState {
            service: self.service.clone(),
            wanted: self.wanted,
            ready: self.ready(snapshot),
            addresses,
            names: names.iter().map(|name| name.to_string().trim_end_matches('.').to_owned()).collect(),
            serial: snapshot.zone_of(self.base.as_wire()).map_or(0, |zone| zone.serial()),
            generation: snapshot.generation(),
        }
    }
}

/// The names that an address points back to.
fn names(snapshot: &Snapshot, address: IpAddr) -> Vec<Name> {
    let pointers = snapshot.lookup(&reverse_name(address), RecordType::PTR);
    pointers.into_iter().flat_map(|set| set.rdata()).filter_map(|octets| Name::from_wire(octets).ok()).collect()
}
