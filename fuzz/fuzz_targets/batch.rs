//! The batched UDP file, built from its own source over real sockets on loopback: many clients, datagrams and replies of
//! all lengths, control messages that the system cut or that say something else, system calls that fail or do a part. No
//! octet outside of what the batch owns is touched (with AddressSanitizer), every datagram is what was sent, every reply
//! arrives once, whole, at who asked and from the address that was asked, or counts as not sent.
//!
//! Between the file and the system stand the functions of this one: what the file calls `libc` is this crate, which is
//! that crate but for the calls that send and receive. They touch what the system would touch, so that the sanitizer sees it.
#![no_main]

extern crate self as libc;
pub use system::*;

#[path = "../../src/dns/serve/batch.rs"]
#[expect(dead_code)]
mod batch;
#[path = "../../src/dns/serve/batch_portable.rs"]
#[expect(dead_code)]
mod batch_portable;
#[path = "../../src/dns/serve/gso.rs"]
mod gso;

use batch::{BATCH_DATAGRAMS_MAX, Batch};
use libfuzzer_sys::fuzz_target;
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    ptr, slice,
    time::Duration,
};

/// Lengths of datagrams and replies; the file has limits at some of them.
const LENGTHS: [usize; 16] = [0, 1, 3, 12, 90, 91, 512, 1231, 1232, 1233, 2000, 4095, 4096, 4097, 9000, 20_000];
/// Clients of each server.
const CLIENTS: usize = 3;
/// Room for a reply.
const ROOMS: [usize; 4] = [12, 512, 1232, 4096];
/// Replies of so many octets wait in a client's socket without loss, each with what the system adds to it.
const WAITING: usize = 48 << 10;
/// What the system adds to a datagram, roughly.
const ADDED: usize = 1024;
const ERRORS: [c_int; 14] = [
    EINTR,
    EAGAIN,
    ENOBUFS,
    ENOMEM,
    EPERM,
    EHOSTUNREACH,
    ENETUNREACH,
    EADDRNOTAVAIL,
    EINVAL,
    EMSGSIZE,
    EIO,
    ECONNREFUSED,
    EBADF,
    EFAULT,
];

/// What goes wrong with the next calls, and what came of it.
#[derive(Default)]
struct Faults {
    /// The error of the next call that receives.
    receive: Option<c_int>,
    /// What is wrong with datagrams that are received.
    odd: Vec<Odd>,
    /// Of calls that send, how many messages go out before an error comes.
    send: Vec<(usize, c_int)>,
    /// Errors that were told.
    raised: Vec<c_int>,
}

/// Which datagrams of a batch are odd (one, or all), how, and a number for it.
struct Odd {
    place: Option<usize>,
    how: u8,
    number: u8,
}

impl Odd {
    fn each(&self) -> impl Iterator<Item = (usize, u8, u8)> {
        let places = self.place.map_or(0..BATCH_DATAGRAMS_MAX, |place| place..place + 1);
        places.map(|place| (place, self.how, self.number))
    }
}

thread_local! {
    static FAULTS: RefCell<Faults> = RefCell::default();
    static WORLD: Vec<Server> = servers();
}

fn fail(error: c_int) -> c_int {
    unsafe { *__errno_location() = error };
    -1
}

/// # Safety
/// As of the system's.
pub unsafe fn recvmmsg(
    socket: c_int,
    headers: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    FAULTS.with_borrow_mut(|faults| unsafe {
        if let Some(error) = faults.receive.take() {
            return fail(error);
        }
        for header in slice::from_raw_parts(headers, count as usize) {
            let header = &header.msg_hdr;
            // All of it is there to be written.
            for vector in slice::from_raw_parts(header.msg_iov, header.msg_iovlen) {
                if vector.iov_len > 0 {
                    vector.iov_base.cast::<u8>().write_volatile(0xee);
                    vector.iov_base.cast::<u8>().add(vector.iov_len - 1).write_volatile(0xee);
                }
            }
            ptr::write_bytes(header.msg_control.cast::<u8>(), 0xee, header.msg_controllen);
            ptr::write_bytes(header.msg_name.cast::<u8>(), 0, header.msg_namelen as usize);
        }
        let received = system::recvmmsg(socket, headers, count, flags, timeout);
        let filled = slice::from_raw_parts_mut(headers, usize::try_from(received).unwrap_or(0));
        for (place, how, number) in faults.odd.iter().flat_map(Odd::each) {
            let Some(header) = filled.get_mut(place) else { continue };
            let control = slice::from_raw_parts_mut(header.msg_hdr.msg_control.cast::<u8>(), 64);
            match how {
                0 => header.msg_hdr.msg_namelen = u32::from(number % 29),
                1 => *header.msg_hdr.msg_name.cast::<u8>() = number,
                // The system had no room for all of it.
                2 => {
                    header.msg_hdr.msg_flags |= MSG_CTRUNC;
                    header.msg_hdr.msg_controllen = usize::from(number % 65);
                }
                // Another message than the one that was asked for.
                3 => control[8 + usize::from(number % 8)] ^= number | 1,
                4 => control[usize::from(number % 64)] ^= number | 1,
                5 => {
                    header.msg_hdr.msg_flags |= MSG_TRUNC;
                    header.msg_len = 65_507;
                }
                6 => header.msg_hdr.msg_controllen = usize::from(number % 9) * 8,
                _ => header.msg_len = 0,
            }
        }
        received
    })
}

