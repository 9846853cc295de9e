//! Each rule in rows: manifests, and what is said to them. What is documented is compared with what exists.

use super::*;
use crate::objects::object::{Kind, set_defaults};
use std::{collections::BTreeSet, fs};

/// A set of three pods of Service `nginx`; `{}` is replaced.
fn set(spec: &str, pod: &str) -> String {
    format!(
        "{{kind: StatefulSet, metadata: {{name: web}}, spec: {{serviceName: nginx, replicas: 3, {spec} \
         template: {{metadata: {{labels: {{app: a}}}}, spec: {{{pod} containers: [{{name: a}}]}}}}}}}}"
    )
}

fn service(spec: &str) -> String {
    format!("{{kind: Service, metadata: {{name: nginx}}, spec: {{{spec}}}}}")
}

const HEADLESS: &str = "clusterIP: None, selector: {app: a}";

fn decode(text: &str) -> Object {
    let value: serde_json::Value = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let kind = *Kind::ALL.iter().find(|kind| Some(kind.name()) == value["kind"].as_str()).unwrap();
    let mut object = Object::from_json(kind, value).unwrap();
    set_defaults(&mut object);
    object
}

/// `rule field: message (help)` of every lint.
fn lints(manifests: &[String], neighbours: &[Neighbour]) -> Vec<String> {
    let objects: Vec<Object> = manifests.iter().map(|text| decode(text)).collect();
    let lints = lint(&objects, neighbours);
    lints.iter().map(|lint| format!("{} {}: {} ({})", lint.rule, lint.field, lint.message, lint.help)).collect()
}

/// Expected are beginnings of the lints, and after `…` a part of them.
#[track_caller]
fn check(manifests: &[String], expected: &[&str]) {
    check_beside(&[], manifests, expected);
}

#[track_caller]
fn check_beside(neighbours: &[Neighbour], manifests: &[String], expected: &[&str]) {
    let found = lints(manifests, neighbours);
    assert_eq!(found.len(), expected.len(), "{manifests:#?}\n{found:#?}");
    for (lint, expected) in found.iter().zip(expected) {
        let (begins, holds) = expected.split_once('…').unwrap_or((expected, ""));
        assert!(lint.starts_with(begins) && lint.contains(holds), "{manifests:#?}\n{lint}\nexpected {expected}");
        COVERED.with_borrow_mut(|covered| covered.insert(lint.split(' ').next().unwrap_or_default().to_owned()));
    }
}

thread_local! {
    static COVERED: std::cell::RefCell<BTreeSet<String>> = const { std::cell::RefCell::new(BTreeSet::new()) };
}

fn owned(text: &str) -> String {
    text.to_owned()
}

fn governing_services() {
    let plain = set("", "");
    check(&[plain.clone(), service(HEADLESS)], &[]);
    check(
        &[plain.replace("serviceName: nginx, ", "")],
        &["service-name-empty spec.serviceName: the set names no Service…(declare a headless Service"],
    );
    check(
        std::slice::from_ref(&plain),
        &[
            "governing-service-missing spec.serviceName: no Service nginx is declared in namespace default…(declare a headless",
        ],
    );
    check(
        &[plain.clone(), service("clusterIP: None, selector: {app: a}").replace("name: nginx", "name: ngnix")],
        &["governing-service-missing spec.serviceName…; declared there: ngnix"],
    );
    check(
        &[plain.clone(), service(HEADLESS).replace("name: nginx", "name: nginx, namespace: x")],
        &[
            "governing-service-elsewhere spec.serviceName…there is one in namespace x",
            "selects-nothing spec.selector…declare the Service in namespace default",
        ],
    );
    check(
        &[plain.clone(), service("type: ExternalName, externalName: a.example")],
        &["governing-service-is-alias spec.serviceName…(declare a headless"],
    );
    check(
        &[plain.clone(), service("selector: {app: a}")],
        &["governing-service-not-headless spec.serviceName: Service nginx is not headless…set clusterIP: None"],
    );
    check(
        &[plain.clone(), service("clusterIP: None")],
        &["governing-service-without-selector spec.serviceName…has no selector"],
    );
    check(
        &[plain.clone(), service("clusterIP: None, selector: {app: b}")],
        &["selector-mismatch spec.template.metadata.labels…app: b is missing here (add app: b"],
    );
    let probed = plain.replace("{name: a}]", "{name: a, readinessProbe: {}}]");
    let at_once = probed.replace("replicas: 3,", "replicas: 3, podManagementPolicy: Parallel,");
    check(
        &[at_once.clone(), service(HEADLESS)],
        &[
            "peers-hidden-until-ready spec.template.spec.containers…cannot find each other (set publishNotReadyAddresses: \
             true",
        ],
    );
    check(&[at_once.clone(), service(&format!("{HEADLESS}, publishNotReadyAddresses: true"))], &[]);
    check(&[at_once.replace("replicas: 3", "replicas: 1"), service(HEADLESS)], &[]);
    // In order, each finds those before it.
    check(&[probed, service(HEADLESS)], &[]);
}

