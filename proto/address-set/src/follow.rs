//! From a set to the next by what changed alone: among a million prefixes, one costs a few milliseconds.

use std::collections::BTreeSet;

use ipnet::IpNet;
use sluice_plan::Hash;

use crate::net::Net;
use crate::shards::read;
use crate::{AddressSet, Damaged, Manifest};

impl AddressSet {
    /// The set that `to` names, given that this one is the set that `from` names; `shard` gives the bytes of those that
    /// only one of them has.
    ///
    /// # Errors
    /// As [`AddressSet::from_shards`], but for a cut into other places, which changes no address.
    pub fn follow<B: AsRef<[u8]>>(
        &self,
        from: &Manifest,
        to: &Manifest,
        mut shard: impl FnMut(Hash) -> Option<B>,
    ) -> Result<AddressSet, Damaged> {
        let (before, after) = (hashes(from), hashes(to));
        let mut read_all = |hashes: BTreeSet<Hash>| {
            let mut nets = Vec::new();
            for hash in hashes {
                let bytes = shard(hash).ok_or(Damaged::Missing(hash))?;
                let sound = Hash::of(bytes.as_ref()) == hash;
                read(bytes.as_ref(), &mut nets).filter(|()| sound).ok_or(Damaged::Shard(hash))?;
            }
            Ok(AddressSet::split(nets))
        };
        let (gone_v4, gone_v6) = read_all(&before - &after)?;
        let (new_v4, new_v6) = read_all(&after - &before)?;
        let v4 = replace(self.v4(), gone_v4, new_v4).ok_or(Damaged::NotCanonical)?;
        let v6 = replace(self.v6(), gone_v6, new_v6).ok_or(Damaged::NotCanonical)?;
        if (v4.len(), v6.len()) != (to.v4 as usize, to.v6 as usize) {
            return Err(Damaged::NotCanonical);
        }
        Ok(AddressSet::of_sorted(v4, v6))
    }

    /// By family.
    fn split(nets: Vec<IpNet>) -> (Vec<ipnet::Ipv4Net>, Vec<ipnet::Ipv6Net>) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match net {
                IpNet::V4(net) => v4.push(net),
                IpNet::V6(net) => v6.push(net),
            }
        }
        (v4, v6)
    }
}

fn hashes(manifest: &Manifest) -> BTreeSet<Hash> {
    manifest.shards.iter().copied().collect()
}

/// `nets` without those of `gone` and with those of `new`; `None` if one of `gone` is not there, or the outcome is not
/// collapsed. What lies between two changes is copied as it is.
fn replace<N: Net>(nets: &[N], mut gone: Vec<N>, mut new: Vec<N>) -> Option<Vec<N>> {
    gone.sort_unstable();
    new.sort_unstable();
    let mut left = Vec::with_capacity(nets.len() + new.len());
    let (mut gone, mut new) = (gone.into_iter().peekable(), new.into_iter().peekable());
    let mut rest = nets;
    while let Some(next) = gone.peek().into_iter().chain(new.peek()).min().copied() {
        let between;
        (between, rest) = rest.split_at(rest.partition_point(|one| *one < next));
        append(&mut left, between)?;
        if gone.next_if_eq(&next).is_some() {
            rest = rest.strip_prefix(&[next])?;
        }
        if new.next_if_eq(&next).is_some() {
            append(&mut left, &[next])?;
        }
    }
    append(&mut left, rest)?;
    Some(left)
}

/// `more` are collapsed themselves. `None` where they do not come behind all others, or two make up a shorter prefix.
fn append<N: Net>(nets: &mut Vec<N>, more: &[N]) -> Option<()> {
    let Some(first) = more.first() else { return Some(()) };
    let fits = |last: &N| last < first && !last.covers(*first) && last.parent() != first.parent();
    if !nets.last().is_none_or(fits) || *first != first.truncated() {
        return None;
    }
    nets.extend_from_slice(more);
    Some(())
}
