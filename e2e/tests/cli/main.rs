//! `kubectl sluice` as its users run it. Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod captures;
mod drops;
mod expected;
mod explain;
mod fleet;
mod lint;
mod metrics;
mod pages;
mod rollout;
mod run;
mod simulate;
mod standalone;
mod streaming;
mod why;
mod wireshark;
