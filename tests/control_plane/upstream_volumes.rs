//! Counterparts of upstream's tests of claims, retention, ownership and endpoints, as stories (see `crate::support::rows`). The
//! names are those of upstream's tests (`stateful_pod_control_test.go`, `stateful_set_test.go`,
//! `stateful_set_utils_test.go`, `test/e2e/apps/statefulset.go`), or say what a rule without a test of its own asks for.

use crate::support::rows::{World, check, key};
use headless_dns::{
    control::records::{RecordSettings, Records},
    dns::{name::Name, wire::rdata::RecordType},
    objects::object::{Kind, ObjectKey},
};
use serde_json::json;
use std::{collections::BTreeMap, net::Ipv4Addr};

/// Gives an object one more owner, as somebody else would; `controller` takes the others' place.
fn own(world: &mut World, owned: &ObjectKey, (version, kind, name): (&str, &str, &str), controller: bool) {
    let known = Kind::ALL.iter().find(|known| known.name() == kind);
    let owner = known.and_then(|kind| world.controller.object(&key(*kind, name)));
    // Of a kind that is not known here nobody can tell whether its owner is still there, so it counts as staying.
    let uid = owner.and_then(|owner| owner.metadata().uid.clone()).unwrap_or_else(|| "of-somebody".to_owned());
    let owner = json!({"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": controller});
    world.edit(owned.clone(), |object| match object["metadata"]["ownerReferences"].as_array_mut() {
        Some(owners) if !controller => owners.push(owner),
        _ => object["metadata"]["ownerReferences"] = json!([owner]),
    });
}

fn claim(name: &str) -> ObjectKey {
    key(Kind::PersistentVolumeClaim, name)
}

/// The names below `default.svc.cluster.local` that have addresses, with the pods that these are of:
/// `nginx=web-0,web-1 web-0.nginx=web-0`.
fn names(world: &World) -> String {
    let mut records = Records::new(RecordSettings::new(Name::parse("cluster.local").unwrap(), 5));
    let cluster = world.controller.cluster();
    for service in cluster.services() {
        records.service("default", service.metadata.name.as_deref().unwrap(), Some(service));
    }
    for slice in cluster.slices() {
        records.slice("default", slice.metadata.name.as_deref().unwrap(), Some(slice));
    }
    let pods: BTreeMap<String, String> = cluster
        .pods()
        .filter_map(|pod| Some((pod.status.as_ref()?.pod_ip.clone()?, pod.metadata.name.clone()?)))
        .collect();
    let mut names = BTreeMap::new();
    for (name, rtype, rrset) in records.take().changes {
        let name = name.to_string();
        let (Some(name), Some(rrset)) = (name.strip_suffix(".default.svc.cluster.local."), rrset) else { continue };
        if rtype == RecordType::A {
            let address = |rdata: &[u8]| Ipv4Addr::from(<[u8; 4]>::try_from(rdata).unwrap()).to_string();
            let mut owners: Vec<&str> = rrset.rdata().map(|rdata| pods[&address(rdata)].as_str()).collect();
            owners.sort_unstable();
            names.insert(name.to_owned(), owners.join(","));
        }
    }
    names.into_iter().map(|(name, pods)| format!("{name}={pods}")).collect::<Vec<_>>().join(" ")
}

/// Plays a story, looks at the names, goes on.
fn check_names(name: &str, parts: &[(&str, &str)]) {
    let mut world = World::new();
    for (story, expected) in parts {
        world.play(name, story);
        assert_eq!(names(&world), *expected, "{name}: {story}");
    }
}

#[test]
fn create_pod_pvc_deleting() {
    let world = check(
        "I6",
        "
        apply web 2 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        hold www-web-1 =>
        delete PersistentVolumeClaim www-web-1; delete web-1 => ~www-web-1 T1 G1 !FailedCreate
        ? replicas=1 nth:Pod/web-1=1
        let www-web-1 => !FailedCreate -www-web-1 +www-web-1 C1:1 R1
        ? nth:PersistentVolumeClaim/www-web-1=2
        ",
    );
    let events = world.events_about(Kind::StatefulSet, "web");
    let expected =
        "Warning FailedCreate: Create Pod web-1 in StatefulSet web failed error: pvc www-web-1 is being deleted";
    assert!(events.contains(expected), "{events:?}");
}