/// Manifests of the shapes that Kubernetes' own tutorials have: nothing is told but what is so.
fn tutorials() {
    let set = |name: &str, service: &str, pod: &str, class: &str| {
        format!(
            "{{kind: StatefulSet, metadata: {{name: {name}}}, spec: {{serviceName: {service}, replicas: 3, \
             selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, \
             spec: {{{pod}}}}}, volumeClaimTemplates: [{{metadata: {{name: data}}, spec: {{{class}}}}}]}}}}"
        )
    };
    let service = |name: &str, of: &str, spec: &str| {
        format!("{{kind: Service, metadata: {{name: {name}}}, spec: {{selector: {{app: {of}}}, {spec}}}}}")
    };
    let port = "containers: [{name: a, ports: [{name: web, containerPort: 80}]}]";
    let probed = "containers: [{name: a, ports: [{name: client, containerPort: 2181}], readinessProbe: {}}], \
                  volumes: [{name: config, configMap: {name: a}}, {name: conf, emptyDir: {}}]";
    // Web servers; ZooKeeper and MySQL (one Service for the peers, one for clients); Cassandra (a class of its own).
    check(
        &[service("nginx", "web", "clusterIP: None, ports: [{name: web, port: 80}]"), set("web", "nginx", port, "")],
        &[],
    );
    check(
        &[
            service("zk-hs", "zk", "clusterIP: None, ports: [{name: server, port: 2888}, {name: leader, port: 3888}]"),
            service("zk-cs", "zk", "ports: [{name: client, port: 2181}]"),
            set("zk", "zk-hs", probed, ""),
        ],
        &[],
    );
    check(
        &[
            service("cassandra", "cassandra", "clusterIP: None, ports: [{port: 9042}]"),
            set("cassandra", "cassandra", probed, "storageClassName: fast"),
            owned("{kind: StorageClass, metadata: {name: fast}, provisioner: x}"),
        ],
        &["unnamed-port spec.ports[0]: port 9042 has no name"],
    );
}

