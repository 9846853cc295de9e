//! The zones that exist from the start: the cluster domain and the reverse zones, with their name server.

use super::StartError;
use crate::{
    control::records::{RecordSettings, Ttls, name_schema::FixedName},
    dns::{name::Name, zone::ZoneSpec},
    program::settings::{EmptyServices, PodNames, Settings},
};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

/// How far versions and serials go on from those on disk. They are published before they are on disk, so an earlier run
/// that was killed had gone further; no run publishes so many while a disk is slow.
pub(super) const SERIALS_AHEAD: u32 = 1 << 20;

/// Seconds since 1970, as a first SOA serial (grows over restarts even without a state directory).
fn serial_of(now: Timestamp) -> u32 {
    // Serials wrap (RFC 1982).
    now.as_second() as u32
}

/// Every zone served without a file. `serials` are the last ones of an earlier run that are on disk, by zone; these go
/// on [`SERIALS_AHEAD`] above them, higher than whatever that run may have published.
pub(super) fn specs(
    settings: &Settings,
    addresses: &[SocketAddr],
    serials: &[(String, u32)],
) -> Result<Vec<ZoneSpec>, StartError> {
    let name_server_addresses = name_server_addresses(addresses);
    let now = serial_of(Timestamp::now());
    let serial = |origin: &Name| {
        let earlier = serials.iter().find(|(name, _)| Name::parse(name).as_ref() == Ok(origin));
        // Secondaries must see that something may have changed while we were away. Serials wrap (RFC 1982).
        earlier.map_or(now, |&(_, serial)| serial.wrapping_add(SERIALS_AHEAD))
    };
    // The name server of a zone has its name in `domain`.
    let spec = |origin: &Name, domain: &Name, empty_names| {
        Ok::<ZoneSpec, StartError>(ZoneSpec {
            origin: origin.clone(),
            name_server: FixedName::NameServer.in_domain(domain)?,
            name_server_addresses: name_server_addresses.clone(),
            mailbox: FixedName::Mailbox.in_domain(domain)?,
            serial: serial(origin),
            ttl: settings.ttl,
            negative_ttl: settings.negative_ttl,
            empty_names,
        })
    };
    let mut specs = Vec::new();
    for domain in settings.cluster_domains() {
        let mut empty_names = vec![FixedName::Services.in_domain(domain)?];
        if settings.pod_names == PodNames::Verified {
            empty_names.push(FixedName::PodAddresses.in_domain(domain)?);
        }
        specs.push(spec(domain, domain, empty_names)?);
    }
    for origin in &settings.reverse_zones {
        specs.push(spec(origin, &settings.cluster_domain.first, Vec::new())?);
    }
    Ok(specs)
}

/// How objects become names.
pub(super) fn record_settings(settings: &Settings) -> RecordSettings {
    RecordSettings {
        cluster_domain: settings.cluster_domain.first.clone(),
        further_domains: settings.cluster_domain.further.clone(),
        ttls: Ttls { other: settings.ttl, ..settings.ttls },
        pod_names: settings.pod_names == PodNames::Verified,
        pointers: !settings.reverse_zones.is_empty(),
        empty_services_exist: settings.empty_services == EmptyServices::Nodata,
    }
}

/// The last serials of an earlier run by the name of the zone.
pub(super) fn earlier(serials: &[(String, u32)]) -> BTreeMap<Name, u32> {
    serials.iter().filter_map(|(name, serial)| Some((Name::parse(name).ok()?, *serial))).collect()
}

/// The addresses under which others reach this server: what it listens on, without loopback where there is anything
/// else; for a wildcard the address that this machine would use towards the world.
fn name_server_addresses(listen: &[SocketAddr]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for listen in listen {
        let address = if listen.ip().is_unspecified() { own_address(listen.ip()) } else { listen.ip() };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.iter().any(|address| !address.is_loopback()) {
        addresses.retain(|address| !address.is_loopback());
    }
    addresses
}

/// The source address of packets to the world; connecting a datagram socket sends none.
fn own_address(wildcard: IpAddr) -> IpAddr {
    let (world, loopback): (IpAddr, IpAddr) = match wildcard {
        IpAddr::V4(_) => (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(), Ipv6Addr::LOCALHOST.into()),
    };
    let chosen = || {
        let socket = UdpSocket::bind((wildcard, 0))?;
        socket.connect((world, 53))?;
        socket.local_addr()
    };
    // Without a route to the world only the machine itself can ask.
    chosen().map_or(loopback, |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_name_server_is() {
        let rows = [
            ("127.0.0.1:1053", "127.0.0.1"),
            ("127.0.0.1:53 [::1]:53", "127.0.0.1 ::1"),
            ("127.0.0.1:53 192.0.2.4:53", "192.0.2.4"),
            ("192.0.2.4:53 192.0.2.4:54 [2001:db8::4]:53", "192.0.2.4 2001:db8::4"),
        ];
        for (listen, expected) in rows {
            let listen: Vec<SocketAddr> = listen.split(' ').map(|text| text.parse().unwrap()).collect();
            let expected: Vec<IpAddr> = expected.split(' ').map(|text| text.parse().unwrap()).collect();
            assert_eq!(name_server_addresses(&listen), expected);
        }
        let wildcard = name_server_addresses(&["0.0.0.0:53".parse().unwrap()]);
        assert!(wildcard.len() == 1 && wildcard[0].is_ipv4() && !wildcard[0].is_unspecified(), "{wildcard:?}");
    }
}
