//! Random histories of edits, deletions, faults and restarts under simulated time, with every invariant checked after
//! every turn; and the rows of single behaviours that no recording holds.

mod classes;
mod clock;
mod definitions;
mod edits;
mod ended_pods;
mod forms;
mod missing_names;
mod namespaces;
mod references;
mod roles;

use super::*;
use crate::{
    control::{records::Ttls, runtime::simulated::Simulated, testing::ControlPlane},
    dns::{name::Name, wire::rdata::RecordType, zone::Rrset},
    objects::object,
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod, discovery::v1::Endpoint};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

type Published = BTreeMap<(Vec<u8>, RecordType), Rrset>;
type Notes = BTreeMap<Name, Arc<crate::dns::zone::NameNote>>;

/// A control plane, its clock, and what it has published and stored so far.
struct World {
    controller: Controller<Simulated>,
    now: Timestamp,
    published: Published,
    notes: Notes,
    stored: BTreeMap<ObjectKey, Object>,
    version: u64,
    loaded: bool,
    wake_at: Option<Timestamp>,
    refusals: Vec<Refusal>,
    warnings: Vec<(ObjectKey, String)>,
    last_applied: BTreeMap<ObjectKey, Arc<str>>,
    seed: u64,
}

fn record_settings() -> RecordSettings {
    let settings = RecordSettings::new(Name::parse("cluster.local").unwrap(), 5);
    RecordSettings { ttls: Ttls { replaced: 1, ..Ttls::all(5) }, ..settings }
}

fn controller(seed: u64, built_in_class: bool) -> Controller<Simulated> {
    let plane = ControlPlane::default().with_ranges(&["10.96.0.0/16"], &["10.244.0.0/24"]);
    let mut plane = plane.with_delays([50, 50, 100]);
    (plane.settings.records, plane.settings.built_in_class, plane.settings.seed) =
        (record_settings(), built_in_class, seed);
    plane.controller()
}

/// What is published once this delta is.
fn take_over(delta: Delta, published: &mut Published, notes: &mut Notes) {
    for (name, rtype, rrset) in delta.changes {
        let at = (name.as_wire().to_vec(), rtype);
        match rrset {
            Some(rrset) => drop(published.insert(at, rrset)),
            None => drop(published.remove(&at)),
        }
    }
    for (name, note) in delta.notes {
        match note {
            Some(note) => drop(notes.insert(name, note)),
            None => drop(notes.remove(&name)),
        }
    }
}

impl World {
    fn new(seed: u64) -> World {
        World {
            controller: controller(seed, false),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            published: BTreeMap::new(),
            notes: BTreeMap::new(),
            stored: BTreeMap::new(),
            version: 0,
            loaded: false,
            wake_at: None,
            refusals: Vec::new(),
            warnings: Vec::new(),
            last_applied: BTreeMap::new(),
            seed,
        }
    }

    /// One turn: what it publishes and stores is taken over, then every invariant is checked.
    fn turn(&mut self) {
        self.take();
        self.check();
    }

