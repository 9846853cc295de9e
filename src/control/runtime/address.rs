//! Addresses from a CIDR range: the lowest never used first, then the one that has been free the longest.

use ipnet::IpNet;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// How many freed addresses may wait before the one that has been free the longest is preferred to a never-used one.
/// Without such a limit the memory of a pool would grow with every address that it ever gave out.
pub const WAITING_ADDRESSES_MAX: usize = 1 << 16;

/// No address of a range is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no address is free in {0}")]
pub struct AddressesExhausted(pub IpNet);

/// Gives out the addresses of one range, each to one holder at a time.
///
/// Left out are the network's own address and the one after it (by custom the gateway's), and the broadcast address of
/// an IPv4 range; a range of one or two addresses (RFC 3021, RFC 6164) is used in full. Memory grows with the addresses
/// in use, never with the size of the range.
#[derive(Debug, Clone)]
pub struct AddressPool {
    range: IpNet,
    /// Offsets from the network address: the first and the last that may be given out.
    first: u128,
    last: u128,
    /// Where the search for a never-used address goes on, and how far it has come round.
    next: u128,
    left: u128,
    taken: HashSet<u128>,
    /// Freed offsets by the order in which they became free, and the way back.
    waiting: BTreeMap<u64, u128>,
    waiting_since: HashMap<u128, u64>,
    freed: u64,
}

impl AddressPool {
    /// A pool of all usable addresses of `range`; host bits of `range` are ignored.
    pub fn new(range: IpNet) -> AddressPool {
        let range = range.trunc();
        let host_bits = u32::from(range.max_prefix_len() - range.prefix_len());
        let highest = 1u128.checked_shl(host_bits).map_or(u128::MAX, |size| size - 1);
        let (first, last) = match (host_bits, &range) {
            (0 | 1, _) => (0, highest),
            (_, IpNet::V4(_)) => (2, highest - 1),
            (_, IpNet::V6(_)) => (2, highest),
        };
        AddressPool {
            range,
            first,
            last,
            next: first,
            // The number of usable addresses, which for a /0 of IPv6 is short of 2^128 by two.
            left: last - first + 1,
            taken: HashSet::new(),
            waiting: BTreeMap::new(),
            waiting_since: HashMap::new(),
            freed: 0,
        }
    }

    /// The range.
    pub fn range(&self) -> IpNet {
        self.range
    }

    /// How many addresses are given out or reserved.
    #[cfg(test)]
    pub fn in_use(&self) -> usize {
        self.taken.len()
    }

    /// Whether [`AddressPool::allocate`] would give an address.
    pub fn has_free(&self) -> bool {
        (self.taken.len() as u128) <= self.last - self.first
    }

    /// Takes an address that no pod holds.
    pub fn allocate(&mut self) -> Result<IpAddr, AddressesExhausted> {
        let never_used = if self.waiting.len() < WAITING_ADDRESSES_MAX { self.take_never_used() } else { None };
        let offset = match never_used {
            Some(offset) => offset,
            None => match self.waiting.pop_first() {
                Some((_, offset)) => {
                    self.waiting_since.remove(&offset);
                    offset
                }
                None => self.take_never_used().ok_or(AddressesExhausted(self.range))?,
            },
        };
        self.taken.insert(offset);
        Ok(self.address(offset))
    }

    /// Takes this very address. `false` when it is not one of the range or a pod holds it; then nothing changes.
    pub fn reserve(&mut self, address: IpAddr) -> bool {
        let Some(offset) = self.offset(address) else { return false };
        if !self.taken.insert(offset) {
            return false;
        }
        if let Some(since) = self.waiting_since.remove(&offset) {
            self.waiting.remove(&since);
        }
        true
    }

    /// Gives an address back; it is the last of the free ones to be used again. `false` when no pod holds it.
    pub fn release(&mut self, address: IpAddr) -> bool {
        let Some(offset) = self.offset(address) else { return false };
        if !self.taken.remove(&offset) {
            return false;
        }
        self.freed += 1;
        self.waiting.insert(self.freed, offset);
        self.waiting_since.insert(offset, self.freed);
        true
    }

