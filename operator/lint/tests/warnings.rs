//! What is warned of, and what is not, on policies as users write them.
#![expect(clippy::unwrap_used, reason = "the policies of a test are valid")]

use sluice_lint::{Reason, Surroundings, lint};
use sluice_policy::Filter;

/// Rules in YAML, and what stands beside them in the spec.
fn filter(name: &str, beside: &str, rules: &str) -> Filter {
    let rules = rules.trim_end().replace('\n', "\n  ");
    let text = format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}}}\nspec:\n  interfaces: {{names: \
         [eth0]}}\n  {beside}\n  rules:{rules}\n"
    );
    let object = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    sluice_admit::admit_filter(&object).unwrap()
}

fn warnings_of(filter: &Filter, before: &[&Filter], addresses: &[&str]) -> Vec<(String, Reason, String)> {
    let addresses: Vec<_> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let failsafe = sluice_plan::Failsafe::default();
    let around = Surroundings { failsafe: &failsafe, node_addresses: &addresses, before };
    let said = lint(filter, &around).into_iter();
    said.map(|one| (one.rule.unwrap_or_default(), one.reason, one.message)).collect()
}

/// (rule, words of the message) of one reason.
fn said(rules: &str, reason: Reason) -> Vec<(String, String)> {
    let found = warnings_of(&filter("f", "priority: 0", rules), &[], &[]);
    found.into_iter().filter(|one| one.1 == reason).map(|(rule, _, message)| (rule, message)).collect()
}

fn shadowed(rules: &str) -> Vec<String> {
    said(rules, Reason::Shadowed)
        .into_iter()
        .map(|(rule, message)| {
            let by = message.split("before by ").nth(1).unwrap().split(':').next().unwrap();
            format!("{rule} by {by}")
        })
        .collect()
}