    /// One turn, without looking.
    fn take(&mut self) {
        let turn = self.controller.turn(self.now);
        take_over(turn.delta, &mut self.published, &mut self.notes);
        for change in turn.changes {
            assert!(change.resource_version > self.version, "versions grow");
            self.version = change.resource_version;
            assert_eq!(self.stored.get(&change.key), change.before.as_ref(), "{}: the log has no gap", change.key);
            match change.after {
                Some(object) => drop(self.stored.insert(change.key, object)),
                None => drop(self.stored.remove(&change.key)),
            }
        }
        self.refusals.extend(turn.refusals);
        self.warnings.extend(turn.warnings);
        for (key, written) in turn.applied {
            match written {
                Some(written) => drop(self.last_applied.insert(key, written)),
                None => drop(self.last_applied.remove(&key)),
            }
        }
        self.wake_at = turn.wake_at;
        assert!(turn.loaded || !self.loaded, "loaded stays");
        self.loaded = turn.loaded;
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.turn();
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.turn();
        }
        self.now = end;
    }

    fn event(&mut self, event: Event) {
        self.controller.handle(event, self.now);
    }

    fn apply(&mut self, json: Value) {
        self.event(Event::Apply(Declaration::new(decode(json.clone()), json)));
    }

    fn delete(&mut self, key: ObjectKey, grace_seconds: Option<i64>, cascade: Cascade) {
        self.write(Write::delete(key, grace_seconds, cascade));
    }

    /// A client creates an object, or puts it in the place of the stored one.
    fn put(&mut self, object: Object) {
        let exists = self.controller.object(&object.key()).is_some();
        self.write(if exists { Write::replace(object) } else { Write::Create { object, with_namespace: true } });
    }

    /// What a client sends; that it was refused is kept beside what was refused of manifests.
    fn write(&mut self, write: Write) {
        let key = match &write {
            Write::Create { object, .. } | Write::Update { object, .. } => object.key(),
            Write::Delete { key, .. } | Write::Evict { key, .. } => key.clone(),
        };
        if let Err(error) = self.controller.write(write, false, self.now) {
            self.refusals
                .push(Refusal::new(key, vec![FieldError { field: String::new(), message: error.to_string() }]));
        }
    }

    /// The program ends between two turns and starts again with what it had stored.
    fn restart(&mut self) {
        // What a handled event changed but no turn has given out was not stored; a restart forgets it.
        let objects: Vec<Object> =
            self.stored.values().map(|object| Object::from_json(object.kind(), object.to_json()).unwrap()).collect();
        self.seed += 1;
        self.controller = controller(self.seed, false);
        // Written form and memory differ in fractions of seconds only, which Kubernetes' timestamps do not have.
        for object in &objects {
            assert_eq!(object.to_json(), self.stored[&object.key()].to_json(), "stored and read back");
        }
        self.stored = objects.iter().map(|object| (object.key(), object.clone())).collect();
        self.controller.restore(objects, self.version, self.now);
        self.controller.restore_last_applied(self.last_applied.clone());
        self.published.clear();
        self.notes.clear();
        self.loaded = false;
    }

    fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.controller.cluster().pods()
    }

    fn pod(&self, name: &str) -> Option<&Arc<Pod>> {
        self.controller.cluster().pod("default", name)
    }

    fn set(&self, name: &str) -> Option<&Arc<StatefulSet>> {
        self.controller.cluster().stateful_set("default", name)
    }

    fn names(&self) -> Vec<&str> {
        self.pods().filter_map(|pod| pod.metadata.name.as_deref()).collect()
    }

    /// Everything that must hold whenever a turn has ended.
    /// What is answered and what is stored is what a fresh start with the same objects would have.
    fn check_records(&self) {
        let cluster = self.controller.cluster();
        let present: BTreeMap<ObjectKey, Object> =
            cluster.objects().map(|object| (object.key(), object.clone())).collect();
        assert_eq!(present, self.stored, "what was given out to be stored is what is there");

        // Incremental equals full, in records and notes …
        let mut anew = controller(0, false);
        let (mut published, mut notes) = (Published::new(), BTreeMap::new());
        // What names are made of first, as a start has it.
        let (named, rest): (Vec<Object>, Vec<Object>) =
            present.values().cloned().partition(|object| matches!(object.kind(), Kind::Service | Kind::EndpointSlice));
        anew.restore(named, 0, self.now);
        anew.restored_names(|names| take_over(names, &mut published, &mut notes));
        anew.restore(rest, 0, self.now);
        anew.restored_names(|of_rest| {
            for (name, rtype, _) in &of_rest.changes {
                let is_new = !published.contains_key(&(name.as_wire().to_vec(), *rtype));
                assert!(is_new && name.to_string().contains(".pod."), "{name} is not what was answered first");
            }
            take_over(of_rest, &mut published, &mut notes);
        });
        let Context { cluster, counters, .. } = &mut anew.context;
        anew.missing_names.report(cluster, &mut anew.records, counters);
        take_over(anew.records.take(), &mut published, &mut notes);
        assert_eq!(self.published, published, "incremental records equal rebuilt ones");
        assert_eq!(self.notes, notes, "incremental notes equal rebuilt ones");
    }

    fn check(&self) {
        self.check_records();
        let cluster = self.controller.cluster();
        // … and in the indexes.
        let mut fresh = Cluster::new(0);
        fresh.restore(cluster.objects().cloned().collect(), 0);
        for service in cluster.services() {
            assert_eq!(fresh.pods_of_service(service), cluster.pods_of_service(service));
            let name = service.metadata.name.as_deref().unwrap();
            let unready_too = service.spec.as_ref().unwrap().publish_not_ready_addresses == Some(true);
            let slices = |cluster: &Cluster| cluster.slices_of_service("default", name).cloned().collect::<Vec<_>>();
            assert_eq!(slices(&fresh), slices(cluster));
            // Section N: exactly the pods with an address that have not ended, each with its true conditions.
            let endpoints: BTreeMap<String, Endpoint> = slices(cluster)
                .iter()
                .flat_map(|slice| slice.endpoints.iter().flatten())
                .map(|endpoint| (endpoint.target_ref.clone().unwrap().name.unwrap(), endpoint.clone()))
                .collect();
            let pods: BTreeMap<String, &Arc<Pod>> = cluster
                .pods_of_service(service)
                .into_iter()
                .filter(|pod| pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some()))
                .filter(|pod| !pod::has_ended(pod))
                .map(|pod| (pod.metadata.name.clone().unwrap(), pod))
                .collect();
            assert_eq!(endpoints.keys().collect::<Vec<_>>(), pods.keys().collect::<Vec<_>>());
            for (name, pod) in pods {
                let (endpoint, serving) = (&endpoints[&name], is_ready(pod));
                let terminating = pod.metadata.deletion_timestamp.is_some();
                let conditions = endpoint.conditions.clone().unwrap();
                assert_eq!(Some(&endpoint.addresses[0]), pod.status.as_ref().unwrap().pod_ip.as_ref(), "{name}");
                assert_eq!(conditions.serving, Some(serving), "{name}");
                assert_eq!(conditions.terminating, Some(terminating), "{name}");
                assert_eq!(conditions.ready, Some(unready_too || serving && !terminating), "{name}");
            }
        }
        for object in cluster.objects() {
            let uid = object.metadata().uid.as_deref().unwrap();
            assert_eq!(cluster.by_uid(uid).map(Object::key), Some(object.key()));
            let dependents = |cluster: &Cluster| cluster.dependents(uid).map(Object::key).collect::<Vec<_>>();
            assert_eq!(dependents(&fresh), dependents(cluster));
        }
        for pod in cluster.pods() {
            let labels = pod.metadata.labels.as_ref();
            let services = |cluster: &Cluster| {
                let mut names = cluster.services_of_labels("default", labels);
                names.sort();
                names
            };
            assert_eq!(services(&fresh), services(cluster));
        }

        // No address is used twice.
        let mut addresses = BTreeSet::new();
        for pod in cluster.pods() {
            if let Some(address) = pod.status.as_ref().and_then(|status| status.pod_ip.clone()) {
                assert!(addresses.insert(address.clone()), "{address} is used twice");
            }
        }
        for set in cluster.stateful_sets() {
            let status = set.status.clone().unwrap();
            let (replicas, ready) = (status.replicas, status.ready_replicas.unwrap_or(0));
            assert!(ready <= replicas && status.available_replicas.unwrap_or(0) <= ready, "H11: {status:?}");
            assert!(status.current_replicas.unwrap_or(0) <= replicas, "H11: {status:?}");
            assert!(status.updated_replicas.unwrap_or(0) <= replicas, "H11: {status:?}");
            // A claim is never another pod's.
            for pod in cluster.dependents(set.metadata.uid.as_deref().unwrap()) {
                let Object::Pod(pod) = pod else { continue };
                let name = pod.metadata.name.as_deref().unwrap();
                for claim in crate::control::cluster::claims_of(pod) {
                    assert_eq!(claim, format!("data-{name}"));
                }
            }
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}