fn sets() {
    let nginx = service(HEADLESS);
    let long = set("", "").replace("name: web", &format!("name: {}", "w".repeat(62)));
    check(&[long, nginx.clone()], &["pod-name-too-long metadata.name: the pod wwww…shorten the set's name by 10"]);
    let named = |length: usize| set("", "").replace("name: web", &format!("name: {}", "w".repeat(length)));
    check(
        &[named(53), nginx.clone()],
        &["revision-label-too-long metadata.name: the set's name has 53 characters…shorten the set's name to 52"],
    );
    check(&[named(61), nginx.clone()], &["revision-label-too-long"]);
    check(&[named(52), nginx.clone()], &[]);
    let pod = |name: &str| format!("{{kind: Pod, metadata: {{name: {name}}}, spec: {{}}}}");
    check(&[set("", ""), nginx.clone(), pod("web-2")], &["pod-name-taken metadata.name: a bare Pod web-2"]);
    // One of an export has an owner that is not there, and goes.
    let owned_pod = "{kind: Pod, metadata: {name: web-2, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, \
                     name: web, uid: u}]}, spec: {subdomain: gone, volumes: [{name: v, persistentVolumeClaim: \
                     {claimName: gone}}]}}";
    check(&[set("", ""), nginx.clone(), owned(owned_pod)], &[]);
    check(&[set("", ""), nginx.clone(), pod("web-3"), pod("web-02"), pod("web-x"), pod("webs-1")], &[]);
    // A set of ten and more pods beside one named like its second: names stay apart.
    let second = set("", "").replace("name: web", "name: web-1");
    check(&[set("", "").replace("replicas: 3", "replicas: 20"), second, nginx.clone()], &[]);

    let claiming = |name: &str, template: &str| {
        set(&format!("volumeClaimTemplates: [{{metadata: {{name: {template}}}, spec: {{}}}}],"), "")
            .replace("metadata: {name: web}", &format!("metadata: {{name: {name}}}"))
    };
    check(
        &[claiming("db-web", "data"), claiming("web", "data-db"), nginx.clone()],
        &["claim-name-taken spec.volumeClaimTemplates: StatefulSet db-web makes claims named data-db-web-0 too"],
    );
    check(&[claiming("db", "data"), claiming("web", "data"), nginx.clone()], &[]);

    check(
        &[set("ordinals: {start: 2147483646},", ""), nginx.clone()],
        &["ordinals-out-of-reach spec.ordinals.start: the last ordinal is 2147483648"],
    );
    check(&[set("ordinals: {start: 5},", ""), nginx.clone()], &[]);
    let rolling = |text: &str| set(&format!("updateStrategy: {{rollingUpdate: {{{text}}}}},"), "");
    check(&[rolling("partition: 2"), nginx.clone()], &[]);
    check(
        &[rolling("partition: 3"), nginx.clone()],
        &["partition-out-of-reach spec.updateStrategy.rollingUpdate.partition…beyond the last ordinal 2"],
    );
    check(
        &[rolling("maxUnavailable: 2"), nginx.clone()],
        &["max-unavailable-dropped spec.updateStrategy.rollingUpdate.maxUnavailable…set maxUnavailableStatefulSet"],
    );
    check(
        &[set("", "hostname: h,"), nginx.clone()],
        &["template-hostname-replaced spec.template.spec.hostname…(remove it)"],
    );
}

