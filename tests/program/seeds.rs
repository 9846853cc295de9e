//! The tutorials that this project was made for, their manifests unchanged (`tests/data/seeds`), in the default settings:
//! every set gets its pods, claims and names, though no manifest declares the StorageClasses that a cluster brings
//! along.

use crate::support::control_plane::ControlPlane;
use headless_dns::{
    control::{
        controller::{ControllerSettings, Event},
        records::RecordSettings,
        runtime::simulated::SimulationSettings,
    },
    dns::wire::rdata::RecordType,
    objects::{manifest::Manifests, object::Kind},
    program::settings::{Settings, UndeclaredStorageClasses},
    text::diagnostic::Severity,
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeSet, fs, path::Path};

/// What a set came to.
struct Outcome {
    /// `web-0 web-1(Pending)`: pods that are not ready say their phase.
    pods: String,
    /// `www-web-0=nfs` for each claim that is bound, with its class; `=-` for one that waits.
    claims: String,
    /// Names with addresses, without their ends.
    names: String,
    /// `severity rule` of everything that is told.
    told: Vec<String>,
}

fn run(files: &[&str], more: &str, settings: &Settings) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    for file in files {
        fs::copy(Path::new("tests/data/seeds").join(file), directory.path().join(file)).unwrap();
    }
    fs::write(directory.path().join("more.yaml"), more).unwrap();
    let mut controller = ControlPlane {
        settings: ControllerSettings {
            service_cidrs: settings.service_cidrs.clone(),
            records: RecordSettings::new(settings.cluster_domain.first.clone(), settings.ttl),
            built_in_class: settings.default_storage_class,
            provision_undeclared: settings.undeclared_storage_classes == UndeclaredStorageClasses::Provision,
            max_unavailable: settings.max_unavailable_stateful_set,
            seed: 1,
        },
        simulation: SimulationSettings { pod_cidrs: settings.pod_cidrs.clone(), delays: settings.simulation.clone() },
    }
    .controller();
    let mut manifests = Manifests::new(vec![directory.path().to_owned()])
        .provisioning_undeclared(settings.undeclared_storage_classes == UndeclaredStorageClasses::Provision);
    let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let end = now + SignedDuration::from_mins(5);
    for object in manifests.scan().applied {
        controller.handle(Event::Apply(object), now);
    }
    controller.handle(Event::Loaded, now);
    let mut names = BTreeSet::new();
    loop {
        let turn = controller.turn(now);
        assert_eq!(turn.refusals, [], "{files:?}");
        for (name, rtype, rrset) in turn.delta.changes {
            let name = name.to_string();
            let Some(name) = name.strip_suffix(".default.svc.cluster.local.") else { continue };
            match rrset {
                Some(_) if rtype == RecordType::A => drop(names.insert(name.to_owned())),
                None if rtype == RecordType::A => drop(names.remove(name)),
                _ => {}
            }
        }
        match turn.wake_at.filter(|at| *at < end) {
            Some(at) => now = at.max(now),
            None => break,
        }
    }
    let pods = controller.objects(Kind::Pod).into_iter().map(|pod| {
        let (name, pod) = (pod.key().name, pod.to_json());
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().any(|all| all["type"] == "Ready" && all["status"] == "True");
        if ready { name } else { format!("{name}({})", pod["status"]["phase"].as_str().unwrap()) }
    });
    let claims = controller.objects(Kind::PersistentVolumeClaim).into_iter().map(|claim| {
        let (name, claim) = (claim.key().name, claim.to_json());
        let bound = claim["status"]["phase"] == "Bound";
        let class = if bound { claim["spec"]["storageClassName"].as_str().unwrap() } else { "-" };
        format!("{name}={class}")
    });
    let told = manifests.diagnostics().into_iter().map(|one| {
        let severity = match one.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        format!("{severity} {}", one.message.rsplit('[').next().unwrap().trim_end_matches(']'))
    });
    Outcome {
        pods: pods.collect::<Vec<_>>().join(" "),
        claims: claims.collect::<Vec<_>>().join(" "),
        names: names.into_iter().collect::<Vec<_>>().join(" "),
        told: told.collect(),
    }
}

fn check(files: &[&str], more: &str, [pods, claims, names]: [&str; 3], told: &[&str]) {
    let found = run(files, more, &Settings::defaults());
    assert_eq!([&*found.pods, &*found.claims, &*found.names], [pods, claims, names], "{files:?}");
    assert_eq!(found.told, told, "{files:?}");
}