#[test]
fn events_have_one_form() {
    let world = check(
        "M1, M2, M3, M6, M8",
        "
        apply web 2 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        delete web-0 => T0 G0 C0:1 R0
        unready web-0 => N0
        ready web-0 => R0
        scale 1 => T1 G1
        label web-0 statefulset.kubernetes.io/pod-name- => U0
        ",
    );
    let events: Vec<String> = world.events_about(Kind::StatefulSet, "web").into_iter().collect();
    let expected = [
        "Normal SuccessfulCreate: Create Claim www-web-0 Pod web-0 in StatefulSet web success",
        "Normal SuccessfulCreate: Create Claim www-web-1 Pod web-1 in StatefulSet web success",
        "Normal SuccessfulCreate: Create Pod web-0 in StatefulSet web successful",
        "Normal SuccessfulCreate: Create Pod web-1 in StatefulSet web successful",
        "Normal SuccessfulDelete: Delete Pod web-1 in StatefulSet web successful",
        "Normal SuccessfulUpdate: Update Pod web-0 in StatefulSet web successful",
    ];
    assert_eq!(events, expected, "nothing of the pod that somebody else deleted, nor of readiness");
    for event in world.controller.objects(Kind::Event) {
        let json = event.to_json();
        if json["involvedObject"]["kind"] == "StatefulSet" {
            assert_eq!(json["source"]["component"], "statefulset-controller", "M8");
        }
    }
}

#[test]
fn stale_owner_ref_on_scaleup() {
    check(
        "I16",
        "
        apply web 3 claims=www scaled=Delete => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1 +www-web-2 C2:1 R2
        hold www-web-2; scale 2 => T2 G2 ~www-web-2
        scale 3 =>
        ? replicas=2 nth:Pod/web-2=1
        let www-web-2 => -www-web-2 +www-web-2 C2:1 R2
        ? nth:PersistentVolumeClaim/www-web-2=2 nth:PersistentVolumeClaim/www-web-0=1
        ",
    );
    check(
        "I16, Retain",
        "
        apply web 2 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        scale 1 => T1 G1
        scale 2 => C1:1 R1
        ? nth:PersistentVolumeClaim/www-web-1=1
        ",
    );
    check(
        "I17",
        "
        apply web 3 claims=www scaled=Delete => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1 +www-web-2 C2:1 R2
        hold web-2; scale 1 => T2 F2
        ? claims=www-web-0(),www-web-1(Pod/web-1),www-web-2(Pod/web-2)
        scale 2 => U1
        ? claims=www-web-0(),www-web-1(),www-web-2(Pod/web-2)
        let web-2 => G2 ~www-web-2 -www-web-2
        ? claims=www-web-0(),www-web-1() nth:Pod/web-1=1
        ",
    );
}

#[test]
fn on_scaledown() {
    check(
        "I10, I11",
        "
        apply web 3 claims=www scaled=Delete => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1 +www-web-2 C2:1 R2
        ? claims=www-web-0(),www-web-1(),www-web-2()
        unready web-0; scale 1 => N0
        ? claims=www-web-0(),www-web-1(),www-web-2()
        ready web-0 => R0 T2 G2 T1 ~www-web-2 -www-web-2 G1 ~www-web-1 -www-web-1
        ? claims=www-web-0()
        ",
    );
    check(
        "I12: only scaling down",
        "
        apply web 2 claims=www scaled=Delete => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        delete web-1 => T1 G1 C1:1 R1
        fail web-1 => F1 T1 G1 C1:1 R1
        delete web-1 force => T1 G1 C1:1 R1
        image nginx:2 => T1 G1 C1:2 R1 T0 G0 C0:2 R0
        ? nth:PersistentVolumeClaim/www-web-0=1 nth:PersistentVolumeClaim/www-web-1=1
        delete sts web => T0 T1 G0 G1
        ? claims=www-web-0(),www-web-1()
        ",
    );
}

