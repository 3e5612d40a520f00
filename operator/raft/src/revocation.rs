//! Nodes whose former certificates are worth nothing: agreed on beside the plans, so that every replica refuses them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_plan::encode;

use crate::{Command, State};

/// Of all certificates of a node that are of an earlier series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Above all that the node's certificates were of.
    pub series: u64,
    /// Unix seconds. The last of those certificates has ended by then.
    pub until: u64,
}

impl Revocation {
    /// Has it agreed on. The one before it, of the same node, is contained in it.
    pub fn command(self, node: &str) -> Command {
        Command::PutBlob { key: key(node), bytes: encode(&self).into() }
    }

    /// Has it forgotten.
    pub fn removal(node: &str) -> Command {
        Command::RemoveBlob { key: key(node) }
    }

    fn decode(bytes: &Bytes) -> Revocation {
        // Of a later version, or damaged: until somebody reads it, the node is kept out.
        sluice_plan::decode(bytes).unwrap_or(Revocation { series: u64::MAX, until: u64::MAX })
    }
}

impl State {
    /// The series of a node's certificates that are good; 0 where nothing was revoked.
    pub fn series(&self, node: &str) -> u64 {
        self.blobs.get(&key(node)).map_or(0, |bytes| Revocation::decode(bytes).series)
    }

    /// By node.
    pub fn revocations(&self) -> impl Iterator<Item = (&str, Revocation)> {
        let all = self.blobs.range(REVOKED.to_owned()..);
        all.map_while(|(key, bytes)| Some((key.strip_prefix(REVOKED)?, Revocation::decode(bytes))))
    }
}

fn key(node: &str) -> String {
    format!("{REVOKED}{node}")
}

const REVOKED: &str = "revoked/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_is_of_one_node_until_it_is_forgotten() {
        let revoked = |series| Revocation { series, until: series + 10 };
        let mut state = State::default();
        let commands = [
            Command::PutBlob { key: "revokee".into(), bytes: Bytes::new() },
            revoked(5).command("edge-1"),
            revoked(7).command("edge-1"),
            revoked(6).command("edge-10"),
            Command::PutBlob { key: "signer".into(), bytes: Bytes::new() },
        ];
        for (index, command) in (1..).zip(commands) {
            state = state.after(command, 1, index);
        }
        assert_eq!((state.series("edge-1"), state.series("edge-10"), state.series("edge")), (7, 6, 0));
        let all: Vec<_> = state.revocations().collect();
        assert_eq!(all, [("edge-1", revoked(7)), ("edge-10", revoked(6))]);
        assert_eq!(state.after(Revocation::removal("edge-1"), 1, 9).series("edge-1"), 0);
    }

    #[test]
    fn what_cannot_be_read_keeps_the_node_out() {
        let put = Command::PutBlob { key: key("edge-1"), bytes: Bytes::from_static(&[0xff]) };
        assert_eq!(State::default().after(put, 1, 1).series("edge-1"), u64::MAX);
    }
}
