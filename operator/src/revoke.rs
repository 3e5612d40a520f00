//! Revoked certificates: of one node, all that were made until now.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_raft::{Command, Lead, ProposeError, Raft, Revocation};
use tokio::time::sleep;

/// Replicas need not agree on the time to the second.
const MARGIN: Duration = Duration::from_secs(60 * 60);
/// A clock that was set is noticed after this.
const LOOK_AGAIN: Duration = Duration::from_secs(60 * 60);

/// Has every replica refuse the certificates that `node` has; `valid` is the longest life of one.
///
/// # Errors
/// It could not be agreed on.
pub async fn revoke(raft: &Raft, node: &str, valid: Duration, now: SystemTime) -> Result<(), ProposeError> {
    let before = raft.state().borrow().series(node);
    let revocation = Revocation { series: unix(now).max(before + 1), until: unix(now + valid + MARGIN) };
    raft.propose(revocation.command(node)).await?;
    tracing::warn!(node, "the node's certificates are revoked");
    Ok(())
}

/// Forgets those that every certificate has outlived, as long as this replica leads.
///
/// # Errors
/// The store failed, or another replica may decide.
pub async fn forget(lead: &Lead) -> Result<Infallible, ProposeError> {
    let mut states = lead.raft().state();
    loop {
        let now = SystemTime::now();
        let next = next(&states.borrow_and_update(), unix(now));
        let left = match next {
            Some(Next::Over(removal)) => {
                lead.propose(removal).await?;
                continue;
            }
            Some(Next::In(left)) => left.min(LOOK_AGAIN),
            None => LOOK_AGAIN,
        };
        tokio::select! {
            changed = states.changed() => if changed.is_err() { std::future::pending::<()>().await },
            () = sleep(left) => {}
        }
    }
}

enum Next {
    /// One is over.
    Over(Command),
    /// The first ends then.
    In(Duration),
}

fn next(state: &sluice_raft::State, now: u64) -> Option<Next> {
    let (node, Revocation { until, .. }) =
        state.revocations().min_by_key(|(_, revocation)| revocation.until)?;
    Some(match until.checked_sub(now) {
        None | Some(0) => Next::Over(Revocation::removal(node)),
        Some(left) => Next::In(Duration::from_secs(left)),
    })
}

fn unix(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use sluice_raft::Options;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_revocation_is_above_the_last_and_is_forgotten_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let raft = Raft::open(dir.path(), Options::new(|reason| panic!("{reason}"))).await.unwrap();
        let lead = raft.lead().await.unwrap();
        let series = |node: &str| raft.state().borrow().series(node);
        let now = SystemTime::now();
        revoke(&raft, "edge-1", Duration::from_secs(60), now).await.unwrap();
        let first = series("edge-1");
        // Twice within a second, and by a clock that is behind.
        revoke(&raft, "edge-1", Duration::from_secs(60), now - Duration::from_secs(900)).await.unwrap();
        assert!(series("edge-1") > first && first > 0);
        let over = now - MARGIN - Duration::from_secs(120);
        revoke(&raft, "edge-2", Duration::from_secs(60), over).await.unwrap();

        let forgetting = tokio::spawn(async move { forget(&lead).await.map(drop) });
        let mut states = raft.state();
        let forgotten = states.wait_for(|state| state.series("edge-2") == 0);
        timeout(PATIENCE, forgotten).await.expect("in time").expect("the store is open");
        assert!(series("edge-1") > first, "its certificates may still be good");
        forgetting.abort();
        raft.shutdown().await;
    }
}