#[test]
fn a_rule_is_shadowed_by_one_earlier_rule() {
    for (rules, expected) in [
        (
            "
- {name: net, action: Drop, match: {sources: {cidrs: [192.0.2.0/24]}}}
- {name: host, action: Pass, match: {sources: {cidrs: [192.0.2.7/32]}}}",
            "host by net",
        ),
        (
            "
- {name: ports, action: Drop, match: {destinationPorts: [\"1-100\"]}}
- {name: port, action: Drop, match: {protocols: [UDP], destinationPorts: [\"53\", \"80-90\"]}}",
            "port by ports",
        ),
        (
            "
- {name: short, action: Drop, match: {length: [\"0-100\"], dscp: [\"0-46\"], ttl: [\"0-9\"]}}
- {name: shorter, action: Drop, match: {length: [\"64\"], dscp: [EF], ecn: [CE], ttl: [\"1\"]}}",
            "shorter by short",
        ),
        (
            "
- {name: tagged, action: Drop, match: {vlans: {outer: [\"1-99\"]}, sourceMacs: [\"02:00:5e:00:00:00/ff:ff:ff:00:00:00\"]}}
- {name: one, action: Drop, match: {vlans: {outer: [\"10\"], inner: [none]}, sourceMacs: [\"02:00:5e:00:00:09\"], etherTypes: [ARP]}}",
            "one by tagged",
        ),
        (
            "
- {name: any, action: Drop, match: {ipOptions: [Any]}}
- {name: routes, action: Drop, match: {ipOptions: [LSRR, SSRR], fragments: [Any]}}",
            "routes by any",
        ),
        (
            "
- {name: with-ports, action: Pass, match: {protocols: [TCP, UDP, UDPLite, SCTP, DCCP]}}
- {name: port, action: Drop, match: {destinationPorts: [\"53\"]}}",
            "port by with-ports",
        ),
        (
            "
- {name: syn, action: Pass, match: {tcpFlags: {set: [SYN]}}}
- {name: syn-only, action: Drop, match: {tcpFlags: {set: [SYN], unset: [ACK]}, sourcePorts: [\"1\"]}}",
            "syn-only by syn",
        ),
        (
            "
- {name: icmp, action: Next, match: {protocols: [ICMP]}}
- {name: echo, action: Drop, match: {icmp: [{type: 8}]}}",
            "echo by icmp",
        ),
        (
            "
- {name: both, action: Drop, match: {sources: {cidrs: [0.0.0.0/0, \"::/0\"]}}}
- {name: but-one, action: Drop, match: {sources: {except: [192.0.2.7/32]}}}",
            "but-one by both",
        ),
    ] {
        assert_eq!(shadowed(rules), [expected], "{rules}");
    }
}

#[test]
fn rules_together_shadow_along_one_field() {
    for (rules, expected) in [
        (
            "
- {name: low, action: Drop, match: {sources: {cidrs: [192.0.2.0/25]}}}
- {name: other, action: Drop, match: {sources: {cidrs: [10.0.0.0/8]}}}
- {name: high, action: Pass, match: {sources: {cidrs: [192.0.2.128/25]}}}
- {name: net, action: Drop, match: {sources: {cidrs: [192.0.2.0/24]}, protocols: [TCP]}}",
            "net by low, high",
        ),
        (
            "
- {name: tcp, action: Drop, match: {protocols: [TCP], destinationPorts: [\"53\"]}}
- {name: udp, action: Drop, match: {protocols: [UDP], destinationPorts: [\"53\"]}}
- {name: dns, action: Drop, match: {protocols: [TCP, UDP], destinationPorts: [\"53\"]}}",
            "dns by tcp, udp",
        ),
        (
            "
- {name: v4, action: Drop, match: {sources: {cidrs: [0.0.0.0/0]}}}
- {name: v6, action: Drop, match: {destinations: {cidrs: [\"::/0\"]}}}
- {name: ssh, action: Pass, match: {destinationPorts: [\"22\"]}}",
            "ssh by v4, v6",
        ),
    ] {
        assert_eq!(shadowed(rules), [expected], "{rules}");
    }
}

#[test]
fn a_rule_that_can_match_is_not_shadowed() {
    for rules in [
        // Audit decides nothing.
        "
- {name: all, action: Drop, mode: Audit}
- {name: host, action: Drop, match: {sources: {cidrs: [192.0.2.7/32]}}}",
        // Packets without an IP header.
        "
- {name: both, action: Drop, match: {sources: {cidrs: [0.0.0.0/0, \"::/0\"]}}}
- {name: rest, action: Drop, match: {}}",
        // Later fragments go on.
        "
- {name: web, action: Drop, match: {destinationPorts: [\"80\"]}}
- {name: web-again, action: Pass, match: {destinationPorts: [\"80\"]}}",
        // One address in a hundred is not covered.
        "
- {name: net, action: Drop, match: {sources: {cidrs: [192.0.2.0/24], except: [192.0.2.9/32]}}}
- {name: part, action: Drop, match: {sources: {cidrs: [192.0.2.8/30]}}}",
        // Two fields are open in each.
        "
- {name: a, action: Drop, match: {sources: {cidrs: [192.0.2.0/25]}, protocols: [TCP]}}
- {name: b, action: Drop, match: {sources: {cidrs: [192.0.2.128/25]}, protocols: [UDP]}}
- {name: c, action: Drop, match: {sources: {cidrs: [192.0.2.0/24]}, protocols: [TCP, UDP]}}",
    ] {
        assert_eq!(shadowed(rules), [""; 0], "{rules}");
    }
}

#[test]
fn a_rule_for_everything_is_named_once_for_all_behind_it() {
    let rules = "
- {name: net, action: Drop, match: {sources: {cidrs: [192.0.2.0/24]}}}
- {name: rest, action: Next}
- {name: a, action: Drop, match: {protocols: [TCP]}}
- {name: b, action: Drop, match: {protocols: [UDP]}}";
    let found = said(rules, Reason::MatchesEverything);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "rest");
    assert!(found[0].1.contains("(a, b)"), "{}", found[0].1);
    assert_eq!(shadowed(rules), [""; 0]);
    let last = "\n- {name: rest, action: Drop}";
    assert!(said(last, Reason::MatchesEverything).is_empty(), "nothing is behind it");
}

#[test]
fn a_rule_that_takes_everything_out_again_never_matches() {
    let rules = "
- name: excepted
  action: Drop
  match: {sources: {cidrs: [192.0.2.0/24], except: [192.0.0.0/16]}}
- name: icmp-of-the-other
  action: Drop
  match: {protocols: [IPv6-ICMP], icmp: [{type: 8}]}";
    let found = said(rules, Reason::NeverMatches);
    assert_eq!(found.iter().map(|one| &one.0).collect::<Vec<_>>(), ["excepted", "icmp-of-the-other"]);
}

#[test]
fn an_allow_list_without_the_nodes_own_traffic_says_what_is_missing() {
    let missing = |beside: &str, rules: &str, before: &[&Filter]| -> Option<String> {
        let found = warnings_of(&filter("f", beside, rules), before, &[]);
        found.into_iter().find(|one| one.1 == Reason::AllowListIncomplete).map(|one| one.2)
    };
    let drop = "defaultAction: Drop";
    let web = "\n- {name: web, action: Pass, match: {protocols: [TCP], destinationPorts: [\"443\"]}}";
    let message = missing(drop, web, &[]).unwrap();
    for word in ["TCP connections", "DNS", "NTP", "fragmentation needed", "packet too big"] {
        assert!(message.contains(word), "{word} is not in {message}");
    }
    let own = format!(
        "{web}
- {{name: replies, action: Pass, match: {{protocols: [TCP], tcpFlags: {{set: [ACK]}}}}}}
- {{name: dns-ntp, action: Pass, match: {{protocols: [UDP], sourcePorts: [\"53\", \"123\"]}}}}
- {{name: pmtu, action: Pass, match: {{icmp: [{{type: 3}}, {{family: IPv6, type: 2}}]}}}}"
    );
    assert_eq!(missing(drop, &own, &[]), None);
    assert_eq!(missing("defaultAction: Next", web, &[]), None);
    assert_eq!(missing("defaultAction: Drop\n  mode: Audit", web, &[]), None, "drops nothing");
    let v4 = "\n- {name: v4, action: Pass, match: {sources: {cidrs: [10.0.0.0/8]}, protocols: [TCP]}}";
    assert!(!missing(drop, v4, &[]).unwrap().contains("too big"), "nothing of IPv6 is wanted");
    let established = "defaultAction: Drop\n  allowEstablished: true";
    assert_eq!(missing(established, web, &[]), None);
    let earlier = filter("e", "priority: 7", &own);
    assert_eq!(missing(drop, web, &[&earlier]), None, "an earlier filter passes it");
}

#[test]
fn drops_of_failsafe_traffic_are_named() {
    let found = |beside: &str, rules: &str, addresses: &[&str]| -> Vec<(String, String)> {
        let found = warnings_of(&filter("f", beside, rules), &[], addresses).into_iter();
        found.filter(|one| one.1 == Reason::ShadowedByFailsafe).map(|one| (one.0, one.2)).collect()
    };
    for (rules, says) in [
        ("{name: r, action: Drop, match: {protocols: [TCP], destinationPorts: [\"22\"]}}", "TCP port 22"),
        (
            "{name: r, action: Drop, match: {sources: {cidrs: [10.0.0.0/8]}, protocols: [TCP], \
             destinationPorts: [\"22\"]}}",
            "TCP port 22",
        ),
        ("{name: r, action: Drop, match: {protocols: [VRRP]}}", "VRRP"),
        ("{name: r, action: Drop, match: {protocols: [VRRP], sources: {cidrs: [10.0.0.0/8]}}}", "VRRP"),
        ("{name: r, action: Drop, match: {protocols: [UDP]}}", "DHCP"),
        ("{name: r, action: Drop, match: {icmp: [{family: IPv6}]}}", "neighbour discovery"),
        ("{name: r, action: Drop}", "ARP"),
    ] {
        let found = found("priority: 0", &format!("\n- {rules}"), &[]);
        assert_eq!(found.len(), 1, "{rules}: {found:?}");
        assert_eq!(found[0].0, "r");
        assert!(found[0].1.contains(says), "{says} is not in {found:?}");
    }
    for rules in [
        "{name: r, action: Drop, match: {sources: {cidrs: [192.0.2.0/24]}}}",
        "{name: r, action: Drop, match: {protocols: [TCP], destinationPorts: [\"80\"]}}",
        "{name: r, action: Pass, match: {protocols: [TCP], destinationPorts: [\"22\"]}}",
        "{name: r, action: Drop, mode: Audit, match: {protocols: [TCP], destinationPorts: [\"22\"]}}",
        "{name: r, action: Drop, match: {fragments: [Later]}}",
        "{name: r, action: Drop, match: {destinations: {cidrs: [203.0.113.0/24]}}}",
    ] {
        assert_eq!(found("priority: 0", &format!("\n- {rules}"), &["198.51.100.1"]), [], "{rules}");
    }
    let victim = "\n- {name: r, action: Drop, match: {destinations: {cidrs: [203.0.113.0/24]}}}";
    assert!(found("priority: 0", victim, &["203.0.113.9"])[0].1.contains("TCP port 22"), "a node is in it");
    let behind = "
- {name: a, action: Pass, match: {protocols: [TCP]}}
- {name: r, action: Drop}";
    let found = found("defaultAction: Drop", behind, &[]);
    assert_eq!(found.len(), 1, "a default action is meant to leave it be: {found:?}");
    assert!(!found[0].1.contains("port 22"), "TCP is passed by a rule: {found:?}");
}

#[test]
fn packets_that_are_limited_twice_are_told() {
    let limit = |name: &str, matches: &str, rate: &str| {
        format!("\n- {{name: {name}, action: RateLimit, match: {{{matches}}}, rateLimit: {{{rate}}}}}")
    };
    let (udp, dns) = ("protocols: [UDP]", "destinationPorts: [\"53\"], protocols: [UDP]");
    let slow = "packetsPerSecond: 100, burst: 100, per: Source";
    let fast = "packetsPerSecond: 200, burst: 100, per: Source";
    let bytes = "bytesPerSecond: 200000, burst: 2000, per: Source";
    let of_all = "packetsPerSecond: 1000, burst: 100, per: Rule";
    let drop = "\n- {name: no-dns, action: Drop, match: {destinationPorts: [\"50-60\"], protocols: [UDP]}}";
    for (rules, expected) in [
        (limit("a", udp, slow) + &limit("b", dns, fast), Some("never drops: a ")),
        (
            limit("a", udp, fast) + &limit("b", dns, slow),
            Some("limits packets that a limits too, both per source"),
        ),
        (limit("a", dns, slow) + &limit("b", udp, fast), Some("limits packets that a limits too")),
        (limit("a", udp, slow) + &limit("b", dns, bytes), Some("limits packets that a limits too")),
        // Each source and all of them, other packets, and packets that are decided in between.
        (limit("a", udp, slow) + &limit("b", dns, of_all), None),
        (limit("a", udp, slow) + &limit("b", "protocols: [TCP]", slow), None),
        (limit("a", udp, slow) + drop + &limit("b", dns, slow), None),
    ] {
        let found = said(&rules, Reason::OverlappingRateLimits);
        match (expected, found.as_slice()) {
            (None, []) => {}
            (Some(words), [(rule, message)]) if rule == "b" && message.contains(words) => {}
            _ => panic!("{rules}\n{found:?}"),
        }
    }
}

#[test]
fn a_burst_that_merged_segments_exceed_is_told_where_there_are_some() {
    let rules = |matches: &str, limit: &str| {
        format!("\n- {{name: a, action: RateLimit, match: {{{matches}}}, rateLimit: {{{limit}}}}}")
    };
    let (small, large) = ("bytesPerSecond: 1000000, burst: 65548", "bytesPerSecond: 1000000, burst: 65549");
    let packets = "packetsPerSecond: 100, burst: 100";
    for (hook, matches, limit, is_told) in [
        ("TcEgress", "protocols: [TCP]", small, true),
        ("TcIngress", "destinationPorts: [\"443\"]", small, true),
        ("TcIngress", "", small, true),
        ("TcEgress", "protocols: [TCP]", large, false),
        ("TcEgress", "protocols: [TCP]", packets, false),
        ("TcEgress", "protocols: [ICMP]", small, false),
        ("Xdp", "protocols: [TCP]", small, false),
    ] {
        let filter = filter("f", &format!("attach: {{hook: {hook}}}"), &rules(matches, limit));
        let found = warnings_of(&filter, &[], &[]);
        let told = found.iter().any(|(rule, reason, message)| {
            rule == "a" && *reason == Reason::BurstTooSmall && message.contains("at least 65549")
        });
        assert_eq!(told, is_told, "{hook} {matches} {limit}: {found:?}");
    }
}
