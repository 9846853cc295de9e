//! Rules of StatefulSets that no test of upstream's is named after, and what this program promises on top; the letters
//! are those of `docs/conformance-statefulset.md`.
//!
//! The notation is that of [`crate::support::rows`].

use crate::support::rows::{World, check};

/// Declares a test of each story: function name, the lines it proves, the story.
macro_rules! stories {
    ($($test:ident $name:literal $story:literal)*) => {$(
        #[test]
        fn $test() {
            check($name, $story);
        }
    )*};
}

stories! {
    one_replica_by_default "B7, C3, F4" "
        object {\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"web\"},\"spec\":{\
            \"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\
            \"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"nginx:1\"}]}}}} => C0:1 R0
        ? StatefulSet/web/spec/podManagementPolicy=OrderedReady StatefulSet/web/spec/replicas=1
        ? StatefulSet/web/spec/updateStrategy/type=RollingUpdate
        ? StatefulSet/web/spec/updateStrategy/rollingUpdate/partition=0
        ? StatefulSet/web/spec/revisionHistoryLimit=10
    "
    sets_of_one_name_in_two_namespaces "A14" "
        apply web 1; apply web 1 namespace=team => C0:1 C0:1 R0 R0
        scale 2 => C1:1 R1
        ? pods=web-0:1,web-1:1,web-0:1
        delete sts web => T0 T1 G0 G1
        ? pods=web-0:1
    "
    labels_and_notes_of_the_template "A12" "
        apply web 1 note=team:blue => C0:1 R0
        ? Pod/web-0/metadata/annotations/team=blue Pod/web-0/metadata/labels/app=nginx
    "
    every_lower_pod_is_waited_for "B2, B6" "
        apply web 2 => C0:1 R0 C1:1 R1
        unready web-0; scale 3; run 10m => N0
        ? pods=web-0:1,web-1:1
        ready web-0 => R0 C2:1 R2
    "
    no_service_is_needed "B11" "
        apply web 2 => C0:1 R0 C1:1 R1
        ? count:Service=0 count:EndpointSlice=0
        service nginx =>
        ? count:EndpointSlice=1 nth:Pod/web-0=1 nth:Pod/web-1=1
    "
    a_condemned_pod_does_not_come_back "D4" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        scale 1; delete web-2 => T2 G2 T1 G1
    "
    a_condemned_pod_that_terminates_is_waited_for "D8" "
        apply web 4 => C0:1 R0 C1:1 R1 C2:1 R2 C3:1 R3
        hold web-3; delete web-3; scale 2 => T3 F3
        let web-3 => G3 T2 G2
    "
    one_that_runs_but_is_not_ready "E1" "
        apply web 2 image=broken:1 parallel => C0:1 C1:1
        ? replicas=2 ready=0 available=0 Pod/web-0/status/phase=Running
    "
    an_unreachable_pod_is_not_replaced "E13" "
        apply web 2 => C0:1 R0 C1:1 R1
        unready web-1; run 60m => N1
        ? replicas=2 ready=1 nth:Pod/web-1=1
        delete web-1 force => T1 G1 C1:1 R1
    "
    the_replacement_never_meets_the_old_one "E9, E11" "
        apply web 2 parallel grace=60 note=simulation.headless-dns/stop-after:50s => C0:1 C1:1 R0 R1
        delete web-0; run 49s => T0
        ? replicas=2 nth:Pod/web-0=1
        run 2s => G0 C0:1 R0
        ? nth:Pod/web-0=2
    "
    deleting_again_is_no_second_deletion "E10" "
        apply web 1 grace=60 note=simulation.headless-dns/stop-after:50s => C0:1 R0
        delete web-0; run 5s => T0
        delete web-0; run 5s =>
        delete web-0 force => G0 C0:1 R0
    "
    an_update_deletes_no_pod_twice "F14, F15" "
        apply web 2 => C0:1 R0 C1:1 R1
        hold web-1; image nginx:2; run 60s => T1 F1
        let web-1 => G1 C1:2 R1 T0 G0 C0:2 R0
    "
    partition_and_zero_replicas "Z5" "
        apply web 2 partition=1 => C0:1 R0 C1:1 R1
        image nginx:2 => T1 G1 C1:2 R1
        scale 0 => T1 G1 T0 G0
        ? rolled=true
        scale 2 => C0:2 R0 C1:2 R1
    "
    current_becomes_update_before_all_are_available "Z3" "
        apply web 1 min-ready=8 => C0:1 R0
        image nginx:2; run 2s => T0 G0 C0:2 R0
        ? rolled=true ready=1 available=0
    "
    counts_of_a_scale_down_hold_terminating_pods "H1, H2" "
        apply web 2 grace=30 note=simulation.headless-dns/stop-after:5s => C0:1 R0 C1:1 R1
        scale 1; run 1s => T1
        ? replicas=2 ready=2 current=1 updated=1
        run 6s => G1
        ? replicas=1 ready=1
    "
    generation_follows_the_spec_alone "H7" "
        apply web 1 => C0:1 R0
        ? generation=1 observed=1
        scale 2 => C1:1 R1
        ? generation=2 observed=2
        unready web-1 => N1
        ? generation=2 observed=2
    "
    restart_in_mid_rollout "P1" "
        apply web 3 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1 +www-web-2 C2:1 R2
        image nginx:2; run 400ms => T2 G2 C2:2
        restart => R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0
        ? nth:PersistentVolumeClaim/www-web-0=1 revisions=1:1,2:2 rolled=true
        restart; run 10m =>
    "
    restart_in_mid_scale_down "P1" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        scale 0; run 100ms => T2
        restart => G2 T1 G1 T0 G0
    "
    timers_go_on_after_a_restart "P1, H13" "
        apply web 2 min-ready=20; run 10s => C0:1 R0
        restart; run 9s =>
        ? available=0
        run 2s => C1:1 R1
        restart; run 15s =>
        ? available=1
        run 10s =>
        ? available=2
    "
    only_the_last_of_rapid_edits_counts "P2" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        image nginx:2; image nginx:3; scale 5; scale 1; image nginx:1; scale 3 =>
        ? pods=web-0:1,web-1:1,web-2:1 count:ControllerRevision=1
        image nginx:2; run 100ms => T2
        image nginx:1; run 100ms; scale 2; run 50ms; scale 3 => G2 C2:1 R2
    "
    a_stuck_set_delays_no_other "P5" "
        apply web 2 image=broken:1; apply db 3 image=nginx:1 => C0:1 Cdb-0:1 Rdb-0 Cdb-1:1 Rdb-1 Cdb-2:1 Rdb-2
        scale db 0 => Tdb-2 Gdb-2 Tdb-1 Gdb-1 Tdb-0 Gdb-0
    "
}

/// A5, A8, G1, G5: same names, another uid and address; the revision is named by the template alone.
#[test]
fn what_a_recreated_pod_keeps() {
    let mut world = check("A5", "apply web 2 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1");
    let revision = world.look("StatefulSet/web/status/updateRevision");
    assert_eq!(world.look("StatefulSet/web/status/currentRevision"), revision, "G5");
    assert_eq!(world.look("Pod/web-1/metadata/labels/controller-revision-hash"), revision, "A8");
    let of_pod = |world: &World, field: &str| world.look(&format!("Pod/web-1/{field}"));
    let changing = ["metadata/uid", "status/podIP"];
    let kept = ["metadata/name", "spec/hostname", "spec/subdomain", "spec/volumes/0/persistentVolumeClaim/claimName"];
    let before: Vec<String> = changing.iter().chain(&kept).map(|field| of_pod(&world, field)).collect();
    let volume = world.look("PersistentVolumeClaim/www-web-1/spec/volumeName");
    world.play("A5", "delete web-1 => T1 G1 C1:1 R1");
    for (field, before) in changing.iter().chain(&kept).zip(before) {
        assert_eq!(of_pod(&world, field) == before, kept.contains(field), "{field} was {before}");
    }
    assert_eq!(world.look("PersistentVolumeClaim/www-web-1/spec/volumeName"), volume);
    world
        .play("G1", "delete sts web => T0 T1 G0 G1\n ? count:ControllerRevision=0\n apply web 1 claims=www => C0:1 R0");
    assert_eq!(world.look("StatefulSet/web/status/updateRevision"), revision, "G1: same template, same name");
}

/// E2: a crash is the kubelet's business.
#[test]
fn a_crash_keeps_the_pod() {
    let mut world = check("E2", "apply web 1 note=simulation.headless-dns/crash-loop:2s; run 1s => C0:1 R0");
    let identity = |world: &World| [world.look("Pod/web-0/metadata/uid"), world.look("Pod/web-0/status/podIP")];
    let before = identity(&world);
    world.play("E2", "run 2s => N0 R0\n run 4s => N0\n ? ready=0 replicas=1");
    assert_eq!(identity(&world), before);
    assert_ne!(world.look("Pod/web-0/status/containerStatuses/0/restartCount"), "0");
    assert_eq!(world.look("nth:Pod/web-0"), "1");
    assert_eq!(
        world.events_about(headless_dns::objects::object::Kind::StatefulSet, "web").len(),
        1,
        "its creation only"
    );
}

/// P4: a set, its Service, class and volume come to the same, whatever comes first.
#[test]
fn manifests_in_any_order_come_to_the_same() {
    let manifests = [
        "apply web 2 claims=www",
        "service nginx",
        "object {\"apiVersion\":\"storage.k8s.io/v1\",\"kind\":\"StorageClass\",\"metadata\":{\"name\":\"standard\",\
         \"annotations\":{\"storageclass.kubernetes.io/is-default-class\":\"true\"}},\"provisioner\":\"example.com/none\"}",
        "object {\"apiVersion\":\"v1\",\"kind\":\"PersistentVolume\",\"metadata\":{\"name\":\"one\"},\"spec\":{\
         \"capacity\":{\"storage\":\"1Gi\"},\"accessModes\":[\"ReadWriteOnce\"],\"storageClassName\":\"standard\",\
         \"hostPath\":{\"path\":\"/one\"}}}",
    ];
    let mut outcomes = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let mut world = World::new();
        let operations = order.map(|at| manifests[at]).join("; ");
        world.play_any(&operations);
        outcomes.push(
            ["pods", "claims", "ready", "PersistentVolume/one/spec/claimRef/name", "count:EndpointSlice"]
                .map(|what| world.look(what)),
        );
    }
    assert_eq!(outcomes[0][3], "www-web-0");
    for outcome in &outcomes {
        assert_eq!(outcome, &outcomes[0]);
    }
}
