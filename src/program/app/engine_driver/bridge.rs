//! The hardware address of the pods' bridge, made to last.
//!
//! A bridge has the lowest address of what is attached to it until it is given one. Podman's network program gives it none
//! before its version 1.9 (netavark, pull request 833), so the address changes as pods come and go. Pods that know the old
//! one send to it for up to half a minute more, and have no DNS meanwhile. Docker gives its bridges one itself.

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{self, Read as _, Write as _},
    net::Ipv4Addr,
    time::Duration,
};

/// Address family of netlink, linux/socket.h.
const AF_NETLINK: i32 = 16;
/// The protocol of links, addresses and routes, linux/netlink.h.
const NETLINK_ROUTE: i32 = 0;
/// Message types and flags, linux/netlink.h and linux/rtnetlink.h.
const NLMSG_ERROR: u16 = 2;
const RTM_SETLINK: u16 = 19;
const NLM_F_REQUEST_ACK: u16 = 1 | 4;
/// Attributes of a link, linux/if_link.h.
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
/// Octets of a header of a message, and of what follows it in messages about links.
const HEADER_OCTETS: usize = 16;
const LINK_OCTETS: usize = 16;
/// How long the kernel may take; it answers at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// Gives the bridge the address that belongs to its gateway: `0a:58` and the octets of the IPv4 address, as Kubernetes' own
/// bridge networks have it. Nothing changes if it has that address already.
///
/// # Errors
/// What the kernel says: no such interface here, no right to it (CAP_NET_ADMIN).
pub(super) fn keep_address(bridge: &str, gateway: Ipv4Addr) -> io::Result<()> {
    let mut socket = Socket::new(Domain::from(AF_NETLINK), Type::RAW, Some(Protocol::from(NETLINK_ROUTE)))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&request(bridge, gateway))?;
    let mut reply = [0; 1024];
    let length = socket.read(&mut reply)?;
    outcome(reply.get(..length).unwrap_or_default())
}

/// The message that sets it.
fn request(bridge: &str, gateway: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![0; LINK_OCTETS];
    attribute(&mut body, IFLA_IFNAME, &[bridge.as_bytes(), &[0]].concat());
    attribute(&mut body, IFLA_ADDRESS, &[&[0x0a, 0x58], gateway.octets().as_slice()].concat());
    let length = u32::try_from(HEADER_OCTETS + body.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(RTM_SETLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    // A sequence number, and whoever sends it.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Adds an attribute, padded to four octets.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// What the reply says.
fn outcome(reply: &[u8]) -> io::Result<()> {
    let kind = reply.get(4..6).and_then(|octets| octets.try_into().ok()).map(u16::from_ne_bytes);
    let code = reply.get(HEADER_OCTETS..HEADER_OCTETS + 4).and_then(|octets| octets.try_into().ok());
    match (kind, code.map(i32::from_ne_bytes)) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_as_the_kernel_reads_it() {
        let mut expected = vec![52, 0, 0, 0, 19, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([0; 16]);
        expected.extend([8, 0, 3, 0, b'b', b'r', b'0', 0]);
        expected.extend([10, 0, 1, 0, 0x0a, 0x58, 10, 244, 0, 1, 0, 0]);
        assert_eq!(request("br0", Ipv4Addr::new(10, 244, 0, 1)), expected);
    }

    #[test]
    fn replies() {
        let reply = |kind: u16, code: i32| {
            let mut reply = vec![36, 0, 0, 0];
            reply.extend(kind.to_ne_bytes());
            reply.extend([0; 10]);
            reply.extend(code.to_ne_bytes());
            reply
        };
        assert!(outcome(&reply(2, 0)).is_ok());
        assert_eq!(outcome(&reply(2, -1)).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        for wrong in [reply(3, 0), reply(2, 0)[..18].to_vec(), Vec::new()] {
            assert_eq!(outcome(&wrong).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_interface_that_is_not_there() {
        assert!(keep_address("hdns-none", Ipv4Addr::LOCALHOST).is_err());
    }
}
