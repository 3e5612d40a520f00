//! What a source says should be, whole at every change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice_crds::{Kind, XdpAddressSet, XdpFilter, XdpLoadBalancer};
use sluice_plan::Fleet;
use sluice_policy::ListRef;
use sluice_sets::ListState;

/// The state of a source at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// False until everything was read once: nothing may be concluded from absence before.
    pub synced: bool,
    pub objects: BTreeMap<ObjectKey, Arc<Object>>,
    /// Objects that are there and could not be read since this process started.
    pub unread: BTreeSet<ObjectKey>,
    /// A part of the source could not be read since this process started, and may hold any object.
    pub partial: bool,
    /// What address sets draw from, but for feeds.
    pub lists: BTreeMap<ListRef, ListState>,
    /// What could not be read; the objects concerned are those of the last good reading.
    pub problems: Vec<Problem>,
    /// `None` if it could not be read since this process started.
    pub fleet: Option<Fleet>,
    /// Addresses of the cluster's Services, which no VIP may take, and whose they are; `None` where that cannot be known.
    pub services: Option<BTreeMap<IpAddr, String>>,
    /// The same of its pods, those in address pools only.
    pub pods: Option<BTreeMap<IpAddr, String>>,
    /// The cluster's nodes; `None` where agents name their own labels (directory mode).
    pub nodes: Option<BTreeMap<String, NodeObject>>,
}

impl Desired {
    /// Whether the source has this object, readable or not.
    pub(crate) fn names(&self, key: &ObjectKey) -> bool {
        self.objects.contains_key(key) || self.unread.contains(key)
    }
}

/// A node as the cluster knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeObject {
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Filter(XdpFilter),
    Balancer(XdpLoadBalancer),
    Set(XdpAddressSet),
}

/// Kind, namespace (empty for cluster-scoped kinds) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl ObjectKey {
    pub fn new(kind: Kind, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey { kind: kind.name().to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Something in the source that is not in force, with where it is and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// File with line and column, or the object.
    pub place: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}
