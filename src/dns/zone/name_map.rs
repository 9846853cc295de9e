//! The names of a zone in a persistent hash table: a changed one shares nearly everything with the one before.
//!
//! Two levels of 32 parts each lead to a group, which holds its share of the names in buckets; a full bucket is split by
//! one bit more of the hash (extendible hashing), so no single change has to move many names. Levels and groups stay in
//! the processor's caches; what a look-up really fetches is one bucket and the node. A change copies one part of each
//! level, one group and one bucket, and these only where an older version still has them.

use super::node::Node;
use foldhash::fast::RandomState;
use smallvec::SmallVec;
use std::{
    hash::{BuildHasher as _, Hasher as _},
    hint, mem,
};
// Whether it is nobody else's is told by one look at its count; std's has weak pointers to be locked out before.
use triomphe::Arc;

/// Parts of a level.
const FANOUT: usize = 32;
/// Names of a bucket; more only where their hashes have all of their first bits in common.
const BUCKET_NAMES_MAX: usize = 24;
/// How many places can be fetched at once ([`Zone::fetch`](super::Zone::fetch)) without memory being taken for it.
pub const PREFETCH_MAX: usize = 64;
/// Bits of the hash that select a bucket of a group, at most.
const BUCKET_DEPTH_MAX: u8 = 15;

/// Nodes by their names in wire form.
#[derive(Debug, Clone, Default)]
pub(super) struct NameMap {
    root: Arc<FanoutLevel<FanoutLevel<Group>>>,
    seed: RandomState,
}

#[derive(Debug)]
struct FanoutLevel<T>([Option<Arc<T>>; FANOUT]);

/// Some thousand names at most where there are millions.
#[derive(Debug, Clone)]
struct Group {
    /// How many bits of the hash lead through the directory, which has an entry for each combination of them.
    depth: u8,
    /// The numbers of buckets.
    directory: Vec<u16>,
    buckets: Vec<Arc<Bucket>>,
}

#[derive(Debug, Clone, Default)]
struct Bucket {
    /// One octet of the hash of each of the first nodes.
    tags: [u8; BUCKET_NAMES_MAX],
    nodes: SmallVec<[Node; BUCKET_NAMES_MAX]>,
    /// How many bits of the hash its names have in common.
    depth: u8,
}

/// Where a name belongs in a zone.
#[derive(Debug, Clone, Copy)]
pub struct NameHash(u64);

impl NameHash {
    #[inline]
    fn of(name: &[u8], seed: &RandomState) -> NameHash {
        let mut hasher = seed.build_hasher();
        hasher.write(name);
        NameHash(hasher.finish())
    }

    /// The parts of the two levels.
    #[inline]
    fn parts(self) -> (usize, usize) {
        ((self.0 >> 59) as usize % FANOUT, (self.0 >> 54) as usize % FANOUT)
    }

    /// The part of the hash that distinguishes the name from most others in its bucket.
    #[inline]
    fn tag(self) -> u8 {
        (self.0 >> 46) as u8
    }

    /// Its entry in a directory.
    #[inline]
    fn entry(self, depth: u8) -> usize {
        self.0 as usize & ((1 << depth) - 1)
    }
}

impl NameMap {
    /// Where a name belongs, for callers that look there more than once.
    #[inline]
    pub(super) fn place(&self, name: &[u8]) -> NameHash {
        NameHash::of(name, &self.seed)
    }

    /// The node of a name.
    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<&Node> {
        self.at(self.place(name), name)
    }

    /// The node of a name, the place of which is known.
    #[inline]
    pub(super) fn at(&self, place: NameHash, name: &[u8]) -> Option<&Node> {
        let bucket = self.bucket(place)?;
        bucket.nodes.get(bucket.find(place, name)?)
    }

    #[inline]
    fn bucket(&self, place: NameHash) -> Option<&Bucket> {
        let (outer, inner) = place.parts();
        self.root.0[outer].as_ref()?.0[inner].as_ref()?.bucket(place)
    }

    /// Has the processor fetch what look-ups at these places will need. One that waits for memory waits as long as many
    /// do that wait at the same time; so each step is made for all places before the next one.
    pub(super) fn fetch(&self, places: &[NameHash]) {
        let buckets = places.iter().filter_map(|place| Some((place.tag(), self.bucket(*place)?)));
        let buckets: SmallVec<[(u8, &Bucket); PREFETCH_MAX]> = buckets.collect();
        let nodes = buckets.iter().filter_map(|(tag, bucket)| bucket.with_tag(*tag, |index| bucket.nodes.get(index)));
        let nodes: SmallVec<[&Node; PREFETCH_MAX]> = nodes.collect();
        // Something must be made of what is read, or it is not read.
        hint::black_box(nodes.iter().fold(0, |sum, node| sum ^ node.read_through()));
    }

