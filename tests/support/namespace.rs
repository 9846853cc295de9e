//! A network namespace whose resolv.conf names the server, as in a container.

use std::{
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A network of its own with a loopback interface; removed when dropped.
pub struct Namespace {
    name: String,
    files: PathBuf,
}

impl Namespace {
    /// Makes one; `None` where that is not allowed (it needs root), which skips the test.
    pub fn new(resolv_conf: &str) -> Option<Namespace> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("headless-dns-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        if !super::have(&["ip"]) {
            return None;
        }
        let made = Command::new("ip").args(["netns", "add", &name]).output().unwrap();
        if !made.status.success() {
            super::skip(&format!("ip netns add: {}", String::from_utf8_lossy(&made.stderr).trim()));
            return None;
        }
        let files = PathBuf::from("/etc/netns").join(&name);
        // From here on dropping it cleans up.
        let namespace = Namespace { name, files };
        std::fs::create_dir_all(&namespace.files).unwrap();
        std::fs::write(namespace.files.join("resolv.conf"), resolv_conf).unwrap();
        // So that nothing but DNS can know a name.
        std::fs::write(namespace.files.join("nsswitch.conf"), "hosts: files dns\n").unwrap();
        // The C library asks for addresses of a family only where there is one besides 127.0.0.1 (AI_ADDRCONFIG).
        for arguments in [&["link", "set", "lo", "up"][..], &["address", "add", "192.0.2.53/32", "dev", "lo"]] {
            let (success, text) = namespace.run("ip", arguments);
            assert!(success, "ip {arguments:?}: {text}");
        }
        Some(namespace)
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a command inside; returns whether it succeeded and all that it printed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let output = self.command(program).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // As far as it has come to be; a test that panics must leave nothing behind.
        let _ = std::fs::remove_dir_all(&self.files);
        // Goes only when it is empty.
        let _ = std::fs::remove_dir("/etc/netns");
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}
