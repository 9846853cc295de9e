//! kube-rs, the client library of Rust programs, against a running server: objects, patches, discovery, watches, and
//! what becomes of them over a restart.

use crate::support::{
    PATIENCE,
    cluster::{Home, eventually_watches, figure},
};
use futures::{Stream, StreamExt, TryStreamExt, pin_mut};
use headless_dns::program::app::Server;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Namespace, Pod, Service},
};
use kube::{
    Api, Client, Config, Discovery, Error, Resource, ResourceExt,
    api::{
        DeleteParams, DynamicObject, GroupVersionKind, ListParams, LogParams, Patch, PatchParams, PostParams,
        WatchEvent, WatchParams,
    },
    core::PartialObjectMeta,
    discovery::verbs,
    runtime::{
        WatchStreamExt, reflector,
        wait::{await_condition, conditions},
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Debug, future::Future, time::Duration};

/// `kubectl api-resources` of a real v1.36.
const RECORDED: &str = include_str!("../data/upstream/api-resources.txt");

fn client(server: &Server) -> Client {
    let address = server.api_address().unwrap();
    Client::try_from(Config::new(format!("http://{address}").parse().unwrap())).unwrap()
}

/// A server of its own, and a client.
fn start() -> (Home, Server, Client) {
    let home = Home::new();
    let server = home.start();
    let client = client(&server);
    (home, server, client)
}

/// What has to come, in time.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not after {PATIENCE:?}"))
}

/// Looks again and again until it is so.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let looked = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, looked).await;
}

fn of<K: DeserializeOwned>(json: Value) -> K {
    serde_json::from_value(json).unwrap()
}

fn service(name: &str) -> Service {
    of(json!({
        "metadata": {"name": name, "labels": {"made": "here"}},
        "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "web", "port": 80}]},
    }))
}

fn set(name: &str, replicas: i32) -> StatefulSet {
    of(json!({
        "metadata": {"name": name},
        "spec": {
            "serviceName": name, "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "web", "image": "web:1"}, {"name": "side", "image": "side:1"}],
                },
            },
        },
    }))
}

fn pod(name: &str) -> Pod {
    of(json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}))
}

/// Code and reason of what was refused.
fn refused<T: Debug>(outcome: Result<T, Error>) -> (u16, String) {
    match outcome.unwrap_err() {
        Error::Api(status) => (status.code, status.reason),
        other => panic!("{other:?}"),
    }
}

fn is(code: u16, reason: &str) -> (u16, String) {
    (code, reason.to_owned())
}

fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_made_changed_and_deleted() {
    let (_home, _server, client) = start();
    let post = PostParams::default();
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let made = services.create(&post, &service("web")).await.unwrap();
    assert_eq!(made.spec.as_ref().unwrap().type_.as_deref(), Some("ClusterIP"), "defaults are filled in");
    assert_eq!(refused(services.create(&post, &service("web")).await), is(409, "AlreadyExists"));
    assert_eq!(refused(services.create(&post, &service("No_Name")).await), is(422, "Invalid"));
    assert_eq!(services.get("web").await.unwrap(), made);
    assert_eq!(services.get_metadata("web").await.unwrap().metadata.uid, made.metadata.uid);
    assert_eq!(services.get_opt("none").await.unwrap(), None);
    assert_eq!(services.list(&ListParams::default().labels("made=here")).await.unwrap().items.len(), 1);
    assert_eq!(
        services.list(&ListParams::default().labels("made!=here,provider!=kubernetes")).await.unwrap().items,
        []
    );
    let mut changed = made.clone();
    changed.metadata.labels.as_mut().unwrap().insert("more".to_owned(), "x".to_owned());
    let changed = services.replace("web", &post, &changed).await.unwrap();
    assert!(version(&changed) > version(&made));
    assert_eq!(
        refused(services.replace("web", &post, &made).await),
        is(409, "Conflict"),
        "it was read before the change"
    );
    let merge = Patch::Merge(json!({"metadata": {"labels": {"more": null}}}));
    let merged = services.patch("web", &PatchParams::default(), &merge).await.unwrap();
    assert_eq!(merged.metadata.labels, made.metadata.labels);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    services.create(&dry, &service("dry")).await.unwrap();
    assert_eq!(services.get_opt("dry").await.unwrap(), None);

    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&post, &of(json!({"metadata": {"name": "other"}}))).await.unwrap();
    let elsewhere: Api<Service> = Api::namespaced(client.clone(), "other");
    elsewhere.create(&post, &service("web")).await.unwrap();
    let made = ListParams::default().labels("provider!=kubernetes");
    let all = Api::<Service>::all(client.clone()).list(&made).await.unwrap();
    assert_eq!(all.items.iter().map(|one| one.namespace().unwrap()).collect::<Vec<_>>(), ["default", "other"]);
    let nowhere: Api<Service> = Api::namespaced(client.clone(), "nowhere");
    assert_eq!(refused(nowhere.create(&post, &service("web")).await), is(404, "NotFound"));

    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    pods.create(&post, &pod("single")).await.unwrap();
    let running = soon("a pod that runs", await_condition(pods.clone(), "single", conditions::is_pod_running()));
    let running = running.await.unwrap().unwrap();
    let logs = pods.logs("single", &LogParams::default()).await;
    assert_eq!(refused(logs), is(405, "MethodNotAllowed"));
    let down = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    let down = pods.patch_status("single", &PatchParams::default(), &Patch::Strategic(down)).await.unwrap();
    let ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().unwrap().conditions.as_ref().unwrap();
        conditions.iter().find(|condition| condition.type_ == "Ready").unwrap().status.clone()
    };
    assert_eq!(ready(&down), "False");
    let uid = running.metadata.uid.unwrap();
    pods.delete("single", &DeleteParams::default().grace_period(1)).await.unwrap();
    soon("its end", await_condition(pods.clone(), "single", conditions::is_deleted(&uid))).await.unwrap();
    assert_eq!(refused(pods.delete("single", &DeleteParams::default()).await), is(404, "NotFound"));
    for name in ["a", "b"] {
        pods.create(&post, &pod(name)).await.unwrap();
    }
    pods.delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default()).await.unwrap();
    until("none of them", async || pods.list(&ListParams::default()).await.unwrap().items.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_are_scaled_patched_and_restarted() {
    let (_home, _server, client) = start();
    let sets: Api<StatefulSet> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    sets.create(&PostParams::default(), &set("web", 1)).await.unwrap();
    let ready = |count: i32| {
        move |set: Option<&StatefulSet>| {
            let status = set.and_then(|set| Some((set.status.as_ref()?, set.metadata.generation?)));
            status.is_some_and(|(status, generation)| {
                status.observed_generation == Some(generation)
                    && status.ready_replicas == Some(count)
                    && status.current_revision == status.update_revision
            })
        }
    };
    let eventually_ready = async |count: i32| {
        soon("pods that are ready", await_condition(sets.clone(), "web", ready(count))).await.unwrap();
    };
    eventually_ready(1).await;
    assert_eq!(sets.get_scale("web").await.unwrap().status.unwrap().selector.as_deref(), Some("app=web"));
    let scale = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let mut scaled = sets.patch_scale("web", &PatchParams::default(), &scale).await.unwrap();
    assert_eq!(scaled.spec.as_ref().unwrap().replicas, Some(3));
    eventually_ready(3).await;
    scaled.spec.as_mut().unwrap().replicas = Some(2);
    scaled.metadata.resource_version = None;
    let scaled = sets.replace_scale("web", &PostParams::default(), &scaled).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(2));
    eventually_ready(2).await;

    let images = async || {
        let mut images = BTreeMap::new();
        for pod in pods.list(&ListParams::default().labels("app=web")).await.unwrap() {
            let containers = &pod.spec.as_ref().unwrap().containers;
            let of_pod: Vec<String> = containers.iter().filter_map(|container| container.image.clone()).collect();
            images.insert(pod.name_any(), of_pod.join(" "));
        }
        images
    };
    let expected = |image: &str| ["web-0", "web-1"].map(|name| (name.to_owned(), image.to_owned())).into();
    let uids = async || {
        let pods = pods.list(&ListParams::default()).await.unwrap();
        pods.iter().map(|pod| pod.metadata.uid.clone().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(images().await, expected("web:1 side:1"));
    // By the containers' names; a merge patch would lose the other one.
    let one = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}});
    sets.patch("web", &PatchParams::default(), &Patch::Strategic(one)).await.unwrap();
    eventually_ready(2).await;
    assert_eq!(images().await, expected("web:2 side:1"));
    let before = uids().await;
    sets.restart("web").await.unwrap();
    eventually_ready(2).await;
    assert!(uids().await.iter().all(|uid| !before.contains(uid)));

    let wrong = Patch::Merge(json!({"spec": {"serviceName": "other"}}));
    assert_eq!(refused(sets.patch("web", &PatchParams::default(), &wrong).await), is(422, "Invalid"));
    let uid = sets.get("web").await.unwrap().metadata.uid.unwrap();
    sets.delete("web", &DeleteParams::foreground()).await.unwrap();
    soon("the end of the set", await_condition(sets.clone(), "web", conditions::is_deleted(&uid))).await.unwrap();
    assert_eq!(pods.list(&ListParams::default()).await.unwrap().items, [], "its pods went first");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_and_its_conflicts() {
    let (_home, _server, client) = start();
    let services: Api<Service> = Api::default_namespaced(client);
    let wanted = |port: i32, label: &str| {
        Patch::Apply(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"by": label}},
            "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"name": "web", "port": port}]},
        }))
    };
    let (one, other) = (PatchParams::apply("one"), PatchParams::apply("other"));
    let made = services.patch("web", &one, &wanted(80, "one")).await.unwrap();
    let again = services.patch("web", &one, &wanted(80, "one")).await.unwrap();
    assert_eq!(version(&again), version(&made), "nothing changed");
    let Err(Error::Api(conflict)) = services.patch("web", &other, &wanted(80, "other")).await else { panic!() };
    assert_eq!((conflict.code, conflict.reason.as_str()), (409, "Conflict"));
    let fields: Vec<String> = conflict.details.unwrap().causes.into_iter().map(|cause| cause.field).collect();
    assert_eq!(fields, [".metadata.labels.by"]);
    let forced = services.patch("web", &other.clone().force(), &wanted(80, "other")).await.unwrap();
    assert_eq!(forced.labels()["by"], "other");
    let managers: Vec<_> = forced.managed_fields().iter().filter_map(|entry| entry.manager.clone()).collect();
    assert_eq!(managers, ["one", "other"]);
    // What a manager stops to apply goes, unless somebody else wants it, too.
    let less = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"name": "web", "port": 80}]}});
    let left = services.patch("web", &other, &Patch::Apply(less)).await.unwrap();
    assert!(left.labels().is_empty());
    assert_eq!(left.spec.unwrap().ports.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_both_ways() {
    let (_home, _server, client) = start();
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
    let plain = Discovery::new(client.clone()).run().await.unwrap();
    let aggregated = Discovery::new(client.clone()).run_aggregated().await.unwrap();
    let mut found = [Vec::new(), Vec::new()];
    for (discovery, found) in [&plain, &aggregated].into_iter().zip(&mut found) {
        for group in discovery.groups_alphabetical() {
            for (resource, capabilities) in group.recommended_resources() {
                if capabilities.supports_operation(verbs::LIST) {
                    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
                    api.list(&ListParams::default()).await.unwrap_or_else(|error| panic!("{resource:?}: {error}"));
                }
                let beneath: Vec<_> = capabilities.subresources.iter().map(|(one, _)| one.plural.clone()).collect();
                found.push((resource.api_version, resource.plural, beneath));
            }
        }
        let kind = GroupVersionKind::gvk("apps", "v1", "StatefulSet");
        let (resource, capabilities) = discovery.resolve_gvk(&kind).unwrap();
        assert_eq!((resource.plural.as_str(), capabilities.subresources.len()), ("statefulsets", 2));
        found.sort();
    }
    assert_eq!(found[0], found[1]);
    // Without the headings; a resource of two versions is recommended in one.
    assert_eq!(found[0].len(), RECORDED.lines().count() - 1, "{found:?}");
}

/// The next thing that a watcher tells, in words.
async fn told<K, E: Debug>(stream: &mut (impl Stream<Item = Result<watcher::Event<K>, E>> + Unpin)) -> String
where
    K: Resource,
{
    let event = soon("an event", stream.next()).await.unwrap().unwrap();
    let named = |kind: &str, object: &K| format!("{kind} {}", object.meta().name.as_deref().unwrap());
    match event {
        watcher::Event::Init => "init".to_owned(),
        watcher::Event::InitApply(object) => named("there", &object),
        watcher::Event::InitDone => "done".to_owned(),
        watcher::Event::Apply(object) => named("changed", &object),
        watcher::Event::Delete(object) => named("gone", &object),
    }
}

async fn check_watcher<K: Resource, E: Debug>(
    what: &str,
    name: &str,
    services: &Api<Service>,
    stream: impl Stream<Item = Result<watcher::Event<K>, E>>,
) {
    pin_mut!(stream);
    for expected in ["init", "there a", "there b", "there c", "done"] {
        assert_eq!(told(&mut stream).await, expected, "{what}");
    }
    services.create(&PostParams::default(), &service(name)).await.unwrap();
    assert_eq!(told(&mut stream).await, format!("changed {name}"), "{what}");
    services.delete(name, &DeleteParams::default()).await.unwrap();
    assert_eq!(told(&mut stream).await, format!("gone {name}"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_of_every_kind() {
    let (_home, server, client) = start();
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let partial: Api<PartialObjectMeta<Service>> = Api::default_namespaced(client);
    for name in ["a", "b", "c"] {
        services.create(&PostParams::default(), &service(name)).await.unwrap();
    }
    // The API's own Service is there from the beginning.
    let config = || watcher::Config::default().fields("metadata.name!=kubernetes");
    for (what, config) in [
        ("list", config()),
        ("pages", config().page_size(1)),
        ("any version", config().any_semantic()),
        ("streamed", config().streaming_lists()),
        ("selected", config().labels("made=here")),
        ("no bookmarks", config().disable_bookmarks()),
    ] {
        let name = what.replace(' ', "-");
        check_watcher(what, &name, &services, watcher(services.clone(), config.clone())).await;
        let metadata = watcher(partial.clone(), config);
        check_watcher(&format!("metadata, {what}"), &name, &services, metadata).await;
    }
    // Who has gone leaves nothing behind.
    eventually_watches(&server, 0);
}

/// Names and versions.
fn versions<'a, K: Resource + 'a>(objects: impl IntoIterator<Item = &'a K>) -> BTreeMap<String, u64> {
    objects.into_iter().map(|object| (object.meta().name.clone().unwrap(), version(object))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflector_has_what_a_list_has() {
    let (_home, _server, client) = start();
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let sets: Api<StatefulSet> = Api::default_namespaced(client.clone());
    let configs = [watcher::Config::default(), watcher::Config::default().streaming_lists()];
    let mut stores = Vec::new();
    for config in configs {
        let (store, writer) = reflector::store();
        let stream = reflector(writer, watcher(pods.clone(), config).default_backoff());
        tokio::spawn(stream.for_each(|event| async { drop(event.unwrap()) }));
        soon("the first list", store.wait_until_ready()).await.unwrap();
        stores.push(store);
    }
    // A storm: sets grow, shrink, come and go, and so do pods beside them, all at the same time.
    let storms = (0..4).map(|number| {
        let (sets, pods) = (sets.clone(), pods.clone());
        async move {
            let name = format!("set{number}");
            sets.create(&PostParams::default(), &set(&name, 3)).await.unwrap();
            for round in 0..10 {
                let scale = Patch::Merge(json!({"spec": {"replicas": (round * 3 + number) % 5}}));
                sets.patch_scale(&name, &PatchParams::default(), &scale).await.unwrap();
                let single = format!("single{number}-{round}");
                pods.create(&PostParams::default(), &pod(&single)).await.unwrap();
                let label = Patch::Merge(json!({"metadata": {"labels": {"round": round.to_string()}}}));
                pods.patch(&single, &PatchParams::default(), &label).await.unwrap();
                if round % 2 == 0 {
                    pods.delete(&single, &DeleteParams::default().grace_period(0)).await.unwrap();
                }
            }
            if number == 3 {
                sets.delete(&name, &DeleteParams::default()).await.unwrap();
            }
        }
    });
    soon("the storm", futures::future::join_all(storms)).await;
    until("the same as a list, in quiet", async || {
        let list = versions(&pods.list(&ListParams::default()).await.unwrap());
        let stores = stores.iter().map(|store| versions(store.state().iter().map(AsRef::as_ref)));
        list.len() >= 20 && stores.into_iter().all(|store| store == list)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_survives_a_restart_of_the_server() {
    let mut home = Home::kept();
    let server = home.start();
    home.settings.api_listen = server.api_address();
    let client = client(&server);
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let sets: Api<StatefulSet> = Api::default_namespaced(client.clone());
    sets.create(&PostParams::default(), &set("web", 2)).await.unwrap();
    let (store, writer) = reflector::store();
    let stream = reflector(writer, watcher(pods.clone(), watcher::Config::default()).default_backoff());
    // Attempts while nobody is there fail, and go on.
    tokio::spawn(stream.for_each(|_| async {}));
    soon("the first list", store.wait_until_ready()).await.unwrap();
    let same = async |at_least: usize| {
        until("the same as a list", async || {
            let list = pods.list(&ListParams::default()).await.unwrap();
            let ready = |pod: &Pod| pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some());
            list.items.len() >= at_least
                && list.iter().all(ready)
                && versions(&list) == versions(store.state().iter().map(AsRef::as_ref))
        })
        .await;
        let list = pods.list(&ListParams::default()).await.unwrap();
        (list.metadata.resource_version.clone().unwrap().parse::<u64>().unwrap(), list.items)
    };
    let (before, known) = same(2).await;
    drop(server);
    let _server = home.start();
    let (after, standing) = same(2).await;
    assert!(after > before, "versions go on: {before}, {after}");
    let uids = |pods: &[Pod]| pods.iter().map(|pod| pod.metadata.uid.clone()).collect::<Vec<_>>();
    assert_eq!(uids(&standing), uids(&known));
    let scale = Patch::Merge(json!({"spec": {"replicas": 4}}));
    sets.patch_scale("web", &PatchParams::default(), &scale).await.unwrap();
    let (last, _) = same(4).await;
    assert!(last > after);
    // A version from before the restart is told to have expired, in the stream and not by the status.
    let old = pods.watch(&WatchParams::default(), &before.to_string()).await.unwrap();
    check_expired(old).await;
}

/// The first thing that is told.
async fn check_expired(stream: impl Stream<Item = Result<WatchEvent<Pod>, Error>>) {
    pin_mut!(stream);
    match soon("an event", stream.try_next()).await.unwrap() {
        Some(WatchEvent::Error(status)) => assert_eq!((status.code, status.reason.as_str()), (410, "Expired")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_expire_and_watchers_list_again() {
    let mut home = Home::new();
    home.settings.limits.api.api_changes = 100;
    let server = home.start();
    let pods: Api<Pod> = Api::default_namespaced(client(&server));
    pods.create(&PostParams::default(), &pod("first")).await.unwrap();
    let list = pods.list(&ListParams::default().limit(1)).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    pods.create(&PostParams::default(), &pod("second")).await.unwrap();
    let page = pods.list(&ListParams::default().limit(1)).await.unwrap();
    let token = page.metadata.continue_.unwrap();

    // Its watch ends while nobody looks; when somebody does, what it missed is forgotten.
    let watched = watcher(pods.clone(), watcher::Config::default().timeout(1)).default_backoff();
    pin_mut!(watched);
    for expected in ["init", "there first", "there second", "done"] {
        assert_eq!(told(&mut watched).await, expected);
    }
    // Looking after the list opens the watch.
    until("its watch", async || {
        assert!(futures::poll!(watched.next()).is_pending());
        figure(&server, "headless_dns_api_watches") == 1.0
    })
    .await;
    eventually_watches(&server, 0);
    for round in 0..60 {
        for name in ["first", "second"] {
            let label = Patch::Merge(json!({"metadata": {"labels": {"round": round.to_string()}}}));
            pods.patch(name, &PatchParams::default(), &label).await.unwrap();
        }
    }
    pods.delete("first", &DeleteParams::default().grace_period(0)).await.unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "done") {
        match soon("an event", watched.next()).await.unwrap() {
            Err(watcher::Error::WatchError(status)) => seen.push(status.code.to_string()),
            Err(error) => panic!("{error:?}"),
            Ok(watcher::Event::InitApply(pod)) => seen.push(format!("{} {}", pod.name_any(), pod.labels()["round"])),
            Ok(watcher::Event::InitDone) => seen.push("done".to_owned()),
            Ok(watcher::Event::Init) => {}
            // What it had not taken yet of its first watch.
            Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => assert!(seen.is_empty()),
        }
    }
    assert_eq!(seen, ["410", "second 59", "done"]);

    check_expired(pods.watch(&WatchParams::default(), &version).await.unwrap()).await;
    let further = ListParams::default().limit(1).continue_token(&token);
    assert_eq!(refused(pods.list(&further).await), is(410, "Expired"), "of a list by the status");
}
