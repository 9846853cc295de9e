//! What a container is made from arrives in it.

use crate::fixture::{Fixture, on_both};
use headless_dns::engine::sandbox::{ContainerSpec, Engine, EngineKind, Mount, PidNamespace, Seccomp};
use std::os::unix::fs::PermissionsExt;

/// What is changed in a container's specification.
type Change<'a> = &'a (dyn Fn(&mut ContainerSpec) + Sync);
/// What it is, the change of the container, a command in it, and what it writes.
type Row<'a> = (&'a str, Change<'a>, &'a [&'a str], &'a str);

#[test]
fn what_a_container_sees() {
    let host = tempfile::tempdir().unwrap();
    // The engine's user may be another one.
    std::fs::set_permissions(host.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let odd = host.path().join("a directory, with odd \"characters\"");
    std::fs::create_dir(&odd).unwrap();
    std::fs::write(odd.join("file"), "from outside\n").unwrap();
    std::fs::write(host.path().join("hosts"), "10.0.0.1\tme.example me\n").unwrap();
    std::fs::write(host.path().join("resolv.conf"), "nameserver 10.0.0.53\n").unwrap();
    let bind = |source: &str, target: &str, read_only: bool| Mount::Bind {
        source: host.path().join(source),
        target: target.to_owned(),
        read_only,
        propagation: "private",
    };
    let odd = "a directory, with odd \"characters\"";
    let rows: &[Row<'_>] = &[
        (
            "env",
            &|spec| spec.env = vec![("A".to_owned(), "x = $B \"y\"\nz".to_owned())],
            &["env", "A"],
            "x = $B \"y\"\nz\n",
        ),
        (
            "env of the image",
            &|spec| spec.env = vec![("FROM_IMAGE".to_owned(), String::new())],
            &["env", "FROM_IMAGE"],
            "\n",
        ),
        (
            "hosts",
            &|spec| spec.mounts = vec![bind("hosts", "/etc/hosts", false)],
            &["cat", "/etc/hosts"],
            "10.0.0.1\tme.example me\n",
        ),
        (
            "resolv.conf",
            &|spec| spec.mounts = vec![bind("resolv.conf", "/etc/resolv.conf", false)],
            &["cat", "/etc/resolv.conf"],
            "nameserver 10.0.0.53\n",
        ),
        (
            "bind",
            &|spec| spec.mounts = vec![bind(odd, "/data, too", false)],
            &["cat", "/data, too/file"],
            "from outside\n",
        ),
        ("written", &|spec| spec.mounts = vec![bind("", "/data", false)], &["write", "/data/new", "x"], ""),
        (
            "read-only bind",
            &|spec| spec.mounts = vec![bind("", "/data", true)],
            &["write", "/data/no", "x"],
            "/data/no: Read-only file system\n",
        ),
        (
            "read-only root",
            &|spec| spec.security.read_only_root = true,
            &["write", "/no", "x"],
            "/no: Read-only file system\n",
        ),
        ("user", &|spec| spec.security.user = Some("1000:2000".to_owned()), &["id"], "1000:2000:\n"),
        ("user of the image", &|spec| spec.security.user = Some("alice".to_owned()), &["id"], "1001:1002:\n"),
        (
            "groups",
            &|spec| {
                spec.security.user = Some("1000:2000".to_owned());
                spec.security.groups = vec![3000, 4000];
            },
            &["id"],
            "1000:2000:3000,4000\n",
        ),
        (
            "tmpfs",
            &|spec| {
                spec.mounts = vec![Mount::Tmpfs { target: "/memory".to_owned(), octets: Some(1 << 20), mode: 0o1777 }]
            },
            &["write", "/memory/x", "x"],
            "",
        ),
    ];
    on_both(async |fixture: &Fixture| {
        let sandbox = fixture.start_sandbox(&fixture.sandbox("sees", fixture.address())).await.unwrap();
        for (number, (what, change, words, expected)) in rows.iter().enumerate() {
            let mut spec = fixture.container("sees", &sandbox);
            spec.name.push_str(&number.to_string());
            spec.args = Some(vec!["wait".to_owned()]);
            change(&mut spec);
            let id = fixture
                .start_container(&spec)
                .await
                .unwrap_or_else(|error| panic!("{}: {what}: {error:?}", fixture.engine.kind));
            let (_, written) = fixture.exec(&id, words).await;
            assert_eq!(written, *expected, "{}: {what}", fixture.engine.kind);
            fixture.client.remove(&id).await.unwrap();
        }
    });
    assert_eq!(std::fs::read_to_string(host.path().join("new")).unwrap(), "x\nx\n", "once on each engine");
}

/// A line of `/proc/self/status`, of `/proc/mounts`, ….
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {text}"))
}

