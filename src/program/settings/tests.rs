//! Tests of the settings: the shipped file, what is refused and how, which source wins.

use super::*;
use crate::program::telemetry::LogFormat;
use crate::text::diagnostic::{Colour, render};
use crate::text::yaml::{find, parse};
use std::time::Duration;

/// A file's settings, or what is said about it.
fn apply(text: &str) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
    load_text(SourceText { path: Path::new("etc/s.yaml"), text }).map(|loaded| (loaded.settings, loaded.warnings))
}

/// The shipped file with `#` taken away from every line that shows a key.
fn shipped_uncommented() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/headless-dns.yaml");
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            let content = line.trim_start();
            let indent = &line[..line.len() - content.len()];
            match content.strip_prefix('#') {
                Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{indent}{key}\n"),
                _ => format!("{line}\n"),
            }
        })
        .collect()
}

#[test]
fn the_shipped_file_shows_every_key_with_its_default() {
    let text = shipped_uncommented();
    let (shipped, warnings) = apply(&text).unwrap();
    assert_eq!(warnings, []);
    let paths = Settings {
        manifests: vec![PathBuf::from("etc/manifests")],
        zones: PathBuf::from("zones"),
        explicit: ExplicitPaths { manifests: true, zones: true, pod_cidrs: true },
        state_directory: Some(PathBuf::from("state")),
        metrics_listen: Some("127.0.0.1:9153".parse().unwrap()),
        api_listen: Some("127.0.0.1:8001".parse().unwrap()),
        ..Settings::defaults()
    };
    let of_ttl = Some(paths.ttl);
    let paths = Settings {
        ttls: Ttls {
            headless: of_ttl,
            pods: of_ttl,
            cluster_ip: of_ttl,
            srv: of_ttl,
            ptr: of_ttl,
            external_name: of_ttl,
            ..Ttls::default()
        },
        ..paths
    };
    assert_eq!(shipped, paths);
    let source = SourceText { path: Path::new("s"), text: &text };
    let (documents, _) = parse(source);
    let shown = |path: &str| find(&documents[0], path).is_some_and(|node| node.value != yaml::YamlValue::Null);
    let mut keys = ["tls.certificate", "tls.key", "tls.selfSigned", "transfer.keys"].map(str::to_owned).to_vec();
    for (section, options) in file::sections(&paths) {
        let path = |key| if section.is_empty() { key } else { format!("{section}.{key}") };
        keys.extend(options.keys().into_iter().map(path));
    }
    assert!(keys.len() > 90, "{keys:?}");
    for key in keys {
        assert!(shown(&key), "{key} is not shown");
    }
}

#[test]
fn a_key_without_a_value_has_its_default() {
    let (settings, warnings) =
        apply("ttl:\nlimits:\n  # none yet\nwatch: {settle: , rescan: 3s}\nforward: {to: }\n").unwrap();
    assert_eq!(warnings, []);
    let watch = Timing { rescan: Duration::from_secs(3), ..Timing::default() };
    assert_eq!(settings, Settings { watch, ..Settings::defaults() });
}

