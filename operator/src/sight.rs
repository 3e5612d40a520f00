//! The policies of a view that a caller may see.

use std::collections::BTreeSet;

use sluice_crds::{GROUP, Kind};
use sluice_index::ObjectKey;
use tonic::Status;

use crate::gate::Reader;
use crate::view::View;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    pub filters: bool,
    sets: bool,
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
    /// Not one policy may be seen, so an empty list would read as "there are none"; or nobody could be asked.
    pub async fn of(reader: &Reader, view: &View) -> Result<Sight, Status> {
        let filters = reader.may("list", Kind::XdpFilter, None).await?;
        let sets = reader.may("list", Kind::XdpAddressSet, None).await?;
        let sight = Sight { filters, sets, balancers: balancers(reader, view).await? };
        if !sight.is_blind() {
            return Ok(sight);
        }
        let [filters, sets, balancers] =
            [Kind::XdpFilter, Kind::XdpAddressSet, Kind::XdpLoadBalancer].map(Kind::plural);
        Err(Status::permission_denied(format!(
            "{reader} may list neither {filters}.{GROUP} nor {sets}.{GROUP} nor, in any namespace that has some, \
             {balancers}.{GROUP}"
        )))
    }

    pub fn sees(&self, key: &ObjectKey) -> bool {
        if key.kind == Kind::XdpFilter.name() {
            return self.filters;
        }
        if key.kind == Kind::XdpAddressSet.name() {
            return self.sets;
        }
        match &self.balancers {
            Namespaces::All => true,
            Namespaces::These(allowed) => allowed.contains(&key.namespace),
        }
    }

    /// Filters and sets of nobody, and the balancers of these namespaces.
    #[cfg(test)]
    pub fn of_namespaces<const N: usize>(namespaces: [&str; N]) -> Sight {
        let balancers = Namespaces::These(namespaces.map(str::to_owned).into());
        Sight { filters: false, sets: false, balancers }
    }

    #[cfg(test)]
    pub fn all() -> Sight {
        Sight { filters: true, sets: true, balancers: Namespaces::All }
    }

    fn is_blind(&self) -> bool {
        !self.filters
            && !self.sets
            && matches!(&self.balancers, Namespaces::These(allowed) if allowed.is_empty())
    }
}

async fn balancers(reader: &Reader, view: &View) -> Result<Namespaces, Status> {
    if reader.may("list", Kind::XdpLoadBalancer, None).await? {
        return Ok(Namespaces::All);
    }
    let mut allowed = BTreeSet::new();
    for namespace in namespaces(view) {
        if reader.may("list", Kind::XdpLoadBalancer, Some(namespace)).await? {
            allowed.insert(namespace.to_owned());
        }
    }
    Ok(Namespaces::These(allowed))
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
        let sight = Sight::of_namespaces(["web"]);
        assert!(sight.sees(&ObjectKey::new(Kind::XdpLoadBalancer, "web", "shop")));
        assert!(!sight.sees(&ObjectKey::new(Kind::XdpLoadBalancer, "mail", "mx")));
        assert!(!sight.sees(&ObjectKey::new(Kind::XdpFilter, "", "edge")));
        let set = ObjectKey::new(Kind::XdpAddressSet, "", "scanners");
        assert!(!sight.sees(&set) && Sight { sets: true, ..sight.clone() }.sees(&set));
        assert!(!sight.is_blind());
        assert!(Sight::of_namespaces([]).is_blind());
    }

    #[tokio::test]
    async fn the_administrator_sees_everything() {
        let sight = Sight::of(&Reader::Administrator, &View::default()).await.unwrap();
        assert_eq!(sight, Sight::all());
    }
}
