//! What relays go over.

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use sluice_proto::v1::replication_client::ReplicationClient;
use sluice_proto::v1::{RelayOrder, Relayed};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::Channels;

/// Connections to other replicas that prove who is at both ends.
pub trait Lines: Send + Sync + 'static {
    /// Opens a relay to the replica at `HOST:PORT`; it says what to relay besides.
    fn relay(
        &self,
        leader: &str,
        said: mpsc::Receiver<Relayed>,
    ) -> BoxFuture<'static, Result<Orders, Status>>;
}

/// Of who decides, until the relay ends.
pub type Orders = BoxStream<'static, Result<RelayOrder, Status>>;

impl Lines for Channels {
    fn relay(
        &self,
        leader: &str,
        said: mpsc::Receiver<Relayed>,
    ) -> BoxFuture<'static, Result<Orders, Status>> {
        let channel = self.to(leader);
        async move {
            let channel = channel.map_err(|error| Status::invalid_argument(error.to_string()))?;
            let orders = ReplicationClient::new(channel).relay(ReceiverStream::new(said)).await?;
            Ok(orders.into_inner().boxed())
        }
        .boxed()
    }
}
