//! Explanations as rows: manifests, a name, and lines that must be in the explanation. And for any name: no panic, and
//! the answer of
//! `answer`.

use super::*;
use crate::{
    control::{
        controller::{Cascade, Controller, Event, Write},
        runtime::simulated::Simulated,
        testing::ControlPlane,
    },
    dns::{
        answer::{QueryContext, Transport, Verdict, answer},
        wire::MESSAGE_MAX,
        zone::{ZoneSpec, file::ZoneFiles},
    },
    objects::object::{Kind, Object, ObjectKey, set_defaults},
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// A cluster under a clock of its own.
struct World {
    controller: Controller<Simulated>,
    snapshot: Snapshot,
    surroundings: ServerFacts,
    now: Timestamp,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

impl World {
    fn new(manifests: &[String]) -> World {
        let spec = |origin: &str, empty_names| ZoneSpec {
            origin: name(origin),
            name_server: name("ns.dns.cluster.local"),
            name_server_addresses: vec!["192.0.2.53".parse().unwrap()],
            mailbox: name("hostmaster.cluster.local"),
            serial: 1,
            ttl: 5,
            negative_ttl: 1,
            empty_names,
        };
        let specs = vec![spec("cluster.local", vec![name("svc.cluster.local")]), spec("in-addr.arpa", vec![])];
        let directory = tempfile::tempdir().unwrap();
        let zone = "$ORIGIN example.test.\n$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\nns A 192.0.2.1\n\
                    www A 192.0.2.2\n*.apps A 192.0.2.3\nalias CNAME www\nloop CNAME loop\n\
                    sub NS ns.sub\nns.sub A 192.0.2.4\nout CNAME www.example.com.\n";
        std::fs::write(directory.path().join("example.zone"), zone).unwrap();
        let (zones, diagnostics) = ZoneFiles::new(directory.path()).scan();
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let plane = ControlPlane::default().with_ranges(&["10.96.0.0/16"], &["10.244.0.0/24"]);
        let mut plane = plane.with_delays([50, 50, 100_000]);
        plane.settings.built_in_class = true;
        let mut world = World {
            controller: plane.controller(),
            snapshot: Snapshot::new(specs).with_static_zones(zones.unwrap()),
            surroundings: ServerFacts { domains: vec![name("cluster.local")], forwarding: false },
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        for text in manifests {
            world.controller.handle(Event::Apply(decode(text).into()), world.now);
        }
        world.controller.handle(Event::Loaded, world.now);
        world.run(SignedDuration::from_secs(60));
        world
    }

    /// Lets time pass.
    fn run(&mut self, time: SignedDuration) {
        let end = self.now + time;
        loop {
            let turn = self.controller.turn(self.now);
            self.snapshot = self.snapshot.apply(&turn.delta);
            if turn.loaded {
                self.snapshot = self.snapshot.synced();
            }
            match turn.wake_at.filter(|at| *at <= end) {
                Some(at) => self.now = at.max(self.now),
                None => break,
            }
        }
        self.now = end;
    }

    fn explain(&self, question: &ExplainQuestion) -> Explanation {
        explain(question, &self.surroundings, self.controller.cluster(), &self.snapshot).unwrap()
    }
}

fn decode(text: &str) -> Object {
    let value: serde_json::Value = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let kind = *Kind::ALL.iter().find(|kind| Some(kind.name()) == value["kind"].as_str()).unwrap();
    let mut object = Object::from_json(kind, value).unwrap();
    set_defaults(&mut object);
    object
}

/// A question as it is typed: name, type, `-n namespace`.
fn question(typed: &str) -> ExplainQuestion {
    let words: Vec<&str> = typed.split(' ').collect();
    let namespace = words.iter().position(|word| *word == "-n").map_or("default", |at| words[at + 1]);
    let record_type = words.get(1).filter(|word| **word != "-n");
    ExplainQuestion::new(words[0], record_type.copied(), namespace).unwrap()
}

/// One line of what is told, with single spaces.
fn shown(explanation: &Explanation) -> String {
    explanation.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(world: &World, rows: &[(&str, &[&str])]) {
    let mut missing = String::new();
    for (typed, expected) in rows {
        let explanation = world.explain(&question(typed));
        let shown = shown(&explanation);
        for part in expected.iter().filter(|part| !shown.contains(**part)) {
            missing.push_str(&format!("{typed}: `{part}` is not in\n{explanation}\n"));
        }
        let failed = fails(&explanation);
        assert!(failed != explanation.resolves() || explanation.answer.forwarded, "{typed}\n{explanation}");
        // It survives the way through HTTP.
        let json = serde_json::to_string(&explanation).unwrap();
        assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), explanation);
    }
    assert!(missing.is_empty(), "{missing}");
}

const SERVICE: &str = "{kind: Service, metadata: {name: nginx}, spec: {clusterIP: None, selector: {app: nginx}, \
                       ports: [{name: web, port: 80}]}}";

/// `web` with its Service; of both, something is put in another's place.
fn web(replace: &[(&str, &str)]) -> Vec<String> {
    let set = "{kind: StatefulSet, metadata: {name: web}, spec: {serviceName: nginx, replicas: 3, \
               selector: {matchLabels: {app: nginx}}, template: {metadata: {labels: {app: nginx}}, \
               spec: {containers: [{name: nginx, image: nginx}]}}}}";
    let mut manifests = vec![SERVICE.to_owned(), set.to_owned()];
    for (old, new) in replace {
        assert!(manifests.iter().any(|text| text.contains(old)), "{old}");
        manifests.iter_mut().for_each(|text| *text = text.replace(old, new));
    }
    manifests
}

const NEVER_READY: (&str, &str) =
    ("template: {metadata: {", "template: {metadata: {annotations: {simulation.headless-dns/ready: \"false\"}, ");

/// Whether the way ends somewhere before the records.
fn fails(explanation: &Explanation) -> bool {
    explanation.steps.iter().any(|step| step.status == Status::Fail)
}

#[test]
fn what_is_there() {
    let world = World::new(&web(&[]));
    check(
        &world,
        &[
            (
                "web-1.nginx",
                &[
                    "search web-1.nginx.default.svc.cluster.local. 1 record",
                    "ok zone cluster.local. is served here, serial",
                    "ok Service default/nginx: headless; selects app=nginx; ports web 80/TCP; IPv4; publishNotReadyAddresses false",
                    "ok StatefulSet default/web: 3 replicas, ordinals 0–2, 3 ready, OrderedReady, revision web-",
                    "ok pod default/web-1: Running; Ready; address 10.244.0.3",
                    "ok endpoint web-1 in slice nginx-",
                    "ready true, serving true, terminating false",
                    "answer NOERROR web-1.nginx.default.svc.cluster.local. 5 A 10.244.0.3",
                ],
            ),
            ("nginx", &["ok endpoint 3 endpoints in 1 slice, all answered for", "5 A 10.244.0.4"]),
            ("_web._tcp.nginx", &["SRV, asked by", "ok port web 80/TCP is declared", "SRV 0 33 80 web-0.nginx"]),
            (
                "10.244.0.3",
                &["PTR, asked by", "ok records PTR to web-1.nginx.default.svc.cluster.local.", "ok pod default/web-1"],
            ),
            ("WEB-1.Nginx.default.svc.cluster.local.", &["search web-1.nginx.default.svc.cluster.local. 1 record"]),
            ("dns-version TXT", &["TXT \"1.1.0\""]),
            // Fewer than five dots: the search list comes first. With five the name is tried as it is.
            (
                "nginx.default.svc.cluster.local",
                &[
                    "search nginx.default.svc.cluster.local.default.svc.cluster.local. NXDOMAIN",
                    "takes 2",
                    "sends 8 queries",
                ],
            ),
            ("web-1.nginx.default.svc.cluster.local", &["search web-1.nginx.default.svc.cluster.local. 1 record"]),
            ("web-1.nginx.default -n other", &["search web-1.nginx.default.other.svc.cluster.local. NXDOMAIN"]),
        ],
    );
}

#[test]
fn names_that_are_written_wrong() {
    let other = "{kind: Service, metadata: {name: nginx, namespace: shop}, spec: {clusterIP: None}}";
    let mut manifests = web(&[]);
    manifests.push(other.to_owned());
    let world = World::new(&manifests);
    let near = "did you mean web-0.nginx.default.svc.cluster.local.";
    check(
        &world,
        &[
            ("wbe-0.nginx", &["FAIL pod there is no pod wbe-0", "answer NXDOMAIN", near, "names below nginx.default"]),
            ("nginx-0.nginx", &["pods are named after their StatefulSet, which is web", near]),
            ("web-0.ngnix", &["FAIL Service there is no Service ngnix in namespace default", near]),
            ("web-0.web", &["web is a StatefulSet", "spec.serviceName says is `nginx`", near]),
            (
                "web-7.nginx",
                &["FAIL StatefulSet", "ordinal 7 is not among them", "replicas: 8", "did you mean web-2.nginx"],
            ),
            (
                "web-0",
                &[
                    "FAIL Service there is no Service web-0",
                    "web-0 is a pod, and its name lies below its Service",
                    near,
                ],
            ),
            ("nginx.defualt", &["FAIL namespace there is no namespace defualt", "did you mean namespace default?"]),
            ("web-0.nginx.defualt", &["FAIL namespace", near]),
            ("web-0.nginx.default.svc.cluster.lcoal", &["FAIL zone no zone here holds", "REFUSED", near]),
            ("web-0.nginx.default.cluster.local.", &["FAIL name names below cluster.local. are", near]),
            ("web-0.nginx -n shop", &["FAIL pod there is no pod web-0 in namespace shop"]),
            ("mysql -n shop", &["FAIL Service there is no Service mysql in namespace shop"]),
            (
                "_http._tcp.nginx",
                &["FAIL port no port is named http with tcp; there are web 80/TCP", "did you mean _web._tcp.nginx"],
            ),
            ("_web._udp.nginx", &["FAIL port no port is named web with udp"]),
            ("_tcp.nginx", &["it has no records", "did you mean _web._tcp.nginx.default.svc.cluster.local."]),
            ("default.svc.cluster.local.", &["ask for <service>.default", "answer NODATA"]),
            ("www.example.com", &["FAIL zone no zone here holds www.example.com.", "extended error 20"]),
            ("10.9.9.9", &["FAIL pod no pod and no Service here has the address 10.9.9.9"]),
            ("10-244-0-9.default.pod", &["FAIL", "no pod of namespace default is answered for"]),
        ],
    );
}

#[test]
fn not_ready() {
    let world = World::new(&web(&[NEVER_READY]));
    check(
        &world,
        &[
            (
                "web-0.nginx",
                &[
                    "warn pod default/web-0: Running; not Ready (ContainersNotReady: containers with unready status: [nginx])",
                    "FAIL endpoint web-0 in slice",
                    "ready false, serving false",
                    "set publishNotReadyAddresses: true in Service default/nginx",
                ],
            ),
            (
                "web-1.nginx",
                &["FAIL pod web-1 is not made yet: web-0 has to be Running and Ready first", "warn pod default/web-0"],
            ),
            (
                "nginx",
                &[
                    "FAIL endpoint 0 of 1 endpoint in 1 slice answered for",
                    "warn pod default/web-0: Running; not Ready",
                ],
            ),
            ("_web._tcp.nginx", &["FAIL endpoint 0 of 1 endpoint"]),
            ("10.244.0.2", &["FAIL", "pod default/web-0 has the address 10.244.0.2"]),
        ],
    );
    let published = web(&[NEVER_READY, ("clusterIP: None", "clusterIP: None, publishNotReadyAddresses: true")]);
    check(
        &World::new(&published),
        &[(
            "web-0.nginx",
            &["publishNotReadyAddresses true", "warn pod default/web-0: Running; not Ready", "answer NOERROR"],
        )],
    );
    // Of several some.
    let late = web(&[NEVER_READY, ("replicas: 3,", "replicas: 2, podManagementPolicy: Parallel,")]);
    check(&World::new(&late), &[("web-1.nginx", &["FAIL endpoint web-1 in slice"])]);
}

#[test]
fn terminating() {
    let mut world = World::new(&web(&[("containers: [", "terminationGracePeriodSeconds: 300, containers: [")]));
    let key = ObjectKey::new(Kind::Pod, "default", "web-1");
    world.controller.write(Write::delete(key, None, Cascade::Background), false, world.now).unwrap();
    world.run(SignedDuration::from_secs(1));
    check(
        &world,
        &[
            (
                "web-1.nginx",
                &[
                    "being deleted, gone by",
                    "FAIL endpoint",
                    "terminating true; address 10.244.0.3; an address leaves DNS when",
                ],
            ),
            (
                "nginx",
                &[
                    "warn endpoint 2 of 3 endpoints in 1 slice answered for; left out: web-1 (terminating)",
                    "answer NOERROR",
                ],
            ),
        ],
    );
    world.run(SignedDuration::from_secs(200));
    check(&world, &[("web-1.nginx", &["ok pod default/web-1: Running; Ready; address 10.244.0.5"])]);
}

/// A Service whose selector was removed keeps its slices as they were, and its pods go on without them.
#[test]
fn slices_that_lead_elsewhere() {
    let mut world = World::new(&web(&[]));
    let unselecting = SERVICE.replace(", selector: {app: nginx}", "");
    world.controller.handle(Event::Apply(decode(&unselecting).into()), world.now);
    world.run(SignedDuration::from_secs(1));
    check(&world, &[("web-1.nginx", &["ok endpoint web-1 in slice", "address 10.244.0.3", "answer NOERROR"])]);
    let key = ObjectKey::new(Kind::Pod, "default", "web-1");
    world.controller.write(Write::delete(key, Some(0), Cascade::Background), false, world.now).unwrap();
    world.run(SignedDuration::from_secs(200));
    let astray = "warn endpoint 10.244.0.3 is not the address of pod web-1, which has 10.244.0.5";
    let advice = "give Service default/nginx its selector again";
    check(
        &world,
        &[
            ("web-1.nginx", &[astray, advice, "answer NOERROR", "A 10.244.0.3"]),
            ("nginx", &[astray, advice]),
            ("_web._tcp.nginx", &[astray, advice]),
            ("web-0.nginx", &["ok endpoint web-0 in slice"]),
        ],
    );
    let fewer = web(&[("replicas: 3", "replicas: 1")]);
    for text in fewer.iter().filter(|text| text.contains("StatefulSet")) {
        world.controller.handle(Event::Apply(decode(text).into()), world.now);
    }
    world.run(SignedDuration::from_secs(400));
    check(&world, &[("nginx", &["10.244.0.3 was the address of pod web-1, which is gone"])]);
}

#[test]
fn services_that_do_not_fit() {
    let set_only: Vec<String> = web(&[]).into_iter().skip(1).collect();
    check(
        &World::new(&set_only),
        &[("web-0.nginx", &["FAIL Service there is no Service nginx", "declare a headless Service nginx"])],
    );

    let mut elsewhere = set_only.clone();
    elsewhere.push(SERVICE.replace("name: nginx}", "name: nginx, namespace: shop}"));
    check(
        &World::new(&elsewhere),
        &[(
            "web-0.nginx",
            &[
                "FAIL Service there is no Service nginx in namespace default",
                "exists in another namespace: ask for web-0.nginx.shop",
            ],
        )],
    );

    let mismatch = web(&[("clusterIP: None, selector: {app: nginx}", "clusterIP: None, selector: {app: ngnix}")]);
    check(
        &World::new(&mismatch),
        &[
            (
                "web-0.nginx",
                &[
                    "FAIL Service the selector of Service nginx asks for app=ngnix, and pod web-0 has app=nginx",
                    "give the pods' template the labels app: ngnix",
                ],
            ),
            (
                "nginx",
                &["FAIL endpoint no endpoint in 1 slice", "FAIL pod no pod has the labels that the Service selects"],
            ),
        ],
    );

    let workload = |kind: &str, replicas: u32, annotations: &str| {
        let service = "{kind: Service, metadata: {name: front}, spec: {clusterIP: None, selector: {app: front}}}";
        let template = format!(
            "{{metadata: {{labels: {{app: front}}, annotations: {{{annotations}}}}}, spec: {{containers: [{{name: a, image: a}}]}}}}"
        );
        let spec = format!("{{replicas: {replicas}, selector: {{matchLabels: {{app: front}}}}, template: {template}}}");
        vec![service.to_owned(), format!("{{kind: {kind}, metadata: {{name: front}}, spec: {spec}}}")]
    };
    check(
        &World::new(&workload("Deployment", 0, "")),
        &[(
            "front",
            &[
                "FAIL pod no pod has the labels that the Service selects",
                "Deployment default/front makes pods with these labels, and has none now",
            ],
        )],
    );
    let never = "simulation.headless-dns/ready: 'false'";
    check(
        &World::new(&workload("Deployment", 1, never)),
        &[("front", &["warn pod", "; made by ReplicaSet front-", " of Deployment front"])],
    );
    check(&World::new(&workload("ReplicaSet", 1, never)), &[("front", &["; made by ReplicaSet front"])]);

    let other = web(&[("serviceName: nginx", "serviceName: peers")]);
    check(
        &World::new(&other),
        &[("web-0.nginx", &["FAIL StatefulSet", "its pods' names lie below Service `peers`", "ask for web-0.peers"])],
    );

    let clustered = web(&[("clusterIP: None, ", "")]);
    check(
        &World::new(&clustered),
        &[
            ("nginx", &["warn Service it is not headless", "answer NOERROR", "5 A 10.96."]),
            ("web-0.nginx", &["with the address 10.96.", "answer NOERROR"]),
            ("_web._tcp.nginx", &["SRV 0 100 80 nginx.default"]),
        ],
    );

    let unnamed = web(&[("{name: web, port: 80}", "{port: 80}")]);
    check(
        &World::new(&unnamed),
        &[(
            "_web._tcp.nginx",
            &["FAIL port (unnamed) 80/TCP has no name, and only named ports have SRV", "write `name: web` at port 80"],
        )],
    );
    let lost = web(&[("{name: web, port: 80}", "{name: web, port: 80, targetPort: http}")]);
    check(&World::new(&lost), &[("_web._tcp.nginx", &["its targetPort is a name that their containers lack"])]);
    let none = web(&[(", ports: [{name: web, port: 80}]", "")]);
    check(&World::new(&none), &[("_web._tcp.nginx", &["FAIL port the Service declares no ports"])]);
}

#[test]
fn address_families() {
    let world = World::new(&web(&[]));
    check(
        &world,
        &[
            (
                "web-0.nginx AAAA",
                &[
                    "FAIL records there are A records only",
                    "never NXDOMAIN",
                    "answer NODATA",
                    "search web-0.nginx.default.svc.cluster.local. NODATA; for A 1 record",
                ],
            ),
            ("nginx AAAA", &["answer NODATA", "ipFamilyPolicy: PreferDualStack"]),
            ("web-0.nginx MX", &["there is no MX here, but A", "ask for A"]),
            ("web-0.nginx ANY", &["answer NOERROR", "HINFO"]),
        ],
    );
}

#[test]
fn claims_and_bare_pods() {
    let templates = "volumeClaimTemplates: [{metadata: {name: data}, spec: {storageClassName: fast, \
                     accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}], template: {";
    let pending = web(&[("template: {", templates)]);
    check(
        &World::new(&pending),
        &[(
            "web-0.nginx",
            &[
                "not scheduled (Unschedulable: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims)",
                "FAIL claim default/data-web-0: Pending, class fast; ProvisioningFailed: storageclass.storage.k8s.io \"fast\" not found",
                "declare StorageClass fast",
            ],
        )],
    );
    let pod = "{kind: Pod, metadata: {name: lone, labels: {app: nginx}}, spec: {containers: [{name: a, image: a}]}}";
    let mut manifests = web(&[]);
    manifests.push(pod.to_owned());
    check(
        &World::new(&manifests),
        &[(
            "lone.nginx",
            &["it has no hostname and subdomain of its own", "set spec.hostname", "did you mean 10-244-0-"],
        )],
    );
}

/// What is said of names agrees with how names are written, and with how far aliases are followed.
#[test]
fn names_are_read_as_they_are_written() {
    let mut manifests = vec![
        "{kind: Service, metadata: {name: six}, spec: {clusterIP: None, ipFamilies: [IPv6]}}".to_owned(),
        "{kind: EndpointSlice, metadata: {name: six-1, labels: {kubernetes.io/service-name: six}}, addressType: IPv6, \
         endpoints: [{addresses: ['FD00:0::1']}]}"
            .to_owned(),
    ];
    // Each one is an alias of the next; the last leads to a name with an address.
    let target = |next: usize| match next {
        17 => "www.example.test".to_owned(),
        next => format!("alias-{next}.default.svc.cluster.local"),
    };
    manifests.extend((1..=16).map(|number| {
        let target = target(number + 1);
        format!("{{kind: Service, metadata: {{name: alias-{number}}}, spec: {{type: ExternalName, externalName: {target}}}}}")
    }));
    check(
        &World::new(&manifests),
        &[
            ("fd00--1.six AAAA", &["ok endpoint FD00:0::1 in slice six-1", "ok records AAAA is there", "AAAA fd00::1"]),
            ("fd00--2.six AAAA", &["did you mean fd00--1.six.default.svc.cluster.local."]),
            ("10-244-9-9.default.pod", &["no pod of namespace default is answered for by its address 10.244.9.9"]),
            ("fd00--1-2.default.pod", &["no pod of namespace default is answered for by its address fd00::1:2"]),
            (
                "fd00-0--1.default.pod",
                &["FAIL name the name of the address fd00::1 is written fd00--1", "did you mean fd00--1.default.pod."],
            ),
            ("web-0.default.pod", &["`web-0` is no address with dashes"]),
            ("default.pod", &["the name above the addresses of a namespace's pods", "FAIL records no record stands"]),
            ("alias-2", &["A 192.0.2.2"]),
            ("alias-1", &["FAIL alias 16 aliases lead here: no more of them are followed"]),
        ],
    );
}

#[test]
fn aliases_slices_and_static_zones() {
    let alias = |name: &str, target: &str| {
        format!("{{kind: Service, metadata: {{name: {name}}}, spec: {{type: ExternalName, externalName: {target}}}}}")
    };
    let manifests = [
        alias("out", "www.example.com"),
        alias("inside", "www.example.test"),
        alias("chain", "inside.default.svc.cluster.local"),
        alias("number", "192.0.2.9"),
        "{kind: Service, metadata: {name: db}, spec: {clusterIP: None}}".to_owned(),
        "{kind: EndpointSlice, metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}, addressType: IPv4, \
         endpoints: [{addresses: [192.0.2.10], hostname: primary}, {addresses: [192.0.2.11], conditions: {ready: false}}]}"
            .to_owned(),
        "{kind: Service, metadata: {name: empty}, spec: {clusterIP: None}}".to_owned(),
    ];
    check(
        &World::new(&manifests),
        &[
            (
                "out",
                &[
                    "an alias (ExternalName) for www.example.com",
                    "FAIL alias it leads to www.example.com., which no zone here holds",
                ],
            ),
            ("out CNAME", &["answer NOERROR", "CNAME www.example.com."]),
            ("inside", &["ok alias it leads to www.example.test.", "is a static zone of this server", "A 192.0.2.2"]),
            ("chain", &["it leads to inside.default", "it leads to www.example.test.", "A 192.0.2.2"]),
            ("number", &["FAIL alias externalName is the address 192.0.2.9"]),
            ("web-0.out", &["FAIL Service an ExternalName Service is an alias: there are no names below it"]),
            ("_web._tcp.out", &["an ExternalName Service has no ports in DNS"]),
            (
                "db",
                &[
                    "warn endpoint 1 of 2 endpoints in 1 slice answered for; left out: 192.0.2.11 (not ready)",
                    "A 192.0.2.10",
                ],
            ),
            ("primary.db", &["ok endpoint 192.0.2.10 in slice db-1", "answer NOERROR"]),
            ("192-0-2-11.db", &["FAIL endpoint 192.0.2.11 in slice db-1: ready false"]),
            ("192.0.2.10", &["PTR to primary.db.default", "ok endpoint 192.0.2.10 in slice db-1"]),
            (
                "empty",
                &[
                    "FAIL endpoint no endpoint in 0 slices",
                    "declare an EndpointSlice with the label kubernetes.io/service-name: empty",
                ],
            ),
            (
                "www.example.test.",
                &["ok zone example.test. is a static zone", "ok name www.example.test. is in the file"],
            ),
            ("any.apps.example.test.", &["the wildcard *.apps.example.test. stands for it", "A 192.0.2.3"]),
            ("alias.example.test.", &["is an alias (CNAME)", "A 192.0.2.2"]),
            ("loop.example.test.", &["FAIL alias 16 aliases lead here: no more of them are followed"]),
            ("out.example.test.", &["FAIL alias it leads to www.example.com."]),
            ("www.sub.example.test.", &["FAIL name sub.example.test. is delegated to ns.sub.example.test."]),
            (
                "wwv.example.test.",
                &["FAIL name wwv.example.test. is not in the file", "did you mean www.example.test."],
            ),
            ("www.example.test. MX", &["there is no MX here, but A", "answer NODATA"]),
            ("apps.example.test.", &["it has no records itself: names below it have"]),
        ],
    );
}

#[test]
fn forwarding_and_the_first_load() {
    let mut world = World::new(&web(&[]));
    world.surroundings.forwarding = true;
    check(
        &world,
        &[("www.example.com.", &["warn zone no zone here holds www.example.com., so other servers are asked"])],
    );
    let settings = Snapshot::new(vec![ZoneSpec {
        origin: name("cluster.local"),
        name_server: name("ns.cluster.local"),
        name_server_addresses: Vec::new(),
        mailbox: name("hostmaster.cluster.local"),
        serial: 1,
        ttl: 5,
        negative_ttl: 1,
        empty_names: Vec::new(),
    }]);
    world.snapshot = settings;
    check(&world, &[("web-0.nginx", &["warn zone the manifests have not all been read yet", "answer SERVFAIL"])]);
}

#[test]
fn questions_that_are_none() {
    let rows: &[(&str, Option<&str>, &str, &str)] = &[
        ("a", Some("ADDRESS"), "default", "`ADDRESS` is no record type"),
        ("a", None, "no space", "`no space` is no namespace"),
        ("a", None, "", "is no namespace"),
    ];
    for (name, record_type, namespace, expected) in rows {
        let error = ExplainQuestion::new(name, *record_type, namespace).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(ExplainQuestion::new(&"a".repeat(2000), None, "default"), Err(QuestionError::Long));
    let world = World::new(&[]);
    for (name, expected) in [("a..b", "is no domain name"), ("", "is no domain name")] {
        let question = ExplainQuestion::new(name, None, "default").unwrap();
        let error = explain(&question, &world.surroundings, world.controller.cluster(), &world.snapshot).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

fn labels() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "web-0",
        "web-1",
        "web-9",
        "web-",
        "nginx",
        "db",
        "primary",
        "out",
        "lone",
        "default",
        "shop",
        "svc",
        "pod",
        "cluster",
        "local",
        "_web",
        "_tcp",
        "_udp",
        "example",
        "test",
        "www",
        "10-244-0-1",
        "10",
        "244",
        "in-addr",
        "arpa",
        "ip6",
        "dns-version",
        "*",
        "10.244.0.1",
        "fd00::1",
    ]);
    let label = prop_oneof![8 => known.prop_map(str::to_owned), 1 => "[a-zA-Z0-9_-]{1,63}", 1 => "\\PC{0,8}", 1 => Just("\\000".to_owned())];
    (prop::collection::vec(label, 1..8), any::<bool>())
        .prop_map(|(labels, dot)| labels.join(".") + if dot { "." } else { "" })
}

thread_local! {
    /// Made once: all names are asked of the same cluster.
    static WORLD: World = {
        let mut manifests = web(&[NEVER_READY]);
        manifests.push("{kind: Service, metadata: {name: db, namespace: shop}, spec: {clusterIP: None}}".to_owned());
        manifests.push(
            "{kind: Service, metadata: {name: out}, spec: {type: ExternalName, externalName: out.default.svc.cluster.local}}"
                .to_owned(),
        );
        World::new(&manifests)
    };
}

proptest! {
    #[test]
    fn any_name_gets_the_answer_of_answer(
        typed in labels(),
        rtype in prop_oneof![Just(None), any::<u16>().prop_map(Some), prop::sample::select(vec![1u16, 5, 6, 12, 28, 33, 43, 255]).prop_map(Some)],
        namespace in prop::sample::select(vec!["default", "shop", "none"]),
    ) {
        WORLD.with(|world| {
            let record_type = rtype.map(|number| format!("TYPE{number}"));
            let question = ExplainQuestion::new(&typed, record_type.as_deref(), namespace).unwrap();
            let surroundings = &world.surroundings;
            let explained = explain(&question, surroundings, world.controller.cluster(), &world.snapshot);
            let Ok(explanation) = explained else {
                prop_assert!(Name::parse(&typed).is_err());
                return Ok(());
            };
            let _ = explanation.to_string();
            let mut out = vec![0; MESSAGE_MAX];
            let packet = answered::query(&name(&explanation.name), question.record_type());
            let Verdict::Reply(length) = answer(&packet, &world.snapshot, QueryContext::new(Transport::Tcp, 1232, 0), &mut out)
            else {
                prop_assert_eq!(explanation.answer.code.as_str(), "no answer");
                return Ok(());
            };
            let message = hickory_proto::op::Message::from_vec(&out[..length]);
            let Ok(message) = message else { return Ok(()) };
            prop_assert_eq!(explanation.answer.records.len(), message.answers.len());
            let nothing = message.metadata.response_code == hickory_proto::op::ResponseCode::NXDomain;
            prop_assert_eq!(explanation.answer.code == "NXDOMAIN", nothing);
            // Where it does not resolve, some stage says so.
            prop_assert_eq!(explanation.resolves(), !fails(&explanation), "{}", explanation);
            Ok(())
        })?;
    }
}
