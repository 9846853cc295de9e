//! Histories of simulated pods in simulated time, each as a list of lines.

use super::*;
use jiff::ToSpan;
use k8s_openapi::{
    api::core::v1::{Container, PodCondition, PodSpec},
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time},
};

type Annotations<'a> = &'a [(&'a str, &'a str)];

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn simulated(ranges: &[&str]) -> Simulated {
    Simulated::new(SimulationSettings {
        pod_cidrs: ranges.iter().map(|range| range.parse().unwrap()).collect(),
        delays: Delays {
            start_after: Duration::from_millis(50),
            ready_after: Duration::from_millis(50),
            stop_after: Duration::from_millis(100),
            ..Delays::default()
        },
    })
}

fn at(millis: i64) -> Timestamp {
    START + millis.milliseconds()
}

fn pod(name: &str, annotations: &[(&str, &str)]) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.to_owned());
    pod.metadata.namespace = Some("default".to_owned());
    pod.metadata.uid = Some(format!("uid-of-{name}"));
    pod.metadata.annotations = Some(
        annotations
            .iter()
            .map(|(key, value)| (format!("simulation.headless-dns/{key}"), (*value).to_owned()))
            .collect(),
    );
    let container = Container { name: "nginx".to_owned(), image: Some("nginx:1".to_owned()), ..Container::default() };
    pod.spec = Some(PodSpec { containers: vec![container], ..PodSpec::default() });
    pod
}

/// `name phase ready address state restarts`.
fn line(report: &PodReport) -> String {
    let What::Status(status) = &report.what else { return format!("{} stopped", report.name) };
    let ready = status::condition(status, "Ready").map_or("-", |condition| condition.status.as_str());
    let container = &status.container_statuses.as_ref().unwrap()[0];
    let state = container.state.clone().unwrap();
    let state = match (&state.running, &state.waiting, &state.terminated) {
        (Some(_), None, None) => "running".to_owned(),
        (None, Some(waiting), None) => waiting.reason.clone().unwrap(),
        (None, None, Some(terminated)) => format!("terminated:{}", terminated.exit_code),
        other => panic!("a container has one state: {other:?}"),
    };
    assert_eq!(container.ready, ready == "True");
    let reason = status.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!(
        "{} {}{reason} ready={ready} ip={} {state} restarts={}",
        report.name,
        status.phase.as_deref().unwrap(),
        status.pod_ip.as_deref().unwrap_or("-"),
        container.restart_count
    )
}

/// Everything that happens up to `until` (milliseconds), each when it is due, with the time in front.
fn history(simulated: &mut Simulated, until: i64) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(due) = simulated.next_due().filter(|due| *due <= at(until)) {
        let millis = due.duration_since(START).as_millis();
        let reports = simulated.poll(due);
        lines.extend(reports.iter().map(|report| format!("{millis} {}", line(report))));
    }
    lines
}

