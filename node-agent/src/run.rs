//! Puts the parts together.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use sluice_client::{Held, LinkState, Pace, Ports, Telemetry};
use sluice_health::Health;
use sluice_netdev::{Changes, Netlink, watch as watch_interfaces};
use sluice_proto::v1;
use sluice_telemetry::Pulse;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::boot::{Booted, boot};
use crate::engine::{Engine, Inlets, Outlets};
use crate::http::{self, View};
use crate::shelf::StoreShelf;
use crate::vault::StoreVault;
use crate::{Config, backends, capabilities, drops, hops};

/// Batches of samples that wait for the stream.
const SAMPLE_BATCHES: usize = 8;

/// The agent, from its start until `stop` or until it cannot go on.
///
/// # Expected flow
/// Open the store, put the confirmed plan in force, then dial and follow operator, interfaces and backends.
///
/// # Guarantees
/// When it returns, for whatever reason, everything that was in force still is.
///
/// # Errors
/// What must be mended first (privileges, bpffs, a damaged store, a port in use), and the loss of a vital part.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = listen(config.metrics).await?;
    let (booted, thread) = boot(&config).await?;
    // Held to the end, so that the next agent finds the pins as this one leaves them.
    let _store = booted.store.clone();
    let ended = follow(config, booted, listener, stop).await;
    // The last callers are gone; what the data plane was doing is brought to its end.
    tokio::task::spawn_blocking(move || thread.join())
        .await?
        .ok()
        .context("the data plane's thread panicked")?;
    ended
}

async fn follow(
    config: Config,
    booted: Booted,
    listener: Option<TcpListener>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (now, changes) = watch_interfaces().await.context("watching this node's interfaces")?;
    let shelf = Arc::new(StoreShelf::new(booted.store.clone()));
    let wired = wire(&config, changes, shelf.clone());
    let (plan, paths) = (wired.outlets.plan.subscribe(), wired.outlets.paths.subscribe());
    let set_prefixes = config.set_prefixes.unwrap_or_else(capabilities::set_prefixes);
    let client = client_config(&config, &booted, set_prefixes);
    let vault = Arc::new(StoreVault(booted.store.clone()));
    let (wanted, checks) = watch::channel(BTreeSet::new());

    let mut parts = JoinSet::<anyhow::Result<()>>::new();
    if let Some(listener) = listener {
        let (view, stop) = (wired.view, stop.clone());
        parts.spawn(async move { http::serve(listener, view, stop).await.context("serving metrics") });
    }
    parts.spawn(hops::keep(booted.kernel.clone(), Netlink::open()?, plan.clone(), paths));
    parts.spawn(drops::follow(booted.kernel.clone(), wired.sampling, wired.samples));
    parts.spawn(async move {
        backends::follow(plan, wanted).await;
        Ok(())
    });
    parts.spawn(async move {
        sluice_health::watch(checks, wired.health).await;
        Ok(())
    });
    // After the engine, which has put into the channels what Hello must tell.
    let engine = Engine::new(booted, shelf, &now, set_prefixes, wired.outlets);
    parts.spawn(async move { Ok(sluice_client::run(client, vault, wired.ports).await?) });
    let ended = tokio::select! {
        ended = engine.run(wired.inlets, stop.clone()) => ended,
        Some(part) = parts.join_next() => part.context("a part of the agent panicked").flatten(),
    };
    parts.shutdown().await;
    tracing::info!("the agent ends; what is in force stays in force");
    ended
}

struct Wired {
    outlets: Outlets,
    inlets: Inlets,
    ports: Ports,
    view: View,
    health: watch::Sender<Vec<Health>>,
    sampling: watch::Receiver<v1::SampleRequest>,
    samples: mpsc::Sender<v1::SampleBatch>,
}

fn wire(config: &Config, changes: mpsc::Receiver<Changes>, shelf: Arc<StoreShelf>) -> Wired {
    let (held, held_port) = watch::channel(Held::default());
    let (verdicts, verdicts_port) = watch::channel(v1::Verdicts::default());
    let (telemetry, telemetry_port) = watch::channel(Telemetry::default());
    let (plan, plan_port) = watch::channel(Arc::default());
    let (paths, _) = watch::channel(());
    let network = Arc::<Notify>::default();
    let (received, sent) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let pulse = Pulse::default();
    // One: while the engine is busy with an update, the stream waits.
    let (updates_port, updates) = mpsc::channel(1);
    let (dialling_port, dialling) = mpsc::channel(1);
    let (link, link_port) = watch::channel(LinkState::default());
    let (health, found) = watch::channel(Vec::new());
    let (sampling_port, sampling) = watch::channel(v1::SampleRequest::default());
    let (heard_port, heard) = watch::channel(Instant::now());
    let (samples, samples_port) = mpsc::channel(SAMPLE_BATCHES);
    Wired {
        outlets: Outlets { held, verdicts, telemetry, plan, paths, network: network.clone() },
        inlets: Inlets {
            updates,
            dialling,
            changes,
            health: found,
            heard,
            report_interval: config.report_interval,
            pulse: pulse.clone(),
        },
        view: View {
            telemetry: telemetry_port.clone(),
            plan: plan_port,
            held: held_port.clone(),
            verdicts: verdicts_port.clone(),
            link: link_port,
            received: received.clone(),
            sent: sent.clone(),
            pulse,
        },
        ports: Ports {
            held: held_port,
            verdicts: verdicts_port,
            telemetry: telemetry_port,
            updates: updates_port,
            shelf,
            dialling: dialling_port,
            link,
            received,
            sent,
            network,
            sampling: sampling_port,
            heard: heard_port,
            samples: samples_port,
        },
        health,
        sampling,
        samples,
    }
}

fn client_config(config: &Config, booted: &Booted, set_prefixes: u64) -> sluice_client::Config {
    sluice_client::Config {
        node: config.node.clone(),
        operator: config.operator.clone(),
        known: booted.operators.clone(),
        ca: config.ca.clone(),
        token: config.token.clone(),
        labels: config.labels.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        boot_id: capabilities::boot_id(),
        capabilities: capabilities::capabilities(set_prefixes),
        pace: Pace { report: config.report_interval, ..Pace::default() },
    }
}

async fn listen(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener
        .map(Some)
        .with_context(|| format!("listening on {address} (give another address with --metrics)"))
}