    /// Lets the search for never-used addresses go on after `address`. After a restart it is not known which of the
    /// lower ones were freed a moment ago, so they come last.
    pub fn continue_after(&mut self, address: IpAddr) {
        if let Some(offset) = self.offset(address)
            && offset >= self.next
        {
            self.next = if offset == self.last { self.first } else { offset + 1 };
            self.left = self.last - self.first + 1;
        }
    }

    /// The next offset in the round that is neither taken nor waiting.
    fn take_never_used(&mut self) -> Option<u128> {
        while self.left > 0 {
            let offset = self.next;
            self.next = if offset == self.last { self.first } else { offset + 1 };
            self.left -= 1;
            if !self.taken.contains(&offset) && !self.waiting_since.contains_key(&offset) {
                return Some(offset);
            }
        }
        None
    }

    fn offset(&self, address: IpAddr) -> Option<u128> {
        let offset = match (address, self.range.network()) {
            (IpAddr::V4(address), IpAddr::V4(network)) => u128::from(address.to_bits().checked_sub(network.to_bits())?),
            (IpAddr::V6(address), IpAddr::V6(network)) => address.to_bits().checked_sub(network.to_bits())?,
            _ => return None,
        };
        (self.first..=self.last).contains(&offset).then_some(offset)
    }

    fn address(&self, offset: u128) -> IpAddr {
        match self.range.network() {
            // An offset of an IPv4 range has at most 32 bits.
            IpAddr::V4(network) => Ipv4Addr::from_bits(network.to_bits().wrapping_add(offset as u32)).into(),
            IpAddr::V6(network) => Ipv6Addr::from_bits(network.to_bits().wrapping_add(offset)).into(),
        }
    }
}

/// One pool of each family.
#[derive(Debug, Clone)]
pub struct AddressPools(Vec<AddressPool>);

impl AddressPools {
    /// The first range of each family; a pod's first address comes from the first.
    pub fn new(ranges: &[IpNet]) -> AddressPools {
        let mut pools: Vec<AddressPool> = Vec::new();
        for range in ranges {
            if !pools.iter().any(|pool| pool.range().addr().is_ipv4() == range.addr().is_ipv4()) {
                pools.push(AddressPool::new(*range));
            }
        }
        AddressPools(pools)
    }

    /// One address of each family, or none at all.
    pub fn allocate(&mut self) -> Result<Vec<IpAddr>, AddressesExhausted> {
        if let Some(pool) = self.0.iter().find(|pool| !pool.has_free()) {
            return Err(AddressesExhausted(pool.range()));
        }
        self.0.iter_mut().map(AddressPool::allocate).collect()
    }

    /// Gives addresses back; those that nobody holds are left out.
    pub fn release(&mut self, addresses: &[IpAddr]) {
        for address in addresses {
            for pool in &mut self.0 {
                pool.release(*address);
            }
        }
    }

    /// Takes these very addresses; returns those that could be had.
    pub fn reserve(&mut self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let reserved = addresses.iter().filter(|address| self.0.iter_mut().any(|pool| pool.reserve(**address)));
        reserved.copied().collect()
    }

    /// How many addresses are given out or reserved.
    #[cfg(test)]
    pub fn in_use(&self) -> usize {
        self.0.iter().map(AddressPool::in_use).sum()
    }

