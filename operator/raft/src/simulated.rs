//! For simulations: replicas on disks of memory, in one thread, whose elections draw from a seed.

use std::cell::RefCell;
use std::time::Duration;

use openraft::{AsyncRuntime, OptionalSend, TokioRuntime};
use rand08::rngs::SmallRng;
use rand08::{RngCore, SeedableRng};

use crate::peers::Peers;
pub use crate::store::disk::Disk;
use crate::store::{self, Place};
use crate::{OpenError, Options, Raft, found};

/// As [`found_or_join`](crate::found_or_join).
pub async fn found_or_join(disk: &Disk, peers: &Peers) -> Result<(), OpenError> {
    if disk.is_empty() {
        let identity = found::identity(peers).await;
        store::make(&Place::Simulated(disk.clone()), &identity)?;
    }
    Ok(())
}

/// As [`Raft::open`].
pub async fn open(disk: &Disk, options: Options) -> Result<Raft, OpenError> {
    Raft::start(store::open(&Place::Simulated(disk.clone()), None)?, options).await
}

/// From here on what this thread's elections draw follows from `seed`.
pub fn seed(seed: u64) {
    DRAWN.with_borrow_mut(|drawn| *drawn = Some(SmallRng::seed_from_u64(seed)));
}

thread_local! {
    static DRAWN: RefCell<Option<SmallRng>> = const { RefCell::new(None) };
}

/// tokio, but for what is drawn.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Runtime;

/// From the thread's seed; anything where there is none.
pub struct Drawn;

impl RngCore for Drawn {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        DRAWN.with_borrow_mut(|drawn| match drawn {
            Some(drawn) => drawn.next_u64(),
            None => rand08::thread_rng().next_u64(),
        })
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        rand08::RngCore::fill_bytes(&mut SmallRng::seed_from_u64(self.next_u64()), dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand08::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = Drawn;
    type OneshotSender<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiverError = <TokioRuntime as AsyncRuntime>::OneshotReceiverError;
    type OneshotReceiver<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotReceiver<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Drawn {
        Drawn
    }

    fn oneshot<T: OptionalSend>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        TokioRuntime::oneshot()
    }
}
