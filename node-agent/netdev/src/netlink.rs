//! The sockets that everything here asks through.

use ethtool::EthtoolHandle;
use genetlink::GenetlinkHandle;
use rtnetlink::Handle;
use tokio::task::AbortHandle;

use crate::NetdevError;

/// Open netlink sockets of the network namespace in which they were made. They end with this value.
pub struct Netlink {
    pub(crate) route: Handle,
    /// `None` where the kernel has no generic netlink for it.
    pub(crate) ethtool: Option<EthtoolHandle>,
    pub(crate) generic: Option<GenetlinkHandle>,
    tasks: Vec<AbortHandle>,
}

impl Netlink {
    /// Must be called in a tokio runtime, which then drives the sockets.
    ///
    /// # Errors
    /// Without a route socket nothing can be known; the other two are optional.
    pub fn open() -> Result<Netlink, NetdevError> {
        let (connection, route, _) = rtnetlink::new_connection()?;
        let mut tasks = vec![tokio::spawn(connection).abort_handle()];
        let ethtool = ethtool::new_connection().ok().map(|(connection, handle, _)| {
            tasks.push(tokio::spawn(connection).abort_handle());
            handle
        });
        let generic = genetlink::new_connection().ok().map(|(connection, handle, _)| {
            tasks.push(tokio::spawn(connection).abort_handle());
            handle
        });
        Ok(Netlink { route, ethtool, generic, tasks })
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
