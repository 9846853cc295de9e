//! Uids, addresses and revisions by the order of their appearance.

use std::collections::BTreeMap;

/// Uids, addresses and revisions by the order of their appearance, each pod's counted by itself: `web-1#2` is its
/// second.
#[derive(Default)]
pub struct Names {
    known: BTreeMap<String, String>,
    counts: BTreeMap<String, usize>,
    revisions: Vec<String>,
    /// Addresses of pods whose names are made up, and what these are made of.
    groups: BTreeMap<String, String>,
}

impl Names {
    fn name(&mut self, value: &str, base: &str) -> String {
        if value == "-" {
            return value.to_owned();
        }
        // Which of several equal pods gets which is chance.
        if base.split(' ').next().is_some_and(|pod| group(pod) != pod) {
            self.groups.insert(value.to_owned(), group(base.split(' ').next().unwrap_or_default()).to_owned());
            return "one".to_owned();
        }
        let count = self.counts.entry(base.to_owned()).or_insert(0);
        let known = self.known.entry(format!("{base} {value}"));
        known
            .or_insert_with(|| {
                *count += 1;
                format!("{base}#{count}")
            })
            .clone()
    }

    fn revision(&mut self, value: &str) -> String {
        // Hashes of templates are counted already.
        if value == "-" || value.starts_with('h') && value[1..].bytes().all(|octet| octet.is_ascii_digit()) {
            return value.to_owned();
        }
        if !self.revisions.iter().any(|known| known == value) {
            self.revisions.push(value.to_owned());
        }
        format!("r{}", self.revisions.iter().position(|known| known == value).unwrap() + 1)
    }

    pub fn line(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let mut owner = words.get(1).copied().unwrap_or_default().to_owned();
        let pending = line.contains("phase=Pending");
        let mut out = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let word = word.trim_start_matches('[');
            let close = if word.ends_with(']') { "]" } else { "" };
            let word = word.trim_end_matches(']');
            out.push(match (words[0], word.split_once('=')) {
                ("revision", _) if at == 1 => self.revision(word),
                ("pod" | "pvc", Some(("uid", uid))) => format!("uid={}", self.name(uid, &format!("{owner} uid"))),
                // The stand-in kubelet tells nothing of a pod before it runs.
                ("pod", Some(("ready", _))) if pending => "ready=-".to_owned(),
                ("cronjob", Some((field @ ("lastSchedule" | "lastSuccessful"), time))) => {
                    format!("{field}={}", self.name(time, field))
                }
                ("pod", Some(("ip", ip))) => format!("ip={}", self.name(ip, &format!("{owner} ip"))),
                ("pod", Some(("rev", revision))) => format!("rev={}", self.revision(revision)),
                ("sts", Some((field @ ("currentRevision" | "updateRevision"), revision))) => {
                    format!("{field}={}", self.revision(revision))
                }
                // Endpoints without hostname (of the second service) are told apart by their addresses, whose pods are
                // known.
                ("slice", Some((host, endpoint))) if endpoint.contains(':') && host != "ports" => {
                    let (address, conditions) = endpoint.split_once(':').unwrap();
                    owner = host.to_owned();
                    let known = self.known.iter().find(|(key, _)| key.ends_with(&format!(" ip {address}")));
                    let known = known.map_or_else(|| format!("{owner} ip?"), |(_, name)| name.clone());
                    let known = self.groups.get(address).cloned().unwrap_or(known);
                    format!("{host}={known}:{conditions}{close}")
                }
                _ => format!("{word}{close}"),
            });
        }
        let mut line = out.join(" ");
        if let Some((head, rest)) = line.clone().split_once("slice of ").map(|_| line.split_at(line.find(" ").unwrap()))
        {
            // Endpoints in the order of their pods.
            let mut words: Vec<&str> = rest.split_whitespace().collect();
            words[2..].sort_unstable();
            line = format!("{head} {}", words.join(" ").replace(']', ""));
        }
        line
    }
}

/// The name of a pod without the number that it has among its ReplicaSet's: `web-h1-p` of `web-h1-p2`.
pub fn group(name: &str) -> &str {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if stem.len() < name.len() && stem.ends_with("-p") { stem } else { name }
}

/// A line whose pods have no numbers.
pub fn grouped(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let end = word.len() - word.trim_end_matches(':').len();
        let (name, colon) = word.split_at(word.len() - end);
        format!("{}{colon}", group(name))
    });
    words.collect::<Vec<_>>().join(" ")
}