/// # Safety
/// As of the system's.
pub unsafe fn sendmmsg(socket: c_int, headers: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int {
    FAULTS.with_borrow_mut(|faults| unsafe {
        assert!(count > 0 && count as usize <= BATCH_DATAGRAMS_MAX);
        for header in slice::from_raw_parts(headers, count as usize) {
            look(&header.msg_hdr, faults.odd.is_empty());
        }
        let Some((before, error)) = faults.send.pop() else { return system::sendmmsg(socket, headers, count, flags) };
        if before > 0 {
            // The error is told by the next call, if it is still one then.
            faults.send.push((0, error));
            return system::sendmmsg(socket, headers, count.min(before as c_uint), flags);
        }
        faults.raised.push(error);
        fail(error)
    })
}

/// # Safety
/// As of the system's.
pub unsafe fn sendmsg(socket: c_int, header: *const msghdr, flags: c_int) -> ssize_t {
    FAULTS.with_borrow_mut(|faults| unsafe {
        look(&*header, faults.odd.is_empty());
        match faults.send.pop() {
            Some((_, error)) => {
                faults.raised.push(error);
                fail(error) as ssize_t
            }
            None => system::sendmsg(socket, header, flags),
        }
    })
}

/// Everything that the system would read of a message, and whether its control messages are as they must be.
unsafe fn look(header: &msghdr, in_order: bool) {
    let read = |at: *const u8, length: usize| {
        (0..length).map(|index| usize::from(unsafe { at.add(index).read_volatile() })).sum::<usize>()
    };
    let vectors = unsafe { slice::from_raw_parts(header.msg_iov, header.msg_iovlen) };
    assert!(!vectors.is_empty() && vectors.len() <= BATCH_DATAGRAMS_MAX);
    let octets: usize = vectors.iter().map(|vector| vector.iov_len).sum();
    assert!(octets > 0 && octets <= 65_507);
    for vector in vectors {
        read(vector.iov_base.cast(), vector.iov_len);
    }
    read(header.msg_name.cast(), header.msg_namelen as usize);
    read(header.msg_control.cast(), header.msg_controllen);
    if vectors.len() > 1 {
        // All but the last are as long as is said, and that one is not longer.
        let said =
            unsafe { header.msg_control.cast::<u8>().add(header.msg_controllen - 8).cast::<u16>().read_unaligned() };
        assert!(vectors[..vectors.len() - 1].iter().all(|vector| vector.iov_len == usize::from(said)));
        assert!(vectors[vectors.len() - 1].iov_len <= usize::from(said));
    }
    if in_order {
        let mut message = unsafe { CMSG_FIRSTHDR(header) };
        let mut total = 0;
        while let Some(one) = unsafe { message.as_ref() } {
            assert!(one.cmsg_len >= unsafe { CMSG_LEN(2) } as usize);
            total += (one.cmsg_len + 7) & !7;
            message = unsafe { CMSG_NXTHDR(header, message) };
        }
        assert_eq!(total, header.msg_controllen);
    }
}

/// A socket as the server has it, the addresses that it is asked at, and its clients.
struct Server {
    socket: UdpSocket,
    tells: bool,
    asked: Vec<SocketAddr>,
    clients: Vec<UdpSocket>,
}

fn servers() -> Vec<Server> {
    let server = |(listen, own, asked): (&str, &str, &[&str])| -> io::Result<Server> {
        let socket = UdpSocket::bind((listen, 0))?;
        let address = socket.local_addr()?;
        batch::prepare(&socket, address)?;
        socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        let client = |_| {
            let client = UdpSocket::bind((own, 0))?;
            client.set_read_timeout(Some(Duration::from_millis(500)))?;
            Ok(client)
        };
        let clients = (0..CLIENTS).map(client).collect::<io::Result<_>>()?;
        let at = |asked: &&str| SocketAddr::new(asked.parse().expect("an address"), address.port());
        let asked = asked.iter().map(at).collect();
        Ok(Server { socket, tells: address.ip().is_unspecified(), asked, clients })
    };
    let kinds: [(&str, &str, &[&str]); 4] = [
        ("127.0.0.1", "127.0.0.1", &["127.0.0.1"]),
        ("0.0.0.0", "127.0.0.1", &["127.0.0.1", "127.0.0.9", "127.200.0.1"]),
        ("::1", "::1", &["::1"]),
        ("::", "::1", &["::1"]),
    ];
    // A machine may have no IPv6.
    kinds.into_iter().filter_map(|kind| server(kind).ok()).collect()
}

/// The octets of an input, one after the other, and zeros behind them.
struct Octets<'i>(slice::Iter<'i, u8>);

