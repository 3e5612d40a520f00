//! Which stream of a node counts, of the streams of all replicas.

use std::collections::BTreeMap;

use sluice_proto::v1::Hello;

#[derive(Debug, Default)]
pub struct Streams(BTreeMap<String, Stream>);

#[derive(Debug)]
struct Stream {
    at: At,
    boot_id: String,
    dialled: u64,
}

/// A stream, by the relay that its replica speaks over (0 = this replica) and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    pub replica: u64,
    pub session: u64,
}

impl Streams {
    /// Whether this is the newest stream of the node. A replica that lost sight of an agent may speak of its stream after
    /// another has greeted it.
    pub fn opened(&mut self, node: &str, at: At, hello: &Hello) -> bool {
        let known = self.0.get(node);
        let is_late = known.is_some_and(|known| {
            known.boot_id == hello.boot_id && hello.dialled != 0 && hello.dialled < known.dialled
        });
        if !is_late {
            let stream = Stream { at, boot_id: hello.boot_id.clone(), dialled: hello.dialled };
            self.0.insert(node.to_owned(), stream);
        }
        !is_late
    }

    /// How many there are.
    pub fn open(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub fn counts(&self, node: &str, at: At) -> bool {
        self.0.get(node).is_some_and(|stream| stream.at == at)
    }

    /// Whether the node has no stream any more.
    pub fn closed(&mut self, node: &str, at: At) -> bool {
        let counted = self.counts(node, at);
        if counted {
            self.0.remove(node);
        }
        counted
    }

    /// The nodes that were heard of over a relay.
    pub fn relay_ended(&mut self, replica: u64) -> Vec<String> {
        let (gone, kept) =
            std::mem::take(&mut self.0).into_iter().partition(|(_, stream)| stream.at.replica == replica);
        self.0 = kept;
        let gone: BTreeMap<_, _> = gone;
        gone.into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(boot_id: &str, dialled: u64) -> Hello {
        Hello { boot_id: boot_id.to_owned(), dialled, ..Hello::default() }
    }

    fn at(replica: u64, session: u64) -> At {
        At { replica, session }
    }

    #[test]
    fn the_stream_that_was_opened_last_counts_whichever_replica_speaks_first() {
        let mut streams = Streams::default();
        assert!(streams.opened("a", at(1, 9), &hello("boot", 100)));
        assert!(streams.opened("a", at(2, 4), &hello("boot", 200)));
        assert!(
            !streams.opened("a", at(3, 9), &hello("boot", 100)),
            "the first replica, again over a new relay"
        );
        assert!(streams.counts("a", at(2, 4)) && !streams.counts("a", at(3, 9)));
        assert!(!streams.closed("a", at(3, 9)) && streams.closed("a", at(2, 4)));
        assert!(!streams.counts("a", at(2, 4)));
    }

    #[test]
    fn after_a_boot_the_count_begins_anew() {
        let mut streams = Streams::default();
        streams.opened("a", at(0, 1), &hello("before", 900));
        assert!(streams.opened("a", at(1, 1), &hello("after", 5)));
    }

    #[test]
    fn with_a_relay_its_streams_are_gone_and_no_others() {
        let mut streams = Streams::default();
        for (node, replica) in [("a", 1), ("b", 2), ("c", 1)] {
            streams.opened(node, at(replica, 1), &hello("boot", 1));
        }
        assert_eq!(streams.relay_ended(1), ["a", "c"]);
        assert!(streams.counts("b", at(2, 1)));
    }
}
