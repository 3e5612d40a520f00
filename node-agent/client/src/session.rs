//! One stream, from Hello to its end.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use prost::Message;
use sluice_plan::{Hash, Schema};
use sluice_proto::v1::agent_message::Kind as Out;
use sluice_proto::v1::distribution_client::DistributionClient;
use sluice_proto::v1::server_message::Kind as In;
use sluice_proto::v1::{self, AgentMessage, ServerMessage};
use sluice_seal::Trust;
use sluice_telemetry::step;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::deltas::Deltas;
use crate::fetch::{self, Fetch, Open, Shards};
use crate::verify::{Judge, Refusal};
use crate::{ClientError, Config, Ports};

/// Why a stream ended without a fault.
#[derive(Debug)]
pub(crate) enum Ending {
    GoAway(v1::GoAway),
    /// What found no room on the disk has some now: a new stream brings the update again.
    Room,
    /// The operator does not know what the node has, and does not ask: versions before did not.
    Unnamed,
}

/// A plan of a node is far below this; the library's default of 4 MiB is not.
const LARGEST_MESSAGE: usize = 256 << 20;
/// Messages that wait for the network; nothing else queues.
const OUTGOING: usize = 4;

pub(crate) struct Session<'a> {
    pub config: &'a Config,
    pub ports: &'a mut Ports,
    /// Set once the operator has said anything: the connection is good.
    pub heard: &'a mut bool,
    outgoing: mpsc::Sender<AgentMessage>,
    trust: Trust,
    /// Certificate of the key that signs on this stream, as it came last.
    signer: Vec<u8>,
    deltas: Deltas,
    /// Of the last update on this stream.
    nonce: u64,
    /// There is telemetry that was not reported.
    pending: bool,
    /// Samples of drops that found no room since the last that did.
    lost: u64,
    /// The operator was told what is held, or knew it.
    named: bool,
    /// The update whose shards are on their way.
    fetching: Option<(Open, v1::Update)>,
    /// Shards of the last update that could not be kept, if some could not.
    unkept: Option<Shards>,
}

impl<'a> Session<'a> {
    /// Runs until the stream ends. With `names` its Hello says what the node has; else the operator asks for it.
    pub async fn run(
        channel: Channel,
        trust: Trust,
        config: &'a Config,
        ports: &'a mut Ports,
        heard: &'a mut bool,
        names: bool,
    ) -> Result<Ending, ClientError> {
        let (outgoing, queue) = mpsc::channel(OUTGOING);
        let hello =
            v1::Hello { have: if names { have(ports) } else { HashMap::new() }, ..hello(config, ports) };
        let named = names || ports.held.borrow().resources.is_empty();
        let signer = ports.held.borrow().signer.clone();
        let deltas = Deltas::after_hello(hello.facts.clone().unwrap_or_default());
        let mut session = Session {
            config,
            ports,
            heard,
            outgoing,
            trust,
            signer,
            deltas,
            nonce: 0,
            pending: false,
            lost: 0,
            named,
            fetching: None,
            unkept: None,
        };
        session.send(Out::Hello(hello)).await?;
        session.ports.verdicts.mark_changed();
        session.ports.telemetry.mark_changed();
        while session.ports.samples.try_recv().is_ok() {}
        let mut client = DistributionClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
        let stream = client.sync(ReceiverStream::new(queue)).await.map_err(ClientError::Stream)?;
        session.follow(stream.into_inner()).await
    }