    /// Has the processor fetch what changes at these places will need: of each bucket its head, its tags, and the place
    /// of its last node, after which there is room for one more. Most names that many changes are about are new, so no
    /// node is fetched.
    pub(super) fn fetch_buckets(&self, places: &[NameHash]) {
        let buckets = places.iter().filter_map(|place| self.bucket(*place));
        let ends = buckets.flat_map(|bucket| [bucket.nodes.first(), bucket.nodes.last()]).flatten();
        hint::black_box(ends.fold(0, |sum, node| sum ^ node.address()));
    }

    /// The node of a name, to be changed in place; it keeps its name.
    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Node> {
        let place = self.place(name);
        // Nothing is copied for a name that is not there.
        self.at(place, name)?;
        let (outer, inner) = place.parts();
        let level = Arc::make_mut(Arc::make_mut(&mut self.root).0[outer].as_mut()?);
        let group = Arc::make_mut(level.0[inner].as_mut()?);
        let number = group.number(place)?;
        let bucket = Arc::make_mut(group.buckets.get_mut(number)?);
        let index = bucket.find(place, name)?;
        bucket.nodes.get_mut(index)
    }

    /// Puts a node in the place of that of the same name; `place` is where that belongs.
    pub(super) fn insert_at(&mut self, place: NameHash, node: Node) {
        let (outer, inner) = place.parts();
        let level = Arc::make_mut(Arc::make_mut(&mut self.root).0[outer].get_or_insert_default());
        let group = Arc::make_mut(level.0[inner].get_or_insert_default());
        group.insert(place, node, &self.seed);
    }

    /// Removes the node of a name; `place` is where that belongs.
    pub(super) fn remove_at(&mut self, place: NameHash, name: &[u8]) {
        // Nothing is copied for a name that is not there.
        if self.at(place, name).is_none() {
            return;
        }
        let (outer, inner) = place.parts();
        let Some(level) = &mut Arc::make_mut(&mut self.root).0[outer] else { return };
        let part = &mut Arc::make_mut(level).0[inner];
        let Some(group) = part else { return };
        let group = Arc::make_mut(group);
        group.remove(place, name, &self.seed);
        if group.is_empty() {
            *part = None;
        }
    }

    /// All nodes, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        let groups = self.root.parts().flat_map(FanoutLevel::parts);
        groups.flat_map(|group| &group.buckets).flat_map(|bucket| &bucket.nodes)
    }
}

impl<T> FanoutLevel<T> {
    fn parts(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten().map(|part| &**part)
    }
}

impl<T> Default for FanoutLevel<T> {
    fn default() -> FanoutLevel<T> {
        FanoutLevel([const { None }; FANOUT])
    }
}

impl<T> Clone for FanoutLevel<T> {
    fn clone(&self) -> FanoutLevel<T> {
        FanoutLevel(self.0.clone())
    }
}

impl Default for Group {
    fn default() -> Group {
        Group { depth: 0, directory: vec![0], buckets: vec![Arc::default()] }
    }
}

impl Group {
    #[inline]
    fn number(&self, place: NameHash) -> Option<usize> {
        self.directory.get(place.entry(self.depth)).map(|&number| usize::from(number))
    }

    #[inline]
    fn bucket(&self, place: NameHash) -> Option<&Bucket> {
        self.buckets.get(self.number(place)?).map(|bucket| &**bucket)
    }