fn decode(mut json: Value) -> Object {
    let kind = *Kind::ALL.iter().find(|kind| json["kind"] == kind.name()).unwrap();
    if kind.is_namespaced() && json["metadata"]["namespace"].is_null() {
        json["metadata"]["namespace"] = json!("default");
    }
    let mut object = Object::from_json(kind, json).unwrap();
    object::set_defaults(&mut object);
    assert_eq!(object::validate(&object), []);
    object
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "selector": {"app": "nginx"}, "ports": [{"name": "web", "port": 80}]},
    })
}

fn stateful_set(name: &str, replicas: i32, image: &str, policy: &str, claims: bool) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {
            "serviceName": "nginx", "replicas": replicas, "podManagementPolicy": policy,
            "selector": {"matchLabels": {"app": "nginx", "set": name}},
            "template": {
                "metadata": {"labels": {"app": "nginx", "set": name}},
                "spec": {"containers": [
                    {"name": "nginx", "image": image, "ports": [{"name": "web", "containerPort": 80}]},
                ]},
            },
        },
    });
    if claims {
        set["spec"]["volumeClaimTemplates"] = json!([{
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }]);
        set["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "data", "mountPath": "/data"}]);
    }
    set
}

fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, if kind.is_namespaced() { "default" } else { "" }, name)
}

const SETS: [(&str, &str, bool); 3] =
    [("web", "OrderedReady", true), ("db", "Parallel", true), ("web-1", "OrderedReady", false)];

