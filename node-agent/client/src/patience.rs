//! How long an answer may take before a connection counts as dead. A dead host must be noticed soon, and a network that
//! is slow or loses much must not be taken for one for ever: whoever timed out waits twice as long the next time.

use std::time::Duration;

use crate::ClientError;
use crate::config::Pace;

/// Doubled at most so often.
const DOUBLINGS: u32 = 3;
/// A stream that held for so long shows that its time was enough.
const HELD: Duration = Duration::from_secs(60);

/// Doublings of the times that [`Pace`] gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Patience {
    connect: u32,
    unheard: u32,
}

impl Patience {
    pub fn of(&self, pace: &Pace) -> Pace {
        let (connect, unheard) = (pace.connect * (1 << self.connect), pace.unheard * (1 << self.unheard));
        Pace { connect, unheard, ..*pace }
    }

    /// From an attempt that ended after a while; `heard` if the operator said anything in it.
    pub fn learn(&mut self, failed: Option<&ClientError>, heard: bool, lasted: Duration) {
        let timed_out = failed.is_some_and(ClientError::is_timeout);
        if lasted >= HELD {
            *self = Patience::default();
        } else if timed_out && heard {
            self.unheard = DOUBLINGS.min(self.unheard + 1);
        } else if timed_out {
            self.connect = DOUBLINGS.min(self.connect + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn after(attempts: &[(ErrorKind, bool, Duration)]) -> (u64, u64) {
        let mut patience = Patience::default();
        for (kind, heard, lasted) in attempts {
            let error = ClientError::Stream(tonic::Status::from_error(Box::new(Error::from(*kind))));
            patience.learn(Some(&error), *heard, *lasted);
        }
        let pace = patience.of(&Pace::default());
        (pace.connect.as_secs(), pace.unheard.as_secs())
    }

    #[test]
    fn who_timed_out_waits_longer_the_next_time() {
        let (connecting, streaming) = ((ErrorKind::TimedOut, false, SOON), (ErrorKind::TimedOut, true, SOON));
        assert_eq!(after(&[]), (5, 2));
        assert_eq!(after(&[connecting]), (10, 2));
        assert_eq!(after(&[connecting, streaming]), (10, 4));
        assert_eq!(after(&[connecting; 9]), (40, 2));
        assert_eq!(after(&[streaming; 9]), (5, 16));
    }

    #[test]
    fn a_refusal_is_no_slow_network_and_a_stream_that_held_was_given_enough() {
        assert_eq!(
            after(&[(ErrorKind::ConnectionRefused, false, SOON), (ErrorKind::ConnectionReset, true, SOON)]),
            (5, 2)
        );
        let held = (ErrorKind::TimedOut, true, HELD);
        assert_eq!(
            after(&[(ErrorKind::TimedOut, false, SOON), (ErrorKind::TimedOut, true, SOON), held]),
            (5, 2)
        );
    }
}
