//! What is logged, now and usually.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::{EnvFilter, Registry};

/// What a process is told of its level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    Look,
    /// Until the process ends, if no time is given.
    Set {
        directives: String,
        for_ms: Option<u64>,
    },
    Reset,
}

/// What it says to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub directives: String,
    pub usual: String,
    /// When it is as usual again, in Unix milliseconds.
    pub until: Option<i64>,
}

/// The level of this process.
pub struct Level {
    filter: Handle<EnvFilter, Registry>,
    usual: String,
    /// With its end, if it has one.
    other: Option<(String, Option<Instant>)>,
}

/// # Errors
/// What is wrong with the directives, and what to write.
pub fn parse(directives: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(directives).map_err(|error| {
        format!("\"{directives}\" says nothing of logs ({error}): write debug, or info,sluice_client=trace")
    })
}

impl Level {
    pub fn new(filter: Handle<EnvFilter, Registry>, usual: String) -> Level {
        Level { filter, usual, other: None }
    }

    /// When it has to be [ended](Level::end).
    pub fn ends(&self) -> Option<Instant> {
        self.other.as_ref().and_then(|(_, ends)| *ends)
    }

    /// As usual again.
    pub fn end(&mut self) {
        if self.other.take().is_some() {
            self.log(&self.usual.clone());
        }
    }

    /// # Errors
    /// What is wrong with the order.
    pub fn take(&mut self, order: Order) -> Result<Said, String> {
        match order {
            Order::Look => {}
            Order::Set { directives, for_ms } => {
                parse(&directives)?;
                self.log(&directives);
                let ends = for_ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
                self.other = Some((directives, ends));
            }
            Order::Reset => self.end(),
        }
        Ok(self.said())
    }

    fn said(&self) -> Said {
        let usual = self.usual.clone();
        let Some((directives, ends)) = self.other.clone() else {
            return Said { directives: usual.clone(), usual, until: None };
        };
        let left = ends.map(|ends| ends.saturating_duration_since(Instant::now()).as_millis());
        let until = left.map(|left| {
            jiff::Timestamp::now().as_millisecond().saturating_add(i64::try_from(left).unwrap_or(i64::MAX))
        });
        Said { directives, usual, until }
    }

    fn log(&self, directives: &str) {
        let filter = parse(directives).expect("they were parsed before");
        if self.filter.reload(filter).is_ok() {
            tracing::warn!(log_level = directives, usual = self.usual, "the log level is another");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::reload;

    use super::*;

    fn set(directives: &str, for_ms: Option<u64>) -> Order {
        Order::Set { directives: directives.to_owned(), for_ms }
    }

    #[tokio::test(start_paused = true)]
    async fn another_level_is_in_force_at_once_and_ends() {
        let (filter, handle) = reload::Layer::new(parse("info").unwrap());
        let logs = tracing_subscriber::fmt::layer().with_writer(std::io::sink).with_filter(filter);
        let _scope = tracing::subscriber::set_default(tracing_subscriber::registry().with(logs));
        let mut level = Level::new(handle, "info".to_owned());
        let logs_debug = || tracing::enabled!(tracing::Level::DEBUG);
        assert!(!logs_debug());
        let said = level.take(set("debug", Some(60_000))).unwrap();
        assert!(logs_debug() && said.directives == "debug" && said.usual == "info");
        assert!(said.until.is_some_and(|until| until > jiff::Timestamp::now().as_millisecond()));
        assert_eq!(level.ends(), Some(Instant::now() + Duration::from_secs(60)));
        level.end();
        assert!(!logs_debug() && level.ends().is_none());

        level.take(set("debug", None)).unwrap();
        assert!(logs_debug() && level.ends().is_none());
        let error = level.take(set("sluice=loud", None)).unwrap_err();
        assert!(error.contains("write debug"), "{error}");
        assert!(logs_debug(), "what cannot be read changes nothing");
        let usual = Said { directives: "info".to_owned(), usual: "info".to_owned(), until: None };
        assert_eq!(level.take(Order::Reset), Ok(usual.clone()));
        assert_eq!((logs_debug(), level.take(Order::Look)), (false, Ok(usual)));
    }
}
