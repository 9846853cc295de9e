//! All zones at one instant: what a query is answered from.

use super::{
    Delta, JournalLimits, NameHash, NameLookup, PREFETCH_MAX, Rrset, RrsetRef, Zone,
    file::StaticZone,
    serial,
    zone::{FileRecords, ZONES_COUNTED},
};
use crate::dns::{
    name::{Name, parent},
    wire::rdata::{self, RecordType},
};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

/// The timers for secondaries in SOA: refresh, retry and expire in seconds.
const REFRESH_RETRY_EXPIRE: [u32; 3] = [7200, 1800, 86_400];

/// A zone that exists from the start (the cluster domain, a reverse zone): its apex and its SOA and NS.
#[derive(Debug, Clone)]
pub struct ZoneSpec {
    /// The apex.
    pub origin: Name,
    /// NS target and SOA MNAME; where it lies inside a zone, `name_server_addresses` become its A and AAAA.
    pub name_server: Name,
    /// Addresses of the name server.
    pub name_server_addresses: Vec<IpAddr>,
    /// SOA RNAME.
    pub mailbox: Name,
    /// First SOA serial.
    pub serial: u32,
    /// TTL of SOA and NS in seconds.
    pub ttl: u32,
    /// Negative TTL in seconds: SOA MINIMUM.
    pub negative_ttl: u32,
    /// Names that exist without records of their own (`svc` of the cluster domain).
    pub empty_names: Vec<Name>,
}

/// Immutable; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Snapshot {
    synced: bool,
    generation: u64,
    /// The zones that deltas feed. A static zone within one of them is served in its stead, but does not stop the feed:
    /// when the static zone goes, what it covered is there.
    fed: ZoneTable,
    /// The zones of files, as they came: apex, zone, serial in the file.
    files: Vec<(Arc<Zone>, StaticZone)>,
    /// All zones, by which queries are answered.
    served: ZoneTable,
    /// Apexes of all zones that were ever served, each at its [`Zone::number`].
    numbered: Arc<Vec<Name>>,
    /// The last serials of an earlier run, beyond which zones of files that are read first do not go back.
    earlier: Arc<BTreeMap<Name, u32>>,
    /// What this server is called by those who ask it.
    identity: Option<Arc<str>>,
    /// How much each zone remembers of its changes.
    journal: JournalLimits,
}

/// Longest identity in octets: one string of a TXT record.
pub const IDENTITY_MAX: usize = 255;

impl Snapshot {
    /// The zones with nothing in them yet; not synced. Of two with one apex the first counts.
    pub fn new(zones: Vec<ZoneSpec>) -> Snapshot {
        let mut fed = ZoneTable::default();
        for spec in &zones {
            if fed.exact(&spec.origin).is_none() {
                fed.insert(Arc::new(zone_of(spec)));
            }
        }
        for spec in &zones {
            let Some(zone) = fed.closest(spec.name_server.as_wire()) else { continue };
            let mut zone = Zone::clone(zone);
            for rtype in [RecordType::A, RecordType::AAAA] {
                let known = zone.node(spec.name_server.as_wire()).and_then(|node| node.set(rtype));
                let known = known.map(|set| set.rdata().map(<[u8]>::to_vec).collect::<Vec<_>>()).unwrap_or_default();
                let own = spec.name_server_addresses.iter().filter_map(|address| match (address, rtype) {
                    (IpAddr::V4(address), RecordType::A) => Some(rdata::a(*address)),
                    (IpAddr::V6(address), RecordType::AAAA) => Some(rdata::aaaa(*address)),
                    _ => None,
                });
                let set = Rrset::new(rtype, spec.ttl, known.into_iter().chain(own));
                zone.change(&spec.name_server, rtype, Some(&set).filter(|set| !set.is_empty()));
            }
            fed.insert(Arc::new(zone));
        }
        let mut snapshot = Snapshot {
            synced: false,
            generation: 0,
            fed,
            files: Vec::new(),
            served: ZoneTable::default(),
            numbered: Arc::default(),
            earlier: Arc::default(),
            identity: None,
            journal: JournalLimits::default(),
        };
        snapshot.serve();
        snapshot
    }

