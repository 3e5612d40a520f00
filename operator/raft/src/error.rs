use std::path::PathBuf;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path}: {source}; it must be a directory that this process can write")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: in use by another operator; stop that one or give this one its own directory")]
    InUse { path: PathBuf },
    #[error(
        "{path}: cannot be read as a store: {reason}; restore it from a backup, or move it away and run `recover`"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("{path}: {reason}: run the version that wrote it, or a later one")]
    Later { path: PathBuf, reason: String },
    #[error(
        "{dir}: identity.json of cluster {cluster_id} is there, its log is not; restore raft.redb from a backup; or, where other \
         replicas of that cluster run, remove the directory and join them again; or else run `recover`, which numbers a new \
         store above the lost one"
    )]
    LogLost { dir: PathBuf, cluster_id: String },
    #[error(
        "{dir}: identity.json names {found}, the log belongs to {expected}; put back the file that belongs to it"
    )]
    ForeignIdentity { dir: PathBuf, found: String, expected: String },
    #[error("consensus does not start: {0}")]
    Start(String),
}

/// Why a command is not agreed.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    #[error(
        "the command has {found} bytes, at most {limit} can be agreed at once; select fewer nodes per class or split the policy"
    )]
    TooLarge { found: usize, limit: usize },
    #[error("no leader within {0:?}: are most replicas running, and can they reach each other?")]
    NoLeader(std::time::Duration),
    /// It is reached there, if anybody leads.
    #[error("another replica leads")]
    Elsewhere(Option<String>),
    #[error("another replica may have decided meanwhile")]
    Overtaken,
    /// The command may be agreed on all the same.
    #[error("the leader at {leader} gave no answer: {reason}")]
    Unreached { leader: String, reason: String },
    #[error(
        "the store stopped: {0}; agents go on enforcing what they have: mend the cause (is the disk full?) and start \
         the operator again"
    )]
    Stopped(String),
}
