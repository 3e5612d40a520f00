//! One watch that goes on whatever the API server does.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::api::Api;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// An API server that restarts is back in seconds, and one operator is no herd: after an error it is asked again this soon,
/// and while it does not answer at most this much later.
const SOON: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_secs(3);

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
    let stream = events(move || watcher(api.clone(), config.clone()));
    tokio::spawn(drive(stream.reflect(writer), |_| true, changed));
    store
}

/// Hands on every event; `take` says whether anything that matters changed with it.
pub fn observe<K: Followed + 'static>(
    api: Api<K>,
    take: impl FnMut(Event<K>) -> bool + Send + 'static,
    changed: mpsc::Sender<()>,
) {
    let stream = events(move || watcher(api.clone(), watcher::Config::default()));
    tokio::spawn(drive(stream, take, changed));
}

async fn drive<T>(
    stream: impl Stream<Item = Result<Event<T>, watcher::Error>>,
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

/// A watch that begins anew, with a list, after each error. One that goes on from the version that it knew hears nothing
/// where the API server came back with an older store: what is written then has versions that seem to be known.
pub fn events<K, S>(
    watch: impl Fn() -> S + Send,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send
where
    K: Send,
    S: Stream<Item = Result<Event<K>, watcher::Error>> + Send,
{
    stream::unfold((None, Duration::ZERO, watch), |(stream, wait, watch)| async move {
        let (mut stream, mut wait): (Pin<Box<S>>, Duration) = match stream {
            Some(stream) => (stream, wait),
            None => {
                sleep(wait).await;
                (Box::pin(watch()), (wait * 2).clamp(SOON, LATER))
            }
        };
        let event = stream.next().await?;
        // A list that was begun is no answer yet.
        if event.as_ref().is_ok_and(|event| !matches!(event, Event::Init)) {
            wait = SOON;
        }
        let stream = event.is_ok().then_some(stream);
        Some((event, (stream, wait, watch)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::Instant;

    use super::*;

    fn lost() -> Result<Event<u8>, watcher::Error> {
        Err(watcher::Error::NoResourceVersion)
    }

    /// What is told by watches of which each begins a list and comes so far, and how long it took.
    async fn told(watches: Vec<Vec<Result<Event<u8>, watcher::Error>>>) -> (String, Duration) {
        let (made, begun) = (AtomicUsize::new(0), Instant::now());
        let watches = std::sync::Mutex::new(watches.into_iter());
        let watch = || {
            made.fetch_add(1, Ordering::Relaxed);
            stream::iter(watches.lock().expect("nobody panicked").next().unwrap_or_default())
        };
        let word = |event: Result<Event<u8>, watcher::Error>| match event {
            Ok(Event::Init) => "init".to_owned(),
            Ok(Event::InitApply(object) | Event::Apply(object) | Event::Delete(object)) => object.to_string(),
            Ok(Event::InitDone) => "done".to_owned(),
            Err(_) => "lost".to_owned(),
        };
        let words: Vec<String> = events(watch).map(word).collect().await;
        (words.join(" "), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_watched_is_listed_anew_after_each_error() {
        let whole =
            || vec![Ok(Event::Init), Ok(Event::InitApply(1)), Ok(Event::InitDone), Ok(Event::Apply(2))];
        let first = whole().into_iter().chain([lost()]).collect();
        let (words, took) = told(vec![first, whole()]).await;
        assert_eq!(words, "init 1 done 2 lost init 1 done 2");
        assert_eq!(took, SOON);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_grows_until_there_is_an_answer() {
        let begun = || vec![Ok(Event::Init), lost()];
        let answered = || vec![Ok(Event::Init), Ok(Event::InitDone), lost()];
        let (_, took) = told((0..8).map(|_| begun()).collect()).await;
        assert_eq!(took.as_millis(), 200 + 400 + 800 + 1600 + 3000 * 4);
        let (_, took) = told(vec![begun(), begun(), answered(), begun()]).await;
        assert_eq!(took.as_millis(), 200 + 400 + 200 + 400);
    }
}
