//! Many datagrams with one system call: recvmmsg and sendmmsg over fixed buffers (Linux). The only file of the
//! library with `unsafe`.
#![allow(unsafe_code)]

use super::gso::{self, OutgoingReply};
use std::{
    io,
    mem::{size_of, zeroed},
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::{AsFd, AsRawFd},
    ptr,
};

/// How many datagrams are received or sent at once.
pub(super) const BATCH_DATAGRAMS_MAX: usize = 64;
/// Octets of a datagram that are looked at; more than a query can use (we advertise at most 4096).
const DATAGRAM_OCTETS_MAX: usize = 4096;

/// Room for one control message with an address (40 octets for IPv6) and one with the length of datagrams (24), aligned
/// as a `cmsghdr`.
type Control = [u64; 8];

/// A batch of datagrams and the room for their replies; all memory is taken once.
pub(super) struct Batch {
    packets: Box<[[u8; DATAGRAM_OCTETS_MAX]]>,
    replies: Box<[u8]>,
    reply_size: usize,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    items: [ReceivedDatagram; BATCH_DATAGRAMS_MAX],
    received: usize,
    /// The replies in the order in which they leave, and where in it each header's begin.
    outgoing: Vec<OutgoingReply>,
    pieces: Vec<u8>,
    /// Whether the system takes several datagrams as one piece, as far as is known.
    segmentation: bool,
}

/// How a reply reaches the sender of a datagram that is no longer in the batch: from the address that was asked.
#[derive(Clone, Copy)]
pub(super) struct ReplyPath {
    name: libc::sockaddr_storage,
    name_length: libc::socklen_t,
    control: Control,
    control_length: usize,
}

/// Sends one reply without waiting for room: who asked asks again.
pub(super) fn send_one(socket: &UdpSocket, way: &ReplyPath, reply: &[u8]) -> io::Result<()> {
    let mut way = *way;
    let mut vector = libc::iovec { iov_base: reply.as_ptr().cast_mut().cast(), iov_len: reply.len() };
    // SAFETY: a plain C structure of integers and pointers, for which all zero bits are a value.
    let mut header = unsafe { zeroed::<libc::msghdr>() };
    header.msg_name = ptr::from_mut(&mut way.name).cast();
    header.msg_namelen = way.name_length;
    header.msg_iov = ptr::from_mut(&mut vector);
    header.msg_iovlen = 1;
    header.msg_control = if way.control_length == 0 { ptr::null_mut() } else { way.control.as_mut_ptr().cast() };
    header.msg_controllen = way.control_length as _;
    loop {
        // SAFETY: the header points to a name, a vector, a control buffer and a reply that live until the call returns,
        // with their true sizes (those of the name and the control message are recvmmsg's own); the system only reads
        // them.
        let outcome = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
        if outcome >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// What is known of one datagram of the batch.
#[derive(Clone, Copy, Default)]
struct ReceivedDatagram {
    packet: usize,
    reply: usize,
    name: libc::socklen_t,
    control: usize,
}

/// Sets the options that only this loop needs: no fragmentation, and for a wildcard the address that a packet was sent
/// to.
pub(super) fn prepare(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    let wildcard = address.ip().is_unspecified();
    let (level, discover, omit, info) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT, libc::IP_PKTINFO),
        SocketAddr::V6(_) => {
            (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT, libc::IPV6_RECVPKTINFO)
        }
    };
    // RFC 9715 §3.1: do not let forged "fragmentation needed" messages shrink our datagrams. Old kernels lack it.
    let _ = set_option(socket, level, discover, omit);
    if wildcard { set_option(socket, level, info, 1) } else { Ok(()) }
}

