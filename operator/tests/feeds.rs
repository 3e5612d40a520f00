//! A whole operator in directory mode, and a feed from a server on loopback: what its status says while the server is
//! there, lies, and is gone, over a restart.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use sluice_operator::args::{RunArgs, Source, TRACED_NODES};
use sluice_operator::run;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    /// The body of every answer; `None` closes the connection without one.
    body: Arc<Mutex<Option<String>>>,
    ended: Arc<AtomicBool>,
}

impl Server {
    fn start(body: &str) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (body, ended) = (Arc::new(Mutex::new(Some(body.to_owned()))), Arc::new(AtomicBool::new(false)));
        let (answers, over) = (body.clone(), ended.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let _ = stream.read(&mut [0; 4096]);
                if let Some(body) = &*answers.lock().expect("no test panics with it") {
                    let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                }
            }
        });
        Server { address, body, ended }
    }

    fn answer(&self, body: Option<&str>) {
        *self.body.lock().expect("no test panics with it") = body.map(str::to_owned);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(self.address);
    }
}

struct Operator {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Operator {
    fn start(place: &Path) -> Operator {
        let stop = CancellationToken::new();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let args = RunArgs {
            source: Source::Directory(place.join("policies")),
            data: place.join("data"),
            listen: any,
            metrics: any,
            ca_dir: None,
            names: Vec::new(),
            replicas: Vec::new(),
            replica: None,
            fleet: None,
            readiness_taint: false,
            namespace: String::new(),
            traced_nodes: TRACED_NODES,
        };
        let task = tokio::spawn(run(args, stop.clone()));
        Operator { stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a clean end");
    }
}

/// The set's status once this holds of it.
async fn status(place: &Path, holds: impl Fn(&Value) -> bool) -> Value {
    let file = place.join("data/status/xdpaddressset-bad.yaml");
    let until = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let object: Value = serde_saphyr::from_str(&text).unwrap_or_default();
        if holds(&object["status"]) {
            return object["status"].clone();
        }
        assert!(Instant::now() < until, "after {PATIENCE:?}: {text}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_the_network_has_the_last_good_reading() {
    let server = Server::start("192.0.2.0/25\n192.0.2.128/25\n203.0.113.7\n");
    let place = tempfile::tempdir().expect("a directory");
    let policies = place.path().join("policies");
    std::fs::create_dir(&policies).expect("made");
    let save = |name: &str, text: String| std::fs::write(policies.join(name), text).expect("written");
    let set = |entries: &str| {
        format!(
            "apiVersion: sluice.dev/v1alpha1\nkind: XdpAddressSet\nmetadata: {{name: bad}}\nspec:\n  entries: [{entries}]\n  \
             feeds: [{{url: \"http://{}/list.txt\", interval: 10s}}]\n",
            server.address
        )
    };
    save("bad.yaml", set(""));

    let operator = Operator::start(place.path());
    let forbidden = |status: &Value| {
        status["error"].as_str().is_some_and(|error| error.contains("name it in feedTargets"))
    };
    let said = status(place.path(), forbidden).await;
    assert_eq!((&said["entries"], &said["conditions"][0]["reason"]), (&Value::Null, &"UnreadList".into()));
    save(
        "fleet.yaml",
        format!("feedTargets: [{{prefix: 127.0.0.1/32, ports: [{}]}}]\n", server.address.port()),
    );
    let said = status(place.path(), |status| status["entries"] == 3).await;
    assert_eq!((&said["prefixes"], &said["error"]), (&2.into(), &Value::Null));
    assert!(said["lastFetch"].is_string(), "{said}");
    operator.end().await;

    server.answer(None);
    let operator = Operator::start(place.path());
    let said = status(place.path(), |status| status["error"].is_string()).await;
    assert_eq!((&said["entries"], &said["prefixes"]), (&3.into(), &2.into()), "{said}");
    assert_eq!(said["conditions"][0]["reason"], "LastGood");
    // What was kept goes on to be a part of the set when the rest of it changes.
    save("bad.yaml", set("{cidr: 198.51.100.0/24}"));
    status(place.path(), |status| status["entries"] == 4 && status["prefixes"] == 3).await;
    operator.end().await;
}
