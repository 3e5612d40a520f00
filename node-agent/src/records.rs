//! What the agent keeps in its store beside the plan.

use std::net::SocketAddr;

use sluice_store::{Key, StoredPlan};

/// Written together with the plan: counter slots belong to it.
pub const DATAPATH: Key<sluice_datapath::State> = Key::new("datapath");
/// Names the operator's store that the plan's epoch comes from.
pub const CLUSTER: Key<String> = Key::new("cluster");
/// Where the operator was: at boot its replies must get in before its name is resolved.
pub const OPERATORS: Key<Vec<SocketAddr>> = Key::new("operators");
/// A plan for which there was no room, while it is found out whether there is now.
pub const OFFERED: Key<StoredPlan> = Key::new("offered");
