//! Upstream's own unit and end-to-end tests of StatefulSets (identity, scaling, failures, updates, history, status), each
//! told as a story under the name of the test it stands for. Volumes, ownership and slices: `tests/control_plane/upstream_volumes.rs`.
//!
//! The notation is that of [`crate::support::rows`].

use crate::support::rows::check;

/// Declares a test of each story: function name, upstream's name, the story.
macro_rules! stories {
    ($($test:ident $name:literal $story:literal)*) => {$(
        #[test]
        fn $test() {
            check($name, $story);
        }
    )*};
}

// Identity.
stories! {
    creates_pods "CreatesPods" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        ? replicas=3 ready=3 available=3 current=3 updated=3 rolled=true observed=1 generation=1
        ? Pod/web-2/metadata/labels/apps.kubernetes.io~1pod-index=2
        ? Pod/web-2/metadata/labels/statefulset.kubernetes.io~1pod-name=web-2
        ? Pod/web-2/metadata/labels/app=nginx
        ? Pod/web-2/metadata/ownerReferences/0/kind=StatefulSet
        ? Pod/web-2/metadata/ownerReferences/0/controller=true
        ? Pod/web-2/metadata/ownerReferences/0/blockOwnerDeletion=true
    "
    creates_pods_with_start_ordinal "CreatesPodsWithStartOrdinal" "
        apply web 3 start=2 => C2:1 R2 C3:1 R3 C4:1 R4
        ? Pod/web-4/metadata/labels/apps.kubernetes.io~1pod-index=4 Pod/web-4/spec/hostname=web-4
    "
    setting_start_ordinal "Setting .start.ordinal" "
        apply web 2 => C0:1 R0 C1:1 R1
        edit ordinals={\"start\":2} => C2:1 R2 C3:1 R3 T1 G1 T0 G0
        ? pods=web-2:1,web-3:1 replicas=2 updated=2
    "
    increasing_start_ordinal "Increasing .start.ordinal" "
        apply web 3 start=2 => C2:1 R2 C3:1 R3 C4:1 R4
        edit ordinals.start=4 => C5:1 R5 C6:1 R6 T3 G3 T2 G2
    "
    decreasing_start_ordinal "Decreasing .start.ordinal" "
        apply web 3 start=3 => C3:1 R3 C4:1 R4 C5:1 R5
        edit ordinals.start=2 => C2:1 R2 T5 G5
    "
    removing_start_ordinal "Removing .start.ordinal" "
        apply web 2 start=3 => C3:1 R3 C4:1 R4
        edit ordinals=null => C0:1 R0 C1:1 R1 T4 G4 T3 G3
    "
    get_pods_for_stateful_set_adopt "TestGetPodsForStatefulSetAdopt" "
        pod web-0 app=nginx; pod xweb-2 app=nginx; pod web-1 app=else; run 1s => C0:0 Cxweb-2:0 C1:0 R0 Rxweb-2 R1
        apply web 2 => A0 U0
        ? nth:Pod/web-0=1 nth:Pod/xweb-2=1 Pod/xweb-2/metadata/ownerReferences=- Pod/web-1/metadata/ownerReferences=-
    "
    an_orphan_with_a_leading_zero "isMemberOf, where upstream adopts it and cannot rename it: it is left as it is" "
        pod web-01 app=nginx; run 1s => C01:0 R01
        apply web 2 => C0:1 R0 C1:1 R1
        ? Pod/web-01/metadata/ownerReferences=- nth:Pod/web-01=1 replicas=2 ready=2
        scale 0 => T1 G1 T0 G0
        ? nth:Pod/web-01=1 replicas=0
    "
    adopts_matching_orphans "should adopt matching orphans and release non-matching pods" "
        apply web 1 => C0:1 R0
        label web-0 app=else => L0
        ? replicas=0 nth:Pod/web-0=1
        label web-0 app=nginx => A0
        ? replicas=1 ready=1 nth:Pod/web-0=1
    "
    check_hostname "should provide basic identity (CheckHostname)" "
        apply web 2 => C0:1 R0 C1:1 R1
        ? Pod/web-0/spec/hostname=web-0 Pod/web-1/spec/hostname=web-1 Pod/web-1/spec/subdomain=nginx
        delete web-1 => T1 G1 C1:1 R1
        ? Pod/web-1/spec/hostname=web-1 Pod/web-1/spec/subdomain=nginx nth:Pod/web-1=2
    "
    update_pod_failure "UpdatePodFailure: identity comes back in place" "
        apply web 2 => C0:1 R0 C1:1 R1
        label web-1 statefulset.kubernetes.io/pod-name- => U1
        ? Pod/web-1/metadata/labels/statefulset.kubernetes.io~1pod-name=web-1 nth:Pod/web-1=1
        label web-1 statefulset.kubernetes.io/pod-name=web-7 => U1
        ? Pod/web-1/metadata/labels/statefulset.kubernetes.io~1pod-name=web-1 nth:Pod/web-1=1
        label web-1 apps.kubernetes.io/pod-index- =>
        ? Pod/web-1/metadata/labels/apps.kubernetes.io~1pod-index=-
    "
}

// Creating, scaling.
stories! {
    scaling_in_predictable_order
    "Scaling should happen in predictable order and halt if any stateful pod is unhealthy" "
        apply web 1 => C0:1 R0
        unready web-0; scale 3 => N0
        ? replicas=1 ready=0
        ready web-0 => R0 C1:1 R1 C2:1 R2
        unready web-0; scale 0 => N0 T2 G2 T1 G1 T0 G0
        ? replicas=0 count:Pod=0
    "
    stateful_set_controller_blocks_scaling "TestStatefulSetControllerBlocksScaling" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        hold web-0; delete web-0; scale 5 => T0 F0
        ? replicas=3
        let web-0 => G0 C0:1 R0 C3:1 R3 C4:1 R4
    "
    blocks_scaling_of_a_condemned_pod "TestStatefulSetControllerBlocksScaling (scaling down)" "
        apply web 4 => C0:1 R0 C1:1 R1 C2:1 R2 C3:1 R3
        hold web-3; delete web-3; scale 2 => T3 F3
        let web-3 => G3 T2 G2
    "
    no_deadlock_when_a_predecessor_fails "should not deadlock when a pod's predecessor fails" "
        apply web 2 => C0:1 R0 C1:1 R1
        unready web-1 => N1
        delete web-0 => T0 G0 C0:1 R0
        ready web-1 => R1
        ? ready=2
    "
    claim_failure_stops_the_pod "TestStatefulPodControlCreatePodPvcFailure" "
        apply web 2 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        hold www-web-1; delete web-1; delete PersistentVolumeClaim www-web-1 => T1 ~www-web-1 G1 !FailedCreate
        ? count:Pod=1 replicas=1 ready=1
        let www-web-1 => !FailedCreate -www-web-1 +www-web-1 C1:1 R1
    "
    create_pod_failure "CreatePodFailure, TestStatefulSetStatusUpdate: the status is written all the same" "
        apply web 3 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1 +www-web-2 C2:1 R2
        hold www-web-0; delete web-0 force; delete PersistentVolumeClaim www-web-0; scale 2
            => T0 G0 ~www-web-0 !FailedCreate
        ? replicas=2 ready=2 observed=2 generation=2
        let www-web-0 => !FailedCreate -www-web-0 +www-web-0 C0:1 R0 T2 G2
        ? replicas=2 ready=2
    "
    a_name_that_is_taken "CreatePodFailure (AlreadyExists)" "
        pod web-1 app=else; run 1s => C1:0 R1
        apply web 2; run 30s => C0:1 R0
        ? replicas=1 ready=1 count:Pod=2
        delete web-1 => T1 G1 C1:1 R1
    "
    burst_scaling "Burst scaling should run to completion even with unhealthy pods" "
        apply web 3 parallel image=broken:x => C0:x C1:x C2:x
        ? replicas=3 ready=0
        scale 0 => T2 T1 T0 G2 G1 G0
        ? replicas=0
    "
    parallel_scale "TestParallelScale" "
        apply web 3 parallel => C0:1 C1:1 C2:1 R0 R1 R2
        scale 5 => C3:1 C4:1 R3 R4
        unready web-1; scale 2 => N1 T4 T3 T2 G4 G3 G2
        ready web-1; scale 0 => R1 T1 T0 G1 G0
    "
    a_terminating_pod_blocks_no_other_in_parallel "TestParallelScale (terminating)" "
        apply web 3 parallel => C0:1 C1:1 C2:1 R0 R1 R2
        hold web-1; delete web-1; scale 4 => T1 C3:1 F1 R3
        let web-1 => G1 C1:1 R1
    "
    scale_down_halts_with_unhealthy_pods "Scale down will halt with unhealthy stateful pod" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        unready web-0; scale 1 => N0
        ready web-0 => R0 T2 G2 T1 G1
        scale 3 => C1:1 R1 C2:1 R2
        unready web-1; unready web-2; scale 0 => N1 N2
        ? replicas=3
        ready web-2 => R2 T2 G2 T1 G1 T0 G0
    "
    one_unhealthy_condemned_pod_does_not_halt "Scale down will halt with unhealthy stateful pod (one)" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        unready web-2; scale 0 => N2 T2 G2 T1 G1 T0 G0
    "
    scale_down_to_zero_and_back "Should be able to scale to zero" "
        apply web 2 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        scale 0 => T1 G1 T0 G0
        ? claims=www-web-0(),www-web-1() replicas=0
        scale 2 => C0:1 R0 C1:1 R1
        ? nth:PersistentVolumeClaim/www-web-0=1 nth:Pod/web-0=2
    "
    pods_wait_until_lower_ones_are_available "MinReadySeconds should be honored when enabled" "
        apply web 2 min-ready=10; run 9s => C0:1 R0
        ? ready=1 available=0
        run 2s => C1:1 R1
        ? ready=2 available=1
        run 10s =>
        ? ready=2 available=2
    "
}

// Failures and deletions.
stories! {
    recreates_failed_pod "RecreatesFailedPod" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        fail web-1 => F1 T1 G1 C1:1 R1
        ? nth:Pod/web-1=2 nth:Pod/web-0=1 nth:Pod/web-2=1
    "
    recreates_succeeded_pod "RecreatesSucceededPod" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        succeed web-0 => F0 T0 G0 C0:1 R0
        ? nth:Pod/web-0=2
    "
    recreates_evicted_stateful_set "Should recreate evicted statefulset" "
        apply web 1 note=simulation.headless-dns/evict-after:2s; run 4s => C0:1 R0 F0 T0 G0 C0:1 R0
        ? nth:Pod/web-0=2
    "
    recreates_failed_pod_with_delete_failure "RecreatesFailedPodWithDeleteFailure: deleted once" "
        apply web 2 => C0:1 R0 C1:1 R1
        hold web-0; fail web-0; run 120s => F0 T0
        ? nth:Pod/web-0=1
        let web-0 => G0 C0:1 R0
    "
    a_failed_pod_waits_for_its_predecessors "RecreatesFailedPod (in order)" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        unready web-0; fail web-2 => N0 F2
        ready web-0 => R0 T2 G2 C2:1 R2
    "
    recreates_claim_for_pending_pod "RecreatesPVCForPendingPod" "
        object {\"apiVersion\":\"storage.k8s.io/v1\",\"kind\":\"StorageClass\",\"metadata\":{\"name\":\"standard\"},\
            \"provisioner\":\"example.com/none\"}; apply web 1 claims=www => +www-web-0 C0:1
        ? Pod/web-0/status/phase=Pending
        delete PersistentVolumeClaim www-web-0 => ~www-web-0 -www-web-0 +www-web-0
        ? Pod/web-0/status/phase=Pending nth:Pod/web-0=1 nth:PersistentVolumeClaim/www-web-0=2
        withdraw StorageClass standard => R0
        ? nth:Pod/web-0=1
    "
    deleting_all_pods "should recreate all pods in order" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        delete all => T0 T1 T2 G0 G1 G2 C0:1 R0 C1:1 R1 C2:1 R2
    "
    forced_deletion "should delete pods with grace period zero at once" "
        apply web 2 => C0:1 R0 C1:1 R1
        delete web-1 force => T1 G1 C1:1 R1
        delete web-1; delete web-1 => T1 G1 C1:1 R1
        ? nth:Pod/web-1=3
    "
    a_process_that_ignores_its_signal "terminationGracePeriodSeconds" "
        apply web 2 grace=4 note=simulation.headless-dns/stop-after:1m => C0:1 R0 C1:1 R1
        delete web-1; run 3s => T1
        ? replicas=2 ready=2
        run 2s => G1 C1:1 R1
    "
}

// Updates.
stories! {
    rolling_update "should perform rolling updates and roll backs of template modifications" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        ? revisions=1:1
        image nginx:2 => T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0
        ? revisions=1:1,2:2 rolled=true current=3 updated=3
        image nginx:1 => T2 G2 C2:1 R2 T1 G1 C1:1 R1 T0 G0 C0:1 R0
        ? revisions=2:2,3:1 rolled=true
    "
    rollback_with_claims "should perform rolling updates and roll backs of template modifications with PVCs" "
        apply web 2 claims=www => +www-web-0 C0:1 R0 +www-web-1 C1:1 R1
        image nginx:2 => T1 G1 C1:2 R1 T0 G0 C0:2 R0
        image nginx:1 => T1 G1 C1:1 R1 T0 G0 C0:1 R0
        ? nth:PersistentVolumeClaim/www-web-0=1 nth:PersistentVolumeClaim/www-web-1=1 revisions=2:2,3:1
    "
    rollback_test "rollbackTest: one that is broken first holds the update up" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        unready web-1; image nginx:2 => N1
        ? updated=0 replicas=3
        ready web-1 => R1 T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0
        unready web-1; image nginx:1 => N1
        ready web-1 => R1 T2 G2 C2:1 R2 T1 G1 C1:1 R1 T0 G0 C0:1 R0
        ? revisions=2:2,3:1 rolled=true
    "
    only_the_template_makes_a_revision "no update without a change of the template" "
        apply web 2 => C0:1 R0 C1:1 R1
        edit revisionHistoryLimit=5 minReadySeconds=1 updateStrategy.rollingUpdate.partition=1 =>
        ? count:ControllerRevision=1 generation=4 observed=4
        edit template.metadata.annotations={\"a\":\"b\"} updateStrategy.rollingUpdate.partition=0
            => T1 G1 C1:1 R1 T0 G0 C0:1 R0
        ? count:ControllerRevision=2
    "
    update_with_partition "TestStatefulSetControlRollingUpdateWithPartition" "
        apply web 3 partition=2 => C0:1 R0 C1:1 R1 C2:1 R2
        image nginx:2 => T2 G2 C2:2 R2
        ? pods=web-0:1,web-1:1,web-2:2 current=2 updated=1 rolled=false
    "
    canary "should perform canary updates and phased rolling updates of template modifications" "
        apply web 3 partition=3 => C0:1 R0 C1:1 R1 C2:1 R2
        image nginx:2 =>
        ? rolled=false updated=0 current=3
        partition 2 => T2 G2 C2:2 R2
        delete web-0; run 2s => T0 G0 C0:1 R0
        delete web-2; run 2s => T2 G2 C2:2 R2
        ? pods=web-0:1,web-1:1,web-2:2
        partition 1 => T1 G1 C1:2 R1
        ? updated=2 current=1 rolled=false
        partition 0 => T0 G0 C0:2 R0
        ? updated=3 current=3 rolled=true
    "
    partition_takes_nothing_back "TestStatefulSetControlRollingUpdateWithPartition (raised)" "
        apply web 3 partition=1 => C0:1 R0 C1:1 R1 C2:1 R2
        image nginx:2 => T2 G2 C2:2 R2 T1 G1 C1:2 R1
        partition 3 =>
        delete web-2 => T2 G2 C2:1 R2
        ? pods=web-0:1,web-1:2,web-2:1
    "
    partition_counts_from_the_start "TestStatefulSetControlRollingUpdateWithPartition (start ordinal)" "
        apply web 9 start=2 partition=5 parallel => C2:1 C3:1 C4:1 C5:1 C6:1 C7:1 C8:1 C9:1 C10:1 \
            R2 R3 R4 R5 R6 R7 R8 R9 R10
        image nginx:2 => T10 G10 C10:2 R10 T9 G9 C9:2 R9 T8 G8 C8:2 R8 T7 G7 C7:2 R7
        delete web-6; delete web-7 => T6 T7 G6 G7 C6:1 C7:2 R6 R7
    "
    deleting_pod_for_rolling_update_partition "deletingPodForRollingUpdatePartitionTest" "
        apply web 2 partition=1 => C0:1 R0 C1:1 R1
        image nginx:2 => T1 G1 C1:2 R1
        hold web-0; delete web-0 => T0 F0
        ? ready=1 replicas=2 nth:Pod/web-0=1
        let web-0 => G0 C0:1 R0
        ? ready=2 pods=web-0:1,web-1:2
    "
    image_update_and_scale_up "image update and scale up" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        image nginx:2; scale 5 => C3:2 R3 C4:2 R4 T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0
    "
    image_update_and_scale_down "image update and scale down" "
        apply web 5 => C0:1 R0 C1:1 R1 C2:1 R2 C3:1 R3 C4:1 R4
        image nginx:2; scale 3 => T4 G4 T3 G3 T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0
    "
    lost_in_mid_rollout "TestStatefulSetControlRollingUpdate (a pod that is lost)" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        image broken:x => T2 G2 C2:x
        delete web-0 => T0 G0 C0:x
        ? pods=web-0:x,web-1:1,web-2:x
    "
    lost_in_mid_rollout_without_block "TestStatefulSetControlRollingUpdate (without a rollingUpdate block)" "
        apply web 3 rollingupdate => C0:1 R0 C1:1 R1 C2:1 R2
        image broken:x => T2 G2 C2:x
        delete web-0 => T0 G0 C0:1 R0
        ? pods=web-0:1,web-1:1,web-2:x
    "
    on_delete_update "TestStatefulSetControlOnDeleteUpdate" "
        apply web 3 ondelete => C0:1 R0 C1:1 R1 C2:1 R2
        image nginx:2 =>
        ? rolled=false updated=0
        delete web-1 => T1 G1 C1:2 R1
        scale 4 => C3:2 R3
        ? pods=web-0:1,web-1:2,web-2:1,web-3:2
        delete web-0 => T0 G0 C0:2 R0
        delete web-2 => T2 G2 C2:2 R2
        ? rolled=true current=4 updated=4
    "
    on_delete_end_to_end "should implement legacy replacement when the update strategy is OnDelete" "
        apply web 3 ondelete => C0:1 R0 C1:1 R1 C2:1 R2
        delete all => T0 T1 T2 G0 G1 G2 C0:1 R0 C1:1 R1 C2:1 R2
        image nginx:2; delete all => T0 T1 T2 G0 G1 G2 C0:2 R0 C1:2 R1 C2:2 R2
    "
    from_on_delete_to_rolling_update "switching the strategy starts the pending rollout" "
        apply web 2 ondelete => C0:1 R0 C1:1 R1
        image nginx:2 =>
        partition 0 => T1 G1 C1:2 R1 T0 G0 C0:2 R0
    "
    a_stuck_rollout_and_the_way_out "forced rollback" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        image broken:x => T2 G2 C2:x
        ? ready=2 updated=1 rolled=false
        image nginx:1 =>
        delete web-2 => T2 G2 C2:1 R2
        ? ready=3 rolled=true nth:Pod/web-1=1
    "
    a_broken_first_template_blocks_update "blocks update (OrderedReady)" "
        apply web 2 image=broken:x => C0:x
        image nginx:1 =>
        delete web-0 => T0 G0 C0:1 R0 C1:1 R1
    "
    a_broken_first_template_in_parallel "blocks update (Parallel does not)" "
        apply web 2 parallel image=broken:x => C0:x C1:x
        image nginx:1 => T1 G1 C1:1 R1 T0 G0 C0:1 R0
    "
    a_failed_pod_takes_the_fixed_template "blocks update (but for a failed pod)" "
        apply web 2 image=broken:x => C0:x
        image nginx:1; fail web-0 => F0 T0 G0 C0:1 R0 C1:1 R1
    "
    retargeted "two changes of the template, one after the other" "
        apply web 3 => C0:1 R0 C1:1 R1 C2:1 R2
        image nginx:2; run 400ms => T2 G2 C2:2
        image nginx:3 => R2 T2 G2 C2:3 R2 T1 G1 C1:3 R1 T0 G0 C0:3 R0
        ? nth:Pod/web-2=3 nth:Pod/web-1=2 nth:Pod/web-0=2 revisions=1:1,2:2,3:3
    "
    min_ready_seconds_delay_the_update "MinReadySeconds should be honored when enabled (update)" "
        apply web 2 min-ready=5 => C0:1 R0 C1:1 R1
        image nginx:2; run 4s => T1 G1 C1:2 R1
        ? updated=1 ready=2 available=1
        run 2s => T0 G0 C0:2 R0
        ? rolled=true available=1
        run 6s =>
        ? rolled=true available=2
    "
    restart_rolls "rollout restart" "
        apply web 2 => C0:1 R0 C1:1 R1
        edit template.metadata.annotations={\"kubectl.kubernetes.io/restartedAt\":\"2026-01-01T00:00:00Z\"}
            => T1 G1 C1:1 R1 T0 G0 C0:1 R0
        edit template.metadata.annotations={\"kubectl.kubernetes.io/restartedAt\":\"2026-01-01T00:00:01Z\"}
            => T1 G1 C1:1 R1 T0 G0 C0:1 R0
        ? count:ControllerRevision=3
    "
}

// maxUnavailable: with the feature gate on.
stories! {
    update_with_max_unavailable "TestStatefulSetControlRollingUpdateWithMaxUnavailable" "
        apply web 5 max=2 => C0:1 R0 C1:1 R1 C2:1 R2 C3:1 R3 C4:1 R4
        image nginx:2 => T4 T3 G4 G3 C3:2 R3 C4:2 R4 T2 T1 G2 G1 C1:2 R1 C2:2 R2 T0 G0 C0:2 R0
        ? rolled=true updated=5 current=5
    "
    update_with_max_unavailable_in_parallel "TestStatefulSetControlRollingUpdateWithMaxUnavailable (Parallel)" "
        apply web 5 max=40% parallel => C0:1 C1:1 C2:1 C3:1 C4:1 R0 R1 R2 R3 R4
        image nginx:2 => T4 T3 G4 G3 C3:2 C4:2 R4 R3 T2 T1 G2 G1 C1:2 C2:2 R2 R1 T0 G0 C0:2 R0
        ? rolled=true updated=5
    "
    percents_are_rounded_down "TestGetStatefulSetMaxUnavailable" "
        apply web 5 max=50% parallel partition=3 => C0:1 C1:1 C2:1 C3:1 C4:1 R0 R1 R2 R3 R4
        image nginx:2 => T4 T3 G4 G3 C3:2 C4:2 R4 R3
        ? updated=2 rolled=false
    "
    max_unavailable_is_one_by_default "TestStatefulSetControlRollingUpdateWithMaxUnavailable (10% of 5)" "
        apply web 5 max=10% partition=3 => C0:1 R0 C1:1 R1 C2:1 R2 C3:1 R3 C4:1 R4
        image nginx:2 => T4 G4 C4:2 R4 T3 G3 C3:2 R3
    "
    unavailable_pods_use_up_the_budget "TestStatefulSetControlRollingUpdateWithMaxUnavailable (unavailable below)" "
        apply web 4 max=2 parallel partition=2 => C0:1 C1:1 C2:1 C3:1 R0 R1 R2 R3
        unready web-0; image nginx:2 => N0 T3 G3 C3:2 R3 T2 G2 C2:2 R2
        unready web-1; image nginx:3 => N1
        ready web-1; ready web-0 => R1 R0 T3 T2 G3 G2 C2:3 C3:3 R3 R2
    "
    stale_unavailable_pods_go_first "UnavailableStalePod" "
        apply web 4 max=2 parallel image=nginx:1 => C0:1 C1:1 C2:1 C3:1 R0 R1 R2 R3
        unready web-0; unready web-1 => N0 N1
        image broken:2 => T1 T0 G1 G0 C0:2 C1:2
        ? pods=web-0:2,web-1:2,web-2:1,web-3:1 ready=2
    "
    broken_pods_are_replaced_by_the_fixed_template "UnavailableStalePod (all broken)" "
        apply web 3 max=1 parallel image=broken:1 => C0:1 C1:1 C2:1
        image nginx:2 => T2 T1 T0 G2 G1 G0 C0:2 C1:2 C2:2 R2 R1 R0
    "
    terminating_pods_use_up_the_budget "UnavailableStalePod (terminating)" "
        apply web 4 max=2 parallel => C0:1 C1:1 C2:1 C3:1 R0 R1 R2 R3
        hold web-0; delete web-0 => T0 F0
        image broken:2 => T3 G3 C3:2
        let web-0 => G0 C0:2
    "
}

// History and status.
stories! {
    must_rollback_to_a_previous_revision "must rollback to a previous revision" "
        apply web 1 image=nginx:a => C0:a R0
        image nginx:b => T0 G0 C0:b R0
        ? revisions=1:a,2:b
        image nginx:a => T0 G0 C0:a R0
        ? revisions=2:b,3:a collisions=0
        image nginx:b => T0 G0 C0:b R0
        ? revisions=3:a,4:b
    "
    limits_history "TestStatefulSetControlLimitsHistory" "
        apply web 1 image=nginx:a history=2 => C0:a R0
        image nginx:b => T0 G0 C0:b R0
        image nginx:c => T0 G0 C0:c R0
        image nginx:d => T0 G0 C0:d R0
        image nginx:e => T0 G0 C0:e R0
        image nginx:f => T0 G0 C0:f R0
        image nginx:g => T0 G0 C0:g R0
        ? revisions=5:e,6:f,7:g
        edit revisionHistoryLimit=0 =>
        ? revisions=7:g
    "
    honor_revision_history_limit "TestStatefulSetHonorRevisionHistoryLimit" "
        apply web 2 image=nginx:a history=0 partition=1 => C0:a R0 C1:a R1
        image nginx:b => T1 G1 C1:b R1
        image nginx:c => T1 G1 C1:c R1
        ? revisions=1:a,3:c pods=web-0:a,web-1:c
    "
    adopt_orphan_revisions "TestAdoptOrphanRevisions" "
        apply web 1 => C0:1 R0
        image nginx:2 => T0 G0 C0:2 R0
        delete sts web orphan => L0
        ? count:ControllerRevision=2
        apply web 1 image=nginx:2 ondelete => A0
        ? revisions=1:1,2:2 rolled=true nth:Pod/web-0=2 collisions=0
    "
    deletion_timestamp "DeletionTimestampRace: a set being deleted makes and adopts nothing" "
        apply web 2 => C0:1 R0 C1:1 R1
        hold web-1; delete sts web foreground; scale 3; run 30s => T0 T1 G0 F1
        ? replicas=1 count:Pod=1
        let web-1 => G1
        ? count:StatefulSet=0 count:ControllerRevision=0
    "
    available_replicas "AvailableReplicas should get updated accordingly when MinReadySeconds is enabled" "
        apply web 2 => C0:1 R0 C1:1 R1
        edit minReadySeconds=3600 =>
        ? ready=2 available=0
        edit minReadySeconds=0 =>
        ? ready=2 available=2
    "
    burst_update "burst set: updates roll one at a time" "
        apply web 3 parallel => C0:1 C1:1 C2:1 R0 R1 R2
        image nginx:2 => T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0
    "
}
