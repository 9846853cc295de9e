//! NOTIFY (RFC 1996): notifies secondaries that a zone has changed, until they acknowledge it.
//!
//! Which server is to be notified of what and when is decided by [`Ledger`], which knows neither sockets nor clocks.

use super::{TransferCounters, TransferPolicy, now, one_more};
use crate::dns::{
    name::Name,
    serve::NotifyTarget,
    wire::{
        HEADER, class,
        encoded::QUESTION_POINTER,
        query::Query,
        rdata::RecordType,
        tsig::{self, Signer, TsigKey},
    },
    zone::{Reader, Snapshot, Zone},
};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::{net::UdpSocket, sync::Notify};

/// Shortest time between two messages about the same zone to the same server.
const NOTIFY_INTERVAL_MIN: Duration = Duration::from_millis(500);
/// Wait for the first reply; it doubles with each further try.
const FIRST_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Longest wait, also for a server that replied with an error.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Tries until the next change.
const TRIES_MAX: u32 = 10;

const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const OPCODE: u16 = 4;

/// The notifications of one server about one zone.
#[derive(Debug, Default)]
struct NotifyEntry {
    serial: u32,
    /// When to notify it; nothing when it has acknowledged, or was notified too often.
    due: Option<Instant>,
    last_sent: Option<Instant>,
    /// Shortest time from the last message to the next after a change.
    pause: Duration,
    tries: u32,
}

/// Which servers are to be notified of which zones.
#[derive(Debug, Default)]
struct Ledger {
    /// By the server's number and the zone.
    entries: BTreeMap<(usize, Name), NotifyEntry>,
}

impl Ledger {
    /// Takes the zones' serials; those that differ are to be sent to all `servers`.
    fn changed(&mut self, servers: usize, serials: &[(Name, u32)], now: Instant) {
        self.entries.retain(|(_, zone), _| serials.iter().any(|(served, _)| served == zone));
        for server in 0..servers {
            for (zone, serial) in serials {
                let is_new = !self.entries.contains_key(&(server, zone.clone()));
                let entry = self.entries.entry((server, zone.clone())).or_default();
                if is_new || entry.serial != *serial {
                    entry.serial = *serial;
                    let earliest = entry.last_sent.map_or(now, |last| last + entry.pause.max(NOTIFY_INTERVAL_MIN));
                    if entry.due.is_none() {
                        (entry.due, entry.tries) = (Some(earliest.max(now)), 0);
                    }
                }
            }
        }
    }

    /// The notifications that are due now, and how many are given up until the next change.
    fn take_due(&mut self, now: Instant) -> (Vec<(usize, Name)>, u64) {
        let (mut due, mut given_up) = (Vec::new(), 0);
        for ((server, zone), entry) in &mut self.entries {
            if entry.due.is_none_or(|at| at > now) {
                continue;
            }
            if entry.tries >= TRIES_MAX {
                (entry.due, entry.pause) = (None, RETRY_MAX);
                given_up += 1;
                continue;
            }
            let wait = (FIRST_RETRY_PAUSE * 2_u32.pow(entry.tries)).min(RETRY_MAX);
            entry.tries += 1;
            (entry.last_sent, entry.due) = (Some(now), Some(now + wait));
            due.push((*server, zone.clone()));
        }
        (due, given_up)
    }

    /// A server replied to the notification about `zone` when that had `serial`. A server that refuses them is
    /// notified less often.
    fn replied(&mut self, server: usize, zone: &Name, serial: u32, accepted: bool, now: Instant) {
        let Some(entry) = self.entries.get_mut(&(server, zone.clone())) else { return };
        entry.pause = if accepted { NOTIFY_INTERVAL_MIN } else { RETRY_MAX };
        let later = entry.last_sent.map_or(now, |last| last + entry.pause);
        entry.tries = 0;
        // What changed meanwhile is still to be told.
        entry.due = (entry.serial != serial).then_some(later);
    }

    fn next(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.due).min()
    }
}

/// A message on its way.
struct SentNotify {
    id: u16,
    zone: Name,
    serial: u32,
    /// Its signature.
    mac: Vec<u8>,
}

/// A message that announces a zone's present version, and its signature.
fn message(zone: &Zone, id: u16, key: Option<&Arc<TsigKey>>, now: u64) -> (Vec<u8>, Vec<u8>) {
    let soa = zone.soa();
    let mut message = Vec::with_capacity(HEADER + 2 * soa.owner.len() + soa.rdata.len() + 128);
    for field in [id, OPCODE << 11 | AA, 1, 1, 0, 0] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    message.extend_from_slice(soa.owner);
    for field in [RecordType::SOA.0, class::IN] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    message.extend_from_slice(&QUESTION_POINTER);
    for field in [RecordType::SOA.0, class::IN] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    message.extend_from_slice(&soa.ttl.to_be_bytes());
    message.extend_from_slice(&(soa.rdata.len() as u16).to_be_bytes());
    message.extend_from_slice(soa.rdata);
    let mut mac = Vec::new();
    if let Some(key) = key {
        let mut signer = Signer::request(key, id);
        signer.sign(&mut message, now);
        mac = signer.last().to_vec();
    }
    (message, mac)
}