#[test]
fn transfers() {
    const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";
    let keys =
        format!("keys: [{{name: Secondary, secret: {SECRET}}}, {{name: old, algorithm: SHA1, secret: {SECRET}}}]");
    let (settings, warnings) = apply(&format!(
        "transfer:\n  {keys}\n  to: [192.0.2.1, 2001:db8::/32 key old, key secondary.]\n  \
         notify: [192.0.2.1:53, '[2001:db8::1]:5300 key old']\n  journal: {{changes: 7}}\n"
    ))
    .unwrap();
    assert_eq!(warnings, []);
    let transfer = settings.transfer;
    let name = |text| Some(Name::parse(text).unwrap());
    let to: Vec<_> = transfer.to.iter().map(|to| (to.from.map(|from| from.to_string()), to.key.clone())).collect();
    let net = |text: &str| Some(text.to_owned());
    assert_eq!(to, [(net("192.0.2.1/32"), None), (net("2001:db8::/32"), name("old")), (None, name("secondary"))]);
    let notify: Vec<_> = transfer.notify.iter().map(|to| (to.address.to_string(), to.key.clone())).collect();
    assert_eq!(notify, [("192.0.2.1:53".to_owned(), None), ("[2001:db8::1]:5300".to_owned(), name("old"))]);
    assert_eq!(format!("{:?}", transfer.keys), "[key secondary. (hmac-sha256), key old. (hmac-sha1)]");
    assert_eq!((transfer.journal.changes, transfer.journal.octets, transfer.concurrent), (7, 16 << 20, 8));
    // What is wrong or foolish, with the key's path.
    let rows = [
        ("to: [192.0.2.1 key nobody]", "transfer.to[0]: there is no key nobody."),
        ("to: [somebody]", "transfer.to[0]: `somebody` is no address and no range"),
        ("to: [key]", "transfer.to[0]: `key` is not understood"),
        ("to: [0.0.0.0/0]", "transfer.to[0]: everybody may copy all zones"),
        ("notify: [192.0.2.1]", "transfer.notify[0]: `192.0.2.1` is no such server"),
        ("notify: ['192.0.2.1:53']", "transfer.notify[0]: 192.0.2.1 is told of changes, but may not transfer them"),
        ("keys: [{name: a}]", "transfer.keys[0]: the key a. needs either a secret or a secretFile"),
        ("keys: [{secret: AAAA}]", "transfer.keys[0]: the key has no name"),
        ("keys: [{name: a, secret: '?'}]", "transfer.keys[0].secret: the secret is not in base64"),
        ("keys: [{name: a, secret: ''}]", "transfer.keys[0].secret: the secret is empty"),
        ("keys: [{name: a, secret: AAAA}]", "transfer.keys[0].secret: a secret of 3 octets can be guessed"),
        ("keys: [{name: a, secretFile: /nowhere}]", "transfer.keys[0].secretFile: the secret cannot be read"),
        ("keys: [{name: a, algorithm: md5}]", "transfer.keys[0].algorithm: `md5` is no algorithm of keys here"),
        ("concurrent: 0", "transfer.concurrent: 0 is out of range"),
        ("journal: {octets: 9999999999}", "transfer.journal.octets: 9999999999 is out of range"),
    ];
    for (text, expected) in rows {
        let found = match apply(&format!("transfer:\n  {text}\n")) {
            Ok((_, warnings)) => warnings,
            Err(errors) => errors,
        };
        let shown = render(&found, Colour::Plain);
        assert!(shown.contains(expected), "{text}\n{shown}");
    }
}

#[test]
fn the_shipped_file_itself_is_in_order() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/config/headless-dns.yaml"));
    let (settings, warnings) =
        Settings::load(&Overrides { config: Some(path.clone()), ..Overrides::default() }).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(settings.file, Some(path.clone()));
    assert_eq!(settings.manifests, [path.parent().unwrap().join("manifests")]);
}