    async fn follow(&mut self, mut incoming: tonic::Streaming<ServerMessage>) -> Result<Ending, ClientError> {
        let mut report = ticks(self.config.pace.report);
        let mut beat = Instant::now();
        loop {
            let next_beat = beat + self.pace();
            tokio::select! {
                message = incoming.message() => {
                    let message = message.map_err(ClientError::Stream)?.ok_or(ClientError::Closed)?;
                    *self.heard = true;
                    self.ports.heard.send_replace(Instant::now());
                    self.ports.received.fetch_add(message.encoded_len() as u64, Ordering::Relaxed);
                    match message.kind {
                        Some(In::Update(update)) => {
                            if let Some(ending) = self.update(update).await? {
                                return Ok(ending);
                            }
                        }
                        Some(In::AskHave(_)) => {
                            self.named = true;
                            self.send(Out::Have(v1::Have { resources: have(self.ports) })).await?;
                        }
                        Some(In::Sample(request)) => _ = self.ports.sampling.send_replace(request),
                        Some(In::Shards(shards)) => self.shards(shards).await?,
                        Some(In::SayAgain(_)) => self.say_again(),
                        Some(In::GoAway(go_away)) => return Ok(Ending::GoAway(go_away)),
                        Some(In::Heartbeat(_)) | None => {}
                    }
                }
                changed = self.ports.verdicts.changed() => {
                    changed.map_err(|_| ClientError::Ended)?;
                    self.verdicts().await?;
                }
                changed = self.ports.telemetry.changed() => {
                    changed.map_err(|_| ClientError::Ended)?;
                    self.pending = true;
                    // Clients of a backend that is down wait for the operator to hear of it.
                    let urgent = self.deltas.is_urgent(&self.ports.telemetry.borrow_and_update());
                    if urgent {
                        self.report().await?;
                    }
                }
                Some(batch) = self.ports.samples.recv() => self.samples(batch),
                _ = report.tick(), if self.pending => self.report().await?,
                () = sleep_until(next_beat) => {
                    beat = Instant::now();
                    self.send(Out::Heartbeat(v1::Heartbeat { at: now_ms() })).await?;
                    if self.has_room_at_last().await {
                        return Ok(Ending::Room);
                    }
                }
            }
        }
    }

    /// Between two heartbeats.
    fn pace(&self) -> Duration {
        let waits = self.unkept.is_some() || self.ports.held.borrow().on_trial;
        if waits { self.config.pace.waiting } else { self.config.pace.heartbeat }
    }

    /// Whoever decides now has heard nothing of this node yet.
    fn say_again(&mut self) {
        self.deltas = Deltas::default();
        self.ports.verdicts.mark_changed();
        self.ports.telemetry.mark_changed();
    }

    async fn update(&mut self, update: v1::Update) -> Result<Option<Ending>, ClientError> {
        self.nonce = update.nonce;
        let held = self.ports.held.borrow().clone();
        if !update.signer.is_empty() {
            self.signer.clone_from(&update.signer);
        }
        let (node, now) = (&self.config.node, SystemTime::now());
        let judge = Judge { node, trust: &self.trust, signer: &self.signer, now };
        let verified = step("verify", &update.traces).in_scope(|| judge.verify(&update, &held));
        let fetch = match verified {
            Ok(verified) => Fetch::begin(verified, &self.ports.shelf).await,
            Err(Refusal::FleetHash) if !self.named => return Ok(Some(Ending::Unnamed)),
            Err(refusal) => Err(refusal),
        };
        self.unkept = matches!(fetch, Err(Refusal::NotKept(_))).then(Shards::new);
        self.go_on(fetch, update).await.map(|()| None)
    }

    async fn shards(&mut self, shards: v1::Shards) -> Result<(), ClientError> {
        // Late ones, of an update that was refused meanwhile.
        let Some((mut open, update)) = self.fetching.take() else { return Ok(()) };
        let fetch = match open.take(shards) {
            Ok(taken) => self.keep(taken).await.map(|()| open.settle()),
            Err(refusal) => Err(refusal),
        };
        self.go_on(fetch, update).await
    }

    async fn keep(&mut self, shards: Shards) -> Result<(), Refusal> {
        let kept = fetch::keep(shards.clone(), &self.ports.shelf).await;
        self.unkept = kept.is_err().then_some(shards);
        kept
    }

