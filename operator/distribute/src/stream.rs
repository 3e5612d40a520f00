//! One agent's stream, from its Hello to its end.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::{Stream, TryStreamExt};
use sluice_pki::Holder;
use sluice_plan::Epoch;
use sluice_proto::v1::agent_message::Kind as Word;
use sluice_proto::v1::server_message::Kind;
use sluice_proto::v1::{AgentMessage, GoAway, Heartbeat, Hello, SayAgain, ServerMessage, Update};
use sluice_telemetry::{step, traceparent};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Status;
use tracing::Span;
use tracing::field::display;

use crate::offer::Offer;
use crate::service::{Answer, Shared, admits};
use crate::sessions::Session;
use crate::{AgentEvent, AgentEventKind, fence};

type Outgoing = mpsc::Sender<Answer>;

/// Why a stream ends.
enum End {
    /// The agent hung up.
    Gone,
    /// It should come again, perhaps elsewhere.
    Away(&'static str),
    Refused(Status),
}

/// What an agent says.
pub trait Said: Stream<Item = Result<AgentMessage, Status>> + Send + Unpin + 'static {}

impl<S: Stream<Item = Result<AgentMessage, Status>> + Send + Unpin + 'static> Said for S {}

pub async fn run(shared: Arc<Shared>, holder: Holder, mut incoming: impl Said, outgoing: Outgoing) {
    let node = &holder.node;
    let end = match serve(&shared, &holder, &mut incoming, &outgoing).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    let last = match end {
        End::Gone => return,
        End::Away(reason) => {
            tracing::debug!(node, reason, "stream moved on");
            let retry_after_ms = shared.limits.retry_after_ms();
            let others = shared.replica.others();
            let go_away = GoAway { reason: reason.into(), retry_after_ms, others };
            message(Kind::GoAway(go_away))
        }
        End::Refused(status) => {
            tracing::warn!(node, reason = status.message(), "stream refused");
            Box::new(Err(status))
        }
    };
    // An agent that does not read its last message is cut off by the connection's keepalive.
    drop(timeout(shared.limits.drain, outgoing.send(last)).await);
}

enum Never {}

async fn serve(
    shared: &Shared,
    holder: &Holder,
    incoming: &mut impl Said,
    outgoing: &Outgoing,
) -> Result<Never, End> {
    let node = holder.node.as_str();
    let turn = timeout(shared.limits.turn, shared.admission.clone().acquire_owned());
    let permit = tokio::select! {
        turn = turn => turn.ok().and_then(Result::ok).ok_or(End::Away("many agents connect now"))?,
        () = shared.drain.cancelled() => return Err(End::Away("the operator restarts")),
    };
    let hello = hello(shared, node, incoming).await?;
    let session = shared.sessions.enter(node);
    let tell = |kind| tell(shared, node, session.id, kind);

    if let Err(fence::Ahead(epoch)) = caught_up(shared, &hello).await {
        if hello.cluster_id == shared.cluster_id && !shared.replica.decides() {
            return Err(End::Away("this replica has not caught up"));
        }
        let ours = shared.state.borrow().epoch;
        tell(AgentEventKind::Ahead { epoch, cluster_id: hello.cluster_id.clone() }).await?;
        return Err(End::Refused(Status::failed_precondition(format!(
            "the node enforces epoch {epoch} of cluster {:?}, this store is at {ours} of {:?}: its volume was lost or \
             is an old copy; restore it, or run `kubectl sluice recover`",
            hello.cluster_id, shared.cluster_id
        ))));
    }
    let offer = Offer::new(node.to_owned(), shared.cluster_id.clone(), &hello);
    tell(AgentEventKind::Connected(Box::new(hello))).await?;
    let ended = follow(shared, holder, &session, offer, permit, incoming, outgoing).await;
    tell(AgentEventKind::Disconnected).await?;
    ended
}

/// Whether the node can follow this replica, which may have to hear of the node's epoch first.
async fn caught_up(shared: &Shared, hello: &Hello) -> Result<(), fence::Ahead> {
    let enforced = hello.last_epoch.map(fence::from_wire);
    let follows = |ours: Epoch| fence::check(enforced, &hello.cluster_id, ours, &shared.cluster_id);
    let now = follows(shared.state.borrow().epoch);
    if now.is_ok() || shared.replica.decides() || hello.cluster_id != shared.cluster_id {
        return now;
    }
    let mut state = shared.state.clone();
    let caught_up = state.wait_for(|state| follows(state.epoch).is_ok());
    match timeout(shared.limits.catch_up, caught_up).await {
        Ok(Ok(_)) => Ok(()),
        _ => now,
    }
}

/// The first message, which must be for the certificate's node.
async fn hello(shared: &Shared, node: &str, incoming: &mut impl Said) -> Result<Hello, End> {
    let first = timeout(shared.limits.hello, incoming.try_next()).await;
    let first = first.map_err(|_| End::Refused(Status::deadline_exceeded("no Hello came")))?;
    let Some(message) = first.map_err(|_| End::Gone)? else { return Err(End::Gone) };
    let Some(Word::Hello(hello)) = message.kind else {
        return Err(End::Refused(Status::invalid_argument("the first message must be Hello")));
    };
    if hello.node != node {
        let reason = format!("the certificate is for node {node:?}, the Hello is for {:?}", hello.node);
        return Err(End::Refused(Status::permission_denied(reason)));
    }
    Ok(hello)
}

async fn follow(
    shared: &Shared,
    holder: &Holder,
    session: &Session,
    mut offer: Offer,
    joining: OwnedSemaphorePermit,
    incoming: &mut impl Said,
    outgoing: &Outgoing,
) -> Result<Never, End> {
    let (node, mut joining) = (holder.node.as_str(), Some(joining));
    let mut state = shared.state.clone();
    let age = sleep_until(Instant::now() + shared.limits.jittered_age());
    tokio::pin!(age);
    let mut answer_due = Instant::now();
    let mut asking = shared.drops.asking(node);
    let mut again = shared.again.clone();
    again.mark_unchanged();
    let mut says_again = false;
    // Of the update in flight.
    let mut sending = Span::none();
    loop {
        let signer = shared.signers.of(&state.borrow_and_update());
        admits(&state.borrow(), holder).map_err(End::Refused)?;
        offer.set_time(unix_millis(shared.clock));
        // A new store has no signer for a moment.
        let due = signer.as_ref().is_some_and(|signer| offer.is_due(&state.borrow(), signer));
        if !due {
            // Its first update is on its way, or it has to wait for others: room for the next agent.
            drop(joining.take());
        }
        tokio::select! {
            biased;
            () = shared.drain.cancelled() => return Err(End::Away("the operator restarts")),
            () = session.superseded.cancelled() => return Err(End::Away("a newer stream of this node took over")),
            said = incoming.try_next() => {
                hear(shared, node, session, &mut offer, said, outgoing).await?;
                if !offer.waits_for_answer() {
                    drop(std::mem::replace(&mut sending, Span::none()));
                }
            }
            Ok(()) = again.changed() => says_again = true,
            room = outgoing.reserve(), if due || says_again || offer.owes_shards() => {
                let room = room.map_err(|_| End::Gone)?;
                if std::mem::take(&mut says_again) {
                    room.send(message(Kind::SayAgain(SayAgain {})));
                    continue;
                }
                let next = match (offer.shards(), &signer) {
                    (Some(shards), _) => Some(Kind::Shards(shards)),
                    (None, Some(signer)) => match offer.next(&state.borrow_and_update(), signer) {
                        Some(Kind::Update(mut update)) => {
                            sending = traced(node, &mut update);
                            Some(Kind::Update(update))
                        }
                        other => other,
                    },
                    (None, None) => None,
                };
                if let Some(next) = next {
                    answer_due = Instant::now() + shared.limits.verdict;
                    room.send(message(next));
                }
            }
            changed = state.changed() => changed.map_err(|_| End::Away("the operator ends"))?,
            () = sleep_until(answer_due), if offer.waits_for_answer() => {
                return Err(End::Away("no answer to the last message came"));
            }
            request = asking.due() => match outgoing.try_reserve() {
                Ok(room) => {
                    room.send(message(Kind::Sample(request)));
                    asking.told(request);
                }
                Err(_) => asking.postpone(),
            },
            () = &mut age => return Err(End::Away("the stream is old")),
        }
    }
}

/// The step of the edits that the update brings which lasts until the agent has answered: what the agent does is a part of
/// it.
fn traced(node: &str, update: &mut Update) -> Span {
    let span = step("send", &update.traces);
    span.record("node", node);
    span.record("epoch", display(update.epoch.map(fence::from_wire).unwrap_or_default()));
    // Where this replica traces nothing, the agent is a part of the edit itself.
    if let Some(own) = traceparent(&span) {
        update.traces = vec![own];
    }
    span
}

async fn hear(
    shared: &Shared,
    node: &str,
    session: &Session,
    offer: &mut Offer,
    said: Result<Option<AgentMessage>, Status>,
    outgoing: &Outgoing,
) -> Result<(), End> {
    let Ok(Some(said)) = said else { return Err(End::Gone) };
    match said.kind {
        Some(Word::Verdicts(verdicts)) => {
            offer.hear(&verdicts);
            tell(shared, node, session.id, AgentEventKind::Verdicts(verdicts)).await
        }
        Some(Word::Want(want)) => {
            offer.want(&want);
            Ok(())
        }
        Some(Word::Have(have)) => {
            offer.have(&have);
            Ok(())
        }
        Some(Word::Report(report)) => {
            tell(shared, node, session.id, AgentEventKind::Report(Box::new(report))).await
        }
        Some(Word::Samples(samples)) => {
            shared.drops.publish(node, samples);
            Ok(())
        }
        Some(Word::Hello(_)) => Err(End::Refused(Status::invalid_argument("a stream has one Hello"))),
        Some(Word::Heartbeat(_)) => {
            // An agent that is busy with an update needs no sign of life besides.
            if shared.replica.is_led()
                && let Ok(room) = outgoing.try_reserve()
            {
                room.send(message(Kind::Heartbeat(Heartbeat { at: unix_millis(shared.clock) })));
            }
            Ok(())
        }
        // A kind of message that is newer than we are is no reason to hang up.
        None => Ok(()),
    }
}

/// A slow reader of events slows the streams down instead of growing a queue.
async fn tell(shared: &Shared, node: &str, session: u64, kind: AgentEventKind) -> Result<(), End> {
    let event = AgentEvent { node: node.to_owned(), session, kind };
    shared.events.send(event).await.map_err(|_| End::Away("the operator ends"))
}

fn message(kind: Kind) -> Answer {
    Box::new(Ok(ServerMessage { kind: Some(kind) }))
}

fn unix_millis(clock: fn() -> SystemTime) -> i64 {
    let now = clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