/// One random thing that somebody does.
fn disturb(world: &mut World, random: &mut fastrand::Rng) -> String {
    let (name, policy, claims) = SETS[random.usize(..SETS.len())];
    let pods: Vec<ObjectKey> = world.pods().map(|pod| Object::from(Arc::clone(pod)).key()).collect();
    let pod = if pods.is_empty() { None } else { Some(pods[random.usize(..pods.len())].clone()) };
    let image = ["nginx:1", "nginx:2", "nginx:3", "broken:1"][random.usize(..4)];
    match (random.u32(..14), pod) {
        (0..=3, _) => {
            let replicas = random.i32(0..5);
            world.apply(stateful_set(name, replicas, image, policy, claims));
            format!("apply {name} replicas={replicas} image={image}")
        }
        (4, _) => {
            world.event(Event::Withdraw(key(Kind::StatefulSet, name)));
            format!("withdraw {name}")
        }
        (5, _) => {
            let cascade = [Cascade::Background, Cascade::Foreground, Cascade::Orphan][random.usize(..3)];
            world.delete(key(Kind::StatefulSet, name), None, cascade);
            format!("delete {name} {cascade:?}")
        }
        (6, _) => {
            world.restart();
            for (name, ..) in SETS {
                // The manifests as an earlier run had applied them.
                if let Some(set) = world.set(name) {
                    let declared = Object::from(StatefulSet::clone(set));
                    let mut json = declared.to_json();
                    json["metadata"] = json!({"name": name, "namespace": "default"});
                    json["status"] = Value::Null;
                    world.apply(json);
                }
            }
            world.apply(service("nginx"));
            world.apply(service("other"));
            world.event(Event::Loaded);
            "restart".to_owned()
        }
        (7, Some(pod)) if random.bool() => {
            let claim = key(Kind::PersistentVolumeClaim, &format!("data-{}", pod.name));
            world.delete(claim.clone(), None, Cascade::Background);
            format!("delete {claim}")
        }
        (7 | 8, Some(pod)) => {
            world.delete(pod.clone(), None, Cascade::Background);
            format!("delete {pod}")
        }
        (9, Some(pod)) => {
            world.delete(pod.clone(), Some(0), Cascade::Background);
            format!("force {pod}")
        }
        (10, Some(pod)) => {
            let phase = ["Failed", "Succeeded"][random.usize(..2)];
            let status = PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() };
            world.event(Event::PatchPodStatus(pod.clone(), Box::new(status)));
            format!("{phase} {pod}")
        }
        (11, Some(pod)) => {
            let status = json!({"conditions": [{"type": "Ready", "status": "False"}]});
            let status = serde_json::from_value(status).unwrap();
            world.event(Event::PatchPodStatus(pod.clone(), Box::new(status)));
            format!("unready {pod}")
        }
        (12, Some(pod)) => {
            let mut json = world.controller.object(&pod).unwrap().to_json();
            let label = ["nginx", "else"][random.usize(..2)];
            json["metadata"]["labels"]["app"] = json!(label);
            world.put(Object::from_json(Kind::Pod, json).unwrap());
            format!("label {pod} app={label}")
        }
        _ => "wait".to_owned(),
    }
}

/// A random history, then everything is healed and must converge.
fn history(seed: u64, steps: usize) {
    let mut world = World::new(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut disturbances = Vec::new();
    // A client's object: no restart withdraws it.
    world.put(decode(built_in()));
    world.apply(service("nginx"));
    world.apply(service("other"));
    world.event(Event::Loaded);
    // An event is acknowledged after a turn only; before that a restart forgets it.
    world.turn();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..steps {
            disturbances.push(disturb(&mut world, &mut random));
            world.run(Duration::from_millis(random.u64(..400)));
        }
        for (name, policy, claims) in SETS {
            world.apply(stateful_set(name, 3, "nginx:9", policy, claims));
        }
        // Forced rollback by hand: what is broken or was taken out of its set is deleted.
        for _ in 0..12 {
            world.run(Duration::from_secs(40));
            let broken: Vec<ObjectKey> = world
                .pods()
                .filter(|pod| !is_ready(pod) || pod.metadata.owner_references.is_none())
                .map(|pod| Object::from(Arc::clone(pod)).key())
                .collect();
            for pod in broken {
                world.delete(pod, None, Cascade::Background);
            }
            for (name, policy, claims) in SETS {
                world.apply(stateful_set(name, 3, "nginx:9", policy, claims));
            }
        }
        world.run(Duration::from_secs(2000));
        let expected = ["db-0", "db-1", "db-2", "web-0", "web-1", "web-1-0", "web-1-1", "web-1-2", "web-2"];
        assert_eq!(world.names(), expected, "converged");
        for pod in world.pods() {
            assert!(is_ready(pod), "{:?}", pod.metadata.name);
            assert_eq!(pod.spec.as_ref().unwrap().containers[0].image.as_deref(), Some("nginx:9"));
        }
    }));
    if let Err(panic) = result {
        eprintln!("seed {seed}, after: {}", disturbances.join("; "));
        for set in world.controller.cluster().stateful_sets() {
            let metadata = &set.metadata;
            eprintln!("{:?} {:?} {:?}", metadata.name, set.spec.as_ref().and_then(|spec| spec.replicas), set.status);
        }
        for pod in world.pods() {
            let metadata = (&pod.metadata.name, &pod.metadata.labels, &pod.metadata.owner_references);
            eprintln!("{metadata:?} ready={}", is_ready(pod));
        }
        for event in world.controller.objects(Kind::Event) {
            eprintln!("{}", event.to_json()["message"]);
        }
        std::panic::resume_unwind(panic);
    }
}

/// A default class, so that claims are provisioned.
fn built_in() -> Value {
    Object::from(volume::built_in_class()).to_json()
}

#[test]
fn random_histories_keep_every_invariant_and_converge() {
    // `HISTORIES=1000 cargo test --release --lib random_histories` tries that many, and longer ones.
    let asked = std::env::var("HISTORIES").ok().and_then(|count| count.parse().ok());
    let (count, steps) = asked.map_or((6, 30), |count| (count, 60));
    for seed in 0..count {
        history(seed, steps);
    }
}

/// A world in which a set of some replicas, its service and a class have converged.
fn converged(replicas: i32) -> World {
    let mut world = World::new(7);
    world.put(decode(built_in()));
    world.apply(service("nginx"));
    world.apply(stateful_set("web", replicas, "nginx:1", "OrderedReady", true));
    world.event(Event::Loaded);
    world.run(Duration::from_secs(5));
    assert_eq!(world.set("web").unwrap().status.as_ref().unwrap().ready_replicas.unwrap_or(0), replicas);
    world
}

