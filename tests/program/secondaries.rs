//! Knot, NSD and BIND as secondaries, with the very configuration that `docs/transfers.md` shows: they follow pods that are
//! recreated and zones that are edited, by signed NOTIFY and IXFR, and after a restart.

use crate::support::{
    dig::{dig, eventually_addresses},
    eventually, free_port, have,
    program::{Program, command},
    web, write,
};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const SECRET: &str = "c2VjcmV0IG9mIHRoZSB0ZXN0cyBvZiB0cmFuc2ZlcnM=";
const ZONES: [&str; 3] = ["cluster.local", "in-addr.arpa", "example.test"];
const EXAMPLE: &str = "$TTL 60\n@ SOA ns h 1 3600 600 86400 5\n@ NS ns\nns A 192.0.2.1\n*.w A 192.0.2.2\nsub NS ns.sub\nns.sub A 192.0.2.3\n";

/// A name server that runs until it is dropped.
struct Secondary {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Secondary {
    /// Starts it with the block of that language in the document, in directories of its own. It lets us look at its zones
    /// besides.
    fn start(program: &str, primary: SocketAddr, port: u16, directory: &Path) -> Secondary {
        let document = include_str!("../../docs/transfers.md");
        let (language, arguments): (&str, &[&str]) = match program {
            "knotd" => ("knot", &["-c"]),
            "nsd" => ("nsd", &["-d", "-c"]),
            _ => ("bind", &["-g", "-c"]),
        };
        let block = document.split(&format!("```{language}\n")).nth(1).unwrap().split("```").next().unwrap();
        let own = directory.display().to_string();
        let mut text = block
            .replace("SECRET", SECRET)
            .replace("192.0.2.53@53", &format!("127.0.0.1@{port}"))
            .replace("port 53 { 192.0.2.53;", &format!("port {port} {{ 127.0.0.1;"))
            .replace("192.0.2.1@53", &format!("127.0.0.1@{}", primary.port()))
            .replace("port 53 { 192.0.2.1 ", &format!("port {} {{ 127.0.0.1 ", primary.port()))
            .replace("192.0.2.1", "127.0.0.1");
        for path in ["/tmp", "/run/knot", "/run/nsd", "/run/named", "/var/lib/knot", "/var/lib/nsd", "/var/cache/bind"]
        {
            text = text.replace(&format!("\"{path}"), &format!("\"{own}"));
        }
        let (before, after) = match program {
            "knotd" => ("    acl: notify\n", "    acl: [notify, look]\n"),
            "nsd" => ("    allow-notify", "    provide-xfr: 127.0.0.1 NOKEY\n    allow-notify"),
            _ => ("    recursion no;\n", "    recursion no;\n    allow-transfer { 127.0.0.1; };\n"),
        };
        text = text.replace(before, after);
        if program == "knotd" {
            text =
                text.replace("template:\n", "  - id: look\n    address: 127.0.0.1\n    action: transfer\ntemplate:\n");
        }
        if program == "nsd" {
            // Whoever runs the test, not a user of a package.
            text = text.replace("server:\n", "server:\n    username: \"\"\n");
        }
        let file = directory.join("secondary.conf");
        std::fs::write(&file, text).unwrap();
        let log = directory.join("log");
        let output = std::fs::File::create(&log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Secondary { child, address: SocketAddr::from(([127, 0, 0, 1], port)), log }
    }
}

impl Drop for Secondary {
    fn drop(&mut self) {
        // So that it ends its own children.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- {}\n{}", self.log.display(), std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// All records of a zone as `dig` transfers it; the serial is among them.
fn transferred(server: SocketAddr, zone: &str) -> Result<BTreeSet<String>, String> {
    let key = format!("hmac-sha256:secondary:{SECRET}");
    let output = Command::new("dig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "+time=5", "+tries=1", "+noall", "+answer", "+onesoa"])
        .args(if server.port() == primary_port() { vec!["-y", &key] } else { vec![] })
        .args([zone, "AXFR"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let records = text.lines().filter(|line| !line.starts_with(';') && !line.contains("TSIG") && !line.is_empty());
    let records: Vec<String> =
        records.map(|line| line.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let once: BTreeSet<String> = records.iter().cloned().collect();
    if records.is_empty() || !records[0].contains(" soa ") {
        return Err(text);
    }
    assert_eq!(once.len(), records.len(), "a record of {zone} twice\n{text}");
    Ok(once)
}

thread_local! {
    static PRIMARY: std::cell::Cell<u16> = const { std::cell::Cell::new(0) };
}

fn primary_port() -> u16 {
    PRIMARY.get()
}

/// Waits until the secondary has what the primary has.
fn follows(primary: SocketAddr, secondary: SocketAddr) {
    for zone in ZONES {
        eventually(&format!("{zone} at the secondary"), || {
            let (ours, theirs) = (transferred(primary, zone)?, transferred(secondary, zone)?);
            let differences: Vec<&String> = ours.symmetric_difference(&theirs).collect();
            if differences.is_empty() { Ok(()) } else { Err(format!("{differences:#?}")) }
        });
    }
}

fn serial(server: SocketAddr, zone: &str) -> u32 {
    dig(server, &[zone, "SOA"]).answer[0].rdata.split(' ').nth(2).unwrap().parse().unwrap()
}

/// A secondary from its first transfer over changes of pods and files to a restart of the primary.
fn check(program: &str) {
    if !have(&[program, "dig"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for folder in ["manifests", "zones", "secondary"] {
        std::fs::create_dir(at(folder)).unwrap();
    }
    let (port, listen) = (free_port(), format!("127.0.0.1:{}", free_port()));
    std::fs::write(at("manifests/web.yaml"), web(3, "", "")).unwrap();
    std::fs::write(at("zones/example.test.zone"), EXAMPLE).unwrap();
    std::fs::write(at("secondary.key"), SECRET).unwrap();
    let settings = format!(
        "transfer:\n  to: [127.0.0.1 key secondary]\n  keys: [{{name: secondary, secretFile: secondary.key}}]\n  \
         notify: ['127.0.0.1:{port} key secondary']\nlog: {{filter: 'info,headless_dns::dns::serve::transfer=debug'}}\n"
    );
    std::fs::write(at("settings.yaml"), settings).unwrap();
    let start = || {
        let mut command = command();
        command.arg("--config").arg(at("settings.yaml")).arg("--state-dir").arg(at("state"));
        Program::spawn(command, &listen, directory.path()).listening()
    };
    let ours = start();
    PRIMARY.set(ours.address.port());
    let secondary = Secondary::start(program, ours.address, port, &at("secondary"));
    follows(ours.address, secondary.address);
    assert_eq!(eventually_addresses(secondary.address, "nginx.default.svc.cluster.local", 3).len(), 3);

    // More pods, and then all of them anew, with other addresses.
    write(&at("manifests/web.yaml"), &web(5, "", ""));
    let before = eventually_addresses(ours.address, "nginx.default.svc.cluster.local", 5);
    follows(ours.address, secondary.address);
    write(&at("manifests/web.yaml"), &web(5, "      annotations: {round: two}\n", ""));
    eventually("every pod with another address", || {
        let now = dig(ours.address, &["nginx.default.svc.cluster.local", "A"]).addresses();
        if now.len() == 5 && now.is_disjoint(&before) { Ok(()) } else { Err(format!("{now:?}")) }
    });
    follows(ours.address, secondary.address);
    write(&at("zones/example.test.zone"), &EXAMPLE.replace("192.0.2.2", "192.0.2.22"));
    eventually("the edited zone", || {
        let now = dig(secondary.address, &["x.w.example.test", "A"]);
        if now.addresses() == ["192.0.2.22".parse().unwrap()].into() { Ok(()) } else { Err(now.text) }
    });
    follows(ours.address, secondary.address);
    ours.expect_stderr("incremental=true");
    assert!(!ours.stderr().contains("not accepted") && !ours.stderr().contains("was refused"), "{}", ours.stderr());

    // Serials go on after a restart, and the secondary follows again.
    let serials = ZONES.map(|zone| serial(ours.address, zone));
    ours.signal("TERM");
    ours.ended();
    let ours = start();
    for (zone, before) in ZONES.iter().zip(serials) {
        let now = serial(ours.address, zone);
        assert!(now.wrapping_sub(before) < 1 << 31, "{zone}: {before}, then {now}");
    }
    follows(ours.address, secondary.address);
    write(&at("manifests/web.yaml"), &web(2, "      annotations: {round: two}\n", ""));
    eventually_addresses(ours.address, "nginx.default.svc.cluster.local", 2);
    follows(ours.address, secondary.address);
}

#[test]
fn knot_follows() {
    check("knotd");
}

#[test]
fn nsd_follows() {
    check("nsd");
}

#[test]
fn bind_follows() {
    check("named");
}
