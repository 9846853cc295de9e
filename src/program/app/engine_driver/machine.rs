//! What the kernel tells of this machine, on which the engine runs, too: its routes; and its processors and memory, of which
//! pods are told until the engine has said so itself. And the size of the pages of memory, which it is asked for.

use ipnet::{IpNet, Ipv4Net};
use std::{fs::File, io::Read as _, net::Ipv4Addr};

/// Octets that are read: tens of thousands of routes, thousands of processors.
const OCTETS_MAX: u64 = 4 << 20;

/// The networks that this machine has routes to, but the one to everywhere.
pub(super) fn routes() -> Vec<IpNet> {
    parse_routes(&told("/proc/net/route"))
}

/// Thousandths of processors, whoever may use them; those that this program may use where that is not told.
pub(super) fn millicores() -> u64 {
    let usable = || std::thread::available_parallelism().map_or(1, usize::from);
    let count = match parse_processors(&told("/proc/cpuinfo")) {
        0 => usable(),
        count => count,
    };
    u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(1000)
}

/// Octets of memory; 0 where that is not told.
pub(super) fn memory_octets() -> u64 {
    parse_memory(&told("/proc/meminfo"))
}

/// Has the kernel give this program memory in small pages from now on. The allocator asks for pages of 2 MB; of a machine's
/// few pods they would be empty for the most part, and half of what the program takes.
pub(in crate::program::app) fn take_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory comes in large pages");
    }
}

/// What the kernel says in a file of its own; nothing on another system.
fn told(path: &str) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(OCTETS_MAX).read_to_string(&mut text));
    if let Err(error) = read {
        tracing::debug!(%error, path, "the kernel does not tell");
    }
    text
}

fn parse_routes(table: &str) -> Vec<IpNet> {
    let route = |line: &str| {
        let mut fields = line.split_whitespace();
        let octets = |field: &str| Some(Ipv4Addr::from(u32::from_str_radix(field, 16).ok()?.swap_bytes()));
        let destination = octets(fields.nth(1)?)?;
        let mask = octets(fields.nth(5)?)?;
        let network = Ipv4Net::with_netmask(destination, mask).ok()?;
        (network.prefix_len() > 0).then(|| IpNet::from(network))
    };
    table.lines().skip(1).filter_map(route).collect()
}

fn parse_processors(text: &str) -> usize {
    text.lines().filter(|line| line.split(':').next().is_some_and(|field| field.trim() == "processor")).count()
}

fn parse_memory(text: &str) -> u64 {
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibioctets = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibioctets.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_this_machine() {
        const TABLE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            cni0\t0000F40A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            eth0\t0001F50A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            junk\n";
        let expected: Vec<IpNet> = vec!["10.244.0.0/16".parse().unwrap(), "10.245.1.0/24".parse().unwrap()];
        assert_eq!(parse_routes(TABLE), expected);
        assert_eq!(parse_routes(""), []);
    }

    #[test]
    fn processors_and_memory() {
        let rows = [
            ("processor\t: 0\nmodel name\t: A processor: 3 GHz\n\nprocessor\t: 1\n", 2),
            ("processor: 7\nProcessor\t: ARMv7\n", 1),
            ("junk", 0),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_processors(text), expected, "{text}");
        }
        let rows = [("MemTotal:       24683920 kB\nMemFree: 1 kB\n", 25_276_334_080), ("MemTotal: x\n", 0), ("", 0)];
        for (text, expected) in rows {
            assert_eq!(parse_memory(text), expected, "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells() {
        assert!(told("/proc/net/route").starts_with("Iface"));
        assert!(millicores() >= 1000 && memory_octets() > 1 << 20);
    }
}
