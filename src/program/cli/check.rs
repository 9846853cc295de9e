//! `headless-dns check`: everything is read and admitted as `serve` would, and nothing served.

use super::{say, serve};
use crate::{
    objects::manifest::Manifests,
    program::{
        app::{DryRun, StartError, read_token},
        certificate::Certificate,
        exit::Exit,
        settings::{Overrides, Settings},
    },
    text::{
        diagnostic::{self, Diagnostic, Severity, has_error, has_warning},
        escape::visible,
    },
};
use std::{collections::BTreeMap, path::Path};

/// Reads settings, manifests and zones, has the control plane take all objects, and tells what is wrong: 0 if they can
/// be used, else 78; with `strict`, warnings count, too.
pub(super) fn check(overrides: &Overrides, strict: bool) -> Exit {
    let (settings, mut found) = match super::settings(overrides) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let rehearsal = match DryRun::admit(&settings) {
        Ok(rehearsal) => rehearsal,
        Err(error) => {
            let (diagnostic, code) = serve::explain(&error);
            found.push(diagnostic);
            diagnostic::print(&found);
            return code;
        }
    };
    // Missing directories of manifests are told by the manifests themselves.
    found.extend(settings.explicit.zones.then(|| missing(&settings.zones)).flatten());
    found.extend(rehearsal.diagnostics().iter().cloned().map(|one| unless_chosen(&settings, one)));
    if let Some(Err(wrong)) = settings.tls.as_ref().map(Certificate::open) {
        found.push(*wrong);
    }
    let token = settings.api_token_file.as_deref().filter(|_| settings.api_listen.is_some());
    if let Some(Err(wrong)) = token.map(read_token) {
        found.push(serve::explain(&StartError::Token(wrong)).0);
    }

    diagnostic::print(&found);
    say(&not_acted_on(rehearsal.manifests()));
    say(&summary(&settings, &rehearsal, &found));
    let refused = has_error(&found) || strict && has_warning(&found);
    if refused { Exit::Configuration } else { Exit::Ok }
}

/// A directory that is not there is legal, since it may come later, but in a check most likely a mistake.
fn missing(directory: &Path) -> Option<Diagnostic> {
    if directory.exists() {
        return None;
    }
    let help = "create it, or name another one in the settings or by flag";
    Some(Diagnostic::warning(directory, "there is no such directory (yet)").help(help))
}

/// That the default directory of manifests is missing is worth a note only: nobody asked for it.
fn unless_chosen(settings: &Settings, found: Diagnostic) -> Diagnostic {
    let is_missing_default = !settings.explicit.manifests && settings.manifests.contains(&found.file);
    match found.severity {
        Severity::Warning if is_missing_default => Diagnostic { severity: Severity::Note, ..found },
        _ => found,
    }
}

/// Objects that are named for some fields at most.
const OBJECTS_NAMED_MAX: usize = 3;
/// Lines about fields that nothing acts on at most.
const IGNORED_FIELD_LINES_MAX: usize = 8;

/// What is declared and has no effect, each field once, those of the same objects in one line: that is no mistake, and
/// good to know.
fn not_acted_on(manifests: &Manifests) -> String {
    let mut lines: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for (field, objects) in manifests.inert() {
        let (kind, path) = field.split_once(' ').unwrap_or((&field, ""));
        // Of pods the field of the spec says enough, below the first.
        let (prefix, name) = match path.split_once("template.spec.") {
            Some((before, name)) => (format!("{before}template.spec."), name),
            None => path.split_once('.').map_or((String::new(), path), |(before, name)| (format!("{before}."), name)),
        };
        let mut named: Vec<&str> = objects.iter().take(OBJECTS_NAMED_MAX).map(|key| key.name.as_str()).collect();
        let more = format!("{} more", objects.len().saturating_sub(OBJECTS_NAMED_MAX));
        if objects.len() > OBJECTS_NAMED_MAX {
            named.push(&more);
        }
        lines.entry((kind.to_owned(), prefix, named.join(", "))).or_default().push(name.to_owned());
    }
    if lines.is_empty() {
        return String::new();
    }
    let mut text = "read and not acted on:\n".to_owned();
    for ((kind, prefix, objects), fields) in lines.iter().take(IGNORED_FIELD_LINES_MAX) {
        text.push_str(&format!("  {kind} {prefix}{} ({objects})\n", fields.join(", ")));
    }
    if let Some(more) = lines.len().checked_sub(IGNORED_FIELD_LINES_MAX).filter(|more| *more > 0) {
        text.push_str(&format!("  and {more} more lines like these\n"));
    }
    text
}

/// One line: what was read, and how it is.
fn summary(settings: &Settings, rehearsal: &DryRun, found: &[Diagnostic]) -> String {
    let file = settings.file.as_ref().map_or("built-in settings".into(), |file| visible(&file.display().to_string()));
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let outcome = diagnostic::summary(found);
    let (files, objects) = rehearsal.manifests().counts();
    let zones = many(rehearsal.static_zones(), "static zone");
    let (files, objects) = (many(files, "manifest file"), many(objects, "object"));
    format!("{file}: {files} with {objects}, {zones}: {outcome}\n")
}
