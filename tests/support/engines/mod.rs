//! Docker and Podman for tests, each in namespaces of its own: `tools/container-engine.sh` makes them out of Debian's packages.
//!
//! Nothing is installed, no network of the machine is touched, and all processes end with the test's own.

pub mod images;

use super::{eventually, skip};
use std::{
    fmt,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};
use tempfile::TempDir;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Docker,
    Podman,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Docker => "docker",
            Kind::Podman => "podman",
        })
    }
}

/// How long an engine may take for anything; a machine that builds beside it is slow.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(60);

/// An engine that runs; ended when dropped.
pub struct ContainerEngine {
    /// Which it is.
    pub kind: Kind,
    run: Child,
    lines: Mutex<(Option<ChildStdin>, Receiver<String>)>,
    directory: TempDir,
    pid: String,
}

impl ContainerEngine {
    /// Starts one of its own for a test that stops it; `None` where none can be had, which skips the test.
    pub fn start(kind: Kind) -> Option<ContainerEngine> {
        ContainerEngine::start_with(kind, "")
    }

    /// Starts one with more arguments of `dockerd`, as `--live-restore`.
    pub fn start_with(kind: Kind, dockerd_options: &str) -> Option<ContainerEngine> {
        let packages = packages()?;
        // A path of a socket has at most 107 octets.
        let directory = tempfile::Builder::new().prefix("engine-").tempdir().unwrap();
        let mut run = Command::new(script())
            .args(["run", &kind.to_string()])
            .args([packages, directory.path()])
            .env("DOCKERD_OPTIONS", dockerd_options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, answers) = sync_channel(16);
        let stdout = run.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let lines = Mutex::new((run.stdin.take(), answers));
        let mut engine = ContainerEngine { kind, run, lines, directory, pid: String::new() };
        engine.start_again();
        engine.pid = std::fs::read_to_string(engine.directory.path().join("pid")).unwrap().trim().to_owned();
        Some(engine)
    }

    /// One that all tests of this file share; it ends with the process.
    pub fn shared(kind: Kind) -> Option<&'static ContainerEngine> {
        static SHARED: [OnceLock<Option<ContainerEngine>>; 2] = [OnceLock::new(), OnceLock::new()];
        SHARED[kind as usize].get_or_init(|| ContainerEngine::start(kind)).as_ref()
    }

    /// Its socket: the same path inside and outside.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }

    /// A command in its network: the containers' addresses are reached, and what listens there is reached by containers.
    /// Files and processes are the machine's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid)).arg(program);
        command
    }

    /// A command that also has the engine's processes (as its API numbers them) and its view of files. `nsenter` forks: a
    /// signal to the child is one to `nsenter`, with which the command is killed.
    pub fn command_inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--pid", "--target", &self.pid]);
        command.args(["setpriv", "--pdeathsig", "KILL", program]);
        command
    }

    /// Stops it as an upgrade does: Docker ends its containers, if it was not started with `--live-restore`.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Kills the engine alone (-9); containers go on.
    pub fn kill(&self) {
        self.order("kill");
    }

    /// As if the power had failed: all processes end at once, files stay. [`ContainerEngine::start_again`] follows.
    pub fn reboot(&self) {
        self.order("reboot");
    }

    /// Starts it after [`ContainerEngine::stop`], [`ContainerEngine::kill`] or [`ContainerEngine::reboot`], and waits until
    /// it answers.
    pub fn start_again(&self) {
        self.order("start");
        eventually(&format!("{} answers", self.kind), || {
            let (status, body) = self.request("GET", "/_ping", b"").map_err(|error| self.log_with(&error))?;
            if status == 200 { Ok(()) } else { Err(String::from_utf8_lossy(&body).into_owned()) }
        });
    }

    fn order(&self, word: &str) {
        let mut lines = self.lines.lock().unwrap();
        let (Some(stdin), answers) = &mut *lines else { unreachable!("dropped") };
        writeln!(stdin, "{word}").unwrap();
        let answer = answers.recv_timeout(ENGINE_TIMEOUT);
        assert_eq!(answer.as_deref(), Ok(word), "{}", self.log_with(&"no answer"));
    }

    /// The end of its log, after a message.
    fn log_with(&self, error: &dyn fmt::Display) -> String {
        let log = std::fs::read(self.directory.path().join("engine.log")).unwrap_or_default();
        format!("{error}; the end of its log:\n{}", String::from_utf8_lossy(&log[log.len().saturating_sub(2000)..]))
    }

    /// One request over its socket, without the client that is tested: status and body.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(ENGINE_TIMEOUT))?;
        stream.set_write_timeout(Some(ENGINE_TIMEOUT))?;
        let content = if body.starts_with(b"{") { "application/json" } else { "application/x-tar" };
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Type: {content}\r\nContent-Length: {length}\r\n\r\n"
        )?;
        stream.write_all(body)?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        let end = reply.windows(4).position(|octets| octets == b"\r\n\r\n").map(|at| at + 4);
        let status = reply.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let (Some(end), Some(status)) = (end, status) else {
            return Err(std::io::Error::other(format!("not a reply: {}", String::from_utf8_lossy(&reply))));
        };
        Ok((status, reply.split_off(end)))
    }
}

impl Drop for ContainerEngine {
    fn drop(&mut self) {
        // The end of its input ends it, and the script then removes what is left.
        self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0 = None;
        for _ in 0..2000 {
            if !matches!(self.run.try_wait(), Ok(None)) {
                return;
            }
            super::pause();
        }
        let _ = Command::new("kill").args(["-KILL", &self.pid]).status();
        let _ = self.run.wait();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/container-engine.sh")
}

/// The unpacked packages; downloaded once for all tests.
fn packages() -> Option<&'static Path> {
    static PACKAGES: OnceLock<Option<PathBuf>> = OnceLock::new();
    let unpacked = PACKAGES.get_or_init(|| {
        if !super::have(&["unshare", "nsenter", "setpriv", "apt-get", "dpkg-deb", "flock", "ip", "tar", "cc"]) {
            return None;
        }
        let root = Command::new("id").arg("-u").output().unwrap();
        if root.stdout.trim_ascii() != b"0" {
            skip("a container engine needs root");
            return None;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/engines");
        let unpacked = Command::new(script()).arg("unpack").arg(&folder).stdin(Stdio::null()).output().unwrap();
        if !unpacked.status.success() {
            skip(&format!("the packages of Docker and Podman: {}", String::from_utf8_lossy(&unpacked.stderr)));
            return None;
        }
        Some(folder)
    });
    if unpacked.is_none() {
        skip("no container engine");
    }
    unpacked.as_deref()
}