fn uid(world: &World, kind: Kind, name: &str) -> Option<String> {
    world.controller.object(&key(kind, name))?.metadata().uid.clone()
}

#[test]
fn what_could_not_be_read_is_not_withdrawn() {
    let mut world = converged(2);
    let uids = |world: &World| ["web-0", "web-1"].map(|name| uid(world, Kind::Pod, name));
    let before = uids(&world);
    world.restart();
    world.loaded = false;
    world.apply(service("other"));
    world.run(Duration::from_secs(1));
    assert!(!world.loaded);
    world.event(Event::LoadedInPart);
    world.run(Duration::from_secs(5));
    assert!(world.loaded, "absence is answered");
    assert_eq!(uids(&world), before);
    world.event(Event::Loaded);
    world.run(Duration::from_secs(60));
    assert_eq!(uids(&world), [None, None]);
    assert!(uid(&world, Kind::Service, "nginx").is_none() && uid(&world, Kind::Service, "other").is_some());
}

#[test]
fn applying_what_is_unchanged_changes_nothing() {
    let mut world = converged(2);
    let before = world.version;
    world.apply(service("nginx"));
    world.apply(stateful_set("web", 2, "nginx:1", "OrderedReady", true));
    world.run(Duration::from_secs(5));
    assert_eq!((world.version, world.refusals.len()), (before, 0));
}

#[test]
fn what_a_client_changed_lasts_until_the_file_changes() {
    let mut world = converged(2);
    let mut json = world.controller.object(&key(Kind::StatefulSet, "web")).unwrap().to_json();
    json["spec"]["replicas"] = json!(3);
    world.put(decode(json));
    world.apply(stateful_set("web", 2, "nginx:1", "OrderedReady", true));
    world.run(Duration::from_secs(5));
    assert_eq!(world.names(), ["web-0", "web-1", "web-2"]);
    world.apply(stateful_set("web", 1, "nginx:1", "OrderedReady", true));
    world.run(Duration::from_secs(5));
    assert_eq!(world.names(), ["web-0"]);
}

