//! Pods that have ended: how many are kept, and which go.

use super::*;
use crate::objects::object::{job::finished, pod::ENDED_PODS_MAX};

/// A pod that ends at once.
fn short(name: &str, how: &str) -> Value {
    let annotations = json!({format!("simulation.headless-dns/{how}"): "0s"});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "annotations": annotations},
           "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}})
}

#[test]
fn evicted_pods_go_first_and_then_the_oldest() {
    let mut world = World::new(1);
    for number in 0..ENDED_PODS_MAX {
        world.apply(short(&format!("old-{number:03}"), "succeed-after"));
    }
    world.apply(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "runs", "namespace": "default"},
                       "spec": {"containers": [{"name": "a", "image": "a"}]}}));
    world.run(Duration::from_secs(5));
    assert_eq!(world.names().len(), ENDED_PODS_MAX + 1, "not too many yet");
    for (number, how) in ["fail-after", "evict-after", "succeed-after"].into_iter().enumerate() {
        world.apply(short(&format!("new-{number}"), how));
    }
    world.run(Duration::from_secs(5));
    let names = world.names();
    assert_eq!(names.len(), ENDED_PODS_MAX + 1);
    assert!(names.contains(&"runs") && names.contains(&"new-0") && names.contains(&"new-2"), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.starts_with("old-")).count(), ENDED_PODS_MAX - 2, "{names:?}");

    // Neither does a restart forget them.
    world.restart();
    world.apply(short("newest", "succeed-after"));
    world.run(Duration::from_secs(5));
    assert_eq!(world.names().len(), ENDED_PODS_MAX + 1);
}

#[test]
fn a_job_of_many_pods_ends_and_leaves_few() {
    const COMPLETIONS: i32 = 600;
    let mut world = World::new(1);
    for mode in ["NonIndexed", "Indexed"] {
        let before = world.controller.counters();
        let template = json!({"metadata": {"annotations": {"simulation.headless-dns/run-for": "0s"}},
                              "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}});
        world.apply(json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": mode.to_lowercase(), "namespace": "default"},
            "spec": {"completions": COMPLETIONS, "parallelism": 100, "completionMode": mode, "template": template}}));
        let job = |world: &World| match world.controller.object(&key(Kind::Job, &mode.to_lowercase())) {
            Some(Object::Job(job)) => job,
            other => panic!("{other:?}"),
        };
        let end = world.now + Duration::from_secs(120);
        while finished(&job(&world)).is_none() {
            assert!(world.now < end, "{:?}", job(&world).status);
            // Without looking at everything after every turn.
            world.take();
            world.now = world.wake_at.unwrap_or(world.now).max(world.now);
        }
        world.run(Duration::from_secs(3));
        let status = job(&world).status.clone().unwrap();
        assert_eq!((status.succeeded, status.failed), (Some(COMPLETIONS), None));
        assert_eq!(status.completed_indexes.as_deref(), (mode == "Indexed").then_some("0-599"));
        assert!(world.names().len() <= ENDED_PODS_MAX, "{} pods are left", world.names().len());
        // A look at the Job costs as much as it has running, not as it ever had.
        let looked = world.controller.counters().pods_of_sets - before.pods_of_sets;
        assert!(looked < 12 * COMPLETIONS as usize, "{looked} looks at pods");
    }
}
