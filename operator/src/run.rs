//! Puts the parts together.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use kube::Client;
use rustls::ServerConfig;
use sluice_distribute::{Distributor, Drops};
use sluice_index::Desired;
use sluice_pki::{Authority, Credentials, Directory, NodeName, Tokens, accept, server_tls};
use sluice_plan::Fleet;
use sluice_proto::OPERATOR_NAME;
use sluice_proto::v1::admin_server::AdminServer;
use sluice_proto::v1::replication_server::ReplicationServer;
use sluice_raft::{Options, Peers, ProposeError, Raft, found_or_join};
use sluice_replicas::{Answers, Channels, Desk, ReplicationService};
use sluice_source::{directory, kubernetes};
use sluice_status::writer::directory::DirectoryWriter;
use sluice_status::writer::kubernetes::KubernetesWriter;
use sluice_telemetry::Pulse;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::admin::{AdminDoor, AdminService};
use crate::alone::Alone;
use crate::args::{RunArgs, Source};
use crate::duty::Duty;
use crate::gate::Gate;
use crate::http::{self, Readiness};
use crate::join::Joining;
use crate::publish::Writer;
use crate::tokens::ReviewedTokens;
use crate::view::View;

/// Events of all agents that may wait to be passed on.
const EVENTS: usize = 1024;

const LAST_WORDS: Duration = Duration::from_secs(1);

/// The parts that differ between a cluster and a directory.
struct Ports {
    desired: watch::Receiver<Arc<Desired>>,
    authority: Arc<Authority>,
    joining: Joining,
    gate: Gate,
    writer: Writer,
    tainted: Option<Client>,
}

/// Who this replica is to agents, to the CLI and to the others.
struct Standing {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    channels: Channels,
    peers: Option<Peers>,
}

/// By which it is seen what is decided here, and that it is.
struct Deciding {
    view: watch::Sender<Arc<View>>,
    pulse: Pulse,
    /// Of an edit, about.
    traced_nodes: usize,
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
    let standing = stand(&args, &ports).await?;
    let http_listener = bind(args.metrics, "--metrics").await?;
    let (view_sender, view) = watch::channel(Arc::new(View::default()));
    let pulse = Pulse::default();
    let readiness = Readiness::new(ports.desired.clone(), pulse.clone());
    let deciding = Deciding { view: view_sender, pulse, traced_nodes: args.traced_nodes };
    let http = http::serve(http_listener, view, readiness.clone());
    let served = async {
        let (fail, mut failed) = oneshot::channel();
        let dir = args.data.join("raft");
        tokio::select! {
            founded = found(&dir, &standing) => founded?,
            () = stop.cancelled() => return Ok(()),
        }
        // Nobody waits any more for a store that fails while the operator ends.
        let options = Options::new(|reason| _ = fail.send(reason));
        let raft = Raft::open(&dir, Options { peers: standing.peers.clone(), ..options }).await?;
        readiness.opened(raft.clone());
        let outcome = tokio::select! {
            outcome = serve(ports, standing, &raft, &dir, deciding, stop.clone()) => match outcome {
                Err(error) if is_stopped(&error) => Err(last_words(&mut failed).await.unwrap_or(error)),
                outcome => outcome,
            },
            Ok(reason) = &mut failed => Err(ProposeError::Stopped(reason).into()),
        };
        raft.shutdown().await;
        outcome
    };
    tokio::select! {
        outcome = served => outcome,
        answered = http => answered.map_err(Into::into),
    }
}

/// Whoever uses the store may hear that it stopped before it has said why.
fn is_stopped(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ProposeError::Stopped(_)))
}

async fn last_words(failed: &mut oneshot::Receiver<String>) -> Option<anyhow::Error> {
    let reason = timeout(LAST_WORDS, failed).await.ok()?.ok()?;
    Some(ProposeError::Stopped(reason).into())
}

async fn stand(args: &RunArgs, ports: &Ports) -> anyhow::Result<Standing> {
    let listener = bind(args.listen, "--listen").await?;
    // Agents, the CLI and replicas verify this name wherever they reach the operator; the others are for further clients.
    let names = [args.names.as_slice(), &[OPERATOR_NAME.to_owned()]].concat();
    let authority = ports.authority.clone();
    let credentials = Credentials::new(authority, &names, Credentials::VALIDITY, SystemTime::now)?;
    let (tls, channels) = (server_tls(credentials.clone())?, Channels::new(credentials));
    let peers = peers(args, &channels)?;
    Ok(Standing { listener, tls, channels, peers })
}

fn peers(args: &RunArgs, channels: &Channels) -> anyhow::Result<Option<Peers>> {
    let Some(own) = args.replica.clone() else { return Ok(None) };
    if !args.replicas.contains(&own) {
        anyhow::bail!("--replica {own} is none of --replicas {}", args.replicas.join(","));
    }
    Ok(Some(Peers { own, all: args.replicas.clone(), transport: Arc::new(channels.clone()) }))
}