fn set_option(socket: &impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open while it is borrowed, and the pointer is valid for the length given with it.
    let outcome =
        unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, ptr::from_ref(&value).cast(), length) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Batch {
    /// Room for `BATCH_DATAGRAMS_MAX` datagrams of a socket with replies of at most `reply_size` octets.
    pub(super) fn new(socket: &UdpSocket, reply_size: usize) -> Batch {
        // SAFETY: all three are plain C structures of integers and pointers, for which all zero bits are a value.
        let (name, vector, header) =
            unsafe { (zeroed::<libc::sockaddr_storage>(), zeroed::<libc::iovec>(), zeroed::<libc::mmsghdr>()) };
        Batch {
            packets: vec![[0; DATAGRAM_OCTETS_MAX]; BATCH_DATAGRAMS_MAX].into_boxed_slice(),
            replies: vec![0; BATCH_DATAGRAMS_MAX * reply_size].into_boxed_slice(),
            reply_size,
            names: vec![name; BATCH_DATAGRAMS_MAX].into_boxed_slice(),
            controls: vec![Control::default(); BATCH_DATAGRAMS_MAX].into_boxed_slice(),
            vectors: vec![vector; BATCH_DATAGRAMS_MAX].into_boxed_slice(),
            headers: vec![header; BATCH_DATAGRAMS_MAX].into_boxed_slice(),
            items: [ReceivedDatagram::default(); BATCH_DATAGRAMS_MAX],
            received: 0,
            outgoing: Vec::with_capacity(BATCH_DATAGRAMS_MAX),
            pieces: Vec::with_capacity(BATCH_DATAGRAMS_MAX),
            segmentation: knows_segmentation(socket),
        }
    }

    /// Receives at least one datagram and whatever else is there already; `wait` says whether to wait for the first
    /// one, as long as the socket's read timeout. Returns how many there are.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<usize> {
        self.received = 0;
        for slot in 0..BATCH_DATAGRAMS_MAX {
            self.vectors[slot] =
                libc::iovec { iov_base: self.packets[slot].as_mut_ptr().cast(), iov_len: DATAGRAM_OCTETS_MAX };
            let header = &mut self.headers[slot].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.names[slot]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = ptr::from_mut(&mut self.vectors[slot]);
            header.msg_iovlen = 1;
            header.msg_control = self.controls[slot].as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
            header.msg_flags = 0;
        }
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: each of the BATCH headers points to a name, a vector, a control buffer and a packet buffer that this
        // batch owns exclusively, with their true sizes, and none of them is touched by anybody else before the call
        // returns.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH_DATAGRAMS_MAX as libc::c_uint,
                flags as _,
                ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        self.received = (count as usize).min(BATCH_DATAGRAMS_MAX);
        for (item, header) in self.items.iter_mut().zip(&self.headers[..self.received]) {
            let cut = header.msg_hdr.msg_flags & libc::MSG_CTRUNC != 0;
            #[cfg_attr(
                target_env = "gnu",
                expect(clippy::unnecessary_cast, reason = "the types differ from libc to libc")
            )]
            let control = if cut { 0 } else { header.msg_hdr.msg_controllen as usize };
            *item = ReceivedDatagram {
                packet: (header.msg_len as usize).min(DATAGRAM_OCTETS_MAX),
                reply: 0,
                name: header.msg_hdr.msg_namelen,
                control,
            };
        }
        Ok(self.received)
    }

    /// Where a datagram came from; `None` for an address that is not an Internet address.
    pub(super) fn source(&self, index: usize) -> Option<SocketAddr> {
        let (name, length) = (&self.names[index], self.items[index].name as usize);
        match libc::c_int::from(name.ss_family) {
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: the family says that the storage holds a `sockaddr_in`, and it is large and aligned enough
                // for any.
                let name = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in>() };
                let address = u32::from_be(name.sin_addr.s_addr).into();
                Some(SocketAddrV4::new(address, u16::from_be(name.sin_port)).into())
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: as above, for a `sockaddr_in6`.
                let name = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
                let (address, port) = (Ipv6Addr::from(name.sin6_addr.s6_addr), u16::from_be(name.sin6_port));
                Some(SocketAddrV6::new(address, port, name.sin6_flowinfo, name.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    /// The address that a datagram was sent to, where the socket was prepared to report it. From now on the reply
    /// leaves from that address, by whatever interface the routing table says.
    pub(super) fn destination(&mut self, index: usize) -> Option<IpAddr> {
        let item = &self.items[index];
        if item.control == 0 {
            return None;
        }
        let header = &mut self.headers[index].msg_hdr;
        header.msg_control = self.controls[index].as_mut_ptr().cast();
        header.msg_controllen = item.control as _;
        // SAFETY: the header points to the control buffer that recvmmsg filled, of the length that recvmmsg reported;
        // so the first control message, if there is one, lies inside it with a complete `cmsghdr`.
        let message = unsafe { libc::CMSG_FIRSTHDR(header).as_mut() }?;
        match (message.cmsg_level, message.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: level and type say that the data is an `in_pktinfo`; `Control` has room for it after the
                // header.
                let mut info = unsafe { libc::CMSG_DATA(message).cast::<libc::in_pktinfo>().read_unaligned() };
                let address = IpAddr::V4(u32::from_be(info.ipi_spec_dst.s_addr).into());
                // Naming the interface would bypass the routing table.
                info.ipi_ifindex = 0;
                // SAFETY: as above.
                unsafe { libc::CMSG_DATA(message).cast::<libc::in_pktinfo>().write_unaligned(info) };
                Some(address)
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: level and type say that the data is an `in6_pktinfo`; `Control` has room for it after the
                // header.
                let mut info = unsafe { libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>().read_unaligned() };
                let address = IpAddr::V6(info.ipi6_addr.s6_addr.into());
                info.ipi6_ifindex = 0;
                // SAFETY: as above.
                unsafe { libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>().write_unaligned(info) };
                Some(address)
            }
            _ => None,
        }
    }

    /// How a reply gets to the sender later; only after [`Batch::destination`].
    pub(super) fn way_back(&self, index: usize) -> ReplyPath {
        let item = self.items[index];
        let most = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        ReplyPath {
            name: self.names[index],
            name_length: item.name.min(most),
            control: self.controls[index],
            control_length: item.control.min(size_of::<Control>()),
        }
    }

    /// A packet of the batch.
    pub(super) fn packet(&self, index: usize) -> &[u8] {
        &self.packets[index][..self.items[index].packet]
    }

    /// A datagram, and the room for its reply.
    pub(super) fn exchange(&mut self, index: usize) -> (&[u8], &mut [u8]) {
        let reply = &mut self.replies[index * self.reply_size..][..self.reply_size];
        (&self.packets[index][..self.items[index].packet], reply)
    }

    /// So many octets of the reply will be sent; without this call nothing is.
    pub(super) fn set_reply(&mut self, index: usize, length: usize) {
        self.items[index].reply = length.min(self.reply_size);
    }

    /// Sends the replies; returns how many the system did not take, with the last reason. An error means that the
    /// socket is lost.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> io::Result<(u64, Option<io::Error>)> {
        self.outgoing.clear();
        for (index, item) in (0..).zip(&self.items[..self.received]) {
            if item.reply > 0 {
                self.outgoing.push(OutgoingReply::new(client(&self.names[usize::from(index)]), item.reply, index));
            }
        }
        if self.segmentation {
            gso::sort(&mut self.outgoing);
        }
        self.cut(self.segmentation);
        let (mut next, mut unsent, mut reason) = (0, 0, None);
        while next < self.pieces.len() {
            let rest = &mut self.headers[next..self.pieces.len()];
            // SAFETY: the headers of `rest` point to names, vectors, control buffers and replies that this batch owns,
            // with their true sizes; the system only reads them (and writes `msg_len`).
            let outcome =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0) };
            if outcome > 0 {
                next += outcome as usize;
                continue;
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EBADF | libc::ENOTSOCK | libc::EFAULT) => return Err(error),
                // Perhaps not the datagrams are the trouble but that they are one piece: a device that has others
                // compute checksums (EIO), a link too narrow (EINVAL), which will not change. Each for itself now.
                code if self.headers[next].msg_hdr.msg_iovlen > 1 => {
                    self.segmentation &= !matches!(code, Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE));
                    self.outgoing.drain(..usize::from(self.pieces[next]));
                    self.cut(false);
                    next = 0;
                }
                // The rest concerns this one reply: no room (EAGAIN, ENOBUFS), a firewall (EPERM), no route or an
                // address that is gone (EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, EINVAL), too long for the link
                // (EMSGSIZE), an ICMP error of an earlier one (ECONNREFUSED). The client asks again; the other replies
                // must not wait for it.
                _ => {
                    next += 1;
                    unsent += 1;
                    reason = Some(error);
                }
            }
        }
        Ok((unsent, reason))
    }

    /// Fills the headers with the outgoing replies, several in one where that is possible and wanted.
    fn cut(&mut self, together: bool) {
        self.pieces.clear();
        let mut begin = 0;
        while begin < self.outgoing.len() {
            let count = if together {
                let (names, items, controls) = (&self.names, &self.items, &self.controls);
                gso::next_piece(&self.outgoing[begin..], |one, other| {
                    let (item, another) = (items[one], items[other]);
                    item.control <= ADDRESS
                        && (item.name, item.control) == (another.name, another.control)
                        && octets(&names[one], item.name) == octets(&names[other], another.name)
                        && controls[one][..item.control / 8] == controls[other][..another.control / 8]
                })
            } else {
                1
            };
            for (place, reply) in (begin..).zip(&self.outgoing[begin..begin + count]) {
                let index = reply.index();
                let reply = &mut self.replies[index * self.reply_size..][..self.items[index].reply];
                self.vectors[place] = libc::iovec { iov_len: reply.len(), iov_base: reply.as_mut_ptr().cast() };
            }
            let index = self.outgoing[begin].index();
            let item = self.items[index];
            let control = if count > 1 { self.say_length(index) } else { item.control };
            let header = &mut self.headers[self.pieces.len()].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.names[index]).cast();
            header.msg_namelen = item.name;
            header.msg_iov = ptr::from_mut(&mut self.vectors[begin]);
            header.msg_iovlen = count as _;
            header.msg_control = if control == 0 { ptr::null_mut() } else { self.controls[index].as_mut_ptr().cast() };
            header.msg_controllen = control as _;
            header.msg_flags = 0;
            // A batch has fewer than 256 replies.
            self.pieces.push(begin as u8);
            begin += count;
        }
    }

    /// Puts the length of a reply after the control message that it has already, as that of all in its piece but a
    /// shorter last one; returns the octets of both.
    fn say_length(&mut self, index: usize) -> usize {
        // SAFETY: both only compute.
        let (length, space) = unsafe { (libc::CMSG_LEN(2), libc::CMSG_SPACE(2)) };
        let item = self.items[index];
        // What an address takes is a multiple of 8 and leaves room, as the assertion below makes sure.
        let words = &mut self.controls[index][item.control / 8..];
        words[..space as usize / 8].fill(0);
        let message = words.as_mut_ptr().cast::<libc::cmsghdr>();
        // SAFETY: `words` has room for `space` octets, was just sliced to that length at least, and is aligned as a
        // `cmsghdr`; the data of two octets lies after the header within that space.
        unsafe {
            (*message).cmsg_level = libc::SOL_UDP;
            (*message).cmsg_type = libc::UDP_SEGMENT;
            (*message).cmsg_len = length as _;
            libc::CMSG_DATA(message).cast::<u16>().write_unaligned(item.reply as u16);
        }
        item.control + space as usize
    }
}

