//! What people, the engine and the clock do to pods.

use super::world::{Checked, World};
use headless_dns::control::runtime::PodRuntime;
use jiff::SignedDuration;
use std::time::Duration;

/// One of all that can happen.
pub fn operate(world: &mut World) -> Checked {
    let choice = if world.pods.is_empty() { 0 } else { world.rng.u8(0..24) };
    match choice {
        0..=4 if world.pods.len() < 3 => world.start_pod(),
        5..=7 => delete(world),
        8 => force_delete(world),
        9 => change_image(world),
        10 => world.change_config(),
        11 | 12 => {
            if let Some(id) = world.some_container(false) {
                let code = world.rng.i32(0..3);
                world.exit_soon(id, code);
            }
        }
        13 => {
            if let Some(id) = world.some_container(true) {
                world.exit_soon(id, 137);
            }
        }
        14 => {
            let sandbox = world.rng.bool();
            if let Some(id) = world.some_container(sandbox) {
                world.engine.containers.remove(&id);
                world.hint(&id);
            }
        }
        15 | 16 if world.is_engine_up() => {
            let with_containers = world.rng.bool();
            world.restart_engine(with_containers);
        }
        17 | 18 => world.crash()?,
        19 => {
            let by = SignedDuration::from_millis(world.rng.i64(1..600_000));
            let by = if world.rng.bool() { by } else { -by };
            world.step_clock(by);
        }
        20 => {
            let address = format!("10.9.0.{}", world.rng.u8(2..14)).parse().unwrap();
            world.engine.foreign.insert(address);
        }
        21 | 22 => world.falsify_list(),
        _ => overwrite(world),
    }
    Ok(())
}

fn some_pod(world: &mut World) -> Option<String> {
    let all: Vec<&String> = world.pods.keys().collect();
    (!all.is_empty()).then(|| all[world.rng.usize(0..all.len())].clone())
}

fn delete(world: &mut World) {
    let Some(uid) = some_pod(world) else { return };
    let at = world.runtime_time();
    let now = world.now();
    let short = world.rng.u64(0..10);
    let known = world.pods.get_mut(&uid).unwrap();
    let own = known.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
    let grace = Duration::from_secs(if known.stop.is_some() { short } else { own.try_into().unwrap() });
    known.stop = Some(known.stop.map_or(at + grace, |end| end.min(at + grace)));
    let pod = known.pod.clone();
    world.runtime.stop(&pod, grace, now);
    world.checks.stopped_by(&uid, at + grace);
}

fn force_delete(world: &mut World) {
    let Some(uid) = some_pod(world) else { return };
    let (at, now) = (world.runtime_time(), world.now());
    let known = world.pods.remove(&uid).unwrap();
    world.runtime.stop(&known.pod, Duration::ZERO, now);
    world.checks.stopped_by(&uid, at);
}

fn change_image(world: &mut World) {
    let Some(uid) = some_pod(world) else { return };
    let now = world.now();
    let referenced = world.referenced();
    let known = world.pods.get_mut(&uid).unwrap();
    if let Some(spec) = &mut known.pod.spec {
        spec.containers[0].image = Some("app:2".to_owned());
    }
    let pod = known.pod.clone();
    world.runtime.refreshed(&pod, referenced, now);
}

fn overwrite(world: &mut World) {
    let Some(uid) = some_pod(world) else { return };
    let now = world.now();
    let known = world.pods.get_mut(&uid).unwrap();
    if known.has_ended() {
        return;
    }
    known.overwritten = true;
    if let Some(status) = &mut known.pod.status {
        status.message = Some("by hand".to_owned());
    }
    let pod = known.pod.clone();
    world.runtime.overwritten(&pod, now);
}
