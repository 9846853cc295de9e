//! Replies that no engine should send, and sockets behind which there is none.

use super::*;
use crate::engine::sandbox::INSTANCE_LABEL;
use std::{
    io::{Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    time::Instant,
};
use tempfile::TempDir;

/// What is asked, the engine's replies, what becomes of it.
type Row<'a> = (&'a str, &'static [(&'a str, Reply)], &'a str);

const VERSION: &str = r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12","Version":"20.10.24","Arch":"amd64"}"#;

/// What a server does with a request.
#[derive(Clone, Copy)]
enum Reply {
    /// Sends these octets and closes.
    Raw(&'static [u8]),
    /// Sends a head with the length of this body, the body, and closes.
    Json(u16, &'static str),
    /// Sends a beginning, and then the same again and again, until the client goes.
    Endless(&'static [u8], &'static [u8]),
    /// Sends a beginning, and then nothing.
    Stalled(&'static [u8]),
}

impl Reply {
    fn send(self, stream: &mut UnixStream) -> std::io::Result<()> {
        match self {
            Reply::Raw(octets) => stream.write_all(octets),
            Reply::Json(status, body) => {
                write!(stream, "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
            Reply::Endless(beginning, more) => {
                stream.write_all(beginning)?;
                let more = more.repeat(1 + 4096 / more.len());
                loop {
                    stream.write_all(&more)?;
                }
            }
            Reply::Stalled(beginning) => {
                stream.write_all(beginning)?;
                // Until the client goes.
                stream.read(&mut [0]).map(drop)
            }
        }
    }
}

/// Answers each request: those for `/version` properly, others as the second part of the first row whose first part is in the path.
fn serve(rows: &'static [(&'static str, Reply)]) -> (TempDir, HttpEngine) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream, rows));
        }
    });
    let engine = HttpEngine {
        look_timeout: Duration::from_millis(600),
        change_timeout: Duration::from_millis(600),
        ..HttpEngine::new(&socket)
    };
    (directory, engine)
}

