//! How a replica with an empty directory gets its name: from the cluster that is there, or by founding one.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::call::{Call, Reply};
use crate::peers::{Peers, Unreached};
use crate::store::Place;
use crate::{Identity, OpenError, alone, store};

/// Returns once DIR has a store. One that is there already is left as it is, unless [`go_on_alone`](crate::go_on_alone) was
/// called for it.
///
/// Until then the replica answers others with [`answer_without_store`](crate::answer_without_store).
///
/// # Guarantees
/// * A cluster is founded by the first of `all` only, and only if every other replica says that it has no store.
/// * An id is never used again: who lost its store gets another.
pub async fn found_or_join(dir: &Path, peers: &Peers) -> Result<(), OpenError> {
    std::fs::create_dir_all(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
    alone::finish(dir, &peers.own)?;
    if dir.join(store::FILE).exists() || Identity::read(dir)?.is_some() {
        return Ok(());
    }
    let identity = identity(peers).await;
    tracing::info!(%identity, "this replica's store is made");
    store::make(&Place::Directory(dir), &identity)?;
    identity.write(dir)
}

pub(crate) async fn identity(peers: &Peers) -> Identity {
    let mut told = Instant::now();
    loop {
        let mut waits_for = Vec::new();
        for address in peers.others() {
            match ask(peers, address, Call::Who).await {
                Ok(Reply::Is(_)) => match join(peers, address.clone()).await {
                    Some(identity) => return identity,
                    None => waits_for.push(format!("{address} (its cluster has no leader now)")),
                },
                Ok(Reply::Empty) if peers.founds() => {}
                Ok(Reply::Empty) => waits_for.push(format!("{address} (has no store either)")),
                Ok(reply) => waits_for.push(format!("{address} ({reply:?})")),
                Err(error) => waits_for.push(format!("{address} ({error})")),
            }
        }
        if waits_for.is_empty() && peers.founds() {
            return Identity::new_cluster();
        }
        if told.elapsed() > TELL {
            told = Instant::now();
            tracing::warn!(waits_for = waits_for.join(", "), "this replica has no store yet");
        }
        sleep(AGAIN).await;
    }
}

/// Follows the words of the replicas to the leader.
async fn join(peers: &Peers, first: String) -> Option<Identity> {
    let mut address = first;
    for _ in 0..HOPS {
        match ask(peers, &address, Call::Join { address: peers.own.clone() }).await {
            Ok(Reply::Joined(identity)) => return Some(identity),
            Ok(Reply::Elsewhere(Some(leader))) => address = leader,
            _ => return None,
        }
    }
    None
}

async fn ask(peers: &Peers, address: &str, call: Call) -> Result<Reply, Unreached> {
    peers.ask(address, None, call, WITHIN).await
}

const WITHIN: Duration = Duration::from_secs(12);
const AGAIN: Duration = Duration::from_millis(200);
const TELL: Duration = Duration::from_secs(10);
const HOPS: usize = 3;
