//! The data plane on a thread of its own: its calls block, and it must be used from one thread at a time.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::Context;
use sluice_datapath::{Datapath, State};
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce(&mut Datapath) + Send>;

/// Runs what it is given, in order. The thread ends with the last clone.
#[derive(Clone)]
pub struct Kernel {
    work: mpsc::Sender<Work>,
}

impl Kernel {
    /// Opens the data plane on the new thread, which is in the caller's network namespace.
    pub async fn start(bpffs: PathBuf, state: State) -> anyhow::Result<(Kernel, JoinHandle<()>)> {
        let (work, queue) = mpsc::channel::<Work>();
        let (opened, result) = oneshot::channel();
        let body = move || match Datapath::open(bpffs, state) {
            Ok(mut datapath) => {
                _ = opened.send(Ok(()));
                queue.into_iter().for_each(|work| work(&mut datapath));
                datapath.leave();
            }
            Err(error) => _ = opened.send(Err(error)),
        };
        let thread =
            std::thread::Builder::new().name("datapath".into()).spawn(body).context("starting a thread")?;
        result.await.context("the data plane's thread ended")??;
        Ok((Kernel { work }, thread))
    }

    /// # Errors
    /// Only when the thread is gone, which is the end of the agent.
    pub async fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Datapath) -> R + Send + 'static,
    ) -> anyhow::Result<R> {
        let (answer, result) = oneshot::channel();
        let work: Work = Box::new(move |datapath| _ = answer.send(work(datapath)));
        self.work.send(work).ok().context("the data plane's thread ended")?;
        result.await.context("the data plane's thread ended")
    }
}
