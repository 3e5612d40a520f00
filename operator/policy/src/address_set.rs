//! A named set of addresses: what it is made of.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::selection::ObjectRef;

/// The addresses of its entries, lists and other sets, without the exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetDefinition {
    pub object: ObjectRef,
    pub entries: Vec<SetEntry>,
    pub lists: Vec<ListRef>,
    /// Names of other sets.
    pub sets: Vec<String>,
    pub except: Vec<IpNet>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetEntry {
    /// Without host bits.
    pub prefix: IpNet,
    /// Unix milliseconds from which on it is no longer in the set.
    pub expires: Option<i64>,
}

/// A list of prefixes outside of the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ListRef {
    ConfigMap {
        namespace: String,
        name: String,
        /// `None`: all keys together.
        key: Option<String>,
    },
    /// From the folder of the object's file on; below it.
    File(String),
    Feed(Feed),
}

/// A list that is fetched over HTTP or HTTPS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Feed {
    pub url: String,
    pub format: ListFormat,
    pub interval: Duration,
    /// Of a whole fetch, redirects included.
    pub timeout: Duration,
    /// As sent, and unpacked.
    pub max_bytes: u64,
    /// A reading with fewer is broken.
    pub min_entries: u64,
    /// A reading that lost more than so many percent of the last good one's entries is broken.
    pub max_shrink: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ListFormat {
    /// A prefix or an address on each line; `#` and `;` begin comments.
    #[default]
    Plain,
    /// A JSON object with `cidr` on each line, and one of the type `metadata`.
    SpamhausJson,
}

impl fmt::Display for ListRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListRef::ConfigMap { namespace, name, key: None } => write!(f, "ConfigMap {namespace}/{name}"),
            ListRef::ConfigMap { namespace, name, key: Some(key) } => {
                write!(f, "ConfigMap {namespace}/{name} key {key}")
            }
            ListRef::File(path) => f.write_str(path),
            ListRef::Feed(feed) => f.write_str(&feed.url),
        }
    }
}