#[test]
fn values_are_taken() {
    assert_eq!(apply("").unwrap().0, Settings::defaults());
    assert_eq!(apply("# nothing\n").unwrap().0, Settings::defaults());
    let (settings, warnings) = apply(
        "listen: ['[::1]:53', 127.0.0.1:0]\nmanifests: [/a, b]\nstateDirectory: none\nclusterDomain: k8s.example.\n\
         ttl: 0\n\
         reverseZones: [10.244.0.0/15, 10.96.0.0/16, fd00::/8]\npodCidrs: [10.244.0.0/15, 'fd00::/64']\nsimulation: \
         {startAfter: 0, stopAfter: 1m30s}\n\
         limits: {udpThreads: 3, lameDuck: 5s}\nlog: {filter: 'warn,headless_dns::dns::serve=trace', format: json}\n",
    )
    .unwrap();
    assert_eq!(warnings, []);
    assert_eq!(settings.listen, ["[::1]:53".parse().unwrap(), "127.0.0.1:0".parse().unwrap()]);
    assert_eq!(settings.manifests, [PathBuf::from("/a"), PathBuf::from("etc/b")]);
    assert_eq!(settings.state_directory, None);
    assert_eq!(settings.cluster_domain.first, Name::parse("k8s.example").unwrap());
    assert_eq!((settings.ttl, settings.negative_ttl), (0, 1));
    let zones: Vec<String> = settings.reverse_zones.iter().map(ToString::to_string).collect();
    assert_eq!(zones.len(), 4, "{zones:?}");
    assert_eq!(settings.simulation.start_after, Duration::ZERO);
    assert_eq!(settings.simulation.ready_after, Duration::from_millis(50));
    assert_eq!(settings.simulation.stop_after, Duration::from_secs(90));
    assert_eq!((settings.limits.serve.udp_threads, settings.limits.program.lame_duck), (3, Duration::from_secs(5)));
    assert_eq!(settings.log.format, LogFormat::Json);
    let (settings, warnings) = apply(
        "clusterDomain: [cluster.local, k8s.example]\nttls: {headless: 1, clusterIp: 30, replaced: 0}\npodNames: disabled\nemptyServices: nodata\n",
    )
    .unwrap();
    assert_eq!(warnings, []);
    let domains: Vec<String> = settings.cluster_domains().map(ToString::to_string).collect();
    assert_eq!(domains, ["cluster.local.", "k8s.example."]);
    let expected = Ttls { headless: Some(1), cluster_ip: Some(30), replaced: 0, ..Ttls::default() };
    assert_eq!(
        (settings.ttls, settings.pod_names, settings.empty_services),
        (expected, PodNames::Disabled, EmptyServices::Nodata)
    );
    for (text, root) in [("/srv/v", Some("/srv/v")), ("v", Some("etc/v")), ("../v", Some("v")), ("none", None)] {
        let (settings, _) = apply(&format!("hostPathRoot: {text}\n")).unwrap();
        assert_eq!(settings.host_path_root, root.map(PathBuf::from), "{text}");
    }
}

