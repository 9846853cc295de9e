//! Any settings file: no panic; either settings or at least one error, and every diagnostic can be shown.
#![no_main]

use headless_dns::{
    program::settings::{Overrides, Settings},
    text::diagnostic::{self, Colour},
};
use headless_dns_fuzz::{mutate, yaml};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::{fs, path::PathBuf, sync::LazyLock};

/// One file for each process, in memory where there is such a place.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let directory = if shared.is_dir() { shared } else { std::env::temp_dir() };
    directory.join(format!("headless-dns-fuzz-settings-{}.yaml", std::process::id()))
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, yaml::change)
});

fuzz_target!(|octets: &[u8]| {
    fs::write(&*FILE, octets).expect("a file");
    let overrides = Overrides { config: Some(FILE.clone()), ..Overrides::default() };
    let loaded = Settings::load(&overrides);
    fs::remove_file(&*FILE).expect("a file");
    match loaded {
        Ok((_, warnings)) => {
            assert!(!diagnostic::has_error(&warnings));
            diagnostic::render(&warnings, Colour::Plain);
        }
        Err(errors) => {
            assert!(diagnostic::has_error(&errors));
            diagnostic::render(&errors, Colour::Plain);
        }
    }
});
