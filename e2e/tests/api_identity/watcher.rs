//! Who watches drops, as the CLI does: with a token and nothing else.

use sluice_proto::v1::admin_client::AdminClient;
use sluice_proto::v1::{DropBatch, WatchDropsRequest};
use tokio::runtime::Runtime;
use tonic::{Request, Status, Streaming};

use crate::PATIENCE;
use crate::server::Operator;

pub struct Watcher {
    batches: Streaming<DropBatch>,
    runtime: Runtime,
}

impl Watcher {
    pub fn with_token(operator: &Operator, token: &str) -> Result<Watcher, Status> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut request = Request::new(WatchDropsRequest::default());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let batches = runtime.block_on(async {
            let mut client = AdminClient::new(operator.channel(None).await);
            Ok::<_, Status>(client.watch_drops(request).await?.into_inner())
        })?;
        Ok(Watcher { batches, runtime })
    }

    /// The next batch that it is shown.
    pub fn next(&mut self) -> DropBatch {
        let next = async { tokio::time::timeout(PATIENCE, self.batches.message()).await };
        self.runtime.block_on(next).expect("no drops were shown").unwrap().expect("the stream goes on")
    }
}
