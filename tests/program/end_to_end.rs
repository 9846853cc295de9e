//! The real program asked by real clients: `dig`, `nslookup` (BIND's and busybox's) and `getent` as in a container.

use crate::support::{
    dig::{Line, dig, eventually_addresses, eventually_dig},
    eventually, have,
    namespace::Namespace,
    program::{Program, command, run},
    web, write,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

const SERVICE: &str = "nginx.default.svc.cluster.local";
const RESOLV_CONF: &str = "nameserver 127.0.0.1
search default.svc.cluster.local svc.cluster.local cluster.local
options ndots:5
";

fn pod(ordinal: usize) -> String {
    format!("web-{ordinal}.{SERVICE}")
}

/// Waits until the service has so many addresses and each of its pods exactly one of them; returns the pods' addresses.
fn eventually_ready(server: SocketAddr, replicas: usize) -> Vec<IpAddr> {
    let all = eventually_addresses(server, SERVICE, replicas);
    let pods: Vec<IpAddr> = (0..replicas)
        .map(|ordinal| {
            let own = dig(server, &[&pod(ordinal), "A"]).addresses();
            assert_eq!(own.len(), 1, "{}", pod(ordinal));
            own.into_iter().next().unwrap()
        })
        .collect();
    assert_eq!(pods.iter().copied().collect::<BTreeSet<_>>(), all);
    pods
}

fn web_of(replicas: usize) -> String {
    web(replicas, "", "")
}

#[test]
fn dig_sees_pods_service_ports_and_reverse() {
    if !have(&["dig"]) {
        return;
    }
    let program = Program::start(&[("web.yaml", &web_of(3))]);
    let server = program.address;
    let pods = eventually_ready(server, 3);

    let reply = dig(server, &[&pod(1), "A"]);
    assert!(reply.status == "NOERROR" && reply.has_flag("aa") && !reply.has_flag("ra"), "{reply}");
    let line = Line { owner: format!("{}.", pod(1)), rtype: "A".to_owned(), rdata: pods[1].to_string() };
    assert_eq!(reply.answer, [line]);

    let reply = dig(server, &[&format!("_web._tcp.{SERVICE}"), "SRV"]);
    let targets: BTreeSet<String> = reply.answer.iter().map(|line| line.rdata.clone()).collect();
    assert_eq!(targets.len(), 3, "{reply}");
    for (ordinal, address) in pods.iter().enumerate() {
        let target = format!("{}.", pod(ordinal));
        assert!(targets.iter().any(|rdata| rdata.ends_with(&format!(" 80 {target}"))), "{reply}");
        let glue = Line { owner: target, rtype: "A".to_owned(), rdata: address.to_string() };
        assert!(reply.additional.contains(&glue), "{reply}");
    }

    for (ordinal, address) in pods.iter().enumerate() {
        let reply = dig(server, &["-x", &address.to_string()]);
        let names: Vec<&str> = reply.answer.iter().map(|line| line.rdata.as_str()).collect();
        assert_eq!(names, [format!("{}.", pod(ordinal))], "{reply}");
    }

    // Absence: a name, a type, and names that only have others below them.
    let soa = |lines: &[Line]| lines.len() == 1 && lines[0].rtype == "SOA" && lines[0].owner == "cluster.local.";
    for (name, rtype, status) in [
        (pod(0), "AAAA", "NOERROR"),
        (pod(7), "A", "NXDOMAIN"),
        ("nosuch.default.svc.cluster.local".to_owned(), "A", "NXDOMAIN"),
        ("svc.cluster.local".to_owned(), "A", "NOERROR"),
        ("default.svc.cluster.local".to_owned(), "A", "NOERROR"),
        (format!("_tcp.{SERVICE}"), "A", "NOERROR"),
    ] {
        let reply = dig(server, &[&name, rtype]);
        let correct = reply.status == status && reply.answer.is_empty() && soa(&reply.authority);
        assert!(correct && reply.has_flag("aa"), "{name} {rtype}: {reply}");
    }
    let reply = dig(server, &["example.com", "A"]);
    assert_eq!(reply.status, "REFUSED", "{reply}");
    println!("first line after {:?}", program.started_in);
}

#[test]
fn dig_over_tcp_and_sets_that_udp_cannot_hold() {
    if !have(&["dig"]) {
        return;
    }
    let program = Program::start(&[("web.yaml", &web(120, "", "  podManagementPolicy: Parallel\n"))]);
    let server = program.address;
    let all = eventually_dig(server, &["+tcp", SERVICE, "A"], |reply| reply.addresses().len() == 120).addresses();
    let cut = dig(server, &["+ignore", SERVICE, "A"]);
    assert!(cut.has_flag("tc") && cut.status == "NOERROR" && cut.addresses().is_subset(&all), "{cut}");
    // dig asks again over TCP by itself.
    assert_eq!(dig(server, &[SERVICE, "A"]).addresses(), all);
    let reply = dig(server, &["+tcp", &pod(119), "A"]);
    assert!(reply.addresses().is_subset(&all) && reply.addresses().len() == 1, "{reply}");
}

#[test]
fn editing_the_file_scales_restarts_and_removes() {
    if !have(&["dig"]) {
        return;
    }
    let program = Program::start(&[("web.yaml", &web_of(2))]);
    let (server, file) = (program.address, program.manifest("web.yaml"));
    let before = eventually_ready(server, 2);

    write(&file, &web_of(3));
    let grown = eventually_ready(server, 3);
    assert_eq!(grown[..2], before, "scaling up leaves the others alone");

    write(&file, &web_of(1));
    assert_eq!(eventually_ready(server, 1), before[..1]);
    eventually_dig(server, &[&pod(1), "A"], |reply| reply.status == "NXDOMAIN");

    write(&file, &web_of(2));
    let before = eventually_ready(server, 2);
    let begun = Instant::now();
    // What `kubectl rollout restart` writes.
    let restarted = "      annotations:
        kubectl.kubernetes.io/restartedAt: \"2026-01-01T00:00:00Z\"
";
    write(&file, &web(2, restarted, ""));
    for (ordinal, old) in before.iter().enumerate() {
        eventually_dig(server, &[&pod(ordinal), "A"], |reply| {
            reply.addresses().len() == 1 && !reply.addresses().contains(old)
        });
    }
    println!("both pods restarted under their names after {:?}", begun.elapsed());
    let after = eventually_ready(server, 2);
    assert!(after.iter().all(|address| !before.contains(address)), "{before:?} {after:?}");
    for address in before {
        assert_eq!(dig(server, &["-x", &address.to_string()]).status, "NXDOMAIN");
    }

    std::fs::remove_file(&file).unwrap();
    for name in [SERVICE.to_owned(), pod(0), pod(1)] {
        eventually_dig(server, &[&name, "A"], |reply| reply.status == "NXDOMAIN");
    }
}

#[test]
fn a_broken_file_keeps_what_runs() {
    if !have(&["dig"]) {
        return;
    }
    let program = Program::start(&[("web.yaml", &web_of(2))]);
    let (server, file) = (program.address, program.manifest("web.yaml"));
    let pods = eventually_ready(server, 2);
    write(&file, &web_of(3).replace("  replicas: 3", "  replicas:\tthree\n   oops: ["));
    program.expect_stderr("web.yaml:");
    // Another file beside it still comes into being, and by then the broken one has long been read.
    write(&program.manifest("db.yaml"), &web_of(1).replace("nginx", "db").replace("name: web", "name: sql"));
    eventually_addresses(server, "sql-0.db.default.svc.cluster.local", 1);
    assert_eq!(eventually_ready(server, 2), pods);
    write(&file, &web_of(3));
    assert_eq!(eventually_ready(server, 3)[..2], pods);
}

#[test]
fn static_zones_are_served_and_followed() {
    if !have(&["dig"]) {
        return;
    }
    let program = Program::start(&[]);
    let (server, file) = (program.address, program.zone("example.test.zone"));
    let zone = |serial: u32, address: &str| {
        format!(
            "$ORIGIN example.test.
$TTL 60
@ IN SOA ns hostmaster {serial} 3600 600 86400 5
@ IN NS ns
ns IN A 192.0.2.53
www IN A {address}
"
        )
    };
    write(&file, &zone(1, "192.0.2.1"));
    let has = |address: &'static str| {
        move |reply: &crate::support::dig::Dig| reply.addresses() == BTreeSet::from([address.parse().unwrap()])
    };
    eventually_dig(server, &["www.example.test", "A"], has("192.0.2.1"));
    write(&file, &zone(2, "192.0.2.2"));
    eventually_dig(server, &["www.example.test", "A"], has("192.0.2.2"));
    std::fs::remove_file(&file).unwrap();
    eventually_dig(server, &["www.example.test", "A"], |reply| reply.status == "REFUSED");
}

