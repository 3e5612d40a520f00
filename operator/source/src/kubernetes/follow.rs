//! One watch that goes on whatever the API server does.

use std::fmt::Debug;
use std::time::Duration;

use futures::StreamExt;
use kube::api::Api;
use kube::runtime::reflector::Store;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

/// What can be followed.
pub trait Followed: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + DeserializeOwned {}

impl<K> Followed for K where K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + DeserializeOwned {}

/// Every object whole, in memory.
pub fn reflect<K: Followed + 'static>(
    api: Api<K>,
    config: watcher::Config,
    changed: mpsc::Sender<()>,
) -> Store<K> {
    let (store, writer) = reflector::store();
    let stream = watcher(api, config).backoff(Retry::default());
    tokio::spawn(drive(stream.reflect(writer), |_| true, changed));
    store
}

/// Hands on every event; `take` says whether anything that matters changed with it.
pub fn observe<K: Followed + 'static>(
    api: Api<K>,
    take: impl FnMut(Event<K>) -> bool + Send + 'static,
    changed: mpsc::Sender<()>,
) {
    let stream = watcher(api, watcher::Config::default()).backoff(Retry::default());
    tokio::spawn(drive(stream, take, changed));
}

async fn drive<T>(
    stream: impl futures::Stream<Item = Result<Event<T>, watcher::Error>>,
    mut take: impl FnMut(Event<T>) -> bool,
    changed: mpsc::Sender<()>,
) {
    let mut stream = Box::pin(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                if take(event) {
                    let _ = changed.try_send(());
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the API server does not answer a watch; the last state stays in force")
            }
        }
    }
}

/// `Service web/shop`, as messages name whoever has an address.
pub fn owner<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{} {}/{}", K::kind(&()), object.namespace().unwrap_or_default(), object.name_any())
}

/// An API server that restarts is back in seconds, and one operator is no herd: it is asked again soon, whatever happened
/// in the minutes before.
pub struct Retry(Duration);

impl Retry {
    const FIRST: Duration = Duration::from_millis(200);
    const LAST: Duration = Duration::from_secs(3);
}

impl Default for Retry {
    fn default() -> Retry {
        Retry(Retry::FIRST)
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (wait * 2).min(Retry::LAST);
        Some(wait)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        *self = Retry::default();
    }
}
