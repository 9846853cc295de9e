//! The servers: how each is set up, started, awaited, weighed and ended.

use crate::{cluster::query, load::is_installed, zone::Files};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::UdpSocket,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Floor,
    Ours,
    Nsd,
    Knot,
    Bind,
    Hickory,
    CoreDns,
}

/// A server that answers; ended when dropped.
pub struct Running {
    child: Child,
    pub port: u16,
    pub loaded_in: Duration,
}

/// How long a server may take to load.
const PATIENCE: Duration = Duration::from_secs(120);

impl Peer {
    pub fn all() -> [Peer; 7] {
        [Peer::Floor, Peer::Ours, Peer::Nsd, Peer::Knot, Peer::Bind, Peer::Hickory, Peer::CoreDns]
    }

    pub fn name(self) -> &'static str {
        match self {
            Peer::Floor => "floor",
            Peer::Ours => "headless-dns",
            Peer::Nsd => "NSD",
            Peer::Knot => "Knot",
            Peer::Bind => "BIND",
            Peer::Hickory => "hickory-server",
            Peer::CoreDns => "CoreDNS",
        }
    }

    /// The program that has to be installed.
    fn program(self) -> Option<&'static str> {
        match self {
            Peer::Nsd => Some("nsd"),
            Peer::Knot => Some("knotd"),
            Peer::Bind => Some("named"),
            Peer::CoreDns => Some("coredns"),
            Peer::Floor | Peer::Ours | Peer::Hickory => None,
        }
    }

    /// Starts the server and waits until it answers; `None` if it is not installed.
    pub fn start(self, files: &Files) -> Option<Running> {
        if let Some(program) = self.program()
            && !is_installed(program)
        {
            eprintln!("  {program} is not installed");
            return None;
        }
        // It takes minutes for a million pods.
        if self == Peer::Hickory && files.pods > 100_000 {
            return None;
        }
        match self {
            Peer::Floor => Some(own("floor", files)),
            Peer::Ours => Some(own("ours", files)),
            Peer::Hickory => Some(own("hickory", files)),
            _ => Some(self.start_installed(files)),
        }
    }

    fn start_installed(self, files: &Files) -> Running {
        let port = free_port();
        let directory = files.directory.join(format!("{}-{port}", self.name()));
        fs::create_dir_all(&directory).unwrap();
        let (here, zone) = (directory.display(), files.zone.display());
        let (config, arguments): (String, Vec<String>) = match self {
            Peer::Nsd => (
                format!(
                    "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  pidfile: \"\"\n  server-count: 1\n  \
                     zonesdir: \"{here}\"\n  database: \"\"\n  zonelistfile: \"{here}/list\"\n  xfrdfile: \"\"\n  \
                     tcp-count: 1000\n  rrl-ratelimit: 0\n  logfile: \"{here}/log\"\n  tcp-query-count: 0\n\
                     remote-control:\n  control-enable: no\nzone:\n  name: cluster.local\n  zonefile: \"{zone}\"\n"
                ),
                vec!["-d".into(), "-c".into()],
            ),
            Peer::Knot => (
                format!(
                    "server:\n  rundir: \"{here}\"\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
                     background-workers: 1\n  tcp-max-clients: 10000\n  tcp-io-timeout: 0\ndatabase:\n  storage: \"{here}\"\n\
                     log:\n  - target: stderr\n    any: error\ntemplate:\n  - id: default\n    storage: \"{here}\"\n    \
                     zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\n\
                     zone:\n  - domain: cluster.local\n    file: \"{zone}\"\n"
                ),
                vec!["-c".into()],
            ),
            Peer::Bind => (
                format!(
                    "options {{ directory \"{here}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
                     recursion no; pid-file none; session-keyfile \"{here}/key\"; tcp-clients 1000; \
                     max-records-per-type 0; }};\ncontrols {{ }};\n\
                     zone \"cluster.local\" {{ type primary; file \"{zone}\"; notify no; }};\n"
                ),
                vec!["-n".into(), "1".into(), "-g".into(), "-c".into()],
            ),
            _ => (format!("cluster.local:{port} {{\n  bind 127.0.0.1\n  file {zone}\n}}\n"), vec!["-conf".into()]),
        };
        let file = directory.join("config");
        fs::write(&file, config).unwrap();
        let mut command = pinned(Path::new(self.program().unwrap()));
        command.args(arguments).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().unwrap();
        let mut running = Running { child, port, loaded_in: Duration::ZERO };
        running.await_answer();
        running.loaded_in = begun.elapsed();
        running
    }
}

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program).stdin(Stdio::null());
    command
}

/// What accepting, reading, writing and closing cost by themselves.
pub fn bare_connections(files: &Files) -> Running {
    own("connections", files)
}

/// This very program as a server.
fn own(which: &str, files: &Files) -> Running {
    let mut command = pinned(&std::env::current_exe().unwrap());
    command.args(["serve", which, &files.pods.to_string()]).arg(&files.zone).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (port, micros) = line.trim().split_once(' ').unwrap();
    let loaded_in = Duration::from_micros(micros.parse().unwrap());
    let running = Running { child, port: port.parse().unwrap(), loaded_in };
    if matches!(which, "ours" | "hickory") {
        running.await_answer();
    }
    running
}

fn free_port() -> u16 {
    // Free for both transports at this moment, which is all that is needed here.
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Running {
    fn await_answer(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let query = query(&crate::zone::some_pod());
        let end = Instant::now() + PATIENCE;
        let mut reply = [0; 512];
        loop {
            let _ = socket.send_to(&query, ("127.0.0.1", self.port));
            // An answer with a record, not SERVFAIL of a zone that is still being read.
            if socket.recv(&mut reply).is_ok_and(|length| length > 12 && reply[7] > 0) {
                return;
            }
            assert!(Instant::now() < end, "no answer at port {}", self.port);
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// The process and all below it.
    fn processes(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid: u32| Some((pid, fields(pid)?.get(1)?.parse().ok()?)))
            .collect();
        let mut at = 0;
        while at < all.len() {
            let of = all[at];
            all.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
            at += 1;
        }
        all
    }

    /// Processor time of all of them so far.
    pub fn spent(&self) -> Duration {
        let ticks: u64 = self
            .processes()
            .into_iter()
            .filter_map(fields)
            .map(|fields| fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
            .sum();
        // The unit in which Linux tells it, whatever the kernel's own is.
        Duration::from_millis(ticks * 10)
    }

    /// Octets of memory that they have for themselves; what is shared between them counts once.
    pub fn resident(&self) -> u64 {
        let proportional = |pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find(|line| line.starts_with("Pss:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        self.processes().into_iter().filter_map(proportional).sum::<u64>() * 1024
    }
}

/// The fields of /proc/PID/stat behind the name, which may hold anything.
fn fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in self.processes().into_iter().rev() {
            // Only what was started here; the child itself is waited for.
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.child.wait();
    }
}
