//! Filters in front of the balancer.

use std::time::Duration;

use sluice_e2e::clients::Clients;
use sluice_e2e::process::eventually;

use crate::shop::{CLIENT, PATIENCE, Shop, VIP4, WEIGHTS};
use crate::traffic::to_vip;

const FILTER: &str = "apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: front}
spec:
  nodeSelector: {matchLabels: {role: edge}}
  interfaces: {names: [eth0]}
  rules:
  - {name: web, action: Pass, match: {protocols: [TCP], destinationPorts: [\"80\"]}}
  - {name: no-dns, action: Drop, match: {protocols: [UDP], destinationPorts: [\"53\"]}}
";

pub fn a_pass_reaches_the_balancer_and_a_drop_does_not(shop: &Shop) {
    shop.fleet.write_policy("front.yaml", FILTER).unwrap();
    shop.fleet.wait_ready("front", 1, "", PATIENCE).unwrap();
    let balanced = |port: &str| -> u64 {
        let name = |number| format!("{VIP4}:{port}>10.80.{number}.2");
        WEIGHTS.iter().map(|(number, _)| shop.counted("edge-1", &name(*number), "pass")).sum()
    };
    let before = balanced("53/UDP");
    shop.send(1, 500, |number| to_vip(CLIENT, 5000 + number as u16, 53));
    shop.expect("packets that the filter drops", 500, |shop| shop.counted("edge-1", "no-dns", "drop"));
    assert_eq!(balanced("53/UDP"), before, "a dropped packet reaches no backend");

    let (before, clients) = (
        balanced("80/TCP"),
        Clients::start(&shop.fleet.hub, Shop::vip("IPv4"), 21_000..21_020, Duration::from_millis(1)),
    );
    eventually(PATIENCE, || Ok((clients.log().answers.values().sum::<u64>() >= 20).then_some(()))).unwrap();
    assert!(clients.log().failures.is_empty(), "{:?}", clients.log().failures);
    drop(clients);
    // Every packet of theirs that the rule passed, the balancer sent on.
    eventually(PATIENCE, || {
        let passed = shop.counted("edge-1", "web", "pass");
        Ok((passed >= 100 && balanced("80/TCP") - before == passed).then_some(()))
    })
    .unwrap_or_else(|error| {
        let (passed, balanced) = (shop.counted("edge-1", "web", "pass"), balanced("80/TCP") - before);
        panic!("{error:#}: {passed} passed, {balanced} balanced{}", shop.words())
    });
    std::fs::remove_file(shop.fleet.policies().join("front.yaml")).unwrap();
}
