//! Pipes, devices, sockets, directories and files of the kernel's in the place of every file that a person names: no
//! command waits for them, each says what they are, and what was served before goes on.
#![cfg(unix)]

use crate::support::{
    dns::{self, A, Udp},
    eventually, http,
    program::{Program, command, run},
    web, write,
};
use hickory_proto::op::ResponseCode;
use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What a command that does not wait takes at most, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// Each kind, and what is said of it.
pub const KINDS: [(&str, &str); 6] = [
    ("pipe", "it is a pipe,"),
    ("link to a pipe", "it is a pipe,"),
    ("socket", "it is a socket,"),
    ("link to /dev/zero", "it is a device,"),
    ("link to /proc/self/environ", "it is part of /proc or /sys,"),
    ("directory", "it is a directory,"),
];

/// Puts a thing of that kind in the place of whatever is there; in one step, so that no scan finds nothing, unless one of
/// both is a directory.
pub fn put(kind: &str, path: &Path) {
    let beside = path.with_extension("tmp");
    let _ = fs::remove_file(&beside);
    let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    match kind {
        "pipe" => pipe(&beside),
        "link to a pipe" => {
            let target = path.with_extension("pipe");
            let _ = fs::remove_file(&target);
            pipe(&target);
            symlink(target, &beside).unwrap();
        }
        // It stays when nobody listens any more.
        "socket" => drop(UnixListener::bind(&beside).unwrap()),
        "directory" => {
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
            return fs::create_dir(path).unwrap();
        }
        link => symlink(link.strip_prefix("link to ").unwrap(), &beside).unwrap(),
    }
    if path.is_dir() {
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
    }
    fs::rename(&beside, path).unwrap();
}

const ZONE: &str = "$ORIGIN a.example.\n@ 60 SOA ns hostmaster 1 1h 1h 1h 1h\n@ 60 NS ns\nns 60 A 192.0.2.1\n";

/// A directory with everything that settings can name, all of it in order.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    for folder in ["manifests", "zones", "zones/more", "scenario"] {
        fs::create_dir(at(folder)).unwrap();
    }
    let certified = rcgen::generate_simple_self_signed(vec!["dns.test".to_owned()]).unwrap();
    let scenario = "title: none\nsteps:\n- apply: {file: a.yaml, from: web.yaml}\n";
    for (name, text) in [
        ("manifests/web.yaml", &*web(1, "", "")),
        ("zones/a.zone", &format!("{ZONE}$INCLUDE more/hosts\n")),
        ("zones/more/hosts", "host 60 A 192.0.2.2\n"),
        ("cert.pem", &certified.cert.pem()),
        ("key.pem", &certified.signing_key.serialize_pem()),
        ("ca.pem", &certified.cert.pem()),
        ("token", "0123456789abcdef\n"),
        ("tsig.key", "MDEyMzQ1Njc4OWFiY2RlZg==\n"),
        ("resolv.conf", "nameserver 192.0.2.53\n"),
        ("scenario/web.yaml", &web(1, "", "")),
        ("scenario/demo.yaml", scenario),
        (
            "settings.yaml",
            "listen: ['127.0.0.1:0']\nlistenTls: ['127.0.0.1:0']\napiListen: 127.0.0.1:0\nmetricsListen: 127.0.0.1:0\n\
             tls: {certificate: cert.pem, key: key.pem}\napiTokenFile: token\n\
             forward: {to: [system, 'tls://192.0.2.53#dns.test'], resolvConf: resolv.conf, caFile: ca.pem, timeout: 10ms}\n\
             transfer: {keys: [{name: k, secretFile: tsig.key}]}\n",
        ),
    ] {
        write(&at(name), text);
    }
    home
}

