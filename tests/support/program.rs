//! The real program as a child process, with directories of its own.

use super::{PATIENCE, eventually, pause};
use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A running program; ended when dropped.
pub struct Program {
    child: Child,
    directory: PathBuf,
    /// Removes `directory` when dropped, where it is this program's own.
    _own: Option<TempDir>,
    begun: Instant,
    /// Where it listens, as it printed it.
    pub address: SocketAddr,
    /// From the start of the process to the line that says so.
    pub started_in: Duration,
    stdout: Output,
    stderr: Output,
}

/// What a program prints, collected while it runs.
struct Output {
    text: Arc<Mutex<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Output {
    fn collect(pipe: impl Read + Send + 'static) -> Output {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut text = sink.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        Output { text, thread: Some(thread) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// All of it; the program has to have ended.
    fn finish(mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.text()
    }
}

/// A run that has come to its end.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// The program under test: the file that `HEADLESS_DNS_BINARY` names, or what cargo has built for the tests.
pub fn binary() -> PathBuf {
    match std::env::var_os("HEADLESS_DNS_BINARY") {
        // Programs are started in directories of their own.
        Some(named) => std::fs::canonicalize(&named).unwrap_or_else(|error| panic!("{}: {error}", named.display())),
        None => env!("CARGO_BIN_EXE_headless-dns").into(),
    }
}

/// A command that starts the program under test, with no settings from the surroundings.
pub fn command() -> Command {
    undisturbed(Command::new(binary()))
}

/// The same under limits of the system: what `ulimit` is told, as `-v 2097152 -n 200`.
pub fn limited(limits: &str) -> Command {
    let mut command = Command::new("sh");
    let flags: Vec<&str> = limits.split_whitespace().collect();
    let each = flags.chunks(2).map(|flag| format!("ulimit {} && ", flag.join(" "))).collect::<String>();
    command.args(["-c", &format!("{each}exec \"$0\" \"$@\"")]).arg(binary());
    undisturbed(command)
}

fn undisturbed(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEADLESS_DNS_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command that ends by itself, within [`PATIENCE`].
pub fn run(mut command: Command) -> Ended {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = Output::collect(child.stdout.take().unwrap());
    let stderr = Output::collect(child.stderr.take().unwrap());
    let status = wait(&mut child);
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (stdout, stderr) = (stdout.finish(), stderr.finish());
    let Some(status) = status else { panic!("{command:?} did not end\n{stdout}\n{stderr}") };
    Ended { status, stdout, stderr }
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return Some(status),
            None if Instant::now() > end => return None,
            None => pause(),
        }
    }
}

impl Program {
    /// Serves the given manifests (file name, text) on a free port of 127.0.0.1.
    pub fn start(manifests: &[(&str, &str)]) -> Program {
        Program::start_with(command(), "127.0.0.1:0", manifests)
    }

    /// Serves with a command that [`command`] or a namespace made; waits until it says where it listens.
    pub fn start_with(command: Command, listen: &str, manifests: &[(&str, &str)]) -> Program {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["manifests", "zones"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        for (name, text) in manifests {
            std::fs::write(directory.path().join("manifests").join(name), text).unwrap();
        }
        let mut program = Program::spawn(command, listen, directory.path()).listening();
        program._own = Some(directory);
        program
    }

    /// Serves `manifests` and `zones` of a directory that stays; does not wait for anything.
    pub fn spawn(mut command: Command, listen: &str, directory: &Path) -> Program {
        let begun = Instant::now();
        let mut child = undisturbed(command_with(&mut command, listen, directory)).spawn().unwrap();
        let stdout = Output::collect(child.stdout.take().unwrap());
        let stderr = Output::collect(child.stderr.take().unwrap());
        Program {
            child,
            directory: directory.to_owned(),
            _own: None,
            begun,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            started_in: Duration::ZERO,
            stdout,
            stderr,
        }
    }

    /// Waits until it says where it listens, which it does after its first look at all manifests.
    pub fn listening(mut self) -> Program {
        self.address = eventually("the line that says where it listens", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended with {status}\n{}\n{}", self.stdout.text(), self.stderr.text());
            }
            let stdout = self.stdout.text();
            let line = stdout.lines().find_map(|line| line.split("listening on udp+tcp ").nth(1).map(str::to_owned));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).ok_or(stdout)
        });
        self.started_in = self.begun.elapsed();
        self
    }

    /// Where it listens for a further transport (`tls`, `https`, `quic`), as it printed it.
    pub fn listening_on(&self, transport: &str) -> SocketAddr {
        let begin = format!("listening on {transport} ");
        eventually(&format!("`{begin}…`"), || {
            let stdout = self.stdout.text();
            let rest = stdout.lines().find_map(|line| line.strip_prefix(&begin));
            rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).ok_or(stdout)
        })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A figure of its process from the system, in KiB (`VmRSS`, `VmHWM`, `VmPeak`); `None` when it has ended.
    pub fn kibioctets(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let rest = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        rest.split_whitespace().next()?.parse().ok()
    }

    /// Ends it as a power cut does (SIGKILL), and waits until it has ended.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The file of that name among its manifests.
    pub fn manifest(&self, name: &str) -> PathBuf {
        self.directory.join("manifests").join(name)
    }

    /// The file of that name among its zones.
    pub fn zone(&self, name: &str) -> PathBuf {
        self.directory.join("zones").join(name)
    }

    /// What it has printed on standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// The address that it prints after this text on standard output, as soon as it does.
    pub fn address_behind(&self, text: &str) -> SocketAddr {
        eventually(text, || {
            let stdout = self.stdout();
            let word = stdout.split_once(text).and_then(|(_, rest)| rest.split_whitespace().next());
            word.and_then(|word| word.trim_end_matches(':').parse().ok()).ok_or(stdout)
        })
    }

    /// What it has printed on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until standard error holds this.
    pub fn expect_stderr(&self, text: &str) {
        eventually(&format!("`{text}` on standard error"), || match self.stderr() {
            stderr if stderr.contains(text) => Ok(()),
            stderr => Err(stderr),
        });
    }

    /// Sends a signal by its name (`TERM`, `HUP`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -{name}: {status}");
    }

    /// Waits for its end.
    pub fn ended(mut self) -> ExitStatus {
        let status = wait(&mut self.child);
        status.unwrap_or_else(|| panic!("it did not end\n{}", self.stderr()))
    }
}

fn command_with(command: &mut Command, listen: &str, directory: &Path) -> Command {
    let mut own = Command::new(command.get_program());
    own.args(command.get_args()).args(["serve", "--listen", listen]);
    if !command.get_args().any(|argument| argument == "--state-dir") {
        own.args(["--state-dir", "none"]);
    }
    for (option, folder) in [("--manifests", "manifests"), ("--zones", "zones")] {
        own.arg(option).arg(directory.join(folder));
    }
    // A directory without settings file, so that the built-in defaults hold.
    own.current_dir(directory);
    own
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- standard output\n{}--- standard error\n{}---", self.stdout.text(), self.stderr.text());
        }
    }
}
