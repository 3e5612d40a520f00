//! Which backends a plan wants checked.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_health::Check;
use sluice_plan::{BalancerPart, HealthCheck, NodePlan};
use tokio::sync::watch;

/// Keeps `wanted` to what the plan in force says, until the plan's channel ends.
pub async fn follow(mut plan: watch::Receiver<Arc<NodePlan>>, wanted: watch::Sender<BTreeSet<Check>>) {
    loop {
        let now = checks(&plan.borrow_and_update());
        wanted.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        if plan.changed().await.is_err() {
            return;
        }
    }
}

/// A node checks what it balances to; one check serves all VIPs of a balancer.
fn checks(plan: &NodePlan) -> BTreeSet<Check> {
    let balancing = plan.balancers.parts.iter().filter(|part| part.balances);
    balancing
        .filter_map(|part| Some((part, part.check.as_ref()?)))
        .flat_map(|(part, with)| of_part(part, with))
        .collect()
}

fn of_part<'a>(part: &'a BalancerPart, with: &'a HealthCheck) -> impl Iterator<Item = Check> + 'a {
    part.targets.iter().map(|target| Check {
        policy: part.policy.uid.clone(),
        target: SocketAddr::new(target.backend, with.port),
        interval: Duration::from_millis(with.interval_ms),
        timeout: Duration::from_millis(with.timeout_ms),
        rise: with.rise,
        fall: with.fall,
    })
}

#[cfg(test)]
mod tests {
    use sluice_plan::{Balancers, TargetRef};

    use super::*;

    #[test]
    fn each_backend_is_checked_once_and_by_balancing_nodes_only() {
        let target = |vip, backend: &str| TargetRef {
            vip,
            backend: backend.parse().expect("an address"),
            healthy: true,
        };
        let part = |balances| BalancerPart {
            policy: Default::default(),
            balances,
            interfaces: Default::default(),
            vips: vec![],
            targets: vec![target(0, "192.0.2.7"), target(1, "192.0.2.7"), target(0, "192.0.2.8")],
            check: Some(HealthCheck { port: 8080, interval_ms: 2000, timeout_ms: 1000, rise: 2, fall: 3 }),
        };
        let plan = |balances| NodePlan {
            balancers: Balancers { parts: vec![part(balances)], ..Balancers::default() },
            ..NodePlan::default()
        };
        let targets: Vec<_> = checks(&plan(true)).into_iter().map(|check| check.target.to_string()).collect();
        assert_eq!(targets, ["192.0.2.7:8080", "192.0.2.8:8080"]);
        assert!(checks(&plan(false)).is_empty());
    }
}