#[test]
fn when_deleted() {
    check(
        "I13",
        "
        apply web 2 claims=www,log deleted=Delete => +www-web-0 +log-web-0 C0:1 R0 +www-web-1 +log-web-1 C1:1 R1
        ? claims=log-web-0(StatefulSet/web),log-web-1(StatefulSet/web),www-web-0(StatefulSet/web),www-web-1(StatefulSet/web)
        scale 1 => T1 G1
        ? count:PersistentVolumeClaim=4
        scale 2 => C1:1 R1
        ? nth:PersistentVolumeClaim/www-web-1=1
        delete sts web => T0 T1 ~log-web-0 ~log-web-1 ~www-web-0 ~www-web-1 G0 G1 -log-web-0 -log-web-1 -www-web-0 -www-web-1
        ? count:PersistentVolumeClaim=0
        ",
    );
    check(
        "I9: by default everything stays, and the same data comes back",
        "
        apply web 2 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        ? claims=www-web-0(),www-web-1()
        delete sts web => T0 T1 G0 G1
        ? claims=www-web-0(),www-web-1()
        apply web 1 claims=www => C0:1 R0
        scale 2 => C1:1 R1
        ? nth:PersistentVolumeClaim/www-web-0=1 nth:PersistentVolumeClaim/www-web-1=1
        ",
    );
    check(
        "I20: nor do claims go with a set that leaves its pods",
        "
        apply web 1 claims=www deleted=Delete => +www-web-0 C0:1 R0
        delete sts web orphan => L0
        ? claims=www-web-0()
        delete web-0 => T0 G0
        ? claims=www-web-0()
        ",
    );
}

#[test]
fn claim_owner_matches_set_and_pod() {
    check(
        "I14: both policies",
        "
        apply web 2 claims=www deleted=Delete scaled=Delete => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        ? claims=www-web-0(StatefulSet/web),www-web-1(StatefulSet/web)
        hold web-1; scale 1 => T1 F1
        ? claims=www-web-0(StatefulSet/web),www-web-1(Pod/web-1)
        let web-1 => G1 ~www-web-1 -www-web-1
        delete sts web => T0 ~www-web-0 G0 -www-web-0
        ",
    );
    check(
        "I15: the policy changes on a set that runs",
        r#"
        apply web 1 claims=www deleted=Delete => +www-web-0 C0:1 R0
        ? claims=www-web-0(StatefulSet/web)
        edit persistentVolumeClaimRetentionPolicy={"whenDeleted":"Retain","whenScaled":"Retain"} => U0
        ? claims=www-web-0()
        edit persistentVolumeClaimRetentionPolicy={"whenDeleted":"Delete","whenScaled":"Retain"} => U0
        ? claims=www-web-0(StatefulSet/web)
        edit persistentVolumeClaimRetentionPolicy={"whenDeleted":"Retain","whenScaled":"Retain"} => U0
        delete sts web => T0 G0
        ? claims=www-web-0() nth:PersistentVolumeClaim/www-web-0=1
        "#,
    );
}

#[test]
fn orphaned_pods_with_pvc_delete_policy() {
    check(
        "I19, when deleted",
        "
        apply web 2 claims=www deleted=Delete => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        delete sts web orphan => L0 L1
        ? claims=www-web-0(),www-web-1()
        apply web 2 claims=www deleted=Delete => A0 A1 U0 U1
        ? claims=www-web-0(StatefulSet/web),www-web-1(StatefulSet/web) nth:Pod/web-0=1
        delete sts web => T0 T1 ~www-web-0 ~www-web-1 G0 G1 -www-web-0 -www-web-1
        ",
    );
    check(
        "I19, when scaled",
        "
        apply web 2 claims=www scaled=Delete => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        delete sts web orphan => L0 L1
        apply web 1 claims=www scaled=Delete => A0 A1 T1 G1 ~www-web-1 -www-web-1
        ? claims=www-web-0() nth:Pod/web-0=1
        ",
    );
}