#[test]
fn the_life_of_pods_by_their_annotations() {
    let rows: &[(Annotations<'_>, i64, &[&str])] = &[
        (
            &[],
            60_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "50 p Running ready=False ip=10.0.0.2 running restarts=0",
                "100 p Running ready=True ip=10.0.0.2 running restarts=0",
            ],
        ),
        (
            &[("start-after", "0"), ("ready-after", "0s")],
            60_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "0 p Running ready=False ip=10.0.0.2 running restarts=0",
                "0 p Running ready=True ip=10.0.0.2 running restarts=0",
            ],
        ),
        (
            &[("start-after", "3s"), ("ready", "false")],
            60_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "3000 p Running ready=False ip=10.0.0.2 running restarts=0",
            ],
        ),
        (
            &[("start", "false")],
            60_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "50 p Pending ready=- ip=10.0.0.2 ImagePullBackOff restarts=0",
            ],
        ),
        (
            &[("fail-after", "5s")],
            60_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "50 p Running ready=False ip=10.0.0.2 running restarts=0",
                "100 p Running ready=True ip=10.0.0.2 running restarts=0",
                "5050 p Failed ready=False ip=10.0.0.2 terminated:1 restarts=0",
            ],
        ),
        (
            &[("evict-after", "1")],
            60_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "50 p Running ready=False ip=10.0.0.2 running restarts=0",
                "100 p Running ready=True ip=10.0.0.2 running restarts=0",
                "1050 p Failed Evicted ready=False ip=10.0.0.2 terminated:137 restarts=0",
            ],
        ),
        (
            &[("succeed-after", "20ms")],
            60_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "50 p Running ready=False ip=10.0.0.2 running restarts=0",
                "70 p Succeeded ready=False ip=10.0.0.2 terminated:0 restarts=0",
            ],
        ),
        (
            &[("unready-after", "1s"), ("unready-for", "2s")],
            5_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "50 p Running ready=False ip=10.0.0.2 running restarts=0",
                "100 p Running ready=True ip=10.0.0.2 running restarts=0",
                "1100 p Running ready=False ip=10.0.0.2 running restarts=0",
                "3100 p Running ready=True ip=10.0.0.2 running restarts=0",
                "4100 p Running ready=False ip=10.0.0.2 running restarts=0",
            ],
        ),
        (
            &[("unready-after", "1s")],
            60_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "50 p Running ready=False ip=10.0.0.2 running restarts=0",
                "100 p Running ready=True ip=10.0.0.2 running restarts=0",
                "1100 p Running ready=False ip=10.0.0.2 running restarts=0",
            ],
        ),
        (
            &[("crash-loop", "1s")],
            14_500,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "50 p Running ready=False ip=10.0.0.2 running restarts=0",
                "100 p Running ready=True ip=10.0.0.2 running restarts=0",
                "1050 p Running ready=False ip=10.0.0.2 terminated:1 restarts=0",
                "1050 p Running ready=False ip=10.0.0.2 running restarts=1",
                "1100 p Running ready=True ip=10.0.0.2 running restarts=1",
                "2050 p Running ready=False ip=10.0.0.2 CrashLoopBackOff restarts=1",
                "12050 p Running ready=False ip=10.0.0.2 running restarts=2",
                "12100 p Running ready=True ip=10.0.0.2 running restarts=2",
                "13050 p Running ready=False ip=10.0.0.2 CrashLoopBackOff restarts=2",
            ],
        ),
        (
            &[("crash-loop", "true")],
            11_000,
            &[
                "0 p Pending ready=- ip=- ContainerCreating restarts=0",
                "50 p Running ready=False ip=10.0.0.2 running restarts=0",
                "100 p Running ready=False ip=10.0.0.2 terminated:1 restarts=0",
                "100 p Running ready=False ip=10.0.0.2 running restarts=1",
                "150 p Running ready=False ip=10.0.0.2 CrashLoopBackOff restarts=1",
                "10150 p Running ready=False ip=10.0.0.2 running restarts=2",
                "10200 p Running ready=False ip=10.0.0.2 CrashLoopBackOff restarts=2",
            ],
        ),
    ];
    for (annotations, until, expected) in rows {
        let mut simulated = simulated(&["10.0.0.0/24"]);
        simulated.start(&pod("p", annotations), Referenced::default(), START);
        assert_eq!(history(&mut simulated, *until), *expected, "{annotations:?}");
    }
}

