//! Static zones from RFC 1035 master files: a directory of them, of which each keeps its last good version.

mod assemble;
mod check;
mod entry;
mod generate;
mod octets;
mod rdata;
mod read;

pub use assemble::read;

use super::{Rrset, zone::FileRecords};
use crate::{
    dns::name::Name,
    text::{diagnostic::Diagnostic, regular_file},
};
use foldhash::quality::FixedState;
use std::{
    collections::BTreeMap,
    fs,
    hash::{BuildHasher as _, Hasher as _},
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// A file of more octets is refused.
pub const FILE_MAX: u64 = 64 << 20;
/// Most errors of one file that are reported, and most warnings; of the rest the number is reported.
pub const MISTAKES_MAX: usize = 20;

/// What is said in [`Diagnostic::kept`] while a file is broken.
const KEPT: &str = "the version loaded before keeps being served";

/// A zone read from a file: every record of it, SOA and NS included. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticZone(Arc<Contents>);

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    origin: Name,
    soa_ttl: u32,
    soa_rdata: Vec<u8>,
    /// Everything but the SOA, in canonical order.
    records: Vec<(Name, Rrset)>,
}

impl StaticZone {
    /// The apex.
    pub fn origin(&self) -> &Name {
        &self.0.origin
    }

    /// All sets but the SOA with their owners, in canonical order.
    pub fn records(&self) -> &[(Name, Rrset)] {
        &self.0.records
    }

    /// TTL and rdata of the SOA.
    pub fn soa(&self) -> (u32, &[u8]) {
        (self.0.soa_ttl, &self.0.soa_rdata)
    }

    /// Whether both serve the same, serial included.
    pub fn same_records(&self, other: &StaticZone) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }

    pub(super) fn by_owner(&self) -> FileRecords {
        let mut records = FileRecords::new();
        for (owner, set) in self.records() {
            records.entry(owner.clone()).or_default().push(set.clone());
        }
        records
    }
}

/// Reads every `*.zone` file of a directory (a missing directory is empty). A file that does not parse gives a
/// diagnostic and no zone.
pub fn load(directory: &Path) -> (Vec<StaticZone>, Vec<Diagnostic>) {
    let (zones, diagnostics) = ZoneFiles::new(directory).scan();
    (zones.unwrap_or_default(), diagnostics)
}

/// The `*.zone` files of a directory, of each of which the last good version is remembered.
#[derive(Debug)]
pub struct ZoneFiles {
    directory: PathBuf,
    built_in: Vec<Name>,
    files: BTreeMap<PathBuf, ZoneFile>,
    served: Vec<(PathBuf, StaticZone)>,
}

#[derive(Debug, Default)]
struct ZoneFile {
    /// What it was like when it was read.
    print: Option<Fingerprint>,
    /// Files that it includes, as they were when it was read; nothing of those that could not be read.
    includes: Vec<(PathBuf, Option<Fingerprint>)>,
    good: Option<StaticZone>,
    diagnostics: Vec<Diagnostic>,
}

/// The length of a file and a hash of its octets: enough to notice a change, and no copy of a large file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint(usize, u64);

impl Fingerprint {
    fn of(octets: &[u8]) -> Fingerprint {
        let mut hasher = FixedState::with_seed(0).build_hasher();
        hasher.write(octets);
        Fingerprint(octets.len(), hasher.finish())
    }
}

impl ZoneFiles {
    /// Nothing read yet.
    pub fn new(directory: &Path) -> ZoneFiles {
        ZoneFiles { directory: directory.to_owned(), built_in: Vec::new(), files: BTreeMap::new(), served: Vec::new() }
    }

    /// The apexes of the zones that are there without files. A file with one of them adds records beneath; its SOA and
    /// the NS of the apex are ignored, with a warning.
    pub fn beneath(mut self, built_in: Vec<Name>) -> ZoneFiles {
        self.built_in = built_in;
        self
    }

    /// Reads another directory from the next [`ZoneFiles::scan`] on.
    pub fn set_directory(&mut self, directory: &Path) {
        self.directory = directory.to_owned();
    }

