//! What changes mean for directories, and the directories themselves, tricks included.

use super::*;
use crate::{
    control::cluster::Change,
    objects::object::{Kind, Object},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{fs, path::Path};

fn append(line: &str, times: u32) -> VolumeWork {
    VolumeWork::Append { line: line.to_owned(), times }
}

fn object(kind: Kind, json: &Value) -> Object {
    Object::from_json(kind, json.clone()).unwrap()
}

fn change(kind: Kind, before: &Value, after: &Value) -> Change {
    let object = |json: &Value| (!json.is_null()).then(|| object(kind, json));
    let (before, after) = (object(before), object(after));
    let key = before.as_ref().or(after.as_ref()).unwrap().key();
    Change { key, before, after, resource_version: 1 }
}

/// A volume of a phase and a policy; bound once if it names the uid of a claim.
fn volume(policy: &str, phase: &str, claim_uid: &str) -> Value {
    let mut json = json!({
        "metadata": {"name": "pv-1"},
        "spec": {"persistentVolumeReclaimPolicy": policy, "hostPath": {"path": "/etc"}},
        "status": {"phase": phase},
    });
    if !claim_uid.is_empty() {
        json["spec"]["claimRef"] = json!({"namespace": "default", "name": "data-web-0", "uid": claim_uid});
    }
    json
}

fn claim(name: &str, volume: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"volumeName": volume}})
}

/// A pod with claims `data-web-0` and `logs-web-0`; each container has restarts and the second since which it runs, or
/// -1 if it does not.
fn pod(uid: &str, containers: &[(i32, i64)]) -> Value {
    let claim = |name: &str| json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
    let statuses = containers.iter().enumerate().map(|(index, (restarts, since))| {
        let state = match since {
            -1 => json!({"waiting": {"reason": "ContainerCreating"}}),
            second => json!({"running": {"startedAt": jiff::Timestamp::from_second(*second).unwrap().to_string()}}),
        };
        json!({"name": format!("c{index}"), "restartCount": restarts, "state": state})
    });
    let volumes = [claim("data-web-0"), claim("logs-web-0"), json!({"name": "tmp", "emptyDir": {}})];
    json!({
        "metadata": {"name": "web-0", "namespace": "default", "uid": uid},
        "spec": {"containers": [], "volumes": volumes},
        "status": {"containerStatuses": statuses.collect::<Vec<_>>()},
    })
}

#[test]
fn changes_of_volumes() {
    let none = Value::Null;
    let rows = [
        ("new", none.clone(), volume("Retain", "Pending", ""), vec![VolumeWork::Make]),
        ("bound", volume("Delete", "Available", ""), volume("Delete", "Bound", "u"), vec![]),
        ("its claim is gone", volume("Retain", "Bound", "u"), volume("Retain", "Released", "u"), vec![]),
        ("kept, and made free by hand", volume("Retain", "Released", "u"), volume("Retain", "Available", ""), vec![]),
        ("recycled", volume("Recycle", "Released", "u"), volume("Recycle", "Available", ""), vec![VolumeWork::Empty]),
        (
            "recycled at once",
            volume("Recycle", "Bound", "u"),
            volume("Recycle", "Available", ""),
            vec![VolumeWork::Empty],
        ),
        ("only reserved", volume("Recycle", "Available", "u"), volume("Recycle", "Available", ""), vec![]),
        ("not recyclable", volume("Recycle", "Bound", "u"), volume("Recycle", "Failed", "u"), vec![]),
        ("reclaimed", volume("Delete", "Released", "u"), none.clone(), vec![VolumeWork::Remove]),
        ("withdrawn, unused", volume("Delete", "Available", ""), none.clone(), vec![]),
        ("withdrawn, kept", volume("Retain", "Released", "u"), none, vec![]),
    ];
    for (what, before, after, expected) in rows {
        let (mut tracker, mut plan) = (Tracker::default(), DirectoryPlan::default());
        tracker.observe(&change(Kind::PersistentVolume, &before, &after), &mut plan);
        assert_eq!(plan.of("pv-1"), expected, "{what}");
        assert!(plan.len() <= 1, "{what}: {plan:?}");
    }
}

