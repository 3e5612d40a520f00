//! The encodings byte by byte, the older one as the version before wrote it: see `proto/previous`.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

use std::net::IpAddr;

use sluice_plan::{
    AttachMode, BalancerPart, BalancerTables, Balancers, ControlEndpoint, Failsafe, FailsafeEntry,
    FilterPart, FilterTables, Filters, Hash, HealthCheck, Hook, Interfaces, LargeTables, NodePlan, PolicyRef,
    Schema, TargetRef, VipRef,
};

#[test]
fn a_plan_in_the_encoding_before_is_what_the_version_before_wrote() {
    assert_eq!(hex::encode(plan().encode()), recorded());
    assert_eq!(NodePlan::decode(Schema::V2, &plan().encode()).unwrap(), plan());
}

#[test]
fn the_newest_encoding_adds_to_it() {
    let newest = NodePlan { schema: Schema::V3, confirm_ms: 300, ..plan() };
    assert_eq!(hex::encode(newest.encode()), format!("{}ac02", recorded()));
    assert_eq!(NodePlan::decode(Schema::V3, &newest.encode()).unwrap(), newest);
    assert_eq!(newest.encode_as(Schema::V2), plan().encode());
}

#[test]
fn neither_is_read_as_the_other_and_each_has_its_hash() {
    let newest = NodePlan { schema: Schema::V3, ..plan() };
    assert!(NodePlan::decode(Schema::V3, &plan().encode()).is_err());
    assert!(NodePlan::decode(Schema::V2, &newest.encode()).is_err());
    assert_ne!(newest.hash(), plan().hash());
}

#[test]
fn the_newest_that_both_know_is_spoken() {
    assert_eq!(Schema::numbers(), [3, 2]);
    for (reads, spoken) in [
        (&[3, 2][..], Some(Schema::V3)),
        (&[2, 1], Some(Schema::V2)),
        (&[4, 3], Some(Schema::V3)),
        (&[4, 1], None),
        (&[], None),
    ] {
        assert_eq!(Schema::newest_of(reads), spoken, "{reads:?}");
    }
}

fn recorded() -> &'static str {
    let words = include_str!("../../previous/words.txt");
    words.lines().find_map(|line| line.strip_prefix("plan ")).unwrap()
}

/// With every field set.
fn plan() -> NodePlan {
    let policy = |name: &str, generation| PolicyRef {
        kind: "XdpFilter".into(),
        namespace: "edge".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        generation,
        hash: Hash([7; 32]),
    };
    let interfaces =
        Interfaces { names: vec!["eth0".into()], patterns: vec!["bond*".into()], default_route: true };
    let part = |name: &str, attach, hook, first, end| FilterPart {
        policy: policy(name, 300),
        interfaces: interfaces.clone(),
        attach,
        hook,
        audit: first > 0,
        first,
        end,
        rules: vec!["first".into(), "second".into()],
    };
    let large = LargeTables {
        wide_words: 2,
        bits: vec![1],
        ranks: vec![2],
        roots: vec![3],
        nodes: vec![4],
        children: vec![5],
        records_v4: vec![6],
        records_v6: vec![7],
    };
    let tables = FilterTables {
        features: 1 << 40 | 5,
        words: 3,
        dimensions: vec![8, 0],
        entries: vec![9],
        straight: vec![10],
        rows: vec![11],
        direct: vec![12],
        bounds: vec![vec![13], vec![], vec![14, 15]],
        large,
        limits: vec![16],
        marks: vec![17],
        patterns: vec![18],
    };
    let filters = Filters {
        parts: vec![
            part("bad-nets", AttachMode::Generic, Hook::Xdp, 0, 2),
            part("marks", AttachMode::Native, Hook::TcEgress, 2, 400),
        ],
        tables,
    };
    let backend: IpAddr = "2001:db8::7".parse().unwrap();
    let balancer = BalancerPart {
        policy: PolicyRef { kind: "XdpLoadBalancer".into(), ..policy("web", -1) },
        balances: true,
        interfaces,
        vips: vec![VipRef {
            address: "203.0.113.10".parse().unwrap(),
            port: 443,
            protocol: 6,
            name: "https".into(),
        }],
        targets: vec![TargetRef { vip: 0, backend, healthy: true }],
        check: Some(HealthCheck { port: 8080, interval_ms: 2000, timeout_ms: 500, rise: 2, fall: 3 }),
    };
    let balancers = Balancers {
        parts: vec![balancer],
        tables: BalancerTables { vips: vec![19], ring: vec![20, 21], targets: vec![22] },
        balancer_nodes: vec!["192.0.2.1".parse().unwrap(), backend],
    };
    let failsafe = Failsafe {
        ports: vec![
            FailsafeEntry { port: 22, protocol: 6, sources: vec!["198.51.100.0/24".parse().unwrap()] },
            FailsafeEntry::open(10250, 6),
        ],
        packets_per_second: 1000,
        burst: 2000,
        control_endpoints: vec![ControlEndpoint { address: backend, port: 9443 }],
    };
    let sets = vec!["bad".into(), "worse".into()];
    NodePlan { schema: Schema::V2, filters, balancers, failsafe, sets, confirm_ms: 0 }
}
