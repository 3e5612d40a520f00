//! openraft's own contract tests.

use openraft::testing::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::{LogStore, StateMachine, Stop};
use crate::config::{StorageError, TypeConfig};

struct Builder;

/// Dropped after the store: stops the writer, then removes the files.
struct Guard {
    stop: Option<Stop>,
    _dir: TempDir,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop.take().expect("stopped once").stop();
    }
}

impl StoreBuilder<TypeConfig, LogStore, StateMachine, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = super::open(&super::Place::Directory(dir.path()), None).expect("a fresh store opens");
        Ok((Guard { stop: Some(store.stop), _dir: dir }, store.log, store.machine))
    }
}

#[test]
fn the_store_keeps_openrafts_contract() {
    Suite::test_all(Builder).unwrap();
}
