use std::fmt;
use std::str::FromStr;

/// The API group of every kind here.
pub const GROUP: &str = "sluice.dev";
/// The version that is served and stored.
pub const VERSION: &str = "v1alpha1";
/// What `apiVersion` says in an object of this group.
pub const API_VERSION: &str = "sluice.dev/v1alpha1";

/// The kinds of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    XdpFilter,
    XdpLoadBalancer,
    XdpAddressSet,
    XdpNode,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::XdpFilter, Kind::XdpLoadBalancer, Kind::XdpAddressSet, Kind::XdpNode];

    /// As `kind` says it in an object.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::XdpFilter => "XdpFilter",
            Kind::XdpLoadBalancer => "XdpLoadBalancer",
            Kind::XdpAddressSet => "XdpAddressSet",
            Kind::XdpNode => "XdpNode",
        }
    }

    /// As URLs and RBAC rules say it.
    pub const fn plural(self) -> &'static str {
        match self {
            Kind::XdpFilter => "xdpfilters",
            Kind::XdpLoadBalancer => "xdploadbalancers",
            Kind::XdpAddressSet => "xdpaddresssets",
            Kind::XdpNode => "xdpnodes",
        }
    }

    pub const fn is_namespaced(self) -> bool {
        matches!(self, Kind::XdpLoadBalancer)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Carries the kind that was asked for; [`crate::nearest`] over [`Kind::ALL`] finds what was meant.
impl FromStr for Kind {
    type Err = String;

    fn from_str(kind: &str) -> Result<Self, String> {
        Kind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(|| kind.to_owned())
    }
}
