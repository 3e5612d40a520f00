//! Frames into one end of a veth pair, and those that came through on the other.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use etherparse::PacketBuilder;
use nix::errno::Errno;

/// UDP from 192.0.2.1; the payload tells them apart.
pub fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    udp_to(Ipv4Addr::new(198, 51, 100, 1), port, payload)
}

pub fn udp_to(destination: Ipv4Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    udp_from([192, 0, 2, 1], destination.octets(), port, payload)
}

pub fn udp_from(source: [u8; 4], destination: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])
        .ipv4(source, destination, 64)
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
        self.set(libc::SO_RCVBUFFORCE, &bytes);
    }

    fn set<T>(&self, option: libc::c_int, value: &T) {
        // SAFETY: the value is alive and of this length; the kernel copies it.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const *value).cast(),
                size_of::<T>() as u32,
            )
        };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }

    pub fn send(&self, frame: &[u8]) {
        nix::unistd::write(&self.0, frame).unwrap();
    }

    /// False where a queue is full.
    pub fn try_send(&self, frame: &[u8]) -> bool {
        match nix::unistd::write(&self.0, frame) {
            Ok(_) => true,
            Err(Errno::EAGAIN | Errno::ENOBUFS) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Hears nothing but IPv4 without options that carries UDP to one of these ports.
    pub fn only_udp_to(&self, ports: [u16; 2]) {
        let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
        let (half, word_is, result) = (0x28, 0x15, 0x06);
        let mut program = [
            instruction(half, 0, 0, 36),
            instruction(word_is, 1, 0, ports[0].into()),
            instruction(word_is, 0, 1, ports[1].into()),
            instruction(result, 0, 0, u32::MAX),
            instruction(result, 0, 0, 0),
        ];
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        self.set(libc::SO_ATTACH_FILTER, &filter);
    }

    /// Everything that has arrived, sent frames of its own left out.
    pub fn arrived(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut buffer = [0; 16 << 10];
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
