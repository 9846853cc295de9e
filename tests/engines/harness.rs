//! The engines that tests start are what the tests need.

use crate::support::engines::{ContainerEngine, Kind, images};

#[test]
fn both_engines_run_at_the_same_time() {
    for (engine, name) in
        [(ContainerEngine::shared(Kind::Docker), "docker"), (ContainerEngine::shared(Kind::Podman), "podman")]
    {
        let Some(engine) = engine else { return };
        images::load_app(engine, "localhost/app:1");
        images::load_links(engine, "localhost/links:1", &["python", "--version"]);
        for reference in ["localhost/app:1", "localhost/links:1"] {
            let (status, _) = engine.request("GET", &format!("/v1.41/images/{reference}/json"), b"").unwrap();
            assert_eq!(status, 200, "{name}: {reference}");
        }
        let links = engine.command("ip").args(["-o", "link"]).output().unwrap();
        let links = String::from_utf8_lossy(&links.stdout).into_owned();
        assert_eq!(links.contains("docker0"), name == "docker", "{name}: {links}");
    }
}