#[test]
fn rights_limits_and_namespaces() {
    on_both(async |fixture: &Fixture| {
        let mut sandbox = fixture.sandbox("rights", fixture.address());
        sandbox.sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "81".to_owned());
        sandbox.shm_octets = Some(3 << 20);
        let sandbox = fixture.start_sandbox(&sandbox).await.unwrap();
        let mut spec = fixture.container("rights", &sandbox);
        spec.args = Some(vec!["wait".to_owned()]);
        spec.pid = PidNamespace::Sandbox;
        spec.resources.memory_octets = Some(64 << 20);
        // More than the machine has is permitted.
        spec.resources.nano_cpus = Some(500_000_000_000);
        spec.resources.cpu_shares = Some(512);
        spec.resources.oom_score_adj = 500;
        spec.security.drop_capabilities = vec!["ALL".to_owned()];
        spec.security.add_capabilities = vec!["NET_BIND_SERVICE".to_owned()];
        spec.security.no_new_privileges = true;
        spec.security.seccomp = Seccomp::Unconfined;
        spec.security.unmasked_proc = true;
        let id = fixture.start_container(&spec).await.unwrap();
        let (_, status) = fixture.exec(&id, &["cat", "/proc/self/status"]).await;
        for expected in ["CapBnd:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t0"] {
            assert_eq!(line(&status, expected), expected);
        }
        let rows = [
            ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "81\n"),
            ("/proc/self/oom_score_adj", "500\n"),
            // The sandbox's first process is the container's, too.
            ("/proc/1/cmdline", "/pause\0"),
        ];
        for (file, expected) in rows {
            assert_eq!(fixture.exec(&id, &["cat", file]).await.1, expected, "{file}");
        }
        let (_, mounts) = fixture.exec(&id, &["cat", "/proc/mounts"]).await;
        assert!(mounts.lines().any(|line| line.contains(" /dev/shm ") && line.contains("size=3072k")), "{mounts}");
        assert!(!mounts.contains(" /proc/kcore "), "{mounts}");
        // What has not been asked for is the engine's own profile.
        let plain = fixture.start_container(&fixture.container("plain", &sandbox)).await.unwrap();
        let (_, status) = fixture.exec(&plain, &["cat", "/proc/self/status"]).await;
        assert_eq!(line(&status, "Seccomp:"), "Seccomp:\t2");
        if fixture.client.info().await.unwrap().kind == EngineKind::Docker {
            let mut spec = fixture.container("profile", &sandbox);
            let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getgroups"], "action": "SCMP_ACT_ERRNO"}]}"#;
            spec.security.seccomp = Seccomp::Profile(profile.to_owned());
            spec.args = Some(vec!["wait".to_owned()]);
            fixture.start_container(&spec).await.unwrap();
        }
    });
}

/// The command and the arguments of a container, and how it ends.
#[test]
fn how_containers_end() {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    let rows: &[(&str, Change<'_>, i32, &str)] = &[
        ("args", &|spec| spec.args = words(&["say", "3", "a b", "c"]), 3, "a b c\n"),
        (
            "command and args",
            &|spec| {
                spec.command = words(&["/app", "say"]);
                spec.args = words(&["4", "d"]);
            },
            4,
            "d\n",
        ),
        // Without the image's `serve`.
        ("command alone", &|spec| spec.command = words(&["/app", "say", "5"]), 5, "\n"),
        (
            "working directory",
            &|spec| {
                spec.working_dir = Some("/tmp/below".to_owned());
                spec.args = words(&["test", "../below"]);
            },
            0,
            "",
        ),
        (
            "memory",
            &|spec| {
                spec.args = words(&["eat"]);
                spec.resources.memory_octets = Some(16 << 20);
            },
            137,
            "",
        ),
    ];
    on_both(async |fixture: &Fixture| {
        let sandbox = fixture.start_sandbox(&fixture.sandbox("ends", fixture.address())).await.unwrap();
        for (number, (what, change, code, written)) in rows.iter().enumerate() {
            let mut spec = fixture.container("ends", &sandbox);
            spec.name.push_str(&number.to_string());
            change(&mut spec);
            let id = fixture.start_container(&spec).await.unwrap();
            let details = fixture.ended(&id).await;
            assert_eq!(details.exit_code, Some(*code), "{}: {what}: {details:?}", fixture.engine.kind);
            // Podman does not tell where the groups of the kernel are those of version 1.
            assert_eq!(
                details.oom_killed,
                *what == "memory" && !fixture.is_podman(),
                "{}: {what}",
                fixture.engine.kind
            );
            let log = fixture.client.log_tail(&id, 100, 10_000).await.unwrap();
            let output: Vec<u8> = log
                .into_iter()
                .filter_map(|frame| match frame {
                    headless_dns::engine::sandbox::LogFrame::Output(octets) => Some(octets),
                    headless_dns::engine::sandbox::LogFrame::Error(_) => None,
                })
                .flatten()
                .collect();
            assert_eq!(String::from_utf8_lossy(&output), *written, "{}: {what}", fixture.engine.kind);
            // One that ended can be started again, as after a restart of the machine.
            fixture.client.remove(&id).await.unwrap();
        }
    });
}
