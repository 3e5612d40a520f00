//! Claims on virtual addresses, from objects to plans.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_crds::Kind;
use sluice_index::{Desired, Index, Node, Object, ObjectKey};
use sluice_plan::{Fleet, NodePlan, Schema};

use super::*;

/// One node, whose address is 192.0.2.1, and a pool for the namespace `web`.
fn index() -> Index {
    let mut index = Index::default();
    let addresses = [ip("192.0.2.1"), ip("203.0.113.200")].into();
    index.set_node("edge-1", Node { addresses, ..Node::default() });
    index
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn fleet() -> Fleet {
    serde_json::from_value(json!({
        "failsafe": {"controlEndpoints": [{"address": "203.0.113.201", "port": 6443}]},
        "addressPools": [{"name": "public", "prefixes": ["203.0.113.0/24"], "namespaces": ["web"]}],
    }))
    .expect("a fleet configuration")
}

fn balancer(namespace: &str, name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpLoadBalancer",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "addresses": [address],
            "ports": [{"name": "http", "protocol": "TCP", "port": 80}],
            "interfaces": {"names": ["eth0"]},
            "backends": {"static": [{"address": "192.0.2.11"}]},
            "hashing": {"slots": 256},
        },
    })
}

/// A directory that holds these now.
fn save(index: &mut Index, balancers: &[Value]) {
    let object = |value: &Value| {
        let found: sluice_crds::XdpLoadBalancer = serde_json::from_value(value.clone()).expect("a balancer");
        let metadata = &found.metadata;
        let of = |text: &Option<String>| text.clone().expect("both are given");
        let key = ObjectKey::new(Kind::XdpLoadBalancer, &of(&metadata.namespace), &of(&metadata.name));
        (key, Arc::new(Object::Balancer(found)))
    };
    let objects = balancers.iter().map(object).collect();
    index.update(Arc::new(Desired { synced: true, objects, fleet: Some(fleet()), ..Desired::default() }));
}

fn planned(index: &Index) -> Planned {
    plan(index.snapshot(), &State::default(), &BTreeMap::new())
}

/// Names of the balancers that the one node balances for.
fn in_plan(planned: &Planned) -> Vec<String> {
    let [bytes] = &planned.classes.values().collect::<Vec<_>>()[..] else { panic!("one class") };
    let plan = NodePlan::decode(Schema::NEWEST, bytes).expect("a plan");
    plan.balancers.parts.into_iter().map(|part| part.policy.name).collect()
}

fn reasons(planned: &Planned) -> Vec<&str> {
    planned.refusals.values().map(|(reason, _)| reason.as_str()).collect()
}

#[test]
fn a_claim_from_no_pool_of_the_namespace_stays_out_of_the_plan() {
    let mut index = index();
    save(&mut index, &[balancer("web", "shop", "203.0.113.10"), balancer("mail", "mx", "203.0.113.11")]);
    let planned = planned(&index);
    assert_eq!(in_plan(&planned), ["shop"]);
    assert_eq!(reasons(&planned), ["AddressNotGranted"]);
    assert_eq!(planned.rings.len(), 1, "no ring is agreed on for what nobody balances");
}

#[test]
fn a_service_keeps_its_address() {
    let mut index = index();
    save(&mut index, &[balancer("web", "a", "203.0.113.7"), balancer("web", "b", "203.0.113.8")]);
    let services = [("203.0.113.7", "Service web/shop"), ("10.96.0.1", "Service default/kubernetes")];
    let services = services.map(|(address, owner)| (ip(address), owner.to_owned())).into();
    // Partial: the objects stay as they are.
    let desired = Desired { synced: true, partial: true, services: Some(services), ..Desired::default() };
    assert!(index.update(Arc::new(desired)));
    let planned = planned(&index);
    assert_eq!((in_plan(&planned), reasons(&planned)), (vec!["b".to_owned()], vec!["AddressInUse"]));
    let (_, why) = planned.refusals.values().next().expect("one");
    assert!(why.contains("203.0.113.7: belongs to Service web/shop"), "{why}");
    assert_eq!(index.state().services.len(), 1, "what no pool holds is not kept");
}

#[test]
fn a_pod_keeps_its_address_as_long_as_it_has_it() {
    let mut index = index();
    save(&mut index, &[balancer("web", "a", "203.0.113.7"), balancer("web", "b", "203.0.113.8")]);
    let mut said = |pods: &[(&str, &str)]| {
        let pods = pods.iter().map(|(address, owner)| (ip(address), (*owner).to_owned())).collect();
        let desired = Desired { synced: true, partial: true, pods: Some(pods), ..Desired::default() };
        (index.update(Arc::new(desired)), planned(&index))
    };
    let (changed, planned) = said(&[("203.0.113.7", "Pod web/shop-0")]);
    assert!(changed);
    assert_eq!((in_plan(&planned), reasons(&planned)), (vec!["b".to_owned()], vec!["AddressInUse"]));
    let (_, why) = planned.refusals.values().next().expect("one");
    assert!(why.contains("203.0.113.7: belongs to Pod web/shop-0"), "{why}");
    assert!(!said(&[("203.0.113.7", "Pod web/shop-0")]).0, "nothing is planned anew for the same pods");
    assert_eq!(in_plan(&said(&[]).1), ["a", "b"]);
}

