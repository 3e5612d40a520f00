//! The set itself.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::net::{collapse, covering, without};

/// Addresses of both families. Equal addresses are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressSet {
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

impl AddressSet {
    /// Host bits are cut off; overlaps, repetitions and neighbours are collapsed.
    pub fn collect(nets: impl IntoIterator<Item = IpNet>) -> AddressSet {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match net {
                IpNet::V4(net) => v4.push(net),
                IpNet::V6(net) => v6.push(net),
            }
        }
        AddressSet { v4: collapse(v4), v6: collapse(v6) }
    }

    /// Of lists that are collapsed.
    pub(crate) fn of_sorted(v4: Vec<Ipv4Net>, v6: Vec<Ipv6Net>) -> AddressSet {
        AddressSet { v4, v6 }
    }

    /// Sorted, disjoint, none with a sibling.
    pub fn v4(&self) -> &[Ipv4Net] {
        &self.v4
    }

    /// As [`AddressSet::v4`].
    pub fn v6(&self) -> &[Ipv6Net] {
        &self.v6
    }

    /// IPv4 first, each family in order.
    pub fn iter(&self) -> impl Iterator<Item = IpNet> + '_ {
        let v4 = self.v4.iter().copied().map(IpNet::from);
        v4.chain(self.v6.iter().copied().map(IpNet::from))
    }

    /// Prefixes.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// What it takes of a node's room for sets, in IPv4 prefixes.
    pub fn weight(&self) -> u64 {
        weight(self.v4.len() as u64, self.v6.len() as u64)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => covering(&self.v4, address.into()).is_some(),
            IpAddr::V6(address) => covering(&self.v6, address.into()).is_some(),
        }
    }

    #[must_use]
    pub fn union(&self, other: &AddressSet) -> AddressSet {
        AddressSet::collect(self.iter().chain(other.iter()))
    }

    /// The addresses that are not in `except`.
    #[must_use]
    pub fn without(&self, except: &AddressSet) -> AddressSet {
        AddressSet { v4: without(&self.v4, &except.v4), v6: without(&self.v6, &except.v6) }
    }
}

/// An IPv6 prefix takes about as much memory as six of IPv4, while its set changes.
pub fn weight(v4: u64, v6: u64) -> u64 {
    v4 + 6 * v6
}

impl FromIterator<IpNet> for AddressSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(nets: I) -> AddressSet {
        AddressSet::collect(nets)
    }
}
