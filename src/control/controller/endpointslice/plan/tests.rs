//! Slices as the recorded traces write them: `[hostname=address:R/r S/s T/t …] ports` (ready, serving, terminating).

use super::*;
use k8s_openapi::{
    api::core::v1::{ContainerPort, PodCondition, PodIP, PodSpec, PodStatus, ServiceSpec},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use proptest::prelude::*;

fn service(yaml: &str) -> Service {
    let mut service: Service = serde_yaml::from_str(yaml).unwrap();
    service.metadata.namespace = Some("gold".to_owned());
    service.metadata.uid = Some(format!("uid-of-{}", service.metadata.name.as_deref().unwrap()));
    service
}

fn nginx() -> Service {
    service(
        "{metadata: {name: nginx, labels: {app: nginx}}, spec: {clusterIP: None, ipFamilies: [IPv4], \
         selector: {app: nginx}, \
         ports: [{name: web, port: 80, protocol: TCP, targetPort: 80}]}}",
    )
}

/// `web-0=10.0.0.1,fd00::1:R` — ready (`R`), terminating (`T`), phase Failed (`F`) or Succeeded (`S`), other subdomain
/// (`o`), port `web` 8081 instead of 8080 (`8`), without the port (`-`).
fn pod(text: &str) -> Arc<Pod> {
    let (name, rest) = text.split_once('=').unwrap();
    let (addresses, flags) = rest.rsplit_once('/').unwrap();
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.to_owned());
    pod.metadata.namespace = Some("gold".to_owned());
    pod.metadata.uid = Some(format!("uid-of-{name}"));
    pod.metadata.deletion_timestamp = flags.contains('T').then_some(Time(Timestamp::UNIX_EPOCH));
    let number = if flags.contains('8') { 8081 } else { 8080 };
    let port = ContainerPort { name: Some("http".to_owned()), container_port: number, ..ContainerPort::default() };
    let ports = (!flags.contains('-')).then_some(vec![port]);
    pod.spec = Some(PodSpec {
        hostname: Some(name.to_owned()),
        subdomain: Some(if flags.contains('o') { "other" } else { "nginx" }.to_owned()),
        node_name: Some("node-1".to_owned()),
        containers: vec![Container { name: "c".to_owned(), ports, ..Container::default() }],
        ..PodSpec::default()
    });
    let phase = if flags.contains('F') {
        "Failed"
    } else if flags.contains('S') {
        "Succeeded"
    } else {
        "Running"
    };
    let ips: Vec<PodIP> =
        addresses.split(',').filter(|ip| !ip.is_empty()).map(|ip| PodIP { ip: ip.to_owned() }).collect();
    let status = if flags.contains('R') { "True" } else { "False" };
    let ready = PodCondition { type_: "Ready".to_owned(), status: status.to_owned(), ..PodCondition::default() };
    pod.status = Some(PodStatus {
        phase: Some(phase.to_owned()),
        pod_ip: ips.first().map(|ip| ip.ip.clone()),
        pod_ips: Some(ips),
        conditions: Some(vec![ready]),
        ..PodStatus::default()
    });
    Arc::new(pod)
}

/// A store that carries plans out and counts writes.
#[derive(Default)]
struct Slices {
    slices: BTreeMap<String, Arc<EndpointSlice>>,
    named: usize,
    writes: usize,
}

impl Slices {
    fn reconcile(&mut self, service: &Service, pods: &[Arc<Pod>]) {
        let existing: Vec<&Arc<EndpointSlice>> = self.slices.values().collect();
        let plan = plan(service, &pods.iter().collect::<Vec<_>>(), &existing);
        self.writes += plan.create.len() + plan.update.len() + plan.delete.len();
        for name in &plan.delete {
            self.slices.remove(name).expect("what is deleted exists");
        }
        for slice in plan.update {
            let name = slice.metadata.name.clone().unwrap();
            self.slices.insert(name, Arc::new(slice)).expect("what is updated exists");
        }
        for mut slice in plan.create {
            self.named += 1;
            let name = format!("{}{:05}", slice.metadata.generate_name.as_deref().unwrap(), self.named);
            slice.metadata.name = Some(name.clone());
            assert!(self.slices.insert(name, Arc::new(slice)).is_none());
        }
    }

    fn lines(&self) -> Vec<String> {
        self.slices.values().map(|slice| line(slice)).collect()
    }
}

