//! A replica that outlived most others goes on without them, when somebody who knows that they are lost says so.

use std::path::PathBuf;

use sluice_raft::{Raft, go_on_alone};
use tokio_util::sync::CancellationToken;
use tonic::Status;

pub struct Alone {
    /// The store's directory.
    pub dir: PathBuf,
    /// Ends the operator once it is to start anew.
    pub restart: CancellationToken,
}

impl Alone {
    /// Returns once it is on disk; the operator ends then.
    ///
    /// # Errors
    /// The others are not all named, or not all gone.
    pub async fn go_on(&self, raft: &Raft, lost: &[String]) -> Result<(), Status> {
        raft.stands_alone(lost).await.map_err(|error| Status::failed_precondition(error.to_string()))?;
        go_on_alone(&self.dir, raft.identity()).map_err(|error| Status::internal(error.to_string()))?;
        tracing::warn!(lost = lost.join(", "), "this replica starts anew, to go on without the others");
        self.restart.cancel();
        Ok(())
    }
}