#[test]
fn before_pods_are_read_again_those_of_before_a_restart_count() {
    let mut index = index();
    save(&mut index, &[balancer("web", "a", "203.0.113.7")]);
    let pods = Some([(ip("203.0.113.7"), "Pod web/shop-0".to_owned())].into());
    index.update(Arc::new(Desired { synced: true, partial: true, pods, ..Desired::default() }));
    let mut restarted = Index::restore(index.state().clone());
    restarted.update(Arc::new(Desired { synced: true, partial: true, ..Desired::default() }));
    assert_eq!(reasons(&planned(&restarted)), ["AddressInUse"]);
}

#[test]
fn a_node_and_a_control_endpoint_keep_their_addresses() {
    let mut index = index();
    save(&mut index, &[balancer("web", "a", "203.0.113.200"), balancer("web", "b", "203.0.113.201")]);
    let planned = planned(&index);
    assert!(in_plan(&planned).is_empty());
    assert_eq!(reasons(&planned), ["AddressInUse", "AddressInUse"]);
    let said: String = planned.refusals.values().map(|(_, message)| message.as_str()).collect();
    assert!(said.contains("node edge-1") && said.contains("control endpoint"), "{said}");
}

#[test]
fn of_two_claims_the_one_that_was_there_first_stays_in_the_plan() {
    let mut index = index();
    let (old, new) = (balancer("web", "z-old", "203.0.113.10"), balancer("web", "a-new", "203.0.113.10"));
    save(&mut index, std::slice::from_ref(&old));
    save(&mut index, &[old, new.clone()]);
    let planned = planned(&index);
    assert_eq!(in_plan(&planned), ["z-old"]);
    let (reason, message) = planned.refusals.values().next().expect("a refusal");
    assert_eq!(reason, "Conflict");
    assert!(message.contains("XdpLoadBalancer/web/z-old"), "{message}");
    // The winner goes: the other has its claim.
    save(&mut index, &[new]);
    let planned = self::planned(&index);
    assert_eq!(in_plan(&planned), ["a-new"]);
    assert!(planned.refusals.is_empty());
}

#[test]
fn age_outlives_a_restart() {
    let mut index = index();
    let (old, new) = (balancer("web", "z-old", "203.0.113.10"), balancer("web", "a-new", "203.0.113.10"));
    save(&mut index, std::slice::from_ref(&old));
    let mut restarted = Index::restore(index.state().clone());
    save(&mut restarted, &[old, new]);
    assert_eq!(in_plan(&planned(&restarted)), ["z-old"]);
}

/// What the reconciler does with a plan.
fn agree(index: &mut Index) -> Planned {
    let planned = planned(index);
    index.set_in_force(planned.in_force(), planned.filters_in_force());
    planned
}

/// Addresses that the one node balances for.
fn vips(planned: &Planned) -> Vec<String> {
    let all = planned.snapshot.classes.values().flat_map(|class| &class.balancers);
    all.flat_map(|chosen| &chosen.balancer.addresses).map(ToString::to_string).collect()
}

#[test]
fn a_refused_claim_leaves_the_last_good_version_in_force() {
    let mut index = index();
    save(&mut index, &[balancer("web", "shop", "203.0.113.10")]);
    let first = agree(&mut index);
    for (bad, why) in [("203.0.113.200", "AddressInUse"), ("198.51.100.1", "AddressNotGranted")] {
        save(&mut index, &[balancer("web", "shop", bad)]);
        let second = agree(&mut index);
        assert_eq!((vips(&second), reasons(&second)), (vec!["203.0.113.10".to_owned()], vec![why]));
        assert_eq!(second.classes, first.classes, "no byte of the plan changes");
    }
    let restarted = Index::restore(index.state().clone());
    let agreed = Planned::agreed(restarted.snapshot(), &State::default());
    assert_eq!(
        (vips(&agreed), reasons(&agreed)),
        (vec!["203.0.113.10".to_owned()], vec!["AddressNotGranted"])
    );
    // It is in nobody's way any more once a good version follows.
    save(&mut index, &[balancer("web", "shop", "203.0.113.11"), balancer("web", "a-new", "203.0.113.10")]);
    let third = agree(&mut index);
    assert_eq!((vips(&third).len(), reasons(&third).len()), (2, 0));
}

#[test]
fn the_last_good_version_goes_with_its_own_address() {
    let mut index = index();
    save(&mut index, &[balancer("web", "shop", "203.0.113.10")]);
    agree(&mut index);
    save(&mut index, &[balancer("web", "shop", "203.0.113.200")]);
    let services = Some([(ip("203.0.113.10"), "Service web/shop".to_owned())].into());
    index.update(Arc::new(Desired { synced: true, partial: true, services, ..Desired::default() }));
    assert!(vips(&agree(&mut index)).is_empty());
}

#[test]
fn a_version_that_never_was_in_force_does_not_come_back() {
    let mut index = index();
    save(&mut index, &[balancer("web", "shop", "203.0.113.200")]);
    assert!(vips(&agree(&mut index)).is_empty());
    // Good, but the next is there before it was planned for.
    save(&mut index, &[balancer("web", "shop", "203.0.113.10")]);
    save(&mut index, &[balancer("web", "shop", "198.51.100.1")]);
    assert!(vips(&agree(&mut index)).is_empty());
}

#[test]
fn before_the_first_plan_after_a_restart_the_refused_are_known() {
    let mut index = index();
    save(&mut index, &[balancer("mail", "mx", "203.0.113.10")]);
    let planned = Planned::agreed(index.snapshot(), &State::default());
    assert_eq!(reasons(&planned), ["AddressNotGranted"]);
}
