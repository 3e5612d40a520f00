//! A whole operator in directory mode, and agents that cannot take everything: what they are sent, and what the status says.

mod agent;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use agent::Agent;
use serde_json::Value;
use sluice_operator::args::{RunArgs, Source};
use sluice_operator::run;
use sluice_proto::v1::Capabilities;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

struct Operator {
    place: TempDir,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Operator {
    fn start() -> Operator {
        let place = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(place.path().join("policies")).expect("made");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let free = TcpListener::bind(any).and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let args = RunArgs {
            source: Source::Directory(place.path().join("policies")),
            data: place.path().join("data"),
            listen: address,
            metrics: any,
            ca_dir: None,
            names: Vec::new(),
            fleet: None,
            namespace: String::new(),
        };
        // Whoever comes first makes the authority.
        std::fs::create_dir(&args.data).expect("made");
        sluice_operator::token("first", &args.data).expect("a token");
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(args, stop.clone()));
        Operator { place, address, stop, task }
    }

    fn agent(&self, node: &str, capabilities: Capabilities) -> Agent {
        Agent::start(node, self.address, &self.place.path().join("data"), capabilities)
    }

    fn save(&self, name: &str, text: &str) {
        std::fs::write(self.place.path().join("policies").join(name), text).expect("written");
    }

    /// Status, reason and message of an object's Ready once they have this.
    async fn ready(&self, object: &str, part: &str) -> String {
        let file = self.place.path().join(format!("data/status/{object}.yaml"));
        let until = Instant::now() + PATIENCE;
        loop {
            let said = ready(&file);
            if said.contains(part) {
                return said;
            }
            assert!(Instant::now() < until, "after {PATIENCE:?}: {said}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a clean end");
    }
}

fn ready(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let object: Value = serde_saphyr::from_str(&text).unwrap_or_default();
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default();
    ["status", "reason", "message"]
        .map(|field| ready[field].as_str().unwrap_or_default().to_owned())
        .join(" ")
}

fn filter(name: &str, hook: &str, matches: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}}}\nspec:\n  interfaces: {{names: [eth0]}}\n  \
         attach: {{hook: {hook}}}\n  rules: [{{name: bad, action: Drop, match: {matches}}}]\n"
    )
}

fn set(cidrs: &str) -> String {
    let cidrs: Vec<_> = cidrs.split(' ').map(|cidr| format!("{{cidr: \"{cidr}\"}}")).collect();
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpAddressSet\nmetadata: {{name: bad}}\nspec: {{entries: [{}]}}\n",
        cidrs.join(", ")
    )
}

async fn has(agent: &mut Agent, filters: &[(&str, i64)]) {
    let wanted: Vec<_> = filters.iter().map(|(name, generation)| ((*name).to_owned(), *generation)).collect();
    let seen = timeout(PATIENCE, agent.filters.wait_for(|filters| *filters == wanted)).await;
    assert!(seen.is_ok(), "{filters:?}");
}

const NEW: Capabilities =
    Capabilities { kernel: String::new(), tcx: true, entries: 10_240, set_prefixes: 1 << 22 };

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_without_tcx_is_not_sent_what_needs_it() {
    let operator = Operator::start();
    operator.save("edge.yaml", &filter("edge", "Xdp", "{protocols: [UDP]}"));
    let mut new = operator.agent("new", NEW);
    let old = operator.agent("old", Capabilities { tcx: false, ..NEW });
    operator.ready("xdpfilter-edge", "2 of 2 nodes enforce generation 1").await;

    operator.save("edge.yaml", &filter("edge", "TcEgress", "{protocols: [UDP]}"));
    let said = operator.ready("xdpfilter-edge", "refuse").await;
    assert_eq!(
        said,
        "False Rejected 1 of 2 nodes enforce generation 2, 1 refuse it; old: HookRefused: XdpFilter/edge: attach.hook \
         TcEgress needs tcx, which Linux has from 6.6 on and this node's kernel has not: use hook Xdp, or select other nodes"
    );
    has(&mut new, &[("edge", 2)]).await;
    // Neither the new version nor anything beside it.
    operator.save("more.yaml", &filter("more", "Xdp", "{protocols: [TCP]}"));
    has(&mut new, &[("edge", 2), ("more", 1)]).await;
    operator.ready("xdpfilter-more", "old: HookRefused: XdpFilter/edge").await;
    assert_eq!(*old.filters.borrow(), [("edge".to_owned(), 1)], "the last good plan");

    // A newer kernel is all that it takes.
    drop(old);
    let mut old = operator.agent("old", NEW);
    has(&mut old, &[("edge", 2), ("more", 1)]).await;
    operator.ready("xdpfilter-edge", "True Programmed 2 of 2 nodes").await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_outgrows_a_node_is_not_sent_there() {
    let operator = Operator::start();
    operator.save("edge.yaml", &filter("edge", "Xdp", "{sources: {sets: [bad]}}"));
    operator.save("bad.yaml", &set("192.0.2.0/24 2001:db8::/32"));
    let _large = operator.agent("large", NEW);
    let _small = operator.agent("small", Capabilities { set_prefixes: 7, ..NEW });
    operator.ready("xdpaddressset-bad", "2 of 2 nodes hold its present addresses").await;

    operator.save("bad.yaml", &set("192.0.2.0/24 198.51.100.0/24 2001:db8::/32"));
    let said = operator.ready("xdpaddressset-bad", "refuse").await;
    assert!(
        said.contains("1 of 2 nodes hold its present addresses, 1 refuse it; small: TooManyPrefixes"),
        "{said}"
    );
    assert!(said.contains("brings the node to 8 prefixes") && said.contains("it takes 7: shorten"), "{said}");
    operator.ready("xdpfilter-edge", "True Programmed 2 of 2 nodes").await;
    operator.save("bad.yaml", &set("192.0.2.0/24 198.51.100.0/24"));
    operator.ready("xdpaddressset-bad", "True Programmed 2 of 2 nodes").await;
    operator.end().await;
}
