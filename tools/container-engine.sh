#!/usr/bin/env bash
# Docker and Podman for tests on a machine that has neither: unpacked from Debian's packages and never installed, each
# in network, mount and process namespaces of its own, so that nothing of the machine is touched and nothing stays behind.
#
#   tools/container-engine.sh unpack FOLDER                      the packages, downloaded and unpacked once
#   tools/container-engine.sh run docker|podman FOLDER DIRECTORY the engine, until standard input ends
#
# `run` needs root. Each line of its input is carried out and answered: start, stop (as an upgrade stops it), kill (the
# engine alone), reboot (all processes end; start follows). The socket is DIRECTORY/engine.sock, its log
# DIRECTORY/engine.log; DIRECTORY/pid names a process whose namespaces are the engine's, so that
# nsenter --net --target "$(cat DIRECTORY/pid)" curl … reaches the containers. In the end the directory is removed.
set -euo pipefail

packages=(
    # Docker.
    docker.io containerd runc tini iptables
    # Podman.
    podman conmon netavark golang-github-containers-common golang-github-containers-image
    # Libraries that a small Debian lacks.
    libassuan0 libdevmapper1.02.1 libglib2.0-0 libgpg-error0 libgpgme11 libip4tc2 libip6tc2 libmnl0 libnetfilter-conntrack3
    libnfnetlink0 libnftnl11 libseccomp2 libsubid4 libxtables12 iproute2 libbpf1 libelf1
)

# Everything lies below FOLDER/root as Debian lays it, with /lib and /sbin moved into /usr.
unpack() {
    local folder=$1 part=$1.part
    mkdir -p "$(dirname "$folder")"
    exec 9>"$folder.lock"
    flock --timeout 300 9
    if [ -e "$folder/complete" ]; then
        return
    fi
    rm -rf "$folder" "$part"
    mkdir -p "$part/debs" "$part/root"
    (
        cd "$part/debs"
        download() { timeout 240 apt-get download -q -o APT::Sandbox::User=root "${packages[@]}"; }
        download || { timeout 240 apt-get update -q && download; }
        for deb in *.deb; do dpkg-deb --fsys-tarfile "$deb" | tar --extract --directory ../root --exclude ./usr/share/doc --exclude ./usr/share/man; done
    ) >&2
    local moved
    for moved in bin sbin lib; do
        if [ -d "$part/root/$moved" ]; then
            mkdir -p "$part/root/usr/$moved"
            cp -a "$part/root/$moved/." "$part/root/usr/$moved/"
            rm -rf "${part:?}/root/$moved"
        fi
    done
    local name
    for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -sf xtables-nft-multi "$part/root/usr/sbin/$name"
    done
    # What the system's own configuration of containers would add is not wanted.
    rm -rf "$part/debs" "$part/root/etc" "$part/root/var" "$part/root/run"
    touch "$part/complete"
    mv "$part" "$folder"
}

# The first process of the namespaces: when it ends, the kernel ends all others in them. It obeys lines of standard input
# (start, stop, kill, reboot), answers each by the same word when that is done, and ends with the input.
inside() {
    local engine=$1 folder=$2 directory=$3 private=$3/private pid='' line
    # /proc is still that of outside, and tells which process this is there.
    sed -n 's/^PPid:\s*//p' /proc/self/status >"$directory/pid"
    mount -t proc proc /proc
    # /etc, /run and /opt as the engine may write them, and /usr with the packages in it.
    mkdir -p "$private"
    mount -t tmpfs -o mode=755 engine "$private"
    mkdir "$private/etc" "$private/work" "$private/home"
    mount -t overlay -o "lowerdir=/etc,upperdir=$private/etc,workdir=$private/work" engine /etc
    mount -t overlay -o "lowerdir=$folder/root/usr:/usr" engine /usr
    mount -t tmpfs -o mode=755 engine /run
    mkdir -p /run/lock
    mount -t tmpfs -o mode=755 engine /opt
    hash -r
    ip link set lo up
    # Nobody's settings but ours.
    rm -f /etc/docker/daemon.json
    unset DOCKER_HOST DOCKER_CONTEXT CONTAINER_HOST XDG_RUNTIME_DIR http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
    export HOME=$private/home
    # Podman leaves a file where it was started when memory was short.
    cd "$directory"
    while read -r line; do
        case $line in
        start)
            rm -f "$directory/engine.sock"
            "start_$engine" "$directory" </dev/null >>"$directory/engine.log" 2>&1 &
            pid=$!
            ;;
        # As a package's upgrade does it.
        stop)
            kill "$pid" || true
            wait "$pid" || true
            ;;
        # The engine dies, the containers do not.
        kill)
            kill -KILL "$pid" || true
            wait "$pid" || true
            if [ -e /run/docker/containerd/containerd.pid ]; then
                kill -KILL "$(cat /run/docker/containerd/containerd.pid)" || true
                rm /run/docker/containerd/containerd.pid
            fi
            rm -f /run/docker.pid
            ;;
        # The power fails.
        reboot)
            kill -KILL -1 || true
            wait || true
            grep -o ' /run/[^ ]*' /proc/self/mounts | sort -r | xargs -r umount --lazy || true
            find /run -xdev -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf '{}' +
            ip -o link | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p' | grep -v '^lo$' | xargs -r -n 1 ip link del || true
            ;;
        esac
        echo "$line"
    done
}

start_docker() {
    # shellcheck disable=SC2086
    exec dockerd --host "unix://$1/engine.sock" --data-root "$1/data" --exec-root /run/docker --pidfile /run/docker.pid \
        --storage-driver overlay2 ${DOCKERD_OPTIONS:-}
}

start_podman() {
    mkdir -p /etc/containers
    printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >/etc/containers/policy.json
    : >/etc/containers/registries.conf
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "/run/containers/storage"\n' "$1/data" >/etc/containers/storage.conf
    # runc, since crun refuses a mixture of the two versions of cgroups.
    printf '%s\n' '[containers]' 'default_ulimits = ["nofile=20000:20000", "nproc=1000:1000"]' \
        '[engine]' 'runtime = "runc"' 'cgroup_manager = "cgroupfs"' 'events_logger = "file"' \
        'tmp_dir = "/run/libpod"' \
        '[network]' 'network_backend = "netavark"' "network_config_dir = \"$1/networks\"" >/etc/containers/containers.conf
    exec podman system service --time 0 "unix://$1/engine.sock"
}

run() {
    local engine=$1 folder=$2 directory=$3 id
    unshare --net --mount --pid --fork --kill-child "$0" inside "$engine" "$folder" "$directory" || true
    # The kernel keeps the groups of containers that nobody had the time to remove.
    for id in "$directory"/data/containers/* "$directory"/data/overlay-containers/*; do
        id=${id##*/}
        find /sys/fs/cgroup -depth -type d -name "*$id*" -exec rmdir '{}' ';' 2>/dev/null || true
    done
    rm -rf "$directory"
}

case ${1:-} in
unpack) unpack "$(realpath -m "$2")" ;;
run) run "$2" "$(realpath "$3")" "$(realpath "$4")" ;;
inside) inside "$2" "$3" "$4" ;;
*)
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
