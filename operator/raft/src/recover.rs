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
    /// Makes a new store in DIR whose epochs are above all of `seen_incarnation`, the highest that agents report.
    ///
    /// Refused where a store is: a running operator raises its own with [`Raft::raise`].
    pub async fn recover(dir: &Path, seen_incarnation: u64, options: Options) -> Result<Raft, RecoverError> {
        if dir.join(store::FILE).exists() {
            return Err(OpenError::NotLost { dir: dir.to_owned() }.into());
        }
        // Never under the old name: a voter that forgot its votes must not come back as itself.
        Identity::remove(dir)?;
        let raft = Raft::open(dir, options).await?;
        raft.raise(seen_incarnation).await?;
        Ok(raft)
    }

    /// Moves a fresh store's epochs above those of the lost one that agents still enforce.
    pub async fn raise(&self, seen_incarnation: u64) -> Result<Applied, ProposeError> {
        self.propose(Command::Recover { seen_incarnation }).await
    }
}
