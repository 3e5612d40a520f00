//! All facts of a node at one moment.

use std::collections::BTreeSet;

use crate::{NetdevError, Netlink, Nic, NodeAddr, Softnet, card, xdp_features};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Every interface but the loopback, by index.
    pub nics: Vec<Nic>,
    pub addresses: BTreeSet<NodeAddr>,
    pub softnet: Option<Softnet>,
}

impl Netlink {
    pub async fn facts(&self) -> Result<Facts, NetdevError> {
        self.facts_with(&self.default_routes().await?).await
    }

    /// With default routes that are known, which spares a dump of the whole routing table.
    pub async fn facts_with(&self, default_routes: &BTreeSet<u32>) -> Result<Facts, NetdevError> {
        let mut nics = self.links().await?;
        nics.retain(|nic| !nic.loopback);
        if let Some(ethtool) = &self.ethtool {
            card::describe(ethtool, &mut nics).await;
        }
        let mut features = match &self.generic {
            Some(generic) => xdp_features::read(generic).await,
            None => Default::default(),
        };
        for nic in &mut nics {
            nic.default_route = default_routes.contains(&nic.index);
            nic.xdp_features = features.remove(&nic.index);
        }
        Ok(Facts { nics, addresses: self.addresses().await?, softnet: Softnet::read() })
    }
}
