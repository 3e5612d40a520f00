//! What of the plan ends at a moment ends by this node's clock, whether the operator is heard of or not.

use std::time::Duration;

use tokio::time::Instant;

use super::{Engine, FACTS_EVERY};
use crate::engine::apply::Wanted;
use crate::succession::now;

/// A clock that is set meanwhile is asked again within this.
const ASK_CLOCK: Duration = Duration::from_secs(1);

impl Engine {
    /// When it is time for the next successor, or to ask the clock again.
    pub(super) fn turn_at(&self) -> Option<Instant> {
        let left = self.standing.succession.next_turn()?.saturating_sub(now()).max(0);
        let left = Duration::from_millis(left.unsigned_abs()).min(ASK_CLOCK);
        Some((Instant::now() + left).max(self.next_turn))
    }

    /// Puts the successor in force whose moment has come.
    pub(super) async fn turn(&mut self) -> anyhow::Result<()> {
        let succession = self.standing.succession.clone().at(now());
        let Some(origin) = self.standing.origin.clone() else { return Ok(()) };
        let (turns, hash) = (succession.turns(), succession.now().hash);
        if turns == self.standing.succession.turns() {
            return Ok(());
        }
        tracing::info!(%hash, "a part of the plan has ended: its successor comes into force");
        let wanted = Wanted::of(succession, self.standing.manifests.clone());
        self.put_in_force(origin, wanted, self.confirmation.clone()).await?;
        if self.standing.succession.turns() != turns {
            self.next_turn = Instant::now() + FACTS_EVERY;
        }
        self.tell_of_trial();
        self.publish();
        Ok(())
    }
}
