/// What the replica that serves knows of itself and the others.
pub trait Replica: Send + Sync + 'static {
    /// Where agents reach the other replicas.
    fn others(&self) -> Vec<String>;

    /// Whether it decides, and so has all that was ever agreed on; others may be a little behind.
    fn decides(&self) -> bool;
}

impl Replica for sluice_raft::Raft {
    fn others(&self) -> Vec<String> {
        sluice_raft::Raft::others(self)
    }

    fn decides(&self) -> bool {
        self.is_leader()
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
}
