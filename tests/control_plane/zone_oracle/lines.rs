//! Lines by chance: records of the rows with fields changed, left out, doubled, exchanged with those of others.

/// Makes lines; the same seed makes the same.
pub struct Lines {
    random: fastrand::Rng,
    rows: Vec<Vec<&'static str>>,
}

/// Fields that are worth trying anywhere.
const FIELDS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "7",
    "8",
    "13",
    "16",
    "63",
    "64",
    "127",
    "128",
    "253",
    "254",
    "255",
    "256",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "-1",
    "+1",
    "00",
    "007",
    "0x10",
    "1h",
    "1h30m",
    "1w1",
    "-",
    ".",
    "@",
    "a",
    "a.",
    "a.b",
    "*",
    "..",
    "a..b",
    "\"\"",
    "\"a\"",
    "\"a b\"",
    "\\097",
    "\\.",
    "\\256",
    "\\",
    "a\\",
    "A",
    "NS",
    "TYPE1",
    "TYPE65535",
    "TYPE65536",
    "IN",
    "ab",
    "abc",
    "ABCD",
    "AB CD",
    "00000000",
    "AAAA",
    "AA==",
    "AA=",
    "A",
    "=",
    "/w==",
    "192.0.2.1",
    "192.0.2.256",
    "1.2.3",
    "2001:db8::1",
    "::",
    "::ffff:1.2.3.4",
    "1::2::3",
    "N",
    "S",
    "E",
    "W",
    "m",
    "1m",
    "0.01",
    "59.999",
    "1:192.0.2.0/24",
    "!2:2001:db8::/32",
    "alpn=h2",
    "alpn=\"h2,h3\"",
    "port=53",
    "mandatory=port",
    "key65534=a",
    "no-default-alpn",
    "ipv4hint=192.0.2.1",
    "ipv6hint=::1",
    "key3=\\000\\053",
    "ech=AAAA",
    "( )",
    "(",
    ")",
    ";",
    "\\#",
    "\\# 0",
    "\\# 1 00",
    "RSASHA256",
    "SHA-256",
    "PKIX",
    "20200101000000",
    "20200101250000",
    "ZONE|KSK",
    "00-00-5e-00-53-2a",
    "0014:4fff:ff20:ee64",
    "0x4700",
    "tcp",
    "smtp",
    "!a!b!",
    "!a!b!i",
    "!(a)!\\\\1!",
];

impl Lines {
    pub fn new(seed: u64, rows: &'static str) -> Lines {
        let rows = rows.lines().filter(|row| !row.is_empty() && !row.starts_with("# ") && row.len() < 400);
        Lines { random: fastrand::Rng::with_seed(seed), rows: rows.map(|row| row.split(' ').collect()).collect() }
    }

    pub fn next(&mut self) -> String {
        let mut line: Vec<String> =
            self.random.choice(&self.rows).unwrap().iter().map(|field| (*field).to_owned()).collect();
        for _ in 0..self.random.usize(1..3) {
            // The type mostly stays.
            let from = usize::from(line.len() > 1 && self.random.u8(..) > 10);
            let at = self.random.usize(from..line.len());
            match self.random.u8(0..8) {
                0 | 1 => line[at] = (*self.random.choice(FIELDS).unwrap()).to_owned(),
                2 => line.insert(at, (*self.random.choice(FIELDS).unwrap()).to_owned()),
                3 if line.len() > 1 => drop(line.remove(at)),
                4 => line.insert(at, line[at].clone()),
                5 => line[at] = self.edited(&line[at].clone()),
                6 => {
                    let other = self.random.choice(&self.rows).unwrap();
                    line[at] = (*self.random.choice(other).unwrap()).to_owned();
                }
                _ => line.push((*self.random.choice(FIELDS).unwrap()).to_owned()),
            }
            if line.is_empty() {
                line.push("A".to_owned());
            }
        }
        line.join(" ")
    }

    /// A field with a letter more, less, doubled or exchanged.
    fn edited(&mut self, field: &str) -> String {
        const LETTERS: &[u8] = b"0123456789abcdefAFZz.-+:/\\\"=;!,_*@#$()|' ~";
        let mut octets = field.as_bytes().to_vec();
        let at = self.random.usize(0..=octets.len());
        let letter = *self.random.choice(LETTERS).unwrap();
        match self.random.u8(0..4) {
            0 => octets.insert(at, letter),
            1 if at < octets.len() => drop(octets.remove(at)),
            2 if at < octets.len() => octets[at] = letter,
            _ if at < octets.len() => octets.insert(at, octets[at]),
            _ => octets.push(letter),
        }
        String::from_utf8_lossy(&octets).into_owned()
    }
}

/// Whether a line ends where it ends, whatever its fields are.
pub fn is_whole(line: &str) -> bool {
    !line.contains(['(', ')'])
        && line.replace("\\\\", "").replace("\\\"", "").matches('"').count().is_multiple_of(2)
        && !line.ends_with('\\')
}

/// Differences that are meant. BIND reads some numbers with functions of C, which take a sign before them and leave what
/// follows them; and we want the address of a name server, which it was told not to.
pub fn is_known(difference: &str) -> bool {
    let Some(line) = difference.strip_prefix("only we refuse `") else { return false };
    let is = |types: &[&str]| types.iter().any(|rtype| line.starts_with(&format!("{rtype} ")));
    (is(&["WKS", "LOC", "NXT"]) && line.contains(['+', '-']))
        || (is(&["WKS"]) && line.contains("is not a port"))
        || (is(&["EUI48", "EUI64"]) && line.contains("with `-` between them"))
        || (is(&["NS"]) && line.contains("has no address in this zone"))
        || line.contains("`RESERVED0` is no record type")
}
