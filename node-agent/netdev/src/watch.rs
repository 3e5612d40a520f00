//! Changes as they happen: multicast groups say that something changed, a fresh dump says what.
//!
//! Dumping again costs little and cannot lose anything, whatever messages a full socket dropped. XDP programs are
//! attached and detached by bpf_link without a message, so the links are dumped on a timer as well.

use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::sys::SocketAddr;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::{Event, NetdevError, Netlink, Snapshot};

/// Messages come in bursts (a new interface makes ten); they are taken together.
const SETTLE: Duration = Duration::from_millis(20);
const AT_MOST: Duration = Duration::from_millis(100);
/// How soon a program that vanished without a message is noticed.
const RECHECK: Duration = Duration::from_millis(500);

const GROUPS: [MulticastGroup; 6] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Neigh,
];

/// What changed together, and how things are after it.
#[derive(Clone, Debug)]
pub struct Changes {
    pub events: Vec<Event>,
    pub now: Snapshot,
}

/// Starts watching; ends when the receiver is dropped.
///
/// # Guarantees
/// Every lasting difference from the returned snapshot is told, within half a second at the latest.
///
/// # Errors
/// When the sockets cannot be opened or the first dump fails.
pub async fn watch() -> Result<(Snapshot, mpsc::Receiver<Changes>), NetdevError> {
    let (connection, _, messages) = rtnetlink::new_multicast_connection(&GROUPS)?;
    let connection = tokio::spawn(connection).abort_handle();
    let netlink = Netlink::open()?;
    let first = netlink.snapshot().await?;
    let (sender, receiver) = mpsc::channel(16);
    let state = first.clone();
    tokio::spawn(async move {
        follow(netlink, messages, state, sender).await;
        connection.abort();
    });
    Ok((first, receiver))
}

type Messages = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

async fn follow(
    netlink: Netlink,
    mut messages: Messages,
    mut state: Snapshot,
    sender: mpsc::Sender<Changes>,
) {
    let mut recheck = interval(RECHECK);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut touched = Touched::default();
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some((first, _)) => {
                    touched.add(&first);
                    settle(&mut messages, &mut touched).await;
                }
                None => return,
            },
            _ = recheck.tick() => touched.links = true,
            () = sender.closed() => return,
        }
        let now = match look(&netlink, &state, touched).await {
            Ok(now) => now,
            Err(error) => {
                // An interface that went away in the middle of a dump; the next tick sees the whole.
                tracing::debug!(%error, "interfaces could not be read");
                continue;
            }
        };
        let mut events = now.since(&state);
        if touched.paths {
            events.push(Event::PathsChanged);
        }
        touched = Touched::default();
        state = now.clone();
        if !events.is_empty() && sender.send(Changes { events, now }).await.is_err() {
            return;
        }
    }
}

/// Dumps no more than may have changed: a router's neighbours and routes change all the time, and its table is long.
async fn look(netlink: &Netlink, before: &Snapshot, touched: Touched) -> Result<Snapshot, NetdevError> {
    match touched {
        Touched { default_routes: true, .. } => netlink.snapshot().await,
        Touched { links: true, .. } => netlink.snapshot_with(before.default_routes.clone()).await,
        _ => Ok(before.clone()),
    }
}

/// Takes what else comes until it is quiet.
async fn settle(messages: &mut Messages, touched: &mut Touched) {
    let end = Instant::now() + AT_MOST;
    while let Ok(Some((message, _))) = timeout_at(end.min(Instant::now() + SETTLE), messages.next()).await {
        touched.add(&message);
    }
}

/// What messages were about.
#[derive(Clone, Copy, Default)]
struct Touched {
    links: bool,
    default_routes: bool,
    /// Next hops may be others.
    paths: bool,
}

impl Touched {
    fn add(&mut self, message: &NetlinkMessage<RouteNetlinkMessage>) {
        use RouteNetlinkMessage::{DelNeighbour, DelRoute, NewNeighbour, NewRoute};
        match &message.payload {
            NetlinkPayload::InnerMessage(NewRoute(route) | DelRoute(route)) => {
                self.paths = true;
                self.default_routes |= route.header.destination_prefix_length == 0;
            }
            NetlinkPayload::InnerMessage(NewNeighbour(_) | DelNeighbour(_)) => self.paths = true,
            // Of a link or an address, whose routes go without a message; or the socket overran.
            _ => *self = Touched { links: true, default_routes: true, paths: true },
        }
    }
}
