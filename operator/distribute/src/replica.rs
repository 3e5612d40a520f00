/// What the replica that serves knows of itself and the others.
pub trait Replica: Send + Sync + 'static {
    /// Where agents reach the other replicas.
    fn others(&self) -> Vec<String>;

    /// Whether it decides, and so has all that was ever agreed on; others may be a little behind.
    fn decides(&self) -> bool;

    /// Whether it decides or hears of the one that does. One that is cut off from the others tells its agents nothing that
    /// they could take for the operator's word.
    fn is_led(&self) -> bool;
}

impl Replica for sluice_raft::Raft {
    fn others(&self) -> Vec<String> {
        sluice_raft::Raft::others(self)
    }

    fn decides(&self) -> bool {
        self.is_leader()
    }

    fn is_led(&self) -> bool {
        sluice_raft::Raft::is_led(self)
    }
}

/// The only one.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Replica for Alone {
    fn others(&self) -> Vec<String> {
        Vec::new()
    }

    fn decides(&self) -> bool {
        true
    }

    fn is_led(&self) -> bool {
        true
    }
}
