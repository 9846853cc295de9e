//! Which numbers the keys of a hash have, for millions of them.

use hashbrown::HashTable;

/// The numbers of slots by the hashes of their keys, which are stored beside them so that a table that grows need not
/// look at the slots. In shares that grow one by one: a table of a million would stop everything else for some
/// hundredths of a second.
#[derive(Debug)]
pub struct SlotIndex([HashTable<(u32, u32)>; SHARDS]);

/// Shares of the numbers. Which one a hash belongs to is decided by bits that within a table matter only beyond a
/// million.
const SHARDS: usize = 32;

impl SlotIndex {
    fn share(&self, hash: u32) -> &HashTable<(u32, u32)> {
        &self.0[(hash >> 20) as usize % SHARDS]
    }

    fn share_mut(&mut self, hash: u32) -> &mut HashTable<(u32, u32)> {
        &mut self.0[(hash >> 20) as usize % SHARDS]
    }

    /// The number of this hash that is it.
    pub fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.share(hash).find(spread(hash), |&(number, other)| other == hash && is_it(number));
        found.map(|(number, _)| *number)
    }

    /// Puts a number that is not here.
    pub fn insert(&mut self, hash: u32, number: u32) {
        self.share_mut(hash).insert_unique(spread(hash), (number, hash), |&(_, hash)| spread(hash));
    }

    /// Takes a number out.
    pub fn remove(&mut self, hash: u32, number: u32) {
        if let Ok(entry) = self.share_mut(hash).find_entry(spread(hash), |(other, _)| *other == number) {
            entry.remove();
        }
    }
}

impl Default for SlotIndex {
    fn default() -> SlotIndex {
        SlotIndex([const { HashTable::new() }; SHARDS])
    }
}

/// As long as a table wants it: what it goes by are the highest and the lowest bits.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_until_it_goes() {
        const MANY: u32 = 100_000;
        // Of every two numbers the hashes are the same.
        let hash = |number: u32| (number / 2).wrapping_mul(0x9e37_79b1);
        let mut numbers = SlotIndex::default();
        (0..MANY).for_each(|number| numbers.insert(hash(number), number));
        let found = |numbers: &SlotIndex, number: u32| numbers.find(hash(number), |other| other == number);
        assert!((0..MANY).all(|number| found(&numbers, number) == Some(number)));
        assert_eq!(found(&numbers, MANY), None);
        assert!(numbers.0.iter().all(|share| share.len() < MANY as usize / SHARDS * 2), "all have their share");
        (0..MANY).step_by(2).for_each(|number| numbers.remove(hash(number), number));
        assert!((0..MANY).all(|number| found(&numbers, number).is_some() == (number % 2 == 1)));
    }
}
