//! Looking ahead: while one packet is answered, what the next ones need is on its way from memory.

use crate::dns::{
    name::{NAME_MAX, wire_length},
    wire::HEADER,
    zone::{NameHash, PREFETCH_MAX, Snapshot},
};
use smallvec::SmallVec;

/// Has the processor fetch what the answers to these packets need, or to the first [`PREFETCH_MAX`] of them. It changes no
/// answer, and costs nothing where all names are near anyway.
pub fn look_ahead<'p>(packets: impl Iterator<Item = &'p [u8]>, snapshot: &Snapshot) {
    let Some(zone) = snapshot.vast_zone() else { return };
    let mut lowered = [0; NAME_MAX];
    let mut places: SmallVec<[NameHash; PREFETCH_MAX]> = SmallVec::new();
    for packet in packets.take(PREFETCH_MAX) {
        // Another zone's names, if any end so, are looked for here in vain.
        if let Some(name) = name_of(packet, &mut lowered).filter(|name| name.ends_with(zone.origin().as_wire())) {
            places.push(zone.place(name));
        }
    }
    zone.fetch(&places);
}

/// The first question's name in lower case, unless it is compressed or broken.
fn name_of<'l>(packet: &[u8], lowered: &'l mut [u8]) -> Option<&'l [u8]> {
    let name = packet.get(HEADER..)?;
    let name = &name[..wire_length(name)?];
    let lowered = lowered.get_mut(..name.len())?;
    lowered.copy_from_slice(name);
    lowered.make_ascii_lowercase();
    Some(lowered)
}