#[test]
fn the_back_off_of_upstream() {
    let seconds: Vec<u64> = (1..10).map(|crashes| back_off(crashes).as_secs()).collect();
    assert_eq!(seconds, [0, 10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(back_off(u32::MAX).as_secs(), 300);
}

#[test]
fn a_container_that_may_not_restart_fails_its_pod() {
    let mut simulated = simulated(&["10.0.0.0/24"]);
    let mut once = pod("p", &[("crash-loop", "1s")]);
    once.spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
    simulated.start(&once, Referenced::default(), START);
    let history = history(&mut simulated, 60_000);
    assert_eq!(history.last().unwrap(), "1050 p Failed ready=False ip=10.0.0.2 terminated:1 restarts=0");
    assert_eq!(simulated.next_due(), None);
}

#[test]
fn both_families() {
    let mut simulated = simulated(&["fd00::/64", "10.0.0.0/24", "10.9.0.0/24"]);
    simulated.start(&pod("p", &[]), Referenced::default(), START);
    let reports = simulated.poll(at(60));
    let What::Status(status) = &reports.last().unwrap().what else { panic!("{reports:?}") };
    let ips: Vec<&str> = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).collect();
    assert_eq!((status.pod_ip.as_deref(), ips), (Some("fd00::2"), vec!["fd00::2", "10.0.0.2"]));
}

#[test]
fn the_conditions_of_upstream() {
    let mut simulated = simulated(&["10.244.0.0/16"]);
    simulated.start(&pod("web-0", &[("ready-after", "2s")]), Referenced::default(), START);
    let reports = simulated.poll(at(2999));
    let What::Status(status) = &reports.last().unwrap().what else { panic!("{reports:?}") };
    let conditions: Vec<(&str, &str, Timestamp)> = status
        .conditions
        .iter()
        .flatten()
        .map(|c| (c.type_.as_str(), c.status.as_str(), c.last_transition_time.as_ref().unwrap().0))
        .collect();
    let expected = [
        ("PodScheduled", "True", START),
        ("Initialized", "True", START),
        // Whole seconds, as they are stored.
        ("ContainersReady", "True", at(2000)),
        ("Ready", "True", at(2000)),
    ];
    assert_eq!(conditions, expected);
    assert_eq!(status.start_time, Some(Time(START)));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert_eq!(status.host_ip.as_deref(), Some("192.168.0.1"));
}

#[test]
fn stopping_frees_the_address_at_the_end() {
    let mut simulated = simulated(&["10.0.0.0/24"]);
    let web = pod("web-0", &[("stop-after", "10s")]);
    simulated.start(&web, Referenced::default(), START);
    simulated.poll(at(100));
    simulated.stop(&web, Duration::from_secs(30), at(1000));
    assert_eq!(simulated.next_due(), Some(at(11_000)));
    simulated.stop(&web, Duration::from_secs(60), at(2000));
    assert_eq!(simulated.next_due(), Some(at(11_000)), "a second stop never lengthens");
    simulated.stop(&web, Duration::from_secs(1), at(3000));
    assert_eq!(simulated.next_due(), Some(at(4000)), "it may shorten");
    assert_eq!(simulated.pools.in_use(), 1);
    assert_eq!(history(&mut simulated, 60_000), ["4000 web-0 stopped"]);
    assert_eq!((simulated.pools.in_use(), simulated.len()), (0, 0));
    simulated.stop(&web, Duration::ZERO, at(5000));
    assert_eq!(history(&mut simulated, 60_000), ["5000 web-0 stopped"], "one that is not known has stopped");
}

#[test]
fn a_pod_stopped_early_never_starts() {
    let mut simulated = simulated(&["10.0.0.0/24"]);
    let web = pod("web-0", &[]);
    simulated.start(&web, Referenced::default(), START);
    simulated.stop(&web, Duration::ZERO, at(10));
    assert_eq!(history(&mut simulated, 60_000), ["10 web-0 stopped"]);
}

#[test]
fn without_addresses_pods_wait_in_order() {
    let mut simulated = simulated(&["10.0.0.0/24", "fd00::/127"]);
    let pods: Vec<Pod> = ["a", "b", "c", "d", "e"].iter().map(|name| pod(name, &[("ready", "false")])).collect();
    for pod in &pods {
        simulated.start(pod, Referenced::default(), START);
    }
    let lines = history(&mut simulated, 100);
    assert_eq!(
        lines[5..],
        [
            "50 a Running ready=False ip=10.0.0.2 running restarts=0",
            "50 b Running ready=False ip=10.0.0.3 running restarts=0",
            "50 c Pending ready=- ip=- ContainerCreating restarts=0",
            "50 d Pending ready=- ip=- ContainerCreating restarts=0",
            "50 e Pending ready=- ip=- ContainerCreating restarts=0",
        ]
    );
    let container = simulated.pods["uid-of-c"].status.to_status().container_statuses.as_ref().unwrap()[0].clone();
    let message = container.state.unwrap().waiting.unwrap().message.unwrap();
    assert_eq!(message, "no address is free in fd00::/127; waiting for one");
    // c is first in the queue, but is stopped itself: d gets what a had.
    simulated.stop(&pods[0], Duration::ZERO, at(200));
    simulated.stop(&pods[2], Duration::from_millis(5), at(200));
    assert_eq!(
        history(&mut simulated, 1000),
        ["200 a stopped", "200 d Running ready=False ip=10.0.0.4 running restarts=0", "205 c stopped",]
    );
    simulated.stop(&pods[1], Duration::ZERO, at(2000));
    assert_eq!(
        history(&mut simulated, 3000),
        ["2000 b stopped", "2000 e Running ready=False ip=10.0.0.5 running restarts=0"]
    );
}

#[test]
fn a_recreated_pod_gets_another_address() {
    let mut simulated = simulated(&["10.0.0.0/24"]);
    let mut seen = Vec::new();
    for round in 0..20 {
        let mut web = pod("web-0", &[]);
        web.metadata.uid = Some(format!("uid-{round}"));
        simulated.start(&web, Referenced::default(), at(round * 1000));
        simulated.poll(at(round * 1000 + 500));
        seen.push(simulated.pods[&format!("uid-{round}")].addresses[0]);
        simulated.stop(&web, Duration::ZERO, at(round * 1000 + 600));
        simulated.poll(at(round * 1000 + 700));
    }
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), 20);
}