/// What is said about a file, as a person sees it; the summary line is left out.
fn check(text: &str, expected: &str) {
    let (diagnostics, is_refused) = match apply(text) {
        Ok((_, warnings)) => (warnings, false),
        Err(errors) => (errors, true),
    };
    let shown = render(&diagnostics, Colour::Plain);
    let shown = shown.rsplit_once("\n\n").map_or("", |(before, _)| before);
    assert_eq!(shown, expected, "{text}");
    assert_eq!(is_refused, expected.contains("error: "), "{text}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    check(
        "ttl: 5\nlisen: [127.0.0.1:53]\n",
        "error: etc/s.yaml:2:1: lisen: unknown field `lisen`\n2 | lisen: [127.0.0.1:53]\n  | ^^^^^\n  help: did you \
         mean `listen`?",
    );
    check(
        "limits:\n  udpPayloads: 1232\n",
        "error: etc/s.yaml:2:3: limits.udpPayloads: unknown field `udpPayloads`\n2 |   udpPayloads: 1232\n  |   \
         ^^^^^^^^^^^\n  \
         help: did you mean `udpPayload`?",
    );
    check(
        "ttl: 3601\n",
        "error: etc/s.yaml:1:6: ttl: 3601 is out of range\n1 | ttl: 3601\n  |      ^^^^\n  help: write a number from 0 \
         to 3600",
    );
    check(
        "ttl: -1\n",
        "error: etc/s.yaml:1:6: ttl: -1 is out of range\n1 | ttl: -1\n  |      ^^\n  \
         help: a whole number from 0 to 4294967295 is due here",
    );
    check(
        "listen:\n- 127.0.0.1\n",
        "error: etc/s.yaml:2:3: listen[0]: `127.0.0.1` is no address with a port; write it as 127.0.0.1:1053 or \
         [::1]:1053, port 0 \
         takes a free one\n2 | - 127.0.0.1\n  |   ^^^^^^^^^",
    );
    check(
        "listen: []\n",
        "error: etc/s.yaml:1:1: listen: there is no address to listen on\n1 | listen: []\n  | ^^^^^^\n  \
         help: remove the key for 127.0.0.1:1053",
    );
    check(
        "watch: {settle: 10, rescan: 5x}\n",
        "error: etc/s.yaml:1:17: watch.settle: expected a duration such as 50ms, 3s or 1m30s, found the number 10\n\
         1 | watch: {settle: 10, rescan: 5x}\n  |                 ^^\n\n\
         error: etc/s.yaml:1:29: watch.rescan: `5x` is no duration; write it as 50ms, 3s or 1m30s\n\
         1 | watch: {settle: 10, rescan: 5x}\n  |                             ^^",
    );
    check(
        "watch: {rescan: 1ms}\n",
        "error: etc/s.yaml:1:17: watch.rescan: 1ms is out of range\n1 | watch: {rescan: 1ms}\n  |                 \
         ^^^\n  \
         help: write a duration from 100ms to 1h",
    );
    check(
        "podCidrs: [10.96.0.0/12]\n",
        "error: etc/s.yaml:1:1: podCidrs: the ranges of pods 10.96.0.0/12 and of services 10.96.0.0/16 overlap\n\
         1 | podCidrs: [10.96.0.0/12]\n  | ^^^^^^^^\n  help: give them ranges of their own, or one address may mean \
         two things",
    );
    check(
        "podCidrs: [10.1.0.0/16, 10.2.0.0/16]\n",
        "error: etc/s.yaml:1:25: podCidrs[1]: a second IPv4 range\n1 | podCidrs: [10.1.0.0/16, 10.2.0.0/16]\n  \
         |                         \
         ^^^^^^^^^^^\n  help: give one range of each family",
    );
    check(
        "reverseZones: [cluster.local]\n",
        "error: etc/s.yaml:1:16: reverseZones[0]: `cluster.local` is no reverse zone; write a name below in-addr.arpa \
         or ip6.arpa, or a \
         range such as 10.244.0.0/16\n1 | reverseZones: [cluster.local]\n  |                ^^^^^^^^^^^^^",
    );
    check(
        "identity: 'ns 1'\n",
        "error: etc/s.yaml:1:11: identity: a server's name has 1 to 255 printable ASCII characters and no spaces\n\
         1 | identity: 'ns 1'\n  |           ^^^^^^\n  help: write a short name such as ns1, or none",
    );
    check(
        "log: {format: jsn}\n",
        "error: etc/s.yaml:1:15: log.format: `jsn` is not a value that is known here\n1 | log: {format: jsn}\n  \
         |               ^^^\n  \
         help: did you mean `json`?",
    );
    check(
        "clusterDomain: .\n",
        "error: etc/s.yaml:1:16: clusterDomain: the root cannot be the cluster's domain\n1 | clusterDomain: .\n  \
         |                ^\n  \
         help: write a name such as cluster.local",
    );
    check(
        "clusterDomain: [a.b, c, A.B]\n",
        "error: etc/s.yaml:1:25: clusterDomain[2]: a.b. stands twice\n1 | clusterDomain: [a.b, c, A.B]\n  |                         ^^^\n  help: write a name such as cluster.local",
    );
    check(
        "clusterDomain: [b, a.b]\n",
        "error: etc/s.yaml:1:20: clusterDomain[1]: a.b. and b. lie one within the other, and each is to be a zone of its own\n1 | clusterDomain: [b, a.b]\n  |                    ^^^\n  help: write a name such as cluster.local",
    );
    check(
        "clusterDomain: []\n",
        "error: etc/s.yaml:1:1: clusterDomain: there is no domain for the cluster's names\n1 | clusterDomain: []\n  | ^^^^^^^^^^^^^\n  help: remove the key for cluster.local",
    );
    check(
        "ttls: {pods: 3601}\npodNames: maybe\n",
        "error: etc/s.yaml:2:11: podNames: `maybe` is not a value that is known here\n2 | podNames: maybe\n  |           ^^^^^\n  help: known values: verified, disabled",
    );
    check(
        "ttl: 3\nttls: {headless: 61, pods: 3601, replaced: 4}\n",
        "warning: etc/s.yaml:2:18: ttls.headless: 61 seconds are long: clients may use a pod's old address for that many \
         seconds\n2 | ttls: {headless: 61, pods: 3601, replaced: 4}\n  |                  ^^\n\nerror: etc/s.yaml:2:28: \
         ttls.pods: 3601 is out of range\n2 | ttls: {headless: 61, pods: 3601, replaced: 4}\n  |                            \
         ^^^^\n  help: write a number from 0 to 3600\n\nwarning: etc/s.yaml:2:44: ttls.replaced: 4 seconds are longer \
         than ttl, which is 3\n2 | ttls: {headless: 61, pods: 3601, replaced: 4}\n  |                                            ^\n  \
         help: write less, or nothing changes when a pod is about to go",
    );
    for (text, message) in
        [("''", "there is no directory named"), ("/", "every directory of this machine is below `/`")]
    {
        check(
            &format!("hostPathRoot: {text}\n"),
            &format!(
                "error: etc/s.yaml:1:15: hostPathRoot: {message}\n1 | hostPathRoot: {text}\n  |               \
                 {}\n  help: name a directory such as /srv/volumes, or none to leave declared paths alone",
                "^".repeat(text.len())
            ),
        );
    }
    check(
        "limits: {udpThreads: many}\n",
        "error: etc/s.yaml:1:22: limits.udpThreads: `many` is neither a whole number nor auto\n1 | limits: \
         {udpThreads: many}\n  \
         |                      ^^^^",
    );
    check(
        "ttl: 1\n---\nttl: 2\n",
        "error: etc/s.yaml:3:1: settings are one document, and here a second one begins\n3 | ttl: 2\n  | ^^^^^^\n  \
         help: join them",
    );
    check("- 1\n", "error: etc/s.yaml:1:1: expected a mapping, found a list\n1 | - 1\n  | ^^^");
    check(
        "ttl: 1\n\tzones: a\n",
        "error: etc/s.yaml:2:1: a tab is used for indentation\n2 | \tzones: a\n  | ^\n  help: indent with spaces",
    );
    check(
        "log: {filter: 'a=loud'}\n",
        "error: etc/s.yaml:1:15: log.filter: `a=loud` is no filter of logs\n1 | log: {filter: 'a=loud'}\n  \
         |               ^^^^^^^^\n  \
         help: write a level (off, error, warn, info, debug, trace), or module=level; several with commas",
    );
}