fn line(slice: &EndpointSlice) -> String {
    let flag = |value: Option<bool>, letter: char| match value.unwrap() {
        true => letter,
        false => letter.to_ascii_lowercase(),
    };
    let endpoints = slice.endpoints.iter().flatten().map(|endpoint| {
        let conditions = endpoint.conditions.as_ref().unwrap();
        format!(
            "{}={}:{}{}{}",
            endpoint.hostname.as_deref().unwrap_or("-"),
            endpoint.addresses.join(","),
            flag(conditions.ready, 'R'),
            flag(conditions.serving, 'S'),
            flag(conditions.terminating, 'T')
        )
    });
    let ports: Vec<String> = slice
        .ports
        .iter()
        .flatten()
        .map(|port| format!("{}:{}", port.name.as_deref().unwrap(), port.port.unwrap()))
        .collect();
    let ports = if ports.is_empty() { "-".to_owned() } else { ports.join(",") };
    format!("{} [{}] ports={ports}", slice.address_type, endpoints.collect::<Vec<_>>().join(" "))
}

#[test]
fn slices_of_pods() {
    let publishing = "{metadata: {name: nginx}, spec: {clusterIP: None, ipFamilies: [IPv4], \
                      publishNotReadyAddresses: true, \
                      selector: {a: b}, ports: [{name: web, port: 80}]}}";
    let dual = "{metadata: {name: nginx}, spec: {clusterIP: None, ipFamilies: [IPv6, IPv4], selector: {a: b}, \
                ports: [{port: 80, targetPort: 8000}]}}";
    let portless = "{metadata: {name: nginx}, spec: {clusterIP: None, ipFamilies: [IPv4], selector: {a: b}}}";
    let named = "{metadata: {name: nginx}, spec: {clusterIP: None, ipFamilies: [IPv4], selector: {a: b}, \
                 ports: [{name: web, port: 80, targetPort: http}, {name: dns, port: 53, protocol: UDP}]}}";
    let plain = "{metadata: {name: nginx}, spec: {clusterIP: None, ipFamilies: [IPv4], selector: {a: b}, \
                 ports: [{name: web, port: 80, targetPort: 80}]}}";
    let other =
        "{metadata: {name: second}, spec: {clusterIP: 10.96.0.9, selector: {a: b}, ports: [{name: web, port: 80}]}}";
    let no_selector = "{metadata: {name: nginx}, spec: {clusterIP: None, ipFamilies: [IPv4], selector: {}}}";
    let external = "{metadata: {name: nginx}, spec: {type: ExternalName, externalName: x.example, selector: {a: b}}}";
    let undecided = "{metadata: {name: nginx}, spec: {clusterIP: None, selector: {a: b}}}";
    let rows: &[(&str, &[&str], &[&str])] = &[
        (plain, &[], &["IPv4 [] ports=-"]),
        (plain, &["web-0=10.0.0.1/"], &["IPv4 [web-0=10.0.0.1:rst] ports=web:80"]),
        (
            plain,
            &["web-0=10.0.0.1/R", "web-1=10.0.0.2/RT", "web-2=10.0.0.3/T"],
            &["IPv4 [web-0=10.0.0.1:RSt web-1=10.0.0.2:rST web-2=10.0.0.3:rsT] ports=web:80"],
        ),
        (
            publishing,
            &["web-0=10.0.0.1/R", "web-1=10.0.0.2/RT", "web-2=10.0.0.3/T", "web-3=/"],
            &["IPv4 [web-0=10.0.0.1:RSt web-1=10.0.0.2:RST web-2=10.0.0.3:RsT] ports=web:80"],
        ),
        (
            plain,
            &["a=10.0.0.1/RF", "b=10.0.0.2/RS", "c=/R", "d=fd00::1/R", "e=10.0.0.3/R"],
            &["IPv4 [e=10.0.0.3:RSt] ports=web:80"],
        ),
        (plain, &["web-0=10.0.0.1/Ro"], &["IPv4 [-=10.0.0.1:RSt] ports=web:80"]),
        (other, &["web-0=10.0.0.1/R"], &["IPv4 [-=10.0.0.1:RSt] ports=web:80"]),
        (
            dual,
            &["web-0=10.0.0.1,FD00::0:1/R", "web-1=10.0.0.2/R"],
            &["IPv6 [web-0=fd00::1:RSt] ports=:8000", "IPv4 [web-0=10.0.0.1:RSt web-1=10.0.0.2:RSt] ports=:8000"],
        ),
        (undecided, &["web-0=fd00::1/R"], &["IPv4 [] ports=-", "IPv6 [web-0=fd00::1:RSt] ports=-"]),
        (portless, &["web-0=10.0.0.1/R"], &["IPv4 [web-0=10.0.0.1:RSt] ports=-"]),
        (
            named,
            &["web-0=10.0.0.1/R", "web-1=10.0.0.2/R8", "web-2=10.0.0.3/R", "web-3=10.0.0.4/R-"],
            &[
                "IPv4 [web-3=10.0.0.4:RSt] ports=dns:53",
                "IPv4 [web-0=10.0.0.1:RSt web-2=10.0.0.3:RSt] ports=web:8080,dns:53",
                "IPv4 [web-1=10.0.0.2:RSt] ports=web:8081,dns:53",
            ],
        ),
        (no_selector, &["web-0=10.0.0.1/R"], &[]),
        (external, &["web-0=10.0.0.1/R"], &[]),
    ];
    for (yaml, pods, expected) in rows {
        let service = service(yaml);
        let pods: Vec<Arc<Pod>> = pods.iter().map(|text| pod(text)).collect();
        let mut slices = Slices::default();
        slices.reconcile(&service, &pods);
        assert_eq!(slices.lines(), *expected, "{yaml}");
        let writes = slices.writes;
        slices.reconcile(&service, &pods);
        assert_eq!(slices.writes, writes, "nothing is written when nothing changed: {yaml}");
    }
}

