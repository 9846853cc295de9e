//! Sends a list or a watch to one client, which takes it at its own pace.
//!
//! What is sent is put together from texts that are held meanwhile, and from objects that may have been replaced since.
//! A client that holds such things for long is cut off when others need the room.

use super::{
    budget::{Budget, BudgetExhausted, Share},
    log::ChangeLog,
    stream::BodyParts,
};
use crate::web::http::CHUNK_OCTETS;
use axum::body::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// How long a client may take nothing while the budget is exhausted or the log has gone past what it is sent.
const STALL_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 1000 });
/// How long a client may take for what the log has gone past already: the versions of objects that are held for it are
/// then counted nowhere.
const PASSED_BY_LOG_TIMEOUT: Duration = Duration::from_secs(5);
/// How long room for a text is waited for, until those who are blocked have been cut off.
const ROOM_TIMEOUT: Duration = Duration::from_secs(4);
/// How often it is asked for.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The client has gone, or was cut off.
#[derive(Debug)]
pub struct Gone;

/// Where text goes: put together, and sent when the client has room.
#[derive(Debug)]
pub struct Outlet {
    parts: BodyParts,
    buffer: Vec<u8>,
    log: Arc<ChangeLog>,
    budget: Arc<Budget>,
    cut: Arc<AtomicU64>,
    /// The version of the list that is sent now, and since when.
    behind: u64,
    since: Instant,
}

impl Outlet {
    /// An outlet into a body; `cut` counts clients that are cut off.
    pub fn new(parts: BodyParts, log: Arc<ChangeLog>, budget: Arc<Budget>, cut: Arc<AtomicU64>) -> Outlet {
        Outlet { parts, buffer: Vec::new(), log, budget, cut, behind: u64::MAX, since: Instant::now() }
    }

    /// Objects are held for this client from now on, none of them replaced before this version.
    pub fn begin(&mut self, behind: u64) {
        (self.behind, self.since) = (behind, Instant::now());
    }

    /// None of the objects that are held is held without being counted any more.
    pub fn end(&mut self) {
        self.begin(u64::MAX);
    }

    /// Takes text; waits while the client has no room.
    pub async fn write(&mut self, text: &str) -> Result<(), Gone> {
        let mut text = text.as_bytes();
        while self.buffer.len() + text.len() >= CHUNK_OCTETS {
            let (now, later) = text.split_at(CHUNK_OCTETS - self.buffer.len());
            self.buffer.extend_from_slice(now);
            text = later;
            self.flush().await?;
        }
        self.buffer.extend_from_slice(text);
        Ok(())
    }

    /// Sends what was put together.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::take(&mut self.buffer));
        loop {
            if let Ok(place) = timeout(STALL_TIMEOUT, self.parts.sender.reserve()).await {
                place.map_err(|_| Gone)?.send(part);
                return if self.has_gone_past(PASSED_BY_LOG_TIMEOUT) { Err(self.cut_off()) } else { Ok(()) };
            }
            if self.budget.is_pressed() || self.has_gone_past(STALL_TIMEOUT) {
                return Err(self.cut_off());
            }
        }
    }

    /// A share of the budget, as soon as there is one.
    pub async fn room<T>(&mut self, mut take: impl FnMut() -> Result<T, BudgetExhausted>) -> Result<T, Gone> {
        let end = Instant::now() + ROOM_TIMEOUT;
        loop {
            match take() {
                Ok(share) => return Ok(share),
                Err(BudgetExhausted) if Instant::now() > end => return Err(self.cut_off()),
                Err(BudgetExhausted) => sleep(RETRY_INTERVAL).await,
            }
        }
    }

    /// A text that is sent to this client alone, and its share. A client that waits for room holds no text meanwhile:
    /// it is made, its length is seen, and it is made anew once there is room for it. Short ones need none.
    pub async fn text(&mut self, make: impl Fn() -> String) -> Result<(String, Share), Gone> {
        let budget = Arc::clone(&self.budget);
        let mut needed = 0;
        self.room(|| {
            let mut share = budget.take(needed)?;
            let text = make();
            needed = if text.len() > CHUNK_OCTETS { text.len() } else { 0 };
            share.grow_to(needed)?;
            Ok((text, share))
        })
        .await
    }

    /// A share of so many octets, as soon as there is one.
    pub async fn room_of(&mut self, octets: usize) -> Result<Share, Gone> {
        let budget = Arc::clone(&self.budget);
        self.room(|| budget.take(octets)).await
    }

    /// Returns when the client has gone.
    pub async fn closed(&self) {
        self.parts.sender.closed().await;
    }

    fn has_gone_past(&self, patience: Duration) -> bool {
        self.since.elapsed() > patience && self.log.reaches(self.behind).is_err()
    }

    fn cut_off(&self) -> Gone {
        self.cut.fetch_add(1, Ordering::Relaxed);
        self.parts.cut();
        Gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        control::cluster::Change,
        objects::object::{Kind, ObjectKey},
        web::api::{log::Capacity, stream::channel},
    };
    use axum::body::Body;
    use http_body_util::BodyExt;

    fn outlet(budget: usize) -> (Outlet, Body) {
        let log = Arc::new(ChangeLog::keeping(Capacity { changes: 1, octets: 1 << 20 }, 10));
        let (parts, body) = channel();
        (Outlet::new(parts, log, Budget::new(budget), Arc::default()), body)
    }

    fn change(version: u64) -> Change {
        let key = ObjectKey::new(Kind::Pod, "", version.to_string());
        Change { key, before: None, after: None, resource_version: version }
    }

    #[tokio::test]
    async fn all_of_it_arrives() {
        let (mut outlet, body) = outlet(0);
        let text = "x".repeat(5 * CHUNK_OCTETS / 2);
        let sent = text.clone();
        tokio::spawn(async move {
            outlet.write("begin ").await.unwrap();
            outlet.write(&sent).await.unwrap();
            outlet.flush().await.unwrap();
        });
        assert_eq!(body.collect().await.unwrap().to_bytes(), format!("begin {text}"));
    }

    #[tokio::test]
    async fn who_takes_nothing_is_cut_off_once_its_objects_are_forgotten() {
        for is_forgotten in [false, true] {
            let (mut outlet, body) = outlet(0);
            outlet.begin(10);
            let log = Arc::clone(&outlet.log);
            let told = tokio::spawn(async move {
                let outcome = outlet.write(&"x".repeat(4 * CHUNK_OCTETS)).await;
                (outcome.is_ok(), outlet.cut.load(Ordering::Relaxed))
            });
            sleep(4 * STALL_TIMEOUT).await;
            if is_forgotten {
                log.append(&[change(11), change(12)], 12);
                assert_eq!(told.await.unwrap(), (false, 1));
                assert!(body.collect().await.is_err());
            } else {
                assert!(!told.is_finished());
                assert_eq!(body.collect().await.unwrap().to_bytes().len(), 4 * CHUNK_OCTETS);
                assert_eq!(told.await.unwrap(), (true, 0));
            }
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_is_cut_off_once_there_is_no_room_for_others() {
        let (mut outlet, _body) = outlet(1);
        let budget = Arc::clone(&outlet.budget);
        let told = tokio::spawn(async move { outlet.write(&"x".repeat(4 * CHUNK_OCTETS)).await.is_ok() });
        assert_eq!(budget.take(2).unwrap_err(), BudgetExhausted);
        assert!(!told.await.unwrap());
    }
}
