//! One row for every behaviour of binding, provisioning and reclaiming (section K of the acceptance list).

use super::{ObservedVolumes, VolumeAction, built_in_class, plan};
use k8s_openapi::{
    api::{
        core::v1::{PersistentVolume, PersistentVolumeClaim},
        storage::v1::StorageClass,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Objects as they are stored, and what pods name.
#[derive(Default, Clone)]
struct World {
    claims: Vec<Arc<PersistentVolumeClaim>>,
    volumes: Vec<Arc<PersistentVolume>>,
    classes: Vec<Arc<StorageClass>>,
    used: Vec<&'static str>,
    stand_ins: Vec<(&'static str, bool)>,
}

/// `key=value` pairs as YAML values; `a=` is an empty string.
fn fields(text: &str) -> Map<String, Value> {
    let field = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap();
        let value = if value.is_empty() { json!("") } else { serde_yaml::from_str(value).unwrap() };
        (key.to_owned(), value)
    };
    text.split_whitespace().map(field).collect()
}

/// The fields that a builder knows; what is left over is a mistake in the test.
fn take(fields: &mut Map<String, Value>, key: &str, or: Value) -> Value {
    fields.remove(key).unwrap_or(or)
}

/// `notes=bind-completed` is the annotation of that name, set to `yes`.
fn noted(fields: &mut Map<String, Value>) -> Option<Value> {
    let note = fields.remove("notes")?;
    Some(json!({format!("pv.kubernetes.io/{}", note.as_str().unwrap()): "yes"}))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        value => value,
    }
}

impl World {
    /// A volume: `size modes class phase mode labels policy claim uid notes source gone`.
    fn pv(mut self, name: &str, text: &str) -> World {
        let f = &mut fields(text);
        let claim = f.remove("claim").map(|claim| json!({"namespace": "ns", "name": claim, "uid": f.remove("uid")}));
        let source = take(f, "source", json!("hostPath"));
        let source = source.as_str().unwrap();
        let mut volume = without_nulls(json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {
                "name": name, "labels": f.remove("labels"), "annotations": noted(f),
                "deletionTimestamp": f.remove("gone"),
                "finalizers": ["kubernetes.io/pv-protection"],
            },
            "spec": {
                "capacity": {"storage": take(f, "size", json!("1Gi"))},
                "accessModes": take(f, "modes", json!(["ReadWriteOnce"])),
                "storageClassName": f.remove("class"),
                "volumeMode": f.remove("mode"),
                "persistentVolumeReclaimPolicy": take(f, "policy", json!("Retain")),
                "claimRef": claim,
            },
            "status": {"phase": take(f, "phase", json!("Available"))},
        }));
        volume["spec"][source] = json!({"path": "/x", "server": "s", "driver": "d", "volumeHandle": "h"});
        assert!(f.is_empty(), "{f:?}");
        self.volumes.push(Arc::new(serde_json::from_value(volume).unwrap()));
        self
    }

    /// A claim, its uid `u-NAME` unless told: `size modes class mode selector volume phase notes uid gone`.
    fn pvc(mut self, name: &str, text: &str) -> World {
        let f = &mut fields(text);
        let phase = take(f, "phase", json!("Pending"));
        let is_bound = phase == "Bound";
        let claim = without_nulls(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": name, "namespace": "ns", "uid": take(f, "uid", json!(format!("u-{name}"))),
                "annotations": noted(f), "deletionTimestamp": f.remove("gone"),
                "finalizers": ["kubernetes.io/pvc-protection"],
            },
            "spec": {
                "resources": {"requests": {"storage": take(f, "size", json!("1Gi"))}},
                "accessModes": take(f, "modes", json!(["ReadWriteOnce"])),
                "storageClassName": f.remove("class"),
                "volumeMode": f.remove("mode"),
                "selector": f.remove("selector"),
                "volumeName": f.remove("volume"),
            },
            "status": {
                "phase": phase,
                "accessModes": is_bound.then(|| json!(["ReadWriteOnce"])),
                "capacity": is_bound.then(|| json!({"storage": "1Gi"})),
            },
        }));
        assert!(f.is_empty(), "{f:?}");
        self.claims.push(Arc::new(serde_json::from_value(claim).unwrap()));
        self
    }

    /// A class: `provisioner policy wait default made`.
    fn class(mut self, name: &str, text: &str) -> World {
        let f = &mut fields(text);
        let is_default =
            f.remove("default").map(|_| ("storageclass.kubernetes.io/is-default-class".into(), "true".into()));
        let made = f.remove("made").map(|second| Time(jiff::Timestamp::from_second(second.as_i64().unwrap()).unwrap()));
        let waits = f.remove("wait").is_some();
        self.classes.push(Arc::new(StorageClass {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                annotations: is_default.map(|pair| BTreeMap::from([pair])),
                creation_timestamp: made,
                ..ObjectMeta::default()
            },
            provisioner: take(f, "provisioner", json!("x.io/y")).as_str().unwrap().to_owned(),
            reclaim_policy: Some(take(f, "policy", json!("Delete")).as_str().unwrap().to_owned()),
            volume_binding_mode: Some(if waits { "WaitForFirstConsumer" } else { "Immediate" }.to_owned()),
            ..StorageClass::default()
        }));
        assert!(f.is_empty(), "{f:?}");
        self
    }

    fn built_in(mut self) -> World {
        self.classes.push(Arc::new(built_in_class()));
        self
    }

    fn stand_in(mut self, class: &'static str, now: bool) -> World {
        self.stand_ins.push((class, now));
        self
    }

    fn used(mut self, claim: &'static str) -> World {
        self.used.push(claim);
        self
    }

    fn plan(&self) -> Vec<VolumeAction> {
        plan(&ObservedVolumes {
            claims: self.claims.iter().collect(),
            volumes: self.volumes.iter().collect(),
            classes: self.classes.iter().collect(),
            used: self.used.iter().map(|&name| ("ns", name)).collect(),
            stand_ins: self.stand_ins.iter().copied().collect(),
        })
    }

    /// Carries a plan out, and gives what it did in a line each.
    fn turn(&mut self) -> Vec<String> {
        let actions = self.plan();
        let lines = actions.iter().map(line).collect();
        for action in actions {
            match action {
                VolumeAction::CreateVolume(volume) => self.volumes.push(Arc::new(*volume)),
                VolumeAction::UpdateVolume(volume) => {
                    let stored = self.volumes.iter_mut().find(|stored| stored.metadata.name == volume.metadata.name);
                    *stored.unwrap() = Arc::new(*volume);
                }
                VolumeAction::UpdateClaim(claim) => {
                    let stored = self.claims.iter_mut().find(|stored| stored.metadata.name == claim.metadata.name);
                    *stored.unwrap() = Arc::new(*claim);
                }
                VolumeAction::DeleteVolume { name } => {
                    let stored = self.volumes.iter_mut().find(|stored| stored.metadata.name.as_ref() == Some(&name));
                    Arc::make_mut(stored.unwrap()).metadata.deletion_timestamp =
                        Some(Time(jiff::Timestamp::UNIX_EPOCH));
                }
                VolumeAction::ClaimEvent { .. } | VolumeAction::VolumeEvent { .. } => {}
            }
        }
        // What is deleted and has no finalizer left is gone.
        let stays = |metadata: &ObjectMeta| metadata.deletion_timestamp.is_none() || metadata.finalizers.is_some();
        self.volumes.retain(|volume| stays(&volume.metadata));
        self.claims.retain(|claim| stays(&claim.metadata));
        lines
    }
}