#[test]
fn what_is_foolish_is_a_warning() {
    check(
        "proxyProtocol: {from: [127.0.0.1, 0.0.0.0/0]}\n",
        "warning: etc/s.yaml:1:35: proxyProtocol.from[1]: 0.0.0.0/0 is everybody, and a proxy may claim to be any client\n1 | \
         proxyProtocol: {from: [127.0.0.1, 0.0.0.0/0]}\n  |                                   ^^^^^^^^^\n  help: name the \
         addresses of the proxies",
    );
    check(
        "ttl: 300\n",
        "warning: etc/s.yaml:1:6: ttl: 300 seconds are long: clients may use a pod's old address for that many \
         seconds\n\
         1 | ttl: 300\n  |      ^^^",
    );
    check(
        "limits: {udpPayload: 4096}\n",
        "warning: etc/s.yaml:1:22: limits.udpPayload: replies of 4096 octets are cut into fragments on many networks \
         and then get lost\n\
         1 | limits: {udpPayload: 4096}\n  |                      ^^^^\n  help: 1232 goes through everywhere; larger \
         answers use TCP",
    );
    check(
        "podCidrs: [10.1.2.3/16]\n",
        "warning: etc/s.yaml:1:12: podCidrs[0]: 10.1.2.3 is not the first address of the range\n1 | podCidrs: \
         [10.1.2.3/16]\n  |            \
         ^^^^^^^^^^^\n  help: write 10.1.0.0/16",
    );
    check(
        "reverseZones: [10.0.0.0/8, 244.10.in-addr.arpa]\n",
        "warning: etc/s.yaml:1:28: reverseZones[1]: 244.10.in-addr.arpa. is part of 10.in-addr.arpa. and is not served \
         as a zone of its \
         own\n1 | reverseZones: [10.0.0.0/8, 244.10.in-addr.arpa]\n  |                            \
         ^^^^^^^^^^^^^^^^^^^\n  \
         help: remove one of them",
    );
    check(
        "reverseZones: [10.96.0.0/16]\n",
        "warning: etc/s.yaml:1:1: reverseZones: addresses of pods in 10.244.0.0/16 have no reverse names in these \
         zones\n\
         1 | reverseZones: [10.96.0.0/16]\n  | ^^^^^^^^^^^^\n  help: add 10.244.0.0/16",
    );
    check(
        "log: {filter: inof}\n",
        "warning: etc/s.yaml:1:15: log.filter: `inof` is no level and is taken as the name of a module\n1 | log: \
         {filter: inof}\n  |               \
         ^^^^\n  help: did you mean `info`?",
    );
    check(
        "serviceCidrs: ['fd00::/112']\n",
        "warning: etc/s.yaml:1:1: serviceCidrs: Services get addresses of fd00::/112, but pods have none of that \
         family\n\
         1 | serviceCidrs: ['fd00::/112']\n  | ^^^^^^^^^^^^\n  help: add a range of that family to podCidrs",
    );
}