#[test]
fn another_controller() {
    let conflict = "Warning ConflictingController: PersistentVolumeClaim www-web-1 has a conflicting OwnerReference";
    let mut world = World::new();
    let begin = "apply web 2 claims=www scaled=Delete => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1";
    world.play("I18, when scaled", begin);
    own(&mut world, &claim("www-web-1"), ("example.com/v1", "Backup", "nightly"), true);
    world.play(
        "I18, when scaled",
        "
        delete web-1 => T1 G1 C1:1 !ConflictingController R1
        scale 1 => T1 G1
        ? claims=www-web-0(),www-web-1(Backup/nightly) nth:PersistentVolumeClaim/www-web-1=1
        ",
    );
    let events = world.events_about(Kind::StatefulSet, "web");
    assert!(events.iter().any(|event| event.starts_with(conflict)), "{events:?}");

    let mut world = World::new();
    world.play("I18, a controller", "apply web 1 claims=www deleted=Delete => +www-web-0 C0:1 R0");
    own(&mut world, &claim("www-web-0"), ("example.com/v1", "Backup", "nightly"), true);
    world.play("I18, a controller", "delete sts web => T0 G0\n? claims=www-web-0(Backup/nightly)");

    // Beside an owner that does not control, the set is one more; the claim stays for as long as that one does.
    let mut world = World::new();
    world.play(
        "I18, when deleted",
        "
        service keeper =>
        apply web 1 claims=www deleted=Delete => +www-web-0 C0:1 R0
        ",
    );
    own(&mut world, &claim("www-web-0"), ("v1", "Service", "keeper"), false);
    world.play(
        "I18, when deleted",
        "
        ? claims=www-web-0(StatefulSet/web+Service/keeper)
        delete sts web => T0 G0
        ? claims=www-web-0(Service/keeper)
        delete Service keeper => ~www-web-0 -www-web-0
        ",
    );
}

#[test]
fn a_claim_that_is_there_is_used() {
    let world = check(
        "I3",
        r#"
        object {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "www-web-0"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}} => +www-web-0
        apply web 1 claims=www => C0:1 R0
        ? PersistentVolumeClaim/www-web-0/status/capacity/storage=5Gi PersistentVolumeClaim/www-web-0/metadata/labels=-
        ? Pod/web-0/spec/volumes/0/persistentVolumeClaim/claimName=www-web-0
        "#,
    );
    let events = world.events_about(Kind::StatefulSet, "web");
    assert!(events.iter().all(|event| !event.contains("Claim")), "M6: {events:?}");
}

/// A claim of a class without object, and volumes of that class: `standard` does not come in.
fn classed(replicas: usize) -> String {
    let json = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {
            "serviceName": "nginx", "replicas": replicas, "selector": {"matchLabels": {"app": "nginx"}},
            "template": {
                "metadata": {"labels": {"app": "nginx"}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]},
            },
            "volumeClaimTemplates": [{"metadata": {"name": "www"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "nfs"}}],
        },
    });
    format!("object {json}")
}

fn volume(name: &str, policy: &str) -> String {
    let json = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "nfs",
            "persistentVolumeReclaimPolicy": policy, "nfs": {"server": "a", "path": "/b"},
        },
    });
    format!("object {json}")
}

#[test]
fn pods_wait_for_their_volumes() {
    let story = format!(
        "
        service nginx =>
        {} =>
        {} => +www-web-0 C0:1 R0 +www-web-1 C1:1 !ProvisioningFailed
        ? PersistentVolumeClaim/www-web-0/status/capacity/storage=2Gi PersistentVolumeClaim/www-web-0/spec/volumeName=one
        ? PersistentVolume/one/status/phase=Bound PersistentVolume/one/spec/claimRef/name=www-web-0
        ? PersistentVolumeClaim/www-web-1/status/phase=Pending Pod/web-1/status/phase=Pending
        ? Pod/web-1/status/podIP=- Pod/web-1/spec/nodeName=- ready=1 count:Pod=2
        ",
        volume("one", "Retain"),
        classed(3)
    );
    let mut world = check("K1, K6, K7, K9", &story);
    assert_eq!(names(&world), "nginx=web-0 web-0.nginx=web-0", "K7: not in DNS");
    let events = world.events_about(Kind::PersistentVolumeClaim, "www-web-1");
    let missing = "Warning ProvisioningFailed: storageclass.storage.k8s.io \"nfs\" not found".to_owned();
    assert_eq!(events.into_iter().collect::<Vec<_>>(), [missing], "K9, M10");
    let later = format!(
        "
        {} => R1 +www-web-2 C2:1 !ProvisioningFailed
        delete PersistentVolumeClaim www-web-2 => ~www-web-2 -www-web-2 +www-web-2 !ProvisioningFailed
        ? nth:Pod/web-2=1
        {} => R2
        ? ready=3
        ",
        volume("two", "Retain"),
        volume("three", "Retain")
    );
    world.play("K8; PVC should be recreated when pod is pending due to missing PVC (E14)", &later);
}

