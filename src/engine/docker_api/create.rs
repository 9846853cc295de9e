//! What a sandbox and a container are made from, as `POST /containers/create` takes it. The dialects differ in what a
//! container that joins a sandbox may say (Docker refuses a hostname, Podman wants one), and in names of log drivers.

use crate::engine::sandbox::{
    ContainerSpec, Devices, EngineError, EngineKind, Mount, PidNamespace, PortBinding, Protocol, SandboxNetwork,
    SandboxSpec, Seccomp, Security,
};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Microseconds in which the share of a processor is counted.
const CPU_PERIOD: u64 = 100_000;
/// The kernel's least share of a period.
const CPU_QUOTA_MIN: u64 = 1_000;
/// A sandbox needs no processor.
const SANDBOX_CPU_SHARES: u64 = 2;

/// The body for a sandbox.
pub(super) fn sandbox(spec: &SandboxSpec, image: &str, kind: EngineKind) -> Value {
    let mut host = host_config(kind);
    let mut body = json!({
        "Image": image,
        "Labels": spec.labels,
        "Healthcheck": {"Test": ["NONE"]},
    });
    host.insert("IpcMode".to_owned(), if spec.host_ipc { "host" } else { "shareable" }.into());
    if spec.host_pid {
        host.insert("PidMode".to_owned(), "host".into());
    }
    match &spec.network {
        // The hostname is the host's, too.
        SandboxNetwork::Host => {
            host.insert("NetworkMode".to_owned(), "host".into());
        }
        SandboxNetwork::Addresses { network, addresses } => {
            host.insert("NetworkMode".to_owned(), network.as_str().into());
            host.insert("PortBindings".to_owned(), port_bindings(&spec.ports));
            let mut ipam = Map::new();
            for address in addresses {
                let field = if address.is_ipv4() { "IPv4Address" } else { "IPv6Address" };
                ipam.insert(field.to_owned(), address.to_string().into());
            }
            body["Hostname"] = spec.hostname.as_str().into();
            body["NetworkingConfig"] = json!({"EndpointsConfig": {network: {"IPAMConfig": ipam}}});
            let ports = spec.ports.iter().map(|port| (exposed(port), json!({})));
            body["ExposedPorts"] = Value::Object(ports.collect());
        }
    }
    if !spec.sysctls.is_empty() {
        host.insert("Sysctls".to_owned(), json!(spec.sysctls));
    }
    if let Some(octets) = spec.shm_octets {
        host.insert("ShmSize".to_owned(), octets.into());
    }
    host.insert("CpuShares".to_owned(), SANDBOX_CPU_SHARES.into());
    host.insert("SecurityOpt".to_owned(), json!(["no-new-privileges"]));
    body["HostConfig"] = Value::Object(host);
    body
}

/// The body for a container.
///
/// # Errors
///
/// [`EngineError::Refused`] for what this engine cannot be asked for.
pub(super) fn container(spec: &ContainerSpec, kind: EngineKind) -> Result<Value, EngineError> {
    let joined = format!("container:{}", spec.sandbox);
    let mut host = host_config(kind);
    host.insert("NetworkMode".to_owned(), joined.as_str().into());
    host.insert("IpcMode".to_owned(), joined.as_str().into());
    match &spec.pid {
        PidNamespace::Own => {}
        PidNamespace::Sandbox => {
            host.insert("PidMode".to_owned(), joined.into());
        }
        PidNamespace::Container(id) => {
            host.insert("PidMode".to_owned(), format!("container:{id}").into());
        }
        PidNamespace::Host => {
            host.insert("PidMode".to_owned(), "host".into());
        }
    }
    let (mut mounts, mut binds) = (Vec::new(), Vec::new());
    for mount in &spec.mounts {
        match bind_in_one_word(mount, kind) {
            Some(bind) => binds.push(bind),
            None => mounts.push(self::mount(mount)),
        }
    }
    host.insert("Mounts".to_owned(), mounts.into());
    host.insert("Binds".to_owned(), json!(binds));
    resources(spec, &mut host);
    security(&spec.security, kind, &mut host)?;
    let mut body = json!({
        "Image": spec.image,
        "Labels": spec.labels,
        "Env": spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        "Healthcheck": {"Test": ["NONE"]},
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "Tty": spec.tty,
    });
    if kind == EngineKind::Podman {
        body["Hostname"] = spec.hostname.as_str().into();
    }
    if let Some(user) = &spec.security.user {
        body["User"] = user.as_str().into();
    }
    if let Some(directory) = &spec.working_dir {
        body["WorkingDir"] = directory.as_str().into();
    }
    // Whoever replaces the entry point does not want the image's arguments.
    if let Some(command) = &spec.command {
        body["Entrypoint"] = json!(command);
        body["Cmd"] = json!([]);
    }
    if let Some(args) = &spec.args {
        body["Cmd"] = json!(args);
    }
    body["HostConfig"] = Value::Object(host);
    Ok(body)
}

