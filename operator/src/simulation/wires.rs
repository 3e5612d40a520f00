//! Frames over simulated TCP: what mutual TLS and gRPC carry otherwise.

use std::io;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, SinkExt, Stream, StreamExt, stream};
use sluice_proto::v1::{RelayOrder, Relayed};
use sluice_raft::{Bytes, Transport, Unreached};
use sluice_replicas::{Lines, Orders};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tonic::Status;
use turmoil::net::TcpStream;

pub const PORT: u16 = 9443;
pub type Wire = Framed<TcpStream, LengthDelimitedCodec>;

/// What a connection is for: its first frame.
pub const CALL: &[u8] = b"call";
pub const RELAY: &[u8] = b"relay";
pub const STREAM: &[u8] = b"stream ";

/// Both ends send an empty frame as often, and hang up after as long a silence: what keepalives do otherwise.
const PING: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_millis(2500);

pub fn frames(stream: TcpStream) -> Wire {
    let codec = LengthDelimitedCodec::builder().max_frame_length(64 << 20).new_codec();
    Framed::new(stream, codec)
}

pub async fn dial(address: &str, purpose: &[u8]) -> io::Result<Wire> {
    let connected = timeout(PING, TcpStream::connect(address)).await;
    let mut wire = frames(connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??);
    wire.send(Bytes::copy_from_slice(purpose)).await?;
    Ok(wire)
}

/// The other replicas.
pub struct Wires;

impl Transport for Wires {
    fn call(&self, address: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, Unreached>> {
        let address = address.to_owned();
        let call = async move {
            let mut wire = dial(&address, CALL).await?;
            wire.send(request).await?;
            wire.next().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
        };
        call.map(|answer| answer.map(|answer| answer.freeze()).map_err(|error| Unreached(error.to_string())))
            .boxed()
    }
}

impl Lines for Wires {
    fn relay(
        &self,
        leader: &str,
        said: mpsc::Receiver<Relayed>,
    ) -> BoxFuture<'static, Result<Orders, Status>> {
        let leader = leader.to_owned();
        async move {
            let wire = dial(&leader, RELAY).await.map_err(|error| Status::unavailable(error.to_string()))?;
            let said = stream::unfold(said, |mut said| async { said.recv().await.map(|word| (word, said)) });
            Ok(talk::<_, RelayOrder>(wire, said.boxed()))
        }
        .boxed()
    }
}

/// Says what comes out of `said`, and gives what is heard until one of them ends.
pub fn talk<O, I>(wire: Wire, said: BoxStream<'static, O>) -> BoxStream<'static, Result<I, Status>>
where
    O: prost::Message + 'static,
    I: prost::Message + Default + 'static,
{
    let (hear, heard) = mpsc::channel(64);
    tokio::spawn(carry(wire, said, hear));
    received(heard).boxed()
}

fn received<I: Send + 'static>(
    heard: mpsc::Receiver<Result<I, Status>>,
) -> impl Stream<Item = Result<I, Status>> + Send {
    stream::unfold(heard, |mut heard| async { heard.recv().await.map(|word| (word, heard)) })
}

async fn carry<O, I>(mut wire: Wire, mut said: BoxStream<'static, O>, hear: mpsc::Sender<Result<I, Status>>)
where
    O: prost::Message + 'static,
    I: prost::Message + Default + 'static,
{
    let (mut ping, mut silent) = (Instant::now() + PING, Instant::now() + SILENCE);
    loop {
        tokio::select! {
            biased;
            () = hear.closed() => return,
            frame = wire.next() => {
                let Some(Ok(frame)) = frame else { return };
                silent = Instant::now() + SILENCE;
                if !frame.is_empty() && hear.send(Ok(I::decode(frame).expect("a message"))).await.is_err() {
                    return;
                }
            }
            word = said.next() => {
                let Some(word) = word else { return };
                // An empty message would be a ping.
                let bytes = word.encode_to_vec();
                if wire.send(Bytes::from(bytes)).await.is_err() {
                    return;
                }
            }
            () = sleep_until(ping) => {
                ping = Instant::now() + PING;
                if wire.send(Bytes::new()).await.is_err() {
                    return;
                }
            }
            () = sleep_until(silent) => return,
        }
    }
}