    /// As [`AddressPools::reserve`], for addresses that were given out before a restart: others come after them.
    pub fn resume(&mut self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        for address in addresses {
            self.0.iter_mut().for_each(|pool| pool.continue_after(*address));
        }
        self.reserve(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(range: &str) -> AddressPool {
        AddressPool::new(range.parse().unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Everything that a range gives out before it is exhausted.
    #[test]
    fn ranges_and_what_they_hold() {
        let rows: &[(&str, &[&str])] = &[
            ("10.0.0.0/30", &["10.0.0.2"]),
            ("10.0.0.0/29", &["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]),
            ("10.0.0.13/29", &["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"]),
            ("10.0.0.4/31", &["10.0.0.4", "10.0.0.5"]),
            ("10.0.0.7/32", &["10.0.0.7"]),
            ("fd00::/126", &["fd00::2", "fd00::3"]),
            ("fd00::/127", &["fd00::", "fd00::1"]),
            ("fd00::9/128", &["fd00::9"]),
        ];
        for (range, expected) in rows {
            let mut pool = pool(range);
            let given: Vec<IpAddr> = std::iter::from_fn(|| pool.allocate().ok()).take(20).collect();
            assert_eq!(given, expected.iter().map(|text| ip(text)).collect::<Vec<_>>(), "{range}");
            assert_eq!(pool.allocate(), Err(AddressesExhausted(pool.range())), "{range}");
        }
    }

    #[test]
    fn huge_ranges_cost_nothing_until_used() {
        for (range, first) in [
            ("10.0.0.0/8", "10.0.0.2"),
            ("0.0.0.0/0", "0.0.0.2"),
            ("fd00::/64", "fd00::2"),
            ("::/0", "::2"),
            ("fd00::/8", "fd00::2"),
        ] {
            assert_eq!(pool(range).allocate(), Ok(ip(first)), "{range}");
        }
    }

    #[test]
    fn the_address_just_freed_comes_last() {
        let mut pool = pool("10.0.0.0/29");
        for _ in 0..3 {
            pool.allocate().unwrap();
        }
        assert!(pool.release(ip("10.0.0.3")));
        assert!(pool.release(ip("10.0.0.2")));
        assert!(!pool.release(ip("10.0.0.2")), "nobody holds it any more");
        let given: Vec<String> = (0..4).map(|_| pool.allocate().unwrap().to_string()).collect();
        assert_eq!(given, ["10.0.0.5", "10.0.0.6", "10.0.0.3", "10.0.0.2"]);
    }

    #[test]
    fn reserved_addresses_are_left_out() {
        let mut pool = pool("10.0.0.0/29");
        assert!(pool.reserve(ip("10.0.0.3")));
        for refused in ["10.0.0.3", "10.0.0.0", "10.0.0.1", "10.0.0.7", "10.0.1.2", "9.255.255.255", "fd00::2"] {
            assert!(!pool.reserve(ip(refused)), "{refused}");
        }
        assert_eq!(pool.allocate(), Ok(ip("10.0.0.2")));
        assert_eq!(pool.allocate(), Ok(ip("10.0.0.4")));
        pool.release(ip("10.0.0.2"));
        assert!(pool.reserve(ip("10.0.0.2")), "a waiting address can be asked for");
        assert_eq!(pool.in_use(), 3);
    }

    #[test]
    fn after_a_restart_low_addresses_come_last() {
        let mut pool = pool("10.0.0.0/29");
        pool.reserve(ip("10.0.0.4"));
        pool.continue_after(ip("10.0.0.4"));
        let given: Vec<String> = std::iter::from_fn(|| pool.allocate().ok()).map(|a| a.to_string()).collect();
        assert_eq!(given, ["10.0.0.5", "10.0.0.6", "10.0.0.2", "10.0.0.3"]);
    }

    #[test]
    fn a_long_history_keeps_a_bounded_number_of_freed_addresses() {
        let mut pool = pool("10.0.0.0/8");
        for _ in 0..WAITING_ADDRESSES_MAX + 1000 {
            let address = pool.allocate().unwrap();
            pool.release(address);
        }
        assert_eq!(pool.waiting.len(), WAITING_ADDRESSES_MAX);
        assert_eq!(pool.waiting_since.len(), WAITING_ADDRESSES_MAX);
    }

    proptest! {
        /// Against a plain model: no pod gets what another holds, and exhaustion is reported only when all are held.
        #[test]
        fn no_address_is_held_twice(steps in proptest::collection::vec((0u8..4, 0u8..16), 0..200)) {
            let mut pool = pool("10.0.0.0/28");
            let mut held = HashSet::new();
            for (what, which) in steps {
                let address = ip(&format!("10.0.0.{which}"));
                match what {
                    0 | 1 => match pool.allocate() {
                        Ok(address) => prop_assert!(held.insert(address)),
                        Err(_) => prop_assert_eq!(held.len(), 13),
                    },
                    2 => prop_assert_eq!(pool.release(address), held.remove(&address)),
                    _ => {
                        let usable = (2..15).contains(&which);
                        prop_assert_eq!(pool.reserve(address), usable && held.insert(address));
                    }
                }
                prop_assert_eq!(pool.in_use(), held.len());
                prop_assert_eq!(pool.has_free(), held.len() < 13);
            }
        }
    }
}
