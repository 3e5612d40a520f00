use std::fmt;

use crate::PkiError;

/// A node's name, fit for a certificate: an RFC 1123 subdomain, as Kubernetes names nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

impl NodeName {
    pub fn parse(name: &str) -> Result<NodeName, PkiError> {
        let whole = (1..=253).contains(&name.len()) && name.split('.').all(is_label);
        whole.then(|| NodeName(name.to_owned())).ok_or_else(|| PkiError::NodeName { found: name.to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes() {
        for good in ["a", "edge-1", "ip-10-0-0-1.eu.example", "0", &"a.".repeat(126).as_str()[..251]] {
            assert!(NodeName::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for odd in [
            "",
            ".",
            "a.",
            ".a",
            "-a",
            "a-",
            "A",
            "a b",
            "a/b",
            "a\n",
            "a,O=sluice:admin",
            "ä",
            "a..b",
            &long,
        ] {
            assert!(matches!(NodeName::parse(odd), Err(PkiError::NodeName { .. })), "{odd:?}");
        }
    }
}