fn services() {
    let alone = |spec: &str| service(spec).replace("name: nginx", "name: other");
    let (web, nginx) = (set("", ""), service(HEADLESS));
    check(
        &[web.clone(), nginx.clone(), alone("selector: {app: b}")],
        &["selects-nothing spec.selector: nothing declared in namespace default has pods with the labels app: b"],
    );
    check(&[web.clone(), nginx.clone(), alone("selector: {app: a}")], &[]);
    check(&[alone("clusterIP: None")], &[]);
    check(
        &[web.clone(), nginx.clone(), alone(HEADLESS)],
        &["duplicate-service spec.selector: Service nginx has the same selector, ports and type"],
    );
    check(&[web.clone(), nginx.clone(), alone(&format!("{HEADLESS}, ports: [{{name: a, port: 1}}]"))], &[]);
    let ports = |ports: &str| service(&format!("{HEADLESS}, ports: [{ports}]"));
    check(
        &[web.clone(), ports("{port: 80}")],
        &["unnamed-port spec.ports[0]: port 80 has no name…_<port>._tcp.nginx.default.svc"],
    );
    check(&[web.clone(), ports("{name: web, port: 80}")], &[]);
    let target = ports("{name: web, port: 80, targetPort: http}");
    check(&[web.clone(), target.clone()], &["target-port-missing spec.ports[0].targetPort…a port named http"]);
    let with_port = web.replace("{name: a}]", "{name: a, ports: [{name: http, containerPort: 8080}]}]");
    check(&[with_port, target], &[]);

    let alias = |name: &str| alone(&format!("type: ExternalName, externalName: {name}"));
    check(&[alias("192.0.2.1")], &["external-name-is-address spec.externalName: 192.0.2.1 is an address"]);
    check(&[alias("192.0.2.1.")], &["external-name-is-address"]);
    check(&[alias("mysql")], &["external-name-short spec.externalName…mysql.<namespace>.svc.cluster.local"]);
    check(&[alias("mysql.shop.svc")], &["external-name-short spec.externalName…mysql.shop.svc.cluster.local"]);
    check(&[alias("db.example.com"), alias("db.example.com.").replace("name: other", "name: dot")], &[]);
    check(
        &[alone("type: ExternalName, externalName: db.example.com, selector: {app: a}")],
        &["external-name-with-selector spec.selector"],
    );

    let publishing = service(&format!("{HEADLESS}, publishNotReadyAddresses: true"));
    check(&[web.clone(), publishing.clone()], &["publish-without-readiness spec.publishNotReadyAddresses"]);
    let late = web.replace(
        "metadata: {labels: {app: a}}",
        "metadata: {labels: {app: a}, annotations: {simulation.headless-dns/ready-after: 5s}}",
    );
    check(&[late, publishing], &[]);
}

fn pods_and_slices() {
    let service = "{kind: Service, metadata: {name: s}, spec: {clusterIP: None}}";
    let pod = |name: &str, spec: &str| format!("{{kind: Pod, metadata: {{name: {name}}}, spec: {{{spec}}}}}");
    check(&[owned(service), pod("a", "subdomain: s")], &["pod-without-hostname spec.subdomain: the pod names"]);
    check(&[owned(service), pod("a", "hostname: a, subdomain: s")], &[]);
    check(&[pod("a", "hostname: a, subdomain: s")], &["subdomain-missing spec.subdomain: no Service s is declared"]);
    check(
        &[owned(service), pod("a", "hostname: a, subdomain: s"), pod("b", "hostname: a, subdomain: s")],
        &["hostname-taken spec.hostname: Pod a has the same hostname"],
    );
    let slice =
        |labels: &str| format!("{{kind: EndpointSlice, metadata: {{name: a, labels: {labels}}}, addressType: IPv4}}");
    check(&[owned(service), slice("{}")], &["slice-without-label metadata.labels: the slice has no label"]);
    check(&[owned(service), slice("{kubernetes.io/service-name: s}")], &[]);
    check(&[slice("{kubernetes.io/service-name: s}")], &["slice-without-service metadata.labels: no Service s"]);
    let selecting = "{kind: Service, metadata: {name: s}, spec: {clusterIP: None, selector: {app: a}}}";
    check(
        &[
            owned(selecting),
            pod("a", "").replace("name: a}", "name: a, labels: {app: a}}"),
            slice("{kubernetes.io/service-name: s}"),
        ],
        &["slice-beside-selector metadata.labels: Service s has a selector"],
    );
    let endpoints = "{kind: Endpoints, metadata: {name: s}}".to_owned();
    check(&[owned(service), endpoints.clone()], &[]);
    check(std::slice::from_ref(&endpoints), &["endpoints-without-service metadata.name: no Service s"]);
    check(
        &[owned(selecting), pod("a", "").replace("name: a}", "name: a, labels: {app: a}}"), endpoints],
        &["endpoints-beside-selector metadata.name: Service s has a selector"],
    );
}

