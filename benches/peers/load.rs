//! The load: dnsperf on the second core, and a probe that measures single round trips beside it.

use crate::cluster::query;
use socket2::{Domain, Socket, Type};
use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    os::fd::AsRawFd as _,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant, SystemTime},
};

/// What to exit with where dnsperf is missing, after saying so; in CI nothing may be left out silently.
pub fn without_dnsperf() -> Option<ExitCode> {
    if is_installed("dnsperf") {
        return None;
    }
    eprintln!("dnsperf is missing (Debian: apt-get install dnsperf)");
    Some(ExitCode::from(u8::from(std::env::var("CI").as_deref() == Ok("true"))))
}

pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(sbin).any(|folder| folder.join(program).is_file())
}

/// What dnsperf says it did.
pub struct Load {
    pub sent: u64,
    pub completed: u64,
    pub lost: u64,
}

fn dnsperf(port: u16, questions: &Path, more: &[&str], seconds: u64) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "dnsperf", "-s", "127.0.0.1", "-p", &port.to_string(), "-q", "256"]);
    // For how long it waits at its end for queries that are lost; five seconds is what it does by itself.
    command.args(["-t", if std::env::var_os("SHORT").is_some() { "1" } else { "5" }]);
    command.args(["-l", &seconds.to_string(), "-d"]).arg(questions).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// As much load as the second core can make.
pub fn run(port: u16, questions: &Path, more: &[&str], seconds: u64) -> Option<Load> {
    let output = dnsperf(port, questions, more, seconds).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |label: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(label))?;
        line.split_once(':')?.1.split_whitespace().next()?.parse::<u64>().ok()
    };
    let load = Load {
        sent: number("Queries sent")?,
        completed: number("Queries completed").filter(|&completed| completed > 0)?,
        lost: number("Queries lost")?,
    };
    Some(load)
}

/// A query on each of many connections, some at a time; dnsperf is no good at that. In a process of its own, so that it
/// can have a core.
pub fn connections(port: u16, seconds: u64) -> Option<Load> {
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(std::env::current_exe().unwrap());
    let output = command.args(["connect", &port.to_string(), &seconds.to_string()]).output().unwrap();
    let completed = String::from_utf8_lossy(&output.stdout).trim().parse().ok().filter(|&completed| completed > 0)?;
    Some(Load { sent: completed, completed, lost: 0 })
}

/// Connections at a time: with only one the server would mostly be woken and sleep, the cost of which swings.
const CONNECTIONS: u8 = 32;

/// What that process does; prints how many queries were answered.
pub fn connect(port: u16, seconds: u64) {
    let query = query(&crate::zone::some_pod());
    let framed = [&u16::try_from(query.len()).unwrap().to_be_bytes()[..], &query].concat();
    let end = Instant::now() + Duration::from_secs(seconds);
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into();
    let ask = |own: Ipv4Addr| -> io::Result<bool> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((own, 0)).into())?;
        socket.connect(&server)?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(&framed)?;
        Ok(stream.read(&mut [0; 512])? > 14)
    };
    let ask_on = |own: Ipv4Addr| {
        let outcomes = std::iter::repeat_with(|| ask(own)).take_while(|_| Instant::now() < end);
        outcomes.filter(|outcome| matches!(outcome, Ok(true))).count()
    };
    let completed: usize = std::thread::scope(|scope| {
        // The system keeps a port for a minute after its connection: each has an address to have ports of, and none has
        // that of the servers, who could not have such a port.
        let own = (1..=CONNECTIONS).map(|last| Ipv4Addr::new(127, 0, 1, last));
        let ask_on = &ask_on;
        let threads: Vec<_> = own.map(|own| scope.spawn(move || ask_on(own))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    println!("{completed}");
}

/// The round trips in microseconds that one query in a hundred and one in a thousand exceed, beside so many queries a
/// second. The probe has the core of the load, so that it takes nothing from the server.
pub fn tail(port: u16, questions: &Path, seconds: u64, rate: u32) -> Option<(f64, f64)> {
    let mut load = dnsperf(port, questions, &["-c", "8", "-Q", &rate.to_string()], seconds + 1).spawn().unwrap();
    let mut probe = Command::new("taskset");
    probe.args(["-c", "1"]).arg(std::env::current_exe().unwrap()).args(["tail", &port.to_string()]);
    let output = probe.arg(seconds.to_string()).output().unwrap();
    load.wait().unwrap();
    let _ = load.stdout.take().map(|mut out| out.read_to_end(&mut Vec::new()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (hundredth, thousandth) = text.trim().split_once(' ')?;
    Some((hundredth.parse().ok()?, thousandth.parse().ok()?))
}

/// What that process does; prints both. A round trip ends when the system has the reply: how long this process then
/// waits for a core of its own says nothing of the server.
pub fn probe(port: u16, seconds: u64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // The first question of the time has the system take it from then on.
    received_at(&socket);
    let query = query(&crate::zone::some_pod());
    let mut round_trips = Vec::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut reply = [0; 512];
    while Instant::now() < end {
        let asked = SystemTime::now();
        socket.send(&query).unwrap();
        let answered = socket.recv(&mut reply).ok().and_then(|_| received_at(&socket));
        let took = answered.map_or(Some(Duration::from_secs(1)), |at| at.duration_since(asked).ok());
        round_trips.extend(took);
        std::thread::park_timeout(Duration::from_micros(200));
    }
    round_trips.sort_unstable();
    let exceeded_by = |part: usize| round_trips[round_trips.len() - 1 - round_trips.len() / part].as_secs_f64() * 1e6;
    println!("{} {}", exceeded_by(100), exceeded_by(1000));
}

/// When the system had the datagram that was received last.
#[expect(unsafe_code)]
fn received_at(socket: &UdpSocket) -> Option<SystemTime> {
    /// `SIOCGSTAMPNS` of linux/sockios.h.
    const SIOCGSTAMPNS: libc::c_ulong = 0x8907;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the descriptor is open, and the call writes a `timespec`.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSTAMPNS as _, &raw mut time) };
    (outcome == 0).then(|| SystemTime::UNIX_EPOCH + Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}
