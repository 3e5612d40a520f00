//! `kubectl sluice why`.

use std::str::FromStr;

use clap::Args;
use sluice_crds::Kind;

use super::Output;

const WHY_HELP: &str = "Examples:
  kubectl sluice why edge-1 edge
  kubectl sluice why edge-1 XdpLoadBalancer/web/shop
  kubectl sluice why edge-1 edge -o json | jq -r .reason

What the operator and the node's agent know of the two: not selected (by which label), refused, waiting for its wave, not
reached, in the way of something on the node, or in force, since when and with which epoch.
Exit code 0 if the newest version is in force there, else 1.";

#[derive(Clone, Debug, Args)]
#[command(after_help = WHY_HELP)]
pub struct Why {
    /// The node
    pub node: String,
    /// NAME, NAMESPACE/NAME, KIND/NAME or KIND/NAMESPACE/NAME of a policy or address set
    pub policy: PolicyName,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Which object is meant; what is empty is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyName {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl FromStr for PolicyName {
    type Err = String;

    fn from_str(text: &str) -> Result<PolicyName, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let kind_of = |word: &str| {
            let is_meant =
                |kind: &Kind| [kind.name(), kind.plural()].iter().any(|name| name.eq_ignore_ascii_case(word));
            Kind::ALL.into_iter().find(is_meant).map(|kind| kind.name().to_owned())
        };
        let name = |kind: Option<String>, namespace: &str, name: &str| PolicyName {
            kind: kind.unwrap_or_default(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let found = match parts[..] {
            [only] => Some(name(None, "", only)),
            [first, last] => Some(match kind_of(first) {
                Some(kind) => name(Some(kind), "", last),
                None => name(None, first, last),
            }),
            [kind, namespace, last] => kind_of(kind).map(|kind| name(Some(kind), namespace, last)),
            _ => None,
        };
        found.filter(|_| parts.iter().all(|part| !part.is_empty())).ok_or_else(|| {
            format!("`{text}` is no policy: write edge, web/shop, XdpFilter/edge or XdpLoadBalancer/web/shop")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_as_much_as_it_must() {
        for (text, expected) in [
            ("edge", ["", "", "edge"]),
            ("web/shop", ["", "web", "shop"]),
            ("xdpfilter/edge", ["XdpFilter", "", "edge"]),
            ("xdpaddresssets/bad", ["XdpAddressSet", "", "bad"]),
            ("XdpLoadBalancer/web/shop", ["XdpLoadBalancer", "web", "shop"]),
        ] {
            let [kind, namespace, name] = expected.map(str::to_owned);
            assert_eq!(text.parse(), Ok(PolicyName { kind, namespace, name }));
        }
        for odd in ["", "/edge", "web/", "Pod/web/shop", "a/b/c/d"] {
            assert!(odd.parse::<PolicyName>().expect_err(odd).contains("write edge"));
        }
    }
}
