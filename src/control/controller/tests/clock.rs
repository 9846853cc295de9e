//! The clock is set back, or forward and back: nothing comes later than it would have.

use super::*;
use jiff::SignedDuration;
use proptest::prelude::*;

/// What is done at one instant.
#[derive(Debug, Clone)]
enum Step {
    Replicas(i32),
    Image(u8),
    DeletePod(u8),
    DeleteNamespace,
    /// Seconds pass.
    Wait(u8),
}

fn set(replicas: i32, image: u8) -> Value {
    let labels = json!({"app": "web"});
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "namespace": "default"},
           "spec": {"replicas": replicas, "serviceName": "web", "minReadySeconds": 3, "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels, "annotations": {"simulation.headless-dns/stop-after": "4s"}},
                                 "spec": {"containers": [{"name": "a", "image": format!("a:{image}")}]}}}})
}

fn bare_pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "other"},
           "spec": {"containers": [{"name": "a", "image": "a"}]}})
}

impl World {
    fn set_back(&mut self, by: SignedDuration) {
        self.now -= by;
        self.controller.clock_set_back(by, self.now);
        self.turn();
    }

    /// What people see, without times: pods, the set's figures, namespaces, claims.
    fn seen(&self) -> Vec<String> {
        let pods = self.controller.cluster().pods().map(|pod| {
            let status = pod.status.clone().unwrap_or_default();
            let ready = status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
            let goes = pod.metadata.deletion_timestamp.is_some();
            let image = pod.spec.as_ref().and_then(|spec| spec.containers[0].image.clone());
            format!("{:?} {:?} {image:?} ready {ready} goes {goes}", pod.metadata.name, status.phase)
        });
        let sets = self.set("web").into_iter().map(|set| {
            let status = set.status.clone().unwrap_or_default();
            format!("{:?} {:?} {:?}", status.ready_replicas, status.available_replicas, status.updated_replicas)
        });
        let namespaces = self.controller.objects(Kind::Namespace);
        let namespaces = namespaces.iter().map(|one| format!("{} {}", one.key(), one.to_json()["status"]["phase"]));
        pods.chain(sets).chain(namespaces).collect()
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Replicas(replicas) => self.apply(set(*replicas, 1)),
            Step::Image(image) => self.apply(set(3, *image)),
            Step::DeletePod(ordinal) => {
                self.delete(key(Kind::Pod, &format!("web-{ordinal}")), None, Cascade::Background);
            }
            Step::DeleteNamespace => {
                self.delete(ObjectKey::new(Kind::Namespace, "", "other"), None, Cascade::Background);
            }
            Step::Wait(seconds) => return self.run(Duration::from_secs((*seconds).into())),
        }
        self.turn();
    }

    /// No time that decides something lies in the future, but for the ends of grace periods.
    fn check_times(&self) {
        for pod in self.controller.cluster().pods() {
            let metadata = &pod.metadata;
            let grace = SignedDuration::from_secs(metadata.deletion_grace_period_seconds.unwrap_or(0));
            assert!(metadata.deletion_timestamp.as_ref().is_none_or(|end| end.0 <= self.now + grace), "{metadata:?}");
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            for time in conditions.filter_map(|condition| condition.last_transition_time.as_ref()) {
                assert!(time.0 <= self.now, "{:?} changed at {} and it is {}", metadata.name, time.0, self.now);
            }
        }
        let due = self.wake_at.map(|at| at.duration_since(self.now));
        assert!(due.is_none_or(|due| due <= SignedDuration::from_hours(1)), "due in {due:?}");
    }
}

fn begun() -> World {
    let mut world = World::new(7);
    world.apply(set(3, 1));
    world.apply(bare_pod());
    world.event(Event::Loaded);
    world.run(Duration::from_secs(1));
    world
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4).prop_map(Step::Replicas),
        2 => (1..4u8).prop_map(Step::Image),
        2 => (0..4u8).prop_map(Step::DeletePod),
        1 => Just(Step::DeleteNamespace),
        5 => (0..6u8).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A clock that is only set back changes nothing that anybody sees, at any instant.
    #[test]
    fn what_a_clock_that_is_set_back_shows_comes_when_it_would_have(
        steps in prop::collection::vec((step(), prop::option::weighted(0.4, 2..100_000i64)), 1..12),
    ) {
        let (mut plain, mut set_back) = (begun(), begun());
        for (step, by) in steps {
            if let Some(by) = by {
                set_back.set_back(SignedDuration::from_secs(by));
                set_back.check_times();
                plain.turn();
            }
            for world in [&mut plain, &mut set_back] {
                world.carry_out(&step);
                world.turn();
            }
            prop_assert_eq!(plain.seen(), set_back.seen(), "after {:?}", step);
        }
    }

    /// A clock that goes ahead for a while, and back, leaves nothing behind: all comes to rest no later.
    #[test]
    fn a_clock_that_was_ahead_delays_nothing(
        steps in prop::collection::vec((step(), prop::option::weighted(0.4, 2..40_000_000i64)), 1..12),
        restarts in any::<bool>(),
    ) {
        let (mut plain, mut ahead) = (begun(), begun());
        for (step, by) in steps {
            plain.carry_out(&step);
            let by = SignedDuration::from_secs(by.unwrap_or(0));
            ahead.now += by;
            ahead.turn();
            ahead.carry_out(&step);
            ahead.turn();
            if by.is_positive() && restarts {
                // What the earlier run wrote is in the future, and nobody knows by how much.
                ahead.now -= by;
                ahead.restart();
                ahead.apply(set(3, 1));
                ahead.event(Event::Loaded);
                ahead.turn();
                ahead.check_times();
            } else if by.is_positive() {
                ahead.set_back(by);
                ahead.check_times();
            }
        }
        for world in [&mut plain, &mut ahead] {
            world.apply(set(2, 9));
            // 2 pods go one after another (4 s), are made anew and stay ready for 3 s; a namespace goes after 5 s.
            world.run(Duration::from_secs(60));
            world.turn();
        }
        // Where a namespace was withdrawn at a restart only what is declared stays.
        let pods = |world: &World| world.seen().into_iter().filter(|line| line.contains("web-")).collect::<Vec<_>>();
        prop_assert_eq!(pods(&plain), pods(&ahead));
        prop_assert!(!ahead.seen().iter().any(|line| line.contains("Terminating")), "{:?}", ahead.seen());
        prop_assert_eq!(ahead.set("web").and_then(|set| set.status.as_ref()?.available_replicas), Some(2));
        ahead.check_times();
    }
}

/// Events go an hour after they were last seen, however far ahead the clock was then; and what is told at most so often
/// is told again.
#[test]
fn events_of_a_time_ahead_go_in_an_hour() {
    for restarts in [false, true] {
        let mut world = begun();
        let year = SignedDuration::from_hours(8766);
        world.now += year;
        world.turn();
        world.apply(set(2, 2));
        world.run(Duration::from_secs(30));
        assert!(!world.controller.objects(Kind::Event).is_empty());
        world.now -= year;
        if restarts {
            world.restart();
            world.apply(set(2, 2));
            world.event(Event::Loaded);
        } else {
            world.controller.clock_set_back(year, world.now);
        }
        world.run(Duration::from_secs(3_700));
        world.turn();
        let left: Vec<_> = world.controller.objects(Kind::Event).iter().map(Object::to_json).collect();
        assert!(left.is_empty(), "restarts {restarts}: {left:#?}");
    }
}
