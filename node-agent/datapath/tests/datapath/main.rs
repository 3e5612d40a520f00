//! The data plane on a real kernel: veth pairs in a network namespace and a bpf file system of each test's own. Needs
//! root; without it every test fails, unless `SLUICE_SKIP_PRIVILEGED=1` says that it may be skipped.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking too")]

mod adopt;
mod attach;
mod balancer;
mod bounds;
mod counters;
mod drops;
mod established;
mod foreign;
mod gso;
mod jumbo;
mod limits;
mod marks;
mod pins;
mod plans;
mod replace;
mod sets;
mod swap;
mod tamper;
mod tc;
mod traffic;
mod unprivileged;
mod world;
