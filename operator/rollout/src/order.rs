//! What somebody wants of a rollout. It stands in an annotation, because the CLI must not edit a spec that others keep in
//! version control, and names the generation that it is about: what is left behind says nothing about the next.

use std::fmt;
use std::str::FromStr;

/// `pause@3`
pub const ANNOTATION: &str = "sluice.dev/rollout";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Draws no more nodes in, as long as it stands.
    Pause,
    /// Ends a pause.
    Resume,
    /// All nodes at once, whatever gates say, also of a version that was rolled back.
    Promote,
    /// Back to the version before, also when all nodes have this one.
    Abort,
}

/// An order and the generation that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderedFor {
    pub order: Order,
    pub generation: i64,
}

impl FromStr for OrderedFor {
    type Err = String;

    fn from_str(text: &str) -> Result<OrderedFor, String> {
        let parsed = text.split_once('@').and_then(|(order, generation)| {
            let order = [Order::Pause, Order::Resume, Order::Promote, Order::Abort]
                .into_iter()
                .find(|known| known.to_string() == order)?;
            Some(OrderedFor { order, generation: generation.parse().ok()? })
        });
        parsed.ok_or_else(|| {
            format!(
                "annotation {ANNOTATION} is \"{text}\": write pause, resume, promote or abort and the generation that \
                 is meant, as pause@3"
            )
        })
    }
}

impl fmt::Display for OrderedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.order, self.generation)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::Pause => "pause",
            Order::Resume => "resume",
            Order::Promote => "promote",
            Order::Abort => "abort",
        })
    }
}