fn notes(metadata: &ObjectMeta) -> String {
    let notes = metadata.annotations.iter().flatten();
    notes.map(|(key, value)| format!(" {}={value}", key.trim_start_matches("pv.kubernetes.io/"))).collect()
}

fn line(action: &VolumeAction) -> String {
    let volume_line = |volume: &PersistentVolume| {
        let spec = volume.spec.as_ref().unwrap();
        let claim = spec.claim_ref.as_ref().map_or("-".to_owned(), |claim| {
            format!("{}/{}", claim.name.as_deref().unwrap(), claim.uid.as_deref().unwrap_or("-"))
        });
        let kept = if volume.metadata.finalizers.is_some() { "" } else { " unprotected" };
        format!(
            "{} {} {claim}{}{kept}",
            name_of(&volume.metadata),
            super::binder::volume_phase(volume),
            notes(&volume.metadata)
        )
    };
    match action {
        VolumeAction::CreateVolume(volume) => format!("new pv {}", volume_line(volume)),
        VolumeAction::UpdateVolume(volume) => format!("pv {}", volume_line(volume)),
        VolumeAction::DeleteVolume { name } => format!("delete pv {name}"),
        VolumeAction::UpdateClaim(claim) => {
            let (spec, status) = (claim.spec.as_ref().unwrap(), claim.status.as_ref().unwrap());
            let capacity = status.capacity.as_ref().map_or("-", |capacity| capacity["storage"].0.as_str());
            let class = spec.storage_class_name.as_ref().map_or(String::new(), |class| format!(" class {class:?}"));
            let kept = if claim.metadata.finalizers.is_some() { "" } else { " unprotected" };
            format!(
                "pvc {} {} {} {capacity}{class}{}{kept}",
                name_of(&claim.metadata),
                status.phase.as_deref().unwrap(),
                spec.volume_name.as_deref().unwrap_or("-"),
                notes(&claim.metadata)
            )
        }
        VolumeAction::ClaimEvent { claim, reason, message, warning } => {
            format!("{} on {}: {reason}: {message}", if *warning { "Warning" } else { "Normal" }, claim.1)
        }
        VolumeAction::VolumeEvent { volume, reason, message, warning } => {
            format!("{} on {volume}: {reason}: {message}", if *warning { "Warning" } else { "Normal" })
        }
    }
}

