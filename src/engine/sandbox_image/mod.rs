//! The image of sandboxes, made by the program itself: no registry is needed, and each engine on each machine computes the
//! same id.
//!
//! ```text
//! archive.tar ─┬─ layer.tar ── pause         a program that only waits ([`pause_program`])
//!              ├─ CONFIGURATION.json         its name is its own hash
//!              ╰─ manifest.json              names the two and the reference
//! ```

mod elf;
mod tar;

pub use elf::pause_program;

use serde_json::json;
use tar::Tar;

/// An image as an engine loads it (`docker load`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxImage {
    /// Its reference: the tag is a part of its hash, so that a newer program's image is another one.
    pub reference: String,
    /// The archive.
    pub archive: Vec<u8>,
}

/// The image for an architecture as an engine names it; `None` for one that no program was written for.
pub fn sandbox_image(architecture: &str) -> Option<SandboxImage> {
    let architecture = match architecture {
        "amd64" | "x86_64" => "amd64",
        "arm64" | "aarch64" => "arm64",
        _ => return None,
    };
    let mut layer = Tar::default();
    layer.file("pause", 0o755, &pause_program(architecture)?);
    let layer = layer.finish();
    let configuration = json!({
        "architecture": architecture,
        "os": "linux",
        // So that two archives of the same content are the same octets.
        "created": "1970-01-01T00:00:00Z",
        // The program has no handler for the signal of the engine's own stop.
        "config": {"Entrypoint": ["/pause"], "StopSignal": "SIGKILL"},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]},
    })
    .to_string();
    let id = sha256(configuration.as_bytes());
    let reference = format!("localhost/headless-dns/sandbox:{}", id.get(..12).unwrap_or_default());
    let manifest =
        json!([{"Config": format!("{id}.json"), "RepoTags": [reference], "Layers": ["layer.tar"]}]).to_string();
    let mut archive = Tar::default();
    archive.file("layer.tar", 0o644, &layer);
    archive.file(&format!("{id}.json"), 0o644, configuration.as_bytes());
    archive.file("manifest.json", 0o644, manifest.as_bytes());
    Some(SandboxImage { reference, archive: archive.finish() })
}

fn sha256(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, octets).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures() {
        let rows = [
            ("amd64", Some("localhost/headless-dns/sandbox:")),
            ("x86_64", Some("localhost/headless-dns/sandbox:")),
            ("arm64", Some("localhost/headless-dns/sandbox:")),
            ("aarch64", Some("localhost/headless-dns/sandbox:")),
            ("riscv64", None),
            ("", None),
        ];
        for (architecture, expected) in rows {
            let image = sandbox_image(architecture);
            let reference = image.as_ref().map(|image| &image.reference[..31]);
            assert_eq!(reference, expected, "{architecture}");
            assert!(image.is_none_or(|image| image.archive.len() < 20_000), "{architecture}");
        }
        assert_eq!(sandbox_image("amd64"), sandbox_image("x86_64"));
        assert_ne!(sandbox_image("amd64"), sandbox_image("arm64"));
    }
}
