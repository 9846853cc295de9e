//! Every shipped demo plays to its end with the real program; a demo that is wrong says so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

struct Played {
    code: i32,
    output: String,
}

fn play(files: &[PathBuf]) -> Played {
    let output =
        Command::new(env!("CARGO_BIN_EXE_headless-dns")).arg("demo").args(files).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Played { code: output.status.code().unwrap(), output: text }
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn shipped_demos_end_as_expected() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demos");
    let mut demos: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    demos.sort();
    // Played by tests/engines, on engines that are not the machine's own.
    demos.retain(|demo| !demo.ends_with("real-pods.yaml"));
    assert!(demos.len() >= 5, "{demos:?}");
    let played = play(&demos);
    assert_eq!(played.code, 0, "{}", played.output);
    assert_eq!(played.output.matches("everything as expected").count(), demos.len(), "{}", played.output);
    assert!(!played.output.contains('\u{1b}'), "no colours where nobody looks");
}

/// A bare pod behind a headless Service, for demos that go wrong.
const POD: &str = "
  - apply:
      file: pod.yaml
      text: |
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: one, labels: {app: web}}
        spec: {hostname: one, subdomain: web, containers: [{name: web, image: nginx}]}
  - wait: {pods: {one: ready}}
";

#[test]
fn what_is_not_as_expected_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let check = |name: &str, steps: &str, code: i32, expected: &[&str]| {
        let text = format!("title: {name}\nsettings: {{podCidrs: [10.9.0.0/24]}}\nsteps:{POD}{steps}");
        let played = play(&[write(directory.path(), name, &text)]);
        assert_eq!(played.code, code, "{}", played.output);
        for text in expected {
            assert!(played.output.contains(text), "{text:?} is missing in\n{}", played.output);
        }
    };
    let addresses = "  - query: {name: web, remember: a}\n";
    check(
        "right.yaml",
        &format!("{addresses}  - query: {{name: one.web, same-as: a}}\n"),
        0,
        &["right.yaml: everything as expected"],
    );
    check(
        "records.yaml",
        "  - query: {name: web, expect: [10.9.0.200]}\n",
        1,
        &[
            "- 10.9.0.200   (expected, missing)",
            "+ 10.9.0.",
            "(not expected)",
            "records.yaml:17: step 3 of 3: an expectation failed",
        ],
    );
    check(
        "outcome.yaml",
        "  - query: {name: web, expect: NXDOMAIN}\n",
        1,
        &["- NXDOMAIN   (expected, missing)", "+ 10.9.0."],
    );
    check(
        "exists.yaml",
        "  - query: {name: two.web, addresses-of: [one]}\n",
        1,
        &["two.web.default.svc.cluster.local. NXDOMAIN"],
    );
    check(
        "differs.yaml",
        &format!("{addresses}  - query: {{name: web, differs-from: a}}\n"),
        1,
        &["must have nothing of `a`"],
    );
    check("count.yaml", "  - query: {name: web, count: 2}\n", 1, &["- 2 records", "+ 1 records"]);
    check(
        "state.yaml",
        "  - wait: {pods: {one: gone}, within: 100ms}\n",
        1,
        &["still not so after 100 ms", "pod one", "expected: gone", "got:      Running, ready"],
    );
    check(
        "refused.yaml",
        "  - edit: {object: Pod/one, patch: {spec: {containers: []}}}\n",
        1,
        &["pod.yaml:", "spec.containers"],
    );
    check(
        "refused-as-expected.yaml",
        "  - edit: {object: Pod/one, patch: {spec: {containers: []}}, refused: spec.containers}\n  - expect: {pods: {one: ready}}\n",
        0,
        &["refused, as expected"],
    );
    check(
        "not-refused.yaml",
        "  - edit: {object: Pod/one, patch: {metadata: {labels: {a: b}}}, refused: immutable}\n",
        1,
        &["nothing was refused"],
    );
    check(
        "steady.yaml",
        "  - delete-pod: {pod: one}\n  - wait: {pods: {one: terminating}, steady: 20s}\n",
        1,
        &["it held for ", "got:      gone"],
    );
    check("unknown.yaml", "  - query: {name: web, same-as: never}\n", 78, &["nothing has been remembered as `never`"]);
    check("undeclared.yaml", "  - scale: {statefulset: db, replicas: 2}\n", 78, &["declares StatefulSet db"]);
    check("misspelt.yaml", "  - querry: {name: web}\n", 78, &["misspelt.yaml:17:5: ", "unknown field `querry`"]);
}

#[test]
fn the_worst_outcome_counts() {
    let directory = tempfile::tempdir().unwrap();
    let good =
        write(directory.path(), "good.yaml", "title: good\nsteps: [{query: {name: kubernetes, expect: NXDOMAIN}}]\n");
    let bad = write(directory.path(), "bad.yaml", "title: bad\nsteps: [{query: {name: nothing, expect: NODATA}}]\n");
    let check = |files: &[&PathBuf], code: i32| {
        let played = play(&files.iter().map(|file| (*file).clone()).collect::<Vec<_>>());
        assert_eq!(played.code, code, "{files:?}\n{}", played.output);
    };
    check(&[&good], 0);
    check(&[&bad, &good], 1);
    check(&[&bad, &directory.path().join("missing.yaml"), &good], 78);
}

#[test]
fn without_an_engine_a_scenario_is_not_played() {
    if Path::new("/run/podman/podman.sock").exists() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let text = "title: t\nsettings: {runtime: podman}\nsteps: [{query: {name: a, expect: NODATA}}]\n";
    let file = write(directory.path(), "real.yaml", text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_headless-dns"));
    command.arg("demo").arg(&file).env_remove("CONTAINER_HOST").env_remove("XDG_RUNTIME_DIR");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("real.yaml: not played: runtime podman: no socket in any of"), "{text}");
}