#[test]
fn signals_reload_and_stop() {
    if !have(&["dig", "kill"]) {
        return;
    }
    for signal in ["TERM", "INT"] {
        let program = Program::start(&[("web.yaml", &web_of(1))]);
        eventually_ready(program.address, 1);
        program.signal("HUP");
        program.expect_stderr("re-reading");
        assert_eq!(eventually_ready(program.address, 1).len(), 1);
        program.signal(signal);
        let begun = Instant::now();
        let status = program.ended();
        assert_eq!(status.code(), Some(0), "after SIG{signal}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[test]
fn hang_up_reads_the_settings_again() {
    if !have(&["kill"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.yaml");
    write(&file, "ttl: 5\n");
    let mut command = command();
    command.arg("--config").arg(&file);
    let program = Program::start_with(command, "127.0.0.1:0", &[]);
    // The settings' text, what is told about it. A flag wins as at the start, so `listen` has not changed.
    let waits = format!("changed in {}; takes effect after a restart", file.display());
    let rows = [
        ("ttl: 5\nlistne: []\n", "settings.yaml:2:1".to_owned()),
        ("ttl: many\n", "kept: the settings in use stay as they are".to_owned()),
        ("ttl: 5\nlisten: [\"127.0.0.2:0\"]\nnegativeTtl: 3\n", format!("negativeTtl: {waits}")),
        ("podCidrs: [10.9.0.0/16]\nlimits: {tcpSlow: 2s}\n", format!("limits.tcpSlow: {waits}")),
        ("log: {filter: \"info,headless_dns::program::app=trace\", format: json}\n", format!("log.format: {waits}")),
        ("log: {filter: error}\nttl: 9\nclusterDomain: 1..2\n", "settings.yaml:3:16".to_owned()),
    ];
    for (text, told) in rows {
        write(&file, text);
        program.signal("HUP");
        program.expect_stderr(&told);
    }
    let stderr = program.stderr();
    assert!(!stderr.contains("listen: changed") && stderr.contains("podCidrs: changed"), "{stderr}");
    // The filter itself: warnings fall silent.
    write(&file, "log: {filter: error}\nserviceCidrs: [10.7.0.0/16]\n");
    program.signal("HUP");
    program.expect_stderr(&format!("serviceCidrs: {waits}"));
    write(&file, "log: {filter: error}\nreverseZones: []\n");
    program.signal("HUP");
    write(&file, "colour: red\n");
    program.signal("HUP");
    program.expect_stderr("settings.yaml:1:1");
    assert!(!program.stderr().contains("reverseZones: changed"), "{}", program.stderr());
}

/// Killed at once, as often as it likes: the same pods under the same addresses, serials that grow, and a line for each
/// start.
#[test]
fn killed_and_started_again() {
    if !have(&["dig", "kill"]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let start = |replicas| {
        let mut command = command();
        command.arg("--state-dir").arg(state.path());
        Program::start_with(command, "127.0.0.1:0", &[("web.yaml", &web_of(replicas))])
    };
    let serial = |server| -> u32 {
        let reply = dig(server, &["cluster.local", "SOA"]);
        reply.answer[0].rdata.split(' ').nth(2).unwrap().parse().unwrap()
    };
    let mut known: Vec<IpAddr> = Vec::new();
    let mut last = None;
    for replicas in [2, 3, 3] {
        let program = start(replicas);
        let pods = eventually_ready(program.address, replicas);
        assert_eq!(pods[..known.len()], known);
        known = pods;
        let now = serial(program.address);
        assert!(last.is_none_or(|last: u32| (now.wrapping_sub(last) as i32) > 0), "{last:?}, then {now}");
        last = Some(now);
        // What is published is on disk within moments; only then are the pods sure to be found.
        eventually("on disk", || match std::fs::metadata(state.path().join("cluster.redb")) {
            Ok(file) if file.modified().unwrap().elapsed().unwrap_or_default() > Duration::from_millis(300) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        program.signal("KILL");
        assert!(!program.ended().success());
    }
}

#[test]
fn a_busy_port_is_explained() {
    let first = Program::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let mut second = command();
    second.current_dir(directory.path());
    second.args(["serve", "--state-dir", "none", "--listen", &first.address.to_string()]);
    let ended = run(second);
    assert!(!ended.status.success());
    let told = ended.stderr.contains(&first.address.to_string()) && ended.stderr.contains("--listen");
    assert!(told, "{}", ended.stderr);
}

#[test]
fn an_unknown_setting_is_pointed_at() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.yaml");
    std::fs::write(&file, "# settings\nlisten: [\"127.0.0.1:0\"]\nlistne: []\n").unwrap();
    for subcommand in ["serve", "check"] {
        let mut command = command();
        command.current_dir(directory.path()).args([subcommand, "--config"]).arg(&file);
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(78), "{subcommand}: {}", ended.stderr);
        let printed = ended.stdout + &ended.stderr;
        assert!(printed.contains("settings.yaml:3:1"), "{subcommand}: {printed}");
        assert!(printed.contains("listne") && printed.contains("listen"), "{subcommand}: {printed}");
    }
}

/// The whole of a container's view: its resolv.conf, its C library and its tools, on port 53.
#[test]
fn names_resolve_as_in_a_container() {
    if !have(&["dig", "nslookup", "busybox", "getent"]) {
        return;
    }
    let Some(namespace) = Namespace::new(RESOLV_CONF) else { return };
    let program = Program::start_with(
        namespace.command(env!("CARGO_BIN_EXE_headless-dns")),
        "127.0.0.1:53",
        &[("web.yaml", &web_of(2))],
    );
    assert_eq!(program.address.port(), 53);
    let inside = |program: &str, arguments: &[&str]| namespace.run(program, arguments);
    let address_of = |name: &str| -> Result<IpAddr, String> {
        let (_, text) = inside("dig", &["+search", "+short", name, "A"]);
        text.lines().next().and_then(|line| line.parse().ok()).ok_or(text)
    };
    let second = eventually("web-1.nginx", || address_of("web-1.nginx")).to_string();
    let first = address_of("web-0.nginx").unwrap().to_string();

    // What asks, and the addresses that have to be in what it prints.
    let pod = pod(0);
    let asked: &[(&str, &[&str], &[&str])] = &[
        ("getent", &["hosts", "web-0.nginx"], &[&first]),
        ("getent", &["hosts", "web-0.nginx.default"], &[&first]),
        ("getent", &["hosts", "web-0.nginx.default.svc"], &[&first]),
        ("getent", &["hosts", &pod], &[&first]),
        ("getent", &["ahostsv4", "nginx"], &[&first, &second]),
        ("getent", &["hosts", &first], &["web-0.nginx.default.svc.cluster.local"]),
        ("nslookup", &["web-0.nginx"], &[&first]),
        ("nslookup", &["nginx"], &[&first, &second]),
        ("nslookup", &[&first], &["web-0.nginx.default.svc.cluster.local"]),
        ("nslookup", &["-type=srv", "_web._tcp.nginx"], &["web-0.nginx.default.svc.cluster.local"]),
        ("busybox", &["nslookup", &pod, "127.0.0.1"], &[&first]),
        ("busybox", &["nslookup", &first, "127.0.0.1"], &["web-0.nginx.default.svc.cluster.local"]),
    ];
    for (program, arguments, expected) in asked {
        let (success, text) = inside(program, arguments);
        assert!(success, "{program} {arguments:?}: {text}");
        for expected in *expected {
            assert!(text.contains(expected), "{program} {arguments:?} misses {expected}: {text}");
        }
    }
    for name in ["web-9.nginx", "nosuch"] {
        let (success, text) = inside("getent", &["hosts", name]);
        assert!(!success && text.is_empty(), "{name}: {text}");
    }

    // The new address under the old name, for the C library too.
    let restarted = "      annotations:\n        kubectl.kubernetes.io/restartedAt: now\n";
    write(&program.manifest("web.yaml"), &web(2, restarted, ""));
    eventually("a new address of web-0.nginx", || {
        let (success, text) = inside("getent", &["hosts", "web-0.nginx"]);
        if success && !text.contains(&format!("{first} ")) { Ok(()) } else { Err(text) }
    });
}
