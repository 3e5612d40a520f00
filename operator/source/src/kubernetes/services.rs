//! Addresses that Services have.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;

use super::follow::owner;

/// Of the cluster, external, and of load balancers, with the Service that has each.
pub fn addresses(services: &[Arc<Service>]) -> BTreeMap<IpAddr, String> {
    let mut found = BTreeMap::new();
    for service in services {
        let owner = owner(service.as_ref());
        for address in texts(service).filter_map(|text| text.parse().ok()) {
            found.insert(address, owner.clone());
        }
    }
    found
}

fn texts(service: &Service) -> impl Iterator<Item = &String> {
    let spec = service.spec.iter();
    let own = spec.flat_map(|spec| spec.cluster_ips.iter().chain(&spec.external_ips).flatten());
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_ref()).into_iter().flatten();
    own.chain(ingress.filter_map(|ingress| ingress.ip.as_ref()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_address_of_a_service_is_its_own() {
        let service = json!({
            "metadata": {"namespace": "web", "name": "shop"},
            "spec": {"clusterIPs": ["10.96.0.7", "fd00::7"], "externalIPs": ["203.0.113.7"]},
            "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.8"}, {"hostname": "shop.example"}]}},
        });
        let headless = json!({"metadata": {"name": "db"}, "spec": {"clusterIPs": ["None"]}});
        let services =
            [service, headless].map(|one| Arc::new(serde_json::from_value(one).expect("a Service")));
        let found = addresses(&services);
        let texts: Vec<String> = found.keys().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.96.0.7", "203.0.113.7", "203.0.113.8", "fd00::7"]);
        assert!(found.values().all(|owner| owner == "Service web/shop"));
    }
}
