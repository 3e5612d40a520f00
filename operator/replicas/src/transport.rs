use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use sluice_proto::v1::replication_client::ReplicationClient;
use sluice_raft::{Transport, Unreached};
use tonic::Status;

use crate::Channels;
use crate::wire::{parts, whole};

impl Transport for Channels {
    fn call(&self, address: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, Unreached>> {
        let channel = self.to(address);
        async move {
            let mut client = ReplicationClient::new(channel.map_err(|error| Unreached(error.to_string()))?);
            let answer = async { whole(client.call(parts(request)).await?.into_inner()).await };
            answer.await.map_err(|status: Status| Unreached(status.message().to_owned()))
        }
        .boxed()
    }
}
