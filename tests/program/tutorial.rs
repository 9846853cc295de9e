//! The tutorial, run as it stands: one session with the real program, kubectl and dig.

use crate::support::{
    eventually,
    exposition::Page,
    have, http, program,
    program::Program,
    session::{Beside, Part, Shell, is_shown, parts},
};
use std::path::Path;

#[test]
fn what_an_output_is_compared_with() {
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    for (output, shown, same) in [
        ("a  b", "a b", true),
        ("a b", "a …", true),
        ("a", "a …", false),
        ("a\nb", "a\nb", true),
        ("a\nb", "a", false),
        ("a", "a\nb", false),
        ("a\nb\nc", "…\nc", true),
        ("c", "…\nc", true),
        ("a\nb", "…\nc", false),
        ("a\nb\nc\nd", "a\n…\nc\n…", true),
        ("", "", true),
    ] {
        assert_eq!(is_shown(&lines(output), &lines(shown)), same, "{output:?} {shown:?}");
    }
}

#[test]
fn the_tutorial_runs_as_it_stands() {
    if !have(&["kubectl", "dig", "bash"]) {
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md");
    let parts = parts(&std::fs::read_to_string(page).unwrap());
    assert!(parts.len() > 80, "{}", parts.len());
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    // Ports that are free take the place of those on the page.
    let mut begun: Option<Program> = None;
    let mut ports: Vec<(&str, String)> = Vec::new();
    // The program by the name that the page has for it, and a kubectl that knows nothing of other tests.
    let here = directory.join("bin");
    std::fs::create_dir(&here).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_headless-dns"), here.join("headless-dns")).unwrap();
    let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap());
    let cache = directory.join("cache").display().to_string();
    let variables = [("PATH", path.as_str()), ("KUBECACHEDIR", &cache), ("HOME", directory.to_str().unwrap())];
    let mut shell = Shell::new(directory, &variables);
    let mut second: Option<Beside> = None;
    for part in parts {
        let put = |text: &str| ports.iter().fold(text.to_owned(), |text, (page, own)| text.replace(page, own));
        match part {
            Part::Run(command, _) if command.starts_with("headless-dns serve") => {
                assert_eq!(command, "headless-dns serve --api-listen 127.0.0.1:8001");
                let mut command = program::command();
                command.args([
                    "--api-listen",
                    "127.0.0.1:0",
                    "--metrics-listen",
                    "127.0.0.1:0",
                    "--state-dir",
                    "state",
                ]);
                let program = Program::spawn(command, "127.0.0.1:0", directory).listening();
                let api = program.address_behind("Kubernetes API at http://").to_string();
                ports = vec![("127.0.0.1:8001", api), ("-p 1053", format!("-p {}", program.address.port()))];
                begun = Some(program);
            }
            Part::Run(command, shown) => shell.check(&put(&command), &shown),
            Part::Save(name, text) => std::fs::write(directory.join(name), text).unwrap(),
            Part::Beside(command, shown) => {
                let program = begun.as_ref().expect("the page starts the server first");
                let more = [variables.as_slice(), &[("KUBECONFIG", "kubeconfig")]].concat();
                second = Some(Beside::start(&put(&command), directory, &more, &shown));
                watched(program);
            }
            Part::Shown(shown) => second.take().expect("something runs beside").check(&shown),
        }
    }
    assert!(second.is_none());
}

/// Waits until somebody watches: what happens from then on is seen.
fn watched(program: &Program) {
    let server = program.address_behind("metrics and health at http://");
    eventually("a watch", || {
        let page = http::get(server, "/metrics").body;
        match Page::read(&page).map(|page| page.sum("headless_dns_api_watches", &[])) {
            Ok(1.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}
