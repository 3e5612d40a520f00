//! Frames into one end of a veth pair, and those that came through on the other.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use etherparse::PacketBuilder;

/// UDP from 192.0.2.1; the payload tells them apart.
pub fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    udp_to(Ipv4Addr::new(198, 51, 100, 1), port, payload)
}

pub fn udp_to(destination: Ipv4Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])
        .ipv4([192, 0, 2, 1], destination.octets(), 64)
        .udp(40_000, port);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// A raw socket on one interface.
pub struct Wire(OwnedFd);

impl Wire {
    pub fn on(name: &str) -> Wire {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: plain integers; a new descriptor or -1 comes back.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
                protocol.into(),
            )
        };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: `fd` is new and nobody else's.
        let wire = Wire(unsafe { OwnedFd::from_raw_fd(fd) });
        wire.bind(name, protocol);
        wire.grow();
        wire
    }

    fn bind(&self, name: &str, protocol: u16) {
        // SAFETY: all zeroes is a valid address.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = nix::net::if_::if_nametoindex(name).unwrap() as i32;
        let length = size_of::<libc::sockaddr_ll>() as u32;
        // SAFETY: the address is a live `sockaddr_ll` of this length.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), length) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }

    /// Room for all that a test sends, so that nothing is lost unseen.
    fn grow(&self) {
        let bytes: libc::c_int = 64 << 20;
        // SAFETY: the option's value is a live int of this length.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const bytes).cast(),
                size_of::<libc::c_int>() as u32,
            )
        };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }

    pub fn send(&self, frame: &[u8]) {
        nix::unistd::write(&self.0, frame).unwrap();
    }

    /// Everything that has arrived, sent frames of its own left out.
    pub fn arrived(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut buffer = [0; 2048];
        while let Ok(length) = nix::unistd::read(&self.0, &mut buffer) {
            frames.push(buffer[..length].to_vec());
        }
        frames
    }
}

/// Whether a frame sent into `x{name}` comes out of `{name}`. A marker frame behind it shows that it was not just slow.
pub fn passes(name: &str, frame: &[u8]) -> bool {
    let (sender, receiver) = (Wire::on(&format!("x{name}")), Wire::on(name));
    let marker = udp(65_000, b"the frame before this one has been judged");
    sender.send(frame);
    sender.send(&marker);
    let mut seen = Vec::new();
    crate::world::eventually("the marker's arrival", || {
        seen.extend(receiver.arrived());
        seen.contains(&marker)
    });
    seen.iter().any(|arrived| arrived == frame)
}