    /// The snapshot that knows the last serials of an earlier run: a static zone whose file has a lower serial
    /// continues after it.
    pub fn after_serials(mut self, earlier: BTreeMap<Name, u32>) -> Snapshot {
        self.earlier = Arc::new(earlier);
        self
    }

    /// The snapshot with the identity of this server (NSID, `id.server`), in at most [`IDENTITY_MAX`] octets; a longer
    /// text is cut.
    pub fn with_identity(mut self, identity: Option<&str>) -> Snapshot {
        self.identity = identity.map(|text| text[..text.floor_char_boundary(IDENTITY_MAX)].into());
        self
    }

    /// Who this server is, if it has been given a name.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The snapshot whose zones remember what changes from now on, for secondaries.
    pub fn keeping_journals(mut self, limits: JournalLimits) -> Snapshot {
        self.journal = limits;
        let zones: Vec<Arc<Zone>> = self.served.by_apex.values().chain(self.fed.by_apex.values()).cloned().collect();
        for zone in zones {
            let mut zone = Zone::clone(&zone);
            zone.keep_journal(limits);
            self.put(Arc::new(zone));
        }
        self
    }

    /// The snapshot with `delta` applied: generation + 1; the serial of each zone whose records differ grows.
    pub fn apply(&self, delta: &Delta) -> Snapshot {
        let mut next = self.edit();
        next.apply(delta);
        next.finish()
    }

