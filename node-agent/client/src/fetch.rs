//! The shards that an update's address sets are made of: those that the node lacks are asked for, verified and kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use sluice_address_set::Manifest;
use sluice_plan::Hash;
use sluice_proto::{SET, v1};
use tokio::task::spawn_blocking;

use crate::{Refusal, Shelf, Update};

/// Shards whose bytes have their hashes.
pub(crate) type Shards = Vec<(Hash, Bytes)>;

/// How far an update has come.
pub(crate) enum Fetch {
    /// All of its shards are on the shelf.
    Done(Update),
    Open(Open),
}

pub(crate) struct Open {
    update: Update,
    missing: BTreeSet<Hash>,
    asked: bool,
}

impl Fetch {
    pub async fn begin(update: Update, shelf: &Arc<dyn Shelf>) -> Result<Fetch, Refusal> {
        let needed = shards(&update)?;
        let missing = on(shelf, move |shelf| shelf.missing(&needed)).await?;
        Ok(Open { update, missing: missing.into_iter().collect(), asked: false }.settle())
    }
}

impl Open {
    /// What to ask for, once.
    pub fn ask(&mut self) -> Option<Vec<Vec<u8>>> {
        let asked = std::mem::replace(&mut self.asked, true);
        (!asked).then(|| self.missing.iter().map(|hash| hash.0.to_vec()).collect())
    }

    /// Those of the shards that were asked for.
    pub fn take(&mut self, shards: v1::Shards) -> Result<Shards, Refusal> {
        let shards = shards.shards.into_iter().map(verified).collect::<Result<Vec<_>, _>>()?;
        Ok(shards.into_iter().filter(|(hash, _)| self.missing.remove(hash)).collect())
    }

    /// What was taken is on the shelf.
    pub fn settle(self) -> Fetch {
        if self.missing.is_empty() { Fetch::Done(self.update) } else { Fetch::Open(self) }
    }
}

pub(crate) async fn keep(shards: Shards, shelf: &Arc<dyn Shelf>) -> Result<(), Refusal> {
    on(shelf, move |shelf| shelf.put(&shards)).await
}

fn shards(update: &Update) -> Result<Vec<Hash>, Refusal> {
    let mut shards = Vec::new();
    for (key, _, bytes) in update.set.iter().filter(|(key, ..)| key.starts_with(SET)) {
        let manifest = Manifest::decode(bytes);
        let problem = |problem| Refusal::Set { key: key.clone(), problem };
        shards.extend(manifest.map_err(problem)?.shards);
    }
    Ok(shards)
}

fn verified(shard: v1::Shard) -> Result<(Hash, Bytes), Refusal> {
    let hash = Hash::of(&shard.bytes);
    if shard.hash == hash.0 { Ok((hash, shard.bytes)) } else { Err(Refusal::AlteredShard(hash)) }
}

async fn on<T: Send + 'static>(
    shelf: &Arc<dyn Shelf>,
    work: impl FnOnce(&dyn Shelf) -> Result<T, String> + Send + 'static,
) -> Result<T, Refusal> {
    let shelf = shelf.clone();
    let done = spawn_blocking(move || work(shelf.as_ref())).await;
    done.unwrap_or_else(|error| Err(error.to_string())).map_err(Refusal::NotKept)
}
