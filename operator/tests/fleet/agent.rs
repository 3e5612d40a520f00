//! An agent without a kernel: it says what a test has it take, and confirms every plan that it does not refuse.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sluice_client::{Config, Held, Identity, LinkState, Pace, Ports, Shelf, Telemetry, Vault, run};
use sluice_plan::{Hash, NodePlan, PolicyRef, Schema};
use sluice_proto::v1::{self, Capabilities, VerdictStage};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::operator::PATIENCE;

pub struct Agent {
    /// Name and generation of each filter of the last plan that it took.
    pub filters: watch::Receiver<Vec<(String, i64)>>,
    /// The same of a filter whose plans it refuses.
    pub refuses: watch::Sender<Option<(String, i64)>>,
    /// What it counted.
    pub telemetry: watch::Sender<Telemetry>,
    /// To which operator it is connected.
    pub link: watch::Receiver<LinkState>,
    _parts: JoinSet<()>,
}

pub const NEW: Capabilities =
    Capabilities { kernel: String::new(), tcx: true, entries: 10_240, set_prefixes: 1 << 22, successors: 0 };

pub async fn has(agent: &mut Agent, filters: &[(&str, i64)]) {
    let wanted: Vec<_> = filters.iter().map(|(name, generation)| ((*name).to_owned(), *generation)).collect();
    let seen = timeout(PATIENCE, agent.filters.wait_for(|filters| *filters == wanted)).await;
    assert!(seen.is_ok(), "{filters:?}");
}

struct Nothing;

impl Vault for Nothing {
    fn load(&self) -> Option<Identity> {
        None
    }
    fn save(&self, _: &Identity) {}
}

impl Shelf for Nothing {
    fn missing(&self, shards: &[Hash]) -> Result<Vec<Hash>, String> {
        Ok(shards.to_vec())
    }
    fn put(&self, _: &[(Hash, Bytes)]) -> Result<(), String> {
        Ok(())
    }
}

impl Agent {
    /// Of a node that has nothing.
    pub fn start(node: &str, operator: String, data: &Path, capabilities: Capabilities) -> Agent {
        let token = data.join(format!("{node}.token"));
        let made = sluice_operator::token(node, data).expect("a token");
        std::fs::write(&token, made).expect("written");
        let config = Config {
            node: node.to_owned(),
            operator,
            known: Vec::new(),
            ca: data.join("pki/ca.crt"),
            token,
            labels: BTreeMap::new(),
            version: "0.1.0".to_owned(),
            boot_id: "boot".to_owned(),
            capabilities,
            pace: Pace { backoff: (Pace::default().backoff.0, Pace::default().backoff.0), ..Pace::default() },
        };
        let (held, held_port) = watch::channel(Held::default());
        let (verdicts, verdicts_port) = watch::channel(v1::Verdicts::default());
        let (told, filters) = watch::channel(Vec::new());
        let (refuses, refused) = watch::channel(None);
        let (telemetry, telemetry_port) = watch::channel(Telemetry::default());
        let (link, linked) = watch::channel(LinkState::default());
        let (sampling, _) = watch::channel(v1::SampleRequest::default());
        let (samples, samples_port) = mpsc::channel(1);
        let (updates_port, mut updates) = mpsc::channel::<sluice_client::Update>(1);
        let (dialling, mut dialled) = mpsc::channel::<sluice_client::Dialling>(1);
        let ports = Ports {
            held: held_port,
            verdicts: verdicts_port,
            telemetry: telemetry_port,
            updates: updates_port,
            shelf: Arc::new(Nothing),
            dialling,
            link,
            received: Arc::default(),
            sent: Arc::default(),
            network: Arc::default(),
            sampling,
            heard: watch::channel(tokio::time::Instant::now()).0,
            samples: samples_port,
        };
        let mut parts = JoinSet::new();
        parts.spawn(async move { _ = run(config, Arc::new(Nothing), ports).await });
        parts.spawn(async move {
            while let Some(dialling) = dialled.recv().await {
                _ = dialling.allowed.send(());
            }
        });
        parts.spawn(async move {
            let _open = samples;
            let mut policies = Vec::new();
            while let Some(update) = updates.recv().await {
                let found = update.set.iter().find(|(key, ..)| key == sluice_proto::PLAN);
                let plan = found.map(|(_, hash, bytes)| (*hash, policies_of(update.schema, bytes)));
                let takes =
                    |one: &PolicyRef| refused.borrow().as_ref() != Some(&(one.name.clone(), one.generation));
                let bad =
                    plan.as_ref().filter(|(_, policies)| !policies.iter().all(takes)).map(|(hash, _)| *hash);
                if bad.is_none() {
                    held.send_modify(|held| take(held, &update));
                    if let Some((_, planned)) = plan {
                        policies = planned;
                        let named = policies.iter().map(|one| (one.name.clone(), one.generation));
                        told.send_replace(named.collect());
                    }
                }
                let mut said = confirm(update.nonce, update.epoch, &held.borrow(), &policies);
                said.resources.extend(bad.map(refusal));
                verdicts.send_replace(said);
            }
        });
        Agent { filters, refuses, telemetry, link: linked, _parts: parts }
    }
}

fn policies_of(schema: Schema, plan: &[u8]) -> Vec<PolicyRef> {
    let plan = NodePlan::decode(schema, plan).expect("a plan");
    plan.filters.parts.into_iter().map(|part| part.policy).collect()
}

fn take(held: &mut Held, update: &sluice_client::Update) {
    held.epoch = Some(update.epoch);
    held.cluster_id.clone_from(&update.cluster_id);
    held.schema = update.schema;
    update.removed.iter().for_each(|key| _ = held.resources.remove(key));
    held.resources.extend(update.set.iter().map(|(key, hash, _)| (key.clone(), *hash)));
}

fn refusal(plan: Hash) -> v1::ResourceVerdict {
    v1::ResourceVerdict {
        key: sluice_proto::PLAN.to_owned(),
        hash: plan.0.to_vec(),
        stage: VerdictStage::Rejected.into(),
        reason: "ProgramTooLarge".to_owned(),
        detail: "as the test wants it".to_owned(),
        ..v1::ResourceVerdict::default()
    }
}

fn confirm(nonce: u64, epoch: sluice_plan::Epoch, held: &Held, policies: &[PolicyRef]) -> v1::Verdicts {
    let stage = VerdictStage::Programmed.into();
    let policy = |policy: &PolicyRef| v1::PolicyVerdict {
        uid: policy.uid.clone(),
        generation: policy.generation,
        stage,
        ..v1::PolicyVerdict::default()
    };
    let resource = |(key, hash): (&String, &Hash)| v1::ResourceVerdict {
        key: key.clone(),
        hash: hash.0.to_vec(),
        stage,
        policies: policies.iter().filter(|_| key == sluice_proto::PLAN).map(policy).collect(),
        ..v1::ResourceVerdict::default()
    };
    v1::Verdicts {
        nonce,
        epoch: Some(epoch.into()),
        resources: held.resources.iter().map(resource).collect(),
    }
}