    /// Begins the next snapshot, for what comes in several deltas and is to be seen in one step.
    pub fn edit(&self) -> SnapshotEdit<'_> {
        SnapshotEdit { before: self, changed: HashMap::default() }
    }

    /// The snapshot with the static zones replaced; a zone whose contents are the same keeps its serial. Another serial
    /// in the file is taken over if it is the later one, else the serial of a zone that differs grows by one.
    ///
    /// The longest apex wins: a static zone within a fed one is served in its stead. A static zone with the apex of a
    /// fed one is laid beneath it: its SOA is ignored, and what deltas say of a name and type wins over the file.
    pub fn with_static_zones(&self, zones: Vec<StaticZone>) -> Snapshot {
        let mut next = self.clone();
        next.generation += 1;
        next.files.clear();
        let mut beneath: BTreeMap<Name, FileRecords> = BTreeMap::new();
        for file in zones {
            if self.fed.exact(file.origin()).is_some() {
                beneath.entry(file.origin().clone()).or_insert_with(|| file.by_owner());
            } else if !next.files.iter().any(|(zone, _)| zone.origin() == file.origin()) {
                let before = self.files.iter().find(|(zone, _)| zone.origin() == file.origin());
                let zone = match before {
                    Some((zone, before)) if before.same_records(&file) => Arc::clone(zone),
                    Some((before, _)) => {
                        let mut zone = zone_of_file(&file, Some(before.serial()));
                        zone.follow(before);
                        Arc::new(zone)
                    }
                    None => {
                        // The same serial as in the earlier run most likely means the same records.
                        let earlier = self.earlier.get(file.origin()).copied();
                        let earlier = earlier.filter(|&earlier| earlier != serial::of_soa(file.soa().1));
                        let mut zone = zone_of_file(&file, earlier);
                        zone.keep_journal(self.journal);
                        Arc::new(zone)
                    }
                };
                next.files.push((zone, file));
            }
        }
        for present in self.fed.zones() {
            let mut zone = Zone::clone(present);
            if zone.lay_under(beneath.remove(zone.origin()).unwrap_or_default()) {
                zone.grow_serial();
            }
            next.fed.insert(Arc::new(zone));
        }
        next.serve();
        // A zone that came or went below another takes names of that with it, or gives them back.
        let changed = next.served.by_apex.values().filter(|zone| {
            let before = self.served.exact(zone.origin());
            before.is_some_and(|before| before.apexes_below() != zone.apexes_below())
        });
        for zone in changed.cloned().collect::<Vec<_>>() {
            let mut zone = Zone::clone(&zone);
            zone.begin_anew();
            next.put(Arc::new(zone));
        }
        next
    }

    /// The snapshot marked complete: from now on absence is answered NXDOMAIN and no longer SERVFAIL.
    pub fn synced(&self) -> Snapshot {
        Snapshot { synced: true, ..self.clone() }
    }

    /// Whether the first complete load is in.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// Grows by one with each change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Number of names that hold records, and of records.
    pub fn counts(&self) -> (usize, usize) {
        let counts = self.served.zones().map(Zone::counts);
        counts.fold((0, 0), |sum, (names, records)| (sum.0 + names, sum.1 + records))
    }

    /// Each zone's apex and serial, in order of the apex.
    pub fn serials(&self) -> Vec<(Name, u32)> {
        let mut serials: Vec<_> = self.served.zones().map(|zone| (zone.origin().clone(), zone.serial())).collect();
        serials.sort_unstable();
        serials
    }

    /// The apexes of all zones that were ever served, each at its [`Zone::number`]; at most [`ZONES_COUNTED`].
    pub fn numbered(&self) -> &[Name] {
        &self.numbered
    }

    /// Each zone that is served, in no order.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.served.zones()
    }

    /// The zone that answers for a name in lower-cased wire form: the one with the longest apex above it.
    #[inline]
    pub fn zone_of(&self, name: &[u8]) -> Option<&Zone> {
        self.served.closest(name).map(|zone| &**zone)
    }

    /// The zone for whose names it pays to look ahead ([`Zone::fetch`]), if there is one.
    #[inline]
    pub fn vast_zone(&self) -> Option<&Zone> {
        self.served.vast.as_deref()
    }

    /// The zone with exactly this apex, for those who need it for longer than this snapshot.
    pub fn zone_at(&self, origin: &[u8]) -> Option<Arc<Zone>> {
        self.served.closest(origin).filter(|zone| zone.origin().as_wire() == origin).map(Arc::clone)
    }

    /// The zone above the apex `origin`, if it is served too: DS belongs to that side of a cut (RFC 4035 §3.1.4.1).
    pub fn parent_zone(&self, origin: &[u8]) -> Option<&Zone> {
        self.zone_of(parent(origin)?)
    }

    /// The set at exactly this name, without wildcards, aliases or delegations.
    pub fn lookup(&self, name: &Name, rtype: RecordType) -> Option<RrsetRef<'_>> {
        match self.zone_of(name.as_wire())?.find(name.as_wire()) {
            NameLookup::Node(node) => node.set(rtype),
            _ => None,
        }
    }

    /// Whether the name exists, be it without records.
    pub fn exists(&self, name: &Name) -> bool {
        let zone = self.zone_of(name.as_wire());
        zone.is_some_and(|zone| zone.node(name.as_wire()).is_some())
    }

    /// Rebuilds the table by which queries are answered. Names above an apex that lies within another zone must exist
    /// there (RFC 8020), so the apexes are pinned in the zones above them.
    fn serve(&mut self) {
        let mut served = self.fed.clone();
        for (zone, _) in &self.files {
            served.insert(Arc::clone(zone));
        }
        let mut apexes: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        for zone in served.zones() {
            let above = parent(zone.origin().as_wire()).and_then(|name| served.closest(name));
            if let Some(above) = above {
                apexes.entry(above.origin().clone()).or_default().push(zone.origin().clone());
            }
        }
        let zones: Vec<Arc<Zone>> = served.by_apex.values().cloned().collect();
        for zone in zones {
            let mut below = apexes.remove(zone.origin()).unwrap_or_default();
            below.sort_unstable();
            if zone.apexes_below() == below {
                continue;
            }
            let mut zone = Zone::clone(&zone);
            zone.set_apexes_below(below);
            let zone = Arc::new(zone);
            served.insert(Arc::clone(&zone));
            self.put(zone);
        }
        self.served = served;
        self.number();
    }

    /// Gives each new zone its number; one that comes back has the one it had.
    fn number(&mut self) {
        let mut zones: Vec<Arc<Zone>> = self.served.by_apex.values().cloned().collect();
        zones.sort_unstable_by(|one, other| one.origin().cmp(other.origin()));
        for zone in zones {
            let known = self.numbered.iter().position(|name| name == zone.origin());
            let number = known.unwrap_or(self.numbered.len());
            if zone.number() == number || number >= ZONES_COUNTED {
                continue;
            }
            if known.is_none() {
                Arc::make_mut(&mut self.numbered).push(zone.origin().clone());
            }
            let mut zone = Zone::clone(&zone);
            zone.set_number(number as u8);
            self.put(Arc::new(zone));
        }
    }

    /// Puts a zone in the place of the one with the same apex, be it fed or of a file.
    fn put(&mut self, zone: Arc<Zone>) {
        match self.files.iter_mut().find(|(file, _)| file.origin() == zone.origin()) {
            Some((file, _)) => *file = Arc::clone(&zone),
            None => self.fed.insert(Arc::clone(&zone)),
        }
        self.served.insert(zone);
    }
}