const ASSUMED: &str = "note storage-class-missing";

#[test]
fn the_set_with_a_pod_that_asks() {
    let expected = [
        "examplepodforheadlessservice examplestatefulset-0 examplestatefulset-1 examplestatefulset-2",
        "statefuldata-examplestatefulset-0=managed-nfs-storage statefuldata-examplestatefulset-1=managed-nfs-storage \
         statefuldata-examplestatefulset-2=managed-nfs-storage",
        "examplestatefulservice examplestatefulset-0.examplestatefulservice \
         examplestatefulset-1.examplestatefulservice examplestatefulset-2.examplestatefulservice",
    ];
    let files = ["000-c-examplestatefulset.yaml", "000-d-curl-pod.yaml"];
    let unnamed = "warning unnamed-port";
    check(&files, "", expected, &[unnamed, ASSUMED]);
    check(&[&files[..], &["storageclass-managed-nfs-storage.yaml"]].concat(), "", expected, &[unnamed]);
}

/// One volume and two replicas, as printed: somebody made a volume of the class, so that others are not made up.
#[test]
fn the_set_with_one_volume_too_few() {
    check(
        &["000-b-nfs-myapp.yaml"],
        "",
        [
            "myapp-sts-0 myapp-sts-1(Pending)",
            "myapp-data-myapp-sts-0=nfs myapp-data-myapp-sts-1=-",
            "myapp-sts-0.myapp-svc myapp-svc",
        ],
        &[],
    );
}

#[test]
fn the_set_on_volumes_that_were_made_before() {
    let bound = "www-web-0=nginx-storage-class www-web-1=nginx-storage-class";
    let expected = ["web-0 web-1", bound, "nginx web-0.nginx web-1.nginx"];
    check(&["001-a-pv-list.yaml", "001-b-nginx-web.yaml"], "", expected, &[]);
    check(&["001-b-nginx-web.yaml"], "", expected, &[ASSUMED]);
}

#[test]
fn the_sets_without_and_with_storage() {
    let names = "nginx web-0.nginx web-1.nginx";
    check(&["002-a-nginx-web.yaml"], "", ["web-0 web-1", "", names], &[]);
    check(&["003-a-headless-svc.yaml", "003-b-web-no-storage.yaml"], "", ["web-0 web-1", "", names], &[]);
    let bound = "www-web-0=standard www-web-1=standard";
    check(&["003-a-headless-svc.yaml", "003-g-web-with-pvc.yaml"], "", ["web-0 web-1", bound, names], &[]);
}

#[test]
fn the_sets_of_the_last_tutorial() {
    let expected = [
        "web-0 web-1 web-2",
        "www-web-0=my-storage-class www-web-1=my-storage-class www-web-2=my-storage-class",
        "nginx web-0.nginx web-1.nginx web-2.nginx",
    ];
    check(&["004-a-nginx-web.yaml"], "", expected, &[ASSUMED]);
    check(&["003-a-headless-svc.yaml", "004-c-retention.yaml"], "", expected, &[ASSUMED]);
    let service = "{apiVersion: v1, kind: Service, metadata: {name: my-service}, spec: {clusterIP: None, \
                   selector: {app: my-app}, ports: [{name: web, port: 80}]}}\n";
    check(
        &["004-b-partition.yaml"],
        service,
        [
            "my-statefulset-0 my-statefulset-1 my-statefulset-2",
            "",
            "my-service my-statefulset-0.my-service my-statefulset-1.my-service my-statefulset-2.my-service",
        ],
        &[],
    );
}

/// As upstream does it, which a setting asks for.
#[test]
fn a_set_that_waits_for_its_class() {
    let settings = Settings { undeclared_storage_classes: UndeclaredStorageClasses::Wait, ..Settings::defaults() };
    let found = run(&["004-a-nginx-web.yaml"], "", &settings);
    assert_eq!([&*found.pods, &*found.claims, &*found.names], ["web-0(Pending)", "www-web-0=-", ""]);
    assert_eq!(found.told, ["warning storage-class-missing"]);
}

#[test]
fn every_manifest_is_run() {
    let text = fs::read_to_string("tests/program/seeds.rs").unwrap();
    for entry in fs::read_dir("tests/data/seeds").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".yaml") || text.contains(&format!("\"{name}\"")), "{name}");
    }
}
