//! Taking Sluice off this node.

use std::collections::BTreeSet;

use anyhow::Context;
use sluice_datapath::{Datapath, State};
use sluice_netdev::Netlink;
use sluice_store::{FORMER_PLAN, PLAN, Store};

use crate::args::{DetachArgs, Place};
use crate::records::DATAPATH;

/// Takes our programs off every interface, removes the pins and the VIPs on the loopback, and forgets the plan, so that
/// a later start enforces nothing. Names each interface on standard output.
///
/// # Errors
/// Also when the state directory is in use: an agent that still runs would attach again.
pub async fn detach(args: DetachArgs) -> anyhow::Result<()> {
    let Place { state, bpffs } = args.place;
    if state.join("agent.redb").exists() {
        let store = Store::open(&state).context("the agent must be stopped first")?;
        store.update(|update| {
            update.remove(&PLAN)?;
            update.remove(&FORMER_PLAN)?;
            update.remove(&DATAPATH)
        })?;
    }
    let netlink = Netlink::open()?;
    netlink.set_vips(&BTreeSet::new()).await?;
    if !bpffs.exists() {
        println!("nothing is attached: {} does not exist", bpffs.display());
        return Ok(());
    }
    let names = netlink.snapshot().await?.links;
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
