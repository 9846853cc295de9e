//! `dig` as a client, and its output in parts.

use super::eventually;
use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, SocketAddr},
    process::Command,
};

/// What `dig` printed.
#[derive(Debug, Clone, Default)]
pub struct Dig {
    /// NOERROR, NXDOMAIN, …; empty when there was no reply.
    pub status: String,
    /// `qr aa rd` …
    pub flags: Vec<String>,
    pub answer: Vec<Line>,
    pub authority: Vec<Line>,
    pub additional: Vec<Line>,
    /// All of it.
    pub text: String,
}

/// A record as `dig` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub owner: String,
    pub rtype: String,
    pub rdata: String,
}

impl fmt::Display for Dig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Asks a server, with `dig`'s own arguments after the address (`+tcp`, `-x 10.244.0.1`, a name and a type).
pub fn dig(server: SocketAddr, arguments: &[&str]) -> Dig {
    let mut command = Command::new("dig");
    command.arg(format!("@{}", server.ip()));
    command.args(["-p", &server.port().to_string(), "+time=5", "+tries=2", "+nocookie"]).args(arguments);
    parse(printed(&mut command))
}

/// What a client prints on both its outputs. `dig` shares ports (SO_REUSEPORT), and so may be given that of a server that
/// does so, too; it then gets its own query. That happens once in 28,000 times, so twice in a row it is no chance.
pub fn printed(command: &mut Command) -> String {
    let mut run = || {
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let text = run();
    if text.contains("Warning: query response not set") { run() } else { text }
}

fn parse(text: String) -> Dig {
    let mut dig = Dig::default();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(";; ->>HEADER<<-") {
            dig.status = between(rest, "status: ", ",").to_owned();
        } else if let Some(rest) = line.strip_prefix(";; flags: ") {
            dig.flags = between(rest, "", ";").split_whitespace().map(str::to_owned).collect();
        } else if let Some(rest) = line.strip_prefix(";; ").and_then(|rest| rest.strip_suffix(" SECTION:")) {
            section = rest.to_owned();
        } else if !line.starts_with(';') && !line.is_empty() {
            let mut words = line.split_whitespace();
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (owner, _ttl, _class, rtype) = (word(), word(), word(), word());
            let rdata = words.collect::<Vec<_>>().join(" ");
            let record = Line { owner, rtype, rdata };
            match section.as_str() {
                "ANSWER" => dig.answer.push(record),
                "AUTHORITY" => dig.authority.push(record),
                "ADDITIONAL" => dig.additional.push(record),
                _ => {}
            }
        }
    }
    dig.text = text;
    dig
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let text = text.split_once(before).map_or(text, |(_, rest)| rest);
    text.split_once(after).map_or(text, |(inner, _)| inner)
}

impl Dig {
    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }

    /// The addresses in the answer.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.answer.iter().filter_map(|line| line.rdata.parse().ok()).collect()
    }
}

/// Asks again and again until the reply is as it should be.
pub fn eventually_dig(server: SocketAddr, arguments: &[&str], good: impl Fn(&Dig) -> bool) -> Dig {
    eventually(&format!("dig {}", arguments.join(" ")), || match dig(server, arguments) {
        reply if good(&reply) => Ok(reply),
        reply => Err(reply.text),
    })
}

/// Waits until a name has so many addresses and returns them.
pub fn eventually_addresses(server: SocketAddr, name: &str, count: usize) -> BTreeSet<IpAddr> {
    eventually_dig(server, &[name, "A"], |reply| reply.addresses().len() == count).addresses()
}
