use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use sluice_proto::v1::replication_client::ReplicationClient;
use sluice_raft::{Transport, Unreached};
use tokio::time::timeout;
use tonic::Status;

use crate::Channels;
use crate::wire::{parts, whole};

impl Transport for Channels {
    fn call(
        &self,
        address: &str,
        request: Bytes,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, Unreached>> {
        let channel = self.to(address);
        let call = async move {
            let mut client = ReplicationClient::new(channel.map_err(|error| Unreached(error.to_string()))?);
            let answer = async { whole(client.call(parts(request)).await?.into_inner()).await };
            answer.await.map_err(|status: Status| Unreached(status.message().to_owned()))
        };
        async move {
            timeout(within, call)
                .await
                .unwrap_or_else(|_| Err(Unreached(format!("no answer within {within:?}"))))
        }
        .boxed()
    }
}
