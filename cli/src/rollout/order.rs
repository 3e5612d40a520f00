//! Says what is wanted of a rollout, in the object's annotation: by the user's own rights, and not in the spec, which
//! somebody may keep in version control.

use std::process::ExitCode;

use anyhow::{Context, bail};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use sluice_crds::XdpFilter;
use sluice_rollout::{ANNOTATION, Order, OrderedFor};

use super::rollout_of;
use crate::args::Connection;
use crate::connect::{cluster_client, connect, is_cluster};
use crate::output::print_line;

pub async fn give(connection: &Connection, name: &str, order: Order) -> anyhow::Result<ExitCode> {
    let (filter, _) = rollout_of(&mut connect(connection).await?, name).await?;
    let order = OrderedFor { order, generation: filter.generation };
    if !is_cluster(connection) {
        bail!(
            "without a cluster the file decides: write `annotations: {{{ANNOTATION}: {order}}}` under metadata of XdpFilter \
             {name}"
        );
    }
    let filters: Api<XdpFilter> = Api::all(cluster_client(connection).await?);
    let patch = Patch::Merge(json!({"metadata": {"annotations": {ANNOTATION: order.to_string()}}}));
    let patched = filters.patch_metadata(name, &PatchParams::default(), &patch).await;
    patched.with_context(|| format!("annotating XdpFilter {name}"))?;
    print_line(format_args!(
        "XdpFilter {name}: {ANNOTATION}: {order}; see `kubectl sluice rollout status {name}`"
    ))?;
    Ok(ExitCode::SUCCESS)
}
