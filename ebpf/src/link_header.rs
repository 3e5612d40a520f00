//! The Ethernet header of a packet at tcx ingress, which the kernel may have lost sight of.
//!
//! XDP behind the driver (generic) needs room in front of a packet. Where there is too little Linux copies the packet,
//! from 6.9 on without the length of its Ethernet header (`skb_pp_cow_data`, `mac_len`), and then shows tcx the packet
//! from the IP header on.

use core::ptr::read_volatile;

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::bindings::bpf_hdr_start_off::BPF_HDR_START_MAC;
use aya_ebpf::helpers::generated::{bpf_skb_change_head, bpf_skb_load_bytes_relative, bpf_skb_store_bytes};

const LENGTH: u32 = 14;

/// Gives the header back, to whatever program comes after this one, too. Pointers into the packet are read anew behind it.
#[inline(always)]
pub fn restore(packet: *mut __sk_buff) {
    let mut header = [0u8; LENGTH as usize];
    // SAFETY: the context is the one that the kernel gave, and the header has room for as many bytes as are loaded.
    unsafe {
        // The length on the wire is taken, without the header, before the header is shown: most packets end here.
        if read_volatile(&raw const (*packet).len) != read_volatile(&raw const (*packet).wire_len) {
            return;
        }
        let first_length =
            read_volatile(&raw const (*packet).data_end) - read_volatile(&raw const (*packet).data);
        let mut load = |offset| {
            let to = header.as_mut_ptr().cast();
            bpf_skb_load_bytes_relative(packet.cast(), offset, to, LENGTH, BPF_HDR_START_MAC) == 0
        };
        // From the Ethernet header on, the first buffer is longer than it seems by just that header, if it is hidden.
        if !load(first_length) || !load(0) || bpf_skb_change_head(packet, LENGTH, 0) != 0 {
            return;
        }
        // The kernel cleared it. What cannot be stored leaves a header of zeros, whose packet no rule for IP matches.
        bpf_skb_store_bytes(packet.cast(), 0, header.as_ptr().cast(), LENGTH, 0);
    }
}