#[test]
fn starts_of_pods() {
    let rows = [
        ("not yet", pod("a", &[(0, -1)]), pod("a", &[(0, -1)]), 0),
        ("started", pod("a", &[(0, -1)]), pod("a", &[(0, 5)]), 1),
        ("several containers at once", pod("a", &[(0, -1), (0, -1)]), pod("a", &[(0, 5), (0, 5)]), 1),
        ("running on", pod("a", &[(0, 5)]), pod("a", &[(0, 5)]), 0),
        ("one of two crashed", pod("a", &[(0, 5), (0, 5)]), pod("a", &[(0, -1), (0, 5)]), 0),
        ("restarted after a wait", pod("a", &[(0, -1), (0, 5)]), pod("a", &[(1, 9), (0, 5)]), 1),
        ("restarted in the same second", pod("a", &[(0, 5)]), pod("a", &[(1, 5)]), 1),
        ("another pod of that name", pod("a", &[(0, 5)]), pod("b", &[(0, 5)]), 1),
        ("new and running", Value::Null, pod("a", &[(0, 5)]), 1),
        ("gone", pod("a", &[(0, 5)]), Value::Null, 0),
    ];
    let objects = [
        object(Kind::PersistentVolumeClaim, &claim("data-web-0", "pv-1")),
        object(Kind::PersistentVolumeClaim, &claim("logs-web-0", "pv-2")),
        object(Kind::PersistentVolumeClaim, &claim("data-web-1", "pv-3")),
        object(Kind::PersistentVolume, &volume("Retain", "Bound", "u")),
        object(Kind::Pod, &pod("a", &[(0, 5)])),
    ];
    let (mut tracker, plan) = Tracker::new(&objects, None);
    assert_eq!((plan.len(), plan.of("pv-1")), (1, &[VolumeWork::Make][..]), "a pod that runs already has not started");
    for (what, before, after, times) in rows {
        let mut plan = DirectoryPlan::default();
        tracker.observe(&change(Kind::Pod, &before, &after), &mut plan);
        let expected: Vec<VolumeWork> = (times > 0).then(|| append("web-0", times)).into_iter().collect();
        assert_eq!(
            (plan.of("pv-1"), plan.of("pv-2"), plan.of("pv-3")),
            (&expected[..], &expected[..], &[][..]),
            "{what}"
        );
    }
}

#[test]
fn claims_lead_to_their_volumes() {
    let mut tracker = Tracker::default();
    let started = change(Kind::Pod, &Value::Null, &pod("a", &[(0, 5)]));
    let unbound = json!({"metadata": {"name": "data-web-0", "namespace": "default"}, "spec": {}});
    let elsewhere = json!({"metadata": {"name": "data-web-0", "namespace": "other"}, "spec": {"volumeName": "pv-9"}});
    let rows = [
        (Value::Null, unbound.clone(), None),
        (Value::Null, elsewhere, None),
        (unbound.clone(), claim("data-web-0", "pv-1"), Some("pv-1")),
        (claim("data-web-0", "pv-1"), Value::Null, None),
        (unbound, claim("data-web-0", "pv-2"), Some("pv-2")),
    ];
    for (before, after, expected) in rows {
        let mut plan = DirectoryPlan::default();
        tracker.observe(&change(Kind::PersistentVolumeClaim, &before, &after), &mut plan);
        tracker.observe(&started, &mut plan);
        assert_eq!(plan.volumes().collect::<Vec<_>>(), Vec::from_iter(expected), "{after}");
    }
}