/// A snapshot that is being made, which readers do not see before [`SnapshotEdit::finish`].
#[derive(Debug)]
pub struct SnapshotEdit<'s> {
    before: &'s Snapshot,
    /// Zones under change, and whether their records differ.
    changed: HashMap<&'s Name, (Zone, bool), foldhash::fast::RandomState>,
}

impl<'s> SnapshotEdit<'s> {
    /// Applies one more delta.
    pub fn apply(&mut self, delta: &Delta) {
        let mut near = 0;
        for (index, (owner, rtype, set)) in last_of_each(delta) {
            if index >= near {
                near = delta.changes.len().min(index + PREFETCH_MAX);
                self.look_ahead(&delta.changes[index..near]);
            }
            if let Some((zone, differs)) = self.zone(owner) {
                *differs |= zone.change(owner, *rtype, set.as_ref());
            }
        }
        for (owner, note) in &delta.notes {
            if let Some((zone, _)) = self.zone(owner) {
                zone.note(owner, note.as_ref());
            }
        }
    }

    /// Has the processor fetch what these changes need, which are mostly of one zone.
    fn look_ahead(&mut self, changes: &[Change]) {
        let Some((zone, _)) = changes.first().and_then(|(owner, ..)| self.zone(owner)) else { return };
        if zone.counts().0 >= VAST_ZONE_NAMES_MIN {
            let places = changes.iter().map(|(owner, ..)| zone.place(owner.as_wire()));
            zone.fetch_to_change(&places.collect::<SmallVec<[NameHash; PREFETCH_MAX]>>());
        }
    }

    /// The fed zone of a name.
    fn zone(&mut self, owner: &Name) -> Option<&mut (Zone, bool)> {
        let present = self.before.fed.closest(owner.as_wire())?;
        Some(self.changed.entry(present.origin()).or_insert_with(|| (Zone::clone(present), false)))
    }

    /// The snapshot: generation + 1; the serial of each zone whose records differ grows.
    pub fn finish(self) -> Snapshot {
        let mut next = self.before.clone();
        next.generation += 1;
        for (mut zone, differs) in self.changed.into_values() {
            if differs {
                zone.grow_serial();
            }
            let zone = Arc::new(zone);
            next.served.insert(Arc::clone(&zone));
            next.fed.insert(zone);
        }
        next
    }
}

/// Names of a zone that take more memory than a processor has near a core (some 200 octets each).
const VAST_ZONE_NAMES_MIN: usize = 20_000;

/// One change of a delta.
type Change = (Name, RecordType, Option<Rrset>);

