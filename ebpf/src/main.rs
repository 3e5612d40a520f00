#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(not(target_arch = "bpf"), allow(dead_code))]
#[cfg(not(target_arch = "bpf"))]
fn main() {}
