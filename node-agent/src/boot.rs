//! From the start of the process to the confirmed plan in force, before anybody is dialled.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context;
use sluice_datapath::{Applied, Datapath, Problem};
use sluice_netdev::{Facts, Netlink};
use sluice_plan::{ControlEndpoint, NodePlan};
use sluice_store::{SUCCESSORS, Store};

use crate::confirmation::{CONFIRMATION, Confirmation, OTHER_SUCCESSORS};
use crate::engine::sets::{self, Manifests};
use crate::engine::standing::Origin;
use crate::kept::{self, Kept};
use crate::kernel::Kernel;
use crate::records::{DATAPATH, OPERATORS};
use crate::succession::{Succession, now};
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
    pub succession: Succession,
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
            (confirmed.origin.epoch, confirmed.succession.now().hash, begun.elapsed().as_millis() as u64);
        match &confirmed.outcome {
            Ok(_) => tracing::info!(%epoch, %hash, took_ms, "the confirmed plan is in force"),
            Err(problem) => tracing::error!(%epoch, %hash, reason = problem.reason, "{}", problem.detail),
        }
    }
    let confirmation = store.get(CONFIRMATION)?.filter(|_| confirmed.is_some());
    let successors = store.get(OTHER_SUCCESSORS)?.unwrap_or_default();
    let confirmation = confirmation.and_then(|found| found.proven(config, &successors));
    Ok((Booted { kernel, store, netlink, facts, operators, confirmed, confirmation }, thread))
}

async fn enforce(
    config: &Config,
    store: &Arc<Store>,
    kernel: &Kernel,
    facts: &Facts,
    operators: &[SocketAddr],
) -> anyhow::Result<Option<Confirmed>> {
    let Some(Kept { origin, succession, manifests }) = kept::read(config, store)? else {
        let addresses = local::addresses(facts, &NodePlan::default());
        kernel.call(move |datapath| datapath.set_node_addresses(addresses)).await??;
        return Ok(None);
    };
    // What has ended meanwhile is not put in force once more.
    let succession = succession.at(now());
    let adopted = succession.now().plan.clone();
    let (addresses, interfaces) = (local::addresses(facts, &adopted), local::interfaces(facts, &adopted));
    let (peers, keep, successors) = (endpoints(operators), store.clone(), succession.stored());
    let manifests = Arc::new(manifests);
    let of_sets = manifests.clone();
    let adopt = move |datapath: &mut Datapath| -> Result<Applied, Problem> {
        datapath.set_node_addresses(addresses).map_err(|error| Problem::from(&error))?;
        datapath.set_control_peers(peers).map_err(|error| Problem::from(&error))?;
        sets::offer(datapath, &keep, &adopted, &of_sets, &Manifests::new())?;
        let applied = datapath.adopt(&adopted, &interfaces).map_err(|error| Problem::from(&error))?;
        let kept = keep.update(|update| {
            update.put(&DATAPATH, datapath.state())?;
            update.put(&SUCCESSORS, &successors)
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "counter slots could not be kept");
        }
        Ok(applied)
    };
    let outcome = kernel.call(adopt).await?;
    Ok(Some(Confirmed { origin, succession, manifests, outcome }))
}

pub fn endpoints(operators: &[SocketAddr]) -> BTreeSet<ControlEndpoint> {
    operators.iter().map(|at| ControlEndpoint { address: at.ip(), port: at.port() }).collect()
}
