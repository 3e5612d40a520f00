use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::text::text_type;
use crate::{Cidr, Feed, XdpAddressSetStatus};

/// How many entries a set may have in its object; lists and feeds may have more.
pub const MAX_SET_ENTRIES: usize = 5000;
/// How many ConfigMaps a set may draw from.
pub const MAX_SET_CONFIG_MAPS: usize = 16;
/// How many files a set may draw from.
pub const MAX_SET_FILES: usize = 16;
/// How many feeds a set may draw from.
pub const MAX_SET_FEEDS: usize = 8;
/// How many other sets a set may be made of, and how many a match may name.
pub const MAX_SET_NAMES: usize = 16;
/// How many prefixes a set may leave out.
pub const MAX_SET_EXCEPT: usize = 256;

/// An XdpAddressSet is a named set of IPv4 and IPv6 prefixes, up to two million, that the rules of filters match
/// addresses against. It changes without any filter being compiled or loaded anew.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "XdpAddressSet",
    plural = "xdpaddresssets",
    shortname = "xas",
    category = "sluice",
    status = "XdpAddressSetStatus",
    derive = "PartialEq",
    doc = "An XdpAddressSet is a named set of IPv4 and IPv6 prefixes, up to two million, that the rules of filters \
        match addresses against. It changes without any filter being compiled or loaded anew.",
    printcolumn(name = "Entries", type_ = "integer", json_path = ".status.entries"),
    printcolumn(name = "Prefixes", type_ = "integer", json_path = ".status.prefixes"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodes.summary"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = "1"
    ),
    printcolumn(name = "Bytes", type_ = "integer", json_path = ".status.kernelBytes", priority = "1"),
    printcolumn(name = "Fetched", type_ = "date", json_path = ".status.lastFetch", priority = "1"),
    printcolumn(name = "Hash", type_ = "string", json_path = ".status.hash", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("the name is longer than 63 characters, which plans and metrics carry: shorten it")
)]
#[serde(rename_all = "camelCase")]
pub struct XdpAddressSetSpec {
    /// Prefixes of the object itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_SET_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub entries: Vec<SetEntry>,
    /// ConfigMaps whose values are plain lists: a prefix or an address on each line, # and ; begin comments. Without a
    /// cluster there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_SET_CONFIG_MAPS"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub config_maps: Vec<ConfigMapList>,
    /// Files that are plain lists, named from the folder of the object's own file on. In a cluster there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_SET_FILES"))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub files: Vec<ListFile>,
    /// Lists that are fetched over HTTP or HTTPS again and again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_SET_FEEDS"))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["url".into()]))]
    pub feeds: Vec<Feed>,
    /// Other sets, whose addresses are in this one too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_SET_NAMES"))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub sets: Vec<SetName>,
    /// Prefixes that are taken out again, wherever they came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_SET_EXCEPT"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub except: Vec<Cidr>,
}

/// A prefix of a set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SetEntry {
    /// An IPv4 or IPv6 prefix without host bits: 192.0.2.0/24, 192.0.2.7/32 or 2001:db8::/32.
    pub cidr: Cidr,
    /// Why it is there; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub comment: Option<String>,
    /// When it leaves the set by itself (RFC 3339, 2027-01-31T00:00:00Z). Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<PointInTime>,
}

/// A list in a ConfigMap.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapList {
    /// The ConfigMap's namespace, one of those that the chart's addressSets.configMapNamespaces names.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: String,
    /// The ConfigMap's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// The key of its data. Default: all keys together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

text_type! {
    /// The name of an XdpAddressSet.
    SetName, {
        "type": "string",
        "maxLength": 63,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
            "messageExpression": "'\"' + self + '\" cannot be an XdpAddressSet: write a name of lower-case letters, \
                digits, - and .'"
        }]
    }
}

text_type! {
    /// A file below the folder of the object's own file.
    ListFile, {
        "type": "string",
        "maxLength": 255,
        "x-kubernetes-validations": [{
            "rule": "self != '' && !self.startsWith('/') && !self.matches('(^|/)[.][.](/|$)')",
            "messageExpression": "'\"' + self + '\" is not below the folder of this file: write a path from there on, \
                as lists/scanners.txt'"
        }]
    }
}

text_type! {
    /// A moment as RFC 3339 writes it.
    PointInTime, { "type": "string", "format": "date-time" }
}