#[test]
fn volumes_after_their_claims() {
    let begin = |policy: &str| format!("{} =>\n{} => +www-web-0 C0:1 R0\n", volume("one", policy), classed(1));
    let gone = "
        delete sts web => T0 G0
        delete PersistentVolumeClaim www-web-0 => ~www-web-0 -www-web-0
    ";
    let retained = format!(
        "{}{gone}
        ? PersistentVolume/one/status/phase=Released PersistentVolume/one/spec/claimRef/name=www-web-0
        {} => +www-web-0 C0:1 !ProvisioningFailed
        ? PersistentVolumeClaim/www-web-0/status/phase=Pending
        ",
        begin("Retain"),
        classed(1)
    );
    let mut world = check("K15 Retain", &retained);
    // Whoever clears claimRef gives the volume, and the data on it, to the next claim.
    world.edit(key(Kind::PersistentVolume, "one"), |volume| {
        volume["spec"].as_object_mut().unwrap().shift_remove("claimRef");
    });
    world.play("K15 Retain, cleared", "=> R0\n? PersistentVolumeClaim/www-web-0/spec/volumeName=one");

    let again = |policy: &str, end: &str| format!("{}{gone}{end}\n{} => +www-web-0 C0:1 R0", begin(policy), classed(1));
    check("K15 Recycle", &again("Recycle", "? PersistentVolume/one/status/phase=Available"));
    check("K15 Delete", &format!("{}{gone}\n? count:PersistentVolume=0", begin("Delete")));

    let lost = format!(
        "{}
        delete PersistentVolume one =>
        ? PersistentVolume/one/status/phase=Bound
        ",
        begin("Retain")
    );
    check("K18", &lost);
}

#[test]
fn get_pods_for_stateful_set_adopt() {
    let mut world = World::new();
    world.play(
        "L1, L3, L5, A4",
        "
        pod web-0 app=nginx => C0:0 R0
        pod web-1 app=other => C1:0 R1
        pod xweb-2 app=nginx => Cxweb-2:0 Rxweb-2
        pod web-7 app=nginx => C7:0 R7
        pod web-2 app=nginx => C2:0 R2
        ",
    );
    own(&mut world, &key(Kind::Pod, "web-2"), ("example.com/v1", "Queue", "web"), true);
    world.play(
        "L1, L3, L5, A4",
        "
        => A2
        apply web 1 => A0 A7 U0 T7 G7 T0 G0 C0:1 R0
        ? pods=web-0:1,web-1:0,web-2:0,xweb-2:0
        ",
    );
}

#[test]
fn get_pods_for_stateful_set_release() {
    check(
        "L2, N17",
        "
        apply web 2 => C0:1 R0 C1:1 R1
        label web-0 app=other => L0
        ? replicas=1 ready=1 pods=web-0:1,web-1:1 nth:Pod/web-0=1
        run 60s =>
        label web-0 app=nginx => A0
        ? replicas=2 ready=2 nth:Pod/web-0=1
        label web-1 app=other => L1
        delete web-1 => T1 G1 C1:1 R1
        ? nth:Pod/web-1=2
        ",
    );
    check_names(
        "N16, N17",
        &[
            (
                "service nginx =>\napply web 2 => C0:1 R0 C1:1 R1",
                "nginx=web-0,web-1 web-0.nginx=web-0 web-1.nginx=web-1",
            ),
            ("label web-0 app=other => L0", "nginx=web-1 web-1.nginx=web-1"),
            ("label web-0 app=nginx => A0", "nginx=web-0,web-1 web-0.nginx=web-0 web-1.nginx=web-1"),
        ],
    );
}

