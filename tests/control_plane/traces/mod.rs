//! Replays every recorded scenario of a real control plane against our controller, and compares what must be equal.
//!
//! The recordings (`tests/data/upstream/traces`, see the README beside them) hold commands and every visible change.
//! Compared are, for each command: the order of pods' creations and deletions and what each waits for, each pod's own
//! story (phase, readiness, revision, image, owner), the sets' and slices' last lines, claims and revisions; and over
//! the whole scenario the events.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod batch;
mod commands;
mod lines;
mod names;
mod story;
mod world;

use lines::{endpoints_line, recorded_endpoints};
use names::Names;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};
use story::{events, story};
use world::World;

/// One command of a scenario, and the lines that were recorded until the next one.
struct Step {
    command: String,
    input: String,
    lines: Vec<String>,
    quiet: bool,
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(command) = line.strip_prefix("$ ") {
            let mut input = String::new();
            if let Some((_, end)) = command.split_once("<<") {
                for line in lines.by_ref().take_while(|line| *line != end) {
                    writeln!(input, "{line}").unwrap();
                }
            }
            steps.push(Step { command: command.to_owned(), input, lines: Vec::new(), quiet: false });
        } else if let Some(step) = steps.last_mut() {
            match line {
                "-- quiet --" => step.quiet = true,
                line if line.starts_with("> ") => {}
                line => step.lines.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Scenarios in which several things happen within milliseconds (pods become ready, pods are deleted one after the other, a
/// pod is adopted before or after it has started), and what follows depends on which was first: compared is not the order,
/// nor in how many steps it went, but how many pods were made, deleted and gone.
const HAPPEN_AT_ONCE: [&str; 4] =
    ["deploy-delete-pod", "deploy-surge-0-unavailable-2", "deploy-surge-2-unavailable-1", "rs-adopt"];

/// A scenario in which a container is restarted at once; here it is not ready for a moment then, as with a kubelet.
const RESTARTS: &str = "job-on-failure";

/// Takes down the last that was recorded of the Endpoints of each Service. What a client wrote over Endpoints that are made
/// of slices is left out: here nobody can.
fn note_endpoints(step: &Step, endpoints: &mut BTreeMap<String, String>) {
    if step.command.contains(" patch endpoints ") {
        return;
    }
    for line in step.lines.iter().filter_map(|line| line.strip_prefix("endpoints ")) {
        let (service, rest) = line.split_once(' ').unwrap();
        if rest == "gone" {
            endpoints.remove(service);
        } else {
            endpoints.insert(service.to_owned(), recorded_endpoints(rest));
        }
    }
}

/// Replays one scenario.
fn check(name: &str) {
    let path = format!("{}/tests/data/upstream/traces/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let steps = parse(&fs::read_to_string(&path).unwrap());
    assert!(!steps.is_empty(), "{path} holds no command");
    let mut world = World::new();
    let has_own_order = !HAPPEN_AT_ONCE.contains(&name) && name != RESTARTS;
    let (mut our_names, mut their_names) = (Names::default(), Names::default());
    let (mut our_events, mut their_events) = (BTreeSet::new(), BTreeSet::new());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut their_endpoints = BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        world.command(step);
        ours.extend(match batch::patience(name, step) {
            Some(patience) => world.run_for(patience),
            // A pod that is run has started before the next command comes.
            None => world.run(step.quiet || step.command.starts_with("kubectl run ")),
        });
        theirs.extend(step.lines.iter().cloned());
        note_endpoints(step, &mut their_endpoints);
        our_events.extend(events(ours.clone()));
        their_events.extend(events(theirs.clone()));
        if !step.quiet && number + 1 < steps.len() {
            // The next command came at once: what belongs to which of the two cannot be told.
            continue;
        }
        let mut our_story = story(&ours, &mut our_names);
        let mut their_story = story(&theirs, &mut their_names);
        let text = ours.join("\n");
        if has_own_order {
            assert_eq!(our_story.order, their_story.order, "{name}: order after `{}`\n{text}", step.command);
            assert_eq!(our_story.pods, their_story.pods, "{name}: pods after `{}`\n{text}", step.command);
        } else {
            assert_eq!(our_story.counts(), their_story.counts(), "{name}: pods after `{}`\n{text}", step.command);
            our_story.forget_steps();
            their_story.forget_steps();
        }
        assert_eq!(our_story.last, their_story.last, "{name}: last lines after `{}`\n{text}", step.command);
        for (service, expected) in &their_endpoints {
            let endpoints = endpoints_line(world.controller.cluster(), service);
            assert_eq!(endpoints.as_ref(), Some(expected), "{name}: Endpoints {service} after `{}`", step.command);
        }
        ours.clear();
        theirs.clear();
    }
    if !has_own_order {
        for events in [&mut our_events, &mut their_events] {
            events.retain(|event| !event.contains(" ScalingReplicaSet "));
        }
    }
    assert_eq!(our_events, their_events, "{name}: events");
}

macro_rules! replay {
    ($($test:ident $name:literal;)*) => {$(
        #[test]
        fn $test() {
            check($name);
        }
    )*
        #[test]
        fn every_recording_is_replayed() {
            let directory = format!("{}/tests/data/upstream/traces", env!("CARGO_MANIFEST_DIR"));
            let files: BTreeSet<String> = fs::read_dir(directory)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".txt").to_owned())
                .collect();
            assert_eq!(files, BTreeSet::from([$($name.to_owned()),*]));
        }
    };
}

replay! {
    cascade_background "cascade-background";
    cascade_foreground "cascade-foreground";
    cascade_orphan "cascade-orphan";
    condemned_broken "condemned-broken";
    create_ordered "create-ordered";
    create_parallel "create-parallel";
    cronjob "cronjob";
    cronjob_replace "cronjob-replace";
    delete_all_pods "delete-all-pods";
    delete_one_pod "delete-one-pod";
    deploy_cascade_background "deploy-cascade-background";
    deploy_cascade_foreground "deploy-cascade-foreground";
    deploy_create "deploy-create";
    deploy_delete_pod "deploy-delete-pod";
    deploy_failed_pod "deploy-failed-pod";
    deploy_history_limit "deploy-history-limit";
    deploy_labels_only "deploy-labels-only";
    deploy_min_ready "deploy-min-ready";
    deploy_pause_resume "deploy-pause-resume";
    deploy_pod_released "deploy-pod-released";
    deploy_quantity_rewritten "deploy-quantity-rewritten";
    deploy_recreate "deploy-recreate";
    deploy_restart "deploy-restart";
    deploy_rolling_update "deploy-rolling-update";
    deploy_scale "deploy-scale";
    deploy_stuck "deploy-stuck";
    deploy_surge_0_unavailable_2 "deploy-surge-0-unavailable-2";
    deploy_surge_2_unavailable_1 "deploy-surge-2-unavailable-1";
    deploy_undo "deploy-undo";
    ds_create_update "ds-create-update";
    ds_delete "ds-delete";
    ds_on_delete "ds-on-delete";
    ds_surge "ds-surge";
    endpoints_overwritten "endpoints-overwritten";
    failed_pod "failed-pod";
    force_delete "force-delete";
    job_backoff "job-backoff";
    job_complete "job-complete";
    job_deadline "job-deadline";
    job_delete "job-delete";
    job_indexed "job-indexed";
    job_on_failure "job-on-failure";
    job_parallelism "job-parallelism";
    job_pod_deleted "job-pod-deleted";
    job_suspend "job-suspend";
    job_ttl "job-ttl";
    not_ready_blocks_scale_down "not-ready-blocks-scale-down";
    not_ready_blocks_scale_up "not-ready-blocks-scale-up";
    on_delete "on-delete";
    partition "partition";
    publish_not_ready "publish-not-ready";
    release_and_readopt "release-and-readopt";
    retention_when_deleted "retention-when-deleted";
    retention_when_scaled "retention-when-scaled";
    rolling_update "rolling-update";
    rolling_update_min_ready "rolling-update-min-ready";
    rollout_undo "rollout-undo";
    rs_adopt "rs-adopt";
    rs_delete "rs-delete";
    rs_orphan "rs-orphan";
    rs_scale "rs-scale";
    rs_scale_down_choice "rs-scale-down-choice";
    scale_up_down "scale-up-down";
    second_service "second-service";
    slow_stop "slow-stop";
    start_ordinal "start-ordinal";
    sts_quantity_rewritten "sts-quantity-rewritten";
    stuck_rollout "stuck-rollout";
    svc_port_change "svc-port-change";
    svc_rollout "svc-rollout";
    svc_selector_removed "svc-selector-removed";
    svc_to_external "svc-to-external";
}