/// Off, as in v1.36, the gate has `maxUnavailable` dropped whatever it says; on, it is validated, and one by default.
#[test]
fn max_unavailable_counts_where_its_gate_is_on() {
    let declared = |max_unavailable: Value| {
        let mut set = stateful_set("web", 2, "nginx:1", "OrderedReady", false);
        set["spec"]["updateStrategy"] = json!({"rollingUpdate": {"maxUnavailable": max_unavailable}});
        set
    };
    let stored = |world: &World| {
        let set = world.controller.object(&key(Kind::StatefulSet, "web")).map(|set| set.to_json());
        set.map_or(Value::Null, |set| set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"].clone())
    };
    #[rustfmt::skip]
    let rows = [
        (false, json!(2), Value::Null, ""), (false, json!(0), Value::Null, ""), (false, json!("150%"), Value::Null, ""),
        (true, json!(2), json!(2), ""), (true, Value::Null, json!(1), ""), (true, json!("100%"), json!("100%"), ""),
        (true, json!(0), Value::Null, "cannot be 0"), (true, json!("0%"), Value::Null, "cannot be 0"),
        (true, json!(-1), Value::Null, "must be greater than or equal to 0"),
        (true, json!("150%"), Value::Null, "must not be greater than 100%"),
        (true, json!("many"), Value::Null, "a valid percent string must be"),
    ];
    for (is_on, value, expected, refusal) in rows {
        let mut world = World::new(1);
        world.controller.registry.max_unavailable = is_on;
        world.apply(declared(value.clone()));
        world.turn();
        assert_eq!(stored(&world), expected, "{is_on} {value}");
        let refused = world.refusals.iter().map(|refusal| refusal.errors[0].to_string()).collect::<String>();
        assert_eq!(refused.is_empty(), refusal.is_empty(), "{is_on} {value}: {refused}");
        let field = "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: ";
        assert!(refusal.is_empty() || refused.starts_with(field) && refused.contains(refusal), "{refused}");
    }
}

#[test]
fn a_refused_change_leaves_what_runs() {
    let mut world = converged(2);
    let before = world.controller.object(&key(Kind::StatefulSet, "web")).unwrap();
    world.apply(stateful_set("web", 2, "nginx:1", "Parallel", true));
    world.run(Duration::from_secs(5));
    let refusal = world.refusals.pop().unwrap();
    assert_eq!((refusal.key, refusal.errors[0].field.as_str()), (key(Kind::StatefulSet, "web"), "spec"));
    assert_eq!(world.controller.object(&key(Kind::StatefulSet, "web")), Some(before));
}

#[test]
fn asking_for_what_is_not_there_is_refused_in_upstreams_words() {
    let mut world = converged(0);
    world.delete(key(Kind::StatefulSet, "db"), None, Cascade::Background);
    world.delete(key(Kind::Namespace, "default"), None, Cascade::Background);
    world.event(Event::PatchPodStatus(key(Kind::Pod, "web-7"), Box::default()));
    world.turn();
    let messages: Vec<String> = world.refusals.iter().map(|refusal| refusal.errors[0].message.clone()).collect();
    let expected = [
        "statefulsets.apps \"db\" not found",
        "namespaces \"default\" is forbidden: this namespace may not be deleted",
        "pods \"web-7\" not found",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn a_withdrawn_set_takes_its_pods_along_and_keeps_its_claims() {
    let mut world = converged(2);
    let claim = uid(&world, Kind::PersistentVolumeClaim, "data-web-0");
    world.event(Event::Withdraw(key(Kind::StatefulSet, "web")));
    world.run(Duration::from_secs(5));
    assert_eq!(world.names(), Vec::<&str>::new());
    assert_eq!(world.controller.objects(Kind::ControllerRevision), []);
    assert_eq!(uid(&world, Kind::PersistentVolumeClaim, "data-web-0"), claim);
}

#[test]
fn a_withdrawn_set_that_says_orphan_leaves_its_pods() {
    let mut world = converged(2);
    let mut set = stateful_set("web", 2, "nginx:1", "OrderedReady", true);
    set["metadata"]["annotations"] = json!({CASCADE: "orphan"});
    world.apply(set.clone());
    world.turn();
    let pods = uid(&world, Kind::Pod, "web-0");
    world.event(Event::Withdraw(key(Kind::StatefulSet, "web")));
    world.run(Duration::from_secs(5));
    assert!(world.set("web").is_none());
    assert_eq!(uid(&world, Kind::Pod, "web-0"), pods);
    assert_eq!(world.pod("web-0").unwrap().metadata.owner_references, None);
    world.apply(set);
    world.run(Duration::from_secs(5));
    assert_eq!(uid(&world, Kind::Pod, "web-0"), pods, "adopted, not restarted");
    assert!(world.pod("web-0").unwrap().metadata.owner_references.is_some());
}

#[test]
fn a_set_withdrawn_and_applied_at_once_is_a_new_set_with_new_pods() {
    let mut world = converged(2);
    let before = (uid(&world, Kind::StatefulSet, "web"), uid(&world, Kind::Pod, "web-0"));
    world.event(Event::Withdraw(key(Kind::StatefulSet, "web")));
    world.apply(stateful_set("web", 2, "nginx:1", "OrderedReady", true));
    world.run(Duration::from_secs(30));
    assert_eq!(world.names(), ["web-0", "web-1"]);
    assert_ne!(uid(&world, Kind::StatefulSet, "web"), before.0);
    assert_ne!(uid(&world, Kind::Pod, "web-0"), before.1);
}

#[test]
fn a_bare_pod_runs_until_it_is_deleted_and_comes_back_with_its_file() {
    let bare = |image: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone", "labels": {"app": "nginx"}},
               "spec": {"containers": [{"name": "a", "image": image}]}})
    };
    let mut world = converged(0);
    world.apply(bare("nginx:1"));
    world.run(Duration::from_secs(1));
    let first = uid(&world, Kind::Pod, "alone").unwrap();
    assert!(is_ready(world.pod("alone").unwrap()));
    world.delete(key(Kind::Pod, "alone"), None, Cascade::Background);
    // The file changes while the old pod is still stopping.
    world.turn();
    world.apply(bare("nginx:2"));
    world.run(Duration::from_secs(1));
    let second = uid(&world, Kind::Pod, "alone").unwrap();
    assert_ne!(first, second);
    world.delete(key(Kind::Pod, "alone"), None, Cascade::Background);
    world.run(Duration::from_secs(60));
    assert!(world.pod("alone").is_none(), "nobody makes it anew");
}

#[test]
fn loading_withdraws_what_no_file_declares_any_more() {
    let mut world = converged(2);
    world.apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "gone"},
                       "spec": {"ports": [{"port": 80}]}}));
    world.run(Duration::from_secs(1));
    let (pod, class) = (uid(&world, Kind::Pod, "web-1"), uid(&world, Kind::StorageClass, "standard"));
    world.restart();
    world.turn();
    assert!(!world.loaded);
    world.apply(service("nginx"));
    world.apply(stateful_set("web", 2, "nginx:1", "OrderedReady", true));
    world.event(Event::Loaded);
    world.run(Duration::from_secs(1));
    assert!(world.loaded);
    assert!(uid(&world, Kind::Service, "gone").is_none());
    assert_eq!(uid(&world, Kind::Pod, "web-1"), pod, "a restart recreates no pod");
    assert_eq!(uid(&world, Kind::StorageClass, "standard"), class, "a client's object is not a manifest's");
}