/// What stands beside the objects: pods of other kinds, and documents with an error.
fn neighbours() {
    let selecting =
        |label: &str| service(&format!("selector: {{app: {label}}}, ports: [{{port: 80, targetPort: http}}]"));
    let pods = |namespace: &str, port: &str| Neighbour::Pods {
        namespace: owned(namespace),
        template: Box::new(
            serde_json::from_value(serde_json::json!({
                "metadata": {"labels": {"app": "front"}},
                "spec": {"containers": [{"name": "a", "ports": [{"name": port, "containerPort": 80}]}]},
            }))
            .unwrap(),
        ),
    };
    let nothing = "selects-nothing spec.selector";
    check_beside(&[pods("default", "http")], &[selecting("front")], &[]);
    check_beside(&[pods("default", "web")], &[selecting("front")], &["target-port-missing spec.ports[0].targetPort"]);
    check_beside(&[pods("default", "http")], &[selecting("back")], &[nothing]);
    check_beside(&[pods("other", "http")], &[selecting("front")], &[nothing]);
    let labels = |text: Option<&str>| text.map(|text| Labels::from([(owned("app"), owned(text))]));
    let of = |labels| Neighbour::Labels { namespace: owned("default"), labels };
    check_beside(&[of(labels(Some("front")))], &[selecting("front")], &[]);
    check_beside(&[of(labels(Some("front")))], &[selecting("back")], &[nothing]);
    check_beside(&[of(None)], &[selecting("back")], &[]);

    let broken = |kind: Kind, name: &str, labels| Neighbour::Broken {
        key: ObjectKey::new(kind, if kind.is_namespaced() { "default" } else { "" }, name),
        labels,
        class: (kind == Kind::PersistentVolume).then(|| owned("fast")),
    };
    check_beside(&[broken(Kind::StatefulSet, "web", Some(labels(Some("front"))))], &[selecting("front")], &[]);
    check_beside(&[broken(Kind::Pod, "web", Some(None))], &[selecting("front")], &[]);
    let governed = [set("", "")];
    check_beside(&[broken(Kind::Service, "nginx", None)], &governed, &[]);
    check_beside(&[broken(Kind::Service, "other", None)], &governed, &["governing-service-missing"]);
    let pod = "{kind: Pod, metadata: {name: p}, spec: {hostname: p, subdomain: s, volumes: [{name: v, \
               persistentVolumeClaim: {claimName: c}}]}}";
    let alone: &[&str] = &["subdomain-missing", "claim-missing"];
    let slice =
        "{kind: EndpointSlice, metadata: {name: a, labels: {kubernetes.io/service-name: s}}, addressType: IPv4}";
    let claim = "{kind: PersistentVolumeClaim, metadata: {name: d}, spec: {storageClassName: fast}}";
    check_beside(&[broken(Kind::Service, "s", None)], &[owned(pod)], &alone[1..]);
    check_beside(&[broken(Kind::PersistentVolumeClaim, "c", None)], &[owned(pod)], &alone[..1]);
    check_beside(&[broken(Kind::Service, "s", None)], &[owned(slice)], &[]);
    check_beside(&[broken(Kind::StorageClass, "fast", None)], &[owned(claim)], &[]);
    check_beside(&[broken(Kind::PersistentVolume, "v", None)], &[owned(claim)], &[]);
    // What cannot be read may be any of them; what does not hang on it is told all the same.
    let all = [owned(pod), owned(slice), owned(claim), set("", ""), selecting("back").replace("nginx", "other")];
    check_beside(&[Neighbour::Unknown], &all, &[]);
    check_beside(&[Neighbour::Unknown], &[set("", "").replace("serviceName: nginx, ", "")], &["service-name-empty"]);
}