#[test]
fn plans_leave_out_what_would_be_undone() {
    use VolumeWork::{Empty, Make, Remove};
    let rows = [
        (vec![Make, append("a", 1), append("a", 1), append("b", 1)], vec![Make, append("a", 2), append("b", 1)]),
        (vec![append("a", 1), Remove], vec![Remove]),
        (vec![Remove, Make, append("a", 1), Make], vec![Remove, Make, append("a", 1)]),
        (vec![Remove, append("a", 1), Empty], vec![Empty]),
        (vec![append("a", u32::MAX), append("a", 1)], vec![append("a", u32::MAX)]),
    ];
    for (added, expected) in rows {
        let mut plan = DirectoryPlan::default();
        added.iter().for_each(|work| plan.add("x", work.clone()));
        plan.add("y", append("c", 1));
        assert_eq!(plan.of("x"), expected, "{added:?}");
        let (first, afterwards) = plan.clone().split();
        let wipes = expected[0].wipes();
        assert_eq!((first.of("x").is_empty(), afterwards.of("x").is_empty()), (wipes, !wipes));
        assert_eq!((first.of("y").len(), afterwards.of("y").len()), (1, 0));
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<DirectoryPlan>(&json).unwrap(), plan, "{json}");
    }
    let mut plan = DirectoryPlan::default();
    for round in 0..5 * WAITING_RUNS_MAX {
        plan.add("x", append(["a", "b"][round % 2], 1));
    }
    let lines: u32 =
        plan.of("x").iter().map(|work| if let VolumeWork::Append { times, .. } = work { *times } else { 0 }).sum();
    assert_eq!((plan.of("x").len(), lines), (WAITING_RUNS_MAX + 1, 5 * WAITING_RUNS_MAX as u32));
}

