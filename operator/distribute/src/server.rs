//! The port.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use sluice_pki::{Authority, accept};
use sluice_proto::v1::distribution_server::DistributionServer;
use sluice_proto::v1::enrollment_server::EnrollmentServer;
use sluice_raft::State;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::enroll::Enroller;
use crate::service::{Shared, Streams};
use crate::sessions::Sessions;
use crate::signers::Signers;
use crate::{AgentEvent, Drops, Limits, Replica, ServeError, TokenCheck};

/// Everything that serving agents takes.
pub struct Distributor {
    pub state: watch::Receiver<Arc<State>>,
    /// Of [`sluice_raft::Identity`]: which store the epochs come from.
    pub cluster_id: String,
    pub replica: Arc<dyn Replica>,
    pub authority: Arc<Authority>,
    pub tokens: Arc<dyn TokenCheck>,
    /// Must be read as long as the port is served: streams wait for room in it.
    pub events: mpsc::Sender<AgentEvent>,
    /// Each change has every agent say again what it said: whoever listens to the events has heard none of it.
    pub again: watch::Receiver<u64>,
    /// Samples of dropped packets, for those who watch them.
    pub drops: Drops,
    pub limits: Limits,
    pub clock: fn() -> SystemTime,
}

impl Distributor {
    /// Serves enrollment, distribution and `others` until `drain` is cancelled; then agents are told to come back over
    /// [`Limits::spread`], and the port closes once they are gone or [`Limits::drain`] is over.
    ///
    /// `tls` comes from [`sluice_pki::server_tls`]; `others` decide on callers themselves, with
    /// [`sluice_pki::Peer::of`].
    pub async fn serve(
        self,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        others: Routes,
        drain: CancellationToken,
    ) -> Result<(), ServeError> {
        let patience = self.limits.drain;
        let routes = self.routes(others, &drain);
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1))
            .max_concurrent_streams(64);
        let incoming = accept(listener, tls);
        let served =
            server.add_routes(routes).serve_with_incoming_shutdown(incoming, drain.clone().cancelled_owned());
        tokio::select! {
            served = served => served.map_err(ServeError::Listener),
            () = async { drain.cancelled().await; sleep(patience).await } => Ok(()),
        }
    }

    fn routes(self, others: Routes, drain: &CancellationToken) -> Routes {
        let (authority, tokens, clock) = (self.authority.clone(), self.tokens.clone(), self.clock);
        let admission = Semaphore::new(self.limits.enrolling);
        let (turn, valid) = (self.limits.turn, self.limits.certificate);
        let enroller =
            Enroller { authority, tokens, state: self.state.clone(), clock, admission, turn, valid };
        let streams = self.streams(drain);
        others.add_service(EnrollmentServer::new(enroller)).add_service(DistributionServer::new(streams))
    }

    /// For who brings connections of its own.
    pub fn streams(self, drain: &CancellationToken) -> Streams {
        let Distributor {
            state,
            cluster_id,
            replica,
            authority: _,
            tokens: _,
            events,
            again,
            drops,
            limits,
            clock,
        } = self;
        let admission = Arc::new(Semaphore::new(limits.joining));
        let (sessions, signers, drain) = (Sessions::default(), Signers::default(), drain.clone());
        Streams(Arc::new(Shared {
            state: plans(state),
            signers,
            cluster_id,
            replica,
            events,
            again,
            limits,
            sessions,
            drops,
            admission,
            drain,
            clock,
        }))
    }
}

/// The state, seen anew only when it has news for agents: thousands of streams are not woken for anything else.
fn plans(mut state: watch::Receiver<Arc<State>>) -> watch::Receiver<Arc<State>> {
    let (sender, plans) = watch::channel(state.borrow_and_update().clone());
    tokio::spawn(async move {
        while state.changed().await.is_ok() {
            let newest = state.borrow_and_update().clone();
            sender.send_if_modified(|shown| {
                let is_news = shown.epoch != newest.epoch
                    || shown.signer() != newest.signer()
                    || !shown.revocations().eq(newest.revocations());
                *shown = newest;
                is_news
            });
        }
    });
    plans
}

/// An agent that hangs is noticed after both; one whose host is gone, by the kernel, see [`accept`]. Agents are heard more
/// often than that, so that the first hardly ever passes and nothing is asked of those that are well.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(35), Duration::from_secs(15));