#[test]
fn where_certificates_come_from() {
    let files = |certificate: &str, key: &str| {
        Some(CertificateSource::Files { certificate: certificate.into(), key: key.into() })
    };
    let rows = [
        ("certificate: c, key: k", files("etc/c", "etc/k")),
        ("certificate: /c, key: ../k", files("/c", "k")),
        ("certificate: none, key: none, selfSigned: []", None),
        ("selfSigned: [a-1.test, '::1', '*.b.test']", {
            Some(CertificateSource::SelfSigned(["a-1.test", "::1", "*.b.test"].map(str::to_owned).into()))
        }),
    ];
    for (text, expected) in rows {
        let (settings, warnings) = apply(&format!("tls: {{{text}}}\n")).unwrap();
        assert_eq!((settings.tls, warnings), (expected, Vec::new()), "{text}");
    }
    let rows = [
        ("tls: {certificate: c}", "tls.certificate", "without its key"),
        ("tls: {key: k}", "tls.key", "without its certificate"),
        ("tls: {certificate: c, key: k, selfSigned: [a]}", "tls.selfSigned", "from files already"),
        ("tls: {selfSigned: [a, 'b c']}", "tls.selfSigned[1]", "no name of a server"),
        ("listenTls: ['127.0.0.1:1', '127.0.0.1:1']", "listenTls[1]", "stands twice"),
        ("limits: {quicConnections: 0}", "limits.quicConnections", "out of range"),
        ("limits: {httpsStreams: 0}", "limits.httpsStreams", "out of range"),
    ];
    for (text, field, message) in rows {
        let wrong = &apply(text).unwrap_err()[0];
        assert_eq!(wrong.field, field, "{text}");
        assert!(wrong.message.contains(message), "{text}: {wrong}");
    }
    let alone = Overrides { listen_quic: vec!["127.0.0.1:1".parse().unwrap()], ..Overrides::default() };
    let wrong = &Settings::load(&Overrides { config: Some(empty_file()), ..alone }).unwrap_err()[0];
    assert!(wrong.message.contains("no certificate for listenQuic") && wrong.help.contains("selfSigned"), "{wrong}");
}

/// A settings file that says nothing.
fn empty_file() -> PathBuf {
    PathBuf::from("/dev/null")
}