/// The code of a reply to `sent`; `None` if it is none, or not signed as it must be.
fn reply(packet: &[u8], sent: &SentNotify, key: Option<&Arc<TsigKey>>, now: u64) -> Option<u16> {
    let field = |at: usize| packet.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let flags = field(2)?;
    if field(0)? != sent.id || flags & QR == 0 || flags >> 11 & 0x0f != OPCODE {
        return None;
    }
    if let Some(key) = key {
        // The reader of queries finds the signature of a reply as well.
        let mut as_query = packet.to_vec();
        as_query[2] &= 0x7f;
        let query = Query::parse(&as_query).filter(|query| query.signed)?;
        if !tsig::is_reply_to(packet, query.last_record, key, &sent.mac, now) {
            return None;
        }
    }
    Some(flags & 0x0f)
}

/// A thread that notifies secondaries; dropping it ends the thread.
#[derive(Debug)]
pub struct Notifier {
    signal: Arc<NotifierSignal>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct NotifierSignal {
    changed: Notify,
    stop: Notify,
}

impl Notifier {
    /// Starts to notify the servers of `settings` of what `reader` shows, from one of the addresses that are `listened`
    /// on where there is a fitting one.
    pub fn start(
        settings: &TransferPolicy,
        listened: &[SocketAddr],
        reader: Reader,
        counters: Arc<TransferCounters>,
    ) -> io::Result<Notifier> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let signal = Arc::<NotifierSignal>::default();
        let sockets = runtime.block_on(async { NotifySockets::bind(&settings.notify, listened) })?;
        let key = |name: &Option<Name>| {
            let name = name.as_ref()?;
            settings.keys.iter().find(|key| key.name() == name).cloned()
        };
        let servers = settings.notify.iter().map(|target| Secondary {
            address: target.address,
            key: key(&target.key),
            sent: BTreeMap::new(),
        });
        let telling = NotifyTask { servers: servers.collect(), sockets, reader, counters, ledger: Ledger::default() };
        let stop_signal = Arc::clone(&signal);
        let thread = std::thread::Builder::new()
            .name("notify".to_owned())
            .spawn(move || runtime.block_on(telling.run(&stop_signal)))?;
        Ok(Notifier { signal, thread: Some(thread) })
    }

    /// What is to be called when something was published; cheap.
    pub fn hint(&self) -> impl Fn() + Send + use<> {
        let signal = Arc::clone(&self.signal);
        move || signal.changed.notify_one()
    }

    /// Whether its thread has ended before this was dropped.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.signal.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }
}

struct Secondary {
    address: SocketAddr,
    key: Option<Arc<TsigKey>>,
    /// The last message about each zone; replies to earlier ones no longer matter.
    sent: BTreeMap<Name, SentNotify>,
}

/// One socket of each family that is needed.
struct NotifySockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl NotifySockets {
    fn bind(targets: &[NotifyTarget], listened: &[SocketAddr]) -> io::Result<NotifySockets> {
        let bind = |is_v4: bool| {
            if !targets.iter().any(|target| target.address.is_ipv4() == is_v4) {
                return Ok(None);
            }
            let socket = std::net::UdpSocket::bind((source(is_v4, targets, listened), 0))?;
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket).map(Some)
        };
        Ok(NotifySockets { v4: bind(true)?, v6: bind(false)? })
    }

    fn of(&self, address: SocketAddr) -> Option<&UdpSocket> {
        if address.is_ipv4() { self.v4.as_ref() } else { self.v6.as_ref() }
    }
}

