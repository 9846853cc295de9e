//! The real kubectl drives a running server: sessions of commands (`tests/data/kubectl/*.session`) with everything that
//! they print, for several versions of the client.
//!
//! The clients are `kubectl` in PATH, `kubectl.1.*` beside it, and those that the variable KUBECTL names (separated by
//! colons). The oldest and the newest run; with HEADLESS_DNS_KUBECTL=all every one. HEADLESS_DNS_KUBECTL_SESSION=NAME
//! runs one session only.

use crate::support::{
    PATIENCE, program,
    program::Program,
    skip,
    transcript::{self, Printed, Step},
};
use std::{
    collections::{BTreeMap, VecDeque},
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Sessions that the newest client also plays with streamed lists: those that follow objects.
const STREAMED: [&str; 3] = ["rollout", "delete", "by-hand"];
/// Sessions about kinds of which older clients know other versions, or print otherwise: they are played by clients from
/// 1.27 on.
const FROM_1_27: [&str; 5] = ["cluster", "custom-resources", "deployment", "job", "kinds"];
/// How long pods take to stop. kubectl looks whether it is still the pod that it deleted, and then lists it to wait for its
/// end: where a controller has put the next one of the name in its place between the two, it waits for that one's end
/// (Kubernetes issue 135562). With the default a busy machine is slow enough for that.
const STOP_AFTER: &str = "300ms";
/// How often it may happen all the same.
const RACES: usize = 2;
/// How many differences of one session are told: the first ones cause the others.
const TOLD: usize = 4;

/// What `timeout` exits with.
const TIMED_OUT: i32 = 124;

#[derive(Debug, Clone)]
struct Client {
    path: PathBuf,
    version: String,
    minor: u32,
    /// Whether it asks for lists as watches that begin with everything, as kubectl does by itself from 1.35 on.
    streams_lists: bool,
}

impl Client {
    fn at(path: PathBuf) -> Option<Client> {
        let output = Command::new(&path)
            .args(["version", "--client", "--output=json"])
            .env("KUBECONFIG", "/dev/null")
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let version: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let version = &version["clientVersion"];
        // Some builds write `20+`.
        let minor = version["minor"].as_str()?.trim_end_matches('+').parse().ok()?;
        Some(Client { path, version: version["gitVersion"].as_str()?.to_owned(), minor, streams_lists: false })
    }
}

/// One client of each minor version that is here.
fn clients() -> Vec<Client> {
    let mut paths = Vec::new();
    let in_path = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("kubectl"))
        .find(|path| path.is_file());
    if let Some(path) = in_path {
        let folder = fs::canonicalize(&path).unwrap().parent().unwrap().to_owned();
        let beside = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.extend(beside.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("kubectl.1.")));
        paths.push(path);
    }
    paths.extend(env::split_paths(&env::var_os("KUBECTL").unwrap_or_default()));
    let mut clients = BTreeMap::new();
    for client in paths.into_iter().filter_map(Client::at) {
        // A dispatcher only runs one of the others, whichever is nearest to the server.
        if !client.version.contains("dispatcher") {
            clients.entry(client.minor).or_insert(client);
        }
    }
    clients.into_values().collect()
}

/// A server and a shell beside it, both with directories of their own.
struct Terminal {
    server: Program,
    address: String,
    streams_lists: bool,
    directory: tempfile::TempDir,
}

impl Terminal {
    fn new(client: &Client) -> Terminal {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["manifests", "zones", "work", "home", "bin"] {
            fs::create_dir(directory.path().join(folder)).unwrap();
        }
        copy(&data(), &directory.path().join("work"));
        let settings = directory.path().join("settings.yaml");
        fs::write(&settings, format!("simulation:\n  stopAfter: {STOP_AFTER}\n")).unwrap();
        let mut command = program::command();
        command.args(["--api-listen", "127.0.0.1:0", "--metrics-listen", "none", "--state-dir"]);
        command.arg(directory.path().join("state")).arg("--config").arg(settings);
        let server = Program::spawn(command, "127.0.0.1:0", directory.path()).listening();
        let address = server.address_behind("Kubernetes API at http://").to_string();
        let kubectl = directory.path().join("bin/kubectl");
        let script = format!("#!/bin/sh\nexec {} --server http://{address} \"$@\"\n", client.path.display());
        fs::write(&kubectl, script).unwrap();
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
        Terminal { server, address, streams_lists: client.streams_lists, directory }
    }

