//! Claims of StorageClasses that no manifest declares.

use super::*;

fn claim(name: &str) -> Value {
    json!({"kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}})
}

fn class(binding: &str) -> Value {
    json!({"kind": "StorageClass", "metadata": {"name": "fast"}, "provisioner": "x.io/y", "volumeBindingMode": binding})
}

fn volume(claim: Option<&str>) -> Value {
    let mut volume = json!({"kind": "PersistentVolume", "metadata": {"name": "by-hand"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}, "storageClassName": "fast",
        "hostPath": {"path": "/x"}}});
    if let Some(claim) = claim {
        volume["spec"]["claimRef"] = json!({"namespace": "default", "name": claim});
    }
    volume
}

fn provisioning() -> World {
    let mut world = World::new(1);
    world.controller.volumes = VolumeController::new(true);
    world
}

impl World {
    /// `Bound by-hand`, `Bound simulated`, `Bound x.io/y` or `Pending` of a claim.
    fn bound(&self, name: &str) -> String {
        let claim = self.controller.object(&key(Kind::PersistentVolumeClaim, name)).unwrap().to_json();
        let volume = claim["spec"]["volumeName"].as_str().unwrap_or_default();
        let provisioner = self
            .controller
            .object(&key(Kind::PersistentVolume, volume))
            .and_then(|volume| volume.metadata().annotations.as_ref()?.get("pv.kubernetes.io/provisioned-by").cloned());
        let volume = match provisioner {
            Some(provisioner) => provisioner.replace("headless-dns/", ""),
            None => volume.to_owned(),
        };
        format!("{} {volume}", claim["status"]["phase"].as_str().unwrap()).trim_end().to_owned()
    }

    fn event_reasons(&self, name: &str) -> Vec<String> {
        let events = self.controller.objects(Kind::Event);
        let of = |event: &Object| {
            let event = event.to_json();
            (event["involvedObject"]["name"] == name).then(|| event["reason"].as_str().unwrap().to_owned())
        };
        events.iter().filter_map(of).collect()
    }
}

#[test]
fn a_claim_waits_a_moment_and_gets_a_simulated_volume() {
    let mut world = provisioning();
    world.apply(claim("a"));
    world.run(Duration::from_millis(900));
    assert_eq!((world.bound("a"), world.event_reasons("a")), ("Pending".to_owned(), vec![]));
    world.run(Duration::from_millis(200));
    assert_eq!(world.bound("a"), "Bound simulated");
    assert_eq!(world.event_reasons("a"), ["StorageClassAssumed", "Provisioning", "ProvisioningSucceeded"]);
    // The class is known to be missing: further claims do not wait; that simulated volumes bear it changes nothing.
    world.apply(claim("b"));
    world.turn();
    assert_eq!(world.bound("b"), "Bound simulated");
    // As a provisioned volume it goes with its claim.
    world.event(Event::Withdraw(key(Kind::PersistentVolumeClaim, "a")));
    world.run(Duration::from_secs(1));
    assert_eq!(world.controller.objects(Kind::PersistentVolume).len(), 1);
}

#[test]
fn what_is_declared_in_that_moment_or_later_goes_first() {
    for (later, expected) in [
        (class("Immediate"), "Bound x.io/y"),
        (class("WaitForFirstConsumer"), "Pending"),
        (volume(None), "Bound by-hand"),
        (volume(Some("a")), "Bound by-hand"),
        // Somebody makes volumes of this class by hand, so none are made up.
        (volume(Some("other")), "Pending"),
    ] {
        let mut world = provisioning();
        world.apply(claim("a"));
        world.run(Duration::from_millis(500));
        world.apply(later.clone());
        world.run(Duration::from_secs(5));
        assert_eq!(world.bound("a"), expected, "{later}");
        // Later still, what is bound stays bound, and only further claims go by what is declared then.
        let mut world = provisioning();
        world.apply(claim("first"));
        world.run(Duration::from_secs(5));
        world.apply(later.clone());
        world.apply(claim("a"));
        world.run(Duration::from_secs(5));
        assert_eq!(
            (world.bound("first").as_str(), world.bound("a").as_str()),
            ("Bound simulated", expected),
            "{later}"
        );
    }
}

#[test]
fn without_the_setting_claims_wait_as_upstream() {
    let mut world = World::new(1);
    world.apply(claim("a"));
    world.run(Duration::from_secs(5));
    assert_eq!(
        (world.bound("a"), world.event_reasons("a")),
        ("Pending".to_owned(), vec!["ProvisioningFailed".to_owned()])
    );
}

#[test]
fn a_volume_by_hand_that_is_gone_is_none() {
    let mut world = provisioning();
    world.apply(volume(Some("other")));
    world.apply(claim("a"));
    world.run(Duration::from_secs(5));
    assert_eq!(world.bound("a"), "Pending");
    world.event(Event::Withdraw(key(Kind::PersistentVolume, "by-hand")));
    world.run(Duration::from_secs(5));
    assert_eq!(world.bound("a"), "Bound simulated");
}

#[test]
fn a_restart_keeps_what_was_simulated() {
    let mut world = provisioning();
    world.apply(claim("a"));
    world.run(Duration::from_secs(2));
    let volume = world.controller.objects(Kind::PersistentVolume)[0].key();
    world.restart();
    world.apply(claim("a"));
    world.run(Duration::from_secs(2));
    assert_eq!(world.controller.objects(Kind::PersistentVolume)[0].key(), volume);
    assert_eq!(world.bound("a"), "Bound simulated");
}

#[test]
fn each_of_very_many_classes_gets_its_volume() {
    let mut world = provisioning();
    for number in 0..50 {
        let mut claim = claim(&format!("c{number}"));
        claim["spec"]["storageClassName"] = json!(format!("class-{number}"));
        world.apply(claim);
    }
    for _ in 0..20 {
        world.controller.turn(world.now);
        world.now += Duration::from_millis(200);
    }
    let volumes = world.controller.objects(Kind::PersistentVolume).len();
    assert_eq!(volumes, 50);
}
