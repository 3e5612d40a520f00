//! The part of a view that a caller may see.

use std::collections::BTreeSet;

use sluice_crds::{GROUP, Kind};
use sluice_index::ObjectKey;
use tonic::Status;

use crate::gate::Reader;
use crate::view::View;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    pub nodes: bool,
    pub filters: bool,
    balancers: Namespaces,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Namespaces {
    All,
    These(BTreeSet<String>),
}

impl Sight {
    /// Asks for each kind, and for balancers namespace by namespace where the caller may not list all of them.
    ///
    /// # Errors
    /// Nobody could be asked.
    pub async fn of(reader: &Reader, view: &View) -> Result<Sight, Status> {
        let balancers = if reader.may("list", Kind::XdpLoadBalancer, None).await? {
            Namespaces::All
        } else {
            let mut allowed = BTreeSet::new();
            for namespace in namespaces(view) {
                if reader.may("list", Kind::XdpLoadBalancer, Some(namespace)).await? {
                    allowed.insert(namespace.to_owned());
                }
            }
            Namespaces::These(allowed)
        };
        Ok(Sight {
            nodes: reader.may("list", Kind::XdpNode, None).await?,
            filters: reader.may("list", Kind::XdpFilter, None).await?,
            balancers,
        })
    }

    pub fn sees(&self, key: &ObjectKey) -> bool {
        if key.kind == Kind::XdpFilter.name() {
            return self.filters;
        }
        match &self.balancers {
            Namespaces::All => true,
            Namespaces::These(allowed) => allowed.contains(&key.namespace),
        }
    }

    /// # Errors
    /// Not one policy may be seen, so an empty list would read as "there are none".
    pub fn require_policies(&self, caller: &Reader) -> Result<(), Status> {
        let blind = matches!(&self.balancers, Namespaces::These(allowed) if allowed.is_empty());
        if self.filters || !blind {
            return Ok(());
        }
        let (filters, balancers) = (Kind::XdpFilter.plural(), Kind::XdpLoadBalancer.plural());
        Err(Status::permission_denied(format!(
            "{caller} may list neither {filters}.{GROUP} nor, in any namespace that has some, {balancers}.{GROUP}"
        )))
    }

    /// # Errors
    /// Nodes may not be seen.
    pub fn require_nodes(&self, caller: &Reader) -> Result<(), Status> {
        if self.nodes {
            return Ok(());
        }
        Err(Status::permission_denied(format!("{caller} may not list {}.{GROUP}", Kind::XdpNode.plural())))
    }
}

fn namespaces(view: &View) -> BTreeSet<&str> {
    let balancers = view.objects.keys().filter(|key| key.kind == Kind::XdpLoadBalancer.name());
    balancers.map(|key| key.namespace.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_sees_the_kinds_and_namespaces_that_it_may_list() {
        let sight =
            Sight { nodes: false, filters: false, balancers: Namespaces::These(["web".to_owned()].into()) };
        assert!(sight.sees(&ObjectKey::new(Kind::XdpLoadBalancer, "web", "shop")));
        assert!(!sight.sees(&ObjectKey::new(Kind::XdpLoadBalancer, "mail", "mx")));
        assert!(!sight.sees(&ObjectKey::new(Kind::XdpFilter, "", "edge")));
        assert!(sight.require_policies(&Reader::Administrator).is_ok());
        assert!(sight.require_nodes(&Reader::Administrator).is_err());
    }

    #[tokio::test]
    async fn the_administrator_sees_everything() {
        let sight = Sight::of(&Reader::Administrator, &View::default()).await.unwrap();
        assert_eq!(sight, Sight { nodes: true, filters: true, balancers: Namespaces::All });
    }
}
