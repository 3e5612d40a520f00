//! A large address set on its way: from a list into the kernel, and one prefix more.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use sluice_address_set::AddressSet;
use sluice_datapath::KernelSet;
use sluice_plan::Hash;
use sluice_policy::ListFormat;

use super::median;
use crate::fleet::{Fleet, Options};

/// Of what takes milliseconds.
const ROUNDS: usize = 9;
const PATIENCE: Duration = Duration::from_secs(60);
const LIST: &str = "listed.txt";
const SET: &str = "apiVersion: sluice.dev/v1alpha1\nkind: XdpAddressSet\nmetadata: {name: listed}\nspec: {files: [listed.txt]}\n";
const FILTER: &str = "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {name: edge}\nspec:\n  \
                      interfaces: {names: [eth0]}\n  rules:\n  - name: listed\n    action: Drop\n    \
                      match: {sources: {sets: [listed]}}\n";

/// Milliseconds, but for the bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetTimes {
    pub prefixes: usize,
    /// Operator: the lines of a list to a set.
    pub read_ms: f64,
    /// Operator: the set to its shards.
    pub cut_ms: f64,
    /// Agent: all shards to the set.
    pub join_ms: f64,
    /// Agent: the set into the kernel, and read back.
    pub kernel_ms: f64,
    pub kernel_bytes: u64,
    /// Agent: the shard that one prefix more changes, to a set in the kernel.
    pub one_more_ms: f64,
    /// From starting everything with the list on disk to the node's confirmation.
    pub first_ms: f64,
    /// From saving the list with one line more to the node's confirmation.
    pub saved_ms: f64,
}

/// An operator in directory mode and one agent for the last two; the others are the functions that those call.
pub fn measure(prefixes: usize) -> anyhow::Result<SetTimes> {
    let list = list(prefixes);
    let started = Instant::now();
    let read = sluice_sets::read_list(list.as_bytes(), ListFormat::Plain).context("the list")?;
    let set = read.addresses;
    let read_ms = ms(started);
    let ((manifest, shards), cut_ms) = timed(|| set.shards());
    let shards: std::collections::HashMap<Hash, _> =
        shards.into_iter().map(|shard| (shard.hash, shard.bytes)).collect();
    let (joined, join_ms) = timed(|| AddressSet::from_shards(&manifest, |hash| shards.get(&hash)));
    let (made, kernel_ms) = timed(|| KernelSet::make(manifest.hash(), joined.expect("the set's own shards")));
    let made = Arc::new(made?);
    let (first_ms, saved_ms) = fleet(&list)?;
    Ok(SetTimes {
        prefixes: set.len(),
        read_ms,
        cut_ms,
        join_ms,
        kernel_ms,
        kernel_bytes: made.bytes(),
        one_more_ms: one_more(&set)?,
        first_ms,
        saved_ms,
    })
}

fn one_more(set: &AddressSet) -> anyhow::Result<f64> {
    let (from, old) = set.shards();
    let more = |number: u8| -> AddressSet {
        [IpNet::from(net(Ipv4Addr::new(203, 0, 113, 2 * number), 32))].into_iter().collect()
    };
    let took = (1..=ROUNDS as u8).map(|number| {
        let (to, new) = set.union(&more(number)).shards();
        let bytes = |hash| old.iter().chain(&new).find(|shard| shard.hash == hash).map(|shard| &shard.bytes);
        let start = Instant::now();
        let followed = set.follow(&from, &to, bytes)?;
        KernelSet::make(to.hash(), followed)?;
        Ok(ms(start))
    });
    Ok(median(took.collect::<anyhow::Result<Vec<f64>>>()?))
}

fn fleet(list: &str) -> anyhow::Result<(f64, f64)> {
    let directory = tempfile::tempdir()?;
    let mut fleet = Fleet::build(Options::unique("slbs", 1, directory.path()))?;
    fleet.write_policy(LIST, list)?;
    fleet.write_policy("listed.yaml", SET)?;
    fleet.write_policy("edge.yaml", FILTER)?;
    let start = Instant::now();
    fleet.start()?;
    let mut last = fleet.wait_ready("listed", 1, "", PATIENCE)?.hash;
    let first_ms = ms(start);
    let took = (1..=ROUNDS).map(|number| {
        let list = format!("{list}203.0.113.{}\n", 2 * number);
        let start = Instant::now();
        fleet.write_policy(LIST, &list)?;
        last = fleet.wait_ready("listed", 1, &last, PATIENCE)?.hash;
        Ok(ms(start))
    });
    Ok((first_ms, median(took.collect::<anyhow::Result<Vec<f64>>>()?)))
}

/// Spread over all addresses, half of them single ones.
fn list(prefixes: usize) -> String {
    let line = |number: u32| {
        let address = Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1));
        format!("{}\n", net(address, 32 - (number % 4 * (number % 3)) as u8))
    };
    (0..prefixes as u32).map(line).collect()
}

fn net(address: Ipv4Addr, length: u8) -> Ipv4Net {
    Ipv4Net::new(address, length).expect("at most 32").trunc()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let done = work();
    (done, ms(start))
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

impl fmt::Display for SetTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SetTimes {
            prefixes,
            read_ms,
            cut_ms,
            join_ms,
            kernel_ms,
            kernel_bytes,
            one_more_ms,
            first_ms,
            saved_ms,
        } = self;
        writeln!(f, "An address set of {prefixes} prefixes, {} KiB in the kernel:", kernel_bytes / 1024)?;
        for (what, took) in [
            ("operator: a list to a set", read_ms),
            ("operator: a set to its shards", cut_ms),
            ("agent: all shards to the set", join_ms),
            ("agent: the set into the kernel and read back", kernel_ms),
            ("agent: one prefix more, to the new set in the kernel", one_more_ms),
            ("from starting operator and agent to the node's confirmation", first_ms),
            ("from saving a list with one line more to the node's confirmation", saved_ms),
        ] {
            writeln!(f, "  {took:>8.1} ms  {what}")?;
        }
        Ok(())
    }
}