/// Most octets of a control message with an address.
// SAFETY: it only computes.
const ADDRESS: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as _) } as usize;
// SAFETY: as above.
const _: () = assert!(ADDRESS + unsafe { libc::CMSG_SPACE(2) } as usize <= size_of::<Control>());

/// Whether the system can cut a piece into datagrams (Linux 4.18 and newer); an older one would send the piece whole.
fn knows_segmentation(socket: &UdpSocket) -> bool {
    option(socket, libc::SOL_UDP, libc::UDP_SEGMENT).is_ok()
}

fn option(socket: &impl AsFd, level: libc::c_int, option: libc::c_int) -> io::Result<libc::c_int> {
    let (mut value, mut length): (libc::c_int, _) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    let into = ptr::from_mut(&mut value).cast();
    // SAFETY: the descriptor is open while it is borrowed, and both pointers are valid for the length given.
    let outcome = unsafe { libc::getsockopt(socket.as_fd().as_raw_fd(), level, option, into, &mut length) };
    if outcome == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// The octets of an address that are in use.
fn octets(name: &libc::sockaddr_storage, length: libc::socklen_t) -> &[u8] {
    let length = (length as usize).min(size_of::<libc::sockaddr_storage>());
    // SAFETY: the storage is at least as long, has no padding that was never written (it began as zeros), and octets
    // have no alignment.
    unsafe { std::slice::from_raw_parts(ptr::from_ref(name).cast::<u8>(), length) }
}

/// Something that two clients seldom share: the port and the end of the address.
fn client(name: &libc::sockaddr_storage) -> u32 {
    let octets = octets(name, size_of::<libc::sockaddr_in6>() as libc::socklen_t);
    let two = |at: usize| u32::from(u16::from_ne_bytes([octets[at], octets[at + 1]]));
    // The port stands at 2; an IPv4 address ends at 8, an IPv6 address at 24 (both are zeros if unused).
    two(2) << 16 | (two(6) ^ two(22))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_not_cut_on_the_way() {
        // RFC 9715 §3.1
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            let address = socket.local_addr().unwrap();
            prepare(&socket, address).unwrap();
            let (level, discover, expected) = match address {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT),
            };
            assert_eq!(option(&socket, level, discover).unwrap(), expected, "{address}");
        }
    }
}