/// What is the same for all: nobody but this program restarts anything, and logs are in files that do not grow without end.
fn host_config(kind: EngineKind) -> Map<String, Value> {
    let logs = match kind {
        EngineKind::Docker => json!({"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}),
        EngineKind::Podman => json!({"Type": "k8s-file", "Config": {"max-size": "10m"}}),
    };
    let mut host = Map::new();
    host.insert("LogConfig".to_owned(), logs);
    host.insert("RestartPolicy".to_owned(), json!({"Name": "no"}));
    host
}

fn exposed(port: &PortBinding) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    format!("{}/{protocol}", port.port)
}

fn port_bindings(ports: &[PortBinding]) -> Value {
    let mut bindings: Map<String, Value> = Map::new();
    for port in ports {
        let address = port.host_address.map(|address: IpAddr| address.to_string()).unwrap_or_default();
        let binding = json!({"HostIp": address, "HostPort": port.host_port.to_string()});
        let several = bindings.entry(exposed(port)).or_insert_with(|| json!([]));
        if let Some(several) = several.as_array_mut() {
            several.push(binding);
        }
    }
    Value::Object(bindings)
}

/// Podman writes a mount's fields into one line of comma-separated values without quoting them: where a path has a comma or a
/// quotation mark, the older form `SOURCE:TARGET:OPTIONS` is taken, in which no path may have a colon.
fn bind_in_one_word(mount: &Mount, kind: EngineKind) -> Option<String> {
    let Mount::Bind { source, target, read_only, propagation } = mount else { return None };
    let source = source.to_str()?;
    let is_odd = |path: &str| path.contains([',', '"']);
    if kind != EngineKind::Podman || !(is_odd(source) || is_odd(target)) || source.contains(':') || target.contains(':')
    {
        return None;
    }
    let access = if *read_only { "ro" } else { "rw" };
    Some(format!("{source}:{target}:{access},{propagation}"))
}

fn mount(mount: &Mount) -> Value {
    match mount {
        Mount::Bind { source, target, read_only, propagation } => json!({
            "Type": "bind",
            "Source": source,
            "Target": target,
            "ReadOnly": read_only,
            "BindOptions": {"Propagation": propagation},
        }),
        Mount::Tmpfs { target, octets, mode } => {
            let mut options = json!({"Mode": mode});
            if let Some(octets) = octets {
                options["SizeBytes"] = (*octets).into();
            }
            json!({"Type": "tmpfs", "Target": target, "TmpfsOptions": options})
        }
    }
}

fn resources(spec: &ContainerSpec, host: &mut Map<String, Value>) {
    let resources = &spec.resources;
    if let Some(octets) = resources.memory_octets {
        host.insert("Memory".to_owned(), octets.into());
        host.insert("MemorySwap".to_owned(), octets.into());
    }
    if let Some(nano_cpus) = resources.nano_cpus {
        // `NanoCpus` may not be more than the machine has, which a limit may well be.
        let quota = u128::from(nano_cpus) * u128::from(CPU_PERIOD) / 1_000_000_000;
        let quota = u64::try_from(quota).unwrap_or(u64::MAX).clamp(CPU_QUOTA_MIN, i64::MAX.unsigned_abs());
        host.insert("CpuPeriod".to_owned(), CPU_PERIOD.into());
        host.insert("CpuQuota".to_owned(), quota.into());
    }
    if let Some(shares) = resources.cpu_shares {
        host.insert("CpuShares".to_owned(), shares.into());
    }
    host.insert("OomScoreAdj".to_owned(), resources.oom_score_adj.into());
}

fn security(security: &Security, kind: EngineKind, host: &mut Map<String, Value>) -> Result<(), EngineError> {
    let mut options = Vec::new();
    if security.no_new_privileges {
        options.push("no-new-privileges".to_owned());
    }
    match (&security.seccomp, kind) {
        (Seccomp::RuntimeDefault, _) => {}
        (Seccomp::Unconfined, _) => options.push("seccomp=unconfined".to_owned()),
        (Seccomp::Profile(profile), EngineKind::Docker) => options.push(format!("seccomp={profile}")),
        (Seccomp::Profile(_), EngineKind::Podman) => {
            return Err(EngineError::Refused {
                status: 0,
                message: "Podman's API takes no seccomp profile of type Localhost; take RuntimeDefault or Unconfined"
                    .to_owned(),
            });
        }
    }
    if security.unmasked_proc {
        match kind {
            EngineKind::Docker => {
                host.insert("MaskedPaths".to_owned(), json!([]));
                host.insert("ReadonlyPaths".to_owned(), json!([]));
            }
            EngineKind::Podman => options.push("unmask=ALL".to_owned()),
        }
    }
    if !options.is_empty() {
        host.insert("SecurityOpt".to_owned(), json!(options));
    }
    let groups: Vec<String> = security.groups.iter().map(i64::to_string).collect();
    for (field, values) in
        [("GroupAdd", &groups), ("CapAdd", &security.add_capabilities), ("CapDrop", &security.drop_capabilities)]
    {
        if !values.is_empty() {
            host.insert(field.to_owned(), json!(values));
        }
    }
    host.insert("Privileged".to_owned(), security.privileged.into());
    host.insert("ReadonlyRootfs".to_owned(), security.read_only_root.into());
    if security.devices == Devices::All {
        host.insert("DeviceCgroupRules".to_owned(), json!(["a *:* rwm"]));
    }
    Ok(())
}