impl Octets<'_> {
    fn next(&mut self) -> usize {
        self.0.next().map_or(0, |octet| usize::from(*octet))
    }

    fn is_over(&self) -> bool {
        self.0.len() == 0
    }
}

fuzz_target!(|input: &[u8]| {
    WORLD.with(|servers| {
        let mut octets = Octets(input.iter());
        let how = octets.next();
        let server = &servers[how % servers.len()];
        let room = ROOMS[how / 4 % ROOMS.len()];
        if how & 0x80 != 0 {
            return portable(server, room, &mut octets);
        }
        let mut batch = Batch::new(&server.socket, room);
        for round in 0..3 {
            if octets.is_over() {
                break;
            }
            turn(server, &mut batch, room, round, &mut octets);
        }
    });
});

/// Who asks, and at which address: their places among the server's.
type Way = (usize, usize);

/// Sends what clients ask; returns each with its way, in order.
fn ask(server: &Server, octets: &mut Octets<'_>, most: usize) -> Vec<(Way, Vec<u8>)> {
    let mut asked = Vec::new();
    for number in 0..octets.next() % (most + 1) {
        let what = octets.next();
        let (client, at) = (what % CLIENTS, what / CLIENTS % server.asked.len());
        let mut packet = vec![what as u8; LENGTHS[what / 16]];
        packet.iter_mut().zip([0, number as u8]).for_each(|(octet, value)| *octet = value);
        server.clients[client].send_to(&packet, server.asked[at]).expect("loopback takes it");
        asked.push(((client, at), packet));
    }
    asked
}

/// How often what is expected by whom.
type Replies = HashMap<(Way, Vec<u8>), isize>;

fn turn(server: &Server, batch: &mut Batch, room: usize, round: usize, octets: &mut Octets<'_>) {
    let mut asked = ask(server, octets, BATCH_DATAGRAMS_MAX + 6);
    let mut faults = Faults::default();
    let wrong = octets.next();
    if wrong & 0x0f == 1 {
        faults.receive = Some(ERRORS[octets.next() % ERRORS.len()]);
    }
    if wrong & 0x30 == 0x10 {
        let odd = |_| {
            let place = Some(octets.next() % (BATCH_DATAGRAMS_MAX + 32)).filter(|place| *place < BATCH_DATAGRAMS_MAX);
            Odd { place, how: octets.next() as u8 % 8, number: octets.next() as u8 }
        };
        faults.odd = (0..1 + wrong % 3).map(odd).collect();
    }
    if wrong & 0xc0 == 0x40 {
        faults.send = (0..1 + wrong % 5).map(|_| (octets.next() % 9, ERRORS[octets.next() % ERRORS.len()])).collect();
    }
    let odd: Vec<usize> = faults.odd.iter().flat_map(Odd::each).map(|(place, ..)| place).collect();
    let fails = faults.receive.is_some();
    FAULTS.set(faults);
    let received = batch.receive(&server.socket, wrong & 0x3f == 0x3f);
    let count = match received {
        Ok(count) => count,
        Err(error) => {
            assert!(fails || asked.is_empty() || error.kind() == io::ErrorKind::WouldBlock, "{error}");
            // What waits is not the next round's.
            drain(&server.socket);
            return;
        }
    };
    assert!(count <= BATCH_DATAGRAMS_MAX && count <= asked.len());
    let (mut expected, mut weights) = (Replies::new(), vec![0; server.clients.len()]);
    let mut ways = Vec::new();
    for index in 0..count {
        let destination = batch.destination(index);
        let source = batch.source(index);
        let packet = batch.packet(index).to_vec();
        let choice = octets.next();
        let (seen, reply) = batch.exchange(index);
        assert_eq!((seen, reply.len()), (&packet[..], room));
        let tag = [0x80 | round as u8, index as u8, choice as u8];
        let length = LENGTHS[choice / 16];
        reply.fill(tag[2]);
        reply.iter_mut().zip(tag).for_each(|(octet, value)| *octet = value);
        let said = reply[..length.min(room)].to_vec();
        batch.set_reply(index, length);
        if odd.contains(&index) {
            continue;
        }
        // The system keeps their order, and may lose some.
        let place = asked.iter().position(|((client, at), sent)| {
            source == server.clients[*client].local_addr().ok()
                && packet == sent[..sent.len().min(4096)]
                && destination.is_none_or(|destination| destination == server.asked[*at].ip())
        });
        let (way, _) = asked.remove(place.expect("who was it?"));
        assert_eq!(destination.is_some(), server.tells);
        if choice % 16 == 5 {
            batch.set_reply(index, 0);
            ways.push((way, batch.way_back(index), tag));
        } else if !said.is_empty() {
            weights[way.0] += said.len() + ADDED;
            *expected.entry((way, said)).or_default() += 1;
        }
    }
    let sent = batch.send(&server.socket);
    let raised = FAULTS.with_borrow(|faults| faults.raised.clone());
    let lost = match sent {
        Ok((lost, reason)) => {
            assert_eq!(lost > 0, reason.is_some());
            assert!(lost as usize <= raised.len() + odd.len(), "{lost} are lost, {reason:?}");
            lost as isize
        }
        Err(error) => {
            assert!(matches!(error.raw_os_error(), Some(EBADF | EFAULT)) && !raised.is_empty(), "{error}");
            isize::MAX
        }
    };
    FAULTS.set(Faults::default());
    for (way, back, tag) in ways {
        batch::send_one(&server.socket, &back, &tag).expect("it is sent");
        weights[way.0] += tag.len() + ADDED;
        *expected.entry((way, tag.to_vec())).or_default() += 1;
    }
    arrived(server, expected, &weights, lost, !odd.is_empty());
    drain(&server.socket);
}