#[test]
fn add_pod_orphan_of_overlapping_sets() {
    check(
        "L4",
        "
        apply web 2 => C0:1 R0 C1:1 R1
        apply db 2 => Cdb-0:1 Rdb-0 Cdb-1:1 Rdb-1
        delete sts web orphan => L0 L1
        run 60s =>
        ? pods=db-0:1,db-1:1,web-0:1,web-1:1 db:replicas=2
        apply web 2 => A0 A1
        scale db 1 => Tdb-1 Gdb-1
        ? pods=db-0:1,web-0:1,web-1:1 nth:Pod/web-0=1 nth:Pod/db-0=1
        ",
    );
}

/// A ControllerRevision that nobody owns.
fn revision(name: &str) -> String {
    let json = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": name, "labels": {"app": "nginx"}},
        "revision": 7, "data": {"spec": {"template": {"$patch": "replace", "spec": {"containers": []}}}},
    });
    format!("object {json}")
}

#[test]
fn adopt_orphan_revisions() {
    let story = format!(
        "
        {} =>
        ? ControllerRevision/web-old/metadata/ownerReferences=-
        apply web 1 => C0:1 R0
        ? ControllerRevision/web-old/metadata/ownerReferences/0/name=web count:ControllerRevision=2
        ? revisions=7:-,8:1
        ",
        revision("web-old")
    );
    check("G8", &story);
}

#[test]
fn adopt_orphan_revisions_deletion_timestamp_race() {
    let story = format!(
        "
        apply web 2 => C0:1 R0 C1:1 R1
        hold web-0; delete sts web foreground => T0 T1 F0 G1
        {} =>
        ? ControllerRevision/web-old/metadata/ownerReferences=-
        pod web-1 app=nginx => C1:0 R1
        ? replicas=1
        let web-0 => G0
        ? StatefulSet/web=- pods=web-1:0
        ",
        revision("web-old")
    );
    check("L3, L8, G8, H12: a set that is being deleted adopts nothing and makes nothing", &story);
}

#[test]
fn deletion_timestamp() {
    check(
        "L6: all at once, in no order",
        "
        service nginx =>
        apply web 3 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1 +www-web-2 C2:1 R2
        delete sts web => T0 T1 T2 G0 G1 G2
        ? count:PersistentVolumeClaim=3 count:PersistentVolume=3 count:Service=1 count:ControllerRevision=0
        ",
    );
    check(
        "L9: in order by scaling down first",
        "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        scale 0 => T2 G2 T1 G1 T0 G0
        delete sts web =>
        ",
    );
    check(
        "L11: a new set waits for the names",
        "
        apply web 2 => C0:1 R0 C1:1 R1
        hold web-0; delete sts web => T0 T1 F0 G1
        apply web 2 =>
        ? replicas=0 pods=web-0:1
        let web-0 => G0 C0:1 R0 C1:1 R1
        ? nth:StatefulSet/web=2 nth:Pod/web-0=2
        ",
    );
    check(
        "L12: so does a file that goes and comes back",
        "
        apply web 1 claims=www => +www-web-0 C0:1 R0
        withdraw StatefulSet web => T0 G0
        ? count:PersistentVolumeClaim=1
        apply web 1 claims=www => C0:1 R0
        ? nth:PersistentVolumeClaim/www-web-0=1
        ",
    );
}

#[test]
fn services_and_pods_come_and_go_alone() {
    let other = r#"object {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nginx"}, "spec": {"clusterIP": "None", "selector": {"statefulset.kubernetes.io/pod-name": "web-1"}}} =>"#;
    check_names(
        "L10, N5, N7, N16, N18",
        &[
            ("apply web 2 => C0:1 R0 C1:1 R1", ""),
            ("service nginx =>", "nginx=web-0,web-1 web-0.nginx=web-0 web-1.nginx=web-1"),
            (other, "nginx=web-1 web-1.nginx=web-1"),
            ("service nginx =>\nhold web-0; delete web-0 => T0 F0", "nginx=web-1 web-1.nginx=web-1"),
            ("let web-0 => G0 C0:1 R0", "nginx=web-0,web-1 web-0.nginx=web-0 web-1.nginx=web-1"),
            ("unready web-1 => N1", "nginx=web-0 web-0.nginx=web-0"),
            ("unready web-0 => N0", ""),
            ("ready web-0 => R0", "nginx=web-0 web-0.nginx=web-0"),
            ("fail web-0 => F0 T0 G0 C0:1 R0", "nginx=web-0 web-0.nginx=web-0"),
            ("delete Service nginx =>\n? count:EndpointSlice=0 count:Pod=2", ""),
        ],
    );
}