#[test]
fn a_flag_wins_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.yaml");
    fs::write(
        &file,
        "listen: [127.0.0.1:1]\ntls: {selfSigned: [a.test]}\nmanifests: [m]\nruntime: docker\nzones: z\nstateDirectory: s\nclusterDomain: a.file\n\
         listenHttps: [127.0.0.1:5]\nforward: {to: [192.0.2.1]}\n",
    )
    .unwrap();
    let load = |flags: Overrides| Settings::load(&Overrides { config: Some(file.clone()), ..flags }).unwrap().0;
    let upstreams =
        |settings: &Settings| settings.forward.to.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let encrypted = |settings: &Settings| {
        assert_eq!(settings.tls, Some(CertificateSource::SelfSigned(vec!["a.test".to_owned()])));
        settings.encrypted.lists().map(|(.., list)| list.iter().map(SocketAddr::port).collect::<Vec<u16>>())
    };
    let only_file = load(Overrides::default());
    assert_eq!(only_file.file, Some(file.clone()));
    assert_eq!(upstreams(&only_file), "192.0.2.1");
    assert_eq!(only_file.runtime, RuntimeChoice::Docker);
    assert_eq!(encrypted(&only_file), [vec![], vec![5], vec![], vec![]]);
    assert_eq!(only_file.listen, ["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(only_file.state_directory, Some(directory.path().join("s")));

    let from_flags = load(Overrides {
        config: None,
        manifests: vec!["f".into()],
        zones: Some("fz".into()),
        listen: vec!["127.0.0.1:3".parse().unwrap(), "127.0.0.1:4, [::1]:4".parse().unwrap()],
        listen_tls: vec!["127.0.0.1:8".parse().unwrap()],
        listen_https: Vec::new(),
        listen_quic: vec!["127.0.0.1:9".parse().unwrap()],
        listen_http3: vec!["127.0.0.1:11".parse().unwrap()],
        cluster_domain: vec!["a.flag, b.flag,".parse().unwrap()],
        metrics_listen: Some(OptionalAddress(None)),
        api_listen: Some(OptionalAddress(Some("127.0.0.1:7".parse().unwrap()))),
        state_directory: Some("fs".into()),
        forward: vec!["none".parse().unwrap()],
        runtime: Some(RuntimeChoice::Podman),
    });
    assert_eq!(from_flags.runtime, RuntimeChoice::Podman);
    assert_eq!(from_flags.listen.iter().map(SocketAddr::port).collect::<Vec<_>>(), [3, 4, 4]);
    assert_eq!(encrypted(&from_flags), [vec![8], vec![5], vec![9], vec![11]]);
    assert_eq!(from_flags.manifests, [PathBuf::from("f")]);
    assert_eq!(from_flags.metrics_listen, None);
    assert_eq!(from_flags.api_listen, Some("127.0.0.1:7".parse().unwrap()));
    assert_eq!(from_flags.zones, PathBuf::from("fz"));
    let names = ["a.flag", "b.flag"].map(|text| Name::parse(text).unwrap());
    assert!(from_flags.cluster_domains().eq(&names));
    assert_eq!(from_flags.state_directory, Some(PathBuf::from("fs")));
    assert!(!from_flags.forward.is_on());
}

#[test]
fn files_and_flags_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let load =
        |config: PathBuf| Settings::load(&Overrides { config: Some(config), ..Overrides::default() }).unwrap_err();
    let missing = load(directory.path().join("none.yaml"));
    assert!(missing[0].message.starts_with("the settings cannot be read: "), "{missing:?}");
    let latin = directory.path().join("latin.yaml");
    fs::write(&latin, b"ttl: 5\n# \xe4\n").unwrap();
    assert_eq!(load(latin)[0].message, "line 2 is not UTF-8");
    let large = directory.path().join("large.yaml");
    fs::write(&large, "#".repeat(1_100_000)).unwrap();
    assert_eq!(load(large)[0].message, "the settings cannot be read: it is larger than 1 MiB");
    for wrong in ["a..b", ".", "a.b,c,A.B.", "b,a.b", "a.b,b"] {
        let domain = Overrides { cluster_domain: vec![wrong.parse().unwrap()], ..Overrides::default() };
        assert_eq!(Settings::load(&domain).unwrap_err()[0].field, "--cluster-domain", "{wrong}");
    }
}