/// The recorded life of two pods, and that one slice serves for all of it.
#[test]
fn one_slice_from_the_placeholder_to_the_placeholder() {
    let service = nginx();
    let mut slices = Slices::default();
    let rows: &[(&[&str], &str)] = &[
        (&[], "IPv4 [] ports=-"),
        (&["web-0=10.0.0.1/"], "IPv4 [web-0=10.0.0.1:rst] ports=web:80"),
        (&["web-0=10.0.0.1/R"], "IPv4 [web-0=10.0.0.1:RSt] ports=web:80"),
        (&["web-0=10.0.0.1/R", "web-1=10.0.0.2/R"], "IPv4 [web-0=10.0.0.1:RSt web-1=10.0.0.2:RSt] ports=web:80"),
        (&["web-0=10.0.0.1/RT", "web-1=10.0.0.2/R"], "IPv4 [web-0=10.0.0.1:rST web-1=10.0.0.2:RSt] ports=web:80"),
        (&["web-1=10.0.0.2/R"], "IPv4 [web-1=10.0.0.2:RSt] ports=web:80"),
        (&["web-0=10.0.0.3/R", "web-1=10.0.0.2/R"], "IPv4 [web-1=10.0.0.2:RSt web-0=10.0.0.3:RSt] ports=web:80"),
        (&[], "IPv4 [] ports=-"),
    ];
    for (index, (pods, expected)) in rows.iter().enumerate() {
        slices.reconcile(&service, &pods.iter().map(|text| pod(text)).collect::<Vec<_>>());
        assert_eq!(slices.lines(), [*expected]);
        assert_eq!(slices.writes, index + 1);
    }
    assert_eq!(slices.named, 1);
}

/// As recorded in `made-endpointslice.yaml`.
#[test]
fn the_whole_object() {
    let pods: Vec<Arc<Pod>> = ["web-0=10.244.0.107/R", "web-1=10.244.0.108/R"].iter().map(|text| pod(text)).collect();
    let plan = plan(&nginx(), &pods.iter().collect::<Vec<_>>(), &[]);
    let expected: EndpointSlice = serde_yaml::from_str(
        "
metadata:
  generateName: nginx-
  namespace: gold
  labels:
    app: nginx
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
    kubernetes.io/service-name: nginx
    service.kubernetes.io/headless: ''
  ownerReferences:
  - {apiVersion: v1, blockOwnerDeletion: true, controller: true, kind: Service, name: nginx, uid: uid-of-nginx}
addressType: IPv4
endpoints:
- addresses: [10.244.0.107]
  conditions: {ready: true, serving: true, terminating: false}
  hostname: web-0
  nodeName: node-1
  targetRef: {kind: Pod, name: web-0, namespace: gold, uid: uid-of-web-0}
- addresses: [10.244.0.108]
  conditions: {ready: true, serving: true, terminating: false}
  hostname: web-1
  nodeName: node-1
  targetRef: {kind: Pod, name: web-1, namespace: gold, uid: uid-of-web-1}
ports:
- {name: web, port: 80, protocol: TCP}
",
    )
    .unwrap();
    assert_eq!(plan, SlicePlan { create: vec![expected], ..SlicePlan::default() });
}

#[test]
fn labels_follow_the_service_but_reserved_ones_do_not() {
    let mut service = service(
        "{metadata: {name: nginx, labels: {app: a, kubernetes.io/service-name: x, service.kubernetes.io/headless: y}}, \
         spec: {clusterIP: 10.96.0.9, selector: {a: b}, ports: [{port: 80}]}}",
    );
    let pods = [pod("web-0=10.0.0.1/R")];
    let mut slices = Slices::default();
    slices.reconcile(&service, &pods);
    for app in ["a", "b"] {
        service.metadata.labels.as_mut().unwrap().insert("app".to_owned(), app.to_owned());
        slices.reconcile(&service, &pods);
        let labels = slices.slices.values().next().unwrap().metadata.labels.clone().unwrap();
        let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected = [
            ("app", app),
            ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"),
            ("kubernetes.io/service-name", "nginx"),
        ];
        assert_eq!(labels, expected);
    }
    assert_eq!(slices.writes, 2);
}