/// Sees to it that there is a store. Meanwhile the others are told that there is none yet.
async fn found(dir: &Path, standing: &Standing) -> anyhow::Result<()> {
    let Some(peers) = &standing.peers else { return Ok(()) };
    let listener = standing.listener.as_fd().try_clone_to_owned()?;
    let listener = TcpListener::from_std(listener.into())?;
    let (_intake, closed) = watch::channel(None);
    let replication = ReplicationServer::new(ReplicationService::new(Answers::WithoutStore, closed));
    let is_founded = CancellationToken::new();
    let served = tonic::transport::Server::builder().add_service(replication).serve_with_incoming_shutdown(
        accept(listener, standing.tls.clone()),
        is_founded.clone().cancelled_owned(),
    );
    let founded = async {
        let founded = found_or_join(dir, peers).await;
        // Connections that were opened to this answer must not outlive it.
        is_founded.cancel();
        founded
    };
    let (founded, served) = tokio::join!(founded, served);
    founded?;
    Ok(served?)
}

async fn serve(
    ports: Ports,
    standing: Standing,
    raft: &Raft,
    dir: &Path,
    deciding: Deciding,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Deciding { view, pulse, traced_nodes } = deciding;
    let (event_sender, said) = mpsc::channel(EVENTS);
    let (again_sender, again) = watch::channel(0);
    let (confirm_sender, confirm) = mpsc::channel(1);
    let (ask, questions) = mpsc::channel(1);
    let (intake_sender, intake) = watch::channel(None);
    let cluster_id = raft.identity().cluster_id.clone();
    let drops = Drops::default();
    let Standing { listener, tls, channels, peers: _ } = standing;
    let restart = stop.child_token();
    let (join, tokens, limits) = ports.joining.parts(raft);
    let admin = AdminService {
        view: view.subscribe(),
        gate: ports.gate,
        cluster_id: cluster_id.clone(),
        confirm: confirm_sender,
        ask,
        raft: raft.clone(),
        alone: Alone { dir: dir.to_owned(), restart: restart.clone() },
        drops: drops.clone(),
        join,
        certificate: limits.certificate,
    };
    let admin = AdminDoor { here: admin, channels: channels.clone() };
    let distributor = Distributor {
        state: raft.state(),
        cluster_id,
        replica: Arc::new(raft.clone()),
        authority: ports.authority.clone(),
        tokens,
        events: event_sender,
        again,
        drops: drops.clone(),
        limits,
        clock: SystemTime::now,
    };
    let replication = ReplicationService::new(Answers::Replica(raft.clone()), intake);
    let routes = Routes::new(AdminServer::new(admin)).add_service(ReplicationServer::new(replication));
    let duty = Duty {
        raft: raft.clone(),
        lines: Arc::new(channels),
        desk: Desk::open(said, again_sender),
        drops,
        desired: ports.desired,
        confirm,
        questions,
        pulse,
        traced_nodes,
        intake: intake_sender,
        view,
        writer: Arc::new(ports.writer),
        tainted: ports.tainted,
        authority: ports.authority,
    };
    tracing::info!(listen = ?listener.local_addr(), replica = %raft.identity(), "serving");
    tokio::select! {
        // Goes on while agents drain, so that their last words are heard.
        done = duty.run() => match done? {},
        distributed = distributor.serve(listener, tls, routes, restart.clone()) => distributed?,
    }
    if restart.is_cancelled() && !stop.is_cancelled() {
        anyhow::bail!("this replica is to go on without the others: start it again");
    }
    Ok(())
}

async fn directory_ports(path: &Path, args: &RunArgs) -> anyhow::Result<Ports> {
    if args.readiness_taint {
        anyhow::bail!("--readiness-taint: a directory has no nodes; it goes with --source kubernetes alone");
    }
    std::fs::create_dir_all(&args.data).with_context(|| format!("--data {}", args.data.display()))?;
    let pki = match &args.ca_dir {
        Some(shared) => Directory::at(shared.clone(), SystemTime::now())?,
        None => Directory::open(&args.data, SystemTime::now())?,
    };
    let writer = DirectoryWriter::new(args.data.join("status")).context("status directory")?;
    if args.replica.is_some() {
        // Another of them may decide now.
        writer.clear().context("status directory")?;
    }
    Ok(Ports {
        desired: directory::watch(path).await?,
        authority: Arc::new(pki.authority),
        joining: Joining::Tokens(pki.tokens),
        gate: Gate::Certificate,
        writer: Writer::Directory(writer),
        tainted: None,
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
        joining: Joining::Reviewed(ReviewedTokens::new(client.clone(), &args.namespace)),
        gate: Gate::AccessReview(client.clone()),
        writer: Writer::Kubernetes(Box::new(KubernetesWriter::new(client.clone()))),
        tainted: args.readiness_taint.then_some(client),
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

/// A join token for a node, in directory mode, where no operator runs yet that could be asked for it.
pub fn token(node: &str, data: &Path) -> anyhow::Result<String> {
    let pki = Directory::open(data, SystemTime::now())?;
    Ok(pki.tokens.token(&NodeName::parse(node)?, SystemTime::now() + Tokens::VALIDITY))
}

/// A new store whose epochs are above those of the lost one.
pub async fn recover(data: &Path, seen_incarnation: u64) -> anyhow::Result<()> {
    let raft = Raft::recover(&data.join("raft"), seen_incarnation, Options::new(|_| {})).await?;
    println!("new store; epochs start at {}", raft.state().borrow().epoch);
    raft.shutdown().await;
    Ok(())
}