/// Every file, with each kind in its place: the command that reads it ends soon with this code, and says what it is.
#[test]
fn commands_end() {
    const CHECK: &[&str] = &["--config", "settings.yaml", "check"];
    const SERVE: &[&str] = &["--config", "settings.yaml", "serve", "--state-dir", "state"];
    let rows: [(&str, &[&str], i32); 13] = [
        ("zones/a.zone", CHECK, 78),
        ("zones/more/hosts", CHECK, 78),
        ("manifests/web.yaml", CHECK, 78),
        ("manifests", CHECK, 78),
        ("settings.yaml", CHECK, 78),
        ("settings.yaml", SERVE, 78),
        ("cert.pem", CHECK, 78),
        ("key.pem", SERVE, 78),
        ("token", CHECK, 78),
        ("tsig.key", CHECK, 78),
        ("resolv.conf", SERVE, 78),
        ("ca.pem", SERVE, 78),
        ("state/cluster.redb", SERVE, 78),
    ];
    let demos: [(&str, &[&str], i32); 2] = [
        ("scenario/demo.yaml", &["demo", "scenario/demo.yaml"], 78),
        ("scenario/web.yaml", &["demo", "scenario/demo.yaml"], 78),
    ];
    let home = home();
    let all_is_well = {
        let mut command = command();
        command.current_dir(home.path()).args(CHECK);
        run(command)
    };
    assert_eq!(all_is_well.status.code(), Some(0), "{}", all_is_well.stderr);
    fs::create_dir(home.path().join("state")).unwrap();
    for (file, arguments, code) in rows.into_iter().chain(demos) {
        let (path, aside) = (home.path().join(file), home.path().join("aside"));
        let was_there = fs::rename(&path, &aside).is_ok();
        for (kind, said) in KINDS {
            // Directories may be where others are, and some names are looked at for their kind only when they are files.
            if kind == "directory" && matches!(file, "zones/a.zone" | "manifests/web.yaml" | "manifests") {
                continue;
            }
            // A link that leads out of the directory of zones is refused before anybody looks where it leads.
            let leads_out = file == "zones/more/hosts" && kind.contains(" /");
            let said = if leads_out { "outside the directory of zones" } else { said };
            put(kind, &path);
            let mut command = command();
            command.current_dir(home.path()).args(arguments);
            let begun = Instant::now();
            let ended = run(command);
            let output = ended.stderr + &ended.stdout;
            assert_eq!(ended.status.code(), Some(code), "{file}: {kind}: {output}");
            assert!(output.contains(said), "{file}: {kind}: {output}");
            assert!(begun.elapsed() < SOON, "{file}: {kind}: {:?}", begun.elapsed());
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
        if was_there {
            fs::rename(&aside, &path).unwrap();
        }
    }
}

/// Every file, one octet larger than it may be.
#[test]
fn files_beyond_their_limit() {
    const CHECK: &[&str] = &["--config", "settings.yaml", "check"];
    const SERVE: &[&str] = &["--config", "settings.yaml", "serve", "--state-dir", "none"];
    const DEMO: &[&str] = &["demo", "scenario/demo.yaml"];
    let rows: [(&str, &[&str], u64); 12] = [
        ("zones/a.zone", CHECK, 64 << 20),
        ("zones/more/hosts", CHECK, 64 << 20),
        ("manifests/web.yaml", CHECK, 16 << 20),
        ("settings.yaml", CHECK, 1 << 20),
        ("cert.pem", CHECK, 1 << 20),
        ("key.pem", SERVE, 1 << 20),
        ("token", CHECK, 4098),
        ("tsig.key", CHECK, 64 << 10),
        ("resolv.conf", SERVE, 64 << 10),
        ("ca.pem", SERVE, 4 << 20),
        ("scenario/demo.yaml", DEMO, 16 << 20),
        ("scenario/web.yaml", DEMO, 16 << 20),
    ];
    let home = home();
    for (file, arguments, limit) in rows {
        let (path, aside) = (home.path().join(file), home.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        fs::File::create(&path).unwrap().set_len(limit + 1).unwrap();
        let mut command = command();
        command.current_dir(home.path()).args(arguments);
        let ended = run(command);
        let output = ended.stderr + &ended.stdout;
        assert_eq!(ended.status.code(), Some(78), "{file}: {output}");
        assert!(output.contains("larger than"), "{file}: {output}");
        fs::rename(&aside, &path).unwrap();
    }
}

fn expect(program: &Program, name: &str, expected: ResponseCode) {
    let mut client = Udp::new(program.address);
    eventually(&format!("{expected} for {name}"), || match dns::code(&client.ask(&[(name, A)])[0]) {
        code if code == expected => Ok(()),
        code => Err(code),
    });
}

/// With each kind in the place of each file that is read again, what was served before is served on, other files are read
/// again, and a signal ends the process.
#[test]
fn serving_goes_on() {
    let rows = ["zones/a.zone", "zones/more/hosts", "manifests/web.yaml", "settings.yaml", "cert.pem", "key.pem"];
    for (kind, said) in KINDS {
        let home = home();
        let at = |name: &str| home.path().join(name);
        let mut command = command();
        command.args(["--config", "settings.yaml"]);
        let program = Program::spawn(command, "127.0.0.1:0", home.path()).listening();
        for file in rows {
            if kind == "directory" && matches!(file, "zones/a.zone" | "manifests/web.yaml") {
                continue;
            }
            put(kind, &at(file));
        }
        write(&at("zones/b.zone"), &ZONE.replace("a.example", "b.example"));
        write(&at("manifests/more.yaml"), &web(1, "", "").replace("nginx", "more").replace("name: web", "name: more"));
        program.signal("HUP");
        for name in ["ns.b.example", "more-0.more.default.svc.cluster.local"] {
            expect(&program, name, ResponseCode::NoError);
        }
        program.expect_stderr(said);
        for name in ["host.a.example", "web-0.nginx.default.svc.cluster.local"] {
            expect(&program, name, ResponseCode::NoError);
        }
        let begun = Instant::now();
        program.signal("TERM");
        assert_eq!(program.ended().code(), Some(0), "{kind}");
        assert!(begun.elapsed() < SOON, "{kind}: {:?}", begun.elapsed());
    }
}

/// A server that cannot read its only directory of manifests says so to who asks whether it is ready; so it does where a
/// link leads to a whole file system, and both end on a signal.
#[test]
fn ready_only_with_manifests() {
    for (kind, said) in
        [("pipe", "it is a pipe"), ("link to /dev/zero", "it is a device"), ("link to /proc", "it is part of /proc")]
    {
        let home = home();
        put(kind, &home.path().join("manifests"));
        let mut command = command();
        command.args(["--metrics-listen", "127.0.0.1:0"]);
        let program = Program::spawn(command, "127.0.0.1:0", home.path()).listening();
        let address = program.address_behind("metrics and health at http://");
        let reply = http::get(address, "/readyz");
        assert_eq!(reply.status, 503, "{kind}");
        let body = reply.body;
        assert!(body.contains("manifests: ") && body.contains(said), "{kind}: {body}");
        put("directory", &home.path().join("manifests"));
        write(&home.path().join("manifests/web.yaml"), &web(1, "", ""));
        symlink("/proc", home.path().join("manifests/processes")).unwrap();
        expect(&program, "web-0.nginx.default.svc.cluster.local", ResponseCode::NoError);
        assert_eq!(http::get(address, "/readyz").status, 200, "{kind}");
        program.expect_stderr("processes: cannot be read: it is part of /proc or /sys");
        program.signal("TERM");
        assert_eq!(program.ended().code(), Some(0), "{kind}");
    }
}