#[test]
fn cluster_addresses_stay_until_the_service_goes() {
    let mut world = converged(0);
    let plain = |port: i32| {
        let spec = json!({"ports": [{"port": port}]});
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "plain"}, "spec": spec})
    };
    let address =
        |world: &World| world.controller.cluster().service("default", "plain")?.spec.as_ref()?.cluster_ip.clone();
    world.apply(plain(80));
    world.turn();
    let first = address(&world);
    assert!(first.is_some());
    world.apply(plain(81));
    world.turn();
    assert_eq!(address(&world), first);
    world.restart();
    world.apply(plain(82));
    world.turn();
    assert_eq!(address(&world), first);
    let mut taken = plain(80);
    taken["metadata"]["name"] = json!("taken");
    taken["spec"]["clusterIP"] = json!(first);
    world.apply(taken);
    world.turn();
    let message = &world.refusals.pop().unwrap().errors[0].message;
    assert!(message.ends_with("provided IP is already allocated"), "{message}");
}

#[test]
fn a_namespace_is_made_on_demand_and_takes_its_content_along() {
    let mut world = World::new(3);
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "team"},
                         "spec": {"containers": [{"name": "a", "image": "a"}]}});
    world.apply(pod.clone());
    world.controller.turn(world.now);
    let team = key(Kind::Namespace, "team");
    assert!(world.controller.object(&team).is_some());
    world.delete(team.clone(), None, Cascade::Background);
    world.controller.turn(world.now);
    let phase = world.controller.object(&team).unwrap().to_json()["status"]["phase"].clone();
    assert_eq!(phase, "Terminating");
    // What is declared meanwhile waits until the old namespace is gone.
    pod["metadata"]["name"] = json!("b");
    world.apply(pod);
    for _ in 0..120 {
        world.controller.turn(world.now);
        world.now += Duration::from_millis(50);
    }
    let names: Vec<String> = world.controller.objects(Kind::Pod).iter().map(|pod| pod.key().to_string()).collect();
    assert_eq!(names, ["Pod team/b"]);
    assert_eq!(world.controller.object(&team).unwrap().to_json()["status"]["phase"], "Active");
}

#[test]
fn a_finalizer_keeps_a_stopped_pod() {
    let mut world = converged(1);
    let with = |world: &World, finalizers: Value| {
        let mut json = world.controller.object(&key(Kind::Pod, "web-0")).unwrap().to_json();
        json["metadata"]["finalizers"] = finalizers;
        Object::from_json(Kind::Pod, json).unwrap()
    };
    let kept = with(&world, json!(["example.com/keep"]));
    world.put(kept);
    let first = uid(&world, Kind::Pod, "web-0");
    world.delete(key(Kind::Pod, "web-0"), None, Cascade::Background);
    world.run(Duration::from_secs(60));
    assert_eq!(uid(&world, Kind::Pod, "web-0"), first, "E12");
    let released = with(&world, Value::Null);
    world.put(released);
    world.run(Duration::from_secs(5));
    assert!(uid(&world, Kind::Pod, "web-0").is_some_and(|second| Some(second) != first));
}

#[test]
fn a_deleted_claim_of_a_waiting_pod_comes_back() {
    let mut world = World::new(5);
    world.apply(stateful_set("web", 1, "nginx:1", "OrderedReady", true));
    world.run(Duration::from_secs(5));
    let first = uid(&world, Kind::PersistentVolumeClaim, "data-web-0").unwrap();
    let pod = uid(&world, Kind::Pod, "web-0");
    world.delete(key(Kind::PersistentVolumeClaim, "data-web-0"), None, Cascade::Background);
    world.run(Duration::from_secs(5));
    assert!(uid(&world, Kind::PersistentVolumeClaim, "data-web-0").is_some_and(|second| second != first), "E14");
    world.put(decode(built_in()));
    world.run(Duration::from_secs(5));
    assert_eq!(uid(&world, Kind::Pod, "web-0"), pod);
    assert!(is_ready(world.pod("web-0").unwrap()), "K8: a class that comes later binds, and the pod starts");
}

#[test]
fn a_claim_in_use_waits_for_its_pod() {
    let mut world = converged(1);
    let claim = key(Kind::PersistentVolumeClaim, "data-web-0");
    let first = uid(&world, Kind::PersistentVolumeClaim, "data-web-0");
    world.delete(claim.clone(), None, Cascade::Background);
    world.run(Duration::from_secs(5));
    assert_eq!(uid(&world, Kind::PersistentVolumeClaim, "data-web-0"), first, "I7");
    assert!(is_ready(world.pod("web-0").unwrap()));
    world.delete(key(Kind::Pod, "web-0"), None, Cascade::Background);
    world.run(Duration::from_secs(20));
    assert_ne!(uid(&world, Kind::PersistentVolumeClaim, "data-web-0"), first, "I6: a fresh claim");
    assert!(is_ready(world.pod("web-0").unwrap()));
}