/// Where messages come from: secondaries take them from the server that they know, which is one that is listened on. From
/// loopback only the machine itself can be reached.
fn source(is_v4: bool, targets: &[NotifyTarget], listened: &[SocketAddr]) -> IpAddr {
    let family = |address: &&SocketAddr| address.is_ipv4() == is_v4;
    let local = targets.iter().map(|target| &target.address).filter(family).all(|address| address.ip().is_loopback());
    let fits = |address: &&SocketAddr| !address.ip().is_unspecified() && address.ip().is_loopback() == local;
    let any = if is_v4 { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    listened.iter().filter(family).find(fits).map_or(any, SocketAddr::ip)
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

struct NotifyTask {
    servers: Vec<Secondary>,
    sockets: NotifySockets,
    reader: Reader,
    counters: Arc<TransferCounters>,
    ledger: Ledger,
}

impl NotifyTask {
    async fn run(mut self, signal: &NotifierSignal) {
        let (mut of_v4, mut of_v6) = ([0; 1232], [0; 1232]);
        loop {
            self.look();
            self.tell().await;
            // Without anything to tell, until something changes.
            let next = self.ledger.next().unwrap_or_else(|| Instant::now() + RETRY_MAX);
            tokio::select! {
                () = signal.stop.notified() => return,
                () = signal.changed.notified() => {}
                () = tokio::time::sleep_until(next.into()) => {}
                got = receive(self.sockets.v4.as_ref(), &mut of_v4) => self.heard(got, &of_v4),
                got = receive(self.sockets.v6.as_ref(), &mut of_v6) => self.heard(got, &of_v6),
            }
        }
    }

    fn look(&mut self) {
        let snapshot = self.reader.load();
        // Nothing is transferred before.
        if snapshot.is_synced() {
            self.ledger.changed(self.servers.len(), &snapshot.serials(), Instant::now());
        }
    }

    async fn tell(&mut self) {
        let snapshot: Arc<Snapshot> = Arc::clone(&self.reader.load());
        let (due, given_up) = self.ledger.take_due(Instant::now());
        for (server, zone) in due {
            let (Some(server), Some(zone)) = (self.servers.get_mut(server), snapshot.zone_at(zone.as_wire())) else {
                continue;
            };
            let id = fastrand::u16(..);
            let (message, mac) = message(&zone, id, server.key.as_ref(), now());
            let sent = SentNotify { id, zone: zone.origin().clone(), serial: zone.serial(), mac };
            server.sent.insert(zone.origin().clone(), sent);
            one_more(&self.counters.notifies);
            if let Some(socket) = self.sockets.of(server.address)
                && let Err(error) = socket.send_to(&message, server.address).await
            {
                tracing::debug!(server = %server.address, %error, "NOTIFY could not be sent; it is tried again");
            }
        }
        if given_up > 0 {
            self.counters.unacknowledged.fetch_add(given_up, std::sync::atomic::Ordering::Relaxed);
            tracing::warn!(
                zones = given_up,
                "no reply to NOTIFY; tried again with the next change (transfer.notify in the settings)"
            );
        }
    }

    fn heard(&mut self, got: io::Result<(usize, SocketAddr)>, buffer: &[u8]) {
        // An error tells of an earlier message that did not arrive, which is tried again.
        let Ok((length, source)) = got else { return };
        let Some(packet) = buffer.get(..length) else { return };
        for (number, server) in self.servers.iter_mut().enumerate().filter(|(_, server)| server.address == source) {
            let key = server.key.as_ref();
            let found = server.sent.values().find_map(|sent| Some((sent, reply(packet, sent, key, now())?)));
            let Some((sent, rcode)) = found else { continue };
            let (zone, serial, accepted) = (sent.zone.clone(), sent.serial, rcode == 0);
            self.ledger.replied(number, &zone, serial, accepted, Instant::now());
            server.sent.remove(&zone);
            one_more(if accepted { &self.counters.acknowledged } else { &self.counters.unacknowledged });
            tracing::debug!(%zone, serial, server = %source, rcode, "NOTIFY was replied to");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{
        wire::tsig::Algorithm,
        zone::{self, ZoneSpec},
    };

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    /// Lets time pass; returns when what was sent, in milliseconds.
    fn play(ledger: &mut Ledger, start: Instant, until: u64) -> Vec<u64> {
        let end = start + Duration::from_millis(until);
        let mut sent = Vec::new();
        while let Some(next) = ledger.next().filter(|next| *next <= end) {
            let (due, _) = ledger.take_due(next);
            sent.extend(due.iter().map(|_| next.duration_since(start).as_millis() as u64));
        }
        sent
    }

    #[test]
    fn told_until_it_is_heard() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let zone = name("cluster.local");
        let serials = |serial| vec![(zone.clone(), serial)];
        let mut ledger = Ledger::default();
        ledger.changed(1, &serials(1), start);
        // Nobody replies: ever more seldom, then not any more.
        assert_eq!(play(&mut ledger, start, 20_000), [0, 1000, 3000, 7000, 15_000]);
        assert_eq!(play(&mut ledger, start, 10_000_000).len() as u32, TRIES_MAX - 5);
        assert_eq!(ledger.next(), None);
        // Another change is another reason; who did not reply before is asked at most once a minute.
        ledger.changed(1, &serials(2), at(10_000_000));
        assert_eq!(play(&mut ledger, start, 10_000_500), [10_000_000]);
        ledger.replied(0, &zone, 2, true, at(10_000_600));
        assert_eq!(ledger.next(), None);
        // Many changes are told at once.
        for (serial, time) in (3..100).zip(10_000_700..) {
            ledger.changed(1, &serials(serial), at(time));
        }
        assert_eq!(play(&mut ledger, start, 10_000_999), [10_000_700]);
        // What changed since then is told after the pause.
        ledger.replied(0, &zone, 3, true, at(10_001_000));
        assert_eq!(play(&mut ledger, start, 10_001_300), [10_001_200]);
        ledger.replied(0, &zone, 99, false, at(10_001_400));
        // Who does not want to hear of the zone is told once a minute.
        ledger.changed(1, &serials(100), at(10_001_500));
        assert_eq!(play(&mut ledger, start, 10_062_000), [10_061_200]);
        // A zone that is gone is told to nobody.
        ledger.changed(1, &[], at(10_062_000));
        assert_eq!((ledger.next(), ledger.entries.len()), (None, 0));
    }

    #[test]
    fn where_messages_come_from() {
        let target = |address: &str| NotifyTarget { address: address.parse().unwrap(), key: None };
        let rows = [
            ("127.0.0.1:53", "127.0.0.1:53", "127.0.0.1"),
            ("192.0.2.1:53", "127.0.0.1:53 192.0.2.9:53", "192.0.2.9"),
            ("192.0.2.1:53", "127.0.0.1:53", "0.0.0.0"),
            ("192.0.2.1:53", "0.0.0.0:53", "0.0.0.0"),
            ("127.0.0.1:53", "192.0.2.9:53", "0.0.0.0"),
        ];
        for (to, listened, expected) in rows {
            let listened: Vec<SocketAddr> = listened.split(' ').map(|address| address.parse().unwrap()).collect();
            assert_eq!(
                source(true, &[target(to)], &listened),
                expected.parse::<IpAddr>().unwrap(),
                "{to} {listened:?}"
            );
        }
        assert_eq!(source(false, &[], &[]), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    }

    /// A server that hears of a change and says so, with and without a key; a wrong reply counts for nothing.
    #[test]
    fn a_server_is_told() {
        let key = Arc::new(TsigKey::new(name("own"), Algorithm::Sha256, b"0123456789abcdef"));
        for key in [None, Some(key)] {
            let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let target =
                NotifyTarget { address: server.local_addr().unwrap(), key: key.as_ref().map(|key| key.name().clone()) };
            let settings = TransferPolicy {
                notify: vec![target],
                keys: key.iter().cloned().collect(),
                ..TransferPolicy::default()
            };
            let spec = ZoneSpec {
                origin: name("cluster.local"),
                name_server: name("ns.cluster.local"),
                name_server_addresses: vec![],
                mailbox: name("h.cluster.local"),
                serial: 7,
                ttl: 5,
                negative_ttl: 1,
                empty_names: vec![],
            };
            let (mut publisher, reader) = zone::channel(Snapshot::new(vec![spec]));
            let counters = Arc::<TransferCounters>::default();
            let notifier = Notifier::start(&settings, &[], reader, Arc::clone(&counters)).unwrap();
            publisher.subscribe(notifier.hint());
            publisher.publish(publisher.current().synced());
            let mut buffer = [0; 512];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            let message = &buffer[..length];
            let query = Query::parse(message).unwrap();
            assert_eq!((query.header.opcode, query.signed), (4, key.is_some()));
            assert_eq!(query.question.unwrap().name(), name("cluster.local").as_wire());
            // Another id, then the code of an error with a key that is wrong, then the reply.
            let end = HEADER + query.question.unwrap().octets.len();
            let mut reply = message[..end].to_vec();
            reply[2] |= 0x80;
            reply[6..12].fill(0);
            let mut wrong = reply.clone();
            wrong[0] ^= 1;
            server.send_to(&wrong, from).unwrap();
            if let Some(key) = &key {
                server.send_to(&reply, from).unwrap();
                match tsig::check(message, query.last_record, std::slice::from_ref(key), now()) {
                    tsig::SignatureCheck::Good(mut signer) => signer.sign(&mut reply, now()),
                    other => panic!("{other:?}"),
                }
            }
            server.send_to(&reply, from).unwrap();
            let end = Instant::now() + Duration::from_secs(20);
            while counters.acknowledged.load(std::sync::atomic::Ordering::Relaxed) == 0 {
                assert!(Instant::now() < end, "never acknowledged");
                std::thread::yield_now();
            }
            assert!(!notifier.has_ended());
            drop(notifier);
            assert_eq!(counters.acknowledged.load(std::sync::atomic::Ordering::Relaxed), 1);
        }
    }
}
