//! Figures of all rounds to a table of medians and ratios.

use std::{collections::BTreeMap, fmt::Write as _};

/// What is measured, in the order of the table.
const ROWS: [&str; 10] = [
    "UDP, mixed",
    "UDP, mixed, of one client",
    "UDP, 80 % NXDOMAIN",
    "UDP, mixed, EDNS",
    "TCP, pipelined",
    "TCP, a connection each",
    "TCP, 1,000 addresses",
    "p99.9 at 50,000 q/s, µs",
    "load, s",
    "memory, MiB",
];

const OURS: &str = "headless-dns";

pub struct Figures {
    pods: usize,
    peers: Vec<&'static str>,
    values: BTreeMap<(&'static str, &'static str), Vec<f64>>,
}

impl Figures {
    pub fn new(pods: usize) -> Figures {
        Figures { pods, peers: Vec::new(), values: BTreeMap::new() }
    }

    pub fn add(&mut self, peer: &'static str, what: &'static str, value: f64) {
        if !self.peers.contains(&peer) {
            self.peers.push(peer);
        }
        self.values.entry((peer, what)).or_default().push(value);
    }

    fn of(&self, peer: &'static str, what: &'static str) -> &[f64] {
        self.values.get(&(peer, what)).map_or(&[], Vec::as_slice)
    }

    /// Our own value divided by that of another in each round: the least and the greatest.
    fn ratios(&self, peer: &'static str, what: &'static str) -> Option<(f64, f64)> {
        let rounds = self.of(OURS, what).iter().zip(self.of(peer, what));
        let mut ratios: Vec<f64> = rounds.map(|(own, theirs)| own / theirs).collect();
        ratios.sort_by(f64::total_cmp);
        Some((*ratios.first()?, *ratios.last()?))
    }

    /// Medians, and behind each in brackets our own divided by it, from the least to the greatest of all rounds.
    pub fn table(&self) -> String {
        let mut text = format!("\n## {} pods\n\n|", self.pods);
        for peer in &self.peers {
            let _ = write!(text, " | {peer}");
        }
        text += " |\n|---";
        text += &"|---:".repeat(self.peers.len());
        text += "|\n";
        for what in ROWS {
            let _ = write!(text, "| {what}");
            for peer in &self.peers {
                match (median(self.of(peer, what)), self.ratios(peer, what)) {
                    (None, _) => text += " | –",
                    (Some(value), Some((least, greatest))) if *peer != OURS => {
                        let ratio = format!("{least:.2}–{greatest:.2}");
                        let ratio = if least == greatest { format!("{least:.2}") } else { ratio };
                        let _ = write!(text, " | {value:.2} ({ratio})");
                    }
                    (Some(value), _) => {
                        let _ = write!(text, " | **{value:.2}**");
                    }
                }
            }
            text += " |\n";
        }
        text
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

pub fn head(rounds: usize, seconds: u64) -> String {
    let date = jiff::Timestamp::now().to_string();
    let (date, _) = date.split_at(10);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "# Beside other servers

Made by `cargo bench --bench peers` on {date}, on a virtual machine with {cores} cores; medians of {rounds} rounds of
{seconds} s each, in which the servers take turns. Processor time per query in µs (user and system, of all of a
server's processes) unless the row says otherwise; in brackets ours divided by theirs, in the best and in the worst
round, so less than 1 means that this server needs less. The server has one core, dnsperf the other, with queries from
eight sockets, 256 outstanding. *Floor* receives and sends the same datagrams in the same batches and does nothing
else; of connections it accepts, reads, writes and closes, in as few system calls as there can be. All serve the same
zone: pods of headless Services of ten, a name and an address each, and a Service of 1,000 addresses. *Mixed* asks for
pods (70 %), Services (25 %) and absent names (5 %); *of one client* does so from one socket, as a cache or a load
balancer in front would. *A connection each* counts what it takes to accept a connection, answer a query and see it
closed, 32 at a time. *p99.9* is the round trip of single queries beside that load, until the reply has reached the
client's socket. *Load* is, for this server, from endpoint data in memory to the first snapshot; for the others from
their start to the first answer, the master file read. *Memory* is the resident set of what answers, which is all that
the other servers have; here the objects and what makes records of them come on top.
"
    )
}