#[test]
fn events_are_counted_and_go_after_an_hour() {
    let mut world = converged(1);
    for _ in 0..3 {
        world.delete(key(Kind::Pod, "web-0"), Some(0), Cascade::Background);
        world.run(Duration::from_secs(5));
    }
    let created: Vec<Option<i32>> = world
        .controller
        .objects(Kind::Event)
        .iter()
        .filter_map(|object| match object {
            Object::Event(event) if event.message.as_deref()?.starts_with("Create Pod web-0") => Some(event.count),
            _ => None,
        })
        .collect();
    assert_eq!(created, [Some(4)]);
    world.run(Duration::from_secs(3700));
    assert_eq!(world.controller.objects(Kind::Event), []);
}

#[test]
fn a_foreign_pod_blocks_its_ordinal_and_no_other_set() {
    let mut world = World::new(9);
    world.apply(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0"},
                       "spec": {"containers": [{"name": "a", "image": "a"}]}}));
    world.apply(stateful_set("web", 2, "nginx:1", "OrderedReady", false));
    world.apply(stateful_set("db", 2, "nginx:1", "OrderedReady", false));
    world.run(Duration::from_secs(20));
    assert_eq!(world.names(), ["db-0", "db-1", "web-0"], "B9, P5");
    world.delete(key(Kind::Pod, "web-0"), None, Cascade::Background);
    world.run(Duration::from_secs(2));
    assert_eq!(world.names(), ["db-0", "db-1", "web-0", "web-1"], "at once, not after the back-off");
}

#[test]
fn owners_in_a_circle_can_be_deleted() {
    let mut world = World::new(11);
    let revision = |name: &str, owner: Option<(&str, &str)>| {
        let mut json =
            json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": name}, "revision": 1});
        if let Some((name, uid)) = owner {
            json["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ControllerRevision",
                "name": name, "uid": uid, "blockOwnerDeletion": true}]);
        }
        let mut object = Object::from_json(Kind::ControllerRevision, json).unwrap();
        object.metadata_mut().namespace = Some("default".to_owned());
        object
    };
    world.put(revision("a", None));
    let a = uid(&world, Kind::ControllerRevision, "a").unwrap();
    world.put(revision("b", Some(("a", &a))));
    let b = uid(&world, Kind::ControllerRevision, "b").unwrap();
    world.put(revision("a", Some(("b", &b))));
    world.turn();
    assert_eq!(world.controller.objects(Kind::ControllerRevision).len(), 2);
    world.delete(key(Kind::ControllerRevision, "a"), None, Cascade::Foreground);
    world.run(Duration::from_secs(1));
    assert_eq!(world.controller.objects(Kind::ControllerRevision), []);
}

/// The default class that the program brings along is there from the start, gives way to a declared one of its name, and
/// comes back when that one goes.
#[test]
fn the_class_brought_along_stands_in_for_a_declared_one() {
    let mut world = World::new(7);
    world.controller = controller(7, true);
    let provisioner = |world: &World| {
        let class = world.controller.object(&key(Kind::StorageClass, "standard")).map(|class| class.to_json());
        class.map(|class| class["provisioner"].as_str().unwrap_or_default().to_owned())
    };
    world.apply(service("nginx"));
    world.apply(stateful_set("web", 1, "nginx:1", "OrderedReady", true));
    world.run(Duration::from_secs(1));
    assert_eq!(provisioner(&world).as_deref(), Some(volume::SIMULATED_PROVISIONER));
    assert!(is_ready(world.pod("web-0").unwrap()), "its claim is bound");
    world.apply(json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard"},
                       "provisioner": "example.test/disk"}));
    world.run(Duration::from_secs(1));
    assert_eq!(provisioner(&world).as_deref(), Some("example.test/disk"));
    world.event(Event::Withdraw(key(Kind::StorageClass, "standard")));
    world.run(Duration::from_secs(1));
    assert_eq!(provisioner(&world).as_deref(), Some(volume::SIMULATED_PROVISIONER));
}

/// A10: a pod that a set takes over and that has other volumes cannot be repaired, since the API server lets nobody change them.
#[test]
fn the_volumes_of_an_adopted_pod_are_not_changed() {
    let mut world = World::new(13);
    world.put(decode(built_in()));
    world.apply(json!({"apiVersion": "v1", "kind": "Pod",
                       "metadata": {"name": "web-0", "labels": {"app": "nginx", "set": "web"}},
                       "spec": {"containers": [{"name": "a", "image": "a"}]}}));
    world.run(Duration::from_secs(5));
    world.apply(stateful_set("web", 1, "nginx:1", "OrderedReady", true));
    world.run(Duration::from_secs(5));
    let pod = world.pod("web-0").unwrap();
    assert!(pod.metadata.owner_references.is_some(), "L1");
    let volumes = pod.spec.as_ref().unwrap().volumes.iter().flatten();
    assert_eq!(volumes.filter(|volume| volume.persistent_volume_claim.is_some()).count(), 0);
    let failed = world.controller.objects(Kind::Event).into_iter().any(|event| match event {
        Object::Event(event) => {
            event.reason.as_deref() == Some("FailedUpdate")
                && event.message.as_deref().is_some_and(|message| message.contains("pod updates may not change fields"))
        }
        _ => false,
    });
    assert!(failed, "M4");
}