/// The changes without those that a later one for the same owner and type overrides.
fn last_of_each(delta: &Delta) -> impl Iterator<Item = (usize, &Change)> {
    let mut last: HashMap<(&[u8], RecordType), usize, foldhash::fast::RandomState> = HashMap::default();
    if !delta.is_distinct {
        for (index, (owner, rtype, _)) in delta.changes.iter().enumerate() {
            last.insert((owner.as_wire(), *rtype), index);
        }
    }
    let is_last = move |(index, change): &(usize, &Change)| {
        delta.is_distinct || last.get(&(change.0.as_wire(), change.1)) == Some(index)
    };
    delta.changes.iter().enumerate().filter(is_last)
}

fn zone_of(spec: &ZoneSpec) -> Zone {
    let [refresh, retry, expire] = REFRESH_RETRY_EXPIRE;
    let numbers = [spec.serial, refresh, retry, expire, spec.negative_ttl];
    let soa = rdata::soa(&spec.name_server, &spec.mailbox, numbers);
    let mut zone = Zone::new(spec.origin.clone(), spec.ttl, soa, true);
    let ns = Rrset::new(RecordType::NS, spec.ttl, [rdata::name(&spec.name_server)]);
    zone.set(&spec.origin, RecordType::NS, Some(&ns));
    for name in spec.empty_names.iter().filter(|name| name.is_within(&spec.origin)) {
        zone.pin(name);
    }
    zone
}

/// The zone of a file; its serial is later than `before`.
fn zone_of_file(file: &StaticZone, before: Option<u32>) -> Zone {
    let (soa_ttl, soa_rdata) = file.soa();
    let written = serial::of_soa(soa_rdata);
    let mut zone = Zone::new(file.origin().clone(), soa_ttl, soa_rdata.to_vec(), false);
    for (owner, set) in file.records() {
        zone.set(owner, set.rtype(), Some(set));
    }
    if let Some(before) = before.filter(|&before| !serial::is_after(written, before)) {
        zone.set_serial(serial::next(before));
    }
    zone
}

/// Zones by their apex. Cloning costs as much as there are zones, which are few.
#[derive(Debug, Clone, Default)]
struct ZoneTable {
    by_apex: HashMap<Name, Arc<Zone>, foldhash::fast::RandomState>,
    /// A zone of so many names that they are not all near the processor: the largest one, as far as zones only grow.
    vast: Option<Arc<Zone>>,
    /// Bit n is set if some apex has n labels, so that only such suffixes of a name are looked up.
    depths: u128,
}

impl ZoneTable {
    fn insert(&mut self, zone: Arc<Zone>) {
        self.depths |= 1 << zone.origin().labels().count();
        let names = |zone: &Zone| zone.counts().0;
        let goes_first = |vast: &Arc<Zone>| vast.origin() == zone.origin() || names(vast) < names(&zone);
        if self.vast.as_ref().is_none_or(goes_first) {
            self.vast = (names(&zone) >= VAST_ZONE_NAMES_MIN).then(|| Arc::clone(&zone));
        }
        self.by_apex.insert(zone.origin().clone(), zone);
    }

    fn exact(&self, origin: &Name) -> Option<&Zone> {
        self.by_apex.get(origin).map(|zone| &**zone)
    }

    fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.by_apex.values().map(|zone| &**zone)
    }

    /// The zone with the longest apex at or above a name in lower-cased wire form. The one place that looks up by octets, so
    /// that the table's code becomes part of it.
    #[inline(never)]
    fn closest(&self, name: &[u8]) -> Option<&Arc<Zone>> {
        let mut depth = std::iter::successors(parent(name), |name| parent(name)).count();
        let mut rest = name;
        loop {
            if self.depths >> depth & 1 == 1
                && let Some(zone) = self.by_apex.get(rest)
            {
                return Some(zone);
            }
            rest = parent(rest)?;
            depth -= 1;
        }
    }
}
