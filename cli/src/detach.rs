//! Has every node of a cluster detach: the agents make way for pods that take Sluice off their nodes.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams};
use sluice_crds::{Condition, XdpFilter, XdpLoadBalancer, condition_type};
use tokio::time::{Instant, sleep};

use crate::args::{Connection, Detach};
use crate::connect::cluster_client;
use crate::output::print_line;

const AGENT: &str = "sluice-agent";
const DETACH: &str = "sluice-detach";
const COMPONENT: &str = "app.kubernetes.io/component";
const POLL: Duration = Duration::from_millis(250);
/// A DaemonSet without a status yet does not know its nodes.
const PLACING: Duration = Duration::from_secs(10);
/// Within this an operator that runs has said that a policy is no longer in force.
const SAYING: Duration = Duration::from_secs(15);

pub async fn run(connection: &Connection, args: &Detach) -> anyhow::Result<ExitCode> {
    let client = cluster_client(connection).await?;
    let namespace = &connection.namespace;
    let sets: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    replace_agents(&sets, namespace).await?;
    let nodes = wait(&sets, &pods, args.timeout).await;
    // Also after an error: what was begun must not stay.
    remove(&sets, DETACH).await?;
    let unreached: Vec<String> =
        nodes?.into_iter().filter_map(|(node, detached)| (!detached).then_some(node)).collect();
    wait_for_status(&client).await?;
    if unreached.is_empty() {
        print_line("every node has detached")?;
        return Ok(ExitCode::SUCCESS);
    }
    print_line(format_args!("not reached, and still enforcing what they had: {}", unreached.join(", ")))?;
    print_line(
        "on each of them, once it is back and its pods are gone: rm -r /sys/fs/bpf/sluice /var/lib/sluice-agent",
    )?;
    Ok(if args.ignore_unreached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn replace_agents(sets: &Api<DaemonSet>, namespace: &str) -> anyhow::Result<()> {
    let Some(agents) = sets.get_opt(AGENT).await.context("reading DaemonSet sluice-agent")? else {
        // An earlier try may have been cut short between the two.
        if sets.get_opt(DETACH).await?.is_some() {
            return Ok(());
        }
        bail!("no DaemonSet {AGENT} in namespace {namespace}: is the chart installed there?");
    };
    remove(sets, DETACH).await?;
    sets.create(&PostParams::default(), &detaching(agents)?)
        .await
        .context("making DaemonSet sluice-detach")?;
    remove(sets, AGENT).await
}

async fn remove(sets: &Api<DaemonSet>, name: &str) -> anyhow::Result<()> {
    match sets.delete(name, &DeleteParams::background()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error).with_context(|| format!("deleting DaemonSet {name}")),
    }
}

/// The agents' pods with another command: Ready once their node is clean.
fn detaching(agents: DaemonSet) -> anyhow::Result<DaemonSet> {
    let mut spec = agents.spec.with_context(|| format!("DaemonSet {AGENT} has no spec"))?;
    let labels = BTreeMap::from([(COMPONENT.to_owned(), "detach".to_owned())]);
    spec.selector.match_labels = Some(labels.clone());
    let metadata = spec.template.metadata.get_or_insert_default();
    metadata.labels.get_or_insert_default().extend(labels.clone());
    let pod = spec.template.spec.as_mut().context("the agents' pods have no spec")?;
    let agent = pod.containers.first().context("the agents' pods have no container")?;
    let flags: Vec<String> = agent
        .args
        .iter()
        .flatten()
        .filter(|flag| flag.starts_with("--state=") || flag.starts_with("--bpffs="))
        .cloned()
        .collect();
    let command = |name: &str, more: &[&str]| {
        let words = ["detach".to_owned()].into_iter().chain(flags.clone());
        Container {
            name: name.to_owned(),
            args: Some(words.chain(more.iter().map(|word| (*word).to_owned())).collect()),
            // The agents' own are still in use.
            ports: None,
            liveness_probe: None,
            readiness_probe: None,
            ..agent.clone()
        }
    };
    let (first, then) = (command("detach", &["--wait=5m", "--forget"]), command("done", &["--stay"]));
    *pod = PodSpec { init_containers: Some(vec![first]), containers: vec![then], ..pod.clone() };
    let metadata =
        ObjectMeta { name: Some(DETACH.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    Ok(DaemonSet { metadata, spec: Some(spec), status: None })
}

/// By node, whether it is clean.
async fn wait(
    sets: &Api<DaemonSet>,
    pods: &Api<Pod>,
    timeout: Duration,
) -> anyhow::Result<BTreeMap<String, bool>> {
    let begun = Instant::now();
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    loop {
        let status = sets.get(DETACH).await?.status;
        let wanted = status.filter(|status| status.observed_generation.is_some());
        let wanted = wanted.map(|status| status.desired_number_scheduled as usize);
        for pod in pods.list(&ListParams::default().labels(&format!("{COMPONENT}=detach"))).await? {
            let Some(node) = node_of(&pod) else { continue };
            let (detached, was) = (is_ready(&pod), known.get(&node).copied().unwrap_or_default());
            if detached && !was {
                print_line(format_args!("{node}: detached"))?;
            }
            known.insert(node, detached || was);
        }
        let all =
            wanted.is_some_and(|wanted| known.len() >= wanted) && known.values().all(|detached| *detached);
        let placed = wanted.is_some_and(|wanted| wanted > 0) || begun.elapsed() > PLACING;
        if (all && placed) || begun.elapsed() > timeout {
            return Ok(known);
        }
        sleep(POLL).await;
    }
}

/// The operator may go after this, and what it said last stays: it must not be that a policy is in force.
async fn wait_for_status(client: &Client) -> anyhow::Result<()> {
    let (filters, balancers) =
        (Api::<XdpFilter>::all(client.clone()), Api::<XdpLoadBalancer>::all(client.clone()));
    let begun = Instant::now();
    loop {
        let everything = ListParams::default();
        let filters = filters.list(&everything).await.context("reading XdpFilters")?;
        let balancers = balancers.list(&everything).await.context("reading XdpLoadBalancers")?;
        let filters = filters.items.iter().filter_map(|filter| filter.status.as_ref());
        let balancers = balancers.items.iter().filter_map(|balancer| balancer.status.as_ref());
        let mut conditions =
            filters.map(|status| &status.conditions).chain(balancers.map(|status| &status.conditions));
        if !conditions.any(|conditions| is_true(conditions, condition_type::READY)) {
            return Ok(());
        }
        if begun.elapsed() > SAYING {
            println!("the operator does not say so: the status of policies is as before");
            return Ok(());
        }
        sleep(POLL).await;
    }
}

fn is_true(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
}

/// Also of a pod that its node never took: the DaemonSet names it in the pod's affinity.
fn node_of(pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    if let Some(node) = &spec.node_name {
        return Some(node.clone());
    }
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let field = required.node_selector_terms.first()?.match_fields.as_ref()?.first()?;
    field.values.as_ref()?.first().cloned()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
