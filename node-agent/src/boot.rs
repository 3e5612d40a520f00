//! From the start of the process to the confirmed plan in force, before anybody is dialled.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context;
use sluice_datapath::{Applied, Datapath, Problem};
use sluice_netdev::{Facts, Netlink};
use sluice_plan::{ControlEndpoint, Hash, NodePlan};
use sluice_store::Store;

use crate::confirmation::{CONFIRMATION, Confirmation};
use crate::engine::sets::{self, Manifests};
use crate::engine::standing::Origin;
use crate::kept::{self, Kept};
use crate::kernel::Kernel;
use crate::records::{DATAPATH, OPERATORS};
use crate::{Config, local};

/// What is ready when the operator is dialled.
pub struct Booted {
    pub kernel: Kernel,
    pub store: Arc<Store>,
    pub netlink: Netlink,
    pub facts: Facts,
    pub operators: Vec<SocketAddr>,
    pub confirmed: Option<Confirmed>,
    pub confirmation: Option<Confirmation>,
}

/// The plan confirmed last, and what became of it now.
pub struct Confirmed {
    pub origin: Origin,
    pub hash: Hash,
    pub plan: Arc<NodePlan>,
    pub manifests: Arc<Manifests>,
    pub outcome: Result<Applied, Problem>,
}

/// With the thread of the data plane, which ends when nobody can call it any more.
pub async fn boot(config: &Config) -> anyhow::Result<(Booted, JoinHandle<()>)> {
    let begun = Instant::now();
    let store = Arc::new(Store::open(&config.state)?);
    let state = store.get(DATAPATH)?.unwrap_or_default();
    let (kernel, thread) = Kernel::start(config.bpffs.clone(), state).await?;
    let netlink = Netlink::open()?;
    let facts = netlink.facts().await.context("reading this node's interfaces")?;
    let operators = store.get(OPERATORS)?.unwrap_or_default();
    let confirmed = enforce(config, &store, &kernel, &facts, &operators).await?;
    if let Some(confirmed) = &confirmed {
        let (epoch, hash, took_ms) =
            (confirmed.origin.epoch, confirmed.hash, begun.elapsed().as_millis() as u64);
        match &confirmed.outcome {
            Ok(_) => tracing::info!(%epoch, %hash, took_ms, "the confirmed plan is in force"),
            Err(problem) => tracing::error!(%epoch, %hash, reason = problem.reason, "{}", problem.detail),
        }
    }
    let confirmation = store.get(CONFIRMATION)?.filter(|_| confirmed.is_some());
    let confirmation = confirmation.and_then(|found| found.proven(config));
    Ok((Booted { kernel, store, netlink, facts, operators, confirmed, confirmation }, thread))
}

async fn enforce(
    config: &Config,
    store: &Arc<Store>,
    kernel: &Kernel,
    facts: &Facts,
    operators: &[SocketAddr],
) -> anyhow::Result<Option<Confirmed>> {
    let Some(Kept { origin, hash, plan, manifests }) = kept::read(config, store)? else {
        let addresses = local::addresses(facts, &NodePlan::default());
        kernel.call(move |datapath| datapath.set_node_addresses(addresses)).await??;
        return Ok(None);
    };
    let (addresses, interfaces) = (local::addresses(facts, &plan), local::interfaces(facts, &plan));
    let (plan, peers, keep) = (Arc::new(plan), endpoints(operators), store.clone());
    let adopted = plan.clone();
    let manifests = Arc::new(manifests);
    let of_sets = manifests.clone();
    let adopt = move |datapath: &mut Datapath| -> Result<Applied, Problem> {
        datapath.set_node_addresses(addresses).map_err(|error| Problem::from(&error))?;
        datapath.set_control_peers(peers).map_err(|error| Problem::from(&error))?;
        sets::offer(datapath, &keep, &adopted, &of_sets, &Manifests::new())?;
        let applied = datapath.adopt(&adopted, &interfaces).map_err(|error| Problem::from(&error))?;
        if let Err(error) = keep.put(DATAPATH, datapath.state()) {
            tracing::warn!(%error, "counter slots could not be kept");
        }
        Ok(applied)
    };
    let outcome = kernel.call(adopt).await?;
    Ok(Some(Confirmed { origin, hash, plan, manifests, outcome }))
}

pub fn endpoints(operators: &[SocketAddr]) -> BTreeSet<ControlEndpoint> {
    operators.iter().map(|at| ControlEndpoint { address: at.ip(), port: at.port() }).collect()
}