    fn is_empty(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.nodes.is_empty())
    }

    fn insert(&mut self, place: NameHash, node: Node, seed: &RandomState) {
        loop {
            let Some(number) = self.number(place) else { return };
            let bucket = Arc::make_mut(&mut self.buckets[number]);
            if let Some(index) = bucket.find(place, node.wire_name()) {
                bucket.nodes[index] = node;
                return;
            }
            if bucket.nodes.len() < BUCKET_NAMES_MAX || bucket.depth == BUCKET_DEPTH_MAX {
                bucket.push(place, node);
                return;
            }
            self.split(place, number, seed);
        }
    }

    /// Makes two buckets of one.
    fn split(&mut self, place: NameHash, number: usize, seed: &RandomState) {
        let bucket = Arc::make_mut(&mut self.buckets[number]);
        let bit = 1_usize << bucket.depth;
        let depth = bucket.depth + 1;
        let (mut stay, mut go) = (Bucket { depth, ..Bucket::default() }, Bucket { depth, ..Bucket::default() });
        for node in mem::take(&mut bucket.nodes) {
            let place = NameHash::of(node.wire_name(), seed);
            let to = if place.entry(depth) & bit == 0 { &mut stay } else { &mut go };
            to.push(place, node);
        }
        *bucket = stay;
        if depth > self.depth {
            self.directory.extend_from_within(..);
            self.depth = depth;
        }
        // At most one for each of the 2¹⁵ entries.
        let new = self.buckets.len() as u16;
        self.buckets.push(Arc::new(go));
        let first = (place.entry(depth) & (bit - 1)) | bit;
        self.directory.iter_mut().skip(first).step_by(bit << 1).for_each(|number| *number = new);
    }

    fn remove(&mut self, place: NameHash, name: &[u8], seed: &RandomState) {
        let Some(number) = self.number(place) else { return };
        let bucket = Arc::make_mut(&mut self.buckets[number]);
        let Some(index) = bucket.find(place, name) else { return };
        bucket.swap_remove(index, seed);
        self.join(place, number, seed);
    }

    /// Makes one bucket of two that were one, as long as both together leave half of its room.
    fn join(&mut self, place: NameHash, number: usize, seed: &RandomState) {
        let (depth, names) = (self.buckets[number].depth, self.buckets[number].nodes.len());
        let Some(bit) = depth.checked_sub(1).map(|bit| 1_usize << bit) else { return };
        let Some(&other) = self.directory.get(place.entry(depth) ^ bit) else { return };
        let twin = &self.buckets[usize::from(other)];
        if twin.depth != depth || twin.nodes.len() + names > BUCKET_NAMES_MAX / 2 {
            return;
        }
        let nodes = mem::take(&mut Arc::make_mut(&mut self.buckets[usize::from(other)]).nodes);
        let bucket = Arc::make_mut(&mut self.buckets[number]);
        bucket.depth -= 1;
        for node in nodes {
            bucket.push(NameHash::of(node.wire_name(), seed), node);
        }
        // The last bucket takes the number that is free now.
        let last = self.buckets.len() as u16 - 1;
        for entry in &mut self.directory {
            if *entry == other {
                *entry = number as u16;
            }
            if *entry == last {
                *entry = other;
            }
        }
        self.buckets.swap_remove(usize::from(other));
    }
}

/// The highest bit of each of eight octets: the lowest one that is set tells of an octet that is `octet`; those above it
/// perhaps of others.
#[inline]
fn same_octets(octets: [u8; 8], octet: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // An octet of zeros where both are the same.
    let differing = u64::from_le_bytes(octets) ^ (ONES * u64::from(octet));
    differing.wrapping_sub(ONES) & !differing & (ONES << 7)
}

impl Bucket {
    /// The number of a node. Every query passes here.
    #[inline(always)]
    fn find(&self, place: NameHash, name: &[u8]) -> Option<usize> {
        let nodes = &self.nodes[..];
        let is_it = |&index: &usize| nodes.get(index).is_some_and(|node| node.wire_name() == name);
        // Beyond the tags there is hardly ever a name.
        self.with_tag(place.tag(), |index| Some(index).filter(is_it))
            .or_else(|| (BUCKET_NAMES_MAX..nodes.len()).find(is_it))
    }

    /// What `pick` makes first of the numbers of nodes that have this tag, and perhaps of others. A loop, and no chain of
    /// iterators, as compilers do not always see through that one.
    #[inline(always)]
    fn with_tag<T>(&self, tag: u8, pick: impl Fn(usize) -> Option<T>) -> Option<T> {
        for (chunk, tags) in self.tags.as_chunks::<8>().0.iter().enumerate() {
            let mut same = same_octets(*tags, tag);
            while same != 0 {
                let picked = pick(chunk * 8 + same.trailing_zeros() as usize / 8);
                if picked.is_some() {
                    return picked;
                }
                same &= same - 1;
            }
        }
        None
    }

    fn push(&mut self, place: NameHash, node: Node) {
        if let Some(tag) = self.tags.get_mut(self.nodes.len()) {
            *tag = place.tag();
        }
        self.nodes.push(node);
    }

