//! People who read a node's page while it is attacked.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sluice_e2e::http;
use sluice_e2e::netns::Netns;

/// Reads over and over until this value goes.
pub struct Reader {
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    pub fn start(hub: &Netns, address: String) -> Reader {
        let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (answered.clone(), stop.clone());
        hub.spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if TcpStream::connect(&address).map_err(anyhow::Error::from).and_then(http::get).is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Reader { answered, stop }
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