fn storage() {
    let nginx = service(HEADLESS);
    let claiming =
        |class: &str| set(&format!("volumeClaimTemplates: [{{metadata: {{name: data}}, spec: {{{class}}}}}],"), "");
    check(&[claiming(""), nginx.clone()], &[]);
    check(&[claiming("storageClassName: standard"), nginx.clone()], &[]);
    let missing = "storage-class-missing spec.volumeClaimTemplates[0].spec.storageClassName: no StorageClass fast";
    check(&[claiming("storageClassName: fast"), nginx.clone()], &[missing]);
    let class = "{kind: StorageClass, metadata: {name: fast}, provisioner: x}";
    check(&[claiming("storageClassName: fast"), nginx.clone(), owned(class)], &[]);
    let volume = "{kind: PersistentVolume, metadata: {name: v}, spec: {storageClassName: fast}}";
    check(&[claiming("storageClassName: fast"), nginx.clone(), owned(volume)], &[]);
    let claim = "{kind: PersistentVolumeClaim, metadata: {name: c}, spec: {storageClassName: fast}}";
    check(&[owned(claim)], &["storage-class-missing spec.storageClassName"]);
    let pod = "{kind: Pod, metadata: {name: p}, spec: {volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]}}";
    check(
        &[owned(pod)],
        &["claim-missing spec.volumes[0].persistentVolumeClaim.claimName: no PersistentVolumeClaim c"],
    );
    check(&[owned(pod), owned(&claim.replace("fast", "standard"))], &[]);
}

fn annotations_of_ours() {
    let annotated =
        |annotation: &str| set("", "").replace("{name: web}", &format!("{{name: web, annotations: {{{annotation}}}}}"));
    let nginx = service(HEADLESS);
    check(&[annotated("headless-dns/cascade: orphan"), nginx.clone()], &[]);
    check(
        &[annotated("headless-dns/cascade: orphans"), nginx.clone()],
        &["annotation-value metadata.annotations[headless-dns/cascade]"],
    );
    check(
        &[annotated("headless-dns/cascad: orphan"), nginx.clone()],
        &["annotation-unknown metadata.annotations[headless-dns/cascad]"],
    );
    check(&[annotated("example.com/cascad: orphan"), nginx.clone()], &[]);
    let with_ttl =
        |ttl: &str| nginx.replace("name: nginx", &format!("name: nginx, annotations: {{headless-dns/ttl: '{ttl}'}}"));
    for good in ["0", "5", "3600"] {
        check(&[annotated("example.com/a: b"), with_ttl(good)], &[]);
    }
    for bad in ["", "3601", "-1", "+5", "5s", "1.5", " 5"] {
        check(
            &[annotated("example.com/a: b"), with_ttl(bad)],
            &[&format!("annotation-value metadata.annotations[headless-dns/ttl]: `{bad}` is no whole number")],
        );
    }
}

fn annotations_of_the_simulation() {
    let template = set("", "").replace("labels: {app: a}}", "labels: {app: a}, annotations: {x: y}}");
    let object = decode(&template);
    let lints =
        lint_simulation([&object], |all| all.keys().map(|key| (key.clone(), "is nothing".to_owned())).collect());
    assert_eq!(lints.len(), 1);
    assert_eq!(lints[0].field, "spec.template.metadata.annotations[x]");
    assert_eq!((lints[0].message.as_str(), lints[0].rule), ("is nothing", Rule::SimulationAnnotation));
    COVERED.with_borrow_mut(|covered| covered.insert(lints[0].rule.to_string()));
}

/// One test, so that at its end all rules have had their rows.
#[test]
fn every_rule_has_its_rows_and_its_documentation() {
    governing_services();
    tutorials();
    sets();
    services();
    pods_and_slices();
    neighbours();
    storage();
    annotations_of_ours();
    annotations_of_the_simulation();
    let rules: BTreeSet<String> = Rule::ALL.iter().map(ToString::to_string).collect();
    let covered = COVERED.take();
    let missing: Vec<_> = rules.difference(&covered).collect();
    assert!(missing.is_empty(), "rules without a row here: {missing:?}");

    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lints.md")).unwrap();
    let documented: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(rule, _)| rule.to_owned())
        .collect();
    assert_eq!(documented, rules, "docs/lints.md has a row for each rule and no other");
}