/// What lies in a volume: nothing at all, or its lines.
fn lines(state: &Path, volume: &str) -> Option<Vec<String>> {
    let directory = state.join(DIRECTORY).join(volume);
    directory.exists().then(|| {
        let text = fs::read_to_string(directory.join(STARTS)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    })
}

fn one(volume: &str, work: VolumeWork) -> DirectoryPlan {
    let mut plan = DirectoryPlan::default();
    plan.add(volume, work);
    plan
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Work done piece by piece, as one plan, or twice where it may come twice, leaves the same directories.
    #[test]
    fn one_plan_does_what_its_pieces_do(
        works in proptest::collection::vec((0..2usize, prop_oneof![
            Just(VolumeWork::Make), Just(VolumeWork::Empty), Just(VolumeWork::Remove),
            (0..2usize, 1..4u32).prop_map(|(line, times)| append(["web-0", "web-1"][line], times)),
        ]), 0..12),
    ) {
        let (singly, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut plan = DirectoryPlan::default();
        let mut volumes = Volumes::new(Some(singly.path()), None);
        for (volume, work) in works {
            let volume = ["pv-1", "pv-2"][volume];
            plan.add(volume, work.clone());
            prop_assert!(volumes.carry_out(one(volume, work)).is_empty());
        }
        let mut volumes = Volumes::new(Some(whole.path()), None);
        let again = plan.wiping();
        prop_assert!(volumes.carry_out(plan).is_empty());
        prop_assert!(volumes.carry_out(again).is_empty());
        for volume in ["pv-1", "pv-2"] {
            prop_assert_eq!(lines(singly.path(), volume), lines(whole.path(), volume));
        }
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    fs::create_dir_all(home.path().join("other")).unwrap();
    fs::write(home.path().join("other/data"), "precious").unwrap();
    let absolute = home.path().join("other").to_string_lossy().into_owned();
    let long = "a".repeat(254);
    let names =
        ["", ".", "..", "../other", "../../other", absolute.as_str(), "a/../../../other", "a\0", ".hidden", &long];
    for name in names {
        for work in [VolumeWork::Make, append("web-0", 1), VolumeWork::Empty, VolumeWork::Remove] {
            let mut volumes = Volumes::new(Some(&state), None);
            let errors = volumes.carry_out(one(name, work.clone()));
            assert_eq!(errors.len(), 1, "{name:?} {work:?}");
        }
    }
    assert!(!state.exists());
    assert_eq!(fs::read_to_string(home.path().join("other/data")).unwrap(), "precious");
    assert_eq!(fs::read_dir(home.path().join("other")).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn links_within_a_volume_lead_nowhere() {
    use std::os::unix::fs::symlink;
    type Trick = fn(volume: &Path, outside: &Path);
    let tricks: [(&str, Trick, bool); 6] = [
        ("the file is a link", |volume, outside| symlink(outside.join("data"), volume.join(STARTS)).unwrap(), false),
        (
            "a link to what is not there",
            |volume, outside| symlink(outside.join("new"), volume.join(STARTS)).unwrap(),
            false,
        ),
        ("a second name", |volume, outside| fs::hard_link(outside.join("data"), volume.join(STARTS)).unwrap(), false),
        ("a directory", |volume, _| fs::create_dir(volume.join(STARTS)).unwrap(), false),
        ("a link beside it", |volume, outside| symlink(outside, volume.join("way-out")).unwrap(), true),
        (
            "the volume is a link",
            |volume, outside| {
                fs::remove_dir(volume).unwrap();
                symlink(outside, volume).unwrap();
            },
            false,
        ),
    ];
    for (what, trick, appends) in tricks {
        let home = tempfile::tempdir().unwrap();
        let (state, outside) = (home.path().join("state"), home.path().join("outside"));
        let untouched = || {
            assert_eq!(fs::read_to_string(outside.join("data")).unwrap(), "precious", "{what}");
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{what}");
        };
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("data"), "precious").unwrap();
        let mut volumes = Volumes::new(Some(&state), None);
        assert!(volumes.carry_out(one("pv-1", VolumeWork::Make)).is_empty());
        let directory = state.join(DIRECTORY).join("pv-1");
        trick(&directory, &outside);
        let errors = volumes.carry_out(one("pv-1", append("web-0", 1)));
        assert_eq!(errors.is_empty(), appends, "{what}: {errors:?}");
        assert_eq!(volumes.stuck().is_empty(), appends, "{what}");
        untouched();
        for work in [VolumeWork::Empty, VolumeWork::Remove] {
            let mut volumes = Volumes::new(Some(&state), None);
            let errors = volumes.carry_out(one("pv-1", work));
            assert_eq!(errors.is_empty(), what != "the volume is a link", "{what}: {errors:?}");
            untouched();
        }
    }
    // The directory of all volumes itself.
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("outside/pv-1")).unwrap();
    fs::create_dir(home.path().join("state")).unwrap();
    symlink(home.path().join("outside"), home.path().join("state").join(DIRECTORY)).unwrap();
    for work in [append("web-0", 1), VolumeWork::Empty, VolumeWork::Remove] {
        assert_eq!(Volumes::new(Some(&home.path().join("state")), None).carry_out(one("pv-1", work)).len(), 1);
    }
    assert_eq!(fs::read_dir(home.path().join("outside/pv-1")).unwrap().count(), 0);
}

#[test]
fn a_volume_that_is_stuck_waits_with_all_its_work() {
    let state = tempfile::tempdir().unwrap();
    let mut volumes = Volumes::new(Some(state.path()), None);
    let obstacle = state.path().join(DIRECTORY).join("pv-1");
    fs::create_dir(state.path().join(DIRECTORY)).unwrap();
    fs::write(&obstacle, "").unwrap();
    let mut plan = one("pv-1", VolumeWork::Make);
    plan.add("pv-1", append("web-0", 1));
    plan.add("pv-2", append("web-1", 1));
    let errors = volumes.carry_out(plan);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let message = errors[0].to_string();
    assert!(message.contains("volume pv-1: ") && message.contains("no directory"), "{message}");
    assert_eq!(lines(state.path(), "pv-2").unwrap(), ["web-1"], "the others go on");
    assert!(volumes.carry_out(one("pv-1", append("web-0", 1))).is_empty(), "told once");
    assert_eq!(volumes.retry().len(), 1);
    assert_eq!(volumes.stuck().of("pv-1"), [VolumeWork::Make, append("web-0", 2)]);
    fs::remove_file(obstacle).unwrap();
    assert!(volumes.retry().is_empty() && volumes.stuck().is_empty());
    assert_eq!(lines(state.path(), "pv-1").unwrap(), ["web-0", "web-0"]);
}
