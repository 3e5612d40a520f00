#[derive(Debug, thiserror::Error)]
pub enum NetdevError {
    #[error("cannot open a netlink socket: {0}")]
    Open(#[from] std::io::Error),
    #[error("netlink: {0}")]
    Route(#[from] rtnetlink::Error),
    #[error("interface `{0}` does not exist")]
    NoInterface(String),
}

impl NetdevError {
    /// The kernel says that the object is there already.
    pub(crate) fn is_exists(&self) -> bool {
        matches!(self.errno(), Some(libc::EEXIST))
    }

    /// The kernel says that the object is gone already.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.errno(), Some(libc::ENODEV | libc::ENOENT | libc::EADDRNOTAVAIL | libc::ESRCH))
    }

    fn errno(&self) -> Option<i32> {
        match self {
            NetdevError::Route(rtnetlink::Error::NetlinkError(message)) => {
                message.code.map(|code| code.get().abs())
            }
            _ => None,
        }
    }
}
