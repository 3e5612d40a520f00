//! The operator's way to the API server: it can be cut, closed and opened.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use sluice_e2e::netns::Netns;

#[derive(Clone, Default)]
pub struct Wire {
    is_closed: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    pub const ADDRESS: &str = "127.0.0.1:7443";

    /// From [`Wire::ADDRESS`] in the namespace to the server's socket, for as long as the test runs.
    pub fn start(netns: &Netns, socket: PathBuf) -> Wire {
        let wire = Wire::default();
        let (own, (ready, bound)) = (wire.clone(), channel());
        netns.spawn(move || {
            let listener = TcpListener::bind(Wire::ADDRESS).unwrap();
            ready.send(()).unwrap();
            listener.incoming().for_each(|operator| own.pass(operator.unwrap(), &socket));
        });
        bound.recv().unwrap();
        wire
    }

    /// Ends the connections of this moment.
    pub fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.cut();
    }

    pub fn open(&self) {
        self.is_closed.store(false, Ordering::SeqCst);
    }

    fn pass(&self, operator: TcpStream, socket: &PathBuf) {
        if self.is_closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = UnixStream::connect(socket) else { return };
        self.connections.lock().unwrap().push(operator.try_clone().unwrap());
        let (from, to) = (operator.try_clone().unwrap(), server.try_clone().unwrap());
        let (ends, closes) = (server.try_clone().unwrap(), operator.try_clone().unwrap());
        thread::spawn(move || one_way(from, to, || ends.shutdown(Shutdown::Both)));
        thread::spawn(move || one_way(server, operator, || closes.shutdown(Shutdown::Both)));
    }
}

/// Until one end goes, which the other is told.
fn one_way(mut from: impl Read, mut to: impl Write, end: impl FnOnce() -> std::io::Result<()>) {
    _ = copy(&mut from, &mut to);
    _ = end();
}
