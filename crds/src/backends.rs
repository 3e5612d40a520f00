use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::IpAddress;

/// How many backends a balancer may have.
pub const MAX_BACKENDS: usize = 256;

/// Where the backends come from.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Backends {
    /// Backends by address.
    Static(
        #[schemars(
            length(min = 1, max = "MAX_BACKENDS"),
            extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["address"])
        )]
        Vec<StaticBackend>,
    ),
}

impl Default for Backends {
    fn default() -> Self {
        Self::Static(Vec::new())
    }
}

/// A server behind the virtual addresses.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StaticBackend {
    /// The server's own address, to which encapsulated packets are sent; of the same family as a virtual
    /// address.
    pub address: IpAddress,
    /// Its share of the ring slots relative to the other backends, 0 to 256. 0: no new slot, and those it has
    /// move away. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 256))]
    pub weight: Option<u16>,
}

impl StaticBackend {
    /// The weight with its default filled in.
    pub fn weight(&self) -> u16 {
        self.weight.unwrap_or(1)
    }
}