    fn run(&self, command: &str) -> Printed {
        let at = |name: &str| self.directory.path().join(name);
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([at("bin")].into_iter().chain(env::split_paths(&path))).unwrap();
        let output = Command::new("timeout")
            .arg(PATIENCE.as_secs().to_string())
            .args(["sh", "-c", command])
            .current_dir(at("work"))
            .env("PATH", path)
            .env("HOME", at("home"))
            .env("TMPDIR", at("home"))
            .env("KUBECACHEDIR", at("home/cache"))
            .env("KUBECONFIG", "/dev/null")
            .env("LC_ALL", "C")
            // The client is a Go program that lives for some milliseconds: collecting garbage is a fifth of its work.
            .env("GOGC", "off")
            .envs(self.streams_lists.then_some(("KUBE_FEATURE_WatchListClient", "true")))
            .env("MANIFESTS", at("manifests"))
            .env("ADDRESS", &self.address)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (stdout, stderr) = (transcript::lines(&output.stdout), transcript::lines(&output.stderr));
        Printed { stdout, stderr, code: output.status.code().unwrap_or(-1) }
    }

    /// Runs a step; what it printed, unless it is what is expected. `races` counts those of [`RACES`].
    fn check(&self, step: &Step, races: &AtomicUsize) -> Result<(), Printed> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut printed = self.run(&step.command);
            if printed.fits(&step.expected) {
                return Ok(());
            }
            if printed.code == TIMED_OUT && step.command.starts_with("kubectl delete pod") {
                printed.code = step.expected.code;
                if printed.fits(&step.expected) && races.fetch_add(1, Ordering::Relaxed) < RACES {
                    println!("it waited for the end of the next pod: {}", step.command);
                    return Ok(());
                }
                printed.code = TIMED_OUT;
            }
            if !step.until || Instant::now() > end {
                return Err(printed);
            }
            thread::park_timeout(Duration::from_millis(20));
        }
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kubectl")
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Plays a session; what differs.
fn play(client: &Client, path: &Path, races: &AtomicUsize) -> Vec<String> {
    let steps = transcript::read(&fs::read_to_string(path).unwrap(), client.minor);
    let terminal = Terminal::new(client);
    let mut differences = Vec::new();
    for step in &steps {
        if let Err(printed) = terminal.check(step, races) {
            let (file, version) = (path.file_name().unwrap().to_string_lossy(), &client.version);
            let form = if client.streams_lists { " and streamed lists" } else { "" };
            differences.push(format!(
                "{file}:{} with kubectl {version}{form}\n$ {}\n--- expected\n{}--- printed\n{}---",
                step.line,
                step.command,
                step.expected.written(),
                printed.written(),
            ));
            if differences.len() == TOLD {
                break;
            }
        }
    }
    if terminal.server.stderr().contains("panicked") {
        differences.push(terminal.server.stderr());
    }
    differences
}

#[test]
fn commands_print_what_a_cluster_prints() {
    let all = clients();
    let chosen: Vec<Client> = match (all.first(), all.last()) {
        _ if env::var("HEADLESS_DNS_KUBECTL").as_deref() == Ok("all") => all.clone(),
        (Some(oldest), Some(newest)) if oldest.minor != newest.minor => vec![oldest.clone(), newest.clone()],
        _ => all.clone(),
    };
    if chosen.is_empty() {
        skip("no kubectl here");
        return;
    }
    let only = env::var("HEADLESS_DNS_KUBECTL_SESSION").ok();
    let mut sessions: Vec<PathBuf> = fs::read_dir(data()).unwrap().map(|entry| entry.unwrap().path()).collect();
    sessions.retain(|path| path.extension().is_some_and(|extension| extension == "session"));
    sessions.retain(|path| only.as_ref().is_none_or(|only| path.file_stem().unwrap() == only.as_str()));
    // The longest first, so that none is left over at the end.
    sessions.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    assert!(!sessions.is_empty());
    let streaming = chosen.last().map(|newest| Client { streams_lists: true, ..newest.clone() });
    let jobs = sessions.iter().flat_map(|path| {
        let is_streamed = STREAMED.iter().any(|session| path.file_stem().unwrap() == *session);
        let streaming = streaming.iter().filter(move |_| is_streamed);
        let is_newer = FROM_1_27.iter().any(|session| path.file_stem().unwrap() == *session);
        let able = move |client: &&Client| !is_newer || client.minor >= 27;
        chosen.iter().chain(streaming).filter(able).map(move |client| (client, path))
    });
    let jobs: Mutex<VecDeque<(&Client, &PathBuf)>> = Mutex::new(jobs.collect());
    let differences = Mutex::new(Vec::new());
    let races = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(2, usize::from) + 1;
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some((client, path)) = jobs.lock().unwrap().pop_front() else { break };
                    let begun = Instant::now();
                    let found = play(client, path, &races);
                    let name = path.file_stem().unwrap().to_string_lossy();
                    let form = if client.streams_lists { ", streamed lists" } else { "" };
                    let (version, seconds) = (&client.version, begun.elapsed().as_secs_f64());
                    println!("kubectl {version}{form}: {name} in {seconds:.1} s");
                    differences.lock().unwrap().extend(found);
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}
