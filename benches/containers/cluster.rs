//! The program on an engine with a state directory of its own, and what is asked of it: names, pages, its processor time.

use crate::{
    IMAGE,
    support::{
        dns::{self, address},
        engines::ContainerEngine,
        http,
        program::{self, Program},
    },
};
use hickory_proto::op::Message;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The ports are free: nobody else is in that network.
const DNS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5300);
pub const API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8001);
/// How long anything may take on a machine that builds beside it.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks: they take processor time of the server that is measured.
const PAUSE: Duration = Duration::from_millis(4);

/// A program that runs; when dropped it ends, and with it all that it made on the engine.
pub struct Cluster<'a> {
    engine: &'a ContainerEngine,
    directory: TempDir,
    program: Option<Program>,
    /// When the program was started.
    pub begun: Instant,
}

impl<'a> Cluster<'a> {
    /// Starts it with manifests (file name, text).
    pub fn start(engine: &'a ContainerEngine, manifests: &[(&str, &str)]) -> Cluster<'a> {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["manifests", "zones"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        let mut cluster = Cluster { engine, directory, program: None, begun: Instant::now() };
        for (name, text) in manifests {
            cluster.write(name, text);
        }
        if let Ok(filter) = std::env::var("LOG") {
            std::fs::create_dir(cluster.directory.path().join("config")).unwrap();
            let settings = format!("log: {{filter: '{filter}'}}\n");
            std::fs::write(cluster.directory.path().join("config/headless-dns.yaml"), settings).unwrap();
        }
        let mut command = cluster.command();
        command.args(["--api-listen", &API.to_string()]);
        cluster.begun = Instant::now();
        cluster.program = Some(Program::spawn(command, &DNS.to_string(), cluster.directory.path()));
        cluster
    }

    fn command(&self) -> Command {
        let mut command = program::command();
        command.arg("--runtime").arg(format!("unix://{}", self.engine.socket().display()));
        command.arg("--state-dir").arg(self.directory.path().join("state"));
        command
    }

    /// Writes one of its manifests.
    pub fn write(&self, name: &str, text: &str) {
        crate::support::write(&self.directory.path().join("manifests").join(name), text);
    }

    /// Tries until there is something, and fails when there never is.
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            if begun.elapsed() > PATIENCE {
                let log = self.program.as_ref().map(Program::stderr).unwrap_or_default();
                panic!("{}: {what}: not within {PATIENCE:?}\n{log}", self.engine.kind);
            }
            std::thread::park_timeout(PAUSE);
        }
    }

    /// Its resident memory, MB.
    pub fn resident(&self) -> f64 {
        self.program().kibioctets("VmRSS").unwrap() as f64 * 1024.0 / 1e6
    }

    /// Processor time of all its threads, user and system; a hundredth of a second is the unit of Linux.
    pub fn spent(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.program().id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    fn program(&self) -> &Program {
        self.program.as_ref().unwrap()
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        let Some(program) = self.program.take() else { return };
        if std::env::var_os("LOG").is_some() {
            eprintln!("{}", program.stderr());
        }
        program.signal("TERM");
        program.ended();
        let mut down = self.command();
        let removed = program::run({
            down.arg("down");
            down
        });
        if !removed.status.success() {
            eprintln!("down: {}{}", removed.stdout, removed.stderr);
        }
    }
}

/// A headless Service `nginx` and a StatefulSet `web`. `spec` goes into the set's spec, `pod` into its pods' and `container` into
/// their container's, each indented as it stands there.
pub fn set(replicas: usize, spec: &str, pod: &str, container: &str) -> String {
    format!(
        r"apiVersion: v1
kind: Service
metadata: {{name: nginx}}
spec:
  clusterIP: None
  selector: {{app: nginx}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  serviceName: nginx
  replicas: {replicas}
{spec}  selector: {{matchLabels: {{app: nginx}}}}
  template:
    metadata: {{labels: {{app: nginx}}}}
    spec:
{pod}      containers:
        - name: web
          image: {IMAGE}
{container}"
    )
}

/// The name of one of its pods.
pub fn name(ordinal: usize) -> String {
    format!("web-{ordinal}.nginx.default.svc.cluster.local")
}

/// Asks for a name's address; `None` if there is no reply, or none with an address.
pub fn resolve(name: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket.connect(DNS).unwrap();
    socket.send(&dns::query(1, name, dns::A)).ok()?;
    let mut reply = [0; 1500];
    let length = socket.recv(&mut reply).ok()?;
    Message::from_vec(&reply[..length]).unwrap().answers.first().and_then(address)
}

/// What the program in a container shows on a page; `None` if it does not answer.
pub fn page(address: IpAddr, path: &str) -> Option<String> {
    let reply = http::ask(SocketAddr::new(address, 80), &format!("GET {path}")).ok()?;
    (reply.status == 200).then_some(reply.body)
}
