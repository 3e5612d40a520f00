//! Puts the parts together.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use kube::Client;
use sluice_distribute::{Distributor, Drops, Limits, TokenCheck};
use sluice_index::Desired;
use sluice_pki::{Authority, Directory, NodeName, server_tls};
use sluice_plan::Fleet;
use sluice_proto::OPERATOR_NAME;
use sluice_proto::v1::admin_server::AdminServer;
use sluice_raft::{Options, ProposeError, Raft};
use sluice_source::{directory, kubernetes};
use sluice_status::writer::directory::DirectoryWriter;
use sluice_status::writer::kubernetes::KubernetesWriter;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::admin::AdminService;
use crate::args::{RunArgs, Source};
use crate::gate::Gate;
use crate::http;
use crate::publish::{Publisher, Writer};
use crate::reconcile::{Inputs, Reconciler};
use crate::signer;
use crate::tokens::ReviewedTokens;
use crate::view::View;

/// Events of all agents that may wait for the reconciler.
const EVENTS: usize = 1024;

/// The parts that differ between a cluster and a directory.
struct Ports {
    desired: watch::Receiver<Arc<Desired>>,
    authority: Arc<Authority>,
    tokens: Arc<dyn TokenCheck>,
    gate: Gate,
    writer: Writer,
}

/// Runs until `stop`, or until the store fails.
///
/// # Errors
/// Something that it needs is not there; nothing was served then. After that only a failed store ends it.
pub async fn run(args: RunArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let ports = match &args.source {
        Source::Directory(path) => directory_ports(path, &args).await?,
        Source::Kubernetes => cluster_ports(&args).await?,
    };
    let (fail, failed) = oneshot::channel();
    // Nobody waits any more for a store that fails while the operator ends.
    let raft = Raft::open(&args.data.join("raft"), Options::new(|reason| _ = fail.send(reason))).await?;
    let served = serve(&args, ports, &raft, stop.clone());
    let outcome = tokio::select! {
        outcome = served => outcome,
        Ok(reason) = failed => Err(ProposeError::Stopped(reason).into()),
    };
    raft.shutdown().await;
    outcome
}

async fn serve(args: &RunArgs, ports: Ports, raft: &Raft, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = bind(args.listen, "--listen").await?;
    let http_listener = bind(args.metrics, "--metrics").await?;
    let (view_sender, view) = watch::channel(Arc::new(View::default()));
    let (ready_sender, ready) = watch::channel(false);
    let (event_sender, agents) = mpsc::channel(EVENTS);
    let (confirm_sender, confirm) = mpsc::channel(1);
    // Agents and the CLI verify this name wherever they reach the operator; the others are for further clients.
    let names = [args.names.as_slice(), &[OPERATOR_NAME.to_owned()]].concat();
    let server = ports.authority.issue_server(&names, SystemTime::now())?;
    let cluster_id = raft.identity().cluster_id.clone();
    let drops = Drops::default();
    let admin = AdminService {
        view: view.clone(),
        gate: ports.gate,
        cluster_id: cluster_id.clone(),
        confirm: confirm_sender,
        raft: raft.clone(),
        drops: drops.clone(),
    };
    let distributor = Distributor {
        state: raft.state(),
        cluster_id,
        authority: ports.authority.clone(),
        tokens: ports.tokens,
        events: event_sender,
        drops,
        limits: Limits::default(),
        clock: SystemTime::now,
    };
    let signing = signer::keep(raft.clone(), ports.authority.clone());
    let tls = server_tls(&ports.authority, &server);
    let routes = Routes::new(AdminServer::new(admin));
    let publisher = Publisher::new(ports.writer, view.clone(), ports.desired.clone());
    let published = tokio::spawn(publisher.run());
    let reconciler = Reconciler::new(raft.clone(), view_sender, ready_sender);
    let inputs = Inputs { desired: ports.desired, agents, confirm };
    tracing::info!(listen = %args.listen, data = %args.data.display(), "serving");
    let outcome = tokio::select! {
        // Runs on while agents drain, so that their last words are heard.
        reconciled = reconciler.run(inputs, CancellationToken::new()) => reconciled.map_err(Into::into),
        distributed = distributor.serve(listener, tls, routes, stop.clone()) => distributed.map_err(Into::into),
        kept = signing => kept,
        answered = http::serve(http_listener, view, ready, CancellationToken::new()) => answered.map_err(Into::into),
    };
    published.abort();
    outcome
}

async fn directory_ports(path: &Path, args: &RunArgs) -> anyhow::Result<Ports> {
    std::fs::create_dir_all(&args.data).with_context(|| format!("--data {}", args.data.display()))?;
    let pki = Directory::open(&args.data, SystemTime::now())?;
    let writer = DirectoryWriter::new(args.data.join("status")).context("status directory")?;
    Ok(Ports {
        desired: directory::watch(path).await?,
        authority: Arc::new(pki.authority),
        tokens: Arc::new(pki.tokens),
        gate: Gate::Certificate,
        writer: Writer::Directory(writer),
    })
}

async fn cluster_ports(args: &RunArgs) -> anyhow::Result<Ports> {
    let client = Client::try_default().await.context("no cluster: run in a pod, or set KUBECONFIG")?;
    let authority = match &args.ca_dir {
        Some(directory) => {
            let read = |name: &str| {
                let file = directory.join(name);
                std::fs::read_to_string(&file).with_context(|| format!("--ca-dir: {}", file.display()))
            };
            Authority::from_pem(&read("ca.crt")?, &read("ca.key")?)?
        }
        None => Directory::open(&args.data, SystemTime::now())?.authority,
    };
    Ok(Ports {
        desired: kubernetes::watch_cluster(client.clone(), fleet(args)?),
        authority: Arc::new(authority),
        tokens: Arc::new(ReviewedTokens::new(client.clone(), &args.namespace)),
        gate: Gate::AccessReview(client.clone()),
        writer: Writer::Kubernetes(KubernetesWriter::new(client)),
    })
}

fn fleet(args: &RunArgs) -> anyhow::Result<Fleet> {
    let Some(file) = &args.fleet else { return Ok(Fleet::default()) };
    let text = std::fs::read_to_string(file).with_context(|| format!("--fleet {}", file.display()))?;
    directory::parse_fleet(file, &text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| format!("--fleet {problem}")).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

async fn bind(address: std::net::SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{flag} {address}: another process has this port, or the address is not this host's")
    })
}

/// The join token of a node, in directory mode.
pub fn token(node: &str, data: &Path) -> anyhow::Result<String> {
    let pki = Directory::open(data, SystemTime::now())?;
    Ok(pki.tokens.token(&NodeName::parse(node)?))
}

/// A new store whose epochs are above those of the lost one.
pub async fn recover(data: &Path, seen_incarnation: u64) -> anyhow::Result<()> {
    let raft = Raft::recover(&data.join("raft"), seen_incarnation, Options::new(|_| {})).await?;
    println!("new store; epochs start at {}", raft.state().borrow().epoch);
    raft.shutdown().await;
    Ok(())
}
