//! The kernel side of Sluice: one XDP program per interface.
//!
//! ```text
//! parse -> open the tunnel, if this node is a backend -> failsafe -> filters -> balancer -> verdict
//! ```
//!
//! With the feature `tc` it is the same for the hooks of the network stack, without tunnels and balancer.
//!
//! Each stage is a function that the verifier checks once and on its own ("global function"), with the parsed packet
//! as its input: an inlined pipeline would be walked anew for every way through the stages before. What a plan does
//! not use is removed by constants (`CONFIG`). Needs Linux 6.1.
//!
//! For the host this is an empty program, so that `cargo build --workspace` needs no special case.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch, core_intrinsics))]
#![cfg_attr(
    target_arch = "bpf",
    allow(internal_features, reason = "compare-and-swap, which the target has and its atomics do not")
)]
#![cfg_attr(feature = "tc", allow(dead_code, reason = "what only tunnels and the balancer need"))]

#[cfg(all(target_arch = "bpf", not(feature = "tc")))]
mod balance;
#[cfg(target_arch = "bpf")]
mod classify;
#[cfg(target_arch = "bpf")]
mod constants;
#[cfg(target_arch = "bpf")]
mod count;
#[cfg(all(target_arch = "bpf", not(feature = "tc")))]
mod decap;
#[cfg(target_arch = "bpf")]
mod details;
#[cfg(target_arch = "bpf")]
mod established;
#[cfg(all(target_arch = "bpf", not(feature = "tc")))]
mod exception;
#[cfg(target_arch = "bpf")]
mod failsafe;
#[cfg(target_arch = "bpf")]
mod frame;
#[cfg(target_arch = "bpf")]
mod link_header;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(all(target_arch = "bpf", not(feature = "tc")))]
mod mark;
#[cfg(target_arch = "bpf")]
mod mix;
#[cfg(target_arch = "bpf")]
mod packet;
#[cfg(target_arch = "bpf")]
mod parse;
#[cfg(target_arch = "bpf")]
mod program;
#[cfg(target_arch = "bpf")]
mod sample;
#[cfg(target_arch = "bpf")]
mod sets;
#[cfg(target_arch = "bpf")]
mod table;
#[cfg(all(target_arch = "bpf", feature = "tc"))]
mod tc;
#[cfg(target_arch = "bpf")]
mod trace;

#[cfg(not(target_arch = "bpf"))]
fn main() {}