/// A datagram of a socket, and who sent it; `None` where none comes.
fn take(socket: &UdpSocket, buffer: &mut [u8], flags: c_int) -> Option<(usize, Option<SocketAddr>)> {
    // SAFETY: what is initialised is also what may be; the call writes nothing but octets.
    let buffer = unsafe { &mut *(ptr::from_mut(buffer) as *mut [std::mem::MaybeUninit<u8>]) };
    let (length, source) = socket2::SockRef::from(socket).recv_from_with_flags(buffer, flags).ok()?;
    Some((length, source.as_socket()))
}

fn drain(socket: &UdpSocket) {
    while take(socket, &mut [], MSG_DONTWAIT).is_some() {}
}

/// Clients have got what is expected but for so many, and nothing else but what odd datagrams led to.
fn arrived(server: &Server, mut expected: Replies, weights: &[usize], lost: isize, odd: bool) {
    let mut missing = 0;
    for (client, socket) in server.clients.iter().enumerate() {
        let mut buffer = [0; 8192];
        let left = |expected: &Replies| {
            expected
                .iter()
                .filter(|(((to, _), _), count)| *to == client && **count > 0)
                .map(|(_, count)| count)
                .sum::<isize>()
        };
        let is_whole = weights[client] <= WAITING;
        loop {
            // Whether something is still under way is worth a wait only if it has to come.
            let waits = is_whole && lost == 0 && left(&expected) > 0;
            let flags = if waits { 0 } else { MSG_DONTWAIT };
            let Some((length, source)) = take(socket, &mut buffer, flags) else { break };
            let at = server.asked.iter().position(|asked| Some(*asked) == source);
            let count = at.map(|at| expected.entry(((client, at), buffer[..length].to_vec())).or_default());
            let wanted = count.is_some_and(|count| {
                *count -= 1;
                *count >= 0
            });
            assert!(odd || wanted, "client {client} got {:?} from {source:?}", &buffer[..length.min(8)]);
        }
        if is_whole {
            missing += left(&expected);
        }
    }
    assert!(missing <= lost, "{missing} are missing, {lost} were not sent");
}

/// The same file for systems without these calls.
fn portable(server: &Server, room: usize, octets: &mut Octets<'_>) {
    let mut batch = batch_portable::Batch::new(&server.socket, room);
    assert!(batch.receive(&server.socket, false).is_err());
    for ((client, _), packet) in ask(server, octets, 3) {
        // Others may be lost, not the few that wait here.
        assert_eq!(batch.receive(&server.socket, true).expect("a datagram"), 1);
        let source: Option<SocketAddr> = server.clients[client].local_addr().ok();
        assert_eq!((batch.source(0), batch.destination(0)), (source, None::<IpAddr>));
        assert_eq!(batch.packet(0), &packet[..packet.len().min(4096)]);
        let length = LENGTHS[octets.next() / 16];
        let (_, reply) = batch.exchange(0);
        reply.fill(7);
        let said = reply[..length.min(room)].to_vec();
        batch.set_reply(0, length);
        assert_eq!(batch.send(&server.socket).expect("a socket").0, 0);
        // From a wildcard it leaves from the address that the routing table chooses.
        if !said.is_empty() {
            let mut buffer = [0; 8192];
            let length = server.clients[client].recv(&mut buffer).expect("a reply");
            assert_eq!(&buffer[..length], said);
        }
    }
    arrived(server, Replies::new(), &vec![usize::MAX; server.clients.len()], isize::MAX, true);
}
