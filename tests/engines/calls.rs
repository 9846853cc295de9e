//! The calls of the trait, in the order in which a pod lives.

use crate::fixture::{APP, EXEC, Fixture, on_both};
use headless_dns::engine::{
    docker_api::HttpEngine,
    sandbox::{ContainerId, ContainerState, Engine, EngineError, EngineKind, LogFrame},
};
use std::time::{Duration, Instant};

fn text(frames: &[LogFrame]) -> (String, String) {
    let mut text = (Vec::new(), Vec::new());
    for frame in frames {
        match frame {
            LogFrame::Output(octets) => text.0.extend(octets),
            LogFrame::Error(octets) => text.1.extend(octets),
        }
    }
    (String::from_utf8(text.0).unwrap(), String::from_utf8(text.1).unwrap())
}

#[test]
fn what_an_engine_says_of_itself_and_of_images() {
    on_both(async |fixture: &Fixture| {
        let info = fixture.client.info().await.unwrap();
        let (kind, version) =
            if fixture.is_podman() { (EngineKind::Podman, "4.") } else { (EngineKind::Docker, "20.") };
        assert_eq!((info.kind, info.rootless), (kind, false), "{info:?}");
        assert!(info.version.starts_with(version) && info.api_version >= (1, 41), "{info:?}");
        assert!(info.cpus > 0 && info.memory_octets > 1 << 28 && !info.kernel_version.is_empty(), "{info:?}");
        assert!(info.time.unwrap().duration_since(jiff::Timestamp::now()).abs().as_secs() < 5, "{info:?}");
        let image = fixture.client.image(APP).await.unwrap().unwrap();
        assert_eq!((&image.entrypoint[..], &image.command[..]), (&["/app".to_owned()][..], &["serve".to_owned()][..]));
        assert!(image.env.contains(&"FROM_IMAGE=yes".to_owned()), "{image:?}");
        assert_eq!(image.architecture, info.architecture);
        assert!(image.id.starts_with("sha256:") && image.octets > 100_000, "{image:?}");
        assert_eq!(fixture.client.image(&image.id).await.unwrap(), Some(image));
        for absent in ["localhost/absent:1", "absent", "a b"] {
            let found = fixture.client.image(absent).await;
            assert!(matches!(found, Ok(None)) || absent == "a b" && found.is_err(), "{absent}: {found:?}");
        }
        // Again changes nothing.
        fixture.client.ensure_sandbox_image().await.unwrap();
        fixture.client.ensure_network(&fixture.network).await.unwrap();
    });
}

#[test]
fn the_life_of_a_pod() {
    on_both(async |fixture: &Fixture| {
        let (client, address) = (&fixture.client, fixture.address());
        let begun = Instant::now();
        let mut times = Vec::new();
        let mut time = |what: &str| times.push(format!("{what} after {} ms", begun.elapsed().as_millis()));
        let sandbox = client.create_sandbox(&fixture.sandbox("web-0", address)).await.unwrap();
        time("sandbox created");
        assert_eq!(fixture.inspect(&sandbox).await.summary.state, ContainerState::Created);
        client.start(&sandbox).await.unwrap();
        time("started");
        let spec = fixture.container("web-0", &sandbox);
        let container = client.create_container(&spec).await.unwrap();
        time("container created");
        client.start(&container).await.unwrap();
        time("started");
        println!("{}: {}", fixture.engine.kind, times.join(", "));

        // What runs is started already.
        client.start(&container).await.unwrap();
        let found = fixture.inspect(&sandbox).await;
        assert_eq!((found.summary.state, &found.addresses[..]), (ContainerState::Running, &[address][..]));
        let found = fixture.inspect(&container).await;
        assert_eq!((found.summary.state, found.exit_code, found.finished_at), (ContainerState::Running, None, None));
        assert_eq!((&found.summary.name, &found.summary.labels), (&spec.name, &spec.labels));
        assert_eq!(found.image_id, client.image(APP).await.unwrap().unwrap().id);
        assert!(found.pid.is_some() && found.started_at.is_some() && found.image == APP, "{found:?}");
        let mut listed = client.list(&fixture.instance).await.unwrap();
        listed.sort_by_key(|summary| summary.id != sandbox);
        assert_eq!(listed.iter().map(|summary| &summary.id).collect::<Vec<_>>(), [&sandbox, &container]);
        assert_eq!(listed[1], found.summary);
        assert_eq!(client.list("another").await.unwrap(), []);

        // Its hostname, its address, and its network are the sandbox's; the machine's network reaches it.
        let expected = (0, "The host is web-0\n".to_owned());
        assert_eq!(fixture.exec(&container, &["get", "127.0.0.1", "80", "/"]).await, expected);
        let mut curl = fixture.engine.command("curl");
        let output = curl.args(["-s", "--max-time", "10", &format!("http://{address}/")]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected.1);

        // TERM, the exit code, the log; then it can be killed no more.
        client.kill(&container, "SIGTERM").await.unwrap();
        let found = fixture.ended(&container).await;
        assert_eq!((found.exit_code, found.oom_killed, found.pid), (Some(0), false, None));
        assert!(found.finished_at >= found.started_at && found.finished_at.is_some(), "{found:?}");
        let log = client.log_tail(&container, 10, 1000).await.unwrap();
        assert_eq!(text(&log).0, "serving on port 80\nterminated\n");
        assert_eq!(text(&client.log_tail(&container, 1, 1000).await.unwrap()).0, "terminated\n");
        assert_eq!(text(&client.log_tail(&container, 10, 5).await.unwrap()).0, "ated\n");
        let refused = client.kill(&container, "SIGTERM").await;
        assert!(matches!(refused, Err(EngineError::Conflict(_))), "{refused:?}");

        // Another attempt in the same sandbox has the same address.
        let mut spec = spec;
        spec.name.push('1');
        let second = fixture.start_container(&spec).await.unwrap();
        assert_eq!(fixture.exec(&second, &["get", &address.to_string(), "80", "/"]).await, expected);
        for id in [&container, &second, &sandbox] {
            client.remove(id).await.unwrap();
            client.remove(id).await.unwrap();
            assert_eq!(client.inspect(id).await.unwrap(), None);
        }
        // A freed address can be had at once.
        fixture.start_sandbox(&fixture.sandbox("web-0", address)).await.unwrap();
    });
}