    /// Reads the directory again. The zones come only if they differ from those of the scan before (none before the
    /// first); the diagnostics are all that hold now.
    pub fn scan(&mut self) -> (Option<Vec<StaticZone>>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        match zone_paths(&self.directory) {
            Ok(paths) => self.read_files(paths),
            Err(error) => {
                let mut diagnostic =
                    Diagnostic::error(&self.directory, format!("the directory cannot be read: {error}"));
                if !self.served.is_empty() {
                    diagnostic.kept = "the zones loaded before keep being served".to_owned();
                }
                diagnostics.push(diagnostic);
            }
        }
        diagnostics.extend(self.files.values().flat_map(|file| file.diagnostics.iter().cloned()));
        let served = self.choose(&mut diagnostics);
        let differs = served != self.served;
        self.served = served;
        (differs.then(|| self.served.iter().map(|(_, zone)| zone.clone()).collect()), diagnostics)
    }

    fn read_files(&mut self, paths: Vec<PathBuf>) {
        self.files.retain(|path, _| paths.contains(path));
        for path in paths {
            let octets = regular_file::read(&path, FILE_MAX);
            let file = self.files.entry(path.clone()).or_default();
            match octets {
                Ok(octets) if file.print == Some(Fingerprint::of(&octets)) && !file.includes_differ() => {}
                Ok(octets) => {
                    let mut includes = Vec::new();
                    let mut include = |from: &Path, name: &str| {
                        let path = included_path(&self.directory, from, name)?;
                        let octets = regular_file::read(&path, FILE_MAX);
                        includes.push((path.clone(), octets.as_ref().ok().map(|octets| Fingerprint::of(octets))));
                        octets.map(|octets| (path, octets)).map_err(|error| error.to_string())
                    };
                    let (zone, diagnostics) = assemble::read_with(&path, &octets, &self.built_in, &mut include);
                    file.includes = includes;
                    file.take(Some(Fingerprint::of(&octets)), zone, diagnostics);
                }
                Err(error) => {
                    let diagnostic = Diagnostic::error(&path, format!("the file cannot be read: {error}"));
                    file.take(None, None, vec![diagnostic]);
                }
            }
        }
    }

    /// One zone per apex: the file that was served before stays, and among new ones the first path wins.
    fn choose(&self, diagnostics: &mut Vec<Diagnostic>) -> Vec<(PathBuf, StaticZone)> {
        let was_served = |path: &Path, zone: &StaticZone| {
            self.served.iter().any(|(before, served)| before == path && served.origin() == zone.origin())
        };
        let good = self.files.iter().filter_map(|(path, file)| Some((path, file.good.as_ref()?)));
        let mut candidates: Vec<_> = good.collect();
        candidates.sort_by_key(|(path, zone)| !was_served(path, zone));
        let mut chosen: BTreeMap<&Name, (&PathBuf, &StaticZone)> = BTreeMap::new();
        for (path, zone) in candidates {
            if let Some((first, _)) = chosen.get(zone.origin()) {
                let (origin, first) = (zone.origin(), first.display());
                let mut diagnostic = Diagnostic::error(path, format!("zone {origin} is in {first} already"));
                diagnostic.help = "keep the zone in one of the two files".to_owned();
                diagnostic.kept = format!("{first} is served");
                diagnostics.push(diagnostic);
            } else {
                chosen.insert(zone.origin(), (path, zone));
            }
        }
        chosen.into_values().map(|(path, zone)| (path.clone(), zone.clone())).collect()
    }
}

impl ZoneFile {
    /// Whether an included file is another one now.
    fn includes_differ(&self) -> bool {
        let now = |path: &Path| regular_file::read(path, FILE_MAX).ok().map(|octets| Fingerprint::of(&octets));
        self.includes.iter().any(|(path, before)| now(path) != *before)
    }

    fn take(&mut self, print: Option<Fingerprint>, zone: Option<StaticZone>, diagnostics: Vec<Diagnostic>) {
        self.print = print;
        self.diagnostics = diagnostics;
        if zone.is_some() {
            self.good = zone;
        } else if self.good.is_some() {
            self.diagnostics.iter_mut().for_each(|diagnostic| diagnostic.kept = KEPT.to_owned());
        }
    }
}

/// The file that `name` means in the file `from`. It lies below the directory of zones, also after all symbolic links.
fn included_path(directory: &Path, from: &Path, name: &str) -> Result<PathBuf, String> {
    let name = Path::new(name);
    if !name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err("only files below the directory of zones can be".to_owned());
    }
    let path = from.parent().unwrap_or(directory).join(name);
    match (path.canonicalize(), directory.canonicalize()) {
        (Ok(found), Ok(directory)) if !found.starts_with(&directory) => {
            Err("it is a link to somewhere outside the directory of zones".to_owned())
        }
        // What is not there is told by the reading.
        _ => Ok(path),
    }
}

/// Hidden names are editors' and ConfigMaps' own affairs.
fn zone_paths(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "zone") && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
