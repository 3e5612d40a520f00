//! Starting over after the volume was lost.

use std::path::Path;

use crate::store;
use crate::{Applied, Command, Identity, OpenError, Options, ProposeError, Raft};

#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl Raft {
    /// Opens DIR with epochs above all of `seen_incarnation`, the highest that agents report.
    ///
    /// Where the log is gone, a new store is made; where one is (a fresh one that was started on an empty volume, or an
    /// old copy), its plans stay and only their number moves. A running operator raises its own with [`Raft::raise`].
    pub async fn recover(dir: &Path, seen_incarnation: u64, options: Options) -> Result<Raft, RecoverError> {
        if !dir.join(store::FILE).exists() {
            // Never under the old name: a voter that forgot its votes must not come back as itself.
            Identity::remove(dir)?;
        }
        let raft = Raft::open(dir, options).await?;
        raft.raise(seen_incarnation).await?;
        Ok(raft)
    }

    /// Moves every epoch, the current one included, above those of `seen_incarnation`. Never lowers one.
    pub async fn raise(&self, seen_incarnation: u64) -> Result<Applied, ProposeError> {
        self.propose(Command::Recover { seen_incarnation }).await
    }
}
