//! Clients of a balanced page. Each keeps its source port, and so its backend for as long as that one is up.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::http;
use crate::netns::Netns;

/// Without an answer for this long a client gives up.
const PATIENCE: Duration = Duration::from_secs(2);

/// They ask one after another, round and round, until this value goes.
pub struct Clients {
    log: Arc<Mutex<Log>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug, Default)]
pub struct Log {
    /// By backend.
    pub answers: BTreeMap<String, u64>,
    pub failures: Vec<Failure>,
    /// Who answered each client last.
    homes: BTreeMap<u16, String>,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub at: Instant,
    /// The one that had answered this client before.
    pub backend: Option<String>,
    pub why: String,
}

impl Log {
    /// Clients of each backend.
    pub fn clients(&self) -> BTreeMap<&str, usize> {
        let mut clients = BTreeMap::new();
        for backend in self.homes.values() {
            *clients.entry(backend.as_str()).or_default() += 1;
        }
        clients
    }

    pub fn failures_of_others(&self, than: &str) -> Vec<&Failure> {
        self.failures.iter().filter(|failure| failure.backend.as_deref() != Some(than)).collect()
    }
}

impl Clients {
    /// `ports` are their source ports; there is a `pause` between two requests of whichever client.
    pub fn start(netns: &Netns, to: SocketAddr, ports: Range<u16>, pause: Duration) -> Clients {
        let (log, stop) = (Arc::new(Mutex::new(Log::default())), Arc::new(AtomicBool::new(false)));
        let (written, stopped) = (log.clone(), stop.clone());
        let thread = netns.spawn(move || {
            for client in ports.cycle() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let answer = ask(to, client);
                write(&written).add(client, answer);
                std::thread::sleep(pause);
            }
        });
        Clients { log, stop, thread: Some(thread) }
    }

    pub fn log(&self) -> Log {
        write(&self.log).clone()
    }

    /// What happened since the last call; the clients stay who they are.
    pub fn take(&self) -> Log {
        let mut log = write(&self.log);
        let homes = log.homes.clone();
        std::mem::replace(&mut *log, Log { homes, ..Log::default() })
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Log {
    fn add(&mut self, client: u16, answer: anyhow::Result<String>) {
        match answer {
            Ok(backend) => {
                *self.answers.entry(backend.clone()).or_default() += 1;
                self.homes.insert(client, backend);
            }
            Err(error) => {
                let (backend, why) = (self.homes.get(&client).cloned(), format!("{error:#}"));
                self.failures.push(Failure { at: Instant::now(), backend, why });
            }
        }
    }
}

/// One request; the backend's name.
pub fn ask(to: SocketAddr, port: u16) -> anyhow::Result<String> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(any, port).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    http::get(socket.into())
}

fn write(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
