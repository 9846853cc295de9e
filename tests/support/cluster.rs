//! A server in this process, with an API, directories of its own and nothing of the surroundings.

use super::exposition::Page;
use headless_dns::program::{app::Server, settings::Settings};
use std::{net::SocketAddr, path::Path};
use tempfile::TempDir;

/// What a server is started with; the directory stays when the server has gone.
pub struct Home {
    pub directory: TempDir,
    pub settings: Settings,
}

impl Home {
    /// Settings with free ports, kept in memory.
    pub fn new() -> Home {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        settings.listen = vec![free];
        settings.api_listen = Some(free);
        settings.metrics_listen = Some(free);
        settings.manifests = vec![directory.path().join("manifests")];
        settings.zones = directory.path().join("zones");
        settings.state_directory = None;
        Home { directory, settings }
    }

    /// With a state directory, so that everything survives a restart.
    pub fn kept() -> Home {
        let mut home = Home::new();
        home.settings.state_directory = Some(home.path("state"));
        home
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        Path::join(self.directory.path(), name)
    }

    /// Starts a server.
    pub fn start(&self) -> Server {
        Server::start(self.settings.clone()).unwrap()
    }
}

/// A figure of a server.
pub fn figure(server: &Server, name: &str) -> f64 {
    let page = super::http::get(server.http_address().unwrap(), "/metrics").body;
    Page::read(&page).unwrap().sum(name, &[])
}

/// Waits until a figure of a server is this.
pub fn eventually_figure(server: &Server, name: &str, expected: usize) {
    super::eventually(&format!("{name} {expected}"), || match figure(server, name) {
        found if found == expected as f64 => Ok(()),
        found => Err(found),
    });
}

/// Waits until so many watches are open.
pub fn eventually_watches(server: &Server, count: usize) {
    eventually_figure(server, "headless_dns_api_watches", count);
}
