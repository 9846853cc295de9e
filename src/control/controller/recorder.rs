//! Events that report what was done: identical ones are counted, and each is kept for an hour after it last
//! happened.

use crate::{
    control::{
        cluster::{Cluster, whole_second},
        runtime::SetBack,
    },
    objects::object::{Kind, Object, ObjectKey},
    text::escape::visible,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// How long an event is kept (upstream's `--event-ttl`).
const EVENT_TTL: SignedDuration = SignedDuration::from_hours(1);
/// How many events are kept at most; beyond that the oldest go first.
const EVENTS_MAX: usize = 50_000;

/// What an event says.
#[derive(Debug, Clone)]
pub struct EventSpec<'a> {
    /// The controller that reports it (`statefulset-controller`).
    pub component: &'static str,
    /// Warning rather than Normal.
    pub warning: bool,
    /// One word (`SuccessfulCreate`).
    pub reason: &'a str,
    /// The sentence.
    pub message: String,
    /// The same note within this time changes nothing at all.
    pub at_most_every: SignedDuration,
    /// The part of the object that it is about: `spec.containers{NAME}`.
    pub field_path: Option<String>,
}

/// Involved uid and part, reason, message.
type Identity = (String, Option<String>, String, String);

/// The current events, found by what they say.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Each with when it was last seen, by the clock as it is now: the event itself may say otherwise.
    standing: HashMap<Identity, (ObjectKey, Timestamp)>,
    by_age: BTreeSet<(Timestamp, ObjectKey)>,
    /// The nanosecond that named the latest event.
    latest: i128,
}

impl Recorder {
    /// Takes up the events among the objects that an earlier run left.
    pub fn restore(&mut self, objects: &[Object], now: Timestamp) {
        for object in objects {
            if let Object::Event(event) = object {
                // The clock may have been ahead in the earlier run.
                let seen = last_seen(event).min(now);
                self.standing.insert(identity(event), (object.key(), seen));
                self.by_age.insert((seen, object.key()));
                let instant = object.metadata().name.as_deref().and_then(|name| name.rsplit_once('.'));
                let instant = instant.and_then(|(_, hex)| i128::from_str_radix(hex, 16).ok());
                self.latest = self.latest.max(instant.unwrap_or(0));
            }
        }
    }

    /// Records an event about an object.
    pub fn record(&mut self, cluster: &mut Cluster, about: &Object, note: EventSpec<'_>, now: Timestamp) {
        let metadata = about.metadata();
        let uid = metadata.uid.clone().unwrap_or_default();
        let message = visible(&note.message);
        let identity = (uid.clone(), note.field_path.clone(), note.reason.to_owned(), message.clone());
        if let Some((key, seen)) = self.standing.get(&identity).cloned()
            && cluster.get(&key).is_some()
        {
            if !note.at_most_every.is_zero() && now.duration_since(seen) < note.at_most_every {
                return;
            }
            cluster.edit_event(&key.namespace, &key.name, |event| {
                event.count = Some(event.count.unwrap_or(1).saturating_add(1));
                event.last_timestamp = Some(whole_second(now));
            });
            self.by_age.remove(&(seen, key.clone()));
            self.by_age.insert((whole_second(now).0, key.clone()));
            self.standing.insert(identity, (key, whole_second(now).0));
            return;
        }
        let namespace = metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let going = cluster.namespace("", &namespace).is_none_or(|found| found.metadata.deletion_timestamp.is_some());
        if going {
            return;
        }
        let name = metadata.name.clone().unwrap_or_default();
        let mut event = Event {
            involved_object: ObjectReference {
                api_version: Some(about.kind().api_version().to_owned()),
                kind: Some(about.kind().name().to_owned()),
                namespace: metadata.namespace.clone(),
                name: Some(name.clone()),
                uid: Some(uid),
                resource_version: metadata.resource_version.clone(),
                field_path: note.field_path,
            },
            type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(note.reason.to_owned()),
            message: Some(message),
            source: Some(EventSource { component: Some(note.component.to_owned()), host: None }),
            reporting_component: Some(note.component.to_owned()),
            reporting_instance: Some(String::new()),
            count: Some(1),
            first_timestamp: Some(whole_second(now)),
            last_timestamp: Some(whole_second(now)),
            ..Event::default()
        };
        event.metadata.namespace = Some(namespace.clone());
        // Upstream's form: the object's name and the nanosecond; each event of one instant takes a nanosecond of its
        // own.
        self.latest = now.as_nanosecond().max(self.latest + 1);
        let key = ObjectKey::new(Kind::Event, &namespace, format!("{name}.{:x}", self.latest));
        event.metadata.name = Some(key.name.clone());
        let age = last_seen(&event);
        if cluster.create(Object::Event(Arc::new(event)), now).is_ok() {
            self.standing.insert(identity, (key.clone(), age));
            self.by_age.insert((age, key));
        }
    }

