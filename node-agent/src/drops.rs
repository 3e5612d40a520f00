//! Samples of dropped packets for the operator, while it asks for them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_datapath::{Dropped, DroppedPacket};
use sluice_proto::v1::{DropSample, SampleBatch, SampleRequest};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::kernel::Kernel;

/// Between two looks into the kernel's ring, which holds what some thousand packets a second leave in it.
const EVERY: Duration = Duration::from_millis(100);
/// Whatever the operator says.
const LONGEST: Duration = Duration::from_secs(60);

/// Until the requests end.
///
/// # Errors
/// When the data plane's thread ended.
pub async fn follow(
    kernel: Kernel,
    mut requests: watch::Receiver<SampleRequest>,
    batches: mpsc::Sender<SampleBatch>,
) -> anyhow::Result<()> {
    let mut look = interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut until = None::<Instant>;
    // Of batches that the stream had no room for.
    let (mut lost, mut suppressed) = (0, 0);
    loop {
        tokio::select! {
            changed = requests.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let for_ms = requests.borrow_and_update().for_ms;
                let how_long = Duration::from_millis(for_ms.into()).min(LONGEST);
                until = switch(&kernel, how_long).await?;
            }
            _ = look.tick(), if until.is_some() => {
                if let Some(mut batch) = take(&kernel).await? {
                    batch.lost += lost;
                    batch.suppressed += suppressed;
                    (lost, suppressed) = match batches.try_send(batch) {
                        Ok(()) => (0, 0),
                        Err(error) => {
                            let batch = error.into_inner();
                            (batch.lost + batch.samples.len() as u64, batch.suppressed)
                        }
                    };
                }
                if until.is_some_and(|until| until < Instant::now()) {
                    until = switch(&kernel, Duration::ZERO).await?;
                }
            }
        }
    }
}

/// Returns until when there is something to take.
async fn switch(kernel: &Kernel, how_long: Duration) -> anyhow::Result<Option<Instant>> {
    let until = Instant::now() + how_long;
    match kernel.call(move |datapath| datapath.sample_drops(how_long)).await? {
        Ok(()) => Ok((!how_long.is_zero()).then_some(until)),
        Err(error) => {
            tracing::warn!(%error, "dropped packets cannot be sampled");
            Ok(None)
        }
    }
}

async fn take(kernel: &Kernel) -> anyhow::Result<Option<SampleBatch>> {
    match kernel.call(|datapath| datapath.dropped()).await? {
        Ok(dropped) => Ok((dropped != Dropped::default()).then(|| batch(dropped))),
        Err(error) => {
            tracing::warn!(%error, "samples of dropped packets could not be read");
            Ok(None)
        }
    }
}

fn batch(dropped: Dropped) -> SampleBatch {
    let Dropped { packets, lost, suppressed } = dropped;
    SampleBatch { samples: packets.into_iter().map(sample).collect(), lost, suppressed }
}

fn sample(packet: DroppedPacket) -> DropSample {
    let DroppedPacket { time, owner, by_balancer, interface, length, bytes } = packet;
    let stage = match owner.name.as_str() {
        _ if by_balancer => "LoadBalancer",
        "_default" => "Default",
        "_malformed" => "Malformed",
        _ => "Filter",
    };
    DropSample {
        policy_uid: owner.policy,
        name: owner.name,
        stage: stage.to_owned(),
        interface,
        at: unix_nanos(time),
        length,
        packet: bytes,
    }
}

fn unix_nanos(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