    /// Whether shards were refused for want of room that can be kept now.
    async fn has_room_at_last(&mut self) -> bool {
        match self.unkept.take() {
            Some(shards) => self.keep(shards).await.is_ok(),
            None => false,
        }
    }

    /// Passes an update on once its shards are there; until then they are asked for.
    async fn go_on(&mut self, fetch: Result<Fetch, Refusal>, update: v1::Update) -> Result<(), ClientError> {
        match fetch {
            Ok(Fetch::Done(verified)) => {
                self.ports.updates.send(verified).await.map_err(|_| ClientError::Ended)
            }
            Ok(Fetch::Open(mut open)) => {
                if let Some(hashes) = open.ask() {
                    self.send(Out::Want(v1::Want { nonce: update.nonce, hashes })).await?;
                }
                self.fetching = Some((open, update));
                Ok(())
            }
            Err(refusal) => {
                tracing::warn!(reason = refusal.reason(), "update refused: {refusal}");
                let held = self.ports.held.borrow().clone();
                self.send(Out::Verdicts(refusal.verdicts(&update, &held))).await
            }
        }
    }

    async fn verdicts(&mut self) -> Result<(), ClientError> {
        let mut verdicts = self.ports.verdicts.borrow_and_update().clone();
        if verdicts.resources.is_empty() {
            return Ok(());
        }
        // News about what another stream sent is no answer on this one.
        if verdicts.nonce != self.nonce {
            verdicts.nonce = 0;
        }
        self.send(Out::Verdicts(verdicts)).await
    }

    async fn report(&mut self) -> Result<(), ClientError> {
        self.pending = false;
        let report = self.deltas.report(&self.ports.telemetry.borrow_and_update());
        match report {
            Some(report) => self.send(Out::Report(report)).await,
            None => Ok(()),
        }
    }

    /// Without waiting: what the operator decides by goes first.
    fn samples(&mut self, mut batch: v1::SampleBatch) {
        batch.lost += self.lost;
        let (number, lost) = (batch.samples.len() as u64, batch.lost);
        let message = AgentMessage { kind: Some(Out::Samples(batch)) };
        let bytes = message.encoded_len();
        let sent = self.outgoing.try_send(message);
        self.count_sent(if sent.is_ok() { bytes } else { 0 });
        self.lost = if sent.is_ok() { 0 } else { number + lost };
    }

    async fn send(&self, kind: Out) -> Result<(), ClientError> {
        let message = AgentMessage { kind: Some(kind) };
        self.count_sent(message.encoded_len());
        self.outgoing.send(message).await.map_err(|_| ClientError::Closed)
    }

    fn count_sent(&self, bytes: usize) {
        self.ports.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Hash of each resource that is enforced now.
fn have(ports: &Ports) -> HashMap<String, Vec<u8>> {
    let held = ports.held.borrow();
    held.resources.iter().map(|(key, hash)| (key.clone(), hash.0.to_vec())).collect()
}

fn hello(config: &Config, ports: &Ports) -> v1::Hello {
    let held = ports.held.borrow();
    v1::Hello {
        node: config.node.clone(),
        boot_id: config.boot_id.clone(),
        version: config.version.clone(),
        plan_schemas: Schema::numbers(),
        capabilities: Some(config.capabilities.clone()),
        last_epoch: held.epoch.map(Into::into),
        fleet_hash: if held.resources.is_empty() { Vec::new() } else { held.fleet_hash().0.to_vec() },
        labels: config.labels.clone().into_iter().collect(),
        facts: Some(ports.telemetry.borrow().facts.clone()),
        cluster_id: held.cluster_id.clone(),
        signer: if held.signer.is_empty() { Vec::new() } else { Hash::of(&held.signer).0.to_vec() },
        have: HashMap::new(),
        dialled: since_boot(),
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Nanoseconds, also of a node that slept.
fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every kernel that has XDP has this clock");
    u64::try_from(Duration::from(now).as_nanos()).unwrap_or(u64::MAX)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