fn name_of(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap()
}

fn world() -> World {
    World::default()
}

/// Checks what the first turn does.
fn check(story: &str, mut world: World, expected: &[&str]) -> World {
    assert_eq!(world.turn(), expected, "{story}");
    world
}

/// Which volume the claim `c` gets.
fn chosen(mut world: World) -> String {
    world.turn();
    let claim = world.claims.iter().find(|claim| claim.metadata.name.as_deref() == Some("c")).unwrap();
    claim.spec.as_ref().unwrap().volume_name.clone().unwrap_or_else(|| "-".to_owned())
}

#[test]
fn a_claim_and_a_volume_find_each_other() {
    let bound = check(
        "K1, K6: the claim has the volume's size",
        world().pv("v", "size=2Gi").pvc("c", "size=1Gi"),
        &["pv v Bound c/u-c bound-by-controller=yes", "pvc c Bound v 2Gi bind-completed=yes bound-by-controller=yes"],
    );
    assert_eq!(bound.plan(), [], "and rest");
}

#[test]
fn the_volume_that_suits_best_is_taken() {
    let labelled = r#"selector={"matchLabels":{"t":"2"}}"#;
    let expressions = concat!(
        r#"selector={"matchExpressions":[{"key":"t","operator":"NotIn","values":["x"]},"#,
        r#"{"key":"u","operator":"Exists"}]}"#
    );
    let rwx = "modes=[ReadWriteOnce,ReadOnlyMany]";
    let rows: Vec<(&str, World, &str)> = vec![
        ("K2 large enough", world().pv("v", "size=1000Mi").pvc("c", "size=1Gi"), "-"),
        ("K2 modes", world().pv("v", "").pvc("c", "modes=[ReadWriteMany]"), "-"),
        ("K2 class", world().pv("v", "class=x").pvc("c", "class="), "-"),
        ("K2 no class is the empty one", world().pv("v", "").pvc("c", "class="), "v"),
        ("K2 volumeMode", world().pv("v", "mode=Block").pvc("c", ""), "-"),
        ("K2 volumeMode, by default Filesystem", world().pv("v", "mode=Filesystem").pvc("c", ""), "v"),
        ("K2 phase", world().pv("v", "phase=Released claim=x uid=u1").pvc("c", ""), "-"),
        ("K2 reserved for another", world().pv("v", "claim=other").pvc("c", ""), "-"),
        ("K2 being deleted", world().pv("v", "gone=2026-01-01T00:00:00Z").pvc("c", ""), "-"),
        ("K2 labels", world().pv("a", "labels={\"t\":\"1\"}").pv("b", "labels={\"t\":\"2\"}").pvc("c", labelled), "b"),
        (
            "K2 label expressions",
            world().pv("a", "labels={\"t\":\"x\"}").pv("b", "labels={\"t\":\"y\",\"u\":\"\"}").pvc("c", expressions),
            "b",
        ),
        ("K3 fewest modes first", world().pv("a", &format!("{rwx} size=1Gi")).pv("b", "size=5Gi").pvc("c", ""), "b"),
        ("K3 then the smallest", world().pv("a", "size=5Gi").pv("b", "size=2Gi").pv("d", "size=3Gi").pvc("c", ""), "b"),
        ("K14 then the first by name", world().pv("b", "").pv("a", "").pvc("c", ""), "a"),
        ("K4 reserved before smaller", world().pv("a", "").pv("b", "size=9Gi claim=c").pvc("c", ""), "b"),
        ("K4 whatever its class and labels", world().pv("b", "class=x claim=c").pvc("c", labelled), "b"),
        ("K4 but large enough", world().pv("b", "size=1Mi claim=c").pvc("c", ""), "-"),
        ("K4 for an earlier claim of this name", world().pv("b", "claim=c uid=old").pvc("c", ""), "-"),
        ("K5 the one it names", world().pv("a", "").pv("b", "size=9Gi").pvc("c", "volume=b"), "b"),
        ("K13 not before a pod uses it", world().class("w", "wait=1").pv("a", "class=w").pvc("c", "class=w"), "-"),
        ("K13 then", world().class("w", "wait=1").pv("a", "class=w").pvc("c", "class=w").used("c"), "a"),
        ("K13 a reserved one", world().class("w", "wait=1").pv("a", "class=w claim=c").pvc("c", "class=w"), "a"),
    ];
    for (story, world, expected) in rows {
        assert_eq!(chosen(world), expected, "{story}");
    }
}

