//! What can be agreed on.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_plan::{Epoch, Hash, encode};

use crate::State;
use crate::state::token_key;

/// A change of the [`State`](crate::State); at most [`Command::MAX_BYTES`] once encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// As [`Command::PutFleet`], for plans that use no address sets; logs of versions that knew none have it.
    PutPlans {
        /// Encoded `NodePlan` of each class.
        classes: BTreeMap<ClassKey, Bytes>,
        /// Class of each node.
        node_class: BTreeMap<String, ClassKey>,
        /// The ring of each VIP, opaque here: the next repair starts from them.
        rings: Bytes,
        /// Values that must not be agreed on without these plans, nor these plans without them: what they were made of.
        blobs: BTreeMap<String, Bytes>,
    },
    /// Sets a value that has no epoch.
    PutBlob {
        key: String,
        bytes: Bytes,
    },
    RemoveBlob {
        key: String,
    },
    /// Moves every later epoch above those of a store that was lost.
    Recover {
        seen_incarnation: u64,
    },
    /// Replaces the plans of the whole fleet and the address sets that they use; shards that no set is made of any more
    /// go with it.
    PutFleet {
        classes: BTreeMap<ClassKey, ClassPlan>,
        node_class: BTreeMap<String, ClassKey>,
        rings: Bytes,
        blobs: BTreeMap<String, Bytes>,
        /// Encoded manifest of each set that a class uses. Its shards are agreed on before.
        sets: BTreeMap<String, Bytes>,
    },
    /// Sets many values that have no epoch: shards.
    PutBlobs {
        blobs: BTreeMap<String, Bytes>,
    },
    /// The command within, if it comes to stand in the log in the term that it was decided in; else nothing: another
    /// replica may have decided otherwise meanwhile.
    Decided {
        term: u64,
        /// Encoded, and no other of this kind: a command that holds commands could be nested until its reader has no
        /// stack left.
        command: Bytes,
    },
    /// Takes a token, or nothing if another took it before: who did and heard no answer may ask again. Tokens that are
    /// over are forgotten.
    TakeToken {
        number: [u8; 16],
        /// Of what was asked for with it.
        by: Hash,
        /// Unix seconds.
        until: u64,
        now: u64,
    },
}

/// What the nodes of a class are to enforce.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassPlan {
    /// Encoded `NodePlan`.
    pub plan: Bytes,
    /// Names of the address sets that it uses.
    pub sets: Vec<String>,
}

impl Command {
    /// Entries are held in memory and sent whole to other replicas.
    pub const MAX_BYTES: usize = 16 << 20;

    /// This one, as decided in a term.
    pub(crate) fn decided_in(self, term: u64) -> Command {
        Command::Decided { term, command: encode(&self).into() }
    }

    /// What it comes to where it was agreed on in a term; none if it was decided in another.
    pub(crate) fn agreed_in(self, agreed: u64) -> Option<Command> {
        let Command::Decided { term, command } = self else { return Some(self) };
        let inner = (term == agreed).then(|| postcard::from_bytes(&command).ok())?;
        inner.filter(|inner| !matches!(inner, Command::Decided { .. }))
    }

    /// Whether it takes what was taken.
    pub(crate) fn is_void(&self, state: &State) -> bool {
        match self {
            Command::TakeToken { number, by, .. } => {
                let taken = state.blobs.get(&token_key(number));
                taken.is_some_and(|taken| !taken.ends_with(&by.0))
            }
            _ => false,
        }
    }

    /// What is in it, in bytes.
    pub(crate) fn size(&self) -> usize {
        let nodes = |nodes: &BTreeMap<String, ClassKey>| {
            nodes.iter().map(|(node, class)| node.len() + class.0.len()).sum::<usize>()
        };
        let values = |values: &BTreeMap<String, Bytes>| {
            values.iter().map(|(key, bytes)| key.len() + bytes.len()).sum::<usize>()
        };
        match self {
            Command::PutPlans { classes, node_class, rings, blobs } => {
                let plans: usize = classes.iter().map(|(key, bytes)| key.0.len() + bytes.len()).sum();
                plans + nodes(node_class) + rings.len() + values(blobs)
            }
            Command::PutFleet { classes, node_class, rings, blobs, sets } => {
                let names = |class: &ClassPlan| class.sets.iter().map(String::len).sum::<usize>();
                let plan =
                    |(key, class): (&ClassKey, &ClassPlan)| key.0.len() + class.plan.len() + names(class);
                let plans: usize = classes.iter().map(plan).sum();
                plans + nodes(node_class) + rings.len() + values(blobs) + values(sets)
            }
            Command::PutBlobs { blobs } => values(blobs),
            Command::PutBlob { key, bytes } => key.len() + bytes.len(),
            Command::RemoveBlob { key } => key.len(),
            Command::Recover { .. } | Command::TakeToken { .. } => 0,
            Command::Decided { command, .. } => command.len(),
        }
    }
}

/// Names the nodes that share one plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClassKey(pub String);

impl fmt::Display for ClassKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ClassKey {
    fn from(key: &str) -> Self {
        ClassKey(key.to_owned())
    }
}

/// The state's epoch once a command is agreed and on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub epoch: Epoch,
    /// The command was decided in another term, or took what was taken before, and changed nothing.
    pub void: bool,
}
