use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::text::text_type;

text_type! {
    /// The name of a network interface, as `ip link` shows it.
    InterfaceName, {
        "type": "string",
        "minLength": 1,
        "maxLength": 15,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[^/:\\\\s]*$') && self != '.' && self != '..'",
            "messageExpression": "'\"' + self + '\" cannot be an interface: write a name as ip link shows \
                it, without blanks, / and :'"
        }]
    }
}

text_type! {
    /// A shell pattern over interface names, `eth*`, `ens[0-9]f?`.
    InterfacePattern, {
        "type": "string",
        "minLength": 1,
        "maxLength": 63,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[^/:\\\\s]*$')",
            "messageExpression": "'\"' + self + '\" can match no interface: write a shell pattern as eth* \
                or ens[0-9], without blanks, / and :'"
        }]
    }
}

/// Which interfaces of a selected node are meant; an interface that any part names is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.names) && self.names.size() > 0) || (has(self.patterns) && self.patterns.size() > 0) || \
        self.defaultRoute",
).message("nothing is selected: write names, patterns or defaultRoute: true"))]
pub struct InterfaceSelector {
    /// Interfaces by name, `eth0`. One that a node does not have is awaited there and shown in status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub names: Vec<InterfaceName>,
    /// Interfaces by shell pattern (fnmatch: `*`, `?`, `[a-z]`, `[!a-z]`), `ens*`. Interfaces that come later
    /// count too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub patterns: Vec<InterfacePattern>,
    /// The interfaces that carry a node's default routes, IPv4 and IPv6. Default: false.
    #[serde(default)]
    pub default_route: bool,
}