    /// Removes what is older than an hour, and the oldest beyond the limit.
    pub fn expire(&mut self, cluster: &mut Cluster, now: Timestamp) {
        while self.by_age.len() > EVENTS_MAX || self.next_due().is_some_and(|due| due <= now) {
            let Some((_, key)) = self.by_age.pop_first() else { return };
            if let Some(Object::Event(event)) = cluster.get(&key) {
                self.standing.remove(&identity(event));
            }
            // It may have gone with its namespace.
            let _ = cluster.delete(&key, None, now);
        }
    }

    /// The clock was set back: ages stay what they are, whatever the events say.
    pub fn clock_set_back(&mut self, set_back: &SetBack) {
        self.standing.values_mut().for_each(|(_, seen)| *seen = set_back.due(*seen));
        self.by_age =
            std::mem::take(&mut self.by_age).into_iter().map(|(seen, key)| (set_back.due(seen), key)).collect();
    }

    /// When the next event is to go.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.by_age.first().map(|(seen, _)| seen.saturating_add(EVENT_TTL).unwrap_or(*seen))
    }
}

fn identity(event: &Event) -> Identity {
    let involved = &event.involved_object;
    let (uid, part) = (involved.uid.clone().unwrap_or_default(), involved.field_path.clone());
    (uid, part, event.reason.clone().unwrap_or_default(), event.message.clone().unwrap_or_default())
}

fn last_seen(event: &Event) -> Timestamp {
    let time = event.last_timestamp.as_ref().or(event.metadata.creation_timestamp.as_ref());
    time.map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_one_line_that_can_be_shown() {
        let rows = [
            ("create Pod web-0 in StatefulSet web successful", "create Pod web-0 in StatefulSet web successful"),
            ("\u{1b}[31m\u{202e}a\nb", "\\u{1b}[31m\\u{202e}a\\nb"),
        ];
        let now = Timestamp::UNIX_EPOCH;
        for (message, expected) in rows {
            let (mut cluster, mut recorder) = (Cluster::new(0), Recorder::default());
            let namespace = json!({"metadata": {"name": "default"}});
            cluster.create(Object::from_json(Kind::Namespace, namespace).unwrap(), now).unwrap();
            let service = json!({"metadata": {"name": "a", "namespace": "default", "uid": "u"}});
            let about = Object::from_json(Kind::Service, service).unwrap();
            for _ in 0..2 {
                let message = message.to_owned();
                let at_most_every = SignedDuration::ZERO;
                let note = EventSpec {
                    component: "test",
                    warning: true,
                    reason: "Test",
                    message,
                    at_most_every,
                    field_path: None,
                };
                recorder.record(&mut cluster, &about, note, now);
            }
            let events: Vec<_> = cluster.of_kind(Kind::Event).map(Object::to_json).collect();
            assert_eq!(events.len(), 1, "the same again is counted: {events:?}");
            assert_eq!((&events[0]["message"], &events[0]["count"]), (&json!(expected), &json!(2)));
        }
    }
}
