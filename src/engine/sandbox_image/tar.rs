//! A tar archive of a few small files (POSIX.1-1988, "ustar"), the same octets whenever it is made.

/// Octets of a block.
const BLOCK_OCTETS: usize = 512;

/// An archive that grows.
#[derive(Debug, Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    /// Adds a file of root's. `path` has at most 100 octets.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        let mut head = [0; BLOCK_OCTETS];
        let fields: [(usize, &str); 8] = [
            (0, path),
            (100, &format!("{mode:07o}")),
            (108, "0000000"),
            (116, "0000000"),
            (124, &format!("{:011o}", content.len())),
            (136, "00000000000"),
            // The checksum counts as eight spaces while it is computed.
            (148, "        0"),
            (257, "ustar\x0000"),
        ];
        for (offset, text) in fields {
            write(&mut head, offset, text);
        }
        let sum: u32 = head.iter().map(|octet| u32::from(*octet)).sum();
        write(&mut head, 148, &format!("{sum:06o}\0 "));
        self.0.extend_from_slice(&head);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK_OCTETS), 0);
    }

    /// All of it, with the two empty blocks at the end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK_OCTETS, 0);
        self.0
    }
}

fn write(head: &mut [u8; BLOCK_OCTETS], offset: usize, text: &str) {
    for (octet, value) in head.iter_mut().skip(offset).zip(text.bytes()) {
        *octet = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, process::Command};

    #[test]
    fn tar_reads_it() {
        let mut archive = Tar::default();
        archive.file("first", 0o755, b"one");
        archive.file(&"n".repeat(100), 0o644, &[b'x'; 513]);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&archive.finish()).unwrap();
        let run = |arguments: &[&str]| {
            let output = Command::new("tar").args(arguments).arg("-f").arg(file.path()).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let listed = run(&["--list", "--verbose", "--numeric-owner", "--utc"]);
        assert!(listed.contains("-rwxr-xr-x 0/0               3 1970-01-01 00:00 first"), "{listed}");
        assert_eq!(run(&["--extract", "--to-stdout"]).len(), 516);
    }
}