#[test]
fn names_come_at_ready_and_go_with_deletion() {
    check_names(
        "N6, N8, N21",
        &[
            (
                "service nginx =>\napply web 2 min-ready=30 note=simulation.headless-dns/stop-after:8s => C0:1 R0\n? ready=1 available=0",
                "nginx=web-0 web-0.nginx=web-0",
            ),
            ("run 31s => C1:1 R1", "nginx=web-0,web-1 web-0.nginx=web-0 web-1.nginx=web-1"),
            ("run 31s =>\nscale 1; run 1s => T1\n? ready=2", "nginx=web-0 web-0.nginx=web-0"),
        ],
    );
    let publishing = r#"object {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nginx"}, "spec": {"clusterIP": "None", "selector": {"app": "nginx"}, "publishNotReadyAddresses": true}} =>"#;
    check_names(
        "N6, N9: published before it is ready and until it is gone",
        &[
            (publishing, ""),
            (
                "apply web 2 image=broken:1 note=simulation.headless-dns/stop-after:8s => C0:1",
                "nginx=web-0 web-0.nginx=web-0",
            ),
            ("delete web-0; run 1s => T0", "nginx=web-0 web-0.nginx=web-0"),
            ("scale 0 => G0", ""),
        ],
    );
    let mut world = World::new();
    world.play("N9: no address, no name", publishing);
    world.play("N9: no address, no name", &format!("{} => +www-web-0 C0:1 !ProvisioningFailed", classed(1)));
    assert_eq!(names(&world), "");
}

#[test]
fn a_service_of_many_pods_has_several_slices() {
    let mut world = World::new();
    let ready: Vec<String> = (0..150).map(|ordinal| format!("web-{ordinal}")).collect();
    for object in ["service nginx =>", "? count:EndpointSlice=1"] {
        world.play("N19", object);
    }
    let mut expected = ready.clone();
    expected.sort();
    let pods: Vec<String> = (0..150).map(|n| format!("C{n}:1")).chain((0..150).map(|n| format!("R{n}"))).collect();
    world.play("N19", &format!("apply web 150 parallel => {}\n? count:EndpointSlice=2", pods.join(" ")));
    let all = names(&world);
    let first = all.split(' ').next().unwrap();
    assert_eq!(first, format!("nginx={}", expected.join(",")), "the union of all slices");
}

#[test]
fn storage_is_put_back_into_a_pod() {
    // UpdatesPodStorage: a template volume gives way to the claim of its name.
    check(
        "I4, I8, I22",
        r#"
        apply web 1 claims=www,log => +www-web-0 +log-web-0 C0:1 R0
        ? Pod/web-0/spec/volumes/0/name=www Pod/web-0/spec/volumes/1/persistentVolumeClaim/claimName=log-web-0
        ? PersistentVolumeClaim/www-web-0/metadata/labels={"app":"nginx"}
        apply db 1 => Cdb-0:1 Rdb-0
        ? count:PersistentVolumeClaim=2 Pod/db-0/spec/volumes=-
        delete Pod web-0 => T0 G0 C0:1 R0
        ? nth:PersistentVolumeClaim/www-web-0=1 nth:PersistentVolumeClaim/log-web-0=1
        "#,
    );
    check(
        "I7: protected while a pod uses it",
        "
        apply web 1 claims=www => +www-web-0 C0:1 R0
        delete PersistentVolumeClaim www-web-0 => ~www-web-0
        run 60s =>
        ? ready=1 nth:PersistentVolumeClaim/www-web-0=1
        delete web-0 => T0 G0 !FailedCreate -www-web-0 +www-web-0 C0:1 R0
        ",
    );
}
