//! Over and over: resolve, enrol if need be, connect, talk, wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rand::Rng;
use rand::seq::SliceRandom;
use sluice_proto::v1::GoAway;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;

use crate::backoff::Backoff;
use crate::papers::Papers;
use crate::patience::Patience;
use crate::session::{Ending, Session};
use crate::{ClientError, Config, Dialling, Identity, LinkState, Ports, Vault, dial};

/// How long a data plane may take to let the operator's answers in before the connection is tried anyway.
const ALLOW: Duration = Duration::from_secs(2);
/// An operator that has not answered within this is not the only one that is tried.
const SLOW: Duration = Duration::from_millis(300);

/// Keeps the agent connected for as long as the rest of it lives.
///
/// # Errors
/// Only [`ClientError::Ended`]; everything else is waited out.
pub async fn run(config: Config, vault: Arc<dyn Vault>, ports: Ports) -> Result<(), ClientError> {
    let (mut backoff, mut patience) = (Backoff::new(config.pace.backoff), Patience::default());
    let pace = config.pace;
    let (papers, known) = (Papers::new(vault), config.known.clone());
    let mut client = Client { config, ports, papers, known, others: Vec::new(), last: None, names: false };
    loop {
        client.config.pace = patience.of(&pace);
        let (mut heard, begun) = (false, Instant::now());
        let ended = client.attempt(&mut heard).await;
        patience.learn(ended.as_ref().err(), heard, begun.elapsed());
        if heard {
            backoff.reset();
        }
        match ended {
            Ok(Ending::Room) => {}
            Ok(Ending::Unnamed) => client.names = true,
            Ok(Ending::GoAway(go_away)) => sleep(client.told_to_go(go_away)).await,
            Err(ClientError::Ended) => return Err(ClientError::Ended),
            Err(error) => {
                let pause = client.failed(&error, backoff.next(&mut rand::rng()));
                if wait(&client.ports.network, pause, pace.backoff.0).await {
                    backoff.reset();
                }
            }
        }
    }
}

struct Client {
    config: Config,
    ports: Ports,
    papers: Papers,
    /// Resolved last: an operator must be reachable while the name server is not.
    known: Vec<SocketAddr>,
    /// Named by the operator that said goodbye; tried first, once.
    others: Vec<String>,
    /// Where it was connected last; after a failure tried after all others.
    last: Option<SocketAddr>,
    /// The next stream says what the node has without being asked.
    names: bool,
}

impl Client {
    async fn attempt(&mut self, heard: &mut bool) -> Result<Ending, ClientError> {
        self.ports.link.send_replace(LinkState::Connecting);
        let endpoints = self.endpoints().await?;
        self.allow(&endpoints).await?;
        self.papers.certify(&self.config, &endpoints).await?;
        let (endpoint, channel) = connect(&endpoints, &self.config, self.papers.identity()).await?;
        tracing::info!(operator = %endpoint, "connected");
        self.last = Some(endpoint);
        self.ports.link.send_replace(LinkState::Connected(endpoint));
        let trust = dial::trust(&self.config).await?;
        let names = std::mem::take(&mut self.names);
        tokio::select! {
            ended = Session::run(channel, trust, &self.config, &mut self.ports, heard, names) => ended,
            never = self.papers.keep_fresh(&self.config, &endpoints) => match never {},
        }
    }

    /// In random order: those that a departing operator named first, the one that was lost last.
    async fn endpoints(&mut self) -> Result<Vec<SocketAddr>, ClientError> {
        let mut endpoints = Vec::new();
        for other in std::mem::take(&mut self.others) {
            endpoints.extend(dial::resolve(&other).await.unwrap_or_default());
        }
        match dial::resolve(&self.config.operator).await {
            Ok(mut found) => {
                found.shuffle(&mut rand::rng());
                self.known.clone_from(&found);
            }
            Err(error) if self.known.is_empty() && endpoints.is_empty() => return Err(error),
            Err(error) => tracing::warn!(%error, "going on with the addresses known from before"),
        }
        let more: Vec<_> = self.known.iter().filter(|known| !endpoints.contains(known)).copied().collect();
        endpoints.extend(more);
        endpoints.sort_by_key(|endpoint| self.last == Some(*endpoint));
        Ok(endpoints)
    }

    async fn allow(&self, endpoints: &[SocketAddr]) -> Result<(), ClientError> {
        let (allowed, answer) = oneshot::channel();
        let dialling = Dialling { endpoints: endpoints.to_vec(), allowed };
        self.ports.dialling.send(dialling).await.map_err(|_| ClientError::Ended)?;
        if timeout(ALLOW, answer).await.is_err() {
            tracing::warn!("the data plane is slow to let the operator in; dialling all the same");
        }
        Ok(())
    }

    fn told_to_go(&mut self, go_away: GoAway) -> Duration {
        tracing::info!(reason = go_away.reason, "the operator asks to reconnect");
        self.ports.link.send_replace(LinkState::Waiting(go_away.reason));
        self.others = go_away.others;
        let least = Duration::from_millis(go_away.retry_after_ms.into());
        // Not earlier than asked, and not all at the same moment.
        least + rand::rng().random_range(Duration::ZERO..=self.config.pace.backoff.0)
    }

    fn failed(&mut self, error: &ClientError, pause: Duration) -> Duration {
        tracing::warn!(%error, retry_ms = pause.as_millis() as u64, "no connection to the operator");
        self.ports.link.send_replace(LinkState::Waiting(error.to_string()));
        if error.is_unauthenticated() {
            self.papers.discard();
        }
        pause
    }
}

/// Whether the network changed meanwhile; at least the shortest wait passes, whatever changes.
async fn wait(network: &Notify, pause: Duration, least: Duration) -> bool {
    let least = pause.min(least);
    // Made before the shortest wait, so that it learns of what changes during that.
    let changed = network.notified();
    sleep(least).await;
    tokio::select! {
        () = changed => true,
        () = sleep(pause - least) => false,
    }
}

/// The first that answers. One that is slow to is not waited for alone: the next is tried beside it.
pub(crate) async fn connect(
    endpoints: &[SocketAddr],
    config: &Config,
    identity: Option<&Identity>,
) -> Result<(SocketAddr, Channel), ClientError> {
    let (mut last, mut waiting) = (ClientError::Closed, endpoints.iter());
    let mut tried = FuturesUnordered::new();
    loop {
        let next = waiting.next();
        if let Some(&endpoint) = next {
            tried.push(async move { (endpoint, dial::connect(endpoint, config, identity).await) });
        }
        let patience = if next.is_some() { SLOW } else { config.pace.connect };
        match timeout(patience, tried.next()).await {
            Ok(Some((endpoint, Ok(channel)))) => return Ok((endpoint, channel)),
            Ok(Some((_, Err(error)))) => last = error,
            Ok(None) => return Err(last),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(6);
    const LEAST: Duration = Duration::from_millis(200);

    /// How long the wait was and what ended it, where the network changes after `at`.
    async fn waited(at: Duration) -> (Duration, bool) {
        let (network, begun) = (Notify::new(), Instant::now());
        let changes = async {
            sleep(at).await;
            network.notify_waiters();
        };
        let (changed, ()) =
            tokio::join!(async { (wait(&network, PAUSE, LEAST).await, begun.elapsed()) }, changes);
        (changed.1, changed.0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_the_network_ends_a_wait_whenever_it_comes() {
        assert_eq!(waited(LEAST / 2).await, (LEAST, true));
        assert_eq!(waited(2 * LEAST).await, (2 * LEAST, true));
        assert_eq!(waited(2 * PAUSE).await, (PAUSE, false));
    }
}
