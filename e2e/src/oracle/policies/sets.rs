//! Rules that name address sets.

use sluice_interpret::Sets;
use sluice_policy::{Action, Filter, Match, PrefixSet};

use super::many::before_others;
use crate::oracle::build::*;
use crate::oracle::node::Node;

pub fn nodes() -> anyhow::Result<Vec<(&'static str, Node)>> {
    let policies = [("address sets", tables()), ("address sets and nothing else", straight())];
    let node = |(name, filters)| Ok((name, Node::with_sets(filters, Vec::new(), contents())?));
    policies.into_iter().map(node).collect()
}

/// Before a thousand rules that name none.
pub fn among_many() -> anyhow::Result<Node> {
    Node::with_sets(before_others(tables()), Vec::new(), contents())
}

/// With the sets' row and column changed the corpus shows it.
pub fn one_of_each() -> anyhow::Result<Node> {
    Node::with_sets(tables(), Vec::new(), contents())
}

/// Around the addresses of the corpus: single ones, whole networks, all of a family, none.
fn contents() -> Sets {
    let lists: [(&str, &[&str]); 6] = [
        ("all-v4", &["0.0.0.0/0"]),
        ("all-v6", &["::/0"]),
        ("clients", &["192.0.2.0/25", "2001:db8:1::/65", "255.255.255.255/32", "::1/128"]),
        ("ends", &["0.0.0.0/32", "10.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8", "fe80::/10"]),
        ("mapped", &["::ffff:0:0/96"]),
        ("nobody", &[]),
    ];
    let parsed = lists.map(|(name, list)| {
        let nets = list.iter().map(|net| net.parse::<ipnet::IpNet>().expect("test sets hold prefixes"));
        (name.to_owned(), nets.collect())
    });
    parsed.into()
}

fn side(sets: &[&str], cidrs: &[&str], except: &[&str]) -> Option<PrefixSet> {
    let sets = sets.iter().map(|name| (*name).to_owned()).collect();
    Some(PrefixSet { sets, ..prefixes(cidrs, except) })
}

fn from_sets(sets: &[&str]) -> Match {
    Match { sources: side(sets, &[], &[]), ..all() }
}

fn to_sets(sets: &[&str]) -> Match {
    Match { destinations: side(sets, &[], &[]), ..all() }
}

fn tables() -> Vec<Filter> {
    let count = vec![
        rule("clients", Action::Count, from_sets(&["clients"])),
        rule(
            "clients-but",
            Action::Count,
            Match { sources: side(&["clients"], &[], &["192.0.2.1/32"]), ..all() },
        ),
        rule(
            "clients-and",
            Action::Count,
            Match { sources: side(&["clients"], &["10.0.0.0/8"], &[]), ..all() },
        ),
        rule("mapped", Action::Count, from_sets(&["mapped"])),
        rule("v4", Action::Count, from_sets(&["all-v4"])),
        rule("v6", Action::Count, to_sets(&["all-v6"])),
        rule("nobody", Action::Count, to_sets(&["nobody"])),
        audited(rule("either", Action::Drop, to_sets(&["ends", "clients"]))),
    ];
    let decide = vec![
        rule(
            "tcp-of-clients",
            Action::Pass,
            Match { protocols: vec![6], ..from_sets(&["clients", "nobody"]) },
        ),
        rule(
            "both-sides",
            Action::Drop,
            Match {
                destinations: side(&["all-v4", "ends"], &[], &["198.51.100.77/32"]),
                ..from_sets(&["ends", "clients"])
            },
        ),
        rule("to-ends", Action::Next, to_sets(&["ends"])),
        rule("mapped", Action::Drop, from_sets(&["mapped"])),
        rule("others", Action::Drop, from(&["2001:db8::/32"], &[])),
    ];
    vec![filter("a-count", Action::Next, count), filter("b-decide", Action::Next, decide)]
}

/// Few enough for constants.
fn straight() -> Vec<Filter> {
    let rules = vec![
        rule(
            "ends",
            Action::Pass,
            Match { destinations: side(&["ends"], &[], &[]), ..from_sets(&["clients", "mapped"]) },
        ),
        rule("udp", Action::Drop, Match { protocols: vec![17], ..from_sets(&["clients"]) }),
        rule("v6", Action::Drop, to_sets(&["all-v6", "nobody"])),
        rule(
            "ports",
            Action::Drop,
            Match { destinations: side(&["all-v4"], &[], &[]), ..destination_ports(&[(53, 443)]) },
        ),
    ];
    vec![filter("few", Action::Next, rules)]
}