#[test]
fn commands_in_containers() {
    on_both(async |fixture: &Fixture| {
        let (_, container) = fixture.pod("exec-0").await;
        let rows: &[(&[&str], i32, &str)] = &[
            (&["say", "0", "hello", "world"], 0, "hello world\n"),
            (&["complain", "7", "no"], 7, "no\n"),
            (&["exit", "255"], 255, ""),
            (&["env", "FROM_IMAGE"], 0, "yes\n"),
            (&["cat", "/absent"], 1, "/absent: No such file or directory\n"),
        ];
        for (words, code, written) in rows {
            assert_eq!(fixture.exec(&container, words).await, (*code, (*written).to_owned()), "{words:?}");
        }
        let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        // The first octets are kept, the rest is read all the same.
        let (code, written) = fixture
            .client
            .exec(&container, &command(&["/app", "say", "3", &"x".repeat(50_000)]), EXEC, 10)
            .await
            .unwrap();
        assert_eq!((code, written), (3, b"xxxxxxxxxx".to_vec()));
        // One without end is given up.
        for words in [&["/app", "sleep", "60"][..], &["/app", "spam"]] {
            let begun = Instant::now();
            let limit = Duration::from_millis(700);
            let given_up = fixture.client.exec(&container, &command(words), limit, 1000).await;
            assert_eq!(given_up, Err(EngineError::TimedOut(limit)), "{words:?}");
            assert!(begun.elapsed() < Duration::from_secs(5));
        }
        // One that is not there: an exit code as a shell gives it, or the engine's words.
        match fixture.client.exec(&container, &command(&["/absent"]), EXEC, 1000).await {
            Ok((code, written)) => assert!([126, 127].contains(&code), "{code} {written:?}"),
            Err(error) => assert!(error.to_string().contains("no such file"), "{error:?}"),
        }
        let gone = fixture.client.exec(&ContainerId("0".repeat(64)), &command(&["/app"]), EXEC, 10).await;
        assert!(matches!(gone, Err(EngineError::NotFound(_))), "{gone:?}");
        fixture.client.kill(&container, "SIGKILL").await.unwrap();
        assert_eq!(fixture.ended(&container).await.exit_code, Some(137));
        let ended = fixture.client.exec(&container, &command(&["/app"]), EXEC, 10).await;
        assert!(matches!(ended, Err(EngineError::Conflict(_))), "{ended:?}");
    });
}

#[test]
fn what_happens_is_told() {
    on_both(async |fixture: &Fixture| {
        let (sender, mut hints) = tokio::sync::mpsc::channel(100);
        let since = jiff::Timestamp::now();
        let watch = fixture.client.watch(&fixture.instance, Some(since), sender);
        let work = async {
            let (_, container) = fixture.pod("events-0").await;
            fixture.exec(&container, &["exit", "0"]).await;
            fixture.client.kill(&container, "SIGKILL").await.unwrap();
            fixture.ended(&container).await;
            let mut told = Vec::new();
            while !told.contains(&"die".to_owned()) {
                let event = tokio::time::timeout(Duration::from_secs(20), hints.recv()).await;
                let event = event.unwrap_or_else(|_| panic!("only {told:?}")).unwrap();
                if event.id == container {
                    told.push(event.action);
                }
            }
            // Making, starting and signals are told by the calls that do it, and probes would make very many.
            let silent = ["create", "start", "kill", "exec"];
            assert!(!told.iter().any(|word| silent.iter().any(|one| word.starts_with(one))), "{told:?}");
        };
        tokio::select! {
            ended = watch => panic!("{ended:?}"),
            () = work => {}
        }
    });
}

/// The engine dies under a call, and comes back: the client finds its way, and says meanwhile that nothing is known.
#[test]
fn an_engine_that_dies_and_comes_back() {
    for kind in [crate::support::engines::Kind::Docker, crate::support::engines::Kind::Podman] {
        let Some(engine) = crate::support::engines::ContainerEngine::start(kind) else { return };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = HttpEngine::new(&engine.socket());
            client.ensure_sandbox_image().await.unwrap();
            let (sender, _hints) = tokio::sync::mpsc::channel(1);
            let (ended, ()) = tokio::join!(client.watch("a", None, sender), async {
                // The stream is open by then, or the call fails: both end.
                tokio::time::sleep(Duration::from_millis(300)).await;
                engine.kill();
            });
            assert!(ended.is_ok() || ended.as_ref().is_err_and(EngineError::is_about_the_engine), "{ended:?}");
            let gone = client.list("a").await.unwrap_err();
            assert!(gone.is_about_the_engine(), "{gone:?}");
            engine.start_again();
            assert_eq!(client.list("a").await, Ok(Vec::new()));
            client.ensure_sandbox_image().await.unwrap();
        });
    }
}
