//! The balancers' half of a plan: virtual addresses, rings, targets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use sluice_abi::{Address, MAX_BALANCERS, MAX_SLOTS, NO_TARGET, Target, Vip as VipEntry, VipKey};
use sluice_balance::{Ring, Vip};
use sluice_plan::{BalancerPart, BalancerTables, HealthCheck, TargetRef, VipRef};
use sluice_policy::{Backend, Balancer, ObjectRef};

use crate::encode::bytes;
use crate::error::CompileError;
use crate::flatten::interfaces;
use crate::input::BalancerInput;
use crate::spec_hash::balancer_ref;

/// Most ring slots of all virtual addresses on one node (4 bytes each).
pub const MAX_RING_SLOTS: usize = 1 << 22;

/// `entries` is the number of counters that the filters take.
pub fn balancers(
    inputs: &[BalancerInput],
    entries: usize,
) -> Result<(Vec<BalancerPart>, BalancerTables), CompileError> {
    let mut ordered: Vec<&BalancerInput> = inputs.iter().collect();
    ordered.sort_by_key(|input| (&input.balancer.object.namespace, &input.balancer.object.name));
    let mut tables = Tables::default();
    let mut parts = Vec::new();
    for (position, input) in (0..).zip(ordered) {
        if parts.len() == MAX_BALANCERS {
            let (object, limit) = (Box::new(input.balancer.object.clone()), MAX_BALANCERS);
            return Err(CompileError::TooManyBalancers { object, total: limit + 1, limit });
        }
        parts.push(tables.add(position, input));
        tables.check(&input.balancer.object, entries)?;
    }
    Ok((parts, tables.encode()))
}

#[derive(Default)]
struct Tables {
    vips: BTreeMap<VipKey, VipEntry>,
    /// Virtual addresses of all parts so far, also of those that this class only has backends of.
    vip_count: u32,
    ring: Vec<u32>,
    targets: Vec<Target>,
}

impl Tables {
    fn add(&mut self, position: u32, input: &BalancerInput) -> BalancerPart {
        let balancer = input.balancer;
        let (mut vips, mut targets) = (Vec::new(), Vec::new());
        for (index, vip) in (0..).zip(sluice_balance::vips(balancer)) {
            let first = self.targets.len() as u32;
            let backends: Vec<&Backend> =
                balancer.backends.iter().filter(|b| b.address.is_ipv4() == vip.address.is_ipv4()).collect();
            self.targets.extend(backends.iter().map(|backend| Target { address: address(backend.address) }));
            targets.extend(backends.iter().map(|backend| TargetRef {
                vip: index,
                backend: backend.address,
                healthy: backend.weight > 0 && !input.unhealthy.contains(&backend.address),
            }));
            if input.balances {
                self.add_ring(position, vip, input.rings.get(&vip), &backends, first, balancer.slots);
            }
            vips.push(vip_ref(balancer, vip, index));
            self.vip_count += 1;
        }
        BalancerPart {
            policy: balancer_ref(balancer),
            balances: input.balances,
            interfaces: interfaces(&balancer.interfaces),
            vips,
            targets,
            check: health_check(balancer),
        }
    }

    /// A virtual address without an agreed ring has no backend yet.
    fn add_ring(
        &mut self,
        balancer: u32,
        vip: Vip,
        ring: Option<&Ring>,
        backends: &[&Backend],
        first_target: u32,
        slots: u32,
    ) {
        let numbers: BTreeMap<IpAddr, u32> =
            backends.iter().map(|backend| backend.address).zip(first_target..).collect();
        let target =
            |owner: Option<IpAddr>| owner.and_then(|owner| numbers.get(&owner).copied()).unwrap_or(NO_TARGET);
        let start = self.ring.len() as u32;
        match ring {
            Some(ring) => self.ring.extend(ring.owners().map(target)),
            None => self.ring.extend((0..slots).map(|_| NO_TARGET)),
        }
        let mask = self.ring.len() as u32 - start - 1;
        let key =
            VipKey { address: address(vip.address), port: vip.port, protocol: vip.protocol, reserved: 0 };
        self.vips.insert(key, VipEntry { ring: start, mask, balancer, slot: self.vip_count });
    }

    fn check(&self, object: &ObjectRef, entries: usize) -> Result<(), CompileError> {
        let counters = entries + self.vip_count as usize + self.targets.len();
        if counters > MAX_SLOTS as usize {
            let (object, limit) = (Box::new(object.clone()), MAX_SLOTS as usize);
            return Err(CompileError::TooManyCounters { object, total: counters, limit });
        }
        let slots = self.ring.len();
        if slots > MAX_RING_SLOTS {
            let object = Box::new(object.clone());
            return Err(CompileError::TooManyRingSlots { object, total: slots, limit: MAX_RING_SLOTS });
        }
        Ok(())
    }

    fn encode(&self) -> BalancerTables {
        let vips = self
            .vips
            .iter()
            .flat_map(|(key, vip)| [bytemuck::bytes_of(key), bytemuck::bytes_of(vip)].concat())
            .collect();
        BalancerTables { vips, ring: bytes(&self.ring), targets: bytes(&self.targets) }
    }
}

/// Virtual addresses are addresses × ports, so the port of number `index` is its remainder.
fn vip_ref(balancer: &Balancer, vip: Vip, index: u32) -> VipRef {
    let name = balancer.ports[index as usize % balancer.ports.len()].name.clone();
    VipRef { address: vip.address, port: vip.port, protocol: vip.protocol, name }
}

fn health_check(balancer: &Balancer) -> Option<HealthCheck> {
    balancer.health_check.as_ref().map(|check| HealthCheck {
        port: check.port,
        interval_ms: check.interval.as_millis() as u64,
        timeout_ms: check.timeout.as_millis() as u64,
        rise: check.rise,
        fall: check.fall,
    })
}

fn address(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