#[test]
fn claims_that_must_wait_say_why() {
    #[rustfmt::skip]
    let rows: Vec<(&str, World, &[&str])> = vec![
        ("K5 an absent volume", world().pvc("c", "volume=v"), &[]),
        ("K5 one that does not fit", world().pv("v", "").pvc("c", "volume=v size=9Gi"),
         &["Warning on c: VolumeMismatch: Cannot bind to requested volume \"v\": requested PV is too small"]),
        ("K5 of another class", world().pv("v", "class=x").pvc("c", "volume=v"),
         &["Warning on c: VolumeMismatch: Cannot bind to requested volume \"v\": storageClassName does not match"]),
        ("K5 of another mode", world().pv("v", "").pvc("c", "volume=v modes=[ReadWriteMany]"),
         &["Warning on c: VolumeMismatch: Cannot bind to requested volume \"v\": incompatible accessMode"]),
        ("K5 claimed by another", world().pv("v", "claim=other").pvc("c", "volume=v"),
         &["Warning on c: FailedBinding: volume \"v\" already bound to a different claim."]),
        ("K7, K10 no volume, no class", world().pvc("c", ""),
         &["Normal on c: FailedBinding: no persistent volumes available for this claim and no storage class is set"]),
        ("K9 no such class", world().pvc("c", "class=none"),
         &["Warning on c: ProvisioningFailed: storageclass.storage.k8s.io \"none\" not found"]),
        ("K13 no pod yet", world().class("w", "wait=1").pvc("c", "class=w"),
         &["Normal on c: WaitForFirstConsumer: waiting for first consumer to be created before binding"]),
        ("no provisioner", world().class("l", "provisioner=kubernetes.io/no-provisioner").pvc("c", "class=l"),
         &["Warning on c: ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner"]),
        ("a selector cannot be provisioned",
         world().class("x", "").pvc("c", r#"class=x selector={"matchLabels":{"a":"b"}}"#),
         &["Warning on c: ProvisioningFailed: failed to provision volume with StorageClass \"x\": \
            claim Selector is not supported"]),
    ];
    for (story, world, expected) in rows {
        let world = check(story, world, expected);
        // K8: once there is a volume that fits, nothing else is needed.
        let mut later = world.pv("z", "size=9Gi modes=[ReadWriteOnce,ReadWriteMany] claim=c");
        if story.starts_with("K7") || story.starts_with("K9") {
            later.turn();
            assert_eq!(later.claims[0].spec.as_ref().unwrap().volume_name.as_deref(), Some("z"), "{story}, later");
        }
    }
}

#[test]
fn a_volume_of_another_mode_is_not_forced_on_a_claim() {
    check(
        "provisioned or bound before, of the wrong volumeMode",
        world().pv("v", "mode=Block claim=c uid=u-c phase=Bound").pvc("c", "class="),
        &[
            "Warning on v: VolumeMismatch: Cannot bind PersistentVolume to requested PersistentVolumeClaim \"c\" \
             due to incompatible volumeMode.",
            "Warning on c: VolumeMismatch: Cannot bind PersistentVolume \"v\" to requested PersistentVolumeClaim \
             due to incompatible volumeMode.",
            "Normal on c: FailedBinding: no persistent volumes available for this claim and no storage class is set",
        ],
    );
}

#[test]
fn static_volumes_of_a_class_without_object_bind() {
    assert_eq!(chosen(world().pv("v", "class=nfs").pvc("c", "class=nfs")), "v", "K9");
}

#[test]
fn volumes_are_provisioned() {
    let made = [
        "new pv pvc-u-c Bound c/u-c provisioned-by=x.io/y",
        "pvc c Bound pvc-u-c 3Gi class \"fast\" bind-completed=yes bound-by-controller=yes",
        "Normal on c: Provisioning: External provisioner is provisioning volume for claim \"ns/c\"",
        "Normal on c: ProvisioningSucceeded: Successfully provisioned volume pvc-u-c",
    ];
    let rows: Vec<(&str, World)> = vec![
        ("K12 class named", world().class("fast", "").pvc("c", "class=fast size=3Gi")),
        ("K11 default class", world().class("fast", "default=1").class("other", "").pvc("c", "size=3Gi")),
        (
            "K11 the newest default",
            world().class("a", "default=1 made=1").class("fast", "default=1 made=2").pvc("c", "size=3Gi"),
        ),
        ("K11 not the built-in one", world().built_in().class("fast", "default=1").pvc("c", "size=3Gi")),
        ("K13 once a pod uses it", world().class("fast", "wait=1").pvc("c", "class=fast size=3Gi").used("c")),
    ];
    for (story, world) in rows {
        let world = check(story, world, &made);
        assert_eq!(world.plan(), [], "{story}, and rest");
        let spec = world.volumes[0].spec.as_ref().unwrap();
        assert_eq!(spec.persistent_volume_reclaim_policy.as_deref(), Some("Delete"), "{story}");
        assert_eq!(spec.storage_class_name.as_deref(), Some("fast"), "{story}");
    }
    assert_eq!(
        chosen(world().class("x", "").pv("v", "class=x size=9Gi").pvc("c", "class=x")),
        "v",
        "K12: static before dynamic"
    );
    assert_eq!(chosen(world().class("x", "default=1").pvc("c", "class=")), "-", "the empty class asks for none");
}

#[test]
fn the_built_in_class_stands_back() {
    let standard = || world().built_in();
    assert_eq!(chosen(standard().pvc("c", "")), "pvc-u-c");
    assert_eq!(chosen(standard().pv("v", "").pvc("c", "")), "v", "a volume without class is taken first");
    assert_eq!(
        chosen(standard().class("mine", "default=1").pv("v", "").pvc("c", "")),
        "pvc-u-c",
        "as upstream's admission"
    );
    assert_eq!(chosen(standard().pvc("c", "class=nfs")), "-");
}

#[test]
fn classes_that_nobody_declared() {
    let claim = |now: bool| world().stand_in("x", now).pvc("c", "class=x");
    let warnings_of = |mut world: World| world.turn();
    let assumed = "Normal on c: StorageClassAssumed: StorageClass \"x\" is not declared: the volume is simulated, but a \
                   cluster must have this class";
    assert_eq!(chosen(claim(true)), "pvc-u-c");
    assert!(warnings_of(claim(true)).contains(&assumed.to_owned()));
    assert_eq!(chosen(claim(false)), "-");
    assert!(warnings_of(claim(false)).is_empty(), "it is awaited without a word");
    assert_eq!(chosen(claim(true).pv("v", "class=x")), "v", "a volume that suits goes first");
    let declared = warnings_of(claim(true).class("x", ""));
    assert!(
        declared.iter().any(|line| line.contains("ProvisioningSucceeded")) && !declared.contains(&assumed.to_owned())
    );
    let missing = warnings_of(world().pvc("c", "class=x"));
    assert_eq!(missing, ["Warning on c: ProvisioningFailed: storageclass.storage.k8s.io \"x\" not found"]);
    assert_eq!(chosen(claim(true).pvc("d", "class=y")), "pvc-u-c", "another class is another matter");
}

#[test]
fn volumes_are_reclaimed() {
    let old = "claim=c uid=old phase=Bound notes=bound-by-controller";
    let after = " bound-by-controller=yes";
    #[rustfmt::skip]
    let rows: Vec<(&str, World, Vec<String>)> = vec![
        ("K15 Retain", world().pv("v", old), vec![format!("pv v Released c/old{after}")]),
        ("K15 Delete", world().pv("v", &format!("policy=Delete {old}")),
         vec![format!("pv v Released c/old{after}"), "delete pv v".into()]),
        ("K15 Recycle", world().pv("v", &format!("policy=Recycle source=nfs {old}")),
         vec!["pv v Available -".into(), "Normal on v: VolumeRecycled: Volume recycled".into()]),
        ("K15 Recycle, while a pod uses it", world().pv("v", &format!("policy=Recycle {old}")).used("c"),
         vec![format!("pv v Released c/old{after}")]),
        ("K15 Recycle, where nobody can", world().pv("v", &format!("policy=Recycle source=csi {old}")),
         vec![format!("pv v Failed c/old{after}"),
              "Warning on v: VolumeFailedRecycle: No recycler plugin found for the volume!".into()]),
        ("K15 Recycle of a reserved one", world().pv("v", "policy=Recycle claim=c uid=old phase=Bound"),
         vec!["pv v Available c/-".into(), "Normal on v: VolumeRecycled: Volume recycled".into()]),
        ("K16 unknown policy", world().pv("v", &format!("policy=Burn {old}")),
         vec![format!("pv v Failed c/old{after}"),
              "Warning on v: VolumeUnknownReclaimPolicy: \
               Volume has unrecognized PersistentVolumeReclaimPolicy".into()]),
    ];
    for (story, mut world, expected) in rows {
        assert_eq!(world.turn(), expected, "{story}");
        world.turn();
        assert_eq!(world.plan(), [], "{story}, and rest");
    }
    let mut kept = world().pv("v", &format!("{old} policy=Retain")).pvc("c", "");
    kept.turn();
    assert_eq!(
        kept.claims[0].spec.as_ref().unwrap().volume_name,
        None,
        "K15: a new claim of that name does not get it"
    );
}

#[test]
fn a_claim_whose_volume_is_gone_is_lost() {
    let bound = "volume=v phase=Bound notes=bind-completed";
    let lost = check(
        "K17",
        world().pvc("c", bound).pv("free", ""),
        &[
            "pvc c Lost v - bind-completed=yes",
            "Warning on c: ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!",
        ],
    );
    assert_eq!(lost.plan(), [], "and is told once");
    check(
        "a volume that another claim holds",
        world().pvc("c", bound).pvc("d", bound).pv("v", "claim=d uid=u-d phase=Bound"),
        &[
            "pvc c Lost v - bind-completed=yes",
            "Warning on c: ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly",
        ],
    );
}

#[test]
fn objects_in_use_are_protected() {
    let now = "gone=2026-01-01T00:00:00Z";
    let bound = "volume=v phase=Bound notes=bind-completed";
    let volume = "claim=c uid=u-c phase=Bound";
    let start = || world().pv("v", volume).pvc("c", &format!("{bound} {now}"));
    let unused: Vec<_> = start().plan().iter().map(line).collect();
    assert_eq!(unused, ["pvc c Bound v 1Gi bind-completed=yes unprotected"], "I7: nobody uses it");
    let mut used = start().used("c");
    assert_eq!(used.turn(), [] as [&str; 0], "I7: a pod uses it");
    assert_eq!(used.claims.len(), 1);

    let mut world = world().pv("v", &format!("{volume} {now}")).pvc("c", bound);
    assert_eq!(world.turn(), [] as [&str; 0], "K18: bound");
    world.claims.clear();
    assert_eq!(world.turn(), ["pv v Released c/u-c"]);
    assert_eq!(world.turn(), ["pv v Released c/u-c unprotected"]);
    assert!(world.volumes.is_empty());
}

#[test]
fn a_volume_whose_claim_went_elsewhere_is_freed() {
    let elsewhere = "volume=other phase=Bound notes=bind-completed";
    let other = "claim=c uid=u-c phase=Bound";
    let start = || world().pvc("c", elsewhere).pv("other", other);
    let by_us = "claim=c uid=u-c phase=Bound notes=bound-by-controller";
    check("bound by the controller", start().pv("v", by_us), &["pv v Available -"]);
    check("reserved by a person", start().pv("v", "claim=c uid=u-c phase=Bound"), &["pv v Available c/-"]);
    check(
        "provisioned for nothing",
        start().pv("v", "policy=Delete claim=c uid=u-c phase=Bound notes=provisioned-by"),
        &["pv v Released c/u-c provisioned-by=yes", "delete pv v"],
    );
}

#[test]
fn several_claims_get_volumes_of_their_own() {
    let mut world = world().pv("a", "").pv("b", "").pvc("x", "").pvc("y", "").pvc("z", "");
    let mut got = Vec::new();
    world.turn();
    for claim in &world.claims {
        got.push(claim.spec.as_ref().unwrap().volume_name.as_deref().unwrap_or("-"));
    }
    assert_eq!(got, ["a", "b", "-"], "K1, in order of names");
}
