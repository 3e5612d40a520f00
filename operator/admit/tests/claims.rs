//! Virtual addresses and who gets them.

use std::collections::BTreeMap;

use sluice_admit::{Claim, Taken, admit_balancer, grant_claims};
use sluice_crds::XdpLoadBalancer;
use sluice_plan::AddressPool;
use sluice_policy::Balancer;

/// Its uid is its name.
fn balancer(namespace: &str, name: &str, created: i64, address: &str) -> Balancer {
    let yaml = format!(
        "metadata: {{namespace: {namespace}, name: {name}, uid: {name}}}\nspec:\n  addresses: [{address}]\n  \
         ports: [{{name: http, protocol: TCP, port: 80}}]\n  interfaces: {{names: [eth0]}}\n  \
         backends: {{static: [{{address: 192.0.2.11}}]}}\n"
    );
    let yaml = format!("apiVersion: sluice.dev/v1alpha1\nkind: XdpLoadBalancer\n{yaml}");
    let found: XdpLoadBalancer = serde_saphyr::from_str(&yaml).expect("a balancer");
    Balancer { created, ..admit_balancer(&found).expect("a good balancer") }
}

fn pool(prefix: &str, namespaces: &[&str]) -> AddressPool {
    let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
    AddressPool { name: "public".into(), prefixes: vec![prefix.to_owned()], namespaces }
}

fn refused(
    claims: &[Balancer],
    pools: &[AddressPool],
    taken: &Taken,
) -> BTreeMap<String, (&'static str, String)> {
    let claims = claims.iter().map(|newest| Claim { newest, in_force: None });
    let refused = grant_claims(claims, pools, taken).refused;
    refused.into_iter().map(|(uid, why)| (uid.to_owned(), (why.reason(), why.to_string()))).collect()
}

#[test]
fn of_two_claims_the_older_wins_and_is_named() {
    let claims = [balancer("web", "a-new", 20, "203.0.113.10"), balancer("web", "z-old", 10, "203.0.113.10")];
    let refused = refused(&claims, &[pool("203.0.113.0/24", &[])], &Taken::new());
    assert_eq!(refused.keys().collect::<Vec<_>>(), ["a-new"]);
    let (reason, message) = &refused["a-new"];
    assert_eq!(*reason, "Conflict");
    assert!(message.contains("203.0.113.10") && message.contains("XdpLoadBalancer/web/z-old"), "{message}");
}

#[test]
fn of_two_of_one_age_the_first_name_wins() {
    let claims = [balancer("web", "b", 10, "203.0.113.10"), balancer("web", "a", 10, "203.0.113.10")];
    let refused = refused(&claims, &[pool("203.0.113.0/24", &[])], &Taken::new());
    assert_eq!(refused.keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_refused_claim_is_in_nobodys_way() {
    let claims = [balancer("mail", "old", 10, "203.0.113.10"), balancer("web", "new", 20, "203.0.113.10")];
    let refused = refused(&claims, &[pool("203.0.113.0/24", &["web"])], &Taken::new());
    assert_eq!(refused.keys().collect::<Vec<_>>(), ["old"]);
}

#[test]
fn an_address_must_lie_in_a_pool_of_its_namespace() {
    let claim = [balancer("web", "shop", 0, "203.0.113.10")];
    let here = pool("203.0.113.0/24", &["web"]);
    assert!(refused(&claim, &[pool("198.51.100.0/24", &[]), here], &Taken::new()).is_empty());
    for pools in [vec![], vec![pool("203.0.113.0/24", &["mail"])], vec![pool("203.0.113.128/25", &["web"])]] {
        let refused = refused(&claim, &pools, &Taken::new());
        let (reason, message) = &refused["shop"];
        assert_eq!(*reason, "AddressNotGranted", "{pools:?}");
        assert!(message.contains("namespace web"), "{message}");
    }
}

#[test]
fn what_belongs_to_a_node_is_not_given_away() {
    let taken = Taken::from([("203.0.113.10".parse().expect("an address"), "node edge-1".to_owned())]);
    let refused =
        refused(&[balancer("web", "shop", 0, "203.0.113.10")], &[pool("203.0.113.0/24", &[])], &taken);
    let (reason, message) = &refused["shop"];
    assert_eq!(*reason, "AddressInUse");
    assert!(message.contains("203.0.113.10: belongs to node edge-1"), "{message}");
}

/// Address that the balancer has in the end, and whether its newest version was refused.
fn outcome(claims: &[Claim], uid: &str, taken: &Taken) -> (Option<String>, bool) {
    let grants = grant_claims(claims.iter().copied(), &[pool("203.0.113.0/24", &[])], taken);
    let granted = grants.granted.get(uid).map(|balancer| balancer.addresses[0].to_string());
    (granted, grants.refused.contains_key(uid))
}

#[test]
fn the_version_in_force_keeps_its_address_while_the_newest_may_not_have_its_own() {
    let [good, bad] = ["203.0.113.10", "198.51.100.1"].map(|address| balancer("web", "shop", 10, address));
    let younger = balancer("web", "also", 20, "203.0.113.10");
    let claims = [Claim { newest: &bad, in_force: Some(&good) }, Claim { newest: &younger, in_force: None }];
    let nobody = Taken::new();
    assert_eq!(outcome(&claims, "shop", &nobody), (Some("203.0.113.10".to_owned()), true));
    assert_eq!(outcome(&claims, "also", &nobody), (None, true), "the address is not free");
    let never = [Claim { newest: &bad, in_force: None }];
    assert_eq!(outcome(&never, "shop", &nobody), (None, true));
}

#[test]
fn the_version_in_force_goes_with_its_own_address() {
    let [good, bad] = ["203.0.113.10", "198.51.100.1"].map(|address| balancer("web", "shop", 10, address));
    let claim = Claim { newest: &bad, in_force: Some(&good) };
    let taken = Taken::from([("203.0.113.10".parse().expect("an address"), "node edge-1".to_owned())]);
    assert_eq!(outcome(&[claim], "shop", &taken), (None, true));
    let older = balancer("web", "older", 5, "203.0.113.10");
    let claims = [claim, Claim { newest: &older, in_force: None }];
    assert_eq!(outcome(&claims, "shop", &Taken::new()), (None, true));
    assert_eq!(outcome(&claims, "older", &Taken::new()), (Some("203.0.113.10".to_owned()), false));
}
