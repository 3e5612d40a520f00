//! What both families' sorted lists have in common.

use ipnet::{Ipv4Net, Ipv6Net};

/// A prefix without host bits. Its order is that of the address, then of the length: what covers comes first.
pub trait Net: Copy + Ord {
    fn truncated(self) -> Self;
    fn covers(self, other: Self) -> bool;
    /// `None` for the whole family.
    fn parent(self) -> Option<Self>;
    /// `None` for a single address.
    fn halves(self) -> Option<[Self; 2]>;
}

macro_rules! net {
    ($net:ty) => {
        impl Net for $net {
            fn truncated(self) -> Self {
                self.trunc()
            }
            fn covers(self, other: Self) -> bool {
                self.contains(&other)
            }
            fn parent(self) -> Option<Self> {
                self.supernet()
            }
            fn halves(self) -> Option<[Self; 2]> {
                let mut halves = self.subnets(self.prefix_len() + 1).ok()?;
                Some([halves.next()?, halves.next()?])
            }
        }
    };
}
net!(Ipv4Net);
net!(Ipv6Net);

/// Sorted, disjoint, and no two of them make up a shorter prefix.
pub fn collapse<N: Net>(mut nets: Vec<N>) -> Vec<N> {
    nets.iter_mut().for_each(|net| *net = net.truncated());
    nets.sort_unstable();
    let mut kept = 0;
    for next in 0..nets.len() {
        let mut net = nets[next];
        if kept > 0 && nets[kept - 1].covers(net) {
            continue;
        }
        while let Some(parent) = net.parent()
            && kept > 0
            && nets[kept - 1].parent() == Some(parent)
        {
            (net, kept) = (parent, kept - 1);
        }
        nets[kept] = net;
        kept += 1;
    }
    nets.truncate(kept);
    nets.shrink_to_fit();
    nets
}

/// The prefix of a collapsed list that covers `net`.
pub fn covering<N: Net>(nets: &[N], net: N) -> Option<N> {
    let after = nets.partition_point(|one| *one <= net);
    nets[..after].last().copied().filter(|one| one.covers(net))
}

/// What of the collapsed list `nets` is not in the collapsed list `except`; collapsed again, since two halves of what was
/// one prefix cannot both be whole.
pub fn without<N: Net>(nets: &[N], except: &[N]) -> Vec<N> {
    let mut left = Vec::with_capacity(nets.len());
    nets.iter().for_each(|net| take(*net, except, &mut left));
    left
}

fn take<N: Net>(net: N, except: &[N], left: &mut Vec<N>) {
    if covering(except, net).is_some() {
        return;
    }
    let inside = &except[except.partition_point(|one| *one < net)..];
    let inside = &inside[..inside.partition_point(|one| net.covers(*one))];
    match net.halves() {
        Some(halves) if !inside.is_empty() => halves.into_iter().for_each(|half| take(half, inside, left)),
        _ => left.push(net),
    }
}