fn answer(mut stream: UnixStream, rows: &[(&str, Reply)]) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut request = Vec::new();
    let mut octets = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut octets) {
            Ok(length) if length > 0 => request.extend_from_slice(&octets[..length]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let reply = rows.iter().find(|(part, _)| path.contains(part)).map(|(_, reply)| *reply);
    let reply = reply.or_else(|| (path == "/version").then_some(Reply::Json(200, VERSION)));
    // The client may have gone.
    let _ = reply.unwrap_or(Reply::Json(404, r#"{"message":"page not found"}"#)).send(&mut stream);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

fn kind<T: std::fmt::Debug>(result: &Result<T, EngineError>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(EngineError::Unreachable(_)) => "unreachable",
        Err(EngineError::Denied(_)) => "denied",
        Err(EngineError::TimedOut(_)) => "timed out",
        Err(EngineError::Malformed(_)) => "malformed",
        Err(EngineError::Version(_)) => "version",
        Err(EngineError::NotFound(_)) => "not found",
        Err(EngineError::Refused { .. }) => "refused",
        Err(_) => "another",
    }
}

/// None of them says that there is no container: a list is complete, or it is an error.
#[test]
fn lists_that_are_none() {
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    macro_rules! rows {
        ($(($what:literal, $reply:expr, $expected:literal),)*) => {
            [$(($what, &[("/containers/json", $reply)] as &'static [(&str, Reply)], $expected),)*]
        };
    }
    let rows = rows![
        ("nothing at all", Reply::Raw(b""), "unreachable"),
        ("another protocol", Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "malformed"),
        ("a head without an end", Reply::Endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), "malformed"),
        ("a head that stalls", Reply::Stalled(b"HTTP/1.1 200 OK\r\nContent-Le"), "timed out"),
        ("no reply", Reply::Stalled(b""), "timed out"),
        ("half a body", Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"), "unreachable"),
        ("a body that stalls", Reply::Stalled(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"), "timed out"),
        ("half a chunk", Reply::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[]"), "unreachable"),
        (
            "a chunk of what length",
            Reply::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n[]"),
            "unreachable"
        ),
        ("a broken list", Reply::Json(200, "[{\"Id\": \"a\", "), "malformed"),
        ("an empty body", Reply::Json(200, ""), "malformed"),
        ("no JSON", Reply::Json(200, "<html>"), "malformed"),
        ("an object", Reply::Json(200, "{}"), "malformed"),
        ("null", Reply::Json(200, "null"), "malformed"),
        ("an entry that is none", Reply::Json(200, "[5]"), "malformed"),
        ("an error", Reply::Json(500, r#"{"message":"no such container: database is locked"}"#), "not found"),
        ("an error without words", Reply::Json(500, ""), "refused"),
        ("an unknown path", Reply::Json(404, r#"{"message":"page not found"}"#), "refused"),
        ("no permission", Reply::Json(401, r#"{"message":"who are you"}"#), "denied"),
        (
            "an API that is too new",
            Reply::Json(400, r#"{"message":"client version 1.41 is too old. Minimum"}"#),
            "version"
        ),
        (
            "another protocol later",
            Reply::Raw(b"HTTP/1.1 101 Switching\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"),
            "malformed"
        ),
        ("a redirection", Reply::Raw(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), "refused"),
        ("an empty list", Reply::Json(200, "[]"), "done"),
        ("nested without end", Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n", b"["), "malformed"),
        ("chunks without end", Reply::Endless(CHUNKED, b"1\r\n \r\n"), "timed out"),
    ];
    block_on(async {
        for (what, rows, expected) in rows {
            let (_directory, mut engine) = serve(rows);
            if expected != "timed out" {
                // Told by what comes, however slow the machine is.
                engine.look_timeout = Duration::from_secs(15);
            }
            let begun = Instant::now();
            let found = engine.list("i").await;
            assert_eq!(kind(&found), expected, "{what}: {found:?}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
        }
    });
}

#[test]
fn versions_that_are_none() {
    let rows: [Row<'_>; 6] = [
        ("another server", &[("/version", Reply::Json(404, "404 page not found"))], "refused"),
        ("no version", &[("/version", Reply::Json(200, "{}"))], "malformed"),
        ("too old", &[("/version", Reply::Json(200, r#"{"ApiVersion":"1.24"}"#))], "version"),
        ("too new", &[("/version", Reply::Json(200, r#"{"ApiVersion":"2.0","MinAPIVersion":"2.0"}"#))], "version"),
        ("nobody", &[("/version", Reply::Raw(b""))], "unreachable"),
        ("no answer", &[("/version", Reply::Stalled(b""))], "timed out"),
    ];
    block_on(async {
        for (what, rows, expected) in rows {
            let (_directory, engine) = serve(rows);
            assert_eq!(kind(&engine.list("i").await), expected, "{what}");
            assert_eq!(kind(&engine.info().await), expected, "{what}");
            assert_eq!(kind(&engine.kill(&ContainerId("a".to_owned()), "SIGTERM").await), expected, "{what}");
        }
    });
}

#[test]
fn sockets_without_an_engine() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("file"), "").unwrap();
    drop(UnixListener::bind(path("dead")).unwrap());
    let full = UnixListener::bind(path("silent")).unwrap();
    let rows: [(PathBuf, &str); 5] = [
        (path("absent"), "unreachable"),
        (path("file"), "unreachable"),
        (path("dead"), "unreachable"),
        (path(&"n".repeat(200)), "unreachable"),
        (path("silent"), "timed out"),
    ];
    block_on(async {
        for (socket, expected) in rows {
            let engine = HttpEngine { look_timeout: Duration::from_millis(300), ..HttpEngine::new(&socket) };
            let found = engine.list("i").await;
            assert_eq!(kind(&found), expected, "{}: {found:?}", socket.display());
        }
    });
    drop(full);
    // Root may open every socket.
    if !rustix::process::geteuid().is_root() {
        let closed = UnixListener::bind(path("closed")).unwrap();
        std::fs::set_permissions(path("closed"), std::fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(kind(&block_on(HttpEngine::new(&path("closed")).list("i"))), "denied");
        drop(closed);
    }
}

#[test]
fn streams_that_fail() {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    let id = ContainerId("a".to_owned());
    let command = ["x".to_owned()];
    let limit = Duration::from_millis(600);
    block_on(async {
        // Exec: the stream's frames, and the exit code after it.
        let rows: [Row<'_>; 6] = [
            ("no id", &[("/containers/a/exec", Reply::Json(201, "{}"))], "malformed"),
            (
                "junk for frames",
                &[
                    ("/containers/a/exec", Reply::Json(201, r#"{"Id":"e"}"#)),
                    (
                        "/exec/e/start",
                        Reply::Raw(
                            b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nsh: not found",
                        ),
                    ),
                ],
                "malformed",
            ),
            (
                "endless",
                &[
                    ("/containers/a/exec", Reply::Json(201, r#"{"Id":"e"}"#)),
                    (
                        "/exec/e/start",
                        Reply::Endless(
                            b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
                            b"\x01\0\0\0\0\0\0\x01x",
                        ),
                    ),
                ],
                "timed out",
            ),
            (
                "no exit code",
                &[
                    ("/containers/a/exec", Reply::Json(201, r#"{"Id":"e"}"#)),
                    ("/exec/e/start", Reply::Json(200, "")),
                    ("/exec/e/json", Reply::Json(200, r#"{"Running":false,"ExitCode":null}"#)),
                ],
                "timed out",
            ),
            (
                "an exit code that is none",
                &[
                    ("/containers/a/exec", Reply::Json(201, r#"{"Id":"e"}"#)),
                    ("/exec/e/start", Reply::Json(200, "")),
                    ("/exec/e/json", Reply::Json(200, r#"{"Running":false,"ExitCode":99999999999}"#)),
                ],
                "timed out",
            ),
            (
                "a body in place of a stream",
                &[
                    ("/containers/a/exec", Reply::Json(201, r#"{"Id":"e"}"#)),
                    ("/exec/e/start", Reply::Json(200, "\u{1}\0\0\0\0\0\0\u{2}hi")),
                    ("/exec/e/json", Reply::Json(200, r#"{"Running":false,"ExitCode":3}"#)),
                ],
                "done",
            ),
        ];
        for (what, rows, expected) in rows {
            let (_directory, engine) = serve(rows);
            let found = engine.exec(&id, &command, limit, 10).await;
            assert_eq!(kind(&found), expected, "exec: {what}: {found:?}");
            assert!(found.is_err() || found == Ok((3, b"hi".to_vec())), "{found:?}");
        }
        // Pulls: an error in the stream is one, whatever the head said.
        let image: (&str, Reply) = ("/images/x/json", Reply::Json(200, r#"{"Id":"sha256:1"}"#));
        let rows: [(&str, Reply, &str); 6] = [
            (
                "an error at the end",
                Reply::Json(
                    200,
                    "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"denied\"},\"error\":\"denied\"}\r\n",
                ),
                "refused",
            ),
            (
                "an error in the middle",
                Reply::Json(200, "{\"error\":\"no space left on device\"}{\"status\":\"done\"}"),
                "refused",
            ),
            ("junk", Reply::Json(200, "{\"status\":\"Pulling\"}\nPulling…\n"), "malformed"),
            ("a line without end", Reply::Endless(OK, b" "), "malformed"),
            ("half", Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":"), "unreachable"),
            ("words of another type", Reply::Json(200, "{\"error\":5}\n[]\n5\n"), "done"),
        ];
        for (what, reply, expected) in rows {
            let rows: &'static [(&str, Reply)] = Box::leak(Box::new([("/images/create", reply), image]));
            let (_directory, engine) = serve(rows);
            let found = engine.pull("x", None).await;
            assert_eq!(kind(&found), expected, "pull: {what}: {found:?}");
        }
        let rows: &'static [(&str, Reply)] = &[
            ("/images/create", Reply::Json(200, "")),
            ("/images/x/json", Reply::Json(404, r#"{"message":"No such image"}"#)),
        ];
        let (_directory, engine) = serve(rows);
        assert_eq!(kind(&engine.pull("x", None).await), "not found");
        // Events: what cannot be read ends the stream, what is not understood is left out.
        let rows: [(&str, Reply, &str, usize); 4] = [
            ("junk", Reply::Json(200, "what"), "malformed", 0),
            ("a line without end", Reply::Endless(OK, b"\t"), "malformed", 0),
            (
                "more than anybody takes",
                Reply::Json(
                    200,
                    "{\"Action\":\"die\",\"Actor\":{\"ID\":\"a\"}}\n{\"Action\":\"die\",\"Actor\":{\"ID\":\"b\"}}\n[]\n",
                ),
                "done",
                1,
            ),
            ("half", Reply::Json(200, "{\"Action\":\"die\",\"Actor\":{\"ID\":\"a\"}}\n{\"Act"), "malformed", 1),
        ];
        for (what, reply, expected, count) in rows {
            let rows: &'static [(&str, Reply)] = Box::leak(Box::new([("/events", reply)]));
            let (_directory, engine) = serve(rows);
            let (sender, mut hints) = tokio::sync::mpsc::channel(1);
            let ended = engine.watch("i", None, sender).await;
            assert_eq!(kind(&ended), expected, "events: {what}: {ended:?}");
            assert_eq!(std::iter::from_fn(|| hints.try_recv().ok()).count(), count, "events: {what}");
        }
        // Logs: of one that is endless, the look ends.
        let rows: &'static [(&str, Reply)] = &[
            ("/containers/a/json", Reply::Json(200, r#"{"Id":"a","State":{},"Config":{"Tty":true}}"#)),
            ("/containers/a/logs", Reply::Endless(OK, b"x")),
        ];
        let (_directory, engine) = serve(rows);
        assert_eq!(kind(&engine.log_tail(&id, 10, 10).await), "timed out");
    });
}

/// What is asked when the engine at the socket is another one than before.
#[test]
fn an_engine_that_changes() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let engine = HttpEngine::new(&socket);
    let list = format!(r#"[{{"Id":"a","Names":["/x"],"Labels":{{"{INSTANCE_LABEL}":"i"}},"State":"running"}}]"#);
    for api in ["1.41", "1.55"] {
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let list = list.clone();
        let server = std::thread::spawn(move || {
            let mut paths = Vec::new();
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 4096];
                let length = stream.read(&mut head).unwrap();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let path = head.split([' ', '?']).nth(1).unwrap().to_owned();
                let body = if path == "/version" { format!(r#"{{"ApiVersion":"{api}"}}"#) } else { list.clone() };
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
                paths.push(path);
            }
            paths
        });
        assert_eq!(block_on(engine.list("i")).unwrap().len(), 1);
        assert_eq!(
            server.join().unwrap(),
            ["/_ping".to_owned(), "/version".to_owned(), format!("/v{api}/containers/json")]
        );
        // Nobody listens any more: that is noticed, and the next one is asked.
        assert_eq!(kind(&block_on(engine.list("i"))), "unreachable");
    }
}
