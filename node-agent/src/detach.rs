//! Taking Sluice off this node.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use sluice_datapath::{Datapath, State};
use sluice_netdev::Netlink;
use sluice_store::{Error as StoreError, PLAN, SEAL, Store};
use tokio::time::{Instant, sleep};

use crate::args::{DetachArgs, Place};
use crate::confirmation::CONFIRMATION;
use crate::records::DATAPATH;

/// How often an agent that still runs is looked for.
const RETRY: Duration = Duration::from_millis(200);

/// Takes our programs off every interface, removes the pins and the VIPs on the loopback, and forgets the plan, so that
/// a later start enforces nothing. Names each interface on standard output.
///
/// # Errors
/// Also when the state directory is in use: an agent that still runs would attach again.
pub async fn detach(args: DetachArgs) -> anyhow::Result<()> {
    let Place { state, bpffs } = args.place;
    // Held to the end, so that no agent starts in between.
    let store = open(&state, args.wait).await?;
    if let Some(store) = &store {
        store.update(|update| {
            update.remove(&PLAN)?;
            update.remove(&SEAL)?;
            update.remove(&CONFIRMATION)?;
            update.remove(&DATAPATH)
        })?;
    }
    let netlink = Netlink::open()?;
    netlink.set_vips(&BTreeSet::new()).await?;
    detach_programs(&netlink, &bpffs).await?;
    if args.forget && state.exists() {
        for entry in std::fs::read_dir(&state)? {
            let path = entry?.path();
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        println!("forgotten: all in {}", state.display());
    }
    Ok(())
}

/// `None` where no agent ever ran.
async fn open(state: &Path, wait: Duration) -> anyhow::Result<Option<Store>> {
    let deadline = Instant::now() + wait;
    while state.join("agent.redb").exists() {
        match Store::open(state) {
            Err(StoreError::InUse { .. }) if Instant::now() < deadline => sleep(RETRY).await,
            opened => return opened.map(Some).context("the agent must be stopped first"),
        }
    }
    Ok(None)
}

async fn detach_programs(netlink: &Netlink, bpffs: &Path) -> anyhow::Result<()> {
    if !bpffs.exists() {
        println!("nothing is attached: {} does not exist", bpffs.display());
        return Ok(());
    }
    let names = netlink.snapshot().await?.links;
    let bpffs = bpffs.to_owned();
    let detach = move || Datapath::open(bpffs, State::default())?.detach_all();
    let detached = tokio::task::spawn_blocking(detach).await??;
    for index in &detached {
        let name = names.get(index).map_or("an interface that is gone", |link| link.name.as_str());
        println!("detached from {name} (index {index})");
    }
    if detached.is_empty() {
        println!("nothing is attached");
    }
    Ok(())
}
