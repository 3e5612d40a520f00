//! Samples of dropped packets for one caller: only those of policies that it may see, and asks for.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use sluice_crds::Kind;
use sluice_distribute::{NodeBatch, Watcher};
use sluice_index::ObjectKey;
use sluice_proto::v1::{Drop, DropBatch, WatchDropsRequest};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::gate::Reader;
use crate::sight::Sight;
use crate::view::View;

/// What a caller may see is asked again while it watches.
const REVIEW_EVERY: Duration = Duration::from_secs(60);

pub type DropStream = Pin<Box<dyn Stream<Item = Result<DropBatch, Status>> + Send>>;

pub struct Watching {
    view: watch::Receiver<Arc<View>>,
    reader: Reader,
    sight: Sight,
    sees_nodes: bool,
    wanted: WatchDropsRequest,
    review: Instant,
}

impl Watching {
    /// # Errors
    /// The API server cannot be asked.
    pub async fn new(
        view: watch::Receiver<Arc<View>>,
        reader: Reader,
        sight: Sight,
        wanted: WatchDropsRequest,
    ) -> Result<Watching, Status> {
        let sees_nodes = reader.may("list", Kind::XdpNode, None).await?;
        Ok(Watching { view, reader, sight, sees_nodes, wanted, review: Instant::now() + REVIEW_EVERY })
    }

    /// That it watches; empty for all.
    pub fn node(&self) -> &str {
        &self.wanted.node
    }

    /// Until the caller hangs up, or may see nothing any more.
    pub fn stream(self, watcher: Watcher) -> DropStream {
        let next = |state: Option<(Watching, Watcher)>| async move {
            let (mut watching, mut watcher) = state?;
            match watching.next(&mut watcher).await {
                Ok(batch) => Some((Ok(batch), Some((watching, watcher)))),
                Err(status) => Some((Err(status), None)),
            }
        };
        Box::pin(futures::stream::unfold(Some((self, watcher)), next))
    }

    async fn next(&mut self, watcher: &mut Watcher) -> Result<DropBatch, Status> {
        loop {
            let (batch, missed) = tokio::select! {
                found = watcher.next() => found,
                () = sleep_until(self.review) => {
                    let view = self.view.borrow().clone();
                    self.sight = Sight::of(&self.reader, &view).await?;
                    self.sees_nodes = self.reader.may("list", Kind::XdpNode, None).await?;
                    self.review = Instant::now() + REVIEW_EVERY;
                    continue;
                }
            };
            let view = self.view.borrow().clone();
            let visible = visible(&view, &self.sight, self.sees_nodes, &self.wanted, &batch, missed);
            if visible.drops.len() as u64 + visible.lost + visible.suppressed > 0 {
                return Ok(visible);
            }
        }
    }
}

fn visible(
    view: &View,
    sight: &Sight,
    sees_nodes: bool,
    wanted: &WatchDropsRequest,
    found: &NodeBatch,
    missed: u64,
) -> DropBatch {
    let keys: HashMap<&str, &ObjectKey> =
        view.objects.iter().map(|(key, (placed, _))| (placed.uid.as_str(), key)).collect();
    let chosen = found.batch.samples.iter().filter_map(|sample| {
        let key = *keys.get(sample.policy_uid.as_str())?;
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        let chosen = sight.sees(key) && fits(&wanted.policy, &key.name) && fits(&wanted.rule, &sample.name);
        chosen.then(|| Drop {
            kind: key.kind.clone(),
            namespace: key.namespace.clone(),
            policy: key.name.clone(),
            sample: Some(sample.clone()),
        })
    });
    DropBatch {
        node: found.node.clone(),
        drops: chosen.collect(),
        lost: found.batch.lost + missed,
        suppressed: if sees_nodes { found.batch.suppressed } else { 0 },
    }
}

#[cfg(test)]
mod tests {
    use sluice_proto::v1::{DropSample, SampleBatch};
    use sluice_status::{Placed, PolicyState};

    use super::*;

    fn view() -> View {
        let object = |kind, namespace, name: &str| {
            let placed = Placed { uid: format!("uid-of-{name}"), ..Placed::default() };
            (ObjectKey::new(kind, namespace, name), (placed, PolicyState::default()))
        };
        let objects = [
            object(Kind::XdpFilter, "", "edge"),
            object(Kind::XdpLoadBalancer, "web", "shop"),
            object(Kind::XdpLoadBalancer, "mail", "mx"),
        ];
        let mut view = View::default();
        view.objects = objects.into();
        view
    }

    fn found() -> NodeBatch {
        let samples =
            [("edge", "flood"), ("edge", "scan"), ("shop", "v>b"), ("mx", "v>b"), ("gone", "flood")];
        let samples = samples.map(|(policy, rule)| DropSample {
            policy_uid: format!("uid-of-{policy}"),
            name: rule.into(),
            ..DropSample::default()
        });
        let batch = SampleBatch { samples: samples.into(), lost: 2, suppressed: 9 };
        NodeBatch::new("edge-1", batch)
    }

    fn names(sight: &Sight, wanted: WatchDropsRequest) -> Vec<String> {
        let batch = visible(&view(), sight, true, &wanted, &found(), 0);
        let name = |drop: Drop| format!("{}/{}", drop.policy, drop.sample.unwrap_or_default().name);
        batch.drops.into_iter().map(name).collect()
    }

    #[test]
    fn a_caller_sees_the_drops_of_the_policies_that_it_may_list() {
        let everything = WatchDropsRequest::default;
        assert_eq!(names(&Sight::all(), everything()), ["edge/flood", "edge/scan", "shop/v>b", "mx/v>b"]);
        let tenant = Sight::of_namespaces(["web"]);
        assert_eq!(names(&tenant, everything()), ["shop/v>b"]);
        let other = WatchDropsRequest { policy: "edge".into(), ..everything() };
        assert!(names(&tenant, other).is_empty(), "asking for it by name helps nobody");
    }

    #[test]
    fn a_caller_that_may_not_list_nodes_is_not_told_how_much_was_dropped() {
        let told = |sees_nodes| {
            let batch =
                visible(&view(), &Sight::all(), sees_nodes, &WatchDropsRequest::default(), &found(), 3);
            (batch.lost, batch.suppressed)
        };
        assert_eq!((told(true), told(false)), ((5, 9), (5, 0)));
    }

    #[test]
    fn policy_and_rule_narrow_it_down() {
        let ask = |policy: &str, rule: &str| {
            let wanted = WatchDropsRequest { policy: policy.into(), rule: rule.into(), node: String::new() };
            names(&Sight::all(), wanted)
        };
        assert_eq!(ask("edge", ""), ["edge/flood", "edge/scan"]);
        assert_eq!(ask("", "v>b"), ["shop/v>b", "mx/v>b"]);
        assert_eq!(ask("edge", "scan"), ["edge/scan"]);
    }
}
