//! Queries at full speed while pods are recreated hundreds of times a second: nothing lost, nothing torn, nothing old.
#![expect(clippy::unwrap_used)]

mod support;

use headless_dns::{
    control::controller::{Cascade, Write},
    objects::object::{Kind, Object, ObjectKey},
    program::{
        app::{Control, Server},
        settings::Settings,
    },
};
use hickory_proto::op::{Message, ResponseCode};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::{
        RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::{
    dns::{self, A, PTR, SRV, Tcp, Udp},
    eventually, web,
};

const LENGTH: Duration = Duration::from_secs(5);
/// How long at most, where the machine is so busy that too little has happened until then.
const LENGTH_MAX: Duration = Duration::from_secs(60);
/// Recreations and queries that mean something.
const RECREATIONS_MIN: usize = 500;
const QUERIES_MIN: u64 = 5_000;
const REPLICAS: usize = 12;
/// The pods below this ordinal are left alone; the others are deleted as fast as they come back.
const STEADY: usize = 6;
const SERVICE: &str = "nginx.default.svc.cluster.local";

fn pod(ordinal: usize) -> String {
    format!("web-{ordinal}.{SERVICE}")
}

/// What the clients hold the answers against.
struct Truth {
    server: SocketAddr,
    steady: Vec<IpAddr>,
    names: Vec<String>,
    /// Addresses that were taken away, with the order in which that happened; `count` grows after the deletion has
    /// returned.
    removed: RwLock<HashMap<IpAddr, usize>>,
    count: AtomicUsize,
    over: AtomicBool,
    queries: AtomicU64,
}

/// How far the removals were when a query began.
#[derive(Clone, Copy)]
struct Since(usize);

impl Truth {
    fn begin(&self) -> Since {
        Since(self.count.load(Ordering::Acquire))
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn asked(&self, count: usize) {
        self.queries.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// An address that was taken away before the query began must not come back in its answer.
    fn check_current(&self, since: Since, address: IpAddr, message: &Message) {
        let removed = self.removed.read().unwrap().get(&address).copied();
        assert!(removed.is_none_or(|order| order >= since.0), "{address} was removed before: {message:?}");
    }

    /// The set of the service: all steady pods, nothing old.
    fn check_service(&self, since: Since, message: &Message) {
        assert_eq!(dns::code(message), ResponseCode::NoError, "{message:?}");
        let addresses: HashSet<IpAddr> = message.answers.iter().filter_map(dns::address).collect();
        assert_eq!(addresses.len(), message.answers.len());
        assert!(addresses.len() <= REPLICAS, "{message:?}");
        for steady in &self.steady {
            assert!(addresses.contains(steady), "{steady} is missing: {message:?}");
        }
        for address in addresses {
            self.check_current(since, address, message);
        }
    }

    /// One pod: a steady one has its address, another one has a current one or none at the moment.
    fn check_pod(&self, since: Since, ordinal: usize, message: &Message) {
        let addresses: Vec<IpAddr> = message.answers.iter().filter_map(dns::address).collect();
        match self.steady.get(ordinal) {
            Some(&address) => {
                assert_eq!((dns::code(message), addresses), (ResponseCode::NoError, vec![address]), "{message:?}");
            }
            None if addresses.is_empty() => assert_ne!(dns::code(message), ResponseCode::ServFail, "{message:?}"),
            None => {
                assert_eq!((dns::code(message), addresses.len()), (ResponseCode::NoError, 1), "{message:?}");
                self.check_current(since, addresses[0], message);
            }
        }
    }

    /// The ports: each target is a pod with exactly one address beside it, all of one generation.
    fn check_ports(&self, since: Since, message: &Message) {
        assert_eq!(dns::code(message), ResponseCode::NoError, "{message:?}");
        let targets: BTreeSet<String> = message.answers.iter().filter_map(dns::target).collect();
        assert_eq!(targets.len(), message.answers.len(), "{message:?}");
        let beside = message.additionals.iter().filter_map(|record| Some((dns::owner(record), dns::address(record)?)));
        let beside: Vec<(String, IpAddr)> = beside.collect();
        let owners: BTreeSet<String> = beside.iter().map(|(owner, _)| owner.clone()).collect();
        assert_eq!((owners.len(), &owners), (beside.len(), &targets), "targets without their one address: {message:?}");
        let addresses: HashSet<IpAddr> = beside.iter().map(|&(_, address)| address).collect();
        assert_eq!(addresses.len(), beside.len(), "two pods with one address: {message:?}");
        for (ordinal, steady) in self.steady.iter().enumerate() {
            assert!(beside.contains(&(self.names[ordinal].clone(), *steady)), "{message:?}");
        }
        for address in addresses {
            self.check_current(since, address, message);
        }
    }
}

/// Asks for pods and their service over UDP, several at a time, each once only.
fn udp_client(truth: &Truth) {
    let mut client = Udp::new(truth.server);
    let mut questions: Vec<(&str, u16)> = truth.names.iter().map(|name| (name.as_str(), A)).collect();
    questions.push((SERVICE, A));
    while !truth.is_over() {
        let since = truth.begin();
        let replies = client.ask(&questions);
        truth.asked(replies.len());
        for (ordinal, reply) in replies[..REPLICAS].iter().enumerate() {
            truth.check_pod(since, ordinal, reply);
        }
        truth.check_service(since, &replies[REPLICAS]);
    }
}

/// Asks for ports and sets over one TCP connection, pipelined.
fn tcp_client(truth: &Truth) {
    let mut client = Tcp::new(truth.server);
    let ports = format!("_web._tcp.{SERVICE}");
    while !truth.is_over() {
        let since = truth.begin();
        let replies = client.ask(&[(&ports, SRV), (SERVICE, A), (&ports, SRV)]);
        truth.asked(replies.len());
        truth.check_ports(since, &replies[0]);
        truth.check_service(since, &replies[1]);
        truth.check_ports(since, &replies[2]);
    }
}

/// Asks for the names of addresses: steady ones, and ones that were taken away before.
fn reverse_client(truth: &Truth) {
    let mut client = Udp::new(truth.server);
    while !truth.is_over() {
        let gone: Vec<IpAddr> = truth.removed.read().unwrap().keys().take(8).copied().collect();
        // They are in the map once their removal has been published.
        let names: Vec<String> = truth.steady.iter().chain(&gone).copied().map(dns::reverse).collect();
        let questions: Vec<(&str, u16)> = names.iter().map(|name| (name.as_str(), PTR)).collect();
        let replies = client.ask(&questions);
        truth.asked(replies.len());
        for (ordinal, reply) in replies.iter().enumerate() {
            let targets: Vec<String> = reply.answers.iter().filter_map(dns::target).collect();
            if ordinal < truth.steady.len() {
                assert_eq!(targets, [truth.names[ordinal].as_str()], "{reply:?}");
            } else {
                assert_ne!(dns::code(reply), ResponseCode::ServFail, "{reply:?}");
                assert!(targets.is_empty(), "{reply:?}");
            }
        }
    }
}

/// A pod's address when it is ready.
fn address_of(control: &Control, key: &ObjectKey) -> Option<IpAddr> {
    let Some(Object::Pod(pod)) = control.object(key).unwrap() else { return None };
    let status = pod.status.as_ref()?;
    let ready = status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
    status.pod_ip.as_ref().filter(|_| ready)?.parse().ok()
}

/// Deletes one pod again and again, as fast as it comes back; returns how often.
fn delete_pod(truth: &Truth, control: &Control, ordinal: usize) -> usize {
    let begun = Instant::now();
    let is_enough = |recreations: usize| {
        let enough = recreations * (REPLICAS - STEADY) >= RECREATIONS_MIN
            && truth.queries.load(Ordering::Relaxed) >= QUERIES_MIN;
        begun.elapsed() >= if enough { LENGTH } else { LENGTH_MAX }
    };
    let mut client = Udp::new(truth.server);
    let key = ObjectKey::new(Kind::Pod, "default", format!("web-{ordinal}"));
    let mut recreations = 0;
    while !is_enough(recreations) && !truth.is_over() {
        let old = eventually(&format!("{key} is ready"), || address_of(control, &key).ok_or("it is not"));
        control.write(Write::delete(key.clone(), Some(0), Cascade::Background)).unwrap().unwrap();
        // The very next query.
        let name = &truth.names[ordinal];
        let reply = client.ask(&[(name, A)]).remove(0);
        truth.asked(1);
        assert!(
            !reply.answers.iter().filter_map(dns::address).any(|now| now == old),
            "{old} is still there: {reply:?}"
        );
        let mut removed = truth.removed.write().unwrap();
        let order = removed.len();
        assert!(removed.insert(old, order).is_none(), "{old} was given out again at once");
        truth.count.store(order + 1, Ordering::Release);
        drop(removed);
        recreations += 1;
    }
    recreations
}

/// Sets the flag also when a thread panics, so that the others end and the test fails instead of hanging.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn queries_while_pods_are_recreated() {
    let directory = tempfile::tempdir().unwrap();
    let manifests = directory.path().join("manifests");
    std::fs::create_dir(&manifests).unwrap();
    std::fs::write(manifests.join("web.yaml"), web(REPLICAS, "", "  podManagementPolicy: Parallel\n")).unwrap();
    let mut settings = Settings::defaults();
    settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
    settings.manifests = vec![manifests];
    settings.zones = directory.path().join("zones");
    settings.state_directory = None;
    settings.simulation.start_after = Duration::ZERO;
    settings.simulation.ready_after = Duration::ZERO;
    settings.simulation.stop_after = Duration::ZERO;
    let server = Server::start(settings).unwrap();
    let control = server.control();

    let ready = |ordinal: usize| {
        let key = ObjectKey::new(Kind::Pod, "default", format!("web-{ordinal}"));
        eventually(&format!("{key} is ready"), || address_of(&control, &key).ok_or("it is not"))
    };
    let addresses: Vec<IpAddr> = (0..REPLICAS).map(ready).collect();
    let truth = Truth {
        server: server.addresses()[0],
        steady: addresses[..STEADY].to_vec(),
        names: (0..REPLICAS).map(pod).collect(),
        removed: RwLock::default(),
        count: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        queries: AtomicU64::new(0),
    };

    let begun = Instant::now();
    let recreations = std::thread::scope(|scope| {
        for client in [udp_client, udp_client, tcp_client, tcp_client, reverse_client] {
            let truth = &truth;
            scope.spawn(move || {
                let _over = Over(&truth.over);
                client(truth);
            });
        }
        let _over = Over(&truth.over);
        // Several at once, so that one turn of the control loop may have several deletions.
        let deleters: Vec<_> = (STEADY..REPLICAS)
            .map(|ordinal| {
                let (truth, control) = (&truth, &control);
                scope.spawn(move || delete_pod(truth, control, ordinal))
            })
            .collect();
        deleters.into_iter().map(|deleter| deleter.join().expect("it found something")).sum::<usize>()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let queries = truth.queries.load(Ordering::Relaxed);
    println!(
        "{queries} queries ({:.0}/s) while {recreations} pods were recreated ({:.0}/s)",
        queries as f64 / seconds,
        recreations as f64 / seconds
    );
    assert!(recreations >= RECREATIONS_MIN, "only {recreations} recreations: too slow to mean anything");
    assert!(queries >= QUERIES_MIN, "only {queries} queries: too slow to mean anything");
    assert!(!server.failed());

    // At the end everybody is back, under the old name with a new address.
    let mut client = Udp::new(truth.server);
    for (ordinal, before) in addresses.into_iter().enumerate().skip(STEADY) {
        let now = ready(ordinal);
        assert_ne!(now, before);
        let reply = client.ask(&[(&truth.names[ordinal], A)]).remove(0);
        assert_eq!(reply.answers.iter().filter_map(dns::address).collect::<Vec<_>>(), [now]);
    }
    server.stop();
}