    fn swap_remove(&mut self, index: usize, seed: &RandomState) {
        self.nodes.swap_remove(index);
        // The last one stands there now.
        if let (Some(tag), Some(node)) = (self.tags.get_mut(index), self.nodes.get(index)) {
            *tag = NameHash::of(node.wire_name(), seed).tag();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::Name;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn name(number: u32) -> Name {
        Name::root()
            .child(b"example")
            .and_then(|name| name.child(number.to_string().as_bytes()))
            .unwrap_or(Name::root())
    }

    /// A node that differs from others of the same name by its number of children.
    fn node(number: u32, children: i32) -> Node {
        Node::empty(&name(number)).with_children(children)
    }

    fn put(names: &mut NameMap, node: Node) {
        names.insert_at(names.place(node.wire_name()), node);
    }

    fn take(names: &mut NameMap, name: &Name) {
        names.remove_at(names.place(name.as_wire()), name.as_wire());
    }

    fn check(names: &NameMap, expected: &HashMap<u32, u32>) {
        for (number, children) in expected {
            // Looking ahead finds whatever is there, and leaves it so.
            names.fetch(&[names.place(name(*number).as_wire())]);
            names.fetch_buckets(&[names.place(name(*number).as_wire())]);
            let found = names.get(name(*number).as_wire());
            assert_eq!(found.map(Node::children), Some(*children), "{number}");
        }
        assert_eq!(names.iter().count(), expected.len());
    }

    proptest! {
        /// It is a map, and an older version stays what it was, whatever happens to a newer one.
        #[test]
        fn is_a_persistent_map(steps in prop::collection::vec((0..400_u32, 0..4_u8), 0..2_000)) {
            let (mut names, mut expected) = (NameMap::default(), HashMap::new());
            let (mut older, mut expected_older) = (names.clone(), expected.clone());
            for (turn, (number, what)) in (1..).zip(steps) {
                match what {
                    0 => {
                        take(&mut names, &name(number));
                        expected.remove(&number);
                    }
                    1 => {
                        let found = names.get_mut(name(number).as_wire());
                        prop_assert_eq!(found.is_some(), expected.contains_key(&number));
                        if let Some(found) = found {
                            *found = node(number, turn);
                            expected.insert(number, turn as u32);
                        }
                    }
                    _ => {
                        put(&mut names, node(number, turn));
                        expected.insert(number, turn as u32);
                    }
                }
                if turn % 97 == 0 {
                    check(&older, &expected_older);
                    (older, expected_older) = (names.clone(), expected.clone());
                }
            }
            check(&names, &expected);
            check(&older, &expected_older);
        }
    }

    /// Many names, and then few: buckets are split and joined, and what is left takes no more room than it needs.
    /// Every octet that is the same has its bit, and the lowest bit is of such a one.
    #[test]
    fn octets_are_compared_at_once() {
        for octets in [[0; 8], [0, 1, 2, 3, 4, 5, 6, 7], [7, 7, 0, 0x80, 0xff, 7, 0x7f, 0x81], [0xff; 8]] {
            for octet in [0, 1, 7, 0x7f, 0x80, 0x81, 0xff] {
                let same = same_octets(octets, octet);
                let exact = (0..8).filter(|&at| octets[at] == octet).fold(0, |same, at| same | 0x80 << (8 * at));
                assert_eq!((same & exact, same.trailing_zeros()), (exact, u64::trailing_zeros(exact)), "{octets:?}");
            }
        }
    }

    #[test]
    fn grows_and_shrinks() {
        const MANY: u32 = 200_000;
        let buckets = |names: &NameMap| -> usize {
            names.root.parts().flat_map(FanoutLevel::parts).map(|group| group.buckets.len()).sum()
        };
        let mut names = NameMap::default();
        (0..MANY).for_each(|number| put(&mut names, node(number, 1)));
        assert!((0..MANY).all(|number| names.get(name(number).as_wire()).is_some()));
        let fill = MANY as usize / buckets(&names);
        assert!((BUCKET_NAMES_MAX / 2..=BUCKET_NAMES_MAX).contains(&fill), "{fill} names in a bucket");
        let all = names.clone();
        (0..MANY).filter(|number| number % 100 > 0).for_each(|number| take(&mut names, &name(number)));
        let left = |number: u32| names.get(name(number).as_wire()).is_some();
        assert!((0..MANY).all(|number| left(number) == (number % 100 == 0)));
        assert!(buckets(&names) <= FANOUT * FANOUT + 2_000 / 4, "{} buckets", buckets(&names));
        (0..MANY).for_each(|number| take(&mut names, &name(number)));
        assert_eq!(buckets(&names), 0);
        assert_eq!(all.iter().count(), MANY as usize);
    }
}
