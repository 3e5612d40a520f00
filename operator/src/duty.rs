//! What a replica does besides serving its agents: it decides, or passes on what they say to the one that does.

use std::convert::Infallible;
use std::sync::Arc;

use kube::Client;
use sluice_distribute::Drops;
use sluice_index::Desired;
use sluice_pki::Authority;
use sluice_raft::{Lead, ProposeError, Raft};
use sluice_replicas::{Desk, Heard, Intake, Lines, relay};
use sluice_telemetry::Pulse;
use tokio::sync::{mpsc, watch};

use crate::edits::Edits;
use crate::publish::{Publisher, Writer};
use crate::reconcile::{Inputs, Reconciler};
use crate::revoke;
use crate::signer;
use crate::taint;
use crate::view::View;
use crate::why::Question;

/// What agents say that may wait for the reconciler.
const HEARD: usize = 1024;

pub struct Duty {
    pub raft: Raft,
    pub lines: Arc<dyn Lines>,
    pub desk: Desk,
    pub drops: Drops,
    pub desired: watch::Receiver<Arc<Desired>>,
    pub confirm: mpsc::Receiver<()>,
    pub questions: mpsc::Receiver<Question>,
    /// Beats while this replica decides.
    pub pulse: Pulse,
    /// Of an edit, about.
    pub traced_nodes: usize,
    pub intake: watch::Sender<Option<Intake>>,
    pub view: watch::Sender<Arc<View>>,
    pub writer: Arc<Writer>,
    /// Where nodes wait for their agents by a taint, the API that has them.
    pub tainted: Option<Client>,
    /// Certifies the key that plans are signed with.
    pub authority: Arc<Authority>,
}

impl Duty {
    /// Runs for ever.
    ///
    /// # Errors
    /// The store failed: nothing can be agreed any more. Or the authority certifies no key for plans.
    pub async fn run(mut self) -> anyhow::Result<Infallible> {
        loop {
            let lead = tokio::select! {
                biased;
                lead = self.raft.lead() => lead?,
                never = relay(&self.raft, &*self.lines, &self.desk, &self.drops) => match never {},
            };
            tracing::info!(term = lead.term(), "this replica decides");
            let outcome = tokio::select! {
                biased;
                () = lead.ended() => Ok(()),
                outcome = self.decide(&lead) => outcome,
            };
            self.pulse.rest();
            self.intake.send_replace(None);
            // What this replica knew is not the truth any more.
            self.view.send_replace(Arc::default());
            self.writer.retire();
            if let Err(error) = outcome
                && !matches!(error.downcast_ref(), Some(ProposeError::Overtaken))
            {
                return Err(error);
            }
            tracing::info!(term = lead.term(), "this replica decides no more");
        }
    }

    async fn decide(&mut self, lead: &Lead) -> anyhow::Result<()> {
        let (hear, heard) = mpsc::channel(HEARD);
        let (own, mut said) = mpsc::channel(1);
        let _listening = self.desk.listen(own);
        self.intake.send_replace(Some(Intake { heard: hear.clone(), drops: self.drops.clone() }));
        let publisher = Publisher::new(self.writer.clone(), self.view.subscribe(), self.desired.clone());
        let edits = Edits::new(self.traced_nodes);
        let reconciler = Reconciler::new(lead.clone(), self.view.clone(), self.pulse.clone(), edits);
        let (confirm, questions) = (&mut self.confirm, &mut self.questions);
        let inputs = Inputs { desired: &mut self.desired, agents: heard, confirm, questions };
        let own = async {
            while let Some(event) = said.recv().await {
                if hear.send(Heard::Agent { replica: 0, event }).await.is_err() {
                    break;
                }
            }
            std::future::pending().await
        };
        let tainting = async {
            match self.tainted.clone() {
                Some(client) => taint::keep(client, self.view.subscribe()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            reconciled = reconciler.run(inputs) => match reconciled? {},
            kept = signer::keep(lead, &self.authority) => match kept? {},
            forgotten = revoke::forget(lead) => match forgotten? {},
            () = publisher.run() => Ok(()),
            never = own => never,
            never = tainting => match never {},
        }
    }
}
