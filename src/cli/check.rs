//! `headless-dns check`: everything is read and nothing served.

use super::{EXIT_CONFIGURATION, EXIT_OK, Flags, say};
use crate::{
    certificate::Certificate,
    diagnostic::{self, Diagnostic, has_error, has_warning},
    manifest::Manifests,
    settings::Settings,
    zone::file::ZoneFiles,
};
use std::path::Path;

/// Reads settings, manifests and zones, and tells what is wrong: 0 if they can be used, else 78; with `strict`,
/// warnings count.
pub(super) fn check(flags: &Flags, strict: bool) -> u8 {
    let (settings, mut found) = match super::overrides(flags).and_then(|overrides| super::settings(&overrides)) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    // Missing directories of manifests are told by the manifests themselves.
    found.extend(missing(&settings.zones));
    let mut manifests =
        Manifests::new(settings.manifests.clone()).provisioning_undeclared(settings.provision_undeclared);
    manifests.scan();
    found.extend(manifests.diagnostics());
    let built_in = settings.cluster_domains().chain(&settings.reverse_zones).cloned().collect();
    let (zones, of_zones) = ZoneFiles::new(&settings.zones).beneath(built_in).scan();
    found.extend(of_zones);
    if let Some(Err(wrong)) = settings.encrypted.certificate.as_ref().map(Certificate::open) {
        found.push(*wrong);
    }

    diagnostic::print(&found);
    say(&not_acted_on(&manifests));
    say(&summary(&settings, manifests.counts(), zones.map_or(0, |zones| zones.len()), &found));
    let refused = has_error(&found) || strict && has_warning(&found);
    if refused { EXIT_CONFIGURATION } else { EXIT_OK }
}

/// A directory that is not there is legal, since it may come later, but in a check most likely a mistake.
fn missing(directory: &Path) -> Option<Diagnostic> {
    if directory.exists() {
        return None;
    }
    let help = "create it, or name another one in the settings or by flag";
    Some(Diagnostic::warning(directory, "there is no such directory (yet)").help(help))
}

/// Objects that are named for one field at most.
const NAMED: usize = 3;

/// What is declared and has no effect, each field once: that is no mistake, and good to know.
fn not_acted_on(manifests: &Manifests) -> String {
    let fields = manifests.inert();
    if fields.is_empty() {
        return String::new();
    }
    let mut text = "read and not acted on:\n".to_owned();
    for (field, objects) in fields {
        let mut named: Vec<&str> = objects.iter().take(NAMED).map(|key| key.name.as_str()).collect();
        let more = format!("{} more", objects.len().saturating_sub(NAMED));
        if objects.len() > NAMED {
            named.push(&more);
        }
        text.push_str(&format!("  {field} ({})\n", named.join(", ")));
    }
    text
}

/// One line: what was read, and how it is.
fn summary(settings: &Settings, (files, objects): (usize, usize), zones: usize, found: &[Diagnostic]) -> String {
    let file = settings.file.as_ref().map_or("built-in settings".into(), |file| file.display().to_string());
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let outcome = diagnostic::summary(found);
    let (files, objects, zones) = (many(files, "manifest file"), many(objects, "object"), many(zones, "static zone"));
    format!("{file}: {files} with {objects}, {zones}: {outcome}\n")
}
