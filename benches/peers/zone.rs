//! The same names for everybody: a master file, endpoint data, and the questions.

use headless_dns::{
    control::records::{RecordSettings, Records},
    dns::name::Name,
};
use k8s_openapi::{
    api::{
        core::v1::{Service, ServiceSpec},
        discovery::v1::{Endpoint, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{
    fmt::Write as _,
    fs,
    io::{BufWriter, Write as _},
    net::Ipv4Addr,
    ops::Range,
    path::{Path, PathBuf},
};

/// Pods of one Service.
const PODS: usize = 10;
/// Different questions that are asked in turn.
const QUESTIONS: usize = 100_000;

pub struct Files {
    pub directory: PathBuf,
    pub pods: usize,
    pub zone: PathBuf,
    /// 70 % pods, 25 % Services, 5 % absent names.
    pub mixed: PathBuf,
    /// 80 % absent names, as search lists make them, 20 % pods.
    pub absent: PathBuf,
    /// Nothing but the one large Service.
    pub large: PathBuf,
}

/// Pods of a Service that has so many more than the others.
const LARGE: usize = 1000;

fn service(number: usize) -> String {
    format!("service-{number}.namespace-{}.svc.cluster.local.", number % 16)
}

fn pod(number: usize) -> String {
    format!("web-{}.{}", number % PODS, service(number / PODS))
}

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).unwrap())
}

/// A name that is there, for whoever waits for a server.
pub fn some_pod() -> String {
    pod(0)
}

impl Files {
    pub fn write(directory: &Path, pods: usize) -> Files {
        let file = |name: &str| directory.join(name);
        let files = Files {
            directory: directory.to_owned(),
            pods,
            zone: file("cluster.local.zone"),
            mixed: file("mixed.txt"),
            absent: file("absent.txt"),
            large: file("large.txt"),
        };
        let mut zone = BufWriter::new(fs::File::create(&files.zone).unwrap());
        zone.write_all(b"$TTL 5\n@ SOA ns.dns hostmaster 1 7200 1800 86400 5\n@ NS ns.dns\nns.dns A 127.0.0.1\n")
            .unwrap();
        for number in 0..pods {
            writeln!(zone, "{} A {}", pod(number), address(number)).unwrap();
            writeln!(zone, "{} A {}", service(number / PODS), address(number)).unwrap();
        }
        for number in 0..LARGE {
            writeln!(zone, "web-{number}.large.default.svc A {0}\nlarge.default.svc A {0}", address(pods + number))
                .unwrap();
        }
        zone.flush().unwrap();
        fs::write(&files.large, "large.default.svc.cluster.local. A\n").unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let mut questions = |path: &Path, make: &dyn Fn(usize, usize) -> String| {
            let mut text = String::new();
            for _ in 0..QUESTIONS {
                let (percent, number) = (random.usize(..100), random.usize(..pods));
                writeln!(text, "{} A", make(percent, number)).unwrap();
            }
            fs::write(path, text).unwrap();
        };
        let absent =
            |number: usize| format!("www.example-{}.com.namespace-{}.svc.cluster.local.", number % 977, number % 16);
        questions(&files.mixed, &|percent, number| match percent {
            0..70 => pod(number),
            70..95 => service(number / PODS),
            _ => absent(number),
        });
        questions(&files.absent, &|percent, number| if percent < 80 { absent(number) } else { pod(number) });
        files
    }
}

/// The bench's zone as objects of Kubernetes.
pub fn objects(pods: usize) -> Vec<(Service, EndpointSlice)> {
    let ordinary = |number: usize| {
        let addresses = number * PODS..pods.min((number + 1) * PODS);
        object(format!("service-{number}"), format!("namespace-{}", number % 16), addresses)
    };
    let large = object("large".to_owned(), "default".to_owned(), pods..pods + LARGE);
    (0..pods.div_ceil(PODS)).map(ordinary).chain([large]).collect()
}

/// What makes records of them. Names of addresses are nobody else's, and nobody serves a reverse zone.
pub fn records(objects: &[(Service, EndpointSlice)]) -> Records {
    let settings = RecordSettings::new(Name::parse("cluster.local").unwrap(), 5);
    let mut records = Records::new(RecordSettings { pod_names: false, pointers: false, ..settings });
    for (service, slice) in objects {
        let (namespace, name) = (service.metadata.namespace.as_deref(), service.metadata.name.as_deref());
        let (namespace, name) = (namespace.unwrap(), name.unwrap());
        records.service(namespace, name, Some(service));
        records.slice(namespace, name, Some(slice));
    }
    records
}

fn object(name: String, namespace: String, addresses: Range<usize>) -> (Service, EndpointSlice) {
    let metadata = ObjectMeta { name: Some(name.clone()), namespace: Some(namespace), ..ObjectMeta::default() };
    let spec = ServiceSpec { cluster_ip: Some("None".to_owned()), ..ServiceSpec::default() };
    let service = Service { metadata: metadata.clone(), spec: Some(spec), status: None };
    let endpoint = |(ordinal, number): (usize, usize)| Endpoint {
        addresses: vec![address(number).to_string()],
        hostname: Some(format!("web-{ordinal}")),
        ..Endpoint::default()
    };
    let labels = Some([("kubernetes.io/service-name".to_owned(), name)].into());
    let slice = EndpointSlice {
        address_type: "IPv4".to_owned(),
        endpoints: Some(addresses.enumerate().map(endpoint).collect()),
        metadata: ObjectMeta { labels, ..metadata },
        ports: None,
    };
    (service, slice)
}