/// Stops the program at a time, comes back later, and tells what happens then.
fn resumed(annotations: &[(&str, &str)], until: i64, back: i64, then_until: i64) -> Vec<String> {
    let mut before = simulated(&["10.0.0.0/24"]);
    let mut web = pod("p", annotations);
    before.start(&web, Referenced::default(), START);
    history(&mut before, until);
    web.status = Some(before.pods["uid-of-p"].status.to_status());
    let stored = serde_json::to_value(&web).unwrap();
    let mut after = simulated(&["10.0.0.0/24"]);
    after.resume(&serde_json::from_value(stored).unwrap(), Referenced::default(), at(back));
    // Its address stays taken.
    if let Some(ip) = web.status.unwrap().pod_ip {
        assert!(after.pools.reserve(&[ip.parse().unwrap()]).is_empty());
    }
    history(&mut after, then_until)
}

#[test]
fn resuming() {
    let rows: &[(Annotations<'_>, i64, i64, i64, &[&str])] = &[
        (&[], 1000, 5000, 60_000, &[]),
        (
            &[("start-after", "10s")],
            1000,
            5000,
            60_000,
            &[
                "10000 p Running ready=False ip=10.0.0.2 running restarts=0",
                "10050 p Running ready=True ip=10.0.0.2 running restarts=0",
            ],
        ),
        (
            &[("start-after", "0"), ("ready-after", "10s")],
            1000,
            5000,
            60_000,
            &["10000 p Running ready=True ip=10.0.0.2 running restarts=0"],
        ),
        (
            &[("start-after", "0"), ("ready-after", "10s")],
            1000,
            20_000,
            60_000,
            &["20000 p Running ready=True ip=10.0.0.2 running restarts=0"],
        ),
        (&[("start", "false")], 1000, 5000, 60_000, &[]),
        (&[("ready", "false")], 1000, 5000, 60_000, &[]),
        (&[("fail-after", "1s")], 2000, 5000, 60_000, &[]),
        (
            &[("start-after", "0"), ("fail-after", "10s")],
            2000,
            5000,
            60_000,
            &["10000 p Failed ready=False ip=10.0.0.2 terminated:1 restarts=0"],
        ),
        (
            &[("start-after", "0"), ("ready-after", "0"), ("crash-loop", "1s")],
            3000,
            5000,
            13_000,
            &[
                "12000 p Running ready=False ip=10.0.0.2 running restarts=2",
                "12000 p Running ready=True ip=10.0.0.2 running restarts=2",
                "13000 p Running ready=False ip=10.0.0.2 CrashLoopBackOff restarts=2",
            ],
        ),
        (
            &[("start-after", "0"), ("ready-after", "0"), ("unready-after", "2s"), ("unready-for", "10s")],
            4000,
            5000,
            13_000,
            &["12000 p Running ready=True ip=10.0.0.2 running restarts=0"],
        ),
    ];
    for (annotations, until, back, then_until, expected) in rows {
        assert_eq!(resumed(annotations, *until, *back, *then_until), *expected, "{annotations:?}");
    }
}

#[test]
fn a_pod_that_was_stored_before_it_began_starts_anew() {
    let mut simulated = simulated(&["10.0.0.0/24"]);
    let mut web = pod("p", &[]);
    web.status = Some(PodStatus { phase: Some("Pending".to_owned()), ..PodStatus::default() });
    simulated.resume(&web, Referenced::default(), at(1000));
    assert_eq!(history(&mut simulated, 60_000).len(), 3);
}

/// As the API records that a client wrote the status.
fn overwrite(pod: &mut Pod) {
    let entry = ManagedFieldsEntry { subresource: Some("status".to_owned()), ..ManagedFieldsEntry::default() };
    pod.metadata.managed_fields = Some(vec![entry]);
}

/// What a client wrote may be what the simulation itself would have reported; it stays all the same.
#[test]
fn a_status_overwritten_with_what_the_simulation_would_say_stays_over_a_restart() {
    let mut simulated = simulated(&["10.0.0.0/24"]);
    let mut web = pod("p", &[("evict-after", "5s")]);
    simulated.start(&web, Referenced::default(), START);
    simulated.poll(at(4_000));
    web.status = Some(simulated.pods["uid-of-p"].status.to_status());
    overwrite(&mut web);
    let mut restarted = self::simulated(&["10.0.0.0/24"]);
    restarted.resume(&web, Referenced::default(), at(4_500));
    assert_eq!(history(&mut restarted, 90_000), Vec::<String>::new());
}

#[test]
fn an_overwritten_status_stays() {
    let mut simulated = simulated(&["10.0.0.0/24"]);
    let mut web = pod("p", &[("ready-after", "10s"), ("unready-after", "3s")]);
    simulated.start(&web, Referenced::default(), START);
    simulated.poll(at(60));
    let mut status = simulated.pods["uid-of-p"].status.to_status();
    let ready = status.conditions.iter_mut().flatten().find(|condition| condition.type_ == "Ready").unwrap();
    (ready.status, ready.reason) = ("False".to_owned(), Some("PlayedByHand".to_owned()));
    web.status = Some(status);
    simulated.overwritten(&web, at(100));
    assert_eq!(history(&mut simulated, 60_000), Vec::<String>::new());
    assert_eq!(simulated.pools.in_use(), 1);

    overwrite(&mut web);
    let mut restarted = self::simulated(&["10.0.0.0/24"]);
    restarted.resume(&web, Referenced::default(), at(61_000));
    assert_eq!(history(&mut restarted, 90_000), Vec::<String>::new(), "over a restart too");
    assert_eq!(restarted.pools.in_use(), 1);

    simulated.stop(&web, Duration::ZERO, at(61_000));
    assert_eq!(history(&mut simulated, 90_000), ["61000 p stopped"]);
}

#[test]
fn a_status_overwritten_before_a_container_runs_stays_over_a_restart() {
    let mut simulated = simulated(&["10.0.0.0/24"]);
    let mut web = pod("p", &[]);
    let ready = PodCondition { type_: "Ready".to_owned(), status: "False".to_owned(), ..PodCondition::default() };
    // What was written before the pod came to its node does not count.
    web.status = Some(PodStatus { conditions: Some(vec![ready.clone()]), ..PodStatus::default() });
    simulated.start(&web, Referenced::default(), START);
    simulated.poll(START);
    let mut status = simulated.pods["uid-of-p"].status.to_status();
    assert!(status::condition(&status, "Ready").is_none());
    status.conditions.get_or_insert_default().push(ready);
    web.status = Some(status);
    simulated.overwritten(&web, START);
    assert_eq!(history(&mut simulated, 60_000), Vec::<String>::new());
    overwrite(&mut web);
    let mut restarted = self::simulated(&["10.0.0.0/24"]);
    restarted.resume(&web, Referenced::default(), at(61_000));
    assert_eq!(history(&mut restarted, 90_000), Vec::<String>::new());
}

#[test]
fn a_long_pause_is_not_made_up_for() {
    let mut simulated = simulated(&["10.0.0.0/24"]);
    simulated.start(&pod("p", &[("unready-after", "1ms"), ("unready-for", "1ms")]), Referenced::default(), START);
    assert!(simulated.poll(at(24 * 3600 * 1000)).len() < 10);
    assert!(simulated.next_due().unwrap() > at(24 * 3600 * 1000));
}