fn many(numbers: impl IntoIterator<Item = u32>) -> Vec<Arc<Pod>> {
    numbers.into_iter().map(|n| pod(&format!("web-{n}=10.1.{}.{}/R", n / 250, n % 250))).collect()
}

#[test]
fn at_most_a_hundred_endpoints_and_few_writes() {
    let service = nginx();
    let mut slices = Slices::default();
    let lengths = |slices: &Slices| {
        let mut lengths: Vec<usize> = slices.slices.values().map(|slice| length(slice)).collect();
        lengths.sort_unstable();
        lengths
    };
    slices.reconcile(&service, &many(0..250));
    assert_eq!((lengths(&slices), slices.writes), (vec![50, 100, 100], 3));
    slices.reconcile(&service, &many(0..251));
    assert_eq!((lengths(&slices), slices.writes), (vec![51, 100, 100], 4));
    // One leaves the first slice and one comes: one write.
    slices.reconcile(&service, &many((1..251).chain([300])));
    assert_eq!((lengths(&slices), slices.writes), (vec![51, 100, 100], 5));
    // 60 more fit into no one slice: those that stay are not touched.
    slices.reconcile(&service, &many((1..251).chain(300..360)));
    assert_eq!((lengths(&slices), slices.writes), (vec![51, 59, 100, 100], 6));
    slices.reconcile(&service, &many(1..3));
    assert_eq!(lengths(&slices), [2]);
}

#[test]
fn slices_of_others_and_of_other_families() {
    let mut service = nginx();
    let pods = [pod("web-0=10.0.0.1/R")];
    let mut slices = Slices::default();
    slices.reconcile(&service, &pods);
    // The Service was deleted and made again: what belonged to the old one goes.
    service.metadata.uid = Some("another".to_owned());
    slices.reconcile(&service, &pods);
    assert_eq!(slices.lines(), ["IPv4 [web-0=10.0.0.1:RSt] ports=web:80"]);
    assert_eq!(slices.named, 2);
    service.spec.as_mut().unwrap().ip_families = Some(vec!["IPv6".to_owned()]);
    slices.reconcile(&service, &pods);
    assert_eq!(slices.lines(), ["IPv6 [] ports=-"]);
    // A Service that is being deleted gets no new ones.
    service.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    service.spec = Some(ServiceSpec { ip_families: Some(vec!["IPv4".to_owned()]), ..service.spec.unwrap() });
    slices.reconcile(&service, &pods);
    assert_eq!(slices.lines(), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever came before, the slices hold exactly the endpoints of the present pods, and a second pass writes
    /// nothing.
    #[test]
    fn any_history_ends_in_the_same_endpoints(
        rounds in proptest::collection::vec((proptest::collection::btree_set(0u32..260, 0..230), 0u32..3), 1..6)
    ) {
        let service = service(
            "{metadata: {name: nginx}, spec: {clusterIP: None, ipFamilies: [IPv4], selector: {a: b}, \
             ports: [{name: web, port: 80, targetPort: http}]}}",
        );
        let mut slices = Slices::default();
        for (numbers, flavour) in rounds {
            let flags = |n: u32| if n % 3 < flavour { "R8" } else { "T" };
            let pods: Vec<Arc<Pod>> = numbers
                .iter()
                .map(|n| pod(&format!("web-{n}=10.1.{}.{}/{}", n / 250, n % 250, flags(*n))))
                .collect();
            slices.reconcile(&service, &pods);
            let mut held: Vec<String> = Vec::new();
            for slice in slices.slices.values() {
                prop_assert!(length(slice) <= MAX_ENDPOINTS);
                for endpoint in slice.endpoints.iter().flatten() {
                    let number = slice.ports.as_ref().unwrap()[0].port.unwrap();
                    held.push(format!("{} {number} {:?}", endpoint.hostname.as_ref().unwrap(), endpoint.conditions));
                }
            }
            let mut expected: Vec<String> = pods
                .iter()
                .map(|pod| {
                    let endpoint = endpoint(&service, pod, "IPv4");
                    let number = endpoint_ports(&service, pod)[0].port.unwrap();
                    format!("{} {number} {:?}", endpoint.hostname.as_ref().unwrap(), endpoint.conditions)
                })
                .collect();
            held.sort();
            expected.sort();
            prop_assert_eq!(held, expected);
            prop_assert!(!slices.slices.is_empty());
            let writes = slices.writes;
            slices.reconcile(&service, &pods);
            prop_assert_eq!(slices.writes, writes);
        }
    }
}
