//! The API's status of address sets.

use sluice_crds::{Condition, FeedStatus, XdpAddressSetStatus, condition_type, reason};

use crate::conditions::Conditions;
use crate::object_status::{MESSAGE_CHARS, node_summary};
use crate::policy::{Placed, PolicyState};

/// What is known of a set besides how far it has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetFacts {
    /// Before and after they are collapsed; `None` while it has no contents.
    pub size: Option<SetSize>,
    /// Faults of lists, each with its list, whose last good reading is in force.
    pub faults: Vec<String>,
    pub feeds: Vec<FeedFacts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetSize {
    pub entries: u64,
    pub prefixes: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeedFacts {
    pub url: String,
    pub entries: Option<u64>,
    /// Unix milliseconds.
    pub fetched: Option<i64>,
    pub fault: Option<String>,
}

impl SetFacts {
    /// The fetch that is longest ago, in Unix milliseconds; `None` where there is no feed, or one was never fetched.
    pub fn last_fetch(&self) -> Option<i64> {
        let fetches: Option<Vec<i64>> = self.feeds.iter().map(|feed| feed.fetched).collect();
        fetches?.into_iter().min()
    }

    pub fn error(&self) -> Option<String> {
        (!self.faults.is_empty()).then(|| self.faults.join("; "))
    }
}

pub fn set_status(
    placed: &Placed,
    state: &PolicyState,
    previous: &[Condition],
    now: jiff::Timestamp,
) -> XdpAddressSetStatus {
    let facts = placed.set.clone().unwrap_or_default();
    let refused = placed.refusal.as_ref().map(|(_, message)| message.clone());
    XdpAddressSetStatus {
        observed_generation: Some(placed.generation),
        conditions: Conditions::new(previous, placed.generation, now).of_set(placed, state),
        hash: placed.hash.map(|hash| hash.short()),
        entries: facts.size.map(|size| size.entries),
        prefixes: facts.size.map(|size| size.prefixes),
        kernel_bytes: (state.kernel_bytes > 0).then_some(state.kernel_bytes),
        nodes: Some(node_summary(state)),
        last_fetch: facts.last_fetch().and_then(moment),
        error: refused.or_else(|| facts.error()).map(short),
        feeds: facts.feeds.into_iter().map(feed_status).collect(),
    }
}

fn feed_status(feed: FeedFacts) -> FeedStatus {
    let FeedFacts { url, entries, fetched, fault } = feed;
    FeedStatus { url, entries, last_fetch: fetched.and_then(moment), error: fault.map(short) }
}

fn short(text: String) -> String {
    text.chars().take(MESSAGE_CHARS).collect()
}

/// RFC 3339, to the second.
fn moment(at: i64) -> Option<String> {
    Some(jiff::Timestamp::from_second(at / 1000).ok()?.to_string())
}

impl Conditions<'_> {
    /// As of policies; a set that nobody uses is as ready as it can be.
    pub fn of_set(mut self, placed: &Placed, state: &PolicyState) -> Vec<Condition> {
        if let Some((why, message)) = &placed.refusal {
            let has_contents = placed.set.as_ref().is_some_and(|set| set.size.is_some());
            let held = match has_contents {
                true => "its last contents stay in force".to_owned(),
                false => "it has no contents, and filters cannot use it yet".to_owned(),
            };
            let message = format!("{message}; {held}");
            self.set(condition_type::ACCEPTED, false, why, message.clone());
            self.set(condition_type::PROGRAMMED, false, why, held.clone());
            self.set(condition_type::READY, false, why, message);
            self.set(condition_type::STALLED, true, why, held);
            return self.finish();
        }
        let faults = placed.set.as_ref().and_then(SetFacts::error);
        let (accepted, message) = match faults {
            Some(faults) => (reason::LAST_GOOD, format!("the last good reading is in force of {faults}")),
            None => (reason::ACCEPTED, "the set is valid, and all of its lists were read".to_owned()),
        };
        self.set(condition_type::ACCEPTED, true, accepted, message);
        if placed.nodes.is_empty() {
            let unused = "no filter on any node uses it, so no node needs it".to_owned();
            self.set(condition_type::PROGRAMMED, true, reason::UNUSED, unused.clone());
            self.set(condition_type::READY, true, reason::UNUSED, unused);
            return self.finish();
        }
        self.of_nodes(placed, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Expected;

    fn said(placed: &Placed, state: &PolicyState) -> Vec<(String, String, String)> {
        let conditions = Conditions::new(&[], 1, jiff::Timestamp::UNIX_EPOCH).of_set(placed, state);
        conditions.into_iter().map(|one| (one.type_, one.status, one.reason)).collect()
    }

    fn triple(kind: &str, status: &str, reason: &str) -> (String, String, String) {
        (kind.to_owned(), status.to_owned(), reason.to_owned())
    }

    #[test]
    fn a_set_is_ready_when_nobody_uses_it_and_otherwise_when_the_nodes_hold_it() {
        let mut placed = Placed { set: Some(SetFacts::default()), ..Placed::default() };
        let idle = PolicyState::default();
        assert_eq!(said(&placed, &idle)[2], triple("Ready", "True", "Unused"));
        placed.nodes = vec![Expected { node: "a".to_owned(), ..Expected::default() }];
        let pending = PolicyState { desired: 2, programmed: 1, ..PolicyState::default() };
        assert_eq!(said(&placed, &pending)[2], triple("Ready", "False", "Pending"));
        let done = PolicyState { desired: 2, programmed: 2, kernel_bytes: 4096, ..PolicyState::default() };
        assert_eq!(said(&placed, &done)[2], triple("Ready", "True", "Programmed"));
        let status = set_status(&placed, &done, &[], jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(status.kernel_bytes, Some(4096));
    }

    #[test]
    fn faults_and_refusals_say_what_is_in_force() {
        let size = Some(SetSize { entries: 3, prefixes: 2 });
        let feed = |url: &str, fetched| FeedFacts { url: url.to_owned(), fetched, ..FeedFacts::default() };
        let facts = SetFacts {
            size,
            faults: vec!["a.txt: line 7: \"x\" is no prefix".to_owned()],
            feeds: vec![feed("a", Some(9_000)), feed("b", Some(5_000))],
        };
        let mut placed = Placed { set: Some(facts), ..Placed::default() };
        let state = PolicyState::default();
        assert_eq!(said(&placed, &state)[0], triple("Accepted", "True", "LastGood"));
        let status = set_status(&placed, &state, &[], jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(status.error.as_deref(), Some("a.txt: line 7: \"x\" is no prefix"));
        assert_eq!(status.last_fetch.as_deref(), Some("1970-01-01T00:00:05Z"));
        assert_eq!((status.entries, status.prefixes), (Some(3), Some(2)));
        placed.refusal = Some((reason::SET_CYCLE.to_owned(), "is made of itself: a -> a".to_owned()));
        let conditions = Conditions::new(&[], 1, jiff::Timestamp::UNIX_EPOCH).of_set(&placed, &state);
        assert!(conditions[0].message.ends_with("a -> a; its last contents stay in force"));
        placed.set = Some(SetFacts::default());
        let conditions = Conditions::new(&[], 1, jiff::Timestamp::UNIX_EPOCH).of_set(&placed, &state);
        assert!(conditions[0].message.ends_with("filters cannot use it yet"), "{}", conditions[0].message);
    }
}
