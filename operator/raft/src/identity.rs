//! Who this replica is. Kept twice, in a readable file and in the log's own file: a node id that comes back with
//! another log, or with none, could vote twice in one term.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::OpenError;
use crate::files::write_atomically;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// 32 hex digits, drawn when the store is made.
    pub cluster_id: String,
    pub node_id: u64,
}

impl Identity {
    pub(crate) fn new_cluster() -> Identity {
        Identity { cluster_id: hex::encode(rand::random::<[u8; 16]>()), node_id: FOUNDER }
    }

    pub(crate) fn is_founder(&self) -> bool {
        self.node_id == FOUNDER
    }

    pub(crate) fn read(dir: &Path) -> Result<Option<Identity>, OpenError> {
        let path = dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(OpenError::Io { path, source }),
        };
        let identity = serde_json::from_slice(&text);
        identity.map(Some).map_err(|error| OpenError::Damaged { path, reason: error.to_string() })
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), OpenError> {
        let path = dir.join(FILE);
        let text = serde_json::to_vec_pretty(self).expect("two plain fields always encode");
        write_atomically(&path, &text).map_err(|source| OpenError::Io { path, source })
    }

    pub(crate) fn remove(dir: &Path) -> Result<(), OpenError> {
        let path = dir.join(FILE);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(OpenError::Io { path, source }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} of cluster {}", self.node_id, self.cluster_id)
    }
}

const FILE: &str = "identity.json";
/// Others are given the position of a log entry, which is above it.
const FOUNDER: u64 = 1;
