//! Keeps a key agreed on that plans are signed with.
//!
//! The replica that decides makes it and replaces it at half of its life; all of them sign with it. Nodes know the authority
//! alone, so what the former key signed stays good on its way and on disk.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use sluice_pki::Authority;
use sluice_raft::{Command, Lead, SIGNER};
use sluice_seal::Signer;
use tokio::time::sleep;

/// A clock that was set is noticed after this.
const LOOK_AGAIN: Duration = Duration::from_secs(60 * 60);

/// As long as this replica leads.
///
/// # Errors
/// The store failed, another replica may decide, or the authority issues no certificate.
pub async fn keep(lead: &Lead, authority: &Authority) -> anyhow::Result<Infallible> {
    let trust = authority.trust()?;
    let raft = lead.raft();
    let cluster_id = &raft.identity().cluster_id;
    loop {
        let signer = raft.state().borrow().signer().and_then(|bytes| Signer::decode(bytes));
        let due = signer.map_or(SystemTime::UNIX_EPOCH, |signer| signer.replace_at(&trust, cluster_id));
        let now = SystemTime::now();
        if now < due {
            sleep(due.duration_since(now).unwrap_or_default().min(LOOK_AGAIN)).await;
            continue;
        }
        let signer = authority.issue_signer(cluster_id, now).context("the key of plans")?;
        let certificate = signer.id();
        lead.propose(Command::PutBlob { key: SIGNER.to_owned(), bytes: signer.encode().into() }).await?;
        tracing::info!(%certificate, "plans are signed with a new key");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use sluice_raft::{Options, Raft};
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn open(dir: &Path) -> Raft {
        Raft::open(dir, Options::new(|reason| panic!("the store failed: {reason}"))).await.unwrap()
    }

    fn authority() -> Arc<Authority> {
        Arc::new(Authority::generate(SystemTime::now()).unwrap().0)
    }

    /// The first key that `authority` certified for this store, kept by a task that ends with this.
    async fn kept(raft: &Raft, authority: &Arc<Authority>) -> Signer {
        let (led, vouches) = (raft.clone(), authority.clone());
        let keeping = tokio::spawn(async move { keep(&led.lead().await.unwrap(), &vouches).await });
        let (trust, cluster_id) = (authority.trust().unwrap(), &raft.identity().cluster_id);
        let is_good = |signer: &Signer| signer.replace_at(&trust, cluster_id) > SystemTime::now();
        let signer = |bytes: &sluice_raft::Bytes| Signer::decode(bytes).filter(is_good);
        let mut states = raft.state();
        let found = timeout(PATIENCE, states.wait_for(|state| state.signer().and_then(signer).is_some()));
        let state = found.await.expect("a key in time").expect("the store is open").clone();
        keeping.abort();
        Signer::decode(state.signer().unwrap()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_store_has_a_key_and_keeps_it_as_long_as_it_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let raft = open(dir.path()).await;
        let old = authority();
        let first = kept(&raft, &old).await.id();
        assert_eq!(kept(&raft, &old).await.id(), first);
        raft.shutdown().await;

        let raft = open(dir.path()).await;
        assert_eq!(kept(&raft, &old).await.id(), first, "after a restart");
        // Nodes that are given another authority believe nothing that the old key signs.
        assert_ne!(kept(&raft, &authority()).await.id(), first);
        raft.shutdown().await;
    }
}
