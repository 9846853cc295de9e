//! Any packet: the parser ends, and what it takes for a question is one.
#![no_main]

use headless_dns::dns::{name::Name, wire::query::Query};
use headless_dns_fuzz::{message, mutate};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, message::change)
});

fuzz_target!(|packet: &[u8]| {
    let Some(query) = Query::parse(packet) else { return };
    if let Some(question) = query.question {
        let name = Name::from_wire(question.name()).expect("a name");
        assert_eq!(Name::parse(&name.to_string()), Ok(name));
    }
    assert!(!query.well_formed || query.question.is_some());
});
