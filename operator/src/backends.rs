//! Which backends answer, as the nodes' health checks see it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sluice_status::Book;

/// By balancer uid, the backends that at least half of the checking nodes cannot reach.
pub fn unhealthy(book: &Book) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut votes: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for node in book.nodes().values().filter(|node| node.connected) {
        for ((uid, address), health) in &node.backends {
            let (down, all) = votes.entry((uid, address)).or_default();
            *all += 1;
            *down += usize::from(!health.healthy);
        }
    }
    let mut unhealthy: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    for ((uid, address), (down, all)) in votes {
        if let Ok(address) = address.parse()
            && down * 2 >= all
            && down > 0
        {
            unhealthy.entry(uid.to_owned()).or_default().insert(address);
        }
    }
    unhealthy
}

/// What is known of one backend: (healthy, why not).
pub fn health_of(book: &Book, uid: &str, address: IpAddr) -> Option<(bool, String)> {
    let key = (uid.to_owned(), address.to_string());
    let words: Vec<_> = book
        .nodes()
        .values()
        .filter(|node| node.connected)
        .filter_map(|node| node.backends.get(&key))
        .collect();
    let down = words.iter().filter(|word| !word.healthy).count();
    let why = words.iter().find(|word| !word.healthy).map(|word| word.detail.clone()).unwrap_or_default();
    (!words.is_empty()).then_some((down * 2 < words.len(), why))
}
